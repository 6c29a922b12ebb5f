"""The protocol of list and watch without a server: what comes in, what is asked next, and what is known then."""

import pytest

from kubernetes.speaking import bookmark, error, event, node, page
from podroutes.kubernetes import reflector
from podroutes.kubernetes.decode import Refusal
from podroutes.kubernetes.lines import LONGEST, lines
from podroutes.kubernetes.reflector import PAGE, Reflector

EXPIRED = error(410, "Expired")


class Clock:
    """A clock that stands still."""

    now = 0.0

    def __call__(self):
        """Return the time."""
        return self.now


class Driver:
    """A reflector and the lines that it is told, with a clock that stands still and dice that always show one half."""

    def __init__(self, **keywords):
        self.clock = Clock()
        self.reflector = Reflector("test", lambda: 0.5, self.clock, **keywords)

    def ask(self, *, known=True):
        """Return in words what is asked next. The question whether a version is KNOWN is answered with yes, or left to the caller."""
        query, stream = self.reflector.request()
        if query.get("resourceVersionMatch") == "NotOlderThan" and not stream:
            if not known:
                return f"not older than {query['resourceVersion']}, {query['limit']} of them"
            assert not self.reflector.page(page(node("any"), rv=99, more="next"))
            query, stream = self.reflector.request()
        if "sendInitialEvents" in query:
            return "stream-list"
        if stream:
            return f"watch {query['resourceVersion']}"
        return " ".join(
            [
                "page",
                *([query["limit"]] if "limit" in query else []),
                *([query["continue"]] if "continue" in query else []),
            ]
        )

    def hear(self, *said):
        """Return the verdicts on the lines SAID."""
        return [self.reflector.line(line) for line in said]

    def synced(self, *names):
        """Have NAMES listed."""
        assert self.ask() == "stream-list"
        self.hear(*[event("ADDED", name) for name in names], bookmark(10, end=True))
        return self

    @property
    def names(self):
        """Return who is known."""
        return [node.name for node in self.reflector.table.inventory().cluster.nodes]


@pytest.fixture
def driver():
    return Driver()


def test_a_list_counts_at_its_end_and_not_before(driver):
    assert driver.ask() == "stream-list"
    assert driver.hear(event("ADDED", "a"), event("ADDED", "b")) == [False, False]
    assert (driver.names, driver.reflector.synced) == ([], False)
    assert driver.hear(bookmark(10, end=True)) == [True]
    assert (driver.names, driver.reflector.synced) == (["a", "b"], True)


def test_an_empty_list_is_told_when_it_is_complete(driver):
    driver.synced()
    assert (driver.names, driver.reflector.synced, driver.reflector.counts.lists) == ([], True, 1)


def test_the_resource_versions_of_initial_events_are_nothing_to_resume_from(driver):
    driver.ask()
    driver.hear(event("ADDED", "a", rv=99))
    driver.reflector.cut("reset")
    assert (driver.ask(), driver.names) == ("stream-list", [])


@pytest.mark.parametrize(
    ("said", "news", "names", "version"),
    [
        (event("ADDED", "b", rv=11), True, ["a", "b"], "11"),
        (event("ADDED", "a", rv=11), False, ["a"], "11"),
        (event("MODIFIED", "a", rv=11), False, ["a"], "11"),
        (event("MODIFIED", "a", "10.200.7.0/24", rv=11), True, ["a"], "11"),
        (event("MODIFIED", "a", ip="192.168.8.77", rv=11), True, ["a"], "11"),
        (event("MODIFIED", "new", rv=11), True, ["a", "new"], "11"),
        (event("DELETED", "a", rv=11), True, [], "11"),
        (event("DELETED", "a", uid="an earlier one", rv=11), False, ["a"], "11"),
        (event("DELETED", "unknown", rv=11), False, ["a"], "11"),
        (bookmark(15), False, ["a"], "15"),
    ],
)
def test_events(driver, said, news, names, version):
    driver.synced("a")
    assert driver.hear(said) == [news]
    assert (driver.names, driver.reflector.resource_version) == (names, version)
    driver.reflector.cut("")
    assert driver.ask() == f"watch {version}"


