"""A request that creates can be repeated without creating twice (ruling 27).

The key is claimed in the deed's own transaction: of two at once the second waits, and then finds the answer of the first.
A refused deed is rolled back, and its claim with it: nothing was created, so trying again is a fresh try.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert

from hospitium.engine.errors import Invalid, KeyReused, NotSignedIn, Unavailable
from hospitium.storage.statements import Query, Statement, struct
from hospitium.storage.tables import metadata

if TYPE_CHECKING:
    from hospitium.engine.context import Context

LIFE = timedelta(hours=24)
LONGEST_KEY = 255

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("claimed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("status", SmallInteger),
    Column("answer", LargeBinary),
    CheckConstraint("(status IS NULL) = (answer IS NULL)", name="answer_is_whole"),
)
Index("idempotency_keys_claimed_ix", idempotency_keys.c.claimed_at)
_c = idempotency_keys.c


class KeptAnswer(msgspec.Struct, frozen=True):
    """What the first request of a key was, and what it was answered."""

    request_digest: bytes
    status: int | None
    answer: bytes | None


_claiming = insert(idempotency_keys).values(
    account_id=bindparam("account_id"),
    key=bindparam("key"),
    request_digest=bindparam("request_digest", type_=LargeBinary),
    claimed_at=bindparam("now"),
)
# A key older than its life is as good as new.
_CLAIM = Statement(
    _claiming.on_conflict_do_update(
        index_elements=[_c.account_id, _c.key],
        set_={
            "request_digest": _claiming.excluded.request_digest,
            "claimed_at": _claiming.excluded.claimed_at,
            "status": None,
            "answer": None,
        },
        where=_c.claimed_at <= bindparam("outlived"),
    )
)
_mine = (_c.account_id == bindparam("account_id")) & (_c.key == bindparam("key"))
_kept = select(_c.request_digest, _c.status, _c.answer).where(_mine)
_KEPT = Query(_kept, struct(KeptAnswer))
_STILL_KEPT = Query(_kept.where(_c.claimed_at > bindparam("outlived")), struct(KeptAnswer))
_KEEP = Statement(
    update(idempotency_keys)
    .where(_c.account_id == bindparam("of_account"), _c.key == bindparam("of_key"))
    .values(status=bindparam("with_status"), answer=bindparam("with_answer"))
)
_FORGET = Statement(delete(idempotency_keys).where(_c.claimed_at <= bindparam("outlived")))


async def claim(ctx: Context, key: str, request_digest: bytes) -> KeptAnswer | None:
    """Claim a key for this request: None if it is ours to answer, else the answer the same request got before.

    Raises KeyReused (another request had it), Invalid, NotSignedIn.
    """
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid("Idempotency-Key", f"must be 1 to {LONGEST_KEY} printable characters")
    if ctx.actor.account_id is None:
        raise NotSignedIn
    claimed = await _CLAIM.run(
        ctx.tx,
        account_id=ctx.actor.account_id,
        key=key,
        request_digest=request_digest,
        now=ctx.now,
        outlived=ctx.now - LIFE,
    )
    if claimed:
        return None
    kept = await _KEPT.first(ctx.tx, account_id=ctx.actor.account_id, key=key)
    if kept is None:
        raise Unavailable(1)  # swept away this very moment: a second try finds it free
    if kept.request_digest != request_digest:
        raise KeyReused
    return kept


async def kept_before(ctx: Context, key: str, request_digest: bytes) -> KeptAnswer | None:
    """Return what this request was answered before under a key, and claim nothing. Raises KeyReused, NotSignedIn.

    For deeds that ask somebody else, or work slowly, before they come to claim it.
    """
    if ctx.actor.account_id is None:
        raise NotSignedIn
    kept = await _STILL_KEPT.first(ctx.tx, account_id=ctx.actor.account_id, key=key, outlived=ctx.now - LIFE)
    if kept is not None and kept.request_digest != request_digest:
        raise KeyReused
    return kept


async def keep(ctx: Context, key: str, status: int, answer: bytes) -> None:
    """Keep the answer of this deed under the key it claimed."""
    await _KEEP.run(
        ctx.tx, of_account=ctx.actor.account_id, of_key=key, with_status=status, with_answer=answer
    )


async def forget_outlived(ctx: Context) -> int:
    """Delete the keys that have outlived their 24 hours; return how many. For the sweep."""
    return await _FORGET.run(ctx.tx, outlived=ctx.now - LIFE)
