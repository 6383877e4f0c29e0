"""The code of an invite is with whoever it was handed to, its answer with nobody; neither is kept or logged anywhere (rulings 18, 19;
threats A-06, B-07, B-08, B-10)."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from cast import House, MovableClock
from clinic import (
    JANE,
    Clinic,
    accepts,
    accepts_by_code,
    asks_question,
    body,
    finds,
    makes_person,
    registers,
    signs_in,
)
from doors.bluebutton.desk import sweeps, wide
from hospitium.engine.invites.codes import CODE_LENGTH, SYMBOLS, InviteCode
from stories.test_share_tokens import every_row

ANSWER, OTHER, WRONG = "Zwiebelkuchen 1983", "Pappelallee neun", "Rote Gruetze"
QUESTION = "What did your grandmother bake on the third of May?"


def spellings(secret: str) -> set[str]:
    """Return every way in which a secret could stand in a text: as it was given, typed, normalised, in an address, in hexadecimal digits."""
    plain = secret.replace(" ", "")
    forms = {secret, secret.lower(), secret.casefold().strip(), quote(secret)}
    if len(plain) == CODE_LENGTH:
        forms |= {joined.join((plain[:4], plain[4:])) for joined in (" ", "-", "%20")}
        forms |= {joined.join((plain[:4], plain[4:])).lower() for joined in (" ", "-", "%20")}
    return forms | {form.encode().hex() for form in forms}


def must_hold_none(text: str, secrets: list[str], place: str) -> None:
    found = {secret for secret in secrets for form in spellings(secret) if form in text}
    assert not found, (place, found)


class Life:
    """Every code and every answer that is used, on every route, rightly and wrongly; and what was seen of them."""

    def __init__(self, house: House, clinic: Clinic) -> None:
        self.house, self.clinic = house, clinic
        self.codes: list[str] = []

    async def creates(self, key: str, **more: Any) -> tuple[str, str]:
        asked = {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE, **more}
        path, headers = (
            "/OrganizationInvites/security-details/create",
            self.clinic.context | {"Idempotency-Key": key},
        )
        first, second = [body(await self.house.ben.post(path, asked, **headers)) for _ in range(2)]
        assert first == second
        self.codes.append(first["securityCode"])
        return first["id"], first["securityCode"]

    async def lives(self) -> None:
        house = self.house
        accepted, registered, locked, withdrawn, replaced, _ = [await self.creates(f"k{n}") for n in range(6)]
        person = await makes_person(house.pat)
        for id_, code in (accepted, registered, locked):
            await asks_question(house.stranger, code)
            await asks_question(house.stranger, quote(f"{code[:4]} {code[4:]}".lower()))
            await finds(house.pat, code, WRONG)
            body(await finds(house.pat, code, ANSWER.upper()))
            await accepts_by_code(house.pat, code, person, WRONG)
            await registers(house.stranger, code, "no address", ANSWER)
            assert (await accepts(house.pat, id_, person)).status_code == 404
        body(await accepts_by_code(house.pat, accepted[1], person, ANSWER))
        body(await registers(house.stranger, registered[1], "eve@mail.example", f"  {ANSWER} "))
        eve = await signs_in(house, "eve@mail.example")
        body(await accepts(eve, registered[0], await makes_person(eve)))
        for _ in range(4):
            await finds(house.pat, locked[1], WRONG)
        await house.ben.send("DELETE", f"/OrganizationInvites/{withdrawn[0]}")
        again = {"securityQuestion": QUESTION, "securityAnswer": OTHER}
        path = f"/OrganizationInvites/{replaced[0]}/reissue"
        first, second = [
            body(await house.ben.post(path, again, **{"Idempotency-Key": "again"})) for _ in range(2)
        ]
        assert first == second
        self.codes.append(first["securityCode"])
        # And what can go wrong with it in an address.
        await house.stranger.get(f"/OrganizationInvites/security-details/code/{self.codes[0]}/nowhere")
        await house.stranger.get(f"/OrganizationInvites/{self.codes[0]}")
        await house.stranger.send(
            "PUT", f"/OrganizationInvites/security-details/code/{self.codes[0]}/security-question"
        )


async def test_no_code_and_no_answer_is_kept_logged_or_mailed(
    database_url: str,
    clock: MovableClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    async with House.open(database_url, clock, tmp_path / "keys", wide()) as house:
        clinic = await Clinic.open(house)
        life = Life(house, clinic)
        with capture_logs() as logged:
            await life.lives()
            mails = await house.mails()
        secrets = [*life.codes, ANSWER, OTHER, WRONG]
        assert len(set(life.codes)) == 7
        kept = await every_row(house)
        places = {
            "database": kept,
            # Whoever asks writes down the addresses he asks for: that is the test's own client.
            "log": repr(logged)
            + "".join(
                one.getMessage() for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))
            )
            + "".join(capfd.readouterr()),
            "mails": "".join(mail.text + mail.html + mail.subject for mail in mails),
            "metrics": repr(house.parts.metrics.__dict__),
        }
        for place, text in places.items():
            must_hold_none(text, secrets, place)
        # What is searched is what was meant: it finds what ought to be there.
        assert "invite.answered_wrong" in kept
        assert QUESTION in kept  # of the invites that are open
        assert "/OrganizationInvites/security-details/code/{code}/security-question" in places["log"]
        assert "eve@mail.example" in {mail.to for mail in mails}
        # With the rows alone no code can be tried: what it is found by needs a key from outside (threats B-08).
        for code in life.codes:
            for guess in (code, code.lower()):
                for digest in (
                    hashlib.sha256(guess.encode()),
                    hmac.new(b"", b"invite code\0" + guess.encode(), "sha256"),
                ):
                    assert digest.hexdigest() not in kept


async def test_what_is_closed_is_forgotten(house: House) -> None:
    clinic = await Clinic.open(house)
    life = Life(house, clinic)
    await life.creates("k")
    house.clock.advance(days=31)
    await sweeps(house)
    kept = await house.rows("SELECT question, code_digest, answer_hash, code_key_number FROM invites")
    assert [tuple(row) for row in kept] == [(None, None, None, None)]
    must_hold_none(await every_row(house), [*life.codes, ANSWER, QUESTION], "database")


def test_codes_are_of_all_symbols_alike_and_none_comes_twice(rounds: int) -> None:
    """Threats A-09: no more repeats than a birthday allows; χ² of each place within six sigma."""
    number = min(max(rounds, 20) * 1_000, 1_000_000)
    codes = [InviteCode.new().reveal() for _ in range(number)]
    # Expected are n²/2⁴¹ pairs: half a one among a million.
    assert number - len(set(codes)) <= 1 + number * number // 2**39
    assert {len(code) for code in codes} == {CODE_LENGTH}
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 32
    assert not set("O0I1") & set(SYMBOLS)
    expected, total = number / len(SYMBOLS), 0.0
    for place in range(CODE_LENGTH):
        seen = Counter(code[place] for code in codes)
        assert seen.keys() == set(SYMBOLS)
        total += sum((times - expected) ** 2 / expected for times in seen.values())
    freedom = CODE_LENGTH * (len(SYMBOLS) - 1)
    assert abs(total - freedom) < 6 * (2 * freedom) ** 0.5
