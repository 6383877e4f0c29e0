"""A list is what asking for every single one would give: complete, and nothing besides."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from engine import sharing
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.access.check import Question, Resource, SubjectKind, best_of, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.actor import Actor, ActorKind, Role
from hospitium.engine.context import Context
from hospitium.engine.errors import Refusal
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import new_id
from hospitium.engine.levels import Level
from hospitium.engine.object_types.record import ObjectType
from hospitium.engine.records import queries
from hospitium.engine.shares import accounts as shared_accounts, actions as shares, queries as share_queries
from hospitium.engine.shares.queries import Wanted
from hospitium.engine.shares.record import (
    SHARE_COLUMNS,
    Share,
    ShareStatus,
    TargetForm,
    shares as share_table,
)
from hospitium.engine.teams import actions as teams
from hospitium.storage.statements import Query, struct

NOW = datetime.fromisoformat("2026-06-01T00:00:00+00:00")
STEP = timedelta(days=1)
# Instants around now, so that intervals begin and close before it, at it and after it. What was ended was ended by now.
MOMENTS = [NOW + n * STEP for n in (-6, -5, -4, -3, -2, -1, 0, 1, 2)]


class World(NamedTuple):
    """People, what they are in, and records that some of them were granted something on; all of it drawn at random."""

    types: list[ObjectType]
    records: dict[UUID, ObjectType]
    people: list[UUID]


async def insert(tx: Any, table: str, **row: Any) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await tx.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


def interval(draw: random.Random) -> dict[str, Any]:
    starts_at = draw.choice(MOMENTS)
    later = [moment for moment in MOMENTS if starts_at <= moment <= NOW]
    return {"starts_at": starts_at, "ends_at": draw.choice([None, None, draw.choice(later or [None])])}


async def a_world(ground: Ground, tx: Any, draw: random.Random) -> World:
    """Draw a world. What is deleted has no open grant, which C1 says of every world there is; nothing else is spared."""
    organizations = [ground.northside, ground.lakeside, ground.closed, ground.newcomer]
    people = []
    for _ in range(4):
        people.append(uuid4())
        await insert(
            tx, "accounts", id=people[-1], email=f"{people[-1]}@list.example", email_key=f"{people[-1]}@list.example",
            password_hash=NOBODYS_HASH.reveal(), status="active", created_at=MOMENTS[0],
        )  # fmt: skip
        for organization_id in draw.sample(organizations, draw.randint(0, 3)):
            role = draw.choice(list(Role)).value
            await insert(
                tx, "memberships", id=uuid4(), account_id=people[-1], organization_id=organization_id, role=role, **interval(draw)
            )  # fmt: skip
    teams = [uuid4() for _ in range(3)]
    for team_id in teams:
        await insert(
            tx, "teams", id=team_id, organization_id=draw.choice(organizations), name=str(team_id), name_key=str(team_id), created_at=MOMENTS[0]
        )  # fmt: skip
        for account_id in draw.sample(people, draw.randint(0, 3)):
            await insert(
                tx, "team_memberships", id=uuid4(), team_id=team_id, account_id=account_id, is_owner=False, **interval(draw)
            )  # fmt: skip
    ada = ground.context(tx, "ada", MOMENTS[0])
    types = [await sharing.a_type(ada, f"c_kind_{n}") for n in range(2)]
    records: dict[UUID, ObjectType] = {}
    for _ in range(draw.randint(1, 9)):
        record_id, object_type = new_id(draw.choice(MOMENTS)), draw.choice(types)
        records[record_id] = object_type
        status = draw.choice(["active", "active", "active", "archived", "deleted"])
        over = NOW - STEP if status == "deleted" else None
        await insert(
            tx, "records", id=record_id, organization_id=ground.northside, object_type_id=object_type.id, owner_id=people[0], creator_id=people[0],
            body=None if over else {}, status=status, created_at=MOMENTS[0], updated_at=NOW, archived_at=NOW if status == "archived" else None, ended_at=over,
        )  # fmt: skip
        for _ in range(draw.randint(0, 5)):
            kind = draw.choice(["account", "account", "team", "organization", "person"])
            grantee = {"team": draw.choice(teams), "organization": draw.choice(organizations)}.get(
                kind, draw.choice(people)
            )
            while True:
                span = interval(draw)
                until = draw.choice([None, None, draw.choice(MOMENTS)])
                if until is not None and until <= span["starts_at"]:
                    continue
                if over is None or (span["ends_at"] or NOW + STEP) <= NOW:
                    break
            await insert(
                tx, "grants", id=uuid4(), grantee_kind=kind, grantee_id=grantee, resource_kind="record", resource_id=str(record_id),
                # Of another type than the record's it would be a grant on nothing.
                resource_type=str(object_type.id), level=draw.randint(1, 7), until=until, cause_kind="operator", **span,
            )  # fmt: skip
    if draw.random() < 0.5:
        begun = draw.choice(MOMENTS[:6])
        held = draw.choice([moment for moment in MOMENTS[:6] if moment >= begun])
        confirmed = draw.choice([None, None, NOW])
        await insert(
            tx, "epochs", number=2, place="here", begun_at=begun, holds_until=held, confirmed_at=confirmed
        )
    return World(types, records, people)


def as_account(ground: Ground, tx: Any, account_id: UUID, now: datetime = NOW) -> Context:
    return Context(tx, Actor(ActorKind.ACCOUNT, account_id, is_confirmed=True), now)


async def listed(ctx: Context, object_type: ObjectType, size: int) -> dict[UUID, int]:
    """Turn the pages of a list to its end, each from where the one before ended; return the level on each record."""
    found: dict[UUID, int] = {}
    before = UUID(int=2**128 - 1)
    while page := await queries.readable(ctx, object_type, before, 0, size):
        ids = [view.record.id for view in page]
        assert ids == sorted(ids, reverse=True)
        assert not found.keys() & set(ids)
        found |= {view.record.id: view.level for view in page}
        before = ids[-1]
    return found


async def asked_one_by_one(ctx: Context, world: World, object_type: ObjectType) -> dict[UUID, int]:
    """Ask of every record; return the level on those that may be read."""
    found = {}
    for record_id, its_type in world.records.items():
        if its_type is not object_type:
            continue
        assert ctx.actor.account_id is not None
        resource = Resource(ResourceKind.RECORD, str(record_id), str(object_type.id))
        question = Question(SubjectKind.ACCOUNT, ctx.actor.account_id, Level.READ, *resource)
        if isinstance(await check(ctx, question), Allowed):
            best = await best_of(ctx, ctx.actor.account_id, resource)
            assert best is not None
            found[record_id] = int(best.level)
    return found


async def differences(ground: Ground, seeds: range) -> tuple[list[str], int]:
    """Compare list and question in many worlds; return where they differ, and how many records were read."""
    wrong, read = [], 0
    for seed in seeds:
        async with ground.trial() as tx:
            world = await a_world(ground, tx, random.Random(seed))
            for account_id in world.people:
                for object_type in world.types:
                    ctx = as_account(ground, tx, account_id)
                    one_by_one = await asked_one_by_one(ctx, world, object_type)
                    read += len(one_by_one)
                    wrong += [
                        f"world {seed}, pages of {size}"
                        for size in (1, 3, 100)
                        if await listed(ctx, object_type, size) != one_by_one
                    ]
    return wrong, read


async def test_a_list_of_records_is_what_asking_for_each_gives(ground: Ground, rounds: int) -> None:
    wrong, read = await differences(ground, range(min(rounds * 5, 5_000)))
    assert wrong == []
    assert read >= rounds // 2, "hardly anything was readable, so it shows little"


@pytest.mark.parametrize(
    "what", ["an ended grant", "a closed window", "a restore", "a suspended organization"]
)
async def test_control_a_list_that_forgets_one_condition_is_found_out(
    ground: Ground, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = {
        "an ended grant": "grants.ends_at IS NULL AND ",
        "a closed window": "(grants.until IS NULL OR grants.until > ",
        "a restore": " IS NULL OR least(grants.starts_at",
        "a suspended organization": "organizations.status = 'active'",
    }[what]
    assert forgotten in queries._READABLE.sql
    broken = {
        "an ended grant": "",
        "a closed window": "(true OR grants.until > ",
        "a restore": " IS NOT DISTINCT FROM NULL OR true OR least(grants.starts_at",
        "a suspended organization": "true",
    }[what]
    monkeypatch.setattr(queries._READABLE, "sql", queries._READABLE.sql.replace(forgotten, broken))
    wrong, _ = await differences(ground, range(40))
    assert wrong


async def test_a_list_of_accounts_is_what_asking_for_each_gives(ground: Ground, rounds: int) -> None:
    """One's own, which needs no grant, and those one was granted level 4 on."""
    for seed in range(min(rounds, 500)):
        draw = random.Random(seed)
        async with ground.trial() as tx:
            world = await a_world(ground, tx, draw)
            for other in world.people:
                for account_id in draw.sample(world.people, 2):
                    await insert(
                        tx, "grants", id=uuid4(), grantee_kind="account", grantee_id=account_id, resource_kind="account", resource_id=str(other),
                        level=draw.randint(1, 6), cause_kind="operator", **interval(draw),
                    )  # fmt: skip
            for account_id in world.people:
                ctx = as_account(ground, tx, account_id)
                found: dict[UUID, int] = {}
                before = UUID(int=2**128 - 1)
                while page := await shared_accounts.readable(ctx, before, 0, 2):
                    found |= {view.id: view.level for view in page}
                    before = page[-1].id
                one_by_one = {account_id: 7}
                for other in set(world.people) - {account_id}:
                    best = await best_of(ctx, account_id, Resource(ResourceKind.ACCOUNT, str(other)))
                    if best is not None and best.level >= Level.READ:
                        one_by_one[other] = int(best.level)
                assert found == one_by_one, seed


