"""The invites of whoever is signed in: those that wait, and those he has accepted; what one gives, and his answer to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors.console import choosing, entrance, forms, sessions
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import Wrong, done, wrong_with
from hospitium.doors.console.rendering import elsewhere, page
from hospitium.doors.named_ids import path_id
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotFound, WrongState
from hospitium.engine.invites import accepting, queries
from hospitium.engine.invites.record import InviteStatus
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import queries as person_queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.invites.queries import Inviter, InviteView
    from hospitium.engine.invites.record import Invite
    from hospitium.engine.persons.queries import PersonView


class Shown(NamedTuple):
    """An invite as its page shows it: who invites (None: not active any more), and the persons it may be, or was, accepted with."""

    view: InviteView
    inviter: Inviter | None
    persons: list[PersonView]

    @property
    def invite(self) -> Invite:
        return self.view.invite

    @property
    def organization(self) -> str:
        """Who invites; if it isn't active any more, what its FHIR server is called."""
        return self.view.server_name if self.inviter is None else self.inviter.name

    @property
    def patient(self) -> dict[str, str]:
        """What is known of the patient, for people: `name`, `gender` and `birth_date`, each empty if it isn't known."""
        summary = self.invite.patient_summary
        return {
            "name": choosing.name_of(summary),
            **{
                name: said if isinstance(said := summary.get(member), str) else ""
                for name, member in (("gender", "gender"), ("birth_date", "birthDate"))
            },
        }


async def list_invites(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List what waits for whoever is signed in, and what he accepted."""
    if await sessions.visitor(request) is None:
        return entrance.asked(request, entrance.HOME)

    async def deed(ctx: Context) -> list[Shown]:
        return [await _shown(ctx, one) for one in await queries.received(ctx)]

    found = await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed)
    return page(
        request,
        "invites.html",
        waiting=[one for one in found if one.invite.status is not InviteStatus.ACCEPTED],
        accepted=[one for one in found if one.invite.status is InviteStatus.ACCEPTED],
    )


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show an invite: what it gives, and how it is answered; or that it was accepted."""
    invite_id = path_id(request, "id", "invite")
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    return _page(request, await _find(request, invite_id))


async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Accept an invite as it was shown, with a person; or decline it."""
    invite_id = path_id(request, "id", "invite")
    given = await forms.read(request, "step", "version", *choosing.FIELDS)
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    sessions.must_fit(request)
    if given.get("step") == "decline":
        return await _decline(request, invite_id)
    try:
        await _accept(request, invite_id, given)
    except WrongState:
        return await _changed(request, invite_id, given)
    except (Invalid, NotFound) as refusal:
        if isinstance(refusal, NotFound) and refusal.resource != "person":
            raise
        return _page(request, await _find(request, invite_id), wrong_choice(refusal, given), given)
    return elsewhere(request, request.scope["path"])


def wrong_choice(refusal: Invalid | NotFound, given: Mapping[str, str]) -> Wrong:
    """Return what is wrong about whom an invite is to be accepted for."""
    if isinstance(refusal, NotFound):
        # He doesn't look after it any more, or not as its administrator.
        return Wrong("person", "wrong.person")
    return wrong_with(refusal, given)


def version_shown(given: Mapping[str, str]) -> int:
    """Return which version of an invite a page has shown. Raises Invalid (`form`)."""
    if not re.fullmatch(r"[0-9]{1,9}", given.get("version", "")):
        raise Invalid("form", "says no version")
    return int(given["version"])


async def shown(ctx: Context, view: InviteView) -> Shown:
    """Return an open invite with who invites, and with whom the actor may accept it."""
    found = await _shown(ctx, view)
    return found._replace(persons=await choosing.persons_of_actor(ctx))


async def _shown(ctx: Context, view: InviteView) -> Shown:
    return Shown(view, await queries.inviter(ctx, view.invite.fhir_server_id), [])


async def _find(request: Request[Any, Any, Any], invite_id: UUID) -> Shown:
    async def deed(ctx: Context) -> Shown:
        # Of one's own alone: whoever may write on its FHIR server has no part in answering it.
        for view in await queries.received(ctx):
            if view.invite.id == invite_id:
                if view.invite.person_id is None:
                    return await shown(ctx, view)
                return (await _shown(ctx, view))._replace(persons=await _with(ctx, view.invite.person_id))
        raise NotFound("invite")

    return await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed, about=invite_id)


async def _with(ctx: Context, person_id: UUID) -> list[PersonView]:
    try:
        return [await person_queries.find(ctx, person_id)]
    except NotFound:
        return []  # he looks after it no more


async def _accept(request: Request[Any, Any, Any], invite_id: UUID, given: Mapping[str, str]) -> None:
    version, choice = version_shown(given), choosing.chosen(given)

    async def deed(ctx: Context) -> None:
        await accepting.accept(ctx, invite_id, await choosing.settled(ctx, choice), version)

    await surroundings(request).work.perform(request, Permission.ACCEPT_INVITE, deed, about=invite_id)


async def _decline(request: Request[Any, Any, Any], invite_id: UUID) -> Response[bytes]:
    try:
        await surroundings(request).work.perform(
            request, Permission.ACCEPT_INVITE, lambda ctx: accepting.decline(ctx, invite_id), about=invite_id
        )
    except WrongState:
        # Pressed twice: what the first time did is told again.
        if await _status(request, invite_id) is not InviteStatus.DECLINED:
            return await _changed(request, invite_id, {})
    return done(request, "invite.declined", way="invites")


async def _changed(
    request: Request[Any, Any, Any], invite_id: UUID, given: Mapping[str, str]
) -> Response[bytes]:
    """Say how an invite stands that isn't as it was shown: accepted (pressed twice), over, or changed."""
    status = await _status(request, invite_id)
    if status is InviteStatus.ACCEPTED:
        return elsewhere(request, request.scope["path"])
    try:
        found = await _find(request, invite_id)
    except NotFound:
        return done(request, "invite.over", way="invites")
    return _page(request, found, given=given, changed=True)


async def _status(request: Request[Any, Any, Any], invite_id: UUID) -> InviteStatus | None:
    """Return how an invite stands, to who was told already that it is his."""

    async def deed(ctx: Context) -> InviteStatus | None:
        found = await queries.by_id(ctx, invite_id)
        return None if found is None else found.status

    return await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed)


def _page(
    request: Request[Any, Any, Any],
    found: Shown,
    wrong: Wrong | None = None,
    given: Mapping[str, str] | None = None,
    *,
    changed: bool = False,
) -> Response[bytes]:
    if found.invite.status is InviteStatus.ACCEPTED:
        return page(request, "invite_accepted.html", found=found)
    return page(
        request,
        "invite.html",
        409 if changed else status_of(wrong),
        found=found,
        changed=changed,
        wrong=wrong,
        given=choosing.as_known(found.invite.patient_summary) | dict(given or {}),
    )
