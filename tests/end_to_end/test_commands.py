"""The one-shots, and what a person sees who makes a mistake."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.end_to_end.running import COMMAND, environment, run, samples, watching
from tests.servers import Server, fetch, free_port, poll

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the folder of the README's first promise: three files count."""
    data = tmp_path / "data"
    (data / "sub.txt").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.txt", "x.csv", "y.csv", ".hidden.txt", "UP.TXT"):
        (data / name).write_text(name)
    (data / "dead.txt").symlink_to("nowhere")
    return data


def _number(text: str, name: str) -> float:
    found = [value for (own, _), value in samples(text).items() if own == name]
    assert len(found) == 1, found
    return found[0]


def test_write_is_quiet_and_right(data: Path, tmp_path: Path) -> None:
    """Mistakes 3, 24e: one look, one file, mode 0644 whatever the umask, nothing printed."""
    target = tmp_path / "fexp.prom"
    before = os.umask(0o077)
    try:
        ended = run("write", str(data), "--ext", ".txt", "--textfile", str(target))
    finally:
        os.umask(before)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert _number(target.read_text(), "fexp_files") == 3
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_push_is_quiet_and_right(data: Path, pushgateway: Server) -> None:
    """Mistake 24e: one look, one group that stays; --delete removes it."""
    arguments = ("--gateway", pushgateway.url, "--job", "nightly", "--instance", "a b/ü")
    ended = run("push", str(data), "--ext", "txt", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    groups = pushgateway.get("/api/v1/metrics").json()["data"]
    assert [group["labels"] for group in groups] == [{"job": "nightly", "instance": "a b/ü"}]
    assert _number(pushgateway.get("/metrics").text, "fexp_files") == 3
    ended = run("push", "--delete", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    poll(lambda: not pushgateway.get("/api/v1/metrics").json()["data"])


def test_scan_formats(data: Path) -> None:
    """Every format tells the same number; without a terminal it is prom."""
    assert _number(run("scan", str(data), "--ext", "txt").stdout, "fexp_files") == 3
    table = run("scan", str(data), "--ext", "txt", "--format", "table").stdout
    assert table.splitlines()[1].split()[:3] == [str(data), "*.txt", "3"]
    told = json.loads(run("scan", str(data), "--ext", "txt", "--format", "json").stdout)
    assert told["folders"][0]["patterns"][0]["files"] == 3
    families = parse_openmetrics(  # type: ignore[no-untyped-call]
        run("scan", str(data), "--ext", "txt", "--format", "openmetrics").stdout
    )
    assert next(f for f in families if f.name == "fexp_files").samples[0].value == 3


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ((), 6),
        (("--hidden",), 7),
        (("--ext", "txt", "--ignore-case"), 4),
        (("--match", "[ab].*"), 2),
        (("--ext", "txt", "--exclude", "b.*"), 2),
    ],
)
def test_selection(data: Path, options: tuple[str, ...], files: int) -> None:
    """The options select as they say."""
    assert _number(run("scan", str(data), *options).stdout, "fexp_files") == files


def test_environment(data: Path) -> None:
    """Every option reads FEXP_OPTION; several values are split at white space."""
    text = run("scan", str(data), FEXP_EXT="txt csv", FEXP_LABEL="team=a").stdout
    found = {dict(labels)["pattern"]: value for (name, labels), value in samples(text).items() if name == "fexp_files"}
    assert found == {"*.txt": 3, "*.csv": 2}
    assert 'team="a"' in text


def test_file_as_folder(data: Path) -> None:
    """FOLDER may be a file: its folder, its name."""
    text = run("scan", str(data / "a.txt"), str(data / "b.txt")).stdout
    found = {dict(labels)["pattern"]: value for (name, labels), value in samples(text).items() if name == "fexp_files"}
    assert found == {"a.txt": 1, "b.txt": 1}


def test_missing_folder(tmp_path: Path) -> None:
    """A one-shot delivers fexp_folder_up 0, says it in one line and exits 1."""
    target = tmp_path / "fexp.prom"
    ended = run("write", str(tmp_path / "nope"), "--textfile", str(target))
    assert ended.returncode == 1
    assert ended.stderr == f"fexp: {tmp_path}/nope: No such file or directory\n"
    assert _number(target.read_text(), "fexp_folder_up") == 0
    assert "fexp_files" not in target.read_text()


