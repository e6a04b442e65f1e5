"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest_plugins = ["tests.servers"]
# A busy machine is no failure, and the gate finds today what it found yesterday.
settings.register_profile("any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have fexp keep its locks and states where no other run of the tests has any, and where they go with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNTIME_DIRECTORY", raising=False)
        patch.setitem(os.environ, "XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.delenv("STATE_DIRECTORY", raising=False)
        patch.setitem(os.environ, "XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _fresh_logging() -> None:
    """Forget how another test that ran fexp in this process had it log."""
    logging.getLogger().setLevel(logging.WARNING)
    logger = logging.getLogger("fexp")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what has no thread start from then on, as where the user may have no more."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


@pytest.fixture(scope="session", autouse=True)
def _signals_of_a_terminal() -> None:
    """Obey what nohup and a shell without job control ignore: a process that is started inherits it."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
