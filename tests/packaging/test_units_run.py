"""The shipped units, unchanged, under a real systemd: what it says of fexp, and what fexp sees from inside of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.servers import poll, program

from .contract import REPOSITORY
from .machine import ENVIRON, PYTHON, Machine, running_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://127.0.0.1:9877"
TEXTFILES = "/var/lib/prometheus/node-exporter"
DROP_IN = "fexp.service.d/read-everything.conf"


@pytest.fixture(scope="module")
def shared_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.shell("mkdir -p /srv/incoming; cd /srv/incoming; touch a.txt b.txt c.txt other.csv")
        yield machine


@pytest.fixture
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """The machine with nothing of fexp running, and afterwards again with the shipped files alone."""
    defaults = (REPOSITORY / "systemd" / "fexp.default").read_text("utf-8")
    yield shared_machine
    shared_machine.shell(
        f"systemctl stop 'fexp*'; systemctl reset-failed; rm -rf /etc/systemd/system/fexp*.d; rm -f {TEXTFILES}/*"
    )
    shared_machine.write("/etc/default/fexp", defaults)
    shared_machine.shell("systemctl daemon-reload")


def set_arguments(machine: Machine, arguments: str) -> None:
    machine.write("/etc/default/fexp", f'ARGS="{arguments}"\n')


def drop_in(machine: Machine, *directives: str) -> None:
    """What `systemctl edit` would write."""
    machine.write("/etc/systemd/system/fexp.service.d/override.conf", "\n".join(("[Service]", *directives, "")))
    machine.shell("systemctl daemon-reload")


def main_pid(machine: Machine) -> str:
    return machine.property("fexp", "MainPID")


def sample(metrics: str, series: str) -> float:
    """Value of the first series that begins so."""
    for line in metrics.splitlines():
        if line.startswith(series):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"{series} is not in:\n{metrics}")


def restarted(machine: Machine, pid_before: str) -> None:
    """Wait until systemd has started another fexp in place of this one."""
    poll(lambda: main_pid(machine) not in {pid_before, "0"} and machine.property("fexp", "ActiveState") == "active")


def test_started_means_counted(machine: Machine) -> None:
    """Mistake 23b: no waiting here: where systemd says started, the first look is done and the port answers."""
    machine.shell("systemctl start fexp")
    assert sample(machine.get(URL + "/metrics"), "fexp_files{") == 3
    assert machine.property("fexp", "StatusText") == "3 files in 1 of 1 folders"
    machine.shell("touch /srv/incoming/d.txt")
    poll(lambda: sample(machine.get(URL + "/metrics"), "fexp_files{") == 4)
    machine.shell("rm /srv/incoming/d.txt")


def test_reload_looks_again_and_keeps_the_process(machine: Machine) -> None:
    machine.shell("systemctl start fexp")
    pid = main_pid(machine)
    machine.shell("systemctl reload fexp")
    poll(lambda: 'reason="reload"} 1.0' in machine.get(URL + "/metrics"))
    poll(lambda: machine.property("fexp", "ActiveState") == "active")
    assert main_pid(machine) == pid


def test_stop_is_clean(machine: Machine) -> None:
    machine.shell("systemctl start fexp")
    machine.shell("systemctl stop fexp")
    shown = [machine.property("fexp", name) for name in ("ActiveState", "Result", "ExecMainStatus", "NRestarts")]
    assert shown == ["inactive", "success", "0", "0"]


def test_a_killed_fexp_is_started_again(machine: Machine) -> None:
    drop_in(machine, "RestartSec=100ms")
    machine.shell("systemctl start fexp")
    pid = main_pid(machine)
    machine.shell(f"kill -KILL {pid}")
    restarted(machine, pid)
    assert sample(machine.get(URL + "/metrics"), "fexp_files{") == 3


def test_a_hung_fexp_is_ended_and_started_again(machine: Machine) -> None:
    """Mistake 23c."""
    drop_in(machine, "RestartSec=100ms", "WatchdogSec=1s")
    machine.shell("systemctl start fexp")
    pid = main_pid(machine)
    machine.shell(f"kill -STOP {pid}")
    restarted(machine, pid)
    assert "Watchdog timeout" in machine.log()


def test_wrong_arguments_are_not_tried_again(machine: Machine) -> None:
    drop_in(machine, "RestartSec=100ms")
    set_arguments(machine, "/srv/incoming --ext txt --rescan never")
    assert machine.run("systemctl", "start", "fexp").returncode != 0
    shown = [machine.property("fexp", name) for name in ("ActiveState", "Result", "ExecMainStatus", "NRestarts")]
    assert shown == ["failed", "exit-code", "2", "0"]
    assert "--rescan" in machine.log()


def test_what_the_comments_say_is_measured(machine: Machine) -> None:
    """Mistake 23a: /home and /dev/shm are seen; /tmp is the unit's own, so a folder there is not."""
    folders = ("/home/drop", "/tmp/drop", "/dev/shm/drop")
    for folder in folders:
        machine.shell(f"mkdir {folder}; touch {folder}/a.txt")
    set_arguments(machine, " ".join(folders))
    machine.shell("systemctl start fexp")
    metrics = machine.get(URL + "/metrics")
    assert [sample(metrics, f'fexp_folder_up{{folder="{folder}"') for folder in folders] == [1, 0, 1]
    machine.shell("rm -r " + " ".join(folders))


