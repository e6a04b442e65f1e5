"""The engine: one thread that owns the state. Takes hints, looks, folds, and tells who wants to know.

    source --Hint--> queue --> look --> fold --> snapshot

Events only say where to look; a look says what is true. So a lost, late, doubled or misleading event costs time, never
truth. Order at the start: arm the watch of a directory, then list it; what happens meanwhile is told and folded after.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp import scan
from fexp.errors import LookError
from fexp.model import (
    DIRECTORY_ARRIVED,
    DIRECTORY_CHANGED,
    DIRECTORY_LEFT,
    ITSELF,
    LEFT,
    OVERFLOW,
    Backend,
    Fault,
    FileEvent,
    FolderSnapshot,
    FolderStatus,
    Happening,
    Instant,
    Reason,
    Snapshot,
)
from fexp.names import printable
from fexp.state import DEFAULT_DWELL_BOUNDS_SECONDS, Directory, FolderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fexp.clock import Clock
    from fexp.model import FileInfo
    from fexp.selection import Folder
    from fexp.watch import Histories, Source

    Listener = Callable[[Sequence[FileEvent]], None]

_log = logging.getLogger("fexp")

_PULSE_SECONDS = 1.0
"""How often a folder's path is checked to still name the directory that is watched. No event tells of a mount over it."""
_BATCH_DELIVERIES = 64
_FOLD_AT_ONCE = 256
"""Files folded under one hold of the lock: a scrape waits for at most so many."""
_WORK_SECONDS = 0.005
"""How long listing goes on before hints get their turn."""
_LOOK_SHARE = 20
"""Timed looks take at most a twentieth of the time."""


@dataclass(frozen=True)
class EngineSettings:
    """How to watch. ``backend`` None: inotify where it works, else the next best."""

    backend: Backend | None = None
    rescan_seconds: float = 300.0
    poll_interval_seconds: float = 5.0
    dwell_bounds_seconds: tuple[float, ...] = DEFAULT_DWELL_BOUNDS_SECONDS


@dataclass(eq=False)
class _Look:
    """A whole look at a folder, under way."""

    reason: Reason
    began: Instant
    listings_left: int = 0
    files_seen: int = 0
    cancelled: bool = False


@dataclass(eq=False)
class _Job:
    """A directory to be listed. ``deep``: and all below. ``absent_since``: what is new was not there then."""

    directory: Directory
    deep: bool
    look: _Look | None
    absent_since: float


class _Watched:
    """A folder and how its watching goes. Only the engine's thread changes it."""

    def __init__(self, folder: Folder, settings: EngineSettings, source: Source | None) -> None:
        self.folder = folder
        self.state = FolderState(folder.path, folder.selection, settings.dwell_bounds_seconds)
        self.source = source
        """None: nothing tells of changes, the folder is polled."""
        self.identity: scan.Identity | None = None
        self.looked = False
        self.up = False
        self.problem: str | None = None
        self.ever_up = False
        self.missing_since = float("-inf")
        self.look: _Look | None = None
        self.next_reason: Reason | None = None
        """A whole look that is due as soon as it may begin."""
        self.not_before = float("-inf")
        """The next whole look begins no earlier, on the steady clock."""
        self.unwatched: set[Directory] = set()
        """Directories that the source could not watch: they are polled."""
        self.unwatched_due_at = 0.0
        self.suspects: set[tuple[Directory, bytes]] = set()
        """Files that a whole look found different and no event has told of yet."""
        self.scans: Counter[Reason] = Counter()
        self.scan_duration_seconds: float | None = None
        self.last_scan_at: float | None = None
        self.overflows = 0
        self.drift_files = 0
        self.faults: Counter[Fault] = Counter()

    @property
    def backend(self) -> Backend:
        """What this folder is watched by; polling if any part of it is polled."""
        return Backend.POLLING if self.source is None or self.unwatched else self.source.backend


class _Batch:
    """What a run of hints asks to be looked at."""

    def __init__(self) -> None:
        self.histories: Histories = defaultdict(partial(defaultdict, str))
        self.detached: list[Directory] = []
        self.examine: dict[tuple[Directory, bytes], str] = {}
        self.roots: set[FolderState] = set()


