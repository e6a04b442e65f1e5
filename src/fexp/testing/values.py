"""The values of samples, and waiting for them: for a condition, never for a time."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

    from fexp.outputs import Collects

    Text: TypeAlias = str | bytes
    Source: TypeAlias = Collects | Text | Callable[[], Text]
    """A collector or a registry, an exposition's text, or a function that returns such a text, as of a scrape."""

T = TypeVar("T")

_SHOWN = 10
"""So many samples are shown when none is the right one."""


def wait_for(
    condition: Callable[[], T | None], *, timeout_seconds: float = 10.0, every_seconds: float = 0.02, message: str = ""
) -> T:
    """Wait until ``condition`` returns something true, and return that. Raise AssertionError when the time is over.

    It is asked at least once, and once more when the time is over.
    """
    give_up_at = time.monotonic() + timeout_seconds
    pause = Event()
    while True:
        is_last = time.monotonic() >= give_up_at
        answer = condition()
        if answer:
            return answer
        if is_last:
            said = f": {message}" if message else ""
            raise AssertionError(f"still not so after {timeout_seconds:g} s{said}; the latest answer was {answer!r}")
        pause.wait(min(every_seconds, max(0.0, give_up_at - time.monotonic())))


def sample_value(source: Source, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """Return the value of the sample with this name and these labels among others; None when there is none.

    Raise AssertionError when there are several, or a text is no exposition.
    """
    wanted = (labels or {}).items()
    found = [one for one in _samples(source) if one.name == name and wanted <= one.labels.items()]
    if len(found) > 1:
        raise AssertionError(f"{len(found)} samples are {_shown(name, labels)}; give more labels:{_listed(found)}")
    return found[0].value if found else None


def wait_for_value(
    source: Source,
    name: str,
    expected: float | None,
    labels: Mapping[str, str] | None = None,
    *,
    timeout_seconds: float = 10.0,
) -> None:
    """Wait until a sample has this value, or until there is none for ``expected`` None; see ``sample_value``.

    Raise AssertionError when the time is over, with what there was instead. A text does not change: give a function.
    """
    answers: list[float | None] = []

    def is_so() -> bool:
        answers[:] = [sample_value(source, name, labels)]
        return answers[0] == expected

    try:
        wait_for(is_so, timeout_seconds=timeout_seconds)
    except AssertionError:
        if not answers:
            raise
        others = [one for one in _samples(source) if one.name == name]
        there = f"the samples of this name are:{_listed(others)}" if others else "there is no sample of this name"
        raise AssertionError(
            f"{_shown(name, labels)} is {answers[0]} and not {expected} after {timeout_seconds:g} s; {there}"
        ) from None


def _samples(source: Source) -> Iterable[Sample]:
    return [sample for family in _families(source) for sample in family.samples]


def _families(source: Source) -> Iterable[Metric]:
    if hasattr(source, "collect"):
        return source.collect()
    text = source() if callable(source) else source
    from fexp.testing.exposition import read

    families, problems = read(text)
    if problems:
        raise AssertionError(f"this is no exposition: {problems[0]}")
    return families


def _shown(name: str, labels: Mapping[str, str] | None) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in (labels or {}).items()) + "}"


def _listed(samples: list[Sample]) -> str:
    lines = [f"\n  {_shown(one.name, one.labels)} {one.value:g}" for one in samples[:_SHOWN]]
    return "".join(lines) + ("\n  …" if len(samples) > _SHOWN else "")
