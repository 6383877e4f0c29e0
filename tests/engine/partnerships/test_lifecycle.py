"""The lifecycle of partnerships as the product of all verbs, all statuses and all who might try (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from engine.ground import Ground
from hospitium.engine import errors
from hospitium.engine.context import Context
from hospitium.engine.partnerships import actions, lifecycle
from hospitium.engine.partnerships.record import PartnershipStatus as Status

# Seven situations: the six statuses, and a request past its time that no sweep has met ("overdue").
SITUATIONS = ("pending", "approved", "rejected", "canceled", "expired", "overdue", "terminated")

# ada asks rui; zoe is nobody to either. Written from the contract: where it is open, for whom, and where it leads.
OPEN = {
    ("approve", "pending", "rui"): "approved",
    ("reject", "pending", "rui"): "rejected",
    ("cancel", "pending", "ada"): "canceled",
    ("resend", "rejected", "ada"): "pending_approval",
    ("terminate", "approved", "ada"): "terminated",
    ("terminate", "approved", "rui"): "terminated",
    ("reestablish", "terminated", "ada"): "pending_approval",
    ("reestablish", "terminated", "rui"): "pending_approval",
}
FOR_THE_OTHER_SIDE = {("approve", "ada"), ("reject", "ada"), ("cancel", "rui"), ("resend", "rui")}
VERBS = ("approve", "reject", "cancel", "resend", "terminate", "reestablish")


async def bring_about(ground: Ground, ctx: Context, situation: str) -> tuple[UUID, Context]:
    """Let ada ask rui, and bring the partnership into a situation by the moves that lead there."""

    def by(name: str) -> Context:
        return Context(ctx.tx, ground.actors[name], ctx.now)

    asked = await actions.request(by("ada"), ground.lakeside, "Hello", ground.rules)
    partnership_id = asked.partnership.id
    now = ctx.now + timedelta(hours=1)
    ctx = Context(ctx.tx, ctx.actor, now)
    match situation:
        case "approved":
            await ground.move(by("rui"), "approve", partnership_id)
        case "rejected":
            await ground.move(by("rui"), "reject", partnership_id)
        case "canceled":
            await ground.move(by("ada"), "cancel", partnership_id)
        case "terminated":
            await ground.move(by("rui"), "approve", partnership_id)
            await ground.move(by("ada"), "terminate", partnership_id)
        case "overdue" | "expired":
            ctx = Context(ctx.tx, ctx.actor, asked.partnership.expires_at)
            if situation == "expired":
                assert await actions.expire_one(by("system"))
    return partnership_id, Context(ctx.tx, ctx.actor, ctx.now + timedelta(hours=1))


async def row(ctx: Context, partnership_id: UUID) -> tuple[str, int, int]:
    """Return status, version and number of events of a partnership, as they are kept."""
    found = await ctx.tx.fetchrow(
        "SELECT status, version, (SELECT count(*) FROM events WHERE subject_id = $1) AS told FROM partnerships WHERE id = $1",
        partnership_id,
    )
    assert found is not None
    return found["status"], found["version"], found["told"]


def expected(verb: str, situation: str, who: str) -> str:
    """Return where a try leads: a status, or the name of the refusal."""
    if who == "zoe":
        return "NotFound"
    if (verb, who) in FOR_THE_OTHER_SIDE:
        return "WrongSide"
    if (verb, situation, who) in OPEN:
        return OPEN[verb, situation, who]
    if situation in ("expired", "overdue") and verb in ("approve", "reject", "cancel"):
        return "RequestExpired"
    return "WrongState"


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_from_every_status_by_everyone(ground: Ground, verb: str) -> None:
    found = {}
    for situation in SITUATIONS:
        for who in ("ada", "rui", "zoe"):
            async with ground.trial() as tx:
                start = ground.context(tx, "operator")
                partnership_id, after = await bring_about(ground, start, situation)
                ctx = Context(tx, ground.actors[who], after.now)
                before = await row(ctx, partnership_id)
                try:
                    view = await ground.move(ctx, verb, partnership_id)
                except errors.Refusal as refusal:
                    found[situation, who] = type(refusal).__name__
                    assert await row(ctx, partnership_id) == before
                else:
                    found[situation, who] = str(view.partnership.status)
                    assert await row(ctx, partnership_id) == (
                        view.partnership.status,
                        before[1] + 1,
                        before[2] + 1,
                    )
                    assert view.partnership.version == before[1] + 1
    assert found == {(s, w): expected(verb, s, w) for s in SITUATIONS for w in ("ada", "rui", "zoe")}


async def test_a_second_request_from_every_status_either_way(ground: Ground) -> None:
    already = {
        "pending": "AlreadyConnected",
        "approved": "AlreadyConnected",
        "terminated": "TerminationCooldown",
    }
    found = {}
    for situation in SITUATIONS:
        for who, target in (("ada", "lakeside"), ("rui", "northside"), ("zoe", "lakeside")):
            async with ground.trial() as tx:
                partnership_id, after = await bring_about(ground, ground.context(tx, "operator"), situation)
                ctx = Context(tx, ground.actors[who], after.now)
                before = await row(ctx, partnership_id)
                try:
                    view = await actions.request(ctx, ground.organizations[target], None, ground.rules)
                except errors.Refusal as refusal:
                    found[situation, who] = type(refusal).__name__
                    assert await row(ctx, partnership_id) == before
                else:
                    found[situation, who] = "asked"
                    assert view.partnership.id != partnership_id
    assert found == {
        # Nobody's standing is another's: zoe may always ask. Only who was rejected has to wait.
        (situation, who): "asked"
        if who == "zoe"
        else already.get(
            situation, "RejectionCooldown" if (situation, who) == ("rejected", "ada") else "asked"
        )
        for situation in SITUATIONS
        for who in ("ada", "rui", "zoe")
    }


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_only_the_clock_expires_a_request(ground: Ground, situation: str) -> None:
    async with ground.trial() as tx:
        partnership_id, after = await bring_about(ground, ground.context(tx, "operator"), situation)
        before = await row(after, partnership_id)
        swept = await actions.expire_one(Context(tx, ground.actors["system"], after.now))
        assert swept == (situation == "overdue")
        if swept:
            assert await row(after, partnership_id) == (Status.EXPIRED, before[1] + 1, before[2] + 1)
        else:
            assert await row(after, partnership_id) == before


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel"])
@pytest.mark.parametrize(("microseconds", "in_time"), [(-1, True), (0, False), (1, False)])
async def test_the_deadline_holds_to_the_microsecond_without_a_sweep(
    ground: Ground, verb: str, microseconds: int, in_time: bool
) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    deadline = (await ground.rows("SELECT expires_at FROM partnerships"))[0]["expires_at"]
    at = deadline + timedelta(microseconds=microseconds)
    who = "ada" if verb == "cancel" else "rui"
    if in_time:
        await ground.moves(who, verb, partnership_id, now=at)
    else:
        with pytest.raises(errors.RequestExpired):
            await ground.moves(who, verb, partnership_id, now=at)


# A server whose clock runs behind, or a caller who waited long for a lock, brings an instant that is older than the row.
BEHIND = timedelta(milliseconds=5)


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel"])
async def test_a_clock_that_runs_behind_still_answers(ground: Ground, verb: str) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    view = await ground.moves(
        "ada" if verb == "cancel" else "rui", verb, partnership_id, now=ground.clock() - BEHIND
    )
    assert (
        view.partnership.responded_at is None
        or view.partnership.responded_at >= view.partnership.requested_at
    )
    assert await ground.violations() == []


async def test_a_clock_that_runs_behind_still_ends_a_partnership_and_its_grants(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    await ground.moves("ada", "terminate", partnership_id, now=ground.clock() - BEHIND)
    grants = await ground.rows("SELECT starts_at, ends_at FROM grants")
    assert [grant["ends_at"] >= grant["starts_at"] for grant in grants] == [True, True]
    await ground.moves("rui", "reestablish", partnership_id, now=ground.clock() - BEHIND)
    assert await ground.violations() == []


def test_the_picture_in_the_module_is_drawn_from_the_table() -> None:
    """Whoever changes a move changes the picture: copy `lifecycle.diagram()` into the module's docstring."""
    assert lifecycle.__doc__ is not None
    picture = [line for line in lifecycle.__doc__.splitlines() if "──▶" in line]
    assert picture == lifecycle.diagram().splitlines()


def test_every_move_there_is_was_tried() -> None:
    assert set(lifecycle.MOVES) == {*VERBS, "expire"}
    moves = {
        (verb, source, str(move.target)) for verb, move in lifecycle.MOVES.items() for source in move.sources
    }
    names = {"pending": "pending_approval"}
    assert moves == {(verb, names.get(s, s), to) for (verb, s, _), to in OPEN.items()} | {
        ("expire", "pending_approval", "expired")
    }
