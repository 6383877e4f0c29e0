"""The stream of the change feed: what happens is sent as it happens, for as long as its reader may know, and no longer than the server stands."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cast import Caller, House, data
from doors.native.following import makes_key, opened, seals, walks
from doors.native.living import done
from doors.native.problems import problem
from hospitium.doors import streams
from hospitium.doors.native import feed
from hospitium.engine.actor import Role


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams look more often than every second: nobody here waits."""
    monkeypatch.setattr(feed, "PAUSE", 0.05)


async def happens(house: House) -> int:
    """Let something happen to northside; return the last number."""
    connection = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.ada.does("cancel", connection))
    return await seals(house)


async def test_it_sends_what_was_and_then_what_happens_as_the_list_has_it(house: House) -> None:
    await happens(house)
    was = await walks(house.ada)
    async with opened(house, house.ada) as reader:
        assert reader.answer.status_code == 200
        assert reader.answer.headers["content-type"] == "text/event-stream"
        assert reader.answer.headers["cache-control"] == "no-store"
        assert reader.answer.headers["x-accel-buffering"] == "no"
        assert len(reader.answer.headers["x-request-id"]) == 16
        assert await reader.piece() == (0, None, None, None, 2000)
        assert await reader.events(len(was)) == was
        last = await happens(house)
        assert [event["position"] for event in await reader.events(2)] == [last - 1, last]


async def test_it_sends_only_the_kinds_that_are_asked_for(house: House) -> None:
    async with opened(house, house.ada, kinds="partnership.canceled") as reader:
        await happens(house)
        await happens(house)
        assert [event["kind"] for event in await reader.events(2)] == ["partnership.canceled"] * 2


@pytest.mark.parametrize("by", ["Last-Event-ID", "after", "both"])
async def test_it_goes_on_where_it_was_broken_off(house: House, by: str) -> None:
    for _ in range(3):
        last = await happens(house)
    whole = await walks(house.ada)
    for position in range(0, last + 1, 3):
        headers = {} if by == "after" else {"Last-Event-ID": str(position)}
        query = {"Last-Event-ID": {}, "after": {"after": position}, "both": {"after": 0}}[by]
        rest = [event for event in whole if event["position"] > position]
        async with opened(house, house.ada, headers=headers, **query) as reader:
            assert await reader.piece() == (position, None, None, None, 2000)
            assert await reader.events(len(rest)) == rest


