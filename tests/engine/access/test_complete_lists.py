"""A thousand and one, and nobody missing: lists are whole, each thing once, in one order, whatever comes and goes elsewhere meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from engine import sharing
from engine.access.tables import insert
from engine.ground import NOBODYS_HASH
from hospitium.engine.access import listing
from hospitium.engine.access.listing import After
from hospitium.engine.access.naming import Named
from hospitium.engine.context import Context
from hospitium.engine.ids import FIRST_ID, new_id
from hospitium.engine.teams import actions as teams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.ground import Ground

COUNTS = [1_001, pytest.param(10_001, marks=pytest.mark.soak), pytest.param(100_001, marks=pytest.mark.soak)]
TYPE = "c_prescription"


class Place(NamedTuple):
    """Where things are put in great numbers: ada's organization, with a team, and pat, who is a stranger there."""

    ground: Ground
    pat: UUID
    team: UUID

    @classmethod
    async def open(cls, ground: Ground) -> Place:
        pat = ground.actors["pat"].account_id
        assert pat is not None
        return cls(ground, pat, (await ground.does("ada", teams.create, "Crew")).id)

    async def put(self, table: str, rows: list[dict[str, Any]]) -> None:
        async with self.ground.database.transaction() as tx:
            await insert(tx, table, rows)

    async def run(self, sql: str, *values: Any) -> None:
        async with self.ground.database.transaction() as tx:
            await tx.execute(sql, *values)

    async def asks(self, what: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        async with self.ground.database.transaction() as tx:
            ctx = Context(tx, self.ground.actors["system"], self.ground.clock())
            return await what(ctx, self.ground.northside, *given)

    def new_ids(self, count: int) -> list[UUID]:
        return [new_id(self.ground.clock()) for _ in range(count)]

    # -- rows ----------------------------------------------------------------------------------------------------------

    def grants(
        self, to: tuple[str, UUID], on: list[tuple[str, str, str, UUID | None]], **more: Any
    ) -> list[dict[str, Any]]:
        """Return grants of level 4 on things: each its kind, its type, its id, its FHIR server."""
        return [
            {"id": uuid4(), "grantee_kind": to[0], "grantee_id": to[1], "resource_kind": kind, "resource_type": type_, "resource_id": its_id,
             "fhir_server_id": server, "level": 4, "starts_at": self.ground.clock(), "cause_kind": "operator", **more}
            for kind, type_, its_id, server in on
        ]  # fmt: skip

    async def accounts(self, count: int) -> list[UUID]:
        ids, now = self.new_ids(count), self.ground.clock()
        await self.put("accounts", [
            {"id": one, "email": str(one), "email_key": str(one), "password_hash": NOBODYS_HASH.reveal(), "status": "active", "created_at": now} for one in ids
        ])  # fmt: skip
        return ids

    async def records(self, type_id: UUID, count: int) -> list[UUID]:
        ids, now, ada = self.new_ids(count), self.ground.clock(), self.ground.actors["ada"].account_id
        await self.put("records", [
            {"id": one, "organization_id": self.ground.northside, "object_type_id": type_id, "owner_id": ada, "creator_id": ada, "body": {},
             "status": "active", "created_at": now, "updated_at": now}
            for one in ids
        ])  # fmt: skip
        return ids

    async def members(self, ids: list[UUID]) -> None:
        await self.put("team_memberships", [
            {"id": uuid4(), "team_id": self.team, "account_id": one, "is_owner": False, "starts_at": self.ground.clock()} for one in ids
        ])  # fmt: skip


def page_of(count: int) -> int:
    """Return how many are asked for at a time: 11 pages of a thousand and one, as many as that of more."""
    return 100 if count < 100_000 else 1_000


async def turned(
    read: Callable[[Any], Awaitable[list[Any]]],
    first: Any,
    key: Callable[[Any], Any],
    meanwhile: Callable[[], Awaitable[None]],
) -> list[Any]:
    """Turn the pages to the end, each after the key of the last; between two of them something happens."""
    found: list[Any] = []
    after = first
    while page := await read(after):
        found += page
        after = key(page[-1])
        await meanwhile()
    return found


@pytest.mark.parametrize("count", COUNTS)
async def test_every_record_is_listed_once_while_others_come_and_go(ground: Ground, count: int) -> None:
    place = await Place.open(ground)
    await place.members([place.pat])
    type_id = (await ground.does("ada", sharing.a_type, TYPE)).id
    other_type = (await ground.does("ada", sharing.a_type, "c_other")).id
    ids = await place.records(type_id, count)
    extra = await place.records(type_id, 60)
    rui = ground.actors["rui"].account_id
    assert rui is not None

    def on(those: list[UUID], of: UUID = type_id) -> list[tuple[str, str, str, UUID | None]]:
        return [("record", str(of), str(one), None) for one in those]

    await place.put("grants", place.grants(("account", place.pat), on(ids[::2])))
    await place.put("grants", place.grants(("team", place.team), on(ids[1::2] + ids[::10])))
    # Neither these nor what comes and goes between two pages is his.
    await place.put("grants", place.grants(("account", rui), on(ids[::3])))
    await place.put(
        "grants", place.grants(("account", place.pat), on(await place.records(other_type, 9), other_type))
    )
    await place.put("grants", place.grants(("account", place.pat), on(extra[:9]), level=2))
    ended = place.grants(("account", place.pat), on(extra[9:18]))
    await place.put("grants", [row | {"ends_at": row["starts_at"]} for row in ended])
    coming = iter(extra[18:])

    async def meanwhile() -> None:
        for one in (next(coming, None), next(coming, None)):
            if one is not None:
                await place.put("grants", place.grants(("account", place.pat), on([one])))
                await place.put("grants", place.grants(("account", rui), on([one])))
        await place.run(
            "UPDATE grants SET ends_at = starts_at WHERE id = (SELECT id FROM grants WHERE resource_id = ANY($1) AND ends_at IS NULL LIMIT 1)",
            [str(one) for one in extra[18:]],
        )  # fmt: skip

    asked = Named("account", str(place.pat), "read", TYPE, "")
    assert await place.asks(listing.count_resources, asked) == count

    async def read(after: After) -> list[Any]:
        found: list[Any] = await place.asks(listing.resources, asked, after, page_of(count))
        return found

    found = [one.id for one in await turned(read, After(), lambda one: After(one.id), meanwhile)]
    assert found == sorted(set(found))
    theirs = {str(one) for one in extra[18:]}
    assert [one for one in found if one not in theirs] == sorted(str(one) for one in ids)


@pytest.mark.parametrize("count", COUNTS)
async def test_every_patient_is_listed_once_his_own_and_those_of_a_whole_server(
    ground: Ground, count: int
) -> None:
    """On two servers patients have the same ids: a list goes on after both, the id and the server."""
    place = await Place.open(ground)
    far, here, more = sorted(place.new_ids(3))
    now = ground.clock()
    await place.put("fhir_servers", [
        {"id": one, "organization_id": ground.northside, "name": str(one), "name_key": str(one), "kind": "remote" if one == far else "built-in",
         "base_url": "https://fhir.example" if one == far else None, "created_at": now}
        for one in (far, here, more)
    ])  # fmt: skip
    ids = [f"p{number:06}" for number in range(count)]
    async with ground.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO fhir_resources (fhir_server_id, type, id, version, last_updated, body, digest, patients, search_keys, date_from) "
            "SELECT server, 'Patient', id, 1, $3, jsonb_build_object('resourceType', 'Patient', 'id', id), '', ARRAY[id], '{}', $3 "
            "FROM unnest($1::text[]) AS id, unnest($2::uuid[]) AS server",
            ids, [here, more], now,
        )  # fmt: skip
    singly, rest = ids[::2], ids[1::2]
    # One by one on the far server, and two patients of the third; the second whole, and some there besides.
    await place.put(
        "grants", place.grants(("account", place.pat), [("patient", "", one, far) for one in singly])
    )
    await place.put("grants", place.grants(("account", place.pat), [("fhir_server", "", str(here), here)]))
    await place.put(
        "grants", place.grants(("account", place.pat), [("patient", "", one, here) for one in ids[::7]])
    )
    await place.put(
        "grants", place.grants(("account", place.pat), [("patient", "", one, more) for one in rest[:2]])
    )
    number = iter(range(1_000_000))

    async def meanwhile() -> None:
        await place.put(
            "grants", place.grants(("account", place.pat), [("patient", "", f"q{next(number):03}", far)])
        )
        await place.run(
            "UPDATE grants SET ends_at = starts_at WHERE id = (SELECT id FROM grants WHERE resource_id LIKE 'q%' AND ends_at IS NULL LIMIT 1)"
        )

    asked = Named("account", str(place.pat), "read", "Patient", "")
    expected = sorted(
        [(one, far) for one in singly] + [(one, here) for one in ids] + [(one, more) for one in rest[:2]]
    )
    assert await place.asks(listing.count_resources, asked) == len(expected)

    async def read(after: After) -> list[Any]:
        found: list[Any] = await place.asks(listing.resources, asked, after, page_of(count))
        return found

    def key(one: Any) -> After:
        return After(one.id, one.fhir_server_id)

    found = [(one.id, one.fhir_server_id) for one in await turned(read, After(), key, meanwhile)]
    assert found == sorted(set(found))
    assert [one for one in found if not one[0].startswith("q")] == expected
    alone = asked._replace(fhir_server_id=str(far))
    assert await place.asks(listing.count_resources, alone) >= len(singly)


