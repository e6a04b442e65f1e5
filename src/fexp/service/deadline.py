"""When a one-shot begins and when it ends at the latest."""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import TYPE_CHECKING

from fexp.errors import FexpError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fexp.config.origin import Origin

_HANGS = "the folder or the other side hangs"
_GRACE_SECONDS = 2.0
"""How long the block may take to end once it was interrupted."""


def splay(longest_seconds: float) -> None:
    """Wait a random while, so that a fleet does not push at once."""
    if longest_seconds > 0:
        Event().wait(random.uniform(0, longest_seconds))  # noqa: S311  # spreads load, keeps no secret


@contextmanager
def deadline(seconds: float, origin: Origin, print_error: Callable[[str], None]) -> Iterator[None]:
    """End the block with a FexpError when it takes longer.

    If no signal gets through, print the reason and end the process. Only for the main thread.
    ``origin`` is of the deadline.
    """

    def reason(cause: object) -> str:
        return f"not done after {seconds:g} s: {cause}; {origin} allows more"

    def give_up(_number: int, _frame: FrameType | None) -> None:
        failure = sys.exc_info()[1]  # of the latest try, while the next is waited for
        raise FexpError(reason(failure if isinstance(failure, OutputError) else _HANGS))

    def end() -> None:
        print_error(reason(_HANGS))
        os._exit(1)

    # On a dead network mount the main thread waits in the kernel, which lets it obey only what ends the process.
    last_resort = Timer(seconds + _GRACE_SECONDS, end)
    last_resort.daemon = True
    with suppress(RuntimeError):  # the user may have no thread left
        last_resort.start()
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        last_resort.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