EVERY_SHARE = Query(share_table.select().with_only_columns(*SHARE_COLUMNS), struct(Share))
DEEDS = [*6 * ["offer", "accept"], "end", "join", "leave", "wait"]
NAMES = ("ada", "ben", "mia", "rui", "pat", "zoe")
EMAILS = (
    "ada@northside.example",
    "ben@northside.example",
    "rui@lakeside.example",
    "pat@mail.example",
    "nobody@else.example",
)


async def a_life(ground: Ground, draw: random.Random, steps: int) -> None:
    """Share, accept, end, join, leave and wait, at random; what is refused is refused."""
    kind = await ground.does("ada", sharing.a_type)
    ids = [await ground.does(who, sharing.a_record, kind) for who in ("ada", "ben", "pat")]
    crews = [(await ground.does(who, teams.create, f"Crew of {who}")).id for who in ("ada", "ben")]
    made: list[Share] = []
    for _ in range(steps):
        who, other = draw.sample(NAMES, 2)
        other_id = ground.actors[other].account_id
        assert other_id is not None
        with suppress(Refusal):
            match draw.choice(DEEDS):
                case "offer":
                    level = draw.choice([2, 4, 5, 6])
                    more = (
                        {"ends_at": ground.clock() + draw.randint(1, 9) * STEP} if draw.random() < 0.3 else {}
                    )
                    target = draw.choice([
                        sharing.to_email(draw.choice(EMAILS), level, **more),
                        sharing.to_account(other_id, level, **more),
                        sharing.to_team(draw.choice(crews), level, **more),
                    ])  # fmt: skip
                    made.append(await ground.does(who, sharing.offer, draw.choice(ids), target))
                case "accept" if made:
                    await ground.does(who, sharing.accept, draw.choice(made))
                case "end" if made:
                    await ground.does(who, shares.end, draw.choice(made).id)
                case "join":
                    await ground.does("ada", teams.add_member, draw.choice(crews), other_id)
                case "leave":
                    await ground.does("ada", teams.remove_member, draw.choice(crews), other_id)
                case "wait":
                    ground.clock.now += draw.choice([0, 0, 1, 3]) * STEP


