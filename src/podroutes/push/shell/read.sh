# shellcheck shell=sh
# Prints tables, sysctls and files of this machine. Standard input: one line, `files` where the network managers' files
# matter, else `routes`. The variables with patterns of paths stand before this text; their patterns are expanded here.
# shellcheck disable=SC2154
read -r scope
ask() {
    say "$1"
    shift
    "$@" || say failed "$?"
}
ask uid id -u
ask link ip -j -d link
ask addr ip -j addr
ask route ip -N -j route show table all
say rule
ip -N -j rule
say rule6
ip -N -j -6 rule
say nexthop
ip -N -j nexthop 2>/dev/null
say neigh
ip -j neigh show nud all
say proxy
ip -j neigh show proxy
say sysctl
# shellcheck disable=SC2086
grep -H . $sysctls 2>/dev/null
file() {
    for each; do
        if [ -f "$each" ]; then
            mode=$(stat -c %a "$each")
            if [ -r "$each" ]; then
                say file "$mode" "$each"
                sed 's/^/ /' "$each" # no line of a file can be taken for one of ours
            else
                say unreadable 0 "$each"
            fi
        fi
    done
}
scripts() {
    for each; do
        if [ -f "$each" ] && [ -r "$each" ] && [ "$(head -c 2 "$each" | tr -d '\0')" = '#!' ] && grep -q route "$each"; then
            file "$each"
        fi
    done
}
masked() {
    for each; do
        if [ -f "$each" ] && [ -r "$each" ]; then
            say file "$(stat -c %a "$each")" "$each"
            # Every line keeps its number, and what no route is made of stays there: passwords, keys, user data.
            sed '/^[[:space:]]*\(\[\|route\|interface-name\|uuid=\|autoconnect=\|DEVICE=\|Exec\|network:\|config:\)/!s/.*//; s/^/ /' "$each"
        fi
    done
}
# shellcheck disable=SC2086
file $always
# sudo takes SSH_CONNECTION away; those who started us have it still.
session=${SSH_CONNECTION-} process=$PPID
while [ -z "$session" ] && [ "${process:-0}" -gt 1 ]; do
    session=$(tr '\0' '\n' <"/proc/$process/environ" | sed -n 's/^SSH_CONNECTION=//p') || session=
    process=$(sed 's/.*) [^ ]* //; s/ .*//' "/proc/$process/stat") || process=
done 2>/dev/null
if command -v nft >/dev/null; then
    say nft
    nft -j list table inet podroutes 2>&1
fi
say session
printf '%s\n' "$session"
ours() {
    for each; do
        [ ! -f "$each" ] || return 0
    done
    return 1
}
if [ "$scope" = files ]; then
    # shellcheck disable=SC2086
    file $asked
    for each in $exists; do
        [ ! -e "$each" ] || say directory 755 "$each" # that it is there is all that matters
    done
fi
# shellcheck disable=SC2086
if [ "$scope" = files ] || ours $kept; then
    # shellcheck disable=SC2086
    file $administrators
    # shellcheck disable=SC2086
    scripts $called
    # shellcheck disable=SC2086
    masked $secret
    [ ! -d /run/systemd/system ] || say directory 755 /run/systemd/system
fi
say end
