"""Shares, teams and records, each by many callers at once: what one deed takes away, no other gives.

Each race is followed by its control: the same race with the protection taken away, which must be seen to go wrong.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from engine import sharing
from engine.ground import NOBODYS_HASH, Ground
from engine.sharing import POST, to_account, to_email, to_team
from hospitium.dispatch.sweeps import expire_one_share
from hospitium.engine.access import check
from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.actor import Actor, Role
from hospitium.engine.context import Context
from hospitium.engine.errors import Unavailable
from hospitium.engine.grants import actions as grants
from hospitium.engine.lifecycle import Lifecycle
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.object_types import actions as object_types, queries as type_queries
from hospitium.engine.object_types.record import ObjectType
from hospitium.engine.records import actions as records, queries as record_queries
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.sessions.actions import PasswordVerdict
from hospitium.engine.shares import accounts as shared_accounts, actions as shares, contexts, queries
from hospitium.engine.shares.lifecycle import LIFECYCLE, MOVES
from hospitium.engine.shares.record import SHARE_COLUMNS, Share, ShareStatus, shares as table
from hospitium.engine.teams import actions as teams, queries as team_queries
from hospitium.storage.database import Collision
from hospitium.storage.statements import struct
from races.window import Window, take_the_lock_away, tally

CALLERS = 64
HALF = CALLERS // 2
TICK = timedelta(microseconds=1)
PAT = "pat@mail.example"
ONE_RECORD = (record_queries._LOCK, contexts._LOCK_RECORDS)
LOOKED_UP_ACCESS = check._GATHER_OPEN


class Scene(NamedTuple):
    """Ada's record, which she offers to pat."""

    object_type: ObjectType
    record_id: UUID
    share: Share


async def a_scene(ground: Ground, number: int = 0, level: int = 4, **more: Any) -> Scene:
    object_type = await ground.does("ada", sharing.a_type, f"c_thing_{number}")
    record_id = await ground.does("ada", sharing.a_record, object_type)
    share = await ground.does("ada", sharing.offer, record_id, to_email(PAT, level, **more))
    return Scene(object_type, record_id, share)


