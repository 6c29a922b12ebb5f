# Make the tree $1 the whole system of this process, which unshare(1) gave namespaces of its own; then run the rest.
set -e
tree=$1
shift
mount --bind "$tree" "$tree"
cd "$tree"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
[ "$KIND" = online ] || ip link set lo up
for path in $BINDS; do
    mkdir -p ".$path"
    mount --bind "$path" ".$path"
    mount -o remount,bind,ro ".$path"
done
if [ "$KIND" = container ]; then
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
fi
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
unset BINDS KIND
hostname stranger
# This shell stays, as process 1: it is the parent of what loses its own, as on every machine.
status=0
"$@" || status=$?
exit $status
