"""The mails of shares: to whoever is to accept, in his language, and back to whoever shares; none holds what is shared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cast import House
from doors.medable.sharing import (
    AT,
    accepts,
    account_of,
    address,
    defines,
    done,
    ends,
    makes,
    offers,
    shares,
    team_of,
    writes,
)
from hospitium.dispatch import loop
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.deliveries import queries
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.secrets import derive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fakes.carrier import ReceivedMail

PAT, BEN, ADA = address("pat"), address("ben"), address("ada")
ZED = "zed@mail.example"
SECRET_DRUG = "A PATIENT"
OFFERED = "Ada Cast at Northside Family Practice would like to share a Prescription"
OFFERED_ES = "Ada Cast, de Northside Family Practice, quiere compartir «Prescription»"


async def shared(house: House, target: dict[str, Any] | None = None, **settings: Any) -> tuple[str, str]:
    """Have ada share a prescription; return the ids of the record and the connection."""
    await defines(house, **settings)
    record = await makes(house.ada, body={"drug": SECRET_DRUG})
    made = await offers(house.ada, record, {"access": 4, **(target or {"email": PAT})})
    return record, str(made["_id"])


async def speaks_spanish(house: House, email: str) -> None:
    assert await house.rows("UPDATE accounts SET language = 'es' WHERE email = $1 RETURNING id", email)


async def statuses(house: House) -> list[tuple[str, str, str | None]]:
    """Return what became of each mail, the oldest first."""
    rows = await house.rows("SELECT template, status, last_problem FROM deliveries ORDER BY created_at, id")
    return [tuple(row) for row in rows]


def words(mail: ReceivedMail) -> str:
    return " ".join(mail.text.split())


# -- to whoever is to accept -------------------------------------------------------------------------------------------


async def test_the_target_is_told_who_shares_what_and_how_much(house: House) -> None:
    _, share = await shared(house, {"email": PAT, "access": 5, "name": {"first": "Pat", "last": "Doe"}})
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (PAT, OFFERED)
    assert words(mail).startswith(
        f"Hello Pat Doe, {OFFERED} with you. If you accept, you may: read it, and share it with others."
    )
    assert mail.page == f"{house.base_url}/console/share"
    (row,) = await house.rows("SELECT id, nonce, digest FROM shares")
    token = derive(house.parts.link_key, "share", row["id"], row["nonce"])
    assert (mail.token, token.digest()) == (token.reveal(), row["digest"])
    assert share not in mail.message.as_string()
    assert await house.mails() == []


@pytest.mark.parametrize(
    ("to", "of_sharer", "of_target", "subject"),
    [
        ({"email": PAT}, "en", "es", OFFERED_ES),  # an account's own
        ({"email": PAT}, "es", "en", OFFERED),
        ({"email": ZED}, "es", None, OFFERED_ES),  # of whom nobody knows: the sharer's
        ({"email": ZED}, "en", None, OFFERED),
        ({"_id": "pat"}, "en", "es", OFFERED_ES),
        ({"_id": "pat"}, "es", "en", OFFERED),
    ],
)
async def test_it_is_in_the_language_of_the_target_else_of_the_sharer(
    house: House, to: dict[str, str], of_sharer: str, of_target: str | None, subject: str
) -> None:
    if of_sharer == "es":
        await speaks_spanish(house, ADA)
    if of_target == "es":
        await speaks_spanish(house, PAT)
    await shared(house, {"_id": account_of(house, "pat")} if "_id" in to else to)
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (to.get("email", PAT), subject)
    assert ("?lang=es#" in mail.link) is (subject == OFFERED_ES)


async def test_an_address_is_written_to_as_it_was_typed(house: House) -> None:
    await shared(house, {"email": "Pat@MAIL.example"})
    (mail,) = await house.mails()
    assert mail.to == PAT.replace("pat", "Pat")


async def test_an_address_nobody_has_confirmed_says_nothing_of_the_account_there_is(house: House) -> None:
    """Its language was chosen by whoever registered it, who need not be who reads the mail."""
    await speaks_spanish(house, PAT)
    await house.rows("UPDATE accounts SET verified_at = NULL WHERE email = $1 RETURNING id", PAT)
    await shared(house)
    (mail,) = await house.mails()
    assert mail.subject == OFFERED


async def test_a_team_is_written_to_through_its_owner_whoever_that_is_by_then(house: House) -> None:
    team = await team_of(house, "mia", "ada", owner="ben")
    await speaks_spanish(house, BEN)
    await shared(house, {"_id": team, "object": "team"})
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (BEN, OFFERED_ES)
    assert "con el equipo Cardiology, por el que usted responde" in words(mail)


async def test_nobody_is_written_to_where_the_type_says_so(house: House) -> None:
    _, share = await shared(house, connectionOptions={"sendNotifications": False})
    await accepts(house.pat, share)
    assert await house.mails() == []
    assert await statuses(house) == []


async def test_what_is_applied_at_once_is_not_offered(house: House) -> None:
    to = {"_id": account_of(house, "pat"), "auto": True}
    await shared(house, to, connectionOptions={"requireAccept": False})
    assert await house.mails() == []


async def test_an_account_is_shared_in_words_too(house: House) -> None:
    await offers(house.ben, account_of(house, "ben"), {"email": PAT, "access": 4}, "accounts")
    (mail,) = await house.mails()
    assert mail.subject == "Ben Cast at Northside Family Practice would like to share their account"


async def test_a_call_that_is_refused_writes_to_nobody(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    refused = await shares(house.ada, record, {"email": PAT, "access": 4}, {"email": "nobody", "access": 4})
    assert refused.status_code == 400
    assert await statuses(house) == []


# -- what is over ------------------------------------------------------------------------------------------------------


async def _withdrawn(house: House, share: str) -> None:
    done(await ends(house.ada, share))


async def _declined(house: House, share: str) -> None:
    done(await ends(house.pat, share))


async def _expired(house: House, _: str) -> None:
    house.clock.advance(days=7)


async def _expired_and_written_down(house: House, _: str) -> None:
    house.clock.advance(days=7)
    await loop.run_once(house.database, house.clock)


async def _archived(house: House, _: str) -> None:
    (row,) = await house.rows("SELECT id FROM records")
    done(await writes(house.ada, "PATCH", f"/c_prescriptions/{row['id']}", {"isArchived": True}))


async def _suspended(house: House, _: str) -> None:
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))


@pytest.mark.parametrize(
    "ending", [_withdrawn, _declined, _expired, _expired_and_written_down, _archived, _suspended]
)
async def test_what_is_over_is_void_and_not_sent(
    house: House, ending: Callable[[House, str], Awaitable[None]]
) -> None:
    _, share = await shared(house)
    await ending(house, share)
    assert await house.mails() == []
    assert await statuses(house) == [("share", "void", None)]


async def test_what_was_accepted_before_its_mail_left_is_told_to_the_sharer_alone(house: House) -> None:
    _, share = await shared(house)
    await accepts(house.pat, share)
    assert [mail.to for mail in await house.mails()] == [ADA]
    assert await statuses(house) == [("share", "void", None), ("share_accepted", "sent", None)]


async def test_an_account_that_was_disabled_since_is_not_written_to(house: House) -> None:
    await shared(house, {"_id": account_of(house, "pat")})
    await house.operate(lambda ctx: accounts.disable(ctx, PAT))
    assert await house.mails() == []
    assert await statuses(house) == [("share", "void", None)]


# -- to whoever shares -------------------------------------------------------------------------------------------------


async def test_that_it_was_accepted_is_told_to_whoever_shared_it(house: House) -> None:
    await speaks_spanish(house, PAT)
    _, share = await shared(house, {"email": PAT, "name": {"first": "Pat", "last": "Doe"}})
    await house.mails()
    await accepts(house.pat, share)
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (ADA, "Pat Doe accepted what you shared")
    assert "at Northside Family Practice: a Prescription" in words(mail)
    assert not mail.has_link


async def test_it_names_the_target_as_it_was_named_and_no_more(house: House) -> None:
    """The account behind an address, or an id, has a name that whoever shares needn't know."""
    await defines(house)
    team = await team_of(house, "mia", owner="ben")
    for to, who, named in (
        ({"email": PAT}, house.pat, "pat@mail. example accepted what you shared"),
        ({"_id": account_of(house, "pat")}, house.pat, "What you shared was accepted"),
        ({"_id": team, "object": "team"}, house.ben, "Cardiology accepted what you shared"),
    ):
        made = await offers(house.ada, await makes(house.ada), {"access": 4, **to})
        await house.mails()
        await accepts(who, made["_id"])
        (mail,) = await house.mails()
        assert (mail.to, mail.subject) == (ADA, named)
        assert not any(name in mail.message.as_string() for name in ("Pat Cast", "Ben Cast", "None"))


