"""The groups of one folder."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol, cast

from fexp.counting.flow import Flow
from fexp.counting.group import Group
from fexp.counting.group_by import GROUPS_MAX
from fexp.counting.grouping import by_group
from fexp.model import GroupSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.aggregates import Make
    from fexp.counting.grouping import Grouping
    from fexp.counting.naming import ByName, Key, Numbers
    from fexp.counting.table import Table
    from fexp.model import FileColumns, Histogram, Instant, KnownFiles


_CLOCK_SET_SECONDS = 0.01
"""The wall clock that moves by more beside the steady one was set."""


class Others(Protocol):
    """Sums by group that are kept elsewhere, also of groups without a file that counts."""

    @property
    def other_keys(self) -> Iterable[Hashable]:
        """The groups that are to be shown because of them."""
        ...

    def other_values(self, key: Hashable) -> Mapping[str, float]:
        """Return the sums of a group, by name."""
        ...

    def surplus(self, shown: Callable[[Hashable], Hashable]) -> Mapping[Hashable, Mapping[str, int]]:
        """Return what the sums of groups that are shown as one hold more than once, by what shows them."""
        ...


class Groups:
    """Groups that are known from the start."""

    __slots__ = ("_dwell_bounds_seconds", "_grouping", "_makers", "by_key")
    left_out: int | None = None
    """How many are not shown by name; None when that cannot be."""

    def __init__(self, grouping: Grouping, makers: Sequence[Make], dwell_bounds_seconds: tuple[float, ...]) -> None:
        self._grouping = grouping
        self._makers = makers
        self._dwell_bounds_seconds = dwell_bounds_seconds
        self.by_key: dict[Hashable, Group] = {}
        """Those that have files, and those that last."""
        for key in grouping.lasting:
            self.by_key[key] = self._made(key)

    def of(self, key: Hashable) -> Group:
        """Return a group; make it if it is not there."""
        return self.by_key[key]

    def _made(self, key: Hashable) -> Group:  # noqa: ARG002
        return Group(self._makers, Flow(self._dwell_bounds_seconds))

    def kept(self, key: Hashable) -> Hashable:
        """Return the group that takes in the files of a group."""
        return key

    def end_if_empty(self, key: Hashable, group: Group) -> None:
        """Forget a group that has no file, unless it lasts."""

    def split(self, files: FileColumns, below: bytes) -> Iterator[tuple[Hashable, FileColumns]]:
        """Yield the keys of the groups of a directory's files, each with its share. All of them count."""
        return by_group(self._grouping, files, below)

    def flow_of(self, key: Hashable) -> Flow:
        """Return where the events of a group are counted."""
        return self.by_key[key].flow

    def shown(self, key: Hashable) -> Hashable:
        """Return the group that shows a group."""
        return key

    def snapshots(self, now: Instant, others: Others | None = None) -> tuple[GroupSnapshot, ...]:
        """Return the numbers of every group as they are now."""
        labels_of = self._grouping.labels_of
        return tuple(
            GroupSnapshot(
                labels_of(key), _values(key, group, now, others), group.flow.snapshot(), group.distributions(now)
            )
            for key, group in self.by_key.items()
        )


def _values(key: Hashable, group: Group, now: Instant, others: Others | None) -> Mapping[str, float | None]:
    values = group.values(now)
    return values if others is None else {**values, **others.other_values(key)}


class _KeptGroup(Group):
    """A group that keeps its numbers until they change, for there may be thousands of which one does."""

    __slots__ = ("_distributions_kept", "_ends_at", "_values_kept", "_wall_ahead_seconds", "shown")

    def __init__(self, makers: Sequence[Make], flow: Flow, shown: Hashable) -> None:
        super().__init__(makers, flow)
        self.shown = shown
        """The key of the group that shows it."""
        self._values_kept: dict[str, float | None] | None = None
        self._distributions_kept: dict[str, Histogram] | None = None
        self._ends_at = inf
        """When a number changes by time alone, on the steady clock."""
        self._wall_ahead_seconds = 0.0
        """Of the steady clock, when they were kept."""

    def add(self, table: Table, files: KnownFiles) -> None:
        """See ``Group.add``."""
        self._values_kept = self._distributions_kept = None
        super().add(table, files)

    def remove(self, table: Table, files: KnownFiles) -> None:
        """See ``Group.remove``."""
        self._values_kept = self._distributions_kept = None
        super().remove(table, files)

    def change(self, table: Table, before: KnownFiles, after: KnownFiles) -> None:
        """See ``Group.change``."""
        self._values_kept = self._distributions_kept = None
        super().change(table, before, after)

    def drop(self, table: Table) -> None:
        """See ``Group.drop``."""
        self._values_kept = self._distributions_kept = None
        super().drop(table)

    def values(self, now: Instant) -> dict[str, float | None]:
        """See ``Group.values``."""
        ahead_seconds = now.wall - now.steady
        was_set = abs(ahead_seconds - self._wall_ahead_seconds) > _CLOCK_SET_SECONDS
        if self._values_kept is None or now.steady >= self._ends_at or was_set:
            self._values_kept = super().values(now)
            self._ends_at = super().next_change_at(now)
            self._wall_ahead_seconds = ahead_seconds
        return self._values_kept

    def distributions(self, now: Instant) -> dict[str, Histogram]:
        """See ``Group.distributions``."""
        if self._distributions_kept is None or self.moves:
            self._distributions_kept = super().distributions(now)
        return self._distributions_kept

    def next_change_at(self, now: Instant) -> float:
        """See ``Group.next_change_at``."""
        return super().next_change_at(now) if self._values_kept is None else self._ends_at


