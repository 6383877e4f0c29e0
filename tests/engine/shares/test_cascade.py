"""What rests on a share ends with it: at every depth, whatever ends it, and no further (rulings 14a, 14b)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine import sharing
from engine.ground import NOBODYS_HASH, Ground
from engine.sharing import POST, to_account, to_email, to_team
from hospitium.dispatch.sweeps import expire_one_share
from hospitium.engine import errors
from hospitium.engine.accounts import life
from hospitium.engine.context import Context
from hospitium.engine.ids import new_id
from hospitium.engine.object_types.record import ObjectType
from hospitium.engine.records import actions as records, queries as record_queries
from hospitium.engine.sessions.actions import PasswordVerdict
from hospitium.engine.shares import actions as shares, contexts, queries
from hospitium.engine.shares.lifecycle import LIFECYCLE
from hospitium.engine.shares.queries import LiveShare
from hospitium.engine.shares.record import Share
from hospitium.engine.teams import actions as teams


class Chain:
    """Ada's record: she gives ben 6, who gives rui 5, who gives pat 4, who knows nobody; and rui has offered it to zoe."""

    def __init__(self, ground: Ground, object_type: ObjectType, record_id: UUID) -> None:
        self.ground = ground
        self.object_type = object_type
        self.record_id = record_id
        self.shares: dict[str, Share] = {}

    @classmethod
    async def made(cls, ground: Ground, **first: Any) -> Chain:
        """`first`: what else is said of what ada gives ben."""
        object_type = await ground.does("ada", sharing.a_type)
        chain = cls(ground, object_type, await ground.does("ada", sharing.a_record, object_type))
        await chain.give("ada", "ben", 6, **first)
        await chain.give("ben", "rui", 5)
        await chain.give("rui", "pat", 4)
        await chain.give("rui", "zoe", 4, accepted=False)
        return chain

    async def give(self, who: str, to: str, level: int, *, accepted: bool = True, **more: Any) -> Share:
        target = to_account(self.ground.actors[to].account_id, level, **more)
        share = await self.ground.does(who, sharing.offer, self.record_id, target)
        self.shares[to] = await self.ground.does(to, sharing.accept, share) if accepted else share
        return self.shares[to]

    async def levels(self) -> dict[str, int]:
        return {
            name: await self.ground.does(
                "system",
                sharing.level_of,
                self.ground.actors[name].account_id,
                self.object_type,
                self.record_id,
            )
            for name in ("ada", "ben", "rui", "pat")
        }

    async def statuses(self) -> dict[str, str]:
        return {
            to: (await self.ground.rows("SELECT status FROM shares WHERE id = $1", share.id))[0]["status"]
            for to, share in self.shares.items()
        }

    async def row(self, to: str) -> Any:
        (found,) = await self.ground.rows(
            "SELECT s.*, g.id AS grant_id, g.until FROM shares AS s LEFT JOIN grants AS g ON g.cause_id = s.id AND g.ends_at IS NULL "
            "WHERE s.id = $1",
            self.shares[to].id,
        )
        return found


@pytest.fixture
async def chain(ground: Ground) -> Chain:
    made = await Chain.made(ground)
    assert await made.levels() == {"ada": 7, "ben": 6, "rui": 5, "pat": 4}
    assert await ground.violations() == []
    return made


ALL_BELOW = {"rui": "revoked", "pat": "revoked", "zoe": "withdrawn"}


async def ends_by(chain: Chain, how: str) -> None:
    ground, first = chain.ground, chain.shares["ben"]
    match how:
        case "its target leaves":
            await ground.does("ben", shares.end, first.id)
        case "its creator revokes":
            await ground.does("ada", shares.end, first.id)
        case "a restore's trail":
            await ground.does("operator", shares.end_again, first.id)
        case "the record is archived":
            await ground.does("ada", records.archive, chain.object_type, chain.record_id)
        case "the record is deleted":
            await ground.does("ada", records.delete, chain.object_type, chain.record_id)
        case _:
            account_id = ground.actors["ben"].account_id
            verdict = PasswordVerdict(account_id, NOBODYS_HASH, True)
            await ground.does("ben", life.delete_own, verdict, POST)