def test_missing_folders(tmp_path: Path) -> None:
    """However many folders are missing, it is one line."""
    ended = run("scan", str(tmp_path / "a"), str(tmp_path), str(tmp_path / "b"))
    assert ended.returncode == 1
    assert ended.stderr == f"fexp: {tmp_path}/a: No such file or directory; {tmp_path}/b: No such file or directory\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "status", "told"),
    [
        (">/dev/full", 1, "fexp: standard output: No space left on device\n"),
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
        ("| true", 0, ""),
    ],
)
@pytest.mark.parametrize("what", ["scan --format prom {data}", "scan --format json {data}", "--help", "watch --help"])
def test_a_standard_output_that_takes_nothing(data: Path, what: str, redirection: str, status: int, told: str) -> None:
    """Full, closed or with nobody at its other end: one line at most, and never a traceback."""
    command = f"{shlex.join(COMMAND)} {what.format(data=shlex.quote(str(data)))} {redirection}"
    ended = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=30, env=environment(), check=False
    )
    assert (ended.returncode, ended.stderr) == (status, told)


def test_a_one_shot_delivers_though_standard_error_takes_nothing(data: Path, tmp_path: Path) -> None:
    """Mistake 13b: what cannot be said must not keep from being done."""
    target = tmp_path / "fexp.prom"
    for redirection in ("2>&-", "2>/dev/full"):
        target.unlink(missing_ok=True)
        command = shlex.join([*COMMAND, "write", str(data), str(tmp_path / "nope"), "--textfile", str(target)])
        ended = subprocess.run(["sh", "-c", f"{command} {redirection}"], timeout=30, env=environment(), check=False)
        assert ended.returncode == 1
        assert f'fexp_folder_up{{folder="{data}"}} 1' in target.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("when", ["typer", "fexp.cli.commands", "fexp.service.daemon", "uvicorn"])
