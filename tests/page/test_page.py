"""The page as text: what it says, how large it gets, and that nothing breaks out of it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from page.reports import claimed, made, no_route, nodes, report
from podroutes.model.address import parse_address
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.proof import Cause
from podroutes.model.route import NextHop, Route
from podroutes.views.html import Probe, page
from podroutes.views.html.grid import OWN, State, folded, lay_out
from podroutes.views.html.matrix import fitting

NO_ROUTE = State("unreachable", "no-route")
HOSTILE = [
    "</script><script>document.title='x'</script>",
    "</script x <!-- <script y",  # an end tag needs no bracket right behind it
    "]]><img src=x onerror=alert(1)>",
    "\"'><b>&lt;",
    "a\u2028b\u2029c\u202ed\x00e\x1b[31m\nf\r",
    "\udc80\ud800",
    "{{}}${x}`y`\\",
    "x" * 300,
]


class Outline(HTMLParser):
    """The elements of a page with their attributes' names, its texts, and the values of the attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.values = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.values += [value for _, value in attrs if value]

    def handle_data(self, data):
        """Note a text."""
        self.texts.append(data)


def grid(each):
    return lay_out(each.proof, each.cluster, each.targets)


def inside(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def test_a_proof_says_so_with_when_whence_and_by_what():
    text = page(report(nodes(3)))
    assert "<title>Proven: cluster.yaml, 2025-03-01 12:00:00 UTC</title>" in text
    for words in ("Every pod CIDR is reachable from every node", "files in tables/", "podroutes 1.2.3", "No finding"):
        assert words in text
    assert "<details" not in text


def test_a_failing_pair_is_explained_with_its_fix():
    text = page(report(nodes(3), {2: ["-10.200.1.0/24"]}))
    assert "worker-2 has no route to 10.200.1.0/24; nothing else covers it" in text
    assert "on worker-2: <code>podroutes apply</code>" in text
    assert "on that node." not in text  # what is said of every such finding
    assert inside(text)["findings"] == [[["2", "1"]]]


def test_every_pair_is_counted_once():
    each = report(nodes(12), {2: ["-10.200.1.0/24", "-10.200.7.0/24"], 5: ["!cni0"]}, seen=11)
    cells = grid(each)
    counts = {state: cells.count(state) for state in cells.cells}
    failing = {state: count for state, count in counts.items() if state.severity in ("unreachable", "cannot-tell")}
    assert counts[OWN] == 12
    assert counts[State("cannot-tell", "tables-not-seen")] == each.proof.count("cannot-tell") == 2 * 11 - 1
    assert sum(failing.values()) == sum(cells.failing_from()) == sum(cells.failing_to())
    assert sum(failing.values()) - each.proof.count("cannot-tell") == each.proof.count("unreachable")
    assert 12 * 12 - sum(counts.values()) == each.proof.pairs - sum(failing.values())


@given(st.integers(0, 2**32), st.integers(1, 23), st.integers(1, 9))
def test_a_folded_cell_is_the_worst_of_those_behind_it(seed, count, factor):
    random = Random(seed)
    cluster = nodes(count)
    everyone = range(count)
    failing = [
        (
            Cause(severity, code, "worker-0"),
            random.sample(everyone, random.randint(1, count)),
            random.sample(everyone, random.randint(1, count)),
        )
        for severity, code in (("unreachable", "no-route"), ("cannot-tell", "cannot-tell"), ("warning", "detour"))
    ]
    whole = lay_out(claimed(cluster, failing), cluster, made(cluster, claimed(cluster, [])).targets)
    order = [state for state in whole.cells if state != OWN]
    small = folded(whole, factor)
    for row in range(small.height):
        for column in range(small.width):
            behind = {
                state
                for state in order
                for bits in whole.cells[state][row * factor : (row + 1) * factor]
                if bits >> column * factor & (1 << factor) - 1
            }
            worst = next((state for state in order if state in behind), None)
            shown = [state for state in small.cells if state != OWN and small.cells[state][row] >> column & 1]
            assert shown == ([worst] if worst else [])


def test_names_stay_text():
    plain = report(nodes(len(HOSTILE)), {2: ["-10.200.1.0/24"]})
    rough = report(nodes(len(HOSTILE), HOSTILE.__getitem__), {2: ["-10.200.1.0/24"]})
    rough = rough._replace(tables=HOSTILE[0], time=HOSTILE[1], cluster=rough.cluster._replace(source=HOSTILE[3]))
    text = page(rough)
    text.encode()  # no lone surrogate is left
    found = Outline(text)
    assert found.elements == Outline(page(plain)).elements
    assert not set(text) & {"\u2028", "\u2029", "\u202e", "\x00", "\x1b", "\r"}
    assert HOSTILE[0] in found.texts
    assert inside(text)["rows"][:3] == HOSTILE[:3]
    assert inside(text)["rows"][4] == r"a\u2028b\u2029c\u202ed\x00e\x1b[31m\nf\r"


def test_nothing_is_loaded_from_anywhere():
    found = Outline(page(report(nodes(3), {2: ["-10.200.1.0/24"]})))
    policy = next(value for value in found.values if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; ")
    assert not {"src", "srcset", "style", "onload", "onclick", "action"} & {
        name for each in found.elements for name in each[1:]
    }
    links = {value for value in found.values if re.match(r"[a-z]+:|//", value) and not value.startswith("default-src")}
    assert len(links) == 1
    assert links.pop().startswith("data:image/svg+xml,")
    style = next(text for text in found.texts if text.startswith(":root"))
    script = next(text for text in found.texts if text.startswith('"use strict"'))
    assert not re.search(r"@import|url\((?!#)|//[a-z]+\.", style)
    for content, kind in ((style, "style"), (script, "script")):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def scattered(count, share):
    random = Random(count)
    return claimed(
        nodes(count),
        [
            (no_route(f"worker-{at}"), [at], [to for to in range(count) if to != at and random.random() < share])
            for at in range(count)
        ],
    )


def all_different(count):
    """Every pair fails by a cause of its own."""
    cidrs = [each.pod_cidrs[0] for each in nodes(count).nodes]
    way = (NextHop(parse_address("10.9.0.2"), "ens18"),)
    return claimed(
        nodes(count),
        [
            (Cause("unreachable", "wrong-next-hop", f"worker-{at}", Route(cidrs[to], way), "worker-0"), [at], [to])
            for at in range(count)
            for to in range(count)
            if at != to
        ],
    )


@pytest.mark.parametrize(
    ("count", "proof", "limit"),
    [
        (500, claimed(nodes(500), []), 400_000),
        (500, scattered(500, 0.5), 1_500_000),
        (500, all_different(500), 1_500_000),
        (5000, claimed(nodes(5000), [(no_route("worker-7"), [7], range(5000))]), 2_000_000),
    ],
    ids=["healthy", "half-fails", "all-different", "5000-nodes"],
)
def test_pages_stay_small(count, proof, limit):
    assert len(page(made(nodes(count), proof)).encode()) < limit


def test_what_is_left_out_is_said():
    each = made(nodes(120), all_different(120))
    text = page(each)
    listed = len(re.findall(r'<li id="f\d+"', text))
    assert f"{120 * 119 - listed:,} more findings of this cause are left out" in text
    large = made(nodes(3000), claimed(nodes(3000), [(no_route("worker-7"), [7], [8, 9])]))
    text = page(large)
    factor = fitting(grid(large)).factor
    assert factor == 5
    assert f"a cell stands for {factor} by {factor} of them" in text
    assert "500 more rows are left out of this page" in text
    assert "3,000 nodes are too many to draw. These are the 3 that" in text
    assert "With the other 2,997 all is well" in text


def test_answers_to_nodes_without_pods_have_a_column():
    cluster = nodes(2)
    server = cluster.nodes[0]._replace(name="server", internal_ips=(parse_address("10.9.9.9"),), pod_cidrs=())
    cluster = cluster._replace(nodes=(*cluster.nodes, server))
    proof = claimed(nodes(2), [(no_route("worker-0"), [0], [1])])
    finding = proof.findings[0]
    lost = finding.blocks[0]._replace(
        destinations=(finding.blocks[0].destinations[0]._replace(value=0x0A090909, length=32),)
    )
    text = page(made(cluster, proof._replace(findings=(finding._replace(blocks=(lost,)),))))
    assert inside(text)["columns"][-1] == ["10.9.9.9/32", "server"]
    assert "the node itself" in text


def test_packets_are_there_where_they_were_sent():
    good = report(nodes(2))
    assert "Packets" not in page(good)
    there = Probed("worker-0", "worker-1", parse_address("10.200.1.1"), 3, 2, 0.1, 0.25, 1400)
    away = Probed("worker-1", "worker-0", parse_address("10.200.0.1"), 4, 0, error="no answer")
    text = page(good._replace(probe=Probe((there, away), (Disagreement(away, proven=True),))))
    assert "Not proven: " in text
    assert "1 of 2 answered" in text
    assert "not all packets were answered" in text
    assert "worker-1 → worker-0 (10.200.0.1): the tables lead there and back" in text
    rows = re.findall(r"<td>([^<]*)</td>", text)
    assert rows[rows.index("34 %") :][:6] == ["34 %", "0.10", "0.25", "1400", "icmp", "answered"]