def test_a_name_that_is_used_again_survives_the_late_deletion_of_its_first_owner(driver):
    driver.synced("a")
    driver.hear(event("ADDED", "a", "10.200.5.0/24", uid="second", rv=11), event("DELETED", "a", rv=12))
    assert driver.names == ["a"]
    driver.hear(event("DELETED", "a", uid="second", rv=13))
    assert driver.names == []


def test_heartbeats_are_counted_and_are_no_news(driver):
    driver.synced("a")
    assert driver.hear(*[event("MODIFIED", "a", rv=11 + beat) for beat in range(100)]) == [False] * 100
    assert driver.reflector.counts[:2] == (0, 100)


def test_a_node_that_did_not_change_is_the_same_object_after_the_next_list(driver):
    driver.synced("a", "b")
    (before, _) = driver.reflector.table.inventory().cluster.nodes
    driver.reflector.relist()
    driver.synced("a")
    assert driver.reflector.table.inventory().cluster.nodes[0] is before


def test_a_wrong_value_is_a_problem_until_it_is_mended(driver):
    driver.synced("a")
    driver.hear(event("MODIFIED", "a", "10.200.0.7/24", rv=11))
    assert [each.code for each in driver.reflector.table.inventory().problems] == ["invalid-pod-cidr"]
    driver.hear(event("MODIFIED", "a", rv=12))
    assert driver.reflector.table.inventory().problems == ()


@pytest.mark.parametrize("code", [400, 422])
def test_a_server_that_cannot_stream_lists_is_asked_for_pages_from_then_on(driver, code):
    driver.ask()
    driver.reflector.refused(Refusal(code, "Invalid"))
    assert (driver.ask(), driver.reflector.delay, driver.reflector.error) == (f"page {PAGE}", 0, "")
    assert not driver.reflector.page(page(node("a"), more="next"))
    assert driver.names == []
    assert driver.ask() == f"page {PAGE} next"
    assert driver.reflector.page(page(node("b"), rv=20))
    assert (driver.names, driver.ask()) == (["a", "b"], "watch 20")
    driver.hear(EXPIRED)
    assert driver.ask() == f"page {PAGE}"


def test_a_server_that_ignores_the_wish_for_a_streaming_list_is_asked_for_pages(driver):
    driver.ask()
    assert driver.hear(event("ADDED", "a"), bookmark(12)) == [False, None]
    assert driver.ask() == f"page {PAGE}"


def test_where_long_streams_are_cut_again_and_again_pages_are_asked_for(driver):
    for _ in range(3):
        assert driver.ask() == "stream-list"
        driver.hear(event("ADDED", "a"))
        driver.reflector.cut("reset")
    assert driver.ask() == f"page {PAGE}"


@pytest.mark.parametrize("how", ["event", "status"])
def test_a_version_that_is_too_old_lists_anew_and_forgets_nothing(driver, how):
    driver.synced("a", "b")
    driver.reflector.cut("")
    assert driver.ask() == "watch 10"
    if how == "event":
        assert driver.hear(EXPIRED) == [None]
    else:
        driver.reflector.refused(Refusal(410, "Expired"))
    assert (driver.ask(), driver.names, driver.reflector.synced) == ("stream-list", ["a", "b"], True)
    driver.hear(event("ADDED", "b"))
    assert driver.names == ["a", "b"]
    driver.hear(bookmark(30, end=True))
    assert driver.names == ["b"]


@pytest.mark.parametrize(("nodes", "delay"), [(1, 1.0), (2500, 15.5), (5000, 30.0)])
def test_an_expiry_is_answered_soon_and_not_by_all_at_once(driver, nodes, delay):
    """Half of the spread, as the dice show one half; however often, and whatever failed before."""
    for _ in range(12):
        driver.ask()
        driver.reflector.cut("refused")
    for _ in range(3):
        driver.synced(*(f"n{number}" for number in range(nodes)))
        driver.reflector.refused(Refusal(410, "Expired"))
        assert driver.reflector.delay == pytest.approx(delay, abs=0.1)
    driver.synced("a")
    driver.reflector.refused(Refusal(410, "Expired", retry_after=7))
    assert driver.reflector.delay == pytest.approx(8, abs=0.1)


def test_what_was_waited_for_a_server_counts_when_it_has_lost_its_history(driver):
    """The agents were spread by it; they need not wait as long again."""
    driver.synced("a")
    for _ in range(5):
        driver.ask()
        driver.reflector.cut("refused")
    waited = driver.reflector.delay
    driver.ask()
    driver.reflector.refused(Refusal(410, "Expired"))
    assert driver.reflector.delay == pytest.approx(max(0.0, 1.0 - waited), abs=0.01)
    assert waited > 0.5


