"""The change feed: what concerns an organization, in the order of the seals, from any position on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

import clinic as clinics
from cast import Caller, House, MovableClock, connected, data
from clinic import Clinic, add_server
from doors.medable.sharing import defines, makes
from doors.native.following import makes_key, seals, walks
from doors.native.living import done
from doors.native.problems import problem
from doors.native.test_teams import team_of
from engine.trail.sealing import KEYS
from hospitium.dispatch.sweeps import make_event_partitions
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine.actor import Actor, ActorKind, Role
from hospitium.engine.errors import NotFound, Refusal
from hospitium.engine.events import EventKind
from hospitium.engine.ids import parse_id
from hospitium.engine.permissions import RULES, Need, Permission, noun_of
from hospitium.engine.trail import actions as trail, feed
from hospitium.engine.trail.sealer import seal_next

# An event as the engine writes it: its id, its kind, whose account did it for which organization, and in whose trails it stands.
WRITE = """
    WITH written AS (
        INSERT INTO events (id, at, transaction, kind, actor_kind, actor_account_id, actor_organization_id, subject_kind, subject_id, data)
        VALUES ($1, $2, pg_current_xact_id()::text::bigint, $3, 'account', gen_random_uuid(), $4, 'partnership', gen_random_uuid(),
                jsonb_build_object('version', 1))
        RETURNING id, at
    )
    INSERT INTO event_parties (party_id, at, event_id, party_kind)
    SELECT party, at, id, 'organization' FROM written, unnest($5::uuid[]) AS party"""


def kinds_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


async def test_it_tells_what_happened_in_order_and_says_no_more_than_the_trail(house: House) -> None:
    before = await seals(house)
    connection = await connected(house.ada, house.lakeside, house.rui)
    last = await seals(house)
    page = done(await house.ada.get("/v1/events", after=before))
    requested, approved = page["events"]
    assert (page["position"], page["more"]) == (last, False)
    assert requested.pop("id") != approved["id"]
    assert requested.pop("at") < approved["at"]
    assert requested == {
        "position": last - 1,
        "kind": "partnership.requested",
        "actor": {
            "kind": "account",
            "accountId": str(house.accounts["ada"]),
            "organizationId": str(house.northside),
        },
        "subject": {"kind": "partnership", "id": connection},
        "data": requested["data"],
    }
    (kept,) = await house.rows("SELECT data FROM events WHERE kind = 'partnership.requested'")
    assert requested["data"] == kept["data"]
    assert (approved["position"], approved["kind"]) == (last, "partnership.approved")
    # One fact, in the trails of both.
    assert done(await house.rui.get("/v1/events", after=before)) == done(
        await house.ada.get("/v1/events", after=before)
    )
    (sessions,) = await house.rows("SELECT array_agg(id::text) AS ids FROM sessions")
    told = (await house.ada.get("/v1/events", limit=1000)).text
    assert not [session for session in sessions["ids"] if session in told]


async def test_another_organization_hears_nothing_of_it(house: House) -> None:
    connection = await connected(house.ada, house.lakeside, house.rui)
    await house.ada.send(
        "PATCH", "/v1/organizations/own", b'{"phone": "+1 555 0199"}', Content_Type="application/json"
    )
    await seals(house)
    canaries = (connection, str(house.northside), str(house.lakeside), str(house.accounts["ada"]))
    told = (await house.zoe.get("/v1/events", limit=1000)).text
    assert not [canary for canary in canaries if canary in told]
    assert "organization.updated" in kinds_of(await walks(house.ada))
    for event in await walks(house.rui):
        assert event["kind"] != "organization.updated"


async def test_from_any_position_it_tells_exactly_the_rest_in_pages_of_any_size(house: House) -> None:
    for _ in range(3):
        connection = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
        data(await house.ada.does("cancel", connection))
        data(await house.zoe.asks(house.lakeside), 201)  # between them, what ada doesn't hear of
        data(
            await house.zoe.does(
                "cancel", (await house.rows("SELECT id FROM partnerships ORDER BY id DESC"))[0]["id"]
            )
        )
    last = await seals(house)
    whole = await walks(house.ada, limit=1000)
    assert len(whole) >= 6
    for limit in (1, 2, 5):
        assert await walks(house.ada, limit=limit) == whole
    for after in range(last + 1):
        rest = [event for event in whole if event["position"] > after]
        page = done(await house.ada.get("/v1/events", after=after, limit=1000))
        assert (page["events"], page["position"]) == (rest, last)
        assert done(await house.ada.get("/v1/events", after=after, limit=1000)) == page


async def test_who_has_few_events_does_not_look_twice_and_no_look_is_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(house.ada, house.lakeside, house.rui)
    last = await seals(house)
    page = done(await house.zoe.get("/v1/events", after=1, kinds="share.revoked"))
    assert page == {"events": [], "position": last, "more": False}
    whole = await walks(house.ada)
    monkeypatch.setattr(feed, "LONGEST_STRETCH", 3)
    looked = []
    after = 0
    while after < last:
        page = done(await house.zoe.get("/v1/events", after=after, kinds="share.revoked"))
        assert (page["events"], page["more"]) == ([], page["position"] < last)
        looked.append(page["position"] - after)
        after = page["position"]
    assert set(looked[:-1]) == {3}
    assert await walks(house.ada) == whole


async def test_a_position_to_come_is_answered_empty_and_waits_for_its_time(house: House) -> None:
    last = await seals(house)
    for after in (last, last + 1, last + 2, 10**18 - 1):
        assert done(await house.ada.get("/v1/events", after=after)) == {
            "events": [],
            "position": after,
            "more": False,
        }
    await connected(house.ada, house.lakeside, house.rui)
    await seals(house)
    assert kinds_of(await walks(house.ada, last + 1)) == ["partnership.approved"]


async def test_of_no_events_at_all_there_is_nothing_to_tell(house: House) -> None:
    assert done(await house.ada.get("/v1/events")) == {"events": [], "position": 0, "more": False}


async def test_it_tells_only_the_kinds_that_are_asked_for(house: House) -> None:
    await connected(house.ada, house.lakeside, house.rui)
    last = await seals(house)
    asked = "partnership.approved,share.accepted"
    page = done(await house.ada.get("/v1/events", kinds=asked))
    assert kinds_of(page["events"]) == ["partnership.approved"]
    assert (page["position"], page["more"]) == (last, False)
    both = await walks(house.ada, kinds="partnership.approved,partnership.requested", limit=1)
    assert kinds_of(both) == ["partnership.requested", "partnership.approved"]
    whole = await walks(house.ada)
    every = ",".join(EventKind)
    assert await walks(house.ada, kinds=every) == whole
    for kind in {event["kind"] for event in whole}:
        assert await walks(house.ada, kinds=kind) == [event for event in whole if event["kind"] == kind]


@pytest.mark.parametrize("at", ["/v1/events", "/v1/events/stream"])
async def test_what_is_asked_wrongly_is_refused_by_name(house: House, at: str) -> None:
    wrong = problem(await house.ada.get(at, kinds="partnership.approved,share.sold"), 400, "invalid")
    assert wrong["errors"] == [{"field": "kinds", "detail": "there is no kind of event called share.sold"}]
    for kinds in (",", "refused,", ",refused", "REFUSED", "refused refused", "refused;refused", "x" * 10_001):
        refused = problem(await house.ada.get(at, kinds=kinds), 400, "invalid")
        assert refused["errors"][0]["field"] == "kinds"
    for after in (
        "-1",
        "1.5",
        "x",
        "10000000000000000000",
        str(10**18),
        "٣",
        "+1",
        "1" * 30,
        "0" * 20 + "9" * 25,
    ):
        refused = problem(await house.ada.get(at, after=after), 400, "invalid")
        assert refused["errors"][0]["field"] == "after"
    if at == "/v1/events":
        for limit in ("0", "1001", "-1", "x"):
            refused = problem(await house.ada.get(at, limit=limit), 400, "invalid")
            assert refused["errors"][0]["field"] == "limit"


@pytest.mark.parametrize("at", ["/v1/events", "/v1/events/stream"])
async def test_it_is_for_administrators_and_for_keys_with_the_scope(house: House, at: str) -> None:
    problem(await house.stranger.get(at), 401, "not-signed-in")
    assert (await Caller(house.http, "nonsense").get(at)).status_code == 401
    for caller in (house.ben, house.mia, house.pat):
        problem(await caller.get(at), 403, "forbidden")
    for caller in (house.nia, house.cal):
        problem(await caller.get(at), 403, "organization-inactive")
    other, _ = await makes_key(house, house.ada, "check", "list", "explain")
    problem(await other.get(at), 403, "forbidden")


async def test_a_key_follows_what_its_organizations_administrators_do(house: House) -> None:
    application, key_id = await makes_key(house, house.ada, "events")
    await connected(house.ada, house.lakeside, house.rui)
    await seals(house)
    assert await walks(application) == await walks(house.ada)
    assert done(await house.ada.send("DELETE", f"/v1/service-keys/{key_id}"))
    problem(await application.get("/v1/events"), 401, "session-ended")


async def test_what_is_not_sealed_yet_comes_later_in_its_place(house: House) -> None:
    last = await seals(house)
    await connected(house.ada, house.lakeside, house.rui)
    assert done(await house.ada.get("/v1/events", after=last)) == {
        "events": [],
        "position": last,
        "more": False,
    }
    await seals(house)
    assert [event["position"] for event in await walks(house.ada, last)] == [last + 1, last + 2]


async def test_what_its_people_do_for_themselves_is_not_told(house: House) -> None:
    before = await seals(house)
    clinic = await Clinic.open(house)
    code = clinics.body(await clinic.invites_by_code(house.ada))["securityCode"]
    # Rui administers lakeside, and acts for it; she is northside's patient, and has a child.
    person = await clinics.makes_person(house.rui)
    clinics.body(await clinics.finds(house.rui, code))
    clinics.body(await clinics.accepts_by_code(house.rui, code, person))
    done(await house.rui.send("DELETE", "/v1/sessions/others"))
    await seals(house)
    (row,) = await house.rows(
        "SELECT array_agg(DISTINCT e.kind) AS kinds FROM events AS e JOIN event_parties AS p ON p.event_id = e.id "
        "WHERE p.party_id = $1 AND e.actor_account_id = $2",
        house.lakeside,
        house.accounts["rui"],
    )
    assert {"person.created", "invite.accepted"} <= set(row["kinds"])  # they stand in lakeside's trail
    assert await walks(house.rui, before) == []
    told = kinds_of(await walks(house.ada, before))
    assert {"invite.made", "invite.accepted"} <= set(told)
    assert "person.created" not in told


async def refused(house: House, permission: Permission, about: UUID | None = None) -> None:
    """Refuse something to ben, who works for northside."""
    ben = Actor(
        ActorKind.ACCOUNT,
        account_id=house.accounts["ben"],
        organization_id=house.northside,
        organization_is_active=True,
        role=Role.PHYSICIAN,
    )

    async def deed(_: Any) -> None:
        raise NotFound("something")

    with pytest.raises(Refusal):
        await perform_as(house.database, house.clock, ben, permission, deed, about=about)


async def test_of_refusals_only_those_are_told_that_are_the_organizations_business(house: House) -> None:
    """What somebody asks for himself, and is refused, is not his employer's to know."""
    before = await seals(house)
    for permission in Permission:
        await refused(house, permission)
        await refused(house, permission, uuid4())
    await seals(house)
    told = {
        (event["subject"]["kind"], event["data"]["permission"]) for event in await walks(house.ada, before)
    }
    assert told == {
        (noun_of(permission), permission.value)
        for permission in Permission
        if RULES[permission].need in (Need.STAFF, Need.ADMINISTRATOR)
    }
    for private in (
        Permission.SEE_ACCESS,
        Permission.EXPLAIN_ACCESS,
        Permission.SEE_RECORDS,
        Permission.SEE_TEAMS,
    ):
        assert private.value not in {permission for _, permission in told}
    nouns = {row["subject_kind"] for row in await house.rows("SELECT DISTINCT subject_kind FROM events")}
    assert {"access", "delivery", "record", "team"} <= nouns
    assert not nouns & {"acces", "deliverie"}


