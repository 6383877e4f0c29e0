"""The life of an account: links and offers sent by mail, deliveries, what slows an attacker.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-22
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = r"""
ALTER TABLE accounts
    ADD COLUMN language TEXT DEFAULT 'en' NOT NULL,
    ADD COLUMN self_registered BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN ended_at TIMESTAMP WITH TIME ZONE,
    DROP CONSTRAINT accounts_status_check,
    ADD CONSTRAINT accounts_status_check CHECK (status IN ('active', 'disabled', 'deleted')),
    ADD CONSTRAINT accounts_language_check CHECK (language IN ('en', 'es')),
    ADD CONSTRAINT accounts_end_has_a_time_check CHECK ((status = 'deleted') = (ended_at IS NOT NULL)),
    ADD CONSTRAINT accounts_deleted_is_nobody_check CHECK (status <> 'deleted' OR (email = '' AND email_key = id::text AND password_hash = '' AND first_name IS NULL AND last_name IS NULL AND external_id IS NULL AND verified_at IS NULL));

ALTER TABLE sessions
    DROP CONSTRAINT sessions_end_reason_check,
    ADD CONSTRAINT sessions_end_reason_check CHECK (end_reason IN ('signed_out', 'token_reused', 'account_disabled', 'ended_by_owner', 'password_changed', 'mailbox_claimed', 'account_replaced', 'account_deleted', 'restored', 'expired'));
CREATE INDEX sessions_open_expires_ix ON sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX refresh_tokens_expires_ix ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_successor_ix ON refresh_tokens (successor_id);

CREATE TABLE links (
    id UUID NOT NULL,
    purpose TEXT NOT NULL,
    account_id UUID,
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    language TEXT NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason TEXT,
    CONSTRAINT links_pkey PRIMARY KEY (id),
    CONSTRAINT links_purpose_check CHECK (purpose IN ('confirm', 'password', 'email', 'none')),
    CONSTRAINT links_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT links_for_nobody_leads_nowhere_check CHECK ((account_id IS NULL) = (purpose = 'none')),
    CONSTRAINT links_expires_after_issue_check CHECK (expires_at > issued_at),
    CONSTRAINT links_end_has_a_reason_check CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT links_end_reason_check CHECK (end_reason IN ('used', 'replaced', 'account_changed', 'restored')),
    CONSTRAINT links_digest_key UNIQUE (digest),
    CONSTRAINT links_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX links_open_of_account_ix ON links (account_id, purpose) WHERE ended_at IS NULL;
CREATE INDEX links_expired_ix ON links (expires_at);

CREATE TABLE offers (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    role TEXT NOT NULL,
    language TEXT NOT NULL,
    status TEXT NOT NULL,
    offered_by_id UUID NOT NULL,
    offered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    account_id UUID,
    key_number INTEGER NOT NULL,
    nonce BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT offers_pkey PRIMARY KEY (id),
    CONSTRAINT offers_status_check CHECK (status IN ('pending', 'accepted', 'withdrawn', 'expired')),
    CONSTRAINT offers_role_check CHECK (role IN ('admin', 'physician', 'admin_staff', 'scheduler', 'radiologist', 'trial_physician', 'member')),
    CONSTRAINT offers_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT offers_expires_after_offer_check CHECK (expires_at > offered_at),
    CONSTRAINT offers_end_has_a_time_check CHECK ((status = 'pending') = (ended_at IS NULL)),
    CONSTRAINT offers_accepted_by_somebody_check CHECK ((status = 'accepted') = (account_id IS NOT NULL)),
    CONSTRAINT offers_digest_key UNIQUE (digest),
    CONSTRAINT offers_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT offers_offered_by_id_fkey FOREIGN KEY(offered_by_id) REFERENCES accounts (id),
    CONSTRAINT offers_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX offers_of_organization_ix ON offers (organization_id, id);
CREATE UNIQUE INDEX offers_one_pending_ix ON offers (organization_id, email_key) WHERE status = 'pending';
CREATE INDEX offers_to_expire_ix ON offers (expires_at) WHERE status = 'pending';

CREATE TABLE deliveries (
    id UUID NOT NULL,
    template TEXT NOT NULL,
    account_id UUID,
    link_id UUID,
    offer_id UUID,
    organization_id UUID,
    subject_id UUID,
    status TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    lease UUID,
    ended_at TIMESTAMP WITH TIME ZONE,
    last_problem TEXT,
    CONSTRAINT deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT deliveries_status_check CHECK (status IN ('waiting', 'sent', 'spread', 'void', 'failed')),
    CONSTRAINT deliveries_one_recipient_check CHECK (num_nonnulls(account_id, link_id, offer_id, organization_id) = 1),
    CONSTRAINT deliveries_end_has_a_time_check CHECK ((status = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT deliveries_attempts_check CHECK (attempts >= 0),
    CONSTRAINT deliveries_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
    CONSTRAINT deliveries_link_id_fkey FOREIGN KEY(link_id) REFERENCES links (id),
    CONSTRAINT deliveries_offer_id_fkey FOREIGN KEY(offer_id) REFERENCES offers (id),
    CONSTRAINT deliveries_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE INDEX deliveries_due_ix ON deliveries (due_at, id) WHERE status = 'waiting';
CREATE INDEX deliveries_of_link_ix ON deliveries (link_id) WHERE link_id IS NOT NULL;
CREATE INDEX deliveries_ended_ix ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE throttles (
    key BYTEA NOT NULL,
    free_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT throttles_pkey PRIMARY KEY (key)
);
CREATE INDEX throttles_free_ix ON throttles (free_at);

CREATE TABLE familiar_networks (
    account_id UUID NOT NULL,
    network BYTEA NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT familiar_networks_pkey PRIMARY KEY (account_id, network),
    CONSTRAINT familiar_networks_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX familiar_networks_seen_ix ON familiar_networks (seen_at);
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