def test_the_server_of_a_small_cluster_is_not_waited_for_long(driver):
    """So that it is heard within some seconds after it has begun to answer again."""
    driver.synced("a")
    for _ in range(20):
        driver.ask()
        driver.reflector.cut("refused")
    assert driver.reflector.delay < 2


def test_a_line_resets_the_failures_and_its_end_is_no_reason_to_hurry(driver):
    driver.synced("a")
    for _ in range(20):
        driver.ask()
        driver.reflector.refused(Refusal(503))
    assert driver.reflector.delay == 15.0
    driver.ask()
    driver.hear(bookmark(11))
    driver.reflector.refused(Refusal(503))
    assert driver.reflector.delay == 0.5


def test_a_stream_that_has_begun_is_no_failure_any_more(driver):
    driver.synced("a")
    driver.reflector.refused(Refusal(410, "Expired"))
    assert driver.reflector.error
    driver.ask()
    driver.reflector.opened()
    driver.hear(event("ADDED", "a"))
    assert driver.reflector.error == ""


def test_waits_start_over_after_a_connection_that_lived(driver):
    driver.synced("a")
    for _ in range(5):
        driver.ask()
        driver.reflector.cut("refused")
    assert driver.reflector.delay == pytest.approx(1.0, abs=0.01)
    driver.ask()
    driver.clock.now += 300
    driver.reflector.cut("")
    assert (driver.reflector.delay, driver.reflector.error) == (0, "")


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_overloaded_server_is_asked_the_same_again_when_it_wishes(driver, code):
    driver.synced("a")
    driver.reflector.cut("")
    driver.ask()
    driver.reflector.refused(Refusal(code, "TooManyRequests", retry_after=7))
    assert driver.reflector.delay >= 7
    assert (driver.ask(), driver.names) == ("watch 10", ["a"])


def test_a_version_of_the_future_lists_anew(driver):
    driver.synced("a")
    driver.hear(error(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}], retryAfterSeconds=1))
    assert (driver.ask(), driver.reflector.delay >= 1, driver.names) == ("stream-list", True, ["a"])


def test_any_other_timeout_does_not_list_anew(driver):
    driver.synced("a")
    driver.hear(error(504, "Timeout"))
    assert driver.ask() == "watch 10"


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>502 Bad Gateway</html>",
        event("ADDED", "b", rv=11)[:-20],
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"ADDED","object":null}',
        b'{"type":"ADDED","object":{"metadata":{"name":"b"}}}',
        b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"11"}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":7,"resourceVersion":"11"}}}',
        b'{"type":"SURPRISE","object":{"metadata":{"name":"b","resourceVersion":"11"}}}',
        b'{"type":"BOOKMARK","object":{}}',
        b'{"type":"ERROR","object":"no"}',
        b"[" * 100_000,
    ],
)
def test_garbage_goes_back_to_the_last_good_version_and_after_a_while_to_a_list(driver, garbage):
    driver.synced("a")
    for asked in ("watch 10", "watch 10", "stream-list"):
        assert driver.hear(garbage) == [None]
        assert driver.reflector.error
        assert driver.ask() == asked
    assert driver.names == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"metadata":{"resourceVersion":"1"}}',
        b'{"items":[]}',
        page(node("b"))[:-9],
        b'{"metadata":{},"items":[]}',
    ],
)
def test_what_is_no_list_is_not_an_empty_list(body):
    driver = Driver(streaming=False)
    driver.ask()
    assert not driver.reflector.page(body)
    assert not driver.reflector.synced
    assert driver.ask() == f"page {PAGE}"


def test_a_cut_between_pages_asks_for_the_same_page_again():
    driver = Driver(streaming=False)
    driver.ask()
    driver.reflector.page(page(node("a"), more="next"))
    driver.ask()
    driver.reflector.cut("reset")
    assert driver.ask() == f"page {PAGE} next"
    assert driver.reflector.page(page(node("b")))
    assert driver.names == ["a", "b"]