async def test_declining_leaving_and_revoking_are_told_to_nobody(house: House) -> None:
    await defines(house)
    for last in (house.pat, house.ada):
        made = await offers(house.ada, await makes(house.ada), {"email": PAT, "access": 4})
        await accepts(house.pat, made["_id"])
        await house.mails()
        done(await ends(last, made["_id"]))
    made = await offers(house.ada, await makes(house.ada), {"email": PAT, "access": 4})
    await house.mails()
    done(await ends(house.pat, made["_id"]))
    assert await house.mails() == []


# -- how many ----------------------------------------------------------------------------------------------------------


async def test_a_mailbox_gets_so_many_an_hour_and_nobody_can_tell(house: House) -> None:
    """Whoever shares is answered the same; the target finds all of them in his list."""
    burst = house.parts.post.limit.burst
    await defines(house)
    answers = []
    for _ in range(burst + 3):
        made = await offers(house.ada, await makes(house.ada), {"email": PAT, "access": 4})
        answers.append(
            {name: value for name, value in made.items() if name not in ("_id", "context", "created")}
        )
    assert len({repr(answer) for answer in answers}) <= 2  # the clock may have gone on by a millisecond
    assert len(await house.mails(to=PAT)) == burst
    listed = done(await house.pat.get(f"{AT}/connections", limit=100))["data"]
    assert len([one for one in listed if "token" in one]) == burst + 3
    # Others aren't kept from theirs by it, nor is he from other mails.
    await offers(house.ada, await makes(house.ada), {"email": ZED, "access": 4})
    await house.stranger.post("/v1/accounts/password-reset", {"email": PAT})
    assert sorted(mail.to for mail in await house.mails()) == [PAT, ZED]
    house.clock.advance(hours=1)
    await offers(house.ada, await makes(house.ada), {"email": PAT, "access": 4})
    assert [mail.to for mail in await house.mails()] == [PAT]


