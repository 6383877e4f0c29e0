"""What tests of sharing have in common: a type, its records, and shares of them, each in a line; to be done as somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from hospitium.engine.access.check import Question, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.accounts.mails import Post
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.engine.object_types import actions as object_types
from hospitium.engine.object_types.actions import TypeSettings
from hospitium.engine.object_types.record import ObjectType, Storage
from hospitium.engine.records import actions as records
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.secrets import DerivationKey, LinkToken, derive
from hospitium.engine.shares import actions as shares, contexts
from hospitium.engine.shares.queries import ShareView
from hospitium.engine.shares.record import SHARE_PURPOSE, Share, TargetForm
from hospitium.engine.shares.targets import Target
from hospitium.engine.throttles.rules import Limit

KEY = DerivationKey(1, b"k" * 32)
POST = Post(KEY, Limit(1_000, timedelta(seconds=1)))
BODY = RecordForm(body=msgspec.Raw(b'{"drug": "aspirin"}'), names=frozenset({"drug"}))
WHOLE_CHAIN = (6, 5, 4, 2)


async def a_type(ctx: Context, name: str = "c_prescription", **settings: Any) -> ObjectType:
    """Define a type that may be shared, whose every grantable level may be given, and of which no mail is sent."""
    chosen: dict[str, Any] = {
        "label": "Prescription",
        "allows_shares": True,
        "sends_notifications": False,
        "share_chain": WHOLE_CHAIN,
        **settings,
    }
    return await object_types.define(ctx, name, f"{name}s", Storage.STORED, TypeSettings(**chosen))


async def a_record(ctx: Context, object_type: ObjectType, form: RecordForm = BODY) -> UUID:
    """Make a record; return its id."""
    made: UUID = (await records.create(ctx, object_type, form)).record.id
    return made


def to_email(email: str, level: int = 4, **more: Any) -> Target:
    return Target(form=TargetForm.EMAIL, level=level, email=email, **more)


def to_account(account_id: UUID | None, level: int = 4, **more: Any) -> Target:
    return Target(form=TargetForm.ACCOUNT, level=level, id=account_id, **more)


def to_team(team_id: UUID, level: int = 4, **more: Any) -> Target:
    return Target(form=TargetForm.TEAM, level=level, id=team_id, **more)


async def offer(ctx: Context, record_id: UUID, target: Target) -> Share:
    """Share a record with one target."""
    made: list[ShareView] = await shares.offer(ctx, await contexts.record(ctx, record_id), [target], POST)
    return made[0].share


async def offer_account(ctx: Context, organization_id: UUID, account_id: UUID, target: Target) -> Share:
    """Share an account with one target."""
    shared = await contexts.account(ctx, organization_id, account_id)
    return (await shares.offer(ctx, shared, [target], POST))[0].share


def token_of(share: Share) -> LinkToken:
    """Return what the mail, and the target's list, have of a share that waits."""
    assert share.nonce is not None
    return derive(KEY, SHARE_PURPOSE, share.id, share.nonce)


async def accept(ctx: Context, share: Share) -> Share:
    """Accept a share; return it as it is then."""
    return (await shares.accept(ctx, token_of(share))).share


async def level_of(
    ctx: Context,
    account_id: UUID | None,
    object_type: ObjectType,
    record_id: UUID,
    now: datetime | None = None,
) -> int:
    """Return what an account may do on a record; 0 if nothing."""
    assert account_id is not None
    question = Question(
        SubjectKind.ACCOUNT,
        account_id,
        Level.PUBLIC,
        ResourceKind.RECORD,
        str(record_id),
        str(object_type.id),
    )
    decision = await check(ctx._replace(now=now or ctx.now), question)
    return int(decision.level) if isinstance(decision, Allowed) else 0
