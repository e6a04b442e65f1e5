"""Exemplars: the file that was counted last, in OpenMetrics and nowhere else."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fexp.counting.flow import Flow
from fexp.counting.selection import Selection
from fexp.model import Example, FlowSnapshot, FolderSnapshot, Histogram, Instant, Snapshot
from fexp.outputs.formats import Format
from fexp.outputs.pieces import join
from fexp.outputs.rendering import KeptCollector
from tests.engine.live import watching
from tests.http.serving import MemoryServed, running
from tests.servers import poll, running_prometheus
from tests.snapshots import group_of

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.samples import Exemplar


def rendered(snapshot: Snapshot, form: Format = Format.OPENMETRICS) -> str:
    return join(KeptCollector(lambda: snapshot).render(form)).decode()


def exemplars(snapshot: Snapshot) -> dict[tuple[str, str | None], Exemplar]:
    families: Any = text_string_to_metric_families(rendered(snapshot))  # type: ignore[no-untyped-call]
    return {
        (sample.name, sample.labels.get("le")): sample.exemplar
        for family in families
        for sample in family.samples
        if sample.exemplar
    }


def snapshot_with(example: Example, *, hides_names: bool = False) -> Snapshot:
    flow = FlowSnapshot(
        1, 1, 0, 0, 0, example.at, example.at, Histogram((1.0, 60.0), (0, 1, 0), 7.0), example, (None, example, None)
    )
    folder = FolderSnapshot("/in", {}, True, False, (group_of("*", flow),), hides_names=hides_names)
    return Snapshot((folder,))


def test_what_came_and_went_last_is_named(tmp_path: Path) -> None:
    (tmp_path / "old.txt").touch()
    with watching(tmp_path) as live:
        assert exemplars(live.engine.snapshot()) == {}, "it was there before"
        (tmp_path / "new.txt").touch()
        live.quiet()
        (tmp_path / "new.txt").unlink()
        live.quiet()
        found = exemplars(live.engine.snapshot())
        text = rendered(live.engine.snapshot(), Format.TEXT)
    arrival, dwell = found.pop(("fexp_arrivals_total", None)), found.pop(("fexp_dwell_seconds_bucket", "1.0"))
    assert found == {}
    assert arrival.labels == dwell.labels == {"file": "new.txt"}
    assert (arrival.value, dwell.value < 1.0) == (1.0, True)
    assert str(arrival.timestamp) <= str(dwell.timestamp)
    assert "new.txt" not in text


@settings(max_examples=15)
@given(st.binary(min_size=1, max_size=300))
def test_no_name_is_too_much_for_openmetrics(name: bytes) -> None:
    text = rendered(snapshot_with(Example(name, 7.0, 1.7e9)))
    found = re.findall(r' # \{file="((?:[^"\\]|\\[\\"])*)"\} 7.0 1700000000.0\n', text)
    assert len(found) == 2
    assert all(0 < len(one) <= 124 and one.isprintable() for one in found)


def test_names_that_are_hidden_are_in_no_exemplar() -> None:
    example = Example(b"patient", 7.0, 1.7e9)
    assert len(exemplars(snapshot_with(example))) == 2
    assert "patient" not in rendered(snapshot_with(example, hides_names=True))


@given(st.lists(st.floats(0.0, 110.0), min_size=1, max_size=60))
def test_the_example_of_a_bucket_is_the_one_that_stayed_longest(arrived_at: list[float]) -> None:
    flow, bounds, now = Flow((1.0, 10.0, 50.0)), (1.0, 10.0, 50.0, float("inf")), Instant(1.7e9, 100.0)
    names = [b"%d" % place for place in range(len(arrived_at))]
    flow.observe_dwells(names, b"sub/", arrived_at, now)
    dwells = [max(0.0, 100.0 - at) for at in arrived_at]
    for bucket, bound in enumerate(bounds):
        below = bounds[bucket - 1] if bucket else -1.0
        inside = [
            dwell
            for at, dwell in zip(arrived_at, dwells, strict=True)
            if 100.0 - bound <= min(at, 100.0) < 100.0 - below
        ]
        example = flow.dwell_examples[bucket]
        assert flow.dwell_counts[bucket] == len(inside)
        if example is None:
            assert not inside
            continue
        assert example.value == max(inside)
        assert dwells[int(example.path.removeprefix(b"sub/"))] == example.value


def test_files_of_a_directory_that_went_whole_are_named_too(tmp_path: Path) -> None:
    inside = tmp_path / "in" / "sub"
    inside.mkdir(parents=True)
    for number in range(3000):  # more than are observed at once
        (inside / str(number)).touch()
    with watching(tmp_path / "in", Selection(recursive=True)) as live:
        os.rename(inside, tmp_path / "out")
        live.quiet()
        poll(lambda: sum(live.engine.snapshot().folders[0].groups[0].flow.dwell.counts) == 3000)  # type: ignore[union-attr]
        found = exemplars(live.engine.snapshot())
    assert found
    assert all(one.labels["file"].startswith("sub/") for one in found.values())


@pytest.mark.slow
def test_prometheus_keeps_them(tmp_path: Path) -> None:
    now = time.time()
    served = MemoryServed(snapshot_with(Example(b'a "\\\n\xff ' + b"long/" * 60, 7.0, now)).folders)
    with running(served) as server:
        config = (
            "scrape_configs: [{job_name: fexp, scrape_interval: 1s,"
            f" static_configs: [{{targets: ['{server.addresses[0].removeprefix('http://')}']}}]}}]\n"
        )
        arguments = ("--enable-feature=exemplar-storage",)
        with running_prometheus(tmp_path, config=config, arguments=arguments) as prometheus:

            def ask() -> Any:
                path = f"/api/v1/query_exemplars?query=fexp_dwell_seconds_bucket&start={now - 9:.0f}&end={now + 9:.0f}"
                return prometheus.get(path).json()["data"]

            (series,) = poll(ask)
    (exemplar,) = series["exemplars"]
    assert series["seriesLabels"]["le"] == "60.0"
    assert re.fullmatch(r"a .*…~[0-9a-f]{8}….*long/", exemplar["labels"]["file"])
    assert exemplar["value"] == "7"
