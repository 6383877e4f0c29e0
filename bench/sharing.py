"""Bulk data of sharing: accounts, records with the grants of their owners, shares with theirs, teams; by COPY, and in the order of time.

Everything is as the deeds would have left it but for the events, which cost most and which no list reads: `told` writes them
where `verify` is to look at all.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import crowd
from hospitium.app import link_keys_of
from hospitium.engine.accounts.record import Account, AccountStatus, Language
from hospitium.engine.ids import new_id
from hospitium.engine.secrets import seed
from hospitium.engine.sessions.actions import SignedIn
from hospitium.engine.sessions.record import Session
from hospitium.engine.shares.record import PENDING_LIFE, SHARE_PURPOSE, TargetForm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    import asyncpg

    from bench.ground import Ground
    from hospitium.doors.access_tokens import AccessTokens

PLURAL = "c_prescriptions"
AT = "/org-0/v2"
CONNECTIONS = f"{AT}/connections"
RECORDS = f"{AT}/{PLURAL}"
_AT_A_TIME = 100_000  # rows
_AGE = timedelta(days=6)  # of the oldest share: what waits must not have run out
_TOLD = """
    WITH told AS (
        INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, subject_id, data)
        SELECT gen_random_uuid(), now(), pg_current_xact_id()::text::bigint, 'share.imported', 'operator', 'share', id,
               jsonb_build_object('status', status, 'version', version, 'level', level, 'record', record_id, 'form', target_form)
        FROM shares
        RETURNING id, at, subject_id
    )
    INSERT INTO event_parties (party_id, at, event_id, party_kind)
    SELECT party_id, told.at, told.id, party_kind
    FROM told JOIN shares ON shares.id = told.subject_id
    CROSS JOIN LATERAL (
        VALUES (organization_id, 'organization'), (creator_id, 'account'), (target_account_id, 'account')
    ) AS party (party_id, party_kind)
    WHERE party_id IS NOT NULL
"""


class Place(NamedTuple):
    """The organization, and its type of records, which sends no mails."""

    organization: UUID
    type: UUID


class Person(NamedTuple):
    """An account, and its address."""

    id: UUID
    email: str


class Owned(NamedTuple):
    """A record, its owner, and by which grant he owns it."""

    id: UUID
    owner: UUID
    grant: UUID

    @property
    def path(self) -> str:
        return f"{RECORDS}/{self.id}"


class Given(NamedTuple):
    """A record, and to whom it was given: an account or a team by its id, or an address that hasn't answered."""

    record: Owned
    form: TargetForm
    target: UUID | str


async def place(connection: asyncpg.Connection) -> Place:
    """Add the organization, with one type of records."""
    [organization] = await crowd.organizations(connection, 1)
    now = datetime.now(UTC) - _AGE
    type_ = new_id(now)
    names = "id organization_id name plural_name label storage allows_shares requires_acceptance sends_notifications share_chain created_at updated_at"
    row = (type_, organization, "c_prescription", PLURAL, "Prescription", "stored", True, True, False, [5, 4, 2], now, now)  # fmt: skip
    await _copy(connection, "object_types", names, [row])
    return Place(organization, type_)


async def people(
    connection: asyncpg.Connection, at: Place, count: int, called: str = "person"
) -> list[Person]:
    """Add accounts that are members of the organization, and not its staff."""
    now = datetime.now(UTC) - _AGE
    found = [Person(new_id(now), f"{called}-{number}@bench.example") for number in range(count)]
    await _copy(
        connection,
        "accounts",
        "id email email_key password_hash status verified_at created_at",
        ((one.id, one.email, one.email, "none", "active", now, now) for one in found),
    )
    await _copy(
        connection,
        "memberships",
        "id account_id organization_id role starts_at",
        ((new_id(now), one.id, at.organization, "member", now) for one in found),
    )
    return found


async def sessions(
    connection: asyncpg.Connection, access_tokens: AccessTokens, of: Sequence[Person]
) -> list[str]:
    """Add a session to each account; return their access tokens in that order."""
    now = datetime.now(UTC)
    until = now + timedelta(days=7)
    made = [Session(new_id(now), one.id, None, now, until) for one in of]
    await _copy(
        connection,
        "sessions",
        "id account_id started_at expires_at",
        ((one.id, one.account_id, now, until) for one in made),
    )
    return [
        access_tokens.mint(
            SignedIn(
                one,
                Account(one.account_id, "", "", None, None, Language.ENGLISH, AccountStatus.ACTIVE, False, now, now),
                None,
            ),
            None,
            now,
        )
        for one in made
    ]  # fmt: skip