def take_the_guard_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a control: every move writes its status, whatever status it finds and whatever the clock says."""
    unguarded = Lifecycle(
        table,
        struct(Share),
        SHARE_COLUMNS,
        {verb: move._replace(sources=frozenset(ShareStatus), guard=None) for verb, move in MOVES.items()},
    )
    monkeypatch.setattr(LIFECYCLE, "_statements", unguarded._statements)


async def status_of(ground: Ground, share_id: UUID) -> str:
    (row,) = await ground.rows("SELECT status FROM shares WHERE id = $1", share_id)
    return str(row["status"])


async def grants_of(ground: Ground, share_id: UUID) -> tuple[int, int]:
    """Return how many grants a share has had, and how many of them are open."""
    (row,) = await ground.rows(
        "SELECT count(*) AS n, count(*) FILTER (WHERE ends_at IS NULL) AS open FROM grants WHERE cause_id = $1",
        share_id,
    )
    return row["n"], row["open"]


async def told_of(ground: Ground, subject_id: UUID) -> Counter[str]:
    found = await ground.rows("SELECT kind FROM events WHERE subject_id = $1", subject_id)
    return Counter(row["kind"].partition(".")[2] for row in found)


async def level_of(ground: Ground, name: str | UUID, scene: Scene) -> int:
    account_id = ground.actors[name].account_id if isinstance(name, str) else name
    found: int = await ground.does("system", sharing.level_of, account_id, scene.object_type, scene.record_id)
    return found


async def again(ground: Ground, who: str | Actor, deed: Any, *given: Any) -> Any:
    """Do a deed, and do it again if that is what it asks for, or what PostgreSQL asks for (ARCHITECTURE.md, "Transactions and locks")."""
    for _ in range(8):
        try:
            return await ground.does(who, deed, *given)
        except (Unavailable, Collision):
            continue
    raise AssertionError("it asks for ever")


# -- accept and accept -------------------------------------------------------------------------------------------------


async def everybody_accepts(ground: Ground, window: Window, number: int) -> tuple[Scene, Counter[str]]:
    scene = await a_scene(ground, number)
    outcomes = await window.race(
        *(lambda: ground.does("pat", sharing.accept, scene.share) for _ in range(CALLERS))
    )
    return scene, tally(outcomes)


async def must_be_accepted_once(ground: Ground, scene: Scene, outcomes: Counter[str]) -> None:
    assert outcomes == {"ok": 1, "DeadLink": CALLERS - 1}
    assert await grants_of(ground, scene.share.id) == (1, 1)
    assert await told_of(ground, scene.share.id) == {"offered": 1, "accepted": 1}
    assert await level_of(ground, "pat", scene) == 4


async def test_of_all_who_accept_one_does_and_one_grant_begins(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        await must_be_accepted_once(ground, *await everybody_accepts(ground, window, number))
    assert await ground.violations() == []


async def test_the_guard_in_the_write_is_enough_without_any_lock_on_the_record_or_the_share(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, *ONE_RECORD, queries._LOCK)
    for number in times:
        await must_be_accepted_once(ground, *await everybody_accepts(ground, window, number))
    assert await ground.violations() == []


async def test_the_locks_are_enough_without_the_guard(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    take_the_guard_away(monkeypatch)
    await must_be_accepted_once(ground, *await everybody_accepts(ground, window, 0))


async def test_control_without_locks_and_guard_many_accept_and_many_grants_begin(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sees_none(*_: Any) -> None:
        return None

    window.after(monkeypatch, queries._LOCK)
    monkeypatch.setattr(queries, "like_it", sees_none)
    take_the_lock_away(monkeypatch, *ONE_RECORD, queries._LOCK)
    take_the_guard_away(monkeypatch)
    scene, outcomes = await everybody_accepts(ground, window, 0)
    assert outcomes["ok"] > 1
    assert (await grants_of(ground, scene.share.id))[1] > 1
    assert "H1" in await ground.violations()


async def both_are_accepted(ground: Ground, window: Window, number: int) -> tuple[Scene, Share]:
    """Pat has the same twice, to his address and to his account, and accepts both at once."""
    scene = await a_scene(ground, number)
    second = await ground.does(
        "ada", sharing.offer, scene.record_id, to_account(ground.actors["pat"].account_id, 5)
    )
    outcomes = await window.race(
        *(partial(ground.does, "pat", sharing.accept, share) for share in (scene.share, second))
    )
    assert tally(outcomes) == {"ok": 2}
    return scene, second


async def test_of_the_same_twice_one_is_raised_and_the_other_merged_in_whichever_order(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        scene, second = await both_are_accepted(ground, window, number)
        statuses = {await status_of(ground, share.id) for share in (scene.share, second)}
        assert statuses == {"active", "merged"}
        assert await level_of(ground, "pat", scene) == 5
    assert await ground.violations() == []


async def test_control_without_the_lock_on_the_record_both_stand_side_by_side(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LIKE_IT)
    take_the_lock_away(monkeypatch, *ONE_RECORD)
    scene, second = await both_are_accepted(ground, window, 0)
    assert [await status_of(ground, share.id) for share in (scene.share, second)] == ["active", "active"]


# -- accept and end ----------------------------------------------------------------------------------------------------


async def accepted_while_it_is_taken_back(
    ground: Ground, window: Window, number: int, each: int
) -> tuple[Scene, Counter[str], Counter[str]]:
    """Pat accepts and ada takes it back; return what each was told."""
    scene = await a_scene(ground, number)
    accepts = partial(ground.does, "pat", sharing.accept, scene.share)
    ends = partial(ground.does, "ada", shares.end, scene.share.id)
    outcomes = await window.race(*([window.behind(accepts) if each == 1 else accepts, ends] * each))
    return scene, tally(outcomes[::2]), tally(outcomes[1::2])


async def test_what_is_accepted_while_it_is_taken_back_is_over_whoever_was_first(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        scene, accepting, ending = await accepted_while_it_is_taken_back(ground, window, number, HALF)
        assert ending == {"ok": 1, "NotFound": HALF - 1}
        accepted = accepting.pop("ok", 0)
        assert accepting == {"DeadLink": HALF - accepted}
        assert await status_of(ground, scene.share.id) == ("revoked" if accepted else "withdrawn")
        assert await grants_of(ground, scene.share.id) == (accepted, 0)
        assert await level_of(ground, "pat", scene) == 0
    assert await ground.violations() == []


async def test_control_without_the_locks_it_is_read_on_though_it_was_taken_back(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who takes it back has seen it pending, and is held until it was accepted.
    window.after(monkeypatch, LOOKED_UP_ACCESS, "all")
    take_the_lock_away(monkeypatch, *ONE_RECORD, queries._LOCK)
    scene, accepting, ending = await accepted_while_it_is_taken_back(ground, window, 0, 1)
    assert (accepting, ending) == ({"ok": 1}, {"NotFound": 1})
    assert await level_of(ground, "pat", scene) == 4


# -- accept and expire -------------------------------------------------------------------------------------------------


async def accepted_at_its_last_instant(
    ground: Ground, window: Window, number: int, each: int
) -> tuple[Scene, Counter[str]]:
    """At the last instant pat accepts, and at the deadline the sweep comes; return what accepting was told."""
    scene = await a_scene(ground, number)
    deadline: datetime = scene.share.expires_at
    accepts = partial(ground.does, "pat", sharing.accept, scene.share, now=deadline - TICK)
    sweeps = partial(ground.does, "system", expire_one_share, now=deadline)
    outcomes = await window.race(*([window.behind(accepts) if each == 1 else accepts, sweeps] * each))
    assert set(tally(outcomes[1::2])) == {"ok"}
    return scene, tally(outcomes[::2])


async def test_a_share_is_accepted_in_time_or_expires_and_not_both(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, contexts._LOCK_RECORDS, "all")
    for number in times:
        scene, accepting = await accepted_at_its_last_instant(ground, window, number, HALF)
        accepted = accepting.pop("ok", 0)
        assert accepting == {"DeadLink": HALF - accepted}
        status = await status_of(ground, scene.share.id)
        assert status == ("active" if accepted else "expired")
        assert await told_of(ground, scene.share.id) == {
            "offered": 1,
            "accepted" if accepted else "expired": 1,
        }
        assert await grants_of(ground, scene.share.id) == (accepted, accepted)
        if accepted:
            await ground.does("pat", shares.end, scene.share.id)
    ground.clock.advance(days=8)
    assert await ground.violations() == []


async def test_control_without_the_guard_what_was_accepted_in_time_expires_all_the_same(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sweep has seen it pending, and is held until it was accepted.
    window.after(monkeypatch, queries._ONE_TO_EXPIRE)
    take_the_guard_away(monkeypatch)
    scene, accepting = await accepted_at_its_last_instant(ground, window, 0, 1)
    assert accepting == {"ok": 1}
    assert await status_of(ground, scene.share.id) == "expired"


async def test_a_window_that_closes_is_written_down_once_with_what_was_made_under_it(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, contexts._LOCK_RECORDS, "all")
    for number in times:
        closes = ground.clock() + timedelta(days=1)
        scene = await a_scene(ground, number, level=5, ends_at=closes)
        await ground.does("pat", sharing.accept, scene.share)
        below = await ground.does("pat", sharing.offer, scene.record_id, to_email("zoe@harbor.example"))
        await ground.does("zoe", sharing.accept, below)
        # Pat leaves at the last instant, while the sweeps come at the next.
        deeds = [
            lambda: ground.does("system", expire_one_share, now=closes),  # noqa: B023
            lambda: ground.does("pat", shares.end, scene.share.id, now=closes - TICK),  # noqa: B023
        ]
        await window.race(*(deeds * HALF))
        while await ground.does("system", expire_one_share, now=closes):
            pass
        for share in (scene.share, below):
            assert await grants_of(ground, share.id) == (1, 0)
            assert sum((await told_of(ground, share.id)).values()) == 3
    assert await ground.violations() == []


# -- share and revoke what it is made under ----------------------------------------------------------------------------


async def shared_on_while_it_is_taken_back(
    ground: Ground, window: Window, number: int, each: int
) -> Counter[str]:
    """Pat, who may share, does; ada takes back what he has it by. Return what sharing was told."""
    scene = await a_scene(ground, number, level=5)
    await ground.does("pat", sharing.accept, scene.share)

    async def shares_on(name: str, level: int) -> None:
        await ground.does("pat", sharing.offer, scene.record_id, to_email(f"{name}@else.example", level))

    ends = partial(ground.does, "ada", shares.end, scene.share.id)
    deeds: list[Any] = []
    for n in range(each):
        deeds += [partial(shares_on, f"n{n}", 4), window.behind(ends) if each == 1 else ends]
    outcomes = await window.race(*deeds)
    assert tally(outcomes[1::2])["ok"] == 1
    return tally(outcomes[::2])


async def test_nothing_remains_that_was_made_under_a_grant_while_it_was_taken_back(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOOKED_UP_ACCESS, "all")
    for number in times:
        sharing_on = await shared_on_while_it_is_taken_back(ground, window, number, HALF)
        assert set(sharing_on) <= {"ok", "NotFound"}
        live = await ground.rows("SELECT FROM shares WHERE status IN ('pending', 'active')")
        assert live == []
    assert await ground.violations() == []


async def test_control_without_the_lock_on_the_record_an_orphan_remains(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who shares on has seen that he may, and is held until he may no longer.
    window.after(monkeypatch, queries._OVERDUE_TO, "all")
    take_the_lock_away(monkeypatch, *ONE_RECORD)
    assert await shared_on_while_it_is_taken_back(ground, window, 0, 1) == {"ok": 1}
    assert await ground.violations() == ["H3"]


async def lowered_while_he_shares_on(ground: Ground, window: Window, number: int, each: int) -> Counter[str]:
    """Pat, who has 6, gives 5 on to many; ada lowers his to 5, under which nobody gives 5. Return what sharing was told."""
    scene = await a_scene(ground, number, level=6)
    await ground.does("pat", sharing.accept, scene.share)

    async def shares_on(name: str) -> None:
        await ground.does("pat", sharing.offer, scene.record_id, to_email(f"{name}@else.example", 5))

    lowers = partial(ground.does, "ada", shares.change_level, scene.share.id, 5)
    deeds: list[Any] = []
    for n in range(each):
        deeds += [partial(shares_on, f"n{n}"), window.behind(lowers) if each == 1 else lowers]
    outcomes = await window.race(*deeds)
    assert tally(outcomes[1::2])["ok"] == 1
    return tally(outcomes[::2])


async def test_nothing_remains_that_the_lower_level_could_not_have_given(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, LOOKED_UP_ACCESS, "all")
    for number in times:
        # NotFound: who asked before it was lowered, and looks after, finds one grant ended and the other not begun by his instant.
        told = set(await lowered_while_he_shares_on(ground, window, number, HALF))
        assert told <= {"ok", "NotSharable", "NotFound"}
        assert await ground.rows("SELECT FROM shares WHERE status = 'pending'") == []
    assert await ground.violations() == []


async def test_control_without_the_lock_on_the_record_more_was_given_than_he_has(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._OVERDUE_TO, "all")
    take_the_lock_away(monkeypatch, *ONE_RECORD)
    assert await lowered_while_he_shares_on(ground, window, 0, 1) == {"ok": 1}
    assert "H3" in await ground.violations()


# -- read, and what is written while it isn't shared -------------------------------------------------------------------


async def test_nobody_reads_what_was_written_while_it_was_not_shared_with_him_though_it_is_shared_meanwhile(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads has the body of then, and is held until it was replaced, and what is there now was shared with him."""
    object_type = await ground.does("ada", sharing.a_type)
    secret = RecordForm(body=msgspec.Raw(b'{"drug": "secret"}'), names=frozenset({"drug"}))
    record_id = await ground.does("ada", sharing.a_record, object_type, secret)

    async def opens() -> None:
        await ground.does("ada", records.replace, object_type, record_id, sharing.BODY)
        share = await ground.does("ada", sharing.offer, record_id, to_email(PAT))
        await ground.does("pat", sharing.accept, share)

    window.after(monkeypatch, record_queries._ONE)
    reading, opening = await window.race(
        partial(ground.does, "pat", record_queries.view, object_type, record_id), window.behind(opens)
    )
    assert tally([reading, opening]) == {"NotFound": 1, "ok": 1}
    now = await ground.does("pat", record_queries.view, object_type, record_id)
    assert (now.level, now.body) == (4, '{"drug": "aspirin"}')


