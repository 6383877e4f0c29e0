"""The lives of shares and records as the product of all verbs, all situations and all who might try (docs/dialects/medable.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from engine import sharing
from engine.ground import Ground
from engine.sharing import to_account, to_email
from hospitium.dispatch.sweeps import expire_one_share
from hospitium.engine import errors
from hospitium.engine.context import Context
from hospitium.engine.object_types.record import ObjectType
from hospitium.engine.records import actions as records
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.records.lifecycle import MOVES as RECORD_MOVES
from hospitium.engine.records.record import RecordStatus
from hospitium.engine.shares import actions as shares
from hospitium.engine.shares.lifecycle import MOVES
from hospitium.engine.shares.record import PENDING_LIFE, Share, ShareStatus

PAT, ZOE = "pat@mail.example", "zoe@harbor.example"

# Ada owns a record and offers it to pat at level 4. Ben has level 5 on it, rui level 4, and zoe is nobody to it.
WHO = ("ada", "pat", "ben", "rui", "zoe")
# What the clock has ended and no sweep has met: "overdue" (nobody accepted it) and "closing" (its window is over).
WAITING, STANDING = ("pending",), ("active",)
OVER = ("declined", "withdrawn", "left", "revoked", "expired", "merged", "overdue", "closing", "closed")
SITUATIONS = WAITING + STANDING + OVER
VERBS = ("accept", "decline", "decline by link", "end", "change")


class Start(NamedTuple):
    """A share in a situation, and the context of an hour later."""

    share: Share
    ctx: Context


def by(ground: Ground, ctx: Context, name: str, now: Any = None) -> Context:
    return Context(ctx.tx, ground.actors[name], now or ctx.now)


async def bring_about(ground: Ground, ctx: Context, situation: str) -> Start:
    """Let ada offer pat a record, and bring the share into a situation by the deeds that lead there."""
    ada, pat, ben = (by(ground, ctx, name) for name in ("ada", "pat", "ben"))
    object_type = await sharing.a_type(ada)
    record_id = await sharing.a_record(ada, object_type)
    for name, level in (("ben", 5), ("rui", 4)):
        offered = await sharing.offer(ada, record_id, to_account(ground.actors[name].account_id, level))
        await sharing.accept(by(ground, ctx, name), offered)
    closes = ctx.now + timedelta(days=1) if situation in ("closing", "closed") else None
    if situation == "merged":
        first = await sharing.offer(ada, record_id, to_account(ground.actors["pat"].account_id))
        await sharing.accept(pat, first)
    share = await sharing.offer(ada, record_id, to_email(PAT, ends_at=closes))
    now = ctx.now + timedelta(hours=1)
    if situation in ("active", "left", "revoked", "merged", "closing", "closed"):
        await sharing.accept(pat, share)
    match situation:
        case "declined":
            await shares.decline(pat, sharing.token_of(share))
        case "withdrawn":
            await shares.end(ben, share.id)
        case "left":
            await shares.end(pat, share.id)
        case "revoked":
            await shares.end(ada, share.id)
        case "overdue" | "expired":
            now = share.expires_at
        case "closing" | "closed":
            assert closes is not None
            now = closes
    if situation in ("expired", "closed"):
        assert await expire_one_share(by(ground, ctx, "system", now))
    return Start(share, Context(ctx.tx, ctx.actor, now))


async def row(ctx: Context, share_id: UUID) -> tuple[Any, ...]:
    """Return status, level, version, number of events and of open grants of a share, as they are kept."""
    found = await ctx.tx.fetchrow(
        "SELECT status, level, version, (SELECT count(*) FROM events WHERE subject_id = $1) AS told, "
        "(SELECT count(*) FROM grants WHERE cause_id = $1 AND ends_at IS NULL) AS open FROM shares WHERE id = $1",
        share_id,
    )
    assert found is not None
    return tuple(found)


async def attempt(ctx: Context, verb: str, share: Share) -> None:
    token = sharing.token_of(share)
    match verb:
        case "accept":
            await shares.accept(ctx, token)
        case "decline":
            await shares.decline(ctx, token)
        case "decline by link":
            await shares.decline_by_link(ctx, token)
        case "end":
            await shares.end(ctx, share.id)
        case "change":
            await shares.change_level(ctx, share.id, 2)
        case _:
            raise KeyError(verb)


def expected(verb: str, situation: str, who: str) -> str:
    """Return where a try leads: a status, or the name of the refusal. Written from the contract."""
    if verb in ("accept", "decline"):
        # By its token, as its target: alike for everybody else, and for every token that is dead.
        if who != "pat" or situation not in WAITING:
            return "DeadLink"
        return "active" if verb == "accept" else "declined"
    if verb == "decline by link":
        # Whoever holds the link holds the mailbox.
        return "declined" if situation in WAITING else "DeadLink"
    if situation in OVER or who in ("rui", "zoe"):
        return "NotFound"
    if verb == "change":
        return "NotOnesShare" if who == "pat" else situation
    if who == "pat":
        return "declined" if situation in WAITING else "left"
    return "withdrawn" if situation in WAITING else "revoked"


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_in_every_situation_by_everyone(ground: Ground, verb: str) -> None:
    found = {}
    for situation in SITUATIONS:
        for who in WHO:
            async with ground.trial() as tx:
                start = await bring_about(ground, ground.context(tx, "operator"), situation)
                ctx = by(ground, start.ctx, who)
                before = await row(ctx, start.share.id)
                try:
                    await attempt(ctx, verb, start.share)
                except errors.Refusal as refusal:
                    found[situation, who] = type(refusal).__name__
                    assert await row(ctx, start.share.id) == before
                else:
                    status, level, version, told, granted = await row(ctx, start.share.id)
                    found[situation, who] = status
                    assert level == (2 if verb == "change" else 4)
                    assert (version, told) == (before[2] + 1, before[3] + 1)
                    assert granted == (1 if status == "active" else 0)
    assert found == {(s, w): expected(verb, s, w) for s in SITUATIONS for w in WHO}


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_only_the_clock_ends_a_share_by_itself(ground: Ground, situation: str) -> None:
    async with ground.trial() as tx:
        share, after = await bring_about(ground, ground.context(tx, "operator"), situation)
        before = await row(after, share.id)
        swept = await expire_one_share(by(ground, after, "system"))
        assert swept == (situation in ("overdue", "closing"))
        expired = ("expired", 4, before[2] + 1, before[3] + 1, 0)
        assert await row(after, share.id) == (expired if swept else before)


async def test_a_second_share_with_the_same_target_in_every_situation(ground: Ground) -> None:
    """Pending and active ones stand in its way; what is over doesn't, whether or not a sweep has written it down."""
    found = {}
    for situation in SITUATIONS:
        async with ground.trial() as tx:
            share, after = await bring_about(ground, ground.context(tx, "operator"), situation)
            assert share.record_id is not None
            try:
                again = await sharing.offer(by(ground, after, "ada"), share.record_id, to_email(PAT.upper()))
            except errors.AlreadyShared as refusal:
                found[situation] = refusal.field
            else:
                found[situation] = str(again.status)
                assert (await row(after, share.id))[0] not in ("pending", "active")
    assert found == {
        situation: "targets[0]" if situation in WAITING + STANDING else "pending" for situation in SITUATIONS
    }


