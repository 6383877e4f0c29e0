"""What a restore does to persons: who looks after one is held, and what ended since ends again."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.caring import LEVELS, a_family, a_form, a_person, goes, let_in, offers, role_of, who_looks_after
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.epochs import actions as epochs
from hospitium.engine.epochs.actions import Restored
from hospitium.engine.epochs.revocations import TAKES_AWAY, Trail, TrailLine
from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.levels import Level
from hospitium.engine.persons import actions, queries

FAMILY = {"pat": "owner", "ada": "7", "ben": "6", "mia": "4"}


async def restored(ground: Ground, *lines: TrailLine) -> Restored:
    trail = Trail(lines, False, NOBODYS_HASH)
    return await ground.does("operator", epochs.begin_next, None, trail)  # type: ignore[no-any-return]


def line(ground: Ground, kind: EventKind, subject: UUID, **names: str) -> TrailLine:
    said: dict[str, Any] = {name: str(ground.actors[who].account_id) for name, who in names.items()}
    return TrailLine(id=uuid4(), at=ground.clock(), kind=kind.value, subject_id=subject, data=said)


async def test_what_a_restore_holds_counts_for_nothing_until_the_operator_confirms(ground: Ground) -> None:
    person_id = await a_family(ground)
    await restored(ground)
    for name in FAMILY:
        assert await ground.does(name, role_of, person_id) == 0
        assert await ground.does(name, queries.seen_count) == 0
        for deed, given in (
            (queries.find, ()),
            (queries.roles, (10,)),
            (actions.change, (a_form(),)),
            (actions.end_role, (ground.actors[name].account_id,)),
            (actions.delete, ()),
            (offers, ("rui",)),
        ):
            with pytest.raises(NotFound):
                await ground.does(name, deed, person_id, *given)
        assert not await ground.does(name, queries.administers, person_id)
    assert await who_looks_after(ground, person_id) == FAMILY
    # What is made after is one's own at once.
    made = await ground.does("pat", a_person)
    assert await ground.does("pat", role_of, made) == Level.DELETE
    await ground.does("operator", epochs.confirm)
    for name, level in LEVELS.items():
        assert await ground.does(name, role_of, person_id) == level
    assert await ground.violations() == []


async def test_a_role_that_clocks_put_into_the_future_is_held_too(ground: Ground) -> None:
    person_id = await ground.does("pat", a_person)
    ground.clock.advance(days=1)
    await let_in(ground, person_id, "ada", Level.READ)
    ground.clock.advance(days=-1)
    await restored(ground)
    ground.clock.advance(days=2)
    assert await ground.does("ada", role_of, person_id) == 0


async def test_nobody_becomes_an_owner_by_what_is_held(ground: Ground) -> None:
    """Ada may have been taken out since the backup: what pat leaves behind isn't hers as long as that is open."""
    person_id = await a_family(ground)
    await restored(ground)
    await ground.does("operator", goes, "pat")
    assert await who_looks_after(ground, person_id) == {}
    assert await ground.violations() == []


async def test_a_role_that_ended_ends_again(ground: Ground) -> None:
    person_id = await a_family(ground)
    again = [
        line(ground, EventKind.PERSON_ROLE_ENDED, person_id, account="mia"),
        line(ground, EventKind.PERSON_ROLE_CHANGED, person_id, account="ben"),
    ]
    done = await restored(ground, *again, *again)
    assert done.applied.counts() == {"person.role_changed": 1, "person.role_ended": 1}
    assert done.applied.not_there == 2
    assert await who_looks_after(ground, person_id) == {"pat": "owner", "ada": "7"}
    assert await ground.violations() == []


async def test_an_owner_who_had_gone_goes_again_and_the_next_is_held_as_all_are(ground: Ground) -> None:
    person_id = await a_family(ground)
    done = await restored(ground, line(ground, EventKind.PERSON_ROLE_ENDED, person_id, account="pat"))
    assert done.applied.counts() == {"person.role_ended": 1}
    assert await who_looks_after(ground, person_id) == {"ada": "owner", "ben": "6", "mia": "4"}
    assert await ground.does("ada", role_of, person_id) == 0
    await ground.does("operator", epochs.confirm)
    assert await ground.does("ada", role_of, person_id) == Level.DELETE
    assert await ground.violations() == []


async def test_what_was_given_away_is_given_away_again(ground: Ground) -> None:
    person_id = await a_family(ground)
    given = line(ground, EventKind.PERSON_TRANSFERRED, person_id, source="pat", target="mia")
    to_nobody = line(ground, EventKind.PERSON_TRANSFERRED, person_id, source="mia", target="rui")
    done = await restored(ground, given, given, to_nobody)
    assert (done.applied.counts(), done.applied.not_there) == ({"person.transferred": 1}, 2)
    assert await who_looks_after(ground, person_id) == FAMILY | {"pat": "7", "mia": "owner"}
    assert await ground.does("mia", role_of, person_id) == 0
    assert await ground.violations() == []


async def test_a_person_that_was_deleted_is_deleted_again(ground: Ground) -> None:
    person_id = await a_family(ground)
    gone = line(ground, EventKind.PERSON_DELETED, person_id)
    done = await restored(ground, gone, gone)
    assert (done.applied.counts(), done.applied.not_there) == ({"person.deleted": 1}, 1)
    assert await who_looks_after(ground, person_id) == {}
    (row,) = await ground.rows("SELECT first_name, ended_at FROM persons")
    assert row["first_name"] is None
    assert row["ended_at"] is not None
    assert await ground.violations() == []


async def test_an_account_that_was_deleted_leaves_its_persons_again(ground: Ground) -> None:
    person_id = await a_family(ground)
    pat = ground.actors["pat"].account_id
    assert pat is not None
    await restored(ground, line(ground, EventKind.ACCOUNT_DELETED, pat))
    assert await who_looks_after(ground, person_id) == {"ada": "owner", "ben": "6", "mia": "4"}
    assert await ground.violations() == []


def test_every_kind_about_persons_that_takes_away_was_tried() -> None:
    taking = {kind.value for kind in TAKES_AWAY if kind.value.partition(".")[0] == "person"}
    assert taking == {"person.role_ended", "person.role_changed", "person.transferred", "person.deleted"}
