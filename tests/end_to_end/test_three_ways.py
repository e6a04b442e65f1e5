"""The same number through node_exporter, a Pushgateway and a scrape, on real servers, and in a real Prometheus."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.end_to_end.running import samples, watching
from tests.servers import NodeExporter, Server, free_port, poll, promtool, running_prometheus

if TYPE_CHECKING:
    from pathlib import Path

_SCRAPE = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{node}"]}}]
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{gateway}"]}}]
  - job_name: scrape
    static_configs: [{{targets: ["127.0.0.1:{fexp}"]}}]
"""


def _files(text: str, folder: str) -> float | None:
    found = [
        value
        for (name, labels), value in samples(text).items()
        if name == "fexp_files" and ("folder", folder) in labels
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_one_number_everywhere(tmp_path: Path, node_exporter: NodeExporter, pushgateway: Server) -> None:
    """Mistakes 6a, 18b: create, rename out and delete show in all three, and in Prometheus, with the same number."""
    data = tmp_path / "data"
    (data / "sub.txt").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.txt", "x.csv", "y.csv", ".hidden.txt", "UP.TXT"):
        (data / name).write_text(name)
    (data / "dead.txt").symlink_to("nowhere")
    folder = str(data)
    port = free_port()
    textfile = node_exporter.directory / "fexp.prom"
    config = _SCRAPE.format(node=node_exporter.server.port, gateway=pushgateway.port, fexp=port)
    arguments = [
        folder, "--ext", "txt", "--min-interval", "0", "--listen", f"127.0.0.1:{port}",
        "--textfile", str(textfile), "--gateway", pushgateway.url, "--instance", "host-a", "--grouping", "site=x/y",
    ]  # fmt: skip
    with running_prometheus(tmp_path / "prometheus", config=config) as prometheus, watching(*arguments) as fexp:

        def everywhere() -> set[float | None]:
            ways = {
                _files(fexp.get("/metrics").text, folder),
                _files(node_exporter.metrics(), folder),
                _files(pushgateway.get("/metrics").text, folder),
            }
            series = prometheus.query(f'fexp_files{{folder="{folder}"}}')
            ways |= {float(one["value"][1]) for one in series}
            return ways if len(series) == 3 else ways | {None}

        poll(lambda: everywhere() == {3.0})
        (data / "d.txt").write_text("new")
        poll(lambda: everywhere() == {4.0})
        os.rename(data / "d.txt", tmp_path / "d.txt")
        poll(lambda: everywhere() == {3.0})
        (data / "a.txt").unlink()
        poll(lambda: everywhere() == {2.0})

        for text in (fexp.get("/metrics").text, textfile.read_text(), pushgateway.get("/metrics").text):
            checked = promtool("check", "metrics", input_text=text)
            assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        assert "node_textfile_scrape_error 0" in node_exporter.metrics()
        jobs = {one["metric"]["job"] for one in prometheus.query(f'fexp_files{{folder="{folder}"}}')}
        assert jobs == {"node", "fexp", "scrape"}
        assert not any(line.startswith(("process_", "python_")) for line in textfile.read_text().splitlines())
        assert "fexp_build_info" not in textfile.read_text()
        assert fexp.value("fexp_arrivals_total") == 1
        assert fexp.value("fexp_departures_total") == 2

        assert fexp.stop() == 0
        assert not textfile.exists()
        poll(lambda: not pushgateway.get("/api/v1/metrics").json()["data"])


def test_kept_on_exit(tmp_path: Path, pushgateway: Server) -> None:
    """With --keep-on-exit the last state stays behind."""
    (tmp_path / "a").touch()
    textfile = tmp_path / "out" / "x.prom"
    textfile.parent.mkdir()
    with watching(
        str(tmp_path),
        "--textfile",
        str(textfile),
        "--gateway",
        pushgateway.url,
        "--keep-on-exit",
        "--min-interval",
        "30s",
    ) as fexp:
        poll(textfile.exists)
        (tmp_path / "b").touch()
        assert fexp.stop() == 0
    assert _files(textfile.read_text(), str(tmp_path)) == 2
    assert _files(pushgateway.get("/metrics").text, str(tmp_path)) == 2
