"""Each example does what the system does that it is taken from, and is shorter than it."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.end_to_end.running import environment, samples
from tests.servers import Reply, fetch, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PORTS = {
    "folder_counter": 9877,
    "metric_types": 8000,
    "flask_app": 5000,
    "three_apis": 2112,
    "exporter_script": 9090,
}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Program(NamedTuple):
    """An example or its original at work."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str, **headers: str) -> Reply:
        """Ask it, once it listens."""

        def answer() -> Reply | None:
            assert self.process.poll() is None, self.process.communicate()
            try:
                return fetch(self.url + path, headers=headers)
            except OSError:
                return None

        reply: Reply = poll(answer, every_seconds=0.02)
        return reply

    def samples(self, prefix: str = "") -> Samples:
        """Return its samples without those that tell of the process, and without what fexp adds."""
        return {
            (name, frozenset(label for label in labels if label[0] != "probe")): value
            for (name, labels), value in samples(self.get("/metrics").text).items()
            if name.startswith(prefix) and not name.endswith("_created")
            if not name.startswith(("fexp_", "process_", "python_")) or prefix
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return one of them; None while there is none."""
        return self.samples(name).get((name, frozenset(labels.items())))


def source(name: str) -> str:
    return (HERE / f"{name}.py").read_text()


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Program]:
    """Run a program, on a free port in place of its own."""
    port = free_port()
    own = str(PORTS[name.rpartition("/")[2]])
    text = source(name)
    assert text.count(f"={own}") + text.count(f"({own}") + text.count(f", {own}") == 1
    text = text.replace(f"={own}", f"={port}").replace(f"({own}", f"({port}").replace(f", {own}", f", {port}")
    process = subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Program(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate(timeout=30)


@contextmanager
def both(name: str, *arguments: str) -> Iterator[tuple[Program, Program]]:
    """Run an example, and its original with the same arguments."""
    with running(name, *arguments) as mine, running(f"originals/{name}", *arguments) as theirs:
        yield mine, theirs


def code_lines(text: str) -> int:
    """Return how many lines of a program are neither blank nor comments nor docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
    return len(ast.unparse(tree).replace("\n\n", "\n").splitlines())


@pytest.mark.parametrize("name", PORTS)
def test_it_is_shorter(name: str) -> None:
    assert code_lines(source(name)) < code_lines(source(f"originals/{name}"))


def test_lines_of_code_are_counted() -> None:
    assert code_lines('"""Doc."""\n\nimport a\n\n\n# why\ndef f():\n    """Doc."""\n    return a  # so\n') == 3


def test_files_are_counted(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv"):
        (tmp_path / name).touch()
    where = {"folder": str(tmp_path), "pattern": "*.txt"}
    with both("folder_counter", str(tmp_path), "--ext", ".txt") as (mine, theirs):
        assert poll(lambda: theirs.value("folder_files")) == 2
        assert poll(lambda: mine.value("fexp_files", **where)) == 2
        (tmp_path / "d.txt").touch()
        poll(lambda: mine.value("fexp_files", **where) == 3)
        os.rename(tmp_path, moved := tmp_path.with_name("moved"))
        poll(lambda: mine.value("fexp_folder_up", folder=str(tmp_path)) == 0)
        os.rename(moved, tmp_path)
        poll(lambda: mine.value("fexp_files", **where) == 3)


def test_each_type_of_metric_is_shown() -> None:
    def families(program: Program) -> set[str]:
        text = program.get("/metrics").text
        own = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE fexp_")}
        kinds = {line for line in text.splitlines() if line.startswith("# ") and "_created" not in line}
        return {line for line in kinds if line.split()[2] not in own and "HELP fexp_" not in line} - {
            line for line in kinds if line.split()[2].startswith(("process_", "python_", "fexp_"))
        }

    with both("metric_types") as (mine, theirs):
        poll(lambda: theirs.value("ss_count", a="1", b="2"))
        shown = mine.samples()
        assert shown.keys() == theirs.samples().keys()
        assert families(mine) == families(theirs)
        for program in (mine, theirs):
            assert program.value("a") == 345
            assert 0 <= (program.value("g", mylabelname="ghost") or -1) < 1
        runs = shown["hh_count", frozenset()]
        by_bound = {dict(labels)["le"]: value for (name, labels), value in shown.items() if name == "hh_bucket"}
        assert by_bound == {"-5.0": 0, "0.0": 0, "5.0": runs, "+Inf": runs}
        assert shown["cc_total", frozenset()] == 1.5 * runs
        assert shown["ss_sum", frozenset({("a", "1"), ("b", "2")})] == 17 * runs
        assert mine.value("requests_total", method="GET", clientip="127.0.0.1") > runs  # type: ignore[operator]


def test_a_site_shows_its_metrics() -> None:
    with both("flask_app") as (mine, theirs):
        for program in (mine, theirs):
            assert program.get("/").text == "Welcome to China"
            assert program.value("requests_total", method="GET", clientip="127.0.0.1") == 2
        assert mine.samples().keys() == theirs.samples().keys()
        assert mine.get("/metrics", **OPENMETRICS).text.endswith("# EOF\n")
        assert not theirs.get("/metrics", **OPENMETRICS).text.endswith("# EOF\n")


def test_an_exporter_has_three_apis() -> None:
    with both("three_apis") as (mine, theirs):
        name = "myapp_processed_ops_total"
        for program in (mine, theirs):
            first = poll(lambda: program.value(name))  # noqa: B023  # it is called here
            assert first == int(first) >= 1
            poll(lambda: program.value(name) > first)  # noqa: B023
            assert program.get("/-/healthy").status == 200
            assert program.get("/api/v1/other").status == 404
            metadata = program.get("/api/v1/metadata").json()
            assert "myapp_processed_ops" in str(metadata["metrics"])
        metadata = mine.get("/api/v1/metadata").json()
        assert metadata["exporter"] == {"name": "myapp", "version": "1.0"}
        help_text = "The total number of processed events."
        assert metadata["metrics"][-1] == {"name": name, "type": "counter", "help": help_text, "labels": ["probe"]}
        assert mine.get("/-/ready").json()["ready"]


def test_an_exporter_updates_when_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with running("exporter_script", "--spool-path", str(tmp_path)) as mine:
        for number in (1, 2):
            found = mine.samples()
            assert found["spool_files", frozenset()] == number
            assert found["spool_updates_total", frozenset({("path", str(tmp_path))})] == number
            (tmp_path / "b").touch()
        mine.process.send_signal(signal.SIGTERM)
        assert mine.process.wait(20) == 0
        assert mine.process.communicate()[0] == "opened\nclosed\n"