def test_a_signal_while_fexp_is_still_being_loaded(data: Path, number: signal.Signals, when: str) -> None:
    """It stops cleanly whenever it is told to, and a reload that comes too early ends nothing."""
    ended = subprocess.run(
        [sys.executable, "-c", _SIGNALLED, str(int(number)), when, "watch", str(data), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(),
        check=False,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert ("ready:" in ended.stderr) == (number == signal.SIGHUP)


_SIGNALLED = """
import logging, os, signal, sys

number, when = int(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]


class Signaller:
    def find_spec(self, name, path=None, target=None):
        if name == when:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)


class StopWhenReady(logging.Filter):
    def filter(self, record):
        if record.getMessage().startswith("ready:"):
            os.kill(os.getpid(), signal.SIGTERM)
        return True


sys.meta_path.insert(0, Signaller())
logging.getLogger("fexp").addFilter(StopWhenReady())
from fexp.cli import main

main()
"""


def test_version() -> None:
    """--version says what it is."""
    assert run("--version").stdout.startswith("fexp 0.")


@pytest.mark.parametrize("command", ["watch", "push", "write", "scan"])
def test_help(command: str) -> None:
    """Every command explains itself."""
    ended = run(command, "--help")
    assert ended.returncode == 0
    assert "--ext" in ended.stdout


def _mistakes() -> list[tuple[tuple[str, ...], str]]:
    return [
        (("watch", "{data}", "--textfile", "{tmp}/x.txt"), "x.txt"),
        (("watch", "{data}", "--textfile", "{tmp}/no/x.prom"), "{tmp}/no"),
        (("write", "{data}", "--textfile", "{tmp}/fifo.prom"), "fifo.prom"),
        (("write", "{data}", "--textfile", "/dev/null"), "/dev/null"),
        (("write", "{data}"), "--textfile"),
        (("watch", "{data}", "--listen", "127.0.0.1:{taken}"), "{taken}"),
        (("watch", "{data}", "--listen", ":70000"), "70000"),
        (("watch", "{data}", "--listen", "nonsense"), "nonsense"),
        (("push", "{data}", "--job", ""), "--job"),
        (("scan", "{data}", "-r", "--max-depth", "-1"), "--max-depth"),
        (("scan", "{data}", "--max-depth", "2"), "--recursive"),
        (("watch", "{data}", "--backend", "magic"), "magic"),
        (("push", "{data}", "--gateway", "localhost:9091"), "localhost:9091"),
        (("push", "{data}", "--gateway", "http://me:secret@localhost:9091"), "--gateway"),
        (("scan", "{data}", "--label", "1a=x"), "1a"),
        (("scan", "{data}", "--label", "folder=x"), "folder"),
        (("scan", "{data}", "--label", "pattern=x"), "pattern"),
        (("scan", "{data}", "--label", "x"), "NAME=VALUE"),
        (("push", "{data}", "--grouping", "pattern=x"), "pattern"),
        (("push", "{data}", "--label", "site=a", "--grouping", "site=x"), "site"),
        (("scan", "{data}", "--bogus"), "--bogus"),
        (("scan", "{data}", "--match", "a/b"), "a/b"),
        (("scan", "{data}", "--ext", ""), "--ext"),
        (("scan", "{data}", "--format", "xml"), "xml"),
        (("watch", "{data}", "--rescan", "soon"), "soon"),
        (("watch", "{data}", "--heartbeat", "0"), "--heartbeat"),
        (("watch", "{data}", "--heartbeat", "1s", "--min-interval", "2s"), "--min-interval"),
        (("watch", "{data}", "--heartbeat", "999999999d"), "100 years"),
        (("watch", "{data}", "--textfile", "{data}/own.prom"), "--exclude own.prom"),
        (("watch", "{tmp}", "-r", "--match", "*.prom", "--textfile", "{data}/own.prom"), "--exclude own.prom"),
        (
            ("watch", "{data}", "--hidden", "--exclude", "own.prom", "--textfile", "{data}/own.prom"),
            "'.own.prom.*.tmp'",
        ),
        (("push", "{data}", "--deadline", "5s", "--splay", "5s"), "--splay"),
        (("push", "--delete", "--deadline", "5s", "--splay", "5s"), "--splay"),
        (("push", "--delete", "--gateway-mode", "import"), "an import URL has no groups"),
        (("push", "--expire", "1d", "--gateway-mode", "import"), "an import URL has no groups"),
        (("push", "--expire", "1d", "{data}"), "FOLDER"),
        (("watch", "{data}", "--dwell-buckets", "1m,1s"), "1m,1s"),
        (("watch", "{data}", "--dwell-buckets", "none,1m"), "--dwell-buckets"),
        (("scan", "{data}", "--age-buckets", "1d,1h"), "--age-buckets"),
        (("scan", "{data}", "--age-buckets", "none"), "--age-buckets"),
        (("push", "{data}", "--size-buckets", "1GiB,1k"), "--size-buckets"),
        (("write", "{data}", "--textfile", "{tmp}/o.prom", "--size-buckets", "1m"), "--size-buckets"),
        (("scan", "{data}", "--top", "3"), "--by-ext"),
        (("scan", "{data}", "--by-ext", "--top", "0"), "--top"),
        (("scan", "{data}", "--by-ext", "--compound-ext", "gz"), "--compound-ext"),
        (("push", "{data}", "--max-groups", "3"), "--group"),
        (("scan", "{data}", "--max-series", "3"), "--per-file"),
        (("watch", "{data}", "--per-file", "--no-file-names"), "--no-file-names"),
        (("push", "{data}", "--by-ext", "--no-file-names"), "--ext"),
        (("watch", "{data}", "--probe", "line_count", "--no-file-names"), "--no-file-names"),
        (("scan", "{data}", "--list", "oldest", "--no-file-names"), "--no-file-names"),
        (("scan", "{data}", "--list", "unsettled"), "future"),
        (("scan", "{data}", "--list", "oldest", "--format", "prom"), "--format prom"),
        (("scan", "{data}", "--list", "oldest", "--probe", "line_count"), "leave the probes out"),
        (("scan", "{data}", "--limit", "3"), "--list"),
        (("watch", "{data}", "--group", "(?P<a>x"), "missing )"),
        (("scan", "{data}", "--group", "(?P<a>(?=x))"), "RE2"),
        (("scan", "{data}", "--group", "(x)"), "names no group"),
        (("scan", "{data}", "--group", "(?P<folder>x)"), "--group folder"),
        (("scan", "{data}", "--group", "(?P<file>x)"), "--group file"),
        (("scan", "{data}", "--group", "(?P<__a>x)"), "__a"),
        (("scan", "{data}", "--group", "(?P<a>x)(?P<a>y)"), "--group a"),
        (("scan", "{data}", "--group", "(?P<a>x)", "--label", "a=b"), "--label"),
        (("scan", "{data}", "--group", "(?P<a>x)", "--group-folder", "(?P<a>x)"), "--group-folder a"),
        (("push", "{data}", "--group", "(?P<site>x)", "--grouping", "site=x"), "site"),
        (("push", "{data}", "--group-folder", "(?P<site>x)", "--grouping", "site=x"), "site"),
        (("scan",), "FOLDER"),
        (("push",), "FOLDER"),
        (("sacn", "{data}"), "scan"),
        (("{data}",), "did you mean: fexp watch {data}"),
        (("{data}", "--ext", "txt"), "did you mean: fexp watch {data} --ext txt"),
        (("help",), "did you mean: fexp --help"),
        (("help", "scan"), "did you mean: fexp scan --help"),
        (("scan", "{data}", "--ext", "txt,"), "without a comma"),
        (("watch", "{data}", "--ext", "txt,csv"), "without a comma"),
    ]


@pytest.mark.parametrize(("arguments", "named"), _mistakes(), ids=lambda value: str(value)[:60])
def test_mistakes(data: Path, tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    """Bad input: one line that names the thing, exit status 2, nothing left behind, no secret shown."""
    os.mkfifo(tmp_path / "fifo.prom")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"data": data, "tmp": tmp_path, "taken": taken.getsockname()[1]}
        before = sorted(tmp_path.iterdir())
        ended = run(*(argument.format(**places) for argument in arguments))
        assert ended.returncode == 2, ended.stderr
        assert ended.stdout == ""
        assert ended.stderr.startswith("fexp: ")
        assert ended.stderr.count("\n") == 1
        assert named.format(**places) in ended.stderr
        assert "secret" not in ended.stderr
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "variables", "start"),
    [
        (("watch", "{data}", "--rescan", "soon"), {}, "--rescan 'soon' is not a duration"),
        (("watch", "{data}"), {"FEXP_RESCAN": "soon"}, "FEXP_RESCAN 'soon' is not a duration"),
        (("watch", "{data}", "--rescan", "soon"), {"FEXP_RESCAN": "1m"}, "--rescan 'soon' is not a duration"),
        (("watch", "{data}", "--rescan=\u0661s"), {}, "--rescan '\u0661s' is not a duration"),
        (("watch", "{data}", "--web.listen-address", "x"), {}, "--web.listen-address 'x' has no port"),
        (("watch", "{data}", "--listen=x"), {}, "--listen 'x' has no port"),
        (("watch", "{data}"), {"FEXP_WEB_LISTEN_ADDRESS": "x"}, "FEXP_WEB_LISTEN_ADDRESS 'x' has no port"),
        (("watch", "{data}"), {"FEXP_TEXTFILE": "x.txt"}, "FEXP_TEXTFILE x.txt: node_exporter reads only"),
        (("watch", "{data}"), {"FEXP_TEXTFILE": "{data}/x.prom"}, "FEXP_TEXTFILE {data}/x.prom would count as"),
        (("watch", "{data}"), {"FEXP_LOG_LEVEL": "loud"}, "FEXP_LOG_LEVEL 'loud' is not known"),
        (("watch", "{data}"), {"FEXP_MIN_INTERVAL": "2m"}, "FEXP_MIN_INTERVAL 120s is longer than --heartbeat 60s"),
        (("watch", "{data}", "--textfile", "/x.prom"), {"FEXP_WEB_CONFIG": "x"}, "FEXP_WEB_CONFIG says how to serve"),
        (("push", "{data}"), {"FEXP_GATEWAY": "g"}, "FEXP_GATEWAY g: must begin with http"),
        (("push", "{data}"), {"FEXP_GATEWAY_TOKEN_FILE": "/no"}, "FEXP_GATEWAY_TOKEN_FILE /no: No such file"),
        (("push", "{data}", "--gateway-token-file=/no"), {}, "--gateway-token-file /no: No such file"),
        (("push", "{data}", "--gateway-user", "u"), {}, "--gateway-user without a password; give --gateway-password-f"),
        (("push", "{data}"), {"FEXP_GATEWAY_PASSWORD": "secret"}, "FEXP_GATEWAY_PASSWORD without a user; give --gat"),
        (("push", "{data}"), {"FEXP_JOB": "\udcff"}, "FEXP_JOB: the value is not UTF-8"),
        (
            ("push", "{data}", "--splay", "9m"),
            {"FEXP_DEADLINE": "1m"},
            "--splay 540s leaves no time before FEXP_D",
        ),
        (("push", "{data}"), {"FEXP_DELETE": "1"}, "FEXP_DELETE takes no FOLDER"),
        (("scan", "{data}"), {"FEXP_FORMAT": "xml"}, "FEXP_FORMAT 'xml' is not known"),
        (("scan", "{data}"), {"FEXP_EXT": "txt a/b"}, "FEXP_EXT 'a/b' is not an extension"),
        (("scan", "{data}"), {"FEXP_MAX_DEPTH": "2"}, "FEXP_MAX_DEPTH says how far --recursive goes"),
        (("scan", "{data}"), {"FEXP_RECURSIVE": "maybe"}, "invalid value for FEXP_RECURSIVE: "),
        (("write", "{data}", "--textfile", "x.prom", "--textfile-mode", "0888"), {}, "--textfile-mode '0888' is not a"),
    ],
)
def test_a_mistake_is_named_as_it_was_written(
    data: Path, arguments: tuple[str, ...], variables: dict[str, str], start: str
) -> None:
    """An option that nobody gave must not be blamed for what stands in an environment file."""
    given = {name: value.format(data=data) for name, value in variables.items()}
    ended = run(*(argument.format(data=data) for argument in arguments), timeout_seconds=30, **given)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert ended.stderr.startswith(f"fexp: {start.format(data=data)}")
    assert "secret" not in ended.stderr.replace("FEXP_GATEWAY_PASSWORD", "")


