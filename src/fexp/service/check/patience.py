"""Work that must not keep its caller waiting: a dead network mount answers nobody, for ever."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from fexp.limits import starting_threads

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class HangsError(Exception):
    """It was not done in time."""


class StillHangsError(Exception):
    """It needs what was not done in time before, and still is not."""


def within(seconds: float, act: Callable[[], T]) -> T:
    """Return what ``act`` returns, or raise what it raises. Raise HangsError if it takes longer.

    Its thread is then left behind, and ends with the process.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001  # raised where the caller is
            errors.append(error)

    thread = Thread(target=run, name="fexp-check", daemon=True)
    with starting_threads():
        thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise HangsError
    return results[0]
