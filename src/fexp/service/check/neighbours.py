"""Other files of the textfile directory: node_exporter serves all of them as one exposition."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from fexp.metrics import CATALOGUE
from fexp.service.check.finding import Finding, error, warning
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.outputs.textfile import TextfileSettings
    from fexp.service.check.setup import Setup

_BYTES_MAX = 8 << 20
_KINDS = frozenset({"gauge", "counter", "histogram"})
"""Those that text 0.0.4 calls as fexp does."""
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
_FOLDER = re.compile(r'^fexp_folder_up\{(?:[^\n]*,)?folder="((?:[^"\\]|\\.)*)"', re.MULTILINE)


def conflicts(settings: TextfileSettings, directory: str, setup: Setup) -> Iterator[Finding]:
    """Yield the files that hold what fexp will write, or hold it as something else."""
    kinds = {row.name.removesuffix("_total"): str(row.kind) for row in CATALOGUE if row.kind in _KINDS}
    for selected in setup.settings.probes:
        kinds.update({metric.name: str(metric.kind) for metric in selected.probe.metrics if metric.kind in _KINDS})
    labels = {folder.label for folder in setup.folders}
    own = os.path.basename(settings.file)
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".prom") or name == own:
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as file:
                text = file.read(_BYTES_MAX).decode(errors="replace")
        except OSError:
            continue  # not ours to judge
        found = error if name < own else warning
        first = min(name, own)
        same = sorted(labels.intersection(re.sub(r"\\(.)", r"\1", folder) for folder in _FOLDER.findall(text)))
        if same:
            yield found(
                f"{visible(path)} has the same series of {visible(same[0])}",
                f"node_exporter shows those of the file that comes first by its name, {visible(first)}, alone.",
                f"rm {shlex.quote(path)} (unless another fexp keeps it)",
            )
        for family, kind in _TYPE.findall(text):
            wanted = kinds.get(family.removesuffix("_total"))
            if wanted is not None and kind != wanted:
                yield found(
                    f"{visible(path)} has {family} as a {kind}, fexp as a {wanted}",
                    f"node_exporter shows those of the file that comes first by its name, {visible(first)}, alone.",
                    f"rm {shlex.quote(path)}",
                )
