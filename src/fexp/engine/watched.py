"""One folder and how its watching goes: whole looks, the folder's own coming and going, the clock's say."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from fexp.disk import scan
from fexp.engine.context import log
from fexp.engine.looker import Look, Looker
from fexp.model import Fault, FileEvent, FolderSnapshot, FolderStatus, Reason
from fexp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.engine.context import Common
    from fexp.files.selection import Folder
    from fexp.files.state import Directory
    from fexp.model import Happening
    from fexp.watch import Source

_LOOK_SHARE = 20
"""Timed looks take at most a twentieth of the time."""
_LISTED_FILE_SECONDS = 6e-6


class WatchedFolder:
    """A folder that is being watched. Only the engine's thread changes it; ``snapshot`` is taken under the lock."""

    def __init__(self, folder: Folder, source: Source | None, common: Common) -> None:
        self.folder = folder
        self.looker = Looker(folder, source, common)
        self.overflows = 0
        self._common = common
        self._identity: scan.Identity | None = None
        """The directory that is watched; None while there is none."""
        self._looked = self._up = self._was_up = False
        self._problem: str | None = None
        self._missing_since = float("-inf")
        self._look: Look | None = None
        self._next_reason: Reason | None = None
        """Of a whole look that is due as soon as it may begin."""
        self._look_ended_at = self._may_look_at = float("-inf")
        self._unwatched_due_at = 0.0
        self._may_doubt_at = float("-inf")
        self._scans: Counter[Reason] = Counter()
        self._scan_duration_seconds: float | None = None
        self._last_scan_at: float | None = None
        self._drift_files = 0

    # Whole looks ---------------------------------------------------------------------------------------------------

    def want_look(self, reason: Reason) -> None:
        """Ask for a whole look. One that is under way may have passed what changed: the next begins after it."""
        if self._identity is not None and self._next_reason is None:
            self._next_reason = reason

    def lost_events(self) -> None:
        """The kernel dropped events: nobody knows which."""
        if self._identity is not None and self.looker.source is not None:
            self.overflows += 1
            self.want_look(Reason.OVERFLOW)

    @property
    def is_unsettled(self) -> bool:
        """Whether looks are under way or due."""
        looker = self.looker
        return looker.is_busy or looker.state.owes_dwells or self._look is not None or self._next_reason is not None

    @property
    def due_at(self) -> float:
        """When the look that is wanted may begin, on the steady clock; infinity when none is."""
        return float("inf") if self._next_reason is None or self._look is not None else self._may_look_at

    def begin_if_due(self, now: float) -> None:
        """Begin the look that is wanted, once it may."""
        if self._next_reason is not None and now >= self.due_at:
            seen_at = self.looker.root.seen_at
            self._begin(self._next_reason, now if seen_at is None else seen_at)

    def _begin(self, reason: Reason, absent_since: float) -> None:
        self._next_reason = None
        self._look = Look(reason, self._common.clock())
        self.looker.want_listing(self.looker.root, deep=True, look=self._look, absent_since=absent_since)

    def work(self) -> None:
        """List one directory that waits."""
        try:
            finished = self.looker.list_next()
        except OSError as error:
            self._mark_down(error)
            return
        if finished is not None:
            self._finish(finished)

    def _finish(self, look: Look) -> None:
        now = self._common.clock()
        duration_seconds = now.steady - look.began.steady
        with self._common.lock:
            self._look = None
            self._scans[look.reason] += 1
            self._scan_duration_seconds = duration_seconds
            self._last_scan_at = now.wall
            self._look_ended_at = now.steady
            self._may_look_at = now.steady + duration_seconds
            was_up, self._up, self._looked, self._problem = self._up, True, True, None
        if self._was_up and not was_up:
            log.info("%s: back, %d files", self.folder.label, self.looker.state.files)
        self._was_up = True
        self._common.touched()

    # The folder itself ---------------------------------------------------------------------------------------------

    def check_root(self) -> None:
        """Look whether the folder's path still names the directory that is watched, and watch what it names."""
        looker, path = self.looker, self.folder.path
        try:
            identity = scan.identity(path)
            if identity != self._identity:
                scan.try_to_open(path)
        except OSError as error:
            self._mark_down(error)
            return
        source, root = looker.source, looker.root
        is_watched = source is None or root in looker.unwatched or source.watching(root)
        if identity == self._identity and is_watched:
            return
        is_first = not self._looked
        absent_since = float("-inf") if is_first else max(self._missing_since, root.seen_at or 0.0)
        self._forget_root()
        looker.real_path = os.path.realpath(path)
        looker.arm(root)
        try:
            if scan.identity(path) != identity:
                return  # replaced once more while it was armed: the next pulse sees what is there then
        except OSError:
            return
        self._identity = identity
        self._begin(Reason.START if is_first else Reason.REAPPEARED, absent_since)

    def _forget_root(self) -> None:
        self.looker.disarm_below(self.looker.root)
        self.looker.suspects.clear()
        self.looker.doubtful.clear()
        with self._common.lock:
            self._identity = None
            self._up = False
            self._next_reason = None
            if self._look is not None:
                self._look.cancelled = True
                self._look = None

    def _mark_down(self, error: OSError) -> None:
        self._missing_since = self._common.clock().steady
        problem = error.strerror or str(error)
        if self._identity is None and self._looked and problem == self._problem:
            return
        if problem != self._problem:
            log.warning("%s: %s; its numbers are gone until it can be read", self.folder.label, problem)
        self._forget_root()
        self._problem = problem
        self._looked = True
        self._common.touched()

    # Time ----------------------------------------------------------------------------------------------------------

    def keep_time(self, now: float) -> None:
        """Want the looks that are due by the clock."""
        if self._identity is None or self._look is not None or self._scan_duration_seconds is None:
            return
        settings, looker = self._common.settings, self.looker
        is_polled = looker.source is None or looker.root in looker.unwatched
        interval_seconds = settings.poll_interval_seconds if is_polled else settings.rescan_seconds
        rest_seconds = (_LOOK_SHARE - 1) * self._scan_duration_seconds
        if now >= self._look_ended_at + max(interval_seconds, rest_seconds):
            self.want_look(Reason.INTERVAL)
        elif looker.unwatched and now >= self._unwatched_due_at:
            self._unwatched_due_at = now + max(settings.poll_interval_seconds, rest_seconds)
            for directory in looker.unwatched:
                looker.want_listing(directory, deep=False, absent_since=directory.seen_at or now)

    def obey_mounts(self, points: set[bytes] | None, now: float) -> None:
        """Look again when something was mounted on or unmounted from a place in the folder, or the folder's own.

        What came and went since the last call may have misled only the looks since then. On hosts where mounts come
        and go all the time, looking there again takes no more than its share of the time.
        """
        own = self.looker.real_path.rstrip(b"/") + b"/"
        if any((point.rstrip(b"/") + b"/").startswith(own) for point in points or ()):
            self.want_look(Reason.INTERVAL)
        elif points is not None:
            self.looker.doubtful |= self.looker.recent
        self.looker.recent.clear()
        if self.looker.doubtful and self._identity is not None and now >= self._may_doubt_at:
            files = self.looker.look_again_at_doubtful()
            self._may_doubt_at = now + files * _LISTED_FILE_SECONDS * (_LOOK_SHARE - 1)

    def settle_doubts(self) -> None:
        """All that happened is folded: what a look found different and no event has told of is drift."""
        if self.looker.suspects:
            self._drift_files += len(self.looker.suspects)
            self.looker.suspects.clear()
            self._common.touched()

    # For those who read --------------------------------------------------------------------------------------------

    def tell(self, tell: Callable[[FileEvent], None] | None) -> None:
        """Tell of every file event from now on, or no more."""
        self.looker.state.tell = None if tell is None else partial(self._tell, tell)

    def _tell(
        self, tell: Callable[[FileEvent], None],
        happening: Happening, directory: Directory, name: bytes, index: int, size_bytes: int,
    ) -> None:  # fmt: skip
        pattern = self.folder.selection.labels[index]
        at = self._common.clock().wall
        tell(FileEvent(happening, self.folder.label, pattern, printable(directory.below + name), size_bytes, at))

    def status(self) -> FolderStatus:
        """Give how far the watching is."""
        look = self._look
        return FolderStatus(
            folder=self.folder.label,
            up=self._up,
            looked=self._looked,
            files_seen=look.files_seen if look else self.looker.state.files,
            problem=self._problem,
        )

    def snapshot(self) -> FolderSnapshot:
        """Give the numbers as they are now; the lock must be held."""
        looker = self.looker
        return FolderSnapshot(
            folder=self.folder.label,
            labels=self.folder.labels,
            up=self._up,
            recursive=self.folder.selection.recursive,
            patterns=looker.state.patterns(),
            backend=looker.backend,
            scans={reason: self._scans[reason] for reason in Reason},
            scan_duration_seconds=self._scan_duration_seconds,
            last_scan_at=self._last_scan_at,
            overflows=self.overflows,
            drift_files=self._drift_files,
            faults={fault: looker.faults[fault] for fault in Fault},
        )
