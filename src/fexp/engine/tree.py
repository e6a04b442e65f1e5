"""The tree of one folder: looks at what hints point to, and folds what is there."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from fexp.disk import lister, scan
from fexp.engine.arming import Arming
from fexp.engine.listings import Listings, WantedListing
from fexp.engine.mount_doubts import MountDoubts
from fexp.engine.seen_elsewhere import FollowedLinks
from fexp.engine.shared_state import SharedState
from fexp.events.directory import WatchedDirectory
from fexp.model import ARRIVED, CHANGED, DIRECTORY_ARRIVED, LEFT, Fault, FileColumns, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fexp.counting.selection import Folder
    from fexp.engine.context import Context
    from fexp.engine.looks import Look
    from fexp.events import Source

_FOLD_AT_ONCE = 256
"""Files named by hints that are folded under one hold of the lock: a scrape waits for at most so many."""
_NO_FILES = FileColumns([], [], [], [], [])


class FolderTree:
    """The directories of one folder, and those that wait to be listed. Only the engine's thread calls it.

    ``touch`` is called when a number changed.
    """

    def __init__(self, folder: Folder, source: Source | None, context: Context, touch: Callable[[], None]) -> None:
        self.root = WatchedDirectory.of_folder(folder.path)
        self.arming = Arming(folder, source, context)
        self.state = SharedState(folder, context)
        self.doubts = MountDoubts()
        self.suspects: set[tuple[WatchedDirectory, bytes]] = set()
        """Files that a whole look found different and no event has reported yet."""
        self.faults: Counter[Fault] = Counter()
        self._followed_links = FollowedLinks()
        self._selection = folder.selection
        self._context = context
        self._touch = touch
        self.listings = Listings(folder.selection, context)

    @property
    def is_busy(self) -> bool:
        """Return whether directories are to be listed."""
        return bool(self.listings)

    def forget_watches(self) -> None:
        """Stop watching, and doubt nothing of what was seen: the folder is looked at anew or not at all."""
        self.arming.disarm_below(self.root)
        self.suspects.clear()
        self.doubts.clear()

    def end(self) -> None:
        """Stop watching for good."""
        self.forget_watches()
        self.listings.clear()
        self.root.has_left = True

    # Files ---------------------------------------------------------------------------------------------------------

    def look_at_files(self, directory: WatchedDirectory, histories: Mapping[bytes, str]) -> None:
        """Look at the names in hints, and fold what is there."""
        self.doubts.saw(directory)
        self.listings.overtake(directory)
        departures_are_facts = self.arming.departures_are_facts
        if self.suspects:
            self.suspects.difference_update((directory, name) for name in histories)
        hard_links = self._context.hard_links
        hard_links.report(directory, histories)
        gone: list[bytes] = []
        uncertain: list[bytes] = []
        others: list[bytes] = []
        for name, history in histories.items():
            if departures_are_facts and history[-1] == LEFT:
                gone.append(name)
            elif self._selection.patterns_of(name, directory.below):
                uncertain.append(name)
            else:
                others.append(name)
        hard_links.changed(_inodes_of_unnamed(others))
        for first in range(0, len(uncertain), _FOLD_AT_ONCE):
            found = self._look_at(directory, histories, uncertain[first : first + _FOLD_AT_ONCE])
            hard_links.changed(inode for name, inode in found.seen_elsewhere.shared if CHANGED in histories[name])
            hard_links.changed(_inodes_of_unnamed(found.missing))
        for first in range(0, len(gone), _FOLD_AT_ONCE):
            self._touch_if(self.state.fold(directory, histories, _NO_FILES, gone[first : first + _FOLD_AT_ONCE]))

    def _look_at(self, directory: WatchedDirectory, histories: Mapping[bytes, str], names: list[bytes]) -> scan.Found:
        found = scan.look_at(directory.path, names, follow_symlinks=self._selection.follow_symlinks)
        self._count_faults(found.faults)
        if self._selection.follow_symlinks:
            self._followed_links.record(directory, names, found.seen_elsewhere.links)
        if found.occupied:
            histories = {**histories, **{name: _before_last_arrival(histories[name]) for name in found.occupied}}
        self._touch_if(self.state.fold(directory, histories, found.files, found.missing))
        self._context.hard_links.record(directory, found.files, found.seen_elsewhere.shared)
        self._context.progressed()
        return found

    def look_again(self, directory: WatchedDirectory, names: Iterable[bytes]) -> None:
        """Look at names of which no event reports, for something happened elsewhere."""
        self.doubts.saw(directory)
        self.listings.overtake(directory)
        known = list(names)
        self.suspects.difference_update((directory, name) for name in known)
        for first in range(0, len(known), _FOLD_AT_ONCE):
            part = known[first : first + _FOLD_AT_ONCE]
            self._look_at(directory, dict.fromkeys(part, CHANGED), part)

    @property
    def links_due_at(self) -> float:
        """Return when symlinks that are followed are to be looked at again; infinity when there are none."""
        return self._followed_links.due_at

    def look_at_links(self, now: float) -> None:
        """Look again at the symlinks that are followed, if it is time."""
        due = self._followed_links.due(now)
        if due:
            for directory, names in due.items():
                self.look_again(directory, names)
            ended = self._context.clock().steady
            self._followed_links.looked(now, ended, self._context.settings.poll_interval_seconds)

    # Directories ---------------------------------------------------------------------------------------------------

    def detach(self, parent: WatchedDirectory, name: bytes) -> WatchedDirectory | None:
        """Stop watching a subdirectory that left: its events are about another place. Return it, to be dropped."""
        self.listings.overtake(parent)
        child = parent.children.pop(name, None)
        if child is not None:
            self.arming.disarm_below(child)
        return child

    def drop(self, directory: WatchedDirectory) -> None:
        """Let a directory and all below it depart."""
        self.arming.disarm_below(directory)
        directory.detach()
        parts = list(directory.subtree())
        for part in parts:
            part.has_left = True
        self._touch_if(self.state.clear(parts))

    def _touch_if(self, changed: object) -> None:
        if changed:
            self._touch()

    def examine(self, parent: WatchedDirectory, name: bytes, hint: str) -> None:
        """Look whether a subdirectory is there, and have listed what is not known of it."""
        if not self._selection.enters(name, parent.below):
            return
        self.listings.overtake(parent)
        child = parent.children.get(name)
        inode = scan.directory_inode(child.path if child else os.path.join(parent.path, name))
        if inode is None:
            if child is not None:
                self.drop(child)
            return
        is_new = child is None
        child = child or parent.child(name)
        child.inode = inode
        is_replaced = self.arm(child)
        deep = is_new or is_replaced or not self.arming.per_directory
        if deep or hint != DIRECTORY_ARRIVED:
            self.want_listing(child, deep=deep)

    def arm(self, directory: WatchedDirectory) -> bool:
        """Watch a directory as well as can be. Return whether what was known of it is doubtful."""
        self.doubts.saw(directory)
        backend = self.arming.backend
        doubtful = self.arming.arm(directory)
        if self.arming.backend is not backend:
            self._touch()
        return doubtful

    # Listings ------------------------------------------------------------------------------------------------------

    def want_listing(
        self, directory: WatchedDirectory, *, deep: bool, look: Look | None = None, absent_since: float | None = None
    ) -> None:
        """Have a directory listed soon. ``absent_since`` None: what is new in it has come just now."""
        if look is not None:
            look.listings_left += 1
        since = self._context.clock().steady if absent_since is None else absent_since
        self.listings.want(WantedListing(directory, deep, look, since))

    def list_next(self) -> Look | None:
        """List one directory that waits. Return the whole look that this ended. Raise OSError: the folder is gone."""
        step = self.listings.next()
        if step is None:
            return None
        wanted, answer = step
        look = wanted.look
        if look is not None and look.cancelled:
            return None
        if wanted.directory.alive:
            self._list(wanted, answer)
        if look is None:
            return None
        look.listings_left -= 1
        return look if look.listings_left == 0 and not look.cancelled else None

    def _list(self, wanted: WantedListing, answer: bytearray | None) -> None:
        """List a directory, unless another process has done so, and fold what is there."""
        directory = wanted.directory
        self.doubts.saw(directory)
        began_at = self._context.clock().steady if answer is None else wanted.asked_at
        if directory in self.arming.polled:
            self.arm(directory)  # there may be a watch left by now
        try:
            listing = self._listing(directory, answer)
        except OSError as error:
            if directory is self.root:
                raise
            self._give_up(directory, error)
            return
        self._count_faults(listing.faults)
        if wanted.look is not None:
            wanted.look.files_seen += len(listing.files.names)
        self._fold_listing(wanted, listing)
        if self._selection.follow_symlinks:
            self._followed_links.record(directory, None, listing.seen_elsewhere.links)
        self._follow_listing(wanted, listing.subdirectories)
        directory.seen_at = began_at

    def _listing(self, directory: WatchedDirectory, answer: bytearray | None) -> scan.Listing:
        """Return what a directory holds, by the answer of another process unless it is too old. Raise OSError."""
        if answer is not None:
            listing = lister.read_answer(answer)
            if not self._context.hard_links.have_changed(listing.files.inodes):
                return listing
        return scan.list_directory(directory.path, directory.below, self._selection, self._context.progressed)

    def _fold_listing(self, wanted: WantedListing, listing: scan.Listing) -> None:
        directory, look = wanted.directory, wanted.look
        is_start = look is not None and look.reason is Reason.START
        different = self.state.fold_listing(directory, listing.files, wanted.absent_since, is_start=is_start)
        self._touch_if(different)
        hard_links, shared = self._context.hard_links, listing.seen_elsewhere.shared
        hard_links.record(directory, listing.files, shared)
        if shared and different and (look is None or look.reason is Reason.REAPPEARED):  # others look everywhere
            changed = set(different)
            hard_links.changed(inode for name, inode in shared if name in changed)
        if look is not None and look.reason in (Reason.INTERVAL, Reason.OVERFLOW) and self.arming.reports_on(directory):
            self.suspects.update((directory, name) for name in different)

    def _follow_listing(self, wanted: WantedListing, subdirectories: Mapping[bytes, int]) -> None:
        directory = wanted.directory
        for name in directory.children.keys() - subdirectories.keys():
            self.drop(directory.children[name])
        for name, inode in subdirectories.items():
            child = directory.children.get(name)
            is_known = child is not None and child.inode == inode and self.arming.is_watching(child)
            if is_known and not wanted.deep:
                continue
            child = child or directory.child(name)
            child.inode = inode
            self.arm(child)
            self.want_listing(child, deep=True, look=wanted.look, absent_since=wanted.absent_since)

    def _give_up(self, directory: WatchedDirectory, error: OSError) -> None:
        """A subdirectory cannot be read: nothing in it counts until it can. When no event will say so, it is polled."""
        fault = scan.fault_of(error)
        self._count_faults([fault] if fault else [])
        if fault is Fault.IO:
            self.arming.poll(directory, error.strerror or str(error))
        if scan.directory_inode(directory.path) is None:
            self.drop(directory)
            return
        for child in tuple(directory.children.values()):
            self.drop(child)
        self._touch_if(self.state.clear([directory]))

    def _count_faults(self, faults: Sequence[Fault]) -> None:
        if faults:
            self.faults.update(faults)
            self._touch()


def _before_last_arrival(history: str) -> str:
    """Return a history without what came last, for that is no file."""
    last = history.rfind(ARRIVED)
    return history if last < 0 else history[:last]


def _inodes_of_unnamed(names: Iterable[bytes]) -> list[int]:
    """Return the inodes of files that were made without a name (O_TMPFILE): events call one ``#`` and that for ever."""
    return [int(name[1:]) for name in names if name[:1] == b"#" and name[1:].isdigit()]
