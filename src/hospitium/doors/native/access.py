"""Why, who and what: the questions of people about access (docs/access.md). Applications ask theirs at the AuthZEN surface."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.cursors import LONGEST_CURSOR, cursor, place_of
from hospitium.doors.native.access_shapes import (
    ExplainBody,
    PrintedExplanation,
    PrintedStep,
    ReachedResource,
    ReachedResources,
    ReachingAccount,
    ReachingAccounts,
)
from hospitium.doors.native.wire import DEFAULT_LIMIT, LARGEST_LIMIT
from hospitium.doors.parameters import Parameters
from hospitium.doors.surroundings import surroundings
from hospitium.engine.access import explain as explaining, listing, reach
from hospitium.engine.access.listing import NOTHING_BEFORE, Reachable
from hospitium.engine.access.naming import LONGEST_NAME, Named
from hospitium.engine.errors import Invalid
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hospitium.engine.access.reach import Part, Reached, Reaching
    from hospitium.engine.context import Context

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")
CSV = "text/csv"
MOST_IN_A_TABLE = 10_000
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
THROUGH = (
    "through",
    "throughId",
    "throughName",
    "because",
    "givenById",
    "givenByName",
    "givenAt",
    "since",
    "until",
)


async def explain(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say why somebody may do something, or why not: the path by which it is allowed, or the nearest by which it isn't; now, or as of a
    past moment. Of somebody else's resource, who asks about himself is told the decision alone."""
    body = await request.body()

    async def deed(ctx: Context) -> PrintedExplanation:
        given = json_body.read(body, request.headers.get("content-type"), ExplainBody)
        on = given.resource
        named = Named(
            given.subject.type,
            given.subject.id,
            given.action.name,
            on.type,
            on.id,
            on.properties.fhir_server_id,
        )
        return PrintedExplanation.of(await explaining.explain_named(ctx, named, given.at))

    explained = await surroundings(request).work.perform(request, Permission.EXPLAIN_ACCESS, deed)
    return send(answer(200, explained))


