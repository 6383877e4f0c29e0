"""What comes in and what goes out at the addresses of connections (docs/dialects/medable.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from hospitium.doors.medable.accounts import Name, NameBody
from hospitium.doors.medable.wire import (
    AccessLevel,
    Body,
    IdParameter,
    Moment,
    ObjectId,
    PageQuery,
    Reference,
)
from hospitium.doors.shapes import Email, Id, takes, trimmed

GivenLevel = Annotated[
    Any,
    takes(
        "GivenLevel",
        "The access level that is given: one of the object's share chain, and less than one's own.",
        type="integer",
        enum=[2, 4, 5, 6],
    ),
]


# -- what comes in -----------------------------------------------------------------------------------------------------


class TargetBody(Body, rename=None):
    """Whom to share with: an account by `email` or `_id`, or a team by `_id`; how much; and from when until when."""

    access: GivenLevel
    object: Literal["account", "team"] = "account"
    email: Email | None = None
    id: Id | None = msgspec.field(name="_id", default=None)
    name: NameBody | None = None
    auto: bool = False
    roles: Annotated[list[Any], takes("NoRoles", "Nothing: roles are not known here.", maxItems=0)] | None = (
        None
    )
    starts_at: datetime | None = msgspec.field(name="startsAt", default=None)
    ends_at: datetime | None = msgspec.field(name="endsAt", default=None)


class ConnectionsBody(Body):
    """Whom to share with, all or none."""

    targets: list[TargetBody] | None = None


class LevelBody(Body):
    """The access level a connection is to have."""

    access: GivenLevel


class ConnectionsQuery(PageQuery):
    """Which connections: `state` 0 pending or 1 active, `pending` those one made or those one was offered, with an `account`,
    to instances of an object (`context`)."""

    state: Annotated[str, takes("State", "0 or 1; blank is none.", pattern=trimmed("[01]?"))] | UnsetType = (
        UNSET
    )
    pending: (
        Annotated[
            str, takes("Side", "creator or target; blank is none.", pattern=trimmed("(?:creator|target)?"))
        ]
        | UnsetType
    ) = UNSET
    account: IdParameter | UnsetType = UNSET
    context: (
        Annotated[
            str,
            takes("ContextName", "The name of an object, or account.", maxLength=200, pattern=r"^[^\x00]*$"),
        ]
        | UnsetType
    ) = UNSET


class OrphansQuery(msgspec.Struct):
    """Which connections to end: those made by who no longer has access."""

    orphaned: Literal["true"]


# -- what goes out -----------------------------------------------------------------------------------------------------


class TargetDocument(msgspec.Struct):
    """Whom something is shared with: the address if it was named, the account if it was named or has accepted."""

    account: Reference | UnsetType = UNSET
    team: Reference | UnsetType = UNSET
    email: str | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class ConnectionDocument(msgspec.Struct, kw_only=True):
    """A connection. `token` is there while it is pending, for its target alone."""

    id: ObjectId = msgspec.field(name="_id")
    access: AccessLevel
    context: Reference
    context_source: None | UnsetType = msgspec.field(name="contextSource", default=UNSET)
    created: Moment
    creator: Reference
    expires_at: Moment | UnsetType = msgspec.field(name="expiresAt", default=UNSET)
    is_archived: bool | UnsetType = msgspec.field(name="isArchived", default=UNSET)
    object: Literal["connection"]
    state: Literal[0, 1]
    target: TargetDocument
    token: str | UnsetType = UNSET
    starts_at: Moment | UnsetType = msgspec.field(name="startsAt", default=UNSET)
    ends_at: Moment | UnsetType = msgspec.field(name="endsAt", default=UNSET)
    orphaned: bool | UnsetType = UNSET


class ContextKind(msgspec.Struct):
    """What kind of thing it is; by an id, which one."""

    object: str
    id: ObjectId | UnsetType = msgspec.field(name="_id", default=UNSET)
    path: str | UnsetType = UNSET


class CreatorName(msgspec.Struct):
    """Who offers it: by a token, only what he is called."""

    name: Name | UnsetType = UNSET
    id: ObjectId | UnsetType = msgspec.field(name="_id", default=UNSET)
    object: str | UnsetType = UNSET
    path: str | UnsetType = UNSET


class OfferedConnection(msgspec.Struct, kw_only=True):
    """A connection by its id; or, by its token, what whoever has it may know: who offers what kind of thing, and never which."""

    id: ObjectId = msgspec.field(name="_id")
    object: Literal["connection"]
    state: Literal[0, 1]
    access: AccessLevel
    expires_at: Moment | UnsetType = msgspec.field(name="expiresAt", default=UNSET)
    context: ContextKind
    creator: CreatorName
    target: TargetDocument
    created: Moment | UnsetType = UNSET
    is_archived: bool | UnsetType = msgspec.field(name="isArchived", default=UNSET)
    token: str | UnsetType = UNSET
    starts_at: Moment | UnsetType = msgspec.field(name="startsAt", default=UNSET)
    ends_at: Moment | UnsetType = msgspec.field(name="endsAt", default=UNSET)
