"""Looks at what hints point to in one folder's tree, and folds what is there. Only the engine's thread calls it."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fexp.disk import scan
from fexp.engine.context import log
from fexp.files.state import FolderState
from fexp.model import DIRECTORY_ARRIVED, LEFT, Backend, Fault, FileColumns, Reason
from fexp.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.engine.context import Common
    from fexp.files.selection import Folder
    from fexp.files.state import Directory
    from fexp.model import Instant
    from fexp.watch import Source

_FOLD_AT_ONCE = 256
"""Files folded under one hold of the lock: a scrape waits for at most so many."""
_TAKE_AT_ONCE = 4096
"""The same for files of a listing, of which each costs less."""
_OBSERVE_AT_ONCE = 1024
_NO_FILES = FileColumns([], [], [], [], [])


@dataclass(eq=False)
class Look:
    """A whole look at a folder, under way."""

    reason: Reason
    began: Instant
    listings_left: int = 0
    files_seen: int = 0
    cancelled: bool = False


@dataclass(eq=False)
class _Job:
    """A directory to be listed. ``deep``: and all below. ``absent_since``: what is new was not there then (steady)."""

    directory: Directory
    deep: bool
    look: Look | None
    absent_since: float


class Looker:
    """One folder's tree, and the work that is left to do in it."""

    def __init__(self, folder: Folder, source: Source | None, common: Common) -> None:
        self.folder = folder
        self.source = source
        """None: nothing tells of changes, everything is polled."""
        self.state = FolderState(folder.path, folder.selection, common.settings.dwell_bounds_seconds)
        self.real_path = folder.path
        """The folder's path through all symlinks, as the mount table knows it."""
        self.unwatched: set[Directory] = set()
        """Directories that the source cannot watch: they are polled."""
        self.recent: set[Directory] = set()
        """Directories that were armed, listed or had files looked at since the mounts were last checked."""
        self.doubtful: set[Directory] = set()
        """Those over which a mount may have stood at that moment, their watch being on what it hid, or on it."""
        self._said_polled = False
        self.suspects: set[tuple[Directory, bytes]] = set()
        """Files that a whole look found different and no event has told of yet."""
        self.faults: Counter[Fault] = Counter()
        self._jobs: deque[_Job] = deque()
        self._common = common

    @property
    def root(self) -> Directory:
        """The folder itself."""
        return self.state.root

    @property
    def backend(self) -> Backend:
        """What the folder is watched by; polling if any part of it is polled."""
        return Backend.POLLING if self.source is None or self.unwatched else self.source.backend

    @property
    def is_busy(self) -> bool:
        """Whether directories wait to be listed."""
        return bool(self._jobs)

    # Files ---------------------------------------------------------------------------------------------------------

    def look_at_files(self, directory: Directory, histories: Mapping[bytes, str]) -> None:
        """Look at the names that hints told of, and fold."""
        self.recent.add(directory)
        selection = self.folder.selection
        departures_are_facts = self.source is not None and self.source.departures_are_facts
        if self.suspects:
            self.suspects.difference_update((directory, name) for name in histories)
        gone: list[bytes] = []
        doubtful: list[bytes] = []
        for name, history in histories.items():
            if departures_are_facts and history[-1] == LEFT:
                gone.append(name)
            elif selection.patterns_of(name, directory.below):
                doubtful.append(name)
        for first in range(0, len(doubtful), _FOLD_AT_ONCE):
            part = doubtful[first : first + _FOLD_AT_ONCE]
            found = scan.look_at(directory.path, part, follow_symlinks=selection.follow_symlinks)
            if found.faults:
                self.faults.update(found.faults)
            self._fold(directory, histories, found.files, found.missing)
            self._common.progressed()
        for first in range(0, len(gone), _FOLD_AT_ONCE):
            self._fold(directory, histories, _NO_FILES, gone[first : first + _FOLD_AT_ONCE])

    def _fold(
        self, directory: Directory, histories: Mapping[bytes, str], found: FileColumns, gone: list[bytes]
    ) -> None:
        now = self._common.clock()
        with self._common.lock:
            changed = self.state.fold(directory, histories, found, gone, now)
        self._touch(changed)

    # Directories ---------------------------------------------------------------------------------------------------

    def detach(self, parent: Directory, name: bytes) -> Directory | None:
        """A subdirectory left: what its watches still tell is about another place. Give it, to be dropped."""
        child = parent.children.pop(name, None)
        if child is not None:
            self.disarm_below(child)
        return child

    def drop(self, directory: Directory) -> None:
        """Let a directory and all below it depart."""
        self.disarm_below(directory)
        now = self._common.clock()
        with self._common.lock:
            changed = self.state.drop(directory, now)
        self._touch(changed)

    def examine(self, parent: Directory, name: bytes, letter: str) -> None:
        """Look whether a subdirectory is there, and have listed what is not known of it."""
        if not self.folder.selection.enters(name, parent.below):
            return
        child = parent.children.get(name)
        if not scan.is_directory(child.path if child else os.path.join(parent.path, name)):
            if child is not None:
                self.drop(child)
            return
        is_new = child is None
        child = child or parent.child(name)
        replaced = self.arm(child)
        deep = is_new or replaced or (self.source is not None and not self.source.per_directory)
        if deep or letter != DIRECTORY_ARRIVED:
            self.want_listing(child, deep=deep)

    def want_listing(
        self, directory: Directory, *, deep: bool, look: Look | None = None, absent_since: float | None = None
    ) -> None:
        """Have a directory listed soon. ``absent_since`` None: what is new in it has come just now."""
        if look is not None:
            look.listings_left += 1
        since = self._common.clock().steady if absent_since is None else absent_since
        self._jobs.append(_Job(directory, deep, look, since))

    def arm(self, directory: Directory) -> bool:
        """Watch a directory as well as can be; say whether what was known of it is doubtful."""
        self.recent.add(directory)
        if self.source is None:
            return False
        kind = self._common.mounts.network_kind(os.path.join(self.real_path, directory.below.rstrip(b"/")))
        if kind is not None:
            self.source.disarm(directory)
            self._poll(directory, f"{printable(kind)} is a network file system")
            return True
        try:
            with scan.in_reach(directory.path) as path:
                replaced = self.source.arm(directory, path)
        except OSError as error:
            if scan.fault_of(error) is not None:
                self._poll(directory, error.strerror or str(error))
            return True
        self.unwatched.discard(directory)
        return replaced

    def _poll(self, directory: Directory, reason: str) -> None:
        if not self._said_polled:
            self._said_polled = True
            log.warning(
                "%s: cannot watch %s (%s); what cannot be watched is polled every %gs",
                self.folder.label, printable(directory.path), reason, self._common.settings.poll_interval_seconds,
            )  # fmt: skip
        self.unwatched.add(directory)

    def disarm_below(self, directory: Directory) -> None:
        """Stop watching a directory and all below it."""
        for part in directory.subtree():
            self.unwatched.discard(part)
            if self.source is not None:
                self.source.disarm(part)

    def observe_some(self) -> None:
        """Observe some of the dwell times that departed directories left behind."""
        with self._common.lock:
            self.state.observe_some(_OBSERVE_AT_ONCE)
        self._common.touched()

    def look_again_at_doubtful(self) -> int:
        """Have what is doubtful watched and listed anew; give how many files are known there."""
        files = 0
        for directory in self.doubtful:
            if directory.alive:
                files += sum(map(len, directory.tables.values()))
                self.want_listing(directory, deep=self.arm(directory), absent_since=directory.seen_at)
        self.doubtful.clear()
        return files

    # Listings ------------------------------------------------------------------------------------------------------

    def list_next(self) -> Look | None:
        """List one directory that waits; give the whole look that this ended. Raises OSError: the folder is gone."""
        job = self._jobs.pop()
        look = job.look
        if look is not None and look.cancelled:
            return None
        if job.directory.alive:
            self._list(job)
        if look is not None:
            look.listings_left -= 1
            if look.listings_left == 0 and not look.cancelled:
                return look
        return None

    def _list(self, job: _Job) -> None:
        directory = job.directory
        self.recent.add(directory)
        began = self._common.clock()
        if directory in self.unwatched:
            self.arm(directory)  # there may be a watch left by now
        try:
            listing = scan.list_directory(
                directory.path, directory.below, self.folder.selection, self._common.progressed
            )
        except OSError as error:
            if directory is self.root:
                raise
            self._give_up(directory, error)
            return
        self.faults.update(listing.faults)
        if job.look is not None:
            job.look.files_seen += len(listing.files.names)
        self._fold_listing(job, listing)
        self._follow_listing(job, listing)
        directory.seen_at = began.steady

    def _fold_listing(self, job: _Job, listing: scan.Listing) -> None:
        directory, files, now = job.directory, listing.files, self._common.clock()
        is_start = job.look is not None and job.look.reason is Reason.START
        vanished = list(directory.names().difference(files.names))
        different: list[bytes] = []
        for first in range(0, len(files.names), _TAKE_AT_ONCE):
            part = files.part(slice(first, first + _TAKE_AT_ONCE))
            with self._common.lock:
                different += self.state.take_in(directory, part, now, job.absent_since, is_start=is_start)
        for first in range(0, len(vanished), _TAKE_AT_ONCE):
            with self._common.lock:
                self.state.let_go(directory, vanished[first : first + _TAKE_AT_ONCE], now)
        different.extend(vanished)
        self._touch(bool(different))
        if (
            job.look is not None
            and job.look.reason in (Reason.INTERVAL, Reason.OVERFLOW)
            and self._is_told_of(directory)
        ):
            self.suspects.update((directory, name) for name in different)

    def _is_told_of(self, directory: Directory) -> bool:
        return self.source is not None and directory not in self.unwatched and self.root not in self.unwatched

    def _follow_listing(self, job: _Job, listing: scan.Listing) -> None:
        directory = job.directory
        for name in directory.children.keys() - set(listing.subdirectories):
            self.drop(directory.children[name])
        for name in listing.subdirectories:
            child = directory.children.get(name)
            if child is not None and not job.deep:
                continue
            child = child or directory.child(name)
            self.arm(child)
            self.want_listing(child, deep=True, look=job.look, absent_since=job.absent_since)

    def _give_up(self, directory: Directory, error: OSError) -> None:
        """A subdirectory cannot be read: nothing in it counts until it can. When no event will say so, it is polled."""
        self._count_fault(error)
        if self.source is not None and scan.fault_of(error) is Fault.IO:
            self._poll(directory, error.strerror or str(error))
        if not scan.is_directory(directory.path):
            self.drop(directory)
            return
        for child in tuple(directory.children.values()):
            self.drop(child)
        now = self._common.clock()
        with self._common.lock:
            changed = self.state.clear(directory, now)
        self._touch(changed)

    def _count_fault(self, error: OSError) -> None:
        fault = scan.fault_of(error)
        if fault is not None:
            self.faults[fault] += 1

    def _touch(self, changed: bool) -> None:  # the one thing it is told
        if changed:
            self._common.touched()