async def test_a_refusal_about_the_organizations_own_row_is_told_and_about_anothers_is_not(
    house: House,
) -> None:
    own = UUID(await team_of(house, "mia"))
    server = await add_server(house)
    await house.rows("UPDATE fhir_servers SET organization_id = $1 RETURNING 1", house.lakeside)
    before = await seals(house)
    await refused(house, Permission.CHANGE_TEAM, own)
    await refused(house, Permission.CHANGE_TEAM, house.lakeside)
    await refused(house, Permission.SEE_GRANTS, server)
    await seals(house)
    told = await walks(house.ada, before)
    assert [(event["subject"]["kind"], event["subject"]["id"]) for event in told] == [("team", str(own))]


async def test_what_an_employee_does_with_records_of_another_organization_is_not_told(house: House) -> None:
    await defines(house)
    before = await seals(house)
    record = str(parse_id(await makes(house.rui)))  # rui works for lakeside; the record is northside's
    await seals(house)
    assert [event["subject"]["id"] for event in await walks(house.ada, before, kinds="record.created")] == [
        record
    ]
    assert await walks(house.rui, before) == []


async def test_months_that_were_retired_are_passed_over(house: House, clock: MovableClock) -> None:
    clock.now = datetime(2031, 1, 10, tzinfo=UTC)
    await house.sweep(make_event_partitions_once())
    await connected(house.ada, house.lakeside, house.rui)
    clock.now += timedelta(days=62)
    await connected(house.ada, house.harbor, house.zoe)
    last = await seals(house)
    whole = await walks(house.ada)
    await house.operate(lambda ctx: trail.retire(ctx, date(2031, 2, 1), KEYS), Permission.RETIRE_TRAIL)
    rest = await walks(house.ada, limit=1)
    assert kinds_of(whole).count("partnership.approved") == 2
    assert kinds_of(rest).count("partnership.approved") == 1
    assert rest == [event for event in whole if not event["at"].startswith("2031-01")]
    assert done(await house.ada.get("/v1/events", limit=1000))["position"] >= last