class NamedGroups(Groups):
    """Groups that come and go, of which some are shown by name: see ``fexp.counting.naming``."""

    __slots__ = ("_flows", "_naming", "_none", "_picks", "_rest_of")

    def __init__(self, grouping: ByName, makers: Sequence[Make], dwell_bounds_seconds: tuple[float, ...]) -> None:
        from fexp.counting.naming import Naming, picks_of

        self._flows: dict[Hashable, Flow] = {}
        """Of the groups that are shown."""
        self._naming = Naming(grouping)
        self._rest_of = grouping.rest_of
        super().__init__(grouping, makers, dwell_bounds_seconds)
        self._none = Group(makers, Flow(dwell_bounds_seconds))
        self._picks = picks_of(makers)

    @property
    def left_out(self) -> int:  # type: ignore[override]
        """How many are not shown by name."""
        return self._naming.left_out

    def of(self, key: Hashable) -> Group:
        """See ``Groups.of``."""
        key = self.kept(key)
        group = self.by_key.get(key)
        if group is None:
            group = self.by_key[key] = self._made(key)
        return group

    def kept(self, key: Hashable) -> Hashable:
        """See ``Groups.kept``.

        While there are too many, that is one for all new ones. All files of a group are in the same one at any time.
        """
        if key in self.by_key:
            return key
        surplus = (*self._rest_of(cast("Key", key)), None)
        return surplus if surplus in self.by_key or len(self.by_key) >= GROUPS_MAX else key

    def _made(self, key: Hashable) -> Group:
        flow = self.flow_of(key)
        return _KeptGroup(self._makers, flow, self.shown(key))

    def end_if_empty(self, key: Hashable, group: Group) -> None:
        """See ``Groups.end_if_empty``."""
        if not group.files and key not in self._grouping.lasting:
            del self.by_key[self.kept(key)]

    def split(self, files: FileColumns, below: bytes) -> Iterator[tuple[Hashable, FileColumns]]:
        """See ``Groups.split``."""
        for key, some in super().split(files, below):
            yield self.kept(key), some

    def flow_of(self, key: Hashable) -> Flow:
        """See ``Groups.flow_of``."""
        self._naming.admit(cast("Key", key))
        return self._flow_shown_by(self.shown(key))

    def _flow_shown_by(self, shown: Hashable) -> Flow:
        flow = self._flows.get(shown)
        if flow is None:
            flow = self._flows[shown] = Flow(self._dwell_bounds_seconds)
        return flow

    def shown(self, key: Hashable) -> Hashable:
        """See ``Groups.shown``."""
        return self._naming.shown(cast("Key", key))

    def _rename(self) -> None:
        """Give the counters of groups that lost their names to those that show them now, and new ones to the others."""
        for key, flow in list(self._flows.items()):
            shown = self.shown(key)
            if shown != key:
                del self._flows[key]
                self._flow_shown_by(shown).merge(flow)
        for key, group in self._kept_groups():
            group.shown = self.shown(key)
            group.flow = self._flow_shown_by(group.shown)

    def _kept_groups(self) -> Iterable[tuple[Key, _KeptGroup]]:
        return cast("Iterable[tuple[Key, _KeptGroup]]", self.by_key.items())

    def snapshots(self, now: Instant, others: Others | None = None) -> tuple[GroupSnapshot, ...]:
        """See ``Groups.snapshots``."""
        from fexp.counting.naming import Numbers, joined

        uncounted = [] if others is None else [key for key in others.other_keys if key not in self.by_key]
        files_of = [(key, group.files) for key, group in self._kept_groups()]
        if self._naming.rank([*files_of, *((cast("Key", key), 0) for key in uncounted)]):
            self._rename()
        parts = [
            (cast("Key", group.shown), Numbers(_values(key, group, now, others), group.distributions(now)))
            for key, group in self._kept_groups()
        ]
        for key in uncounted:
            shown = cast("Key", self.shown(self.kept(key)))
            self._flow_shown_by(shown)
            parts.append((shown, self._numbers_of_none(key, now, others)))
        numbers = joined(parts, self._picks)
        if others is not None:
            _take_out(numbers, others.surplus(self.shown))
        labels_of, snapshots = self._grouping.labels_of, []
        for key, flow in self._flows.items():
            values, distributions = numbers.get(cast("Key", key)) or self._numbers_of_none(key, now, others)
            snapshots.append(GroupSnapshot(labels_of(key), values, flow.snapshot(), distributions))
        return tuple(snapshots)

    def _numbers_of_none(self, key: Hashable, now: Instant, others: Others | None) -> Numbers:
        """Return the numbers of a group that has no file."""
        from fexp.counting.naming import Numbers

        return Numbers(_values(key, self._none, now, others), self._none.distributions(now))


def _take_out(numbers: dict[Key, Numbers], surplus: Mapping[Hashable, Mapping[str, int]]) -> None:
    for key, sums in surplus.items():
        found = numbers[cast("Key", key)]
        less = {name: (found.values[name] or 0) - number for name, number in sums.items()}
        numbers[cast("Key", key)] = found._replace(values={**found.values, **less})


def make_groups(grouping: Grouping, makers: Sequence[Make], dwell_bounds_seconds: tuple[float, ...]) -> Groups:
    """Return the groups of a folder."""
    if grouping.is_open:
        return NamedGroups(cast("ByName", grouping), makers, dwell_bounds_seconds)
    return Groups(grouping, makers, dwell_bounds_seconds)