async def list_subjects(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List everybody who may do something on a resource, inherited access included: how much, through what, from whom and since when. For
    its owner, the administrators of its organization, and that organization's service keys.

    As CSV it is given whole, up to 10,000 at once; where there are more, the header `Hospitium-Next` brings the rest.
    """

    async def deed(ctx: Context) -> tuple[_Page[ReachingAccount], bool]:
        given = Parameters(request)
        named, wanted = _resource(given), _wanted(given)
        found = await reach.find_known(ctx, named)
        bound_to = (_asker(ctx), "subjects", *named)
        total, after = _place(request, given, bound_to, [str(FIRST_ID)])

        async def more(key: list[str], most: int) -> Part[UUID, Reaching]:
            return await reach.who(ctx, found, UUID(key[0]), most)

        rows, last = await _gathered(more, lambda one: [str(one)], after, wanted.limit)
        total = await reach.count_who(ctx, found) if total is None else total
        following = None if last is None else cursor(request, [total, *last], *bound_to)
        return _Page([ReachingAccount.of(one) for one in rows], total, following), wanted.is_csv

    page, is_csv = await _in_turn(request, deed)
    if not is_csv:
        return send(answer(200, ReachingAccounts(*page)))
    return _as_csv(
        ["accountId", "externalId", "name", "level", *THROUGH],
        ([one.id, one.external_id, one.name, one.level, *_through(one.path)] for one in page.rows),
        page.following,
    )


async def list_resources(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List everything that an account can reach: how much, through what, from whom and since when. The own account's is told whole; of
    others administrators and service keys are told what is their organization's. A FHIR server that is granted whole stands for all
    its patients.

    As CSV it is given whole, up to 10,000 at once; where there are more, the header `Hospitium-Next` brings the rest.
    """

    async def deed(ctx: Context) -> tuple[_Page[ReachedResource], bool]:
        given = Parameters(request)
        named, wanted = given.text("account", longest=LONGEST_NAME), _wanted(given)
        account_id, within = await reach.whose(ctx, named)
        bound_to = (_asker(ctx), "resources", str(account_id), str(within))
        total, after = _place(request, given, bound_to, _key(NOTHING_BEFORE))

        async def more(key: list[str], most: int) -> Part[Reachable, Reached]:
            return await reach.what(ctx, account_id, within, _reachable(key), most)

        rows, last = await _gathered(more, _key, after, wanted.limit)
        total = await listing.count_everything(ctx, account_id, within) if total is None else total
        following = None if last is None else cursor(request, [total, *last], *bound_to)
        return _Page([ReachedResource.of(one) for one in rows], total, following), wanted.is_csv

    page, is_csv = await _in_turn(request, deed)
    if not is_csv:
        return send(answer(200, ReachedResources(*page)))
    return _as_csv(
        ["type", "id", "externalId", "fhirServerId", "level", *THROUGH],
        (
            [one.type, one.id, one.external_id, one.fhir_server_id, one.level, *_through(one.path)]
            for one in page.rows
        ),
        page.following,
    )


# -- how ---------------------------------------------------------------------------------------------------------------


class _Wanted(NamedTuple):
    limit: int
    is_csv: bool


class _Page(NamedTuple, Generic[T]):
    rows: list[T]
    total: int
    following: str | None


async def _in_turn(request: Request[Any, Any, Any], deed: Callable[[Context], Awaitable[T]]) -> T:
    house = surroundings(request)
    async with house.turns.turn(await house.work.asker(request)):
        return await house.work.perform(request, Permission.SEE_ACCESS, deed)


def _resource(given: Parameters) -> Named:
    fields = {
        name: given.text(name, longest=LONGEST_NAME) or ""
        for name in ("type", "id", "fhirServerId", "action")
    }
    for name in ("type", "id"):
        if not fields[name]:
            raise Invalid(name, "is required")
    return Named(
        "account", "", fields["action"] or "read", fields["type"], fields["id"], fields["fhirServerId"]
    )


def _wanted(given: Parameters) -> _Wanted:
    """Return how many are wanted, and as what. Raises Invalid."""
    form = given.text("format") or "json"
    if form not in ("json", "csv"):
        raise Invalid("format", "must be json or csv")
    if form == "csv":
        return _Wanted(given.number("limit", MOST_IN_A_TABLE, MOST_IN_A_TABLE), is_csv=True)
    return _Wanted(given.number("limit", DEFAULT_LIMIT, LARGEST_LIMIT), is_csv=False)


async def _gathered(
    more: Callable[[list[str], int], Awaitable[Part[K, R]]],
    spelled: Callable[[K], list[str]],
    after: list[str],
    limit: int,
) -> tuple[list[R], list[str] | None]:
    """Return what is told of so many that are listed after a key, a part at a time, and the key of the last if there are more after it."""
    rows: list[R] = []
    left = limit
    while True:
        wanted = min(left, LARGEST_LIMIT)
        part = await more(after, wanted + 1)
        rows += [part.rows[one] for one in part.keys[:wanted] if one in part.rows]
        if len(part.keys) <= wanted:
            return rows, None
        after = spelled(part.keys[wanted - 1])
        left -= wanted
        if left <= 0:
            return rows, after


def _asker(ctx: Context) -> str:
    return str(ctx.actor.service_key_id or ctx.actor.account_id)


def _place(
    request: Request[Any, Any, Any], given: Parameters, bound_to: tuple[str, ...], first: list[str]
) -> tuple[int | None, list[str]]:
    """Return how many there are in all, if a cursor says it, and after which key the list goes on. Raises Invalid."""
    after = given.text("after", longest=LONGEST_CURSOR)
    if after is None:
        return None, first
    total, *key = place_of(request, "after", after, *bound_to)
    return total, key


def _key(one: Reachable) -> list[str]:
    return [one.kind.value, one.type, one.id, str(one.fhir_server_id or FIRST_ID)]


def _reachable(key: list[str]) -> Reachable:
    kind, type_, its_id, server = key
    return Reachable(ResourceKind(kind), type_, its_id, UUID(server))


def _through(path: list[PrintedStep]) -> list[Any]:
    """Return what a row of a table says of a path: what the subject stands in, if anything, and the grant."""
    grant = path[-2]
    through = path[1] if len(path) > 3 else PrintedStep("", "")  # noqa: PLR2004  subject, what it stands in, grant, resource
    return [
        through.type,
        through.id,
        through.name,
        grant.because,
        grant.given_by_id,
        grant.given_by_name,
        grant.given_at,
        grant.since,
        grant.until,
    ]


def _as_csv(names: list[str], rows: Iterable[list[Any]], following: str | None) -> Response[bytes]:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(names)
    table.writerows([_cell(value) for value in row] for row in rows)
    headers = {} if following is None else {"Hospitium-Next": following}
    return send(Answer(200, text.getvalue().encode()), media_type=CSV, headers=headers)


def _cell(value: Any) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula: names are other people's words."""
    if value is None or value is UNSET:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in FORMULAS else text
