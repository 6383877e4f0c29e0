"""Who reads a FHIR server elsewhere is found together with those who ask at the same time, and finds what he finds alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cast import PEOPLE, Caller
from clinic import JANE, JIMMY, add_server, body
from doors.console.test_invite_pages import PAT, enters
from doors.console.visitor import Visitor
from doors.fhir.ward import JANES, JIMMYS, Upstream, Ward, remote
from fakes.evil_fhir import EvilFhir
from hospitium.doors import readers as door
from hospitium.engine.access.on_server import Reader, reader_of, readers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House

ASKED = (f"Patient/{JANE}", f"Patient/{JIMMY}", "Observation", "Observation?patient.name=x", "Account/x-both")


@pytest.fixture
async def far(house: House) -> AsyncIterator[Ward]:
    """A server elsewhere, of which nothing is known yet."""
    async with EvilFhir.open(Upstream((*JANES, *JIMMYS))) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        yield ward


async def sessions(house: House) -> dict[str, UUID]:
    rows = await house.rows(
        "SELECT s.id, a.email FROM sessions AS s JOIN accounts AS a ON a.id = s.account_id WHERE s.ended_at IS NULL"
    )
    return {row["email"].partition("@")[0]: row["id"] for row in rows}


def spelled(reader: Reader | None) -> Any:
    return None if reader is None else msgspec.to_builtins([reader.actor, reader.server, reader.reach])


async def test_found_together_or_alone_they_are_the_same(house: House, far: Ward) -> None:
    other = await add_server(house, name="Other")
    await house.rows("UPDATE memberships SET ends_at = now() WHERE account_id = $1", house.accounts["zoe"])
    who = [*(await sessions(house)).values(), uuid4()]
    where = [far.server_id, other, uuid4()]
    asked = [(session, server) for session in who for server in where] * 3
    now = house.clock()
    async with house.database.reading() as tx:
        together = await readers_of(tx, asked, now)
        alone = [await reader_of(tx, *one, now) for one in asked]
        assert list(map(spelled, together)) == list(map(spelled, alone))
        assert await readers_of(tx, asked[:1], now + timedelta(days=4_000)) == [None]
    kinds = {(one is None, one is not None and one.server is None) for one in together}
    assert kinds == {(True, False), (False, True), (False, False)}
    assert any(one is not None and one.reach.patients for one in together)
    assert any(one is not None and one.reach.whole for one in together)


async def test_at_once_each_sees_what_he_sees_alone(house: House, far: Ward, rounds: int) -> None:
    """Staff, who see all; pat, who sees jane; others, who see nothing; and callers whose sessions are over."""
    callers: list[Caller] = [house.callers[name] for name in PEOPLE]
    callers += [Caller(house.http, "not a token"), Caller(house.http)]
    asked = [(caller, path) for caller in callers for path in ASKED]

    async def told(caller: Caller, path: str) -> tuple[int, bytes]:
        answered = await far.get(path, caller)
        return answered.status_code, answered.content

    alone = [await told(*one) for one in asked]
    assert {status for status, _ in alone} >= {200, 400, 401, 404}
    order = list(range(len(asked)))
    for turn in range(max(2, rounds // 20)):
        mixed = order[turn % 7 :: 2] + order[::-1]
        found = await asyncio.gather(*(told(*asked[index]) for index in mixed))
        assert found == [alone[index] for index in mixed]


async def test_who_is_refused_is_on_record_as_before_the_server_was_known(house: House, far: Ward) -> None:
    """The quick way is for who may read: whoever may not is told, and kept on record, in the same way."""
    far.house.parts.reading._readers._elsewhere.clear()

    async def refusals() -> list[Any]:
        before = len(await house.rows("SELECT id FROM events"))
        for name in ("rui", "nia", "cal"):
            answered = await far.get(f"Patient/{JANE}", house.callers[name])
            assert answered.status_code in (403, 404), answered.text
        rows = await house.rows(
            "SELECT kind, actor_account_id, subject_id, data::text FROM events ORDER BY position"
        )
        return [tuple(row.values()) for row in rows[before:]]

    unknown = await refusals()
    body(await far.get(f"Patient/{JANE}"))
    assert far.server_id in house.parts.reading._readers._elsewhere
    assert await refusals() == unknown != []


async def test_what_was_ended_is_over_for_whoever_comes_after(house: House, far: Ward) -> None:
    body(await far.get(f"Patient/{JANE}"))
    body(await far.get(f"Patient/{JANE}"))
    await house.rows("UPDATE grants SET ends_at = now() WHERE grantee_kind = 'person'")
    assert (await far.get(f"Patient/{JANE}")).status_code == 404
    body(await far.get(f"Patient/{JANE}", house.ben))
    await house.rows("UPDATE sessions SET ended_at = now(), end_reason = 'signed_out'")
    for who in (far.jan, house.ben):
        assert (await far.get(f"Patient/{JANE}", who)).status_code == 401


async def test_who_shows_a_cookie_reads_as_whom_that_says(house: House, far: Ward) -> None:
    """Whatever else he shows, and whether the server is known or not."""
    body(await far.get(f"Patient/{JANE}"))
    (grant,) = await house.rows("SELECT id FROM grants WHERE grantee_kind = 'person'")
    async with Visitor(house) as visitor:
        await enters(visitor, PAT)
        before = len(await house.rows("SELECT id FROM events"))
        page = await visitor.http.get(
            f"/console/my-record/{grant['id']}", headers={"Authorization": house.ben.headers["Authorization"]}
        )
        assert page.status_code == 200
    rows = await house.rows("SELECT kind, actor_account_id FROM events ORDER BY position")
    readers = {row["actor_account_id"] for row in rows[before:] if row["kind"] == "fhir.read"}
    assert readers == {house.accounts["pat"]}


async def test_grants_that_lapsed_are_looked_at_and_counted(
    house: House, far: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They allow nothing, and take as long."""
    monkeypatch.setattr(door, "MANY", 0)
    body(await far.get(f"Patient/{JANE}", house.ben))
    await house.rows("UPDATE grants SET ends_at = now() WHERE grantee_kind = 'person'")
    await house.rows(
        "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_id, fhir_server_id, level, starts_at, until, cause_kind, cause_id) "
        "SELECT gen_random_uuid(), grantee_kind, grantee_id, resource_kind, resource_id, fhir_server_id, level, starts_at - interval '2 days', "
        "starts_at - interval '1 day', cause_kind, cause_id FROM grants WHERE grantee_kind = 'person'"
    )
    readers = house.parts.reading._readers
    readers._of_many.clear()
    assert (await far.get(f"Patient/{JANE}")).status_code == 404
    assert readers._of_many == {(await sessions(house))["pat"]}


