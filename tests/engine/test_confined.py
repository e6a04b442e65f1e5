"""Few watches, mounts, missing permissions: what needs a namespace or another user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.confined import CASES, UNPRIVILEGED

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that nobody's processes can reach, too."""
    directory = Path(tempfile.mkdtemp(prefix="fexp-confined-"))
    directory.chmod(0o755)
    yield directory
    subprocess.run(["chmod", "-R", "u+rwx", str(directory)], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def _command(case: str) -> list[str]:
    if case in UNPRIVILEGED:
        return []  # it drops its privileges itself; who has none needs not
    probe = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"NO NAMESPACES HERE ({probe.stderr.strip()}): {case} is not tested")
    return NAMESPACES


@pytest.mark.parametrize("case", CASES)
def test_confined(case: str, open_directory: Path) -> None:
    done = subprocess.run(
        [*_command(case), sys.executable, "-m", "tests.engine.confined", case, str(open_directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
