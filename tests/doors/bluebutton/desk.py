"""What the tests of invites look at again and again: the mails that wait, one's own servers, and codes that are as good as unknown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from cast import Caller, House
from clinic import accepts_by_code, asks_question, finds, makes_person, problem, registers
from doors.manners import bare
from hospitium.dispatch.sweeps import expire_one_invite

UNKNOWN_CODE = "ZZZZ9999"  # one in a million million that it is somebody's


def whole(patient: dict[str, Any]) -> dict[str, Any]:
    """Return a patient without what the FHIR server itself says of it."""
    return {member: value for member, value in patient.items() if member != "meta"}


async def waiting(house: House) -> list[tuple[str, str]]:
    """Return the mails that wait: which, and to whom."""
    rows = await house.rows(
        "SELECT d.template, coalesce(a.email, i.email) AS email FROM deliveries d LEFT JOIN accounts a ON a.id = d.account_id "
        "LEFT JOIN invites i ON i.id = d.invite_id WHERE d.status = 'waiting' ORDER BY d.id"
    )
    return [(row["template"], row["email"]) for row in rows]


async def status_of(house: House, invite_id: str) -> str:
    """Return how an invite stands."""
    (row,) = await house.rows("SELECT status FROM invites WHERE id = $1::text::uuid", invite_id)
    return str(row["status"])


async def grants_on(house: House, *, only_open: bool = True) -> int:
    """Return how many grants there are, or have been, of persons."""
    rows = await house.rows(
        "SELECT count(*) FROM grants WHERE grantee_kind = 'person' AND (ends_at IS NULL OR NOT $1)", only_open
    )
    return int(rows[0][0])


def by_code(person_id: str) -> dict[str, Callable[[Caller, str], Awaitable[httpx.Response]]]:
    """Return the four routes that take a code, each with the right answer."""
    return {
        "question": asks_question,
        "find": finds,
        "register": lambda who, code: registers(who, code, "somebody@mail.example"),
        "accept": lambda who, code: accepts_by_code(who, code, person_id),
    }


async def must_be_unknown(house: House, code: str, *callers: Caller) -> None:
    """Insist that a code is, byte for byte, as unknown as one that nobody has, on every route that takes one (ruling 18)."""
    for caller in callers or (house.pat,):
        person_id = await makes_person(caller)
        for route, ask in by_code(person_id).items():
            answered = await ask(caller, code)
            problem(answered, 404, "unknown-code")
            assert bare(answered) == bare(await ask(caller, UNKNOWN_CODE)), route
            if route in ("find", "accept"):
                wrong = finds(caller, code, "Rex") if route == "find" else accepts_by_code(caller, code, person_id, "Rex")  # fmt: skip
                assert bare(await wrong) == bare(answered)


async def sweeps(house: House) -> None:
    """Have the sweep write down which invites have expired."""
    await house.sweep(expire_one_invite)


async def digest(house: House) -> dict[str, tuple[int, str | None]]:
    """Return of all tables but events and counted tries how many rows there are, and a hash of all: what `everything` holds, in one go."""
    tables = await house.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
        "AND relname NOT LIKE 'event%' AND relname <> 'throttles' ORDER BY relname"
    )
    each = (
        f"SELECT '{name}' AS name, count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM \"{name}\" AS t"
        for (name,) in tables
    )
    return {name: (rows, whole) for name, rows, whole in await house.rows(" UNION ALL ".join(each))}


def wide(**settings: str) -> dict[str, str]:
    """Return settings with which as many are wrong as a test likes, and with others besides."""
    many = dict.fromkeys(("ADDRESS_FAILURES_PER_MINUTE", "UNKNOWN_CODES_PER_MINUTE"), "1000000")
    return {**many, **settings}
