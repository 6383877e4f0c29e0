"""Sixty-four callers answer, take back, expire and end at the same instant: one of them does it.

Each race is followed by its control: the same race with the protection taken away, which must be seen to go wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from cast import House, data
from engine.ground import Ground
from hospitium.dispatch.sweeps import expire_one_partnership
from hospitium.engine.lifecycle import Lifecycle
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.queries import LOCK
from hospitium.engine.partnerships.lifecycle import COLUMNS, LIFECYCLE, MOVES
from hospitium.engine.partnerships.queries import ACTIVE_COUNTS, LOCK_PAIR_OF_PARTNERSHIP
from hospitium.engine.partnerships.record import Partnership, PartnershipStatus as Status, partnerships
from hospitium.storage.statements import struct
from races.window import Window, take_the_lock_away, tally

CALLERS = 64
TICK = timedelta(microseconds=1)


def take_the_guard_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a control: every move writes its status, whatever status it finds and whatever the clock says."""
    unguarded = Lifecycle(
        partnerships,
        struct(Partnership),
        COLUMNS,
        {verb: move._replace(sources=frozenset(Status), guard=None) for verb, move in MOVES.items()},
    )
    monkeypatch.setattr(LIFECYCLE, "_statements", unguarded._statements)


# -- approve, reject, cancel, expire -----------------------------------------------------------------------------------


