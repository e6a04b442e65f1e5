"""The gate's share of the chaos: fixed seeds, every backend, two disks. More: ``python -m tests.chaos``."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from fexp.model import Backend
from tests.chaos.driver import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ram_disk() -> Iterator[Path]:
    from pathlib import Path

    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is no RAM disk at /dev/shm")
    directory = tempfile.mkdtemp(prefix="fexp-chaos-", dir="/dev/shm")
    yield Path(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("seed", range(4))
def test_inotify_agrees_with_the_disk(tmp_path: Path, seed: int) -> None:
    run(os.fsencode(tmp_path), Backend.INOTIFY, seed, storms=20)


@pytest.mark.parametrize("seed", range(100, 106))
def test_inotify_agrees_with_the_ram_disk(ram_disk: Path, seed: int) -> None:
    run(os.fsencode(ram_disk), Backend.INOTIFY, seed, storms=20)


@pytest.mark.parametrize("seed", range(200, 203))
def test_polling_agrees_with_the_ram_disk(ram_disk: Path, seed: int) -> None:
    run(os.fsencode(ram_disk), Backend.POLLING, seed, storms=15)


# watchdog's reader stumbles over renamed directories; ObserverSource puts a new one in its place
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("seed", range(300, 302))
def test_observer_agrees_with_the_ram_disk(ram_disk: Path, seed: int) -> None:
    run(os.fsencode(ram_disk), Backend.OBSERVER, seed, storms=6)