@pytest.mark.parametrize("verb", ["accept", "decline", "decline by link", "end", "change"])
@pytest.mark.parametrize(("microseconds", "in_time"), [(-1, True), (0, False), (1, False)])
async def test_the_deadline_holds_to_the_microsecond_without_a_sweep(
    ground: Ground, verb: str, microseconds: int, in_time: bool
) -> None:
    async with ground.trial() as tx:
        share, after = await bring_about(ground, ground.context(tx, "operator"), "pending")
        assert share.expires_at == share.created_at + PENDING_LIFE
        at = share.expires_at + timedelta(microseconds=microseconds)
        ctx = by(ground, after, "ada" if verb == "change" else "pat", at)
        if in_time:
            await attempt(ctx, verb, share)
        else:
            with pytest.raises((errors.DeadLink, errors.NotFound)):
                await attempt(ctx, verb, share)


@pytest.mark.parametrize(("microseconds", "is_open"), [(-1, True), (0, False)])
async def test_a_window_closes_to_the_microsecond_without_a_sweep(
    ground: Ground, microseconds: int, is_open: bool
) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    opens, closes = (ground.clock() + timedelta(days=days) for days in (1, 2))
    share = await ground.does("ada", sharing.offer, record_id, to_email(PAT, starts_at=opens, ends_at=closes))
    await ground.does("pat", sharing.accept, share)
    step = timedelta(microseconds=microseconds)
    pat = ground.actors["pat"].account_id
    levels = [
        await ground.does("system", sharing.level_of, pat, object_type, record_id, at + step)
        for at in (opens, closes)
    ]
    assert levels == ([0, 4] if is_open else [4, 0])
    assert await ground.violations() == []


