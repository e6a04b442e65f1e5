"""Scrapes that come together share one rendering, and none gets an older one than it asked for."""

from __future__ import annotations

import asyncio

import pytest

from fexp.outputs.http.single_flight import SingleFlight


class Kitchen:
    """Work whose pieces end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0

    async def cook(self, dish: str) -> str:
        self.begun.append(dish)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.may_end.wait()
        self.under_way -= 1
        return f"{dish} {len(self.begun)}"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_those_who_wait_share_and_those_who_come_later_get_a_later_one() -> None:
    async def scenario() -> None:
        kitchen, flight = Kitchen(), SingleFlight[str]()

        def order(dish: str) -> asyncio.Task[str]:
            return asyncio.create_task(flight.get(dish, lambda: kitchen.cook(dish)))

        first = order("text")
        await settle()
        later = [order("text") for _ in range(5)]
        other = order("openmetrics")
        await settle()
        assert kitchen.begun == ["text"]
        kitchen.may_end.set()
        await asyncio.gather(first, *later, other)
        assert kitchen.begun == ["text", "text", "openmetrics"]
        assert kitchen.most_under_way == 1
        assert {task.result() for task in later} != {first.result()}

    asyncio.run(scenario())


def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    async def scenario() -> None:
        kitchen, flight = Kitchen(), SingleFlight[str]()
        impatient, patient = (asyncio.create_task(flight.get("text", lambda: kitchen.cook("text"))) for _ in range(2))
        await settle()
        impatient.cancel()
        kitchen.may_end.set()
        assert await patient
        with pytest.raises(asyncio.CancelledError):
            await impatient

    asyncio.run(scenario())
