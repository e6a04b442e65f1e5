"""How much of the process clients may take."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of one server. The defaults suit a handful of Prometheus servers."""

    connections: int = 256
    spare_descriptors: int = 16
    """So many of what the process may open are not for clients: folders are read with them, and outputs written."""
    event_clients: int = 32
    events_per_client: int = 1 << 16
    """Events that may wait for one client, some 16 MiB. One that is so far behind when the next come is dropped."""
    header_bytes: int = 16 * 1024
    request_seconds: float = 10.0
    """From the connection, or the first byte after an answer, to the end of the request's header."""
    idle_seconds: int = 75
    """Between an answer and the next request. Longer than a usual scrape interval: connections last."""
    send_seconds: float = 30.0
    """How long a client may leave what was sent unread."""
    turned_away_seconds: float = 1.0
    """How long a 503 for a password is held back: who guesses must not come again at once."""
    answer_seconds: float = 60.0
    """How long making an answer may take."""
    heartbeat_seconds: float = 15.0
    """The longest silence on an event stream."""
    newcomer_seconds: float = 0.5
    """How long a stop waits for who has connected and not asked yet."""
    stop_seconds: float = 3.0
    """How long a stop waits for answers under way."""
