"""Virtual environments of other Pythons, other versions of the dependencies and other users."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from tests.everywhere.checkout import REPOSITORY, copy_checkout

OLDEST_PYTHON = (3, 11)
EDGES = ["tests/http", "tests/outputs", "tests/end_to_end", "tests/test_daemon.py"]
NOBODY = 65534
_WHICH = "import os, sys; print(*sys.version_info[:3], os.path.realpath(sys.executable))"


class InstallError(Exception):
    """What an environment needs could not be installed."""


@dataclass(frozen=True)
class Python:
    """An interpreter that is installed here."""

    version: tuple[int, ...]
    path: Path

    def __str__(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} ({self.path})"

    @property
    def for_everybody(self) -> bool:
        """Whether an ordinary user may run it."""
        return all(directory.stat().st_mode & 0o001 for directory in self.path.parents)


def pythons() -> list[Python]:
    """Return every Python that fexp supports and that is found here, the running one first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    directories = [*map(Path, os.get_exec_path()), Path("/usr/bin"), *sorted(pyenv.glob("versions/*/bin"))]
    named = [path for directory in directories for path in sorted(directory.glob("python3.*"))]
    candidates = [Path(sys.executable), *(path for path in named if re.fullmatch(r"python3\.\d+t?", path.name))]
    found: dict[Path, Python] = {}
    for candidate in candidates:
        asked = subprocess.run([candidate, "-c", _WHICH], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            *version, path = asked.stdout.split(maxsplit=3)
            python = Python(tuple(map(int, version)), Path(path.strip()))
            if python.version >= OLDEST_PYTHON:
                found.setdefault(python.path, python)
    return list(found.values())


@dataclass(frozen=True)
class Environment:
    """Where the edges are tested once more."""

    python: Python
    lowest: bool = False
    """With the lowest versions of the dependencies that pyproject.toml allows; else with the newest."""
    ordinary_user: bool = False

    def __str__(self) -> str:
        dependencies = "lowest dependencies" if self.lowest else "newest dependencies"
        return f"{self.python}, {dependencies}{', as an ordinary user' if self.ordinary_user else ''}"


def environments() -> list[Environment]:
    """Return what this machine has beside the default: the whole suite runs there."""
    default, *others = pythons()
    may_switch_user = os.geteuid() == 0 and shutil.which("setpriv") is not None
    everybodys = next((python for python in [*others, default] if may_switch_user and python.for_everybody), None)
    rows = [Environment(default, lowest=True)]
    rows += [Environment(python, ordinary_user=python == everybodys) for python in others]
    if everybodys == default:
        rows.append(Environment(default, ordinary_user=True))
    return rows


def build_wheel(directory: Path) -> Path:
    """Build fexp's wheel and return its path."""
    _pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(REPOSITORY))
    (wheel,) = directory.glob("*.whl")
    return wheel


def test_edges(environment: Environment, directory: Path, wheel: Path, log: TextIO) -> int:
    """Install what an environment needs into a directory, test the edges there, and return pytest's exit status."""
    copy_checkout(directory / "checkout")
    _install(environment, directory / "venv", wheel)
    command = [str(directory / "venv/bin/python"), "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow", *EDGES]
    environ = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(directory / "hypothesis")}
    if environment.ordinary_user:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(directory)], check=True)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        environ["HOME"] = str(directory)
    done = subprocess.run(command, cwd=directory / "checkout", env=environ, stdout=log, stderr=log, check=False)
    return done.returncode


def _install(environment: Environment, venv: Path, wheel: Path) -> None:
    subprocess.run([environment.python.path, "-m", "venv", "--without-pip", venv], check=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    extras = chain.from_iterable(project["project"]["optional-dependencies"].values())
    wanted = [*extras, *project["dependency-groups"]["test"]]
    if environment.lowest:
        wanted = [lowest(line) for line in [*wanted, *project["project"]["dependencies"]]]
    _pip("--python", str(venv / "bin/python"), "install", "--no-compile", str(wheel), *wanted)


def lowest(requirement: str) -> str:
    """Return a requirement that only the lowest version meets."""
    bound = re.fullmatch(r"([\w-]+)>=([\d.]+)(,<[\d.]+)?", requirement)
    assert bound is not None, f"{requirement}: has no lower bound"
    return f"{bound[1]}=={bound[2]}"


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise InstallError(f"pip {' '.join(arguments)}: {last_line}")
