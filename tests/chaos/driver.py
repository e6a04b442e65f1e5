"""Storms over a running engine; after each, once quiet, every number against the oracle's."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fexp.counting.selection import Folder, Selection
from fexp.engine import Engine, EngineSettings
from fexp.model import Backend, Reason
from tests.chaos.oracle import Rules, Seen, counts, files_on_disk
from tests.chaos.world import World, remove_tree
from tests.engine.sharing import SLOW, shared

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fexp.engine.folder import FolderWatch
    from fexp.model import FolderSnapshot, GroupSnapshot

_SETTLED_WITHIN_SECONDS = 20.0
_STORM_SECONDS = 60.0
_LINKING = {"hard_link", "linked_life", "write_linked", "exchange_linked"}


def selection_of(rules: Rules) -> Selection:
    """Return the same rules as fexp takes them."""
    return Selection(
        patterns=rules.patterns,
        excludes=rules.excluded_names,
        recursive=rules.recursive,
        max_depth=rules.max_depth if rules.max_depth < 1 << 30 else None,
        hidden=rules.hidden,
        follow_symlinks=rules.follow_symlinks,
        ignore_case=rules.ignore_case,
    )


def known_files(folder: FolderWatch) -> dict[str, dict[bytes, Seen]]:
    """Return what the engine knows, path by path. Only while it is quiet."""
    patterns = folder.folder.selection.patterns
    known: dict[str, dict[bytes, Seen]] = {pattern: {} for pattern in patterns}
    for directory in folder.tree.root.subtree():
        for table in directory.tables:
            assert isinstance(table.key, int)
            files = table.copy()
            for name, size_bytes, modified_at in zip(files.names, files.sizes, files.modified_at, strict=True):
                known[patterns[table.key]][directory.below + name] = Seen(size_bytes, modified_at)
    return known


def folder_watches(engine: Engine) -> tuple[FolderWatch, ...]:
    """Return what the engine keeps of each folder. Only while it is quiet."""
    return engine._folders


def pulse(engine: Engine) -> None:
    """Have the engine check its roots now, not within a second."""
    engine._queue.put((None, engine._check_paths))
    engine._queue.put((None, lambda: setattr(engine, "_pulse_at", float("-inf"))))


@dataclass
class Checked:
    """One folder of an engine, its rules, and what was there when the engine first looked."""

    path: bytes
    label: str
    rules: Rules
    start: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Files and bytes by pattern."""

    def folder(self) -> Folder:
        return Folder(self.path, self.label, selection_of(self.rules))


class Referee:
    """Compares an engine with the disk."""

    def __init__(self, engine: Engine, folders: list[Checked]) -> None:
        self.engine = engine
        self.folders = folders

    def remember_the_start(self) -> None:
        for checked, snapshot in zip(self.folders, self.engine.snapshot().folders, strict=True):
            for pattern in snapshot.groups:
                flow = pattern.flow
                assert flow is not None
                files = pattern.files - flow.arrivals + flow.departures
                size_bytes = pattern.size_bytes - flow.arrived_bytes + flow.departed_bytes
                checked.start[pattern.pattern] = (files, size_bytes)

    def differences(self, *, law: bool = True) -> list[str]:
        """Return what is wrong now, with the law or without. The engine and the disk must be quiet."""
        found: list[str] = []
        watches = folder_watches(self.engine)
        for checked, watch, snapshot in zip(self.folders, watches, self.engine.snapshot().folders, strict=True):
            truth = files_on_disk(checked.path, checked.rules)
            if truth is None:
                if snapshot.up:
                    found.append(f"{checked.label}: up, but it is not there")
                continue
            if not snapshot.up:
                found.append(f"{checked.label}: not up, but it is there")
            known = known_files(watch)
            for glob, files in truth.items():
                found.extend(_path_by_path(f"{checked.label} {glob}", known[glob], files))
            found.extend(_numbers(checked, snapshot, truth))
            for pattern in snapshot.groups if law else ():
                found.extend(_law(checked, pattern))
        return found

    def leaks(self) -> list[str]:
        """Return which watches the engine keeps for nothing."""
        alive = {directory for watch in folder_watches(self.engine) for directory in watch.tree.root.subtree()}
        kept: set[object] = set()
        for holders in getattr(self.engine._source, "_watched", {}).values():
            kept.update(holders)
        return [f"a watch is kept for {directory!r}" for directory in kept - alive]


