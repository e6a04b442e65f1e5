"""Folders that follow from globs, dates and subfolders: which there are, and when they are looked for again."""

from __future__ import annotations

import glob
import os
import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.config.origin import Origin
from fexp.config.selection import FolderTemplate, SelectionSettings
from fexp.config.settings import EngineSettings, Settings
from fexp.config.template import check_template, parse_time_zone
from fexp.errors import SettingsError
from fexp.model import Backend, Instant
from fexp.service.following import FollowedFolders
from fexp.service.oneshot import find_folders
from fexp.service.places import Places, dated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fexp.counting.selection import Folder

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe")]
PATIENCE_SECONDS = 30.0


def template(path: object, **selection: Any) -> FolderTemplate:
    return FolderTemplate(str(path), Origin("fexp.yml:1:1: path"), SelectionSettings(**selection))


def paths_of(*templates: FolderTemplate, wall: float = 0.0) -> list[str]:
    return [folder.label for folder in find_folders(Settings(templates=templates), wall)[0]]


# Dates --------------------------------------------------------------------------------------------------------------


@given(wall=st.floats(0, 4e9), zone=st.sampled_from(ZONES), days=st.integers(-800, 800))
def test_a_date_is_a_day_of_the_calendar_whatever_the_clock_does(wall: float, zone: ZoneInfo, days: int) -> None:
    today = datetime.fromtimestamp(wall, zone).date()
    path = f"/data/{{now{days:+d}d:%Y/%m/%d}}/in"
    assert dated(path, zone, wall) == f"/data/{today + timedelta(days):%Y/%m/%d}/in"
    assert dated("/{now:%Y%m%d}", zone, wall) == f"/{today:%Y%m%d}"


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)], ids=["spring", "autumn"])
def test_it_moves_on_at_midnight_of_its_zone_and_at_no_other_moment(day: date) -> None:
    """These days have 23 and 25 hours in Berlin."""
    begins = datetime(day.year, day.month, day.day, tzinfo=BERLIN).timestamp()
    following = day + timedelta(1)
    ends = datetime(following.year, following.month, following.day, tzinfo=BERLIN).timestamp()
    assert ends - begins != 86400
    names = [dated("/{now:%d}/{now-1d:%d}", BERLIN, moment) for moment in (begins - 1, begins, ends - 1, ends)]
    assert names[1] == names[2] == f"/{day:%d}/{day - timedelta(1):%d}"
    assert names[0] == f"/{day - timedelta(1):%d}/{day - timedelta(2):%d}"
    assert names[3] == f"/{following:%d}/{day:%d}"


def test_hours_are_elapsed_time() -> None:
    after_the_jump = datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp()  # 03:30 in Berlin, where 02:30 was not
    assert dated("/{now-1h:%H%M}", BERLIN, after_the_jump) == "/0130"


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/{now}", "{now}: write a date as {now:%Y%m%d}"),
        ("/{now-1:%d}", "{now-1:%d}: write a date"),
        ("/{now-1y:%d}", "write a date"),
        ("/{now:%S}", "%S is none of"),
        ("/{now:%}", "% is none of"),
        ("/{now-999999w:%d}", "more than 100 years"),
        ("/{now:%d", "write a date"),
    ],
)
def test_a_date_that_cannot_be_meant_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_template("here", path)
    assert complaint in str(refused.value)


def test_other_braces_are_plain() -> None:
    check_template("here", "/{a}/{later:%d}")
    assert dated("/{a}/{later:%d}", BERLIN, 0.0) == "/{a}/{later:%d}"


@pytest.mark.parametrize(
    ("name", "way_out"), [("Europ/Berlin", "did you mean Europe/Berlin?"), ("../etc", "write it as"), ("Europe", "")]
)
def test_an_unknown_time_zone_is_refused(name: str, way_out: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_time_zone("here", name)
    assert way_out in str(refused.value)


# Globs and subfolders -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "ab", ".a", "inbox", "x.d"])
GLOBS = st.sampled_from(["*", "a*", "?", "[ab]", "inbox", ".*", "*.d"])


@settings(max_examples=60)
@given(
    st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=8), st.lists(GLOBS, min_size=1, max_size=3)
)
def test_a_glob_matches_the_directories_that_a_shell_finds(
    tmp_path_factory: pytest.TempPathFactory, directories: set[str], globs: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for directory in directories:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "file").touch()
    pattern = str(root / "/".join([*globs[:-1], f"{globs[-1]}*"]))
    expected = sorted(path for path in glob.glob(pattern) if os.path.isdir(path))
    assert sorted(paths_of(template(pattern))) == expected


def test_subfolders_are_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b", ".hidden", "tmp"):
        (tmp_path / name / "deeper").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = [str(tmp_path / name) for name in ("a", "b")]
    assert paths_of(template(tmp_path, per_subfolder=True, excludes=("tmp",))) == found
    assert paths_of(template(tmp_path / "*", per_subfolder=True)) == [
        str(tmp_path / name / "deeper") for name in ("a", "b", "link", "tmp")
    ]
    hidden = paths_of(template(tmp_path, per_subfolder=True, hidden=True))
    assert str(tmp_path / ".hidden") in hidden


def test_a_path_of_a_command_line_means_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "a*" / "x").mkdir(parents=True)
    (tmp_path / "ab" / "y").mkdir(parents=True)
    literal = FolderTemplate(str(tmp_path / "a*"), Origin(""), SelectionSettings(per_subfolder=True), is_literal=True)
    assert paths_of(literal) == [str(tmp_path / "a*" / "x")]
    assert paths_of(template(tmp_path / r"a\*")) == [str(tmp_path / "a*")]


