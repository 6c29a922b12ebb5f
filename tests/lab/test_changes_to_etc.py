"""Each machine of a lab has the host's /etc with changes of its own over it, whoever owns the host's."""


def test_the_root_of_a_machine_can_change_what_is_in_etc(lab):
    """In a user's lab the host's files and directories belong to a user who is not in there: they are replaced, not written to."""
    script = """
    set -e
    directory=$(find /etc -mindepth 1 -maxdepth 1 -type d -perm -755 | sort | head -n 1)
    echo ours >"$directory/ours"
    { cat /etc/passwd; echo ours; } >/etc/passwd.new
    mv -f /etc/passwd.new /etc/passwd
    cat "$directory/ours"
    tail -n 1 /etc/passwd
    rm -rf "$directory"
    [ ! -e "$directory" ]
    """
    assert lab.on("worker-0", "sh", "-c", script) == "ours\nours"
    assert lab.on("worker-1", "tail", "-n", "1", "/etc/passwd") != "ours"
