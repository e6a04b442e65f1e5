"""One folder and how its watching goes: whole looks, the folder's own coming and going, the clock's say."""

from __future__ import annotations

import os
from collections import Counter
from math import inf
from typing import TYPE_CHECKING

from fexp.disk import scan
from fexp.engine.context import log
from fexp.engine.looks import LookSchedule
from fexp.engine.parts import parts_of
from fexp.engine.tree import FolderTree
from fexp.model import Fault, FolderSnapshot, FolderStatus, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.counting.selection import Folder
    from fexp.engine.context import Context
    from fexp.engine.feed import ChangeBatch
    from fexp.engine.looks import Look
    from fexp.events import Source
    from fexp.model import Instant


class FolderWatch:
    """A folder that is being watched. Only the engine's thread changes it; ``snapshot`` is taken under the lock."""

    def __init__(self, folder: Folder, source: Source | None, context: Context) -> None:
        self.folder = folder
        self.tree = FolderTree(folder, source, context, self.touch)
        self._context = context
        self._schedule = LookSchedule()
        self.identity: scan.Identity | None = None
        """Of the directory that its path named when it was last checked; None when it named none that could be read."""
        """The directory that is watched; None while there is none."""
        self._looked = self._up = self._was_up = False
        self._problem: str | None = None
        self._missing_since = -inf
        self._polled_again_at = 0.0
        self._scans: Counter[Reason] = Counter()
        self._last_scan_at: float | None = None
        self._overflows = self._drift_files = 0
        self.lasting_snapshot: FolderSnapshot | None = None
        """The snapshot, as long as only a change can end it. An attribute: readers ask all folders for it."""
        self._snapshot: FolderSnapshot | None = None
        """What readers get until something changes."""
        self._parts: tuple[FolderSnapshot, ...] = ()
        """Of the latest snapshot."""
        self._snapshot_ends_at = inf
        self._moves = False
        """Whether the snapshot holds for its moment only. That alone is no change: it wakes nobody."""
        self._held: FolderSnapshot | None = None
        """What readers get while another directory that took the folder's place is looked at."""

    @property
    def is_looking(self) -> bool:
        """Return whether a whole look is under way or wanted."""
        return self._schedule.under_way is not None or self._schedule.wanted is not None

    @property
    def is_looking_urgently(self) -> bool:
        """Return whether a whole look is under way that other processes may share."""
        look = self._schedule.under_way
        return look is not None and look.is_urgent

    @property
    def has_looked(self) -> bool:
        """Return whether the first look is done: a missing folder has been looked at."""
        return self._looked

    @property
    def due_at(self) -> float:
        """Return when something is to be done without a hint, on the steady clock; infinity for never."""
        if self.identity is None:
            return min(self._schedule.due_at, self._snapshot_ends_at)
        if not self._schedule.is_resting:
            return min(self._schedule.due_at, self._snapshot_ends_at, self.tree.state.arrivals_due_at)
        looks_due_at = self._schedule.due_again_at(self._interval_seconds)
        return min(
            looks_due_at, self._snapshot_ends_at, self._polled_due_at, self.tree.links_due_at,
            self.tree.state.arrivals_due_at,
        )  # fmt: skip

    @property
    def _polled_due_at(self) -> float:
        """Return when directories without a watch are to be listed; infinity when there are none, or a look does it."""
        is_due = self.tree.arming.polled and self._schedule.is_resting
        return self._polled_again_at if is_due else inf

    @property
    def _interval_seconds(self) -> float:
        """Return how often the folder is looked at as a whole."""
        arming, settings = self.tree.arming, self._context.settings
        is_polled = arming.source is None or self.tree.root in arming.polled
        return settings.poll_interval_seconds if is_polled else settings.rescan_seconds

    def touch(self) -> None:
        """Take note that a number changed."""
        with self._context.lock:
            self._snapshot = self.lasting_snapshot = None
            self._snapshot_ends_at = inf
        self._context.changed()

    # Whole looks ---------------------------------------------------------------------------------------------------

    def want_look(self, reason: Reason) -> None:
        """Ask for a whole look."""
        if self.identity is not None:
            self._schedule.want(reason)

    def lost_events(self) -> None:
        """Look at everything: the kernel dropped events, and it does not say which."""
        if self.identity is not None and self.tree.arming.source is not None:
            self._overflows += 1
            self.touch()
            self.want_look(Reason.OVERFLOW)

    def _begin(self, reason: Reason, absent_since: float) -> None:
        look = self._schedule.begin(reason, self._context.clock())
        self.tree.want_listing(self.tree.root, deep=True, look=look, absent_since=absent_since)

    def work(self) -> None:
        """List one directory that waits."""
        try:
            finished = self.tree.list_next()
        except OSError as error:
            self._mark_down(error)
            return
        if finished is not None and not self.check_root():  # else it is another folder's look
            self._finish(finished)

    def _finish(self, look: Look) -> None:
        now = self._context.clock()
        was_up = self._up
        with self._context.lock:
            self._schedule.end(look, now)
            self._scans[look.reason] += 1
            self._last_scan_at = now.wall
            self._up, self._looked, self._problem = True, True, None
            self._held = None
        if self._was_up and not was_up:
            log.info("%s: back, %d files", self.folder.label, self.tree.state.files)
        self._was_up = True
        self.touch()

    # The folder itself ---------------------------------------------------------------------------------------------

    def check_root(self) -> bool:
        """Look whether the path still names the directory that is watched, and watch what it names.

        Return whether it leads elsewhere than before.
        """
        path = self.folder.path
        try:
            identity = scan.identity(path)
            if identity != self.identity:
                scan.try_to_open(path)
        except OSError as error:
            was_there = self.identity is not None
            self._mark_down(error)
            return was_there
        if identity == self.identity and self.tree.arming.is_watching(self.tree.root):
            return False
        is_first = not self._looked
        absent_since = -inf if is_first else max(self._missing_since, self.tree.root.seen_at or 0.0)
        self._forget_root(hold=self._up)
        self.tree.arming.real_path = os.path.realpath(path)
        self.tree.arm(self.tree.root)
        try:
            if scan.identity(path) != identity:
                return True  # replaced once more while it was armed: the next pulse sees what is there then
        except OSError:
            return True
        self.identity = identity
        self._begin(Reason.START if is_first else Reason.REAPPEARED, absent_since)
        return True

    def _forget_root(self, *, hold: bool) -> None:
        """Forget which directory is watched. ``hold``: another is in its place, whose numbers come when it is seen."""
        self.tree.forget_watches()
        with self._context.lock:
            self._held = self.snapshot(self._context.now()) if hold else None
            self.identity = None
            self._up = hold
            self._schedule.cancel()
        self.touch()

    def _mark_down(self, error: OSError) -> None:
        self._missing_since = self._context.clock().steady
        problem = error.strerror or str(error)
        if self.identity is None and self._looked and problem == self._problem:
            return
        if problem != self._problem:
            log.warning("%s: %s; its numbers are gone until it can be read", self.folder.label, problem)
        self._forget_root(hold=False)
        self._problem = problem
        self._looked = True

    def end(self) -> None:
        """Stop watching it for good."""
        self.tree.end()
        self._schedule.cancel()

    def observe_some_dwells(self) -> None:
        """Observe some of the dwell times that departed directories left behind."""
        self.tree.state.observe_some_dwells()
        self.touch()

    # Time ----------------------------------------------------------------------------------------------------------

    def keep_time(self, now: float) -> None:
        """Do what is due by the clock."""
        if now >= self._snapshot_ends_at:
            self.touch()
        if self.identity is None:
            return
        if now >= self._schedule.due_again_at(self._interval_seconds):
            self.want_look(Reason.INTERVAL)
        elif now >= self._polled_due_at:
            self._polled_again_at = now + max(self._context.settings.poll_interval_seconds, self._schedule.rest_seconds)
            for directory in self.tree.arming.polled:
                self.tree.want_listing(directory, deep=False, absent_since=directory.seen_at or now)
        self.tree.look_at_links(now)
        self.tree.look_at_arrivals(now)
        if self._schedule.wanted is not None and now >= self._schedule.due_at:
            seen_at = self.tree.root.seen_at
            self._begin(self._schedule.wanted, now if seen_at is None else seen_at)

    def obey_mounts(self, points: set[bytes] | None, now: float) -> bool:
        """Look again when something was mounted on or unmounted from a place in the folder, or the folder's own.

        Return whether there is something to do, now or at the next check of the mounts.
        """
        own = self.tree.arming.real_path.rstrip(b"/") + b"/"
        inside = any((point.rstrip(b"/") + b"/").startswith(own) for point in points or ())
        if inside:
            self.want_look(Reason.INTERVAL)
        if points is not None:
            self.tree.listings.overtake_all()
        self.tree.doubts.check(mounts_changed=points is not None and not inside)
        for directory in self.tree.doubts.settle(now) if self.identity is not None else ():
            self.tree.want_listing(directory, deep=self.tree.arm(directory), absent_since=directory.seen_at)
        return inside or self.tree.is_busy or self.tree.doubts.are_left

    def count_drift(self) -> None:
        """Count as drift what a look found different and no event reported. All events are folded."""
        if self.tree.suspects:
            self._drift_files += len(self.tree.suspects)
            self.tree.suspects.clear()
            self.touch()

    # For those who read --------------------------------------------------------------------------------------------

    def record_changes(self, *, wanted: bool) -> None:
        """Record what happens to files from now on, or no more."""
        self.tree.state.record_changes(wanted=wanted)

    def present(self) -> Iterator[ChangeBatch]:
        """Yield the files that are there now."""
        return self.tree.state.present(self.tree.root.subtree())

    def status(self) -> FolderStatus:
        """Return how far the watching is."""
        look = self._schedule.under_way
        return FolderStatus(
            folder=self.folder.label,
            up=self._up,
            looked=self._looked,
            files_seen=look.files_seen if look else self.tree.state.files,
            problem=self._problem,
        )

    def snapshot(self, now: Instant) -> FolderSnapshot:
        """Return the numbers as they are now, the same object while nothing changes; the lock must be held."""
        if self._held is not None:
            return self._held
        if self._snapshot is None or self._moves or now.steady >= self._snapshot_ends_at:
            groups, self._snapshot_ends_at = self.tree.state.groups(now)
            self._moves = self.tree.state.moves
            self._snapshot = FolderSnapshot(
                folder=self.folder.label,
                labels=self.folder.labels,
                up=self._up,
                recursive=self.folder.selection.recursive,
                groups=groups,
                backend=self.tree.arming.backend,
                scans={reason: self._scans[reason] for reason in Reason},
                scan_duration_seconds=self._schedule.duration_seconds,
                last_scan_at=self._last_scan_at,
                overflows=self._overflows,
                drift_files=self._drift_files,
                faults={fault: self.tree.faults[fault] for fault in Fault},
                directories=self.tree.directories,
                looked=self._looked,
                single_files=self.tree.state.single_files,
                series_dropped=self.tree.state.left_out,
                hides_names=self.folder.hides_names,
            )
            self._parts = parts_of(self._snapshot, self._parts)
            if self._parts:
                self._snapshot = self._snapshot._replace(parts=self._parts)
            self.lasting_snapshot = self._snapshot if self._snapshot_ends_at == inf and not self._moves else None
        return self._snapshot
