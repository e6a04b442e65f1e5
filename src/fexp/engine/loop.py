"""The engine's thread: routes what sources deliver to the folders, keeps them working, and answers other threads."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.config.settings import EngineSettings
from fexp.disk.mounts import Mounts
from fexp.engine.context import Common, log
from fexp.engine.watched import WatchedFolder
from fexp.model import DIRECTORY_CHANGED, DIRECTORY_LEFT, ITSELF, Backend, Reason, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.clock import Clock
    from fexp.files.selection import Folder
    from fexp.files.state import Directory, FolderState
    from fexp.model import FileEvent, FolderStatus
    from fexp.watch import Histories, Source

    Listener = Callable[[Sequence[FileEvent]], None]

_PULSE_SECONDS = 1.0
"""How often a folder's path is checked to still name the directory that is watched: no event tells of every change."""
_BATCH_DELIVERIES = 64
_BATCH_BYTES = 1 << 20
"""Of events. A batch ends after so many, that one name's history cannot grow without bound."""
_WORK_SECONDS = 0.005
"""How long listing goes on before hints get their turn."""
_BREATH_SECONDS = 0.002
"""Before each step of work that can wait, so that whoever reads the numbers comes first."""
_STOP_SECONDS = 3.0
"""How long a stop waits for the look under way: a dead file system may never answer."""
_DOUBT_SECONDS = 0.001
"""How often it is checked whether all that happened is folded, while somebody waits for that."""


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
        self._mounts = Mounts()
        self._dirty = False
        self._stopping = False
        self._steps = 0
        self._steps_told = -1
        self._pulse_at = float("-inf")
        self._pulse_seconds = min(_PULSE_SECONDS, self._settings.poll_interval_seconds)
        self._listener: Listener | None = None
        self._told: list[FileEvent] = []
        self._flushes: list[threading.Event] = []
        self._source = self._open_source()
        common = Common(self._settings, clock, self._lock, self._mounts, self._touch, self._progress)
        watched = [WatchedFolder(folder, self._source, common) for folder in folders]
        self._watched = {folder.looker.state: folder for folder in watched}
        self._thread = threading.Thread(target=self._run, name="fexp-engine", daemon=True)

    # For other threads ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the watching. The numbers stay readable. A look that hangs in the file system is left behind."""
        self._queue.put((None, self._stop))
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            log.warning("a look at the disk hangs or takes long; fexp ends without it")
            return
        if self._source is not None:
            self._source.close()
        self._mounts.close()

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
            return Snapshot(tuple(watched.snapshot() for watched in self._watched.values()))

    def statuses(self) -> list[FolderStatus]:
        """Give how far the watching of each folder is."""
        return [watched.status() for watched in self._watched.values()]

    def unready(self) -> list[str]:
        """Give the reasons why the numbers cannot be relied on yet, or no more."""
        reasons = [
            f"first look at {status.folder} is under way, {status.files_seen} files so far"
            for status in self.statuses()
            if not status.looked
        ]
        if not self.is_alive():
            reasons.append("the engine's thread is dead")
        if self._source is not None and not self._source.alive():
            reasons.append(f"the {self._source.backend} watcher is dead")
        return reasons

    def is_alive(self) -> bool:
        """Say whether the engine's thread runs."""
        return self._thread.is_alive()

    def has_progressed(self) -> bool:
        """Say whether the engine's loop has gone on since the last call: the proof that it works."""
        steps = self._steps
        progressed, self._steps_told = steps != self._steps_told, steps
        return progressed

    # The loop ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._progress()
            owing = [watched for watched in self._watched.values() if watched.looker.state.owes_dwells]
            self._take(self._patience_seconds())
            for watched in owing:  # what departs in this turn is shown before more is made of it
                watched.looker.observe_some()
            self._work()
            self._keep_time()
            self._announce()

    def _progress(self) -> None:
        self._steps += 1

    def _patience_seconds(self) -> float:
        if self._dirty or any(watched.looker.is_busy for watched in self._watched.values()):
            return 0.0
        if any(watched.looker.state.owes_dwells for watched in self._watched.values()):
            return 0.0 if self._flushes else _BREATH_SECONDS
        if self._flushes or any(watched.looker.suspects for watched in self._watched.values()):
            return _DOUBT_SECONDS
        due_at = min((watched.due_at for watched in self._watched.values()), default=float("inf"))
        return max(0.0, min(due_at, self._pulse_at + self._pulse_seconds) - self._clock().steady)

    def _take(self, patience_seconds: float) -> None:
        """Take what sources delivered, look where it points to and fold."""
        batch = _Batch()
        read_bytes = 0
        try:
            for _ in range(_BATCH_DELIVERIES):
                if read_bytes > _BATCH_BYTES:
                    break
                source, delivered = self._queue.get(patience_seconds > 0, patience_seconds)
                patience_seconds = 0.0
                if source is None:
                    assert callable(delivered)
                    delivered()
                else:
                    self._read_hints(source, delivered, batch)
                    read_bytes += len(delivered) if isinstance(delivered, bytes) else 1
        except queue.Empty:
            pass
        self._look_at(batch)

    def _read_hints(self, source: Source, delivered: object, batch: _Batch) -> None:
        for directory, name, letter in source.hints(delivered, batch.histories):
            if directory is None:
                self._lost_events()
            elif letter == DIRECTORY_LEFT:
                child = self._watched[directory.folder].looker.detach(directory, name)
                if child is not None:
                    batch.detached.append(child)
            elif name:
                batch.examine[directory, name] = letter
            elif directory.parent is not None:
                batch.examine.setdefault((directory.parent, directory.name), DIRECTORY_CHANGED)
            elif letter == ITSELF:
                batch.roots.add(directory.folder)
            else:  # the folder's own attributes changed: it may have become readable, or no more
                self._watched[directory.folder].looker.want_listing(directory, deep=False)

    def _look_at(self, batch: _Batch) -> None:
        for directory, histories in batch.histories.items():
            if directory.alive:
                self._watched[directory.folder].looker.look_at_files(directory, histories)
        for child in batch.detached:
            self._watched[child.folder].looker.drop(child)
        for (parent, name), letter in batch.examine.items():
            if parent.alive:
                self._watched[parent.folder].looker.examine(parent, name, letter)
        for state in batch.roots:
            self._watched[state].check_root()

    def _work(self) -> None:
        """List directories for a while, each folder in its turn."""
        until = self._clock().steady + _WORK_SECONDS
        busy = [watched for watched in self._watched.values() if watched.looker.is_busy]
        while busy:
            for watched in busy:
                watched.work()
                if self._clock().steady >= until:
                    return
            busy = [watched for watched in busy if watched.looker.is_busy]

    def _keep_time(self) -> None:
        now = self._clock().steady
        if now >= self._pulse_at + self._pulse_seconds:
            self._pulse_at = now
            points = self._mounts.changed_points()
            for watched in self._watched.values():
                watched.check_root()
                watched.keep_time(now)
                watched.obey_mounts(points, now)
        for watched in self._watched.values():
            watched.begin_if_due(now)
        self._settle_doubts()

    def _settle_doubts(self) -> None:
        """Once all that happened is folded, tell those who wait for that. Asked in the order of its way here."""
        if not self._flushes and not any(watched.looker.suspects for watched in self._watched.values()):
            return
        if self._source is not None and not self._source.drained():
            return
        if not self._queue.empty() or any(watched.is_unsettled for watched in self._watched.values()):
            return
        for watched in self._watched.values():
            watched.settle_doubts()
        for done in self._flushes:
            done.set()
        self._flushes.clear()

    def _announce(self) -> None:
        if self._told and self._listener is not None:
            self._listener(tuple(self._told))
            self._told.clear()
        if self._dirty:
            self._dirty = False
            self._changed()

    # What is asked of it -------------------------------------------------------------------------------------------

    def _lost_events(self) -> None:
        for watched in self._watched.values():
            watched.lost_events()
        self._touch()

    def _want_looks(self, reason: Reason) -> None:
        for watched in self._watched.values():
            watched.want_look(reason)

    def _set_listener(self, listener: Listener | None) -> None:
        self._listener = listener
        for watched in self._watched.values():
            watched.tell(self._told.append if listener else None)

    def _touch(self) -> None:
        self._dirty = True

    def _stop(self) -> None:
        self._stopping = True

    # Sources -------------------------------------------------------------------------------------------------------

    def _open_source(self) -> Source | None:
        """Open what the settings ask for; without it, the folders are polled."""
        wanted = self._settings.backend
        if wanted is Backend.POLLING:
            return None
        try:
            return _open(wanted or Backend.INOTIFY, self._deliver)
        except (OSError, ImportError) as error:
            log.warning("no %s watcher (%s); all folders are polled", wanted or "file event", error)
            return None

    def _deliver(self, source: Source, delivered: object) -> None:
        self._queue.put((source, delivered))


def _open(backend: Backend, deliver: Callable[[Source, object], None]) -> Source:
    if backend is Backend.OBSERVER:
        from fexp.watch.observer import ObserverSource

        return ObserverSource(deliver)
    from fexp.watch.inotify import InotifySource

    return InotifySource(deliver)