@pytest.mark.parametrize("count", COUNTS)
async def test_everybody_who_may_is_named_once_members_of_a_team_and_those_it_was_shared_with(
    ground: Ground, count: int
) -> None:
    place = await Place.open(ground)
    type_id = (await ground.does("ada", sharing.a_type, TYPE)).id
    (record,) = await place.records(type_id, 1)
    on: list[tuple[str, str, str, UUID | None]] = [("record", str(type_id), str(record), None)]
    members = await place.accounts(count)
    await place.members(members)
    shared = await place.accounts(count // 10) + members[::10]
    await place.put("grants", place.grants(("team", place.team), on))
    await place.put("grants", [row for one in shared for row in place.grants(("account", one), on)])
    persons = place.new_ids(count // 10)
    await place.put("grants", [row for one in persons for row in place.grants(("person", one), on)])
    strangers = iter(await place.accounts(200))
    ada = ground.actors["ada"].account_id  # her team it is

    async def meanwhile() -> None:
        coming = next(strangers, None)
        if coming is not None:
            await place.members([coming])
            await place.put("grants", place.grants(("account", coming), on, level=2))
        await place.run(
            "UPDATE team_memberships SET ends_at = starts_at WHERE account_id = $1 AND ends_at IS NULL",
            coming,
        )

    for kind, expected in (
        ("account", {*members, *shared, ada}),
        ("person", set(persons)),
        ("team", {place.team}),
    ):
        asked = Named(kind, "", "read", TYPE, str(record))
        assert await place.asks(listing.count_subjects, asked) == len(expected)

        async def read(after: UUID, asked: Named = asked) -> list[Any]:
            found: list[Any] = await place.asks(listing.subjects, asked, after, page_of(count))
            return found

        found = [one.id for one in await turned(read, FIRST_ID, lambda one: one.id, meanwhile)]
        assert found == sorted(expected), kind
