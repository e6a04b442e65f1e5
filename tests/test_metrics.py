"""The catalogue: fixed names, types and help; numbers that survive both formats; names that bite."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fexp.metrics import CATALOGUE, EVERYWHERE, TEXTFILE_SCOPES, FexpCollector, Kind, Row, Scope
from fexp.model import (
    Backend,
    DeliverySnapshot,
    Fault,
    FlowSnapshot,
    FolderSnapshot,
    Histogram,
    InotifySnapshot,
    Reason,
    Snapshot,
)
from fexp.outputs.formats import Format
from fexp.text import printable
from tests.servers import promtool
from tests.snapshots import group_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

DWELL = Histogram((1.0, 2.5, 10.0), (1, 0, 1, 1), 42.5)
FLOW = FlowSnapshot(5, 3, 1, 2**53, 300, 1.7e9, 1.7e9 + 0.25, DWELL)
FULL = FolderSnapshot(
    folder="/in/full",
    labels={"team": "billing"},
    up=True,
    recursive=True,
    groups=(
        group_of(
            "*.txt",
            FLOW,
            files=3,
            size_bytes=2**63 + 1,
            oldest_modified_at=-1.5,
            newest_modified_at=1.7e9,
            largest_bytes=2**62,
            smallest_bytes=1,
            oldest_arrived_at=1.7e9,
        )._replace(distributions={"file_age_seconds": DWELL, "file_size_bytes": DWELL}),
        group_of("*", FLOW),
    ),
    backend=Backend.INOTIFY,
    scans={reason: number for number, reason in enumerate(Reason)},
    scan_duration_seconds=0.25,
    last_scan_at=1.7e9,
    overflows=2,
    drift_files=4,
    faults=dict.fromkeys(Fault, 1),
)
DELIVERY = DeliverySnapshot("textfile", 7, 1, 1.7e9, 0.01)
NAMES_THAT_BITE = [
    "/in/new\nline",
    '/in/quo"te',
    "/in/back\\slash\\n",
    "/in/tab\there\r",
    printable(b"/in/\xff\xfe"),
    "/in/" + "n" * 255,
    "/in/ümläut ☃ 🎄",
    '/in/{a="b"} 1 # x,',
    "/in/\u2028\x7f\x01",
]

# The contract's tables, by hand: dashboards are written against them.
EXPECTED = {
    "fexp_files": ("gauge", "folder pattern"),
    "fexp_size_bytes": ("gauge", "folder pattern"),
    "fexp_oldest_file_timestamp_seconds": ("gauge", "folder pattern"),
    "fexp_newest_file_timestamp_seconds": ("gauge", "folder pattern"),
    "fexp_largest_file_bytes": ("gauge", "folder pattern"),
    "fexp_smallest_file_bytes": ("gauge", "folder pattern"),
    "fexp_empty_files": ("gauge", "folder pattern"),
    "fexp_future_files": ("gauge", "folder pattern"),
    "fexp_oldest_arrival_timestamp_seconds": ("gauge", "folder pattern"),
    "fexp_file_age_seconds": ("gaugehistogram", "folder pattern"),
    "fexp_file_size_bytes": ("gaugehistogram", "folder pattern"),
    "fexp_arrivals_total": ("counter", "folder pattern"),
    "fexp_departures_total": ("counter", "folder pattern"),
    "fexp_modifications_total": ("counter", "folder pattern"),
    "fexp_arrived_bytes_total": ("counter", "folder pattern"),
    "fexp_departed_bytes_total": ("counter", "folder pattern"),
    "fexp_last_arrival_timestamp_seconds": ("gauge", "folder pattern"),
    "fexp_last_departure_timestamp_seconds": ("gauge", "folder pattern"),
    "fexp_dwell_seconds": ("histogram", "folder pattern"),
    "fexp_folder_up": ("gauge", "folder"),
    "fexp_folder_info": ("gauge", "folder backend recursive"),
    "fexp_scans_total": ("counter", "folder reason"),
    "fexp_scan_duration_seconds": ("gauge", "folder"),
    "fexp_last_scan_timestamp_seconds": ("gauge", "folder"),
    "fexp_overflows_total": ("counter", "folder"),
    "fexp_drift_files_total": ("counter", "folder"),
    "fexp_errors_total": ("counter", "folder reason"),
    "fexp_deliveries_total": ("counter", "output"),
    "fexp_delivery_failures_total": ("counter", "output"),
    "fexp_last_delivery_timestamp_seconds": ("gauge", "output"),
    "fexp_delivery_duration_seconds": ("gauge", "output"),
    "fexp_inotify_watches": ("gauge", ""),
    "fexp_inotify_watches_limit": ("gauge", ""),
    "fexp_config_last_reload_successful": ("gauge", ""),
    "fexp_config_last_reload_success_timestamp_seconds": ("gauge", ""),
    "fexp_build_info": ("gauge", "version python watchdog"),
}

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def numbers_of(families: Iterable[Metric]) -> Numbers:
    found: Numbers = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"the series {key} is there twice"
            found[key] = float(sample.value)
    return found


def without_text_only(numbers: Numbers) -> Numbers:
    """Return the numbers without those that make a gauge histogram a whole histogram in text 0.0.4."""
    text_only = re.compile(r"fexp_file_(age_seconds|size_bytes)_(count|sum)")
    return {key: number for key, number in numbers.items() if not text_only.fullmatch(key[0])}


def snapshot_of(*folders: FolderSnapshot) -> Snapshot:
    return Snapshot(folders, (DELIVERY,), inotify=InotifySnapshot(12, 65536))


def text_of(snapshot: Snapshot) -> str:
    return Format.TEXT.render(FexpCollector(lambda: snapshot)).decode()


def openmetrics_of(snapshot: Snapshot) -> str:
    text: bytes = generate_openmetrics(FexpCollector(lambda: snapshot))  # type: ignore[no-untyped-call]
    return text.decode()


def read_openmetrics(text: str) -> Iterable[Metric]:
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]


def test_names_types_and_labels_are_those_of_the_contract() -> None:
    """Mistakes 7b, 25d."""
    here = {row.name: (row.kind.value, " ".join(row.labels)) for row in CATALOGUE}
    assert {name: here.get(name) for name in EXPECTED} == EXPECTED


def test_the_catalogue_is_well_formed() -> None:
    """Mistake 9c."""
    names = [row.name for row in CATALOGUE]
    assert len(set(names)) == len(names)
    for row in CATALOGUE:
        assert re.fullmatch(r"fexp_[a-z_]+", row.name)
        assert row.name.endswith("_total") is (row.kind is Kind.COUNTER)
        assert row.help.endswith(".")
        assert "\n" not in row.help
        assert not set(row.own_labels) & {"folder", "pattern", "le", "job", "instance"}


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_names_and_labels_keep_the_conventions(row: Row) -> None:
    """Mistakes 25a, 25b, 25c: instants rather than ages, _total only on counters, no label that belongs to others."""
    assert row.name.endswith("_total") == (row.kind is Kind.COUNTER)
    own = "" if row.kind is Kind.GAUGE_HISTOGRAM else "age|"  # of many files no instant can be told
    assert not re.search(rf"_({own}count|sum|bucket|ms|milliseconds)(_|$)", row.name)
    assert not {"type", "env", "region", "zone", "cluster", "service", "job", "instance"} & set(row.labels)


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_help_type_and_labels_do_not_depend_on_the_numbers(row: Row) -> None:
    """Mistake 7a."""
    bare = FULL._replace(labels={}, backend=None, up=False, scans={}, faults={}, groups=FULL.groups[:1])
    snapshots = (None, Snapshot(()), snapshot_of(FULL), snapshot_of(bare, FULL))
    families = [row.family(snapshot) for snapshot in snapshots]
    assert len({(family.name, family.type, family.documentation) for family in families}) == 1
    for sample in families[2].samples:
        assert set(sample.labels) - {"le", "team"} == set(row.labels)


def test_promtool_has_nothing_to_say() -> None:
    for snapshot in (snapshot_of(FULL), snapshot_of(*_folders_that_bite())):
        checked = promtool("check", "metrics", input_text=text_of(snapshot))
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_both_formats_tell_the_same_numbers() -> None:
    snapshot = snapshot_of(FULL, FULL._replace(folder="/in/down", up=False))
    told = numbers_of(FexpCollector(lambda: snapshot).collect())
    assert without_text_only(numbers_of(parse_text(text_of(snapshot)))) == told
    assert numbers_of(read_openmetrics(openmetrics_of(snapshot))) == told
    labels = frozenset({("folder", "/in/full"), ("pattern", "*.txt"), ("team", "billing")})
    assert told["fexp_size_bytes", labels] == 2.0**63


def _folders_that_bite() -> list[FolderSnapshot]:
    bitten = FULL.groups[0]._replace(labels={"pattern": '*."\\\n'})
    return [FULL._replace(folder=name, labels={"team": name}, groups=(bitten,)) for name in NAMES_THAT_BITE]


def test_names_that_bite_come_back_as_they_were() -> None:
    snapshot = snapshot_of(*_folders_that_bite())
    told = numbers_of(FexpCollector(lambda: snapshot).collect())
    assert without_text_only(numbers_of(parse_text(text_of(snapshot)))) == told
    assert numbers_of(read_openmetrics(openmetrics_of(snapshot))) == told
    assert {dict(labels)["folder"] for name, labels in told if name == "fexp_files"} == set(NAMES_THAT_BITE)


def test_of_a_folder_that_is_down_the_gauges_are_gone_and_the_counters_stay() -> None:
    down = numbers_of(FexpCollector(lambda: snapshot_of(FULL._replace(up=False))).collect())
    names = {name for name, _ in down}
    gauges = {name for name, kind_and_labels in EXPECTED.items() if kind_and_labels == ("gauge", "folder pattern")}
    last = {"fexp_last_arrival_timestamp_seconds", "fexp_last_departure_timestamp_seconds"}
    assert names & gauges == last
    assert {"fexp_arrivals_total", "fexp_dwell_seconds_count", "fexp_overflows_total"} <= names
    assert down["fexp_folder_up", frozenset({("folder", "/in/full"), ("team", "billing")})] == 0


def test_extremes_of_no_files_are_no_series() -> None:
    empty = FULL._replace(groups=FULL.groups[1:])
    names = {name for name, _ in numbers_of(FexpCollector(lambda: snapshot_of(empty)).collect())}
    assert "fexp_files" in names
    assert not names & {
        "fexp_oldest_file_timestamp_seconds", "fexp_newest_file_timestamp_seconds", "fexp_largest_file_bytes",
        "fexp_smallest_file_bytes", "fexp_oldest_arrival_timestamp_seconds",
    }  # fmt: skip


def test_a_histogram_is_cumulative() -> None:
    numbers = numbers_of(FexpCollector(lambda: snapshot_of(FULL)).collect())
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in numbers.items()
        if name == "fexp_dwell_seconds_bucket" and ("pattern", "*.txt") in labels
    }
    assert buckets == {"1.0": 1, "2.5": 1, "10.0": 2, "+Inf": 3}


def test_no_buckets_of_dwell_times_are_no_histogram() -> None:
    folder = FULL._replace(groups=(group_of("*", FLOW._replace(dwell=Histogram((), (0,), 0.0))),))
    names = {name for name, _ in numbers_of(FexpCollector(lambda: snapshot_of(folder)).collect())}
    assert "fexp_arrivals_total" in names
    assert not any(name.startswith("fexp_dwell") for name in names)


def test_a_gauge_histogram_has_the_same_names_everywhere_and_is_whole_in_text() -> None:
    """What parses text and passes it on (node_exporter, a Pushgateway) writes 0 where a count or a sum is missing."""
    text, openmetrics = text_of(snapshot_of(FULL)), openmetrics_of(snapshot_of(FULL))
    assert "# TYPE fexp_file_age_seconds gaugehistogram\n" in openmetrics
    for kind, suffix in (("histogram", ""), ("gauge", "_gcount"), ("gauge", "_gsum")):
        assert text.count(f"# TYPE fexp_file_age_seconds{suffix} {kind}\n") == 1
    labels = frozenset({("folder", "/in/full"), ("pattern", "*.txt"), ("team", "billing")})
    told = numbers_of(parse_text(text))
    for suffix, number in (("count", 3), ("gcount", 3), ("sum", 42.5), ("gsum", 42.5)):
        assert told[f"fexp_file_size_bytes_{suffix}", labels] == number
    assert told["fexp_file_size_bytes_bucket", labels | {("le", "10.0")}] == 2


def test_a_one_shot_shows_no_flow_and_no_watcher() -> None:
    groups = tuple(group._replace(flow=None) for group in FULL.groups)
    one_shot = FULL._replace(backend=None, groups=groups)
    names = {name for name, _ in numbers_of(FexpCollector(lambda: snapshot_of(one_shot)).collect())}
    assert not names & {"fexp_arrivals_total", "fexp_dwell_seconds_count", "fexp_folder_info"}
    assert not names & {"fexp_overflows_total", "fexp_drift_files_total"}
    assert {"fexp_files", "fexp_folder_up"} <= names


def test_a_textfile_holds_only_series_with_a_folder() -> None:
    for family in FexpCollector(lambda: snapshot_of(FULL), TEXTFILE_SCOPES).collect():
        assert all("folder" in sample.labels for sample in family.samples)
    assert Scope.SELF in EVERYWHERE - TEXTFILE_SCOPES
