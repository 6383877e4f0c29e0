"""Whether a resource that is about nobody is referred to by one of a patient's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.fhir_references.record import fhir_references
from hospitium.storage.statements import Query, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from hospitium.engine.context import Context

_c = fhir_references.c
_REFERRING = Query(
    select(_c.patient_id).where(
        _c.fhir_server_id == bindparam("server_id", type_=Uuid),
        _c.type == bindparam("type", type_=Text),
        _c.id == bindparam("id", type_=Text),
        _c.patient_id == func.any(bindparam("patients", type_=ARRAY(Text))),
    ),
    scalar("patient_id"),
)


async def referring(
    ctx: Context, server_id: UUID, type_: str, resource_id: str, patients: Iterable[str]
) -> list[str]:
    """Return those of some patients of whom a resource is known to refer to this one."""
    return await _REFERRING.all(
        ctx.tx, server_id=server_id, type=type_, id=resource_id, patients=sorted(patients)
    )
