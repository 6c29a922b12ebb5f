"""``verify --html`` as a user types it."""

import json
import re

import pytest

from verify.conftest import podroutes  # noqa: F401, a fixture


def test_the_page_comes_with_the_verdict(podroutes, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    path.write_text("what was there before")
    status, out, err = podroutes("verify", "--html", str(path), worker_2=["-10.200.1.0/24", "-default"])
    assert (status, err) == (2, "")
    assert "not proven: 3 nodes, 3 pod CIDRs, 6 pairs; 1 fails" in out
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert re.search(r"<title>Not proven: .*machines\.txt, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</title>", text)
    assert f"files in {tmp_path}/tables" in text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["machines.txt", "page.html", "tables"]


def test_json_and_a_page_go_together(podroutes, tmp_path):  # noqa: F811
    status, out, _ = podroutes("verify", "-o", "json", "--html", str(tmp_path / "page.html"))
    assert (status, json.loads(out)["proven"]) == (0, True)
    assert "<title>Proven: " in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_link_is_followed(podroutes, tmp_path):  # noqa: F811
    (tmp_path / "link.html").symlink_to("real.html")
    assert podroutes("verify", "--html", str(tmp_path / "link.html"))[0] == 0
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("-", "standard output has the verdict"),
        ("/dev/null", "is not a regular file"),
        (".", "is not a regular file"),
        ("/no/such/page.html", 'there is no directory "/no/such"'),
        ("/proc/version/page.html", 'there is no directory "/proc/version"'),
        ("/proc/page.html", "cannot write"),
        ("\0", "null"),
    ],
)
def test_where_it_cannot_go_is_said_in_one_line(podroutes, name, says):  # noqa: F811
    status, out, err = podroutes("verify", "--html", name)
    assert status == 1
    assert err.count("\n") == 1
    assert err.startswith("podroutes: --html")
    assert says in err
    assert (out == "") is (says != "cannot write")  # before any work, where that can be known
