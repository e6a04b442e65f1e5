"""The probes of config files: a name, or a mapping of a name and the parameters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fexp.config.entries import keys_of, text_of, value_of, written_of
from fexp.config.given import ProbeEntry
from fexp.config.origin import Origin
from fexp.config.probes import check_together, group_of, load_all
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from fexp.config.yamlnode import Entry

PROBE = "probe"


class ProbeReader:
    """Reads entries. What several files say adds up; no probe may be there twice."""

    def __init__(self) -> None:
        self.entries: list[ProbeEntry] = []
        self._places: dict[str, Origin] = {}
        """By the name of a probe, where it is given."""

    def read(self, entry: Entry, directory: str) -> None:
        """Take in one entry of a file in this directory. Raise SettingsError."""
        entries = {PROBE: entry} if entry.is_scalar else dict(entry.entries())
        if PROBE not in entries or not (name := text_of(entries[PROBE])):
            raise entry.mistake("probe is missing: name the probe")
        origin = Origin(f"{entries[PROBE].place}: {PROBE}")
        if name.endswith(".py") or "/" in name:
            name = os.path.join(directory, name)
        probes = load_all(origin, [name])
        for probe in probes:
            if probe.name in self._places:
                raise SettingsError(f"{origin} {probe.name} is given already: {self._places[probe.name]}")
            self._places[probe.name] = origin
        groups = [group_of(probe) for probe in probes]
        if not entry.is_scalar:
            entry.entries(PROBE, *keys_of(groups))  # of several probes each takes the parameters that it has
        for probe, group in zip(probes, groups, strict=True):
            values = {
                option.name: value_of(key, option, entries[key], directory)
                for key, option in group.keys().items()
                if key in entries and key != PROBE and not entries[key].is_null
            }
            self.entries.append(ProbeEntry(probe, written_of((group,), values, f"{entry.place}: ")))
        try:
            check_together([one.probe for one in self.entries])
        except SettingsError as error:
            raise SettingsError(f"{origin} {error}") from None
