"""The clocks of a connection and who makes room, on a loop whose time the test moves."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from fexp.outputs.http import Limits
from fexp.outputs.http.connections import Connection
from fexp.outputs.http.guard import Guard, Rules
from fexp.outputs.http.loop import Server
from fexp.outputs.http.messages import TURNED_AWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fexp.outputs.http.messages import Message, Receive, Send

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LOG = logging.getLogger("fexp.test.connections")
HERE = "192.0.2.1"
THERE = "198.51.100.1"


class StillLoop(asyncio.SelectorEventLoop):
    """Its time stands still until the test moves it."""

    now = 0.0

    def time(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def after(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StillLoop)
    loop.now += seconds
    await settle()


class Wire(asyncio.Transport):
    """The server's end of a socket whose client reads when the test says so."""

    def __init__(self, tls: object = None) -> None:
        super().__init__({"ssl_object": tls})
        self.end = ""
        self.reads = True
        self.unread = 0

    def is_closing(self) -> bool:
        return bool(self.end)

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = "aborted"

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.unread += 0 if self.reads else len(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class House:
    """A server without a door. It answers at once, or when the test says so."""

    def __init__(self, limits: Limits) -> None:
        guard = Guard(None, LOG)

        async def rules() -> Rules:
            return guard.rules

        self.open = asyncio.Event()
        self.open.set()
        self._guests: list[Guest] = []
        self.server = Server(
            self._app,
            rules,
            limits=limits,
            name="x",
            log=LOG,
            on_started=lambda: None,
            on_leaving=lambda: None,
        )

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        await self.open.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def guest(self, tls: object = None, network: str = HERE) -> Guest:
        self._guests.append(Guest(self.server, tls, network))
        return self._guests[-1]

    def make_room(self, newcomer: str | None = HERE) -> bool:
        return self.server._make_room(newcomer)

    async def close(self) -> None:
        for guest in self._guests:
            guest.connection.connection_lost(None)
        self.open.set()
        await settle()


class Guest:
    """A client that has come in."""

    def __init__(self, server: Server, tls: object, network: str) -> None:
        self.wire = Wire(tls)
        self.connection = Connection(server, network)
        server._connections[self.connection] = None
        self.connection.connection_made(self.wire)

    @property
    def end(self) -> str:
        return self.wire.end

    async def say(self, data: bytes) -> None:
        self.connection.data_received(data)
        await settle()


def run(scenario: Callable[[House], Coroutine[Any, Any, None]], limits: Limits | None = None) -> None:
    async def whole() -> None:
        house = House(limits or Limits())
        try:
            await scenario(house)
        finally:
            await house.close()

    with asyncio.Runner(loop_factory=StillLoop) as runner:
        runner.run(whole())


class Handshaken:
    """What a connection knows of its TLS."""

    def getpeercert(self) -> None:
        return None


@pytest.mark.parametrize("tls", [None, Handshaken()])
def test_a_request_has_its_seconds_from_the_connection_on_however_often_a_byte_comes(tls: object) -> None:
    async def scenario(house: House) -> None:
        silent, slow = house.guest(tls), house.guest(tls)
        await after(9)
        await slow.say(b"G")
        await after(0.9)
        await slow.say(b"E")
        assert (silent.end, slow.end) == ("", "")
        await after(0.2)
        assert (silent.end, slow.end) == ("aborted", "aborted")

    run(scenario)


def test_the_clock_of_the_request_stands_while_it_is_answered() -> None:
    async def scenario(house: House) -> None:
        house.open.clear()
        guest = house.guest()
        await guest.say(GET)
        await after(50)
        assert guest.end == ""
        house.open.set()
        await settle()
        await after(50)
        assert guest.end == ""

    run(scenario)


def test_the_next_request_has_its_seconds_from_its_first_byte() -> None:
    async def scenario(house: House) -> None:
        guest = house.guest()
        await guest.say(GET)
        await after(60)
        await guest.say(b"G")
        await after(9.9)
        assert guest.end == ""
        await after(0.2)
        assert guest.end == "aborted"

    run(scenario)


def test_a_small_answer_that_stays_unread_has_its_seconds() -> None:
    async def scenario(house: House) -> None:
        guest = house.guest()
        guest.wire.reads = False
        await guest.say(GET)
        assert guest.connection.is_stalled
        await after(29.9)
        assert guest.end == ""
        await after(0.2)
        assert guest.end == "aborted"

    run(scenario)


def test_an_answer_that_is_read_leaves_no_clock_behind() -> None:
    async def scenario(house: House) -> None:
        guest = house.guest()
        await guest.say(GET)
        assert not guest.connection.is_stalled
        await after(20)
        guest.wire.reads = False
        await guest.say(GET)
        await after(20)
        assert guest.end == ""

    run(scenario)


def test_a_client_that_reads_on_is_not_cut() -> None:
    async def scenario(house: House) -> None:
        house.open.clear()
        slow, silent = house.guest(), house.guest()
        for guest in (slow, silent):
            await guest.say(GET)
            guest.wire.unread = 100_000
            guest.connection.pause_writing()
        await after(20)
        slow.connection.resume_writing()
        assert not slow.connection.is_stalled
        slow.connection.pause_writing()
        await after(20)
        assert (slow.end, silent.end) == ("", "aborted")

    run(scenario)


def test_the_clock_of_an_answer_ends_when_it_has_been_read() -> None:
    """The next answer has seconds of its own, and who has read everything makes no room as one who has not."""

    async def scenario(house: House) -> None:
        guest = house.guest()
        guest.wire.reads = False
        await guest.say(GET)
        stalled = [guest.connection.is_stalled]
        guest.wire.unread = 0
        stalled.append(guest.connection.is_stalled)
        assert stalled == [True, False]
        await after(29)
        await guest.say(GET)
        await after(2)
        assert guest.end == ""
        await after(29)
        assert guest.end == "aborted"

    run(scenario)


def test_an_idle_connection_is_closed_and_one_with_something_unread_is_cut() -> None:
    async def scenario(house: House) -> None:
        idle, unread = house.guest(), house.guest()
        unread.wire.reads = False
        for guest in (idle, unread):
            await guest.say(GET)
        await after(74.9)
        assert (idle.end, unread.end) == ("", "")
        await after(0.2)
        assert (idle.end, unread.end) == ("closed", "aborted")

    run(scenario, Limits(send_seconds=1000))


def test_a_finish_ends_the_idle_at_once_and_the_others_after_one_answer() -> None:
    async def scenario(house: House) -> None:
        new, busy, idle = [house.guest() for _ in range(3)]
        await idle.say(GET)
        house.open.clear()
        await busy.say(GET)
        for guest in (new, busy, idle):
            guest.connection.finish()
        assert (new.end, busy.end, idle.end) == ("", "", "closed")
        await new.say(GET)
        assert new.end == ""
        house.open.set()
        await settle()
        assert (new.end, busy.end) == ("closed", "closed")

    run(scenario)


def test_who_has_waited_longest_since_its_last_answer_makes_room_first() -> None:
    async def scenario(house: House) -> None:
        first, second, third = [house.guest() for _ in range(3)]
        await first.say(GET)
        assert house.make_room()
        assert (first.end, second.end, third.end) == ("", "aborted", "")
        assert house.make_room()
        assert (first.end, third.end) == ("", "aborted")
        assert house.make_room()
        assert first.end == "aborted"
        assert not house.make_room()

    run(scenario)


def test_who_waits_makes_room_before_who_leaves_its_answer_unread() -> None:
    """Unread is also what was answered to the end: the client may be reading it just now."""

    async def scenario(house: House) -> None:
        answered, stalled, busy, waiting = [house.guest() for _ in range(4)]
        answered.wire.reads = False
        await answered.say(GET)
        await waiting.say(GET)
        house.open.clear()
        for guest in (stalled, busy):
            await guest.say(GET)
        stalled.wire.unread = 100_000
        stalled.connection.pause_writing()
        for guest in (waiting, stalled, answered):
            assert guest.end == ""
            assert house.make_room()
            assert guest.end == "aborted"
        assert not house.make_room()
        assert busy.end == ""

    run(scenario)


def test_who_holds_most_makes_room_busy_or_not_for_who_holds_less() -> None:
    """One network's flood, of connections that wait, or of requests, takes no place of another."""

    async def scenario(house: House) -> None:
        scraper = house.guest(network=HERE)
        flood = [house.guest(network=THERE) for _ in range(4)]
        assert house.make_room(THERE)
        assert (scraper.end, flood[0].end) == ("", "aborted")
        house.open.clear()
        for guest in (flood[2], flood[1], flood[3]):
            await guest.say(GET)
        assert not house.make_room(THERE)
        assert house.make_room(HERE)
        assert [guest.end for guest in (scraper, *flood[1:])] == ["", "aborted", "", ""]
        assert house.make_room(HERE)  # each would hold two: who waits, if one does
        assert [guest.end for guest in (scraper, *flood[2:])] == ["aborted", "", ""]
        assert not house.make_room(THERE)

    run(scenario)


def test_an_answer_under_way_is_missed_more_than_who_only_waits() -> None:
    """Many clients with an idle connection each: the one with two would else lose its scrape for each newcomer."""

    async def scenario(house: House) -> None:
        idle = [house.guest(network=f"192.0.2.{number}") for number in range(3)]
        house.open.clear()
        busy = [house.guest(network=HERE + "0") for _ in range(2)]
        for guest in busy:
            await guest.say(GET)
        for guest in idle:
            assert house.make_room(THERE)
            assert guest.end == "aborted"
        assert [guest.end for guest in busy] == ["", ""]
        assert house.make_room(THERE)
        assert [guest.end for guest in busy] == ["aborted", ""]

    run(scenario)


def test_who_was_refused_makes_room_before_who_only_waits() -> None:
    """In a flood of guesses nearly all are held back, and the scraper's is the one connection that waits."""

    async def scenario(house: House) -> None:
        scraper, refused = house.guest(), house.guest()
        house.open.clear()
        await refused.say(GET)
        refused.connection.cycle.scope["state"][TURNED_AWAY] = True
        assert house.make_room()
        assert (scraper.end, refused.end) == ("", "aborted")

    run(scenario)


def test_who_was_dropped_gets_no_answer_even_if_its_end_is_told_late() -> None:
    """As TLS does."""

    async def scenario(house: House) -> None:
        guest = house.guest()
        guest.wire.reads = False
        house.open.clear()
        await guest.say(GET)
        guest.connection.drop()
        house.open.set()
        await settle()
        assert guest.wire.unread == 0

    run(scenario)


def test_without_descriptors_it_does_not_matter_whose_connection_waits() -> None:
    async def scenario(house: House) -> None:
        waiting = house.guest(network=HERE)
        house.open.clear()
        for _ in range(2):
            await house.guest(network=THERE).say(GET)
        assert house.make_room(None)
        assert waiting.end == "aborted"
        assert not house.make_room(None)

    run(scenario)


def test_who_made_room_does_not_come_back_with_its_answer() -> None:
    async def scenario(house: House) -> None:
        house.open.clear()
        stalled = house.guest()
        await stalled.say(GET)
        stalled.wire.unread = 100_000
        stalled.connection.pause_writing()
        assert house.make_room()
        stalled.connection.resume_writing()
        house.open.set()
        await settle()
        assert house.server._connections == {}

    run(scenario)
