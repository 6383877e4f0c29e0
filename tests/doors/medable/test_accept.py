"""POST /{org}/v2/connections/{token}: the target says yes; for everybody else, and of any other token, it is one fault."""

from __future__ import annotations

import string
from datetime import timedelta
from urllib.parse import quote

import httpx

from cast import Caller, House
from doors.manners import bare, everything
from doors.medable.sharing import (
    AT,
    accepts,
    access,
    account_of,
    address,
    at_instant,
    connected,
    defines,
    done,
    ends,
    fault,
    listed,
    makes,
    offers,
    shares,
    token_of,
    unchanged,
    unverified,
    writes,
)
from doors.native.living import SECRET
from hospitium.engine.organizations import actions as organizations

PAT = {"email": "pat@mail.example", "access": 4}
MICROSECOND = timedelta(microseconds=1)
LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase


async def brings(caller: Caller, token: str, at: str = AT) -> httpx.Response:
    """Bring a token, whatever is in it."""
    return await caller.send("POST", f"{at}/connections/{quote(token, safe='')}")


async def dead(house: House) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all of the answer to a token that never was."""
    answered = await brings(house.pat, "x" * 32)
    fault(answered, 400, "kInvalidArgument", "cortex.invalidArgument.connectionToken")
    return bare(answered)


async def test_it_answers_in_the_documented_form(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT | {"name": {"first": "Charles", "last": "Best"}})
    accepted = done(await brings(house.pat, await token_of(house.pat, made["_id"])))
    pat, ada = account_of(house, "pat"), account_of(house, "ada")
    assert accepted == {
        "_id": made["_id"],
        "access": 4,
        "context": {"_id": record, "object": "c_prescription", "path": f"/c_prescriptions/{record}"},
        "created": made["created"],
        "creator": {"_id": ada, "object": "account", "path": f"/accounts/{ada}"},
        "isArchived": False,
        "object": "connection",
        "state": 1,
        "target": {
            "account": {"_id": pat, "object": "account", "path": f"/accounts/{pat}"},
            "email": "pat@mail.example",
            "name": {"first": "Charles", "last": "Best"},
        },
    }
    for caller in (house.pat, house.ada):
        assert done(await caller.get(f"{AT}/connections/{made['_id']}")) == accepted
    assert await access(house.pat, record) == 4
    assert (await house.trail(house.accounts["ada"]))[-1] == "share.accepted"
    (mail,) = await house.mails()
    assert (mail.to, mail.has_link) == (address("ada"), False)
    await house.must_be_sound()


async def test_it_takes_the_token_of_the_mail_and_any_body_or_none(house: House) -> None:
    await defines(house)
    for name, content in (("pat", b""), ("mia", b"{}"), ("rui", b"not JSON"), ("zoe", b'{"access": 7}')):
        made = await offers(house.ada, await makes(house.ada), {"email": address(name), "access": 4})
        (mail,) = [one for one in await house.mails(to=address(name)) if one.has_link]
        sent = await house.callers[name].send("POST", f"{AT}/connections/{mail.token}", content)
        assert (done(sent)["_id"], done(sent)["access"]) == (made["_id"], 4)
    await house.must_be_sound()


async def test_only_the_target_may_and_everybody_else_is_told_one_thing(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    by_address = await offers(house.ada, record, PAT)
    by_id = await offers(house.ada, record, {"_id": account_of(house, "zoe"), "access": 4})
    never = await dead(house)
    before = await everything(house)
    for made, target, others in (
        (by_address, house.pat, ("ada", "ben", "mia", "rui", "zoe")),
        (by_id, house.zoe, ("ada", "ben", "mia", "rui", "pat")),
    ):
        token = await token_of(target, made["_id"])
        for name in others:
            assert bare(await brings(house.callers[name], token)) == never, name
            assert bare(await house.callers[name].send("DELETE", f"{AT}/connections/{token}")) == never, name
        # The right person with it, at another organization's surface.
        assert bare(await brings(target, token, "/lakeside/v2")) == never
        assert bare(await target.send("DELETE", f"/lakeside/v2/connections/{token}")) == never
        fault(await brings(house.stranger, token), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
        fault(await brings(house.stranger, "x" * 32), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    assert await everything(house) == before
    await accepts(house.pat, by_address["_id"])
    await accepts(house.zoe, by_id["_id"])
    await house.must_be_sound()


async def test_an_altered_token_is_as_unknown_as_any(house: House) -> None:
    await defines(house)
    made = await offers(house.ada, await makes(house.ada), PAT)
    token = await token_of(house.pat, made["_id"])
    never = await dead(house)
    altered = [
        token[:place] + LETTERS[(LETTERS.index(token[place]) + step) % len(LETTERS)] + token[place + 1 :]
        for place in range(len(token))
        for step in (1, 26, 36)
    ]
    altered += [token[:length] for length in range(1, 32)]
    altered += [token + more for more in ("0", "a", " ", "\n", "=", "%00", "\0", token)]
    altered += [" " + token, "\0" + token, token.swapcase(), token.upper(), token.lower(), token[::-1]]
    altered += ["null", "None", "undefined", "0", "true", "NaN", "[]", "{}", "*", "%", "_" * 32, "'" * 32]
    altered += ["A" * 10_000, token.replace(token[0], chr(ord(token[0]) + 0xFEE0), 1)]
    altered += [
        "".join(chr(ord(one) + 0xFEE0) for one in token),
        "é" * 32,
        "\U0001f600" * 32,
    ]  # full width, and wider
    altered += [made["_id"], str(house.accounts["pat"])]
    before = await everything(house)
    for wrong in altered:
        if wrong == token:
            continue  # there was nothing to swap
        assert bare(await brings(house.pat, wrong)) == never, wrong
    assert await everything(house) == before
    done(await brings(house.pat, token))
    await house.must_be_sound()


async def test_it_is_good_for_7_days_to_the_microsecond_without_any_sweep(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    token = await token_of(house.pat, made["_id"])
    never = await dead(house)
    (row,) = await house.rows("SELECT created_at, expires_at FROM shares")
    expires = row["expires_at"]
    assert expires - row["created_at"] == timedelta(days=7)
    for late in (timedelta(0), timedelta(microseconds=1), timedelta(days=300)):
        at_instant(house, expires + late)
        assert bare(await unchanged(house, brings(house.pat, token))) == never
        at_instant(house, expires + late)
        assert bare(await unchanged(house, house.pat.send("DELETE", f"{AT}/connections/{token}"))) == never
        for caller in (house.pat, house.ada):
            at_instant(house, expires + late)
            assert await listed(caller) == []
            at_instant(house, expires + late)
            fault(await caller.get(f"{AT}/connections/{made['_id']}"), 404, "kNotFound")
    for caller in (house.pat, house.ada):
        at_instant(house, expires - MICROSECOND)
        assert await listed(caller) == [made["_id"]]
    at_instant(house, expires - MICROSECOND)
    done(await brings(house.pat, token))
    (row,) = await house.rows("SELECT accepted_at FROM shares")
    assert row["accepted_at"] == expires - MICROSECOND
    assert await access(house.pat, record) == 4
    await house.must_be_sound()


async def test_a_token_works_once(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    never = await dead(house)

    async def is_dead(token: str) -> None:
        before = await everything(house)
        for caller in (house.pat, house.ada, house.rui):
            assert bare(await brings(caller, token)) == never
            assert bare(await caller.send("DELETE", f"{AT}/connections/{token}")) == never
        assert bare(await house.stranger.get(f"{AT}/connections/{token}")) == never
        assert await everything(house) == before

    async def offered() -> tuple[str, str]:
        made = await offers(house.ada, record, PAT)
        return made["_id"], await token_of(house.pat, made["_id"])

    made, token = await offered()
    done(await brings(house.pat, token))
    await is_dead(token)  # used
    assert await access(house.pat, record) == 4
    done(await ends(house.ada, made))
    await is_dead(token)  # used, and revoked
    assert await access(house.pat, record) == 0
    made, token = await offered()
    done(await ends(house.pat, token))
    await is_dead(token)  # declined by the token
    made, token = await offered()
    done(await ends(house.pat, made))
    await is_dead(token)  # declined by the id
    made, token = await offered()
    done(await ends(house.ada, made))
    await is_dead(token)  # withdrawn
    made, token = await offered()
    done(await writes(house.ada, "PATCH", f"/c_prescriptions/{record}", {"isArchived": True}))
    await is_dead(token)  # of what is archived
    done(await writes(house.ada, "PATCH", f"/c_prescriptions/{record}", {"isArchived": False}))
    await is_dead(token)
    made, token = await offered()
    done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{record}"))
    await is_dead(token)  # of what is gone
    await house.must_be_sound()


async def test_looking_at_it_uses_nothing_up(house: House) -> None:
    await defines(house)
    made = await offers(house.ada, await makes(house.ada), PAT)
    token = await token_of(house.pat, made["_id"])
    for caller in (house.stranger, house.rui, house.pat):
        for method in ("GET", "HEAD", "OPTIONS"):
            await unchanged(house, caller.send(method, f"{AT}/connections/{token}"))
    done(await brings(house.pat, token))
    await house.must_be_sound()


async def test_no_token_of_a_suspended_organization_is_good(house: House) -> None:
    await defines(house)
    made = await offers(house.ada, await makes(house.ada), PAT)
    token = await token_of(house.pat, made["_id"])
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    fault(await unchanged(house, brings(house.pat, token)), 404, "kNotFound", "notFound.org")
    fault(
        await unchanged(house, brings(house.pat, token, "/lakeside/v2")),
        400,
        "kInvalidArgument",
        "connectionToken",
    )
    fault(
        await house.stranger.get(f"/lakeside/v2/connections/{token}"),
        400,
        "kInvalidArgument",
        "connectionToken",
    )
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "northside"))
    done(await brings(house.pat, token))
    await house.must_be_sound()


async def test_whoever_has_not_proved_his_mailbox_accepts_nothing_and_sees_nothing_sent_to_it(
    house: House,
) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    (mail,) = await house.mails(to=PAT["email"])
    async with unverified(house, "pat"):
        assert await listed(house.pat) == []
        fault(await house.pat.get(f"{AT}/connections/{made['_id']}"), 404, "kNotFound", "notFound.connection")
        refused = await unchanged(house, brings(house.pat, mail.token))
        fault(refused, 403, "kAccountNotVerified", "connectionRequiresVerification")
        # Nor does that tell a good token from another.
        assert bare(await brings(house.pat, "x" * 32)) == bare(refused)
        fault(await unchanged(house, ends(house.pat, made["_id"])), 404, "kNotFound", "notFound.connection")
    assert await access(house.pat, record) == 0
    assert await listed(house.pat) == [made["_id"]]
    await house.must_be_sound()


async def test_whoever_registers_afterwards_finds_it_once_his_mailbox_is_proved(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, {"email": "Fred.Banting@mail.example", "access": 4})
    (offer,) = await house.mails()
    body = {"email": "fred.banting@MAIL.example", "password": SECRET}
    done(await house.stranger.post(f"{AT}/accounts/register", body))
    (mail,) = await house.mails()

    signed_in = (await house.stranger.post("/v1/sessions", body)).json()
    fred = Caller(house.http, signed_in["accessToken"])
    assert await listed(fred) == []
    fault(await brings(fred, offer.token), 403, "kAccountNotVerified")
    # Somebody whose mailbox is proved doesn't get what another's was sent.
    fault(await brings(house.pat, offer.token), 400, "kInvalidArgument", "connectionToken")

    done(await house.stranger.post(f"{AT}/accounts/verify", {"token": mail.token, "password": SECRET}))
    assert await token_of(fred, made["_id"]) == offer.token
    assert "account" not in done(await house.ada.get(f"{AT}/connections/{made['_id']}"))["target"]
    accepted = done(await brings(fred, offer.token))
    assert accepted["target"]["email"] == "Fred.Banting@mail.example"
    assert accepted["target"]["account"]["_id"] == done(await fred.get(f"{AT}/accounts/me"))["_id"]
    assert await access(fred, record) == 4
    await house.must_be_sound()


async def test_an_address_is_the_same_in_another_case_and_in_punycode(house: House) -> None:
    await defines(house)
    await lives_at(house, "pat", "pat@bücher.example")
    for spelled in (
        "PAT@BÜCHER.example",
        "pat@xn--bcher-kva.example",
        "Pat@XN--BCHER-KVA.EXAMPLE",
        "pat@bücher.example",
    ):
        record = await makes(house.ada)
        made = await offers(house.ada, record, {"email": spelled, "access": 4})
        assert made["target"] == {"email": spelled}
        await accepts(house.pat, made["_id"])
        assert await access(house.pat, record) == 4
        refused = await unchanged(
            house, shares(house.ada, record, {"email": "pat@bücher.example", "access": 4})
        )
        fault(refused, 409, "kExists", "connectionExists")
    # And so for who shares: his own is his own.
    record = await makes(house.pat)
    refused = await unchanged(
        house, shares(house.pat, record, {"email": "pat@xn--bcher-kva.example", "access": 4})
    )
    fault(refused, 400, "kInvalidArgument", "connectionTarget")
    await house.must_be_sound()


async def test_an_address_that_only_looks_the_same_is_another(house: House) -> None:
    await defines(house)
    await lives_at(house, "pat", "kim.strasse@mail.example")
    record = await makes(house.ada)
    alike = (
        "kım.strasse@mail.example",  # dotless i
        "kİm.strasse@mail.example",  # dotted capital
        "kim.ſtrasse@mail.example",  # long s
        "kim.straße@mail.example",
        "ｋｉｍ.strasse@mail.example",  # full width
        "kіm.strasse@mail.example",  # Cyrillic
        "kim.strasse@maıl.example",
        "kim.strasse+x@mail.example",
        "kimstrasse@mail.example",
    )
    for email in alike:
        made = done(await shares(house.ada, record, {"email": email, "access": 4}))["data"][0]
        mails = [one for one in await house.mails() if one.has_link]
        assert len(mails) == 1, email
        assert mails[0].to != "kim.strasse@mail.example", email
        assert await listed(house.pat) == [], email
        fault(
            await unchanged(house, brings(house.pat, mails[0].token)),
            400,
            "kInvalidArgument",
            "connectionToken",
        )
        fault(await house.pat.get(f"{AT}/connections/{made['_id']}"), 404, "kNotFound")
    # What can't be told from a letter of ours once it is written down is no address at all.
    kelvin = "\N{KELVIN SIGN}im.strasse@mail.example"
    refused = await unchanged(house, shares(house.ada, record, {"email": kelvin, "access": 4}))
    fault(refused, 400, "kInvalidArgument", "connectionTarget")
    await house.must_be_sound()


async def lives_at(house: House, name: str, email: str) -> None:
    """Give one of the cast another address."""
    from hospitium.engine.accounts.emails import canonical_email  # noqa: PLC0415

    await house.rows(
        "UPDATE accounts SET email = $2, email_key = $3 WHERE id = $1 RETURNING id",
        house.accounts[name], email, canonical_email("email", email),
    )  # fmt: skip


async def test_a_second_one_raises_the_first(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    pat = account_of(house, "pat")
    first = await offers(house.ada, record, {"email": address("pat"), "access": 2})
    second = await offers(house.ada, record, {"_id": pat, "access": 5})
    token = await token_of(house.pat, second["_id"])
    await accepts(house.pat, first["_id"])
    raised = done(await brings(house.pat, token))
    assert (raised["_id"], raised["access"], raised["state"]) == (first["_id"], 5, 1)
    assert await access(house.pat, record) == 5
    assert await listed(house.pat) == [first["_id"]] == await listed(house.ada)
    fault(await house.ada.get(f"{AT}/connections/{second['_id']}"), 404, "kNotFound", "notFound.connection")
    fault(await brings(house.pat, token), 400, "kInvalidArgument", "connectionToken")
    # Ended once, nothing is left of either.
    done(await ends(house.ada, first["_id"]))
    assert await access(house.pat, record) == 0
    await house.must_be_sound()


async def test_a_second_one_that_gives_less_lowers_nothing(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    first = await connected(house.ada, record, house.pat, address("pat"), 5)
    made = await offers(house.pat, record, {"email": address("mia"), "access": 4})
    await accepts(house.mia, made["_id"])
    second = await offers(house.ada, record, {"_id": account_of(house, "pat"), "access": 2})
    kept = await accepts(house.pat, second["_id"])
    assert (kept["_id"], kept["access"]) == (first, 5)
    assert await access(house.pat, record) == 5
    assert await access(house.mia, record) == 4
    await house.must_be_sound()


async def test_one_from_another_hand_stands_beside_the_first(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    ben = await connected(house.ada, record, house.ben, address("ben"), 5)
    await connected(house.ada, record, house.pat, address("pat"), 2)
    made = await offers(house.ben, record, {"_id": account_of(house, "pat"), "access": 4})
    await accepts(house.pat, made["_id"])
    assert await access(house.pat, record) == 4
    assert len(await listed(house.pat)) == 2
    # What rests on ben goes with his; what is ada's stays.
    done(await ends(house.ada, ben))
    assert await access(house.pat, record) == 2
    await house.must_be_sound()
