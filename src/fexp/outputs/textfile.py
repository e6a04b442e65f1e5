"""The textfile output: one ``.prom`` file for node_exporter's textfile collector, always whole.

The new text goes to a temporary file in the same directory and replaces the old one by rename. A reader sees
the old file or the new one, also when fexp is killed, the disk is full or the power fails.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from fexp.config.options import option
from fexp.config.output import OutputSettings
from fexp.config.values import parse_file_mode, parse_text
from fexp.errors import MissingError, OutputError, SettingsError
from fexp.outputs.text import render_text
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fexp.metrics import Scope
    from fexp.outputs import Collects

_NAME_MAX_BYTES = 255
_RANDOM_BYTES = 8
_TEMPORARY_EXTRA_BYTES = len("..") + 2 * _RANDOM_BYTES + len(".tmp")
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symlink",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class TextfileSettings(OutputSettings):
    """The file. Raise a SettingsError if nobody would read it."""

    kind: ClassVar = "textfile"
    prefix: ClassVar = "textfile"
    panel: ClassVar = "Where the numbers go"

    file: str = option(
        "textfile", parse_text, "", "The file for node_exporter's textfile collector.", metavar="FILE.prom"
    )
    mode: int = option("-mode", parse_file_mode, "0644", "The mode of the file.", metavar="MODE")

    def validate(self) -> None:
        if not self.file:
            raise SettingsError(
                f"{self.origin('file')} is missing: name a .prom file in node_exporter's textfile directory"
            )
        name = os.path.basename(self.file)
        if not name.endswith(".prom"):
            raise SettingsError(f"{self.shown}: node_exporter reads only names that end in .prom; add the ending")
        if len(os.fsencode(name)) + _TEMPORARY_EXTRA_BYTES > _NAME_MAX_BYTES:
            raise SettingsError(f"{self.shown}: the name is too long; shorten it")
        if self.mode & ~0o666 or not self.mode & 0o400:
            raise SettingsError(
                f"{self.origin('mode')} {self.mode:04o}: not the mode of a file that its owner can read;"
                " 0644 lets node_exporter read it"
            )

    @property
    def target(self) -> str:
        """The path as it may be shown."""
        return one_line(self.file, _NAME_MAX_BYTES * 16)

    @property
    def shown(self) -> str:
        """The path and where it was given."""
        return f"{self.origin('file')} {self.target}"


class TextfileOutput:
    """Keeps one ``.prom`` file. Nothing is touched before ``publish``."""

    settings_type: ClassVar[type[OutputSettings]] = TextfileSettings
    name = TextfileSettings.kind
    dropped_snapshots: None = None

    def __init__(self, settings: TextfileSettings) -> None:
        self.target = settings.target
        self._settings = settings
        self._directory, self._file = os.path.split(settings.file)
        self._directory = self._directory or "."
        self._litter = re.compile(rf"\.{re.escape(self._file)}\.[0-9a-f]{{{2 * _RANDOM_BYTES}}}\.tmp")
        self._swept = False

    @property
    def scopes(self) -> Collection[Scope]:
        """Only families with a folder, so that the files of several runs on one host never collide."""
        from fexp.metrics import TEXTFILE_SCOPES

        return TEXTFILE_SCOPES

    @property
    def place(self) -> str:
        """The file's real path."""
        return os.path.realpath(os.path.join(self._directory, self._file))

    @property
    def files(self) -> dict[str, str]:
        """The file and an example of its temporary files."""
        glob = re.sub(r"([*?[])", r"[\1]", self._file)
        names = {self._file: glob, self._temporary(): f".{glob}.*.tmp"}
        return {os.path.join(self._directory, name): glob for name, glob in names.items()}

    def check(self) -> None:
        """Raise a SettingsError if this file cannot be written now."""
        directory = one_line(self._directory, _NAME_MAX_BYTES * 16)
        if not os.path.isdir(self._directory):
            is_there = os.path.lexists(self._directory)
            kind, what = (SettingsError, "is not a directory") if is_there else (MissingError, "does not exist")
            raise kind(
                f"{self._settings.shown}: {directory} {what}; create it, or name node_exporter's textfile directory"
            )
        if not os.access(self._directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            raise SettingsError(
                f"{self._settings.shown}: cannot read and write {directory}; let this user's group do so"
            )
        try:
            self._refuse_other_kinds(None)
        except OutputError as error:
            raise SettingsError(f"{self._settings.origin('file')} {error}") from None

    def prepare(self) -> None:
        """Do nothing: a write needs only what is there, and two descriptors for a moment."""

    def publish(self, source: Collects) -> None:
        """Replace the file by one with the numbers as they are now."""
        text = render_text(source)
        with self._in_directory() as directory:
            if not self._swept:
                self._sweep(directory)
                self._swept = True
            self._refuse_other_kinds(directory)
            self._replace(directory, text)

    def retract(self) -> None:
        """Remove the file. Needs no descriptor: a stop may come when none is left."""
        self._refuse_other_kinds(None)
        try:
            os.unlink(os.path.join(self._directory, self._file))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise OutputError(f"cannot remove {self.target}: {error.strerror or error}") from error

    def hurry(self) -> None:
        """Do nothing: a write is always quick."""

    def close(self) -> None:
        """Do nothing: it holds nothing between two writes."""

    @contextmanager
    def _in_directory(self) -> Iterator[int]:
        """Open the directory, so that all steps happen in the same one; name what an ``OSError`` is about."""
        try:
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield directory
            finally:
                os.close(directory)
        except FileNotFoundError as error:
            raise OutputError(f"cannot write {self.target}: its directory is not there") from error
        except OSError as error:
            raise OutputError(f"cannot write {self.target}: {error.strerror or error}") from error

    def _refuse_other_kinds(self, directory: int | None) -> None:
        path = self._file if directory is not None else os.path.join(self._directory, self._file)
        try:
            kind = stat.S_IFMT(os.stat(path, dir_fd=directory, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{self.target}: {error.strerror}") from error
        if kind == stat.S_IFLNK:
            raise OutputError(f"{self.target} is a symlink; name the file that it points to", final=True)
        if kind != stat.S_IFREG:
            # A FIFO here hangs node_exporter; whatever it is, somebody else put it there.
            what = _KINDS.get(kind, "not a regular file")
            raise OutputError(f"{self.target} is {what}; remove it or take another name", final=True)

    def _replace(self, directory: int, text: bytes) -> None:
        temporary, file = self._create(directory)
        try:
            try:
                rest = memoryview(text)
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fchmod(file, self._settings.mode)
                # Without it some file systems keep the rename but not the text when the power fails. The
                # directory needs none: the old file is as whole as the new one.
                os.fsync(file)
                os.rename(temporary, self._file, src_dir_fd=directory, dst_dir_fd=directory)
            finally:
                os.close(file)
        except BaseException:
            try:
                os.unlink(temporary, dir_fd=directory)
            except OSError:
                pass  # gone with its directory, or left to the next start's sweep
            raise

    def _temporary(self) -> str:
        """Return a name that nobody can foresee and node_exporter does not read."""
        return f".{self._file}.{secrets.token_hex(_RANDOM_BYTES)}.tmp"

    def _create(self, directory: int) -> tuple[str, int]:
        """Create a temporary file, locked while its writer lives."""
        while True:
            temporary = self._temporary()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(temporary, flags, 0o600, dir_fd=directory)
            if _lock(file) is not False and os.fstat(file).st_nlink:
                return temporary, file
            os.close(file)  # another fexp's sweep took it between its birth and its lock

    def _sweep(self, directory: int) -> None:
        """Remove what killed writers of this file left.

        A live writer holds a lock on its temporary file and the kernel drops a dead one's, so neither process
        ids that are used again nor containers with their own can mislead.
        """
        for entry in os.listdir(directory):
            if not self._litter.fullmatch(entry):
                continue
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                file = os.open(entry, flags, dir_fd=directory)
            except OSError:
                continue  # not ours to judge: no permission, a symlink, or gone by now
            try:
                if stat.S_ISREG(os.fstat(file).st_mode) and _lock(file):
                    os.unlink(entry, dir_fd=directory)
            except OSError:
                pass  # litter does no harm: node_exporter does not read it
            finally:
                os.close(file)


def _lock(file: int) -> bool | None:
    """Lock a file. Return True when it worked, False when another holds it, None where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in {errno.EWOULDBLOCK, errno.EACCES} else None
    return True