def test_pages_that_expire_start_over_and_the_second_time_are_asked_for_in_one_piece():
    driver = Driver(streaming=False)
    for expected in (f"page {PAGE}", f"page {PAGE}"):
        assert driver.ask() == expected
        driver.reflector.page(page(node("a"), more="next"))
        driver.ask()
        driver.reflector.refused(Refusal(410, "Expired"))
    assert driver.ask() == "page"
    assert driver.reflector.page(page(node("b")))
    assert driver.names == ["b"]


@pytest.mark.parametrize("more", ["same", "other"])
def test_pages_without_an_end_are_given_up(more):
    driver = Driver(streaming=False)
    driver.ask()
    driver.reflector.page(page(node("a"), more="same"))
    driver.reflector.page(page(node("a"), more=more))
    assert "the list does not end" in driver.reflector.error
    assert not driver.reflector.synced
    assert driver.ask() == "page 500"


def test_nodes_without_an_end_are_given_up(driver, monkeypatch):
    monkeypatch.setattr(reflector, "_MOST", 2)
    driver.ask()
    driver.hear(*(event("ADDED", name) for name in "abc"))
    assert driver.reflector.error == "the server tells of more than 2 Nodes"


@pytest.mark.parametrize("detail", ["retryAfterSeconds", "code"])
def test_numbers_without_an_end_are_taken_for_none(driver, detail):
    driver.synced("a").ask()
    digits = "9" * 5000
    driver.hear(
        error(429, "TooManyRequests", retryAfterSeconds=7).replace(
            b"7" if detail != "code" else b"429", digits.encode()
        )
    )
    assert driver.reflector.delay <= 600
    driver.hear(bookmark(11).replace(b"11", digits.encode()), event("ADDED", "b", rv=1))


def test_told_to_list_anew_it_does_at_once(driver):
    driver.synced("a")
    driver.reflector.cut("x")
    driver.reflector.cut("x")
    driver.reflector.relist()
    assert (driver.ask(), driver.reflector.delay, driver.names) == ("stream-list", 0, ["a"])


@pytest.mark.parametrize("size", range(1, 12))
def test_lines_are_the_same_however_they_are_cut(size):
    text = b"one\n\ntwo\r\n three\nfour"
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    assert [line for batch in lines(blocks) for line in batch] == [b"one", b"two\r", b" three"]


