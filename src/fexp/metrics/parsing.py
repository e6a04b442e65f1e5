"""Reads text 0.0.4 strictly: what a receiver would refuse is left out line by line, and the rest is kept.

prometheus_client's own parser takes half a line of a writer that was interrupted for a whole one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.metrics_core import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from prometheus_client.samples import Sample as FamilySample

    Labels = dict[str, str]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*')
_BLANKS = re.compile(r"[ \t]*")
_WORD = re.compile(r"[^ \t]+")
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Inf)|NaN")
_ESCAPED = re.compile(r'\\([\\"n])')
_COMMENT = re.compile(r"#[ \t]+(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]+(.*))?")
_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}
_REASONS_MAX = 100
_BOUND = {"_bucket": "le", "": "quantile"}


class Parsed(NamedTuple):
    """What some text holds."""

    families: tuple[Metric, ...]
    rejected: int
    """Lines that are left out."""
    reasons: tuple[str, ...]
    """Why, of the first of them."""

    @property
    def reason(self) -> str | None:
        """Why the first is left out; None when nothing is."""
        return self.reasons[0] if self.reasons else None


class _BadLineError(ValueError):
    """A line that no receiver would take."""


class _Parser:
    def __init__(self, labels: Mapping[str, str], reserved: Collection[str], own_prefix: str | None) -> None:
        self._labels = labels
        self._reserved = reserved
        self._own_prefix = own_prefix
        self._types: dict[str, str] = {}
        self._helps: dict[str, str] = {}
        self._families: dict[str, Metric] = {}
        self._series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self.rejected = 0
        self.reasons: list[str] = []

    def reject(self, where: str, why: object, lines: int = 1) -> None:
        """Count lines that are left out."""
        self.rejected += lines
        if len(self.reasons) < _REASONS_MAX:
            self.reasons.append(f"{where}: {why}")

    def read(self, line: str) -> None:
        """Take in one line. Raise _BadLineError."""
        text = line.strip(" \t")
        if text.startswith("#"):
            self._read_comment(text)
        elif text:
            self._read_sample(text)

    def _read_comment(self, text: str) -> None:
        found = _COMMENT.fullmatch(text)
        if found is None:
            return  # any other comment means nothing
        keyword, name, rest = found[1], found[2], found[3] or ""
        if keyword == "HELP":
            if name in self._helps:
                raise _BadLineError(f"a second HELP of {name}")
            self._helps[name] = _ESCAPED.sub(_unescaped, rest)
        else:
            if rest not in _TYPES:
                raise _BadLineError(f"{name} has no TYPE that there is")
            if name in self._types or name in self._families:
                raise _BadLineError(f"a second TYPE of {name}, or one after its samples")
            self._types[name] = rest

    def _read_sample(self, text: str) -> None:
        found = _NAME.match(text)
        if found is None:
            raise _BadLineError("no name of a metric")
        name = found[0]
        if self._own_prefix is not None and name.startswith(self._own_prefix):
            raise _BadLineError(f"{name}: names that begin with {self._own_prefix} are fexp's own")
        own, at = _read_labels(text, _BLANKS.match(text, found.end()).end())  # type: ignore[union-attr]  # it matches nothing, too
        words = _WORD.findall(text, at)
        if at == found.end() or not words or not _NUMBER.fullmatch(words[0]):
            raise _BadLineError(f"{name} has no value that is a number")
        if len(words) > 1:
            raise _BadLineError(f"{name} has a timestamp: node_exporter would skip the whole file")
        self._check_labels(own)
        family, suffix = self._family_of(name)
        self._check_bound(name, family, suffix, own)
        labels = {**own, **self._labels}
        series = name, frozenset(labels.items())
        if series in self._series:
            raise _BadLineError(f"{name}: a second sample with the same labels")
        self._series.add(series)
        self._metric(family).add_sample(name, labels, float(words[0]))

    def _check_labels(self, own: Labels) -> None:
        for label, value in own.items():
            if label.startswith("__"):
                raise _BadLineError(f"label {label}: names that begin with __ are Prometheus's own")
            if label in self._reserved or self._labels.get(label, value) != value:
                raise _BadLineError(f"label {label} is what fexp sets itself")

    def _family_of(self, name: str) -> tuple[str, str]:
        """Return the family of a sample and what its name has in addition."""
        if name not in self._types:
            for suffix in ("_bucket", "_count", "_sum"):
                base = name.removesuffix(suffix)
                if name.endswith(suffix) and suffix in _PARTS.get(self._types.get(base, ""), ()):
                    return base, suffix
        return name, ""

    def _check_bound(self, name: str, family: str, suffix: str, own: Labels) -> None:
        kind = self._types.get(family, "untyped")
        if kind == "histogram" and not suffix:
            raise _BadLineError(f"{name} is a histogram: it has no sample of this name")
        bound = _BOUND.get(suffix) if kind in _PARTS else None
        if bound is not None and not _NUMBER.fullmatch(own.get(bound, "")):
            raise _BadLineError(f"{name} has no label {bound} that is a number")

    def _metric(self, name: str) -> Metric:
        if name not in self._families:
            kind = self._types.get(name, "untyped")
            if kind == "counter" and not name.endswith("_total"):
                kind = "untyped"  # no format that fexp writes spells such a counter
            base = name.removesuffix("_total") if kind == "counter" else name
            self._families[name] = Metric(base, self._helps.get(name, ""), kind)
        return self._families[name]

    def families(self) -> tuple[Metric, ...]:
        """Return what is good. A histogram is whole or left out."""
        good = []
        for name, family in self._families.items():
            family.documentation = self._helps.get(name, "")
            if family.type == "histogram" and not _is_whole(name, family.samples):
                self.reject(name, "its buckets, count and sum do not go together", len(family.samples))
            else:
                good.append(family)
        return tuple(good)


def parse_text(
    text: bytes,
    labels: Mapping[str, str] | None = None,
    reserved: Collection[str] = (),
    own_prefix: str | None = None,
) -> Parsed:
    """Return what is good of a text, all samples with some more labels.

    ``reserved``: labels that no sample may have. ``own_prefix``: what no name may begin with.
    """
    parser = _Parser(labels or {}, reserved, own_prefix)
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines) and line:
            parser.reject(f"line {number}", "it does not end: whoever wrote it was interrupted")
            break
        try:
            parser.read(line.decode())
        except UnicodeDecodeError:
            parser.reject(f"line {number}", "not UTF-8 text")
        except _BadLineError as error:
            parser.reject(f"line {number}", error)
    families = parser.families()
    return Parsed(families, parser.rejected, tuple(parser.reasons))


def _read_labels(text: str, at: int) -> tuple[Labels, int]:
    """Return the labels that begin at a place, and where they end. Raise _BadLineError."""
    own: Labels = {}
    if not text.startswith("{", at):
        return own, at
    at = _BLANKS.match(text, at + 1).end()  # type: ignore[union-attr]  # it matches nothing, too
    while not text.startswith("}", at):
        found = _LABEL.match(text, at)
        if found is None:
            raise _BadLineError("the labels cannot be read")
        if found[1] in own:
            raise _BadLineError(f"label {found[1]} stands there twice")
        if found[2]:
            own[found[1]] = _ESCAPED.sub(_unescaped, found[2])  # an empty label is none
        at = found.end()
        if text.startswith(",", at):
            at = _BLANKS.match(text, at + 1).end()  # type: ignore[union-attr]  # it matches nothing, too
        elif not text.startswith("}", at):
            raise _BadLineError("the labels cannot be read")
    return own, at + 1


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _is_whole(name: str, samples: Iterable[FamilySample]) -> bool:
    """Return whether each histogram of a family has ascending buckets up to +Inf, that count, and a sum.

    It needs no sum with a bound below 0: that would not always grow.
    """
    buckets: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    rest: dict[str, dict[frozenset[tuple[str, str]], float]] = {"_count": {}, "_sum": {}}
    for sample in samples:
        suffix = sample.name.removeprefix(name)
        if suffix == "_bucket":
            series = frozenset((label, value) for label, value in sample.labels.items() if label != "le")
            buckets.setdefault(series, {})[float(sample.labels["le"])] = sample.value
        else:
            rest[suffix][frozenset(sample.labels.items())] = sample.value
    if buckets.keys() != rest["_count"].keys() or not rest["_sum"].keys() <= buckets.keys():
        return False
    for series, counts in buckets.items():
        if series not in rest["_sum"] and min(counts) >= 0:
            return False
        ascending = [counts[bound] for bound in sorted(counts)]
        if ascending != sorted(ascending) or counts.get(float("inf")) != rest["_count"][series]:
            return False
    return True
