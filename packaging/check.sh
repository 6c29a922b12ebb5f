#!/bin/bash
# Check what ./dev build made on a Debian that has nothing of podroutes: packaging/check.sh STEP...
#
#   install   install the .debs with apt (root, a network) and look at what came
#   run       make a lab with the installed program, give it routes, send packets (root, in a network namespace of its own)
#   remove    remove and purge the .debs (root); nothing may be left
#   wheel     install the wheel in a virtual environment, run it, uninstall it (a network)
#
# The steps are in the order in which they have to be called. ./dev fresh does so.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
BEFORE=/var/tmp/podroutes-check.before

say() { printf 'check: %s\n' "$*"; }

die() {
    printf 'check: FAILED: %s\n' "$*" >&2
    exit 1
}

# expect STATUS TEXT COMMAND...: runs COMMAND; it has to exit with STATUS and print TEXT somewhere.
expect() {
    local status=0 output
    output=$("${@:3}" 2>&1) || status=$?
    [ "$status" = "$1" ] || die "exit status $status of: ${*:3}"$'\n'"$output"
    [[ $output == *"$2"* ]] || die "'$2' is not in the output of: ${*:3}"$'\n'"$output"
    say "ok: ${*:3}"
}

# Every file of the system but those that apt, dpkg and ldconfig keep about all packages.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/cache \
        -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path "$PWD" -o -path /root -o -path /home \
        -o -name __pycache__ -o -path /var/lib/systemd/deb-systemd-helper-enabled \) -prune -o -print | LC_ALL=C sort
}

# expect_program COMMAND: what every installation has to be able to do.
expect_program() {
    expect 0 "podroutes $(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/podroutes/__init__.py)" "$1" version
    expect 2 "10.200.1.0/24 via 192.168.8.21" "$1" plan --all -i examples/inventories/machines.txt
    expect 0 "usage: kubectl podroutes" "${1%podroutes}kubectl-podroutes" plan --help
    expect 0 "net.ipv4.ip_forward" "$1" help forwarding-off
    expect 0 asyncssh "$1" version
    expect 0 "usage: podroutes push apply" "$1" help push apply
}

# expect_completion FILE: bash reads it and knows the program then.
expect_completion() {
    expect 0 "complete -o default -F _podroutes podroutes" bash -c "source '$1' && complete -p podroutes"
}

step_install() {
    say "dependencies"
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends python3 iproute2 man-db bash-completion >/dev/null
    files >"$BEFORE"
    say "apt-get install $(echo dist/*.deb)"
    apt-get -qq install -y --no-install-recommends ./dist/*.deb >/dev/null
    expect_program podroutes
    expect 0 /usr/share/man/man1/podroutes.1.gz man -w podroutes
    expect 0 "Plan, apply, keep and prove" man podroutes
    expect 0 /usr/share/man/man1/podroutes.1.gz man -w kubectl-podroutes
    # shellcheck disable=SC2016 # for the inner shell
    expect 0 "_podroutes podroutes" bash -c '. /usr/share/bash-completion/bash_completion
        if declare -F _comp_load >/dev/null; then _comp_load podroutes; else _completion_loader podroutes; fi; complete -p podroutes'
    [ -e /usr/lib/systemd/system/podroutes-agent.service ] || die "the unit is missing"
    [ ! -e /etc/systemd/system/multi-user.target.wants/podroutes-agent.service ] || die "the unit is enabled"
    apt-get -qq install -y --reinstall ./dist/*.deb >/dev/null # runs the scripts of an upgrade
    expect 0 podroutes podroutes version
    [ -z "$(dpkg --verify podroutes podroutes-push)" ] || die "dpkg --verify podroutes podroutes-push complains"
}

step_run() {
    ip link set lo up
    # The name of our protocol, which the package gives to ip(8).
    ip link add podroutes0 type veth peer name podroutes1
    ip link set podroutes1 up
    ip link set podroutes0 up
    ip address add 192.168.8.20/24 dev podroutes0
    podroutes apply -i examples/inventories/machines.txt --node worker-0 --state-dir /var/tmp/podroutes-check >/dev/null
    expect 0 "10.200.1.0/24 via 192.168.8.21 dev podroutes0 proto podroutes" ip route
    expect 0 "Remove complete: 0 added, 0 replaced, 2 deleted" podroutes remove
    ip link delete podroutes0
    rm -rf /var/tmp/podroutes-check
    podroutes lab up --name check --nodes 2 >/dev/null
    podroutes lab inventory --name check >/var/tmp/podroutes-check.yaml
    podroutes lab exec --name check --all -- podroutes apply -i /var/tmp/podroutes-check.yaml >/dev/null
    expect 0 "" podroutes lab ping --name check
    podroutes lab down --name check >/dev/null
    rm /var/tmp/podroutes-check.yaml
}

step_remove() {
    local kept=/etc/iproute2/rt_protos.d/podroutes.conf # such as `apply --persist` writes
    mkdir -p /var/lib/podroutes
    echo state >/var/lib/podroutes/nodes.yaml
    /usr/lib/podroutes/bin/python3 -c "
from pathlib import Path
from podroutes.persist.system_files import protocol_name
path = Path('$kept')
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(protocol_name().text)"
    expect 0 "podroutes: these stay when the package goes" apt-get -qq remove -y podroutes
    [ -e "$kept" ] || die "removing the package deleted $kept"
    rm "$kept"
    rmdir --parents --ignore-fail-on-non-empty /etc/iproute2/rt_protos.d
    [ -e /var/lib/podroutes/nodes.yaml ] || die "removing the package deleted the state of the agent"
    expect 0 "podroutes: deleting /var/lib/podroutes" apt-get -qq purge -y podroutes
    diff "$BEFORE" <(files) || die "files are left, or missing"
    [ ! -e /usr/lib/podroutes ] || die "/usr/lib/podroutes is left"
    say "ok: nothing is left"
    rm "$BEFORE"
}

step_wheel() {
    local environment
    if [ "$(id -u)" = 0 ]; then
        apt-get -qq install -y --no-install-recommends python3-venv >/dev/null
    fi
    environment=$(mktemp -d)
    python3 -m venv "$environment"
    "$environment/bin/pip" -q install "$(echo dist/*.whl)[push]"
    PATH=$environment/bin:$PATH
    expect_program "$environment/bin/podroutes"
    expect_completion "$environment/share/bash-completion/completions/podroutes"
    for file in share/man/man1/podroutes.1 share/zsh/site-functions/_podroutes share/fish/vendor_completions.d/podroutes.fish \
        lib/systemd/system/podroutes-agent.service share/podroutes/rt_protos.d/podroutes.conf; do
        [ -s "$environment/$file" ] || die "$file is not in the wheel"
    done
    "$environment/bin/pip" -q uninstall -y podroutes
    [ -z "$(find "$environment" -type f -path '*podroutes*')" ] || die "files of the wheel are left"
    rm -rf "$environment"
    say "ok: nothing is left of the wheel"
}

[ $# -gt 0 ] || die "name the steps: install, run, remove, wheel"
for step; do
    [ "$(type -t "step_$step")" = function ] || die "unknown step: $step"
    "step_$step"
done
