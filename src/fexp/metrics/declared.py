"""Metrics that a program declares as data, and the samples that it yields of them.

A declaration is called with a value and labels: that is a sample. What is wrong with a declaration raises at once, at
the import of the program; what is wrong with a sample is kept in it, so that it costs itself and not the others.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from math import isfinite, isnan
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fexp.errors import SettingsError
from fexp.metrics.rows import Sample as Line
from fexp.metrics.rows import histogram_samples
from fexp.model import Histogram as Counts
from fexp.text import duration_seconds, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    LabelValue = str | bytes | int | float
    State = tuple[float, ...]

PROCESS_PREFIXES = ("process_", "python_")
"""Of what fexp says of its own process."""
OWN_PREFIXES = ("fexp_", *PROCESS_PREFIXES)
"""Of families that fexp shows itself."""
ADDED_LABELS = frozenset({"probe", "folder"})
"""What fexp adds to samples."""
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ENDINGS = ("_total", "_bucket", "_count", "_sum", "_created", "_gcount", "_gsum")
"""What the formats add to the names of families."""


class Sample(NamedTuple):
    """What a probe yields: the value of one series."""

    metric: Metric
    labels: tuple[str, ...] = ()
    """The values, in the order of the declaration."""
    state: State = ()
    """What the value is, or what it adds."""
    adds: bool = False
    """It adds to what was yielded before, also in earlier runs."""
    problem: str = ""
    """Why it cannot be shown."""


class Metric:
    """A family that a probe may yield samples of."""

    kind: ClassVar[str]
    ending: ClassVar[str] = ""
    """What the name of its samples has in addition to the family's."""
    own_labels: ClassVar[tuple[str, ...]] = ()
    """Label names that the format gives a meaning in such a family."""

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002  # as the field calls it
        *,
        labels: Iterable[str] = (),
        unit: str = "",
        expire: str | float | None = None,
    ) -> None:
        """Declare a family. Raise SettingsError.

        ``labels``: the names that every sample has. ``unit``: the end of the name, such as ``seconds``. ``expire``: a
        series goes when no run has yielded it for so long. Without it, a value goes with the first run that does not
        yield it, and what adds up stays.
        """
        base = name.removesuffix(self.ending) if isinstance(name, str) else ""
        self.name = base if not unit or base.endswith(f"_{unit}") else f"{base}_{unit}"
        """The family's."""
        self.help = help
        self.labels = (labels,) if isinstance(labels, str) else tuple(labels)
        self.unit = unit
        self.expire_seconds = self._parsed_expiry(expire)
        self._check(name)

    @property
    def names(self) -> frozenset[str]:
        """The names of the family and of its samples."""
        return frozenset({self.name, self.name + self.ending})

    @property
    def declaration(self) -> tuple[object, ...]:
        """Whatever makes it the same family."""
        return self.kind, self.name, self.help, self.labels, self.unit

    def __repr__(self) -> str:
        """Return how it is declared."""
        return f"<{self.kind} {self.name}>"

    def lines(self, labels: dict[str, str], state: State) -> Iterator[Line]:
        """Yield the lines of one series."""
        yield Line(labels, state[0], self.ending)

    def sample(self, value: object, labels: Mapping[str, LabelValue], *, adds: bool = False) -> Sample:
        """Return a sample. What is wrong with it is said in it."""
        try:
            return Sample(self, self._label_values(labels), self._state(value), adds)
        except (TypeError, ValueError, OverflowError) as error:
            return Sample(self, problem=f"{self.name}: {error}")

    def _label_values(self, labels: Mapping[str, LabelValue]) -> tuple[str, ...]:
        if labels.keys() != set(self.labels):
            raise ValueError(f"its labels are {_listed(labels)}, declared are {_listed(self.labels)}")
        return tuple(_text(name, labels[name]) for name in self.labels)

    def _state(self, value: object) -> State:
        """Return a value as it is kept. Raise ValueError."""
        if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
            raise ValueError(f"its value is {value!r}, which is no number")
        return (float(value),)

    def _parsed_expiry(self, expire: str | float | None) -> float | None:
        seconds = duration_seconds(expire) if isinstance(expire, str) else expire
        if expire is not None and (not isinstance(seconds, int | float) or not seconds > 0):
            raise self._wrong(f"expire {expire!r} is not a duration: write 30s, 5m, 1h30m, 7d")
        return seconds

    def _check(self, name: object) -> None:
        if self.unit and not (isinstance(self.unit, str) and _NAME.fullmatch(self.unit)):
            raise SettingsError(f"{self.kind} {name}: unit {self.unit!r} cannot stand in its name")
        if not isinstance(name, str) or not _NAME.fullmatch(self.name):
            raise SettingsError(f"{self.kind} {name!r}: not the name of a metric; use letters, digits and _")
        if self.name.startswith(OWN_PREFIXES):
            raise self._wrong(f"names that begin with {_listed(OWN_PREFIXES)} are fexp's own; choose another")
        for ending in _ENDINGS:
            if self.name.endswith(ending):
                raise self._wrong(f"the end {ending} has a meaning of its own; leave it out")
        if not isinstance(self.help, str) or not self.help.strip():
            raise self._wrong("say in a few words what it is: the second argument is its HELP")
        for label in self.labels:
            if not isinstance(label, str) or not _NAME.fullmatch(label) or label.startswith("__"):
                raise self._wrong(f"{label!r} is not a label name; use letters, digits, _, and no __ in front")
            if label in ADDED_LABELS or label in self.own_labels:
                raise self._wrong(f"label {label} is set by fexp itself; choose another name")
        if len(set(self.labels)) < len(self.labels):
            raise self._wrong(f"a label stands twice in {_listed(self.labels)}")

    def _wrong(self, problem: str) -> SettingsError:
        return SettingsError(f"{self.kind} {self.name}: {problem}")


