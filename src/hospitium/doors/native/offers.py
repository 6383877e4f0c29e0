"""Inviting colleagues by e-mail, and joining as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response

from hospitium.doors import joining, json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.native.account_shapes import DONE, PrintedAccount
from hospitium.doors.native.wire import Body, Wire, page_of, wire_names
from hospitium.doors.shapes import Email, Instant, OptionalLine, Token, TypedPassword
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Role
from hospitium.engine.ids import LAST_ID
from hospitium.engine.offers import actions, queries
from hospitium.engine.offers.record import Offer, OfferStatus
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class OfferBody(Body):
    """Whom to invite, as what, and in which language the mail is written."""

    email: Email
    role: Role
    language: Language = Language.ENGLISH


class LookBody(Body):
    """A link's token."""

    token: Token


class JoiningBody(Body):
    """A link's token, and the password of one's account, which is made with it if there is none; a session serves too."""

    token: Token
    password: TypedPassword | None = None
    first_name: OptionalLine | None = None
    last_name: OptionalLine | None = None
    language: Language = Language.ENGLISH


class PrintedOffer(Wire):
    """An invitation, as the administrators who made it see it; its link is only in the mail."""

    id: UUID
    email: str
    role: Role
    status: OfferStatus
    offered_by: UUID
    offered_at: Instant
    expires_at: Instant
    ended_at: Instant | None
    account_id: UUID | None

    @classmethod
    def of(cls, offer: Offer) -> PrintedOffer:
        return cls(
            offer.id,
            offer.email,
            offer.role,
            offer.status,
            offer.offered_by_id,
            offer.offered_at,
            offer.expires_at,
            offer.ended_at,
            offer.account_id,
        )


class Offers(Wire):
    """Invitations, the newest first; `next` is where the list goes on, null at its end."""

    offers: list[PrintedOffer]
    next: UUID | None


class Preview(Wire):
    """What an invitation is, for whoever holds its link."""

    organization: str
    email: str
    role: Role
    expires_at: Instant
    has_account: bool


class Joined(Wire):
    """Who has joined which organization, as what."""

    account: PrintedAccount
    organization_id: UUID
    role: Role


async def make(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Invite a colleague by e-mail into the organization one acts for."""
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), OfferBody)

        async def do() -> Answer:
            made = await actions.make(ctx, given.email, given.role, given.language, house.post)
            return answer(201, PrintedOffer.of(made))

        return await once(ctx, request, body, do)

    return send(await house.work.perform(request, Permission.OFFER_MEMBERSHIP, deed))


async def list_offers(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the invitations of the organization one acts for."""

    async def deed(ctx: Context) -> Offers:
        before, limit = page_of(request)
        found = await queries.of_organization(ctx, before or LAST_ID, limit + 1)
        page = [PrintedOffer.of(one) for one in found[:limit]]
        return Offers(page, page[-1].id if len(found) > limit else None)

    return send(answer(200, await surroundings(request).work.perform(request, Permission.SEE_MEMBERS, deed)))


async def resend(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Send an open invitation again, with a new link; the one before is dead."""
    offer_id = path_id(request, "offer_id", "invitation")
    post = surroundings(request).post
    after = await surroundings(request).work.perform(
        request, Permission.OFFER_MEMBERSHIP, lambda ctx: actions.resend(ctx, offer_id, post), about=offer_id
    )
    return send(answer(200, PrintedOffer.of(after)))


async def withdraw(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take an open invitation back; its link is dead."""
    offer_id = path_id(request, "offer_id", "invitation")
    await surroundings(request).work.perform(
        request, Permission.OFFER_MEMBERSHIP, lambda ctx: actions.withdraw(ctx, offer_id), about=offer_id
    )
    return send(answer(200, DONE))


async def look(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See what an invitation is, with the token of its link."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), LookBody)
    offer, organization, has_account = await joining.look(request, LinkToken(given.token))
    return send(answer(200, Preview(organization, offer.email, offer.role, offer.expires_at, has_account)))


async def accept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Join: with the link's token, and the password of one's account, which is made with it if there is none yet."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), JoiningBody)
    form = AccountForm(
        email="", first_name=given.first_name, last_name=given.last_name, language=given.language
    )
    with wire_names():
        account, membership, _ = await joining.accept(request, LinkToken(given.token), given.password, form)
    return send(answer(200, Joined(PrintedAccount.of(account), membership.organization_id, membership.role)))