def test_a_value_that_is_given_is_no_default(data: Path) -> None:
    """Also if it is the same: then it has no effect either."""
    with watching(str(data), "--listen", "127.0.0.1:0", "--textfile-mode", "0644", FEXP_GATEWAY_GZIP="1") as fexp:
        assert [line.partition("msg=")[2] for line in fexp.lines if "level=warning" in line] == [
            '"--textfile-mode has no effect without --textfile"',
            '"FEXP_GATEWAY_GZIP has no effect without --gateway"',
        ]


def test_watch_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there yet: up 0 and one line; then up 1 and exact."""
    data = tmp_path / "later"
    with watching(str(data), "--listen", "127.0.0.1:0", "--ext", "txt") as fexp:
        assert fexp.value("fexp_folder_up") == 0
        assert fexp.value("fexp_files") is None
        assert fexp.get("/-/ready").status == 200
        data.mkdir()
        (data / "a.txt").touch()
        poll(lambda: fexp.value("fexp_files") == 1)
        assert fexp.value("fexp_folder_up") == 1
        assert fexp.value("fexp_arrivals_total") == 1
        assert fexp.stop(signal.SIGINT) == 0
    assert sum("No such file" in line for line in fexp.lines) == 1


def test_watch_names_that_bite(tmp_path: Path) -> None:
    """Mistakes 11a, 12: names that are no text, or look alike: /metrics stays parseable and true."""
    base = os.fsencode(tmp_path)
    raw_folders = [b"new\nline", b'quo"te', b"back\\slash", b"\xff", b"\\xff", "ü".encode(), b"x" * 255]
    for raw in raw_folders:
        os.mkdir(base + b"/" + raw)
        for name in (b"\xfe.txt", b"\\xfe.txt", b'a\n".txt', b"y" * 251 + b".txt"):
            with open(base + b"/" + raw + b"/" + name, "wb"):
                pass
    folders = [os.fsdecode(base + b"/" + raw) for raw in raw_folders]
    with watching(*folders, "--ext", "txt", "--listen", "127.0.0.1:0") as fexp:
        text = fexp.get("/metrics").text
        found = {
            dict(labels)["folder"]: value for (name, labels), value in samples(text).items() if name == "fexp_files"
        }
        assert list(found.values()) == [4.0] * len(raw_folders)
        assert f"{tmp_path}/new\nline" in found
        assert f"{tmp_path}/\\xff" in found
        assert sum(label.startswith(f"{tmp_path}/\\xff") for label in found) == 2


def test_one_shots_do_not_overlap(data: Path, tmp_path: Path) -> None:
    """While one run is at a target, another leaves it alone and says so; another target is free."""
    from fexp.service.locks import alone

    target = tmp_path / "fexp.prom"
    (tmp_path / "by-another-name").symlink_to(tmp_path)
    with alone(str(target), shown=str(target)):
        for name in (target, tmp_path / "by-another-name" / target.name):
            ended = run("write", str(data), "--textfile", str(name))
            assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
            assert "still at work" in ended.stderr
        assert run("write", str(data), "--textfile", str(tmp_path / "other.prom")).returncode == 0
    assert run("write", str(data), "--textfile", str(target)).returncode == 0


def test_a_watching_fexp_keeps_its_places_to_itself(data: Path, tmp_path: Path, pushgateway: Server) -> None:
    """Two that write the same file or group would each delete what the other told."""
    target = str(tmp_path / "x.prom")
    with watching(str(data), "--textfile", target, "--gateway", pushgateway.url, "--instance", "h") as fexp:
        for others in (
            ("watch", "--textfile", target),
            ("write", "--textfile", target),
            ("watch", "--gateway", pushgateway.url, "--instance", "h"),
            ("push", "--gateway", pushgateway.url, "--instance", "h"),
        ):
            ended = run(others[0], str(data), *others[1:])
            assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
            assert "another fexp is still at work there" in ended.stderr
        assert run("push", str(data), "--gateway", pushgateway.url, "--instance", "other").returncode == 0
        assert fexp.stop() == 0
    assert run("write", str(data), "--textfile", target).returncode == 0


@pytest.mark.parametrize("given", ["{tmp}/run", "{tmp}/run:{tmp}/elsewhere"])
def test_the_lock_holds_whatever_the_umask_and_however_many_runtime_directories(
    given: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fexp.service.locks import alone

    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", given.format(tmp=tmp_path))
    target = tmp_path / "fexp.prom"
    before = os.umask(0o777)
    try:
        with alone(str(target), shown=str(target)):
            (lock,) = (tmp_path / "run").iterdir()
            assert lock.stat().st_mode & 0o777 == 0o600
            ended = run("write", str(data), "--textfile", str(target), RUNTIME_DIRECTORY=given.format(tmp=tmp_path))
    finally:
        os.umask(before)
    assert "still at work" in ended.stderr


def test_a_link_where_the_lock_belongs_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistake 2b.

    In /tmp anybody may plant one, and root would make or open what it points to; delivering goes on all the same.
    """
    from fexp.service.locks import alone

    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(locks))
    with alone("somewhere", shown="somewhere"):
        (lock,) = locks.iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "planted")
    delivered = False
    with alone("somewhere", shown="somewhere"):
        delivered = True
    assert delivered
    assert not (tmp_path / "planted").exists()


