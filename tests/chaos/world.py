"""A small world of directories, and everything that people and programs do to them."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_NAMES = (
    *(b"f%d.txt" % number for number in range(12)),
    *(b"g%d.csv" % number for number in range(4)),
    b"upload.part", b"UP.TXT", b".hidden.txt", b"skip.txt", b"new\nline.txt", b'quo"te\\.txt',
    b"bad\xff.txt", b"\xc3\xa9.txt",
    b"n" * 251 + b".txt", b"*.txt", b"[a].txt",
)  # fmt: skip
DIRECTORY_NAMES = (b"d0", b"d1", b"d2", b"inner", b".dark", b"skipped", b"sub.txt", b"\xfe\nd", b"f1.txt")
_DEEPEST = 6
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_AT_SYMLINK_FOLLOW = 0x400
_MS_BIND = 4096
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: bytes, other: bytes) -> None:
    """Swap two names in one step, as RENAME_EXCHANGE does."""
    _call(_libc.renameat2, _AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE)


def _call(function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _inode_of(path: bytes) -> int | None:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None


def remove_tree(path: bytes) -> None:
    """rm -rf, of whatever it is. Before Python 3.13 shutil's waits for ever on what became a FIFO meanwhile."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        for name in os.listdir(path):
            remove_tree(os.path.join(path, name))
        os.rmdir(path)


