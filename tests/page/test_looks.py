"""The page as a person sees it: in Chromium, with and without a script, by day and by night, on a desk and in a hand."""

import pytest

from page.reports import claimed, made, no_route, nodes, report
from page.test_page import HOSTILE, scattered
from podroutes.model.proof import Cause
from podroutes.views.html import page

FAULT = {2: ["-10.200.1.0/24"]}
CELL = """(([row, column]) => {
    const box = document.querySelector("#matrix .cells > rect").getBoundingClientRect();
    const svg = document.querySelector("#matrix svg").dataset;
    return [box.x + (column + 0.5) * box.width / svg.width, box.y + (row + 0.5) * box.height / svg.height];
})"""


def cell(browser, row, column):
    """Return where a cell of the matrix is, a little off its sign."""
    browser.centre("#matrix svg")
    return browser.run(f"{CELL}([{row}, {column}])")


def luminance(colour):
    """Return the relative luminance, WCAG 2.2."""
    parts = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_three_nodes_and_one_fault(look, dark):
    browser = look(report(nodes(3), FAULT), dark=dark)
    assert browser.texts(".badge") == ["Not proven"]
    assert browser.texts("h1") == ["Not every pod CIDR is reachable from every node"]
    assert browser.texts(".row > p") == [
        "worker-2 has no route to 10.200.1.0/24; nothing else covers it",
        "What to do: on worker-2: podroutes apply",
    ]
    assert browser.texts(".legend > *") == ["no-route 1", "own pods 3", "proven 5"]
    assert browser.run("document.querySelectorAll('button.node').length") == 3
    assert browser.texts("button.node.fault b") == ["worker-2"]
    seen = {}
    for row in range(3):
        for column in range(3):
            x, y = cell(browser, row, column)
            seen[row, column] = browser.colour(x - 18, y - 18)
    proven, failing, own = seen[0, 1], seen[2, 1], seen[0, 0]
    assert [place for place, colour in seen.items() if colour == failing] == [(2, 1)]
    assert [place for place, colour in seen.items() if colour == own] == [(0, 0), (1, 1), (2, 2)]
    assert set(seen.values()) == {proven, failing, own}
    assert contrast(proven, failing) > 3  # told apart by lightness alone
    assert (luminance(browser.colour(2, 400)) < 0.05) is dark


def test_a_cell_tells_its_story_to_mouse_and_keyboard(look):
    browser = look(report(nodes(12), {2: ["-10.200.1.0/24", "-10.200.7.0/24"], 5: ["!cni0"]}))
    browser.point(*cell(browser, 2, 7))
    (told,) = browser.texts("#told")
    assert "no-route" in told
    assert "worker-2" in told
    assert "10.200.7.0/24 (worker-7)" in told
    assert "worker-2 has no route to 10.200.1.0/24 and 10.200.7.0/24" in told
    browser.point(*cell(browser, 3, 4))
    assert "proven" in browser.texts("#told")[0]
    browser.run("document.querySelector('.picture').focus()")
    browser.press("ArrowLeft")
    assert "10.200.3.0/24 (worker-3)" in browser.texts("#told")[0]
    browser.press("n")
    assert "no-pod-device" in browser.texts("#told")[0]
    browser.press("Enter")
    assert browser.run("location.hash") == "#f0"


def test_search_and_order_find_rows(look):
    browser = look(report(nodes(30), {2: ["-10.200.1.0/24"], 20: ["blackhole 10.200.9.0/24 table 255"]}))
    assert len(browser.texts("#nodes tbody tr")) == 30
    browser.type("input[data-for=nodes]", "worker-2 fault")
    assert [row.split("10.9")[0] for row in browser.texts("#nodes tbody tr")] == ["worker-2", "worker-20"]
    assert browser.texts("output[data-of=nodes]") == ["2 of 30"]
    browser.type("input[data-for=findings]", "10.200.9.0/24")
    assert len(browser.texts("#findings .cause")) == 1
    assert "worker-20 refuses 10.200.9.0/24" in browser.texts("#findings .row > p")[0]
    browser.type("input[data-for=findings]", "no such thing")
    assert browser.texts("#findings .cause") == []
    browser.click("#cidrs th button")
    first = browser.texts("#cidrs tbody td:first-child")
    assert first == [f"10.200.{n}.0/24" for n in range(30)]
    browser.click("#cidrs th button")
    assert browser.texts("#cidrs tbody td:first-child") == first[::-1]
    assert browser.run("document.querySelector('#cidrs th').ariaSort") == "descending"


