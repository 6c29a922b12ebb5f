# shellcheck shell=sh
# What the other scripts have in common.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" LC_ALL=C
export PATH LC_ALL
say() { printf '\n@ %s\n' "$*"; }
