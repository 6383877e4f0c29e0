"""GET /{org}/v2/connections/{token}: whoever has the token sees who offers what kind of thing, and never which."""

from __future__ import annotations

from datetime import timedelta

from cast import Caller, House
from doors.manners import bare, everything
from doors.medable.sharing import (
    AT,
    accepts,
    account_of,
    address,
    at_instant,
    defines,
    done,
    ends,
    fault,
    makes,
    offers,
    team_of,
    token_of,
    unchanged,
)

BANTING = {"email": "Fred@mail.example", "name": {"first": "Fred"}, "access": 4}


async def test_it_needs_no_session_and_shows_only_what_is_allowed(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, BANTING)
    (mail,) = await house.mails()
    before = await everything(house)
    answers = [
        await caller.get(f"{AT}/connections/{mail.token}")
        for caller in (house.stranger, house.rui, house.ada, Caller(house.http, "nonsense"))
    ]
    assert done(answers[0]) == {
        "_id": made["_id"],
        "object": "connection",
        "state": 0,
        "access": 4,
        "expiresAt": made["expiresAt"],
        "context": {"object": "c_prescription"},
        "creator": {"name": {"first": "Ada", "last": "Cast"}},
        "target": {"email": "Fred@mail.example", "name": {"first": "Fred"}},
    }
    for one in answers:
        assert bare(one) == bare(answers[0])
        assert one.headers["cache-control"] == "no-store"
    for secret in (record, account_of(house, "ada"), address("ada"), mail.token, "aspirin"):
        assert secret not in answers[0].text
    assert await everything(house) == before
    await house.must_be_sound()


async def test_a_target_that_was_named_by_id_is_not_named_to_a_stranger(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await offers(house.ada, record, {"_id": account_of(house, "pat"), "access": 4})
    (mail,) = await house.mails()
    shown = done(await house.stranger.get(f"{AT}/connections/{mail.token}"))
    assert shown["target"] == {}
    team = await team_of(house)
    await offers(house.ada, record, {"object": "team", "_id": team, "access": 4})
    (mail,) = await house.mails()
    assert done(await house.stranger.get(f"{AT}/connections/{mail.token}"))["target"] == {}
    await offers(house.ada, account_of(house, "ada"), BANTING, "accounts")
    (mail,) = await house.mails()
    shown = done(await house.stranger.get(f"{AT}/connections/{mail.token}"))
    assert shown["context"] == {"object": "account"}
    await house.must_be_sound()


async def test_a_dead_token_is_one_fault_whoever_asks(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    never = await house.stranger.get(f"{AT}/connections/{'x' * 32}")
    fault(never, 400, "kInvalidArgument", "cortex.invalidArgument.connectionToken")
    pat = {"email": "pat@mail.example", "access": 4}
    made = await offers(house.ada, record, pat)
    token = await token_of(house.pat, made["_id"])

    async def is_dead(token: str, at: str = AT) -> None:
        for caller in (house.stranger, house.pat, house.ada):
            assert bare(await unchanged(house, caller.get(f"{at}/connections/{token}"))) == bare(never), token

    for wrong in (
        token[:-1],
        token + "A",
        token.swapcase(),
        "null",
        "0",
        "%00",
        "%EF%BC%A1" * 32,
        "a" * 5_000,
    ):
        await is_dead(wrong)
    await is_dead(token, "/lakeside/v2")
    done(await house.stranger.get(f"{AT}/connections/{token}"))
    (row,) = await house.rows("SELECT expires_at FROM shares")
    # Nobody's token is looked at here: the clock is looked at once.
    at_instant(house, row["expires_at"])
    done(await house.stranger.get(f"{AT}/connections/{token}"))
    at_instant(house, row["expires_at"] + timedelta(microseconds=1))
    assert bare(await house.stranger.get(f"{AT}/connections/{token}")) == bare(never)
    await is_dead(token)
    made = await offers(house.ada, record, pat)
    token = await token_of(house.pat, made["_id"])
    await accepts(house.pat, made["_id"])
    await is_dead(token)
    done(await ends(house.ada, made["_id"]))
    made = await offers(house.ada, record, pat)
    token = await token_of(house.pat, made["_id"])
    done(await ends(house.pat, token))
    await is_dead(token)
    await house.must_be_sound()


async def test_by_its_id_one_has_to_sign_in_and_it_has_to_concern_one(house: House) -> None:
    await defines(house)
    made = await offers(house.ada, await makes(house.ada), BANTING)
    fault(await house.stranger.get(f"{AT}/connections/{made['_id']}"), 403, "kNotLoggedIn")
    answered = await house.rui.get(f"{AT}/connections/{made['_id']}")
    fault(answered, 404, "kNotFound", "cortex.notFound.connection")
    assert bare(await house.rui.get(f"{AT}/connections/{'5' * 24}")) == bare(answered)
    fault(await house.ada.get(f"/lakeside/v2/connections/{made['_id']}"), 404, "kNotFound")
    seen = done(await house.ada.get(f"{AT}/connections/{made['_id'].upper()}"))
    assert seen.keys() == {
        "_id",
        "access",
        "context",
        "created",
        "creator",
        "expiresAt",
        "isArchived",
        "object",
        "state",
        "target",
    }
    await house.must_be_sound()
