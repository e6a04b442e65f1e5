"""``fexp.watch``: the changes, in a thread and in a task, what is lost, and the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

import fexp
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("fexp-")}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = threads()
    yield
    gc.collect()
    poll(lambda: threads() <= before)  # one may just be ending


def test_changes_come_as_they_happen(tmp_path: Path) -> None:
    (tmp_path / "old.txt").touch()
    with fexp.watch(tmp_path, ext="txt") as changes:
        file = tmp_path / "a.txt"
        (tmp_path / "other.csv").touch()
        file.write_text("123")
        arrival = next(changes)
        assert (arrival.happening, arrival.path, arrival.folder) == ("arrival", file, str(tmp_path))
        assert (arrival.patterns, arrival.inode) == (("*.txt",), file.stat().st_ino)
        file.rename(tmp_path / "b.txt")
        both = {(one.happening, one.path.name) for one in changes_until(changes, fexp.Happening.DEPARTURE)}
        assert both >= {("departure", "a.txt")}


def changes_until(changes: fexp.Watch, happening: fexp.Happening) -> list[fexp.Change]:
    """Take changes up to one of this kind."""
    taken = []
    for change in changes:
        taken.append(change)
        if change.happening is happening:
            break
    return taken


def test_what_was_there_comes_first_if_asked(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    with fexp.watch(tmp_path, present=True, capacity=10) as changes:
        (tmp_path / "new").touch()  # what was there takes no room of it
        taken = [next(changes) for _ in range(51)]
    assert {one.path.name for one in taken[:50]} == {str(number) for number in range(50)}
    assert {one.happening for one in taken[:50]} == {"present"}
    assert (taken[50].happening, taken[50].path.name) == ("arrival", "new")


def test_a_path_can_be_opened_whatever_its_name(tmp_path: Path) -> None:
    with fexp.watch(tmp_path) as changes:
        with open(os.path.join(os.fsencode(tmp_path), b"\xff\n"), "w") as file:
            file.write("here")
        for change in changes:
            if change.size_bytes:
                break
        assert change.path.read_text() == "here"


def test_it_begins_when_it_is_used(tmp_path: Path) -> None:
    before = threads()
    changes = fexp.watch(tmp_path)
    poll(lambda: threads() <= before)  # one may just be ending
    changes.start()
    (tmp_path / "a").touch()
    assert next(changes).path.name == "a"
    changes.close()
    changes.close()
    assert list(changes) == []
    with pytest.raises(fexp.FexpError, match="closed"):
        changes.start()


def test_who_holds_it_no_more_ends_it(tmp_path: Path) -> None:
    changes = fexp.watch(tmp_path).start()
    del changes  # the fixture sees that its thread is gone


def test_a_missing_folder_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), fexp.watch(tmp_path / "later") as changes:
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "a").touch()
        assert next(changes).path == tmp_path / "later" / "a"
    assert "No such file" in caplog.text


def test_what_was_lost_is_told_and_then_it_goes_on(tmp_path: Path) -> None:
    with fexp.watch(tmp_path, capacity=10) as changes:
        arrive(tmp_path, "first")
        collector = fexp.FolderCollector(tmp_path)
        with collector:
            for number in range(40):
                (tmp_path / f"{number}").touch()
                list(collector.collect())  # each in a batch of its own, more or less
        with pytest.raises(fexp.ChangesLostError, match="were lost") as lost:
            for _ in changes:
                pass
        assert lost.value.lost >= 10
        arrive(tmp_path, "last")
        assert "last" in {one.path.name for one in changes_until_name(changes, "last")}


def arrive(folder: Path, name: str) -> None:
    (folder / name).touch()


def changes_until_name(changes: fexp.Watch, name: str) -> list[fexp.Change]:
    taken: list[fexp.Change] = []
    while not taken or taken[-1].path.name != name:
        try:
            taken.append(next(changes))
        except fexp.ChangesLostError:
            continue
    return taken


def test_another_thread_ends_who_waits(tmp_path: Path) -> None:
    changes = fexp.watch(tmp_path).start()
    taken: list[list[fexp.Change]] = []
    waiting = threading.Thread(target=lambda: taken.append(list(changes)))
    waiting.start()
    changes.close()
    waiting.join(30)
    assert taken == [[]]


def test_callbacks_are_called_for_their_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    every: list[str] = []
    departed = threading.Event()

    def fail(change: fexp.Change) -> None:
        raise ValueError(change.path.name)

    with fexp.watch(
        tmp_path,
        on_change=lambda change: every.append(change.happening),
        on_arrival=fail,
        on_departure=lambda _: departed.set(),
    ) as changes:
        with pytest.raises(fexp.FexpError, match="callbacks take the changes"):
            next(iter(changes))
        with pytest.raises(fexp.FexpError, match="a thread calls the callbacks"):
            changes.run()
        for name in "abc":
            (tmp_path / name).touch()
        (tmp_path / "a").unlink()
        poll(lambda: every.count("arrival") == 3 and departed.is_set())
    assert caplog.text.count("a callback failed") == 1  # once for each kind of error


def test_callbacks_may_be_called_here(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    changes = fexp.watch(tmp_path, present=True, on_change=lambda _: changes.close())
    changes.run()

    def fail(change: fexp.Change) -> None:
        raise ValueError(change.path.name)

    failing = fexp.watch(tmp_path, present=True, on_change=fail)
    with pytest.raises(ValueError, match="a"):
        failing.run()
    failing.close()
    with pytest.raises(fexp.FexpError, match="no callback"):
        fexp.watch(tmp_path).run()


def test_tasks_take_changes_and_others_have_their_turn(tmp_path: Path) -> None:
    async def main() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with fexp.watch(tmp_path) as changes:
            other = asyncio.create_task(others())
            (tmp_path / "a").touch()
            async for change in changes:
                assert (change.happening, change.path.name) == ("arrival", "a")
                break
            waiting = asyncio.create_task(anext(changes))
            await asyncio.sleep(0)
            before = turns
            (tmp_path / "a").unlink()
            change = await waiting
            assert change.happening in {"departure", "modification"}
            assert turns > before
            rest = asyncio.create_task(anext(changes))
            await asyncio.sleep(0)
            rest.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rest
            other.cancel()
        with pytest.raises(StopAsyncIteration):
            await anext(changes)

    asyncio.run(main())


def test_a_waiting_task_ends_when_it_is_closed(tmp_path: Path) -> None:
    async def main() -> list[fexp.Change]:
        changes = fexp.watch(tmp_path)

        async def take() -> list[fexp.Change]:
            return [change async for change in changes]

        async with changes:
            taking = asyncio.create_task(take())
            await asyncio.sleep(0)
        return await taking

    assert asyncio.run(main()) == []