def make_event_partitions_once() -> Any:
    async def deed(ctx: Any) -> bool:
        await make_event_partitions(ctx)
        return False

    return deed


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def writers(database_url: str) -> AsyncIterator[list[Any]]:
    """Connections that write events in transactions of their own."""
    made = [await asyncpg.connect(database_url) for _ in range(6)]
    for connection in made:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
    yield made
    for connection in made:
        await connection.close()


async def test_what_is_committed_out_of_order_is_told_in_the_order_of_the_seals_and_none_is_lost(
    house: House, writers: list[Any]
) -> None:
    last = await seals(house)
    slow, quick = writers[:2]
    first, second, third = uuid4(), uuid4(), uuid4()

    async def write(connection: Any, event_id: UUID) -> None:
        await connection.execute(
            WRITE, event_id, house.clock(), "record.created", house.northside, [house.northside]
        )

    held = slow.transaction()
    await held.start()
    await write(slow, first)
    await write(quick, second)  # begun later, committed earlier
    for _ in range(3):
        await house.sweep(sealed_once)
        # Nothing that would come before it can have been told.
        assert await walks(house.ada, last) == []
    await held.commit()
    await write(quick, third)
    await seals(house)
    assert [event["id"] for event in await walks(house.ada, last)] == [str(first), str(second), str(third)]