@pytest.mark.parametrize(
    ("how", "becomes"),
    [
        ("its target leaves", "left"),
        ("its creator revokes", "revoked"),
        ("a restore's trail", "revoked"),
        ("the record is archived", "revoked"),
        ("the record is deleted", "revoked"),
        ("its target's account is deleted", "left"),
    ],
)
async def test_with_a_share_ends_all_that_was_made_under_it_whatever_ends_it(
    chain: Chain, how: str, becomes: str
) -> None:
    await ends_by(chain, how)
    assert await chain.statuses() == {"ben": becomes, **ALL_BELOW}
    owner = 0 if how == "the record is deleted" else 7
    assert await chain.levels() == {"ada": owner, "ben": 0, "rui": 0, "pat": 0}
    assert await chain.ground.violations() == []
    # One instant, and an event for each with the grant that ended.
    told = await chain.ground.rows(
        "SELECT DISTINCT at FROM events WHERE kind IN ('share.left', 'share.revoked', 'share.withdrawn')"
    )
    assert len(told) == 1
    named = await chain.ground.rows(
        "SELECT jsonb_array_elements_text(data->'grants')::uuid AS id FROM events WHERE kind IN ('share.left', 'share.revoked')"
    )
    ended = await chain.ground.rows("SELECT id FROM grants WHERE cause_kind = 'share'")
    assert {row["id"] for row in named} == {row["id"] for row in ended}
    assert len(named) == 3


async def test_in_the_middle_it_ends_what_is_below_and_nothing_above_or_beside(chain: Chain) -> None:
    await chain.give("ben", "mia", 4)
    await chain.ground.does("ben", shares.end, chain.shares["rui"].id)
    assert await chain.statuses() == {"ben": "active", "mia": "active", **ALL_BELOW}
    assert await chain.levels() == {"ada": 7, "ben": 6, "rui": 0, "pat": 0}
    assert await chain.ground.violations() == []


