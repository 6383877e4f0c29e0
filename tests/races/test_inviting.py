"""Invites, each by many callers at once: five answers are compared, one account registers, one person is granted, once.

Each race is followed by its control: the same race with the protection taken away, which must be seen to go wrong.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cast import House, MovableClock
from clinic import Clinic, accepts, body, finds, makes_person, problem
from engine import caring, inviting
from engine.ground import Ground
from engine.inviting import Coded
from hospitium.dispatch.sweeps import expire_one_invite
from hospitium.doors.passwords import PasswordGate
from hospitium.engine.actor import ANONYMOUS
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.grants import on_servers, queries as grant_queries
from hospitium.engine.invites import actions, answering, queries
from hospitium.engine.invites.answering import Attempt
from hospitium.engine.invites.lifecycle import LIFECYCLE, MOVES
from hospitium.engine.invites.record import INVITE_COLUMNS, Invite, InviteStatus, invites as table
from hospitium.engine.lifecycle import Lifecycle
from hospitium.engine.persons import queries as person_queries
from hospitium.engine.secrets import HashedPassword
from hospitium.storage.statements import struct
from races.window import Window, take_the_lock_away, tally

CALLERS = 50
THE_PERSON = person_queries._LOCK
THE_INVITE = queries._LOCK
THE_SERVER = (server_queries._LOCK, server_queries._HOLD)


def take_the_guard_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a control: every move writes its status, whatever status it finds and whatever the clock says."""
    unguarded = Lifecycle(
        table,
        struct(Invite),
        INVITE_COLUMNS,
        {verb: move._replace(sources=frozenset(InviteStatus), guard=None) for verb, move in MOVES.items()},
    )
    monkeypatch.setattr(LIFECYCLE, "_statements", unguarded._statements)


async def take_the_index_away(ground: Ground) -> None:
    """For a control: a grantee may have two grants on the same."""
    await ground.rows("DROP INDEX grants_one_on_server_ix")


def see_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a control: whatever grant a person has already isn't seen."""

    async def none(*_: Any) -> None:
        return None

    monkeypatch.setattr(grant_queries, "of_grantee", none)


async def status_of(ground: Ground, invite: Invite) -> str:
    (row,) = await ground.rows("SELECT status FROM invites WHERE id = $1", invite.id)
    return str(row["status"])


async def grants_of(ground: Ground, *persons: UUID) -> tuple[int, int]:
    """Return how many grants these persons have had, and how many of them are open."""
    (row,) = await ground.rows(
        "SELECT count(*) AS n, count(*) FILTER (WHERE ends_at IS NULL) AS open FROM grants WHERE grantee_id = ANY ($1)",
        list(persons),
    )
    return row["n"], row["open"]


async def told_of(ground: Ground, invite: Invite) -> Counter[str]:
    found = await ground.rows("SELECT kind FROM events WHERE subject_id = $1", invite.id)
    return Counter(row["kind"].partition(".")[2] for row in found)


async def a_person(ground: Ground, who: str) -> UUID:
    found: UUID = await ground.does(who, caring.a_person)
    return found


# -- answers -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def wide(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[House]:
    """A house that takes many tries from one address, and as many hashes as come."""
    settings = {
        "ADDRESS_FAILURES_PER_MINUTE": "100000",
        "UNKNOWN_CODES_PER_MINUTE": "100000",
        "PASSWORDS_WAITING": "1000",
    }
    async with House.open(database_url, clock, tmp_path / "keys", settings) as opened:
        yield opened


