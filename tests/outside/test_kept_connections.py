"""A connection is asked again only where nothing that was said for one can become the answer to another."""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from fakes import evil_fhir as evil
from fakes.authorities import Issued, authority, issued
from fakes.evil_fhir import Caller, EvilFhir
from hospitium.engine.fhir_servers.authorities import authorities_in
from hospitium.outside import exchange, http
from hospitium.outside.exchange import Answer, Connection, NoAnswer, Unreachable
from hospitium.outside.http import Blocked, Egress, Limits, checked_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


SMALL = Limits(connect=1.0, whole=2.0, body=100_000)
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 8\r\n\r\nsmuggled"


@pytest.fixture(autouse=True)
def hardly_any_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REST", 0.0)


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress()
    yield egress
    await egress.close()


async def ask(
    egress: Egress, url: str, *, limits: Limits = SMALL, allow_private: bool = True, **headers: str
) -> Answer:
    return await egress.get(
        checked_url(url, allow_private=allow_private),
        headers={"Accept": "text/plain", **headers},
        allow_private=allow_private,
        authorities=None,
        limits=limits,
    )


async def echo(caller: Caller) -> None:
    """Say what was asked."""
    await evil.answering(caller.heard.target.encode())(caller)


def late(after: float) -> evil.Behaviour:
    """Say what was asked; and so many seconds later, what nobody asked for."""

    async def behave(caller: Caller) -> None:
        await echo(caller)
        await asyncio.sleep(after)
        await caller.say(SMUGGLED)

    return behave


