"""What the receiving ends are easily told wrong, asked of fexp as its user runs it. By the list in test_mistakes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.end_to_end.running import environment, run, samples, watching
from tests.outputs.scripted import ScriptedServer, answer
from tests.servers import NodeExporter, Server, poll, promtool

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = """
import sys
import fexp.service.daemon

class Daemon:
    def __init__(self, settings, outputs, **_):
        print(*settings.http.listen, *outputs)

    def hold_places(self):
        pass

    def run(self):
        pass

fexp.service.daemon.Daemon = Daemon
from fexp.cli import main
main()
"""


def test_what_does_not_change_is_told_again_and_again(tmp_path: Path, pushgateway: Server) -> None:
    """Mistakes 4a, 4b: alerts on the file's and the push's age must not fire where merely nothing happens."""
    data, textfile = tmp_path / "data", tmp_path / "x.prom"
    data.mkdir()
    arguments = ("--heartbeat", "0.1s", "--min-interval", "0.1s", "--instance", "quiet")
    with watching(str(data), "--textfile", str(textfile), "--gateway", pushgateway.url, *arguments) as fexp:

        def told_at() -> tuple[int, float]:
            text = pushgateway.get("/metrics").text
            (pushed_at,) = [value for (name, _), value in samples(text).items() if name == "push_time_seconds"]
            return textfile.stat().st_mtime_ns, pushed_at

        poll(lambda: textfile.exists() and "push_time_seconds{" in pushgateway.get("/metrics").text)
        before = told_at()
        poll(lambda: all(later > earlier for earlier, later in zip(before, told_at(), strict=True)))
        assert fexp.stop() == 0


def test_a_push_is_text_that_every_gateway_takes(tmp_path: Path) -> None:
    """Mistakes 6b, 8b, 9b, 10b: whoever reads OpenMetrics, CRLF or timestamps too would not notice."""
    (tmp_path / "a.txt").touch()
    with ScriptedServer(answer(200)) as server:
        ended = run("push", str(tmp_path), "--gateway", server.url, "--job", "j", "--instance", "h")
        assert (ended.returncode, ended.stderr) == (0, "")
        (head,), (body,) = server.heads, server.bodies
    text = body.decode()
    assert "content-type: text/plain; version=0.0.4" in head.lower()
    assert text.endswith("\n")
    assert "\r" not in text
    assert "# EOF" not in text
    assert "process_" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert any(line.startswith("fexp_files{") for line in lines)
    assert all(len(line.rsplit("} ", 1)[-1].split()) == 1 for line in lines if "{" in line)
    checked = promtool("check", "metrics", input_text=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_names_that_are_no_text_or_look_alike_reach_every_receiver(
    tmp_path: Path, node_exporter: NodeExporter, pushgateway: Server
) -> None:
    """Mistakes 11b, 11c, 12: neither an error of the push nor one series for two folders."""
    base = os.fsencode(tmp_path)
    folders = []
    for files, raw in enumerate((b"\xff", b"\\xff", b'"\n')):
        os.mkdir(base + b"/" + raw)
        folders.append(os.fsdecode(base + b"/" + raw))
        for number in range(files):
            with open(base + b"/" + raw + b"/%d" % number, "wb"):
                pass
    pushed = run("push", *folders, "--gateway", pushgateway.url, "--instance", "h")
    written = run("write", *folders, "--textfile", str(node_exporter.directory / "x.prom"))
    for ended, text in ((pushed, pushgateway.get("/metrics").text), (written, node_exporter.metrics())):
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert sorted(value for (name, _), value in samples(text).items() if name == "fexp_files") == [0, 1, 2]


def test_without_outputs_it_serves_this_machine_only(tmp_path: Path) -> None:
    """Mistake 21c."""
    command = [sys.executable, "-c", _SHOWN, "watch", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment(), check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "127.0.0.1:9877\n", "")


def test_clients_cost_no_threads(tmp_path: Path) -> None:
    """Mistake 21d: a thread for each would let anybody who connects take the memory."""
    with watching(str(tmp_path), "--listen", "127.0.0.1:0") as fexp, ExitStack() as clients:
        port = int(fexp.url.rpartition(":")[2])

        def threads() -> int:
            assert fexp.get("/metrics").status == 200
            return len(os.listdir(f"/proc/{fexp.process.pid}/task"))

        before = threads()
        for _ in range(100):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert threads() < before + 20
