"""Rendering whose price is per change: the lines of folders in which nothing changed are kept.

A folder in which nothing changed is the same object in the next snapshot. prometheus_client renders its families when
it is first seen. The lines are kept by row, joined for some folders that follow one another, and so is what gzip makes
of them. The whole is a join of these pieces.
"""

from __future__ import annotations

import threading
import time
from array import array
from itertools import chain, groupby
from operator import attrgetter, is_
from typing import TYPE_CHECKING, NamedTuple

from fexp.metrics import CATALOGUE, EVERYWHERE, FOLDER_SCOPES, FexpCollector
from fexp.metrics.collector import good_family
from fexp.model import Snapshot
from fexp.outputs.formats import Families, Format, labelled
from fexp.outputs.pieces import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.metrics import Row, Scope
    from fexp.metrics.collector import LeftOut
    from fexp.model import FolderSnapshot

_CHUNK_FOLDERS = 64
"""A change costs the joining and the compressing of so many folders' lines; a scrape costs their number of pieces."""
_KEPT_SECONDS = 900.0
"""A format that nobody has asked for so long gives its memory back."""
_ROWS = tuple(row for row in CATALOGUE if row.scope in FOLDER_SCOPES)
_ROWS_BY_PLACE = tuple(enumerate(_ROWS))
_PLACE = {row.name: place for place, row in _ROWS_BY_PLACE}
_NAMES = {row.name: row.names for row in _ROWS}


class _Fault(NamedTuple):
    """Samples of a folder that were left out."""

    name: str
    error: Exception
    samples: int


class _Run(NamedTuple):
    """The lines of folders that follow one another."""

    texts: Sequence[bytes]
    """One a header."""
    lengths: Sequence[array[int]]
    """For each header, that of each folder."""
    faults: Sequence[tuple[_Fault, ...]]
    """Of each folder."""


class _Chunk:
    """Folders that follow one another, and their lines. Never changed once made."""

    def __init__(self, folders: Sequence[FolderSnapshot], runs: Sequence[_Run], before: _Chunk | None) -> None:
        self.folders = folders
        texts = [b"".join(column) for column in zip(*[run.texts for run in runs], strict=True)]
        kept = before.pieces if before is not None else [Piece(b"")] * len(texts)
        self.pieces: list[Piece] = [  # what is as before keeps what was compressed of it
            old if old.text == text else Piece(text) for old, text in zip(kept, texts, strict=True)
        ]
        """One a header."""
        columns = zip(*[run.lengths for run in runs], strict=True)
        self._lengths = [array("I", chain.from_iterable(column)) for column in columns]
        self._faults = [faults for run in runs for faults in run.faults]
        self.faults = list(chain.from_iterable(self._faults))

    def run(self, first: int, end: int) -> _Run:
        """Return the lines of some of the folders."""
        texts, lengths = [], []
        for piece, all_lengths in zip(self.pieces, self._lengths, strict=True):
            begin, some = sum(all_lengths[:first]), all_lengths[first:end]
            texts.append(piece.text[begin : begin + sum(some)])
            lengths.append(some)
        return _Run(texts, lengths, self._faults[first:end])