async def test_a_mailbox_is_one_however_it_is_named(house: House) -> None:
    burst = house.parts.post.limit.burst
    await defines(house)
    names: list[dict[str, Any]] = [
        {"email": PAT},
        {"email": "PAT@Mail.example"},
        {"_id": account_of(house, "pat")},
    ]
    for number in range(burst + 3):
        await offers(house.ada, await makes(house.ada), {"access": 4, **names[number % 3]})
    assert len(await house.mails()) == burst


# -- what they hold ----------------------------------------------------------------------------------------------------


async def test_no_mail_holds_what_is_shared(house: House) -> None:
    record, share = await shared(house)
    await accepts(house.pat, share)
    made = await offers(house.ada, record, {"email": ZED, "access": 4})
    received = await house.mails()
    assert len(received) == 2
    for mail in received:
        whole = mail.message.as_string() + mail.text + mail.html
        for text in (SECRET_DRUG, "drug", record, share, str(made["_id"])):
            assert text not in whole


def test_what_a_mail_is_written_from_has_no_column_of_a_record() -> None:
    source = Path(queries.__file__).read_text()
    assert "object_types.record import" in source  # the control: this is how it would be asked for
    assert "engine.records" not in source


async def test_hostile_names_of_everybody_stay_names(house: House) -> None:
    name = "<b>x</b> https://evil.example/ Subject: y"
    await house.rows("UPDATE accounts SET first_name = $1, last_name = NULL WHERE email = $2", name, ADA)
    await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", name)
    to = {"email": ZED, "name": {"first": name, "last": name}}
    _, share = await shared(house, to, label=name)
    (mail,) = await house.mails()
    assert mail.html.count("<b>") == 0
    assert "evil.example" not in mail.subject + mail.text + mail.html
    assert mail.html.count("href=") == 2
    assert mail.html.count(f'href="{mail.link}"') == 2
    assert share not in mail.text
