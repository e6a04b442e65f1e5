"""Who gets the turn next, who is turned away, and what becomes of the turn of one who gives up."""

from __future__ import annotations

import asyncio

import pytest

from fexp.outputs.http.turns import BusyError, Turns


class Comer:
    """One who asks for a turn and, once in, stays until the test lets it go."""

    def __init__(self, turns: Turns, who: str = "") -> None:
        self.is_in = False
        self._may_go = asyncio.Event()
        self.task = asyncio.create_task(self._come(turns, who))

    async def _come(self, turns: Turns, who: str) -> None:
        async with turns.turn(who):
            assert not self.task.cancelling()  # else it would never go
            self.is_in = True
            try:
                await self._may_go.wait()
            finally:
                self.is_in = False

    async def go(self) -> None:
        self._may_go.set()
        await self.task
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def come(turns: Turns, who: str = "") -> Comer:
    comer = Comer(turns, who)
    await settle()
    return comer


async def cancel(comer: Comer) -> None:
    comer.task.cancel()
    await settle()
    assert comer.task.cancelled()


def test_one_at_a_time_and_who_comes_last_is_next() -> None:
    async def scenario() -> None:
        turns = Turns(9)
        first, second, third = [await come(turns) for _ in range(3)]
        assert (first.is_in, second.is_in, third.is_in) == (True, False, False)
        await first.go()
        assert (second.is_in, third.is_in) == (False, True)
        fourth = await come(turns)
        await third.go()
        assert (second.is_in, fourth.is_in) == (False, True)
        await fourth.go()
        assert second.is_in
        await second.go()
        assert (await come(turns)).is_in

    asyncio.run(scenario())


def test_a_turn_that_ends_with_an_error_is_passed_on() -> None:
    async def scenario() -> None:
        turns = Turns(9)
        failing, waiting = [await come(turns) for _ in range(2)]
        await cancel(failing)
        assert waiting.is_in

    asyncio.run(scenario())


def test_of_too_many_the_longest_waiting_is_turned_away() -> None:
    async def scenario() -> None:
        turns = Turns(2)
        holder, oldest, middle = [await come(turns) for _ in range(3)]
        assert not oldest.task.done()  # two may wait
        newest = await come(turns)
        with pytest.raises(BusyError):
            await oldest.task
        assert [one.task.done() for one in (holder, middle, newest)] == [False] * 3
        assert (holder.is_in, middle.is_in, newest.is_in) == (True, False, False)
        await holder.go()
        await newest.go()
        assert middle.is_in

    asyncio.run(scenario())


def test_the_turns_go_round_among_those_who_ask() -> None:
    """However often one of them asks."""

    async def scenario() -> None:
        turns = Turns(9)
        holder, *_ = [await come(turns, "many") for _ in range(4)]
        one = await come(turns, "one")
        other = await come(turns, "other")
        await holder.go()
        assert not one.is_in  # those who asked first are first
        order = []
        everyone = {"many": _[-1], "one": one, "other": other}
        for _ in range(3):
            (name,) = [name for name, comer in everyone.items() if comer.is_in]
            order.append(name)
            await everyone.pop(name).go()
        assert order == ["many", "one", "other"]

    asyncio.run(scenario())


def test_of_too_many_nobody_is_turned_away_for_anothers_flood() -> None:
    async def scenario() -> None:
        turns = Turns(3)
        holder, oldest, _, one = [await come(turns, who) for who in ("many", "many", "many", "one")]
        flood = [await come(turns, "many") for _ in range(20)]
        with pytest.raises(BusyError):
            await oldest.task
        assert not one.task.done()
        await holder.go()
        await flood[-1].go()
        assert one.is_in

    asyncio.run(scenario())


def test_one_who_gives_up_waiting_leaves_its_place_and_takes_no_turn() -> None:
    async def scenario() -> None:
        turns = Turns(2)
        holder, oldest, given_up = [await come(turns) for _ in range(3)]
        await cancel(given_up)
        assert holder.is_in
        assert not oldest.is_in  # whoever gives up waiting has no turn to pass on
        newest = await come(turns)
        assert not oldest.task.done()  # there is room for two again
        await holder.go()
        assert newest.is_in
        await newest.go()
        assert oldest.is_in

    asyncio.run(scenario())


def test_the_only_one_who_waits_may_give_up() -> None:
    async def scenario() -> None:
        turns = Turns(2)
        holder, given_up = [await come(turns) for _ in range(2)]
        await cancel(given_up)
        await holder.go()
        assert (await come(turns)).is_in

    asyncio.run(scenario())


def test_one_who_has_given_up_a_moment_ago_is_neither_turned_away_nor_next() -> None:
    """Its task is cancelled and does not know yet."""

    async def scenario() -> None:
        turns = Turns(2)
        holder, oldest, latest = [await come(turns) for _ in range(3)]
        oldest.task.cancel()
        newest = Comer(turns)
        await settle()
        assert oldest.task.cancelled()
        assert not latest.task.done()
        holder._may_go.set()
        await asyncio.sleep(0)  # the holder will go first
        newest.task.cancel()
        await settle()
        assert latest.is_in

    asyncio.run(scenario())


@pytest.mark.parametrize("others", [0, 1])
def test_one_who_gives_up_just_when_its_turn_comes_passes_it_on(others: int) -> None:
    async def scenario() -> None:
        turns = Turns(9)
        holder, *waiting = [await come(turns) for _ in range(1 + others)]
        given_up = await come(turns)
        holder._may_go.set()
        await asyncio.sleep(0)  # the holder goes: the turn is given, and not yet taken
        await cancel(given_up)
        assert holder.task.done()
        assert all(one.is_in for one in waiting)
        assert (await come(turns)).is_in is not bool(waiting)

    asyncio.run(scenario())


def test_one_who_gives_up_just_when_it_is_turned_away_passes_nothing_on() -> None:
    async def scenario() -> None:
        turns = Turns(1)
        holder, turned_away = [await come(turns) for _ in range(2)]
        newest = Comer(turns)
        await asyncio.sleep(0)  # it comes; who waits longest is turned away and does not know yet
        await cancel(turned_away)
        assert holder.is_in
        assert not newest.is_in
        await holder.go()
        assert newest.is_in

    asyncio.run(scenario())