class Renderer:
    """Renders snapshots in one format, all series with some more labels. Several threads may share it."""

    def __init__(self, form: Format, labels: Mapping[str, str]) -> None:
        self._form = form
        self._labels = labels
        self._lock = threading.Lock()
        self._chunks: tuple[_Chunk, ...] = ()
        self._headers: list[Piece] = []
        self._spans: list[slice] = []
        """Of the headers of each row: mostly one."""
        for row in _ROWS:
            headers = [Piece(form.render(Families([family]))) for family in form.families(row.family())]
            self._spans.append(slice(len(self._headers), len(self._headers) + len(headers)))
            self._headers += headers
        self._end = Piece(form.end)
        self._of_probes: dict[str, tuple[Metric, Piece]] = {}
        """What was rendered of a probe's family that nothing has changed in since."""

    def render(
        self, collector: FexpCollector, others: Iterable[Metric] = (), names: Collection[str] = ()
    ) -> list[Piece]:
        """Return the families that have samples now, the collector's first.

        ``names``: only those whose own name or a sample's name is among them; all when there are none.
        """
        snapshot = collector.take()
        with self._lock:
            chunks = self._chunks = self._chunks_of(_parts_of(snapshot.folders))
        for chunk in chunks:
            for fault in chunk.faults:
                collector.left_out(*fault)
        pieces: list[Piece] = []
        for row in collector.rows:
            if row.scope not in FOLDER_SCOPES:
                pieces += self._fresh([good_family(row, snapshot, collector.left_out)], names)
            elif not names or not _NAMES[row.name].isdisjoint(names):
                pieces += self._kept(row, chunks)
        pieces += self._kept_families(collector.of_probes(snapshot), names)
        pieces += self._fresh(others, names)
        pieces.append(self._end)
        return pieces

    def _kept_families(self, families: Sequence[Metric], names: Collection[str]) -> Iterator[Piece]:
        before = self._of_probes
        now: dict[str, tuple[Metric, Piece]] = {}
        for family in families:
            rendered, piece = before.get(family.name, (None, Piece(b"")))
            if rendered is not family:
                piece = Piece(self._form.render(Families([labelled(family, self._labels)])))
            now[family.name] = (family, piece)
            if _is_wanted(family, names):
                yield piece
        self._of_probes = now

    def _kept(self, row: Row, chunks: Sequence[_Chunk]) -> Iterator[Piece]:
        span = self._spans[_PLACE[row.name]]
        for column, header in enumerate(self._headers[span], span.start):
            lines = [chunk.pieces[column] for chunk in chunks if chunk.pieces[column].text]
            if lines:
                yield header
                yield from lines

    def _fresh(self, families: Iterable[Metric], names: Collection[str]) -> Iterator[Piece]:
        wanted = [labelled(family, self._labels) for family in families if family.samples and _is_wanted(family, names)]
        if wanted:
            yield Piece(self._form.render(Families(wanted)))

    def _chunks_of(self, folders: Sequence[FolderSnapshot]) -> tuple[_Chunk, ...]:
        """Return the chunks of these folders; render those that are new or changed."""
        old = self._chunks
        parts = [folders[first : first + _CHUNK_FOLDERS] for first in range(0, len(folders), _CHUNK_FOLDERS)]
        befores = [*old, *[None] * len(parts)][: len(parts)]
        chunks = [
            before if before and _same(before.folders, part) else None
            for before, part in zip(befores, parts, strict=True)
        ]
        left = set(old).difference(chunks)
        known = _Known(left)
        return tuple(
            chunk or _Chunk(part, list(self._runs(part, known)), before)
            for chunk, part, before in zip(chunks, parts, befores, strict=True)
        )

    def _runs(self, folders: Sequence[FolderSnapshot], known: _Known) -> Iterator[_Run]:
        """Yield the lines of folders: those that followed one another before, together; new ones one by one."""

        def origin(place: int) -> tuple[_Chunk | None, int]:
            chunk, old_place = known.by_id.get(id(folders[place]), (None, place))
            return chunk, old_place - place

        for (chunk, offset), places in groupby(range(len(folders)), origin):
            followers = list(places)
            if chunk is None:
                yield from (self._rendered(folders[place], known) for place in followers)
            else:
                yield chunk.run(followers[0] + offset, followers[-1] + offset + 1)

    def _rendered(self, folder: FolderSnapshot, known: _Known) -> _Run:
        """Return the lines of one folder: of rows that are as before those that were made then."""
        snapshot = Snapshot((folder,))
        try:
            kept = known.lines_as_before(folder, self._spans)
            return self._cut([None if place in kept else row.family(snapshot) for place, row in _ROWS_BY_PLACE], kept)
        except Exception:  # noqa: BLE001 - found out sample by sample
            faults: list[_Fault] = []

            def left_out(name: str, error: Exception, samples: int) -> None:
                faults.append(_Fault(name, error.with_traceback(None), samples))

            run = self._cut([good_family(row, snapshot, left_out) for row in _ROWS], {})
            return run._replace(faults=[tuple(faults)])

    def _cut(self, families: Sequence[Metric | None], kept: Mapping[int, Sequence[bytes]]) -> _Run:
        """Return what prometheus_client makes of families, cut at the headers: no line of a sample can be one."""
        wanted = {place: family for place, family in enumerate(families) if family is not None and family.samples}
        shown = (self._form.families(labelled(family, self._labels)) for family in wanted.values())
        text = self._form.render(Families(chain.from_iterable(shown)))
        texts = [b""] * len(self._headers)
        for place, lines in kept.items():
            texts[self._spans[place]] = lines
        for place in reversed(wanted):
            span = self._spans[place]
            for column in reversed(range(span.start, span.stop)):
                text, _, texts[column] = text.rpartition(self._headers[column].text)
        return _Run(texts, [array("I", [len(lines)]) for lines in texts], [()])


