"""All that the user gave: on the command line and in the environment, over what config files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fexp.config.options import Group, repeatable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.config.origin import Origin, Written
    from fexp.probes.probe import Probe


class ConfigSettings(Group):
    """Which config files there are."""

    panel: ClassVar = "Config"

    files: tuple[str, ...] = repeatable(
        "config",
        lambda _, texts: texts,
        "Read options and folders from this YAML file, or from all *.yml and *.yaml of a directory. The command line"
        " wins: its options, and its FOLDERs in place of the file's.",
        metavar="FILE",
    )


@dataclass(frozen=True)
class FolderEntry:
    """A folder of a config file."""

    path: str
    origin: Origin
    written: Written
    """What the file says of it, over the defaults."""


class ProbeEntry(NamedTuple):
    """A probe of a config file."""

    probe: Probe
    written: Written
    """What the file says of it."""


@dataclass(frozen=True)
class Given:
    """What was given, for each group of settings."""

    command_line: Written
    """With the environment."""
    sections: Mapping[type[Group], Written] = field(default_factory=dict)
    """What the files say to each group."""
    folders: tuple[FolderEntry, ...] = ()
    """Of the files."""
    probes: tuple[ProbeEntry, ...] = ()
    """Of the files."""

    def of(self, group: type[Group]) -> Written:
        """Return what was given to a group."""
        section = self.sections.get(group)
        return self.command_line if section is None else self.command_line.over(section)

    def of_folder(self, entry: FolderEntry) -> Written:
        """Return what was given for a folder of the files."""
        return self.command_line.over(entry.written)

    def of_probe(self, probe: Probe) -> Written:
        """Return what was given to a probe."""
        for entry in self.probes:
            if entry.probe is probe:
                return self.command_line.over(entry.written)
        return self.command_line

    def asks_for(self, group: type[Group]) -> bool:
        """Return whether an output was asked for: by its option, or by its section in a file."""
        return group.prefix in self.command_line or group in self.sections
