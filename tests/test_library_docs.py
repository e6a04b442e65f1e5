"""Every example of docs/library.md runs as it stands, and type checkers accept it."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from fexp.testing import wait_for
from tests.end_to_end.running import environment
from tests.servers import Server, fetch, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "library.md").read_text()
EXAMPLES = [found[1] for found in re.finditer(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
LOOK, FOLLOW, TASK, CALLBACK, REGISTRY, FLASK, FASTAPI, DELIVER, TEST, PROBE = EXAMPLES


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@contextmanager
def running(example: str, inbox: Path) -> Iterator[subprocess.Popen[str]]:
    """Run an example beside the folder, until the test is done with it."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", example],
        cwd=inbox.parent, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def first_line(process: subprocess.Popen[str], inbox: Path) -> str:
    """Let files arrive until the example has something to say of one, and return that."""
    assert process.stdout is not None
    stdout = process.stdout
    names = iter(range(10**6))
    lines: list[str] = []

    def arrive() -> bool:
        (inbox / f"{next(names)}.csv").write_text("123")
        return bool(lines)

    reader = Thread(target=lambda: lines.append(stdout.readline()))
    reader.start()
    wait_for(arrive, timeout_seconds=30, every_seconds=0.1)
    reader.join()
    return lines[0]


def test_look(inbox: Path) -> None:
    (inbox / "a.csv").write_text("123")
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=inbox.parent, env=environment(), capture_output=True, text=True, check=True
    )
    csv, xml = (line.split() for line in done.stdout.splitlines())
    assert csv[:3] == ["*.csv", "1", "3"]
    assert xml == ["*.xml", "0", "0", "None"]


@pytest.mark.parametrize(
    ("example", "line"), [(FOLLOW, r"\d+\.csv \d\n"), (TASK, r"arrival \d+\.csv\n"), (CALLBACK, r"new: \d+\.csv\n")]
)
def test_what_happens_is_printed(example: str, line: str, inbox: Path) -> None:
    with running(example, inbox) as process:
        assert re.fullmatch(line, first_line(process, inbox))


def served(example: str, inbox: Path, port: int) -> str:
    with running(example, inbox) as process:

        def answer() -> str:
            assert process.poll() is None, process.communicate()
            try:
                return fetch(f"http://127.0.0.1:{port}/metrics").text
            except OSError:
                return ""

        return wait_for(answer, timeout_seconds=30)


def test_the_registry_is_served(inbox: Path) -> None:
    (inbox / "a.csv").touch()
    port = free_port()
    text = served(REGISTRY.replace("9877", str(port)), inbox, port)
    assert 'fexp_files{folder="' in text
    assert 'inbox",pattern="*.csv",team="payments"} 1.0' in text


@pytest.mark.parametrize(
    ("example", "serve"),
    [
        (FLASK, "app.run(port={port})"),
        (FASTAPI, "import uvicorn; uvicorn.run(app, host='127.0.0.1', port={port})"),
    ],
    ids=["flask", "fastapi"],
)
def test_an_application_shows_the_metrics(example: str, serve: str, inbox: Path) -> None:
    (inbox / "a.csv").touch()
    port = free_port()
    assert 'inbox",pattern="*.csv"} 1.0' in served(example + serve.format(port=port), inbox, port)


def test_one_delivery(inbox: Path, pushgateway: Server) -> None:
    (inbox / "a.csv").touch()
    example = DELIVER.replace("http://127.0.0.1:9091", pushgateway.url)
    example = example.replace("/var/lib/prometheus/node-exporter", str(inbox.parent))
    subprocess.run([sys.executable, "-c", example], cwd=inbox.parent, env=environment(), check=True)
    assert 'inbox",pattern="*.csv"} 1.0' in (inbox.parent / "inbox.prom").read_text()
    assert 'job="nightly",pattern="*.csv"} 1' in pushgateway.get("/metrics").text


def test_the_tests_pass(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TEST)
    (tmp_path / "test_probe.py").write_text(PROBE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    alone = {**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the examples as files."""
    directory = tmp_path_factory.mktemp("examples")
    for number, example in enumerate(EXAMPLES):
        (directory / f"example_{number}.py").write_text(example)
    return directory


def checked(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a type checker of the group ``lint``, or skip the test aloud."""
    if importlib.util.find_spec(name) is None:
        complaint = f"{name} IS NOT INSTALLED: what it says of the examples is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    command = [sys.executable, "-m", name, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_mypy_accepts_the_examples(written: Path) -> None:
    """With the project's settings, which are strict, and its cache."""
    done = checked("mypy", written)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_pyright_accepts_the_examples(written: Path) -> None:
    (written / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    done = checked("basedpyright", "--pythonpath", sys.executable, "--project", written)
    assert done.returncode == 0, done.stdout + done.stderr
