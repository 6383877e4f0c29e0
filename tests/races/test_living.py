"""Links, mailboxes, memberships and tries, each by sixty-four callers at once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest

from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.mails import Post
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import ANONYMOUS, Role
from hospitium.engine.errors import Unavailable, WrongCredentials
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.offers import actions as offers
from hospitium.engine.offers.record import OFFER_PURPOSE
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.secrets import DerivationKey, HashedPassword, LinkToken, derive
from hospitium.engine.sessions.actions import PasswordVerdict
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, Try
from races.window import Window, take_the_lock_away, tally

CALLERS = 64
KEY = DerivationKey(1, b"k" * 32)
POST = Post(KEY, Limit(1_000, timedelta(seconds=1)))
EVE = "eve@mail.example"


async def token_of(ground: Ground, email: str, purpose: LinkPurpose) -> LinkToken:
    (row,) = await ground.rows(
        "SELECT id, nonce FROM links WHERE email = $1 AND purpose = $2 AND ended_at IS NULL",
        email,
        purpose.value,
    )
    return derive(KEY, purpose.value, row["id"], row["nonce"])


async def registers(ground: Ground, password: str = "one") -> None:
    await ground.does(ANONYMOUS, life.register, AccountForm(email=EVE), HashedPassword(password), POST)


async def test_of_all_who_set_a_password_with_one_link_one_does(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, account_queries._LOCK)
    for _ in times:
        email = "ada@northside.example"
        await ground.does(ANONYMOUS, life.ask_new_password, email, Language.ENGLISH, POST)
        token = await token_of(ground, email, LinkPurpose.PASSWORD)

        def sets(number: int, token: LinkToken = token) -> Any:
            return lambda: ground.does(ANONYMOUS, life.set_password, token, HashedPassword(f"{number}"), POST)

        outcomes = await window.race(*(sets(number) for number in range(CALLERS)))
        assert tally(outcomes) == {"ok": 1, "DeadLink": CALLERS - 1}
    changed = await ground.rows("SELECT 1 FROM events WHERE kind = 'account.password_changed'")
    assert len(changed) == len(times)
    assert await ground.violations() == []


async def test_of_all_who_register_one_address_at_once_one_account_remains_and_one_link(
    ground: Ground, window: Window, times: range
) -> None:
    for _ in times:
        outcomes = await window.race(*(lambda: registers(ground) for _ in range(16)))
        assert tally(outcomes) == {"ok": 16}
        assert len(await ground.rows("SELECT 1 FROM accounts WHERE email = $1", EVE)) == 1
        await token_of(ground, EVE, LinkPurpose.CONFIRM)
    assert await ground.violations() == []


async def test_whether_it_is_confirmed_or_claimed_first_only_one_of_the_two_happens(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, account_queries._LOCK)
    for _ in times:
        await registers(ground)
        token = await token_of(ground, EVE, LinkPurpose.CONFIRM)
        (row,) = await ground.rows("SELECT id FROM accounts WHERE email = $1", EVE)
        knows = PasswordVerdict(row["id"], HashedPassword("one"), True)
        outcomes = await window.race(
            lambda token=token, knows=knows: ground.does(ANONYMOUS, life.confirm, token, knows),
            lambda token=token: ground.does(ANONYMOUS, life.claim, token, HashedPassword("two")),
        )
        assert tally(outcomes)["ok"] == 1
        kinds = await ground.rows(
            "SELECT kind FROM events WHERE subject_id = $1 AND kind IN ('account.confirmed', 'account.claimed')",
            row["id"],
        )
        assert len(kinds) == 1
        # The address is free again for the next turn.
        await ground.rows(
            "UPDATE accounts SET email = '', email_key = id::text, password_hash = '', first_name = NULL, last_name = NULL, verified_at = NULL, status = 'deleted', ended_at = created_at WHERE id = $1 RETURNING 1",
            row["id"],
        )


async def administrators(ground: Ground) -> list[UUID]:
    found = await ground.rows(
        "SELECT account_id FROM memberships WHERE organization_id = $1 AND role = 'admin' AND ends_at IS NULL",
        ground.northside,
    )
    return [row["account_id"] for row in found]


async def two_administrators(ground: Ground) -> list[tuple[Any, UUID]]:
    """Ada and Ben administer Northside; return each with whom he removes."""
    ada, ben = ground.actors["ada"].account_id, ground.actors["ben"].account_id
    assert ada is not None
    assert ben is not None
    present = await administrators(ground)
    for account_id in (ada, ben):
        if account_id in present:
            continue
        membership = await ground.does("operator", membership_queries.open_of, account_id, ground.northside)
        if membership is not None:
            await ground.does("operator", memberships.end, account_id, ground.northside)
        await ground.does("operator", memberships.add, account_id, ground.northside, Role.ADMIN)
    # Ben as an administrator is Ada with another account.
    return [("ada", ben), (msgspec.structs.replace(ground.actors["ada"], account_id=ben), ada)]


async def test_of_two_administrators_who_remove_each_other_one_stays(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, membership_queries._ANOTHER_ADMINISTRATOR)
    for _ in times:
        pairs = await two_administrators(ground)
        outcomes = await window.race(
            *(lambda who=who, whom=whom: ground.does(who, memberships.remove, whom) for who, whom in pairs)
        )
        assert tally(outcomes) == {"ok": 1, "LastAdministrator": 1}
        assert len(await administrators(ground)) == 1


async def test_control_without_the_lock_on_the_organization_nobody_stays(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, membership_queries._ANOTHER_ADMINISTRATOR)
    take_the_lock_away(monkeypatch, organization_queries.LOCK)
    pairs = await two_administrators(ground)
    outcomes = await window.race(
        *(lambda who=who, whom=whom: ground.does(who, memberships.remove, whom) for who, whom in pairs)
    )
    assert tally(outcomes) == {"ok": 2}
    assert await administrators(ground) == []


async def test_a_bucket_of_ten_takes_ten_of_all_who_try_at_once(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, throttles._COUNT, "all")
    for turn in times:
        one = Try(bytes([turn]) * 32, Limit(10, timedelta(hours=1)))
        outcomes = await window.race(
            *(lambda one=one: ground.does(ANONYMOUS, throttles.count, [one]) for _ in range(CALLERS))
        )
        assert tally(outcomes) == {"ok": 10, "TooManyAttempts": CALLERS - 10}


async def joins_and_leaves(ground: Ground, window: Window, name: str) -> None:
    """Somebody is deleted while the invitation sent to his address is taken up."""
    email = f"{name}@mail.example"
    made = await ground.does("ada", offers.make, email, Role.ADMIN, Language.ENGLISH, POST)
    token = derive(KEY, OFFER_PURPOSE, made.id, made.nonce)
    person = await ground.does("operator", ground.add_person, name, None, Role.MEMBER)
    verdict = PasswordVerdict(person.account_id, NOBODYS_HASH, True)
    await window.race(
        partial(_again, ground, person, offers.accept, token, None, None, None),
        partial(_again, ground, person, life.delete_own, verdict, POST),
    )


async def test_of_joining_and_deleting_at_once_no_deleted_member_remains(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever deletes has seen no memberships, and is held until the other has made one.
    window.after(monkeypatch, membership_queries._OF_ACCOUNT, "all")
    for turn in times:
        await joins_and_leaves(ground, window, f"joiner{turn}")
        assert await ground.violations() == []


async def test_control_without_a_second_look_a_deleted_member_remains(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = membership_queries.of_account

    async def sees_none(*given: Any) -> list[Any]:
        await look(*given)
        return []

    window.after(monkeypatch, membership_queries._OF_ACCOUNT, "all")
    monkeypatch.setattr(membership_queries, "of_account", sees_none)
    await joins_and_leaves(ground, window, "joiner")
    assert await ground.violations() == ["A3"]


async def test_a_password_that_was_changed_since_it_was_compared_joins_nothing(ground: Ground) -> None:
    made = await ground.does("ada", offers.make, "zoe@harbor.example", Role.ADMIN, Language.ENGLISH, POST)
    token = derive(KEY, OFFER_PURPOSE, made.id, made.nonce)
    zoe = ground.actors["zoe"].account_id
    form, password = AccountForm(email=""), HashedPassword("new")
    before = PasswordVerdict(zoe, HashedPassword("the hash of then"), True)
    with pytest.raises(WrongCredentials):
        await ground.does(ANONYMOUS, offers.accept, token, form, password, before)
    now = PasswordVerdict(zoe, NOBODYS_HASH, True)
    await ground.does(ANONYMOUS, offers.accept, token, form, password, now)


async def _again(ground: Ground, who: Any, deed: Any, *given: Any) -> Any:
    """Do a deed, and do it again if that is what it asks for."""
    for _ in range(8):
        try:
            return await ground.does(who, deed, *given)
        except Unavailable:
            continue
    raise AssertionError("it asks for ever")
