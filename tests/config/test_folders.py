"""FOLDER arguments: which directory each names, and which of its files count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fexp.config.selection import SelectionSettings, build_folders
from fexp.service.oneshot import look_at

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def counts(*paths: str, **settings: Any) -> dict[str, list[int]]:
    folders = build_folders(paths, SelectionSettings(**settings))
    return {folder.label: [group.files for group in look_at(folder)[0].groups] for folder in folders}


def test_a_parent_behind_a_link_is_the_one_the_kernel_means(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "far" / "a").touch()
    (tmp_path / "link").symlink_to("far/away")
    assert counts(f"{tmp_path}/link/..") == {f"{tmp_path}/far": [1]}


def test_a_folder_spelt_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    monkeypatch.chdir(tmp_path)
    assert counts(str(tmp_path), f"/{tmp_path}/", f"{tmp_path}//.", ".") == {str(tmp_path): [1]}


def test_a_file_counts_in_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for directory in (tmp_path, tmp_path / "sub"):
        (directory / "[a].txt").touch()
        (directory / "b.txt").touch()
    assert counts(f"{tmp_path}/[a].txt", recursive=True) == {str(tmp_path): [1]}
    assert counts(f"{tmp_path}/[a].txt", str(tmp_path), recursive=True, matches=("b*",)) == {str(tmp_path): [2, 1]}


def test_a_file_alone_makes_no_recursive_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (folder,) = build_folders([f"{tmp_path}/a"], SelectionSettings(recursive=True, max_depth=3))
    assert not folder.selection.recursive