def test_whatever_goes_wrong_is_one_line(tmp_path: Path) -> None:
    """A folder and the gateway at once; what could be read would have been delivered."""
    missing = str(tmp_path / "missing")
    ended = run("push", missing, "--gateway", f"http://127.0.0.1:{free_port()}", "--gateway-deadline", "0.1s")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert f"{missing}: No such file or directory; " in ended.stderr
    assert "Connection refused" in ended.stderr


@pytest.mark.parametrize("what", ["--delete", "--expire=1d"])
def test_removing_groups_is_in_time_too(what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        ended = run("push", what, "--gateway", url, "--deadline", "0.3s")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--deadline" in ended.stderr


def test_what_no_signal_interrupts_is_in_time_too(data: Path) -> None:
    """A thread that waits for a dead network mount obeys only what ends the process."""
    program = """
import ctypes, sys
from fexp.disk import scan
from fexp.cli import main

lock = ctypes.CDLL(None).pthread_mutex_lock
mutex = ctypes.create_string_buffer(64)
lock(mutex)
scan.list_directory = lambda *_: lock(mutex)
sys.argv = ["fexp", "push", sys.argv[1], "--deadline", "0.2s"]
main()
"""
    command = [sys.executable, "-c", program, str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment(), check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--deadline" in ended.stderr


def test_a_secret_that_hangs_is_in_time_too(data: Path, tmp_path: Path) -> None:
    """As one in a named pipe does that nobody writes to."""
    os.mkfifo(tmp_path / "token")
    ended = run("push", str(data), "--gateway-token-file", str(tmp_path / "token"), "--deadline", "0.3s")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--deadline" in ended.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--textfile", "{tmp}/link.prom"),
        ("--gateway", "https://h", "--gateway-ca-file", "{tmp}/junk"),
        ("--gateway", "https://h", "--gateway-token-file", "{tmp}/empty"),
    ],
)
def test_what_no_waiting_can_mend_keeps_fexp_from_starting(data: Path, tmp_path: Path, wrong: tuple[str, ...]) -> None:
    (tmp_path / "link.prom").symlink_to("elsewhere")
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "empty").touch()
    ended = run("watch", str(data), "--listen", "127.0.0.1:0", *(part.format(tmp=tmp_path) for part in wrong))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_the_advice_to_exclude_the_textfile_works(data: Path) -> None:
    options = ("--textfile", str(data / "it's f[1]*.prom"), "--hidden")
    advice = run("watch", str(data), *options).stderr.partition("or add ")[2]
    with watching(str(data), *options, *shlex.split(advice)) as fexp:
        assert fexp.stop() == 0


