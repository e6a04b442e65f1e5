"""The pytest plugin: fixtures, and nothing else. Who uses none of them does not notice it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fexp import FolderCollector
    from fexp.testing import ManualClock


@pytest.fixture
def fexp_clock() -> ManualClock:
    """Return a clock that the test moves; see ``fexp.testing.ManualClock``."""
    from fexp.testing import ManualClock

    return ManualClock()


@pytest.fixture
def fexp_collector() -> Iterator[Callable[..., FolderCollector]]:
    """Yield a function that makes a ``fexp.FolderCollector`` and begins its watching; the end of the test ends it."""
    import fexp

    with ExitStack() as stack:
        yield lambda *folders, **arguments: stack.enter_context(fexp.FolderCollector(*folders, **arguments))


@pytest.fixture
def fexp_own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have fexp keep its locks and states below a directory of the test, which is given: no other run is in the way.

    That is what ``fexp.job``, ``fexp.push`` and ``fexp.write_textfile`` keep, and commands that the test starts.
    """
    base = tmp_path / "fexp-own-state"
    for name in ("runtime", "state"):
        (base / name).mkdir(parents=True)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(base / "state"))
    return base