def _path_by_path(where: str, known: dict[bytes, Seen], truth: dict[bytes, Seen]) -> list[str]:
    return [
        f"{where} {path!r}: known {known.get(path)}, true {truth.get(path)}"
        for path in sorted(known.keys() | truth.keys())
        if known.get(path) != truth.get(path)
    ]


def _numbers(checked: Checked, snapshot: FolderSnapshot, truth: dict[str, dict[bytes, Seen]]) -> list[str]:
    found: list[str] = []
    for pattern in snapshot.groups:
        files = list(truth[pattern.pattern].values())
        sizes = [file.size_bytes for file in files]
        times = [file.modified_at for file in files]
        expected = {
            "files": len(files),
            "size_bytes": sum(sizes),
            "oldest_modified_at": min(times, default=None),
            "newest_modified_at": max(times, default=None),
            "largest_bytes": max(sizes, default=None),
            "smallest_bytes": min(sizes, default=None),
            "empty_files": sizes.count(0),
        }
        shown = {name: pattern.values[name] for name in expected}
        if shown != expected:
            found.append(f"{checked.label} {pattern.pattern}: shows {shown}, true {expected}")
    return found


def _law(checked: Checked, pattern: GroupSnapshot) -> list[str]:
    flow = pattern.flow
    assert flow is not None
    start_files, start_bytes = checked.start.get(pattern.pattern, (0, 0))
    broken: list[str] = []
    if flow.arrivals - flow.departures != pattern.files - start_files:
        broken.append(f"arrivals {flow.arrivals} - {flow.departures} from {start_files}, now {pattern.files}")
    if flow.arrived_bytes - flow.departed_bytes != pattern.size_bytes - start_bytes:
        broken.append(
            f"bytes {flow.arrived_bytes} - {flow.departed_bytes} from {start_bytes}, now {pattern.size_bytes}"
        )
    if sum(flow.dwell.counts) != flow.departures:
        broken.append(f"{sum(flow.dwell.counts)} dwell times of {flow.departures} departures")
    if flow.dwell.sum < 0:
        broken.append(f"a negative dwell time: {flow.dwell.sum}")
    return [f"{checked.label} {pattern.pattern}: {what}" for what in broken]


def chaos_folders(world: World) -> list[Checked]:
    """Folders that overlap, share a path, lie behind a link, and are not there yet."""
    return [
        Checked(world.a, "a", Rules(("*.txt", "f*", "*"))),
        Checked(world.inner, "inner", Rules(("*",), hidden=True, excluded_names=("skip*",))),
        Checked(world.b, "b", Rules(("*.txt", "*.[cp]*"), max_depth=2, ignore_case=True)),
        Checked(world.b, "b flat", Rules(("*.txt",), recursive=False)),
        Checked(world.link, "link", Rules(("*.txt",))),
        Checked(world.absent, "late", Rules(("*",))),
    ]


class Accomplice:
    """A process that storms through the same world at the same time."""

    def __init__(self, base: bytes, seed: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_storm_when_told, args=(base, seed, theirs), daemon=True)
        self._process.start()
        theirs.close()  # or its death would go unnoticed

    def begin(self, actions: int) -> None:
        self._pipe.send(actions)

    def end(self, world: World) -> None:
        """Wait for its storm to end, and write down what it did."""
        assert self._pipe.poll(_STORM_SECONDS), "the accomplice hangs in its storm"
        log, silent = self._pipe.recv()
        world.log += log
        world.silent |= silent

    def close(self) -> None:
        with suppress(OSError):
            self._pipe.send(0)
        self._process.join(_STORM_SECONDS)
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def _storm_when_told(base: bytes, seed: int, pipe: Connection) -> None:
    world = World(base, seed)
    while actions := pipe.recv():
        world.log.clear()
        world.silent = False
        world.storm(actions)
        pipe.send((world.log, world.silent))


