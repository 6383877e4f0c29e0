"""Acting for another of one's organizations (ruling 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import parse_id
from hospitium.engine.permissions import Permission
from hospitium.engine.sessions import actions

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class OrganizationBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    organization_id: str


async def choose_organization(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Move the session to another organization; the access token in use stays good and means it from now on."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), OrganizationBody)
        wanted = parse_id(given.organization_id)
        if wanted is None:
            raise Invalid("organizationId", "must be an id: a UUID, or 24 hexadecimal digits")
        moved = await actions.move(ctx, wanted)
        belonging = moved.belonging
        return answer(
            200,
            {
                "sessionId": moved.session.id,
                "organizationId": moved.session.organization_id,
                "role": None if belonging is None else belonging.role,
            },
        )

    return send(await surroundings(request).work.perform(request, Permission.CHOOSE_ORGANIZATION, deed))
