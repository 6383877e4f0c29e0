"""What is always true of a delivery.

It names a template and rows, and holds no text, no address and no token: those exist only while the mail is being sent
(ruling 14).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.statements import exactly
from hospitium.storage.tables import metadata


class Template(StrEnum):
    """What a mail says."""

    # To whoever reads a link's mailbox:
    CONFIRM = "confirm"  # confirm your address
    REGISTERED_ALREADY = (
        "registered_already"  # somebody registered with your address, and you have an account
    )
    NEW_PASSWORD = "new_password"  # noqa: S105  set a new password
    NO_ACCOUNT = "no_account"  # somebody asked for a link to this address, and there is no account
    NEW_EMAIL = "new_email"  # prove this address, and it becomes that of your account
    # To an account, at its address:
    EMAIL_CHANGE_ASKED = "email_change_asked"  # somebody, you we hope, wants another address for your account
    EMAIL_CHANGED = "email_changed"  # to the address before: your account has another one now
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  your password was changed
    ACCOUNT_DELETED = "account_deleted"
    # To whom an organization offers membership:
    OFFER = "offer"
    # To the target of a share:
    SHARE = "share"
    # To whoever made a share; the subject is that share:
    SHARE_ACCEPTED = "share_accepted"
    # To whom an invite is for, by its e-mail address; which of the two, is settled when it is sent:
    INVITE = "invite"  # you are invited: choose a password
    INVITE_WAITING = "invite_waiting"  # an invitation waits for your account
    # To whoever made an invite; the subject is that invite:
    INVITE_ACCEPTED = "invite_accepted"
    INVITE_LOCKED = "invite_locked"  # five wrong answers
    INVITE_UNDONE = "invite_undone"  # who accepted it, or registered with it, didn't own the mailbox
    # To whom the care of a person is offered:
    PERSON_OFFER = "person_offer"
    # To an organization's administrators; the subject is a partnership:
    PARTNERSHIP_REQUESTED = "partnership_requested"
    PARTNERSHIP_APPROVED = "partnership_approved"
    PARTNERSHIP_REJECTED = "partnership_rejected"
    PARTNERSHIP_CANCELED = "partnership_canceled"
    PARTNERSHIP_EXPIRED = "partnership_expired"
    PARTNERSHIP_TERMINATED = "partnership_terminated"
    # To an organization's administrators; the subject is a suspension:
    PATIENT_SUSPENDED = "patient_suspended"


class DeliveryStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"  # the server took it
    SPREAD = "spread"  # one to an organization became one to each of its administrators
    VOID = "void"  # what it was about is over: nobody needs to be told any more
    FAILED = "failed"  # given up


_WHEN = TIMESTAMP(timezone=True)
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("template", Text, nullable=False),
    Column("account_id", ForeignKey("accounts.id")),
    Column("link_id", ForeignKey("links.id")),
    Column("offer_id", ForeignKey("offers.id")),
    Column("share_id", ForeignKey("shares.id")),
    Column("invite_id", ForeignKey("invites.id")),
    Column("person_offer_id", ForeignKey("person_offers.id")),
    Column("organization_id", ForeignKey("organizations.id")),
    Column("subject_id", Uuid),
    Column("status", Text, nullable=False),
    Column("created_at", _WHEN, nullable=False),
    # When it is to be tried next; while it is being tried, when its lease ends.
    Column("due_at", _WHEN, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease", Uuid),
    Column("ended_at", _WHEN),
    # The kind of the last failure and the server's code, never its words: they can hold an address.
    Column("last_problem", Text),
    CheckConstraint("status IN ('waiting', 'sent', 'spread', 'void', 'failed')", name="status"),
    CheckConstraint(
        "num_nonnulls(account_id, link_id, offer_id, share_id, invite_id, person_offer_id, organization_id) = 1",
        name="one_recipient",
    ),
    CheckConstraint("(status = 'waiting') = (ended_at IS NULL)", name="end_has_a_time"),
    CheckConstraint("attempts >= 0", name="attempts"),
)
Index(
    "deliveries_due_ix",
    deliveries.c.due_at,
    deliveries.c.id,
    postgresql_where=exactly(deliveries.c.status, DeliveryStatus.WAITING),
)
Index("deliveries_of_link_ix", deliveries.c.link_id, postgresql_where=deliveries.c.link_id.is_not(None))
Index("deliveries_ended_ix", deliveries.c.ended_at, postgresql_where=deliveries.c.ended_at.is_not(None))


class Delivery(msgspec.Struct, frozen=True):
    """One attempt series to tell one recipient of one thing."""

    id: UUID
    template: Template
    account_id: UUID | None
    link_id: UUID | None
    offer_id: UUID | None
    share_id: UUID | None
    invite_id: UUID | None
    person_offer_id: UUID | None
    organization_id: UUID | None
    subject_id: UUID | None
    status: DeliveryStatus
    created_at: datetime
    due_at: datetime
    attempts: int
    lease: UUID | None
    ended_at: datetime | None
    last_problem: str | None


DELIVERY_COLUMNS = tuple(deliveries.c[name] for name in Delivery.__struct_fields__)