def run(
    base: bytes,
    backend: Backend,
    seed: int,
    storms: int,
    accomplices: int = 0,
    *,
    listers: int = 0,
    confined: bool = False,
) -> int:
    """Let storms pass over an engine, and return how much was done. An AssertionError tells the seed and the faults.

    With an even seed the first storm passes while the engine begins. With accomplices no two runs are alike. With
    listers, so many processes share the looks; most storms then pass while everything is looked at.
    """
    with shared(listers, SLOW, lasting=seed % 3 > 0) if listers else nullcontext():
        return _run(base, backend, seed, storms, accomplices, looks_in_storms=bool(listers), confined=confined)


def _run(
    base: bytes, backend: Backend, seed: int, storms: int, accomplices: int, *, looks_in_storms: bool, confined: bool
) -> int:
    world = World(base, seed, confined=confined)
    world.storm(20)
    folders = chaos_folders(world)
    world.hears = lambda path: any(
        path.startswith(one.path + b"/") and counts(path[len(one.path) + 1 :], one.rules) for one in folders
    )
    # watchdog's observer loses track of renamed directories: there only the timed look is sure to be right
    rescan_seconds = 2.0 if backend is Backend.OBSERVER else 3600.0
    settings = EngineSettings(backend=backend, rescan_seconds=rescan_seconds, poll_interval_seconds=0.2)
    engine = Engine([checked.folder() for checked in folders], settings)
    referee = Referee(engine, folders)
    others = [Accomplice(base, seed + 1_000_000 * (number + 1)) for number in range(accomplices)]
    engine.start()
    try:
        if seed % 2 == 0:
            world.storm(50)
            world.silent = True
        assert not _settle(engine, referee, world, backend, law=False), "the first look is wrong"
        referee.remember_the_start()
        for storm in range(storms):
            world.log.clear()
            actions = world.random.choice((1, 3, 10, 60, 150))
            for other in others:
                other.begin(actions)
            if looks_in_storms:
                engine._queue.put((None, engine._lost_events))
            world.storm(actions)
            for other in others:
                other.end(world)
            if others:
                world.silent |= bool(_LINKING & set(world.log)) or world.log.count("switch_link") > 1
            wrong = _settle(engine, referee, world, backend) + referee.leaks()
            assert not wrong, "\n".join(
                [
                    f"seed {seed}, {backend}, storm {storm}, silent {world.silent}: {' '.join(world.log)}",
                    *wrong[:20],
                ]
            )
            world.silent = False
            if storm % 5 == 4:
                _tidy(world)
    finally:
        engine.stop()
        for other in others:
            other.close()
    return world.actions


def _tidy(world: World) -> None:
    """Keep the place that nobody watches from growing without end."""
    for name in os.listdir(world.out):
        if world.random.random() < 0.7:
            with suppress(OSError):  # a mount keeps it, or it is denied
                remove_tree(os.path.join(world.out, name))


def _settle(engine: Engine, referee: Referee, world: World, backend: Backend, *, law: bool = True) -> list[str]:
    """Wait until the engine is quiet, and give what is still wrong then.

    inotify has to be right as soon as it says so. watchdog's observer holds moves back and does not tell.
    """
    if backend is Backend.INOTIFY:
        _flush(engine)
        if world.silent:
            engine.look_again(Reason.RELOAD)
        pulse(engine)
        _flush(engine)
        _flush(engine)
        return referee.differences(law=law)
    pause = threading.Event()
    wrong: list[str] = []
    for _ in range(int(_SETTLED_WITHIN_SECONDS / 0.05)):
        if backend is Backend.POLLING or world.silent:
            engine.look_again(Reason.RELOAD)
        pulse(engine)
        _flush(engine)
        _flush(engine)
        wrong = referee.differences(law=law)
        if not wrong:
            return []
        pause.wait(0.05)
    return wrong


def _flush(engine: Engine) -> None:
    assert engine.flush(_SETTLED_WITHIN_SECONDS), f"the engine found no rest: {engine.unready()}"