@pytest.mark.parametrize(("folder", "textfile"), [("data", "link/x.prom"), ("link", "data/x.prom")])
def test_a_textfile_that_counts_is_refused_by_whatever_way_it_is_named(
    data: Path, tmp_path: Path, folder: str, textfile: str
) -> None:
    """Each writing would be a change, and so a reason for the next."""
    (tmp_path / "link").symlink_to(data)
    ended = run("watch", str(tmp_path / folder), "--textfile", str(tmp_path / textfile), "--listen", "127.0.0.1:0")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"{textfile} would count as a file of {tmp_path / folder}, and each writing as a change" in ended.stderr


def test_options_of_an_output_that_nobody_asked_for_are_told(data: Path) -> None:
    """A URL that was left out is else seen when the numbers are missed. A file may serve several units."""
    idle = ("--grouping=a=b", "--gateway-user=u", "--remote-write-label=a=b", "--textfile-mode=0600", "--job=x")
    with watching(str(data), "--listen", "127.0.0.1:0", *idle) as fexp:
        assert [line.partition("msg=")[2] for line in fexp.lines if "level=warning" in line] == [
            '"--gateway-user has no effect without --gateway"',
            '"--grouping has no effect without --gateway"',
            '"--remote-write-label has no effect without --remote-write"',
            '"--textfile-mode has no effect without --textfile"',
        ]
        before = fexp.value("fexp_config_last_reload_success_timestamp_seconds")
        assert before is not None
        assert fexp.value("fexp_config_last_reload_successful") == 1
        assert fetch(f"{fexp.url}/-/reload", method="POST").status == 200
        assert (fexp.value("fexp_config_last_reload_success_timestamp_seconds") or 0) > before


