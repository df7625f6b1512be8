# What becomes a machine: run in namespaces of its own (unshare --mount --net --uts), it puts a root file system of its own over
# the one that is here, and then only holds all of it. $1 is its name, $2 a folder for what it writes, $3 packages as a mirror has them,
# $4 what all machines have in common, $5 a file that says that it is there.
set -eu
mount -t tmpfs machine "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay machine -o "lowerdir=/,upperdir=$2/upper,workdir=$2/work" "$2/root"
# It is seen from here until the end, wherever the root is.
exec 3> "$5"
cd "$2/root"
for kernel in proc sys dev; do mount --rbind "/$kernel" "$kernel"; done
for own in run tmp root; do mount -t tmpfs "$own" "$own"; done
chmod 1777 tmp
mkdir -p var/cache/mirror srv/wanglou run/systemd/system old
mount --bind "$3" var/cache/mirror
mount --bind "$4" srv/wanglou
# Programs of this machine's owner that hold back what a package does.
rm -f usr/sbin/policy-rc.d var/lib/man-db/auto-update
rm -rf etc/apt/sources.list.d var/lib/apt/lists
mkdir -p etc/apt/sources.list.d var/lib/apt/lists/partial
echo 'deb [trusted=yes] file:/var/cache/mirror ./' > etc/apt/sources.list
mv usr/bin/systemctl usr/bin/systemctl.installed
hostname "$1"
echo "$1" > etc/hostname
pivot_root . old
umount --lazy old
rmdir old
echo ready >&3
exec 3>&-
exec sleep infinity
