"""An access is ended: to a record, for everybody who looks after the person; or of an account, to all that is the person's.

Each is asked for first, on a page that says what it does; only the form of that page does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors.console import entrance, forms, my_record, sessions
from hospitium.doors.console.following import done
from hospitium.doors.console.rendering import page
from hospitium.doors.named_ids import path_id
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Forbidden, NotFound
from hospitium.engine.grants import on_servers
from hospitium.engine.permissions import RULES, Permission
from hospitium.engine.persons import actions, queries as person_queries

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.doors.console.my_record import Granted
    from hospitium.engine.context import Context
    from hospitium.engine.persons.queries import Holder, PersonView

_WAY = "my_record"


async def ask_record(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask whether the access to a record is to end."""
    grant_id = path_id(request, "id", "grant")
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])

    async def deed(ctx: Context) -> Granted:
        found = await my_record.granted(ctx, grant_id)
        if not found.may_end:
            raise Forbidden(RULES[Permission.END_GRANT].sentence)
        return found

    found = await surroundings(request).work.perform(request, Permission.END_GRANT, deed, about=grant_id)
    return page(request, "ending_record.html", found=found)


async def end_record(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the access to a record."""
    grant_id = path_id(request, "id", "grant")
    await forms.read(request, "step")
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    sessions.must_fit(request)

    async def deed(ctx: Context) -> Granted:
        found = await my_record.granted(ctx, grant_id)
        await on_servers.end(ctx, grant_id)
        return found

    try:
        ended = await surroundings(request).work.perform(request, Permission.END_GRANT, deed, about=grant_id)
    except NotFound:
        return done(request, "ending.over", way=_WAY)  # pressed twice, too
    return done(
        request, "ending.record.done", way=_WAY, whom=name_of(ended.whom), organization=ended.organization
    )


async def ask_holder(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask whether an account is to look after a person no more."""
    person_id, account_id = _named(request)
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    whom, holder = await surroundings(request).work.perform(
        request, Permission.LEAVE_PERSON, lambda ctx: _holder(ctx, person_id, account_id), about=person_id
    )
    return page(request, "ending_holder.html", whom=whom, holder=holder)


async def end_holder(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Let an account look after a person no more."""
    person_id, account_id = _named(request)
    await forms.read(request, "step")
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    sessions.must_fit(request)

    async def deed(ctx: Context) -> PersonView:
        whom = await person_queries.find(ctx, person_id)
        await actions.end_role(ctx, person_id, account_id)
        return whom

    try:
        whom = await surroundings(request).work.perform(
            request, Permission.LEAVE_PERSON, deed, about=person_id
        )
    except NotFound:
        return done(request, "ending.over", way=_WAY)
    return done(request, "ending.holder.done", way=_WAY, whom=name_of(whom))


def name_of(whom: PersonView) -> str:
    """Return what a person is called."""
    return f"{whom.person.first_name} {whom.person.last_name}"


async def _holder(ctx: Context, person_id: UUID, account_id: UUID) -> tuple[PersonView, Holder]:
    """Return a person one looks after, and another, or oneself, who does. Raises NotFound."""
    whom = await person_queries.find(ctx, person_id)
    found, _ = await person_queries.roles(ctx, person_id, my_record.MOST_SHOWN)
    for holder in found:
        if holder.account_id == account_id:
            return whom, holder
    raise NotFound("account")


def _named(request: Request[Any, Any, Any]) -> tuple[UUID, UUID]:
    return path_id(request, "id", "person"), path_id(request, "account_id", "account")
