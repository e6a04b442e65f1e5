"""Distributions of ages and sizes, as a Pushgateway and VictoriaMetrics have them from a running fexp."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.comparing import pushed, told
from tests.end_to_end.running import watching
from tests.servers import Server, poll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.comparing import Series

SIZES = {
    ("fexp_file_size_bytes_bucket", "0.0"): 1, ("fexp_file_size_bytes_bucket", "1000.0"): 2,
    ("fexp_file_size_bytes_bucket", "inf"): 3, ("fexp_file_size_bytes_gcount", None): 3,
    ("fexp_file_size_bytes_gsum", None): 5001,
}  # fmt: skip
AGES = {
    ("fexp_file_age_seconds_bucket", "3600.0"): 2, ("fexp_file_age_seconds_bucket", "86400.0"): 2,
    ("fexp_file_age_seconds_bucket", "inf"): 3, ("fexp_file_age_seconds_gcount", None): 3,
}  # fmt: skip


def distributions(series: Series) -> dict[tuple[str, str | None], float]:
    """Return what is known of the distributions, by name and bucket. The sum of the ages is of its moment."""
    return {
        (name, dict(labels).get("le")): value
        for (name, labels), value in series.items()
        if name.startswith("fexp_file_") and name != "fexp_file_age_seconds_gsum" and name.endswith(("t", "_gsum"))
        if not name.endswith(("_seconds_count", "_bytes_count"))
    }


@pytest.mark.slow
def test_a_gateway_and_a_remote_write_tell_them(tmp_path: Path, pushgateway: Server, victoria_metrics: Server) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, size_bytes in (("a", 0), ("b", 1000), ("c", 4001)):
        (data / name).write_bytes(b"x" * size_bytes)
    os.utime(data / "c", (1e9, 1e9))
    with watching(
        str(data), "--age-buckets", "1h,1d", "--size-buckets", "0,1k", "--job", "distributed", "--min-interval", "0.1s",
        "--gateway", pushgateway.url, "--remote-write", victoria_metrics.url + "/api/v1/write",
    ):  # fmt: skip
        receivers = (
            lambda: distributions(pushed(pushgateway.get("/metrics").text)),
            lambda: distributions(told(victoria_metrics, "distributed")),
        )
        for tell in receivers:
            assert poll(lambda tell=tell: tell() if len(tell()) == len(SIZES | AGES) else None) == SIZES | AGES
        (data / "c").unlink()
        for tell in receivers:
            poll(lambda tell=tell: tell()["fexp_file_age_seconds_bucket", "inf"] == 2)
            assert tell()["fexp_file_size_bytes_gsum", None] == 1000
