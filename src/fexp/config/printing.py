"""What ``scan`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from fexp.config.options import Group, option
from fexp.config.values import Choice, one_of, parse_count
from fexp.errors import SettingsError
from fexp.listed import FileQuery, Listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder


class PrintingSettings(Group):
    """What ``scan`` prints."""

    panel: ClassVar = "Where the numbers go"

    format: str | None = option(
        "format",
        one_of(("table", "prom", "openmetrics", "json")),
        None,
        "table, prom, openmetrics or json; table on a terminal or with --sort, else prom.",
        metavar="FORMAT",
    )
    sort: str | None = option(
        "sort",
        one_of(("folder", "pattern", "files", "size", "oldest", "newest", "largest")),
        None,
        "Sort the table by this column, the most first: folder, pattern, files, size, oldest, newest or largest.",
        metavar="COLUMN",
    )

    listed: Listed | None = option(
        "list",
        Choice({str(one): one for one in Listed if one not in (Listed.UNSETTLED, Listed.STALLED)}),
        None,
        "Print files instead: the oldest, newest, largest or smallest, or those that are empty or from the future.",
        metavar="WHICH",
    )
    files_max: int = option("limit", parse_count, "20", "Print so many files of each folder.", metavar="N")

    def validate(self) -> None:
        if self.sort is not None and (self.listed or self.format not in {None, "table"}):
            other, what = ("listed", "prints files") if self.listed else ("format", f"is {self.format}")
            raise SettingsError(
                f"{self.origin('sort')} sorts the table, but {self.origin(other)} {what}: leave one out"
            )
        limit, listed = self.origin("files_max"), self.origin("listed")
        if self.listed is None:
            if limit.given:
                raise SettingsError(f"{limit} has no effect without {listed}: add {listed}, or leave {limit} out")
        elif self.format not in {None, "table", "json"}:
            raise SettingsError(
                f"{self.origin('format')} {self.format} is for numbers, and {listed} prints files: give table or json"
            )

    def query(self, settings: Settings, folders: Sequence[Folder]) -> FileQuery | None:
        """Return which files of each folder are asked for. Raise SettingsError if none can be."""
        if self.listed is None:
            return None
        listed = self.origin("listed")
        if folders and all(folder.hides_names for folder in folders):
            hides = settings.selection.origin("hides_names")
            raise SettingsError(f"{listed} prints names of files, which {hides} forbids: leave one of them out")
        if settings.probes:
            raise SettingsError(f"{listed} prints files and no samples: leave the probes out")
        return FileQuery(self.listed, self.files_max)
