"""What is always true of a resource on a built-in FHIR server, and what it is found by."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from hospitium.storage.tables import metadata

_WHEN = TIMESTAMP(timezone=True)
fhir_resources = Table(
    "fhir_resources",
    metadata,
    Column("fhir_server_id", ForeignKey("fhir_servers.id"), primary_key=True),
    Column("type", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("last_updated", _WHEN, nullable=False),
    # As it was loaded, without what this server says in `meta`: that is in the two columns above.
    Column("body", JSONB, nullable=False),
    # Of the text that was loaded: loading the same again changes nothing.
    Column("digest", LargeBinary, nullable=False),
    # In whose compartment it is (drawing.py). One patient, but for the few types that may be about several.
    Column("patients", ARRAY(Text), nullable=False),
    # Hashes of what tokens and references it has (keys.py).
    Column("search_keys", ARRAY(Uuid), nullable=False),
    # Its names, a line each, in the form in which they are compared (names.py); NULL if it has none.
    Column("names", Text),
    # The span its date stands for (dates.py). Without a date it begins with time itself, so that it can be put in order.
    Column("date_from", _WHEN, nullable=False),
    Column("date_until", _WHEN),
    CheckConstraint("type ~ '^[A-Z][A-Za-z]{1,63}$'", name="type_form"),
    CheckConstraint("id ~ '^[A-Za-z0-9.-]{1,64}$' AND id NOT IN ('.', '..')", name="id_form"),
    CheckConstraint(
        "body ->> 'resourceType' IS NOT DISTINCT FROM type AND body ->> 'id' IS NOT DISTINCT FROM id",
        name="body_is_that_resource",
    ),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("date_until > date_from", name="date_is_a_span"),
)
_c = fhir_resources.c
# The chart of a patient, a type at a time, in the order of its dates.
Index("fhir_resources_of_patient_ix", _c.fhir_server_id, _c.type, _c.patients[1], _c.date_from, _c.id)
Index("fhir_resources_by_date_ix", _c.fhir_server_id, _c.type, _c.date_from, _c.id)
Index("fhir_resources_by_update_ix", _c.fhir_server_id, _c.type, _c.last_updated, _c.id)
Index("fhir_resources_keys_ix", _c.search_keys, postgresql_using="gin")
Index(
    "fhir_resources_names_ix",
    _c.names,
    postgresql_using="gin",
    postgresql_ops={"names": "gin_trgm_ops"},
    postgresql_where=_c.names.is_not(None),
)


class Resource(msgspec.Struct, frozen=True):
    """A resource as it is served. `body`: its JSON text, whose `meta` says version and last update."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: str
