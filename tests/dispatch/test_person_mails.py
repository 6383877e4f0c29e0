"""The mail about the care of a person: to the address it was offered to, whosever that is, and without a word about the person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cast import House
from doors.bluebutton.test_persons import KIM, done, gone, makes, offers
from doors.medable.sharing import address
from hospitium.dispatch import loop
from hospitium.engine.accounts import actions as accounts

RUI = address("rui")
SUBJECT = "Pat Cast would like to share the care of somebody with you"
SUBJECT_ES = "Pat Cast quiere compartir con usted el cuidado de alguien"


async def statuses(house: House) -> list[tuple[str, str]]:
    rows = await house.rows("SELECT template, status FROM deliveries ORDER BY created_at, id")
    return [tuple(row) for row in rows]


async def test_it_says_who_offers_and_to_sign_in_and_nothing_of_the_person(house: House) -> None:
    person_id = await makes(house.pat, **KIM)
    offer_id = await offers(house.pat, person_id, "rui", "Administrator", relationship="Child")
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (RUI, SUBJECT)
    words = " ".join(mail.text.split())
    assert "sign in with this e-mail address" in words
    assert "until March 15, 2026" in words
    whole = mail.message.as_string() + mail.text
    said: list[Any] = [
        *KIM.values(),
        "Kim",
        "Administrator",
        "administrator",
        person_id,
        offer_id,
        address("pat"),
        "http",
    ]
    for text in said:
        assert not isinstance(text, str) or not text or text.strip() not in whole, text
    assert await house.mails() == []


@pytest.mark.parametrize(
    ("of_sharer", "of_target", "subject"),
    [("en", "es", SUBJECT_ES), ("es", "en", SUBJECT), ("es", None, SUBJECT_ES), ("en", None, SUBJECT)],
)
async def test_it_is_in_the_language_of_the_address_else_of_who_offers(
    house: House, of_sharer: str, of_target: str | None, subject: str
) -> None:
    for email, language in ((address("pat"), of_sharer), (RUI, of_target)):
        if language is not None:
            await house.rows(
                "UPDATE accounts SET language = $2 WHERE email = $1 RETURNING id", email, language
            )
    person_id = await makes(house.pat)
    email = RUI if of_target else "zed@mail.example"
    done(await house.pat.post(f"/Persons/{person_id}/users", {"email": email, "role": "Read"}))
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (email, subject)


async def test_an_address_is_written_to_as_it_was_typed(house: House) -> None:
    person_id = await makes(house.pat)
    done(
        await house.pat.post(f"/Persons/{person_id}/users", {"email": "Rui@LAKESIDE.example", "role": "Read"})
    )
    (mail,) = await house.mails()
    assert mail.to == "Rui@lakeside.example"


@pytest.mark.parametrize(
    "why", ["withdrawn", "declined", "accepted", "replaced", "expired", "deleted", "disabled"]
)
async def test_what_is_over_when_it_would_be_sent_is_not(house: House, why: str) -> None:
    person_id = await makes(house.pat)
    offer_id = await offers(house.pat, person_id, "rui")
    match why:
        case "withdrawn":
            gone(await house.pat.send("DELETE", f"/Persons/{person_id}/offers/{offer_id}"))
        case "declined":
            gone(await house.rui.post(f"/Persons/offers/{offer_id}/decline"))
        case "accepted":
            done(await house.rui.post(f"/Persons/offers/{offer_id}/accept", {}))
        case "replaced":
            await offers(house.pat, person_id, "rui", "Write")
        case "expired":
            house.clock.advance(days=14)
        case "deleted":
            gone(await house.pat.send("DELETE", f"/Persons/{person_id}"))
        case "disabled":
            await house.operate(lambda ctx: accounts.disable(ctx, RUI))
    mails = await house.mails()
    assert len(mails) == (1 if why == "replaced" else 0)
    assert (await statuses(house))[0] == ("person_offer", "void")


async def test_a_mailbox_gets_no_more_than_its_hours_mails_and_nobody_can_tell(house: House) -> None:
    limit = house.parts.post.limit.burst
    answers = []
    for _ in range(limit + 2):
        person_id = await makes(house.pat)
        answered = await house.pat.post(f"/Persons/{person_id}/users", {"email": RUI, "role": "Read"})
        answers.append(
            {
                name: value
                for name, value in done(answered).items()
                if name in ("email", "role", "relationship")
            }
        )
    assert len({str(one) for one in answers}) == 1
    assert len(await house.mails()) == limit
    assert done(await house.rui.get("/Persons/offers"))["total"] == limit + 2


async def test_the_sweep_writes_down_what_nobody_answered(house: House) -> None:
    person_id = await makes(house.pat)
    await offers(house.pat, person_id, "rui")
    await offers(house.pat, person_id, "zoe")
    house.clock.now += timedelta(days=14)
    for sweep in loop.SWEEPS:
        await house.sweep(sweep)
    rows = await house.rows("SELECT status FROM person_offers")
    assert [row["status"] for row in rows] == ["expired"] * 2
    assert (await house.trail(house.accounts["pat"]))[-2:] == ["person.expired"] * 2
    await house.must_be_sound()
