"""A systemd of its own, as PID 1 of its own namespaces and on its own root, that runs the shipped units as they are.

Its root is this host's with every change kept in memory: nothing that a unit or systemd itself does (it empties /tmp
when it starts, for one) reaches the host. Its network is a loopback interface that nobody else sees.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.new_root import DEVICES, ENTER

from .contract import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEMD = Path("/lib/systemd/systemd")
NAMESPACES = ["--mount", "--pid", "--net", "--uts", "--ipc"]
CGROUP = f"fexp-units-{os.getpid()}"

# What systemd expects of a container: https://systemd.io/CONTAINER_INTERFACE/. A cgroup2 without controllers serves
# it everywhere, also where the host's controllers belong to version 1.
BOOT = f"""
set -eu
mount -t cgroup2 cgroup2 cgroup
mkdir "cgroup/$CGROUP"
echo 0 >"cgroup/$CGROUP/cgroup.procs"
umount cgroup
exec unshare --cgroup sh -euc '
mount -t tmpfs -o mode=755 tmpfs memory
mkdir memory/upper memory/work memory/root
mount -t overlay -o lowerdir=/,upperdir=memory/upper,workdir=memory/work overlay memory/root
cd memory/root
mkdir -p opt/fexp/python opt/fexp/src
mount --bind -o ro "$PYTHON_PREFIX" opt/fexp/python
mount --bind -o ro "$SOURCE" opt/fexp/src
rm -rf etc/systemd/system/timers.target.wants usr/lib/systemd/system/timers.target.wants
while [ "$PYTHON_BASE" != / ]; do
    chmod a+x ".$PYTHON_BASE"
    PYTHON_BASE=$(dirname "$PYTHON_BASE")
done
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
{DEVICES}
touch run/console dev/console
mount --bind run/console dev/console
printf "[Unit]\\nDefaultDependencies=no\\n" >run/nothing.target
mkdir -p run/systemd/system
mv run/nothing.target run/systemd/system/
{ENTER}
cd /
exec setpriv --bounding-set=-sys_boot,-sys_module,-sys_rawio,-sys_time env -i container=fexp LC_ALL=C.UTF-8 \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin "$SYSTEMD" --unit=nothing.target --log-target=journal-or-kmsg --show-status=no
'
"""
PYTHON = "/opt/fexp/python/bin/python"
FEXP = f"""#!{PYTHON}
import sys

sys.path.insert(0, "/opt/fexp/src")
from fexp.cli import main

