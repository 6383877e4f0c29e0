"""That a resource of one patient, which was shown, refers to a resource that is about nobody (DESIGN §3.9).

Who may read the patient may then read that one resource, too, and no other of its type. It is the patient's resource that said so, whoever
read it: nothing of anybody else's decides.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text

from hospitium.storage.tables import metadata

fhir_references = Table(
    "fhir_references",
    metadata,
    Column("fhir_server_id", ForeignKey("fhir_servers.id"), primary_key=True),
    Column("type", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True),
    Column("patient_id", Text(collation="C"), primary_key=True),
    CheckConstraint("type ~ '^[A-Z][A-Za-z]{1,63}$'", name="type_form"),
    CheckConstraint("id ~ '^[A-Za-z0-9.-]{1,64}$' AND id NOT IN ('.', '..')", name="id_form"),
)


class Reference(NamedTuple):
    """A patient, and type and id of what a resource of his refers to."""

    patient_id: str
    type: str
    id: str
