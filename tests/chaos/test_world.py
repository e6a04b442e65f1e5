"""An accomplice may put a FIFO anywhere at any moment: no action may wait for who opens its other end."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.chaos.world import World, remove_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(os.fsencode(tmp_path), 0)


@pytest.fixture
def fifo(world: World) -> bytes:
    path = os.path.join(world.b, b"d0")
    os.mkfifo(path)
    return path


@pytest.mark.timeout(10)
@pytest.mark.parametrize("action", ["remove_directory", "file_for_directory"])
def test_a_directory_that_became_a_fifo(
    world: World, fifo: bytes, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "_subdirectory", lambda: fifo)
    with suppress(OSError):
        getattr(world, action)()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("action", ["write", "append"])
def test_a_file_that_became_a_fifo(world: World, fifo: bytes, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_new_name", lambda: fifo)
    monkeypatch.setattr(world, "_file", lambda: fifo)
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # it was not there yet
    with suppress(OSError):
        getattr(world, action)()


def test_a_tree_is_removed_and_what_its_links_lead_to_is_not(world: World) -> None:
    deep = os.path.join(world.b, b"d0", b"d1")
    os.makedirs(deep)
    os.mkfifo(os.path.join(deep, b"f0.txt"))
    os.symlink(world.a, os.path.join(deep, b"d2"))
    remove_tree(os.path.join(world.b, b"d0"))
    remove_tree(world.absent)
    assert os.listdir(world.b) == []
    assert os.path.isdir(world.inner)
