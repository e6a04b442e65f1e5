"""Groups that come with their files: what is there is shown as a fresh look would, and no counter goes back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting import groups
from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.naming import ByName
from fexp.counting.selection import Selection
from fexp.counting.single_files import SingleFiles
from fexp.counting.state import Directory, FolderState
from fexp.metrics import makers
from fexp.model import ARRIVED, FileColumns, GroupSnapshot, Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    Sizes = dict[tuple[bytes, bytes], int]
    """By directory and name."""

LIMIT = 2
SINGLE_FILES_MAX = 3
EXTENSIONS = Selection(), GroupBy(extensions_max=LIMIT)
PARTNERS = Selection(("*.a", "*")), GroupBy(regex="^(?P<partner>.)", label_names=("partner",), groups_max=LIMIT)
BOTH = Selection(), GroupBy(LIMIT, (), "^(?P<partner>.)", ("partner",), LIMIT)
NAMES = [b"%c.%c" % (partner, extension) for partner in b"xyz" for extension in b"abcdefghijkl"] + [b"plain"]
BELOW = (b"", b"sub/")
COUNTERS = ("arrivals", "departures", "modifications", "arrived_bytes", "departed_bytes")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "write many", "remove", "remove", "pass", "clear", "show"]),
        st.sampled_from(BELOW),
        st.sampled_from(NAMES),
        st.integers(0, 5),
    ),
    max_size=40,
)


class Tried:
    """A state, and what is on the disk that it knows of."""

    def __init__(self, selection: Selection, group_by: GroupBy) -> None:
        self.selection, self.group_by = selection, group_by
        measures = Measures((1.0,), (2.0,))
        self.state = FolderState(ByName(selection, group_by), makers(measures), (1.0, 60.0))
        self.state.single_files = SingleFiles(SINGLE_FILES_MAX)
        self.directories = {below: Directory(below) for below in BELOW}
        self.sizes: Sizes = {}
        self.now = 1e9

    def do(self, what: str, below: bytes, name: bytes, size: int) -> None:
        self.now += 1
        directory, now = self.directories[below], Instant(self.now, self.now - 9e8)
        if what == "pass":
            self.state.fold(directory, {b"new-" + name: "al"}, columns({}), [b"new-" + name], now)
        elif what == "clear":
            self.state.clear(directory, now)
            self.sizes = {path: size for path, size in self.sizes.items() if path[0] != below}
        elif what == "remove":
            self.state.fold(directory, {name: "l"}, columns({}), [name], now)
            self.sizes.pop((below, name), None)
        elif what != "show":
            names = [other for other in NAMES if other[:1] == name[:1]] if what == "write many" else [name]
            self.state.fold(directory, dict.fromkeys(names, ARRIVED), columns(dict.fromkeys(names, size)), [], now)
            self.sizes.update({(below, other): size for other in names})

    def shown(self) -> tuple[GroupSnapshot, ...]:
        self.state.observe_some(1000)
        return self.state.groups(Instant(self.now, self.now - 9e8))

    def expected(self) -> dict[tuple[str, ...], tuple[int, int, int | None]]:
        """Return files, bytes and the largest of what a fresh look would show, worked out from the paths alone."""
        paths = list(self.sizes)
        found: dict[tuple[str, ...], list[int]] = {}
        for path, patterns, partner in zip(paths, self._patterns(paths), self._partners(paths), strict=True):
            for pattern in patterns:
                found.setdefault((pattern, *partner), []).append(self.sizes[path])
        return {labels: (len(sizes), sum(sizes), max(sizes)) for labels, sizes in found.items()}

    def _patterns(self, paths: list[tuple[bytes, bytes]]) -> list[list[str]]:
        if not self.group_by.extensions_max:
            return [["*.a", "*"] if name.endswith(b".a") else ["*"] for _, name in paths]
        extensions = [name[2:].decode() if b"." in name else "" for _, name in paths]
        return [[f"*.{one}" if one else "other"] for one in top(extensions)]

    def _partners(self, paths: list[tuple[bytes, bytes]]) -> list[tuple[str, ...]]:
        if not self.group_by.regex:
            return [()] * len(paths)
        # With two patterns a file counts twice: once for each.
        weights = [1 + name.endswith(b".a") if len(self.selection.patterns) == 2 else 1 for _, name in paths]
        return [(one or "other",) for one in top([(below + name)[:1].decode() for below, name in paths], weights)]


def top(values: list[str], weights: list[int] | None = None) -> list[str]:
    """Return the values, but "" for those that are not among the most frequent."""
    count: Counter[str] = Counter()
    for value, weight in zip(values, weights or [1] * len(values), strict=True):
        count[value] += weight if value else 0
    named = sorted((value for value in count if count[value]), key=lambda value: (-count[value], value))[:LIMIT]
    return [value if value in named else "" for value in values]


def columns(sizes: Mapping[bytes, int]) -> FileColumns:
    """Return files whose modification time follows from their size."""
    names = list(sizes)
    times = [1e8 + size for size in sizes.values()]
    return FileColumns(names, list(sizes.values()), times, times, [1] * len(names))


def labels_of(group: GroupSnapshot) -> tuple[str, ...]:
    return tuple(group.labels.values())


@pytest.mark.parametrize(
    ("selection", "group_by"), [EXTENSIONS, PARTNERS, BOTH], ids=["extensions", "partners", "both"]
)
@given(steps=STEPS)
@settings(max_examples=40)
def test_what_is_there_and_what_happened(
    selection: Selection, group_by: GroupBy, steps: list[tuple[str, bytes, bytes, int]]
) -> None:
    tried = Tried(selection, group_by)
    before: dict[tuple[str, ...], Any] = {}
    sums_before = [0] * len(COUNTERS)
    for step in steps:
        tried.do(*step)
        if step[0] != "show":
            continue
        shown = tried.shown()
        there = {
            labels_of(group): (group.files, group.size_bytes, group.values["largest_bytes"])
            for group in shown
            if group.files
        }
        assert there == tried.expected()
        for number, limit in enumerate(tried.state._groups._grouping.limits):  # type: ignore[attr-defined]
            parts = {labels_of(group)[number] for group in shown} if limit else set()
            assert len(parts - {"other"}) <= (limit or 0)
        flows = {labels_of(group): group.flow for group in shown}
        assert len(flows) == len(shown)
        for labels, flow in flows.items():
            assert flow is not None
            if labels in before:
                assert all(getattr(flow, name) >= getattr(before[labels], name) for name in COUNTERS), labels
        sums = [sum(getattr(flow, name) for flow in flows.values()) for name in COUNTERS]
        assert all(now >= then for now, then in zip(sums, sums_before, strict=True))
        assert sums[0] - sums[1] == sum(group.files for group in shown)
        assert sums[3] - sums[4] == sum(group.size_bytes for group in shown)
        assert sum(sum(flow.dwell.counts) for flow in flows.values() if flow) == sums[1]
        assert tried.state.files == sum(group.files for group in shown)
        before, sums_before = flows, sums


@given(steps=STEPS)
@settings(max_examples=40)
def test_the_oldest_files(steps: list[tuple[str, bytes, bytes, int]]) -> None:
    tried = Tried(*EXTENSIONS)
    for step in steps:
        tried.do(*step)
    groups = tried.shown()
    oldest = sorted((1e8 + size, below + name) for (below, name), size in tried.sizes.items())[:SINGLE_FILES_MAX]
    shown = tried.state.single_snapshots
    assert [(file.modified_at, file.labels["file"].encode()) for file in shown] == oldest
    assert {file.labels["pattern"] for file in shown} <= {group.pattern for group in groups if group.files}
    left_out = len({name[1:] for _, name in tried.sizes if b"." in name})
    expected = max(0, left_out - LIMIT) + max(0, len(tried.sizes) - SINGLE_FILES_MAX)
    assert tried.state.left_out == expected


@given(steps=STEPS)
@settings(max_examples=40)
def test_more_groups_than_can_be_kept(steps: list[tuple[str, bytes, bytes, int]]) -> None:
    """What is too much is counted as other, whatever comes and goes; nothing is lost or counted twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "GROUPS_MAX", 5)
        tried = Tried(*BOTH)
        for step in steps:
            tried.do(*step)
            shown = tried.shown()
            assert sum(group.files for group in shown) == len(tried.sizes)
            assert sum(group.size_bytes for group in shown) == sum(tried.sizes.values())
            flows = [group.flow for group in shown if group.flow]
            assert sum(flow.arrivals - flow.departures for flow in flows) == len(tried.sizes)
        assert len(tried.state._group_of) <= 5 + 1 + len(tried.state._grouping.lasting)