class Gauge(Metric):
    """A value that goes up and down."""

    kind = "gauge"

    def __call__(self, value: float, /, **labels: LabelValue) -> Sample:
        """Return the sample of this value."""
        return self.sample(value, labels)


class Counter(Metric):
    """A number that only grows. Its samples' name ends in ``_total``."""

    kind = "counter"
    ending = "_total"

    def __call__(self, total: float, /, **labels: LabelValue) -> Sample:
        """Return the sample of this total, which somebody else counts."""
        return self.sample(total, labels)

    def inc(self, amount: float = 1, /, **labels: LabelValue) -> Sample:
        """Return a sample that adds to what fexp counts."""
        return self.sample(amount, labels, adds=True)

    def _state(self, value: object) -> State:
        (number,) = super()._state(value)
        if not number >= 0:
            raise ValueError(f"it cannot be {value!r}: a counter is never below 0")
        return (number,)


class Summary(Metric):
    """How many observations there were, and their sum."""

    kind = "summary"
    own_labels = ("quantile",)

    @property
    def names(self) -> frozenset[str]:
        """The names of the family and of its samples."""
        return frozenset(self.name + end for end in ("", "_count", "_sum"))

    def __call__(self, observed: float, /, **labels: LabelValue) -> Sample:
        """Return a sample that adds one observation."""
        return self.sample(observed, labels, adds=True)

    def _state(self, value: object) -> State:
        return 1.0, *super()._state(value)

    def lines(self, labels: dict[str, str], state: State) -> Iterator[Line]:
        """Yield the lines of one series."""
        yield Line(labels, state[0], "_count")
        yield Line(labels, state[1], "_sum")


