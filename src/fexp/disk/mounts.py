"""What is mounted where: not every file system gives events of all that happens in it, and a mount gives none."""

from __future__ import annotations

import os
import re
import select

_MOUNT_TABLE = "/proc/self/mountinfo"
MountTable = dict[bytes, tuple[bytes, bytes]]
"""Mount point and type of file system, by line."""
_OCTAL = re.compile(rb"\\([0-7]{3})")

NETWORK_TYPES = frozenset(
    b"9p acfs afs beegfs ceph cifs coda davfs fhgfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs prl_fs"
    b" pvfs2 smb2 smb3 smbfs vboxsf virtiofs vmhgfs".split()
)
NETWORK_FUSE = frozenset(
    b"afp_fuse ceph-fuse cephfs curlftpfs davfs davfs2 ftpfs gcsfuse glusterfs goofys httpfs juicefs"
    b" mfs mount-s3 nfs rclone s3fs smb-network smbnetfs sshfs vmhgfs-fuse wdfs".split()
)

KERNEL_TYPES = frozenset(b"bpf cgroup cgroup2 configfs debugfs proc pstore securityfs sysfs tracefs".split())
"""What the kernel itself changes there gives no event."""


def is_network(kind: bytes) -> bool:
    """Return whether others can change such a file system without this kernel knowing."""
    base, _, sub = kind.partition(b".")
    return kind in NETWORK_TYPES or (base == b"fuse" and sub in NETWORK_FUSE)


def is_silent(kind: bytes) -> bool:
    """Return whether such a file system may change without an event."""
    return kind in KERNEL_TYPES or is_network(kind)


def parse_mounts(table: bytes) -> MountTable:
    """Read the kernel's mount table, see proc(5): each line's mount point and type of file system, in order."""
    mounts = {}
    for line in table.split(b"\n"):  # a carriage return in a name is written as it is
        fields = line.split(b" ")
        if b"-" in fields[6:-1]:
            point = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), fields[4])
            mounts[line] = (point, fields[fields.index(b"-", 6) + 1])
    return mounts


def points_between(before: MountTable, after: MountTable) -> set[bytes]:
    """Return the mount points at which two tables differ."""
    # By whole lines: what is mounted on top of another, or in its place, may well be of the same type.
    return {point for _, (point, _) in before.items() ^ after.items()}


class Mounts:
    """The mount table, read again when the kernel says that it changed. Empty where there is none to read."""

    def __init__(self) -> None:
        self._mounts: MountTable = {}
        self._kinds: dict[bytes, bytes] = {}
        """Types by mount point; of several mounts at one the top one's."""
        self._has_silent = False
        self._poll: select.poll | None = None
        try:
            self._descriptor = os.open(_MOUNT_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLPRI)
        self._poll.poll(0)
        self._read()

    def changed_points(self) -> set[bytes] | None:
        """Return the mount points at which something is otherwise than at the last call; None: nothing happened.

        What was mounted and unmounted in between is not among them.
        """
        if self._poll is None or not self._poll.poll(0):
            return None
        before = self._mounts
        self._read()
        return points_between(before, self._mounts)

    def silent_kind(self, path: bytes) -> bytes | None:
        """Return the type of the file system that a resolved path lies in if it may change without an event."""
        kind = self.kind(path) if self._has_silent else None
        return kind if kind is not None and is_silent(kind) else None

    def kind(self, path: bytes) -> bytes | None:
        """Return the type of the file system that a resolved path lies in; None where that cannot be known."""
        while path not in self._kinds:
            if path in (b"/", b""):
                return None
            path = os.path.dirname(path)
        return self._kinds[path]

    def close(self) -> None:
        """Free the descriptor."""
        if self._poll is not None:
            self._poll = None
            os.close(self._descriptor)

    def _read(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        parts = []
        while part := os.read(self._descriptor, 1 << 16):
            parts.append(part)
        self._mounts = parse_mounts(b"".join(parts))
        self._kinds = dict(self._mounts.values())
        self._has_silent = any(map(is_silent, self._kinds.values()))
