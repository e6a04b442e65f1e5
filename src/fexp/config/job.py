"""What ``run`` is asked for: the job, and what it is measured by."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from fexp.config.options import Group, flag, option, repeatable
from fexp.config.values import one_of, parse_duration, parse_duration_or_zero, parse_text, parse_whole_number
from fexp.errors import SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from fexp.config.origin import Origin


class Overlap(StrEnum):
    """What a run does while another one of the same job is at work."""

    SKIP = "skip"
    WAIT = "wait"


def parse_job_name(origin: Origin | str, text: str) -> str:
    """Return the name. Raise SettingsError for one that no label can hold."""
    if not text:
        raise SettingsError(f"{origin} is empty: an empty label is none; give the job a name")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{origin} {text!r} is not UTF-8 text, so no label can hold it: take another") from None
    return text


def _parse_count(origin: Origin | str, text: str) -> int:
    count = parse_whole_number(origin, text)
    if count < 0:
        raise SettingsError(f"{origin} {count} is less than none: give 0 or more")
    return count


class JobSettings(Group):
    """The job: its name, and how it is run."""

    panel: ClassVar = "The job"

    name: str | None = option(
        "job",
        parse_job_name,
        None,
        "The name of the job: the label job_name, and the job in the group's key and of remote write. Needed.",
        metavar="NAME",
    )
    timeout_seconds: float | None = option(
        "timeout",
        parse_duration,
        None,
        "End a command that takes longer, and all that it started: TERM, then KILL. Each try has this long.",
        metavar="DURATION",
    )
    kill_after_seconds: float = option(
        "kill-after", parse_duration, "10s", "How long after TERM the KILL comes.", metavar="DURATION"
    )
    overlap: Overlap = option(
        "overlap",
        one_of(Overlap),
        "skip",
        "skip or wait, while another run of this job is at work.",
        metavar="HOW",
    )
    retries: int = option("retries", _parse_count, "0", "Run a command that failed so many times more.", metavar="N")
    retry_delay_seconds: float = option(
        "retry-delay", parse_duration_or_zero, "1s", "Wait this long before each of them.", metavar="DURATION"
    )
    folders: tuple[str, ...] = repeatable(
        "folder",
        lambda _, texts: texts,
        "Measure what the job consumes and produces in this folder.",
        metavar="FOLDER",
    )
    metrics_file: str | None = option(
        "metrics-from",
        parse_text,
        None,
        "A file or a FIFO that the job writes samples of its own to, in text format.",
        metavar="FILE",
    )
    strict: bool = flag("strict", "Exit with 1 if the command succeeded but a delivery failed.")

    def validate(self) -> None:
        if self.metrics_file == "":
            raise SettingsError(f"{self.origin('metrics_file')} is empty: name the file that the job writes")
        if self.metrics_file and os.path.isdir(self.metrics_file):
            raise SettingsError(
                f"{self.origin('metrics_file')} {one_line(self.metrics_file)} is a directory: name a file in it"
            )

    @property
    def job_name(self) -> str:
        """The name. It has no default: two jobs without one would overwrite each other."""
        assert self.name is not None
        return self.name
