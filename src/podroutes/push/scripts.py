"""What the machines run: constant texts for sh(1). Whatever differs between machines reaches them on standard input.

They need sh, ip(8), and the coreutils and util-linux (or busybox) that every system with sshd has. What they print is in
sections: a line that begins with ``@``, behind an empty one, names the section that follows. docs/design/push.md tells the whole
conversation.
"""

from podroutes.host.dependencies import FILES as DEPENDENCY_FILES
from podroutes.host.sysctls import SYSCTLS
from podroutes.persist import BACKENDS, backend, deletions, saved_routes
from podroutes.persist.configured import SCRIPTS
from podroutes.persist.owned import PLACES

_HEAD = r"""
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" LC_ALL=C
export PATH LC_ALL
say() { printf '\n@ %s\n' "$*"; }
"""

_KEPT = [place for name, places in BACKENDS.items() if name != "systemd" for place in places]  # what makes routes last
_OURS = [*_KEPT, *PLACES[""], f"{deletions.DIRECTORY}/{deletions.NAME}"]
_NEEDED = [
    *DEPENDENCY_FILES,
    f"{deletions.DIRECTORY}/{saved_routes.NAME}",
]  # what a plan must not take away
_ADMINISTRATORS = [*dict.fromkeys(place for name in BACKENDS for place in backend(name).READS), *SCRIPTS]
_SECRET = [place for name in BACKENDS for place in backend(name).SECRETS]

# Standard input: one line, `files` where the network managers' files matter, else `routes`.
READ = (
    _HEAD
    + r"""
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
say sysctl
"""
    + f"grep -H . {' '.join(f'/proc/sys/net/{each}' for each in SYSCTLS)} 2>/dev/null\n"
    + r"""file() {
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
masked() {
    for each; do
        if [ -f "$each" ] && [ -r "$each" ]; then
            say file "$(stat -c %a "$each")" "$each"
            # Every line keeps its number, and what no route is made of stays there: passwords, keys, user data.
            sed '/^[[:space:]]*\(\[\|route\|interface-name\|uuid=\|autoconnect=\|Exec\|network:\|config:\)/!s/.*//; s/^/ /' "$each"
        fi
    done
}
"""
    + f"file {' '.join(_OURS)} {' '.join(_NEEDED)}\n"
    + r"""
# sudo takes SSH_CONNECTION away; those who started us have it still.
session=${SSH_CONNECTION-} process=$PPID
while [ -z "$session" ] && [ "${process:-0}" -gt 1 ]; do
    session=$(tr '\0' '\n' <"/proc/$process/environ" | sed -n 's/^SSH_CONNECTION=//p') || session=
    process=$(sed 's/.*) [^ ]* //; s/ .*//' "/proc/$process/stat") || process=
done 2>/dev/null
say session
printf '%s\n' "$session"
ours() {
    for each; do
        [ ! -f "$each" ] || return 0
    done
    return 1
}
if [ "$scope" = files ]; then
"""
    + f"    file {' '.join(BACKENDS['systemd'])}\n"
    + f'fi\nif [ "$scope" = files ] || ours {" ".join(_KEPT)}; then\n'
    + f"    file {' '.join(_ADMINISTRATORS)}\n"
    + f"    masked {' '.join(_SECRET)}\n"
    + r"""
    [ ! -d /run/systemd/system ] || say directory 755 /run/systemd/system
fi
say end
"""
)

# Standard input: `TOKEN SECONDS`, then frames: a line `KIND SIZE MODE PATH` and SIZE bytes. Nothing is changed before `end`.
COMMIT = (
    _HEAD
    + r"""
umask 077
trap '' HUP PIPE
[ "$(id -u)" = 0 ] || { say denied; exit 0; }
read -r token seconds || exit 0
base=/run/podroutes
dir=$base/push.$token
(umask 022 && mkdir -p "$base")
busy() { # who changes this machine: the command line's and the agent's lock is a socket
    holder=$(sed -n "s|^.* @podroutes/write/\([a-z]*\)/\([0-9]*\)$|podroutes \1 (process \2)|p" /proc/net/unix | head -n 1)
    say busy "${holder:-$(head -c 200 "$base/push.lock")}"
    exit 0
}
exec 9>>"$base/push.lock"
tries=0 # busybox's flock has no -w
until flock -n 9 && ! grep -q ' @podroutes/write$' /proc/net/unix; do
    flock -u 9 # whoever has the socket may want the file as well
    [ $((tries += 1)) -le 3 ] || busy
    sleep 1
done
echo "podroutes push${SSH_CONNECTION:+ from ${SSH_CONNECTION%% *}}" >"$base/push.lock"
[ ! -d "$dir" ] || { say torn; exit 0; } # whoever sent this has given it up meanwhile
find "$base" -maxdepth 1 -type d -name 'push.*' -mmin +60 -exec rm -rf {} + # nobody asks any more what became of these
{ mkdir "$dir" && : >"$dir/files"; } || { say failed "$dir"; exit 0; }
forget() { # what was staged
    while read -r verb mode temporary path; do
        rm -f "$temporary" "$temporary.first"
        case ${path%/*} in *.network.d | *.target.d) rmdir "${path%/*}" 2>/dev/null ;; esac
    done <"$dir/files"
    rm -rf "$dir"
}
give_up() {
    say "$@"
    forget
    exit 0
}
take() { # SIZE FILE, whose directory is made
    dd bs="$1" count=1 iflag=fullblock of="$2" 2>"$dir/why" && [ "$(wc -c <"$2")" -eq "$1" ] && return 0
    why=$(sed -n 's/^dd: //p' "$dir/why")
    give_up failed "${why:-cannot write $2}"
}
complete=
while read -r kind size mode path; do
    temporary=${path%/*}/.${path##*/}.$$
    case $kind in
    end)
        complete=yes
        break
        ;;
    part) take "$size" "$dir/$path" ;;
    delete) echo "delete $mode $temporary $path" >>"$dir/files" ;;
    write | first)
        made=${path%/*}
        [ -d "$made" ] || (umask 022 && mkdir -p "$made") 2>"$dir/why" || give_up failed "$(cat "$dir/why")"
        if [ "$kind" = write ]; then
            echo "write $mode $temporary $path" >>"$dir/files"
            take "$size" "$temporary"
            sync "$temporary" 2>"$dir/why" || give_up failed "$(cat "$dir/why")"
        else
            take "$size" "$temporary.first"
        fi
        ;;
    esac
done
[ "$complete" ] || give_up torn
while read -r verb mode temporary path; do
    [ "$verb" = write ] || continue
    case $mode,$path in
    755,*) sh -n "$temporary" >"$dir/why" 2>&1 || give_up refused "$path" ;;
    *,/etc/netplan/*)
        command -v netplan >/dev/null || continue
        for each in /lib/netplan /etc/netplan /run/netplan; do
            mkdir -p "$dir/root$each"
            cp "$each"/*.yaml "$dir/root$each" 2>/dev/null
        done
        cp "$temporary" "$dir/root$path"
        netplan generate --root-dir "$dir/root" >"$dir/why" 2>&1 || { say said; head -n 1 "$dir/why"; give_up refused "$path"; }
        rm -rf "$dir/root"
        ;;
    esac
done <"$dir/files"
say armed
{ setsid sh "$dir/keeper" "$dir" "$seconds" </dev/null 2>/dev/null & } | cat
"""
)