def test_the_drop_in_reads_everything(machine: Machine) -> None:
    machine.shell("mkdir -p -m 700 /srv/private; touch /srv/private/a.txt")
    set_arguments(machine, "/srv/private")
    machine.shell("systemctl start fexp")
    assert sample(machine.get(URL + "/metrics"), "fexp_folder_up{") == 0
    machine.write(f"/etc/systemd/system/{DROP_IN}", (REPOSITORY / "systemd" / DROP_IN).read_text("utf-8"))
    machine.shell("systemctl daemon-reload; systemctl restart fexp")
    assert sample(machine.get(URL + "/metrics"), "fexp_files{") == 1


def test_a_stop_deletes_nothing_of_the_user(machine: Machine) -> None:
    machine.shell("mkdir /dev/shm/drop; touch /dev/shm/drop/a.txt; chown -R root:fexp /dev/shm/drop")
    for unit in ("fexp", "fexp-textfile"):
        machine.shell(f"systemctl start {unit}; systemctl stop {unit}")
    machine.shell("systemctl start fexp-write")
    assert machine.shell("ls /dev/shm/drop") == "a.txt"
    machine.shell("rm -r /dev/shm/drop")


def test_no_scrape_is_refused_while_it_restarts_behind_its_socket(machine: Machine) -> None:
    set_arguments(machine, "/srv/incoming --ext txt --listen systemd")
    machine.shell("systemctl start fexp.socket fexp")
    scraper = machine.command(PYTHON, "-c", f"""
import sys, threading
from urllib.request import urlopen
asked = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), asked.set()), daemon=True).start()
scrapes = 0
while not asked.is_set():
    assert b"fexp_build_info" in urlopen("{URL}/metrics", timeout=20).read()
    scrapes += 1
    print(scrapes, flush=True)
""")  # fmt: skip
    with subprocess.Popen(
        scraper, env=ENVIRON, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        for _ in range(3):
            machine.shell("systemctl restart fexp")
        rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    assert len(rest.splitlines()) > 3


def test_the_textfile_daemon_writes_and_cleans_up(machine: Machine) -> None:
    machine.shell("systemctl start fexp-textfile")
    path = f"{TEXTFILES}/fexp.prom"
    poll(lambda: machine.run("test", "-e", path).returncode == 0)
    assert sample(machine.shell(f"cat {path}"), "fexp_files{") == 3
    assert machine.shell(f"stat -c '%a %U' {path}") == "644 fexp"
    machine.shell("systemctl stop fexp-textfile")
    assert machine.shell(f"ls -A {TEXTFILES}") == ""


def test_the_two_daemons_do_not_run_beside_each_other(machine: Machine) -> None:
    machine.shell("systemctl start fexp; systemctl start fexp-textfile")
    assert machine.property("fexp", "ActiveState") == "inactive"


def test_the_write_that_a_timer_starts(machine: Machine) -> None:
    machine.shell("systemctl start fexp-write")
    assert machine.property("fexp-write", "Result") == "success"
    assert sample(machine.shell(f"cat {TEXTFILES}/fexp-incoming.prom"), "fexp_files{") == 3


def test_the_push_that_a_timer_starts(machine: Machine) -> None:
    failed = machine.run("systemctl", "start", "fexp-push")
    assert failed.returncode != 0
    assert "127.0.0.1:9091" in machine.log()
    gateway = f"{program('prometheus-pushgateway')} --web.listen-address=127.0.0.1:9091 --persistence.file="
    machine.write("/etc/systemd/system/gateway.service", f"[Service]\nExecStart={gateway}\n")
    machine.shell("systemctl daemon-reload; systemctl start gateway")
    poll(lambda: machine.run("systemctl", "start", "fexp-push").returncode == 0)
    pushed = machine.get("http://127.0.0.1:9091/metrics")
    assert sample(pushed, "fexp_files{") == 3
    machine.shell("systemctl stop gateway")


def test_a_push_that_hangs_ends_with_a_line_of_its_own(machine: Machine) -> None:
    """By its deadline, for which PUSH_ARGS has the last word; a secret on a dead mount hangs like this FIFO."""
    machine.shell("mkfifo -m 644 /srv/token")
    options = "--gateway http://127.0.0.1:9091 --gateway-token-file /srv/token --deadline 300ms"
    machine.write("/etc/default/fexp", f'PUSH_ARGS="/srv/incoming {options}"\n')
    assert machine.run("systemctl", "start", "fexp-push").returncode != 0
    assert machine.property("fexp-push", "Result") == "exit-code"
    assert "not done after 0.3 s" in machine.log()
    machine.shell("rm /srv/token")


def test_the_timers_come_round(machine: Machine) -> None:
    machine.shell("systemctl start fexp-push.timer fexp-write.timer")
    for timer in ("fexp-push.timer", "fexp-write.timer"):
        assert machine.property(timer, "ActiveState") == "active"
        assert machine.property(timer, "NextElapseUSecRealtime")