class Engine:
    """Watches folders in a thread of its own.

    ``changed`` is called from that thread after the numbers changed; it must be cheap and not raise.
    ``snapshot`` and ``statuses`` may be called from any thread.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        settings: EngineSettings | None = None,
        *,
        changed: Callable[[], None] = lambda: None,
        clock: Clock = clocks.now,
    ) -> None:
        self._settings = settings or EngineSettings()
        self._changed = changed
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Source | None, object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._dirty = False
        self._stopping = False
        self._turns = 0
        self._turns_told = -1
        self._pulse_at = float("-inf")
        self._pulse_seconds = min(_PULSE_SECONDS, self._settings.poll_interval_seconds)
        self._listener: Listener | None = None
        self._told: list[FileEvent] = []
        self._flushes: list[threading.Event] = []
        self._sources: list[Source] = []
        source = self._open_source()
        self._watched: dict[FolderState, _Watched] = {}
        for folder in folders:
            watched = _Watched(folder, self._settings, source)
            self._watched[watched.state] = watched
        self._thread = threading.Thread(target=self._run, name="fexp-engine", daemon=True)

    # For other threads ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the watching and wait for it. The numbers stay readable."""
        self._queue.put((None, self._stop))
        if self._thread.is_alive():
            self._thread.join()
        for source in self._sources:
            source.close()
        self._sources = []

    def look_again(self, reason: Reason) -> None:
        """Ask for a whole look at every folder."""
        self._queue.put((None, partial(self._want_looks, reason)))

    def follow(self, listener: Listener | None) -> None:
        """Tell ``listener`` of every file event from now on, in the engine's thread; None ends it."""
        self._queue.put((None, partial(self._set_listener, listener)))

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything that has happened is folded. False when it did not come to that in time."""
        done = threading.Event()
        self._queue.put((None, partial(self._flushes.append, done)))
        return done.wait(timeout_seconds)

    def snapshot(self) -> Snapshot:
        """Give the numbers as they are now."""
        with self._lock:
            return Snapshot(tuple(self._snapshot_of(watched) for watched in self._watched.values()))

    def statuses(self) -> list[FolderStatus]:
        """Give how far the watching of each folder is."""
        return [
            FolderStatus(
                folder=watched.folder.label,
                up=watched.up,
                looked=watched.looked,
                files_seen=look.files_seen if (look := watched.look) else watched.state.files,
                problem=watched.problem,
            )
            for watched in self._watched.values()
        ]

    def unready(self) -> list[str]:
        """Give the reasons why the numbers cannot be relied on yet, or no more."""
        reasons = [
            f"first look at {status.folder} is under way, {status.files_seen} files so far"
            for status in self.statuses()
            if not status.looked
        ]
        if not self._thread.is_alive():
            reasons.append("the engine's thread is dead")
        reasons.extend(f"the {source.backend} watcher is dead" for source in self._sources if not source.alive())
        return reasons

    def has_turned(self) -> bool:
        """Say whether the engine's loop has turned since the last call: the proof that it works."""
        turned = self._turns != self._turns_told
        self._turns_told = self._turns
        return turned

    # The loop ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._turns += 1
            self._take(self._patience_seconds())
            self._work()
            self._keep_time()
            self._announce()

    def _patience_seconds(self) -> float:
        if self._jobs or self._dirty:
            return 0.0
        if self._flushes or any(watched.suspects for watched in self._watched.values()):
            return 0.001
        now = self._clock().steady
        due_at = self._pulse_at + self._pulse_seconds
        for watched in self._watched.values():
            if watched.next_reason is not None and watched.look is None and watched.identity is not None:
                due_at = min(due_at, watched.not_before)
        return max(0.0, due_at - now)

    def _take(self, patience_seconds: float) -> None:
        """Take what sources delivered, look where it points to and fold."""
        batch = _Batch()
        try:
            for _ in range(_BATCH_DELIVERIES):
                source, delivered = self._queue.get(patience_seconds > 0, patience_seconds)
                patience_seconds = 0.0
                if source is None:
                    assert callable(delivered)
                    delivered()
                else:
                    self._read_hints(source, delivered, batch)
        except queue.Empty:
            pass
        self._look_at(batch)

    def _read_hints(self, source: Source, delivered: object, batch: _Batch) -> None:
        for directory, name, letter in source.hints(delivered, batch.histories):
            if directory is None:
                self._lost_events(source)
            elif letter == DIRECTORY_LEFT:
                self._detach(directory, name, batch)
            elif letter == ITSELF and directory.parent is None:
                batch.roots.add(directory.folder)
            elif letter == ITSELF and directory.parent is not None:
                batch.examine[directory.parent, directory.name] = DIRECTORY_CHANGED
            elif letter == DIRECTORY_CHANGED and not name:
                self._reconsider(directory, batch)
            else:
                batch.examine[directory, name] = letter

    def _detach(self, parent: Directory, name: bytes, batch: _Batch) -> None:
        """A subdirectory left: what its watches still tell is about another place."""
        child = parent.children.pop(name, None)
        if child is not None:
            self._disarm_below(child)
            batch.detached.append(child)

    def _reconsider(self, directory: Directory, batch: _Batch) -> None:
        """The directory's own attributes changed: it may have become readable, or no more."""
        if directory.parent is None:
            self._jobs.append(_Job(directory, deep=False, look=None, absent_since=self._clock().steady))
        else:
            batch.examine.setdefault((directory.parent, directory.name), DIRECTORY_CHANGED)

    def _look_at(self, batch: _Batch) -> None:
        for directory, histories in batch.histories.items():
            if directory.alive:
                self._look_at_files(directory, histories)
        now = self._clock()
        for child in batch.detached:
            with self._lock:
                self._dirty |= child.folder.drop(child, now)
        for (parent, name), letter in batch.examine.items():
            if parent.alive:
                self._examine(parent, name, letter)
        for state in batch.roots:
            self._check_root(self._watched[state])

    def _look_at_files(self, directory: Directory, histories: dict[bytes, str]) -> None:
        state = directory.folder
        selection = state.selection
        watched = self._watched[state]
        facts = watched.source is not None and watched.source.departures_are_facts
        prefix = directory.path if directory.path.endswith(b"/") else directory.path + b"/"
        if watched.suspects:
            watched.suspects.difference_update((directory, name) for name in histories)
        seen: list[tuple[bytes, str, FileInfo | None]] = []
        for name, history in histories.items():
            info = None
            if not facts or history[-1] != LEFT:
                if not selection.patterns_of(name, directory.below):
                    continue
                try:
                    info = scan.look(prefix + name, follow_symlinks=selection.follow_symlinks)
                except OSError as error:
                    self._fault(watched, error)
            seen.append((name, history, info))
            if len(seen) == _FOLD_AT_ONCE:
                self._fold(directory, seen)
                seen = []
        self._fold(directory, seen)

    def _fold(self, directory: Directory, seen: list[tuple[bytes, str, FileInfo | None]]) -> None:
        now = self._clock()
        fold = directory.folder.fold
        dirty = False
        with self._lock:
            for name, history, info in seen:
                dirty |= fold(directory, name, history, info, now, now.steady)
        self._dirty |= dirty

    # Directories ---------------------------------------------------------------------------------------------------

    def _examine(self, parent: Directory, name: bytes, letter: str) -> None:
        """Look whether a subdirectory is there, and list what is not known of it."""
        if not parent.folder.selection.enters(name, parent.below):
            return
        now = self._clock()
        child = parent.children.get(name)
        path = child.path if child else os.path.join(parent.path, name)
        if not scan.is_directory(path):
            if child is not None:
                self._drop(child, now)
            return
        is_new = child is None
        child = child or parent.child(name)
        source = self._watched[child.folder].source
        replaced = self._arm(child)
        deep = is_new or replaced or (source is not None and not source.per_directory)
        if deep or letter != DIRECTORY_ARRIVED:
            self._jobs.append(_Job(child, deep=deep, look=None, absent_since=now.steady))

    def _arm(self, directory: Directory) -> bool:
        """Watch a directory as well as can be; say whether what was known of it is doubtful."""
        watched = self._watched[directory.folder]
        if watched.source is None:
            return False
        try:
            replaced = watched.source.arm(directory)
        except OSError as error:
            if scan.fault_of(error) is not None and directory not in watched.unwatched:
                if not watched.unwatched:
                    _log.warning(
                        "%s: cannot watch %s (%s); what cannot be watched is polled every %gs",
                        watched.folder.label, printable(directory.path), error.strerror,
                        self._settings.poll_interval_seconds,
                    )  # fmt: skip
                watched.unwatched.add(directory)
            return True
        watched.unwatched.discard(directory)
        return replaced

    def _disarm_below(self, directory: Directory) -> None:
        watched = self._watched[directory.folder]
        for part in directory.subtree():
            watched.unwatched.discard(part)
            if watched.source is not None:
                watched.source.disarm(part)

    def _drop(self, directory: Directory, now: Instant) -> None:
        self._disarm_below(directory)
        with self._lock:
            self._dirty |= directory.folder.drop(directory, now)

    def _work(self) -> None:
        """List directories for a while."""
        if not self._jobs:
            return
        until = self._clock().steady + _WORK_SECONDS
        while self._jobs:
            job = self._jobs.pop()
            if job.directory.alive and not (job.look and job.look.cancelled):
                self._list(job)
            if job.look is not None:
                job.look.listings_left -= 1
                if job.look.listings_left == 0 and not job.look.cancelled:
                    self._finish(self._watched[job.directory.folder], job.look)
            if self._clock().steady >= until:
                break

    def _list(self, job: _Job) -> None:
        directory = job.directory
        watched = self._watched[directory.folder]
        began = self._clock()
        try:
            listing = scan.list_directory(directory.path, directory.below, directory.folder.selection)
        except OSError as error:
            self._unlistable(directory, watched, error)
            return
        for fault, count in listing.faults.items():
            watched.faults[fault] += count
        if job.look is not None:
            job.look.files_seen += len(listing.files)
        self._fold_listing(job, listing, watched)
        self._follow_listing(job, listing)
        directory.seen_at = began.steady

    def _fold_listing(self, job: _Job, listing: scan.Listing, watched: _Watched) -> None:
        directory, state = job.directory, job.directory.folder
        now = self._clock()
        is_start = job.look is not None and job.look.reason is Reason.START
        suspects: list[bytes] = []
        vanished = directory.names()
        for first in range(0, len(listing.files), _FOLD_AT_ONCE):
            with self._lock:
                for name, info in listing.files[first : first + _FOLD_AT_ONCE]:
                    vanished.discard(name)
                    since_change = max(0.0, now.wall - info.changed_at)
                    arrived_at = min(now.steady, max(job.absent_since, now.steady - since_change))
                    if is_start:
                        self._dirty |= state.baseline(directory, name, info, arrived_at, now)
                    elif state.fold(directory, name, "", info, now, arrived_at):
                        suspects.append(name)
        with self._lock:
            for name in vanished:
                if state.fold(directory, name, "", None, now, now.steady):
                    suspects.append(name)
        self._dirty |= bool(suspects)
        if job.look is not None and job.look.reason in (Reason.INTERVAL, Reason.OVERFLOW) and watched.source is not None:
            watched.suspects.update((directory, name) for name in suspects if directory not in watched.unwatched)

    def _follow_listing(self, job: _Job, listing: scan.Listing) -> None:
        directory = job.directory
        gone = directory.children.keys() - set(listing.subdirectories)
        now = self._clock()
        for name in gone:
            self._drop(directory.children[name], now)
        for name in listing.subdirectories:
            child = directory.children.get(name)
            if child is not None and not job.deep:
                continue
            absent_since = job.absent_since
            if child is None:
                child = directory.child(name)
            self._arm(child)
            self._jobs.append(_Job(child, deep=True, look=job.look, absent_since=absent_since))
            if job.look is not None:
                job.look.listings_left += 1

    def _unlistable(self, directory: Directory, watched: _Watched, error: OSError) -> None:
        if directory.parent is None:
            self._mark_down(watched, error)
            return
        self._fault(watched, error)
        now = self._clock()
        if not scan.is_directory(directory.path):
            self._drop(directory, now)
            return
        for child in tuple(directory.children.values()):
            self._drop(child, now)
        with self._lock:
            self._dirty |= directory.folder.clear(directory, now)

    @staticmethod
    def _fault(watched: _Watched, error: OSError) -> None:
        fault = scan.fault_of(error)
        if fault is not None:
            watched.faults[fault] += 1

    # Whole looks ---------------------------------------------------------------------------------------------------

    def _lost_events(self, source: Source) -> None:
        for watched in self._watched.values():
            if watched.source is source and watched.identity is not None:
                watched.overflows += 1
                self._want_look(watched, Reason.OVERFLOW)
        self._dirty = True

    def _want_looks(self, reason: Reason) -> None:
        for watched in self._watched.values():
            self._want_look(watched, reason)

    def _want_look(self, watched: _Watched, reason: Reason) -> None:
        if watched.identity is not None and watched.next_reason is None:
            watched.next_reason = reason

    def _begin(self, watched: _Watched, reason: Reason, absent_since: float) -> None:
        watched.next_reason = None
        watched.look = _Look(reason, self._clock(), listings_left=1)
        self._jobs.append(_Job(watched.state.root, deep=True, look=watched.look, absent_since=absent_since))

    def _finish(self, watched: _Watched, look: _Look) -> None:
        now = self._clock()
        duration_seconds = now.steady - look.began.steady
        with self._lock:
            watched.look = None
            watched.scans[look.reason] += 1
            watched.scan_duration_seconds = duration_seconds
            watched.last_scan_at = now.wall
            watched.not_before = now.steady + duration_seconds
            if not watched.up and watched.ever_up:
                _log.info("%s: back, %d files", watched.folder.label, watched.state.files)
            watched.looked = watched.up = watched.ever_up = True
            watched.problem = None
        self._dirty = True

    # The folder itself ---------------------------------------------------------------------------------------------

    def _check_root(self, watched: _Watched) -> None:
        """Look whether the folder's path still names the directory that is watched, and watch what it names."""
        root = watched.state.root
        try:
            identity = scan.identity(root.path)
        except OSError as error:
            self._mark_down(watched, error)
            return
        source = watched.source
        is_watched = source is None or root in watched.unwatched or source.watching(root)
        if identity == watched.identity and is_watched:
            return
        is_first = not watched.looked
        absent_since = float("-inf") if is_first else max(watched.missing_since, watched.state.root.seen_at or 0.0)
        self._forget_root(watched)
        self._arm(root)
        try:
            if scan.identity(root.path) != identity:
                raise LookError
        except (OSError, LookError):
            return  # replaced once more while it was armed: the next pulse sees what is there then
        watched.identity = identity
        self._begin(watched, Reason.START if is_first else Reason.REAPPEARED, absent_since)

    def _forget_root(self, watched: _Watched) -> None:
        self._disarm_below(watched.state.root)
        with self._lock:
            watched.identity = None
            watched.up = False
            if watched.look is not None:
                watched.look.cancelled = True
                watched.look = None
            watched.next_reason = None
            watched.suspects.clear()

    def _mark_down(self, watched: _Watched, error: OSError) -> None:
        watched.missing_since = self._clock().steady
        was_known = watched.identity is not None or not watched.looked
        problem = f"{watched.folder.label}: {error.strerror or error}"
        if was_known or problem != watched.problem:
            _log.warning("%s; its numbers are gone until it can be read", problem)
            self._forget_root(watched)
            watched.problem = problem
            watched.looked = True
            self._dirty = True

    # Time ----------------------------------------------------------------------------------------------------------

    def _keep_time(self) -> None:
        now = self._clock().steady
        if now >= self._pulse_at + self._pulse_seconds:
            self._pulse_at = now
            for watched in self._watched.values():
                self._check_root(watched)
                self._time_looks(watched, now)
        for watched in self._watched.values():
            if watched.next_reason is not None and watched.look is None and now >= watched.not_before:
                root = watched.state.root
                self._begin(watched, watched.next_reason, root.seen_at if root.seen_at is not None else now)
        self._settle_doubts()

    def _time_looks(self, watched: _Watched, now: float) -> None:
        if watched.identity is None or watched.look is not None or watched.scan_duration_seconds is None:
            return
        is_polled = watched.source is None or watched.state.root in watched.unwatched
        interval_seconds = self._settings.poll_interval_seconds if is_polled else self._settings.rescan_seconds
        last_end = watched.not_before - watched.scan_duration_seconds
        if now >= last_end + max(interval_seconds, (_LOOK_SHARE - 1) * watched.scan_duration_seconds):
            self._want_look(watched, Reason.INTERVAL)
        elif watched.unwatched and now >= watched.unwatched_due_at:
            watched.unwatched_due_at = now + self._settings.poll_interval_seconds
            for directory in watched.unwatched:
                self._jobs.append(_Job(directory, deep=False, look=None, absent_since=directory.seen_at or now))

    def _settle_doubts(self) -> None:
        """Once all that happened is folded: what no event has told of is drift, and who waits for quiet has it."""
        if self._jobs or not self._queue.empty() or not all(source.drained() for source in self._sources):
            return
        for watched in self._watched.values():
            if watched.look is not None or (watched.next_reason is not None and watched.identity is not None):
                return
        if not self._queue.empty():
            return
        for watched in self._watched.values():
            if watched.suspects:
                watched.drift_files += len(watched.suspects)
                watched.suspects.clear()
                self._dirty = True
        for done in self._flushes:
            done.set()
        self._flushes.clear()

    # Telling -------------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        if self._told and self._listener is not None:
            self._listener(self._told)
            self._told = []
        if self._dirty:
            self._dirty = False
            self._changed()

    def _set_listener(self, listener: Listener | None) -> None:
        self._listener = listener
        for watched in self._watched.values():
            watched.state.tell = partial(self._tell, watched) if listener else None

    def _tell(
        self, watched: _Watched, happening: Happening, directory: Directory, name: bytes, index: int, size_bytes: int
    ) -> None:
        self._told.append(
            FileEvent(
                happening=happening,
                folder=watched.folder.label,
                pattern=watched.folder.selection.patterns[index],
                path=printable(directory.below + name),
                size_bytes=size_bytes,
                at=self._clock().wall,
            )
        )

    def _stop(self) -> None:
        self._stopping = True

    def _open_source(self) -> Source | None:
        """Open what the settings ask for; without it, the folders are polled."""
        wanted = self._settings.backend
        if wanted is Backend.POLLING:
            return None
        try:
            source = _open(wanted or Backend.INOTIFY, self._deliver, self._is_behind)
        except (OSError, ImportError) as error:
            _log.warning("no %s watcher (%s); all folders are polled", wanted or "file event", error)
            return None
        self._sources.append(source)
        return source

    def _deliver(self, source: Source, delivered: object) -> None:
        self._queue.put((source, delivered))

    def _is_behind(self) -> bool:
        return not self._queue.empty()

    def _snapshot_of(self, watched: _Watched) -> FolderSnapshot:
        return FolderSnapshot(
            folder=watched.folder.label,
            labels=watched.folder.labels,
            up=watched.up,
            recursive=watched.folder.selection.recursive,
            patterns=watched.state.patterns(),
            backend=watched.backend,
            scans={reason: watched.scans[reason] for reason in Reason},
            scan_duration_seconds=watched.scan_duration_seconds,
            last_scan_at=watched.last_scan_at,
            overflows=watched.overflows,
            drift_files=watched.drift_files,
            faults={fault: watched.faults[fault] for fault in Fault},
        )


def _open(backend: Backend, deliver: Callable[[Source, object], None], is_behind: Callable[[], bool]) -> Source:
    if backend is Backend.OBSERVER:
        from fexp.watch.observer import ObserverSource

        return ObserverSource(deliver)
    from fexp.watch.inotify import InotifySource

    return InotifySource(deliver, is_behind)
