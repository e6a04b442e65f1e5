"""What the last run of a job left: read back, so that a run that fails still tells when the latest success was.

It stands where the job's numbers are delivered to, if that is a file; else in a file of its own.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from fexp.metrics import JOB_ROWS
from fexp.metrics.parsing import parse_text
from fexp.outputs.textfile import TextfileOutput, TextfileSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.config.output import OutputSettings
    from fexp.outputs import Collects

    Samples = dict[str, Sequence[tuple[Mapping[str, str], float]]]

_LIMIT_BYTES = 16 * 1024 * 1024


class Remembered(NamedTuple):
    """What the last run left."""

    samples: Samples
    """Of fexp's own metrics of the job, by name."""
    own: tuple[Metric, ...]
    """The job's own."""


class Memory:
    """The file that outlasts a run."""

    def __init__(self, job_name: str, outputs: Iterable[OutputSettings]) -> None:
        textfile = next((output for output in outputs if isinstance(output, TextfileSettings)), None)
        self._job_name = job_name
        self._path = textfile.file if textfile else _path_of(job_name)
        self._is_delivered = textfile is not None

    def recall(self) -> Remembered:
        """Return what the last run of the job left."""
        try:
            with open(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                text = file.read(_LIMIT_BYTES)
        except OSError:
            return Remembered({}, ())
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        own = []
        known = {row.name for row in JOB_ROWS}
        for family in parse_text(text).families:
            of_job = [sample for sample in family.samples if sample.labels.get("job_name") == self._job_name]
            if family.name in known:
                for sample in of_job:
                    labels = {name: value for name, value in sample.labels.items() if name != "job_name"}
                    samples.setdefault(family.name, []).append((labels, sample.value))
            elif of_job and not family.name.startswith("fexp_"):
                family.samples = of_job
                own.append(family)
        return Remembered({**samples}, tuple(own))

    def keep(self, source: Collects) -> None:
        """Keep what this run leaves, if nothing that is delivered does so. Raise OutputError."""
        if not self._is_delivered:
            try:
                os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            except OSError:
                pass  # the writing says so
            TextfileOutput(TextfileSettings(self._path, 0o600)).publish(source)


def _path_of(job_name: str) -> str:
    """Return the place of a job's state: systemd's directory for it, or the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    directory = given or os.path.join(base, "fexp")
    return os.path.join(directory, f"job-{hashlib.sha256(job_name.encode()).hexdigest()[:16]}.prom")
