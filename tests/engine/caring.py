"""What tests of persons have in common: a person, and who looks after it as what, each in a line; to be done as somebody."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from engine.ground import Ground
from engine.sharing import POST
from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.context import Context
from hospitium.engine.events import EventKind
from hospitium.engine.levels import Level
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.persons import actions, offering, queries
from hospitium.engine.persons.forms import PersonForm
from hospitium.engine.persons.offering import PersonOfferForm
from hospitium.engine.persons.queries import PersonView
from hospitium.engine.persons.record import Gender, PersonOffer, Relationship

# Pat owns; the others look after it as these.
LEVELS = {"ada": Level.DELETE, "ben": Level.UPDATE, "mia": Level.READ}
ADDRESSES = {
    "ada": "ada@northside.example",
    "ben": "ben@northside.example",
    "mia": "mia@northside.example",
    "rui": "rui@lakeside.example",
    "zoe": "zoe@harbor.example",
    "pat": "pat@mail.example",
}


def a_form(**more: Any) -> PersonForm:
    """Return what is said of a child."""
    return PersonForm(
        **{
            "first_name": "Kim",
            "last_name": "Doe",
            "gender": Gender.FEMALE,
            "birth_date": "2019-04-05",
            **more,
        }
    )


async def a_person(ctx: Context, relationship: Relationship = Relationship.CHILD, **more: Any) -> UUID:
    """Make a person; return its id."""
    return (await actions.create(ctx, a_form(**more), relationship)).person.id


async def offers(ctx: Context, person_id: UUID, name: str, level: Level = Level.READ) -> PersonOffer:
    """Offer the care of a person to somebody of the cast."""
    return await offering.offer(ctx, person_id, PersonOfferForm(ADDRESSES[name], level), POST)


async def accept(ctx: Context, offer: PersonOffer) -> PersonView:
    return await offering.accept(ctx, offer.id)


async def let_in(
    ground: Ground, person_id: UUID, name: str, level: Level, *, by: str = "pat", now: datetime | None = None
) -> None:
    """Have somebody look after a person from now on."""
    made = await ground.does(by, offers, person_id, name, level, now=now)
    await ground.does(name, accept, made, now=now)


async def a_family(ground: Ground) -> UUID:
    """Make a person that pat owns, and that ada, ben and mia look after as administrator, writer and reader."""
    person_id: UUID = await ground.does("pat", a_person)
    for name, level in LEVELS.items():
        await let_in(ground, person_id, name, level)
    return person_id


async def who_looks_after(ground: Ground, person_id: UUID) -> dict[str, str]:
    """Return who looks after a person, and as what: by what the rows say."""
    names = {actor.account_id: name for name, actor in ground.actors.items()}
    rows = await ground.rows(
        "SELECT account_id, level, is_owner FROM person_roles WHERE person_id = $1 AND ends_at IS NULL",
        person_id,
    )
    return {names[row["account_id"]]: "owner" if row["is_owner"] else str(row["level"]) for row in rows}


async def role_of(ctx: Context, person_id: UUID) -> int:
    """Return at which level the actor looks after a person; 0 if he doesn't."""
    role = await queries.role_of(ctx, person_id)
    return 0 if role is None else int(role.level)


async def goes(ctx: Context, name: str) -> None:
    """Delete somebody's account."""
    found = await account_queries.by_email(ctx, ADDRESSES[name])
    await memberships.end_all_of(ctx, found.id, even_the_last=True)
    account, _ = await account_queries.lock(ctx, found.id)
    await life.erase(ctx, account, "account_deleted", EventKind.ACCOUNT_DELETED)