def shown_labels(tried: Tried) -> dict[str, tuple[int, int]]:
    return {group.pattern: (group.files, group.flow.arrivals) for group in tried.shown() if group.flow}


def test_what_leaves_the_top_gives_its_counters_to_other() -> None:
    tried = Tried(Selection(), GroupBy(extensions_max=1))
    assert shown_labels(tried) == {"other": (0, 0)}
    tried.do("write", b"", b"x.a", 1)
    assert shown_labels(tried) == {"other": (0, 0), "*.a": (1, 1)}
    tried.do("write", b"", b"x.b", 1)
    tried.do("write", b"", b"y.b", 1)
    assert shown_labels(tried) == {"other": (1, 3), "*.b": (2, 0)}, "b came when it was other"
    tried.do("write", b"", b"z.b", 1)
    tried.do("clear", b"", b"", 0)
    assert shown_labels(tried) == {"other": (0, 3), "*.b": (0, 1)}, "at no files it keeps its place"
    tried.do("write", b"", b"y.a", 1)
    assert shown_labels(tried) == {"other": (0, 5), "*.a": (1, 0)}


def test_a_group_whose_files_never_stay_has_counters() -> None:
    tried = Tried(*PARTNERS)
    tried.do("pass", b"", b"", 0)
    tried.do("pass", b"", b"", 0)
    flow = next(group.flow for group in tried.shown() if group.labels == {"pattern": "*", "partner": "n"})
    assert flow is not None
    assert (flow.arrivals, flow.departures) == (2, 2)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (b"a.csv", "*.csv"),
        (b"a.CSV", "*.CSV"),
        (b"a.b.csv", "*.csv"),
        (b"a.tar.gz", "*.tar.gz"),
        (b"a.x.tar.gz", "*.tar.gz"),
        (b"a.tar", "*.tar"),
        (b"tar.gz", "*.gz"),
        (b"README", "other"),
        (b"a.", "other"),
        (b".bashrc", "other"),
        (b".a.txt", "*.txt"),
        (b"..", "other"),
        (b"a.x*y", "*.x[*]y"),
        (b"a.\xff", r"*.\xff"),
        (rb"a.\xff", r"*.\\xff"),
        (b"a.other", "*.other"),
    ],
)
def test_extensions(name: bytes, pattern: str) -> None:
    grouping = ByName(Selection(hidden=True), GroupBy(10, ("tar.gz",)))
    (key,) = grouping.keys_of(name, b"")
    assert grouping.labels_of(key) == {"pattern": pattern}