class Histogram(Metric):
    """How many observations there were up to each bound, and their sum."""

    kind = "histogram"
    own_labels = ("le",)

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002  # as the field calls it
        *,
        labels: Iterable[str] = (),
        unit: str = "",
        buckets: Sequence[float] = DEFAULT_BUCKETS,
        expire: str | float | None = None,
    ) -> None:
        """Declare a histogram with the upper bounds of its buckets; see ``Metric``.

        With a bound below 0 it shows no sum: what is below 0 would have the sum fall, as no counter does.
        """
        super().__init__(name, help, labels=labels, unit=unit, expire=expire)
        try:
            self.bounds = tuple(float(bound) for bound in buckets if bound != float("inf"))
        except (TypeError, ValueError):
            raise self._wrong(f"buckets {buckets!r} are no numbers") from None
        if not self.bounds or list(self.bounds) != sorted(set(self.bounds)) or not all(map(isfinite, self.bounds)):
            raise self._wrong(f"buckets {buckets!r} must ascend")

    @property
    def names(self) -> frozenset[str]:
        """The names of the family and of its samples."""
        return frozenset(self.name + end for end in ("", "_bucket", "_count", "_sum"))

    @property
    def declaration(self) -> tuple[object, ...]:
        """Whatever makes it the same family."""
        return *super().declaration, self.bounds

    def __call__(self, observed: float, /, **labels: LabelValue) -> Sample:
        """Return a sample that adds one observation."""
        return self.sample(observed, labels, adds=True)

    def _state(self, value: object) -> State:
        (number,) = super()._state(value)
        if isnan(number):
            raise ValueError("NaN belongs to no bucket")
        counts = [0.0] * (len(self.bounds) + 1)
        counts[bisect_left(self.bounds, number)] = 1.0
        return *counts, number

    def lines(self, labels: dict[str, str], state: State) -> Iterator[Line]:
        """Yield the lines of one series."""
        *counts, total = state
        histogram = Counts(self.bounds, tuple(map(int, counts)), total)
        return histogram_samples(labels, histogram, ("_count", "_sum") if self.bounds[0] >= 0 else ("_count",))


class Info(Metric):
    """Facts as labels; the value is always 1. Its samples' name ends in ``_info``."""

    kind = "info"
    ending = "_info"

    def __call__(self, **labels: LabelValue) -> Sample:
        """Return the sample with these facts."""
        return self.sample(1, labels)

    def _check(self, name: object) -> None:
        super()._check(name)
        if self.unit:
            raise self._wrong("an info has no unit")


class StateSet(Metric):
    """Which of some states it is: a series for each, 1 or 0. The label is named as the family."""

    kind = "stateset"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002  # as the field calls it
        *,
        states: Sequence[str],
        labels: Iterable[str] = (),
        expire: str | float | None = None,
    ) -> None:
        """Declare the states; see ``Metric``."""
        super().__init__(name, help, labels=labels, expire=expire)
        self.states = (states,) if isinstance(states, str) else tuple(states)
        if not self.states or len(set(self.states)) < len(self.states) or not all(map(_is_text, self.states)):
            raise self._wrong(f"states {states!r} must be texts, each of them once")
        if self.name in self.labels:
            raise self._wrong(f"label {self.name} says which state it is; rename one of them")

    @property
    def declaration(self) -> tuple[object, ...]:
        """Whatever makes it the same family."""
        return *super().declaration, self.states

    def __call__(self, state: str, /, **labels: LabelValue) -> Sample:
        """Return the sample for this state."""
        return self.sample(state, labels)

    def _state(self, value: object) -> State:
        if value not in self.states:
            raise ValueError(f"{value!r} is not one of its states {_listed(self.states)}")
        return tuple(float(value == state) for state in self.states)

    def lines(self, labels: dict[str, str], state: State) -> Iterator[Line]:
        """Yield a line for each state."""
        for name, value in zip(self.states, state, strict=True):
            yield Line({**labels, self.name: name}, value)


def _text(name: str, value: object) -> str:
    """Return a label's value as text that every format can hold. Raise ValueError."""
    if isinstance(value, str):
        return printable(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, bytes):
        return printable(value)
    if isinstance(value, int | float):
        return str(value)
    raise ValueError(f"label {name} is {value!r}, which is no text")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


gauge, counter, histogram, summary, info, state_set = Gauge, Counter, Histogram, Summary, Info, StateSet
"""As programs spell them."""
