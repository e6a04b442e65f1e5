"""The tree of settings: where values come from, what is a default, and what does not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fexp.config.given import Given
from fexp.config.origin import Origin, Written
from fexp.config.printing import PrintingSettings
from fexp.config.selection import SelectionSettings, build_folders, parse_extensions
from fexp.config.settings import (
    DEFAULT_LISTEN,
    DeliverySettings,
    EngineSettings,
    HttpSettings,
    LoggingSettings,
    OneShotSettings,
    RemovalSettings,
    Settings,
    read_settings,
)
from fexp.counting.selection import Selection
from fexp.errors import SettingsError
from fexp.outputs.kinds import OUTPUTS, settings_types
from tests.outputs.samples import command_line

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.config.options import Group, Option
    from fexp.config.origin import Raw

GROUPS: list[type[Group]] = [
    SelectionSettings, EngineSettings, LoggingSettings, DeliverySettings, HttpSettings, OneShotSettings,
    RemovalSettings, PrintingSettings, *settings_types(),
]  # fmt: skip
NOTHING = command_line({})


def written(**values: tuple[Raw, str]) -> Written:
    """Return what several sources hold: raw values with their places."""
    return Written({name.replace("_", "-"): (raw, Origin(place)) for name, (raw, place) in values.items()})


@pytest.mark.parametrize("place", ["--rescan", "FEXP_RESCAN", "fexp.yml:3:11: rescan"])
def test_an_error_names_the_place_where_the_value_was_written(place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        EngineSettings.read(written(rescan=("soon", place)))
    assert str(refused.value).startswith(f"{place} 'soon' is not a duration")


def test_an_error_about_two_values_names_both_places() -> None:
    with pytest.raises(SettingsError, match=r"^FEXP_MIN_INTERVAL 2s is longer than fexp.yml:7:3: heartbeat 1s:"):
        DeliverySettings.read(
            written(min_interval=("2s", "FEXP_MIN_INTERVAL"), heartbeat=("1s", "fexp.yml:7:3: heartbeat"))
        )


def test_what_was_given_is_told_from_a_default_of_the_same_value() -> None:
    default, given = EngineSettings.read(NOTHING), EngineSettings.read(command_line({"rescan": "5m"}))
    assert default == given
    assert not default.origin("rescan_seconds").given
    assert given.origin("rescan_seconds").given
    assert {str(default.origin("rescan_seconds")), str(given.origin("rescan_seconds"))} == {"--rescan"}


def test_the_command_line_can_be_laid_over_another_source() -> None:
    """What was not given is not there: so the later source wins by its keys alone."""
    file: dict[str, tuple[Raw, Origin]] = {
        "rescan": ("1m", Origin("f:1:1: rescan")),
        "poll-interval": ("2s", Origin("f:2:1: poll_interval")),
    }
    settings = EngineSettings.read(Written({**file, "rescan": ("5m", Origin("--rescan"))}))
    assert (settings.rescan_seconds, str(settings.origin("rescan_seconds"))) == (300, "--rescan")
    assert (settings.poll_interval_seconds, str(settings.origin("poll_interval_seconds"))) == (
        2,
        "f:2:1: poll_interval",
    )


def test_each_option_is_declared_once() -> None:
    """Groups may share one only by inheriting it."""
    declared: dict[str, Option] = {}
    for group in GROUPS:
        for name, one in group.options().items():
            before = declared.setdefault(one.name, one)
            assert (before.parse, before.help) == (one.parse, one.help), (group, name)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_the_default_of_an_option_is_the_default_of_the_settings(group: type[Group]) -> None:
    for name, one in group.options().items():
        try:
            settings = group()
        except SettingsError:  # its first setting has to be given
            continue
        assert getattr(settings, name) == one.value(), name


def test_settings_are_frozen_and_refuse_what_they_do_not_know() -> None:
    settings: Any = EngineSettings()
    with pytest.raises(AttributeError):
        settings.rescan_seconds = 1.0
    with pytest.raises(TypeError):
        EngineSettings(rescan=1.0)  # type: ignore[call-arg]
    with pytest.raises(SettingsError):
        DeliverySettings().replace(min_interval_seconds=100.0)


def test_without_an_output_it_serves_on_this_machine_only(tmp_path: Path) -> None:
    """Mistake 21c."""
    assert read_settings([str(tmp_path)], Given(NOTHING)).http.listen == (DEFAULT_LISTEN,)
    assert read_settings([str(tmp_path)], Given(command_line({"listen": [":1"]}))).http.listen == (":1",)


def test_a_web_config_needs_something_served() -> None:
    http = HttpSettings.read(command_line({"web-config": "web.yml"}))
    with pytest.raises(SettingsError, match=r"--web-config says how to serve, but nothing is served: add --listen"):
        Settings(http=http)


def test_a_label_of_the_folders_and_one_of_an_output_are_compared(tmp_path: Path) -> None:
    lines = command_line({"label": ["site=a"], "gateway": "http://h", "grouping": ["site=b"]})
    gateway = next(kind for kind in settings_types() if kind.kind == "gateway").read(lines)
    with pytest.raises(SettingsError, match="label site: on the series"):
        read_settings([str(tmp_path)], Given(lines), (gateway,))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"match": [""]}, "--match ''"),
        ({"match": ["sub/*.txt"]}, "--match 'sub/*.txt' can match no file name"),
        ({"match": ["a\0b"]}, "--match 'a\\x00b'"),
        ({"match": [".*"]}, "--match '.*' matches only hidden names, which do not count: add --hidden"),
        ({"match": ["*.\ud800"]}, "ud800"),
        ({"exclude": [""]}, "--exclude ''"),
        ({"exclude": ["//"]}, "--exclude '//' is empty"),
        ({"exclude": ["\ud800/x"]}, "ud800"),
        ({"max-depth": "2"}, "--max-depth says how far --recursive goes: add --recursive"),
        ({"max-depth": "0"}, "--max-depth 0 is too small"),
        ({"max-depth": "-1"}, "--max-depth -1 is too small"),
        ({"max-depth": "x"}, "--max-depth 'x' is not a whole number"),
        ({"settle": "soon"}, "--settle 'soon' is not a duration"),
        ({"settle": "0"}, "--settle '0' must be longer than 0"),
        ({"stall-after": "x"}, "--stall-after 'x' is not a duration"),
        ({"partial": ["*.up"]}, "--partial says which files may stall, but not when: add --stall-after"),
        ({"partial": ["a/b"], "stall-after": "1m"}, "--partial 'a/b' can match no file name"),
        ({"count": "settled"}, "--count settled does not say when a file has settled: add --settle"),
        ({"count": "all"}, "--count 'all' is not known: present, settled"),
        ({"label": ["1a=x"]}, "--label 1a: not a label name"),
        ({"label": ["folder=x"]}, "--label folder: fexp uses this label itself"),
        ({"label": ["le=x"]}, "--label le: fexp uses this label itself"),
        ({"label": ["x"]}, "--label x: write NAME=VALUE"),
        ({"ext": ["txt\udcff", "\ud800"]}, "--ext"),
    ],
)
def test_what_can_match_nothing_is_refused_in_one_line(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SelectionSettings.read(command_line(options))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize(
    ("extension", "pattern"), [("txt", "*.txt"), (".txt", "*.txt"), ("tar.gz", "*.tar.gz"), ("é", "*.é")]
)
def test_an_extension_becomes_a_pattern(extension: str, pattern: str) -> None:
    assert parse_extensions("ext", [extension]) == (pattern,)


@pytest.mark.parametrize("extension", ["", ".", "*.txt", "t?t", "[t]", "a/b", "a\0"])
def test_what_is_no_extension_is_refused_in_one_line(extension: str) -> None:
    with pytest.raises(SettingsError, match=r"^ext '") as refused:
        parse_extensions("ext", ["txt", extension])
    assert "\n" not in str(refused.value)


def test_folders_have_the_selection_and_the_labels(tmp_path: Path) -> None:
    (tmp_path / "one[1].csv").touch()
    (tmp_path / ".hidden").touch()
    settings = SelectionSettings.read(command_line({"ext": ["txt"], "match": ["a*"], "label": ["site=x"]}))
    paths = [str(tmp_path), f"{tmp_path}/one[1].csv", f"{tmp_path}/./", str(tmp_path / "sub")]
    folders = build_folders(paths, settings)
    assert [folder.label for folder in folders] == [str(tmp_path), str(tmp_path / "sub")]
    assert folders[0].selection == Selection(("*.txt", "a*", "one[[]1].csv"))
    assert folders[1].selection == Selection(("*.txt", "a*"))
    assert [folder.labels for folder in folders] == [{"site": "x"}] * 2
    with pytest.raises(SettingsError, match=r"\.hidden is a hidden file, which does not count: add --hidden"):
        build_folders([str(tmp_path / ".hidden")], settings)


def test_the_kinds_are_the_outputs_labels() -> None:
    assert [one.kind for one in settings_types()] == list(OUTPUTS)
