"""``fexp.FolderCollector`` in a registry of the program's own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import fexp
from fexp.clock import now
from fexp.testing import wait_for_value
from tests.end_to_end.running import environment
from tests.outputs.samples import Gauge
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.model import Instant


def value(registry: CollectorRegistry, name: str, folder: Path, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"folder": str(folder), "pattern": "*.txt", **labels})


def engines() -> int:
    gc.collect()
    return sum(thread.name == "fexp-engine" for thread in threading.enumerate())


def test_a_registry_shows_the_folders_beside_its_own(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(Gauge("requests", {(): 1.0}))
    with fexp.FolderCollector(tmp_path, ext="txt", label={"team": "a"}) as collector:
        registry.register(collector)
        assert value(registry, "fexp_files", tmp_path, team="a") == 0
        (tmp_path / "a.txt").write_text("123")
        poll(lambda: value(registry, "fexp_arrivals_total", tmp_path, team="a") == 1)
        assert value(registry, "fexp_files", tmp_path, team="a") == 1
        text = generate_latest(registry).decode()
        assert "requests 1.0" in text
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(fexp.FolderCollector(tmp_path))


def test_registering_begins_nothing_and_the_first_collection_is_whole(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.txt").touch()
    before = engines()
    registry = CollectorRegistry()
    collector = fexp.FolderCollector(tmp_path, ext="txt")
    registry.register(collector)
    assert engines() == before
    assert value(registry, "fexp_files", tmp_path) == 100
    collector.close()
    assert value(registry, "fexp_files", tmp_path) is None
    assert engines() == before


def test_nobody_holds_it_no_thread_stays(tmp_path: Path) -> None:
    before = engines()
    fexp.FolderCollector(tmp_path).start()
    assert engines() == before


def test_threads_may_ask_at_once(tmp_path: Path) -> None:
    before = engines()
    collector = fexp.FolderCollector(tmp_path)
    counts: list[int] = []
    asking = [threading.Thread(target=lambda: counts.append(sum(1 for _ in collector.collect()))) for _ in range(20)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    assert len(counts) == 20
    assert len(set(counts)) == 1
    assert engines() == before + 1
    collector.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_numbers_that_nobody_keeps_any_more_are_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = threading.Event()

    def clock() -> Instant:
        if broken.is_set() and threading.current_thread().name == "fexp-engine":
            raise RuntimeError("a bug")
        return now()

    registry = CollectorRegistry()
    registry.register(Gauge("requests", {(): 1.0}))
    with fexp.FolderCollector(tmp_path, ext="txt", clock=clock) as collector:
        registry.register(collector)
        assert value(registry, "fexp_files", tmp_path) == 0
        broken.set()
        wait_for_value(registry, "fexp_files", None)
        wait_for_value(registry, "fexp_files", None)
        assert registry.get_sample_value("requests") == 1
    assert caplog.text.count("the engine has died") == 1


_FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import fexp
from fexp.testing import wait_for_value
from prometheus_client import CollectorRegistry
registry = CollectorRegistry()
folder = sys.argv[1]
registry.register(fexp.FolderCollector(folder).start())
labels = {"folder": folder, "pattern": "*"}
wait_for_value(registry, "fexp_files", 0, timeout_seconds=30)
child = os.fork()
if child:
    os.waitpid(child, 0)
open(folder + ("/parent" if child else "/child"), "w").close()
wait_for_value(registry, "fexp_files", 2 if child else 1, timeout_seconds=30)
print("parent" if child else "child", registry.get_sample_value("fexp_arrivals_total", labels), flush=True)
"""


def test_a_forked_process_watches_anew_and_leaves_its_parent_alone(tmp_path: Path) -> None:
    """As a web server does that loads the program before it forks its workers."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKED, os.fspath(tmp_path)],
        env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["child 0", "parent 2"]  # what the child found was there
    assert not done.stderr
