"""Persons: whose records one looks after, who else does, and how their care is offered (contract bluebutton.md §3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.bluebutton.person_shapes import (
    Person,
    PersonAcceptBody,
    PersonBody,
    PersonOfferBody,
    PersonOfferMade,
    PersonOfferReceived,
    PersonOwnerBody,
    PersonRoleBody,
    PersonUser,
    PersonUserRole,
    relationship_of,
)
from hospitium.doors.bluebutton.wire import level_of, page_of, wire_names
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.surroundings import surroundings
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import actions, offering, queries
from hospitium.engine.persons.offering import PersonOfferForm
from hospitium.engine.persons.record import Relationship

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.persons.queries import PersonView

DONE = Answer(204, b"")


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a person, who is one's own to look after: oneself, a child, a parent. One owns it."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), PersonBody)

        async def do() -> Answer:
            relationship = relationship_of(given.relationship) or Relationship.SELF
            return answer(200, Person.of(await actions.create(ctx, given.form(), relationship)))

        with wire_names():
            # Of a person that is deleted nothing is to stay readable, in no kept answer either.
            return await once(ctx, request, body, do, sealed=True)

    return send(await surroundings(request).work.perform(request, Permission.CREATE_PERSON, deed))


async def list_persons(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the persons one looks after, in the order of their ids."""

    async def deed(ctx: Context) -> Answer:
        page = page_of(request)
        found = await queries.seen(ctx, FIRST_ID, page.count, skip=page.skip)
        return answer(200, page.paged([Person.of(one) for one in found], await queries.seen_count(ctx)))

    return send(await surroundings(request).work.perform(request, Permission.SEE_PERSONS, deed))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a person that one looks after."""
    person_id = path_id(request, "person_id", "person")
    found = await surroundings(request).work.perform(
        request, Permission.SEE_PERSONS, lambda ctx: queries.find(ctx, person_id), about=person_id
    )
    return send(answer(200, Person.of(found)))


async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say anew all that is said of a person: what isn't given is not known any more. Needs Write."""
    person_id = path_id(request, "person_id", "person")
    body = await request.body()

    async def deed(ctx: Context) -> PersonView:
        given = json_body.read(body, request.headers.get("content-type"), PersonBody)
        with wire_names():
            return await actions.change(ctx, person_id, given.form(), relationship_of(given.relationship))

    changed = await surroundings(request).work.perform(
        request, Permission.UPDATE_PERSON, deed, about=person_id
    )
    return send(answer(200, Person.of(changed)))


