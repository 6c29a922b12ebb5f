# shellcheck shell=sh
# Changes the machine, waits, and takes everything back unless it is told to keep it. Runs on its own from here on, and holds
# the lock as long as it lives. Arguments: DIRECTORY SECONDS.
# shellcheck disable=SC2034
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
failed() { printf '\n@ setting %s %s\n' "$1" "$(echo "$2" | head -n 1)"; }
while read -r kind name value was; do
    case $kind in
    module) why=$(modprobe "$name" 2>&1) || failed "$name" "$why" ;;
    sysctl) why=$( (echo "$value" >"/proc/sys/$name") 2>&1) || failed "$name" "$why" ;;
    esac
done <settings
if [ -f table ]; then
    nft list table inet podroutes >table.was 2>/dev/null
    why=$(nft -f table 2>&1) || failed inet "$why"
fi
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
[ -f files ] || exit 0  # it was there already: the change was kept, and the directory is being deleted
if [ -f undo ]; then
    total=$(wc -l <undo)
    sed -n 's/^Command failed .*:\([0-9]*\)$/\1/p' errors | while read -r line; do echo "$((total + 1 - line))d"; done >skip
    sed -f skip undo >back
    ip -force -batch back
fi
if [ -f table.was ]; then
    { echo 'add table inet podroutes' && echo 'delete table inet podroutes' && cat table.was; } | nft -f -
fi
while read -r kind name value was; do
    [ "$kind" != sysctl ] || [ ! "$was" ] || echo "$was" >"/proc/sys/$name"
done <settings
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
