"""This checkout, copied to where others may use it."""

from __future__ import annotations

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_LEFT_OUT = (".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "build", "dist")


def copy_checkout(target: Path) -> None:
    """Copy everything but what tools have left behind."""
    shutil.copytree(REPOSITORY, target, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
