"""What goes in and comes out where accounts are registered, confirmed, changed and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from hospitium.doors.native.wire import Body, Wire
from hospitium.doors.shapes import Email, Instant, NewPassword, OptionalLine, Token, TypedPassword
from hospitium.engine.accounts.record import Account, Language
from hospitium.engine.actor import Role
from hospitium.engine.invites.record import InviteStatus
from hospitium.engine.persons.record import Relationship
from hospitium.engine.shares.record import ShareStatus

if TYPE_CHECKING:
    from hospitium.engine.events import Event


class AccountBody(Body):
    """A new account."""

    email: Email
    password: NewPassword
    first_name: OptionalLine | None = None
    last_name: OptionalLine | None = None
    language: Language = Language.ENGLISH


class AddressBody(Body):
    """An address that a link is to be sent to; `language` is that of the mail where there is no account."""

    email: Email
    language: Language = Language.ENGLISH


class ProofBody(Body):
    """A link's token, and the account's password; a session of the account serves in its place."""

    token: Token
    password: TypedPassword | None = None


class NewPasswordBody(Body):
    """A link's token, and the password the account is to have."""

    token: Token
    password: NewPassword


class ChangedPasswordBody(Body):
    """The password as it is, and as it is to be."""

    current_password: TypedPassword
    password: NewPassword


class EmailBody(Body):
    """The address the account is to have, and its password."""

    email: Email
    password: TypedPassword


class PasswordBody(Body):
    """The account's password."""

    password: TypedPassword


class AccountChanges(Body):
    """What to change: members that aren't sent stay as they are, null empties a name."""

    first_name: OptionalLine | None | UnsetType = UNSET
    last_name: OptionalLine | None | UnsetType = UNSET
    language: Language | UnsetType = UNSET


class Accepted(Wire):
    """The same for every address: if there is something to be sent, it is sent."""

    status: Literal["accepted"]


class Done(Wire):
    """It is done."""

    status: Literal["done"]


class PrintedAccount(Wire):
    """An account, as its holder sees it."""

    id: UUID
    email: str
    first_name: str | None
    middle_name: str | None
    last_name: str | None
    language: Language
    confirmed: bool
    created_at: Instant

    @classmethod
    def of(cls, account: Account) -> PrintedAccount:
        return cls(
            account.id,
            account.email,
            account.first_name,
            account.middle_name,
            account.last_name,
            account.language,
            account.is_confirmed,
            account.created_at,
        )


class OwnMembership(Wire):
    """An organization the account belongs to, as what, and by which id the organization's own applications know it there."""

    organization_id: UUID
    code: str
    role: Role
    external_id: str | None


class PrintedSession(Wire):
    """A sign-in."""

    id: UUID
    organization_id: UUID | None
    started_at: Instant
    expires_at: Instant
    current: bool


class PrintedEvent(Wire):
    """A fact in the account's trail; ids, kinds, levels and times, and never what was said."""

    id: UUID
    at: Instant
    kind: str
    actor_kind: str
    actor_account_id: UUID | None
    actor_organization_id: UUID | None
    subject_kind: str
    subject_id: UUID | None
    data: dict[str, Any]


class Trail(Wire):
    """Events, the newest first; `next` is where the list goes on, null at its end."""

    trail: list[PrintedEvent]
    next: UUID | None

    @classmethod
    def of(cls, found: list[Event], most: int) -> Trail:
        """Print at most so many of what was found, which is one more if there are more."""
        page = [
            PrintedEvent(*(getattr(event, name) for name in PrintedEvent.__struct_fields__))
            for event in found[:most]
        ]
        return cls(page, page[-1].id if len(found) > most else None)


class OwnTeam(Wire):
    """A team the account sees."""

    id: UUID
    name: str
    owner_id: UUID | None
    is_member: bool


class OwnRecord(Wire):
    """A record the account owns; what it says is read at its organization's address."""

    id: UUID
    organization_id: UUID
    object_type_id: UUID
    created_at: Instant


class OwnShare(Wire):
    """A share the account made or was offered."""

    id: UUID
    organization_id: UUID
    record_id: UUID | None
    level: int
    status: ShareStatus
    made_by: UUID
    made_at: Instant
    email: str | None
    account_id: UUID | None
    team_id: UUID | None


class OwnPerson(Wire):
    """A person the account looks after, as what; the rest of what is said of it is read at `/Persons`."""

    id: UUID
    first_name: str | None
    last_name: str | None
    level: int
    is_owner: bool
    relationship: Relationship
    since: Instant


class OwnInvite(Wire):
    """An invite that is tied to the account: to which patient of which FHIR server."""

    id: UUID
    fhir_server_id: UUID
    patient_id: str
    status: InviteStatus
    email: str | None
    created_at: Instant
    accepted_at: Instant | None
    person_id: UUID | None


class Export(Wire):
    """All that is kept of an account. Of its records, shares, persons, invites and trail 1,000; with `next` as `after`, the trail's own
    address has the rest, and so have the lists of the others."""

    account: PrintedAccount
    memberships: list[OwnMembership]
    sessions: list[PrintedSession]
    teams: list[OwnTeam]
    records: list[OwnRecord]
    shares: list[OwnShare]
    persons: list[OwnPerson]
    invites: list[OwnInvite]
    trail: list[PrintedEvent]
    next: UUID | None


ACCEPTED = Accepted("accepted")
DONE = Done("done")
