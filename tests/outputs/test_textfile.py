"""The textfile: what is refused, how it is written, what survives which accident."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import socket
import stat
import subprocess
import sys
import threading
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fexp.errors import OutputError, SettingsError
from fexp.metrics import TEXTFILE_SCOPES, FexpCollector
from fexp.outputs.text import render_text
from fexp.text import one_line
from tests.outputs.samples import Gauge, Numbers, snapshot_of, textfile_output
from tests.servers import NodeExporter, poll, promtool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def parsed(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def litter_of(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("x.txt", "reads only names that end in .prom"),
        ("x.prom.tmp", "reads only names that end in .prom"),
        ("x.PROM", "reads only names that end in .prom"),
        ("x.prom/", "reads only names that end in .prom"),
        ("missing/x.prom", "missing does not exist; create it"),
        ("a-file/x.prom", "a-file is not a directory; create it"),
        ("fifo.prom", "is a FIFO; remove it"),
        ("directory.prom", "is a directory; remove it"),
        ("link.prom", "is a symlink; name the file that it points to"),
        ("dangling.prom", "is a symlink"),
        ("socket.prom", "is a socket"),
        ("x" * 240 + ".prom", "the name is too long"),
    ],
)
def test_a_target_that_cannot_work_is_refused_at_start(tmp_path: Path, name: str, complaint: str) -> None:
    """Mistake 1b: and a FIFO would hang node_exporter."""
    (tmp_path / "a-file").touch()
    (tmp_path / "whole.prom").touch()
    os.mkfifo(tmp_path / "fifo.prom")
    (tmp_path / "directory.prom").mkdir()
    (tmp_path / "link.prom").symlink_to("whole.prom")
    (tmp_path / "dangling.prom").symlink_to("nowhere.prom")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket.prom"))
        with pytest.raises(SettingsError) as caught:
            textfile_output(f"{tmp_path}/{name}").check()
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_directory_without_write_permission_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's directory belongs to root."""
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write everywhere
    with pytest.raises(SettingsError, match="cannot read and write"):
        textfile_output(str(tmp_path / "x.prom")).check()


@pytest.mark.parametrize("mode", [644, 0o755, 0o4644, 0, 0o044, -1])
def test_a_mode_that_is_nonsense_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match="textfile-mode"):
        textfile_output(str(tmp_path / "x.prom"), mode=mode).check()


@pytest.mark.parametrize("name", ["x.prom", ".hidden.prom", "ä ö.prom", "a\nb.prom", "\udcff.prom"])
def test_a_good_target_is_accepted_and_written(tmp_path: Path, name: str) -> None:
    output = textfile_output(f"{tmp_path}/{name}")
    output.check()
    output.publish(Numbers())
    assert os.listdir(tmp_path) == [name]
    assert output.target.isprintable()
    output.check()
    output.retract()
    output.retract()
    output.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    """Mistake 3: 0600 under cron's umask, which node_exporter cannot read."""
    path = tmp_path / "x.prom"
    with umask(mask):
        textfile_output(str(path), mode=mode).publish(Numbers())
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_strict_text(tmp_path: Path) -> None:
    """Mistakes 8a, 9a, 10a: no timestamps, no OpenMetrics, LF and a final LF; promtool agrees."""
    path = tmp_path / "x.prom"
    numbers = Numbers(snapshot_of(a=1, b=2))
    textfile_output(str(path)).publish(numbers)
    text = path.read_bytes().decode()
    assert text.endswith("\n")
    assert "\r" not in text
    assert "# EOF" not in text
    assert "# UNIT" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(len(line.rsplit("} ", 1)[-1].split()) == 1 for line in lines)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    checked = promtool("check", "metrics", input_text=text)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nfexp_files 7", "a\\n", "\t\x00\x1b", "🙂", "} 1\n# HELP"])
def test_no_label_value_forges_a_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "x.prom"
    textfile_output(str(path)).publish(Gauge("x", {(("folder", value),): 1.0}))
    (family,) = parsed(path.read_text())
    assert [sample.labels for sample in family.samples] == [{"folder": value}]