def test_a_line_without_an_end_is_no_watch():
    with pytest.raises(ValueError, match="16 MiB"):
        list(lines([bytes(1 << 20)] * (LONGEST // (1 << 20) + 1)))


@pytest.mark.parametrize(
    ("seconds", "said", "asked"), [(50, [], "watch 10"), (200, [bookmark(11)], "watch 11"), (200, [], "stream-list")]
)
def test_a_watch_that_never_says_a_word_is_not_believed(driver, seconds, said, asked):
    """A server that was set back to a backup says nothing about what lies in its future."""
    driver.synced("a").ask()
    driver.hear(*said)
    driver.clock.now += seconds
    driver.reflector.cut("silence")
    assert (driver.ask(), driver.names) == (asked, ["a"])


@pytest.mark.parametrize(
    ("said", "breaks"),
    [
        ([event("ADDED", "a"), event("ADDED", "b"), bookmark(11, end=True)], 0),
        ([event("ADDED", "a"), bookmark(10, end=True)], 0),
        ([event("ADDED", "a"), event("ADDED", "c"), bookmark(11, end=True)], 0),
        ([event("ADDED", "a"), event("ADDED", "b"), bookmark(9, end=True)], 1),
        ([event("ADDED", "a", uid="another"), event("ADDED", "b"), bookmark(11, end=True)], 1),
        ([event("ADDED", "c"), bookmark(11, end=True)], 1),
        ([bookmark(11, end=True)], 1),
    ],
    ids=["the same", "one less", "one other", "an older version", "another uid", "nobody left", "nobody at all"],
)
def test_a_list_that_does_not_continue_what_was_told_is_another_history(driver, said, breaks):
    driver.synced("a", "b")
    driver.reflector.relist()
    driver.ask()
    driver.hear(*said)
    assert driver.reflector.history == breaks


def test_pages_and_watches_continue_a_history_too(driver):
    driver.synced("a", "b")
    driver.hear(event("DELETED", "a", rv=20), bookmark(30))
    driver.reflector._streaming = False
    driver.reflector.relist()
    driver.ask()
    driver.reflector.page(page(node("b"), rv=30))
    assert driver.reflector.history == 0
    driver.reflector.relist()
    driver.ask()
    driver.reflector.page(page(node("b"), rv=29))
    assert driver.reflector.history == 1


TOO_NEW = Refusal(504, "Timeout", "Too large resource version", 1.0, too_new=True)


def test_a_server_that_was_set_back_is_known_by_a_504_and_what_etcd_says_of_itself(driver):
    driver.synced("a")
    driver.reflector.cut("reset")
    assert driver.ask(known=False) == "not older than 10, 1 of them"
    driver.reflector.refused(TOO_NEW)
    assert (driver.ask(), driver.reflector.delay, driver.reflector.error) == ("page 1", 0, "")
    driver.reflector.page(page(node("b"), rv=7, more="next"))
    assert driver.reflector.error == (
        "the server was set back to an earlier state: its newest resourceVersion is 7, and 10 was received before"
    )
    assert (driver.ask(), driver.reflector.delay <= 2, driver.names) == ("stream-list", True, ["a"])
    driver.hear(event("ADDED", "a"), bookmark(12, end=True))
    assert driver.reflector.history == 1


def test_a_replica_whose_cache_lags_is_no_server_that_was_set_back(driver):
    driver.synced("a")
    driver.reflector.cut("reset")
    driver.ask(known=False)
    driver.reflector.refused(TOO_NEW)
    assert driver.ask() == "page 1"
    driver.reflector.page(page(node("b"), rv=12, more="next"))
    assert (driver.ask(known=False), driver.names, driver.reflector.error) == ("watch 10", ["a"], "")


def test_versions_that_cannot_be_compared_are_asked_for_again_half_a_minute_later(driver):
    opaque = page(node("b"), rv=7, more="next").replace(b'"7"', b'"opaque"')
    driver.synced("a")
    driver.reflector.cut("reset")
    driver.ask(known=False)
    driver.reflector.refused(TOO_NEW)
    driver.ask()
    driver.reflector.page(opaque)
    assert (driver.ask(known=False), driver.reflector.delay) == ("not older than 10, 1 of them", 30)
    driver.reflector.refused(TOO_NEW)
    assert (driver.ask(), driver.names) == ("stream-list", ["a"])
    assert driver.reflector.error.startswith("the server was set back to an earlier state: 504")


@pytest.mark.parametrize("code", [400, 404, 422])
def test_a_server_that_does_not_know_the_question_is_watched_without_it(driver, code):
    driver.synced("a")
    driver.reflector.cut("reset")
    driver.ask(known=False)
    driver.reflector.refused(Refusal(code, "Invalid"))
    assert (driver.ask(known=False), driver.reflector.delay) == ("watch 10", 0)


@pytest.mark.parametrize("said", [Refusal(503, "ServiceUnavailable", retry_after=7), b"<html>", "refused"])
def test_the_question_is_repeated_until_it_is_answered(driver, said):
    driver.synced("a")
    driver.reflector.cut("reset")
    driver.ask(known=False)
    if isinstance(said, Refusal):
        driver.reflector.refused(said)
    elif isinstance(said, bytes):
        driver.reflector.page(said)
    else:
        driver.reflector.cut(said)
    assert (driver.reflector.error != "", driver.reflector.delay > 0) == (True, True)
    assert driver.ask(known=False) == "not older than 10, 1 of them"


def test_a_watch_that_ended_when_it_was_to_is_resumed_without_a_question(driver):
    driver.synced("a")
    driver.clock.now += 300
    driver.reflector.cut("")
    assert driver.ask(known=False) == "watch 10"
    driver.clock.now += 20
    driver.reflector.cut("")
    assert driver.ask(known=False) == "not older than 10, 1 of them"


def test_a_server_whose_past_is_our_future_has_another_history(driver):
    """Even where it has more versions by now than it had before."""
    driver.synced("a")
    driver.reflector.request()
    driver.reflector.refused(Refusal(504, "Timeout", "Too large resource version", 0.0, too_new=True))
    driver.ask()
    driver.hear(event("ADDED", "a"), bookmark(99, end=True))
    assert driver.reflector.history == 1


def test_an_event_older_than_the_last_is_of_another_history(driver):
    driver.synced("a")
    driver.hear(event("MODIFIED", "a", rv=20), event("DELETED", "a", rv=12))
    assert driver.reflector.history == 1
