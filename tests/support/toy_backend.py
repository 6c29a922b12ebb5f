"""A network manager that does not exist, as a backend: all that podroutes has to be told about one is in this module."""

import re

from podroutes.model.persisted import File
from podroutes.model.route import PROTOCOL as OURS
from podroutes.persist import EVENTS, THERE
from podroutes.persist.file_format import HEADER, by_device, metric

MANAGER, DAEMON = "Toy Manager", "toyd"
PATH = "/etc/toy/podroutes.conf"
PLACES = (PATH,)
PROTOCOL = OURS
ROUTE = re.compile(r"^to (?P<dst>\S+) by (?P<via>\S+) on (?P<dev>\S+) metric (?P<metric>\d+)$", re.MULTILINE)
SURVIVES = dict.fromkeys(EVENTS, THERE)
RELOAD = (("toyctl", "reload"),)
REREAD = RELOAD
RUNS_PODROUTES = False
READS = ("/run/toy/links/*", "/etc/toy/*.conf")
SECRETS = ("/etc/toy/keys/*",)
NEEDED = ("/etc/toy/*.conf",)


def render(routes, context):
    """Return the one file."""
    rows = [each for rows in by_device(routes, context.places).values() for each in rows]
    lines = [f"to {each.route.dst} by {each.route.via} on {each.route.dev} metric {metric(each)}\n" for each in rows]
    return (File(PATH, HEADER + "".join(lines)),)


def away(dev):
    """Return DEV."""
    return dev


def place(_root, link, _links):
    """Return the name of LINK."""
    return link.name


def hindrance(_root, _link, _there):
    """Return nothing: it always starts."""
    return ""


def running(root, link):
    """Return where the manager says that it has LINK."""
    path = f"/run/toy/links/{link.ifindex}"
    return f"{path} is there" if root.read(path) is not None else ""


def configured(_root, _link):
    """Return nothing."""
    return ""


claims = running


def configured_routes(_reader):
    """Return nothing: its administrators write no routes down."""
    return ()


def check(_root, _files):
    """Complain of nothing."""
    return ""
