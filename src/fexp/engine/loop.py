"""The engine's thread: routes what sources deliver to the folders, keeps them working, and answers other threads."""

from __future__ import annotations

import threading
from functools import partial
from math import inf
from queue import SimpleQueue
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.config.settings import EngineSettings
from fexp.disk.listers import Listers
from fexp.disk.mounts import Mounts
from fexp.engine.agenda import Agenda
from fexp.engine.batch import Batch
from fexp.engine.context import Context, log
from fexp.engine.feed import DEFAULT_CAPACITY, Feed, Subscription
from fexp.engine.folder import FolderWatch
from fexp.engine.listed_files import list_files
from fexp.engine.other_names import look_at_other_names
from fexp.engine.path_checks import PathChecks
from fexp.engine.seen_elsewhere import HardLinks
from fexp.engine.sources import Sources
from fexp.engine.waiters import Waiters
from fexp.limits import starting_threads
from fexp.model import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fexp.clock import Clock
    from fexp.counting.selection import Folder
    from fexp.engine.batch import Deliveries
    from fexp.events import Source
    from fexp.events.directory import WatchedDirectory
    from fexp.listed import FileQuery, ListedFile
    from fexp.model import FolderStatus, Reason

_PULSE_SECONDS = 1.0
"""How often a folder's path is checked to still name the directory that is watched: no event reports every change."""
_WORK_SECONDS = 0.005
"""How long listing goes on before hints get their turn."""
_BREATH_SECONDS = 0.002
"""Before each step of work that can wait, so that whoever reads the numbers comes first."""
_ANSWERS_SECONDS = 0.001
"""How often it is checked whether other processes have listed something, while there is nothing else to do."""
_STOP_SECONDS = 3.0
"""How long a stop waits for the look under way: a dead file system may never answer."""
_DOUBT_SECONDS = 0.001
"""How often it is checked whether all that happened is folded, while somebody waits for that."""


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
        self._wall = clocks.WallTime()
        self._queue: Deliveries = SimpleQueue()
        self._lock = threading.Lock()
        self._mounts = Mounts()
        self._dirty = False
        self._stopping = False
        self._steps = 0
        self._steps_reported = -1
        self._pulse_at = -inf
        self._pulse_seconds = min(_PULSE_SECONDS, self._settings.poll_interval_seconds)
        self._feed = Feed()
        self._waiters = Waiters(self._ask)
        self._delivered = self._folded = 0
        """Deliveries of the sources. Each number has one thread that changes it, so no lock is needed."""
        self._sources = Sources(self._settings.backend, self._deliver, self._deliver_path)
        self._paths = PathChecks(self._sources.ways, self._mounts)
        self._hard_links = HardLinks()
        self._listers = Listers()
        self._context = Context(
            self._settings, clock, self._wall, self._lock, self._mounts, self._feed, self._hard_links,
            self._listers, self._touch, self._progress,
        )  # fmt: skip
        self._folders = tuple(FolderWatch(folder, self._source, self._context) for folder in folders)
        self._folder_of: dict[WatchedDirectory, FolderWatch] = {folder.tree.root: folder for folder in self._folders}
        self._agenda = Agenda()
        self._seen: set[FolderWatch] = set()
        """Folders that had something to do since the mounts were last checked."""
        self._thread = threading.Thread(target=self._run, name="fexp-engine", daemon=True)

    @property
    def _source(self) -> Source | None:
        return self._sources.events

    # For other threads ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch. Raise OSError when no thread can be had."""
        with starting_threads():
            self._thread.start()

    def stop(self) -> None:
        """End the watching. The numbers stay readable. A look that hangs in the file system is left behind."""
        self._ask(self._stop)
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._listers.close()
        self._listers.reap(_STOP_SECONDS)
        if self._thread.is_alive():
            log.warning("a look at the disk hangs or takes long; fexp ends without it")
            return
        if self._source is not None:
            self._source.close()
        self._paths.close()
        self._mounts.close()

    def look_again(self, reason: Reason) -> None:
        """Ask for a whole look at every folder."""
        self._ask(partial(self._want_looks, reason))

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Watch these folders from now on.

        One that is watched already, selected and labelled as before, keeps its numbers and is not looked at again.
        """
        self._ask(partial(self._set_folders, tuple(folders)))

    def subscribe(
        self,
        *,
        capacity: int = DEFAULT_CAPACITY,
        present: bool = False,
        leave: bool = False,
        notify: Callable[[], None] = lambda: None,
    ) -> Subscription:
        """Follow what happens to files from now on; see ``Subscription``.

        ``capacity``: so many changes may wait to be taken. ``present``: begin with the files that are there.
        ``leave``: the changes leave fexp.
        """

        def end(one: Subscription) -> None:
            self._ask(partial(self._unsubscribe, one))

        subscription = Subscription(capacity, present=present, leave=leave, notify=notify, end=end)
        self._ask(partial(self._subscribe, subscription))
        return subscription

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything that has happened is folded. Return False when it did not come to that in time."""
        return self.is_alive() and self._waiters.wait(timeout_seconds, for_looks=True)

    def catch_up(self, timeout_seconds: float) -> bool:
        """Wait until the events of what has happened are folded. Return False when it did not come to that in time.

        Costs next to nothing when there are none. What takes a look at a whole directory may still be to come.
        """
        if self._sources.drained() and self._folded == self._delivered:
            return True
        return self._waiters.wait(timeout_seconds, for_looks=False)

    def snapshot(self) -> Snapshot:
        """Return the numbers as they are now. A folder in which nothing changed gives the same object again."""
        with self._lock:
            now = self._context.now()
            folders = tuple([folder.lasting_snapshot or folder.snapshot(now) for folder in self._folders])
        return Snapshot(folders, inotify=self._sources.inotify())

    def list_files(self, query: FileQuery) -> list[ListedFile]:
        """Return the files that are asked for, in order. May be called from any thread."""
        return list_files(self._folders, self._context, query)

    def statuses(self) -> list[FolderStatus]:
        """Return how far the watching of each folder is."""
        return [folder.status() for folder in self._folders]

    def looking(self) -> list[FolderStatus]:
        """Return the same of the folders whose first look is not done. Cheap when there are none."""
        return [folder.status() for folder in self._folders if not folder.has_looked]

    def unready(self) -> list[str]:
        """Return the reasons why the numbers cannot be relied on yet, or no more."""
        reasons = [
            f"first look at {status.folder} is under way, {status.files_seen} files so far" for status in self.looking()
        ]
        if not self.is_alive():
            reasons.append("the engine's thread is dead")
        if self._source is not None and not self._source.alive():
            reasons.append(f"the {self._source.backend} watcher is dead")
        return reasons

    def is_alive(self) -> bool:
        """Return whether the engine's thread runs."""
        return self._thread.is_alive()

    def is_own_thread(self) -> bool:
        """Return whether it is the engine's thread that asks."""
        return threading.current_thread() is self._thread

    def has_progressed(self) -> bool:
        """Return whether the engine's loop has gone on since the last call: the proof that it works."""
        steps = self._steps
        progressed, self._steps_reported = steps != self._steps_reported, steps
        return progressed

    def _ask(self, do: Callable[[], object]) -> None:
        """Have something done in the engine's thread, in the order of its way there."""
        self._queue.put((None, do))

    # The loop ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._sources.log_problem()  # only now: a fexp that cannot begin says nothing but that
        self._check_paths()
        while not self._stopping:
            self._progress()
            owing = tuple(self._agenda.owing)
            self._take(self._patience_seconds())
            if owing:
                self._observe_dwells(owing)
            if self._agenda.is_busy:
                self._work()
            self._dismiss_listers()
            self._agenda.touch(look_at_other_names(self._hard_links, self._folders, self._folder_of))
            self._keep_time()
            self._seen.update(self._agenda.settle())
            self._settle_doubts()
            self._announce()

    def _progress(self) -> None:
        self._steps += 1

    def _patience_seconds(self) -> float:
        agenda = self._agenda
        if self._dirty:
            return 0.0
        if agenda.is_busy:
            return _ANSWERS_SECONDS if agenda.awaits_others else 0.0
        if agenda.owing:
            return 0.0 if self._waiters.wait_for_looks else _BREATH_SECONDS
        if self._waiters or agenda.suspicious:
            return _DOUBT_SECONDS
        return max(0.0, min(agenda.next_due_at, self._pulse_at + self._pulse_seconds) - self._clock().steady)

    def _take(self, patience_seconds: float) -> None:
        """Take what sources delivered, look where it points to and fold."""
        batch = Batch(self._folder_of, self._lost_events)
        taken = batch.take(self._queue, patience_seconds)
        self._agenda.touch(batch.look())
        self._folded += taken

    def _observe_dwells(self, owing: Iterable[FolderWatch]) -> None:
        """Observe some of what was owed before the turn: what departs in it is shown before more is made of it."""
        for folder in owing:
            folder.observe_some_dwells()
        self._agenda.touch(owing)

    def _work(self) -> None:
        """List directories for a while, each folder in its turn."""
        until = self._clock().steady + _WORK_SECONDS
        for folder in self._agenda.busy():
            folder.work()
            if self._clock().steady >= until:
                return

    def _dismiss_listers(self) -> None:
        """End the processes that list directories once no look shares them."""
        if self._listers.is_open and not any(folder.is_looking_urgently for folder in self._folders):
            self._listers.close()
        if not self._listers.is_open:
            self._hard_links.lately_changed.clear()

    def _keep_time(self) -> None:
        now = self._clock().steady
        if now >= self._pulse_at + self._pulse_seconds:
            self._pulse_at = now
            self._listers.reap()
            self._pulse(now)
        for folder in self._agenda.due(now):
            folder.keep_time(now)

    def _pulse(self, now: float) -> None:
        """Check what no event reports: the mounts, whether the clock was set, where paths lead."""
        self._open_sources_again()
        points = self._mounts.changed_points()
        if points is None:
            self._agenda.touch(self._paths.check_unreported(self._folders))
        else:
            self._check_paths()
        seen, self._seen = self._seen, set()
        mounted = seen if points is None else self._folders
        self._agenda.touch([folder for folder in mounted if folder.obey_mounts(points, now)])
        if self._wall.was_set(self._clock()):
            for folder in self._folders:
                folder.touch()

    def _check_paths(self) -> None:
        self._paths.check(self._folders)
        self._agenda.touch(self._folders)

    def _paths_changed(self, events: bytes) -> None:
        self._agenda.touch(self._paths.read(events, self._folders))

    def _settle_doubts(self) -> None:
        """Count the drift and wake those who wait, once no event is on its way. Asked in the order events take."""
        if not self._waiters and not self._agenda.suspicious:
            return
        if self._paths.drained() and self._sources.drained() and self._queue.empty():
            self._waiters.settle(self._agenda)

    def _announce(self) -> None:
        self._feed.publish()
        if self._dirty:
            self._dirty = False
            self._changed()

    # What is asked of it -------------------------------------------------------------------------------------------

    def _lost_events(self) -> None:
        for folder in self._folders:
            folder.lost_events()
        self._agenda.touch(self._folders)

    def _want_looks(self, reason: Reason) -> None:
        for folder in self._folders:
            folder.want_look(reason)
        self._agenda.touch(self._folders)

    def _set_folders(self, folders: tuple[Folder, ...]) -> None:
        known = {watch.folder.key: watch for watch in self._folders}
        watches, added = [], []
        for folder in folders:
            watch = known.pop(folder.key, None)
            if watch is None:
                watch = FolderWatch(folder, self._source, self._context)
                added.append(watch)
            watches.append(watch)
        for ended in known.values():
            ended.end()
        with self._lock:
            self._folders = tuple(watches)
        self._folder_of.clear()
        self._folder_of.update((watch.tree.root, watch) for watch in watches)
        self._paths.keep(watches)
        self._agenda.keep(set(watches))
        self._hard_links.sweep()
        self._seen.intersection_update(watches)
        for watch in watches:
            watch.record_changes(wanted=self._feed.is_wanted)
        self._paths.check(added)
        self._agenda.touch(added)
        self._touch()

    def _subscribe(self, subscription: Subscription) -> None:
        self._feed.add(subscription, [batch for folder in self._folders for batch in folder.present()])
        for folder in self._folders:
            folder.record_changes(wanted=True)

    def _unsubscribe(self, subscription: Subscription) -> None:
        self._feed.remove(subscription)
        for folder in self._folders:
            folder.record_changes(wanted=self._feed.is_wanted)

    def _touch(self) -> None:
        self._dirty = True

    def _stop(self) -> None:
        self._stopping = True

    def _open_sources_again(self) -> None:
        """Have events from now on, if that has become possible."""
        if self._sources.open_missing():
            self._paths.watch = self._sources.ways
            for folder in self._folders:
                folder.tree.arming.source = self._source
            self._check_paths()

    def _deliver(self, source: Source, delivered: object) -> None:
        self._delivered += 1
        self._queue.put((source, delivered))

    def _deliver_path(self, events: bytes) -> None:
        self._ask(partial(self._paths_changed, events))