def test_a_surrogate_is_an_error_of_the_output_and_the_old_file_stays(tmp_path: Path) -> None:
    """Mistake 11b."""
    path = tmp_path / "x.prom"
    output = textfile_output(str(path))
    output.publish(Numbers())
    before = path.read_bytes()
    with pytest.raises(OutputError, match="not valid text"):
        output.publish(Gauge("x", {(("folder", "\udcff"),): 1.0}))
    assert path.read_bytes() == before


def test_planted_temporary_names_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistake 2a: a foreseeable temporary name, a symlink planted there, root writes through it."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(names))
    output = textfile_output(str(tmp_path / "x.prom"))
    (tmp_path / f".x.prom.{'0' * 16}.tmp").symlink_to(victim)
    with pytest.raises(OutputError, match="File exists"):
        output.publish(Numbers())
    assert victim.read_text() == "precious"
    output.publish(Numbers())
    assert not (tmp_path / "x.prom").is_symlink()


@pytest.mark.parametrize("plant", ["fifo", "directory", "symlink"])
def test_a_target_that_turned_into_something_else_is_left_alone(tmp_path: Path, plant: str) -> None:
    path = tmp_path / "x.prom"
    output = textfile_output(str(path))
    output.publish(Numbers())
    path.unlink()
    if plant == "fifo":
        os.mkfifo(path)
    elif plant == "directory":
        path.mkdir()
    else:
        path.symlink_to("victim")
    for act in (partial(output.publish, Numbers()), output.retract):
        with pytest.raises(OutputError, match=r"x\.prom is a"):
            act()
    assert os.path.lexists(path)
    assert litter_of(tmp_path) == []