def test_extensions_of_any_case() -> None:
    grouping = ByName(Selection(ignore_case=True), GroupBy(10, ("TAR.gz",)))
    names = (b"a.Tar.GZ", b"b.tar.gz", "c.Ä".encode(), "d.ä".encode())
    patterns = [grouping.labels_of(grouping.keys_of(name, b"")[0])["pattern"] for name in names]
    assert patterns == ["*.tar.gz", "*.tar.gz", "*.ä", "*.ä"]


@pytest.mark.parametrize(
    ("below", "name", "labels"),
    [
        (b"", b"ACME_in.csv", {"partner": "ACME", "feed": "in"}),
        (b"sub/", b"x_ACME_in.csv", {"partner": "x", "feed": "ACME"}),
        (b"", b"ACME.csv", {"partner": "other", "feed": "other"}),
        (b"", b"ACME_", {"partner": "ACME"}),
        (b"", "MÜLLER_x".encode(), {"partner": "MÜLLER", "feed": "x"}),
        (b"", b"M\xdcLLER_x", {"partner": r"M\xdcLLER", "feed": "x"}),
        (b"", b"a\nb_x", {"partner": r"a\x0ab", "feed": "x"}),
        (b"", b"other_x", {"partner": "other", "feed": "x"}),
        (b"", b"other_other", {"partner": "other", "feed": "other"}),
    ],
)
def test_groups_of_a_regex(below: bytes, name: bytes, labels: dict[str, str]) -> None:
    regex = r"(?:^|/)(?P<partner>[^_/]+)_(?P<feed>[^_.]*)"
    grouping = ByName(Selection(), GroupBy(regex=regex, label_names=("partner", "feed"), groups_max=10))
    (key,) = grouping.keys_of(name, below)
    assert grouping.labels_of(key) == {"pattern": "*", **labels}


def test_a_hostile_name_takes_no_time() -> None:
    """With ``re`` one of these takes longer than anybody waits."""
    regex = r"(?P<a>(?:\w+\w+)+)_(?P<b>\w+)_(?P<c>\w+)-"
    grouping = ByName(Selection(), GroupBy(regex=regex, label_names=("a", "b", "c"), groups_max=10))
    below = b"_".join([b"a"] * 1900) + b"/"
    for number in range(1000):
        assert grouping.keys_of(b"_a%d" % number * 30, below) == ((0, ()),)
