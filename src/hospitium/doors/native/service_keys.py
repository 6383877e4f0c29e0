"""Service keys: by which an application of an organization asks, instead of a person's session. Each is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import Meta

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.native.wire import Body, Wire, page_of, wire_names
from hospitium.doors.shapes import Instant, Line
from hospitium.doors.surroundings import surroundings
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.permissions import Permission, organization_of
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys import actions, queries
from hospitium.engine.service_keys.record import Scope, ServiceKey

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class ServiceKeyBody(Body):
    """A new service key: what it is called, and what it may be used for."""

    name: Line
    scopes: Annotated[list[Scope], Meta(extra_json_schema={"minItems": 1})]


class PrintedServiceKey(Wire):
    """A service key, without what is sent to use it. `madeBy` is null if the operator made it; `lastUsedAt` is true to the minute."""

    id: UUID
    name: str
    scopes: list[Scope]
    made_at: Instant
    made_by: UUID | None
    last_used_at: Instant | None
    ended_at: Instant | None

    @classmethod
    def of(cls, key: ServiceKey) -> PrintedServiceKey:
        return cls(
            key.id,
            key.name,
            [Scope(scope) for scope in key.scopes],
            key.made_at,
            key.made_by_id,
            key.last_used_at,
            key.ended_at,
        )


class MadeServiceKey(Wire):
    """A new service key, and what is sent to use it: `Authorization: Bearer` and `key`. It is not shown again."""

    service_key: PrintedServiceKey
    key: str


class ServiceKeys(Wire):
    """Service keys in the order they were made, ended ones too; `next` is where the list goes on, null at its end."""

    service_keys: list[PrintedServiceKey]
    next: UUID | None


async def make(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a service key of the organization one acts for. The answer shows it, once."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), ServiceKeyBody)

        async def do() -> Answer:
            key = ServiceKeyText.new()
            with wire_names():
                made = await actions.make(ctx, organization_of(ctx.actor), given.name, given.scopes, key)
            return answer(201, MadeServiceKey(PrintedServiceKey.of(made), key.reveal()))

        return await once(ctx, request, body, do, sealed=True)

    return send(await surroundings(request).work.perform(request, Permission.KEEP_SERVICE_KEYS, deed))


async def list_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the service keys of the organization one acts for."""

    async def deed(ctx: Context) -> ServiceKeys:
        after, limit = page_of(request)
        found = await queries.page(ctx, after or FIRST_ID, limit + 1)
        page = [PrintedServiceKey.of(one) for one in found[:limit]]
        return ServiceKeys(page, page[-1].id if len(found) > limit else None)

    return send(
        answer(200, await surroundings(request).work.perform(request, Permission.KEEP_SERVICE_KEYS, deed))
    )


async def end(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a service key: the next request with it is refused."""
    key_id = path_id(request, "key_id", "service key")
    ended = await surroundings(request).work.perform(
        request, Permission.KEEP_SERVICE_KEYS, lambda ctx: actions.end(ctx, key_id), about=key_id
    )
    return send(answer(200, PrintedServiceKey.of(ended)))
