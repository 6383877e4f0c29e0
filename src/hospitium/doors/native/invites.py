"""Invites of patients: in bulk, and the slips that are handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import code_answers, fhir_patients, json_body, slips
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.named_ids import body_id
from hospitium.doors.native import invite_rows
from hospitium.doors.native.api import HTML
from hospitium.doors.native.invite_rows import Inviting
from hospitium.doors.native.invite_shapes import (
    MOST_ROWS,
    InviteRowsBody,
    InvitingClinic,
    RowOutcomes,
    SlipBody,
)
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.invites import actions, queries
from hospitium.engine.invites.actions import LONGEST_BULK_KEY
from hospitium.engine.invites.codes import InviteCode
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line

if TYPE_CHECKING:
    from hospitium.doors.native.invite_shapes import InviteRow
    from hospitium.engine.context import Context
    from hospitium.engine.invites.queries import Inviter

Keyed = list[tuple[str, "InviteRow"]]


async def make_in_bulk(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Invite many, each row for itself; sent again, a row answers with what its key made the first time, and without the code.

    The key of a row does for it what an Idempotency-Key does for a call, and never forgets.
    """
    body = await request.body()

    async def decide(ctx: Context) -> tuple[Inviter, Inviting, Keyed]:
        given = json_body.read(body, request.headers.get("content-type"), InviteRowsBody)
        rows = _keyed(given.invites)
        standing = await actions.may_make(ctx, body_id("fhirServerId", given.fhir_server_id))
        inviter = await queries.inviter(ctx, standing.server.id)
        if inviter is None:
            raise NotFound("FHIR server")
        there = await queries.by_bulk_keys(ctx, standing.server.id, [key for key, _ in rows])
        where = await fhir_patients.reachable(ctx, standing.server)
        return inviter, Inviting(ctx.actor.account_id, where, there), rows

    house = surroundings(request)
    inviter, inviting, rows = await house.work.perform(request, Permission.MAKE_INVITE, decide)
    outcomes = await invite_rows.make_all(request, inviting, rows)
    clinic = InvitingClinic(inviter.name, inviter.phone)
    return send(answer(200, RowOutcomes(clinic, house.public_url, outcomes)))


async def slip(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Get the slip of an open invite: one page for the printer, with its code, as whoever may invite there.

    The code stands in the body; no try of the invite is counted, but an unknown code counts as everywhere.
    """
    given = json_body.read(await request.body(), request.headers.get("content-type"), SlipBody)
    code = InviteCode.typed(given.security_code)
    found = await code_answers.printable(request, given.security_code)
    assert code is not None  # it was found by it  # noqa: S101
    inviter, language = found.inviter, given.language or found.language
    page = slips.slip(
        inviter.name, inviter.phone, code, language, surroundings(request).public_url, found.expires_at
    )
    headers = {"Content-Security-Policy": slips.POLICY}
    return send(Answer(200, page.encode()), media_type=HTML, headers=headers)


def _keyed(rows: list[InviteRow]) -> Keyed:
    """Return rows with their keys, each another than all others. Raises Invalid."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise Invalid("invites", f"must be 1 to {MOST_ROWS} rows; send more in another call")
    found: dict[str, InviteRow] = {}
    for number, row in enumerate(rows):
        field = f"invites[{number}].key"
        key = line(field, row.key, longest=LONGEST_BULK_KEY)
        if key in found:
            raise Invalid(field, "is the key of a row before it")
        found[key] = row
    return list(found.items())
