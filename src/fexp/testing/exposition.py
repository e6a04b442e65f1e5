"""Checks what an exporter shows, as strictly as the strictest of its readers, and by the rules of ``promtool``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}
_DECLARATION = re.compile(r"#[ \t]+(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]+(.*))?")
_SAMPLE = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([^\s,="]+)="((?:[^"\\]|\\.)*)"')
_OPENMETRICS_SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][^\s{]*)(?:\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? \S+(?: (?P<timestamp>[^\s#]+))?'
)

_TYPES_IN_NAMES = ("counter", "gauge", "summary", "histogram")
_ABBREVIATIONS = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d")
_BASE_UNITS = {
    **{one: one for one in ("amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "volts")},
    **dict.fromkeys(("seconds", "minutes", "hours", "days", "weeks"), "seconds"),
    **dict.fromkeys(("fahrenheit", "rankine"), "celsius"),
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    **dict.fromkeys(("pounds", "ounces"), "grams"),
    "kelvins": "kelvin", "bits": "bytes", "calories": "joules",
}  # fmt: skip
_PREFIXES = re.compile("pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi")


def assert_exposition(text: str | bytes) -> None:
    """Raise AssertionError with all that ``check_exposition`` has to say of a text."""
    problems = check_exposition(text)
    if problems:
        raise AssertionError(f"{len(problems)} problems in the exposition:\n  " + "\n  ".join(problems))


def check_exposition(text: str | bytes) -> list[str]:
    """Return what is wrong with an exposition, a line each; nothing when all readers take it and promtool is silent.

    It is OpenMetrics when it ends with ``# EOF``, else text 0.0.4. Checked are the grammar (names, labels, values, the
    last line's end), types and names of samples, whole histograms, series that come twice, families that come in two
    places, HELP and TYPE (missing, twice, late), timestamps (node_exporter refuses them), and the naming conventions
    that ``promtool check metrics`` knows.
    """
    families, problems = read(text)
    declared: list[_Family] = []
    if not _is_openmetrics(_raw(text)):
        declared, late = _declared(_raw(text).decode(errors="replace"))
        problems += late
    elif not problems:
        declared = [_Family.of(family) for family in families]
        problems += _twice(_raw(text).decode())
    for family in declared:
        labels = {
            label
            for metric in families
            for sample in metric.samples
            if sample.name in family.samples
            for label in sample.labels
        }
        problems += [f"{family.name}: {problem}" for problem in _unconventional(family, labels)]
    return problems


def read(text: str | bytes) -> tuple[Sequence[Metric], list[str]]:
    """Return the families of an exposition, and what of it cannot be read."""
    raw = _raw(text)
    if _is_openmetrics(raw):
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        try:
            return list(text_string_to_metric_families(raw.decode())), []  # type: ignore[no-untyped-call]
        except ValueError as error:
            return (), [str(error)]
    from fexp.metrics.parsing import parse_text

    parsed = parse_text(raw)
    return parsed.families, list(parsed.reasons)


def _raw(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _is_openmetrics(raw: bytes) -> bool:
    return raw.rstrip().endswith(b"# EOF")


class _Family(NamedTuple):
    """A family as it is declared in a text."""

    name: str
    """In text, a counter's ends in ``_total``."""
    kind: str
    has_help: bool
    samples: set[str]
    """The names of its samples."""

    @classmethod
    def of(cls, family: Metric) -> _Family:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        kind = "untyped" if family.type == "unknown" else family.type
        return cls(name, kind, bool(family.documentation), {sample.name for sample in family.samples})


