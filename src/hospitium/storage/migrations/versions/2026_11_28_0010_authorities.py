"""Certificate authorities of its own for a remote FHIR server.

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-28
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMN = r"""
ALTER TABLE fhir_servers
    ADD COLUMN authorities_pem TEXT,
    ADD CONSTRAINT fhir_servers_only_remote_has_authorities_check CHECK (authorities_pem IS NULL OR kind = 'remote'),
    ADD CONSTRAINT fhir_servers_authorities_need_certificates_check CHECK (authorities_pem IS NULL OR base_url LIKE 'https://%'),
    ADD CONSTRAINT fhir_servers_authorities_are_few_check CHECK (octet_length(authorities_pem) BETWEEN 1 AND 65536)
"""


def upgrade() -> None:
    op.execute(COLUMN)