# Runs on the machine on its own from here on, and holds the lock as long as it lives. Arguments: DIRECTORY SECONDS.
KEEPER = r"""
trap '' HUP PIPE INT TERM
dir=$1
cd "$dir" || exit 1
now() {
    read -r up rest </proc/uptime # a clock that nobody sets
    echo "${up%%.*}"
}
end=$(($(now) + $2))
while read -r verb mode temporary path; do
    if [ -f "$temporary.first" ]; then
        [ ! -f "$path" ] || ln -f "$path" "$temporary.was"
        chmod "$mode" "$temporary.first" && mv -f "$temporary.first" "$path"
    fi
done <files
: >errors
if [ -f apply ]; then
    timeout -s KILL "$2" ip -force -batch apply >/dev/null 2>errors
    printf '\n@ carried %s\n' "$?"
else
    printf '\n@ carried 0\n'
fi
head -c 1000000 errors
exec >/dev/null 2>&1
while [ -d "$dir" ] && [ ! -d decided ] && [ ! -e hurry ] && [ "$(now)" -lt "$end" ]; do sleep 1; done
mkdir decided || exit 0 # whoever makes this directory decides
if [ -f undo ]; then
    total=$(wc -l <undo)
    sed -n 's/^Command failed .*:\([0-9]*\)$/\1/p' errors | while read -r line; do echo "$((total + 1 - line))d"; done >skip
    sed -f skip undo >back
    ip -force -batch back
fi
while read -r verb mode temporary path; do
    if [ -f "$temporary.was" ]; then
        mv -f "$temporary.was" "$path"
    elif [ -f first ] && grep -qxF "$path" first; then
        rm -f "$path"
    fi
    rm -f "$temporary"
    case ${path%/*} in *.network.d | *.target.d) rmdir "${path%/*}" ;; esac
done <files
: >decided/back
"""

# Standard input: `TOKEN keep`, `TOKEN back` or `TOKEN ask`.
DECIDE = (
    _HEAD
    + r"""
trap '' HUP PIPE
[ "$(id -u)" = 0 ] || { say denied; exit 0; }
read -r token word || exit 0
dir=/run/podroutes/push.$token
if [ "$word" = keep ] && mkdir "$dir/decided" 2>/dev/null; then
    while read -r verb mode temporary path; do
        if [ "$verb" = delete ]; then
            why=$(rm -f "$path" 2>&1) || say failed "$path $why"
            case ${path%/*} in *.network.d | *.target.d) rmdir "${path%/*}" 2>/dev/null ;; esac
        else
            why=$(chmod "$mode" "$temporary" 2>&1 && mv -f "$temporary" "$path" 2>&1) || say failed "$path $why"
            sync "${path%/*}" 2>/dev/null
        fi
        rm -f "$temporary.was"
    done <"$dir/files"
    rm -rf "$dir"
    say kept
    exit 0
fi
if [ "$word" = back ] && (umask 022 && mkdir -p /run/podroutes) && mkdir -m 700 "$dir" 2>/dev/null; then
    say gone # and where the changes come in after all, they find the directory there
    exit 0
fi
if [ "$word" = back ]; then
    : >"$dir/hurry"
    tries=0
    while [ "$tries" -lt 10 ] && [ ! -e "$dir/decided/back" ]; do
        sleep 1
        tries=$((tries + 1))
    done
fi
if [ ! -d "$dir" ]; then
    say gone
elif [ -e "$dir/decided/back" ]; then
    say back
else
    say waiting
fi
"""
)