main()
"""
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class Machine:
    """A running systemd and a shell on it."""

    def __init__(self, init_pid: int) -> None:
        self._enter = ["nsenter", f"--target={init_pid}", *NAMESPACES, "--cgroup", "--root", "--wd"]

    def command(self, *words: str) -> list[str]:
        """The command line that runs these words there."""
        return [*self._enter, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command there, whatever comes of it."""
        return subprocess.run(
            self.command(*words), env=ENVIRON, capture_output=True, text=True, timeout=60, check=False
        )

    def output(self, *words: str) -> str:
        """Run a command there that must succeed, and give what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}{self.log()}"
        return done.stdout.removesuffix("\n")

    def shell(self, script: str) -> str:
        """Run a script there."""
        return self.output("sh", "-euc", script)

    def write(self, path: str, content: str) -> None:
        """Write a file there."""
        self.shell(
            f"mkdir -p {shlex.quote(os.path.dirname(path))}; printf %s {shlex.quote(content)} >{shlex.quote(path)}"
        )

    def property(self, unit: str, name: str) -> str:
        """One property of a unit, as ``systemctl show`` prints it."""
        return self.output("systemctl", "show", "--value", f"--property={name}", unit)

    def python(self, script: str) -> str:
        """What a script of the standard library prints there."""
        return self.output(PYTHON, "-c", script)

    def get(self, url: str) -> str:
        """Body of what an address there answers."""
        return self.python(f"from urllib.request import urlopen; print(urlopen({url!r}, timeout=10).read().decode())")

    def log(self) -> str:
        """The end of what the units wrote."""
        return self.run("journalctl", "--no-pager", "--boot", "--lines=40", "--unit=fexp*").stdout


def _unavailable() -> str:
    """Return why there can be no such machine here; empty when there can."""
    if os.geteuid() != 0:
        return "it takes root"
    missing = [tool for tool in ("unshare", "nsenter", "setpriv", str(SYSTEMD)) if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


@contextmanager
def running_machine(directory: Path) -> Iterator[Machine]:
    """Start a systemd with the shipped files installed, or skip where that is not possible."""
    reason = _unavailable()
    if reason:
        pytest.skip(f"NO SYSTEMD OF ITS OWN HERE ({reason}): the units are not run")
    for name in ("cgroup", "memory"):
        (directory / name).mkdir()
    log_path = directory / "boot.log"
    environ = {
        **os.environ,
        "CGROUP": CGROUP,
        "PYTHON_BASE": os.path.realpath(sys.base_prefix),  # a symlink would lead out of the new root
        "PYTHON_PREFIX": sys.prefix,
        "SOURCE": str(REPOSITORY / "src"),
        "SYSTEMD": str(SYSTEMD),
    }
    # Whoever kills the tests ends it too, and all that it has started.
    until_we_end = ["setpriv", "--pdeathsig=KILL"]
    boot = [*until_we_end, "unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation=private", "sh", "-c", BOOT]
    with log_path.open("wb") as log:
        process = subprocess.Popen(boot, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        machine = _booted(process, log_path)
        _install(machine)
        yield machine
    finally:
        process.kill()
        process.wait(10)
        _remove_cgroup(directory)


def _booted(process: subprocess.Popen[bytes], log_path: Path) -> Machine:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(200):
        if process.poll() is not None:
            break
        for child in children.read_text().split():
            machine = Machine(int(child))
            if machine.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return machine
        threading.Event().wait(0.05)
    pytest.skip(f"NO SYSTEMD OF ITS OWN HERE ({log_path.read_text()[-300:]}): the units are not run")


def _install(machine: Machine) -> None:
    """Do what fexp.service says at its top."""
    units = REPOSITORY / "systemd"
    for path in units.glob("fexp*.*"):
        if path.is_file() and path.suffix in {".service", ".socket", ".timer"}:
            machine.write(f"/etc/systemd/system/{path.name}", path.read_text("utf-8"))
    machine.write("/etc/sysusers.d/fexp.conf", (units / "fexp.sysusers").read_text("utf-8"))
    machine.write("/etc/tmpfiles.d/fexp.conf", (units / "fexp.tmpfiles").read_text("utf-8"))
    machine.write("/etc/default/fexp", (units / "fexp.default").read_text("utf-8"))
    machine.write("/usr/bin/fexp", FEXP)
    machine.shell("""
        chmod 755 /usr/bin/fexp
        systemd-sysusers
        mkdir -p /var/lib/prometheus/node-exporter
        systemd-tmpfiles --create /etc/tmpfiles.d/fexp.conf
        systemctl daemon-reload
        systemctl start basic.target
    """)
    version = machine.run("setpriv", "--reuid=fexp", "--regid=fexp", "--clear-groups", "sh", "-c", "fexp --version")
    if version.returncode:
        pytest.skip(f"USER fexp CANNOT RUN THIS PYTHON ({version.stderr.strip()}): the units are not run")


def _remove_cgroup(directory: Path) -> None:
    """Its processes are gone; its groups are removed from the leaves on."""
    remove = 'mount -t cgroup2 cgroup2 cgroup && find "cgroup/$CGROUP" -depth -type d -exec rmdir {} +'

    for _ in range(100):
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", remove],
            cwd=directory,
            env={**os.environ, "CGROUP": CGROUP},
            capture_output=True,
            text=True,
            check=False,
        )
        if "busy" not in done.stderr:
            return  # removed, or it never came about
        threading.Event().wait(0.05)
