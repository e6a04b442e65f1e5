"""The README's commands, as they stand, on a fresh Debian 13.

Its root is made by debootstrap and has mounts and processes of its own, so that it is a machine and no chroot. The
network is this host's; so is the way to the package indexes, which is read from this host's own configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from tests.everywhere.checkout import REPOSITORY, copy_checkout
from tests.new_root import DEVICES, ENTER

SUITE = "trixie"
CHECKOUT = "/root/fexp"
# The last line makes the words after it the machine's first process.
BOOT = f"""
set -eu
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
{DEVICES}
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
{ENTER}
cd "$CHECKOUT"
exec "$@"
"""
PIP_FILES = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
KEPT_VARIABLES = re.compile(r"PIP_\w+|(https?|no|all|ftp)_proxy|SSL_CERT_\w+|REQUESTS_CA_BUNDLE", re.IGNORECASE)


def unavailable() -> str:
    """Return why there can be no such machine here; empty if there can."""
    if os.geteuid() != 0:
        return "it takes root"
    missing = [tool for tool in ("debootstrap", "unshare", "setpriv") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return done.stderr.strip()


class Machine:
    """A root directory, and what runs on it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environ = {
            **{name: value for name, value in os.environ.items() if KEPT_VARIABLES.fullmatch(name)},
            "CHECKOUT": CHECKOUT,
            "CI": "true",
            "DEBIAN_FRONTEND": "noninteractive",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a shell command in the checkout, on a machine that ends with it."""
        until_we_end = ["setpriv", "--pdeathsig=KILL"]
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation=private"]
        words = [*until_we_end, "unshare", *namespaces, "sh", "-c", BOOT, str(self._root), "sh", "-c", command]
        return subprocess.Popen(
            words,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self) -> None:
        """Make the root and put this checkout on it."""
        options = ["--variant=minbase", "--include=ca-certificates"]
        command = ["unshare", "--mount", "debootstrap", *options, SUITE, str(self._root), *debian_mirror()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (self._root / "etc/apt/apt.conf.d/99host").write_text(host_apt_settings())
        (self._root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
        for name in NETWORK_FILES:
            _copy(Path(name), self._root / name[1:])
        for name in PIP_FILES:
            _copy(Path(name).expanduser(), self._root / name.replace("~", "root").lstrip("/"))
        copy_checkout(self._root / CHECKOUT[1:])


def debian_mirror() -> list[str]:
    """Return the mirror that this host's apt takes Debian from; without one, debootstrap has its own default."""
    asked = [
        "apt-get",
        "indextargets",
        "--format=$(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
        "Label: Debian",
    ]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return found[:1]


def host_apt_settings() -> str:
    """Return how this host's apt reaches its mirrors, proxies and all; and that nobody is there to answer it."""
    dumped = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
    kept = [line for line in dumped.splitlines() if "::" in line and "::IndexTargets" not in line]
    return "\n".join([*kept, 'APT::Get::Assume-Yes "true";', ""])


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def readme_commands() -> tuple[str, str, str]:
    """Return what the README installs on a bare Debian, and its first two commands."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    install = re.search(r"`(apt install [^`]+)`", text)
    assert install is not None, "the README no longer says what a bare Debian lacks"
    first, second = re.findall(r"^\$ (.+)$", text, re.MULTILINE)[:2]
    return install[1], first, second


def run(root: Path, log: TextIO) -> str:
    """Run the README's commands on a machine made in that directory; return what failed, or an empty string."""
    install, first, second = readme_commands()
    machine = Machine(root)
    machine.install()
    for command in (f"apt-get -qq update && {install}", first, second):
        print(f"$ {command}", file=log, flush=True)
        process = machine.start(command)
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=log, flush=True)
            if command == first and 'msg="ready:' in line:
                os.kill(_foreground(process.pid), signal.SIGINT)  # as Ctrl-C does
        if process.wait():
            return f"exit status {process.returncode} of {command}"
    return ""


def _foreground(process_id: int) -> int:
    """Return the process that the shells before it wait for."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return _foreground(int(children[-1])) if children else process_id


def main() -> int:
    """Run them, and print what they print."""
    reason = unavailable()
    if reason:
        print(f"NO FRESH DEBIAN HERE: {reason}", file=sys.stderr)
        return 2
    scratch = Path(tempfile.mkdtemp(prefix="fexp-debian-", dir="/var/tmp"))
    try:
        failure = run(scratch / "debian", sys.stdout)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(failure or "All of the README's commands did what they should.")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