def test_a_label_value_that_is_no_text_is_named_by_its_option(data: Path) -> None:
    ended = run("push", str(data), "--instance", "h\udcff")
    assert (ended.returncode, ended.stderr) == (2, "fexp: --instance: the value is not UTF-8 text\n")


def test_an_output_that_is_not_there_yet_keeps_no_other_from_starting(data: Path, tmp_path: Path) -> None:
    """After a boot the directory of the textfile may come late; nobody shall have to restart fexp for it."""
    directory = tmp_path / "late"
    options = ("--listen", "127.0.0.1:0", "--heartbeat", "0.1s", "--min-interval", "0.1s")
    with watching(str(data), "--textfile", str(directory / "x.prom"), *options) as fexp:
        poll(lambda: fexp.value("fexp_delivery_failures_total", output="textfile"))
        assert any("its directory is not there" in line for line in fexp.lines)
        directory.mkdir()
        poll((directory / "x.prom").exists)
        assert fexp.stop() == 0


@pytest.mark.parametrize("name", ["gone\nfexp: forged", "gone\x1b[2J\x85\u2028\x9bforged\x7f"])
def test_a_name_forges_no_line_and_moves_no_cursor(name: str, tmp_path: Path) -> None:
    ended = run("scan", str(tmp_path / name))
    assert ended.stderr.endswith("No such file or directory\n")
    assert ended.stderr.removesuffix("\n").isprintable()
    with watching(str(tmp_path / name), "--listen", "127.0.0.1:0") as fexp:
        poll(lambda: fexp.value("fexp_folder_up") == 0)
        assert fexp.stop() == 0
    assert all(line.isprintable() for line in fexp.lines)
    assert any("forged" in line and "No such file" in line for line in fexp.lines)


@pytest.mark.slow
def test_what_is_served_during_a_stop_is_true(data: Path) -> None:
    """A hanging gateway makes a stop long; until its end the numbers are those of the disk."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        options = ("--listen", "127.0.0.1:0", "--ext", "txt", "--gateway", url, "--gateway-deadline", "2s")
        with watching(str(data), *options) as fexp, hanging.accept()[0]:
            fexp.process.send_signal(signal.SIGTERM)
            poll(lambda: fexp.value("fexp_delivery_failures_total") == 1)  # the delivery under way
            (data / "late.txt").touch()
            poll(lambda: fexp.value("fexp_files") == 4)
            assert fexp.process.wait(20) == 0


def test_a_one_shot_ends(data: Path) -> None:
    """Mistake 15a: against a gateway that accepts and never answers, the deadline ends it with one line."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        ended = run("push", str(data), "--gateway", url, "--deadline", "0.3s")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--deadline" in ended.stderr


def test_a_file_name_that_is_no_text_as_folder(tmp_path: Path) -> None:
    """FOLDER may be a file whose name is no UTF-8: its pattern's label is printable, and all numbers are there."""
    path = os.path.join(os.fsencode(tmp_path), b"\xff.txt")
    with open(path, "wb"):
        pass
    with watching(os.fsdecode(path), "--listen", "127.0.0.1:0") as fexp:
        assert fexp.value("fexp_files", pattern="\\xff.txt") == 1
    assert _number(run("scan", os.fsdecode(path), "--format", "prom").stdout, "fexp_files") == 1


def test_the_first_delivery_is_after_the_first_look(data: Path, tmp_path: Path) -> None:
    """A healthy folder is never delivered as down, however long the next delivery takes to come."""
    target = tmp_path / "first.prom"
    with watching(str(data), "--textfile", str(target), "--min-interval", "1h", "--heartbeat", "1h"):
        poll(target.exists)
        assert _number(target.read_text(), "fexp_folder_up") == 1


