"""Records and object types, teams, shares; client keys, and the cookies of browsers.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-25
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE teams (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT teams_pkey PRIMARY KEY (id),
    CONSTRAINT teams_ends_after_creation_check CHECK (ended_at >= created_at),
    CONSTRAINT teams_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX teams_one_name_ix ON teams (organization_id, name_key) WHERE ended_at IS NULL;

CREATE TABLE team_memberships (
    id UUID NOT NULL,
    team_id UUID NOT NULL,
    account_id UUID NOT NULL,
    is_owner BOOLEAN NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT team_memberships_pkey PRIMARY KEY (id),
    CONSTRAINT team_memberships_ends_after_start_check CHECK (ends_at >= starts_at),
    CONSTRAINT team_memberships_team_id_fkey FOREIGN KEY(team_id) REFERENCES teams (id),
    CONSTRAINT team_memberships_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX team_memberships_of_account_ix ON team_memberships (account_id, team_id);
CREATE UNIQUE INDEX team_memberships_one_open_ix ON team_memberships (team_id, account_id) WHERE ends_at IS NULL;
CREATE UNIQUE INDEX team_memberships_one_owner_ix ON team_memberships (team_id) WHERE is_owner AND ends_at IS NULL;

CREATE TABLE object_types (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    plural_name TEXT COLLATE "C" NOT NULL,
    label TEXT NOT NULL,
    storage TEXT NOT NULL,
    allows_shares BOOLEAN NOT NULL,
    requires_acceptance BOOLEAN NOT NULL,
    sends_notifications BOOLEAN NOT NULL,
    required_level SMALLINT,
    share_chain SMALLINT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT object_types_pkey PRIMARY KEY (id),
    CONSTRAINT object_types_storage_check CHECK (storage IN ('stored', 'external')),
    CONSTRAINT object_types_name_form_check CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$' AND plural_name ~ '^[a-z][a-z0-9_]{0,62}$'),
    CONSTRAINT object_types_two_names_check CHECK (name <> plural_name),
    CONSTRAINT object_types_share_chain_check CHECK (share_chain <@ '{2,4,5,6}'),
    CONSTRAINT object_types_required_level_check CHECK (required_level BETWEEN 1 AND 7),
    CONSTRAINT object_types_in_order_check CHECK (updated_at >= created_at AND ended_at >= created_at),
    CONSTRAINT object_types_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX object_types_one_name_ix ON object_types (organization_id, name) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX object_types_one_plural_name_ix ON object_types (organization_id, plural_name) WHERE ended_at IS NULL;

CREATE TABLE records (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    object_type_id UUID NOT NULL,
    external_id TEXT COLLATE "C",
    owner_id UUID NOT NULL,
    creator_id UUID NOT NULL,
    body JSONB,
    status TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT records_pkey PRIMARY KEY (id),
    CONSTRAINT records_status_check CHECK (status IN ('active', 'archived', 'deleted')),
    CONSTRAINT records_end_has_a_time_check CHECK ((status = 'deleted') = (ended_at IS NOT NULL)),
    CONSTRAINT records_archiving_has_a_time_check CHECK (status <> 'archived' OR archived_at IS NOT NULL),
    CONSTRAINT records_deleted_is_empty_check CHECK (status <> 'deleted' OR (body IS NULL AND external_id IS NULL)),
    CONSTRAINT records_body_is_an_object_check CHECK (jsonb_typeof(body) = 'object'),
    CONSTRAINT records_in_order_check CHECK (updated_at >= created_at AND ended_at >= created_at),
    CONSTRAINT records_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT records_object_type_id_fkey FOREIGN KEY(object_type_id) REFERENCES object_types (id),
    CONSTRAINT records_owner_id_fkey FOREIGN KEY(owner_id) REFERENCES accounts (id),
    CONSTRAINT records_creator_id_fkey FOREIGN KEY(creator_id) REFERENCES accounts (id)
);
CREATE INDEX records_of_owner_ix ON records (owner_id) WHERE status IN ('active', 'archived');
CREATE INDEX records_of_type_ix ON records (object_type_id) WHERE status IN ('active', 'archived');
CREATE UNIQUE INDEX records_one_external_id_ix ON records (object_type_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE shares (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    record_id UUID,
    object_type_id UUID,
    shared_account_id UUID,
    context_id UUID GENERATED ALWAYS AS (coalesce(record_id, shared_account_id)) STORED NOT NULL,
    target_form TEXT NOT NULL,
    target_email TEXT,
    target_email_key TEXT COLLATE "C",
    target_account_id UUID,
    target_team_id UUID,
    target_first_name TEXT,
    target_last_name TEXT,
    level SMALLINT NOT NULL,
    status TEXT NOT NULL,
    creator_id UUID NOT NULL,
    made_under_id UUID,
    language TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    window_starts_at TIMESTAMP WITH TIME ZONE,
    window_ends_at TIMESTAMP WITH TIME ZONE,
    accepted_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    key_number INTEGER,
    nonce BYTEA,
    digest BYTEA,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT shares_pkey PRIMARY KEY (id),
    CONSTRAINT shares_status_check CHECK (status IN ('pending', 'active', 'declined', 'withdrawn', 'left', 'revoked', 'expired', 'merged')),
    CONSTRAINT shares_one_context_check CHECK (num_nonnulls(record_id, shared_account_id) = 1),
    CONSTRAINT shares_record_has_a_type_check CHECK ((record_id IS NULL) = (object_type_id IS NULL)),
    CONSTRAINT shares_target_form_check CHECK (target_form IN ('email', 'account', 'team')),
    CONSTRAINT shares_address_is_whole_check CHECK ((target_form = 'email') = (target_email IS NOT NULL) AND (target_email IS NULL) = (target_email_key IS NULL)),
    CONSTRAINT shares_team_is_named_check CHECK ((target_form = 'team') = (target_team_id IS NOT NULL)),
    CONSTRAINT shares_account_is_named_check CHECK (CASE target_form WHEN 'account' THEN target_account_id IS NOT NULL WHEN 'team' THEN target_account_id IS NULL ELSE (target_account_id IS NOT NULL) = (accepted_at IS NOT NULL) END),
    CONSTRAINT shares_level_check CHECK (level IN (2, 4, 5, 6)),
    CONSTRAINT shares_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT shares_made_under_check CHECK (made_under_id IS NOT NULL OR shared_account_id IS NOT NULL),
    CONSTRAINT shares_expires_after_creation_check CHECK (expires_at > created_at),
    CONSTRAINT shares_window_check CHECK (window_ends_at > window_starts_at AND window_ends_at > created_at),
    CONSTRAINT shares_accepted_in_time_check CHECK (accepted_at >= created_at AND accepted_at < expires_at),
    CONSTRAINT shares_acceptance_has_a_time_check CHECK (CASE WHEN status IN ('active', 'left', 'revoked') THEN accepted_at IS NOT NULL WHEN status IN ('pending', 'declined', 'withdrawn', 'merged') THEN accepted_at IS NULL ELSE true END),
    CONSTRAINT shares_end_has_a_time_check CHECK ((status IN ('pending', 'active')) = (ended_at IS NULL)),
    CONSTRAINT shares_token_is_whole_check CHECK (num_nonnulls(key_number, nonce, digest) IN (0, 3)),
    CONSTRAINT shares_pending_has_a_token_check CHECK (status <> 'pending' OR digest IS NOT NULL),
    CONSTRAINT shares_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT shares_record_id_fkey FOREIGN KEY(record_id) REFERENCES records (id),
    CONSTRAINT shares_object_type_id_fkey FOREIGN KEY(object_type_id) REFERENCES object_types (id),
    CONSTRAINT shares_shared_account_id_fkey FOREIGN KEY(shared_account_id) REFERENCES accounts (id),
    CONSTRAINT shares_target_account_id_fkey FOREIGN KEY(target_account_id) REFERENCES accounts (id),
    CONSTRAINT shares_target_team_id_fkey FOREIGN KEY(target_team_id) REFERENCES teams (id),
    CONSTRAINT shares_creator_id_fkey FOREIGN KEY(creator_id) REFERENCES accounts (id),
    CONSTRAINT shares_made_under_id_fkey FOREIGN KEY(made_under_id) REFERENCES grants (id),
    CONSTRAINT shares_digest_key UNIQUE (digest)
);
CREATE INDEX shares_made_under_ix ON shares (made_under_id) WHERE status IN ('pending', 'active');
CREATE INDEX shares_of_creator_ix ON shares (creator_id, id) WHERE status IN ('pending', 'active');
CREATE INDEX shares_on_context_ix ON shares (context_id, id) WHERE status IN ('pending', 'active');
CREATE UNIQUE INDEX shares_one_to_account_ix ON shares (context_id, target_account_id) WHERE target_form = 'account' AND status IN ('pending', 'active');
CREATE UNIQUE INDEX shares_one_to_email_ix ON shares (context_id, target_email_key) WHERE target_form = 'email' AND status IN ('pending', 'active');
CREATE UNIQUE INDEX shares_one_to_team_ix ON shares (context_id, target_team_id) WHERE target_form = 'team' AND status IN ('pending', 'active');
CREATE INDEX shares_to_account_ix ON shares (target_account_id, id) WHERE status IN ('pending', 'active');
CREATE INDEX shares_to_close_ix ON shares (window_ends_at) WHERE status = 'active' AND window_ends_at IS NOT NULL;
CREATE INDEX shares_to_email_ix ON shares (target_email_key, id) WHERE status = 'pending';
CREATE INDEX shares_to_expire_ix ON shares (expires_at) WHERE status = 'pending';
CREATE INDEX shares_to_team_ix ON shares (target_team_id, id) WHERE status IN ('pending', 'active');

CREATE TABLE client_keys (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT client_keys_pkey PRIMARY KEY (id),
    CONSTRAINT client_keys_ends_after_making_check CHECK (ended_at >= made_at),
    CONSTRAINT client_keys_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT client_keys_digest_key UNIQUE (digest)
);
CREATE UNIQUE INDEX client_keys_one_name_ix ON client_keys (organization_id, name) WHERE ended_at IS NULL;

ALTER TABLE grants
    ADD COLUMN until TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT grants_window_check CHECK (until > starts_at);
DROP INDEX grants_of_grantee_ix;
CREATE INDEX grants_of_grantee_ix ON grants (grantee_id, resource_kind, resource_type, resource_id, starts_at);

ALTER TABLE accounts
    ADD COLUMN registered_with_id UUID,
    ADD CONSTRAINT accounts_registered_with_id_fkey FOREIGN KEY(registered_with_id) REFERENCES organizations (id),
    DROP CONSTRAINT accounts_deleted_is_nobody_check,
    ADD CONSTRAINT accounts_deleted_is_nobody_check CHECK (status <> 'deleted' OR (email = '' AND email_key = id::text AND password_hash = '' AND first_name IS NULL AND last_name IS NULL AND external_id IS NULL AND verified_at IS NULL AND registered_with_id IS NULL));

ALTER TABLE organizations ADD COLUMN requires_client_key BOOLEAN DEFAULT false NOT NULL;

ALTER TABLE sessions
    ADD COLUMN cookie_digest BYTEA,
    ADD CONSTRAINT sessions_cookie_digest_key UNIQUE (cookie_digest);

ALTER TABLE deliveries
    ADD COLUMN share_id UUID,
    ADD CONSTRAINT deliveries_share_id_fkey FOREIGN KEY(share_id) REFERENCES shares (id),
    DROP CONSTRAINT deliveries_one_recipient_check,
    ADD CONSTRAINT deliveries_one_recipient_check CHECK (num_nonnulls(account_id, link_id, offer_id, share_id, organization_id) = 1);

CREATE TRIGGER only_ended BEFORE UPDATE ON team_memberships
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_ending();
CREATE TRIGGER never_deleted BEFORE DELETE ON team_memberships
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON records
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON shares
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
