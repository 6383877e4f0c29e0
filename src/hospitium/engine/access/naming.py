"""Whom and what a question names, in the words of the organization whose application asks.

An id of ours, in either spelling, names what has it, and nothing else does: whoever gives an `externalId` can't take over what another has.
Only what is no such id is looked for among the external ids that the organization gave, in NFC, as they are kept; and then, of an account,
among the addresses that were proved. What is named so is looked up in the statement that answers; what isn't known, is too long, is no
text the database could hold, or of a patient no id of FHIR, is nobody and nothing: the answer is no, never an error, and looks like
any other.

The *world* of an organization is what is its own: its records, its FHIR servers and their patients, itself; and of other organizations
what it was granted there itself. Who works for a partner is not in it: what an account inherits through another organization, on an
organization, isn't told.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    SmallInteger,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from hospitium.engine.access.check import single, unnested
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import account_external_ids, accounts
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources.checking import is_id
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.ids import parse_id
from hospitium.engine.levels import ACTIONS
from hospitium.engine.object_types.record import object_types
from hospitium.engine.records.record import records
from hospitium.storage.statements import exactly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause


LONGEST_NAME = 256  # characters of anything that is named
SUBJECT_TYPES: dict[str, GranteeKind] = {"user": GranteeKind.ACCOUNT} | {
    kind.value: kind for kind in GranteeKind
}
"""What a subject may be called; `user` is what others call an account."""
PATIENT, FHIR_SERVER, ORGANIZATION = "Patient", "FhirServer", "organization"
RESOURCE_TYPES: dict[str, ResourceKind] = {
    PATIENT: ResourceKind.PATIENT,
    FHIR_SERVER: ResourceKind.FHIR_SERVER,
    ORGANIZATION: ResourceKind.ORGANIZATION,
}
"""What a resource may be, besides the organization's own object types; no object type can be called so."""


class Named(NamedTuple):
    """A subject, an action and a resource as an application names them. `fhir_server_id`: where a patient is."""

    subject_type: str
    subject_id: str
    action: str
    resource_type: str
    resource_id: str
    fhir_server_id: str = ""


_COLUMNS: dict[str, Any] = {
    "subject_kind": Text,
    "subject_name": Text,
    "subject_uuid": Uuid,
    "subject_email": Text,
    "action": Text,
    "usual_level": SmallInteger,
    "resource_kind": Text,
    "type_name": Text,
    "resource_name": Text,
    "resource_uuid": Uuid,
    "server_uuid": Uuid,
}


def named_one() -> FromClause:
    """Return one question that comes as parameters (`parameters_of`), asked by the organization `organization_id`, as a table `named`."""
    return single({**_COLUMNS, "organization_id": Uuid}, "named")


def named_many(**more: Any) -> FromClause:
    """Return questions that come as arrays (`parameters_of_many`) as one table `named`, with `more` columns before theirs."""
    return unnested({**more, **_COLUMNS}, "named")


def parameters_of(question: Named) -> dict[str, Any]:
    """Return the parameters of `named_one`."""
    return dict(zip(_COLUMNS, _row(question), strict=True))


def parameters_of_many(questions: Sequence[Named]) -> dict[str, list[Any]]:
    """Return the parameters of `named_many`."""
    rows = [_row(question) for question in questions]
    return {f"{name}s": [row[index] for row in rows] for index, name in enumerate(_COLUMNS)}


def _row(named: Named) -> tuple[Any, ...]:
    kind = SUBJECT_TYPES.get(named.subject_type)
    subject, resource = _text(named.subject_id), _text(named.resource_id)
    action = _text(named.action)
    of_kind = RESOURCE_TYPES.get(named.resource_type, ResourceKind.RECORD)
    resource_uuid = None if resource is None else parse_id(resource)
    servers = {ResourceKind.FHIR_SERVER: resource_uuid, ResourceKind.PATIENT: parse_id(named.fhir_server_id)}
    # Who is at a remote server only that knows, so that whoever may read all of it may read anybody: but not what is nobody's id.
    is_nobody = of_kind is ResourceKind.PATIENT and not is_id(named.resource_id)
    return (
        kind,
        subject,
        None if subject is None else parse_id(subject),
        _email(named.subject_id)
        if kind is GranteeKind.ACCOUNT and subject is not None and "@" in subject
        else None,
        action,
        ACTIONS.get(named.action),
        None if is_nobody else of_kind,
        _text(named.resource_type),
        resource,
        resource_uuid,
        servers.get(of_kind),
    )


