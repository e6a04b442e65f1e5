"""Reads snapshots as encoded samples. Only folders in which something changed are read."""

from __future__ import annotations

import struct
import sys
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fexp.outputs.push.protobuf import encode_labels, encode_sample, labels_of, series_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.model import FolderSnapshot
    from fexp.outputs import Collects

    _Runs = dict[int, tuple[FolderSnapshot | None, "Run"]]

NEVER = sys.maxsize
_OBJECT_BYTES = 40
"""What an encoded sample takes beside its content."""
_RUN_BYTES = 250
"""What a run takes beside its samples."""


class Run:
    """The samples of one folder while nothing changes in it: from snapshot number ``first`` to before ``end``."""

    __slots__ = ("end", "first", "memory_bytes", "samples")

    def __init__(self, samples: Sequence[bytes], first: int, new_bytes: int) -> None:
        self.samples = samples
        """Encoded, up to their time."""
        self.first = first
        self.end = NEVER
        self.memory_bytes = _RUN_BYTES + 8 * len(samples) + new_bytes
        """What it takes beside the samples that it shares with the run before it."""


class Change(NamedTuple):
    """How a snapshot differs from the one before it."""

    begun: Sequence[Run]
    ended: Collection[bytes]
    """The encoded labels of the series that end with it."""
    samples: int
    """How many it has, changed or not."""


class Reader:
    """Reads a source again and again."""

    def __init__(self, common: Mapping[str, str]) -> None:
        """``common``: labels that every series carries."""
        self._common = common
        self._open: _Runs = {}
        """By the identity of the folder's snapshot, which lives as long as it is here."""
        self._samples = 0

    def read(self, source: Collects, number: int) -> Change:
        """Return how the numbers as they are now, of the snapshot of this number, differ from those before."""
        from fexp.metrics import FexpCollector

        parts = list(source.by_folder() if isinstance(source, FexpCollector) else [(None, source.collect())])
        over = self._open.keys() - {id(folder) for folder, _ in parts if folder is not None}
        # The same sample is the same object in all snapshots: they are most of what waiting snapshots take.
        known = {sample: sample for key in over for sample in self._open[key][1].samples}
        begun: _Runs = {}
        for folder, families in parts:
            key = id(folder)
            if key in self._open and key not in over:
                continue
            run = self._run(families, known, number)
            if key in over and self._open[key][1].samples == run.samples:
                over.remove(key)  # what is read each time has not changed
            else:
                begun[key] = (folder, run)
        return self._replace(over, begun, number)

    def end(self, number: int) -> Change:
        """Return the change that ends all series."""
        return self._replace(set(self._open), {}, number)

    def _run(self, families: Iterable[Metric], known: Mapping[bytes, bytes], number: int) -> Run:
        values = {encode_labels(labels): value for labels, value in series_of(families, self._common)}
        samples = [encode_sample(labels, struct.pack("<d", value)) for labels, value in values.items()]
        new_bytes = sum(len(sample) + _OBJECT_BYTES for sample in samples if sample not in known)
        return Run([known.get(sample, sample) for sample in samples], number, new_bytes)

    def _replace(self, over: Collection[int], begun: _Runs, number: int) -> Change:
        old_runs, new_runs = [self._open.pop(key)[1] for key in over], [run for _, run in begun.values()]
        self._open.update(begun)
        for run in old_runs:
            run.end = number
        old, new = (set(chain.from_iterable(run.samples for run in runs)) for runs in (old_runs, new_runs))
        self._samples += sum(len(run.samples) for run in new_runs) - sum(len(run.samples) for run in old_runs)
        ended = set(map(labels_of, old - new))
        if ended:
            ended.difference_update(map(labels_of, new - old))
        return Change(new_runs, ended, self._samples)