async def test_control_without_the_cascade_what_was_made_under_it_remains(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends_none(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(shares.ending, "end_under", ends_none)
    await chain.ground.does("ada", shares.end, chain.shares["ben"].id)
    assert (await chain.levels())["pat"] == 4
    assert "H3" in await chain.ground.violations()


async def test_another_hand_that_gave_the_same_keeps_it(chain: Chain) -> None:
    """Who has it twice has it until both are over (ruling 14a: revoking that grant ends those below it)."""
    await chain.ground.does("ada", sharing.offer, chain.record_id, to_email("pat@mail.example"))
    second = (await chain.ground.rows("SELECT id FROM shares WHERE target_email = 'pat@mail.example'"))[0][
        "id"
    ]
    found = await chain.ground.does("pat", queries.find, second)
    await chain.ground.does("pat", sharing.accept, found.share)
    await chain.ground.does("ada", shares.end, chain.shares["ben"].id)
    assert (await chain.levels())["pat"] == 4
    await chain.ground.does("ada", shares.end, second)
    assert (await chain.levels())["pat"] == 0
    assert await chain.ground.violations() == []


# -- another level -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "level", "kept"),
    [
        ("rui", 5, None),  # that is the level already
        ("ben", 5, {"rui": "revoked", "pat": "revoked", "zoe": "withdrawn", "mia": "active"}),
        ("ben", 4, {"rui": "revoked", "pat": "revoked", "zoe": "withdrawn", "mia": "revoked"}),
        ("ben", 2, {"rui": "revoked", "pat": "revoked", "zoe": "withdrawn", "mia": "revoked"}),
        ("rui", 4, {"rui": "active", "pat": "revoked", "zoe": "withdrawn", "mia": "active"}),
    ],
)
async def test_with_another_level_stays_what_that_could_give_and_the_rest_ends(
    chain: Chain, of: str, level: int, kept: dict[str, str] | None
) -> None:
    await chain.give("ben", "mia", 4)
    before = await chain.row(of)
    change = chain.ground.does("ada", shares.change_level, chain.shares[of].id, level)
    if kept is None:
        with pytest.raises(errors.WrongState):
            await change
        return
    await change
    after = await chain.row(of)
    assert await chain.statuses() == {"ben": "active", **kept}
    assert (after["level"], after["grant_id"] != before["grant_id"]) == (level, True)
    # What stays rests on the new grant, and is itself as it was.
    if kept["mia"] == "active" and of == "ben":
        assert (await chain.row("mia"))["made_under_id"] == after["grant_id"]
    assert await chain.ground.violations() == []


async def test_more_keeps_all_of_it_and_what_stays_ends_with_the_new_grant(chain: Chain) -> None:
    await chain.ground.does("ada", shares.change_level, chain.shares["rui"].id, 6)
    assert await chain.levels() == {"ada": 7, "ben": 6, "rui": 6, "pat": 4}
    assert await chain.statuses() == {"ben": "active", "rui": "active", "pat": "active", "zoe": "pending"}
    assert await chain.ground.violations() == []
    # It was ada's hand, so it rests on hers, and not on ben's any more.
    await chain.ground.does("ada", shares.end, chain.shares["ben"].id)
    assert await chain.levels() == {"ada": 7, "ben": 0, "rui": 6, "pat": 4}
    await chain.ground.does("ada", shares.end, chain.shares["rui"].id)
    assert await chain.levels() == {"ada": 7, "ben": 0, "rui": 0, "pat": 0}
    assert await chain.statuses() == {"ben": "revoked", **ALL_BELOW}
    assert await chain.ground.violations() == []


async def test_what_waits_may_get_another_level_and_is_accepted_with_that(chain: Chain) -> None:
    await chain.ground.does("rui", shares.change_level, chain.shares["zoe"].id, 2)
    await chain.ground.does("zoe", sharing.accept, chain.shares["zoe"])
    zoe = chain.ground.actors["zoe"].account_id
    assert await chain.ground.does("system", sharing.level_of, zoe, chain.object_type, chain.record_id) == 2
    assert await chain.ground.violations() == []


async def test_accepting_more_of_the_same_from_the_same_hand_raises_the_first_and_keeps_what_is_below(
    chain: Chain,
) -> None:
    await chain.give("ada", "mia", 5)
    await chain.give("mia", "nia", 4)
    second = await chain.ground.does(
        "ada", sharing.offer, chain.record_id, to_email("mia@northside.example", 6)
    )
    raised = await chain.ground.does("mia", sharing.accept, second)
    assert (raised.id, raised.level) == (chain.shares["mia"].id, 6)
    merged = await chain.ground.rows("SELECT status FROM shares WHERE id = $1", second.id)
    assert merged[0]["status"] == "merged"
    assert (await chain.statuses())["nia"] == "active"
    assert (await chain.row("nia"))["made_under_id"] == (await chain.row("mia"))["grant_id"]
    assert await chain.ground.violations() == []
    await chain.ground.does("ada", shares.end, chain.shares["mia"].id)
    assert (await chain.statuses())["nia"] == "revoked"
    assert await chain.ground.violations() == []


# -- windows -----------------------------------------------------------------------------------------------------------


async def test_nothing_lasts_longer_than_what_it_was_made_under(ground: Ground) -> None:
    closes = ground.clock() + timedelta(days=3)
    chain = await Chain.made(ground, ends_at=closes)
    assert {to: (await chain.row(to))["window_ends_at"] for to in chain.shares} == dict.fromkeys(
        chain.shares, closes
    )
    sooner = closes - timedelta(days=1)
    await chain.give("ben", "mia", 4, ends_at=sooner)
    assert (await chain.row("mia"))["window_ends_at"] == sooner
    with pytest.raises(errors.WrongTarget, match="after your own access ends"):
        await ground.does(
            "rui", sharing.offer, chain.record_id, to_email("late@else.example", starts_at=closes)
        )
    assert await ground.violations() == []


async def test_with_a_window_that_closes_ends_what_was_made_under_it_though_no_sweep_has_run(
    ground: Ground,
) -> None:
    closes = ground.clock() + timedelta(days=3)
    chain = await Chain.made(ground, ends_at=closes)
    ground.clock.now = closes
    assert await chain.levels() == {"ada": 7, "ben": 0, "rui": 0, "pat": 0}
    assert set((await chain.statuses()).values()) == {"active", "pending"}
    while await ground.does("system", expire_one_share):
        pass
    assert not {"active", "pending"} & set((await chain.statuses()).values())
    assert (await chain.statuses())["ben"] in ("expired", "revoked")
    assert await ground.violations() == []


@pytest.mark.parametrize("accepted", [True, False])
async def test_who_has_it_for_a_while_gives_another_level_for_no_longer(
    ground: Ground, accepted: bool
) -> None:
    chain = await Chain.made(ground)
    closes = ground.clock() + timedelta(days=3)
    await chain.give("ada", "mia", 5, ends_at=closes)
    last = closes + timedelta(days=7)
    target = to_email("nia@newcomer.example", ends_at=last)
    share = await ground.does("ada", sharing.offer, chain.record_id, target)
    if accepted:
        await ground.does("nia", sharing.accept, share)
    await ground.does("mia", shares.change_level, share.id, 2)
    chain.shares["nia"] = share
    found = await chain.row("nia")
    assert (found["level"], found["window_ends_at"]) == (2, closes)
    assert found["until"] == (closes if accepted else None)
    assert await ground.violations() == []


@pytest.mark.parametrize("accepted", [True, False])
async def test_who_has_it_for_a_while_changes_nothing_that_begins_later(
    ground: Ground, accepted: bool
) -> None:
    chain = await Chain.made(ground)
    closes = ground.clock() + timedelta(days=3)
    await chain.give("ada", "mia", 5, ends_at=closes)
    opens = closes + timedelta(days=1)
    share = await ground.does(
        "ada", sharing.offer, chain.record_id, to_email("nia@newcomer.example", starts_at=opens)
    )
    if accepted:
        await ground.does("nia", sharing.accept, share)
    with pytest.raises(errors.NotSharable, match="after your own access ends"):
        await ground.does("mia", shares.change_level, share.id, 2)
    await ground.does("ada", shares.change_level, share.id, 2)
    assert await ground.violations() == []


# -- teams, and who has lost his access since --------------------------------------------------------------------------


async def test_what_was_made_by_way_of_a_team_ends_with_its_share_and_not_with_who_leaves_it(
    ground: Ground,
) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    team = await ground.does("ben", teams.create, "Crew")
    mia, pat = (ground.actors[name].account_id for name in ("mia", "pat"))
    await ground.does("ben", teams.add_member, team.id, mia)
    share = await ground.does("ada", sharing.offer, record_id, to_team(team.id, 5))
    await ground.does("ben", sharing.accept, share)
    below = await ground.does("mia", sharing.offer, record_id, to_account(pat))
    await ground.does("pat", sharing.accept, below)

    async def level(account_id: UUID | None) -> int:
        found: int = await ground.does("system", sharing.level_of, account_id, object_type, record_id)
        return found

    await ground.does("mia", teams.remove_member, team.id, mia)
    assert (await level(mia), await level(pat)) == (0, 4)
    listed = await ground.does(
        "ada", queries.on_context, record_id, new_id(ground.clock()), 0, 10, all_of_them=True
    )
    assert {view.share.id: view.is_orphan for view in listed} == {share.id: False, below.id: True}

    async def ends_orphans(ctx: Context) -> int:
        return await shares.end_orphans(ctx, await contexts.record(ctx, record_id))

    for who in ("ben", "pat"):
        with pytest.raises(errors.NotOnesShare):
            await ground.does(who, ends_orphans)
    assert [await ground.does("ada", ends_orphans) for _ in range(2)] == [1, 0]
    assert (await level(ground.actors["ben"].account_id), await level(pat)) == (5, 0)

    third = await ground.does("ben", sharing.offer, record_id, to_account(pat))
    await ground.does("pat", sharing.accept, third)
    await ground.does("ben", teams.end, team.id)
    assert (await level(ground.actors["ben"].account_id), await level(pat)) == (0, 0)
    assert await ground.violations() == []


async def test_of_several_that_end_together_each_ends_by_the_move_that_fits_it(chain: Chain) -> None:
    """The moves of several rows at once hold their guards row by row."""

    async def declines_all(ctx: Context) -> list[Share]:
        live = [LiveShare(one.id, one.status, one.level, one.context_id) for one in chain.shares.values()]
        return await LIFECYCLE.move_all(ctx, "decline", [one.id for one in live])

    async with chain.ground.trial() as tx:
        moved = await declines_all(chain.ground.context(tx, "system"))
        assert [share.id for share in moved] == [chain.shares["zoe"].id]


# -- a deed whose instant is older than what it finds ------------------------------------------------------------------

BEHIND = timedelta(milliseconds=5)


async def test_who_has_waited_long_or_whose_clock_runs_behind_does_nothing_by_what_has_ended_meanwhile(
    chain: Chain,
) -> None:
    """As of his instant he may still; but it was taken back, and whoever did was told so."""
    ground = chain.ground
    ground.clock.advance(hours=1)
    await ground.does("ada", shares.end, chain.shares["rui"].id)
    before = ground.clock() - BEHIND
    with pytest.raises(errors.NotFound):
        await ground.does("rui", sharing.offer, chain.record_id, to_email("late@else.example"), now=before)
    await ground.does("ada", shares.change_level, chain.shares["ben"].id, 5)
    before = ground.clock() - BEHIND
    with pytest.raises((errors.Forbidden, errors.NotFound)):
        await ground.does(
            "ben", records.replace, chain.object_type, chain.record_id, sharing.BODY, now=before
        )
    for who in ("rui", "pat"):
        with pytest.raises(errors.NotFound):
            await ground.does(who, record_queries.view, chain.object_type, chain.record_id, now=before)
        last = new_id(ground.clock())
        assert (
            await ground.does(who, record_queries.readable, chain.object_type, last, 0, 10, now=before) == []
        )
    assert await ground.violations() == []


async def test_who_has_left_a_team_reads_nothing_of_it_by_a_clock_that_runs_behind(ground: Ground) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    team = await ground.does("ben", teams.create, "Crew")
    mia = ground.actors["mia"].account_id
    await ground.does("ben", teams.add_member, team.id, mia)
    share = await ground.does("ada", sharing.offer, record_id, to_team(team.id))
    await ground.does("ben", sharing.accept, share)
    ground.clock.advance(hours=1)
    assert (await ground.does("mia", record_queries.view, object_type, record_id)).level == 4
    await ground.does("ben", teams.remove_member, team.id, mia)
    before = ground.clock() - BEHIND
    with pytest.raises(errors.NotFound):
        await ground.does("mia", record_queries.view, object_type, record_id, now=before)
    last = new_id(ground.clock())
    assert await ground.does("mia", record_queries.readable, object_type, last, 0, 10, now=before) == []