async def concerns(tx: Any, share: Share, account_id: UUID, now: datetime) -> bool:
    """Whether a share is in somebody's list: he made it, or it was offered to him. Written from the contract."""
    if not share.is_there(now):
        return False
    if account_id in (share.creator_id, share.target_account_id):
        return True
    if share.target_form is TargetForm.EMAIL and share.status is ShareStatus.PENDING:
        own = await tx.fetchval(
            "SELECT email_key FROM accounts WHERE id = $1 AND verified_at IS NOT NULL", account_id
        )
        return bool(own == share.target_email_key)
    is_owner = await tx.fetchval(
        "SELECT is_owner FROM team_memberships WHERE team_id = $1 AND account_id = $2 AND ends_at IS NULL",
        share.target_team_id, account_id,
    )  # fmt: skip
    # Of what waits for a team only its owner knows.
    return is_owner is not None and (is_owner or share.status is ShareStatus.ACTIVE)


async def test_a_list_of_shares_has_each_that_one_made_or_was_offered_once(
    ground: Ground, rounds: int
) -> None:
    await a_life(ground, random.Random(rounds), 15 * min(rounds, 200))
    assert await ground.violations() == []
    found = 0
    async with ground.trial() as tx:
        every = await EVERY_SHARE.all(tx)
        for name in NAMES:
            ctx = ground.context(tx, name)
            assert ctx.actor.account_id is not None
            expected = {one.id for one in every if await concerns(tx, one, ctx.actor.account_id, ctx.now)}
            found += len(expected)
            for size in (1, 3, 100):
                listed: list[UUID] = []
                before = UUID(int=2**128 - 1)
                while page := await share_queries.of_actor(ctx, Wanted(), before, 0, size):
                    listed += [view.share.id for view in page]
                    before = listed[-1]
                assert listed == sorted(expected, reverse=True), (name, size)
    assert found > len(NAMES), "hardly anything was shared, so it shows little"