# A server whose clock runs behind, or a caller who waited long for a lock, brings an instant that is older than the row.
BEHIND = timedelta(milliseconds=5)


@pytest.mark.parametrize("verb", ["accept", "decline", "decline by link", "end", "change"])
@pytest.mark.parametrize("situation", ["pending", "active"])
async def test_a_clock_that_runs_behind_still_answers(ground: Ground, verb: str, situation: str) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    share = await ground.does("ada", sharing.offer, record_id, to_email(PAT))
    if situation == "active":
        await ground.does("pat", sharing.accept, share)
    who = "ada" if verb == "change" else "pat"
    at = ground.clock() - BEHIND
    try:
        await ground.does(who, attempt, verb, share, now=at)
    except errors.Refusal as refusal:
        # Of what has not begun, by this clock, nothing may be known yet.
        assert situation == "active" or verb == "change"
        assert isinstance(refusal, errors.DeadLink | errors.NotFound | errors.NotSharable)  # noqa: PT017
    assert await ground.violations() == []


async def test_what_is_given_is_less_than_one_has_and_in_the_chain_when_it_is_changed_too(
    ground: Ground,
) -> None:
    async with ground.trial() as tx:
        share, after = await bring_about(ground, ground.context(tx, "operator"), "active")
        found: dict[tuple[str, str], str] = {}
        for level in (1, 2, 3, 4, 5, 6, 7, 8, 0, "4", True, None):
            for who in ("ada", "ben"):
                try:
                    await shares.change_level(by(ground, after, who), share.id, level)
                except errors.Refusal as refusal:
                    found[repr(level), who] = type(refusal).__name__
                else:
                    found[repr(level), who] = "changed"
                    await shares.change_level(by(ground, after, "ada"), share.id, 4)
    both = {"1": "NotSharable", "2": "changed", "4": "WrongState", "7": "NotSharable"}
    both |= dict.fromkeys(("3", "8", "0", "'4'", "True", "None"), "WrongTarget")
    assert found == {(level, who): told for level, told in both.items() for who in ("ada", "ben")} | {
        ("5", "ada"): "changed",
        ("5", "ben"): "NotSharable",
        ("6", "ada"): "changed",
        ("6", "ben"): "NotSharable",
    }


def test_every_move_there_is_was_tried() -> None:
    statuses = {str(status) for status in ShareStatus}
    reached = {expected(verb, s, w) for verb in VERBS for s in SITUATIONS for w in WHO} & statuses
    assert reached | {"expired", "merged"} == statuses
    moves = {(verb, source, str(move.target)) for verb, move in MOVES.items() for source in move.sources}
    assert moves == {
        ("accept", "pending", "active"), ("decline", "pending", "declined"), ("merge", "pending", "merged"),
        ("withdraw", "pending", "withdrawn"), ("reoffer", "pending", "pending"), ("expire", "pending", "expired"),
        ("regrade", "active", "active"), ("leave", "active", "left"), ("revoke", "active", "revoked"),
        ("close", "active", "expired"),
    }  # fmt: skip


# -- records -----------------------------------------------------------------------------------------------------------

RECORD_VERBS = ("replace", "archive", "unarchive", "delete")
# Ada owns it; ben may update it, pat may read it, mia knows that it is there, zoe nothing.
LEVELS = {"ada": 7, "ben": 6, "pat": 4, "mia": 2, "zoe": 0}
NEEDS = {"replace": 6, "archive": 7, "unarchive": 7, "delete": 7}
FROM = {
    ("replace", "active"): "active",
    ("archive", "active"): "archived",
    ("unarchive", "archived"): "active",
    ("delete", "active"): "deleted",
    ("delete", "archived"): "deleted",
}
NEW = RecordForm(body=msgspec.Raw(b'{"drug": "ibuprofen"}'), names=frozenset({"drug"}))


