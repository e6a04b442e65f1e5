"""The change feed: what subscribers take, what they lose, and that they delay nobody."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from fexp.counting.selection import Folder, Selection
from fexp.model import Happening
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.engine.feed import Subscription
    from fexp.model import Change
    from tests.engine.live import Live

RECURSIVE = Selection(("*.txt", "*"), recursive=True)


def taken(live: Live, subscription: Subscription) -> list[Change]:
    """Return what has happened, once all of it is folded."""
    live.quiet()
    changes, lost = subscription.take()
    assert not lost
    return list(changes)


def test_a_subscriber_takes_one_change_for_each_file_whatever_its_patterns(tmp_path: Path) -> None:
    with watching(tmp_path, RECURSIVE) as live:
        subscription = live.engine.subscribe()
        live.quiet()
        (tmp_path / "sub").mkdir()
        file = tmp_path / "sub" / "a.txt"
        file.write_text("123")
        status = file.stat()
        arrival, *_ = taken(live, subscription)
        assert arrival.happening is Happening.ARRIVAL
        assert (arrival.path, arrival.patterns) == (b"sub/a.txt", ("*.txt", "*"))
        assert (arrival.inode, arrival.folder) == (status.st_ino, str(tmp_path))
        file.write_text("12345")
        assert [(one.happening, one.size_bytes) for one in taken(live, subscription)][-1] == ("modification", 5)
        file.rename(tmp_path / "b.csv")
        changes = {(one.happening, one.path, one.patterns) for one in taken(live, subscription)}
        assert changes == {
            (Happening.DEPARTURE, b"sub/a.txt", ("*.txt", "*")),
            (Happening.ARRIVAL, b"b.csv", ("*",)),
        }
        subscription.close()
        live.quiet()
        (tmp_path / "c.txt").touch()
        assert not taken(live, subscription)


def test_names_come_as_the_kernel_spells_them(tmp_path: Path) -> None:
    name = b"\xff\n\xc3\xa4"
    with watching(tmp_path) as live:
        subscription = live.engine.subscribe()
        live.quiet()
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))
        assert [one.path for one in taken(live, subscription)] == [name]


def test_what_came_and_went_between_two_looks_is_told(tmp_path: Path) -> None:
    with watching(tmp_path, RECURSIVE) as live:
        subscription = live.engine.subscribe()
        live.quiet()
        with live.held():
            (tmp_path / "a.txt").touch()
            (tmp_path / "a.txt").unlink()
        told = [(one.happening, one.patterns, one.inode) for one in taken(live, subscription)]
        both = ("*.txt", "*")
        assert told == [(Happening.ARRIVAL, both, 0), (Happening.DEPARTURE, both, 0)]


def test_a_subscriber_may_ask_for_what_is_there(tmp_path: Path) -> None:
    for name in ("a.txt", "b.csv"):
        (tmp_path / name).write_text(name)
    with watching(tmp_path, RECURSIVE) as live:
        late, indifferent = live.engine.subscribe(present=True), live.engine.subscribe()
        changes = taken(live, late)
        assert {(one.happening, one.path, one.size_bytes) for one in changes} == {
            (Happening.PRESENT, b"a.txt", 5),
            (Happening.PRESENT, b"b.csv", 5),
        }
        assert not taken(live, indifferent)
        other = tmp_path.parent / (tmp_path.name + "-other")
        other.mkdir()
        (other / "c.txt").touch()
        live.engine.set_folders([live.folder, Folder(os.fsencode(other), str(other), Selection())])
        live.until(lambda _: len(live.engine.snapshot().folders) == 2 and live.engine.snapshot().folders[1].up)
        assert [(one.happening, one.folder) for one in taken(live, late)] == [(Happening.PRESENT, str(other))]


def test_a_slow_subscriber_loses_its_own_place_and_nothing_else(tmp_path: Path) -> None:
    """It never takes anything, and neither the numbers nor the neighbour suffer."""
    with watching(tmp_path) as live:
        slow, quick = live.engine.subscribe(capacity=10), live.engine.subscribe()
        live.quiet()
        for number in range(50):
            (tmp_path / str(number)).touch()
            if number % 10 == 9:
                live.quiet()  # one batch may be larger than the capacity, if nothing waits
        arrivals = [one for one in taken(live, quick) if one.happening is Happening.ARRIVAL]
        assert len(arrivals) == 50
        assert live.pattern().files == 50
        changes, lost = slow.take()
        assert lost > 0
        assert len(list(changes)) + lost >= 50
        (tmp_path / "last").touch()
        assert [one.path for one in taken(live, slow)] == [b"last"]


def test_what_was_there_takes_no_room_of_what_happens(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    with watching(tmp_path) as live:
        subscription = live.engine.subscribe(capacity=10, present=True)
        live.quiet()
        (tmp_path / "new").touch()
        assert len(taken(live, subscription)) == 51
        for number in range(20):
            (tmp_path / f"later-{number}").touch()
            live.quiet()
        changes, lost = subscription.take()
        assert lost > 0  # and no more room than before
        assert len(list(changes)) + lost == 20


def test_a_subscriber_that_takes_its_time_delays_no_fold(tmp_path: Path) -> None:
    """While it sits over its first batch, folds go on: the engine never waits for it."""
    begun, go_on, seen = threading.Event(), threading.Event(), list[bytes]()

    def follow() -> None:
        while True:
            changes = list(subscription.take(None).changes)
            if not changes:
                return
            begun.set()
            assert go_on.wait(60)
            seen.extend(one.path for one in changes if one.happening is Happening.ARRIVAL)

    with watching(tmp_path) as live:
        subscription = live.engine.subscribe()
        follower = threading.Thread(target=follow)
        follower.start()
        live.quiet()
        (tmp_path / "first").touch()
        assert begun.wait(60)
        for number in range(100):
            (tmp_path / str(number)).touch()
            assert live.pattern().files == number + 2
        go_on.set()
        live.until(lambda _: len(seen) == 101)
        subscription.close()
        follower.join(60)
        assert not follower.is_alive()


def test_notify_is_called_once_until_something_is_taken(tmp_path: Path) -> None:
    calls: list[int] = []
    with watching(tmp_path) as live:
        subscription = live.engine.subscribe(notify=lambda: calls.append(1))
        live.quiet()
        for number in range(3):
            (tmp_path / str(number)).touch()
            live.quiet()
        assert len(calls) == 1
        subscription.take()
        (tmp_path / "more").touch()
        live.quiet()
        assert len(calls) == 2
