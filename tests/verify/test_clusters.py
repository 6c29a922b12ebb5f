"""In random clusters packets do what the proof says: no pair is proven that loses one, none is unreachable that loses none.

The commands come from the grammar of ip(8), not from what the proof knows. ``PODROUTES_TRUTH_ROUNDS`` makes it run longer,
``PODROUTES_TRUTH_SEED`` elsewhere.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from verify.clusters import Outcome, examined

ROUNDS = int(os.environ.get("PODROUTES_TRUTH_ROUNDS", "40"))
SEED = int(os.environ.get("PODROUTES_TRUTH_SEED", "1"))


def told(seed: int, outcome: Outcome) -> Iterator[str]:
    """Yield what was done to a cluster, and where the proof and its packets disagree."""
    yield f"cluster {seed}, IPv{outcome.version}, {outcome.shape}"
    yield from (f"    {change}" for change in outcome.changes)
    for each in outcome.disagreements:
        yield f"  {each.wrong} {each.pair}"
        yield from (f"    {src} to {dst} {'arrived' if came else 'was lost'}" for src, dst, came in each.sent)
        yield from (f"    {finding.cause}" for finding in each.findings)


@pytest.mark.usefixtures("bare")
def test_packets_in_random_clusters_do_what_the_proof_says(capsys: pytest.CaptureFixture[str]) -> None:
    counts, complete, wrong = Counter[str](), Counter[str](), list[str]()
    for seed in range(SEED, SEED + ROUNDS):
        outcome = examined(seed)
        counts += outcome.counts
        complete += outcome.counts if outcome.complete else Counter()
        wrong += told(seed, outcome) if outcome.disagreements else []
    share = complete["cannot-tell"] / complete.total()
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    with capsys.disabled():
        print(f"\n{ROUNDS} clusters: {said}; where everything was collected {share:.1%} cannot be told")  # noqa: T201
    assert not wrong, "\n".join(wrong)
    assert counts["proven"] >= ROUNDS
    assert counts["unreachable"] >= ROUNDS // 4
