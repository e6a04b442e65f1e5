"""The one-shots for cron: look once and deliver, or remove what was delivered."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.config.settings import OneShotSettings
from fexp.errors import FexpError, SettingsError
from fexp.metrics import FexpCollector
from fexp.outputs.kinds import build_output
from fexp.service.deadline import splay
from fexp.service.locks import alone
from fexp.service.oneshot import find_folders, look_at_all
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from fexp.config.output import OutputSettings
    from fexp.config.settings import RemovalSettings, Settings
    from fexp.outputs import Collects, Output
    from fexp.outputs.push.gateway import GatewaySettings


def deliver(settings: Settings) -> None:
    """Look once and deliver what could be read. Raise one FexpError for all that went wrong."""
    (output,) = map(build_output, settings.outputs)
    doing = ["waiting"]
    with _shown_on_terminal(lambda: doing[-1]), _in_turn(output, settings.one_shot):
        folders, unlisted = find_folders(settings, clocks.now().wall)
        snapshot, problems = look_at_all(folders, doing.append)
        problems += unlisted
        if settings.probes:
            from fexp.service.probes.all import run_once

            doing.append("running probes")
            snapshot, failures = run_once(settings, folders, snapshot)
            problems += failures

        def left_out(name: str, error: Exception, samples: int) -> None:
            problems.append(f"{samples} values of {name} do not render ({type(error).__name__})")

        doing.append(f"delivering to {visible(output.target)}")
        try:
            output.publish(FexpCollector(lambda: snapshot, output.scopes, left_out))
        except FexpError as error:  # the deadline's, too
            problems.append(str(error))
    if problems:
        raise FexpError("; ".join(problems))


def _shown_on_terminal(what: Callable[[], str]) -> AbstractContextManager[None]:
    if not sys.stderr.isatty():
        return nullcontext()
    from fexp.service.progress import shown_on_terminal  # cron has no use for it

    return shown_on_terminal(sys.stderr, what)


def publish(settings: OutputSettings, source: Collects) -> None:
    """Deliver what a source has now. Raise FexpError."""
    output = build_output(settings)
    with _in_turn(output, OneShotSettings()):
        output.publish(source)


def remove(gateway: GatewaySettings, removal: RemovalSettings, one_shot: OneShotSettings) -> None:
    """Delete groups of a Pushgateway. Raise FexpError."""
    from fexp.outputs.push.gateway import GatewayOutput

    output = GatewayOutput(gateway)
    if output.place is None:
        raise SettingsError(f"{removal.asked_by} needs a Pushgateway: an import URL has no groups")
    with _in_turn(output, one_shot):
        if removal.delete:
            output.retract()
        if removal.expire_seconds is not None:
            output.expire(removal.expire_seconds)


@contextmanager
def _in_turn(output: Output, one_shot: OneShotSettings) -> Iterator[None]:
    """Run the block alone at the output's place, after the splay."""
    with alone(output.place, shown=output.target):
        output.check()
        splay(one_shot.splay_seconds)
        yield
