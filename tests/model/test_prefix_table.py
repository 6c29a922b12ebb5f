"""Longest prefix match, held to a search of all prefixes."""

from hypothesis import given
from hypothesis import strategies as st

from podroutes.model.address import BITS, Prefix
from podroutes.model.backoff import Backoff
from podroutes.model.prefix_table import PrefixTable


def prefixes(version):
    bits = BITS[version]
    short = st.integers(0, 6)  # few bits, so that many cover each other
    return st.builds(
        lambda length, value: Prefix(version, value << bits - 6 >> bits - length << bits - length, length),
        short,
        st.integers(0, 63),
    )


@given(
    st.sampled_from([4, 6]).flatmap(
        lambda version: st.tuples(st.lists(prefixes(version), max_size=20), prefixes(version))
    )
)
def test_what_covers_a_prefix_is_found_longest_first_and_in_order(case):
    entries, inner = case
    table = PrefixTable(inner.version, [(prefix, position) for position, prefix in enumerate(entries)])
    found = list(table.covering(inner.value, BITS[inner.version] - inner.length))
    covering = [prefix for prefix in dict.fromkeys(entries) if prefix.length <= inner.length and prefix.overlaps(inner)]
    expected = [
        [position for position, entry in enumerate(entries) if entry == prefix]
        for prefix in sorted(covering, key=lambda prefix: -prefix.length)
    ]
    assert found == expected


def test_pauses_double_up_to_the_longest():
    assert [Backoff(0.5, 3.0).pause(failures) for failures in (-1, 0, 1, 2, 3, 4, 5000)] == [0, 0, 0.5, 1, 2, 3, 3]