async def test_a_reader_that_is_killed_again_and_again_hears_everything_once(
    house: House, rounds: int
) -> None:
    before = await seals(house)
    over = asyncio.Event()

    async def goes_on() -> None:
        for _ in range(max(6, rounds // 100)):
            await happens(house)
        over.set()

    heard: list[dict[str, Any]] = []
    at = before
    going = asyncio.create_task(goes_on())
    while True:
        last = over.is_set()
        async with opened(house, house.ada, headers={"Last-Event-ID": str(at)}) as reader:
            (piece,) = [await reader.piece()]
            try:
                async with asyncio.timeout(0.2):
                    while piece is not None:
                        if piece.data is not None:
                            heard.append(piece.data)
                        at = piece.id or at
                        piece = await reader.piece()
            except TimeoutError:
                pass  # here it is killed, whatever it waited for
        if last:
            break
    await going
    assert heard == await walks(house.ada, before)
    assert len(house.parts.streams) <= 1


async def test_what_is_asked_wrongly_or_by_the_wrong_is_refused_before_anything_is_sent(house: House) -> None:
    for position in ("x", "-1", "1.5", "10000000000000000000", "0" * 20 + "9" * 25, "0" * 20 + "9" * 4400):
        async with opened(house, house.ada, headers={"Last-Event-ID": position}) as reader:
            await reader.answer.aread()
            assert problem(reader.answer, 400, "invalid")["errors"][0]["field"] == "Last-Event-ID"
    async with opened(house, house.ada, headers={"Last-Event-ID": ""}, after=1) as reader:
        assert (await reader.piece()).id == 1  # type: ignore[union-attr]


async def test_a_quiet_stream_says_that_it_is_there_and_up_to_where_it_looked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "KEEP_OPEN", 0.2)
    async with opened(house, house.zoe, kinds="share.revoked") as reader:
        assert (await reader.piece()).id == 0  # type: ignore[union-attr]
        last = await happens(house)
        position = 0
        while position < last:
            piece = await reader.piece()
            assert piece is not None
            assert (piece.event, piece.data, piece.comment) == (None, None, "quiet")
            position = piece.id or 0
        assert position == last


async def signs_in(house: House, name: str, organization: str, role: Role = Role.ADMIN) -> Caller:
    """Return somebody of the cast in one more session."""
    return Caller(house.http, await house._token_of(house.accounts[name], organization, role), organization)


async def test_it_ends_with_the_session(house: House) -> None:
    other = await signs_in(house, "ada", "northside")
    async with opened(house, other) as reader, opened(house, house.ada) as staying:
        await reader.piece()
        done(await other.send("DELETE", "/v1/sessions/current"))
        await reader.must_end()
        await happens(house)
        assert len(await staying.events(2)) == 2


async def test_it_ends_with_the_membership_and_with_its_role(house: House) -> None:
    second = await house.add_person("eva", "northside")
    third = await house.add_person("ivo", "northside")
    async with opened(house, second) as removed, opened(house, third) as changed:
        await removed.piece()
        await changed.piece()
        done(await house.ada.send("DELETE", f"/v1/members/{house.accounts['eva']}"))
        role = {"role": "physician"}
        done(
            await house.http.request(
                "PATCH", f"/v1/members/{house.accounts['ivo']}", json=role, headers=house.ada.headers
            )
        )
        await removed.must_end()
        await changed.must_end()
    problem(await second.get("/v1/events/stream"), 403, "forbidden")


async def test_it_ends_with_the_key(house: House) -> None:
    application, key_id = await makes_key(house, house.ada, "events")
    async with opened(house, application) as reader:
        await reader.piece()
        await happens(house)
        await reader.events(2)
        done(await house.ada.send("DELETE", f"/v1/service-keys/{key_id}"))
        await happens(house)  # he hears no more of it than of anything
        await reader.must_end()


async def test_it_ends_when_the_access_token_is_over_and_after_its_longest(house: House) -> None:
    tokens = done(
        await house.stranger.post(
            "/v1/sessions", {"email": "ada@northside.example", "password": "correct horse battery"}
        )
    )
    async with opened(house, Caller(house.http, tokens["accessToken"])) as reader:
        await reader.piece()
        house.clock.advance(minutes=61)
        await reader.must_end()
    house.parts.streams.longest = 0.3
    async with opened(house, house.ada) as reader:
        await reader.must_end()
        assert reader.answer.status_code == 200


async def test_a_session_has_four_at_most_and_the_server_two_hundred(house: House) -> None:
    async with opened(house, house.ada), opened(house, house.ada), opened(house, house.ada):
        async with opened(house, house.ada):
            refused = await house.ada.get("/v1/events/stream")
            problem(refused, 429, "busy")
            assert int(refused.headers["retry-after"]) > 0
            async with opened(house, await signs_in(house, "ada", "northside")) as other:
                assert other.answer.status_code == 200
        await asyncio.sleep(0)
        await until(lambda: len(house.parts.streams) == 3)
        async with opened(house, house.ada) as again:
            assert again.answer.status_code == 200
        await until(lambda: len(house.parts.streams) == 3)
        assert house.parts.streams.most == 200
        house.parts.streams.most = 3
        problem(await house.rui.get("/v1/events/stream"), 429, "busy")
    await until(lambda: len(house.parts.streams) == 0)


async def test_an_organization_takes_no_more_than_its_part_however_many_ask_for_it(house: House) -> None:
    assert house.parts.streams.most_of_one * 2 < house.parts.streams.most
    house.parts.streams.most_of_one = 2
    first, _ = await makes_key(house, house.ada, "events")
    async with opened(house, house.ada), opened(house, first):
        problem(await (await signs_in(house, "ada", "northside")).get("/v1/events/stream"), 429, "busy")
        async with opened(house, house.rui) as other:
            assert other.answer.status_code == 200
    await until(lambda: len(house.parts.streams) == 0)
    async with opened(house, house.ada) as again:
        assert again.answer.status_code == 200


async def until(is_so: Any) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_no_connection_to_the_database_is_held_between_two_looks(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAUSE", 60)
    readers = [await signs_in(house, "ada", "northside") for _ in range(3)]
    async with (
        opened(house, readers[0]) as one,
        opened(house, readers[1]) as two,
        opened(house, readers[2]) as three,
    ):
        for reader in (one, two, three):
            await reader.piece()
        pool = house.database.pool()
        assert (pool.idle, pool.waiting) == (pool.size, 0)
        idle = await house.rows(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        assert idle == []


async def test_who_leaves_leaves_nothing_behind(house: House) -> None:
    for _ in range(12):
        async with opened(house, house.ada) as reader:
            await reader.piece()
    await until(lambda: len(house.parts.streams) == 0)
    pool = house.database.pool()
    assert (pool.idle, pool.waiting) == (pool.size, 0)


async def test_a_server_that_is_asked_to_stop_ends_its_streams_and_opens_no_more(house: House) -> None:
    async with opened(house, house.ada) as reader:
        await reader.piece()
        house.parts.stopping.set()
        await reader.must_end()
        refused = await house.ada.get("/v1/events/stream")
        problem(refused, 503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0


async def stops_reading(house: House, who: Caller) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream that is full of events and isn't read; return its connection."""
    for _ in range(5):
        await house.operate(lambda ctx: many_events(ctx, house.northside))
    await seals(house)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(house.base_url.rpartition(":")[2]), limit=1
    )
    writer.write(
        f"GET /v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {who.token}\r\n\r\n".encode()
    )
    await until(lambda: len(house.parts.streams) == 1)
    return reader, writer


async def test_a_reader_that_does_not_read_holds_nobody_up(house: House) -> None:
    """It has a place and a connection, and the server's stop ends both."""
    _, writer = await stops_reading(house, house.ada)
    await asyncio.sleep(1)
    house.parts.stopping.set()
    began = time.monotonic()
    await until(lambda: len(house.parts.streams) == 0)
    assert time.monotonic() - began < 5
    writer.close()


async def test_a_reader_that_does_not_read_is_cut_off_and_what_he_was_sent_with_him(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks whether his key has ended while he is waited for; nor is he kept waiting for by the connection afterwards."""
    assert streams.SENT_WITHIN <= 10
    monkeypatch.setattr(streams, "SENT_WITHIN", 2.0)
    application, key_id = await makes_key(house, house.ada, "events")
    _, writer = await stops_reading(house, application)
    await asyncio.sleep(1)  # until everything between them is full
    done(await house.ada.send("DELETE", f"/v1/service-keys/{key_id}"))
    began = time.monotonic()
    await until(lambda: len(house.parts.streams) == 0)
    assert time.monotonic() - began < 5
    # What he didn't take in isn't kept for him: the server's end of the connection is gone, though he has read nothing.
    mine, its = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    await until(
        lambda: (its, mine) not in [(one.laddr, one.raddr) for one in psutil.Process().net_connections("tcp")]
    )
    writer.close()


async def test_a_reader_that_reads_slowly_is_not_cut_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SENT_WITHIN", 1.0)
    reader, writer = await stops_reading(house, house.ada)
    begins = time.monotonic()
    while time.monotonic() - begins < 2.5:
        async with asyncio.timeout(5):
            assert await reader.read(1 << 20)
        await asyncio.sleep(0.03)
    assert len(house.parts.streams) == 1
    writer.close()


async def many_events(ctx: Any, organization: Any) -> None:
    """Write events that fill whatever is between a server and a reader that doesn't read."""
    await ctx.tx.execute(
        "WITH written AS (INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data) "
        "SELECT gen_random_uuid(), $1, pg_current_xact_id()::text::bigint, 'record.updated', 'system', 'record', "
        "jsonb_build_object('version', repeat('x', 4000)) FROM generate_series(1, 2000) RETURNING id, at) "
        "INSERT INTO event_parties (party_id, at, event_id, party_kind) SELECT $2, at, id, 'organization' FROM written",
        ctx.now,
        organization,
    )


# -- as the page tells it ----------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[3] / "docs" / "events.md"


class Heard(Exception):
    """A follower has heard what it waited for."""


@pytest.mark.parametrize("way", ["follow", "stream"])
async def test_the_loops_of_the_page_hear_everything_and_go_on_where_they_were(
    house: House, way: str
) -> None:
    written: dict[str, Any] = {}
    for block in re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        exec(block, written)
    application, _ = await makes_key(house, house.ada, "events")
    await happens(house)
    first = await walks(house.ada)

    def hears(after: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """Run the page's loop until it has heard so many events; return them, and the position it would keep."""
        heard: list[dict[str, Any]] = []
        kept = after

        def take(events: list[dict[str, Any]], position: int) -> None:
            nonlocal kept
            heard.extend(events)
            kept = position
            if len(heard) >= count:
                raise Heard

        with pytest.raises(Heard):
            written[way](house.base_url, application.token, after, take)
        return heard, kept

    heard, kept = await asyncio.to_thread(hears, 0, len(first))
    assert heard == first
    waiting = asyncio.create_task(asyncio.to_thread(hears, kept, 2))
    await happens(house)
    heard, last = await waiting
    assert heard == await walks(house.ada, kept)
    assert last >= heard[-1]["position"]
    await until(lambda: len(house.parts.streams) == 0)
