"""One output's trouble is its own: the watching and the other outputs go on, and it catches up by itself."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

from tests.end_to_end.running import samples, watching
from tests.servers import poll, running_pushgateway

if TYPE_CHECKING:
    from pathlib import Path


def _files(text: str) -> float | None:
    return next((value for (name, _), value in samples(text).items() if name == "fexp_files"), None)


def test_a_hanging_gateway_delays_nobody(tmp_path: Path) -> None:
    """Against one that accepts and never answers, the textfile and /metrics follow every change; the stop is prompt."""
    data, textfile = tmp_path / "data", tmp_path / "out" / "fexp.prom"
    data.mkdir()
    textfile.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        arguments = (str(data), "--listen", "127.0.0.1:0", "--textfile", str(textfile), "--min-interval", "0")
        with watching(*arguments, "--gateway", url, "--gateway-deadline", "0.5s", "--backend", "inotify") as fexp:
            for number in range(1, 6):
                (data / f"{number}.txt").touch()
                poll(lambda number=number: fexp.value("fexp_files") == number)
                poll(lambda number=number: _files(textfile.read_text()) == number)
            poll(lambda: (fexp.value("fexp_delivery_failures_total", output="gateway") or 0) >= 1)
            assert fexp.value("fexp_delivery_failures_total", output="textfile") == 0
            assert fexp.stop() == 0
        assert sum("gateway" in line and "warning" in line for line in fexp.lines) <= 2
        assert not textfile.exists()


def test_what_was_missed_is_delivered_when_the_other_side_is_back(tmp_path: Path) -> None:
    """A gateway that is not there yet and a textfile directory that goes away both get the true state in the end."""
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    arguments = ("--min-interval", "0", "--heartbeat", "0.2s", "--listen", "127.0.0.1:0")
    with watching(
        str(data), *arguments, "--textfile", str(out / "x.prom"), "--gateway", f"http://127.0.0.1:{port}",
        "--gateway-deadline", "0.5s",
    ) as fexp:  # fmt: skip
        (data / "a").touch()
        poll(lambda: (out / "x.prom").exists() and _files((out / "x.prom").read_text()) == 1)
        shutil.rmtree(out)
        (data / "b").touch()
        poll(lambda: (fexp.value("fexp_delivery_failures_total", output="textfile") or 0) >= 1)
        (data / "a").unlink()
        out.mkdir()
        poll(lambda: (out / "x.prom").exists() and _files((out / "x.prom").read_text()) == 1, seconds=30)
        told = samples((out / "x.prom").read_text())
        assert next(value for (name, _), value in told.items() if name == "fexp_arrivals_total") == 2
        assert next(value for (name, _), value in told.items() if name == "fexp_departures_total") == 1
        poll(lambda: (fexp.value("fexp_delivery_failures_total", output="gateway") or 0) >= 1)
        with running_pushgateway(tmp_path / "gateway", port=port) as gateway:
            poll(lambda: _files(gateway.get("/metrics").text) == 1, seconds=40)
            assert fexp.stop() == 0
            poll(lambda: not gateway.get("/api/v1/metrics").json()["data"])