@pytest.mark.parametrize(
    ("point", "method", "told"),
    [(LOOKED_UP_ACCESS, "all", "ok"), (shared_accounts._ONE, "first", "NotFound")],
)
async def test_nobody_reads_of_an_account_what_changed_after_it_was_taken_back(
    ground: Ground, window: Window, point: Any, method: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads is held, where he has asked whether he may or has read already, until he may not and the name was changed."""
    person, _ = await a_person(ground, "eve")
    share = await ground.does(
        person, sharing.offer_account, ground.northside, person.account_id, to_email(PAT)
    )
    await ground.does("pat", sharing.accept, share)

    async def closes() -> None:
        await ground.does(person, shares.end, share.id)
        await ground.does(person, life.update_own, {"first_name": "Secret"})

    window.after(monkeypatch, point, method)
    reading, closing = await window.race(
        partial(ground.does, "pat", shared_accounts.view, person.account_id), window.behind(closes)
    )
    assert (tally([reading]), tally([closing])) == ({told: 1}, {"ok": 1})
    assert told != "ok" or reading.account.first_name is None


# -- share and share ---------------------------------------------------------------------------------------------------


TARGETS = {"email": to_email(PAT), "account": None, "team": None}


async def everybody_shares(ground: Ground, window: Window, number: int, form: str) -> Counter[str]:
    object_type = await ground.does("ada", sharing.a_type, f"c_thing_{number}")
    record_id = await ground.does("ada", sharing.a_record, object_type)
    if form == "team":
        target = to_team((await ground.does("ben", teams.create, f"Crew {number}")).id)
    else:
        target = to_email(PAT) if form == "email" else to_account(ground.actors["pat"].account_id)
    outcomes = await window.race(
        *(lambda: ground.does("ada", sharing.offer, record_id, target) for _ in range(CALLERS))
    )
    return tally(outcomes)


@pytest.mark.parametrize("form", TARGETS)
async def test_of_all_who_share_the_same_with_the_same_one_does(
    ground: Ground, window: Window, form: str, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        assert await everybody_shares(ground, window, number, form) == {"ok": 1, "AlreadyShared": CALLERS - 1}
    assert await ground.violations() == []


@pytest.mark.parametrize("form", TARGETS)
async def test_the_index_is_enough_without_the_lock(
    ground: Ground, window: Window, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._OVERDUE_TO, "all")
    take_the_lock_away(monkeypatch, *ONE_RECORD)
    assert await everybody_shares(ground, window, 0, form) == {"ok": 1, "AlreadyShared": CALLERS - 1}


@pytest.mark.parametrize("form", TARGETS)
async def test_control_without_the_index_everybody_does(ground: Ground, window: Window, form: str) -> None:
    await ground.rows(f"DROP INDEX shares_one_to_{form}_ix")
    assert await everybody_shares(ground, window, 0, form) == {"ok": CALLERS}


# -- accept, and delete or archive the record --------------------------------------------------------------------------

TAKING_AWAY = {"delete": records.delete, "archive": records.archive}


async def accepted_while_the_record_goes(
    ground: Ground, window: Window, number: int, how: str, each: int
) -> tuple[Scene, Counter[str], Counter[str]]:
    scene = await a_scene(ground, number)
    accepts = partial(ground.does, "pat", sharing.accept, scene.share)
    goes = partial(ground.does, "ada", TAKING_AWAY[how], scene.object_type, scene.record_id)
    outcomes = await window.race(*([accepts, window.behind(goes) if each == 1 else goes] * each))
    return scene, tally(outcomes[::2]), tally(outcomes[1::2])


@pytest.mark.parametrize(("how", "after"), [("delete", "NotFound"), ("archive", "WrongState")])
async def test_of_a_record_that_goes_nothing_is_shared_though_it_is_accepted_at_that_instant(
    ground: Ground, window: Window, how: str, after: str, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        scene, accepting, going = await accepted_while_the_record_goes(ground, window, number, how, HALF)
        assert going == {"ok": 1, after: HALF - 1}
        accepted = accepting.pop("ok", 0)
        assert accepting == {"DeadLink": HALF - accepted}
        assert await status_of(ground, scene.share.id) == ("revoked" if accepted else "withdrawn")
        assert await grants_of(ground, scene.share.id) == (accepted, 0)
        assert await level_of(ground, "pat", scene) == 0
    assert await ground.violations() == []


@pytest.mark.parametrize("how", TAKING_AWAY)
async def test_control_without_the_lock_on_the_record_a_share_of_it_remains(
    ground: Ground, window: Window, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who accepts has seen the record there, and the share pending, which he holds.
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, *ONE_RECORD)
    _, accepting, going = await accepted_while_the_record_goes(ground, window, 0, how, 1)
    assert (accepting, going) == ({"ok": 1}, {"ok": 1})
    assert "C1" in await ground.violations()


# -- teams -------------------------------------------------------------------------------------------------------------


class Crew(NamedTuple):
    """Ben's team in northside, with whom ada shares her record; he has accepted for it, unless it is pending."""

    scene: Scene
    team_id: UUID


async def a_crew(ground: Ground, number: int = 0, *, pending: bool = False) -> Crew:
    team = await ground.does("ben", teams.create, f"Crew {number}")
    object_type = await ground.does("ada", sharing.a_type, f"c_thing_{number}")
    record_id = await ground.does("ada", sharing.a_record, object_type)
    share = await ground.does("ada", sharing.offer, record_id, to_team(team.id))
    if not pending:
        await ground.does("ben", sharing.accept, share)
    return Crew(Scene(object_type, record_id, share), team.id)


async def colleagues(ground: Ground, number: int, count: int) -> list[UUID]:
    made = [
        await ground.does(
            "operator", ground.add_person, f"colleague-{number}-{n}", "northside", Role.PHYSICIAN
        )
        for n in range(count)
    ]
    return [one.account_id for one in made]


async def joined_while_it_is_taken_back(ground: Ground, window: Window, number: int, each: int) -> list[int]:
    """Many join a team while what was shared with it is taken back; return what each of its members may do then."""
    crew = await a_crew(ground, number)
    joining = await colleagues(ground, number, each)
    deeds: list[Any] = []
    for account_id in joining:
        deeds += [
            partial(ground.does, "ben", teams.add_member, crew.team_id, account_id),
            partial(ground.does, "ada", shares.end, crew.scene.share.id),
        ]
    outcomes = await window.race(*deeds)
    assert tally(outcomes[::2]) == {"ok": each}
    assert tally(outcomes[1::2]) == ({"ok": 1, "NotFound": each - 1} if each > 1 else {"ok": 1})
    ben = ground.actors["ben"].account_id
    return [await level_of(ground, one, crew.scene) for one in (*joining, ben)]


async def test_whoever_joins_a_team_while_it_is_taken_back_reads_nothing_and_neither_do_the_others(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who joins is held where he has not joined yet, until it was taken back.
    window.after(monkeypatch, membership_queries._HOLD)
    for number in times:
        assert await joined_while_it_is_taken_back(ground, window, number, 8) == [0] * 9
    assert await ground.violations() == []


async def test_control_where_the_grant_is_not_ended_they_all_read_on(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends_none(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(grants, "end_caused_by_shares", ends_none)
    assert await joined_while_it_is_taken_back(ground, window, 0, 1) == [4, 4]
    assert await ground.violations() == ["H2"]


async def joins_and_leaves(
    ground: Ground, window: Window, number: int, *, leaves_first: bool = False
) -> Counter[str]:
    """Somebody is taken into a team while he leaves the organization; who is second begins when the first is held."""
    crew = await a_crew(ground, number)
    (account_id,) = await colleagues(ground, number, 1)
    joins = partial(ground.does, "ben", teams.add_member, crew.team_id, account_id)
    leaves = partial(ground.does, "ada", memberships.remove, account_id)
    outcomes = await window.race(
        window.behind(joins) if leaves_first else joins, leaves if leaves_first else window.behind(leaves)
    )
    assert tally(outcomes[1:]) == {"ok": 1}
    return tally(outcomes[:1])


async def test_whoever_leaves_the_organization_is_in_none_of_its_teams_though_he_joins_at_that_instant(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who joins has seen that he is a member, and is held until the other waits for him.
    window.after(monkeypatch, membership_queries._HOLD)
    for number in times:
        assert await joins_and_leaves(ground, window, number) == {"ok": 1}
        assert await ground.violations() == []


async def test_nobody_joins_a_team_who_has_just_left_the_organization(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who leaves has ended his membership, and is held until the other waits for him.
    window.after(monkeypatch, memberships._END)
    for number in times:
        assert await joins_and_leaves(ground, window, number, leaves_first=True) == {"NotFound": 1}
        assert await ground.violations() == []


async def test_control_without_the_hold_on_the_membership_a_stranger_is_in_the_team(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, membership_queries._HOLD)
    take_the_lock_away(monkeypatch, membership_queries._HOLD)
    assert await joins_and_leaves(ground, window, 0) == {"ok": 1}
    assert await ground.violations() == ["G1"]


async def joins_while_it_ends(ground: Ground, window: Window, number: int) -> Counter[str]:
    """Somebody is taken into a team while it ends."""
    crew = await a_crew(ground, number)
    (account_id,) = await colleagues(ground, number, 1)
    outcomes = await window.race(
        partial(ground.does, "ben", teams.add_member, crew.team_id, account_id),
        window.behind(partial(ground.does, "ada", teams.end, crew.team_id)),
    )
    assert tally(outcomes) == {"ok": 2}
    return Counter(await ground.violations())


async def test_nobody_is_in_a_team_that_ends_though_he_joins_at_that_instant(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, membership_queries._HOLD)
    for number in times:
        assert await joins_while_it_ends(ground, window, number) == {}


async def test_control_without_the_lock_on_the_team_somebody_is_in_it_though_it_has_ended(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, membership_queries._HOLD)
    take_the_lock_away(monkeypatch, team_queries._LOCK)
    assert await joins_while_it_ends(ground, window, 0) == {"G1": 1}


async def ends_while_it_accepts(
    ground: Ground, window: Window, number: int, each: int
) -> tuple[Crew, Counter[str]]:
    """A team ends while its owner accepts for it; return what accepting was told."""
    crew = await a_crew(ground, number, pending=True)
    accepts = partial(ground.does, "ben", sharing.accept, crew.scene.share)
    ends = partial(ground.does, "ada", teams.end, crew.team_id)
    outcomes = await window.race(*([accepts, ends if each > 1 else window.behind(ends)] * each))
    assert tally(outcomes[1::2]) == ({"ok": 1, "NotFound": each - 1} if each > 1 else {"ok": 1})
    return crew, tally(outcomes[::2])


async def shared_with_a_team_that_is_no_more(ground: Ground) -> list[str]:
    found = await ground.rows(
        "SELECT s.status FROM shares AS s JOIN teams AS t ON t.id = s.target_team_id WHERE t.ended_at IS NOT NULL AND s.ended_at IS NULL"
    )
    return [row["status"] for row in found]


async def test_nothing_is_shared_with_a_team_that_ends_though_it_is_accepted_at_that_instant(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, team_queries._LOCK)
    for number in times:
        crew, accepting = await ends_while_it_accepts(ground, window, number, HALF)
        accepted = accepting.pop("ok", 0)
        assert accepting == {"DeadLink": HALF - accepted}
        assert await status_of(ground, crew.scene.share.id) == ("left" if accepted else "declined")
        assert await grants_of(ground, crew.scene.share.id) == (accepted, 0)
        assert await shared_with_a_team_that_is_no_more(ground) == []
    assert await ground.violations() == []


async def test_what_a_team_has_accepted_is_left_when_it_ends_behind_it(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who accepts holds the team, and is held until the other waits for it.
    window.after(monkeypatch, team_queries._HOLD)
    for number in times:
        crew, accepting = await ends_while_it_accepts(ground, window, number, 1)
        assert accepting == {"ok": 1}
        assert await status_of(ground, crew.scene.share.id) == "left"
    assert await ground.violations() == []


async def test_control_without_the_hold_on_the_team_it_has_what_it_accepted_though_it_has_ended(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, team_queries._HOLD, team_queries._LOCK, *ONE_RECORD)
    _, accepting = await ends_while_it_accepts(ground, window, 0, 1)
    assert accepting == {"ok": 1}
    assert await shared_with_a_team_that_is_no_more(ground) == ["active"]


# -- accounts that go --------------------------------------------------------------------------------------------------


async def a_person(ground: Ground, name: str) -> tuple[Actor, PasswordVerdict]:
    person: Actor = await ground.does("operator", ground.add_person, name, None, Role.MEMBER)
    assert person.account_id is not None
    return person, PasswordVerdict(person.account_id, NOBODYS_HASH, True)


async def accepts_and_is_deleted(
    ground: Ground, window: Window, name: str, *, deletes_first: bool = False
) -> list[Any]:
    """Somebody accepts what was sent to his address while he deletes his account; who is second begins when the first is held."""
    person, verdict = await a_person(ground, name)
    object_type = await ground.does("ada", sharing.a_type, f"c_{name}")
    record_id = await ground.does("ada", sharing.a_record, object_type)
    share = await ground.does("ada", sharing.offer, record_id, to_email(f"{name}@mail.example"))
    accepts = partial(again, ground, person, sharing.accept, share)
    deletes = partial(again, ground, person, life.delete_own, verdict, POST)
    return await window.race(
        window.behind(accepts) if deletes_first else accepts,
        deletes if deletes_first else window.behind(deletes),
    )


@pytest.mark.parametrize("deletes_first", [False, True], ids=["accepts first", "deletes first"])
async def test_a_deleted_account_has_nothing_though_it_accepts_at_that_instant(
    ground: Ground, window: Window, deletes_first: bool, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one has the account, and is held until the other waits for it.
    if deletes_first:
        window.after(monkeypatch, account_queries._LOCK)
    else:
        window.after(monkeypatch, account_queries._HOLD_ALL, "all")
    for number in times:
        accepting, deleting = await accepts_and_is_deleted(
            ground, window, f"eve{number}", deletes_first=deletes_first
        )
        assert tally([deleting]) == {"ok": 1}
        assert tally([accepting]) == ({"DeadLink": 1} if deletes_first else {"ok": 1})
        assert await ground.violations() == []


async def test_control_without_the_hold_on_the_account_a_deleted_account_may_read(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, account_queries._HOLD_ALL)
    assert tally(await accepts_and_is_deleted(ground, window, "eve")) == {"ok": 2}
    assert await ground.violations() == ["A3"]


async def accepted_while_its_owner_goes(ground: Ground, window: Window, name: str, *, of: str) -> list[Any]:
    """Pat accepts what somebody shares, his record or his account itself, who then deletes his account."""
    person, verdict = await a_person(ground, name)
    object_type = await ground.does("ada", sharing.a_type, f"c_{name}")
    record_id = await ground.does(person, sharing.a_record, object_type)
    if of == "record":
        share = await ground.does(person, sharing.offer, record_id, to_email(PAT))
    else:
        share = await ground.does(
            person, sharing.offer_account, ground.northside, person.account_id, to_email(PAT)
        )
    return await window.race(
        partial(again, ground, "pat", sharing.accept, share),
        window.behind(partial(again, ground, person, life.delete_own, verdict, POST)),
    )


@pytest.mark.parametrize("of", ["record", "account"])
async def test_nothing_of_a_deleted_account_is_shared_though_it_is_accepted_at_that_instant(
    ground: Ground, window: Window, of: str, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who accepts has locked what is shared, and is held until the other waits.
    window.after(monkeypatch, queries._LOCK)
    for number in times:
        assert tally(await accepted_while_its_owner_goes(ground, window, f"eve{number}", of=of)) == {"ok": 2}
        assert await ground.rows("SELECT FROM shares WHERE ended_at IS NULL") == []
        assert await ground.violations() == []


async def test_control_without_the_lock_on_the_record_it_stays_shared(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, account_queries._HOLD_ALL, *ONE_RECORD, record_queries._LOCK_ALL_OF_OWNER)
    assert tally(await accepted_while_its_owner_goes(ground, window, "eve", of="record")) == {"ok": 2}
    assert "C1" in await ground.violations()


async def makes_a_record_and_is_deleted(ground: Ground, window: Window, name: str) -> list[Any]:
    """Somebody makes a record while he deletes his account."""
    person, verdict = await a_person(ground, name)
    object_type = await ground.does("ada", sharing.a_type, f"c_{name}")

    async def make(ctx: Context) -> None:
        # As at a door: who acts was read before.
        await account_queries.by_id(ctx, verdict.account_id)  # type: ignore[arg-type]
        await records.create(ctx, object_type, sharing.BODY)

    return await window.race(
        partial(again, ground, person, make),
        window.behind(partial(again, ground, person, life.delete_own, verdict, POST)),
    )


async def test_a_deleted_account_owns_no_record_though_it_makes_one_at_that_instant(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who makes it was found to be there, and is held until his account was deleted.
    window.after(monkeypatch, account_queries._BY_ID)
    for number in times:
        making, deleting = await makes_a_record_and_is_deleted(ground, window, f"eve{number}")
        assert tally([making, deleting]) == {"NotFound": 1, "ok": 1}
        assert await ground.violations() == []


async def test_control_who_is_not_asked_in_the_end_whether_he_may_read_it_owns_it_though_he_is_deleted(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asks_nobody(*_: Any) -> Any:
        return SimpleNamespace(body=None)

    window.after(monkeypatch, account_queries._BY_ID)
    monkeypatch.setattr(record_queries, "view", asks_nobody)
    await makes_a_record_and_is_deleted(ground, window, "eve")
    assert await ground.violations() == ["A3"]


async def shares_on_and_is_deleted(ground: Ground, window: Window, name: str) -> list[Any]:
    """Somebody who was given 5 gives it on while he deletes his account."""
    person, verdict = await a_person(ground, name)
    object_type = await ground.does("ada", sharing.a_type, f"c_{name}")
    record_id = await ground.does("ada", sharing.a_record, object_type)
    share = await ground.does("ada", sharing.offer, record_id, to_email(f"{name}@mail.example", 5))
    await ground.does(person, sharing.accept, share)
    return await window.race(
        partial(again, ground, person, sharing.offer, record_id, to_email(PAT)),
        window.behind(partial(again, ground, person, life.delete_own, verdict, POST)),
    )


async def test_nothing_remains_of_what_somebody_shares_on_while_his_account_is_deleted(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, record_queries._LOCK)
    for number in times:
        sharing_on, deleting = await shares_on_and_is_deleted(ground, window, f"eve{number}")
        assert tally([sharing_on, deleting]) == {"ok": 2}
        assert await ground.rows("SELECT FROM shares WHERE ended_at IS NULL") == []
        assert await ground.violations() == []


async def test_an_acceptance_that_is_told_to_its_creator_goes_before_his_deletion(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who accepts has the record and wants to tell its owner, who is being deleted and wants the record: accounts are locked first."""
    person, verdict = await a_person(ground, "eve")
    object_type = await ground.does("ada", sharing.a_type, sends_notifications=True)
    record_id = await ground.does(person, sharing.a_record, object_type)
    share = await ground.does(person, sharing.offer, record_id, to_email(PAT))
    window.after(monkeypatch, queries._LOCK)
    outcomes = await window.race(
        partial(again, ground, "pat", sharing.accept, share),
        window.behind(partial(again, ground, person, life.delete_own, verdict, POST)),
    )
    assert tally(outcomes) == {"ok": 2}
    assert await ground.rows("SELECT FROM shares WHERE ended_at IS NULL") == []
    assert await ground.violations() == []


# -- types -------------------------------------------------------------------------------------------------------------


async def made_while_its_type_goes(ground: Ground, window: Window, number: int) -> list[Any]:
    """A record is made, as at a door, while its type is dropped."""
    object_type = await ground.does("ada", sharing.a_type, f"c_thing_{number}")

    async def make(ctx: Context) -> None:
        held = await type_queries.hold(ctx, ground.northside, object_type.plural_name)
        assert held is not None
        await records.create(ctx, held, sharing.BODY)

    return await window.race(
        partial(ground.does, "ada", make),
        window.behind(partial(ground.does, "ada", object_types.drop, object_type.id)),
    )


async def records_of_no_type(ground: Ground) -> int:
    found = await ground.rows(
        "SELECT FROM records AS r JOIN object_types AS t ON t.id = r.object_type_id WHERE t.ended_at IS NOT NULL AND r.ended_at IS NULL"
    )
    return len(found)


async def test_a_type_is_not_dropped_while_a_record_of_it_is_made(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, type_queries._HOLD)
    for number in times:
        assert tally(await made_while_its_type_goes(ground, window, number)) == {"ok": 1, "WrongState": 1}
        assert await records_of_no_type(ground) == 0


async def test_control_without_the_hold_on_the_type_there_is_a_record_of_none(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, type_queries._HOLD)
    take_the_lock_away(monkeypatch, type_queries._HOLD)
    assert tally(await made_while_its_type_goes(ground, window, 0)) == {"ok": 2}
    assert await records_of_no_type(ground) == 1