class Compared:
    """How many answers are compared, in all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        original = PasswordGate.fits

        async def counted(gate: PasswordGate, secret: Any, kept: HashedPassword) -> bool:
            self.times += 1
            return await original(gate, secret, kept)

        monkeypatch.setattr(PasswordGate, "fits", counted)


async def everybody_answers(house: House, code: str) -> Counter[int]:
    answers = ["Rex", *(f"Rex {n}" for n in range(63))]
    answered = await asyncio.gather(*(finds(house.pat, code, answer) for answer in answers))
    return Counter(one.status_code for one in answered)


async def test_of_64_answers_at_once_five_are_compared(wide: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = await Clinic.open(wide)
    made = body(await clinic.invites_by_code())
    compared = Compared(monkeypatch)
    assert await everybody_answers(wide, made["securityCode"]) == {400: 5, 404: 59}
    assert compared.times == 5
    (row,) = await wide.rows("SELECT status, wrong_answers FROM invites")
    assert tuple(row) == ("locked", 5)
    problem(await finds(wide.pat, made["securityCode"]), 404, "unknown-code")  # the right one comes too late
    assert compared.times == 5
    trail = await wide.trail(wide.northside)
    assert (trail.count("invite.answered_wrong"), trail.count("invite.locked")) == (5, 1)
    await wide.must_be_sound()


async def test_control_without_counting_first_more_than_five_are_compared(
    wide: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looks(ctx: Any, digests: list[bytes]) -> Attempt:
        """As whoever counts after comparing would do it."""
        row = await ctx.tx.fetchrow(
            "SELECT id, answer_hash FROM invites WHERE code_digest = ANY ($1)", digests
        )
        return Attempt(row["id"], HashedPassword(row["answer_hash"]))

    clinic = await Clinic.open(wide)
    code = body(await clinic.invites_by_code())["securityCode"]
    compared = Compared(monkeypatch)
    monkeypatch.setattr(answering, "take_attempt", looks)
    await everybody_answers(wide, code)
    assert compared.times > 5


# -- accept and accept ---------------------------------------------------------------------------------------------------


async def everybody_accepts(ground: Ground, window: Window) -> tuple[Invite, UUID, Counter[str]]:
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    invite = await ground.does("ben", inviting.by_email, server_id)
    person_id = await a_person(ground, "pat")
    deeds = [partial(ground.does, "pat", inviting.accept, invite, person_id)] * CALLERS
    return invite, person_id, tally(await window.race(*deeds))


async def test_of_all_who_accept_by_id_one_does_and_one_grant_begins(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_PERSON)
    for _ in times:
        invite, person_id, outcomes = await everybody_accepts(ground, window)
        assert outcomes == {"ok": 1, "WrongState": CALLERS - 1}
        assert await grants_of(ground, person_id) == (1, 1)
        assert await told_of(ground, invite) == {"made": 1, "accepted": 1}
    assert await ground.violations() == []


async def test_the_guard_in_the_write_is_enough_without_any_lock(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_INVITE)
    take_the_lock_away(monkeypatch, THE_PERSON, THE_INVITE)
    invite, person_id, outcomes = await everybody_accepts(ground, window)
    assert outcomes["ok"] == 1
    assert await grants_of(ground, person_id) == (1, 1)
    assert await told_of(ground, invite) == {"made": 1, "accepted": 1}
    assert await ground.violations() == []


async def test_control_without_locks_index_and_guard_many_accept(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_INVITE)
    take_the_lock_away(monkeypatch, THE_PERSON, THE_INVITE)
    take_the_guard_away(monkeypatch)
    see_none(monkeypatch)
    await take_the_index_away(ground)
    invite, person_id, outcomes = await everybody_accepts(ground, window)
    assert outcomes["ok"] > 1
    assert (await grants_of(ground, person_id))[1] > 1
    assert (await told_of(ground, invite))["accepted"] > 1


async def two_accept_by_code(ground: Ground, window: Window, names: tuple[str, ...]) -> tuple[Coded, list[UUID], Counter[str]]:  # fmt: skip
    """All have the code and the right answer; each accepts with a person of his own."""
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    coded = await ground.does("ben", inviting.by_code, server_id)
    persons = [await a_person(ground, name) for name in names]
    deeds = [
        partial(ground.does, names[n % len(names)], inviting.accepting.accept_by_code, coded.verdict, persons[n % len(names)])
        for n in range(CALLERS)
    ]  # fmt: skip
    return coded, persons, tally(await window.race(*deeds))


@pytest.mark.parametrize("names", [("pat",), ("pat", "zoe")], ids=["one account", "two accounts"])
async def test_of_all_who_accept_by_code_one_does(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    window.after(monkeypatch, THE_INVITE)
    for _ in times:
        coded, persons, outcomes = await two_accept_by_code(ground, window, names)
        assert outcomes == {"ok": 1, "UnknownCode": CALLERS - 1}
        assert await grants_of(ground, *persons) == (1, 1)
        assert await told_of(ground, coded.invite) == {"made": 1, "accepted": 1}
    assert await ground.violations() == []


async def test_control_without_lock_and_guard_two_accounts_accept_by_one_code(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_INVITE)
    take_the_lock_away(monkeypatch, THE_INVITE, THE_PERSON)
    take_the_guard_away(monkeypatch)
    _, persons, outcomes = await two_accept_by_code(ground, window, ("pat", "zoe"))
    assert outcomes["ok"] > 1
    assert (await grants_of(ground, *persons))[1] == 2


async def both_are_accepted(ground: Ground, window: Window) -> tuple[UUID, list[Invite], Counter[str]]:
    """Two invites to the same patient, with the same person, at once."""
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    made = [await ground.does("ben", inviting.by_email, server_id) for _ in range(2)]
    person_id = await a_person(ground, "pat")
    outcomes = await window.race(
        *(partial(ground.does, "pat", inviting.accept, one, person_id) for one in made)
    )
    return person_id, made, tally(outcomes)


async def test_of_two_invites_to_one_patient_both_are_accepted_and_one_grant_begins(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_PERSON)
    for _ in times:
        person_id, made, outcomes = await both_are_accepted(ground, window)
        assert outcomes == {"ok": 2}
        assert await grants_of(ground, person_id) == (1, 1)
        rows = await ground.rows(
            "SELECT DISTINCT grant_id FROM invites WHERE id = ANY ($1)", [one.id for one in made]
        )
        assert len(rows) == 1
    assert await ground.violations() == []


async def test_control_without_the_lock_on_the_person_and_the_index_two_begin(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, grant_queries._OF_GRANTEE)
    take_the_lock_away(monkeypatch, THE_PERSON)
    await take_the_index_away(ground)
    person_id, _, _ = await both_are_accepted(ground, window)
    assert await grants_of(ground, person_id) == (2, 2)


# -- accept and end ------------------------------------------------------------------------------------------------------


async def accepted_while(
    ground: Ground, window: Window, ends: Any, *, by_code: bool, pairs: int = 8
) -> tuple[Invite, UUID, Counter[str], Counter[str]]:
    """Pat accepts, while the invite is ended; return what either was told."""
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    person_id = await a_person(ground, "pat")
    if by_code:
        coded = await ground.does("ben", inviting.by_code, server_id)
        invite = coded.invite
        deed = partial(ground.does, "pat", inviting.accepting.accept_by_code, coded.verdict, person_id)
    else:
        invite = await ground.does("ben", inviting.by_email, server_id)
        deed = partial(ground.does, "pat", inviting.accept, invite, person_id)
    ending = partial(ends, ground, invite)
    outcomes = await window.race(*([deed, ending] * pairs))
    return invite, person_id, tally(outcomes[::2]), tally(outcomes[1::2])


async def withdraws(ground: Ground, invite: Invite) -> Any:
    return await ground.does("ada", actions.withdraw, invite.id)


async def issues_again(ground: Ground, invite: Invite) -> Any:
    return await ground.does("ada", inviting.again, invite)


async def expires(ground: Ground, invite: Invite) -> Any:
    """The sweep, whose clock is ahead of the one of whoever accepts: by its own he is in time."""
    assert invite.expires_at is not None
    await ground.does("system", expire_one_invite, now=invite.expires_at)
    if await status_of(ground, invite) != "expired":
        raise LookupError("somebody was faster")


ENDS = {"withdrawn": withdraws, "replaced": issues_again, "expired": expires}


@pytest.mark.parametrize(
    ("end", "by_code"),
    [("withdrawn", False), ("withdrawn", True), ("expired", False), ("expired", True), ("replaced", True)],
)
async def test_an_invite_is_accepted_or_ended_and_never_both(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch, end: str, by_code: bool
) -> None:
    window.after(monkeypatch, THE_INVITE)
    invite, person_id, accepted, ended = await accepted_while(ground, window, ENDS[end], by_code=by_code)
    status = await status_of(ground, invite)
    assert status in ("accepted", end)
    told = await told_of(ground, invite)
    if status == "accepted":
        assert (accepted["ok"], ended["ok"]) == (1, 0)
        assert await grants_of(ground, person_id) == (1, 1)
    else:
        assert (accepted["ok"], ended["ok"] > 0) == (0, True)
        assert await grants_of(ground, person_id) == (0, 0)
    assert told == {"made": 1, status: 1}
    rows = await ground.rows("SELECT count(*) FROM invites WHERE replaces_id = $1", invite.id)
    assert rows[0][0] == (status == "replaced")
    assert await ground.violations() == []


async def test_control_without_lock_guard_and_constraint_what_was_withdrawn_is_accepted(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, THE_INVITE)
    take_the_lock_away(monkeypatch, THE_INVITE)
    take_the_guard_away(monkeypatch)
    await ground.rows(
        "ALTER TABLE invites DROP CONSTRAINT invites_end_has_a_time_check, DROP CONSTRAINT invites_acceptance_is_whole_check"
    )
    invite, _, accepted, ended = await accepted_while(ground, window, withdraws, by_code=True, pairs=1)
    assert (accepted["ok"], ended["ok"]) == (1, 1)
    assert (await told_of(ground, invite)).keys() == {"made", "accepted", "withdrawn"}


# -- register and register -----------------------------------------------------------------------------------------------


async def everybody_registers(ground: Ground, window: Window) -> tuple[Coded, Counter[str], int]:
    """Two dozen with the code and the right answer, each with an address of his own; return how many accounts that made, too."""
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    coded = await ground.does("ben", inviting.by_code, server_id)
    (before,) = await ground.rows("SELECT count(*) FROM accounts")
    deeds = [
        partial(ground.does, ground.actors["nobody"], inviting.register, coded, f"eve{n}@{server_id.hex}.example")
        for n in range(24)
    ]  # fmt: skip
    outcomes = tally(await window.race(*deeds))
    (after,) = await ground.rows("SELECT count(*) FROM accounts")
    return coded, outcomes, after[0] - before[0]


async def test_of_all_who_register_with_one_code_one_has_an_account(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.actors["nobody"] = ANONYMOUS
    window.after(monkeypatch, answering._GIVE_BACK, "run")
    for _ in times:
        coded, outcomes, made = await everybody_registers(ground, window)
        assert outcomes == {"ok": 1, "UnknownCode": 23}
        assert made == 1
        assert await status_of(ground, coded.invite) == "bound"
        assert await told_of(ground, coded.invite) == {"made": 1, "bound": 1}
    assert await ground.violations() == []


async def test_control_without_the_guard_many_have(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.actors["nobody"] = ANONYMOUS
    window.after(monkeypatch, answering._GIVE_BACK, "run")
    take_the_guard_away(monkeypatch)
    coded, outcomes, made = await everybody_registers(ground, window)
    assert outcomes["ok"] == made > 1
    assert (await told_of(ground, coded.invite))["bound"] > 1


# -- revoke --------------------------------------------------------------------------------------------------------------


async def test_what_starts_after_a_grant_was_ended_reads_nothing(house: House, times: range) -> None:
    """The new enemy (threats C-09, C-10): pat asks without pause while his grant is ended; once ada has her answer, he has nothing."""
    clinic = await Clinic.open(house)
    person_id = await makes_person(house.pat)
    for _ in times:
        made = body(await clinic.invites_by_email("pat@mail.example"))["id"]
        grant = body(await accepts(house.pat, made, person_id))["grantId"]
        path = f"/FhirServers/grants/{grant}"
        is_ended = asyncio.Event()
        seen: Counter[tuple[bool, int]] = Counter()

        async def asks(
            path: str = path, is_ended: asyncio.Event = is_ended, seen: Counter[Any] = seen
        ) -> None:
            after = 0
            while after < 5:
                began_after = is_ended.is_set()
                seen[began_after, (await house.pat.get(path)).status_code] += 1
                after += began_after

        async def ends(path: str = path, is_ended: asyncio.Event = is_ended) -> None:
            assert (await house.ada.send("DELETE", path)).status_code == 204
            is_ended.set()

        await asyncio.gather(*(asks() for _ in range(4)), ends())
        assert seen.keys() <= {(False, 200), (False, 404), (True, 404)}
        assert seen[True, 404] >= 20
    await house.must_be_sound()


async def accepted_while_the_grant_is_ended(ground: Ground, window: Window) -> tuple[UUID, list[Any]]:
    """Pat, who has a grant, accepts a second invite to the same patient, while ada ends that grant."""
    server_id = await inviting.a_server(ground, f"Clinic {ground.clock.now}")
    person_id = await a_person(ground, "pat")
    first = await ground.does("ben", inviting.by_email, server_id)
    grant = await ground.does("pat", inviting.accept, first, person_id)
    second = await ground.does("ben", inviting.by_email, server_id)
    accepts_it = partial(ground.does, "pat", inviting.accept, second, person_id)
    ends_it = partial(ground.does, "ada", on_servers.end, grant.id)
    return person_id, await window.race(accepts_it, window.behind(ends_it))


async def test_a_grant_that_is_ended_is_not_the_answer_to_an_accept(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, grant_queries._OF_GRANTEE)
    _, (accepted, _) = await accepted_while_the_grant_is_ended(ground, window)
    # It was there when he accepted, and was ended after that: whoever ended it waited, and knew of both.
    (row,) = await ground.rows(
        "SELECT g.ends_at, i.accepted_at FROM grants g JOIN invites i ON i.grant_id = g.id WHERE g.id = $1 ORDER BY i.id DESC LIMIT 1",
        accepted.id,
    )
    assert row["ends_at"] is not None
    kinds = await ground.rows(
        "SELECT kind FROM events WHERE kind IN ('invite.accepted', 'grant.ended') ORDER BY transaction, position"
    )
    assert [one["kind"] for one in kinds] == ["invite.accepted", "invite.accepted", "grant.ended"]
    assert await ground.violations() == []


async def test_control_without_the_lock_on_the_server_it_is(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_the_lock_away(monkeypatch, *THE_SERVER)
    window.after(monkeypatch, grant_queries._OF_GRANTEE)
    person_id, (accepted, ended) = await accepted_while_the_grant_is_ended(ground, window)
    assert not isinstance(ended, Exception)
    assert not isinstance(accepted, Exception)
    assert await grants_of(ground, person_id) == (1, 0)  # accepted, with a grant that was over before
