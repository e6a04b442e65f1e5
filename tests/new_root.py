"""Shell for a mount namespace of its own: its working directory becomes the root of a machine."""

DEVICES = """
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
"""
ENTER = """
mkdir host
pivot_root . host
umount --lazy host
rmdir host
"""
