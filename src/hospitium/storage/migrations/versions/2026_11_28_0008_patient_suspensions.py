"""Suspensions of patients who were found merged, gone or inactive.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE patient_suspensions (
    id UUID NOT NULL,
    fhir_server_id UUID NOT NULL,
    patient_id TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    lifted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT patient_suspensions_pkey PRIMARY KEY (id),
    CONSTRAINT patient_suspensions_reason_check CHECK (reason IN ('merged', 'gone', 'inactive')),
    CONSTRAINT patient_suspensions_lifted_after_beginning_check CHECK (lifted_at >= since),
    CONSTRAINT patient_suspensions_fhir_server_id_fkey FOREIGN KEY(fhir_server_id) REFERENCES fhir_servers (id)
);
CREATE UNIQUE INDEX patient_suspensions_one_open_ix ON patient_suspensions (fhir_server_id, patient_id) WHERE lifted_at IS NULL;
CREATE INDEX patient_suspensions_of_patient_ix ON patient_suspensions (fhir_server_id, patient_id, since);
CREATE TRIGGER never_deleted BEFORE DELETE ON patient_suspensions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