async def delete(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Delete a person that one owns: nobody looks after it any more, and all that it was granted ends."""
    person_id = path_id(request, "person_id", "person")
    await surroundings(request).work.perform(
        request, Permission.DELETE_PERSON, lambda ctx: actions.delete(ctx, person_id), about=person_id
    )
    return send(DONE)


# -- who looks after one -----------------------------------------------------------------------------------------------


async def list_users(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List who looks after a person, in the order of their ids, as an administrator of it; others see themselves alone."""
    person_id = path_id(request, "person_id", "person")

    async def deed(ctx: Context) -> Answer:
        page = page_of(request)
        found, total = await queries.roles(ctx, person_id, page.count, skip=page.skip)
        return answer(200, page.paged([PersonUser.of(one) for one in found], total))

    return send(
        await surroundings(request).work.perform(request, Permission.SEE_PERSONS, deed, about=person_id)
    )


async def change_user(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give somebody who looks after a person another role. Needs Administrator; to make or unmake one, the owner."""
    person_id, user_id = path_id(request, "person_id", "person"), path_id(request, "user_id", "account")
    body = await request.body()

    async def deed(ctx: Context) -> PersonUserRole:
        given = json_body.read(body, request.headers.get("content-type"), PersonRoleBody)
        level = level_of("role", given.role)
        return PersonUserRole.of(await actions.change_role(ctx, person_id, user_id, level))

    changed = await surroundings(request).work.perform(
        request, Permission.SHARE_PERSON, deed, about=person_id
    )
    return send(answer(200, changed))


async def remove_user(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Cease to look after a person, or have somebody else cease to; it counts from the next request on."""
    person_id, user_id = path_id(request, "person_id", "person"), path_id(request, "user_id", "account")
    await surroundings(request).work.perform(
        request,
        Permission.LEAVE_PERSON,
        lambda ctx: actions.end_role(ctx, person_id, user_id),
        about=person_id,
    )
    return send(DONE)


async def give_away(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make another user who looks after a person its owner; one is its administrator from then on."""
    person_id = path_id(request, "person_id", "person")
    body = await request.body()

    async def deed(ctx: Context) -> PersonView:
        given = json_body.read(body, request.headers.get("content-type"), PersonOwnerBody)
        return await actions.transfer(ctx, person_id, body_id("userId", given.user_id))

    given_away = await surroundings(request).work.perform(
        request, Permission.SHARE_PERSON, deed, about=person_id
    )
    return send(answer(200, Person.of(given_away)))


# -- offers ------------------------------------------------------------------------------------------------------------


async def offer(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Offer somebody the care of a person, by e-mail address, in place of what was offered there before.

    The answer is the same whether the address has an account or not.
    """
    house = surroundings(request)
    person_id = path_id(request, "person_id", "person")
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), PersonOfferBody)
        relationship = relationship_of(given.relationship) or Relationship.OTHER
        form = PersonOfferForm(given.email, level_of("role", given.role), relationship)

        async def do() -> Answer:
            return answer(200, PersonOfferMade.of(await offering.offer(ctx, person_id, form, house.post)))

        # Sealed: it holds an address.
        return await once(ctx, request, body, do, sealed=True)

    return send(await house.work.perform(request, Permission.SHARE_PERSON, deed, about=person_id))


async def list_offers_made(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the offers of a person that wait for an answer, the newest first. Needs Administrator."""
    person_id = path_id(request, "person_id", "person")

    async def deed(ctx: Context) -> Answer:
        page = page_of(request)
        found, total = await queries.offers_made(ctx, person_id, page.count, skip=page.skip)
        return answer(200, page.paged([PersonOfferMade.of(one) for one in found], total))

    return send(
        await surroundings(request).work.perform(request, Permission.SHARE_PERSON, deed, about=person_id)
    )


async def withdraw(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take an offer back that waits for an answer."""
    person_id, offer_id = path_id(request, "person_id", "person"), path_id(request, "offer_id", "offer")
    await surroundings(request).work.perform(
        request,
        Permission.SHARE_PERSON,
        lambda ctx: offering.withdraw(ctx, person_id, offer_id),
        about=person_id,
    )
    return send(DONE)


async def list_offers_received(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the offers that wait for oneself, the newest first: those to one's own address, once it is confirmed."""

    async def deed(ctx: Context) -> Answer:
        page = page_of(request)
        found, total = await queries.offers_received(ctx, page.count, skip=page.skip)
        return answer(200, page.paged([PersonOfferReceived.of(one) for one in found], total))

    return send(await surroundings(request).work.perform(request, Permission.ACCEPT_PERSON, deed))


async def accept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take up the care of a person that one was offered."""
    offer_id = path_id(request, "offer_id", "offer")
    body = await request.body()

    async def deed(ctx: Context) -> PersonView:
        given = json_body.read(body, request.headers.get("content-type"), PersonAcceptBody)
        return await offering.accept(ctx, offer_id, relationship_of(given.relationship))

    accepted = await surroundings(request).work.perform(
        request, Permission.ACCEPT_PERSON, deed, about=offer_id
    )
    return send(answer(200, Person.of(accepted)))


async def decline(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Decline the care of a person that one was offered."""
    offer_id = path_id(request, "offer_id", "offer")
    await surroundings(request).work.perform(
        request, Permission.ACCEPT_PERSON, lambda ctx: offering.decline(ctx, offer_id), about=offer_id
    )
    return send(DONE)
