"""The trail proved: seals over blocks of events.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-22
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE blocks (
    number BIGINT NOT NULL,
    cluster BIGINT NOT NULL,
    first_number BIGINT NOT NULL,
    last_number BIGINT NOT NULL,
    reached_transaction BIGINT NOT NULL,
    reached_position BIGINT NOT NULL,
    retired BIGINT[] DEFAULT '{}' NOT NULL,
    hashes BYTEA NOT NULL,
    previous_hash BYTEA NOT NULL,
    sealed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    key_number INTEGER NOT NULL,
    hash BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (number),
    CONSTRAINT blocks_number_check CHECK (number >= 1),
    CONSTRAINT blocks_first_number_check CHECK (first_number >= 1),
    CONSTRAINT blocks_a_hash_for_each_check CHECK (octet_length(hashes) = 32 * (last_number - first_number + 1))
);

CREATE TABLE event_seals (
    number BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    event_id UUID NOT NULL,
    CONSTRAINT event_seals_pkey PRIMARY KEY (number, at),
    CONSTRAINT event_seals_event_id_at_key UNIQUE (event_id, at)
) PARTITION BY RANGE (at);

CREATE INDEX event_parties_event_ix ON event_parties (event_id);
"""

# As in the first migration, with the seals beside the events: what belongs to a month leaves together.
MAKE_PARTITIONS = """
CREATE OR REPLACE FUNCTION make_event_partitions(first_month date, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month date;
    parent text;
    part text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'event_parties', 'event_seals'] LOOP
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

EVENT_MONTHS = """
CREATE FUNCTION event_months() RETURNS SETOF date LANGUAGE sql STABLE AS $$
    SELECT to_date(right(relname, 7), 'YYYY_MM') FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
    WHERE inhparent = 'events'::regclass AND relname <> 'events_other' ORDER BY 1
$$
"""

# Whoever writes into the month is waited for, and nobody writes into it any more until this transaction ends.
HOLD_MONTH = """
CREATE FUNCTION hold_event_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'event_parties', 'event_seals'] LOOP
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', parent || to_char(month, '_YYYY_MM'));
    END LOOP;
END $$
"""

DROP_MONTH = """
CREATE FUNCTION drop_event_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'event_parties', 'event_seals'] LOOP
        EXECUTE format('DROP TABLE %I', parent || to_char(month, '_YYYY_MM'));
    END LOOP;
END $$
"""

# The hashes of a block are read a few at a time: kept as they are (they don't compress), a slice needs no more than its bytes.
AFTERWARDS = """
ALTER TABLE blocks ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON blocks
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON blocks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON event_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON event_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TABLE event_seals_other PARTITION OF event_seals DEFAULT;
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON event_seals_other
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT make_event_partitions(month, 1) FROM event_months() AS month;
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)
    for function in (MAKE_PARTITIONS, EVENT_MONTHS, HOLD_MONTH, DROP_MONTH):
        op.execute(function)
    for statement in _split(AFTERWARDS):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