def test_a_date_alone_is_a_folder_also_while_it_is_not_there() -> None:
    assert paths_of(template("/nowhere/{now:%Y}"), wall=0.0) == ["/nowhere/1970"]


def test_what_two_paths_match_is_one_folder_and_said_once(
    tmp_path: Path, followed: list[Followed], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ab").mkdir()
    with caplog.at_level("WARNING", "fexp"):
        one = begin(followed, template(tmp_path / "a*"), template(tmp_path / "*b"))
        (tmp_path / "ac").mkdir()
        one.until(tmp_path / "ab", tmp_path / "ac")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/ab is a folder already, fexp.yml:1:1: path matches it too"
    ]


def test_folders_of_a_base_that_is_gone_stay_known(tmp_path: Path) -> None:
    """An unmounted disk shows its folders as down, rather than as if there were none."""
    base = tmp_path / "base"
    (base / "a").mkdir(parents=True)
    places = Places(Settings(templates=(template(base / "*"),)))
    assert [one.label for one in places.find(0.0)] == [str(base / "a")]
    base.rename(tmp_path / "away")
    assert [one.label for one in places.find(0.0)] == [str(base / "a")]
    assert places.problems == [f"{base}: No such file or directory; no folder is found there"]
    base.mkdir()
    assert places.find(0.0) == ()
    assert places.problems == []


# Following ----------------------------------------------------------------------------------------------------------


class Followed:
    """What a follower has reported, and the clock that it reads."""

    def __init__(self, *paths: FolderTemplate, backend: Backend | None = None, **engine: Any) -> None:
        self.wall_ahead = 0.0
        self.reported: list[list[str]] = []
        self._changed = threading.Condition()
        its = EngineSettings(backend=backend, **{"rescan_seconds": 3600.0, **engine})
        self.folders = FollowedFolders(Settings(templates=paths, engine=its), self._take, self._now)

    def _now(self) -> Instant:
        from fexp import clock

        now = clock.now()
        return Instant(now.wall + self.wall_ahead, now.steady)

    def _take(self, folders: Sequence[Folder]) -> None:
        with self._changed:
            self.reported.append([folder.label for folder in folders])
            self._changed.notify_all()

    def until(self, *paths: object) -> None:
        wanted = list(map(str, paths))
        with self._changed:
            assert self._changed.wait_for(lambda: self.reported and self.reported[-1] == wanted, PATIENCE_SECONDS), (
                self.reported
            )


@pytest.fixture
def followed() -> Iterator[list[Followed]]:
    made: list[Followed] = []
    yield made
    for one in made:
        one.folders.stop()


def begin(followed: list[Followed], *paths: FolderTemplate, backend: Backend | None = None, **engine: Any) -> Followed:
    one = Followed(*paths, backend=backend, **engine)
    followed.append(one)
    one.folders.start()
    return one


@pytest.mark.parametrize("backend", [None, Backend.POLLING])
def test_folders_come_and_go_with_their_directories(
    tmp_path: Path, followed: list[Followed], backend: Backend | None
) -> None:
    (tmp_path / "a" / "inbox").mkdir(parents=True)
    one = begin(followed, template(tmp_path / "*" / "inbox"), backend=backend, poll_interval_seconds=0.02)
    assert [folder.label for folder in one.folders.folders] == [str(tmp_path / "a" / "inbox")]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "inbox").mkdir()
    one.until(tmp_path / "a" / "inbox", tmp_path / "b" / "inbox")
    (tmp_path / "a").rename(tmp_path / "c")
    one.until(tmp_path / "b" / "inbox", tmp_path / "c" / "inbox")
    (tmp_path / "b" / "inbox").rmdir()
    one.until(tmp_path / "c" / "inbox")
    (tmp_path / "away").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "c")
    one.until(tmp_path / "c" / "inbox", tmp_path / "link" / "inbox")
    (tmp_path / "link").unlink()
    one.until(tmp_path / "c" / "inbox")


def test_a_base_that_comes_later_is_found(tmp_path: Path, followed: list[Followed]) -> None:
    one = begin(followed, template(tmp_path / "later" / "base", per_subfolder=True))
    (tmp_path / "made" / "base" / "x").mkdir(parents=True)
    (tmp_path / "made").rename(tmp_path / "later")
    one.until(tmp_path / "later" / "base" / "x")


def test_the_date_is_followed(tmp_path: Path, followed: list[Followed]) -> None:
    one = Followed(template(tmp_path / "{now:%Y%m%d}"))
    followed.append(one)
    one.wall_ahead = 86400.0  # while it is not looking: midnight came before it began to follow
    one.folders.start()
    one.until(tmp_path / f"{datetime.now(UTC) + timedelta(1):%Y%m%d}")


def test_dates_are_looked_at_with_each_minute(tmp_path: Path, followed: list[Followed]) -> None:
    one = Followed(template(tmp_path / "{now:%Y%m%d}"))
    followed.append(one)
    now = one._now()
    assert one.folders._due_at(wanted=False) <= now.steady + 60.0 - now.wall % 60.0 + 0.1
    one.wall_ahead = 86400.0
    assert one.folders._due_at(wanted=False) <= one._now().steady


def test_a_thousand_subfolders_are_found_quickly_and_by_few_watches(tmp_path: Path, followed: list[Followed]) -> None:
    for number in range(1000):
        (tmp_path / f"{number:03}").mkdir()
    one = begin(followed, template(tmp_path, per_subfolder=True))
    (tmp_path / "new").mkdir()
    one.until(*sorted([*(tmp_path / f"{number:03}" for number in range(1000)), tmp_path / "new"]))
    assert one.folders.inotify_watches == len(tmp_path.parts)