class World:
    """``base/p/a`` with ``inner`` in it, ``base/b``, ``base/link`` to the first; nobody watches ``base/out``.

    ``silent`` says that something happened since it was last cleared that the kernel tells no watcher of. ``hears``
    says whether a file with such a path counts somewhere: of a file with several names, a change must come by one that
    does, and that stays there until it is looked at.
    ``confined``: in a mount namespace of its own and without the right to read everything, it can mount and deny.
    """

    def __init__(self, base: bytes, random_seed: int, *, confined: bool = False) -> None:
        self.base = base
        self.random = random.Random(random_seed)
        self.silent = False
        self.log: list[str] = []
        self.actions = 0
        self.hears: Callable[[bytes], bool] = lambda _: True
        self._linked: set[bytes] = set()
        """Names that a file with several got in this storm."""
        self._written: dict[bytes, int] = {}
        """Names by which files with several were changed in this storm, perhaps not looked at yet; their inodes."""
        self._confined = confined
        self.a = os.path.join(base, b"p", b"a")
        self.inner = os.path.join(self.a, b"inner")
        self.b = os.path.join(base, b"b")
        self.link = os.path.join(base, b"link")
        self.out = os.path.join(base, b"out")
        self.absent = os.path.join(base, b"late")
        if not os.path.lexists(self.out):  # else it is there already, in whatever state
            for directory in (self.inner, self.b, self.out):
                os.makedirs(directory)
            os.symlink(self.a, self.link)
        self._actions = self._weighted(confined=confined)

    def storm(self, actions: int) -> None:
        """Do so many things at random, as fast as can be."""
        self._linked.clear()
        self._written.clear()
        for _ in range(actions):
            self.actions += 1
            action = self.random.choice(self._actions)
            self.log.append(action.__name__)
            try:
                action()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EMFILE):
                    raise
            self.silent |= any(_inode_of(path) != inode for path, inode in self._written.items())

    def _weighted(self, *, confined: bool) -> list[Callable[[], None]]:
        weights: dict[Callable[[], None], int] = {
            self.write: 30, self.append: 8, self.truncate: 5, self.touch: 6, self.chmod: 4, self.huge: 2,
            self.unlink: 16, self.come_and_go: 4, self.hard_link: 5, self.linked_life: 6, self.write_linked: 8,
            self.exchange_linked: 3, self.nameless: 3, self.symbolic_link: 4, self.special: 3,
            self.rename_file: 14, self.rename_over: 8, self.exchange_files: 4,
            self.file_out: 6, self.file_in: 6,
            self.make_deep: 8, self.rename_directory: 8, self.directory_out: 5, self.directory_in: 6,
            self.exchange_directories: 4, self.remove_directory: 4, self.file_for_directory: 3,
            self.there_and_back: 3,
            self.replace_root: 1, self.recreate_root: 1, self.switch_link: 1,
            self.replace_parent: 1, self.late_root: 1,
        }  # fmt: skip
        if confined:
            weights |= {self.mount: 3, self.unmount: 3, self.deny: 4, self.allow: 4}
        return [action for action, weight in weights.items() for _ in range(weight)]

    # Choosing -----------------------------------------------------------------------------------------

    def _tops(self) -> list[bytes]:
        return [top for top in (self.a, self.b, self.absent) if os.path.isdir(top)]

    def _directories(self) -> list[bytes]:
        return [directory for top in self._tops() for directory, _, _ in os.walk(top)]

    def _directory(self) -> bytes:
        found = self._directories()
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no directory left")
        return self.random.choice(found)

    def _subdirectory(self) -> bytes:
        tops = self._tops()
        found = [directory for directory in self._directories() if directory not in tops]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no subdirectory left")
        return self.random.choice(found)

    def _entry(self) -> bytes:
        found = [os.path.join(top, name) for top in self._tops() for top, _, names in os.walk(top) for name in names]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file left")
        return self.random.choice(found)

    def _file(self) -> bytes:
        path = self._entry()
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
        self._changes(path, status)
        return path

    def _linked_file(self) -> bytes:
        found = [
            path
            for top in self._tops()
            for directory, _, names in os.walk(top)
            for name in names
            if (status := os.lstat(path := os.path.join(directory, name))).st_nlink > 1 and stat.S_ISREG(status.st_mode)
        ]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file has several names")
        return self.random.choice(found)

    def _changes(self, path: bytes, status: os.stat_result) -> None:
        """Note that a file is changed by this name."""
        if status.st_nlink == 1:
            return
        self.silent |= self._confined or not self.hears(path)
        if len(self.log) > 1 or path in self._linked:
            self._written[path] = status.st_ino

    def _new_name(self) -> bytes:
        return os.path.join(self._directory(), self.random.choice(FILE_NAMES))

    def _new_directory(self) -> bytes:
        parent = self._directory()
        if parent.count(b"/") - self.base.count(b"/") > _DEEPEST:
            parent = self.b
        return os.path.join(parent, self.random.choice(DIRECTORY_NAMES))

    def _spare(self) -> bytes:
        return os.path.join(self.out, b"%d" % self.random.randrange(1 << 40))

    def _fill(self, directory: bytes) -> None:
        os.makedirs(directory, exist_ok=True)
        for name in self.random.sample(FILE_NAMES, 3):
            self._write(os.path.join(directory, name))

    def _write(self, path: bytes, how: int = os.O_TRUNC) -> None:
        if os.path.lexists(path):
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "a FIFO would block, a link leads elsewhere")
            self._changes(path, status)
        # An accomplice may have put a FIFO or a link there meanwhile.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | how, 0o666)
        try:
            os.write(file, b"x" * self.random.randrange(300))
        finally:
            os.close(file)

    # Files --------------------------------------------------------------------------------------------

    def write(self) -> None:
        self._write(self._new_name())

    def append(self) -> None:
        self._write(self._file(), os.O_APPEND)

    def truncate(self) -> None:
        os.truncate(self._file(), self.random.randrange(400))

    def huge(self) -> None:
        os.truncate(self._file(), self.random.choice((1 << 31, 1 << 32, (1 << 43) - 1)))

    def touch(self) -> None:
        when = self.random.choice((0.0, -86400.5, 1e9, 1.7e9 + self.random.random(), 4e9))
        os.utime(self._file(), (when, when))

    def chmod(self) -> None:
        os.chmod(self.random.choice((self._file, self._directory))(), self.random.choice((0o700, 0o755, 0o777)))

    def unlink(self) -> None:
        os.unlink(self._entry())

    def come_and_go(self) -> None:
        path = os.path.join(self._directory(), b"f-brief.txt")
        self._write(path)
        os.unlink(path)

    def hard_link(self) -> None:
        other = self.random.choice((self._new_name, self._spare))()
        os.link(self._entry(), other, follow_symlinks=False)
        self._linked.add(other)

    def linked_life(self) -> None:
        """Give a file another name, write through either, and take one away."""
        path = self._entry()
        other = self.random.choice((self._new_name(), os.path.join(os.path.dirname(path), b"f-other.txt")))
        os.link(path, other, follow_symlinks=False)
        self._linked.add(other)
        for _ in range(self.random.randrange(1, 3)):
            self._write(self.random.choice((path, other)), self.random.choice((os.O_APPEND, os.O_TRUNC)))
        if self.random.random() < 0.8:
            os.unlink(self.random.choice((path, other)))

    def write_linked(self) -> None:
        self._write(self._linked_file(), self.random.choice((os.O_APPEND, os.O_TRUNC)))

    def exchange_linked(self) -> None:
        exchange(self._linked_file(), self.random.choice((self._linked_file, self._entry))())

    def nameless(self) -> None:
        """Write on through the descriptor of a file that was made without a name."""
        directory, path = self._directory(), self._new_name()
        file = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o666)
        try:
            os.write(file, b"x" * self.random.randrange(1, 300))
            _call(_libc.linkat, _AT_FDCWD, b"/proc/self/fd/%d" % file, _AT_FDCWD, path, _AT_SYMLINK_FOLLOW)
            self.silent |= not self.hears(os.path.join(directory, b"f.txt"))
            os.write(file, b"x" * self.random.randrange(1, 300))
        finally:
            os.close(file)

    def symbolic_link(self) -> None:
        target = self.random.choice((self._entry, self._directory, self._spare))()
        os.symlink(target, self._new_name())

    def special(self) -> None:
        os.mknod(self._new_name(), 0o600 | self.random.choice((stat.S_IFIFO, stat.S_IFSOCK)))

    def rename_file(self) -> None:
        os.rename(self._entry(), self._new_name())

    def rename_over(self) -> None:
        os.replace(self._entry(), self._entry())

    def exchange_files(self) -> None:
        exchange(self._entry(), self._entry())

    def file_out(self) -> None:
        os.rename(self._entry(), self._spare())

    def file_in(self) -> None:
        os.rename(os.path.join(self.out, self.random.choice(os.listdir(self.out) or [b"none"])), self._new_name())

    # Directories --------------------------------------------------------------------------------------

    def make_deep(self) -> None:
        deep = os.path.join(self._new_directory(), *self.random.sample(DIRECTORY_NAMES, 2))
        self._fill(deep)
        self._fill(os.path.dirname(deep))

    def rename_directory(self) -> None:
        os.rename(self._subdirectory(), self._new_directory())

    def directory_out(self) -> None:
        os.rename(self._subdirectory(), self._spare())

    def directory_in(self) -> None:
        spares = [path for name in os.listdir(self.out) if os.path.isdir(path := os.path.join(self.out, name))]
        os.rename(self.random.choice(spares or [self._spare()]), self._new_directory())

    def there_and_back(self) -> None:
        directory, spare = self._subdirectory(), self._spare()
        self.silent |= any(path.startswith(directory + b"/") for path in self._written)
        os.rename(directory, spare)
        self._fill(spare)
        os.rename(spare, directory)

    def exchange_directories(self) -> None:
        exchange(self._subdirectory(), self.random.choice((self._subdirectory, self._entry))())

    def remove_directory(self) -> None:
        remove_tree(self._subdirectory())

    def file_for_directory(self) -> None:
        directory = self._subdirectory()
        remove_tree(directory)
        self._write(directory)
        if self.random.random() < 0.5:
            os.unlink(directory)
            self._fill(directory)

    # What only a confined world can do ----------------------------------------------------------------

    def mount(self) -> None:
        kind = self.random.choice((b"tmpfs", b"bind"))
        _call(_libc.mount, self._directory(), self._subdirectory(), kind, _MS_BIND if kind == b"bind" else 0, None)

    def unmount(self) -> None:
        _call(_libc.umount2, self.random.choice(self._mount_points() or [self.out]), _MNT_DETACH)

    def deny(self) -> None:
        self._change_mode(self._directory(), 0)

    def allow(self) -> None:
        self._change_mode(self.random.choice(self._denied() or [self.out]), 0o755)

    def _change_mode(self, path: bytes, mode: int) -> None:
        # Where it is mounted again, nothing there tells of it: what is denied cannot be watched itself.
        self.silent |= bool(self._mount_points())
        os.chmod(path, mode)

    def _mount_points(self) -> list[bytes]:
        with open("/proc/self/mountinfo", "rb") as file:
            points = [line.split(b" ")[4].decode("unicode_escape").encode("latin-1") for line in file]
        return [point for point in points if point.startswith(self.base + b"/")]

    def _denied(self) -> list[bytes]:
        places = [self.base, *self._tops(), self.out]
        return [
            path
            for place in places
            for top, names, _ in os.walk(place)
            for name in names
            if not os.lstat(path := os.path.join(top, name)).st_mode & 0o700
        ]

    def free(self) -> None:
        """Undo mounts and denials: of each the outer first, for they hide others."""
        before: list[list[bytes]] = []
        while (now := [self._denied(), self._mount_points()]) != before:
            before = now
            for path in now[0]:
                os.chmod(path, 0o755)
            for path in now[1]:
                with suppress(OSError):
                    _call(_libc.umount2, path, _MNT_DETACH)

    # The folders themselves ---------------------------------------------------------------------------

    def replace_root(self) -> None:
        root, other = self.random.choice((self.a, self.b, self.inner)), self._spare()
        self._fill(other)
        if self.random.random() < 0.5:
            exchange(root, other)
        else:
            os.rename(root, self._spare())
            os.rename(other, root)

    def recreate_root(self) -> None:
        root = self.random.choice((self.a, self.b, self.inner))
        remove_tree(root)
        if self.random.random() < 0.8:
            self._fill(root)

    def switch_link(self) -> None:
        self.silent |= self.log.count("switch_link") > 1  # there and back before a pulse: it looks the same
        fresh = self._spare()
        os.symlink(self.random.choice((self.a, self.b, self.absent)), fresh)
        os.rename(fresh, self.link)

    def replace_parent(self) -> None:
        parent = os.path.dirname(self.a)
        os.rename(parent, self._spare())
        self._fill(self.a)

    def late_root(self) -> None:
        if os.path.isdir(self.absent):
            os.rename(self.absent, self._spare())
        else:
            self._fill(os.path.join(self.absent, b"d0"))
