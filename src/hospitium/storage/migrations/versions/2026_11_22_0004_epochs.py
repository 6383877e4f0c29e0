"""Epochs: what a restore from a backup must not bring back to life.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-22
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE epochs (
    number INTEGER NOT NULL,
    place TEXT NOT NULL,
    begun_at TIMESTAMP WITH TIME ZONE NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE,
    holds_until TIMESTAMP WITH TIME ZONE,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT epochs_pkey PRIMARY KEY (number),
    CONSTRAINT epochs_number_check CHECK (number >= 1),
    CONSTRAINT epochs_first_holds_nothing_check CHECK ((number = 1) = (holds_until IS NULL)),
    CONSTRAINT epochs_taken_is_restored_check CHECK (taken_at IS NULL OR holds_until IS NOT NULL),
    CONSTRAINT epochs_holds_past_its_beginning_check CHECK (holds_until >= begun_at),
    CONSTRAINT epochs_confirmed_is_held_check CHECK (confirmed_at IS NULL OR confirmed_at >= begun_at AND holds_until IS NOT NULL)
);
"""


def upgrade() -> None:
    for statement in _split(TABLES):
        op.execute(statement)


def _split(script: str) -> list[str]:
    # A colon would be read as a parameter, and asyncpg takes one statement at a time.
    return [part.strip().replace(":", "\\:") for part in script.split(";\n") if part.strip()]
