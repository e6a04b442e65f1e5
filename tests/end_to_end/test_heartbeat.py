"""A quiet folder and a dead exporter must not look alike: what real receivers say of when they last heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.end_to_end.running import samples, watching
from tests.servers import NodeExporter, Server, poll

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _heard_at(text: str, name: str) -> float:
    return max((value for (own, _), value in samples(text).items() if own == name), default=0.0)


def test_a_quiet_folder_is_told_of_again_and_again(
    tmp_path: Path, node_exporter: NodeExporter, pushgateway: Server
) -> None:
    """Mistake 4: nothing happens, and still the file is written and the group is pushed."""
    (tmp_path / "a").touch()
    arrivals: dict[str, Callable[[], float]] = {
        "node_exporter": lambda: _heard_at(node_exporter.metrics(), "node_textfile_mtime_seconds"),
        "Pushgateway": lambda: _heard_at(pushgateway.get("/metrics").text, "push_time_seconds"),
    }
    with watching(
        str(tmp_path), "--heartbeat", "0.3s", "--min-interval", "0.1s", "--listen", "127.0.0.1:0",
        "--textfile", str(node_exporter.directory / "fexp.prom"), "--gateway", pushgateway.url,
    ) as fexp:  # fmt: skip
        looks = fexp.value("fexp_last_scan_timestamp_seconds")
        for heard_at in arrivals.values():
            latest_at = poll(heard_at)
            for _ in range(2):  # of which the first may be about what came to be known after the start
                latest_at = poll(lambda heard_at=heard_at, before=latest_at: (at := heard_at()) > before and at)
        assert fexp.value("fexp_last_scan_timestamp_seconds") == looks
        assert fexp.value("fexp_arrivals_total") == fexp.value("fexp_departures_total") == 0
        assert fexp.value("fexp_delivery_failures_total", output="textfile") == 0
        assert fexp.value("fexp_delivery_failures_total", output="gateway") == 0
        assert fexp.stop() == 0
