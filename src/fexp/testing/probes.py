"""Running a probe on given files and settings, and asking for its values."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from prometheus_client.metrics_core import Metric

    from fexp.model import Snapshot
    from fexp.probes.probe import Probe

    Files: TypeAlias = Mapping[str, str | bytes] | str | os.PathLike[str]
    """Contents by path below a folder, which is made for the run; or the path of a folder that is there."""


class ProbeRun:
    """What one run of a probe gave. It is a collector, so ``sample_value`` reads it."""

    def __init__(self, snapshot: Snapshot, problems: Sequence[str]) -> None:
        self._snapshot = snapshot
        self.problems = tuple(problems)
        """What a one-shot would say of it, a line each: what it raised, samples that were left out."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families of the probe, and ``fexp_probe_success`` and the like."""
        from fexp.metrics import FexpCollector

        return FexpCollector(lambda: self._snapshot).collect()

    @property
    def text(self) -> str:
        """The same as text 0.0.4, for ``assert_exposition``."""
        from fexp.outputs.formats import Format

        return Format.TEXT.render(self).decode()

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """Return the value of a sample; see ``sample_value``."""
        from fexp.testing.values import sample_value

        return sample_value(self, name, labels)


def run_probe(probe: Any, files: Files | None = None, /, **settings: Any) -> ProbeRun:
    """Run a probe once, as the one-shots do: with its lifespan, its time-out and all checks.

    ``files``: what is in the folder that a probe for files looks at, subfolders included. ``settings``: its
    keyword-only parameters, as values. A collector or a registry of prometheus_client may stand for a probe. What the
    probe raises is among the ``problems``. Raise SettingsError for a wrong setting.
    """
    from fexp.probes.loading import as_probes

    (one,) = as_probes((probe,), "probe")
    one.check_ready()
    given = _settings(one, settings)
    if files is None or isinstance(files, Mapping):
        with tempfile.TemporaryDirectory(prefix="fexp-probe-") as folder:
            _write(folder, files or {})
            return _run(one, given, folder)
    return _run(one, given, os.fspath(files))


def _settings(probe: Probe, given: Mapping[str, Any]) -> dict[str, Any]:
    from fexp.probes.parameters import REQUIRED

    known = {one.name: one.default for one in probe.parameters}
    for name in given.keys() - known.keys():
        raise probe.wrong(f"{name} is no setting of it; they are {', '.join(known) or 'none'}")
    whole = {**known, **given}
    for name in (name for name, value in whole.items() if value is REQUIRED):
        raise probe.wrong(f"it needs a value for {name}")
    return whole


def _write(folder: str, files: Mapping[str, str | bytes]) -> None:
    for below, content in files.items():
        path = os.path.join(folder, below)
        if os.path.isabs(below) or not os.path.abspath(path).startswith(f"{folder}/"):
            raise SettingsError(f"files {below!r}: give a path below the folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)


def _run(probe: Probe, settings: Mapping[str, Any], folder: str) -> ProbeRun:
    from fexp.config.probes import Selected
    from fexp.config.selection import SelectionSettings, build_folders
    from fexp.config.settings import Settings
    from fexp.model import Snapshot
    from fexp.service.probes.all import run_once

    folders = build_folders((folder,), SelectionSettings(recursive=True))
    run = Settings(folders, probes=(Selected(probe, settings),))
    return ProbeRun(*run_once(run, folders, Snapshot(())))
