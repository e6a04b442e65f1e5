"""One output's trouble is its own: the watching and the other outputs go on, and it catches up by itself."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.comparing import pushed, shown, told, value_of, written
from tests.end_to_end.running import Watching, samples, watching
from tests.outputs.scripted import ScriptedServer, answer, close_at_once, deaf, drip, hang, raw
from tests.servers import free_port, poll, running_prometheus, running_pushgateway

if TYPE_CHECKING:
    from tests.end_to_end.comparing import Series
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


@pytest.mark.slow
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
_OUTPUTS = ("gateway", "remote_write")
_COUNTS = ("fexp_files", "fexp_arrivals_total", "fexp_departures_total")
_KEY = {"job": "fexp", "instance": "h"}
_REASONS = {"127.0.0.1": "Connection refused", "receiver.invalid": "Name or service not known"}


def _held(fexp: Watching) -> tuple[int, int, int]:
    """Return what a fexp holds: bytes, threads, descriptors."""
    process = Path(f"/proc/{fexp.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"]), len(os.listdir(process / "fd"))


def _assert_within_bounds(now: tuple[int, int, int], before: tuple[int, int, int]) -> None:
    assert now[0] < before[0] + _GROWTH_BYTES
    assert now[1] <= before[1] + 12  # the HTTP server's pool of eight, and exchanges that were given up
    assert now[2] <= before[2] + 12


def _options(data: Path, textfile: Path, server: ScriptedServer) -> tuple[str, ...]:
    """Return the options of a fexp that pushes, writes, and serves what is true."""
    return (
        str(data), "--listen", "127.0.0.1:0", "--min-interval", "0", "--heartbeat", "0.2s", "--instance", "h",
        "--textfile", str(textfile), "--gateway", server.url, "--gateway-deadline", "0.3s",
        "--remote-write", f"{server.url}/write", "--remote-write-deadline", "0.3s",
    )  # fmt: skip


def _count(fexp: Watching, what: str, output: str) -> float:
    name = {"failures": "fexp_delivery_failures_total", "deliveries": "fexp_deliveries_total"}[what]
    return fexp.value(name, output=output) or 0


def _latest(server: ScriptedServer, method: bytes) -> bytes | None:
    """Return the body that came last with a method: remote write is a POST, a push a PUT."""
    found = (one.partition(b"\r\n\r\n")[2] for one in reversed(server.requests) if one.startswith(method))
    return next(found, None)


def _written(server: ScriptedServer) -> Series:
    body = _latest(server, b"POST /write ")
    return written(body) if body else {}


def _pushed(server: ScriptedServer) -> Series:
    return pushed((_latest(server, b"PUT ") or b"").decode())


@pytest.mark.slow
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
        watching(*_options(data, textfile, server)) as fexp,
    ):
        poll(lambda: all(_count(fexp, "failures", one) >= 1 for one in _OUTPUTS))
        held = _held(fexp)
        for number in range(1, 41):
            for file in range(100):
                (data / f"{file}.tmp").touch()
            for file in range(100):
                (data / f"{file}.tmp").unlink()
            (data / f"{number}.txt").touch()
            poll(lambda number=number: fexp.value("fexp_files") == number, every_seconds=0.005)
        poll(lambda: _files(textfile.read_text()) == 40)
        poll(lambda: all(_count(fexp, "failures", one) >= 2 for one in _OUTPUTS))
        _assert_within_bounds(_held(fexp), held)
        well.set()
        poll(lambda: shown(fexp, **_KEY) == _written(server), seconds=30)
        poll(lambda: shown(fexp) == _pushed(server), seconds=30)
        files, arrivals, departures = (value_of(_written(server), name) or 0 for name in _COUNTS)
        assert files == arrivals - departures == 40


_REFUSALS = {
    "moved": answer(301, Location="http://127.0.0.1:1/elsewhere"),
    "moved for now": answer(307, Location="/login"),
    "does not understand": answer(400, b"bad request"),
    "does not know us": answer(401, b"who are you?"),
    "is not there": answer(404, b"no such path"),
    "has had enough": answer(429, b"slow down"),
    "is broken": answer(500, b"oh"),
    "is down": answer(503, b"busy"),
}


@pytest.mark.slow
def test_after_every_refusal_the_truth_is_delivered(tmp_path: Path) -> None:
    """One after the other, each beginning from health: true numbers elsewhere, then true ones here, and no growth."""
    data, textfile = tmp_path / "data", tmp_path / "x.prom"
    data.mkdir()
    well = answer(204)
    steps = [well]

    def play(connection: Connection) -> None:
        steps[-1](connection)

    with ScriptedServer(play) as server, watching(*_options(data, textfile, server)) as fexp:
        poll(lambda: shown(fexp) == _pushed(server) and shown(fexp, **_KEY) == _written(server))
        held: tuple[int, int, int] | None = None
        for number, (how, refusal) in enumerate(_REFUSALS.items(), start=1):
            failures = {output: _count(fexp, "failures", output) for output in _OUTPUTS}
            steps.append(refusal)
            (data / f"{number}.txt").touch()
            (data / "brief.tmp").touch()
            (data / "brief.tmp").unlink()
            poll(lambda before=failures: all(_count(fexp, "failures", one) > before[one] for one in _OUTPUTS))
            poll(lambda number=number: fexp.value("fexp_departures_total") == number)
            poll(lambda number=number: fexp.value("fexp_files") == _files(textfile.read_text()) == number)
            held = held or _held(fexp)
            deliveries = {output: _count(fexp, "deliveries", output) for output in _OUTPUTS}
            steps.append(well)
            poll(lambda before=deliveries: all(_count(fexp, "deliveries", one) > before[one] for one in _OUTPUTS))
            poll(lambda: shown(fexp) == _pushed(server), seconds=30)
            poll(lambda: shown(fexp, **_KEY) == _written(server), seconds=30)
            told = _written(server)
            assert value_of(told, "fexp_files") == number, how
            assert (value_of(told, "fexp_arrivals_total") or 0) - (
                value_of(told, "fexp_departures_total") or 0
            ) == number
        assert held is not None
        _assert_within_bounds(_held(fexp), held)
        assert _count(fexp, "failures", "textfile") == 0


@pytest.mark.slow
def test_every_success_is_one_whatever_comes_with_it(tmp_path: Path) -> None:
    """Mistake 18e: 202 and 204 are as good as 200; and a body that nobody asked for does no harm."""
    data, textfile = tmp_path / "data", tmp_path / "x.prom"
    data.mkdir()
    steps = [answer(204)]

    def play(connection: Connection) -> None:
        steps[-1](connection)

    with ScriptedServer(play) as server, watching(*_options(data, textfile, server)) as fexp:
        for number, step in enumerate([answer(202), answer(204), answer(200, b"x" * (32 << 10)), answer(200)], start=1):
            poll(lambda: all(_count(fexp, "deliveries", one) for one in _OUTPUTS))
            held = _held(fexp)
            steps.append(step)
            deliveries = {output: _count(fexp, "deliveries", output) for output in _OUTPUTS}
            (data / f"{number}.txt").touch()
            poll(lambda before=deliveries: all(_count(fexp, "deliveries", one) > before[one] + 1 for one in _OUTPUTS))
            poll(lambda: shown(fexp) == _pushed(server) and shown(fexp, **_KEY) == _written(server))
            assert fexp.value("fexp_files") == number
            _assert_within_bounds(_held(fexp), held)
        assert all(_count(fexp, "failures", one) == 0 for one in _OUTPUTS)


_RESOLVER = """
import os, runpy, socket, sys

