"""The token of a share is with its target and in the mail, and nowhere else: in no answer to anybody else, no list, no row, no event, no log
(threats A-06, A-12)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from cast import Caller, House, contents
from doors.medable.sharing import AT, defines, done, fault, makes, shares

PAT = "pat@mail.example"
LISTS = (
    f"{AT}/connections",
    f"{AT}/connections?state=0",
    f"{AT}/connections?pending=creator",
    f"{AT}/c_prescriptions",
    f"{AT}/accounts/me",
    "/v1/shares",
    "/v1/accounts/own/export",
    "/v1/accounts/own/trail",
)


async def every_row(house: House) -> str:
    """Return everything the database holds, as text: what a stolen dump would show."""
    async with house.database.transaction() as tx:
        tables = await tx.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return repr(await contents(tx, (name for (name,) in tables)))


async def all_that_is_answered(caller: Caller, record: str, share: str) -> str:
    """Return what somebody is answered everywhere he could look."""
    paths = (
        *LISTS,
        f"{AT}/c_prescriptions/{record}",
        f"{AT}/c_prescriptions/{record}/connections",
        f"{AT}/connections/{share}",
        f"/v1/shares/{share}",
    )
    answers = [await caller.get(path) for path in paths]
    return "".join(answer.text + repr(answer.headers) for answer in answers)


async def shared_by_mail(house: House) -> tuple[str, str, str, list[Any]]:
    """Share a record with pat by her address, under a key; return the record, the share, its token, and what was logged."""
    await defines(house)
    record = await makes(house.ada)
    with capture_logs() as logged:
        body = {"targets": [{"email": PAT, "access": 4}]}
        made = await house.ada.post(
            f"{AT}/c_prescriptions/{record}/connections", body, Idempotency_Key="once"
        )
        again = await house.ada.post(
            f"{AT}/c_prescriptions/{record}/connections", body, Idempotency_Key="once"
        )
        assert again.content == made.content
        (mail,) = await house.mails(to=PAT)
    (connection,) = done(made)["data"]
    assert mail.token not in made.text
    return record, connection["_id"], mail.token, logged


async def test_the_token_is_with_the_target_and_in_the_mail_and_nowhere_else(house: House) -> None:
    record, share, token, logged = await shared_by_mail(house)
    done(await shares(house.ada, record, {"email": "zoe@harbor.example", "access": 5}))

    with capture_logs() as more:
        for caller in (house.ada, house.ben, house.zoe, house.rui):
            assert token not in await all_that_is_answered(caller, record, share)
        assert token in await all_that_is_answered(house.pat, record, share)
        fault(await house.zoe.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument")
        seen = await house.stranger.get(f"{AT}/connections/{token}")
        assert token not in seen.text
    assert token not in await every_row(house)
    assert token not in repr(logged) + repr(more)
    assert "/connections/{which" in repr(more)  # what is searched is what was meant

    accepted = await house.pat.send("POST", f"{AT}/connections/{token}")
    assert token not in accepted.text
    for caller in (house.ada, house.pat):
        assert token not in await all_that_is_answered(caller, record, share)
    assert token not in await every_row(house)


async def test_control_a_token_that_is_shown_to_everybody_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hospitium.doors.medable import connections  # noqa: PLC0415

    record, share, token, _ = await shared_by_mail(house)
    shown_to_target = connections.token_for
    monkeypatch.setattr(
        connections,
        "token_for",
        lambda parts, view: shown_to_target(parts, msgspec.structs.replace(view, is_target=True)),
    )
    assert token in await all_that_is_answered(house.ada, record, share)


async def test_two_shares_with_one_mailbox_have_two_tokens_and_the_first_dies_with_its_share(
    house: House,
) -> None:
    record, share, token, _ = await shared_by_mail(house)
    done(await house.ada.send("DELETE", f"{AT}/connections/{share}"))
    done(await shares(house.ada, record, {"email": PAT, "access": 4}))
    (mail,) = await house.mails(to=PAT)
    assert mail.token != token
    fault(
        await house.pat.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    assert done(await house.pat.send("POST", f"{AT}/connections/{mail.token}"))["state"] == 1
    await house.must_be_sound()