def _text(given: str) -> str | None:
    """Return a text as names are kept; None if the database can't hold it, or nothing is named so long."""
    if len(given) > LONGEST_NAME or "\0" in given:
        return None
    try:
        given.encode()
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFC", given)


@lru_cache(maxsize=4_096)
def _email(address: str) -> str | None:
    try:
        return canonical_email("id", address)
    except Invalid:
        return None


def resolved(named: FromClause, organization_id: Any, *more: Any) -> FromClause:
    """Return what questions name, as a table `asked` with the columns that `candidates` takes, the organization's id, the level that
    is `needed` (NULL: there is no such action) and `more` columns."""
    n = named.c
    type_ = object_types.alias("type")
    is_of_type = and_(
        type_.c.organization_id == organization_id,
        type_.c.name == n.type_name,
        type_.c.ended_at.is_(None),
        exactly(n.resource_kind, ResourceKind.RECORD),
    )
    return (
        select(
            n.place,
            organization_id.label("organization_id"),
            n.subject_kind,
            _subject_id(n, organization_id).label("subject_id"),
            n.resource_kind,
            func.coalesce(cast(type_.c.id, Text), literal_column("''")).label("resource_type"),
            _resource_id(n, type_.c.id).label("resource_id"),
            n.server_uuid.label("fhir_server_id"),
            type_.c.actions,
            func.coalesce(cast(type_.c.actions.op("->>")(n.action), SmallInteger), n.usual_level).label(
                "needed"
            ),
            *more,
        )
        .select_from(named.outerjoin(type_, is_of_type))
        .cte("asked")
        .prefix_with("MATERIALIZED")  # what is looked up here is looked up once
    )


def _subject_id(n: Any, organization_id: Any) -> Any:
    """Who is named: of an account by its id first, then by the organization's own word, then by an address."""
    has_it = _scalar(accounts.c.id, accounts.c.id == n.subject_uuid)
    external_id = _scalar(
        account_external_ids.c.account_id,
        account_external_ids.c.organization_id == organization_id,
        account_external_ids.c.external_id == n.subject_name,
    )
    # An address that nobody has proved may be anybody's.
    address = _scalar(
        accounts.c.id, accounts.c.email_key == n.subject_email, accounts.c.verified_at.is_not(None)
    )
    account_id = func.coalesce(has_it, external_id, address)
    return case((exactly(n.subject_kind, GranteeKind.ACCOUNT), account_id), else_=n.subject_uuid)


def _resource_id(n: Any, type_id: Any) -> Any:
    """What is named: a record by its id first, then by the organization's own word; a patient as his FHIR server calls him. What looks like
    an id stays one, if it is nothing of ours: the record may be another organization's, which people may ask about."""
    has_it = _scalar(records.c.id, records.c.object_type_id == type_id, records.c.id == n.resource_uuid)
    external_id = _scalar(
        records.c.id, records.c.object_type_id == type_id, records.c.external_id == n.resource_name
    )
    return case(
        (
            exactly(n.resource_kind, ResourceKind.RECORD),
            cast(func.coalesce(has_it, external_id, n.resource_uuid), Text),
        ),
        (exactly(n.resource_kind, ResourceKind.PATIENT), n.resource_name),
        else_=cast(n.resource_uuid, Text),
    )


def _scalar(column: Any, *conditions: Any) -> Any:
    return select(column).where(*conditions).correlate_except(column.table).scalar_subquery()


def is_in_world(about_id: Any, organization_id: Any, subject_kind: Any) -> Any:
    """Return the condition under which a grant, as it reaches a subject of a kind, is in the world of an organization; `about_id`: whose its
    resource is."""
    is_by_partnership = and_(
        exactly(grants.c.resource_kind, ResourceKind.ORGANIZATION),
        exactly(grants.c.grantee_kind, GranteeKind.ORGANIZATION),
    )
    return or_(
        and_(
            about_id == organization_id,
            not_(and_(is_by_partnership, exactly(subject_kind, GranteeKind.ACCOUNT))),
        ),
        and_(is_by_partnership, grants.c.grantee_id == organization_id),
    )


def tells_no_partners_staff(organization_id: Any) -> Any:
    """Return the condition under which a grant, as accounts inherit it through an organization, doesn't tell an organization who works for
    another: `Question.tells`, of lists. (NULL: whoever asks may know.)"""
    return or_(
        organization_id.is_(None),
        grants.c.grantee_id == organization_id,
        not_(exactly(grants.c.resource_kind, ResourceKind.ORGANIZATION)),
    )
