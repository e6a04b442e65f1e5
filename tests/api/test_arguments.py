"""The arguments that all functions share, and what is said of wrong ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import fexp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FUNCTIONS: list[Callable[..., object]] = [
    fexp.look,
    fexp.watch,
    fexp.FolderCollector,
    fexp.wsgi_app,
    fexp.asgi_app,
    fexp.push,
    lambda folders, **arguments: fexp.write_textfile("/nowhere/a.prom", folders, **arguments),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"extt": "txt"}, r"extt is no option here; did you mean ext\?"),
        ({"ext": "a,b"}, "ext 'a,b' is not an extension"),
        ({"ext": ["txt", 1 == 1]}, "ext True: give text"),
        ({"ext": {"txt": 1}}, r"ext {'txt': 1}: give text, or several in a list"),
        ({"match": "a/b"}, "match 'a/b' can match no file name"),
        ({"exclude": ""}, "exclude '' is empty"),
        ({"recursive": "yes"}, "recursive 'yes': give True or False"),
        ({"max_depth": 2}, "max_depth says how far recursive goes"),
        ({"max_depth": 2.5, "recursive": True}, "max_depth '2.5' is not a whole number"),
    ],
)
def test_a_wrong_argument_is_named(
    function: Callable[..., object], arguments: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(fexp.SettingsError, match=complaint):
        function(tmp_path, **arguments)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        ("", "folders ''"),
        (b"", "folders ''"),
        ([], "folders is empty"),
        (5, "folders 5: give a path"),
        (None, "folders None: give a path"),
        (["/a", 5], "folders 5: give a path"),
        ("a\0b", r"folders 'a\\x00b'"),
        ("\ud800", r"folders '\\ud800': no folder has such a path"),
    ],
)
def test_folders_are_paths(function: Callable[..., object], folders: object, complaint: str) -> None:
    with pytest.raises(fexp.SettingsError, match=complaint):
        function(folders)


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (fexp.look, "rescan"),
        (fexp.watch, "label"),
        (fexp.watch, "group"),
        (fexp.watch, "dwell_buckets"),
        (fexp.push, "gateway_password"),
        (fexp.FolderCollector, "gateway"),
    ],
)
def test_what_has_no_effect_is_refused(function: Callable[..., object], argument: str, tmp_path: Path) -> None:
    with pytest.raises(fexp.SettingsError, match=f"{argument} is no option here"):
        function(tmp_path, **{argument: "1"})


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"capacity": 0}, "capacity 0: give how many"),
        ({"capacity": "10"}, "capacity '10': give how many"),
        ({"present": "no"}, "present 'no': give True or False"),
        ({"on_arrival": 5}, "on_arrival 5: give a function"),
        ({"rescan": "soon"}, "rescan 'soon' is not a duration"),
        ({"backend": "magic"}, "backend 'magic' is not known"),
    ],
)
def test_a_wrong_argument_of_watch_is_named(arguments: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(fexp.SettingsError, match=complaint):
        fexp.watch(tmp_path, **arguments)


def test_a_coroutine_function_is_no_callback(tmp_path: Path) -> None:
    async def take(change: fexp.Change) -> None: ...

    with pytest.raises(fexp.SettingsError, match=r"on_arrival .*iterate with async for"):
        fexp.watch(tmp_path, on_arrival=take)


def test_paths_and_several_values_come_in_all_forms(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.xml").touch()
    (tmp_path / "c.txt").touch()
    forms: list[Any] = [tmp_path, str(tmp_path), os.fsencode(tmp_path), [tmp_path], iter((str(tmp_path),))]
    for folders in forms:
        assert [one.files for one in fexp.look(folders)] == [3]
    for several in (["csv", ".xml"], ("csv", "xml"), iter(["csv", "xml"]), {"csv": 1, "xml": 1}.keys()):
        assert [(one.pattern, one.files) for one in fexp.look(tmp_path, ext=several)] == [("*.csv", 1), ("*.xml", 1)]


def test_a_mode_is_meant_as_chmod_takes_it(tmp_path: Path) -> None:
    for mode, bits in ((0o640, 0o640), ("0604", 0o604)):
        fexp.write_textfile(tmp_path / "a.prom", tmp_path, textfile_mode=mode)
        assert (tmp_path / "a.prom").stat().st_mode & 0o777 == bits
