"""``fexp run``: real commands, real signals, real receivers."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.end_to_end.running import COMMAND, environment, run, samples
from tests.outputs.scripted import ScriptedServer, answer
from tests.servers import Server, poll, promtool

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]


def number(text: str, name: str, **labels: str) -> float | None:
    """Return the one sample of this name that has these labels, None if there is none."""
    wanted = set(labels.items())
    found = [value for (own, has), value in samples(text).items() if own == name and wanted <= has]
    assert len(found) <= 1, found
    return found[0] if found else None


@contextmanager
def start(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``fexp run`` with pipes for its streams; a block that fails ends it."""
    pipe = subprocess.PIPE
    command = [*COMMAND, "run", *arguments]
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def line_of(stream: IO[bytes] | None) -> str:
    """Read a line that says how far the job is."""
    assert stream is not None
    return stream.readline().decode().strip()


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 3"], 3, ""),
        (["sh", "-c", "kill -KILL $$"], 137, ""),
        (["sh", "-c", "kill -TERM $$"], 143, ""),
        (["./nowhere"], 127, "fexp: ./nowhere: No such file or directory\n"),
        (["no-such-command-anywhere"], 127, "fexp: no-such-command-anywhere: No such file or directory\n"),
        (["./plain"], 126, "fexp: ./plain: Permission denied\n"),
        (["/"], 126, "fexp: /: Permission denied\n"),
        (["./script", "9"], 9, ""),
    ],
)
def test_it_exits_as_a_shell_would(
    command: list[str], status: int, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").touch(0o644)
    (tmp_path / "script").touch(0o755)
    (tmp_path / "script").write_text("exit $1\n")  # without #!, as a shell takes it
    (tmp_path / "locked").mkdir(0)  # "not found", in bash too, to whoever may not read a folder of PATH
    monkeypatch.setenv("PATH", f"{tmp_path / 'locked'}:{os.environ['PATH']}")
    ended = run("run", "--job", "exit", "--textfile", "exit.prom", "--", *command)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", complaint)
    text = (tmp_path / "exit.prom").read_text()
    assert number(text, "fexp_job_exit_code", job_name="exit") == status
    assert number(text, "fexp_job_running") == 0
    assert (number(text, "fexp_job_last_success_timestamp_seconds") is not None) is (status == 0)
    checked = promtool("check", "metrics", input_text=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--job", "a"], "missing argument"),
        (["--job", "a", "--"], "missing argument"),
        (["--", "touch", "here"], "--job is missing"),
        (["--job", "", "--", "touch", "here"], "--job is empty"),
        (["--job", "\udcff", "--", "touch", "here"], "UTF-8"),
        (["--job", "a", "--textfile", "a.txt", "--", "touch", "here"], ".prom"),
        (["--job", "a", "--gateway", "nowhere", "--", "touch", "here"], "http://"),
        (["--job", "a", "--timeout", "soon", "--", "touch", "here"], "duration"),
        (["--job", "a", "--retries", "-1", "--", "touch", "here"], "less than none"),
        (["--job", "a", "--overlap", "kill", "--", "touch", "here"], "skip, wait"),
        (["--job", "a", "--textfile", "in/a.prom", "--folder", "in", "--", "touch", "here"], "would count"),
    ],
)
def test_a_mistake_is_one_line_and_starts_nothing(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    ended = subprocess.run(
        [*COMMAND, "run", *arguments], env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert complaint in ended.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_streams_pass_untouched() -> None:
    """Byte by byte, a megabyte of anything, from where the command's would come and to where they would go."""
    content = os.urandom(1 << 20)
    with start("--job", "streams", "--", "sh", "-c", "tee /dev/stderr") as process:
        out, complaint = process.communicate(content, timeout=60)
    assert process.returncode == 0
    assert out == content
    assert complaint == content


def test_options_of_the_command_are_its_own() -> None:
    ended = run("run", "--job", "own", "sh", "-c", 'echo "$@"', "sh", "--job", "b", "--", "--help")
    assert (ended.returncode, ended.stdout) == (0, "--job b -- --help\n")


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_stays_closed(closing: str, tmp_path: Path) -> None:
    """The command sees what it would see without fexp, and no other file in the stream's place."""
    seen = 'import os, sys; os.write(9, repr([os.path.exists(f"/proc/self/fd/{n}") for n in range(3)]).encode())'
    python = COMMAND[0]
    told = []
    for number_of, words in enumerate(([], [*COMMAND, "run", "--job", "closed", "--"])):
        path = tmp_path / str(number_of)
        shell = f'"$@" {closing} 9>{path}'
        subprocess.run(["sh", "-c", shell, "sh", *words, python, "-c", seen], env=environment(), timeout=60, check=True)
        told.append(path.read_text())
    assert told[0] == told[1]
    assert "False" in told[1]


def test_a_reader_that_leaves_ends_the_command_as_ever() -> None:
    """SIGPIPE, which Python ignores, is the command's own matter again."""
    with start("--job", "pipe", "--", "sh", "-c", "while echo y; do :; done") as process:
        assert line_of(process.stdout) == "y"
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "HUP"])
def test_a_stop_reaches_the_whole_group(name: str) -> None:
    child = f"trap 'echo child; exit' {name}; echo ready; while :; do sleep 0.01; done"
    script = f'trap "echo parent; exit 7" {name}; sh -c "$1"'
    with start("--job", f"stop-{name}", "--", "sh", "-c", script, "sh", child) as process:
        assert line_of(process.stdout) == "ready"
        process.send_signal(getattr(signal, f"SIG{name}"))
        out, complaint = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, b"child\nparent\n")
    assert b"fexp" not in complaint