def _declared(text: str) -> tuple[list[_Family], list[str]]:
    """Return the families of text 0.0.4 in their order, and what is wrong with the order."""
    types: dict[str, str] = {}
    helps: set[str] = set()
    families: dict[str, _Family] = {}
    problems = []
    latest = ""
    for number, line in enumerate(text.split("\n"), 1):
        declaration, sample = _DECLARATION.fullmatch(line.strip(" \t")), _SAMPLE.match(line.lstrip(" \t"))
        if declaration is not None:
            keyword, name = declaration[1], declaration[2]
            if name in families and keyword == "HELP" and name not in helps:
                problems.append(f"line {number}: the HELP of {name} comes after its samples")
            helps.update([name] if keyword == "HELP" else [])
            types.update({name: declaration[3] or ""} if keyword == "TYPE" and name not in families else {})
        elif sample is not None:
            name = _family_of(sample[0], types)
            if name in families and name != latest:
                problems.append(f"line {number}: {name} comes in two places: keep its samples together")
            kind = types.get(name, "untyped")
            families.setdefault(name, _Family(name, kind, name in helps, set())).samples.add(sample[0])
            latest = name
    untyped = [f"{family.name}: no TYPE" for family in families.values() if family.name not in types]
    return list(families.values()), problems + untyped


def _twice(text: str) -> Iterator[str]:
    """Yield the series of OpenMetrics that come twice for one time: its parser drops the second silently."""
    seen = set()
    for line in text.split("\n"):
        found = _OPENMETRICS_SAMPLE.match(line)
        if found is not None:
            series = found["name"], frozenset(_LABEL.findall(found["labels"] or "")), found["timestamp"]
            if series in seen:
                yield f"{found['name']}: a second sample with the same labels"
            seen.add(series)


def _family_of(name: str, types: dict[str, str]) -> str:
    for suffix in ("_bucket", "_count", "_sum"):
        base = name.removesuffix(suffix)
        if name not in types and base != name and suffix in _PARTS.get(types.get(base, ""), ()):
            return base
    return name


def _unconventional(family: _Family, labels: set[str]) -> Iterator[str]:
    """Yield what promtool would say of a family."""
    name, kind = family.name, family.kind
    if not family.has_help:
        yield "no help text"
    unit = next(((one, base) for one in name.split("_") if (base := _base_unit(one))), None)
    if unit is not None and unit[0] != unit[1]:
        yield f'use base unit "{unit[1]}" instead of "{unit[0]}"'
    if kind != "untyped":
        yield from _of_another_type(family, labels)
    if kind in _TYPES_IN_NAMES and _has_word(name, kind):
        yield f"metric name should not include type '{kind}'"
    if ":" in name:
        yield "metric names should not contain ':'"
    if re.search(r"[a-z][A-Z]", name):
        yield "metric names should be written in 'snake_case' not 'camelCase'"
    if any(re.search(r"[a-z][A-Z]", label) for label in labels):
        yield "label names should be written in 'snake_case' not 'camelCase'"
    if any(_has_word(name, one) for one in _ABBREVIATIONS):
        yield "metric names should not contain abbreviated units"


def _of_another_type(family: _Family, labels: set[str]) -> Iterator[str]:
    """Yield what the name or the labels of a family say of another type than its own."""
    name, kind = family.name, family.kind
    if kind == "counter" and not name.endswith("_total"):
        yield 'counter metrics should have "_total" suffix'
    if kind != "counter" and name.endswith("_total"):
        yield 'non-counter metrics should not have "_total" suffix'
    if "histogram" not in kind:
        if name.endswith("_bucket"):
            yield 'non-histogram metrics should not have "_bucket" suffix'
        if "le" in labels:
            yield 'non-histogram metrics should not have "le" label'
        for suffix in ("_count", "_sum") if kind != "summary" else ():
            if name.endswith(suffix):
                yield f'non-histogram and non-summary metrics should not have "{suffix}" suffix'
    if kind != "summary" and "quantile" in labels:
        yield 'non-summary metrics should not have "quantile" label'


def _has_word(name: str, word: str) -> bool:
    """Return whether a name has this word in it, but not at its beginning."""
    return f"_{word}_" in f"{name.lower()}_"


def _base_unit(word: str) -> str | None:
    prefix = _PREFIXES.match(word)
    return _BASE_UNITS.get(word) or (_BASE_UNITS.get(word[prefix.end() :]) if prefix else None)
