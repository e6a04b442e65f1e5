"""This checkout, copied to where others may use it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def copy_checkout(target: Path) -> None:
    """Copy what git knows of this checkout, and what it would if it were added."""
    listed = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    for source in (REPOSITORY / name for name in names if name):
        if source.is_file():
            copy = target / source.relative_to(REPOSITORY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