async def everyone_has_a_say(
    ground: Ground, window: Window, *, sweeps: bool = True
) -> tuple[UUID, list[object]]:
    """At the last instant before the deadline both sides act, and at the deadline the sweep comes."""
    partnership_id = await ground.asks("ada", "lakeside")
    row = await ground.rows("SELECT expires_at FROM partnerships WHERE id = $1", partnership_id)
    deadline: datetime = row[0]["expires_at"]

    def moves(who: str, verb: str):
        return lambda: ground.moves(who, verb, partnership_id, now=deadline - TICK)

    deeds = [moves("rui", "approve"), moves("rui", "reject"), moves("ada", "cancel")]
    if sweeps:
        deeds.append(lambda: ground.does("system", expire_one_partnership, now=deadline))
    outcomes = await window.race(*(deeds * (CALLERS // len(deeds))))
    ground.clock.now = max(ground.clock.now, deadline) + timedelta(days=31)
    return partnership_id, outcomes


async def version_of(ground: Ground, partnership_id: UUID) -> int:
    found = await ground.rows("SELECT version FROM partnerships WHERE id = $1", partnership_id)
    version: int = found[0]["version"]
    return version


async def must_be_one(ground: Ground, partnership_id: UUID, outcomes: list[object]) -> str:
    """Insist on one winner, whoever it is, and on the refusal that tells the losers what happened; return the status."""
    status = await ground.status_of(partnership_id)
    found = tally(
        [one for one in outcomes if not isinstance(one, bool)]
    )  # a sweep answers whether it found work
    assert await version_of(ground, partnership_id) == 2
    expired = status == "expired"
    assert found.pop("ok", 0) == (0 if expired else 1)
    assert set(found) == {"RequestExpired" if expired else "WrongState"}
    told = await ground.rows("SELECT kind FROM events WHERE subject_id = $1", partnership_id)
    assert {row["kind"] for row in told} == {"partnership.requested", f"partnership.{status}"}
    if status == "approved":  # so that the pair may be asked again
        await ground.moves("ada", "terminate", partnership_id)
        ground.clock.advance(days=31)
    return status


async def test_a_request_gets_one_answer(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    for _ in times:
        partnership_id, outcomes = await everyone_has_a_say(ground, window)
        await must_be_one(ground, partnership_id, outcomes)
    assert await ground.violations() == []


async def test_the_guard_in_the_write_is_enough_without_any_lock(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    take_the_lock_away(monkeypatch, LOCK, LOCK_PAIR_OF_PARTNERSHIP)
    for _ in times:
        partnership_id, outcomes = await everyone_has_a_say(ground, window)
        await must_be_one(ground, partnership_id, outcomes)
    assert await ground.violations() == []


async def test_control_without_the_guard_a_request_gets_many_answers(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    take_the_guard_away(monkeypatch)
    partnership_id, outcomes = await everyone_has_a_say(ground, window, sweeps=False)
    assert tally(outcomes)["ok"] > 1
    assert await version_of(ground, partnership_id) > 2
    assert {"D4-open", "D4-closed"} & set(await ground.violations())


async def test_a_request_gets_one_answer_over_http(house: House, window: Window) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    deeds = [
        lambda: house.rui.does("approve", connection_id),
        lambda: house.rui.does("reject", connection_id),
        lambda: house.ada.does("cancel", connection_id),
    ]
    answers = await window.race(*[deeds[n % 3] for n in range(CALLERS)])
    told = sorted((a.status_code, a.json().get("error", {}).get("code")) for a in answers)
    assert told == [(200, None)] + [(409, "RESOURCE_CONFLICT")] * (CALLERS - 1)
    await house.must_be_sound()


# -- an end and a new beginning ----------------------------------------------------------------------------------------


async def test_a_partnership_is_ended_once_and_its_grants_with_it(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    for _ in times:
        partnership_id = await ground.asks("ada", "lakeside")
        await ground.moves("rui", "approve", partnership_id)
        deeds = [lambda who=who: ground.moves(who, "terminate", partnership_id) for who in ("ada", "rui")]  # noqa: B023
        assert tally(await window.race(*(deeds * (CALLERS // 2)))) == {"ok": 1, "WrongState": CALLERS - 1}
        ground.clock.advance(days=31)
    assert await ground.violations() == []


async def rejected_while_it_is_sent_again(ground: Ground, window: Window) -> list[object]:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "reject", partnership_id)
    deeds = [
        lambda: ground.moves("ada", "resend", partnership_id),
        lambda: ground.moves("rui", "reject", partnership_id),
    ]
    return await window.race(*(deeds * (CALLERS // 2)))


async def test_what_a_move_left_is_told_rightly_though_it_was_read_before_the_lock(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejecters wait for the lock with the row as it was, while the asker sends the rejected request again."""
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    for _ in times:
        outcomes = tally(await rejected_while_it_is_sent_again(ground, window))
        assert outcomes["ok"] in (1, 2)
        assert set(outcomes) <= {"ok", "WrongState", "AlreadyConnected", "RejectionCooldown"}
        ground.clock.advance(days=91)
    told = await ground.rows(
        "SELECT subject_id, data FROM events WHERE kind LIKE 'partnership.%' ORDER BY position"
    )
    at: dict[UUID, str] = {}
    for subject_id, event in told:
        assert event.get("was") == at.get(subject_id)
        at[subject_id] = event["status"]
    assert await ground.violations() == []


# -- ninety-nine of a hundred ------------------------------------------------------------------------------------------

RING = 10
_SEED = """
WITH partner AS (
    INSERT INTO organizations (id, code, name, name_key, type, status, created_at, updated_at)
    SELECT gen_random_uuid(), 'p-' || substr(md5($1::uuid::text || n), 1, 30), 'P', 'p', 'both', 'active', $2, $2
    FROM generate_series(1, $3::integer) AS n RETURNING id
), made AS (
    INSERT INTO partnerships (id, source_id, target_id, status, requested_at, expires_at, responded_at)
    SELECT gen_random_uuid(), $1, id, 'approved', $2, $2 + interval '90 days', $2 FROM partner RETURNING *
), given AS (
    INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_id, level, starts_at, cause_kind, cause_id)
    SELECT gen_random_uuid(), 'organization', grantee, 'organization', resource::text, 2, $2, 'partnership', id
    FROM made CROSS JOIN LATERAL (VALUES (source_id, target_id), (target_id, source_id)) AS way (grantee, resource)
), told AS (
    INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, subject_id, data)
    SELECT gen_random_uuid(), $2, pg_current_xact_id()::text::bigint, 'partnership.imported', 'operator', 'partnership', id,
           '{"status": "approved", "version": 1}' FROM made RETURNING id, at, subject_id
)
INSERT INTO event_parties (party_id, at, event_id, party_kind)
SELECT party, at, told.id, 'organization' FROM told JOIN made ON made.id = told.subject_id
CROSS JOIN LATERAL (VALUES (source_id), (target_id)) AS side (party)
"""


async def approvals_all_around(ground: Ground, window: Window, time: int) -> tuple[list[UUID], list[object]]:
    """Ten organizations with 99 partners each; each has asked the next; all approvals at once, six or seven times each."""
    names = [f"ring{time}-{n}" for n in range(RING)]
    members = await ground.does("operator", ground.add_many, *names)
    for member in members:
        await ground.rows(_SEED, member, ground.clock(), ground.rules.active_limit - 1)
    asked = [await ground.asks(names[n], names[(n + 1) % RING]) for n in range(RING)]
    outcomes = await window.race(
        *(lambda n=n % RING: ground.moves(names[(n + 1) % RING], "approve", asked[n]) for n in range(CALLERS))
    )
    return asked, outcomes


async def test_the_hundredth_partner_is_the_last_on_either_side(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, ACTIVE_COUNTS)
    for time in times:
        asked, outcomes = await approvals_all_around(ground, window, time)
        assert await ground.violations() == []
        found = tally(outcomes)
        statuses = [await ground.status_of(partnership_id) for partnership_id in asked]
        # No more than every second edge of the ring fits, and none is left out that would have fitted.
        assert found["ok"] == statuses.count("approved") in (4, 5)
        assert set(found) == {"ok", "ActiveLimitReached"} | ({"WrongState"} & set(found))
        for n in range(RING):
            beside = statuses[n - 1], statuses[(n + 1) % RING]
            assert ("approved" in beside) == (statuses[n] == "pending_approval")


async def test_control_without_the_lock_there_are_a_hundred_and_one(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, ACTIVE_COUNTS)
    take_the_lock_away(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP)
    _, outcomes = await approvals_all_around(ground, window, 0)
    assert tally(outcomes)["ok"] == RING
    assert await ground.violations() == ["D2-active"]


# -- approve and suspend -----------------------------------------------------------------------------------------------


async def approvals_while_it_is_suspended(
    ground: Ground, window: Window, time: int
) -> tuple[list[object], bool]:
    """Sixty-three approve what one organization asked, and it is suspended; return whether one approved after that."""
    asker = f"asker{time}"
    names = [f"t{time}-{n}" for n in range(CALLERS - 1)]
    await ground.does("operator", ground.add_many, asker, *names)
    asked = []
    for name in names:
        asked.append(await ground.asks(asker, name))
        ground.clock.advance(seconds=1)
    deeds = [
        lambda n=name, a=one: ground.moves(n, "approve", a) for name, one in zip(names, asked, strict=True)
    ]
    deeds.insert(30, lambda: ground.does("operator", organizations.judge, "suspend", asker))
    outcomes = await window.race(*deeds)
    told = await ground.rows(
        "SELECT kind FROM events WHERE subject_id = $1 OR (kind = 'partnership.approved' AND subject_id = ANY($2)) ORDER BY position",
        ground.organizations[asker], asked,
    )  # fmt: skip
    kinds = [row["kind"] for row in told]
    return outcomes, "partnership.approved" in kinds[kinds.index("organization.suspended") :]


@pytest.fixture
def generous(ground: Ground) -> None:
    """Limits that are of no concern here."""
    ground.rules = type(ground.rules)(pending_limit=1_000, active_limit=1_000)


async def test_nobody_connects_with_an_organization_that_is_suspended(
    ground: Ground, generous: None, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    for time in times:
        outcomes, too_late = await approvals_while_it_is_suspended(ground, window, time)
        assert not too_late
        found = tally(outcomes)
        assert set(found) <= {"ok", "PartnerInactive"}
        assert found.total() == CALLERS
    assert await ground.violations() == []


async def test_control_without_the_lock_somebody_connects_with_it_afterwards(
    ground: Ground, generous: None, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP, "all")
    take_the_lock_away(monkeypatch, LOCK_PAIR_OF_PARTNERSHIP)
    outcomes, too_late = await approvals_while_it_is_suspended(ground, window, 0)
    # Whoever only began after the suspension is refused without a lock, too.
    assert tally(outcomes).keys() <= {"ok", "PartnerInactive"}
    assert too_late