def test_scan_shows_any_name_on_a_terminal_of_ascii_only(tmp_path: Path) -> None:
    (tmp_path / "fäß").mkdir()
    for form in ("table", "json", "prom"):
        ended = run("scan", str(tmp_path / "fäß"), "--format", form, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (ended.returncode, ended.stderr) == (0, ""), form


def test_scan_says_why_a_folder_could_not_be_read(tmp_path: Path) -> None:
    ended = run("scan", str(tmp_path), str(tmp_path / "gone"), "--format", "json")
    told = json.loads(ended.stdout)
    assert [folder["problem"] for folder in told["folders"]] == [None, "No such file or directory"]
    assert ended.returncode == 1


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    ended = subprocess.run(
        ["sh", "-c", script, "sh", str(here), *COMMAND, "scan", "."],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode in (1, 2)
    assert "standard output" not in ended.stderr
    assert "No such file or directory" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_system_without_any_place_for_locks_still_delivers(data: Path, tmp_path: Path) -> None:
    script = (
        "import sys, tempfile\n"
        "def none(): raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.gettempdir = none\n"
        "import os\n"
        "may = os.access\n"
        "os.access = lambda path, *how, **more: path != '/run' and may(path, *how, **more)\n"
        "sys.argv[0] = 'fexp'\n"
        "from fexp.cli import main; main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "write", str(data), "--textfile", str(tmp_path / "x.prom")],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "x.prom").exists()


def test_a_misspelt_variable_is_named_with_the_nearest_right_one(data: Path) -> None:
    with watching(str(data), "--listen", "127.0.0.1:0", FEXP_RESCN="1m", FEXP_EXT="txt", FEXP_LISTEN_ADDR="x") as fexp:
        said = "\n".join(fexp.lines)
    assert "FEXP_RESCN is not a variable of fexp's; did you mean FEXP_RESCAN?" in said
    assert "FEXP_LISTEN_ADDR is not" in said
    assert "FEXP_EXT" not in said


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("write", "{data}"), 2), (("push", "{data}/gone", "--gateway", "http://127.0.0.1:1", "--deadline", "1s"), 1)],
)
def test_a_one_shot_that_fails_names_misspelt_variables_too(
    data: Path, arguments: tuple[str, ...], status: int
) -> None:
    """When all goes well it prints nothing."""
    ended = run(*(argument.format(data=data) for argument in arguments), FEXP_TEXTFLE="/x.prom")
    assert (ended.returncode, ended.stderr.count("\n")) == (status, 1)
    assert ended.stderr.endswith("; FEXP_TEXTFLE is not a variable of fexp's; did you mean FEXP_TEXTFILE?\n")
    ended = run("scan", str(data), FEXP_TEXTFLE="/x.prom")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_glob_that_no_shell_expanded_is_named(data: Path) -> None:
    """A folder may have such a name, and may be missing: it is a hint and no mistake."""
    ended = run("scan", f"{data}/*.pdf", "--format", "prom")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.endswith(f"; {data}/*.pdf is taken as it stands; for a glob give {data} --match '*.pdf'\n")
    ended = run("scan", f"{data}/*/in", "--format", "prom")
    assert ended.stderr.endswith(f"; {data}/*/in is taken as it stands; for a glob leave out the quotes\n")
    with watching(f"{data}/[a]", "--listen", "127.0.0.1:0") as fexp:
        assert f'level=warning msg="{data}/[a] is taken as it stands; for a glob give {data} --match' in fexp.lines[0]
        (data / "[a]").mkdir()
        poll(lambda: fexp.value("fexp_folder_up") == 1)
    with watching(f"{data}/[a]", "--listen", "127.0.0.1:0") as fexp:
        assert not [line for line in fexp.lines if "level=info" not in line]


def test_a_stop_is_logged(data: Path) -> None:
    with watching(str(data), "--listen", "127.0.0.1:0") as fexp:
        assert fexp.stop() == 0
    assert [line.partition(" ")[2] for line in fexp.lines[-2:]] == ["level=info msg=stopping", "level=info msg=stopped"]


def test_the_deadline_names_what_failed_last(data: Path) -> None:
    ended = run("push", str(data), "--gateway", f"http://127.0.0.1:{free_port()}", "--deadline", "1s")
    assert ended.returncode == 1
    assert re.search(r"not done after 1 s: .*refused.*; --deadline allows more", ended.stderr)
