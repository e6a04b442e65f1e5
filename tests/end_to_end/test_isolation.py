"""One output's trouble is its own: the watching and the other outputs go on, and it catches up by itself."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.running import Watching, samples, watching
from tests.outputs.scripted import ScriptedServer, answer, close_at_once, deaf, drip, hang, raw
from tests.servers import poll, running_pushgateway

if TYPE_CHECKING:
    from tests.outputs.scripted import Connection, Step


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


_GROWTH_BYTES = 8 << 20


def _held(fexp: Watching) -> tuple[int, int, int]:
    """Give what a fexp holds: bytes, threads, descriptors."""
    process = Path(f"/proc/{fexp.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"]), len(os.listdir(process / "fd"))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(hang, id="hangs"),
        pytest.param(deaf, id="reads nothing"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Long: "), id="drips"),
        pytest.param(close_at_once, id="closes at once"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), id="closes in the middle"),
        pytest.param(answer(503, b"busy", Retry_After="1"), id="is busy"),
        pytest.param(answer(400, b"x" * (16 << 20)), id="sends a huge body"),
    ],
)
def test_under_every_fault_all_else_goes_on_within_bounds(tmp_path: Path, fault: Step) -> None:
    """While the other side misbehaves: true numbers elsewhere, no growth. After it: the true state is delivered."""
    data, textfile, well = tmp_path / "data", tmp_path / "x.prom", threading.Event()
    data.mkdir()

    def play(connection: Connection) -> None:
        (answer(200) if well.is_set() else fault)(connection)

    with (
        ScriptedServer(play) as server,
        watching(
            str(data), "--listen", "127.0.0.1:0", "--min-interval", "0", "--heartbeat", "0.2s",
            "--textfile", str(textfile), "--gateway", server.url, "--gateway-deadline", "0.3s",
            "--remote-write", f"{server.url}/write", "--remote-write-deadline", "0.3s",
        ) as fexp,
    ):  # fmt: skip

        def failed(times: int) -> bool:
            outputs = ("gateway", "remote_write")
            return all((fexp.value("fexp_delivery_failures_total", output=one) or 0) >= times for one in outputs)

        poll(lambda: failed(1))
        held_bytes, threads, descriptors = _held(fexp)
        for number in range(1, 41):
            for file in range(100):
                (data / f"{file}.tmp").touch()
            for file in range(100):
                (data / f"{file}.tmp").unlink()
            (data / f"{number}.txt").touch()
            poll(lambda number=number: fexp.value("fexp_files") == number, every_seconds=0.005)
        poll(lambda: _files(textfile.read_text()) == 40)
        poll(lambda: failed(2))
        held_now = _held(fexp)
        assert held_now[0] < held_bytes + _GROWTH_BYTES
        assert held_now[1] <= threads + 12  # the HTTP server's pool of eight, and exchanges that were given up
        assert held_now[2] <= descriptors + 12
        well.set()
        poll(lambda: b'pattern="*"} 40.0' in (server.bodies or [b""])[-1] or None, seconds=30)
        poll(lambda: (fexp.value("fexp_deliveries_total", output="remote_write") or 0) >= 1, seconds=30)
        pushed = next(body for body in reversed(server.bodies) if body.startswith(b"# HELP"))
        told = {name: value for (name, _), value in samples(pushed.decode()).items()}
        assert told["fexp_files"] == 40
        assert told["fexp_arrivals_total"] - told["fexp_departures_total"] == 40
