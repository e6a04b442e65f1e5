"""A FOLDER is the directory that the kernel reaches by it, under the name that the user gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.paths import absolute_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with links, seen through a link itself."""
    (tmp_path / "disk" / "store" / "inbox" / "deep").mkdir(parents=True)
    (tmp_path / "disk" / "in").symlink_to("store/inbox")
    (tmp_path / "disk" / "in2").symlink_to("in")
    (tmp_path / "disk" / "up").symlink_to("../disk/store/inbox/..")
    (tmp_path / "disk" / "here").symlink_to(".")
    (tmp_path / "disk" / "whole").symlink_to(tmp_path / "data" / "store" / "inbox")
    (tmp_path / "disk" / "loop").symlink_to("loop")
    (tmp_path / "disk" / "dangling").symlink_to("gone/away")
    (tmp_path / "data").symlink_to("disk")
    return tmp_path


def folder_of(path: Path | str) -> str:
    return absolute_folder(str(path), os.getcwd, os.readlink)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("data/in", "data/in"),
        ("data/in/", "data/in"),
        ("data/in/..", "data/store"),
        ("data/in/../.", "data/store"),
        ("data/in2/../inbox", "data/store/inbox"),
        ("data/in/deep/..", "data/in"),
        ("data/in/../..", "data"),
        ("data/up", "data/up"),
        ("data/up/../store", "disk/store"),
        ("data/here/..", "."),
        ("data/whole/..", "data/store"),
        ("data/store/inbox/../inbox", "data/store/inbox"),
        ("data//in", "data/in"),
        ("data/./in/.", "data/in"),
    ],
)
def test_a_path_names_the_same_directory_as_before(tree: Path, given: str, meant: str) -> None:
    assert folder_of(f"{tree}/{given}") == os.path.normpath(f"{tree}/{meant}")
    assert os.path.samefile(folder_of(f"{tree}/{given}"), f"{tree}/{given}")


def test_a_relative_path_begins_at_the_working_directory(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "disk")
    assert folder_of("in/..") == f"{tree}/disk/store"
    assert folder_of(".") == f"{tree}/disk"
    assert folder_of("..") == str(tree)


def test_an_absolute_path_needs_no_working_directory() -> None:
    def removed() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    assert absolute_folder("/x/y", removed, os.readlink) == "/x/y"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("//x", "/x"),
        ("///x//y/", "/x/y"),
        ("/", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("/../x", "/x"),
        ("/missing-one/../x", "/x"),
        ("/missing\udcff/x\ny", "/missing\udcff/x\ny"),
    ],
)
def test_one_folder_has_one_spelling(given: str, meant: str) -> None:
    assert folder_of(given) == meant


def test_a_link_that_leads_nowhere_ends(tree: Path) -> None:
    assert folder_of(f"{tree}/data/loop/..") == f"{tree}/data"
    assert folder_of(f"{tree}/data/dangling/..") == f"{tree}/data/gone"