async def many(ground: Ground, count: int) -> tuple[ObjectType, list[UUID]]:
    """Give ada's records, so many, to pat: half of them in his own name, half by way of a team, and some by both."""
    object_type: ObjectType = await ground.does("ada", sharing.a_type)
    ids = sorted(new_id(ground.clock()) for _ in range(count))
    ada, pat, team_id = ground.actors["ada"].account_id, ground.actors["pat"].account_id, uuid4()
    async with ground.database.transaction() as tx:
        await insert(
            tx,
            "teams",
            id=team_id,
            organization_id=ground.northside,
            name="T",
            name_key="t",
            created_at=NOW - 99 * STEP,
        )
        await insert(
            tx,
            "team_memberships",
            id=uuid4(),
            team_id=team_id,
            account_id=pat,
            is_owner=True,
            starts_at=NOW - 99 * STEP,
        )
        await tx.execute(
            "INSERT INTO records (id, organization_id, object_type_id, owner_id, creator_id, body, status, created_at, updated_at) "
            "SELECT id, $2, $3, $4, $4, '{}', 'active', $5, $5 FROM unnest($1::uuid[]) AS id",
            ids, ground.northside, object_type.id, ada, NOW - 99 * STEP,
        )  # fmt: skip
        for kind, grantee, level, those in (
            ("account", pat, 4, [one for n, one in enumerate(ids) if n % 2 == 0]),
            ("team", team_id, 5, [one for n, one in enumerate(ids) if n % 2 == 1 or n % 10 == 0]),
        ):
            await tx.execute(
                "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, starts_at, cause_kind) "
                "SELECT gen_random_uuid(), $2, $3, 'record', $4, id::text, $5, $6, 'operator' FROM unnest($1::uuid[]) AS id",
                those, kind, grantee, str(object_type.id), level, NOW - 99 * STEP,
            )  # fmt: skip
    return object_type, ids


async def test_a_thousand_and_one_records_are_all_there_however_the_pages_are_turned(ground: Ground) -> None:
    object_type, ids = await many(ground, 1_001)
    pat = ground.actors["pat"].account_id
    assert pat is not None
    levels = {one: 5 if n % 2 == 1 or n % 10 == 0 else 4 for n, one in enumerate(ids)}
    async with ground.trial() as tx:
        ctx = as_account(ground, tx, pat)
        for size in (100, 101, 999, 1_001, 1_002):
            assert await listed(ctx, object_type, size) == levels
        skipped: list[UUID] = []
        while page := await queries.readable(ctx, object_type, UUID(int=2**128 - 1), len(skipped), 100):
            skipped += [view.record.id for view in page]
        assert skipped == ids[::-1]
        assert await queries.readable(ctx, object_type, ids[0], 0, 100) == []


async def test_a_record_whose_window_has_closed_is_not_called_shared_though_no_sweep_has_run(
    ground: Ground,
) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    closes = ground.clock() + timedelta(hours=1)
    share = await ground.does(
        "ada", sharing.offer, record_id, sharing.to_email("pat@mail.example", ends_at=closes)
    )

    async def shared(at: datetime) -> bool:
        view = await ground.does("ada", queries.view, object_type, record_id, now=at)
        return bool(view.is_shared)

    assert [await shared(at) for at in (closes - timedelta(microseconds=1), closes)] == [True, False]
    await ground.does("pat", sharing.accept, share)
    assert [await shared(at) for at in (closes - timedelta(microseconds=1), closes)] == [True, False]