def test_a_message_reaches_the_command_alone() -> None:
    child = "trap 'echo child' USR1; echo ready; read line; echo over"
    script = "exec 3<&0; trap 'echo parent' USR1; sh -c \"$1\" <&3 & wait; wait"
    with start("--job", "usr1", "--", "sh", "-c", script, "sh", child) as process:
        assert line_of(process.stdout) == "ready"
        process.send_signal(signal.SIGUSR1)
        assert line_of(process.stdout) == "parent"
        out, _ = process.communicate(b"after\n", timeout=30)
    assert (process.returncode, out) == (0, b"over\n")


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    """As nohup wants it."""
    script = 'echo ready; read line; kill -HUP $$; echo "still $line"'
    shell = f'trap "" HUP; exec {COMMAND[0]} -m fexp run --job nohup -- sh -c "$1"'
    with subprocess.Popen(
        ["sh", "-c", shell, "sh", script], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert line_of(process.stdout) == "ready"
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(b"here\n", timeout=30)
    assert (process.returncode, out) == (0, b"still here\n")


def _is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1000; done"


@pytest.mark.parametrize(
    ("parent", "status"),
    [
        ("wait", 143),  # ends at once, and leaves the stubborn one behind
        ("trap '' TERM; while :; do wait; done", 137),
        ("trap 'exit 0' TERM; while :; do wait; done", 0),
    ],
)
def test_a_time_out_ends_the_whole_group(parent: str, status: int, tmp_path: Path) -> None:
    """Also a grandchild that ignores TERM, and one that is stopped."""
    textfile = tmp_path / "late.prom"
    script = f"sh -c \"$1\" & sh -c 'kill -STOP $$' & echo $!; {parent}"
    with start(
        "--job", "late", "--textfile", str(textfile), "--timeout", "2s", "--kill-after", "0.3s",
        "--", "sh", "-c", script, "sh", STUBBORN,
    ) as process:  # fmt: skip
        left_behind = [int(line_of(process.stdout)) for _ in range(2)]
        assert process.wait(30) == status
    assert not [pid for pid in left_behind if poll(lambda pid=pid: not _is_alive(pid)) is not True]
    text = textfile.read_text()
    assert number(text, "fexp_job_timed_out") == 1
    assert number(text, "fexp_job_exit_code") == status
    assert number(text, "fexp_job_last_success_timestamp_seconds") is None


def test_a_command_that_is_stopped_is_ended_in_time_too() -> None:
    """TERM alone would wait until somebody woke it."""
    with start(
        "--job", "stopped", "--timeout", "0.3s", "--kill-after", "1h", "--", "sh", "-c", "kill -STOP $$"
    ) as process:
        assert process.wait(30) == 143


def test_what_is_in_time_leaves_its_children_alone(tmp_path: Path) -> None:
    """A job may start a daemon."""
    script = "exec 3<&0; sh -c 'echo $$; exec cat' <&3 & exit 0"
    with start("--job", "daemon", "--timeout", "1h", "--", "sh", "-c", script) as process:
        daemon = int(line_of(process.stdout))
        assert process.wait(30) == 0
        assert _is_alive(daemon)
        assert process.stdin is not None
        process.stdin.close()
        poll(lambda: not _is_alive(daemon))


def test_retries_until_it_succeeds(tmp_path: Path) -> None:
    tried, textfile = tmp_path / "tried", tmp_path / "retry.prom"
    script = f"echo x >>{tried}; test $(wc -l <{tried}) -eq 3"
    arguments = ("--job", "retry", "--retry-delay", "0", "--textfile", str(textfile))
    assert run("run", *arguments, "--retries", "1", "--", "sh", "-c", script).returncode == 1
    assert tried.read_text() == "x\n" * 2
    tried.unlink()
    assert run("run", *arguments, "--retries", "5", "--", "sh", "-c", script).returncode == 0
    assert tried.read_text() == "x\n" * 3
    assert number(textfile.read_text(), "fexp_job_exit_code") == 0


def test_a_stop_between_tries_is_the_end(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    script = f"echo x >>{tried}; echo tried; exit 5"
    with start("--job", "between", "--retries", "9", "--retry-delay", "1h", "--", "sh", "-c", script) as process:
        assert line_of(process.stdout) == "tried"
        process.terminate()
        assert process.wait(30) in {5, 128 + signal.SIGTERM}  # the first try may still have been there
    assert tried.read_text() == "x\n"


def test_runs_of_a_job_do_not_overlap(tmp_path: Path) -> None:
    order, textfile = tmp_path / "order", tmp_path / "lock.prom"
    arguments = ("--job", "lock", "--textfile", str(textfile))
    with start(*arguments, "--", "sh", "-c", f"echo ready; read line; echo first >>{order}") as first:
        assert line_of(first.stdout) == "ready"
        skipped = run("run", *arguments, "--", "sh", "-c", f"echo skipped >>{order}")
        assert (skipped.returncode, skipped.stdout) == (0, "")
        assert skipped.stderr == "fexp: job lock: another run of it is at work; this one is skipped\n"
        assert number(textfile.read_text(), "fexp_job_running") == 1
        other = run("run", "--job", "lock2", "--", "sh", "-c", f"echo other >>{order}")
        assert other.returncode == 0
        with start(*arguments, "--overlap", "wait", "--", "sh", "-c", f"echo second >>{order}") as second:
            poll(lambda: "FLOCK" in _locks_waited_for(second.pid))
            first.communicate(b"\n", timeout=30)
            assert second.wait(30) == 0
    assert first.returncode == 0
    assert order.read_text().split() == ["other", "first", "second"]


def _locks_waited_for(process: int) -> str:
    with open("/proc/locks") as file:
        return "".join(line for line in file if "->" in line and f" {process} " in line)


def test_what_is_told_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    """At the start the rest is as the last run left it; a failure keeps the latest success."""
    textfile, own = tmp_path / "told.prom", tmp_path / "own"
    arguments = ("--job", "told", "--textfile", str(textfile), "--metrics-from", str(own))
    first = run("run", *arguments, "--", "sh", "-c", f"cat {textfile}; echo 'own_number 7' >{own}; cat >/dev/null")
    assert (first.returncode, first.stderr) == (0, "")
    assert number(first.stdout, "fexp_job_running", job_name="told") == 1
    assert number(first.stdout, "fexp_job_start_timestamp_seconds") is not None
    assert number(first.stdout, "fexp_job_exit_code") is None
    done = textfile.read_text()
    assert number(done, "fexp_job_running") == 0
    ended_at = number(done, "fexp_job_end_timestamp_seconds")
    assert ended_at is not None
    assert number(done, "fexp_job_last_success_timestamp_seconds") == ended_at
    began_at, duration = number(done, "fexp_job_start_timestamp_seconds"), number(done, "fexp_job_duration_seconds")
    assert began_at is not None
    assert duration == pytest.approx(ended_at - began_at, abs=0.5)
    assert number(done, "own_number", job_name="told") == 7
    second = run("run", *arguments, "--", "sh", "-c", f"cat {textfile}; exit 4")
    assert second.returncode == 4
    assert number(second.stdout, "fexp_job_running") == 1
    assert number(second.stdout, "fexp_job_exit_code") == 0
    assert number(second.stdout, "own_number", job_name="told") == 7
    failed = textfile.read_text()
    assert number(failed, "fexp_job_exit_code") == 4
    assert number(failed, "fexp_job_last_success_timestamp_seconds") == ended_at
    assert number(failed, "own_number") is None, "an old file is not this run's"


def test_a_textfile_of_another_job_tells_nothing_of_this_one(tmp_path: Path) -> None:
    textfile = tmp_path / "shared.prom"
    for job in ("one", "two"):
        run("run", "--job", job, "--textfile", str(textfile), "--", "sh", "-c", f"exit {int(job == 'two')}")
    assert number(textfile.read_text(), "fexp_job_last_success_timestamp_seconds") is None


def test_what_it_used(tmp_path: Path) -> None:
    textfile = tmp_path / "used.prom"
    work = "x = bytearray(200 << 20); sum(range(3_000_000))"
    assert run("run", "--job", "used", "--textfile", str(textfile), "--", COMMAND[0], "-c", work).returncode == 0
    cpu_seconds = number(textfile.read_text(), "fexp_job_cpu_seconds")
    peak_bytes = number(textfile.read_text(), "fexp_job_max_rss_bytes")
    assert cpu_seconds is not None
    assert 0.02 < cpu_seconds < 30
    assert peak_bytes is not None
    assert 200 << 20 < peak_bytes < 300 << 20


def test_a_pushgateway_keeps_the_latest_success(pushgateway: Server) -> None:
    """Each push replaces the group: fexp remembers what a failing run would take away."""
    arguments = ("--job", "push", "--gateway", pushgateway.url, "--instance", "host a/ü")

    def told(name: str) -> float | None:
        return number(pushgateway.get("/metrics").text, name, job="push", instance="host a/ü", job_name="push")

    with start(*arguments, "--", "sh", "-c", "echo ready; read line") as process:
        assert line_of(process.stdout) == "ready"
        poll(lambda: told("fexp_job_running") == 1)
        assert process.communicate(b"\n", timeout=30)[1] == b""
    assert process.returncode == 0
    succeeded_at = told("fexp_job_last_success_timestamp_seconds")
    assert succeeded_at is not None
    assert told("fexp_job_running") == 0
    ended = run("run", *arguments, "--", "false")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert told("fexp_job_exit_code") == 1
    assert told("fexp_job_last_success_timestamp_seconds") == succeeded_at


def test_remote_write(prometheus: Server) -> None:
    url = prometheus.url + "/api/v1/write"
    ended = run("run", "--job", "written", "--instance", "h", "--remote-write", url, "--", "sh", "-c", "exit 6")
    assert (ended.returncode, ended.stderr) == (6, "")
    series = poll(lambda: prometheus.query('fexp_job_exit_code{job="written", job_name="written", instance="h"}'))
    assert [float(one["value"][1]) for one in series] == [6]


def test_a_gateway_that_hangs_delays_nothing_and_is_waited_for_only_so_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        arguments = ("--job", "hang", "--gateway", url, "--gateway-deadline")
        with start(*arguments, "1h", "--", "sh", "-c", "echo works; read line") as process:
            assert line_of(process.stdout) == "works"
            process.kill()
        ended = run("run", *arguments, "0.3s", "--", "sh", "-c", "exit 8")
        assert (ended.returncode, ended.stdout) == (8, "")
        assert ended.stderr.startswith("fexp: gateway: http://127.0.0.1:")
        ended = run("run", *arguments, "0.3s", "--strict", "--", "true")
        assert ended.returncode == 1


@pytest.mark.parametrize("arguments", [["--gateway", "http://127.0.0.1:1"], ["--textfile", "/nowhere/x.prom"]])
def test_what_cannot_be_delivered_is_one_line(arguments: list[str]) -> None:
    """The exit status shows it only if that is asked for, and never instead of the command's own."""
    for strict, command, status in (([], "true", 0), (["--strict"], "true", 1), (["--strict"], "exit 9", 9)):
        ended = run("run", "--job", "refused", *arguments, *strict, "--", "sh", "-c", f"echo done; {command}")
        assert (ended.returncode, ended.stdout) == (status, "done\n")
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stderr.startswith("fexp: ")


def test_a_failing_output_takes_no_other_along(tmp_path: Path) -> None:
    textfile = tmp_path / "x.prom"
    outputs = ("--gateway", "http://127.0.0.1:1", "--textfile", str(textfile))
    ended = run("run", "--job", "both", *outputs, "--", "cat", str(textfile))
    assert ended.returncode == 0
    assert number(ended.stdout, "fexp_job_running") == 1
    assert number(textfile.read_text(), "fexp_job_exit_code") == 0


def test_what_it_did_to_its_folders(tmp_path: Path) -> None:
    here, there, textfile = tmp_path / "in", tmp_path / "out", tmp_path / "x.prom"
    (here / "sub").mkdir(parents=True)
    for name, size in (("a.csv", 10), ("b.csv", 20), ("sub/c.csv", 40), ("d.txt", 80), ("log.csv", 100)):
        (here / name).write_bytes(b"x" * size)
    script = "mkdir -p out; mv in/a.csv in/sub/c.csv out; rm in/d.txt; printf xyz >>in/log.csv; : >out/new.csv"
    with start(
        "--job", "move", "--textfile", str(textfile), "--folder", str(here), "--folder", str(there), "-r",
        "--ext", "csv", "--label", "team=a", "--", "sh", "-c", f"cd {tmp_path}; {script}",
    ) as process:  # fmt: skip
        assert process.communicate(timeout=30) == (b"", b"")
    text = textfile.read_text()

    def told(path: Path, kind: str) -> list[float | None]:
        labels = {"job_name": "move", "folder": str(path), "pattern": "*.csv", "team": "a"}
        return [number(text, f"fexp_job_{kind}_{what}", **labels) for what in ("files", "bytes")]

    assert (told(here, "consumed"), told(here, "produced")) == ([2, 50], [0, 3])
    assert (told(there, "consumed"), told(there, "produced")) == ([0, 0], [3, 50])
    assert promtool("check", "metrics", input_text=text).returncode == 0


OWN = """\
# HELP rows_total Rows that were read.
# TYPE rows_total counter
rows_total{table="a\\"b"} 12
rows_total{table="a\\"b"} 13
fexp_files 3
late 5 1700000000
other{job_name="somebody"} 1
half"""


@pytest.mark.parametrize("is_fifo", [False, True])
def test_own_samples_that_are_bad_are_left_out(is_fifo: bool, tmp_path: Path, pushgateway: Server) -> None:
    own, source, textfile = tmp_path / "own", tmp_path / "source", tmp_path / "x.prom"
    source.write_text(OWN)
    if is_fifo:
        os.mkfifo(own)
    ended = run(
        "run", "--job", "rows", "--textfile", str(textfile), "--gateway", pushgateway.url, "--metrics-from", str(own),
        "--", "sh", "-c", f"cat {source} >{own}",
    )  # fmt: skip
    assert ended.returncode == 0
    assert len(ended.stderr.splitlines()) == 1
    assert "5 of the job's own samples are left out: line 4: rows_total" in ended.stderr
    for text in (textfile.read_text(), pushgateway.get("/metrics").text):
        assert number(text, "rows_total", job_name="rows", table='a"b') == 12
        assert number(text, "fexp_job_rejected_samples", job_name="rows") == 5
        assert number(text, "fexp_job_exit_code", job_name="rows") == 0
        assert not {name for name, _ in samples(text)} & {"fexp_files", "late", "other", "half"}
    checked = promtool("check", "metrics", input_text=textfile.read_text())
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_fifo_takes_more_than_a_pipe_holds(tmp_path: Path) -> None:
    own, textfile = tmp_path / "own", tmp_path / "x.prom"
    os.mkfifo(own)
    script = f'i=0; while [ $i -lt 20000 ]; do echo "many{{i=\\"$i\\"}} $i"; i=$((i+1)); done >{own}'
    arguments = ("--job", "many", "--textfile", str(textfile), "--metrics-from", str(own))
    ended = run("run", *arguments, "--", "sh", "-c", script)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert number(textfile.read_text(), "many", i="19999") == 19999


def test_an_own_label_of_an_output_is_left_alone(tmp_path: Path) -> None:
    """It would replace the key's, or be replaced by it."""
    own = tmp_path / "own"
    with ScriptedServer(answer(200), answer(200), answer(200)) as server:
        ended = run(
            "run", "--job", "key", "--gateway", server.url, "--grouping", "site=a", "--metrics-from", str(own),
            "--", "sh", "-c", f"""printf 'good 1\\nworse{{site="b"}} 2\\n' >{own}""",
        )  # fmt: skip
    assert ended.returncode == 0
    assert "label site" in ended.stderr
    assert b'good{job_name="key"} 1' in server.bodies[-1]
    assert b"worse" not in server.bodies[-1]


def test_on_a_terminal_the_command_is_in_the_foreground() -> None:
    """It reads what is typed, and Ctrl-C reaches it."""
    process, terminal = pty.fork()
    if process == 0:
        script = "trap 'echo stopped; exit 5' INT; read line; echo \"got $line\"; while :; do sleep 0.01; done"
        os.execve(COMMAND[0], [*COMMAND, "run", "--job", "tty", "--", "sh", "-c", script], environment())
    try:
        os.write(terminal, b"typed\n")
        seen = b""
        while b"got typed" not in seen:
            seen += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        while b"stopped" not in seen:
            seen += os.read(terminal, 1000)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 5
    finally:
        os.close(terminal)


def test_the_crontab_line_of_the_readme_works_as_pasted(tmp_path: Path) -> None:
    """As cron reads it: five fields of time, the user, then what the shell is given; no %."""
    (line,) = re.findall(
        r"^(\S+ \S+ \S+ \S+ \S+ root /.* run .*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE
    )
    assert "%" not in line
    command = line.split(" ", 6)[6]
    for path, here in (
        ("/usr/bin/fexp", shlex.join(COMMAND)), ("/var/lib/prometheus/node-exporter", str(tmp_path)),
        ("/var/backups", str(tmp_path)), (" /etc", f" {tmp_path / 'etc'}"),
    ):  # fmt: skip
        assert path in command
        command = command.replace(path, here)
    (tmp_path / "etc").mkdir()
    ended = subprocess.run(
        ["sh", "-c", command], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert "fexp" not in ended.stderr
    assert (tmp_path / "etc.tgz").exists()
    assert number((tmp_path / "backup.prom").read_text(), "fexp_job_exit_code", job_name="backup") == 0
