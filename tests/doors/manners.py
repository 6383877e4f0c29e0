"""What every address of a surface does alike: who may, what a refusal looks like, and that it changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from cast import Caller, House, contents, refusal

Ask = Callable[[Caller], Awaitable[httpx.Response]]

UNKNOWN = "01980000-0000-8000-8000-000002485350"  # an id of ours that nobody has
ADMINISTRATORS = ["admin_referring", "admin_radiology"]
BASIC = {"id", "name", "type", "address", "city", "state", "zipCode", "phone", "website"}
CONTACT = {"contactEmail", "contactName", "contactPhone", "specialties"}
PAGINATION = {"currentPage", "totalPages", "totalItems", "itemsPerPage"}
_OF_THIS_REQUEST = ("date", "x-request-id", "hospitium-position")


async def only_administrators_may(house: House, ask: Ask) -> None:
    """Insist that staff, members, strangers and people of inactive organizations are refused, and change nothing."""
    before = await everything(house)
    for name in ("ben", "mia", "pat"):
        refused = refusal(await ask(house.callers[name]), 403, "INSUFFICIENT_PERMISSIONS")
        assert refused["error"]["requiredRole"] == ADMINISTRATORS, name
    for name in ("nia", "cal"):
        refused = refusal(await ask(house.callers[name]), 403, "INSUFFICIENT_PERMISSIONS")
        assert refused["message"] == "Your organization is not active", name
    await strangers_may_not(house, ask)
    assert await everything(house) == before


async def strangers_may_not(house: House, ask: Ask) -> None:
    """Insist that nobody gets in without a token, or with nonsense for one."""
    for caller in (house.stranger, Caller(house.http, "nonsense")):
        answered = await ask(caller)
        refusal(answered, 401, "AUTHENTICATION_REQUIRED")
        assert answered.headers["www-authenticate"] == "Bearer"


async def it_is_not_there_for(
    house: House, third: Caller, connection_id: str, ask: Callable[[Caller, str], Awaitable[httpx.Response]]
) -> None:
    """Insist that somebody else's connection is answered byte for byte as one that doesn't exist (ruling 3)."""
    before = await everything(house)
    theirs = await ask(third, connection_id)
    refused = refusal(theirs, 404, "RESOURCE_NOT_FOUND")
    assert refused == {
        "success": False,
        "message": "Connection not found",
        "error": {"code": "RESOURCE_NOT_FOUND", "resourceType": "connection"},
    }
    for unknown in (UNKNOWN, "5" * 24, "conn_123456", "%00", connection_id[:-1], connection_id + "0"):
        assert bare(await ask(third, unknown)) == bare(theirs), unknown
    assert await everything(house) == before


def bare(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all of an answer but what differs from request to request."""
    headers = [(name, value) for name, value in response.headers.items() if name not in _OF_THIS_REQUEST]
    return response.status_code, response.content, headers


async def everything(house: House) -> dict[str, list[str]]:
    """Return all rows of all tables but events and counted tries: what a refusal must leave as it is."""
    async with house.database.transaction() as tx:
        tables = await tx.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND relname NOT LIKE 'event%' AND relname <> 'throttles' ORDER BY relname"
        )
        return await contents(tx, (name for (name,) in tables))


async def row_of(house: House, connection_id: str) -> dict[str, Any]:
    """Return the row of a connection."""
    (row,) = await house.rows("SELECT * FROM partnerships WHERE id = $1", UUID(connection_id))
    return dict(row)


def instant(text: Any) -> datetime:
    """Return a date-time of the wire; insist that it is RFC 3339 in UTC (ruling 5)."""
    assert isinstance(text, str)
    assert text.endswith("Z")
    assert "T" in text
    return datetime.fromisoformat(text).astimezone(UTC)


async def at_once(asks: list[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    """Send everything at the same time; return the answers in order."""
    return list(await asyncio.gather(*asks))


async def partner(house: House, code: str, **form: Any) -> Caller:
    """Add an active organization with one administrator; return that administrator."""
    await house.add_organization(code, **form)
    return await house.add_person(f"admin-of-{code}", code)
