"""The mails of invites: to whom one is for, in his language, and back to whoever made it; none says what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from cast import House
from clinic import ANSWER, PATIENTS, QUESTION, Clinic, accepts, body, finds, makes_person, registers
from dispatch.test_mail_texts import HEAD, HOSTILE, letter_of
from doors.conftest import open_house  # noqa: F401  a house with other settings
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.deliveries.record import Template
from hospitium.engine.organizations import actions as organizations
from hospitium.outside.letters.writing import texts, written

if TYPE_CHECKING:
    from doors.conftest import Opening
    from fakes.carrier import ReceivedMail

ZED, PAT, BEN = "zed@mail.example", "pat@mail.example", "ben@northside.example"
CANARIES = (QUESTION, ANSWER, "Jimmy", "Canary", "1990", "2015", "900111222", "N-1", "female", *(str(one["id"]) for one in PATIENTS if len(str(one["id"])) > 6))  # fmt: skip
UNSAID = {
    "en": ("patient", "record", "health", "doctor", "clinic"),
    "es": ("paciente", "historia", "salud", "médic", "clínica"),
}


@pytest.fixture
async def clinic(house: House) -> Clinic:
    await house.rows("UPDATE organizations SET phone = '+1 555 0100' WHERE code = 'northside'")
    return await Clinic.open(house)


def must_be_discreet(mail: ReceivedMail, *more: str) -> None:
    """Insist on a mail that tells nobody who reads it what the invite is about, or for which patient."""
    for part in (mail.subject, mail.text, mail.html, str(mail.message)):
        for canary in (*CANARIES, *more):
            assert canary not in part, canary


async def one_to(house: House, email: str) -> ReceivedMail:
    (mail,) = await house.mails(to=email)
    return mail


# -- to whom it is for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "subject", "says"),
    [
        ("en", "Northside Family Practice invites you", ("Hello Zed Stone,", "choose a password", "good until March 31, 2026, 12:00 UTC", "call them: +1 555 0100")),
        ("es", "Northside Family Practice le invita", ("Hola, Zed Stone:", "elegir una contraseña", "sirve hasta el 31 de marzo de 2026, 12:00 UTC", "llame por teléfono: +1 555 0100")),
    ],
)  # fmt: skip
async def test_to_an_address_without_an_account_a_link_with_which_one_chooses_a_password(
    house: House, clinic: Clinic, lang: str, subject: str, says: tuple[str, ...]
) -> None:
    body(await clinic.invites_by_email(ZED, firstName="Zed", lastName="Stone", language=lang))
    mail = await one_to(house, ZED)
    assert mail.subject == subject
    said = " ".join(mail.text.split())
    for part in says:
        assert part in said
    assert mail.page == f"{house.base_url}/console/invited"
    must_be_discreet(mail, "Jane", "Doe")


@pytest.mark.parametrize(
    ("lang", "subject", "says"),
    [
        ("en", "An invitation from Northside Family Practice is waiting for you", "open until March 31, 2026, 12:00 UTC"),
        ("es", "Una invitación de Northside Family Practice le espera", "abierta hasta el 31 de marzo de 2026, 12:00 UTC"),
    ],
)  # fmt: skip
async def test_to_an_account_that_there_is_where_to_sign_in_and_no_token(
    house: House, clinic: Clinic, lang: str, subject: str, says: str
) -> None:
    await house.rows("UPDATE accounts SET language = $1 WHERE email = $2", lang, PAT)
    # In the language of its account, whatever the inviter thought.
    body(await clinic.invites_by_email(PAT, language="es" if lang == "en" else "en"))
    mail = await one_to(house, PAT)
    assert mail.subject == subject
    assert says in " ".join(mail.text.split())
    assert not mail.has_link
    chosen = "?lang=es" if lang == "es" else ""
    assert f"{house.base_url}/console/invites{chosen}\n" in mail.text
    must_be_discreet(mail, "Jane", "Doe")


async def test_an_account_that_nobody_confirmed_is_no_account_to_the_mail(
    house: House, clinic: Clinic
) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    body(await registers(house.stranger, code, ZED))
    await house.mails()
    body(await clinic.invites_by_email(ZED))
    assert (await one_to(house, ZED)).page.endswith("/console/invited")


async def test_an_invite_without_an_end_says_until_one_has_answered(
    open_house: Opening,  # noqa: F811
) -> None:
    async with open_house(INVITE_DAYS="0") as house:
        clinic = await Clinic.open(house)
        for email, says in (
            (ZED, "The link stays good until you have answered."),
            (PAT, "The invitation stays open until you have answered."),
        ):
            body(await clinic.invites_by_email(email))
            mail = await one_to(house, email)
            assert says in " ".join(mail.text.split())
            assert "None" not in mail.text
            assert "ask them." in " ".join(mail.text.split())  # no telephone is known


@pytest.mark.parametrize("how", ["withdrawn", "declined", "suspended", "expired"])
async def test_what_is_over_before_it_is_sent_is_not_sent(house: House, clinic: Clinic, how: str) -> None:
    made = body(await clinic.invites_by_email(PAT))
    match how:
        case "withdrawn":
            await house.ben.send("DELETE", f"/OrganizationInvites/{made['id']}")
        case "declined":
            await house.pat.post(f"/OrganizationInvites/{made['id']}/decline")
        case "suspended":
            await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
        case _:
            house.clock.advance(days=31)
    assert await house.mails(to=PAT) == []
    (row,) = await house.rows("SELECT status FROM deliveries WHERE template = 'invite'")
    assert row["status"] == "void"


async def test_a_disabled_account_is_not_written_to(house: House, clinic: Clinic) -> None:
    body(await clinic.invites_by_email(PAT))
    await house.operate(lambda ctx: accounts.disable(ctx, PAT))
    assert await house.mails(to=PAT) == []


# -- to whoever made it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "subject"),
    [
        ("en", "An invitation of Northside Family Practice was accepted"),
        ("es", "Se aceptó una invitación de Northside Family Practice"),
    ],
)
async def test_whoever_invited_learns_that_it_was_accepted(
    house: House, clinic: Clinic, lang: str, subject: str
) -> None:
    await house.rows("UPDATE accounts SET language = $1 WHERE email = $2", lang, BEN)
    made = body(await clinic.invites_by_email(PAT))
    body(await accepts(house.pat, made["id"], await makes_person(house.pat)))
    mail = await one_to(house, BEN)
    assert mail.subject == subject
    assert made["id"] in mail.text
    must_be_discreet(mail, "Jane", "Doe", "Pat", PAT)


@pytest.mark.parametrize(
    ("lang", "subject", "says"),
    [
        ("en", "An invitation of Northside Family Practice is locked", "five wrong answers"),
        ("es", "Una invitación de Northside Family Practice está bloqueada", "cinco respuestas equivocadas"),
    ],
)
async def test_whoever_invited_learns_that_it_is_locked(
    house: House, clinic: Clinic, lang: str, subject: str, says: str
) -> None:
    await house.rows("UPDATE accounts SET language = $1 WHERE email = $2", lang, BEN)
    made = body(await clinic.invites_by_code())
    for _ in range(5):
        assert (await finds(house.pat, made["securityCode"], "Rex")).status_code == 400
    mail = await one_to(house, BEN)
    assert mail.subject == subject
    said = " ".join(mail.text.split())
    assert says in said
    assert made["id"] in said
    must_be_discreet(mail, "Jane", "Doe", "Pat", "Rex", made["securityCode"])


@pytest.mark.parametrize(
    ("lang", "subject", "says"),
    [
        ("en", "An invitation of Northside Family Practice has ended: please look", "belonged to somebody else"),
        ("es", "Una invitación de Northside Family Practice ha terminado: revísela, por favor", "era de otra persona"),
    ],
)  # fmt: skip
async def test_whoever_invited_learns_that_the_mailbox_was_not_his_who_took_it_up(
    house: House, clinic: Clinic, lang: str, subject: str, says: str
) -> None:
    await house.rows("UPDATE accounts SET language = $1 WHERE email = $2", lang, BEN)
    made = body(await clinic.invites_by_code())
    body(await registers(house.stranger, made["securityCode"], ZED, password="a quiet green harbour"))
    token = (await one_to(house, ZED)).token
    # Who owns the mailbox claims it.
    claimed = await house.stranger.post(
        "/v1/accounts/claim", {"token": token, "password": "seven slow bicycles"}
    )
    assert claimed.status_code == 200, claimed.text
    mail = await one_to(house, BEN)
    assert mail.subject == subject
    said = " ".join(mail.text.split())
    assert says in said
    assert made["id"] in said
    must_be_discreet(mail, "Jane", "Doe", ZED, made["securityCode"])


# -- the texts ---------------------------------------------------------------------------------------------------------

ABOUT_INVITES = [template for template in Template if template.value.startswith("invite")]
EVERY = [(template, lang) for template in ABOUT_INVITES for lang in ("en", "es")]


@pytest.mark.parametrize(("template", "lang"), EVERY)
def test_no_mail_of_an_invite_speaks_of_health(template: Template, lang: str) -> None:
    subject, text, html = texts(letter_of(template, lang, "Elm"), HEAD)
    for part in (subject, text, html):
        assert not any(word in part.lower() for word in UNSAID[lang]), part


@pytest.mark.parametrize(("template", "lang"), EVERY)
@pytest.mark.parametrize(
    "name", [HOSTILE["lines"], "x\r\nBcc: eve@evil.example\r\n\r\n", "=?utf-8?q?x=0ABcc:_eve?="]
)
def test_no_name_brings_a_head_along(template: Template, lang: str, name: str) -> None:
    letter = letter_of(template, lang, name)
    if letter.invitee is not None:
        letter = msgspec.structs.replace(letter, invitee=name, phone=name)
    tame = written(letter_of(template, lang, "Elm"), HEAD)
    sent = message_from_bytes(written(letter, HEAD).as_bytes())
    assert sent.keys() == tame.keys()
    assert sent["To"] == "a@b.example"
    assert "eve@evil.example" not in texts(letter, HEAD)[1]


def _letters() -> list[tuple[Template, dict[str, Any]]]:
    return [
        (Template.INVITE, {"phone": None}),
        (Template.INVITE_WAITING, {"phone": None, "expires_at": None}),
        (Template.INVITE_WAITING, {"expires_at": datetime(2026, 4, 1, tzinfo=UTC)}),
        (Template.INVITE_LOCKED, {"about": UUID(int=9)}),
    ]


@pytest.mark.parametrize(("template", "changes"), _letters())
@pytest.mark.parametrize("lang", ["en", "es"])
def test_what_there_need_not_be_is_left_out_of_it(
    template: Template, changes: dict[str, Any], lang: str
) -> None:
    letter = msgspec.structs.replace(letter_of(template, lang, "Elm"), **changes)
    if changes.get("phone", "") is None and letter.seed is not None:
        letter = msgspec.structs.replace(letter, seed=msgspec.structs.replace(letter.seed, expires_at=None))
    subject, text, html = texts(letter, HEAD)
    assert "None" not in subject + text + html