def test_the_disk_is_full(tmp_path: Path) -> None:
    """Mistake 24f."""
    path = tmp_path / "x.prom"
    output = textfile_output(str(path))
    output.publish(Numbers())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a real failure in the middle of the text
    try:
        with pytest.raises(OutputError) as caught:
            output.publish(Numbers(snapshot_of(a=2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == f"cannot write {path}: File too large"
    assert path.read_bytes() == before
    assert litter_of(tmp_path) == []
    output.publish(Numbers(snapshot_of(a=2)))
    assert path.read_bytes() != before


@pytest.mark.parametrize("call", ["open", "write", "fchmod", "fsync", "rename"])
def test_a_failure_at_any_step_keeps_the_old_file_and_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Mistake 24f."""
    path = tmp_path / "x.prom"
    output = textfile_output(str(path))
    output.publish(Numbers())
    before = path.read_bytes()

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fails)
        with pytest.raises(OutputError, match="No space left on device"):
            output.publish(Numbers(snapshot_of(a=2)))
    assert path.read_bytes() == before
    assert litter_of(tmp_path) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:100])))
    textfile_output(str(tmp_path / "x.prom")).publish(Numbers())
    assert (tmp_path / "x.prom").read_bytes() == render_text(Numbers())


def test_the_directory_goes_away_and_comes_back(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    output = textfile_output(str(directory / "x.prom"))
    output.publish(Numbers())
    directory.rename(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="its directory is not there"):
        output.publish(Numbers())
    output.retract()
    directory.mkdir()
    output.publish(Numbers())
    assert os.listdir(directory) == ["x.prom"]


def test_the_litter_of_the_dead_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = ".x.prom.0123456789abcdef.tmp"
    others = [
        ".x.prom.tmp",
        ".x.prom.0123.tmp",
        ".y.prom.0123456789abcdef.tmp",
        "x.prom.1234",
        ".x_prom.0123456789abcdef.tmp",
    ]
    for name in [dead, *others]:
        (tmp_path / name).touch()
    fifo = ".x.prom.00000000000000ff.tmp"
    os.mkfifo(tmp_path / fifo)
    textfile_output(str(tmp_path / "x.prom")).publish(Numbers())
    assert sorted(os.listdir(tmp_path)) == sorted([*others, fifo, "x.prom"])


def test_the_temporary_file_of_a_live_writer_is_left_alone(tmp_path: Path) -> None:
    """Two fexp on one file is a mistake, but not one that breaks a write."""
    output = textfile_output(str(tmp_path / "x.prom"))
    directory = os.open(tmp_path, os.O_RDONLY)
    temporary, file = output._create(directory)
    textfile_output(str(tmp_path / "x.prom")).publish(Numbers())
    assert litter_of(tmp_path) == [temporary]
    os.close(file)
    os.close(directory)
    textfile_output(str(tmp_path / "x.prom")).publish(Numbers())
    assert litter_of(tmp_path) == []


def test_many_new_writers_never_take_each_others_file(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def rewrite() -> None:
        try:
            for _ in range(40):
                textfile_output(str(tmp_path / "x.prom")).publish(Numbers())  # each sweeps anew
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=rewrite) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == ["x.prom"]


def test_a_file_system_without_locks_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", fails)
    dead = ".x.prom.0123456789abcdef.tmp"
    (tmp_path / dead).touch()
    textfile_output(str(tmp_path / "x.prom")).publish(Numbers())
    assert sorted(os.listdir(tmp_path)) == [dead, "x.prom"]


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from fexp.outputs.textfile import TextfileOutput, TextfileSettings
from tests.outputs.samples import Numbers, snapshot_of
sources = [Numbers(snapshot_of(**{f"f{i}": n for i in range(40)})) for n in (1, 2)]
output = TextfileOutput(TextfileSettings(sys.argv[1]))
output.publish(sources[0])
print("ready", flush=True)
while True:
    for source in sources:
        output.publish(source)
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_file_is_whole_and_no_litter_stays(
    node_exporter: NodeExporter, pytestconfig: pytest.Config
) -> None:
    """Mistake 1a: node_exporter never sees half a file, the next start cleans up."""
    path = node_exporter.directory / "x.prom"
    command = [sys.executable, "-c", WRITER, str(path), str(pytestconfig.rootpath)]
    whole = {render_text(Numbers(snapshot_of(**{f"f{i}": n for i in range(40)}))) for n in (1, 2)}
    rng, never = random.Random(4), threading.Event()
    for _ in range(12):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            for _ in range(20):
                assert path.read_bytes() in whole
            metrics = node_exporter.metrics()
            never.wait(rng.uniform(0, 0.02))
            writer.kill()
        assert path.read_bytes() in whole
        assert metrics.count("\nfexp_files{") == 40
        assert "\nnode_textfile_scrape_error 0\n" in metrics
        assert len(litter_of(node_exporter.directory)) <= 1  # the one before was swept

    textfile_output(str(path)).publish(Numbers())
    assert os.listdir(node_exporter.directory) == ["x.prom"]


def test_node_exporter_shows_two_files_side_by_side(node_exporter: NodeExporter) -> None:
    """Mistakes 6a, 7a: disjoint series, the same HELP and TYPE, nothing about the process."""
    for name in ("a", "b"):
        snapshot = snapshot_of(**{name: 3})
        collector = FexpCollector(partial(copy, snapshot), TEXTFILE_SCOPES)
        textfile_output(str(node_exporter.directory / f"fexp-{name}.prom")).publish(collector)
    text = poll(lambda: (text := node_exporter.metrics()).count("\nfexp_files{") == 2 and text)
    assert 'fexp_files{folder="/in/a",pattern="*"} 3' in text
    assert 'fexp_files{folder="/in/b",pattern="*"} 3' in text
    assert "\nnode_textfile_scrape_error 0\n" in text
    for path in node_exporter.directory.iterdir():
        content = path.read_text()
        assert "process_" not in content
        assert "python_" not in content
        assert all("folder=" in line for line in content.splitlines() if not line.startswith("#"))


def test_node_exporter_forgets_what_was_retracted(node_exporter: NodeExporter) -> None:
    """A frozen file is served for ever."""
    output = textfile_output(str(node_exporter.directory / "x.prom"))
    output.publish(Numbers())
    assert "\nfexp_files{" in node_exporter.metrics()
    output.retract()
    assert "\nfexp_files{" not in node_exporter.metrics()


def test_one_line() -> None:
    assert one_line("a\nb\x1b[0m\udcff🙂") == "a\\nb\\x1b[0m\\udcff🙂"
    assert one_line("x" * 201) == "x" * 200 + "…"
    assert one_line("\n" * 150) == "\\n" * 100 + "…"
