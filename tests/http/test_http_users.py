"""Passwords and the rate limit: who enters, what a check costs, and that guessers keep nobody out."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import bcrypt
import pytest

from fexp.outputs.http.fairness import BusyError, FairLock, TokenBucket, client_network
from fexp.outputs.http.users import Users
from fexp.outputs.http.webconfig import RateLimit
from tests.http.serving import PATIENCE_SECONDS, ask, port_of, running
from tests.http.sites import basic, hashed, replace, users

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path


def test_right_credentials_enter_others_do_not(tmp_path: Path) -> None:
    """Mistake 22c."""
    with running(web_config=replace(tmp_path / "web.yml", users(alice="right", bob="x" * 72))) as server:
        for headers in (basic("alice", "right"), basic("alice", "right"), basic("bob", "x" * 72)):
            assert ask(server, "/metrics", headers=headers).status == 200
        for headers in (
            {},
            basic("alice", "wrong"),
            basic("alice", "wrong"),
            basic("carol", "right"),
            basic("bob", "x" * 73),
            basic("bob", "x" * 10_000),
            basic("alice", "right\0"),
            basic("alice", "\0"),
            basic("alice", ""),
            {"Authorization": "Basic !!!"},
            {"Authorization": "Basic"},
            {"Authorization": "Bearer right"},
            {"Authorization": "Basic " + b64encode(b"alice").decode()},
        ):
            reply = ask(server, "/metrics", headers=headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="fexp"'), headers


def test_every_path_asks_for_credentials(tmp_path: Path) -> None:
    with running(web_config=replace(tmp_path / "web.yml", users(alice="right"))) as server:
        for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/events", "/nothing"):
            assert ask(server, path).status == 401, path
        assert ask(server, "/-/reload", "POST").status == 401


def test_no_secret_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = hashed("right")
    config = replace(tmp_path / "web.yml", f"basic_auth_users:\n  alice: {secret}\n")
    with running(web_config=config) as server:
        right = basic("alice", "right")
        shown = [ask(server, path, headers=right).text for path in ("/", "/metrics", "/api/v1/metadata", "/api/v1/sd")]
        wrong = basic("secret", "secret")
        ask(server, "/", headers=wrong)
    for text in (*shown, caplog.text):
        for hidden in (secret, right["Authorization"].split()[1], wrong["Authorization"].split()[1]):
            assert hidden not in text


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    compared: list[bytes] = []
    checkpw = bcrypt.checkpw

    def counting(password: bytes, against: bytes) -> bool:
        compared.append(against)
        return checkpw(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return compared


def test_an_unknown_user_costs_the_same_hash_and_a_right_password_one(
    monkeypatch: pytest.MonkeyPatch, workers: ThreadPoolExecutor
) -> None:
    """Mistakes 22a, 22d."""
    compared = count_hashes(monkeypatch)
    checker = Users({"alice": hashed("right").encode()})

    async def check() -> list[bool]:
        tried = [("alice", "right")] * 3 + [("alice", "wrong"), ("mallory", "right")]
        return [await checker.admits(basic(*pair)["Authorization"], "", workers) for pair in tried]

    assert asyncio.run(check()) == [True] * 3 + [False] * 2
    assert len(compared) == 3
    assert len({against[:7] for against in compared}) == 1  # the same cost


def test_hashing_is_done_one_at_a_time(monkeypatch: pytest.MonkeyPatch, workers: ThreadPoolExecutor) -> None:
    """Mistake 22b."""
    checker = Users({"alice": hashed("right").encode()})
    lock = threading.Lock()

    def check(_password: bytes, _against: bytes) -> bool:
        assert lock.acquire(blocking=False)
        lock.release()
        return False

    monkeypatch.setattr(bcrypt, "checkpw", check)

    async def together() -> None:
        guesses = [basic("alice", str(number))["Authorization"] for number in range(10)]
        found = await asyncio.gather(
            *(checker.admits(guess, f"192.0.2.{number}", workers) for number, guess in enumerate(guesses))
        )
        assert found == [False] * 10

    asyncio.run(together())


def test_while_somebody_guesses_others_enter(tmp_path: Path) -> None:
    """A flood from one address that never pauses: 503 for some of it, 200 for a scraper elsewhere."""
    config = replace(tmp_path / "web.yml", f"basic_auth_users:\n  alice: {hashed('right', cost=8)}\n")
    stop, refused = threading.Event(), threading.Semaphore(0)

    def guess(port: int, name: str) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=("127.0.0.2", 0))) as client:
            for number in itertools.count():
                if stop.is_set():
                    return
                client.request("GET", "/metrics", headers=basic("alice", f"{name} {number}"))
                answer = client.getresponse()
                answer.read()
                if answer.status == 503:
                    refused.release()

    def scrape(port: int) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=("127.0.0.1", 0))) as client:
            client.request("GET", "/metrics", headers=basic("alice", "right"))
            return client.getresponse().status

    with running(web_config=config) as server:
        guessers = [threading.Thread(target=guess, args=(port_of(server), str(number))) for number in range(80)]
        for guesser in guessers:
            guesser.start()
        try:
            assert refused.acquire(timeout=PATIENCE_SECONDS)
            assert scrape(port_of(server)) == 200
        finally:
            stop.set()
            for guesser in guessers:
                guesser.join()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


class Queue:
    """Holders of a lock that go when the test says so."""

    def __init__(self, lock: FairLock) -> None:
        self._lock = lock
        self._go = asyncio.Semaphore(0)
        self.order: list[str] = []

    async def come(self, network: str, name: str = "") -> asyncio.Task[None]:
        task = asyncio.create_task(self._hold(network, name or network))
        await settle()
        return task

    async def _hold(self, network: str, name: str) -> None:
        async with self._lock.hold(network):
            self.order.append(name)
            await self._go.acquire()

    async def let_go(self, count: int) -> None:
        for _ in range(count):
            self._go.release()
            await settle()


def test_the_lock_goes_round_among_networks_and_the_latest_of_each_comes_next() -> None:
    async def scenario() -> None:
        queue = Queue(FairLock(99))
        for network, name in (("many", "1"), ("many", "2"), ("many", "3"), ("one", "one"), ("other", "other")):
            await queue.come(network, name)
        await queue.let_go(5)
        assert queue.order == ["1", "3", "one", "other", "2"]
        await queue.come("many", "again")
        assert queue.order[-1] == "again"

    run(scenario)


def test_of_too_many_the_oldest_of_the_network_with_most_is_turned_away() -> None:
    async def scenario() -> None:
        queue = Queue(FairLock(max_waiting=3))
        holder, *flood = [await queue.come("many", str(number)) for number in range(6)]
        one = await queue.come("one")
        assert [task.done() for task in (holder, *flood, one)] == [False, True, True, True, False, False, False]
        for task in flood[:3]:
            with pytest.raises(BusyError):
                await task
        await queue.let_go(4)
        assert queue.order == ["0", "5", "one", "4"]

    run(scenario)


def test_where_each_asks_once_the_first_in_line_is_turned_away_and_leaves_no_trace() -> None:
    async def scenario() -> None:
        queue = Queue(FairLock(max_waiting=1))
        for name in ("holder", "first", "second"):
            await queue.come(name)
        await queue.let_go(2)
        assert queue.order == ["holder", "second"]
        await queue.come("late")
        assert queue.order[-1] == "late"

    run(scenario)


def test_a_holder_that_fails_and_those_that_are_cancelled_pass_the_lock_on() -> None:
    async def scenario() -> None:
        queue = Queue(FairLock(max_waiting=9))
        holder, waiting, latest = [await queue.come("many", name) for name in ("holder", "waiting", "latest")]
        latest.cancel()
        holder.cancel()
        await settle()
        assert queue.order == ["holder", "waiting"]
        assert not waiting.done()

    run(scenario)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::3", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_attackers_many_addresses_are_one(address: str, network: str) -> None:
    assert client_network(address) == network


def test_a_token_bucket_refills_with_time() -> None:
    now = 0.0
    bucket = TokenBucket(RateLimit(2.0, 3), lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 2.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_rate_limit_answers_429(tmp_path: Path) -> None:
    with running(web_config=replace(tmp_path / "web.yml", "rate_limit: {interval: 1h, burst: 2}\n")) as server:
        assert [ask(server, "/-/healthy").status for _ in range(3)] == [200, 200, 429]
