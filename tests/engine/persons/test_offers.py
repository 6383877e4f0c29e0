"""The care of a person, offered: the product of all verbs, all situations and all who might try."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from engine import caring
from engine.caring import accept, let_in, offers, who_looks_after
from engine.ground import Ground
from engine.sharing import KEY, POST
from hospitium.dispatch.sweeps import expire_one_person_offer
from hospitium.engine.accounts.mails import Post
from hospitium.engine.context import Context
from hospitium.engine.errors import (
    Forbidden,
    Invalid,
    NotConfirmed,
    NotFound,
    Refusal,
    TooManyAttempts,
    WrongState,
)
from hospitium.engine.levels import Level
from hospitium.engine.persons import actions, offering, queries
from hospitium.engine.persons.lifecycle import MOVES
from hospitium.engine.persons.offering import PersonOfferForm
from hospitium.engine.persons.record import (
    PERSON_OFFER_LIFE,
    PersonOffer,
    PersonOfferStatus,
    Relationship,
)
from hospitium.engine.throttles.rules import Limit

# Pat owns the person, ada administers it, ben may write, mia may read; it is offered to rui. Zoe is nobody to it.
WHO = ("pat", "ada", "ben", "mia", "rui", "zoe")
SITUATIONS = ("pending", "overdue", *(str(one) for one in PersonOfferStatus if one != "pending"))
VERBS = ("accept", "decline", "withdraw")


class Start(NamedTuple):
    """An offer in a situation, and the context of an hour later."""

    offer: PersonOffer
    ctx: Context


def by(ground: Ground, ctx: Context, name: str) -> Context:
    return ctx._replace(actor=ground.actors[name])


async def a_family(ground: Ground, ctx: Context) -> UUID:
    person_id = await caring.a_person(by(ground, ctx, "pat"))
    for name, level in caring.LEVELS.items():
        made = await offers(by(ground, ctx, "pat"), person_id, name, level)
        await accept(by(ground, ctx, name), made)
    return person_id


async def bring_about(ground: Ground, ctx: Context, situation: str, level: Level = Level.READ) -> Start:
    """Let pat offer a person to rui, and bring the offer into a situation by the deeds that lead there."""
    person_id = await a_family(ground, ctx)
    offer = await offers(by(ground, ctx, "pat"), person_id, "rui", level)
    now = ctx.now + timedelta(hours=1)
    match situation:
        case "accepted":
            await accept(by(ground, ctx, "rui"), offer)
        case "declined":
            await offering.decline(by(ground, ctx, "rui"), offer.id)
        case "withdrawn":
            await offering.withdraw(by(ground, ctx, "pat"), person_id, offer.id)
        case "overdue" | "expired":
            now = offer.expires_at
    later = ctx._replace(now=now)
    if situation == "expired":
        assert await expire_one_person_offer(by(ground, later, "system"))
        assert not await expire_one_person_offer(by(ground, later, "system"))
    return Start(offer, later)


async def does(ctx: Context, verb: str, offer: PersonOffer) -> None:
    match verb:
        case "accept":
            await offering.accept(ctx, offer.id)
        case "decline":
            await offering.decline(ctx, offer.id)
        case "withdraw":
            await offering.withdraw(ctx, offer.person_id, offer.id)


def expected(verb: str, situation: str, who: str) -> str:
    """Say it over again, apart from the code."""
    if verb == "withdraw":
        # Who accepted looks after it, too, and may read it.
        outsider = who == "zoe" or (who == "rui" and situation != "accepted")
        if who not in ("pat", "ada"):
            return "NotFound" if outsider else "Forbidden"
        # Late, and not yet written down: it is withdrawn.
        return "done" if situation in ("pending", "overdue") else "WrongState"
    if who != "rui" or situation == "overdue":
        return "NotFound"
    return "done" if situation == "pending" else "WrongState"


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_in_every_situation_by_everyone(ground: Ground, verb: str) -> None:
    wrong = []
    for situation in SITUATIONS:
        async with ground.trial() as tx:
            offer, ctx = await bring_about(ground, ground.context(tx, "system"), situation)
            for who in WHO:
                found = "done"
                trial = tx.transaction()
                await trial.start()
                try:
                    await does(by(ground, ctx, who), verb, offer)
                except Refusal as refusal:
                    found = type(refusal).__name__
                await trial.rollback()
                if found != expected(verb, situation, who):
                    wrong.append((situation, who, found))
    assert wrong == []


def test_every_move_there_is_was_tried() -> None:
    assert set(MOVES) == {*VERBS, "expire"}
    assert {str(move.target) for move in MOVES.values()} | {"pending", "overdue"} == set(SITUATIONS)


@pytest.mark.parametrize("verb", ["accept", "decline"])
async def test_the_deadline_holds_to_the_microsecond_without_a_sweep(ground: Ground, verb: str) -> None:
    for late in (timedelta(microseconds=-1), timedelta(0)):
        async with ground.trial() as tx:
            offer, ctx = await bring_about(ground, ground.context(tx, "system"), "pending")
            ctx = by(ground, ctx, "rui")._replace(now=offer.expires_at + late)
            if late:
                await does(ctx, verb, offer)
            else:
                with pytest.raises(NotFound):
                    await does(ctx, verb, offer)
    assert offer.expires_at - offer.offered_at == PERSON_OFFER_LIFE


async def test_what_is_over_by_the_clock_is_in_no_list(ground: Ground) -> None:
    async with ground.trial() as tx:
        offer, ctx = await bring_about(ground, ground.context(tx, "system"), "pending")
        for now, count in ((offer.expires_at - timedelta(microseconds=1), 1), (offer.expires_at, 0)):
            at = ctx._replace(now=now)
            made, total = await queries.offers_made(by(ground, at, "ada"), offer.person_id, 10)
            assert (len(made), total) == (count, count)
            received, total = await queries.offers_received(by(ground, at, "rui"), 10)
            assert (len(received), total) == (count, count)


# -- who offers what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", WHO)
async def test_who_offers_at_which_level(ground: Ground, who: str) -> None:
    async with ground.trial() as tx:
        ctx = ground.context(tx, "system")
        person_id = await a_family(ground, ctx)
        for level in Level:
            found = "done"
            trial = tx.transaction()
            await trial.start()
            try:
                await offers(by(ground, ctx, who), person_id, "zoe", level)
            except Refusal as refusal:
                found = type(refusal).__name__
            await trial.rollback()
            if level not in (Level.READ, Level.UPDATE, Level.DELETE):
                should = "Invalid"
            elif who in ("rui", "zoe"):
                should = "NotFound"
            elif who == "pat" or (who == "ada" and level < Level.DELETE):
                should = "done"
            else:
                should = "Forbidden"
            assert found == should, level


@pytest.mark.parametrize(
    ("who", "may"), [("pat", True), ("ada", True), ("ben", False), ("mia", False), ("rui", None)]
)
async def test_administrators_see_what_is_offered(ground: Ground, who: str, may: bool | None) -> None:
    async with ground.trial() as tx:
        offer, ctx = await bring_about(ground, ground.context(tx, "system"), "pending")
        looking = queries.offers_made(by(ground, ctx, who), offer.person_id, 10)
        if may:
            assert await looking == ([offer], 1)
        else:
            with pytest.raises(NotFound if may is None else Forbidden):
                await looking


async def test_who_has_not_confirmed_his_address_neither_offers_nor_is_offered(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", offers, person_id, "rui")
    his_person = await ground.does("rui", caring.a_person)
    await ground.rows(
        "UPDATE accounts SET verified_at = NULL WHERE email_key = 'rui@lakeside.example' RETURNING id"
    )
    for deed, *given in (
        (offers, his_person, "zoe"),
        (queries.offers_received, 10),
        (accept, offer),
        (offering.decline, offer.id),
    ):
        with pytest.raises(NotConfirmed):
            await ground.does("rui", deed, *given)


async def test_an_address_with_an_account_and_one_without_are_answered_the_same(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    made = []
    for email in ("rui@lakeside.example", "nobody@lakeside.example"):
        form = PersonOfferForm(email, Level.READ)
        before = ground.clock.now
        found = await ground.does("pat", offering.offer, person_id, form, POST)
        made.append(
            {
                **msgspec.structs.asdict(found),
                "id": 0,
                "email": "",
                "email_key": "",
                "offered_at": 0,
                "expires_at": 0,
            }
        )
        events = await ground.rows("SELECT id, kind, data FROM events WHERE at > $1", before)
        assert [row["kind"] for row in events] == ["person.offered"]
        parties = await ground.rows("SELECT party_id FROM event_parties WHERE event_id = $1", events[0]["id"])
        assert {row["party_id"] for row in parties} == {person_id, ground.actors["pat"].account_id}
    assert made[0] == made[1]
    queued = await ground.rows("SELECT template FROM deliveries")
    assert [row["template"] for row in queued] == ["person_offer"] * 2


async def test_a_second_offer_to_an_address_takes_the_place_of_the_first(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    first = await ground.does("pat", offers, person_id, "rui")
    form = PersonOfferForm(" RUI@Lakeside.example ", Level.UPDATE, Relationship.SIBLING)
    second = await ground.does("pat", offering.offer, person_id, form, POST)
    assert (second.email, second.email_key) == ("RUI@Lakeside.example", "rui@lakeside.example")
    with pytest.raises(WrongState):
        await ground.does("rui", accept, first)
    seen = await ground.does("rui", accept, second)
    assert (seen.role.level, seen.role.relationship) == (Level.UPDATE, Relationship.SIBLING)
    assert await ground.violations() == []


async def test_what_the_person_is_to_him_the_one_who_accepts_may_say(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", offers, person_id, "rui")
    assert offer.relationship is Relationship.OTHER
    seen = await ground.does("rui", offering.accept, offer.id, Relationship.CHILD)
    assert seen.role.relationship is Relationship.CHILD


@pytest.mark.parametrize("has", [Level.READ, Level.UPDATE, Level.DELETE])
@pytest.mark.parametrize("gets", [Level.READ, Level.UPDATE, Level.DELETE])
async def test_who_looks_after_it_already_has_the_higher_of_both(
    ground: Ground, has: Level, gets: Level
) -> None:
    person_id = await ground.does("pat", caring.a_person)
    await let_in(ground, person_id, "rui", has)
    await let_in(ground, person_id, "rui", gets)
    assert await who_looks_after(ground, person_id) == {"pat": "owner", "rui": str(int(max(has, gets)))}
    rows = await ground.rows(
        "SELECT 1 FROM person_roles WHERE account_id = $1", ground.actors["rui"].account_id
    )
    assert len(rows) == (2 if gets > has else 1)
    assert await ground.violations() == []


async def test_an_owner_who_accepts_an_offer_of_his_own_stays_the_owner(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    await let_in(ground, person_id, "pat", Level.READ)
    assert await who_looks_after(ground, person_id) == {"pat": "owner"}


@pytest.mark.parametrize("how", ["changed", "ended", "left", "transferred"])
async def test_what_its_maker_could_offer_no_more_is_withdrawn(ground: Ground, how: str) -> None:
    person_id = await ground.does("pat", caring.a_person)
    await let_in(ground, person_id, "ada", Level.DELETE)
    ada = ground.actors["ada"].account_id
    by_ada = await ground.does("ada", offers, person_id, "rui")
    by_pat = await ground.does("pat", offers, person_id, "zoe", Level.DELETE)
    match how:
        case "changed":
            await ground.does("pat", actions.change_role, person_id, ada, Level.UPDATE)
        case "ended":
            await ground.does("pat", actions.end_role, person_id, ada)
        case "left":
            await ground.does("ada", actions.end_role, person_id, ada)
        case "transferred":
            await ground.does("pat", actions.transfer, person_id, ada)
    rows = await ground.rows("SELECT id, status FROM person_offers WHERE account_id IS NULL")
    gone = by_pat if how == "transferred" else by_ada
    assert {row["id"] for row in rows if row["status"] == "withdrawn"} == {gone.id}
    with pytest.raises(WrongState):
        await ground.does("zoe" if gone is by_pat else "rui", accept, gone)
    told = await ground.rows("SELECT data FROM events WHERE kind = 'person.withdrawn'")
    assert [row["data"]["version"] for row in told] == [2]
    assert await ground.violations() == []


async def test_an_offer_to_make_an_administrator_is_the_owners_to_take_back(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    await let_in(ground, person_id, "ada", Level.DELETE)
    offer = await ground.does("pat", offers, person_id, "zoe", Level.DELETE)
    with pytest.raises(Forbidden):
        await ground.does("ada", offering.withdraw, person_id, offer.id)
    await ground.does("pat", offering.withdraw, person_id, offer.id)


async def test_an_offer_is_found_below_its_own_person_alone(ground: Ground) -> None:
    first, second = await ground.does("pat", caring.a_person), await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", offers, first, "zoe")
    with pytest.raises(NotFound):
        await ground.does("pat", offering.withdraw, second, offer.id)


async def test_an_offer_follows_the_address_and_not_the_account(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", offers, person_id, "rui")
    await ground.rows(
        "UPDATE accounts SET email_key = 'elsewhere@x.example' WHERE email_key = 'rui@lakeside.example' RETURNING id"
    )
    with pytest.raises(NotFound):
        await ground.does("rui", accept, offer)
    assert await ground.does("rui", queries.offers_received, 10) == ([], 0)


async def test_nobody_accepts_the_care_of_a_person_that_was_deleted(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", offers, person_id, "rui")
    await ground.does("pat", actions.delete, person_id)
    for deed, given in ((accept, offer), (offering.decline, offer.id)):
        with pytest.raises(NotFound):
            await ground.does("rui", deed, given)
    assert await ground.violations() == []


# -- how many ----------------------------------------------------------------------------------------------------------


async def test_a_mailbox_gets_so_many_mails_and_the_offers_all_the_same(ground: Ground) -> None:
    person_id = await ground.does("pat", caring.a_person)
    post = Post(KEY, Limit(2, timedelta(hours=1)))
    for _ in range(4):
        await ground.does(
            "pat", offering.offer, person_id, PersonOfferForm("rui@lakeside.example", Level.READ), post
        )
    assert len(await ground.rows("SELECT 1 FROM deliveries")) == 2
    _, total = await ground.does("rui", queries.offers_received, 10)
    assert total == 1


async def test_one_account_makes_so_many_an_hour(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "OFFERS_AN_HOUR", Limit(2, timedelta(hours=1)))
    person_id = await ground.does("pat", caring.a_person)
    for name in ("rui", "zoe"):
        await ground.does("pat", offers, person_id, name)
    before = await ground.rows("SELECT count(*) FROM person_offers")
    with pytest.raises(TooManyAttempts):
        await ground.does("pat", offers, person_id, "ben")
    assert await ground.rows("SELECT count(*) FROM person_offers") == before


@pytest.mark.parametrize("email", ["", "rui", "rui@", "a b@c.example", "x" * 300 + "@c.example"])
async def test_an_offer_goes_to_an_address(ground: Ground, email: Any) -> None:
    person_id = await ground.does("pat", caring.a_person)
    with pytest.raises(Invalid) as refused:
        await ground.does("pat", offering.offer, person_id, PersonOfferForm(email, Level.READ), POST)
    assert refused.value.field == "email"