class _Known:
    """What there was before of folders that changed."""

    def __init__(self, chunks: Collection[_Chunk]) -> None:
        places = [(chunk, place, folder) for chunk in chunks for place, folder in enumerate(chunk.folders)]
        self.by_id = {id(folder): (chunk, place) for chunk, place, folder in places}
        self._by_name = {folder.name: (chunk, place) for chunk, place, folder in places}

    def lines_as_before(self, folder: FolderSnapshot, spans: Sequence[slice]) -> Mapping[int, Sequence[bytes]]:
        """Return the lines of the rows whose samples are as before, by the row's place."""
        chunk, place = self._by_name.get(folder.name, (None, 0))
        if chunk is None:
            return {}
        run, before, now = chunk.run(place, place + 1), Snapshot((chunk.folders[place],)), Snapshot((folder,))
        if any(run.faults):
            return {}
        return {
            place: run.texts[spans[place]]
            for place, row in _ROWS_BY_PLACE
            if list(row.read(before)) == list(row.read(now))
        }


def _parts_of(folders: Sequence[FolderSnapshot]) -> Sequence[FolderSnapshot]:
    """Return the parts of folders that have some, and the others as they are."""
    if not any(map(attrgetter("parts"), folders)):
        return folders
    return [part for folder in folders for part in folder.parts or (folder,)]


def _is_wanted(family: Metric, names: Collection[str]) -> bool:
    return not names or family.name in names or any(sample.name in names for sample in family.samples)


def _same(before: Sequence[FolderSnapshot], now: Sequence[FolderSnapshot]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))


class Renderers:
    """The renderers that outputs share, one for each format and set of labels; made when first asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[tuple[Format, tuple[tuple[str, str], ...]], tuple[float, Renderer]] = {}

    def get(self, form: Format, labels: Mapping[str, str]) -> Renderer:
        """Return the renderer; forget those that nobody has asked for in a long time."""
        key, now = (form, tuple(labels.items())), self._clock()
        with self._lock:
            _, renderer = self._used.get(key) or (now, Renderer(form, labels))
            self._used = {one: used for one, used in self._used.items() if used[0] > now - _KEPT_SECONDS}
            self._used[key] = (now, renderer)
        return renderer


class KeptCollector(FexpCollector):
    """A collector whose text is rendered by change, from what all that share the renderers have kept."""

    def __init__(
        self,
        take: Callable[[], Snapshot],
        scopes: Collection[Scope] = EVERYWHERE,
        left_out: LeftOut = lambda *_: None,
        *,
        renderers: Renderers | None = None,
    ) -> None:
        super().__init__(take, scopes, left_out)
        self._renderers = renderers or Renderers()

    def render(
        self,
        form: Format,
        *,
        labels: Mapping[str, str] | None = None,
        others: Iterable[Metric] = (),
        names: Collection[str] = (),
    ) -> list[Piece]:
        """See ``Renderer.render``."""
        return self._renderers.get(form, labels or {}).render(self, others, names)