def test_causes_filter_the_matrix(look):
    causes = [
        (no_route("worker-1"), [1], [3]),
        (Cause("warning", "detour", "worker-2"), [2], [0, 3]),
        (Cause("cannot-tell", "cannot-tell", "worker-3"), [3], [0]),
    ]
    cluster = nodes(4)
    browser = look(made(cluster, claimed(cluster, causes)))
    assert browser.texts(".legend > *") == [
        "no-route 1",
        "cannot-tell 1",
        "detour (warning) 2",
        "own pods 4",
        "proven 8",
    ]
    browser.run(
        "(order => { order.value = 'failing'; order.dispatchEvent(new Event('change')); })(document.querySelector('#order'))"
    )
    assert browser.texts("#matrix .row") == ["worker-1", "worker-3"]
    browser.click(".legend button[data-code=detour]")
    assert browser.texts("#matrix text.row") == ["worker-2"]
    assert browser.texts("#matrix text.column") == ["10.200.0.0/24", "10.200.3.0/24"]
    browser.click(".legend button[data-code=detour]")
    assert browser.texts("#matrix text.column") == ["10.200.0.0/24", "10.200.3.0/24"]
    assert browser.texts("#matrix text.row") == ["worker-1", "worker-3"]


def test_a_node_of_the_map_shows_whom_it_does_not_reach(look):
    browser = look(report(nodes(12), {2: ["-10.200.1.0/24", "-10.200.7.0/24"]}))
    browser.click("button.node.fault")
    assert browser.texts("#chosen") == ["worker-2 does not reach 10.200.1.0/24 (worker-1), 10.200.7.0/24 (worker-7)"]
    assert browser.texts("button.node.lost b") == ["worker-1", "worker-7"]
    browser.press("ArrowRight")
    assert browser.run("document.activeElement.querySelector('b').textContent") == "worker-3"
    assert browser.run("document.querySelectorAll('button.node[tabindex=\"0\"]').length") == 1
    browser.click("button.node:not(.fault)")
    assert browser.texts("#chosen") == ["worker-0 reaches every pod CIDR"]


def test_pairs_unfold(look):
    browser = look(report(nodes(12), {5: ["-10.200.5.0/24", "10.200.5.0/24 via 10.9.0.9 dev ens18"]}))
    assert browser.texts(".pairs li") == []
    browser.click(".pairs summary")
    browser.run("new Promise(requestAnimationFrame)")
    expected = [f"worker-{n} → 10.200.5.0/24 (worker-5)" for n in range(12) if n != 5]
    assert browser.texts(".pairs li") == expected


def test_five_hundred_nodes(look):
    browser = look(report(nodes(500), {7: ["!cni0"], 20: ["-10.200.30.0/24"]}))
    assert browser.texts(".legend > *") == ["no-pod-device 998", "no-route 1", "own pods 500", "proven 248,501"]
    assert browser.run("document.querySelectorAll('button.node').length") == 500
    assert len(browser.texts("#nodes tbody tr")) == 500
    lone, near, proven = (browser.colour(*cell(browser, *place)) for place in ((20, 30), (300, 7), (200, 300)))
    assert contrast(lone, proven) > 3
    assert contrast(near, proven) > 3
    x, y = cell(browser, 20, 30)
    browser.point(x, y)
    assert "worker-20 has no route to 10.200.30.0/24" in browser.texts("#told")[0]


def test_a_folded_matrix_still_knows_the_cause(look):
    cluster = nodes(1300)
    browser = look(made(cluster, claimed(cluster, [(no_route("worker-700"), [700], [9])])))
    assert browser.run("document.querySelector('#matrix svg').dataset.factor") == "3"
    browser.point(*cell(browser, 233, 3))
    assert "worker-699 … worker-701" in browser.texts("#told")[0]
    assert browser.run("document.querySelector('#told a').hash") == "#f0"


def test_half_of_all_pairs_may_fail(look):
    browser = look(made(nodes(200), scattered(200, 0.5)))
    assert len(browser.texts("#findings .row")) == 200
    assert browser.run("document.querySelectorAll('#matrix .cells > path').length") == 2


def test_hostile_names_stay_text(look):
    cluster = nodes(len(HOSTILE), HOSTILE.__getitem__)
    browser = look(report(cluster, {2: ["-10.200.1.0/24"]}))
    assert browser.run("document.title").startswith("Not proven: cluster.yaml")
    assert browser.run("document.images.length") == 0
    assert browser.texts("button.node b")[:4] == HOSTILE[:4]
    assert any("[31m" in each for each in browser.texts("button.node b"))
    browser.type("input[data-for=nodes]", "</script>")
    assert len(browser.texts("#nodes tbody tr")) == 1
    browser.point(*cell(browser, 2, 1))
    assert HOSTILE[2] in browser.texts("#told")[0]
    browser.run("document.querySelectorAll('.pairs').forEach((each) => { each.open = true; })")
    browser.run("new Promise(requestAnimationFrame)")
    assert browser.texts(".pairs li")[0].startswith(HOSTILE[2])


