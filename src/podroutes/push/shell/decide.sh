# shellcheck shell=sh
# Keeps a change or takes it back. Standard input: `TOKEN keep`, `TOKEN back` or `TOKEN ask`.
# shellcheck disable=SC2034
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
    rm -f "$dir/files" # a keeper whose time is up while this directory goes does nothing without it
    rm -rf "$dir" 2>/dev/null || rm -rf "$dir"
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
