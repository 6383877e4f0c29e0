"""What patients' resources refer to that is about nobody.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-28
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = r"""
CREATE TABLE fhir_references (
    fhir_server_id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    patient_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT fhir_references_pkey PRIMARY KEY (fhir_server_id, type, id, patient_id),
    CONSTRAINT fhir_references_type_form_check CHECK (type ~ '^[A-Z][A-Za-z]{1,63}$'),
    CONSTRAINT fhir_references_id_form_check CHECK (id ~ '^[A-Za-z0-9.-]{1,64}$' AND id NOT IN ('.', '..')),
    CONSTRAINT fhir_references_fhir_server_id_fkey FOREIGN KEY(fhir_server_id) REFERENCES fhir_servers (id)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
