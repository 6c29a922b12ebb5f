"""Root by sudo, without a password or not at all. sudo is Debian's, as the user operator meets it."""

import pytest

from push.test_push import ALL

RULES = {
    "without a password": "operator ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh",
    "with a password": "operator ALL=(root) /bin/sh, /usr/bin/sh",
    "not at all": "root ALL=(ALL) ALL",
    "only with a terminal": "Defaults requiretty\noperator ALL=(root) NOPASSWD: ALL",
    "without programs of its own": "operator ALL=(root) NOPASSWD: NOEXEC: ALL",
}
SETTLE = (
    "echo 127.0.0.1 worker-0 >>/etc/hosts; "  # sudo would wait for a name server
    "printf 'auth required pam_permit.so\\naccount required pam_permit.so\\n"
    "session required pam_permit.so\\n' >/etc/pam.d/sudo; printf '%s\\n' \"$1\" >/etc/sudoers; chmod 440 /etc/sudoers"
)


@pytest.fixture
def sudoers(site):
    """Return a function that writes the sudoers of worker-0."""
    return lambda rule: site.on("worker-0", "sh", "-c", SETTLE, "sh", RULES[rule])


def test_with_sudo_any_user_can_push(site, sudoers):
    sudoers("without a password")
    done = site.push("apply", "--limit", "worker-0", "--user", "operator", "--sudo")
    assert (done.status, site.routes("worker-0")) == (0, ALL["worker-0"])
    assert site.push("plan", "--limit", "worker-0", "--user", "operator").status == 0


@pytest.mark.parametrize("rule", ["with a password", "not at all"])
def test_a_password_is_never_asked_for(site, sudoers, rule):
    sudoers(rule)
    done = site.push("apply", "--limit", "worker-0", "--user", "operator", "--sudo")
    assert (done.status, site.routes("worker-0")) == (1, [])
    assert done.err.startswith(
        "error worker-0: sudo: a password is required; passwords are not asked for: let the user"
    )


def test_without_root_nothing_is_changed_and_the_way_is_told(site):
    done = site.push("apply", "--limit", "worker-0", "--user", "operator")
    assert (done.status, site.routes("worker-0")) == (1, [])
    assert "worker-0  unchanged" in done.out
    assert "changing routes takes root there: use --sudo, or --user root" in done.out


def test_a_terminal_is_not_there(site, sudoers):
    sudoers("only with a terminal")
    done = site.push("apply", "--limit", "worker-0", "--user", "operator", "--sudo")
    assert (done.status, site.routes("worker-0")) == (1, [])
    assert "push has no terminal: `Defaults:operator !requiretty` in sudoers" in done.err


def test_programs_that_sh_may_not_start_are_told(site, sudoers):
    sudoers("without programs of its own")
    done = site.push("apply", "--limit", "worker-0", "--user", "operator", "--sudo")
    assert (done.status, site.routes("worker-0")) == (1, [])
    assert "sudo lets sh start no other program (NOEXEC in sudoers)" in done.err, done


AFAR = "203.0.113.7"


@pytest.fixture
def from_afar(site):
    """Let pushes to worker-0 come from an address that no network of its own contains. /proc shows its processes, as on a real machine."""
    site.again("worker-0", before="mount -t proc proc /proc")
    node = site.addresses["worker-0"]
    words = site.on("switch", "ip", "route", "get", node).split()
    dev, near = words[words.index("dev") + 1], words[words.index("src") + 1]
    site.on("switch", "ip", "addr", "add", f"{AFAR}/32", "dev", "lo")
    site.on("switch", "ip", "route", "add", f"{node}/32", "dev", dev, "src", AFAR)
    site.on("worker-0", "ip", "route", "add", "203.0.113.0/24", "via", near)
    yield
    site.on("worker-0", "ip", "route", "del", "203.0.113.0/24")
    site.on("switch", "ip", "route", "del", f"{node}/32")
    site.on("switch", "ip", "addr", "del", f"{AFAR}/32", "dev", "lo")


@pytest.mark.usefixtures("from_afar")
def test_below_sudo_the_address_that_the_machine_is_reached_from_is_not_routed_away(site, sudoers):
    """Sudo takes SSH_CONNECTION away. The claim is more specific than the path that it would take the address from."""
    sudoers("without a password")
    text = site.inventory.read_text()
    site.inventory.write_text(text.replace("10.200.1.0/24", "203.0.113.0/25"))
    done = site.push("apply", "--limit", "worker-0", "--user", "operator", "--sudo")
    site.inventory.write_text(text)
    assert (done.status, site.routes("worker-0")) == (1, ALL["worker-0"][1:])
    assert f"would take the peer of this SSH session {AFAR} from this machine" in done.err
