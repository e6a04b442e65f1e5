"""The change feed: what happened to files, for everybody who wants to follow.

The engine's thread hands over batches of columns and goes on; a subscriber turns them into values in its own thread.
One that is too slow loses changes, and learns how many.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fexp.model import Change, Happening, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from fexp.counting.state import Changed

DEFAULT_CAPACITY = 65536


class ChangeBatch(NamedTuple):
    """What happened in one folder at one moment."""

    folder: str
    pattern_of: Callable[[Hashable], str]
    """The pattern's label of a group."""
    at: float
    changed: Sequence[Changed]
    hides_names: bool = False
    """No name of a file leaves fexp."""

    def changes(self, *, present: bool, leave: bool = False) -> Iterator[Change]:
        """Yield one change for each file, whatever the number of its patterns; ``present``: also what was there.

        ``leave``: they leave fexp. A path that must not is empty.
        """
        found = self._changes(present=present)
        return (one._replace(path=b"") for one in found) if leave and self.hides_names else found

    def _changes(self, *, present: bool) -> Iterator[Change]:
        waiting: dict[tuple[Happening, bytes], Change] = {}
        for changed in self.changed:
            if changed.happening is Happening.PRESENT and not present:
                continue
            if any(changed.happening is not happening for happening, _ in waiting):
                yield from waiting.values()
                waiting.clear()
            pattern = self.pattern_of(changed.key)
            for name, size_bytes, modified_at, inode, _ in zip(*changed.files, strict=True):
                path = changed.below + name
                known = waiting.get((changed.happening, path))
                if known is not None and pattern not in known.patterns:
                    waiting[changed.happening, path] = known._replace(patterns=(*known.patterns, pattern))
                    continue
                if known is not None:
                    yield from waiting.values()
                    waiting.clear()
                waiting[changed.happening, path] = Change(
                    changed.happening, self.folder, (pattern,), path, size_bytes, modified_at, inode, self.at
                )
        yield from waiting.values()

    def size(self, *, present: bool) -> int:
        """Return how many files changed, each counted once for each pattern."""
        return sum(
            len(changed.files.names)
            for changed in self.changed
            if present or changed.happening is not Happening.PRESENT
        )


class Subscription:
    """One subscriber's place in the feed. ``offer`` belongs to the engine's thread, the rest to the subscriber.

    ``notify`` is called in the engine's thread when something is there to be taken: it must be cheap and not raise.
    ``present``: the subscriber wants to know of files that were there before, too. So many changes may wait as
    ``capacity`` says, and one burst more; what was there before is not counted. ``leave``: see ``ChangeBatch.changes``.
    """

    def __init__(
        self,
        capacity: int,
        *,
        present: bool,
        notify: Callable[[], None],
        end: Callable[[Subscription], None],
        leave: bool = False,
    ) -> None:
        self._capacity = self._room = capacity
        self._present = present
        self._leave = leave
        self._notify = notify
        self._end = end
        self._lock = threading.Lock()
        self._batches: deque[ChangeBatch] = deque()
        self._waiting = 0
        self._lost = 0
        self._there = threading.Event()

    def begin(self, present: Sequence[ChangeBatch]) -> None:
        """Queue what is there already. It takes no room of what happens meanwhile."""
        self._room += sum(batch.size(present=self._present) for batch in present)
        self.offer(present)

    def offer(self, batches: Sequence[ChangeBatch]) -> None:
        """Queue batches. When too much waits already, all of it is lost, and these: after a gap they would mislead."""
        size = sum(batch.size(present=self._present) for batch in batches)
        with self._lock:
            if self._lost or self._waiting >= self._room:
                self._lost += self._waiting + size
                self._waiting = 0
                self._batches.clear()
            elif size:
                self._waiting += size
                self._batches.extend(batches)
            news = bool(self._batches or self._lost) and not self._there.is_set()
            if news:
                self._there.set()
        if news:
            self._notify()

    def take(self, timeout_seconds: float | None = 0.0) -> Taken:
        """Wait until something is there, and take it. Return nothing when the time is over; None waits for ever."""
        self._there.wait(timeout_seconds)
        with self._lock:
            batches, self._batches = self._batches, deque()
            lost, self._lost, self._waiting, self._room = self._lost, 0, 0, self._capacity
            self._there.clear()
        changes = (batch.changes(present=self._present, leave=self._leave) for batch in batches)
        return Taken(chain.from_iterable(changes), lost)

    def close(self) -> None:
        """Take nothing any more. Whoever waits is woken."""
        self._end(self)
        self._there.set()


class Feed:
    """Hands what happens to all subscribers. Only the engine's thread calls it."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._batches: list[ChangeBatch] = []

    @property
    def is_wanted(self) -> bool:
        """Return whether anybody follows: else nothing need be recorded."""
        return bool(self._subscriptions)

    def add(self, subscription: Subscription, present: Sequence[ChangeBatch]) -> None:
        """Add a subscriber; ``present``: what is there already. What is still to be published it does not hear."""
        self.publish()
        self._subscriptions.append(subscription)
        subscription.begin(present)

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscriber. Harmless when it is not known."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def record(self, batch: ChangeBatch) -> None:
        """Keep what happened until ``publish``."""
        self._batches.append(batch)

    def publish(self) -> None:
        """Hand over what was recorded."""
        if self._batches:
            batches, self._batches = self._batches, []
            for subscription in self._subscriptions:
                subscription.offer(batches)
