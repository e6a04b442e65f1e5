"""What a probe is: a function, the metrics that it yields samples of, when it runs, and what it is set by."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, TypeVar, overload

from fexp.errors import SettingsError
from fexp.metrics.declared import Metric
from fexp.probes.parameters import parameters_of
from fexp.probes.triggers import Cron, Every, Files, Scrape, scrape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fexp.probes.parameters import Parameter
    from fexp.probes.triggers import Trigger

    F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_PARTS = ("type", "name", "help", "labels", "unit", "buckets or states")
"""Of a declaration."""
MAX_SERIES = 1000


class Probe:
    """A function with what fexp has to know of it. Call it as the function that it is."""

    def __init__(
        self,
        function: Callable[..., Any],
        metrics: Iterable[Metric],
        on: Trigger,
        *,
        name: str | None = None,
        max_series: int = MAX_SERIES,
    ) -> None:
        """Raise SettingsError for what does not go together."""
        self.function = function
        self.name = getattr(function, "__name__", "") if name is None else name
        if not _NAME.fullmatch(self.name):
            raise SettingsError(f"probe {self.name!r}: name it in small letters, digits and _")
        self.metrics = tuple(metrics)
        self.on = on
        self.help = inspect.getdoc(function) or ""
        self.max_series = max_series
        self.set_up: Callable[..., Any] | None = None
        self.parameters: tuple[Parameter, ...] = ()
        self._check()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """Return which probe it is."""
        return f"<probe {self.name}>"

    def lifespan(self, function: F) -> F:
        """Take a generator that sets up before its ``yield`` and tears down after it; what it yields is the state.

        It is given the settings as attributes of one object, if it takes an argument. The probe's function is given the
        state if it takes one more positional argument. Raise SettingsError.
        """
        if not inspect.isgeneratorfunction(function) and not inspect.isasyncgenfunction(function):
            raise self.wrong("its lifespan must be a generator: set up, yield once, tear down")
        if len(_positional(function)) > 1:
            raise self.wrong("its lifespan takes one argument at most: the settings")
        self.set_up = function
        return function

    @property
    def takes_state(self) -> bool:
        """Whether the function is given what the lifespan yields."""
        return len(_positional(self.function)) > self._given

    @property
    def wants_folders(self) -> bool:
        """Whether it runs for files."""
        return isinstance(self.on, Files)

    @property
    def labels(self) -> frozenset[str]:
        """The label names of its samples, as far as they are declared."""
        added = ("probe", "folder") if isinstance(self.on, Files) else ("probe",)
        return frozenset(added).union(*(metric.labels for metric in self.metrics))

    @property
    def catalogue(self) -> list[dict[str, object]]:
        """The families that it declares, for tools. A collector of prometheus_client does not say."""
        added = ("folder", "probe") if self.wants_folders else ("probe",)
        return [
            {"name": one.name + one.ending, "type": one.kind, "help": one.help, "labels": (*added, *one.labels)}
            for one in self.metrics
        ]

    def wrong(self, problem: str) -> SettingsError:
        """Return an error that names the probe."""
        return SettingsError(f"probe {self.name}: {problem}")

    def check_ready(self) -> None:
        """Raise a SettingsError if the function wants what nobody gives it."""
        if self.takes_state and self.set_up is None:
            wanted = _positional(self.function)[self._given]
            raise self.wrong(f"nothing gives it {wanted}: add a lifespan that yields it, or a * before a setting")

    @property
    def _given(self) -> int:
        return 1 if isinstance(self.on, Files) else 0

    def _check(self) -> None:
        if not isinstance(self.on, Scrape | Every | Cron | Files):
            raise self.wrong(f"on={self.on!r} does not say when: give scrape(), every(), cron() or files()")
        for metric in self.metrics:
            if not isinstance(metric, Metric):
                raise self.wrong(f"metrics holds {metric!r}: declare it with gauge(), counter() and so on")
        check_families(self, ())
        if not isinstance(self.max_series, int) or self.max_series < 1:
            raise self.wrong(f"max_series {self.max_series!r} is not a number above 0")
        try:
            positional = _positional(self.function)
        except ValueError:  # a built-in that nobody can ask
            return
        if len(positional) < self._given:
            raise self.wrong("it must take the file as its first argument")
        if len(positional) > self._given + 1:
            wanted = ", ".join(positional[self._given + 1 :])
            raise self.wrong(f"nothing gives it {wanted}: put a * before what is a setting")
        self.parameters = parameters_of(self.function, self.wrong)


@overload
def probe(function: Callable[..., Any], /) -> Probe: ...
@overload
def probe(
    *,
    metrics: Metric | Iterable[Metric] = ...,
    on: Trigger | None = ...,
    name: str | None = ...,
    max_series: int = ...,
) -> Callable[[Callable[..., Any]], Probe]: ...
def probe(
    function: Callable[..., Any] | None = None,
    /,
    *,
    metrics: Metric | Iterable[Metric] = (),
    on: Trigger | None = None,
    name: str | None = None,
    max_series: int = MAX_SERIES,
) -> Probe | Callable[[Callable[..., Any]], Probe]:
    """Make a function a probe, as a decorator.

    ``metrics``: those that it yields samples of. ``on``: when it runs, ``scrape()`` by default. ``name``: the
    function's by default. ``max_series``: what it yields beyond that many series is left out. Raise SettingsError.
    """
    declared = (metrics,) if isinstance(metrics, Metric) else tuple(metrics)
    when = scrape() if on is None else on

    def decorate(function: Callable[..., Any]) -> Probe:
        return Probe(function, declared, when, name=name, max_series=max_series)

    return decorate if function is None else decorate(function)


def adapt(collector: Any, name: str, *, on: Trigger | None = None, max_series: int = MAX_SERIES) -> Probe:
    """Return the probe that shows what a prometheus_client collector or registry collects. Raise SettingsError."""
    if not callable(getattr(collector, "collect", None)) or isinstance(collector, type):
        raise SettingsError(f"probe {name}: {collector!r} has no collect(): it is neither a probe nor a collector")

    def collect() -> Any:
        return collector.collect()

    return Probe(collect, (), scrape() if on is None else on, name=name, max_series=max_series)


def check_families(probe: Probe, others: Iterable[Probe]) -> None:
    """Raise a SettingsError for families that do not go together with those of others."""
    known = [(metric, other) for other in others for metric in other.metrics]
    for metric in probe.metrics:
        for one, other in known:
            if metric.declaration != one.declaration and metric.names & one.names:
                parts = zip(_PARTS, metric.declaration, one.declaration, strict=False)
                what, here, there = next((part, a, b) for part, a, b in parts if a != b)
                shared = min(metric.names & one.names)
                raise probe.wrong(f"{shared} has the {what} {here!r}, but {there!r} in probe {other.name}; rename one")
        known.append((metric, probe))


def _positional(function: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in inspect.signature(function).parameters.items() if one.kind in kinds]
