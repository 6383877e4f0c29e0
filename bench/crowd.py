"""Bulk data: rows by COPY, with every column as the deeds would have written it, and the tables vacuumed afterwards.

Randomness is fixed, so that two runs measure the same world.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.accounts.record import Account, AccountStatus, Language
from hospitium.engine.ids import new_id
from hospitium.engine.sessions.actions import SignedIn
from hospitium.engine.sessions.record import Session
from hospitium.engine.text import search_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from hospitium.doors.access_tokens import AccessTokens

_LIFE = timedelta(days=90)
EVENTS = """
    WITH told AS (
        INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, subject_id, data)
        SELECT gen_random_uuid(), now(), pg_current_xact_id()::text::bigint, 'partnership.imported', 'operator', 'partnership', id,
               jsonb_build_object('source', source_id, 'target', target_id, 'status', status, 'version', version)
        FROM partnerships
        RETURNING id, at, subject_id
    )
    INSERT INTO event_parties (party_id, at, event_id, party_kind)
    SELECT party_id, told.at, told.id, 'organization'
    FROM told JOIN partnerships ON partnerships.id = told.subject_id
    CROSS JOIN LATERAL (VALUES (source_id), (target_id)) AS party (party_id)
"""
_FIRST = [
    "Harbor",
    "Cedar",
    "Summit",
    "Riverside",
    "Maple",
    "Prairie",
    "Granite",
    "Willow",
    "Juniper",
    "Meadow",
    "Copper",
    "Canyon",
    "Heron",
    "Lighthouse",
    "Orchard",
    "Quarry",
    "Redwood",
    "Saguaro",
    "Thistle",
    "Valley",
    "Alder",
    "Birch",
    "Clover",
    "Dogwood",
    "Evergreen",
    "Fairview",
    "Glacier",
    "Hawthorn",
    "Ironwood",
    "Jasper",
    "Kestrel",
    "Laurel",
    "Magnolia",
    "Northgate",
    "Osprey",
    "Pinecrest",
    "Quail",
    "Ridgeway",
    "Sycamore",
    "Tamarack",
    "Upland",
    "Violet",
    "Westbrook",
    "Yarrow",
    "Zephyr",
]
_PLACES = [
    "Dayton OH",
    "Akron OH",
    "Toledo OH",
    "Ann Arbor MI",
    "Lansing MI",
    "Madison WI",
    "Green Bay WI",
    "Duluth MN",
    "Rochester MN",
    "Peoria IL",
    "Springfield IL",
    "Fort Wayne IN",
    "El Paso TX",
    "Laredo TX",
    "Santa Fe NM",
    "Tucson AZ",
    "Fresno CA",
    "San José CA",
    "Cañon City CO",
    "Spokane WA",
    "Boise ID",
    "Provo UT",
    "Reno NV",
    "Eugene OR",
    "Omaha NE",
    "Wichita KS",
    "Tulsa OK",
    "Jackson MS",
    "Mobile AL",
    "Macon GA",
    "Tampa FL",
    "Durham NC",
]
_KINDS = (
    ("referring", "Family Practice", "family medicine"),
    ("referring", "Internal Medicine", "internal medicine"),
    ("referring", "Pediatrics", "pediatrics"),
    ("referring", "Orthopedics", "orthopedics"),
    ("referring", "Primary Care", "family medicine"),
    ("radiology", "Imaging", "radiology"),
    ("radiology", "Radiology Associates", "radiology"),
    ("radiology", "MRI Center", "nuclear medicine"),
    ("both", "Medical Center", "emergency medicine"),
    ("both", "Clinic", "family medicine"),
)


async def organizations(connection: asyncpg.Connection, count: int) -> list[UUID]:
    """Add active organizations with made-up names; return their ids."""
    chance = random.Random(count)
    now = datetime.now(UTC)
    names = "id code name name_key type status npi address city state zip_code phone website contact_email specialties specialty_keys created_at updated_at"
    rows = []
    for number in range(count):
        kind, what, specialty = chance.choice(_KINDS)
        city, _, state = chance.choice(_PLACES).rpartition(" ")
        name = f"{chance.choice(_FIRST)} {chance.choice(_FIRST)} {what} of {city}"
        code = f"org-{number}"
        rows.append(
            (new_id(now), code, name, search_key(name), kind, "active", f"{1_000_000_000 + number}",
             f"{chance.randrange(1, 9999)} Elm St", city, state, f"{chance.randrange(10_000, 99_999)}",
             f"+1 555 {chance.randrange(10**7):07}", f"https://{code}.example", f"desk@{code}.example",
             [specialty], [search_key(specialty)], now, now)
        )  # fmt: skip
    await _copy(connection, "organizations", names, rows)
    return [row[0] for row in rows]


async def administrators(
    connection: asyncpg.Connection, access_tokens: AccessTokens, of: Sequence[UUID]
) -> list[str]:
    """Add an administrator with a session to each organization; return their access tokens in that order."""
    now = datetime.now(UTC)
    until = now + timedelta(days=7)
    people = [(new_id(now), new_id(now), organization) for organization in of]
    await _copy(
        connection,
        "accounts",
        "id email email_key password_hash status verified_at created_at",
        [
            (account, f"{account}@bench.example", f"{account}@bench.example", "none", "active", now, now)
            for account, _, _ in people
        ],
    )
    await _copy(
        connection,
        "memberships",
        "id account_id organization_id role starts_at",
        [(new_id(now), account, organization, "admin", now) for account, _, organization in people],
    )
    await _copy(
        connection,
        "sessions",
        "id account_id organization_id started_at expires_at",
        [(session, account, organization, now, until) for account, session, organization in people],
    )
    return [
        access_tokens.mint(
            SignedIn(
                Session(session, account, organization, now, until),
                Account(account, "", "", None, None, Language.ENGLISH, AccountStatus.ACTIVE, False, now, now),
                None,
            ),
            None,
            now,
        )
        for account, session, organization in people
    ]


class Partners(NamedTuple):
    """Two organizations, and how they stand."""

    source: UUID
    target: UUID
    status: str


async def partnerships(connection: asyncpg.Connection, wanted: Sequence[Partners]) -> list[UUID]:
    """Add partnerships (no two of one pair), with their tallies, grants and events, as an import leaves them; return their ids."""
    chance = random.Random(len(wanted))
    now = datetime.now(UTC)
    names = "id source_id target_id status message requested_at expires_at responded_at canceled_at terminated_at terminated_by termination_reason rejected_at"
    rows = [_partnership(chance, now, partners) for partners in wanted]
    # A trigger keeps the tallies row by row, and a hundred thousand changes of one row in one transaction never end.
    await connection.execute("ALTER TABLE partnerships DISABLE TRIGGER keep_tallies")
    await _copy(connection, "partnerships", names, rows)
    await connection.execute("ALTER TABLE partnerships ENABLE TRIGGER keep_tallies")
    await connection.execute("TRUNCATE partnership_tallies")
    for side in ("source", "target"):
        await connection.execute(
            "INSERT INTO partnership_tallies (organization_id, side, status, count) "
            f"SELECT {side}_id, '{side}', status, count(*) FROM partnerships GROUP BY 1, 3"
        )
    granted = [
        (new_id(now), "organization", grantee, "organization", str(about), 2, row[7], "partnership", row[0])
        for row in rows
        if row[3] == "approved"
        for grantee, about in ((row[1], row[2]), (row[2], row[1]))
    ]
    await _copy(
        connection,
        "grants",
        "id grantee_kind grantee_id resource_kind resource_id level starts_at cause_kind cause_id",
        granted,
    )
    await connection.execute(EVENTS)
    return [row[0] for row in rows]


def _partnership(chance: random.Random, now: datetime, partners: Partners) -> tuple[Any, ...]:
    source, target, status = partners
    pending = status == "pending_approval"
    asked = now - timedelta(seconds=chance.uniform(60, 80 * 86_400) + (0 if pending else 100 * 86_400))
    answered = asked + timedelta(days=2)
    return (
        new_id(asked), source, target, status, "We would like to send you our patients.", asked, asked + _LIFE,
        answered if status in ("approved", "rejected", "terminated") else None,
        answered if status == "canceled" else None,
        *((answered + timedelta(days=9), source, "Moved") if status == "terminated" else (None, None, None)),
        answered if status == "rejected" else None,
    )  # fmt: skip


async def settle(connection: asyncpg.Connection) -> None:
    """Leave the tables as a server that has run for a while has them: vacuumed, analyzed, and on disk."""
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")


async def _copy(
    connection: asyncpg.Connection, table: str, names: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    await connection.copy_records_to_table(table, columns=names.split(), records=rows)
