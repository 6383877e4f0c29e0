"""FHIR servers, persons and who looks after them, invites; grants on servers and patients.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-28
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE fhir_servers (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    base_url TEXT,
    allow_private_address BOOLEAN DEFAULT false NOT NULL,
    credentials_kind TEXT,
    credentials_key_number INTEGER,
    sealed_credentials BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    suspended_at TIMESTAMP WITH TIME ZONE,
    removed_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT fhir_servers_pkey PRIMARY KEY (id),
    CONSTRAINT fhir_servers_kind_check CHECK (kind IN ('built-in', 'remote')),
    CONSTRAINT fhir_servers_remote_has_an_address_check CHECK ((kind = 'remote') = (base_url IS NOT NULL)),
    CONSTRAINT fhir_servers_only_remote_is_private_check CHECK (kind = 'remote' OR NOT allow_private_address),
    CONSTRAINT fhir_servers_credentials_kind_check CHECK (credentials_kind IN ('bearer', 'basic')),
    CONSTRAINT fhir_servers_credentials_are_whole_check CHECK (num_nonnulls(credentials_kind, credentials_key_number, sealed_credentials) IN (0, 3)),
    CONSTRAINT fhir_servers_only_remote_has_credentials_check CHECK (credentials_kind IS NULL OR kind = 'remote'),
    CONSTRAINT fhir_servers_suspended_after_creation_check CHECK (suspended_at >= created_at),
    CONSTRAINT fhir_servers_removed_after_creation_check CHECK (removed_at >= created_at),
    CONSTRAINT fhir_servers_removed_has_no_credentials_check CHECK (removed_at IS NULL OR sealed_credentials IS NULL),
    CONSTRAINT fhir_servers_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX fhir_servers_one_name_ix ON fhir_servers (organization_id, name_key) WHERE removed_at IS NULL;

CREATE TABLE fhir_resources (
    fhir_server_id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    last_updated TIMESTAMP WITH TIME ZONE NOT NULL,
    body JSONB NOT NULL,
    digest BYTEA NOT NULL,
    patients TEXT[] NOT NULL,
    search_keys UUID[] NOT NULL,
    names TEXT,
    date_from TIMESTAMP WITH TIME ZONE NOT NULL,
    date_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT fhir_resources_pkey PRIMARY KEY (fhir_server_id, type, id),
    CONSTRAINT fhir_resources_type_form_check CHECK (type ~ '^[A-Z][A-Za-z]{1,63}$'),
    CONSTRAINT fhir_resources_id_form_check CHECK (id ~ '^[A-Za-z0-9.-]{1,64}$' AND id NOT IN ('.', '..')),
    CONSTRAINT fhir_resources_body_is_that_resource_check CHECK (body ->> 'resourceType' IS NOT DISTINCT FROM type AND body ->> 'id' IS NOT DISTINCT FROM id),
    CONSTRAINT fhir_resources_version_check CHECK (version >= 1),
    CONSTRAINT fhir_resources_date_is_a_span_check CHECK (date_until > date_from),
    CONSTRAINT fhir_resources_fhir_server_id_fkey FOREIGN KEY(fhir_server_id) REFERENCES fhir_servers (id)
);
CREATE INDEX fhir_resources_by_date_ix ON fhir_resources (fhir_server_id, type, date_from, id);
CREATE INDEX fhir_resources_by_update_ix ON fhir_resources (fhir_server_id, type, last_updated, id);
CREATE INDEX fhir_resources_keys_ix ON fhir_resources USING gin (search_keys);
CREATE INDEX fhir_resources_names_ix ON fhir_resources USING gin (names gin_trgm_ops) WHERE names IS NOT NULL;
CREATE INDEX fhir_resources_of_patient_ix ON fhir_resources (fhir_server_id, type, (patients[1]), date_from, id);

CREATE TABLE persons (
    id UUID NOT NULL,
    first_name TEXT,
    middle_name TEXT,
    last_name TEXT,
    gender TEXT,
    birth_date DATE,
    address_line1 TEXT,
    address_line2 TEXT,
    city TEXT,
    state TEXT,
    zip_code TEXT,
    identifiers JSONB NOT NULL,
    contacts JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT persons_pkey PRIMARY KEY (id),
    CONSTRAINT persons_gender_check CHECK (gender IN ('male', 'female', 'other', 'unknown')),
    CONSTRAINT persons_updated_after_creation_check CHECK (updated_at >= created_at),
    CONSTRAINT persons_ends_after_creation_check CHECK (ended_at >= created_at),
    CONSTRAINT persons_ended_is_nobody_check CHECK (CASE WHEN ended_at IS NULL THEN num_nonnulls(first_name, last_name, gender) = 3 ELSE num_nonnulls(first_name, middle_name, last_name, gender, birth_date, address_line1, address_line2, city, state, zip_code) = 0 AND identifiers = '[]' AND contacts = '[]' END)
);

CREATE TABLE person_roles (
    id UUID NOT NULL,
    person_id UUID NOT NULL,
    account_id UUID NOT NULL,
    level SMALLINT NOT NULL,
    is_owner BOOLEAN NOT NULL,
    relationship TEXT NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT person_roles_pkey PRIMARY KEY (id),
    CONSTRAINT person_roles_level_check CHECK (level IN (4, 6, 7)),
    CONSTRAINT person_roles_owner_has_it_all_check CHECK (NOT is_owner OR level = 7),
    CONSTRAINT person_roles_relationship_check CHECK (relationship IN ('self', 'parent', 'child', 'sibling', 'spouse', 'relative', 'provider', 'other')),
    CONSTRAINT person_roles_ends_after_start_check CHECK (ends_at >= starts_at),
    CONSTRAINT person_roles_person_id_fkey FOREIGN KEY(person_id) REFERENCES persons (id),
    CONSTRAINT person_roles_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX person_roles_of_account_ix ON person_roles (account_id, person_id);
CREATE UNIQUE INDEX person_roles_one_of_account_ix ON person_roles (person_id, account_id) WHERE ends_at IS NULL;
CREATE UNIQUE INDEX person_roles_one_owner_ix ON person_roles (person_id) WHERE is_owner AND ends_at IS NULL;

CREATE TABLE person_offers (
    id UUID NOT NULL,
    person_id UUID NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    level SMALLINT NOT NULL,
    relationship TEXT NOT NULL,
    status TEXT NOT NULL,
    offered_by_id UUID NOT NULL,
    offered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    account_id UUID,
    language TEXT NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT person_offers_pkey PRIMARY KEY (id),
    CONSTRAINT person_offers_level_check CHECK (level IN (4, 6, 7)),
    CONSTRAINT person_offers_relationship_check CHECK (relationship IN ('self', 'parent', 'child', 'sibling', 'spouse', 'relative', 'provider', 'other')),
    CONSTRAINT person_offers_status_check CHECK (status IN ('pending', 'accepted', 'declined', 'withdrawn', 'expired')),
    CONSTRAINT person_offers_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT person_offers_expires_after_offer_check CHECK (expires_at > offered_at),
    CONSTRAINT person_offers_end_has_a_time_check CHECK ((status = 'pending') = (ended_at IS NULL)),
    CONSTRAINT person_offers_accepted_by_somebody_check CHECK ((status = 'accepted') = (account_id IS NOT NULL)),
    CONSTRAINT person_offers_person_id_fkey FOREIGN KEY(person_id) REFERENCES persons (id),
    CONSTRAINT person_offers_offered_by_id_fkey FOREIGN KEY(offered_by_id) REFERENCES accounts (id),
    CONSTRAINT person_offers_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX person_offers_one_pending_ix ON person_offers (person_id, email_key) WHERE status = 'pending';
CREATE INDEX person_offers_to_email_ix ON person_offers (email_key, id) WHERE status = 'pending';
CREATE INDEX person_offers_to_expire_ix ON person_offers (expires_at) WHERE status = 'pending';

CREATE TABLE invites (
    id UUID NOT NULL,
    fhir_server_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    patient_id TEXT COLLATE "C" NOT NULL,
    patient_summary JSONB NOT NULL,
    form TEXT NOT NULL,
    status TEXT NOT NULL,
    email TEXT,
    email_key TEXT COLLATE "C",
    first_name TEXT,
    last_name TEXT,
    key_number INTEGER,
    nonce BYTEA,
    digest BYTEA,
    question TEXT,
    code_key_number INTEGER,
    code_digest BYTEA,
    answer_hash TEXT,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    wrong_answers SMALLINT DEFAULT 0 NOT NULL,
    account_id UUID,
    person_id UUID,
    grant_id UUID,
    language TEXT NOT NULL,
    bulk_key TEXT COLLATE "C",
    replaces_id UUID,
    created_by_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    accepted_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT invites_pkey PRIMARY KEY (id),
    CONSTRAINT invites_status_check CHECK (status IN ('unbound', 'bound', 'accepted', 'declined', 'withdrawn', 'expired', 'locked', 'replaced', 'undone')),
    CONSTRAINT invites_form_check CHECK (form IN ('code', 'email')),
    CONSTRAINT invites_address_is_whole_check CHECK (num_nonnulls(email, email_key, first_name, last_name, key_number, nonce, digest) = CASE form WHEN 'email' THEN 7 ELSE 0 END),
    CONSTRAINT invites_only_codes_are_unbound_check CHECK (form = 'code' OR status NOT IN ('unbound', 'locked')),
    CONSTRAINT invites_code_is_forgotten_check CHECK (num_nonnulls(question, code_key_number, code_digest, answer_hash) = CASE status WHEN 'unbound' THEN 4 ELSE 0 END),
    CONSTRAINT invites_attempts_check CHECK (attempts BETWEEN 0 AND 5 AND wrong_answers BETWEEN 0 AND attempts),
    CONSTRAINT invites_locked_by_wrong_answers_check CHECK (status <> 'locked' OR wrong_answers = 5),
    CONSTRAINT invites_bound_to_somebody_check CHECK (CASE WHEN status IN ('unbound', 'locked') THEN account_id IS NULL WHEN status IN ('accepted', 'undone') THEN account_id IS NOT NULL WHEN status = 'bound' THEN (account_id IS NULL) = (form = 'email') ELSE true END),
    CONSTRAINT invites_acceptance_is_whole_check CHECK (num_nonnulls(person_id, grant_id, accepted_at) IN (0, 3) AND (status <> 'accepted' OR accepted_at IS NOT NULL) AND (accepted_at IS NULL OR status IN ('accepted', 'undone'))),
    CONSTRAINT invites_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT invites_expires_after_creation_check CHECK (expires_at > created_at),
    CONSTRAINT invites_accepted_in_time_check CHECK (accepted_at >= created_at AND (expires_at IS NULL OR accepted_at < expires_at)),
    CONSTRAINT invites_end_has_a_time_check CHECK ((status IN ('unbound', 'bound', 'accepted')) = (ended_at IS NULL)),
    CONSTRAINT invites_patient_id_form_check CHECK (patient_id ~ '^[A-Za-z0-9.-]{1,64}$' AND patient_id NOT IN ('.', '..')),
    CONSTRAINT invites_fhir_server_id_fkey FOREIGN KEY(fhir_server_id) REFERENCES fhir_servers (id),
    CONSTRAINT invites_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
    CONSTRAINT invites_digest_key UNIQUE (digest),
    CONSTRAINT invites_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id),
    CONSTRAINT invites_person_id_fkey FOREIGN KEY(person_id) REFERENCES persons (id),
    CONSTRAINT invites_grant_id_fkey FOREIGN KEY(grant_id) REFERENCES grants (id),
    CONSTRAINT invites_replaces_id_fkey FOREIGN KEY(replaces_id) REFERENCES invites (id),
    CONSTRAINT invites_created_by_id_fkey FOREIGN KEY(created_by_id) REFERENCES accounts (id)
);
CREATE INDEX invites_of_account_ix ON invites (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX invites_of_grant_ix ON invites (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX invites_of_patient_ix ON invites (fhir_server_id, patient_id, id);
CREATE INDEX invites_of_server_ix ON invites (fhir_server_id, id);
CREATE UNIQUE INDEX invites_one_bulk_key_ix ON invites (fhir_server_id, bulk_key) WHERE bulk_key IS NOT NULL;
CREATE UNIQUE INDEX invites_one_code_ix ON invites (code_digest) WHERE code_digest IS NOT NULL;
CREATE INDEX invites_open_of_server_ix ON invites (fhir_server_id, id) WHERE status IN ('unbound', 'bound');
CREATE UNIQUE INDEX invites_one_replacement_ix ON invites (replaces_id) WHERE replaces_id IS NOT NULL;
CREATE INDEX invites_to_email_ix ON invites (email_key, id) WHERE email_key IS NOT NULL;
CREATE INDEX invites_to_expire_ix ON invites (expires_at) WHERE status IN ('unbound', 'bound');

CREATE UNIQUE INDEX grants_one_owner_of_server_ix ON grants (fhir_server_id) WHERE resource_kind = 'fhir_server' AND is_owner AND ends_at IS NULL;

ALTER TABLE grants
    DROP COLUMN patient_id,
    DROP CONSTRAINT grants_patient_is_on_a_server_check,
    DROP CONSTRAINT grants_cause_kind_check,
    ADD CONSTRAINT grants_cause_kind_check CHECK (cause_kind IN ('partnership', 'share', 'invite', 'ownership', 'operator', 'administrator')),
    DROP CONSTRAINT grants_cause_is_named_check,
    ADD CONSTRAINT grants_cause_is_named_check CHECK ((cause_id IS NULL) = (cause_kind IN ('ownership', 'operator', 'administrator'))),
    ADD CONSTRAINT grants_server_is_named_check CHECK ((resource_kind IN ('fhir_server', 'patient')) = (fhir_server_id IS NOT NULL)),
    ADD CONSTRAINT grants_server_is_itself_check CHECK (resource_kind <> 'fhir_server' OR resource_id = fhir_server_id::text),
    ADD CONSTRAINT grants_fhir_server_id_fkey FOREIGN KEY(fhir_server_id) REFERENCES fhir_servers (id);
CREATE UNIQUE INDEX grants_one_on_server_ix ON grants (fhir_server_id, grantee_id, resource_id, grantee_kind, resource_kind) WHERE fhir_server_id IS NOT NULL AND ends_at IS NULL;

CREATE INDEX organizations_tax_id_ix ON organizations (tax_id) WHERE tax_id IS NOT NULL;

ALTER TABLE accounts
    ADD COLUMN middle_name TEXT,
    DROP CONSTRAINT accounts_deleted_is_nobody_check,
    ADD CONSTRAINT accounts_deleted_is_nobody_check CHECK (status <> 'deleted' OR (email = '' AND email_key = id::text AND password_hash = '' AND first_name IS NULL AND middle_name IS NULL AND last_name IS NULL AND external_id IS NULL AND verified_at IS NULL AND registered_with_id IS NULL));

ALTER TABLE deliveries
    ADD COLUMN invite_id UUID,
    ADD COLUMN person_offer_id UUID,
    ADD CONSTRAINT deliveries_invite_id_fkey FOREIGN KEY(invite_id) REFERENCES invites (id),
    ADD CONSTRAINT deliveries_person_offer_id_fkey FOREIGN KEY(person_offer_id) REFERENCES person_offers (id),
    DROP CONSTRAINT deliveries_one_recipient_check,
    ADD CONSTRAINT deliveries_one_recipient_check CHECK (num_nonnulls(account_id, link_id, offer_id, share_id, invite_id, person_offer_id, organization_id) = 1);

CREATE TRIGGER only_ended BEFORE UPDATE ON person_roles
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_ending();
CREATE TRIGGER never_deleted BEFORE DELETE ON person_roles
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON persons
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON person_offers
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON invites
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON fhir_servers
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
