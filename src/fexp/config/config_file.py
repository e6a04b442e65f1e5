"""Config files: YAML whose keys are the options. All of it is checked where it stands, whichever command reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fexp.config.entries import keys_of, text_of, value_of, written_of
from fexp.config.given import FolderEntry
from fexp.config.origin import Origin
from fexp.config.probes import ReadingSettings
from fexp.config.regular_file import open_regular_file
from fexp.config.selection import FolderSettings
from fexp.config.settings import DeliverySettings, EngineSettings, HttpSettings, LoggingSettings, OneShotSettings
from fexp.config.template import check_template, literally
from fexp.config.yamlnode import Entry, read_yaml, shown
from fexp.counting.paths import absolute_folder
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fexp.config.given import ProbeEntry
    from fexp.config.options import Group
    from fexp.config.origin import Raw, Written
    from fexp.config.output import OutputSettings
    from fexp.config.probe_entries import ProbeReader

FOLDERS, DEFAULTS, OUTPUTS, ENGINE, PROBES = "folders", "defaults", "outputs", "engine", "probes"
PATH = "path"
GROUPS: Mapping[str, tuple[type[Group], ...]] = {
    DEFAULTS: (FolderSettings,),
    OUTPUTS: (HttpSettings, DeliverySettings),
    ENGINE: (EngineSettings, LoggingSettings, OneShotSettings, ReadingSettings),
}
"""What each section sets. Below ``outputs`` there is one more for each kind of output."""

_ENDINGS = (".yml", ".yaml")


def config_files(paths: Iterable[str]) -> list[str]:
    """Return the files: those named, and those of the directories named. Raise SettingsError."""
    files = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise SettingsError(f"config {path}: cannot be read: {error.strerror}") from error
        found = [os.path.join(path, name) for name in names if name.endswith(_ENDINGS) and not name.startswith(".")]
        if not found:
            raise SettingsError(f"config {path}: the directory holds no *.yml and no *.yaml")
        files += found
    return files


class ConfigReader:
    """Reads config files. What several of them say adds up; nothing may be said twice."""

    def __init__(self, kinds: Iterable[type[OutputSettings]]) -> None:
        self._kinds = {kind.kind: kind for kind in kinds}
        self._written: dict[tuple[type[Group], ...], dict[str, tuple[Raw, Origin]]] = {}
        self._folders: list[tuple[str, Origin, Mapping[str, tuple[Raw, Origin]], set[str]]] = []
        self._places: dict[str, Origin] = {}
        """By absolute path, where the folder is given."""
        self._begun: dict[tuple[type[Group], ...], str] = {}
        """Where each section stands."""
        self._probes: ProbeReader | None = None

    def read(self, path: str) -> None:
        """Read one file. Raise SettingsError."""
        try:
            with open_regular_file(path) as file:
                text = file.read().decode()
        except UnicodeDecodeError:
            raise SettingsError(f"config {path}: not UTF-8 text") from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"config {path}: cannot be read: {getattr(error, 'strerror', error)}") from error
        self.parse(text, path)

    def parse(self, text: str, path: str) -> None:
        """Read the text of a file that lies at ``path``; relative paths in it start at its directory."""
        top = read_yaml(text, path).entries(FOLDERS, *GROUPS, PROBES)
        directory = os.path.dirname(path)
        for section, groups in GROUPS.items():
            nested = self._kinds if section == OUTPUTS else {}
            entries = _entries(top[section], section, groups, nested)
            self._section(groups, entries, directory)
            for name, kind in nested.items():
                if name in entries:
                    self._begun.setdefault((kind,), f"{entries[name].place}: ")
                    self._section((kind,), _entries(entries[name], name, (kind,)), directory)
        for entry in top[FOLDERS].items():
            self._folder(entry, directory)
        for entry in top[PROBES].items():
            self._probe(entry, directory)

    def sections(self) -> dict[type[Group], Written]:
        """Return what was said to each group."""
        return {
            group: written_of(groups, values, self._begun.get(groups, ""))
            for groups, values in self._written.items()
            for group in groups
        }

    def folders(self) -> tuple[FolderEntry, ...]:
        """Return the folders, with the defaults of all files. Raise SettingsError for a pattern that is given twice."""
        groups = GROUPS[DEFAULTS]
        defaults = written_of(groups, self._written.get(groups, {}))
        entries = []
        for path, origin, values, reset in self._folders:
            written = written_of(groups, values).over(defaults.without(reset))
            _refuse_same_patterns(written)
            entries.append(FolderEntry(path, origin, written))
        return tuple(entries)

    def probes(self) -> tuple[ProbeEntry, ...]:
        """Return the probes."""
        return () if self._probes is None else tuple(self._probes.entries)

    def _probe(self, entry: Entry, directory: str) -> None:
        if self._probes is None:
            from fexp.config.probe_entries import ProbeReader  # most files have none

            self._probes = ProbeReader()
        self._probes.read(entry, directory)

    def _section(self, groups: tuple[type[Group], ...], entries: Mapping[str, Entry], directory: str) -> None:
        values = self._written.setdefault(groups, {})
        for key, option in keys_of(groups).items():
            if key not in entries or entries[key].is_null:
                continue
            raw, origin = value_of(key, option, entries[key], directory)
            if option.name in values:
                raise SettingsError(f"{origin} is given already: {values[option.name][1]}")
            values[option.name] = raw, Origin(origin.text, is_shared=groups is GROUPS[DEFAULTS])

    def _folder(self, entry: Entry, directory: str) -> None:
        groups = GROUPS[DEFAULTS]
        keys = keys_of(groups)
        entries = {PATH: entry} if entry.is_scalar else _entries(entry, FOLDERS, groups, (PATH,))
        if PATH not in entries or not (text := text_of(entries[PATH])):
            raise entry.mistake("path is missing: name the folder")
        origin = Origin(f"{entries[PATH].place}: {PATH}")
        check_template(origin, text)
        start = literally(os.path.join(os.getcwd(), directory))
        path = absolute_folder(os.path.join(start, text), os.getcwd, os.readlink)
        if path in self._places:
            raise SettingsError(f"{origin} {shown(text)} is a folder already: {self._places[path]}")
        self._places[path] = origin
        values = {
            keys[key].name: value_of(key, keys[key], one, directory)
            for key, one in entries.items()
            if key != PATH and not one.is_null
        }
        reset = {keys[key].name for key, one in entries.items() if key != PATH and one.is_null}
        self._folders.append((path, origin, values, reset))


def _entries(
    entry: Entry, section: str, groups: Iterable[type[Group]], others: Iterable[str] = ()
) -> Mapping[str, Entry]:
    """Return the entries of a section. Raise SettingsError; for a key of another section it names that."""
    known = (*others, *keys_of(groups))
    try:
        return dict(entry.entries(*known))
    except SettingsError:
        for key, one in entry.named():
            homes = [name for name, its in GROUPS.items() if key in keys_of(its) and name != section]
            if key not in known and homes:
                raise one.mistake(f"unknown key {shown(key)} here: it belongs under {homes[0]}") from None
        raise


def _refuse_same_patterns(written: Written) -> None:
    """Raise a SettingsError for a pattern that is given as an extension too."""
    keys = FolderSettings.keys()
    by_key = {
        key: keys[key].parse(written.origin(key), written.value(key)) for key in ("ext", "match") if key in written
    }
    same = set(by_key.get("ext", ())).intersection(by_key.get("match", ()))
    if same:
        raise SettingsError(f"{written.origin('match')} {min(same)!r} is given already: {written.origin('ext')}")


def read_config_files(paths: Sequence[str], kinds: Iterable[type[OutputSettings]]) -> ConfigReader:
    """Return what the files say, those of directories included. Raise SettingsError."""
    reader = ConfigReader(kinds)
    for path in config_files(paths):
        reader.read(path)
    return reader
