"""What is sent to make invites in bulk, and what is answered: an outcome a row."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from hospitium.doors.native.wire import Body, Wire
from hospitium.doors.problems import SmallProblem
from hospitium.doors.shapes import BAD, BLANK, Id, Instant, Text, takes, trimmed
from hospitium.engine.accounts.record import Language
from hospitium.engine.invites.actions import LONGEST_BULK_KEY
from hospitium.engine.invites.record import InviteStatus

MOST_ROWS = 500

RowKey = Annotated[
    str,
    takes(
        "RowKey",
        "The inviting side's own name for a row, one line; in a call no two are the same.",
        maxLength=LONGEST_BULK_KEY,
        pattern=trimmed(f"[^{BLANK}{BAD}][^{BAD}]*"),
    ),
]


class InviteRow(Body):
    """Whom to invite to which patient: by code, with a question and its answer; or by e-mail, with an address and names.

    Which of the two is said by which members it has. What is wrong with a row is told in its outcome.
    """

    key: RowKey
    accessible_patient_id: Text | None = None
    accessible_patient_identifier_search_str: Text | None = None
    security_question: Text | None = None
    security_answer: Text | None = None
    user_email: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    language: Language = Language.ENGLISH


class InviteRowsBody(Body):
    """On which FHIR server, and whom to invite to its patients."""

    fhir_server_id: Id
    invites: Annotated[list[InviteRow], Meta(extra_json_schema={"minItems": 1, "maxItems": MOST_ROWS})]


class SlipBody(Body):
    """The code of an invite that was just made; and in which language its slip is to be, if not in that of the invite."""

    security_code: Text
    language: Language | None = None


class Outcome(StrEnum):
    """What became of a row."""

    CREATED = "created"  # by this call
    PRESENT = "present"  # by one before, under the same key
    REFUSED = "refused"


class RowOutcome(Wire, kw_only=True):
    """What became of a row. Its code is told by the call that made it, and by none after it."""

    key: str
    outcome: Outcome
    invite_id: UUID | UnsetType = UNSET
    status: InviteStatus | UnsetType = UNSET
    expires_on: Instant | UnsetType = UNSET
    security_code: str | UnsetType = UNSET
    problem: SmallProblem | UnsetType = UNSET


class InvitingClinic(Wire):
    """Who invites, as a letter names it."""

    name: str
    phone: str | None


class RowOutcomes(Wire):
    """What became of every row, in their order; `publicUrl` is where people find this server, as a letter says it."""

    clinic: InvitingClinic
    public_url: str
    outcomes: list[RowOutcome]