async def records(connection: asyncpg.Connection, at: Place, owners: Iterable[Person]) -> list[Owned]:
    """Add a record of each of these owners, in this order."""
    now = datetime.now(UTC) - _AGE
    found = [
        Owned(new_id(instant := now + timedelta(microseconds=number)), owner.id, new_id(instant))
        for number, owner in enumerate(owners)
    ]
    await _copy(
        connection,
        "records",
        "id organization_id object_type_id owner_id creator_id body status created_at updated_at",
        (
            (one.id, at.organization, at.type, one.owner, one.owner, '{"drug":"aspirin","dose":100}', "active", now, now)
            for one in found
        ),
    )  # fmt: skip
    await _copy(
        connection,
        "grants",
        "id grantee_kind grantee_id resource_kind resource_type resource_id level is_owner starts_at cause_kind made_by_id",
        (
            (one.grant, "account", one.owner, "record", str(at.type), str(one.id), 7, True, now, "ownership", one.owner)
            for one in found
        ),
    )  # fmt: skip
    return found


async def shares(here: Ground, connection: asyncpg.Connection, at: Place, given: Sequence[Given]) -> None:
    """Add a share of level 4 by the owner for each, in this order: with an account or a team active, with an address pending."""
    key = max(link_keys_of(here.composition.keyring()).values())
    began = datetime.now(UTC) - _AGE
    step = (_AGE - timedelta(hours=1)) / max(1, len(given))
    names = (
        "id organization_id record_id object_type_id target_form target_email target_email_key target_account_id target_team_id "
        "level status creator_id made_under_id language created_at expires_at accepted_at key_number nonce digest"
    )
    # To look every reference up again costs more than all else, and they are right: `verify` is asked afterwards.
    await connection.execute("SET session_replication_role = replica")
    left = iter(enumerate(given))
    while those := list(itertools.islice(left, _AT_A_TIME)):
        rows, grants = [], []
        for number, (record, form, target) in those:
            now = began + number * step
            share_id = new_id(now)
            by_email = form is TargetForm.EMAIL
            token = seed(key, SHARE_PURPOSE, share_id)[1:] if by_email else (None, None, None)
            rows.append(
                (share_id, at.organization, record.id, at.type, form.value, *((target, target) if by_email else (None, None)),
                 target if form is TargetForm.ACCOUNT else None, target if form is TargetForm.TEAM else None,
                 4, "pending" if by_email else "active", record.owner, record.grant, "en", now, now + PENDING_LIFE,
                 None if by_email else now, *token)
            )  # fmt: skip
            if not by_email:
                grants.append(
                    (new_id(now), form.value, target, "record", str(at.type), str(record.id), 4, now, "share", share_id,
                     record.grant, target if form is TargetForm.ACCOUNT else None)
                )  # fmt: skip
        await _copy(connection, "shares", names, rows)
        await _copy(
            connection,
            "grants",
            "id grantee_kind grantee_id resource_kind resource_type resource_id level starts_at cause_kind cause_id made_under_id made_by_id",
            grants,
        )
    await connection.execute("RESET session_replication_role")


async def team(
    connection: asyncpg.Connection, at: Place, name: str, owner: Person, members: Iterable[Person]
) -> UUID:
    """Add a team of members of the organization."""
    now = datetime.now(UTC) - _AGE
    team_id = new_id(now)
    await _copy(
        connection,
        "teams",
        "id organization_id name name_key created_at",
        [(team_id, at.organization, name, name, now)],
    )
    everybody = [(owner, True), *((one, False) for one in members)]
    await _copy(
        connection,
        "team_memberships",
        "id team_id account_id is_owner starts_at",
        ((new_id(now), team_id, one.id, is_owner, now) for one, is_owner in everybody),
    )
    return team_id


async def told(connection: asyncpg.Connection) -> None:
    """Add the events of all shares, as an import leaves them."""
    await connection.execute(_TOLD)


async def wait_for_seals(connection: asyncpg.Connection) -> None:
    """Wait until the server has sealed every event: till then it is at work with what isn't measured."""
    unsealed = "SELECT (SELECT count(*) FROM events) > (SELECT count(*) FROM event_seals)"
    while await connection.fetchval(unsealed):  # noqa: ASYNC110  another process seals, and tells nobody
        await asyncio.sleep(0.5)


async def _copy(
    connection: asyncpg.Connection, table: str, names: str, rows: Iterable[tuple[Any, ...]]
) -> None:
    await connection.copy_records_to_table(table, columns=names.split(), records=rows)
