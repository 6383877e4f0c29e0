"""What the tests of this surface share: objects, instances, and connections of them, each in a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from cast import PEOPLE, Caller, House
from doors.manners import everything
from hospitium.engine.ids import to_object_id

AT = "/northside/v2"
DRUG = {"drug": "aspirin", "dose": 100}


def fault(response: httpx.Response, status: int, code: str, err_code: str = "") -> dict[str, Any]:
    """Insist on a fault with this status, `code` and end of `errCode`; return it."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body.get("status"), body.get("code")) == (status, status, code), (
        response.text
    )
    assert body["object"] == "fault"
    assert body["name"] == "error"
    assert body["errCode"].startswith("cortex."), response.text
    assert body["errCode"].endswith(err_code), response.text
    return body


def done(response: httpx.Response) -> Any:
    """Insist on a success; return its document."""
    assert response.status_code == 200, response.text
    return response.json()


async def defines(
    house: House, caller: Caller | None = None, name: str = "c_prescription", **settings: Any
) -> dict[str, Any]:
    """Define an object in northside, by its administrator, that may be shared; return its definition."""
    body = {
        "name": name,
        "pluralName": f"{name}s",
        "label": "Prescription",
        "allowConnections": True,
        **settings,
    }
    found: dict[str, Any] = done(await (caller or house.ada).post(f"{AT}/objects", body))
    return found


async def makes(caller: Caller, plural: str = "c_prescriptions", body: Any = DRUG) -> str:
    """Make an instance; return its id."""
    made: str = done(await caller.post(f"{AT}/{plural}", body))["_id"]
    return made


async def shares(
    caller: Caller, record: str, *targets: dict[str, Any], plural: str = "c_prescriptions"
) -> httpx.Response:
    """Ask to share an instance with targets."""
    return await caller.post(f"{AT}/{plural}/{record}/connections", {"targets": list(targets)})


async def offers(
    caller: Caller, record: str, target: dict[str, Any], plural: str = "c_prescriptions"
) -> dict[str, Any]:
    """Share an instance with one target; return the connection."""
    (made,) = done(await shares(caller, record, target, plural=plural))["data"]
    return dict(made)


async def token_of(caller: Caller, connection_id: str) -> str:
    """Return the token of a connection that waits for somebody, from his own list."""
    (found,) = [
        one for one in done(await caller.get(f"{AT}/connections"))["data"] if one["_id"] == connection_id
    ]
    token: str = found["token"]
    return token


async def accepts(caller: Caller, connection_id: str) -> dict[str, Any]:
    """Accept a connection by the token in one's own list; return it."""
    token = await token_of(caller, connection_id)
    found: dict[str, Any] = done(await caller.send("POST", f"{AT}/connections/{token}"))
    return found


async def connected(
    sharer: Caller,
    record: str,
    target: Caller,
    email: str,
    access: int = 4,
    *,
    plural: str = "c_prescriptions",
) -> str:
    """Share an instance with somebody who accepts; return the connection's id."""
    made = await offers(sharer, record, {"email": email, "access": access}, plural)
    await accepts(target, made["_id"])
    found: str = made["_id"]
    return found


async def access(caller: Caller, record: str, plural: str = "c_prescriptions") -> int:
    """Return the level that somebody sees he has on an instance; 0 if it isn't there for him."""
    found = await caller.get(f"{AT}/{plural}/{record}")
    return int(found.json()["access"]) if found.status_code == 200 else 0


async def writes(caller: Caller, method: str, path: str, body: Any) -> httpx.Response:
    """PUT, PATCH or whatever else a value as JSON."""
    return await caller.send(
        method, f"{AT}{path}", msgspec.json.encode(body), Content_Type="application/json"
    )


async def ends(caller: Caller, which: str) -> httpx.Response:
    """Decline, leave, withdraw or revoke: by the id of a connection, or its token."""
    return await caller.send("DELETE", f"{AT}/connections/{which}")


async def unchanged(house: House, asking: Awaitable[httpx.Response]) -> httpx.Response:
    """Return what is answered; insist that no row of any table is another one afterwards."""
    before = await everything(house)
    answered = await asking
    assert await everything(house) == before, answered.text
    return answered


def address(name: str) -> str:
    """Return the e-mail address of one of the cast."""
    return f"{name}@{PEOPLE[name][0] or 'mail'}.example"


def account_of(house: House, name: str) -> str:
    """Return the id of the account of one of the cast, as this surface spells it."""
    return spelled(house.accounts[name])


def spelled(value: UUID) -> str:
    """Return an id as this surface spells it; insist that it is one of ours."""
    found = to_object_id(value)
    assert found is not None
    return found


def moment(text: Any) -> datetime:
    """Return a date-time of this surface; insist on its milliseconds and its Z."""
    assert isinstance(text, str)
    found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert len(text) == len("2026-03-01T12:00:00.000Z")
    return found


async def listed(caller: Caller, **query: Any) -> list[str]:
    """Return the ids of the connections in somebody's list, in its order."""
    return [one["_id"] for one in done(await caller.get(f"{AT}/connections", **query))["data"]]


async def on_it(caller: Caller, record: str, plural: str = "c_prescriptions") -> list[dict[str, Any]]:
    """Return the connections of an instance that somebody sees."""
    found: list[dict[str, Any]] = done(await caller.get(f"{AT}/{plural}/{record}/connections"))["data"]
    return found


async def team_of(house: House, *members: str, owner: str = "ben", name: str = "Cardiology") -> str:
    """Make a team in northside with some of the cast in it; return its id as this surface spells it."""
    made = await house.callers[owner].post("/v1/teams", {"name": name})
    assert made.status_code == 201, made.text
    team = str(made.json()["id"])
    for member in members:
        await joins(house, team, member, owner)
    return spelled(UUID(team))


async def joins(house: House, team: str, member: str, owner: str = "ben") -> None:
    """Take one of the cast into a team."""
    body = {"accountId": str(house.accounts[member])}
    joined = await house.callers[owner].post(f"/v1/teams/{team}/members", body)
    assert joined.status_code == 201, joined.text


async def quits(house: House, team: str, member: str, by: str | None = None) -> None:
    """Take one of the cast out of a team: himself, or `by` another."""
    left = await house.callers[by or member].send(
        "DELETE", f"/v1/teams/{team}/members/{house.accounts[member]}"
    )
    assert left.status_code == 200, left.text


@asynccontextmanager
async def unverified(house: House, *names: str) -> AsyncIterator[None]:
    """Have the mailboxes of some of the cast not proved for a while."""
    ids = [house.accounts[name] for name in names]
    await house.rows("UPDATE accounts SET verified_at = NULL WHERE id = ANY($1) RETURNING id", ids)
    yield
    await house.rows("UPDATE accounts SET verified_at = created_at WHERE id = ANY($1) RETURNING id", ids)


def at_instant(house: House, instant: datetime) -> None:
    """Set the clock so that the next request of somebody signed in happens at this instant.

    The clock goes on by a microsecond a look, and is looked at twice: for his token, then for his deed.
    """
    house.clock.now = instant - timedelta(microseconds=2)