async def test_a_connection_is_asked_again(egress: Egress) -> None:
    async with EvilFhir.open(echo, keeps=True) as server:
        for number in range(3):
            assert (await ask(egress, f"{server.base}/{number}")).body == f"/fhir/{number}".encode()
        server.does = evil.zipped("packed")
        await ask(egress, server.base)
        server.does = evil.saying(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        await ask(egress, server.base)
        assert (server.connections, len(server.heard)) == (1, 5)


@pytest.mark.parametrize(
    "last",
    [
        evil.answering(b"{}", more=SMUGGLED),
        evil.answering(b"{}", more=b"H"),
        evil.answering(b"{}", headers=[("Connection", "close")]),
        evil.answering(b"{}", status="404 Nowhere"),
        evil.answering(b"{}", status="500 Oh"),
        evil.answering(b"", status="302 Found", headers=[("Location", "/x")]),
        evil.answering(b"x" * 200_000),
        evil.answering(b"not packed", headers=[("Content-Encoding", "gzip")]),
        evil.answering(gzip.compress(b"{}")[:-3], headers=[("Content-Encoding", "gzip")]),
        evil.saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        evil.saying(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"),
        evil.saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
        evil.saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}"),
        evil.saying(b"no HTTP"),
        evil.silence,
    ],
    ids=[
        "another answer behind it", "a letter behind it", "it closes", "not found", "broken", "elsewhere", "too large", "not packed",
        "packed and cut", "an old one", "an old one that would", "two lengths", "another protocol", "garbled", "silent",
    ],
)  # fmt: skip
async def test_after_this_it_is_asked_no_more(egress: Egress, last: evil.Behaviour) -> None:
    async with EvilFhir.open(last, keeps=True) as server:
        with suppress(NoAnswer):
            await ask(egress, server.base, limits=Limits(0.3, 0.3, 100_000))
        server.does = echo
        assert (await ask(egress, f"{server.base}/next")).body == b"/fhir/next"
        assert server.connections == 2


async def test_what_comes_between_questions_ends_it(egress: Egress) -> None:
    """Behind the end of an answer, a moment later: as when a server counts characters where it should count bytes."""

    async with EvilFhir.open(late(0.02), keeps=True) as server:
        await ask(egress, f"{server.base}/first")
        await asyncio.sleep(0.1)
        server.does = echo
        assert (await ask(egress, f"{server.base}/next")).body == b"/fhir/next"
        assert server.connections == 2


@pytest.mark.parametrize("rests", [True, False])
async def test_what_comes_behind_an_answer_a_moment_later_is_nobodys(
    egress: Egress, monkeypatch: pytest.MonkeyPatch, *, rests: bool
) -> None:
    """Asked again at once, a connection would give what belongs to one for another's answer: the control shows that it does."""
    monkeypatch.setattr(http, "REST", 0.2 if rests else 0.0)

    async with EvilFhir.open(late(0.05), keeps=True) as server:
        await ask(egress, f"{server.base}/first")
        second = (await ask(egress, f"{server.base}/second")).body
        await asyncio.sleep(0.3)
        server.does = echo
        third = (await ask(egress, f"{server.base}/third")).body
    assert (second, third) == (b"/fhir/second" if rests else b"smuggled", b"/fhir/third")


@pytest.mark.parametrize("listens", [True, False])
async def test_what_came_while_nobody_had_time_to_look_is_nobodys(
    egress: Egress, monkeypatch: pytest.MonkeyPatch, *, listens: bool
) -> None:
    """It has rested by the clock; the loop had other things to do in that time. The control doesn't look at what waits to be read."""
    monkeypatch.setattr(http, "REST", 0.02)
    if not listens:
        monkeypatch.setattr(Connection, "is_silent", lambda _: True)
    there: asyncio.Future[tuple[asyncio.AbstractEventLoop, int]] = asyncio.get_running_loop().create_future()
    here, over = asyncio.get_running_loop(), asyncio.Event()

    async def serve() -> None:
        async with EvilFhir.open(late(0.002), keeps=True) as server:
            here.call_soon_threadsafe(there.set_result, (asyncio.get_running_loop(), server.port))
            await over.wait()

    serving = asyncio.create_task(
        asyncio.to_thread(asyncio.run, serve())
    )  # beside, so that nothing here holds it up
    its_loop, port = await there
    try:
        await ask(egress, f"http://127.0.0.1:{port}/first")

        async def busy() -> None:
            time.sleep(0.06)  # noqa: ASYNC251  that is the point of it

        _, second = await asyncio.gather(busy(), ask(egress, f"http://127.0.0.1:{port}/second"))
    finally:
        its_loop.call_soon_threadsafe(over.set)
        await serving
    assert second.body == (b"/second" if listens else b"smuggled")


async def test_who_goes_away_in_the_turn_his_answer_comes_leaves_no_connection_behind(
    egress: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = exchange._Exchange._settle
    asking: list[asyncio.Task[Any]] = []

    def settling(self: Any, outcome: Any) -> Any:
        if isinstance(outcome, Answer):
            asking[-1].cancel()
        return settle(self, outcome)

    monkeypatch.setattr(exchange._Exchange, "_settle", settling)
    async with EvilFhir.open(echo, keeps=True) as server:
        for number in range(5):
            asking.append(asyncio.create_task(ask(egress, f"{server.base}/{number}")))
            with pytest.raises(asyncio.CancelledError):
                await asking[-1]
        await asyncio.sleep(0.1)
        assert (len(server.heard), len(server._talks), egress._kept._number) == (5, 0, 0)


async def test_who_says_something_else_of_himself_has_a_connection_of_his_own(egress: Egress) -> None:
    async with EvilFhir.open(echo, keeps=True) as server:
        whom: Sequence[dict[str, str]] = ({}, {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"})
        for _ in range(2):
            for headers in whom:
                await ask(egress, server.base, **headers)
        assert server.connections == len(whom)
        by_name = server.base.replace("127.0.0.1", "localhost")
        await ask(egress, by_name)
        await ask(egress, by_name)
        assert server.connections == len(whom) + 1


async def test_who_believes_somebody_else_has_a_connection_of_his_own(egress: Egress) -> None:
    root, other = authority("Root"), authority("Other")

    async def by(believed: Issued) -> bytes:
        answer = await egress.get(
            checked_url(url, allow_private=True),
            headers={},
            allow_private=True,
            authorities=authorities_in("authoritiesPem", believed.pem),
            limits=SMALL,
        )
        await asyncio.sleep(0.05)
        return answer.body

    async with EvilFhir.open(echo, tls=issued(root).server(), keeps=True) as server:
        url = server.base.replace("http:", "https:")
        assert await by(root) == await by(root) == b"/fhir"
        assert server.connections == 1
        with pytest.raises(Unreachable):
            await by(other)
        assert await by(root) == b"/fhir"


async def test_what_was_hung_up_while_nobody_asked_is_asked_for_anew_and_once(egress: Egress) -> None:
    async with EvilFhir.open(echo, keeps=True) as server:
        await ask(egress, f"{server.base}/1")
        server.does = evil.hang_up
        with pytest.raises(Unreachable):
            await ask(egress, f"{server.base}/2")
        assert server.targets == ["/fhir/1", "/fhir/2", "/fhir/2"]
        with pytest.raises(Unreachable):  # on a connection that was just made nothing is asked twice
            await ask(egress, f"{server.base}/3")
        assert server.targets[3:] == ["/fhir/3"]


async def test_an_answer_that_breaks_off_is_not_asked_for_again(egress: Egress) -> None:
    async with EvilFhir.open(echo, keeps=True) as server:
        await ask(egress, f"{server.base}/1")
        server.does = evil.reset_amidst
        with pytest.raises(Unreachable):
            await ask(egress, f"{server.base}/2")
        assert server.targets == ["/fhir/1", "/fhir/2"]


async def test_it_isnt_kept_for_long(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE", 0.05)
    async with EvilFhir.open(echo, keeps=True) as server:
        await ask(egress, server.base)
        assert len(server._talks) == 1
        await asyncio.sleep(0.2)
        assert (len(server._talks), egress._kept._idle, egress._kept._number) == (0, {}, 0)
        await ask(egress, server.base)
        assert server.connections == 2


async def test_where_it_leads_is_judged_anew_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_LIFE", 0.2)
    leads_to = [["10.0.0.7"], ["169.254.169.254"]]

    async def names(_: str, __: int) -> Sequence[str]:
        return leads_to.pop(0)

    async with EvilFhir.open(echo, keeps=True) as server:

        async def dial(kind: type[Connection], _: str, __: int) -> tuple[asyncio.Transport, Connection]:
            return await asyncio.get_running_loop().create_connection(kind, "127.0.0.1", server.port)

        egress = Egress(names=names, dial=dial)
        for _ in range(3):
            await ask(egress, "http://fhir.example:8080/")
        await asyncio.sleep(0.25)
        with pytest.raises(Blocked):
            await ask(egress, "http://fhir.example:8080/")
        assert server.connections == 1
        await egress.close()


async def test_no_more_are_kept_than_there_is_room_for(
    egress: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MOST_KEPT", 3)
    async with EvilFhir.open(echo, keeps=True) as server:
        await asyncio.gather(*(ask(egress, f"{server.base}/{number}") for number in range(10)))
        assert egress._kept._number == 3
        await asyncio.sleep(0.05)
        assert len(server._talks) == 3
        await egress.close()
        await asyncio.sleep(0.05)
        assert (len(server._talks), egress._kept._number) == (0, 0)


async def test_what_was_hung_up_takes_nobodys_room(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_KEPT", 3)
    async with EvilFhir.open(echo) as bad, EvilFhir.open(echo, keeps=True) as good:
        await asyncio.gather(*(ask(egress, bad.base) for _ in range(5)))
        await asyncio.sleep(0.1)
        for _ in range(3):
            await ask(egress, good.base)
        assert good.connections == 1


async def test_at_once_each_gets_his_own_answer_whoever_goes_away(egress: Egress, rounds: int) -> None:
    """Answers come slowly and out of order, some callers go away before theirs is here, some servers hang up: nobody gets another's."""
    chance = random.Random(11)

    async def slowly(caller: Caller) -> None:
        await asyncio.sleep(chance.random() / 100)
        if chance.random() < 0.05:
            caller.hang_up()
            return
        body = caller.heard.target.encode()
        await caller.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        await asyncio.sleep(chance.random() / 200)
        await caller.say(body)

    async def one(number: int) -> None:
        with suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(chance.choice([0.005, 1.0])):
                answer = await ask(egress, f"{server.base}/{number}")
                assert answer.body == f"/fhir/{number}".encode()
                answered.append(number)

    answered: list[int] = []
    async with EvilFhir.open(slowly, keeps=True) as server:
        for turn in range(rounds):
            await asyncio.gather(*(one(turn * 20 + number) for number in range(20)))
        assert server.connections < len(server.heard)
    assert len(answered) > rounds * 5
