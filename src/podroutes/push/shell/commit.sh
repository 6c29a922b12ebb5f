# shellcheck shell=sh
# Stages a plan and starts its keeper. Standard input: `TOKEN SECONDS`, then frames: a line `KIND SIZE MODE PATH` and SIZE
# bytes. Nothing is changed before the frame `end`.
# shellcheck disable=SC2034
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
{ mkdir "$dir" && : >"$dir/files" && : >"$dir/settings"; } || { say failed "$dir"; exit 0; }
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
