"""While a restore holds, nobody acts for an organization by a membership that was in the backup."""

from __future__ import annotations

from typing import Any

from cast import PASSWORD, Caller, House
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.epochs import actions as epochs
from hospitium.engine.epochs.revocations import Trail
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.permissions import MEMBERSHIP_HELD, Permission
from hospitium.engine.secrets import HashedPassword

ADA = "ada@northside.example"
BODY = {"email": ADA, "password": PASSWORD}
OFFER = {"email": "puppet@mail.example", "role": "admin"}


async def restored(house: House, *, complete: bool = False) -> None:
    trail = Trail([], complete, HashedPassword("$argon2id$nobody knows this"))
    await house.operate(lambda ctx: epochs.begin_next(ctx, None, trail), Permission.RESTORE)


async def signed_in(house: House, **more: Any) -> tuple[Caller, dict[str, Any]]:
    answer = await house.stranger.post("/v1/sessions", {**BODY, **more})
    assert answer.status_code == 200, answer.text
    return Caller(house.http, answer.json()["accessToken"]), answer.json()


async def tried(house: House, who: Caller) -> list[int]:
    """What is answered to who reads the members, invites an administrator, and asks to connect."""
    answers = (
        await who.get("/v1/members"),
        await who.post("/v1/offers", OFFER),
        await who.asks(house.lakeside),
    )
    for answer in answers:
        assert answer.status_code != 403 or MEMBERSHIP_HELD in answer.text, answer.text
    return [answer.status_code for answer in answers]


async def test_who_was_an_administrator_in_the_backup_signs_in_and_acts_for_nobody(house: House) -> None:
    await restored(house)
    ada, said = await signed_in(house)
    assert (said["organizationId"], said["role"]) == (None, None)
    assert await tried(house, ada) == [403, 403, 403]
    assert (await ada.get("/v1/accounts/own")).status_code == 200  # what is his own is his

    chosen = await house.stranger.post("/v1/sessions", {**BODY, "organizationId": str(house.northside)})
    moved = await ada.post("/v1/sessions/organization", {"organizationId": str(house.northside)})
    for answer in (chosen, moved):
        assert answer.status_code == 403
        assert MEMBERSHIP_HELD in answer.text


async def test_a_renewal_gives_no_more_than_the_sign_in_did(house: House) -> None:
    await restored(house)
    _, said = await signed_in(house)
    renewed = await house.stranger.post("/v1/sessions/renewal", {"refreshToken": said["refreshToken"]})
    assert (renewed.status_code, renewed.json()["organizationId"]) == (200, None)
    await house.operate(epochs.confirm, Permission.RESTORE)
    again = {"refreshToken": renewed.json()["refreshToken"]}
    said = (await house.stranger.post("/v1/sessions/renewal", again)).json()
    assert (said["organizationId"], said["role"]) == (str(house.northside), "admin")


async def test_what_is_held_counts_again_when_the_operator_confirms_without_another_sign_in(
    house: House,
) -> None:
    await restored(house)
    ada, _ = await signed_in(house)
    assert await tried(house, ada) == [403, 403, 403]
    await house.operate(epochs.confirm, Permission.RESTORE)
    assert await tried(house, ada) == [200, 201, 201]
    await house.must_be_sound()


async def test_a_complete_trail_holds_no_membership(house: House) -> None:
    await restored(house, complete=True)
    ada, said = await signed_in(house)
    assert said["organizationId"] == str(house.northside)
    assert await tried(house, ada) == [200, 201, 201]


async def test_a_membership_given_after_the_restore_counts_at_once_and_is_the_one_that_is_chosen(
    house: House,
) -> None:
    await restored(house)
    house.clock.advance(seconds=1)

    async def join(ctx: Context) -> None:
        await memberships.add(ctx, house.accounts["ada"], house.harbor, Role.ADMIN)

    await house.operate(join)
    ada, said = await signed_in(house)
    assert said["organizationId"] == str(house.harbor)
    assert await tried(house, ada) == [200, 201, 201]


async def test_without_the_hold_a_removed_administrator_would_rule_again(house: House) -> None:
    """The control: the same restore, with nothing in the way of its memberships."""
    await restored(house)
    await house.rows("UPDATE epochs SET holds_until = NULL, number = 1")
    ada, _ = await signed_in(house)
    assert await tried(house, ada) == [200, 201, 201]
