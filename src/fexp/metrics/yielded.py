"""What one run of a probe yields, and what is shown of all its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.metrics_core import Metric as Family

from fexp.metrics.declared import ADDED_LABELS, OWN_PREFIXES, PROCESS_PREFIXES, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from prometheus_client.samples import Sample as FamilySample

    from fexp.metrics.declared import Metric, State

    Labels = tuple[tuple[str, str], ...]
    Key = tuple[Metric, tuple[str, ...], Labels]
    Owner = tuple[str, bytes] | None
    """A folder and a path below it; None for a probe that is about no file."""


_READ_ON = 10
"""So many times the samples that there is room for are counted; a probe that yields on is stopped."""


class FloodError(Exception):
    """What a probe yields has no end, or too late a one."""


class Yielded:
    """Takes what one run yields: samples of declared metrics, or families of prometheus_client."""

    def __init__(self, metrics: Iterable[Metric], max_series: int) -> None:
        self._metrics = frozenset(metrics)
        self._room = max_series
        self._samples_max = _READ_ON * max_series
        self.set: dict[tuple[Metric, tuple[str, ...]], State] = {}
        self.added: dict[tuple[Metric, tuple[str, ...]], State] = {}
        self.families: list[Family] = []
        self.rejected = 0
        self.reason = ""
        """Of the first that was rejected."""

    def reject(self, reason: str, samples: int = 1) -> None:
        """Count samples that are left out."""
        self.rejected += samples
        self.reason = self.reason or reason

    def take(self, found: object) -> None:
        """Take one thing that was yielded. Raise FloodError when it is time to yield no more."""
        if isinstance(found, Sample):
            self._take_sample(found)
        elif isinstance(found, Family):
            self.families.append(found)
            self._room -= len(found.samples)
        else:
            self.reject(f"it yielded {type(found).__name__}, which is no sample: call a declared metric with a value")

    def _take_sample(self, sample: Sample) -> None:
        key = (sample.metric, sample.labels)
        kept = self.added if sample.adds else self.set
        if sample.problem:
            self.reject(sample.problem)
        elif sample.metric not in self._metrics:
            self.reject(f"{sample.metric.name} is not among the probe's metrics")
        elif sample.adds and key in self.added:
            kept[key] = _sum(kept[key], sample.state)
        elif key in self.set or key in self.added:
            self.reject(f"{sample.metric.name}: a second value with the same labels")
        elif self._room <= 0:
            self.reject("too many series")
            if self.rejected > self._samples_max:
                raise FloodError
        else:
            self._room -= 1
            kept[key] = sample.state


class _Entry(NamedTuple):
    """One series."""

    state: State
    owner: Owner
    yielded_at: float
    """On the steady clock."""
    adds_up: bool


class Series:
    """The series of one probe. What each run yields replaces what the run before it did, of the same owner."""

    def __init__(self, metrics: Iterable[Metric], probe: str, max_series: int) -> None:
        self._metrics = tuple(metrics)
        self._probe = probe
        self._max_series = max_series
        self._entries: dict[Key, _Entry] = {}
        self._of_owner: dict[Owner, dict[Key, None]] = {}
        self._raw: list[Family] = []
        self._shown: dict[str, Family] = {}
        self._may_expire = any(metric.expire_seconds is not None for metric in self._metrics)
        self._hidden: Collection[str] = frozenset()
        self._is_stale = True
        self._expires_at = float("inf")

    def fold(self, owner: Owner, labels: Labels, yielded: Yielded, now: float) -> None:
        """Take in what a run yielded; ``labels``: those of all its samples. Nothing, if the run failed."""
        if self._may_expire:
            self._expire(now)
        before = self._of_owner.pop(owner, {})
        values = {(metric, own, labels): (state, False) for (metric, own), state in yielded.set.items()}
        values |= {(metric, own, labels): (state, True) for (metric, own), state in yielded.added.items()}
        for key in before.keys() - values.keys():
            if self._entries[key].adds_up or key[0].expire_seconds is not None:
                self._of_owner.setdefault(owner, {})[key] = None
            else:
                del self._entries[key]
        for key, (state, adds_up) in values.items():
            known = self._entries.get(key)
            if known is not None and not (adds_up and known.adds_up) and known.owner != owner:
                yielded.reject(f"{key[0].name}: another file has the same labels; add one that names the file")
            elif known is None and len(self._entries) >= self._max_series:
                yielded.reject(f"more than {self._max_series} series")
            else:
                whole = _sum(known.state, state) if adds_up and known is not None and known.adds_up else state
                if known is not None and known.owner != owner:  # it is of several files
                    self._of_owner.get(known.owner, {}).pop(key, None)
                    self._entries[key] = _Entry(whole, None, now, adds_up)
                else:
                    self._of_owner.setdefault(owner, {})[key] = None
                    self._entries[key] = _Entry(whole, owner, now, adds_up)
        if owner is None:
            self._raw = yielded.families
        self._is_stale = True

    @property
    def owners(self) -> list[Owner]:
        """Whom there are series of."""
        return list(self._of_owner)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._of_owner.clear()
        self._is_stale = True

    def drop(self, owner: Owner, names: Collection[str]) -> bool:
        """Forget a file. Return whether there was anything of it.

        What adds up over files stays; a label with one of ``names`` shows that it is of this file alone.
        """
        keys = self._of_owner.pop(owner, {})
        for key in keys:
            entry = self._entries[key]
            if entry.adds_up and not set(key[1]) & set(names):
                self._entries[key] = entry._replace(owner=None)
            else:
                del self._entries[key]
        self._is_stale |= bool(keys)
        return bool(keys)

    def families(self, now: float) -> Iterable[Family]:
        """Return what is to be shown. A family in which nothing changed is the same object as before."""
        if self._is_stale or now >= self._expires_at:
            self._expire(now)
            self._is_stale = False
            families = {family.name: family for family in (*self._declared(), *self._raw)}
            before = self._shown
            self._shown = {
                name: before[name] if name in before and _same(before[name], family) else family
                for name, family in families.items()
                if family.samples
            }
        return self._shown.values()

    def hide(self, folders: Collection[str]) -> None:
        """Show no values of these folders: they are not known now."""
        self._is_stale |= folders != self._hidden
        self._hidden = folders

    def _expire(self, now: float) -> None:
        self._expires_at = float("inf")
        for key, entry in list(self._entries.items()):
            if key[0].expire_seconds is None:
                continue
            expires_at = entry.yielded_at + key[0].expire_seconds
            if expires_at > now:
                self._expires_at = min(self._expires_at, expires_at)
            else:
                del self._entries[key]
                self._of_owner.get(entry.owner, {}).pop(key, None)

    def _declared(self) -> Iterable[Family]:
        families = {metric: Family(metric.name, metric.help, metric.kind, metric.unit) for metric in self._metrics}
        for (metric, values, labels), entry in self._entries.items():
            if entry.owner is not None and entry.owner[0] in self._hidden and not entry.adds_up:
                continue
            own = {"probe": self._probe, **dict(labels), **dict(zip(metric.labels, values, strict=True))}
            for line in metric.lines(own, entry.state):
                families[metric].add_sample(metric.name + line.suffix, line.labels, line.value)
        return families.values()


def checked_families(
    yielded: Yielded, probe: str, max_series: int, claim: Callable[[Collection[str]], bool], reserved: Collection[str]
) -> list[Family]:
    """Return what is good of families of prometheus_client, with the label of the probe.

    ``claim``: returns whether names are the probe's own. ``reserved``: labels that somebody else sets.
    """
    good: list[Family] = []
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for family in yielded.families:
        if family.name.startswith(PROCESS_PREFIXES):  # the default registry has them
            continue
        names = {family.name, *(sample.name for sample in family.samples)}
        if family.name.startswith(OWN_PREFIXES) or not claim(names):
            yielded.reject(f"{family.name}: another declares this name; choose another", len(family.samples))
            continue
        clean = Family(family.name, family.documentation, family.type, family.unit)
        for sample in family.samples:
            reason = _fault(sample, seen, reserved) or ("too many series" if len(seen) >= max_series else "")
            if reason:
                yielded.reject(f"{sample.name}: {reason}")
            else:
                seen.add((sample.name, frozenset(sample.labels.items())))
                clean.add_sample(sample.name, {**sample.labels, "probe": probe}, float(sample.value))
        good.append(clean)
    return good


def _fault(
    sample: FamilySample, seen: Collection[tuple[str, frozenset[tuple[str, str]]]], reserved: Collection[str]
) -> str:
    """Return why a sample cannot be shown."""
    try:
        float(sample.value)
        "".join(sample.labels.values()).encode()
    except (TypeError, ValueError) as error:
        return f"no format can hold it ({type(error).__name__})"
    if any(label in ADDED_LABELS or label in reserved for label in sample.labels):
        return "one of its labels is set by fexp itself"
    return "a second value with the same labels" if (sample.name, frozenset(sample.labels.items())) in seen else ""


def merged(families: Iterable[Family]) -> tuple[Family, ...]:
    """Return the families of several probes; those that are declared alike, joined."""
    whole: dict[str, Family] = {}
    for family in families:
        known = whole.get(family.name)
        if known is not None:
            joined = Family(known.name, known.documentation, known.type, known.unit)
            joined.samples = [*known.samples, *family.samples]
            family = joined  # noqa: PLW2901  # the same family, with more samples
        whole[family.name] = family
    return tuple(whole.values())


def _sum(one: State, other: State) -> State:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _same(one: Family, other: Family) -> bool:
    return one.samples == other.samples and (one.documentation, one.type) == (other.documentation, other.type)
