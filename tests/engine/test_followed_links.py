"""``--follow-symlinks``: what happens to a target gives no event here, and is seen within the poll interval."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.engine.seen_elsewhere import FollowedLinks
from fexp.events.directory import WatchedDirectory
from fexp.model import Backend, Fault
from tests.engine.live import NEVER, watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fexp.model import FolderSnapshot

FOLLOWING = Selection(("*.txt",), recursive=True, follow_symlinks=True)
every_backend = pytest.mark.parametrize("backend", list(Backend))


def shows(*sizes: int) -> Callable[[FolderSnapshot], bool]:
    """Return whether there are files of these sizes and no other."""

    def is_so(folder: FolderSnapshot) -> bool:
        group = folder.groups[0]
        known = (group.files, group.size_bytes, group.values["largest_bytes"], group.values["empty_files"])
        return known == (len(sizes), sum(sizes), max(sizes, default=None), sizes.count(0))

    return is_so


@every_backend
@pytest.mark.parametrize("place", ["", "sub"])
@pytest.mark.parametrize("linked", ["before", "after"])
def test_a_target_grows_goes_and_comes(tmp_path: Path, backend: Backend, place: str, linked: str) -> None:
    root, target = tmp_path / "root", tmp_path / "outside" / "target"
    link = root / place / "link.txt"
    for path in (link.parent, target.parent):
        path.mkdir(parents=True)
    target.write_text("12345")
    if linked == "before":
        link.symlink_to(target)
    with watching(root, FOLLOWING, backend=backend, poll_interval_seconds=0.02) as live:
        if linked == "after":
            link.symlink_to(target)
        live.until(shows(5))
        target.write_text("123456789")
        live.until(shows(9))
        target.unlink()
        live.until(shows())
        assert not any(live.quiet().faults.values())
        target.touch()
        live.until(shows(0))
        target.rename(target.with_name("elsewhere"))
        live.until(shows())
        target.mkdir()
        for _ in range(10):
            assert shows()(live.pulsed())
        target.rmdir()
        target.symlink_to("elsewhere")
        target.with_name("elsewhere").write_text("12")
        live.until(shows(2))
        link.unlink()
        live.until(shows())
        assert live.quiet().drift_files == 0


@every_backend
def test_a_link_that_leads_nowhere_never_counts(tmp_path: Path, backend: Backend) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "before.txt").symlink_to("nowhere")
    (root / "later.txt").symlink_to(tmp_path / "later")
    with watching(root, FOLLOWING, backend=backend, poll_interval_seconds=0.02) as live:
        (root / "after.txt").symlink_to("nowhere")
        (root / "loop.txt").symlink_to("loop.txt")
        for _ in range(10):
            assert shows()(live.pulsed())
        flow = live.pattern().flow
        assert flow is not None
        assert (flow.arrivals, flow.departures) == (0, 0)
        assert not live.quiet().faults[Fault.IO]
        (tmp_path / "later").write_text("123")
        live.until(shows(3))


def test_events_are_enough_for_what_is_no_link(tmp_path: Path) -> None:
    """A link that was replaced by a file needs no look any more, and a directory that is gone neither."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "target").write_text("12345")
    links = [tmp_path / "a.txt", tmp_path / "sub" / "b.txt"]
    for link in links:
        link.symlink_to(tmp_path / "target")
    with watching(tmp_path, FOLLOWING, poll_interval_seconds=0.02) as live:
        live.until(shows(5, 5))
        links[0].unlink()
        links[0].write_text("1")
        links[1].parent.rename(tmp_path / "bus")
        links[1].parent.mkdir()
        links[1].symlink_to(tmp_path / "target")
        live.until(shows(1, 5, 5))
        (tmp_path / "target").write_text("12")
        live.until(shows(1, 2, 2))
        links[1].unlink()
        (tmp_path / "bus" / "b.txt").unlink()
        live.until(shows(1))
        (folder,) = live.engine._folders
        live.until(lambda _: folder.tree.links_due_at == float("inf"))
        assert folder.tree._followed_links._links == {}


def test_many_links_are_looked_at_for_a_share_of_the_time() -> None:
    links, root = FollowedLinks(), WatchedDirectory.of_folder(b"/root")
    assert links.due_at == float("inf")
    links.record(root, None, [b"a", b"b"])
    assert links.due(100.0) == {root: {b"a", b"b"}}
    links.looked(100.0, 101.0, interval_seconds=5.0)
    assert links.due_at == 101.0 + 19.0
    assert links.due(119.0) == {}
    links.looked(200.0, 200.1, interval_seconds=5.0)
    assert links.due_at == pytest.approx(205.1)
    links.record(root, [b"a", b"c"], [b"c"])
    assert links.due(300.0) == {root: {b"b", b"c"}}
    links.record(root, [b"b", b"c"], [])
    assert links.due_at == float("inf")


def test_a_target_with_several_names_shows_at_once(tmp_path: Path) -> None:
    """The link leads to a file of the folder: its own event reports the change, of whatever name."""
    (tmp_path / "a.txt").write_text("12345")
    os.link(tmp_path / "a.txt", tmp_path / "b.txt")
    (tmp_path / "link.txt").symlink_to("a.txt")
    with watching(tmp_path, FOLLOWING, poll_interval_seconds=NEVER) as live:
        (tmp_path / "b.txt").write_text("123456789")
        assert shows(9, 9, 9)(live.quiet())
