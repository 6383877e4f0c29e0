"""What must never be is refused by the database itself: for each constraint, a row that breaks it and nothing else.

A new CHECK or unique index without an impossible row here fails `test_every_promise_of_the_database_was_tried`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from engine.ground import Ground
from hospitium.engine.accounts.record import AccountStatus, Language
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.record import DeliveryStatus
from hospitium.engine.fhir_servers.record import CredentialsKind, ServerKind
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind
from hospitium.engine.invites.record import InviteForm, InviteStatus
from hospitium.engine.levels import Level
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.object_types.record import GRANTABLE, RESERVED_NAMES, Storage
from hospitium.engine.offers.record import OfferStatus
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.partnerships.record import PartnershipStatus
from hospitium.engine.persons.record import Gender, PersonOfferStatus, Relationship
from hospitium.engine.records.record import RecordStatus
from hospitium.engine.shares.record import LIVE, ShareStatus, TargetForm
from hospitium.engine.suspensions.record import SuspensionReason

T0 = datetime(2026, 3, 1, tzinfo=UTC)
T1, T2, T3 = (T0 + timedelta(days=days) for days in (1, 2, 90))
BEFORE = T0 - timedelta(seconds=1)

PERSON = UUID(int=7)
SERVER = UUID(int=8)
INVITE = UUID(int=9)
# What rows of other tables refer to (`give_parents`).
SESSION, TEAM, TYPE, RECORD, GRANT, SHARE = (UUID(int=number) for number in range(1, 7))

Row = dict[str, Any]


def possible(ground: Ground) -> dict[str, Row]:
    """A row of each table that the database takes."""
    account = ground.actors["ada"].account_id
    return {
        "accounts": {"id": uuid4(), "email": "x@y.example", "email_key": "x@y.example", "password_hash": "h", "status": "active", "created_at": T0},
        "organizations": {"id": uuid4(), "code": "x", "name": "X", "name_key": "x", "type": "both", "status": "active", "created_at": T0, "updated_at": T0},
        "memberships": {"id": uuid4(), "account_id": account, "organization_id": ground.harbor, "role": "member", "starts_at": T0},
        "sessions": {"id": uuid4(), "account_id": account, "started_at": T0, "expires_at": T1},
        "refresh_tokens": {"id": uuid4(), "session_id": SESSION, "key_number": 1, "nonce": b"n", "digest": b"d", "issued_at": T0, "expires_at": T1},
        "idempotency_keys": {"account_id": account, "key": "k", "request_digest": b"d", "claimed_at": T0},
        "grants": {"id": uuid4(), "grantee_kind": "account", "grantee_id": account, "resource_kind": "record", "resource_id": "r", "level": 4, "starts_at": T0, "cause_kind": "operator"},
        "partnerships": {"id": uuid4(), "source_id": ground.northside, "target_id": ground.lakeside, "status": "pending_approval", "requested_at": T0, "expires_at": T3},
        "links": {"id": uuid4(), "purpose": "confirm", "account_id": account, "email": "x@y.example", "email_key": "x@y.example", "language": "en", "key_number": 1, "nonce": b"n", "digest": b"d", "issued_at": T0, "expires_at": T1},
        "offers": {"id": uuid4(), "organization_id": ground.northside, "email": "x@y.example", "email_key": "x@y.example", "role": "member", "language": "en", "status": "pending", "offered_by_id": account, "offered_at": T0, "expires_at": T1, "key_number": 1, "nonce": b"n", "digest": b"d"},
        "deliveries": {"id": uuid4(), "template": "password_changed", "account_id": account, "status": "waiting", "created_at": T0, "due_at": T0},
        "epochs": {"number": 2, "place": "here", "begun_at": T0, "taken_at": T0, "holds_until": T1, "confirmed_at": T2},
        "blocks": {"number": 1, "cluster": 1, "first_number": 1, "last_number": 2, "reached_transaction": 1, "reached_position": 1, "hashes": bytes(64), "previous_hash": b"p", "sealed_at": T0, "key_number": 1, "hash": b"h", "signature": b"s"},
        "partnership_tallies": {"organization_id": ground.northside, "side": "source", "status": "approved", "count": 0},
        "teams": {"id": uuid4(), "organization_id": ground.northside, "name": "X", "name_key": "x", "created_at": T0},
        "team_memberships": {"id": uuid4(), "team_id": TEAM, "account_id": account, "is_owner": True, "starts_at": T0},
        "object_types": {"id": uuid4(), "organization_id": ground.northside, "name": "c_x", "plural_name": "c_xs", "label": "X", "storage": "stored", "allows_shares": True, "requires_acceptance": True, "sends_notifications": True, "required_level": 5, "share_chain": [6, 5, 4, 2], "created_at": T0, "updated_at": T0},
        "records": {"id": uuid4(), "organization_id": ground.northside, "object_type_id": TYPE, "external_id": "x", "owner_id": account, "creator_id": account, "body": {}, "status": "active", "created_at": T0, "updated_at": T0},
        "shares": {"id": uuid4(), "organization_id": ground.northside, "record_id": RECORD, "object_type_id": TYPE, "target_form": "email", "target_email": "x@y.example", "target_email_key": "x@y.example", "level": 4, "status": "pending", "creator_id": account, "made_under_id": GRANT, "language": "en", "created_at": T0, "expires_at": T3, "key_number": 1, "nonce": b"n", "digest": b"d"},
        "client_keys": {"id": uuid4(), "organization_id": ground.northside, "name": "X", "digest": b"d", "made_at": T0},
        "service_keys": {"id": uuid4(), "organization_id": ground.northside, "name": "X", "digest": b"d", "scopes": ["check"], "made_at": T0},
        "account_external_ids": {"organization_id": ground.northside, "account_id": account, "external_id": "x"},
        "persons": {"id": uuid4(), "first_name": "X", "last_name": "Y", "gender": "unknown", "identifiers": [], "contacts": [], "created_at": T0, "updated_at": T0},
        "person_roles": {"id": uuid4(), "person_id": PERSON, "account_id": account, "level": 4, "is_owner": False, "relationship": "self", "starts_at": T0},
        "fhir_servers": {"id": uuid4(), "organization_id": ground.northside, "name": "X", "name_key": "x", "kind": "built-in", "created_at": T0},
        "fhir_references": {"fhir_server_id": SERVER, "type": "Practitioner", "id": "a", "patient_id": "jane"},
        "patient_suspensions": {"id": uuid4(), "fhir_server_id": SERVER, "patient_id": "jane", "reason": "merged", "since": T0},
        "fhir_resources": {"fhir_server_id": SERVER, "type": "Patient", "id": "a", "version": 1, "last_updated": T0, "body": {"resourceType": "Patient", "id": "a"}, "digest": b"d", "patients": ["a"], "search_keys": [], "date_from": T0},
        "invites": {"id": uuid4(), "fhir_server_id": SERVER, "organization_id": ground.northside, "patient_id": "jane", "patient_summary": {}, "form": "code", "status": "unbound", "question": "q", "code_key_number": 1, "code_digest": b"c", "answer_hash": "h", "language": "en", "created_by_id": account, "created_at": T0, "expires_at": T3},
        "person_offers": {"id": uuid4(), "person_id": PERSON, "email": "x@y.example", "email_key": "x@y.example", "level": 4, "relationship": "child", "status": "pending", "offered_by_id": account, "offered_at": T0, "expires_at": T1, "language": "en"},
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

TO_NOBODY: Row = {"target_email": None, "target_email_key": None}
TO_TEAM: Row = {"target_form": "team", "target_team_id": TEAM, **TO_NOBODY}
WITHOUT_TOKEN: Row = {"key_number": None, "nonce": None, "digest": None}
WITHDRAWN: Row = {"status": "withdrawn", "ended_at": T1}
NO_PERSON: Row = {"first_name": None, "last_name": None, "gender": None, "ended_at": T1}
DELETED: Row = {"status": "deleted", "ended_at": T1, "body": None, "external_id": None}
REMOTE: Row = {"kind": "remote", "base_url": "https://fhir.example"}
SHOWN: Row = {"credentials_kind": "bearer", "credentials_key_number": 1, "sealed_credentials": b"s"}
FORGOTTEN: Row = {"question": None, "code_key_number": None, "code_digest": None, "answer_hash": None}
BY_EMAIL: Row = FORGOTTEN | {"form": "email", "status": "bound", "email": "x@y.example", "email_key": "x@y.example", "first_name": "X", "last_name": "Y", "key_number": 1, "nonce": b"n", "digest": b"d"}  # fmt: skip
TAKEN_UP: Row = FORGOTTEN | {"status": "accepted", "account_id": "ada", "person_id": PERSON, "grant_id": GRANT, "accepted_at": T1}  # fmt: skip
OVER: Row = FORGOTTEN | {"ended_at": T2}
ON_SERVER: Row = {"resource_kind": "fhir_server", "resource_id": str(SERVER), "fhir_server_id": SERVER}
OWNS: Row = {"is_owner": True, "level": 7}
ADA = "ada"  # stands for the id of her account

# constraint: table, and what to change of a possible row; each of several changes alone breaks it.
IMPOSSIBLE: dict[str, tuple[str, list[Row]]] = {
    "accounts_status_check": ("accounts", [{"status": "asleep"}, {"status": ""}]),
    "accounts_language_check": ("accounts", [{"language": "fr"}, {"language": "EN"}]),
    "accounts_end_has_a_time_check": ("accounts", [{"ended_at": T1}, GONE | {"ended_at": None}]),
    "accounts_deleted_is_nobody_check": ("accounts", [GONE | {name: "x"} for name in ("email", "email_key", "password_hash", "first_name", "middle_name", "last_name")] + [GONE | {"verified_at": T0}, GONE | {"registered_with_id": "northside"}]),
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
    "grants_window_check": ("grants", [{"until": T0}, {"until": BEFORE}]),
    "grants_cause_is_named_check": ("grants", [{"cause_id": UUID(int=1)}, {"cause_kind": "share"}, {"cause_kind": "partnership"}]),
    "grants_server_is_named_check": ("grants", [{"resource_kind": "patient"}, {"fhir_server_id": SERVER}]),
    "grants_server_is_itself_check": ("grants", [{"resource_kind": "fhir_server", "fhir_server_id": SERVER}]),
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
    "deliveries_one_recipient_check": ("deliveries", [{"account_id": None}, {"organization_id": "harbor"}, {"share_id": SHARE}]),
    "deliveries_end_has_a_time_check": ("deliveries", [{"ended_at": T1}, *({"status": status} for status in ("sent", "spread", "void", "failed"))]),
    "deliveries_attempts_check": ("deliveries", [{"attempts": -1}]),
    "teams_ends_after_creation_check": ("teams", [{"ended_at": BEFORE}]),
    "team_memberships_ends_after_start_check": ("team_memberships", [{"ends_at": BEFORE}]),
    "object_types_storage_check": ("object_types", [{"storage": "cloud"}, {"storage": ""}]),
    "object_types_name_form_check": ("object_types", [{which: name} for which in ("name", "plural_name") for name in ("", "C_x", "1x", "_x", "a b", "a-b", "a\n", "a" * 64, "ä")]),
    "object_types_two_names_check": ("object_types", [{"plural_name": "c_x"}]),
    "object_types_share_chain_check": ("object_types", [{"share_chain": [level]} for level in (0, 1, 3, 7, 8)] + [{"share_chain": [5, 7]}]),
    "object_types_required_level_check": ("object_types", [{"required_level": 0}, {"required_level": 8}]),
    "object_types_in_order_check": ("object_types", [{"updated_at": BEFORE}, {"ended_at": BEFORE}]),
    "records_status_check": ("records", [{"status": "lost"}, {"status": ""}]),
    "records_end_has_a_time_check": ("records", [{"ended_at": T1}, DELETED | {"ended_at": None}]),
    "records_archiving_has_a_time_check": ("records", [{"status": "archived"}]),
    "records_deleted_is_empty_check": ("records", [DELETED | {"body": {}}, DELETED | {"external_id": "x"}]),
    "records_body_is_an_object_check": ("records", [{"body": body} for body in ([1], "x", 1, True)]),
    "records_in_order_check": ("records", [{"updated_at": BEFORE}, DELETED | {"ended_at": BEFORE}]),
    "fhir_servers_kind_check": ("fhir_servers", [{"kind": "local"}, {"kind": "remote-ish", "base_url": None}]),
    "fhir_servers_remote_has_an_address_check": ("fhir_servers", [{"kind": "remote"}, {"base_url": "https://fhir.example"}]),
    "fhir_servers_only_remote_is_private_check": ("fhir_servers", [{"allow_private_address": True}]),
    "fhir_servers_credentials_kind_check": ("fhir_servers", [REMOTE | SHOWN | {"credentials_kind": "digest"}]),
    "fhir_servers_credentials_are_whole_check": ("fhir_servers", [REMOTE | SHOWN | {name: None} for name in SHOWN]),
    "fhir_servers_only_remote_has_credentials_check": ("fhir_servers", [SHOWN]),
    "fhir_servers_only_remote_has_authorities_check": ("fhir_servers", [{"authorities_pem": "c"}]),
    "fhir_servers_authorities_need_certificates_check": ("fhir_servers", [REMOTE | {"base_url": "http://fhir.example", "authorities_pem": "c"}, REMOTE | {"base_url": "ftp://https://x", "authorities_pem": "c"}]),
    "fhir_servers_authorities_are_few_check": ("fhir_servers", [REMOTE | {"authorities_pem": pem} for pem in ("", "c" * 65_537, "ä" * 32_769)]),
    "fhir_servers_suspended_after_creation_check": ("fhir_servers", [{"suspended_at": BEFORE}]),
    "fhir_servers_removed_after_creation_check": ("fhir_servers", [{"removed_at": BEFORE}]),
    "fhir_servers_removed_has_no_credentials_check": ("fhir_servers", [REMOTE | SHOWN | {"removed_at": T1}]),
    "fhir_references_type_form_check": ("fhir_references", [{"type": one} for one in ("", "practitioner", "Pract-1", "P", "A" + "b" * 64)]),
    "fhir_references_id_form_check": ("fhir_references", [{"id": one} for one in ("", ".", "..", "a/b", "a" * 65)]),
    "patient_suspensions_reason_check": ("patient_suspensions", [{"reason": "asleep"}, {"reason": ""}]),
    "patient_suspensions_lifted_after_beginning_check": ("patient_suspensions", [{"lifted_at": BEFORE}]),
    "invites_status_check": ("invites", [OVER | {"status": "lost"}]),
    "invites_form_check": ("invites", [{"form": "letter"}]),
    "invites_address_is_whole_check": ("invites", [*(BY_EMAIL | {name: None} for name in ("email", "email_key", "first_name", "last_name", "key_number", "nonce", "digest")), {"email": "x@y.example"}]),
    "invites_only_codes_are_unbound_check": ("invites", [BY_EMAIL | {"status": "locked", "wrong_answers": 5, "attempts": 5, "ended_at": T1}]),
    "invites_code_is_forgotten_check": ("invites", [*({name: None} for name in FORGOTTEN), *(TAKEN_UP | {name: value} for name, value in (("question", "q"), ("code_key_number", 1), ("code_digest", b"c"), ("answer_hash", "h")))]),
    "invites_attempts_check": ("invites", [{"attempts": 6}, {"attempts": -1}, {"wrong_answers": 1}, {"attempts": 1, "wrong_answers": -1}]),
    "invites_locked_by_wrong_answers_check": ("invites", [OVER | {"status": "locked"}, OVER | {"status": "locked", "attempts": 5, "wrong_answers": 4}]),
    "invites_bound_to_somebody_check": ("invites", [{"account_id": ADA}, TAKEN_UP | {"account_id": None}, FORGOTTEN | {"status": "bound"}, BY_EMAIL | {"account_id": ADA}, OVER | {"status": "undone"}]),
    "invites_acceptance_is_whole_check": ("invites", [TAKEN_UP | {"person_id": None}, TAKEN_UP | {"grant_id": None}, TAKEN_UP | {"accepted_at": None}, TAKEN_UP | {"status": "declined", "ended_at": T2}, FORGOTTEN | {"status": "accepted", "account_id": ADA}]),
    "invites_language_check": ("invites", [{"language": "fr"}]),
    "invites_expires_after_creation_check": ("invites", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "invites_accepted_in_time_check": ("invites", [TAKEN_UP | {"accepted_at": at} for at in (BEFORE, T3)]),
    "invites_end_has_a_time_check": ("invites", [{"ended_at": T1}, *(FORGOTTEN | {"status": status} for status in ("declined", "withdrawn", "expired", "replaced"))]),
    "invites_patient_id_form_check": ("invites", [{"patient_id": text} for text in ("", ".", "..", "a/b", "a b", "é", "a" * 65, "a\n")]),
    "persons_gender_check": ("persons", [{"gender": "Male"}, {"gender": ""}]),
    "persons_updated_after_creation_check": ("persons", [{"updated_at": BEFORE}]),
    "persons_ends_after_creation_check": ("persons", [NO_PERSON | {"ended_at": BEFORE}]),
    "persons_ended_is_nobody_check": (
        "persons",
        [{name: None} for name in ("first_name", "last_name", "gender")]
        + [{"ended_at": T1}, NO_PERSON | {"ended_at": None}]
        + [NO_PERSON | {name: "x"} for name in ("first_name", "middle_name", "last_name", "address_line1", "address_line2", "city", "state", "zip_code")]
        + [NO_PERSON | {"gender": "male"}, NO_PERSON | {"birth_date": date(2020, 1, 1)}, NO_PERSON | {"identifiers": [1]}, NO_PERSON | {"contacts": [1]}],
    ),
    "person_roles_level_check": ("person_roles", [{"level": level} for level in (0, 1, 2, 3, 5, 8)]),
    "person_roles_owner_has_it_all_check": ("person_roles", [{"is_owner": True}, {"is_owner": True, "level": 6}]),
    "person_roles_relationship_check": ("person_roles", [{"relationship": "Self"}, {"relationship": ""}]),
    "person_roles_ends_after_start_check": ("person_roles", [{"ends_at": BEFORE}]),
    "person_offers_level_check": ("person_offers", [{"level": level} for level in (0, 1, 2, 3, 5, 8)]),
    "person_offers_relationship_check": ("person_offers", [{"relationship": "aunt"}]),
    "person_offers_status_check": ("person_offers", [{"status": "lost", "ended_at": T1}]),
    "person_offers_language_check": ("person_offers", [{"language": "fr"}]),
    "person_offers_expires_after_offer_check": ("person_offers", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "person_offers_end_has_a_time_check": ("person_offers", [{"ended_at": T1}, *({"status": status} for status in ("declined", "withdrawn", "expired"))]),
    "person_offers_accepted_by_somebody_check": ("person_offers", [{"status": "accepted", "ended_at": T1}, {"account_id": ADA}]),
    "fhir_resources_type_form_check": ("fhir_resources", [{"type": t, "body": {"resourceType": t, "id": "a"}} for t in ("", "P", "patient", "Pat ient", "Patient2", "P" * 65, "Patient\n")]),
    "fhir_resources_id_form_check": ("fhir_resources", [{"id": i, "body": {"resourceType": "Patient", "id": i}} for i in ("", ".", "..", "a/b", "a b", "a_b", "a\n", "ä", "a" * 65)]),
    "fhir_resources_body_is_that_resource_check": ("fhir_resources", [{"body": body} for body in ({}, {"resourceType": "Patient"}, {"resourceType": "Patient", "id": "b"}, {"resourceType": "Person", "id": "a"}, [], "x", 1)]),
    "fhir_resources_version_check": ("fhir_resources", [{"version": 0}, {"version": -1}]),
    "fhir_resources_date_is_a_span_check": ("fhir_resources", [{"date_until": T0}, {"date_until": BEFORE}]),
    "shares_status_check": ("shares", [{"status": "asleep", "ended_at": T1}, {"status": "", "ended_at": T1}]),
    "shares_one_context_check": ("shares", [{"shared_account_id": ADA}]),
    "shares_record_has_a_type_check": ("shares", [{"object_type_id": None}, {"record_id": None, "shared_account_id": ADA}]),
    "shares_target_form_check": ("shares", [TO_NOBODY | {"target_form": "fax"}]),
    "shares_address_is_whole_check": ("shares", [{"target_email": None}, {"target_email_key": None}, {"target_form": "account", "target_account_id": ADA}, TO_TEAM | {"target_email": "x@y.example", "target_email_key": "x@y.example"}]),
    "shares_team_is_named_check": ("shares", [TO_TEAM | {"target_team_id": None}, {"target_team_id": TEAM}]),
    "shares_account_is_named_check": (
        "shares",
        [TO_NOBODY | {"target_form": "account"}, TO_TEAM | {"target_account_id": ADA}, {"target_account_id": ADA}, {"status": "active", "accepted_at": T1}],
    ),
    "shares_level_check": ("shares", [{"level": level} for level in (-1, 0, 1, 3, 7, 8)]),
    "shares_language_check": ("shares", [{"language": "fr"}, {"language": "EN"}]),
    "shares_made_under_check": ("shares", [{"made_under_id": None}]),
    "shares_expires_after_creation_check": ("shares", [{"expires_at": T0}, {"expires_at": BEFORE}]),
    "shares_window_check": ("shares", [{"window_ends_at": T0}, {"window_ends_at": BEFORE}, {"window_starts_at": T2, "window_ends_at": T1}, {"window_starts_at": T1, "window_ends_at": T1}]),
    "shares_accepted_in_time_check": ("shares", [{"status": "active", "target_account_id": ADA, "accepted_at": at} for at in (BEFORE, T3, T3 + timedelta(days=1))]),
    "shares_acceptance_has_a_time_check": (
        "shares",
        [{"status": status, "ended_at": ended} for status, ended in (("active", None), ("left", T2), ("revoked", T2))]
        + [{"status": status, "ended_at": ended, "accepted_at": T1, "target_account_id": ADA} for status, ended in (("pending", None), ("declined", T2), ("withdrawn", T2), ("merged", T2))],
    ),
    "shares_end_has_a_time_check": ("shares", [{"ended_at": T1}, *({"status": status} for status in ("declined", "withdrawn", "expired", "merged"))]),
    "shares_token_is_whole_check": ("shares", [{"key_number": None}, {"nonce": None}, WITHDRAWN | {"digest": None}, WITHDRAWN | WITHOUT_TOKEN | {"digest": b"d"}]),
    "shares_pending_has_a_token_check": ("shares", [WITHOUT_TOKEN]),
    "client_keys_ends_after_making_check": ("client_keys", [{"ended_at": BEFORE}]),
    "service_keys_ends_after_making_check": ("service_keys", [{"ended_at": BEFORE}]),
    "service_keys_scopes_check": ("service_keys", [{"scopes": []}, {"scopes": ["write"]}, {"scopes": ["check", "write"]}, {"scopes": ["check"] * 5}]),
    "object_types_actions_are_a_map_check": ("object_types", [{"actions": []}, {"actions": "read"}, {"actions": 4}]),
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
    row = {
        k: ground.actors["ada"].account_id if v == ADA and k.endswith("_id") else v for k, v in row.items()
    }
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await tx.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def give_parents(ground: Ground, tx: Any) -> None:
    """Insert what the rows refer to."""
    other = {"name": "c_p", "plural_name": "c_ps"}
    await insert(ground, tx, "sessions", {"id": SESSION})
    await insert(ground, tx, "teams", {"id": TEAM, "name_key": "p"})
    await insert(ground, tx, "object_types", {"id": TYPE, **other})
    await insert(ground, tx, "records", {"id": RECORD, "external_id": None})
    await insert(ground, tx, "grants", {"id": GRANT})
    await insert(ground, tx, "shares", {"id": SHARE, "target_email_key": "p@y.example", "digest": b"p"})
    await insert(ground, tx, "persons", {"id": PERSON})
    await insert(ground, tx, "fhir_servers", {"id": SERVER, "name_key": "p"})
    await insert(ground, tx, "invites", {"id": INVITE, "code_digest": b"p"})


async def test_the_rows_they_are_made_from_are_possible(ground: Ground) -> None:
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        for table in possible(ground):
            await insert(ground, tx, table, {})


async def test_each_impossible_row_is_refused_by_its_own_constraint(ground: Ground) -> None:
    wrong = []
    async with ground.trial() as tx:
        await give_parents(ground, tx)
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
        ("object_types_storage_check", Storage),
        ("records_status_check", RecordStatus),
        ("shares_status_check", ShareStatus),
        ("shares_target_form_check", TargetForm),
        ("shares_language_check", Language),
        ("fhir_servers_kind_check", ServerKind),
        ("patient_suspensions_reason_check", SuspensionReason),
        ("fhir_servers_credentials_kind_check", CredentialsKind),
        ("invites_status_check", InviteStatus),
        ("invites_form_check", InviteForm),
        ("invites_language_check", Language),
        ("persons_gender_check", Gender),
        ("person_roles_relationship_check", Relationship),
        ("person_offers_relationship_check", Relationship),
        ("person_offers_status_check", PersonOfferStatus),
        ("person_offers_language_check", Language),
    ],
)
async def test_the_database_knows_the_words_the_engine_knows(
    ground: Ground, constraint: str, words: type[StrEnum]
) -> None:
    found = await ground.rows(
        "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conname = $1", constraint
    )
    assert set(found[0]["said"].split("'")[1::2]) == {str(word) for word in words}


async def test_the_database_knows_the_levels_that_may_be_given(ground: Ground) -> None:
    for constraint in ("object_types_share_chain_check", "shares_level_check"):
        (found,) = await ground.rows(
            "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conname = $1", constraint
        )
        given = {int(digit) for digit in found["said"] if digit.isdigit()}
        assert given == {int(level) for level in GRANTABLE}, found["said"]
    assert {Level.PUBLIC, Level.RESERVED, Level.DELETE} == set(Level) - set(GRANTABLE)
    assert "accounts" in RESERVED_NAMES


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


OVER_AND_AGAIN: dict[str, tuple[str, Row, list[Row], list[Row]]] = {
    # index: table, a row, such beside it that it doesn't take, and such that it does.
    "teams_one_name_ix": ("teams", {}, [{}], [{"ended_at": T1}, {"name_key": "y"}, {"organization_id": "harbor"}]),
    "team_memberships_one_open_ix": ("team_memberships", {"is_owner": False}, [{"is_owner": False}, {}], [{"ends_at": T1}]),
    "object_types_one_name_ix": ("object_types", {}, [{"plural_name": "c_y"}], [{"ended_at": T1}, {"organization_id": "harbor"}]),
    "object_types_one_plural_name_ix": ("object_types", {}, [{"name": "c_y"}], [{"name": "c_y", "ended_at": T1}, {"name": "c_y", "plural_name": "c_ys"}]),
    "records_one_external_id_ix": ("records", {}, [{}], [{"external_id": None}, {"external_id": "y"}, DELETED]),
    "shares_one_to_email_ix": (
        "shares",
        {},
        [{"digest": b"2"}, {"digest": b"2", "status": "active", "accepted_at": T1, "target_account_id": ADA}],
        [WITHDRAWN | {"digest": b"2"}, {"digest": b"3", "target_email_key": "z@y.example"}, {"digest": b"4", "record_id": None, "object_type_id": None, "shared_account_id": ADA}],
    ),
    "shares_one_to_account_ix": (
        "shares",
        TO_NOBODY | {"target_form": "account", "target_account_id": ADA},
        [TO_NOBODY | {"target_form": "account", "target_account_id": ADA, "digest": b"2", **more} for more in ({}, {"status": "active", "accepted_at": T1})],
        # What was sent to an address, and accepted, stands beside what was given to the account (ruling 14b).
        [{"digest": b"3", "status": "active", "accepted_at": T1, "target_account_id": ADA}],
    ),
    "shares_one_to_team_ix": (
        "shares",
        TO_TEAM,
        [TO_TEAM | {"digest": b"2"}, TO_TEAM | {"digest": b"2", "status": "active", "accepted_at": T1}],
        [TO_TEAM | WITHDRAWN | {"digest": b"3"}],
    ),
    "fhir_servers_one_name_ix": ("fhir_servers", {}, [{}], [{"removed_at": T1}, {"name_key": "y"}, {"organization_id": "harbor"}]),
    "patient_suspensions_one_open_ix": ("patient_suspensions", {}, [{}, {"reason": "gone"}], [{"lifted_at": T1}, {"patient_id": "jimmy"}]),
    "grants_one_on_server_ix": ("grants", ON_SERVER, [ON_SERVER, ON_SERVER | {"level": 6}], [ON_SERVER | {"ends_at": T1}, ON_SERVER | {"resource_kind": "patient", "resource_id": "jane"}]),
    "grants_one_owner_of_server_ix": ("grants", ON_SERVER | OWNS, [ON_SERVER | OWNS | {"grantee_id": PERSON}], [ON_SERVER | OWNS | {"grantee_id": PERSON, "ends_at": T1}]),
    "invites_one_code_ix": ("invites", {}, [{}], [{"code_digest": b"2"}, OVER | {"status": "withdrawn"}]),
    "invites_one_replacement_ix": ("invites", {"replaces_id": INVITE}, [{"replaces_id": INVITE, "code_digest": b"2"}], [{"code_digest": b"3"}]),
    "invites_one_bulk_key_ix": ("invites", {"bulk_key": "k"}, [{"bulk_key": "k", "code_digest": b"2"}], [{"bulk_key": "l", "code_digest": b"3"}]),
    "person_roles_one_of_account_ix": ("person_roles", {}, [{}, {"level": 6}], [{"ends_at": T1}]),
    "person_offers_one_pending_ix": (
        "person_offers",
        {},
        [{}, {"level": 7, "email": "X@y.example"}],
        [{"status": "withdrawn", "ended_at": T1}, {"email_key": "z@y.example"}],
    ),
    "client_keys_one_name_ix": ("client_keys", {}, [{"digest": b"2"}], [{"digest": b"2", "ended_at": T1}, {"digest": b"3", "name": "Y"}]),
    "service_keys_one_name_ix": ("service_keys", {}, [{"digest": b"2"}], [{"digest": b"2", "ended_at": T1}, {"digest": b"3", "name": "Y"}]),
}  # fmt: skip


@pytest.mark.parametrize("index", OVER_AND_AGAIN)
async def test_what_is_unique_while_it_lasts_is_taken_again_when_it_is_over(
    ground: Ground, index: str
) -> None:
    table, first, refused, taken = OVER_AND_AGAIN[index]
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        await insert(ground, tx, table, first)
        for second in refused:
            with pytest.raises(asyncpg.UniqueViolationError, match=index):
                async with tx.transaction():
                    await insert(ground, tx, table, {"id": uuid4()} | second)
        for other in taken:
            await insert(ground, tx, table, {"id": uuid4()} | other)


async def test_a_team_has_one_owner_at_a_time(ground: Ground) -> None:
    ben = ground.actors["ben"].account_id
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        await insert(ground, tx, "team_memberships", {"ends_at": T1})
        await insert(ground, tx, "team_memberships", {"id": uuid4()})
        with pytest.raises(asyncpg.UniqueViolationError, match="team_memberships_one_owner_ix"):
            async with tx.transaction():
                await insert(ground, tx, "team_memberships", {"id": uuid4(), "account_id": ben})
        await insert(ground, tx, "team_memberships", {"id": uuid4(), "account_id": ben, "is_owner": False})


async def test_a_person_has_one_owner_at_a_time(ground: Ground) -> None:
    ben, owner = ground.actors["ben"].account_id, {"is_owner": True, "level": 7}
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        await insert(ground, tx, "person_roles", owner | {"ends_at": T1})
        await insert(ground, tx, "person_roles", owner | {"id": uuid4()})
        with pytest.raises(asyncpg.UniqueViolationError, match="person_roles_one_owner_ix"):
            async with tx.transaction():
                await insert(ground, tx, "person_roles", owner | {"id": uuid4(), "account_id": ben})
        await insert(ground, tx, "person_roles", {"id": uuid4(), "account_id": ben, "level": 7})


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("shares", "shares_digest_key"),
        ("client_keys", "client_keys_digest_key"),
        ("service_keys", "service_keys_digest_key"),
        ("sessions", "sessions_cookie_digest_key"),
        ("invites", "invites_digest_key"),
    ],
)
async def test_a_token_stands_for_one_thing_for_ever(ground: Ground, table: str, index: str) -> None:
    over: Row = {
        "shares": WITHDRAWN | {"digest": b"same"},
        "client_keys": {"digest": b"same", "ended_at": T1},
        "service_keys": {"digest": b"same", "ended_at": T1},
        "sessions": {"cookie_digest": b"same", "ended_at": T1, "end_reason": "signed_out"},
        "invites": BY_EMAIL | {"digest": b"same", "status": "withdrawn", "ended_at": T1},
    }[table]
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        await insert(ground, tx, table, over)
        with pytest.raises(asyncpg.UniqueViolationError, match=index):
            async with tx.transaction():
                await insert(ground, tx, table, over | {"id": uuid4()})


async def test_an_external_id_is_one_members_in_an_organization(ground: Ground) -> None:
    ben = ground.actors["ben"].account_id
    async with ground.trial() as tx:
        await insert(ground, tx, "account_external_ids", {})
        with pytest.raises(asyncpg.UniqueViolationError, match="account_external_ids_one_ix"):
            async with tx.transaction():
                await insert(ground, tx, "account_external_ids", {"account_id": ben})
        # Another in the same organization, and the same in another.
        await insert(ground, tx, "account_external_ids", {"account_id": ben, "external_id": "X"})
        await insert(ground, tx, "account_external_ids", {"organization_id": ground.harbor})


async def test_every_new_promise_of_uniqueness_was_tried(ground: Ground) -> None:
    """Of the tables of sharing, of persons and of invites: what is unique besides their ids."""
    found = await ground.rows(
        "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indisunique AND NOT indisprimary AND indrelid::regclass::text = ANY($1)",
        [
            "teams",
            "team_memberships",
            "object_types",
            "records",
            "shares",
            "client_keys",
            "service_keys",
            "account_external_ids",
            "persons",
            "person_roles",
            "person_offers",
            "grants",
            "fhir_servers",
            "patient_suspensions",
            "invites",
        ],
    )
    tried = {
        *OVER_AND_AGAIN, "team_memberships_one_owner_ix", "person_roles_one_owner_ix", "shares_digest_key", "client_keys_digest_key", "service_keys_digest_key", "invites_digest_key",
        "account_external_ids_one_ix",
    }  # fmt: skip
    assert {row["name"] for row in found} == tried
    assert {str(status) for status in LIVE} == {"pending", "active"}


async def test_a_share_is_of_something(ground: Ground) -> None:
    async with ground.trial() as tx:
        await give_parents(ground, tx)
        with pytest.raises(asyncpg.NotNullViolationError, match="context_id"):
            async with tx.transaction():
                await insert(ground, tx, "shares", {"record_id": None, "object_type_id": None})


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
