"""Who looks after a person, as what, and who may change that: the product of all who might try and all to whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from engine import caring
from engine.caring import LEVELS, a_family, a_form, a_person, goes, let_in, role_of, who_looks_after
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.access.check import Resource
from hospitium.engine.accounts import actions as accounts, life, queries as account_queries
from hospitium.engine.context import Context
from hospitium.engine.errors import Forbidden, Invalid, NotFound, NotSignedIn, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.grants import on_servers
from hospitium.engine.grants.record import CauseKind, GranteeKind
from hospitium.engine.levels import Level
from hospitium.engine.persons import actions, ending, queries
from hospitium.engine.persons.record import Relationship

# By level in the family, and two who are nobody to it.
WHO = ("pat", "ada", "ben", "mia", "rui")
FAMILY = {"pat": "owner", "ada": "7", "ben": "6", "mia": "4"}
READ, WRITE, ADMINISTER = Level.READ, Level.UPDATE, Level.DELETE


def account_of(ground: Ground, name: str) -> UUID:
    found = ground.actors[name].account_id
    assert found is not None
    return found


async def outcome(ground: Ground, who: str, deed: Any, *given: Any) -> str:
    """Return the name of what a deed raises, `done` if nothing; nothing of it remains."""
    async with ground.trial() as tx:
        try:
            await deed(ground.context(tx, who), *given)
        except (Forbidden, NotFound, WrongState, Invalid, NotSignedIn) as refused:
            return type(refused).__name__
    return "done"


# -- seeing and saying -------------------------------------------------------------------------------------------------


async def test_whoever_makes_a_person_owns_it_and_nobody_else_sees_it(ground: Ground) -> None:
    made = await ground.does("pat", actions.create, a_form(), Relationship.CHILD)
    assert (made.role.level, made.role.is_owner, made.role.relationship) == (ADMINISTER, True, "child")
    assert await ground.does("pat", queries.find, made.person.id) == made
    assert await ground.does("pat", queries.seen_count) == 1
    for name in ("ada", "rui"):
        assert await outcome(ground, name, queries.find, made.person.id) == "NotFound"
        assert await ground.does(name, queries.seen, UUID(int=0), 10) == []
    assert await ground.violations() == []


async def test_an_account_whose_address_is_not_confirmed_makes_persons_too(ground: Ground) -> None:
    await ground.rows(
        "UPDATE accounts SET verified_at = NULL WHERE id = $1 RETURNING id", account_of(ground, "pat")
    )
    person_id = await ground.does("pat", a_person)
    assert await ground.does("pat", role_of, person_id) == ADMINISTER


async def test_nobody_makes_one_for_an_account_that_is_deleted(ground: Ground) -> None:
    await ground.does("operator", goes, "pat")
    with pytest.raises(NotSignedIn):
        await ground.does("pat", a_person)


@pytest.mark.parametrize(
    ("who", "may"),
    [("pat", "done"), ("ada", "done"), ("ben", "done"), ("mia", "Forbidden"), ("rui", "NotFound")],
)
async def test_whoever_may_write_says_anew_what_is_said_of_it(ground: Ground, who: str, may: str) -> None:
    person_id = await a_family(ground)
    assert await outcome(ground, who, actions.change, person_id, a_form(first_name="Lee")) == may
    if may == "done":
        seen = await ground.does(who, actions.change, person_id, a_form(first_name="Lee", birth_date=None))
        assert (seen.person.first_name, seen.person.birth_date, seen.person.version) == ("Lee", None, 2)
        (event,) = await ground.rows("SELECT data FROM events WHERE kind = 'person.updated'")
        assert event["data"]["fields"] == ["birth_date", "first_name"]
    assert await ground.violations() == []


async def test_what_a_person_is_to_one_is_ones_own_to_say(ground: Ground) -> None:
    person_id = await a_family(ground)
    await ground.does("ben", actions.change, person_id, a_form(), Relationship.SIBLING)
    assert (await ground.does("ben", queries.find, person_id)).role.relationship is Relationship.SIBLING
    assert (await ground.does("pat", queries.find, person_id)).role.relationship is Relationship.CHILD
    await ground.does("pat", actions.change, person_id, a_form(), Relationship.RELATIVE)
    seen = (await ground.does("pat", queries.find, person_id)).role
    assert (seen.is_owner, seen.relationship) == (True, Relationship.RELATIVE)
    assert await who_looks_after(ground, person_id) == FAMILY
    assert await ground.violations() == []


async def test_administrators_see_who_looks_after_it_and_others_themselves(ground: Ground) -> None:
    person_id = await a_family(ground)
    for name in ("pat", "ada"):
        found, total = await ground.does(name, queries.roles, person_id, 10)
        assert total == 4
        assert [one.account_id for one in found] == sorted(account_of(ground, one) for one in FAMILY)
        assert {one.email for one in found} == {caring.ADDRESSES[one] for one in FAMILY}
        first, total = await ground.does(name, queries.roles, person_id, 1, skip=1)
        assert (first, total) == ([found[1]], 4)
    for name in ("ben", "mia"):
        found, total = await ground.does(name, queries.roles, person_id, 10)
        assert ([one.account_id for one in found], total) == ([account_of(ground, name)], 1)
    assert await outcome(ground, "rui", queries.roles, person_id, 10) == "NotFound"


# -- roles -------------------------------------------------------------------------------------------------------------


def may_change(who: str, whom: str, level: Level) -> str:
    """Say it over again, apart from the code: who may give whom which role."""
    if who == "rui":
        return "NotFound"
    if who in ("ben", "mia"):
        return "Forbidden"
    if whom == "rui":
        return "NotFound"
    if whom == "pat":
        return "WrongState"
    if who == "ada" and level == ADMINISTER:
        return "Forbidden"
    return "WrongState" if LEVELS[whom] == level else "done"


@pytest.mark.parametrize("who", WHO)
async def test_who_changes_whose_role(ground: Ground, who: str) -> None:
    person_id = await a_family(ground)
    for whom in WHO:
        for level in (READ, WRITE, ADMINISTER):
            found = await outcome(
                ground, who, actions.change_role, person_id, account_of(ground, whom), level
            )
            assert found == may_change(who, whom, level), (who, whom, level)
    for level in (Level.PUBLIC, Level.CONNECTED, Level.RESERVED, Level.SHARE):
        given = (person_id, account_of(ground, "mia"), level)
        assert await outcome(ground, who, actions.change_role, *given) == "Invalid"


def may_end(who: str, whom: str) -> str:
    if who == "rui":
        return "NotFound"
    if who == whom:
        return "WrongState" if who == "pat" else "done"
    if who in ("ben", "mia"):
        return "Forbidden"
    return {"rui": "NotFound", "pat": "WrongState"}.get(whom, "done")


@pytest.mark.parametrize("who", WHO)
async def test_who_ends_whose_role(ground: Ground, who: str) -> None:
    person_id = await a_family(ground)
    for whom in WHO:
        found = await outcome(ground, who, actions.end_role, person_id, account_of(ground, whom))
        assert found == may_end(who, whom), (who, whom)


async def test_an_administrator_is_not_anothers_to_unmake_but_the_owners(ground: Ground) -> None:
    person_id = await a_family(ground)
    await let_in(ground, person_id, "rui", ADMINISTER)
    rui = account_of(ground, "rui")
    for deed, *given in ((actions.end_role, rui), (actions.change_role, rui, READ)):
        assert await outcome(ground, "ada", deed, person_id, *given) == "Forbidden"
        assert await outcome(ground, "rui", deed, person_id, *given) == "done"
        assert await outcome(ground, "pat", deed, person_id, *given) == "done"


async def test_a_role_that_changed_is_another_interval(ground: Ground) -> None:
    person_id = await a_family(ground)
    mia = account_of(ground, "mia")
    await ground.does("ada", actions.change_role, person_id, mia, WRITE)
    await ground.does("mia", actions.end_role, person_id, mia)
    rows = await ground.rows(
        "SELECT level, starts_at, ends_at FROM person_roles WHERE account_id = $1 ORDER BY starts_at", mia
    )
    assert [row["level"] for row in rows] == [4, 6]
    assert rows[0]["ends_at"] == rows[1]["starts_at"]
    assert rows[1]["ends_at"] is not None
    assert await ground.does("mia", role_of, person_id) == 0
    assert await outcome(ground, "mia", queries.find, person_id) == "NotFound"
    assert await ground.violations() == []


def may_transfer(who: str, whom: str) -> str:
    if who == "rui":
        return "NotFound"
    if who != "pat":
        return "Forbidden"
    return {"rui": "NotFound", "pat": "WrongState"}.get(whom, "done")


@pytest.mark.parametrize("who", WHO)
async def test_who_gives_it_to_whom(ground: Ground, who: str) -> None:
    person_id = await a_family(ground)
    for whom in WHO:
        found = await outcome(ground, who, actions.transfer, person_id, account_of(ground, whom))
        assert found == may_transfer(who, whom), (who, whom)


async def test_who_gives_it_away_is_its_administrator_from_then_on(ground: Ground) -> None:
    person_id = await a_family(ground)
    before = (await ground.does("mia", queries.find, person_id)).role.relationship
    seen = await ground.does("pat", actions.transfer, person_id, account_of(ground, "mia"))
    assert (seen.role.level, seen.role.is_owner, seen.role.relationship) == (7, False, "child")
    assert await who_looks_after(ground, person_id) == FAMILY | {"pat": "7", "mia": "owner"}
    assert (await ground.does("mia", queries.find, person_id)).role.relationship is before
    assert await outcome(ground, "pat", actions.delete, person_id) == "Forbidden"
    await ground.does("mia", actions.transfer, person_id, account_of(ground, "pat"))
    assert await who_looks_after(ground, person_id) == FAMILY | {"mia": "7"}
    assert await ground.violations() == []


async def test_it_is_not_given_to_who_can_not_act(ground: Ground) -> None:
    person_id = await a_family(ground)
    await ground.does("operator", accounts.disable, "ada@northside.example")
    assert await outcome(ground, "pat", actions.transfer, person_id, account_of(ground, "ada")) == "NotFound"


# -- the end of one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "may"),
    [("pat", "done"), ("ada", "Forbidden"), ("ben", "Forbidden"), ("mia", "Forbidden"), ("rui", "NotFound")],
)
async def test_the_owner_alone_deletes_it(ground: Ground, who: str, may: str) -> None:
    person_id = await a_family(ground)
    assert await outcome(ground, who, actions.delete, person_id) == may


async def a_server(ground: Ground) -> UUID:
    server_id = uuid4()
    await ground.rows(
        "INSERT INTO fhir_servers (id, organization_id, name, name_key, kind, created_at) VALUES ($1, $2, 'S', 's', 'built-in', $3)",
        server_id,
        ground.northside,
        ground.clock(),
    )
    await ground.does("ada", on_servers.start_for_owner_of_server, ground.northside, server_id)
    return server_id


async def grant(ctx: Context, person_id: UUID, server_id: UUID) -> UUID:
    return await on_servers._start(
        ctx,
        (GranteeKind.PERSON, person_id),
        Resource.patient(server_id, "p1"),
        Level.READ,
        cause=(CauseKind.ADMINISTRATOR, None),
    )


async def open_grants(ground: Ground) -> int:
    return len(await ground.rows("SELECT 1 FROM grants WHERE grantee_kind = 'person' AND ends_at IS NULL"))


async def test_of_one_that_was_deleted_the_id_remains_and_nothing_else(ground: Ground) -> None:
    person_id = await a_family(ground)
    await ground.does("pat", caring.offers, person_id, "zoe", ADMINISTER)
    granted = await ground.does("pat", grant, person_id, await a_server(ground))
    await ground.does("pat", actions.delete, person_id)
    for name in FAMILY:
        assert await outcome(ground, name, queries.find, person_id) == "NotFound"
    assert await who_looks_after(ground, person_id) == {}
    assert await open_grants(ground) == 0
    (row,) = await ground.rows("SELECT * FROM persons")
    kept = {name: value for name, value in dict(row).items() if value not in (None, [])}
    assert kept.keys() == {"id", "created_at", "updated_at", "ended_at", "version"}
    for offer in await ground.rows("SELECT * FROM person_offers"):
        assert (offer["email"], offer["email_key"]) == ("", str(offer["id"]))
        assert offer["status"] in ("accepted", "withdrawn")
    (event,) = await ground.rows("SELECT id, data FROM events WHERE kind = 'person.deleted'")
    assert event["data"]["grants"] == [str(granted)]
    parties = await ground.rows("SELECT party_id FROM event_parties WHERE event_id = $1", event["id"])
    # Whose FHIR server it could read is told by the grant that ended, which names no other server.
    assert {row["party_id"] for row in parties} == {
        person_id,
        *(account_of(ground, name) for name in FAMILY),
    }
    assert await ground.violations() == []


async def test_nothing_that_is_said_of_a_person_is_in_the_trail(ground: Ground) -> None:
    person_id = await a_family(ground)
    await ground.does("ben", actions.change, person_id, a_form(first_name="Leslie"), Relationship.SIBLING)
    await ground.does("pat", actions.transfer, person_id, account_of(ground, "ada"))
    await ground.does("ada", actions.end_role, person_id, account_of(ground, "ben"))
    said = str(
        [dict(row["data"]) for row in await ground.rows("SELECT data FROM events WHERE kind LIKE 'person.%'")]
    )
    for word in ("Kim", "Doe", "Leslie", "2019", "female", "sibling", "@"):
        assert word not in said
    for name in ("pat", "ada", "ben"):
        trail = await ground.rows(
            "SELECT e.kind FROM event_parties AS p JOIN events AS e ON e.id = p.event_id WHERE p.party_id = $1 AND e.kind = $2",
            account_of(ground, name),
            EventKind.PERSON_ROLE_ENDED.value,
        )
        assert len(trail) == 1, name


# -- accounts that go --------------------------------------------------------------------------------------------------


async def test_who_goes_looks_after_nobody_any_more(ground: Ground) -> None:
    person_id = await a_family(ground)
    await ground.does("operator", goes, "ada")
    await ground.does("operator", goes, "mia")
    assert await who_looks_after(ground, person_id) == {"pat": "owner", "ben": "6"}
    # And the address an offer to them was sent to is forgotten.
    kept = await ground.rows("SELECT email FROM person_offers")
    assert sorted(row["email"] for row in kept) == ["", "", "ben@northside.example"]
    assert await ground.violations() == []


async def test_what_an_owner_leaves_behind_is_the_longest_standing_administrators(ground: Ground) -> None:
    person_id = await a_family(ground)
    await let_in(ground, person_id, "rui", ADMINISTER)
    await ground.does("pat", caring.offers, person_id, "zoe", ADMINISTER)
    granted = await ground.does("pat", grant, person_id, await a_server(ground))
    await ground.does("operator", goes, "pat")
    assert await who_looks_after(ground, person_id) == {"ada": "owner", "ben": "6", "mia": "4", "rui": "7"}
    (row,) = await ground.rows("SELECT ends_at FROM grants WHERE id = $1", granted)
    assert row["ends_at"] is None
    # What its owner had offered is the new one's to offer.
    rows = await ground.rows("SELECT status FROM person_offers WHERE email = 'zoe@harbor.example'")
    assert [row["status"] for row in rows] == ["withdrawn"]
    assert await ground.violations() == []


async def test_a_person_whom_nobody_else_administers_goes_with_its_owner(ground: Ground) -> None:
    person_id = await a_family(ground)
    granted = await ground.does("pat", grant, person_id, await a_server(ground))
    await ground.does("pat", actions.end_role, person_id, account_of(ground, "ben"))
    await ground.does("operator", accounts.disable, "ada@northside.example")
    await ground.does("operator", goes, "pat")
    assert await who_looks_after(ground, person_id) == {}
    (row,) = await ground.rows("SELECT data FROM events WHERE kind = 'account.deleted'")
    assert row["data"]["grants"] == [str(granted)]
    assert await ground.violations() == []


async def test_an_account_that_is_claimed_keeps_nobody(ground: Ground) -> None:
    await ground.rows(
        "UPDATE accounts SET verified_at = NULL WHERE id = $1 RETURNING id", account_of(ground, "pat")
    )
    first, second = await ground.does("pat", a_person), await ground.does("pat", a_person)
    granted = await ground.does("pat", grant, first, await a_server(ground))

    async def is_claimed(ctx: Context) -> None:
        account, _ = await account_queries.lock(ctx, account_of(ground, "pat"))
        await life._take_over(ctx, account, NOBODYS_HASH)

    await ground.does("system", is_claimed)
    (row,) = await ground.rows("SELECT data FROM events WHERE kind = 'account.claimed'")
    assert row["data"]["grants"] == [str(granted)]
    for person_id in (first, second):
        assert await who_looks_after(ground, person_id) == {}
    assert await ground.violations() == []


# -- what verify finds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        ("P1", "UPDATE person_roles SET ends_at = starts_at WHERE is_owner"),
        ("P2", "UPDATE person_roles SET ends_at = starts_at WHERE NOT is_owner"),
        ("P3", "UPDATE person_roles SET ends_at = starts_at WHERE level = 7 AND NOT is_owner"),
    ],
)
async def test_verify_finds_what_must_not_be(ground: Ground, code: str, broken: str) -> None:
    person_id = await a_family(ground)
    await ground.does("ada", caring.offers, person_id, "zoe")
    assert await ground.violations() == []
    await ground.rows(f"{broken} RETURNING id")
    if code == "P2":
        await ground.rows(
            "UPDATE persons SET ended_at = created_at, first_name = NULL, last_name = NULL, gender = NULL, birth_date = NULL RETURNING id"
        )
    assert code in await ground.violations()


async def test_verify_finds_an_open_grant_and_an_offer_of_a_person_that_is_gone(ground: Ground) -> None:
    person_id = await ground.does("pat", a_person)
    await ground.does("pat", grant, person_id, await a_server(ground))

    async def forgets(ctx: Context) -> None:
        await queries.lock(ctx, person_id)
        await ending.roles.end_all_on(ctx, person_id)
        await ending._END.first(ctx.tx, person_id=person_id, now=ctx.now, none=[])

    await ground.does("pat", forgets)
    assert await ground.violations() == ["P2"]
