"""What is kept of tries: for each key one instant, by which it will be as if nothing had been tried."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata

throttles = Table(
    "throttles",
    metadata,
    # A keyed hash: neither an e-mail address nor a network address can be read here.
    Column("key", LargeBinary, primary_key=True),
    Column("free_at", TIMESTAMP(timezone=True), nullable=False),
)
Index("throttles_free_ix", throttles.c.free_at)

familiar_networks = Table(
    "familiar_networks",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("network", LargeBinary, primary_key=True),
    Column("seen_at", TIMESTAMP(timezone=True), nullable=False),
)
Index("familiar_networks_seen_ix", familiar_networks.c.seen_at)