name, known = sys.argv[1:3]
look_up = socket.getaddrinfo


def getaddrinfo(host, *arguments, **named):
    if host != name:
        return look_up(host, *arguments, **named)
    if not os.path.exists(known):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return look_up("127.0.0.1", *arguments, **named)


socket.getaddrinfo = getaddrinfo
sys.argv = ["fexp", *sys.argv[6:]]
runpy.run_module("fexp", run_name="__main__")
"""


@pytest.mark.slow
def test_receivers_that_cannot_be_reached_yet(tmp_path: Path) -> None:
    """Refused connections and an unknown name, each for both; then real receivers get what /metrics shows."""
    data, known, ports = tmp_path / "data", tmp_path / "known", (free_port(), free_port())
    data.mkdir()
    hosts = {"refused": ("127.0.0.1", "receiver.invalid"), "unknown": ("receiver.invalid", "127.0.0.1")}
    launcher = (sys.executable, "-c", _RESOLVER, "receiver.invalid", str(known))

    def options(instance: str) -> tuple[str, ...]:
        gateway, writer = hosts[instance]
        return (
            str(data), "--listen", "127.0.0.1:0", "--min-interval", "0", "--heartbeat", "0.2s", "--job", "away",
            "--instance", instance, "--textfile", str(tmp_path / f"{instance}.prom"),
            "--gateway", f"http://{gateway}:{ports[0]}", "--gateway-deadline", "1s",
            "--remote-write", f"http://{writer}:{ports[1]}/api/v1/write", "--remote-write-deadline", "1s",
        )  # fmt: skip

    with ExitStack() as stack:
        running = {
            instance: stack.enter_context(watching(*options(instance), launcher=launcher, no_proxy="*"))
            for instance in hosts
        }
        for instance, fexp in running.items():
            poll(lambda fexp=fexp: all(_count(fexp, "failures", one) for one in _OUTPUTS))
            for output, host in zip(_OUTPUTS, hosts[instance], strict=True):
                start, reason = f"{output}: http://{host}:", _REASONS[host]
                poll(lambda fexp=fexp, start=start, reason=reason: any(start in x and reason in x for x in fexp.lines))
        (data / "a").touch()
        (data / "b").touch()
        (data / "a").unlink()
        for instance, fexp in running.items():
            poll(lambda fexp=fexp: fexp.value("fexp_departures_total") == 1)
            poll(lambda instance=instance: _files((tmp_path / f"{instance}.prom").read_text()) == 1)
            assert all(_count(fexp, "deliveries", one) == 0 for one in _OUTPUTS)
        known.touch()
        gateway = stack.enter_context(running_pushgateway(tmp_path / "gateway", port=ports[0]))
        prometheus = stack.enter_context(running_prometheus(tmp_path / "prometheus", port=ports[1]))

        def arrived() -> bool:
            wanted: Series = {}
            for instance, fexp in running.items():
                wanted |= shown(fexp, job="away", instance=instance)
            return wanted == pushed(gateway.get("/metrics").text) and wanted == told(prometheus, "away")

        poll(arrived, seconds=30)
        assert all(fexp.stop() == 0 for fexp in running.values())
        poll(lambda: not gateway.get("/api/v1/metrics").json()["data"] and told(prometheus, "away") == {})
