"""The first room: organizations, accounts, memberships, sessions, partnerships, grants, events.

Revision ID: 0001
Revises:
Create Date: 2026-11-21
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = r"""
CREATE SEQUENCE event_positions;

CREATE TABLE accounts (
    id UUID NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    password_hash TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    external_id TEXT,
    status TEXT NOT NULL,
    verified_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT accounts_status_check CHECK (status IN ('active', 'disabled'))
);
CREATE UNIQUE INDEX accounts_email_key_ix ON accounts (email_key);

CREATE TABLE event_parties (
    party_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    event_id UUID NOT NULL,
    party_kind TEXT NOT NULL,
    CONSTRAINT event_parties_pkey PRIMARY KEY (party_id, at, event_id)
) PARTITION BY RANGE (at);

CREATE TABLE events (
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    position BIGINT DEFAULT nextval('event_positions') NOT NULL,
    transaction BIGINT NOT NULL,
    kind TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_account_id UUID,
    actor_organization_id UUID,
    actor_session_id UUID,
    subject_kind TEXT NOT NULL,
    subject_id UUID,
    data JSONB NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_order_ix ON events (transaction, position);
CREATE INDEX events_subject_ix ON events (subject_id, at);

CREATE TABLE idempotency_keys (
    account_id UUID NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    request_digest BYTEA NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    status SMALLINT,
    answer BYTEA,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key),
    CONSTRAINT idempotency_keys_answer_is_whole_check CHECK ((status IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotency_keys_claimed_ix ON idempotency_keys (claimed_at);

CREATE TABLE organizations (
    id UUID NOT NULL,
    status TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    npi TEXT,
    tax_id TEXT,
    address TEXT,
    city TEXT,
    state TEXT,
    zip_code TEXT,
    phone TEXT,
    website TEXT,
    contact_name TEXT,
    contact_email TEXT,
    contact_phone TEXT,
    specialties TEXT[] DEFAULT '{}' NOT NULL,
    specialty_keys TEXT[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT organizations_type_check CHECK (type IN ('referring', 'radiology', 'both')),
    CONSTRAINT organizations_status_check CHECK (status IN ('pending', 'active', 'suspended')),
    CONSTRAINT organizations_code_form_check CHECK (code ~ '^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$'),
    CONSTRAINT organizations_npi_form_check CHECK (npi ~ '^[0-9]{10}$'),
    CONSTRAINT organizations_updated_after_created_check CHECK (updated_at >= created_at),
    CONSTRAINT organizations_code_key UNIQUE (code)
);
CREATE INDEX organizations_active_by_name_ix ON organizations (name_key, id) INCLUDE (type) WHERE status = 'active';
CREATE INDEX organizations_active_by_state_ix ON organizations (state, name_key, id) INCLUDE (type) WHERE status = 'active';
CREATE INDEX organizations_active_name_trigrams_ix ON organizations USING gin (name_key gin_trgm_ops) WHERE status = 'active';
CREATE INDEX organizations_npi_ix ON organizations (npi) WHERE npi IS NOT NULL;
CREATE INDEX organizations_specialty_keys_ix ON organizations USING gin (specialty_keys) WHERE status = 'active';

CREATE TABLE grants (
    id UUID NOT NULL,
    grantee_kind TEXT COLLATE "C" NOT NULL,
    grantee_id UUID NOT NULL,
    resource_kind TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C" DEFAULT '' NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    fhir_server_id UUID,
    level SMALLINT NOT NULL,
    is_owner BOOLEAN DEFAULT false NOT NULL,
    patient_id TEXT COLLATE "C",
    restrictions JSONB DEFAULT '[]' NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    cause_kind TEXT COLLATE "C" NOT NULL,
    cause_id UUID,
    made_under_id UUID,
    made_by_id UUID,
    CONSTRAINT grants_pkey PRIMARY KEY (id),
    CONSTRAINT grants_grantee_kind_check CHECK (grantee_kind IN ('account', 'team', 'organization', 'person')),
    CONSTRAINT grants_resource_kind_check CHECK (resource_kind IN ('organization', 'account', 'record', 'fhir_server', 'patient')),
    CONSTRAINT grants_cause_kind_check CHECK (cause_kind IN ('partnership', 'share', 'invite', 'ownership', 'operator')),
    CONSTRAINT grants_level_check CHECK (level BETWEEN 1 AND 7),
    CONSTRAINT grants_ends_after_start_check CHECK (ends_at >= starts_at),
    CONSTRAINT grants_cause_is_named_check CHECK ((cause_id IS NULL) = (cause_kind IN ('ownership', 'operator'))),
    CONSTRAINT grants_patient_is_on_a_server_check CHECK ((resource_kind = 'patient') <= (fhir_server_id IS NOT NULL)),
    CONSTRAINT grants_owner_has_it_all_check CHECK (NOT is_owner OR level = 7),
    CONSTRAINT grants_made_under_id_fkey FOREIGN KEY(made_under_id) REFERENCES grants (id),
    CONSTRAINT grants_made_by_id_fkey FOREIGN KEY(made_by_id) REFERENCES accounts (id)
);
CREATE INDEX grants_made_under_ix ON grants (made_under_id) WHERE made_under_id IS NOT NULL;
CREATE INDEX grants_of_cause_ix ON grants (cause_id) WHERE ends_at IS NULL;
CREATE INDEX grants_of_grantee_ix ON grants (grantee_id, resource_kind, resource_id, starts_at);
CREATE INDEX grants_on_resource_ix ON grants (resource_id, resource_kind, starts_at);

CREATE TABLE memberships (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    role TEXT NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT memberships_pkey PRIMARY KEY (id),
    CONSTRAINT memberships_role_check CHECK (role IN ('admin', 'physician', 'admin_staff', 'scheduler', 'radiologist', 'trial_physician', 'member')),
    CONSTRAINT memberships_ends_after_start_check CHECK (ends_at >= starts_at),
    CONSTRAINT memberships_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
    CONSTRAINT memberships_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE INDEX memberships_of_account_ix ON memberships (account_id);
CREATE INDEX memberships_of_organization_ix ON memberships (organization_id, account_id);
CREATE UNIQUE INDEX memberships_one_open_ix ON memberships (account_id, organization_id) WHERE ends_at IS NULL;

CREATE TABLE partnership_tallies (
    organization_id UUID NOT NULL,
    side TEXT NOT NULL,
    status TEXT NOT NULL,
    count INTEGER NOT NULL,
    CONSTRAINT partnership_tallies_pkey PRIMARY KEY (organization_id, side, status),
    CONSTRAINT partnership_tallies_side_check CHECK (side IN ('source', 'target')),
    CONSTRAINT partnership_tallies_count_check CHECK (count >= 0),
    CONSTRAINT partnership_tallies_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);

CREATE TABLE partnerships (
    id UUID NOT NULL,
    source_id UUID NOT NULL,
    target_id UUID NOT NULL,
    pair_low UUID GENERATED ALWAYS AS (least(source_id, target_id)) STORED NOT NULL,
    pair_high UUID GENERATED ALWAYS AS (greatest(source_id, target_id)) STORED NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    response_message TEXT,
    requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    responded_at TIMESTAMP WITH TIME ZONE,
    canceled_at TIMESTAMP WITH TIME ZONE,
    terminated_at TIMESTAMP WITH TIME ZONE,
    terminated_by UUID,
    termination_reason TEXT,
    rejected_at TIMESTAMP WITH TIME ZONE,
    resend_exempted_at TIMESTAMP WITH TIME ZONE,
    reestablish_exempted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT partnerships_pkey PRIMARY KEY (id),
    CONSTRAINT partnerships_status_check CHECK (status IN ('pending_approval', 'approved', 'rejected', 'canceled', 'expired', 'terminated')),
    CONSTRAINT partnerships_two_organizations_check CHECK (source_id <> target_id),
    CONSTRAINT partnerships_expires_after_request_check CHECK (expires_at > requested_at),
    CONSTRAINT partnerships_answered_in_time_check CHECK (responded_at >= requested_at AND responded_at < expires_at),
    CONSTRAINT partnerships_answer_has_a_time_check CHECK (status NOT IN ('pending_approval', 'approved', 'rejected') OR (responded_at IS NULL) = (status = 'pending_approval')),
    CONSTRAINT partnerships_rejection_is_remembered_check CHECK (status <> 'rejected' OR rejected_at IS NOT NULL),
    CONSTRAINT partnerships_cancel_has_a_time_check CHECK (status <> 'canceled' OR canceled_at IS NOT NULL),
    CONSTRAINT partnerships_termination_has_a_time_check CHECK (status <> 'terminated' OR terminated_at IS NOT NULL),
    CONSTRAINT partnerships_termination_is_whole_check CHECK ((terminated_at IS NULL) = (terminated_by IS NULL) AND (terminated_at IS NULL) = (termination_reason IS NULL)),
    CONSTRAINT partnerships_source_id_fkey FOREIGN KEY(source_id) REFERENCES organizations (id),
    CONSTRAINT partnerships_target_id_fkey FOREIGN KEY(target_id) REFERENCES organizations (id),
    CONSTRAINT partnerships_terminated_by_fkey FOREIGN KEY(terminated_by) REFERENCES organizations (id)
);
CREATE INDEX partnerships_of_source_by_status_ix ON partnerships (source_id, status, requested_at, id);
CREATE INDEX partnerships_of_source_ix ON partnerships (source_id, requested_at, id);
CREATE INDEX partnerships_of_source_pending_ix ON partnerships (source_id, expires_at) WHERE status = 'pending_approval';
CREATE INDEX partnerships_of_target_by_status_ix ON partnerships (target_id, status, requested_at, id);
CREATE INDEX partnerships_of_target_ix ON partnerships (target_id, requested_at, id);
CREATE INDEX partnerships_of_target_pending_ix ON partnerships (target_id, expires_at) WHERE status = 'pending_approval';
CREATE UNIQUE INDEX partnerships_one_live_per_pair_ix ON partnerships (pair_low, pair_high) WHERE status IN ('pending_approval', 'approved');
CREATE INDEX partnerships_pair_latest_ix ON partnerships (pair_low, pair_high, requested_at);
CREATE INDEX partnerships_to_expire_ix ON partnerships (expires_at) WHERE status = 'pending_approval';

CREATE TABLE sessions (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    organization_id UUID,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason TEXT,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_end_has_a_reason_check CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT sessions_expires_after_start_check CHECK (expires_at > started_at),
    CONSTRAINT sessions_end_reason_check CHECK (end_reason IN ('signed_out', 'token_reused', 'account_disabled')),
    CONSTRAINT sessions_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
    CONSTRAINT sessions_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE INDEX sessions_open_of_account_ix ON sessions (account_id) WHERE ended_at IS NULL;

CREATE TABLE refresh_tokens (
    id UUID NOT NULL,
    session_id UUID NOT NULL,
    key_number INTEGER NOT NULL,
    nonce BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    successor_id UUID,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT refresh_tokens_use_has_a_successor_check CHECK ((used_at IS NULL) = (successor_id IS NULL)),
    CONSTRAINT refresh_tokens_expires_after_issue_check CHECK (expires_at > issued_at),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY(session_id) REFERENCES sessions (id),
    CONSTRAINT refresh_tokens_digest_key UNIQUE (digest),
    CONSTRAINT refresh_tokens_successor_id_fkey FOREIGN KEY(successor_id) REFERENCES refresh_tokens (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX refresh_tokens_of_session_ix ON refresh_tokens (session_id);
"""

# The audit can't be rewritten, not even by a mistake of ours (docs/decisions/0004). What still can (a superuser who removes the
# triggers) is what the seals are for.
NEVER_CHANGED = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""

# A grant or a membership is an interval: it may be ended, once, and nothing else of it ever changes (docs/decisions/0006).
ONLY_ENDED = """
CREATE FUNCTION refuse_all_but_ending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ends_at IS NOT NULL OR to_jsonb(NEW) - 'ends_at' <> to_jsonb(OLD) - 'ends_at' THEN
        RAISE EXCEPTION 'a row of % can be ended, once, and not changed', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

# The tallies follow the partnerships whoever writes them. Two writers can't embrace here: who moves a partnership holds the
# locks of both organizations, whose tallies these are.
KEEP_TALLIES = """
CREATE FUNCTION keep_partnership_tallies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.status, NEW.source_id, NEW.target_id) = (OLD.status, OLD.source_id, OLD.target_id) THEN
        RETURN NULL;
    END IF;
    INSERT INTO partnership_tallies AS kept (organization_id, side, status, count)
    VALUES (NEW.source_id, 'source', NEW.status, 1), (NEW.target_id, 'target', NEW.status, 1)
    ON CONFLICT (organization_id, side, status) DO UPDATE SET count = kept.count + 1;
    IF TG_OP = 'UPDATE' THEN
        UPDATE partnership_tallies SET count = count - 1
        WHERE organization_id = OLD.source_id AND side = 'source' AND status = OLD.status;
        UPDATE partnership_tallies SET count = count - 1
        WHERE organization_id = OLD.target_id AND side = 'target' AND status = OLD.status;
    END IF;
    RETURN NULL;
END $$
"""

# A month that can't be made, because the default partition holds rows of it already (a clock that ran ahead), stays there.
MAKE_PARTITIONS = """
CREATE FUNCTION make_event_partitions(first_month date, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month date;
    parent text;
    part text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'event_parties'] LOOP
        FOR month IN
            SELECT generate_series(date_trunc('month', first_month),
                                   date_trunc('month', first_month) + make_interval(months => months - 1),
                                   '1 month')::date
        LOOP
            part := parent || to_char(month, '_YYYY_MM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
                               month::timestamp AT TIME ZONE 'UTC',
                               (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
                EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I '
                               'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
            EXCEPTION WHEN check_violation THEN
                NULL;
            END;
        END LOOP;
    END LOOP;
END $$
"""

AFTERWARDS = """
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON event_parties
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON event_parties
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE TABLE event_parties_other PARTITION OF event_parties DEFAULT;
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON events_other
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON event_parties_other
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_ended BEFORE UPDATE ON grants
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_ending();
CREATE TRIGGER never_deleted BEFORE DELETE ON grants
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_ended BEFORE UPDATE ON memberships
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_ending();
CREATE TRIGGER never_deleted BEFORE DELETE ON memberships
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON partnerships
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER keep_tallies AFTER INSERT OR UPDATE ON partnerships
    FOR EACH ROW EXECUTE FUNCTION keep_partnership_tallies();
CREATE TABLE known_keys (
    purpose TEXT NOT NULL,
    number INTEGER NOT NULL,
    fingerprint BYTEA NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT known_keys_pkey PRIMARY KEY (purpose, number)
);
SELECT make_event_partitions(current_date, 3);
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for statement in _split(TABLES):
        op.execute(statement)
    for function in (NEVER_CHANGED, ONLY_ENDED, KEEP_TALLIES, MAKE_PARTITIONS):
        op.execute(function)
    for statement in _split(AFTERWARDS):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
