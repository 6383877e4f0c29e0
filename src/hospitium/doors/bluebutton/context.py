"""On which FHIR server: the context headers of this surface (contract bluebutton.md §3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.fhir_servers import queries
from hospitium.engine.ids import parse_id
from hospitium.engine.text import line

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.context import Context

SERVER = "FhirServerId-Context"
TAX_ID = "Tin-Context"
LONGEST_TAX_ID = 50


async def server_in_context(request: Request[Any, Any, Any], ctx: Context) -> UUID:
    """Return which FHIR server a request is about; the one that is named wins over the one of a tax id.

    Whether the caller may know of it is for the engine to say. Raises Invalid (the header is missing, malformed or given twice),
    NotFound (the tax id is nobody's, or its organization hasn't exactly one FHIR server).
    """
    named, tax_id = _header(request, SERVER), _header(request, TAX_ID)
    if named is not None:
        found = parse_id(named)
        if found is None:
            raise Invalid(SERVER, "must be the id of a FHIR server: a UUID")
        return found
    if tax_id is None:
        raise Invalid(SERVER, "is required: the id of the FHIR server that is meant")
    one = await queries.only_one_of_tax_id(ctx, line(TAX_ID, tax_id, longest=LONGEST_TAX_ID))
    if one is None:
        raise NotFound("FHIR server")
    return one


def _header(request: Request[Any, Any, Any], name: str) -> str | None:
    given = request.headers.getall(name.lower(), [])
    if len(given) > 1:
        raise Invalid(name, "is given twice")
    return given[0].strip() if given else None