def test_without_a_script_all_that_matters_is_there(look):
    browser = look(report(nodes(3), FAULT), script=False)
    assert browser.texts(".search, .tools, #told") == []
    assert browser.texts(".row > p") == [
        "worker-2 has no route to 10.200.1.0/24; nothing else covers it",
        "What to do: on worker-2: podroutes apply",
    ]
    x, y = cell(browser, 2, 1)
    failing, proven = browser.colour(x - 18, y - 18), browser.colour(*cell(browser, 0, 1))
    assert contrast(failing, proven) > 3
    assert len(browser.texts("#nodes tbody tr")) == 3
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("count", [3, 12, 100, 500])
def test_a_phone_shows_it_without_scrolling_sideways(look, count):
    browser = look(report(nodes(count), FAULT), width=360, height=740)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    small = "[...document.querySelectorAll('button, select, input')].filter((each) => each.checkVisibility() && !each.closest('th, .dots') && each.getBoundingClientRect().height < 24)"
    assert browser.run(f"{small}.map((each) => each.outerHTML)") == []  # WCAG 2.2, 2.5.8


def test_the_page_forbids_itself_to_load_anything(chromium, tmp_path):
    (tmp_path / "page.html").write_text(page(report(nodes(3))), encoding="utf-8")
    chromium.open(tmp_path / "page.html")
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'loaded', () => 'refused')"
    assert chromium.run(fetched) == "refused"
    assert any("Content Security Policy" in each for each in chromium.complaints())
    script = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'})), String(window.ran)"
    assert chromium.run(script) == "undefined"


def test_what_fails_stands_above_the_map(look):
    order = "[...document.querySelectorAll('main > section')].map((each) => each.id).slice(0, 3)"
    assert look(report(nodes(3), FAULT)).run(order) == ["causes", "map", "matrix"]
    assert look(report(nodes(3))).run(order) == ["map", "matrix", "causes"]


@pytest.mark.parametrize("width", [1280, 400])
def test_a_pair_that_fails_is_seen_however_many_there_are(look, width):
    browser = look(report(nodes(500), {20: ["-10.200.30.0/24"]}), width=width)
    x, y = cell(browser, 20, 30)
    failing, proven = browser.colour(x, y), browser.colour(x + 30, y)
    assert contrast(failing, proven) > 3
    across = [browser.colour(x + step, y) for step in range(-8, 9)]
    assert across.count(failing) >= 6
    assert [browser.colour(x, y + step) for step in range(-8, 9)].count(failing) >= 6


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("count", [6, 60])
def test_causes_have_colours_of_their_own(look, dark, count):
    """Cells and legend have one colour, and where cells are large one letter, for each cause."""
    codes = ["no-route", "route-refuses", "wrong-next-hop", "stolen-part"]
    cluster = nodes(count)
    causes = [(no_route(f"worker-{at}")._replace(code=code), [at], [at + 1]) for at, code in enumerate(codes)]
    browser = look(made(cluster, claimed(cluster, causes)), dark=dark)
    seen = [
        browser.colour(*(each + 1 if count == 60 else each - 18 for each in cell(browser, at, at + 1)))
        for at in range(4)
    ]
    assert len(set(seen)) == 4
    shown = "[...document.querySelectorAll('.legend button i[data-letter]')].map((each) => each.dataset.letter)"
    assert browser.run(shown) == ["A", "B", "C", "D"]
    proven = browser.colour(*(each - 18 for each in cell(browser, 5, 0)))
    assert all(contrast(each, proven) > 3 for each in seen)


def test_a_phone_keeps_the_state_in_sight(look):
    browser = look(report(nodes(12), FAULT), width=400, height=740)
    browser.centre("#nodes")
    right = "document.querySelector('#nodes td:last-child').getBoundingClientRect().right"
    left = "document.querySelector('#nodes td:last-child').getBoundingClientRect().left"
    assert 0 < browser.run(left) < browser.run(right) <= 400


def test_where_much_fails_each_pair_has_its_place(look):
    browser = look(made(nodes(200), scattered(200, 0.5)))
    box = browser.run(
        "(box => [box.width, box.height])(document.querySelector('#matrix .cells > rect').getBoundingClientRect())"
    )
    assert min(box) >= 200 * 6
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
