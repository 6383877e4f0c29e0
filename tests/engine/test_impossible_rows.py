"""What must never be is refused by the database itself: for each constraint, a row that breaks it and nothing else.

A new CHECK or unique index without an impossible row here fails `test_every_promise_of_the_database_was_tried`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from engine.ground import Ground
from hospitium.engine.accounts.record import AccountStatus, Language
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.record import DeliveryStatus
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.offers.record import OfferStatus
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.partnerships.record import PartnershipStatus

T0 = datetime(2026, 3, 1, tzinfo=UTC)
T1, T2, T3 = (T0 + timedelta(days=days) for days in (1, 2, 90))
BEFORE = T0 - timedelta(seconds=1)

Row = dict[str, Any]


def possible(ground: Ground) -> dict[str, Row]:
    """A row of each table that the database takes."""
    account = ground.actors["ada"].account_id
    return {
        "accounts": {"id": uuid4(), "email": "x@y.example", "email_key": "x@y.example", "password_hash": "h", "status": "active", "created_at": T0},
        "organizations": {"id": uuid4(), "code": "x", "name": "X", "name_key": "x", "type": "both", "status": "active", "created_at": T0, "updated_at": T0},
        "memberships": {"id": uuid4(), "account_id": account, "organization_id": ground.harbor, "role": "member", "starts_at": T0},
        "sessions": {"id": uuid4(), "account_id": account, "started_at": T0, "expires_at": T1},
        "refresh_tokens": {"id": uuid4(), "session_id": UUID(int=1), "key_number": 1, "nonce": b"n", "digest": b"d", "issued_at": T0, "expires_at": T1},
        "idempotency_keys": {"account_id": account, "key": "k", "request_digest": b"d", "claimed_at": T0},
        "grants": {"id": uuid4(), "grantee_kind": "account", "grantee_id": account, "resource_kind": "record", "resource_id": "r", "level": 4, "starts_at": T0, "cause_kind": "operator"},
        "partnerships": {"id": uuid4(), "source_id": ground.northside, "target_id": ground.lakeside, "status": "pending_approval", "requested_at": T0, "expires_at": T3},
        "links": {"id": uuid4(), "purpose": "confirm", "account_id": account, "email": "x@y.example", "email_key": "x@y.example", "language": "en", "key_number": 1, "nonce": b"n", "digest": b"d", "issued_at": T0, "expires_at": T1},
        "offers": {"id": uuid4(), "organization_id": ground.northside, "email": "x@y.example", "email_key": "x@y.example", "role": "member", "language": "en", "status": "pending", "offered_by_id": account, "offered_at": T0, "expires_at": T1, "key_number": 1, "nonce": b"n", "digest": b"d"},
        "deliveries": {"id": uuid4(), "template": "password_changed", "account_id": account, "status": "waiting", "created_at": T0, "due_at": T0},
        "epochs": {"number": 2, "place": "here", "begun_at": T0, "taken_at": T0, "holds_until": T1, "confirmed_at": T2},
        "blocks": {"number": 1, "cluster": 1, "first_number": 1, "last_number": 2, "reached_transaction": 1, "reached_position": 1, "hashes": bytes(64), "previous_hash": b"p", "sealed_at": T0, "key_number": 1, "hash": b"h", "signature": b"s"},
        "partnership_tallies": {"organization_id": ground.northside, "side": "source", "status": "approved", "count": 0},
    }  # fmt: skip


NOBODY = uuid4()
GONE: Row = {
    "id": NOBODY,
    "email": "",
    "email_key": str(NOBODY),
    "password_hash": "",
    "status": "deleted",
    "ended_at": T1,
}
ANSWERED: Row = {"status": "approved", "responded_at": T1}
ENDED: Row = {"terminated_at": T2, "terminated_by": "northside", "termination_reason": "Over"}

# constraint: table, and what to change of a possible row; each of several changes alone breaks it.
IMPOSSIBLE: dict[str, tuple[str, list[Row]]] = {
    "accounts_status_check": ("accounts", [{"status": "asleep"}, {"status": ""}]),
    "accounts_language_check": ("accounts", [{"language": "fr"}, {"language": "EN"}]),
    "accounts_end_has_a_time_check": ("accounts", [{"ended_at": T1}, GONE | {"ended_at": None}]),
    "accounts_deleted_is_nobody_check": ("accounts", [GONE | {name: "x"} for name in ("email", "email_key", "password_hash", "first_name", "last_name", "external_id")] + [GONE | {"verified_at": T0}]),
    "links_purpose_check": ("links", [{"purpose": "offer"}]),
    "links_language_check": ("links", [{"language": "fr"}]),
    "links_for_nobody_leads_nowhere_check": ("links", [{"account_id": None}, {"purpose": "none"}]),
    "links_expires_after_issue_check": ("links", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "links_end_has_a_reason_check": ("links", [{"ended_at": T1}, {"end_reason": "used"}]),
    "links_end_reason_check": ("links", [{"ended_at": T1, "end_reason": "tired"}]),
    "offers_status_check": ("offers", [{"status": "declined", "ended_at": T1}]),
    "offers_role_check": ("offers", [{"role": "owner"}]),
    "offers_language_check": ("offers", [{"language": "fr"}]),
    "offers_expires_after_offer_check": ("offers", [{"expires_at": T0}]),
    "offers_end_has_a_time_check": ("offers", [{"ended_at": T1}, {"status": "withdrawn"}]),
    "offers_accepted_by_somebody_check": ("offers", [{"status": "accepted", "ended_at": T1}]),
    "organizations_type_check": ("organizations", [{"type": "hospital"}]),
    "organizations_status_check": ("organizations", [{"status": "closed"}]),
    "organizations_code_form_check": ("organizations", [{"code": c} for c in ("", "A", "-a", "a-", "a b", "a\nb", "a" * 41, "ä")]),
    "organizations_npi_form_check": ("organizations", [{"npi": n} for n in ("", "123456789", "12345678901", "123456789x")]),
    "organizations_updated_after_created_check": ("organizations", [{"updated_at": BEFORE}]),
    "memberships_role_check": ("memberships", [{"role": "owner"}, {"role": "Admin"}]),
    "memberships_ends_after_start_check": ("memberships", [{"ends_at": BEFORE}]),
    "sessions_end_has_a_reason_check": ("sessions", [{"ended_at": T1}, {"end_reason": "signed_out"}]),
    "sessions_expires_after_start_check": ("sessions", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "sessions_end_reason_check": ("sessions", [{"ended_at": T1, "end_reason": "tired"}]),
    "refresh_tokens_use_has_a_successor_check": ("refresh_tokens", [{"used_at": T0}, {"successor_id": UUID(int=2)}]),
    "refresh_tokens_expires_after_issue_check": ("refresh_tokens", [{"expires_at": T0}]),
    "idempotency_keys_answer_is_whole_check": ("idempotency_keys", [{"status": 201}, {"answer": b"{}"}]),
    "grants_grantee_kind_check": ("grants", [{"grantee_kind": "everyone"}]),
    "grants_resource_kind_check": ("grants", [{"resource_kind": "everything"}]),
    "grants_cause_kind_check": ("grants", [{"cause_kind": "whim", "cause_id": UUID(int=1)}]),
    "grants_level_check": ("grants", [{"level": 0}, {"level": 8}, {"level": -1}]),
    "grants_ends_after_start_check": ("grants", [{"ends_at": BEFORE}]),
    "grants_cause_is_named_check": ("grants", [{"cause_id": UUID(int=1)}, {"cause_kind": "share"}, {"cause_kind": "partnership"}]),
    "grants_patient_is_on_a_server_check": ("grants", [{"resource_kind": "patient"}]),
    "grants_owner_has_it_all_check": ("grants", [{"is_owner": True}]),
    "partnerships_status_check": ("partnerships", [{"status": "paused"}, {"status": "pending"}, {"status": ""}]),
    "partnerships_two_organizations_check": ("partnerships", [{"target_id": "northside"}]),
    "partnerships_expires_after_request_check": ("partnerships", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "partnerships_answered_in_time_check": ("partnerships", [ANSWERED | {"responded_at": at} for at in (BEFORE, T3, T3 + timedelta(days=1))]),
    "partnerships_answer_has_a_time_check": ("partnerships", [{"responded_at": T1}, {"status": "approved"}, {"status": "rejected", "rejected_at": T1}]),
    "partnerships_rejection_is_remembered_check": ("partnerships", [{"status": "rejected", "responded_at": T1}]),
    "partnerships_cancel_has_a_time_check": ("partnerships", [{"status": "canceled"}]),
    "partnerships_termination_has_a_time_check": ("partnerships", [{"status": "terminated"}]),
    "partnerships_termination_is_whole_check": (
        "partnerships",
        [ANSWERED | {"status": "terminated"} | {k: v for k, v in ENDED.items() if k != gone} for gone in ENDED if gone != "terminated_at"]
        + [ANSWERED | {"terminated_by": "northside"}, ANSWERED | {"termination_reason": "Over"}],
    ),
    "blocks_number_check": ("blocks", [{"number": 0}, {"number": -1}]),
    "blocks_first_number_check": ("blocks", [{"first_number": 0, "last_number": 1}]),
    "blocks_a_hash_for_each_check": ("blocks", [{"hashes": bytes(63)}, {"hashes": bytes(96)}, {"hashes": b""}, {"last_number": 3}, {"first_number": 4, "last_number": 2, "hashes": b""}]),
    "partnership_tallies_side_check": ("partnership_tallies", [{"side": "middle"}]),
    "partnership_tallies_count_check": ("partnership_tallies", [{"count": -1}]),
    "deliveries_status_check": ("deliveries", [{"status": "lost", "ended_at": T1}]),
    "deliveries_one_recipient_check": ("deliveries", [{"account_id": None}, {"organization_id": "harbor"}]),
    "deliveries_end_has_a_time_check": ("deliveries", [{"ended_at": T1}, *({"status": status} for status in ("sent", "spread", "void", "failed"))]),
    "deliveries_attempts_check": ("deliveries", [{"attempts": -1}]),
    "epochs_number_check": ("epochs", [{"number": 0}, {"number": -1}]),
    "epochs_first_holds_nothing_check": ("epochs", [{"number": 1, "taken_at": None, "confirmed_at": None}, {"holds_until": None, "taken_at": None, "confirmed_at": None}]),
    "epochs_taken_is_restored_check": ("epochs", [{"number": 1, "holds_until": None, "confirmed_at": None}]),
    "epochs_holds_past_its_beginning_check": ("epochs", [{"holds_until": BEFORE}]),
    "epochs_confirmed_is_held_check": ("epochs", [{"confirmed_at": BEFORE}, {"number": 1, "taken_at": None, "holds_until": None}]),
}  # fmt: skip


async def insert(ground: Ground, tx: Any, table: str, changes: Row) -> None:
    row = possible(ground)[table] | changes
    row = {
        k: ground.organizations.get(v, v) if isinstance(v, str) and k.endswith(("_id", "_by")) else v
        for k, v in row.items()
    }
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await tx.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def give_a_session(ground: Ground, tx: Any) -> None:
    await insert(ground, tx, "sessions", {"id": UUID(int=1)})


async def test_the_rows_they_are_made_from_are_possible(ground: Ground) -> None:
    async with ground.trial() as tx:
        await give_a_session(ground, tx)
        for table in possible(ground):
            await insert(ground, tx, table, {})


async def test_each_impossible_row_is_refused_by_its_own_constraint(ground: Ground) -> None:
    wrong = []
    async with ground.trial() as tx:
        await give_a_session(ground, tx)
        for constraint, (table, cases) in IMPOSSIBLE.items():
            for changes in cases:
                broken = None
                try:
                    async with tx.transaction():
                        await insert(ground, tx, table, changes)
                except asyncpg.CheckViolationError as refused:
                    broken = refused.constraint_name
                if broken != constraint:
                    wrong.append(f"{table} {changes}: refused by {broken}, not {constraint}")
    assert wrong == []


async def test_every_promise_of_the_database_was_tried(ground: Ground) -> None:
    found = await ground.rows(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    assert {row["conname"] for row in found} == set(IMPOSSIBLE)


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("accounts_status_check", AccountStatus),
        ("accounts_language_check", Language),
        ("links_purpose_check", LinkPurpose),
        ("offers_role_check", Role),
        ("offers_status_check", OfferStatus),
        ("organizations_type_check", OrganizationType),
        ("organizations_status_check", OrganizationStatus),
        ("memberships_role_check", Role),
        ("deliveries_status_check", DeliveryStatus),
        ("grants_grantee_kind_check", GranteeKind),
        ("grants_resource_kind_check", ResourceKind),
        ("grants_cause_kind_check", CauseKind),
        ("partnerships_status_check", PartnershipStatus),
    ],
)
async def test_the_database_knows_the_words_the_engine_knows(
    ground: Ground, constraint: str, words: type[StrEnum]
) -> None:
    found = await ground.rows(
        "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conname = $1", constraint
    )
    assert set(found[0]["said"].split("'")[1::2]) == {str(word) for word in words}


async def test_a_pair_has_one_live_partnership_whichever_way_it_was_asked(ground: Ground) -> None:
    swapped: Row = {"id": uuid4(), "source_id": "lakeside", "target_id": "northside"}
    async with ground.trial() as tx:
        await insert(ground, tx, "partnerships", ANSWERED)
        for second in ({"id": uuid4()}, swapped, swapped | ANSWERED):
            with pytest.raises(asyncpg.UniqueViolationError, match="partnerships_one_live_per_pair_ix"):
                async with tx.transaction():
                    await insert(ground, tx, "partnerships", second)
        await insert(ground, tx, "partnerships", swapped | {"status": "canceled", "canceled_at": T1})
        await insert(ground, tx, "partnerships", {"id": uuid4(), "target_id": "harbor"})


async def test_an_account_is_in_an_organization_once_at_a_time(ground: Ground) -> None:
    async with ground.trial() as tx:
        await insert(ground, tx, "memberships", {"ends_at": T1})
        await insert(ground, tx, "memberships", {"id": uuid4()})
        with pytest.raises(asyncpg.UniqueViolationError, match="memberships_one_open_ix"):
            async with tx.transaction():
                await insert(ground, tx, "memberships", {"id": uuid4(), "role": "admin"})


@pytest.mark.parametrize(
    ("table", "changes", "index"),
    [
        ("accounts", {"email_key": "ada@northside.example"}, "accounts_email_key_ix"),
        ("organizations", {"code": "northside"}, "organizations_code_key"),
    ],
)
async def test_a_natural_key_is_somebodys_once(ground: Ground, table: str, changes: Row, index: str) -> None:
    async with ground.trial() as tx:
        with pytest.raises(asyncpg.UniqueViolationError, match=index):
            async with tx.transaction():
                await insert(ground, tx, table, changes)
