"""What invites look like on this surface (contract bluebutton.md §3.3), and what is sent to make, find and accept one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from hospitium.doors.bluebutton.wire import Body, PageQuery, Wire
from hospitium.doors.shapes import Email, Id, Instant, Line, NewPassword, OptionalLine, Text, takes
from hospitium.engine.accounts.record import Language
from hospitium.engine.invites.codes import LONGEST_ANSWER, LONGEST_TYPED_CODE
from hospitium.engine.invites.patients import LONGEST_IDENTIFIER
from hospitium.engine.invites.record import InviteStatus

if TYPE_CHECKING:
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.invites.queries import InviteView

PatientId = Annotated[
    str,
    takes(
        "PatientId",
        "The id of a Patient, as FHIR writes ids; neither one dot nor two.",
        pattern=r"^(?!\.{1,2}$)[A-Za-z0-9.\-]{1,64}$",
    ),
]
PatientIdentifier = Annotated[
    Text,
    takes(
        "PatientIdentifier",
        "An identifier that exactly one Patient has: system|value, or the value alone.",
        maxLength=LONGEST_IDENTIFIER,
    ),
]
SecurityCode = Annotated[
    Text,
    takes(
        "SecurityCode",
        "The 8 letters and digits of a code, in any case, with spaces or hyphens between.",
        maxLength=LONGEST_TYPED_CODE,
    ),
]
SecurityAnswer = Annotated[
    Text,
    takes(
        "SecurityAnswer",
        "The answer to the question; case, width and spaces make no difference.",
        maxLength=4 * LONGEST_ANSWER,
    ),
]
YesOrNo = Annotated[str, takes("YesOrNo", "true or false.", enum=["true", "false"])]


class _Selector(Body):
    """Which patient: by id, or by an identifier that exactly one has; the id wins."""

    accessible_patient_id: PatientId | None = None
    accessible_patient_identifier_search_str: PatientIdentifier | None = None


class CodeInviteBody(_Selector, kw_only=True):
    """An invite for whoever is given its code, with a question of the clinic's own."""

    security_question: Line
    security_answer: SecurityAnswer
    language: Language = Language.ENGLISH


class EmailInviteBody(_Selector, kw_only=True):
    """An invite for whoever reads a mailbox; the names are for the mail, until there is an account."""

    user_email: Email
    first_name: Line
    last_name: Line
    language: Language = Language.ENGLISH


class ReissueBody(Body):
    """The question and answer of a new code: those of the old one are kept nowhere."""

    security_question: Line
    security_answer: SecurityAnswer


class FindBody(Body):
    """A code and its answer."""

    security_code: SecurityCode
    security_answer: SecurityAnswer


class AcceptByCodeBody(Body):
    """A code and its answer, and the person whom the patient is to be tied to; the code is that of the address."""

    security_code: SecurityCode
    security_answer: SecurityAnswer
    person_id: Id


class AcceptBody(Body):
    """The invite, as in the address, and the person whom the patient is to be tied to."""

    id: Id
    person_id: Id


class RegisteringUser(Body, kw_only=True):
    """Who registers."""

    email: Email
    password: NewPassword
    confirm_password: Text
    first_name: Line
    last_name: Line
    middle_name: OptionalLine | None = None


class CodeRegistrationBody(Body):
    """A code, as in the address, its answer, and who registers with them.

    What is wrong with `user` is told once the answer was right.
    """

    security_code: SecurityCode
    security_answer: SecurityAnswer
    user: dict[str, Any]


class SentQuery(PageQuery):
    """Which page, and whether only those that can still be accepted."""

    open_only: YesOrNo | None = None


class ReceivedQuery(Wire):
    """Whether only those that can still be accepted."""

    open_only: YesOrNo | None = None


class Invite(Wire, kw_only=True):
    """An invite. `patient` is the whole Patient for the inviting side, five members of it for others; `patientNote` says why the
    inviting side, too, sees no more at present."""

    id: UUID
    created_on: Instant
    expires_on: Instant | UnsetType = UNSET
    status: InviteStatus
    fhir_server_id: UUID
    fhir_server_name: str
    accessible_patient_id: str
    patient: dict[str, Any]
    patient_note: str | UnsetType = UNSET
    security_code: str | UnsetType = UNSET
    security_question: str | UnsetType = UNSET
    user_id: UUID | UnsetType = UNSET
    user_name: str | UnsetType = UNSET
    user_email: str | UnsetType = UNSET
    accepted_on: Instant | UnsetType = UNSET
    replaces_id: UUID | UnsetType = UNSET

    @classmethod
    def of(cls, shown: InviteView, **more: Any) -> Invite:
        invite = shown.invite
        given: dict[str, Any] = {
            "id": invite.id,
            "created_on": invite.created_at,
            "expires_on": invite.expires_at,
            "status": invite.status,
            "fhir_server_id": invite.fhir_server_id,
            "fhir_server_name": shown.server_name,
            "accessible_patient_id": invite.patient_id,
            "patient": invite.patient_summary,
            "user_id": shown.account_id,
            "user_name": shown.full_name,
            "user_email": shown.email,
            "accepted_on": invite.accepted_at,
            "replaces_id": invite.replaces_id,
            **more,
        }
        said: dict[str, Any] = {name: UNSET if value is None else value for name, value in given.items()}
        return cls(**said)


class RegisteredUser(Wire, kw_only=True):
    """An account, as the document shows one."""

    created_at: Instant
    modified_at: Instant
    id: UUID
    first_name: str
    middle_name: str | UnsetType = UNSET
    last_name: str
    email: str
    active: bool
    is_super_admin: bool
    is_organization_moderator: bool
    is_user_moderator: bool
    organization_user_relations: list[str]

    @classmethod
    def of(cls, account: Account) -> RegisteredUser:
        return cls(
            created_at=account.created_at,
            modified_at=account.created_at,
            id=account.id,
            first_name=account.first_name or "",
            middle_name=account.middle_name or UNSET,
            last_name=account.last_name or "",
            email=account.email,
            active=True,
            is_super_admin=False,
            is_organization_moderator=False,
            is_user_moderator=False,
            organization_user_relations=[],
        )


class CodeRegistration(Wire, kw_only=True):
    """Whether the address had an account already; if it hadn't, the one that was made."""

    user_exists: bool
    user: RegisteredUser | UnsetType = UNSET
