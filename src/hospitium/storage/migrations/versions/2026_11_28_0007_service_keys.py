"""Service keys; external ids of accounts, one for each organization; what applications call their actions.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-28
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE service_keys (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    made_by_id UUID,
    last_used_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT service_keys_pkey PRIMARY KEY (id),
    CONSTRAINT service_keys_digest_key UNIQUE (digest),
    CONSTRAINT service_keys_scopes_check CHECK (scopes <@ '{check,list,explain,events}' AND cardinality(scopes) BETWEEN 1 AND 4),
    CONSTRAINT service_keys_ends_after_making_check CHECK (ended_at >= made_at),
    CONSTRAINT service_keys_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT service_keys_made_by_id_fkey FOREIGN KEY(made_by_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX service_keys_one_name_ix ON service_keys (organization_id, name) WHERE ended_at IS NULL;
CREATE TRIGGER never_deleted BEFORE DELETE ON service_keys
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE account_external_ids (
    organization_id UUID NOT NULL,
    account_id UUID NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT account_external_ids_pkey PRIMARY KEY (organization_id, account_id),
    CONSTRAINT account_external_ids_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT account_external_ids_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX account_external_ids_one_ix ON account_external_ids (organization_id, external_id);
CREATE INDEX account_external_ids_of_account_ix ON account_external_ids (account_id);
INSERT INTO account_external_ids (organization_id, account_id, external_id)
    SELECT memberships.organization_id, accounts.id, accounts.external_id
    FROM accounts JOIN memberships ON memberships.account_id = accounts.id AND memberships.ends_at IS NULL
    WHERE accounts.external_id IS NOT NULL
    ORDER BY accounts.created_at, accounts.id
    ON CONFLICT DO NOTHING;
ALTER TABLE accounts
    DROP CONSTRAINT accounts_deleted_is_nobody_check,
    DROP COLUMN external_id,
    ADD CONSTRAINT accounts_deleted_is_nobody_check CHECK (status <> 'deleted' OR (email = '' AND email_key = id::text AND password_hash = '' AND first_name IS NULL AND middle_name IS NULL AND last_name IS NULL AND verified_at IS NULL AND registered_with_id IS NULL));

ALTER TABLE object_types
    ADD COLUMN actions JSONB DEFAULT '{}' NOT NULL,
    ADD CONSTRAINT object_types_actions_are_a_map_check CHECK (jsonb_typeof(actions) = 'object');
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