async def bring_a_record_about(ground: Ground, ctx: Context, status: str) -> tuple[ObjectType, UUID]:
    ada = by(ground, ctx, "ada")
    object_type = await sharing.a_type(ada)
    record_id = await sharing.a_record(ada, object_type)
    for name, level in LEVELS.items():
        if 0 < level < 7:
            offered = await sharing.offer(ada, record_id, to_account(ground.actors[name].account_id, level))
            await sharing.accept(by(ground, ctx, name), offered)
    if status == "archived":
        await records.archive(ada, object_type, record_id)
    if status == "deleted":
        await records.delete(ada, object_type, record_id)
    return object_type, record_id


async def attempt_on_record(ctx: Context, verb: str, object_type: ObjectType, record_id: UUID) -> None:
    if verb == "replace":
        await records.replace(ctx, object_type, record_id, NEW)
    else:
        await getattr(records, verb)(ctx, object_type, record_id)


async def record_row(ctx: Context, record_id: UUID) -> tuple[Any, ...]:
    found = await ctx.tx.fetchrow(
        "SELECT status, version, body, (SELECT count(*) FROM events WHERE subject_id = $1) AS told, "
        "(SELECT count(*) FROM grants WHERE resource_id = $1::text AND ends_at IS NULL) AS open FROM records WHERE id = $1",
        record_id,
    )
    assert found is not None
    return tuple(found)


def expected_of_record(verb: str, status: str, who: str) -> str:
    # Archiving and deleting end what was shared: then nobody but the owner knows that it is there.
    has = LEVELS[who] if status == "active" or who == "ada" else 0
    if status == "deleted" or not has:
        return "NotFound"
    if has < NEEDS[verb]:
        return "Forbidden"
    return FROM.get((verb, status), "WrongState")


@pytest.mark.parametrize("verb", RECORD_VERBS)
async def test_every_verb_on_a_record_of_every_status_by_everyone(ground: Ground, verb: str) -> None:
    found = {}
    for status in RecordStatus:
        for who in LEVELS:
            async with ground.trial() as tx:
                start = ground.context(tx, "operator")
                object_type, record_id = await bring_a_record_about(ground, start, status)
                ctx = by(ground, start, who, start.now + timedelta(hours=1))
                before = await record_row(ctx, record_id)
                try:
                    await attempt_on_record(ctx, verb, object_type, record_id)
                except errors.Refusal as refusal:
                    found[status.value, who] = type(refusal).__name__
                    assert await record_row(ctx, record_id) == before
                else:
                    after, version, body, told, opened = await record_row(ctx, record_id)
                    found[status.value, who] = after
                    assert (version, told) == (before[1] + 1, before[3] + 1)
                    assert body == (
                        None
                        if after == "deleted"
                        else {"drug": "ibuprofen"}
                        if verb == "replace"
                        else before[2]
                    )
                    left = {"deleted": 0, "archived": 1, "active": 4 if status == "active" else 1}
                    assert opened == left[after]
    assert found == {(s.value, w): expected_of_record(verb, s, w) for s in RecordStatus for w in LEVELS}


async def test_what_was_shared_stays_ended_when_a_record_comes_out_of_the_archive(ground: Ground) -> None:
    async with ground.trial() as tx:
        start = ground.context(tx, "operator")
        object_type, record_id = await bring_a_record_about(ground, start, "archived")
        ada = by(ground, start, "ada")
        with pytest.raises(errors.SharingDisabled):
            await sharing.offer(ada, record_id, to_email(ZOE))
        await records.unarchive(ada, object_type, record_id)
        levels = {
            name: await sharing.level_of(ada, ground.actors[name].account_id, object_type, record_id)
            for name in LEVELS
        }
        assert levels == dict.fromkeys(LEVELS, 0) | {"ada": 7}
        await sharing.offer(ada, record_id, to_email(ZOE))


def test_every_move_of_a_record_was_tried() -> None:
    moves = {
        (verb, source, str(move.target)) for verb, move in RECORD_MOVES.items() for source in move.sources
    }
    assert moves == {(verb, source, to) for (verb, source), to in FROM.items() if verb != "replace"}
