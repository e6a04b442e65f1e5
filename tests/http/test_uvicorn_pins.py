"""What fexp leans on in uvicorn and h11, one test each. Where a release differs, the HTTP output needs a new look."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import Any

import h11
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from tests.packaging.contract import REPOSITORY

OVERRIDDEN = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "eof_received": [],
    "pause_writing": [],
    "resume_writing": [],
    "on_response_complete": [],
    "timeout_keep_alive_handler": [],
    "send_400_response": ["msg"],
}


def parameters(function: object) -> list[str]:
    """Give the names of a method's parameters."""
    assert callable(function)
    return list(inspect.signature(function).parameters)[1:]


def test_the_version_is_one_that_was_looked_at() -> None:
    assert version("uvicorn").startswith("0.")
    assert '"uvicorn>=0.30,<1"' in (REPOSITORY / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_connection_is_told_of_all_that_happens(name: str) -> None:
    assert parameters(getattr(H11Protocol, name)) == OVERRIDDEN[name]


@pytest.mark.parametrize("name", ["startup", "main_loop", "shutdown"])
def test_a_server_starts_runs_and_stops_in_three_steps(name: str) -> None:
    step = getattr(uvicorn.Server, name)
    assert inspect.iscoroutinefunction(step)
    assert parameters(step) in ([], ["sockets"])


def test_a_protocol_is_made_of_config_state_and_what_the_app_keeps() -> None:
    assert parameters(H11Protocol.__init__)[:3] == ["config", "server_state", "app_state"]


def test_a_connection_shows_its_answer_and_where_it_stands() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        """Answer nothing."""

    async def look() -> None:
        config = uvicorn.Config(app, http="h11", interface="asgi3", lifespan="off", ws="none")
        config.load()
        protocol: Any = H11Protocol(config, uvicorn.Server(config).server_state, {})
        assert protocol.conn.our_state is h11.IDLE
        assert protocol.cycle is None
        assert callable(protocol._unset_keepalive_if_required)

    asyncio.run(look())
    told = inspect.getsource(RequestResponseCycle.__init__)
    assert all(f"self.{name}" in told for name in ("scope", "keep_alive", "disconnected", "response_complete"))