async def sealed_once(ctx: Any) -> bool:
    await seal_next(ctx, KEYS)
    return False


async def test_whatever_happens_at_once_each_hears_all_of_its_own_once_in_one_order(
    house: House, writers: list[Any], rounds: int
) -> None:
    chance = random.Random(rounds)
    before = await seals(house)
    parties = {"ada": house.northside, "rui": house.lakeside, "zoe": house.harbor}
    kinds = [kind.value for kind in EventKind if kind is not EventKind.REFUSED]  # of which not all are told
    written: dict[str, list[str]] = {}  # event id → who hears of it
    over = asyncio.Event()
    heard: dict[str, list[dict[str, Any]]] = {name: [] for name in parties}

    async def writes(connection: Any, chance: random.Random) -> None:
        for _ in range(max(4, rounds // 10)):
            transaction = connection.transaction()
            await transaction.start()
            mine = {}
            for _ in range(chance.randint(1, 4)):
                event_id = uuid4()
                who = chance.sample(sorted(parties), chance.randint(1, 2))
                named = [parties[name] for name in who]
                await connection.execute(
                    WRITE, event_id, house.clock(), chance.choice(kinds), named[0], named
                )
                mine[str(event_id)] = who
            await asyncio.sleep(chance.random() * 0.05)
            if chance.random() < 0.2:
                await transaction.rollback()
            else:
                await transaction.commit()
                written.update(mine)

    async def seals_on() -> None:
        while not over.is_set():
            await house.sweep(sealed_once)
            await asyncio.sleep(0.005)

    async def follows(name: str, chance: random.Random) -> None:
        after = before
        ended = False
        while True:
            page = done(await getattr(house, name).get("/v1/events", after=after, limit=chance.randint(1, 7)))
            # Now and then an answer is lost, and asked for again.
            if chance.random() < 0.8:
                heard[name] += page["events"]
                after = page["position"]
                if ended and not page["more"]:
                    return
            ended = over.is_set()

    readers = [asyncio.create_task(follows(name, random.Random(chance.random()))) for name in parties]
    sealing = asyncio.create_task(seals_on())
    await asyncio.gather(*(writes(one, random.Random(chance.random())) for one in writers))
    await seals(house)
    over.set()
    await asyncio.gather(sealing, *readers)

    assert written
    for name in parties:
        positions = [event["position"] for event in heard[name]]
        assert positions == sorted(set(positions))
        told = {event["id"] for event in heard[name]}
        assert told == {event_id for event_id, who in written.items() if name in who}
        assert heard[name] == await walks(getattr(house, name), before, limit=1000)
        kind = chance.choice(kinds)
        assert await walks(getattr(house, name), before, kinds=kind) == [
            event for event in heard[name] if event["kind"] == kind
        ]
