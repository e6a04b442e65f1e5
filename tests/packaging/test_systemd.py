"""The units are what systemd itself takes for clean and safe, and the pieces beside them do what they say."""

import os
import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from fexp.config.values import parse_duration
from tests.servers import program

from .contract import REPOSITORY, VARIABLES, assert_valid

UNITS = REPOSITORY / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
ONE_SHOTS = sorted(path.with_suffix(".service").name for path in UNITS.glob("*.timer"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
DROP_IN = Path("fexp.service.d", "read-everything.conf")
TEXTFILE_DIRECTORY = "/var/lib/prometheus/node-exporter"

EXPOSURE_MAX = {
    "fexp.service": 1.7,
    "fexp-push.service": 1.7,
    "fexp-textfile.service": 0.5,
    "fexp-write.service": 0.5,
}
CHANGES_WHAT_IS_MEASURED = (
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "PrivateDevices",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectHome",
    "ProtectHostname",
    "ProtectProc",
    "ProtectSystem",
)


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_LOG_TARGET": "console"}
    return subprocess.run([program(name), *arguments], env=environ, capture_output=True, text=True, check=False)


def unit(name: str | Path) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit file; a directive may be given several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            directive, value = line.split("=", 1)
            section.setdefault(directive, []).append(value)
    return sections


def command_line(service: str) -> tuple[str, str, list[str], str]:
    """Program, command of fexp, the options that the unit gives it, and the variable that holds the rest."""
    (line,) = unit(service)["Service"]["ExecStart"]
    program, command, *options, variable = line.split()
    return program, command, options, variable.removeprefix("$")


def span_seconds(text: str) -> float:
    """A time span, read by systemd itself."""
    done = run("systemd-analyze", "timespan", text)
    found = re.search(r"^\s*.s: (\d+)$", done.stdout, re.MULTILINE)
    assert found, done.stderr
    return int(found[1]) / 1e6


def assignments(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE):
        values.setdefault(name, []).append(value)
    return values


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are but for ExecStart: verify wants a program that exists, /usr/bin/fexp may not.

    Without the drop-in, which systemd's tools would apply because of its place.
    """
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.timer"), *UNITS.glob("*.socket")):
        content = path.read_text(encoding="utf-8").replace("ExecStart=/usr/bin/fexp", "ExecStart=/bin/true")
        (tmp_path / path.name).write_text(content, encoding="utf-8")
    return tmp_path


def exposure(path: Path) -> float:
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


def test_verify_has_nothing_to_say(installed: Path) -> None:
    done = run("systemd-analyze", "verify", *sorted(installed.iterdir()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verify_takes_the_drop_in(installed: Path) -> None:
    (installed / DROP_IN.parent).mkdir()
    shutil.copy(UNITS / DROP_IN, installed / DROP_IN)
    done = run("systemd-analyze", "verify", installed / "fexp.service")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verify_would_say_something(installed: Path) -> None:
    with (installed / "fexp.service").open("a", encoding="utf-8") as file:
        file.write("[Service]\nProtectHoem=yes\n")
    assert "ProtectHoem" in run("systemd-analyze", "verify", installed / "fexp.service").stderr


@pytest.mark.parametrize("service", SERVICES)
def test_exposure(service: str, installed: Path) -> None:
    assert exposure(installed / service) <= EXPOSURE_MAX[service]


def test_exposure_when_everything_can_be_read(installed: Path) -> None:
    (installed / DROP_IN.parent).mkdir()
    shutil.copy(UNITS / DROP_IN, installed / DROP_IN)
    assert exposure(installed / "fexp.service") <= 2.0


@pytest.mark.parametrize("service", SERVICES)
def test_each_directive_that_changes_what_is_measured_says_so(service: str) -> None:
    """Mistake 23a."""
    told: dict[str, str] = {}
    content = (UNITS / service).read_text(encoding="utf-8")
    for comment, directives in re.findall(r"((?:^#.*\n)+)((?:^\w+=.*\n)+)", content, re.MULTILINE):
        told.update(dict.fromkeys(re.findall(r"^\w+", directives, re.MULTILINE), comment))
    for directive in CHANGES_WHAT_IS_MEASURED:
        assert told[directive].startswith("# Measures: "), directive


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_as_its_own_user_and_reads_the_defaults(service: str) -> None:
    section = unit(service)["Service"]
    assert section["User"] == section["Group"] == ["fexp"]
    assert section["EnvironmentFile"] == ["/etc/default/fexp"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_default_arguments_of_a_service_are_valid(service: str) -> None:
    program, command, options, variable = command_line(service)
    assert program == "/usr/bin/fexp"
    values = assignments((UNITS / "fexp.default").read_text(encoding="utf-8"))[variable]
    for value in values:
        (text,) = shlex.split(value)
        assert_valid(command, [*options, *shlex.split(text)])


@pytest.mark.parametrize("service", ONE_SHOTS)
def test_a_one_shot_that_hangs_ends_by_itself_before_systemd_or_the_next_run_ends_it(service: str) -> None:
    """Its own line says what hung; systemd's SIGTERM says nothing."""
    options = command_line(service)[2]
    deadline_seconds = parse_duration("--deadline", options[options.index("--deadline") + 1])
    (timeout,) = unit(service)["Service"]["TimeoutStartSec"]
    (calendar,) = unit(service.replace(".service", ".timer"))["Timer"]["OnCalendar"]
    runs = run("systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-01-01 00:00:30 UTC", calendar)
    first, second = re.findall(r"(\d\d):(\d\d):(\d\d) UTC$", runs.stdout, re.MULTILINE)[-2:]
    interval_seconds = sum(60**power * (int(b) - int(a)) for power, a, b in zip((2, 1, 0), first, second, strict=True))
    assert deadline_seconds < span_seconds(timeout) < interval_seconds


@pytest.mark.parametrize("service", ["fexp.service", "fexp-textfile.service"])
def test_a_daemon_is_supervised(service: str) -> None:
    section = unit(service)["Service"]
    assert section["Type"] == ["notify"]
    assert section["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert section["Restart"] == ["on-failure"]
    assert section["RestartPreventExitStatus"] == ["2"]
    assert {"WatchdogSec", "TimeoutStartSec", "TimeoutStopSec"} <= section.keys()
    assert "AF_UNIX" in section["RestrictAddressFamilies"][0], "sd_notify needs it"


@pytest.mark.parametrize("service", ["fexp-textfile.service", "fexp-write.service"])
def test_a_textfile_needs_no_network(service: str) -> None:
    assert unit(service)["Service"]["PrivateNetwork"] == ["yes"]


@pytest.mark.parametrize("service", ["fexp.service", "fexp-textfile.service", "fexp-write.service"])
def test_a_service_may_write_where_its_textfile_goes(service: str) -> None:
    section = unit(service)["Service"]
    assert section["ProtectSystem"] == ["strict"]
    assert section["ReadWritePaths"] == [f"-{TEXTFILE_DIRECTORY}"]
    variable = command_line(service)[3]
    for value in assignments((UNITS / "fexp.default").read_text(encoding="utf-8"))[variable]:
        words = shlex.split(shlex.split(value)[0])
        if "--textfile" in words:
            assert os.path.dirname(words[words.index("--textfile") + 1]) == TEXTFILE_DIRECTORY


@pytest.mark.parametrize("timer", TIMERS)
def test_a_timer_starts_a_one_shot_on_time_and_not_everywhere_at_once(timer: str) -> None:
    assert unit(timer.replace(".timer", ".service"))["Service"]["Type"] == ["oneshot"]
    section = unit(timer)["Timer"]
    assert section["AccuracySec"] == ["1s"]
    assert section["RandomizedDelaySec"]
    assert section["FixedRandomDelay"] == ["yes"]
    done = run("systemd-analyze", "calendar", *section["OnCalendar"])
    assert done.returncode == 0, done.stderr


def test_the_socket_is_a_loopback_one() -> None:
    assert unit("fexp.socket")["Socket"]["ListenStream"] == ["127.0.0.1:9877"]


def test_the_defaults_hold_variables_of_fexp_and_the_arguments_of_the_services() -> None:
    names = set(assignments((UNITS / "fexp.default").read_text(encoding="utf-8")))
    arguments = {command_line(service)[3] for service in SERVICES}
    assert arguments <= names
    assert names - arguments <= VARIABLES
    assert all(name.startswith("FEXP_") for name in names - arguments)


@pytest.mark.parametrize("service", SERVICES)
def test_unset_variables_are_fexps(service: str) -> None:
    for names in unit(service)["Service"].get("UnsetEnvironment", []):
        assert set(names.split()) <= VARIABLES


def test_sysusers_and_tmpfiles_on_debians_layout(tmp_path: Path) -> None:
    """Run the real tools on a root of its own, in which the parent belongs to prometheus as on Debian."""
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    root = tmp_path / "root"
    directory = root / TEXTFILE_DIRECTORY.lstrip("/")
    (root / "etc").mkdir(parents=True)
    directory.mkdir(parents=True, mode=0o755)
    os.chown(directory.parent, 12345, 12345)

    made = run("systemd-sysusers", f"--root={root}", UNITS / "fexp.sysusers")
    assert made.returncode == 0, made.stderr
    user = re.search(r"^fexp:x:(\d+):(\d+):[^:]*:[^:]*:(.*)$", (root / "etc/passwd").read_text("utf-8"), re.MULTILINE)
    assert user
    assert 0 < int(user[1]) < 1000
    assert user[3] == "/usr/sbin/nologin"

    created = run("systemd-tmpfiles", f"--root={root}", "--create", UNITS / "fexp.tmpfiles")
    assert (created.returncode, created.stderr) == (0, "")
    status = directory.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, int(user[2]), 0o1775)


def test_sysctl_names_limits_that_the_kernel_has_and_never_lowers_its_defaults() -> None:
    config = ConfigParser(delimiters=["="], comment_prefixes=["#"])
    config.read_string("[sysctl]\n" + (UNITS / "fexp.sysctl").read_text(encoding="utf-8"))
    limits = {name: int(value) for name, value in config["sysctl"].items()}
    kernel_defaults_max = {
        "fs.inotify.max_user_watches": 1_048_576,
        "fs.inotify.max_user_instances": 128,
        "fs.inotify.max_queued_events": 16_384,
    }
    assert limits.keys() == kernel_defaults_max.keys()
    for name, value in limits.items():
        assert value >= kernel_defaults_max[name]
        assert Path("/proc/sys", *name.split(".")).exists()


@pytest.mark.parametrize("path", [*UNITS.glob("fexp*"), UNITS / DROP_IN], ids=lambda path: path.name)
def test_a_file_says_at_its_top_what_it_is_for(path: Path) -> None:
    if path.is_file():
        content = path.read_text(encoding="utf-8")
        assert content.startswith("# ")
        assert content.endswith("\n")


@pytest.mark.parametrize("service", SERVICES)
def test_no_unit_deletes_what_has_fexps_group(service: str) -> None:
    """systemd's RemoveIPC= takes all in /dev/shm for shared memory that has the unit's user or group."""
    assert "RemoveIPC" not in unit(service)["Service"]