async def test_who_asks_for_much_at_once_is_looked_for_once(
    house: House, far: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    body(await far.get(f"Patient/{JANE}"))
    together: list[int] = []

    async def find(tx: Any, asked: Any, now: Any) -> list[Reader | None]:
        together.append(len(asked))
        assert len(set(asked)) == len(asked)
        return await readers_of(tx, asked, now)

    monkeypatch.setattr(door, "readers_of", find)
    answered = await asyncio.gather(*(far.get(f"Patient/{JANE}", who) for who in [far.jan, house.ben] * 6))
    assert {one.status_code for one in answered} == {200}
    assert len(together) < 12
    assert max(together) == 2


async def test_who_may_read_many_is_looked_for_by_himself(
    house: House, far: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long to find holds up nobody else."""
    monkeypatch.setattr(door, "MANY", 0)
    body(await far.get(f"Patient/{JANE}"))
    together: list[Any] = []

    async def find(tx: Any, asked: Any, now: Any) -> list[Reader | None]:
        together.extend(asked)
        return await readers_of(tx, asked, now)

    monkeypatch.setattr(door, "readers_of", find)
    body(await far.get(f"Patient/{JANE}"))
    assert together == []
    body(await far.get(f"Patient/{JANE}", house.ben))
    assert [server for _, server in together] == [far.server_id]
