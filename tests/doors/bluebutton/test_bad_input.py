"""Bad input at the addresses of invites, and FHIR servers that answer badly: a clear refusal, nothing half-made, nothing of the upstream's
text in an answer or a log (issue 5, "Bad input"; threats B-09, B-12, F-02, F-30 to F-35)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from cast import House
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    QUESTION,
    Clinic,
    accepts_by_code,
    add_server,
    body,
    finds,
    load,
    makes_person,
    problem,
    registers,
)
from doors.bluebutton.desk import digest, wide
from doors.conftest import Opening
from doors.manners import UNKNOWN, bare, everything
from fakes import evil_fhir
from fakes.evil_fhir import CANARY, Behaviour, EvilFhir, answering, entry, identified, page, patient, resource
from hospitium.outside import fhir

BY_CODE = "/OrganizationInvites/security-details/create"
SEARCH = "accessiblePatientIdentifierSearchStr"
GOOD = {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE}


@pytest.fixture
async def house(open_house: Opening) -> AsyncIterator[House]:
    async with open_house(**wide(IDENTIFIER_MISSES_PER_HOUR="1000000")) as opened:
        yield opened


async def test_a_patient_id_that_is_none_is_refused_and_nobody_is_asked(house: House, clinic: Clinic) -> None:
    async with EvilFhir.open(resource(patient(JANE))) as upstream:
        elsewhere = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        before = await everything(house)
        for server_id in (clinic.server_id, elsewhere):
            clinic.server_id = server_id
            for bad in ("", "..", ".", "A/../B", "%2e%2e", "a" * 65, "a b", "a\n", "a?x=1", "a#x", "../Observation/1", "\u0430", "a\\b", "a_b", "Patient/x"):  # fmt: skip
                for answered in (
                    await clinic.invites_by_code(patient=bad),
                    await clinic.invites_by_email("a@mail.example", patient=bad),
                ):
                    (wrong,) = problem(answered, 400, "invalid")["errors"]
                    assert wrong["field"] == "accessiblePatientId", bad
        assert upstream.heard == []
        assert await everything(house) == before
        body(await clinic.invites_by_code())
        assert upstream.targets == [f"/fhir/Patient/{JANE}"]


async def test_an_identifier_is_one_value_whatever_is_in_it(house: House, clinic: Clinic) -> None:
    odd = ("a,b", "a$b", "a|b", "a\\b", "a&_count=1", "a%2Cb", "a b", "x=y&identifier=900111222", "Ünïcødé 🦉", "'; DROP TABLE invites; --")  # fmt: skip
    await load(
        house,
        clinic.server_id,
        *({"resourceType": "Patient", "id": f"odd-{n}", "identifier": [{"system": "urn:odd", "value": value}]} for n, value in enumerate(odd)),
    )  # fmt: skip
    for n, value in enumerate(odd):
        searches = [f"urn:odd|{value}"] + ([] if "|" in value else [value])
        for search in searches:
            made = await clinic.invites_by_code(patient=None, **{SEARCH: search})
            assert body(made)["accessiblePatientId"] == f"odd-{n}", search
    before = await everything(house)
    for none in ("a", "b", "900111222,900333444", "900111222&x=y", "urn:odd|a", "urn:none|900111222", "|900111222", "*", "9001%", "Patient.identifier=900111222"):  # fmt: skip
        problem(await clinic.invites_by_code(patient=None, **{SEARCH: none}), 400, "no-such-patient")
    for bad in ("", "   ", "|", "urn:odd|", "urn:odd|  ", "900111222\n", "a\r\nb", "a\x7f", "x" * 401, "\u202e900111222"):  # fmt: skip
        (wrong,) = problem(await clinic.invites_by_code(patient=None, **{SEARCH: bad}), 400, "invalid")[
            "errors"
        ]
        assert wrong["field"] == SEARCH, bad
    assert await everything(house) == before


async def test_what_a_remote_server_is_asked_is_one_encoded_value(house: House, clinic: Clinic) -> None:
    value = "a,b$c|d\\e&f=g h/é"
    async with EvilFhir.open(resource(page(entry(identified("p1", value, "urn:x"))))) as upstream:
        clinic.server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        body(await clinic.invites_by_code(patient=None, **{SEARCH: f"urn:x|{value}"}))
        (asked,) = upstream.targets
        assert asked == (
            "/fhir/Patient?identifier=urn%3Ax%7Ca%5C%2Cb%5C%24c%5C%7Cd%5C%5Ce%26f%3Dg%20h%2F%C3%A9&_count=2"
        )


async def test_answers_of_spaces_full_width_letters_and_1_mb(house: House, clinic: Clinic) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    person_id = await makes_person(house.pat)
    wide_letters = "".join(chr(ord(letter) + 0xFEE0) for letter in ANSWER)
    body(await finds(house.pat, code, wide_letters))
    before = await everything(house)
    for blank in (" ", "\t\n ", "\u2003\u3000", "x" * 600):
        for answered in (
            await finds(house.pat, code, blank),
            await accepts_by_code(house.pat, code, person_id, blank),
            await registers(house.stranger, code, "eve@mail.example", blank),
        ):
            (wrong,) = problem(answered, 400, "invalid")["errors"]
            assert wrong["field"] == "securityAnswer"
    for large in ("x" * 1_000_000, "\u00e9" * 600_000):
        for answered in (
            await finds(house.pat, code, large),
            await registers(house.stranger, code, "eve@mail.example", large),
            await clinic.invites_by_code(securityAnswer=large),
        ):
            problem(answered, 413, "too-large")
    # One that becomes long when it is normalised is measured then.
    problem(await finds(house.pat, code, "\ufdfa" * 100), 400, "invalid")
    assert await everything(house) == before


async def test_the_header_that_names_the_server(house: House, clinic: Clinic) -> None:
    theirs = await add_server(house, "harbor", "Harbor's own")
    await house.rows("UPDATE organizations SET tax_id = '12-3456789' WHERE code = 'northside'")
    server, named = str(clinic.server_id), "FhirServerId-Context"

    async def asks(*headers: tuple[str, str]) -> list[httpx.Response]:
        sent = [*house.ben.headers.items(), *headers]
        json = ("Content-Type", "application/json")
        return [
            await house.http.post(BY_CODE, json=GOOD, headers=[*sent, json]),
            await house.http.get("/OrganizationInvites/sent", headers=sent),
        ]

    before = await everything(house)
    for bad in (
        (), ((named, ""),), ((named, "x"),), ((named, server[:-1]),), ((named, f"{{{server}}}"),), ((named, server), (named, server)),
        ((named, server), (named, str(theirs))), ((named, f"{server}, {server}"),), ((named, f"urn:uuid:{server}"),),
        ((named, "x"), ("Tin-Context", "12-3456789")),
    ):  # fmt: skip
        for answered in await asks(*bad):
            (wrong,) = problem(answered, 400, "invalid")["errors"]
            assert wrong["field"] == named, bad
    for bad in (
        (("Tin-Context", "1"), ("Tin-Context", "1")),
        (("Tin-Context", "x" * 51),),
        (("Tin-Context", ""),),
    ):
        for answered in await asks(*bad):
            (wrong,) = problem(answered, 400, "invalid")["errors"]
            assert wrong["field"] == "Tin-Context"
    nobodys = await asks((named, UNKNOWN))
    for unknown in ((named, str(theirs)), ("Tin-Context", "99-9999999")):
        for answered, nobody in zip(await asks(unknown), nobodys, strict=True):
            problem(answered, 404, "not-found")
            assert bare(answered) == bare(nobody)
    assert await everything(house) == before
    for good in (
        ((named, server.upper()),), (("Tin-Context", "12-3456789"),),
        ((named, server), ("Tin-Context", "99-9999999")),  # if both are there, the server's id wins
    ):  # fmt: skip
        assert [answered.status_code for answered in await asks(*good)] == [200, 200], good
    # By its tax id an organization is named only while it has one FHIR server, and is active.
    await add_server(house, name="A second one")
    for answered, nobody in zip(await asks(("Tin-Context", "12-3456789")), nobodys, strict=True):
        assert bare(answered) == bare(nobody)


# -- FHIR servers that answer badly --------------------------------------------------------------------------------------

AWAY, WRONG = (503, "fhir-server-away"), (502, "fhir-server-wrong")
HTML = f"<html><body>{CANARY}</body></html>".encode()
REDIRECT = [("Location", f"http://127.0.0.1:1/{CANARY}")]
UPSTREAM: dict[str, tuple[Behaviour, tuple[int, str]]] = {
    "hangs up": (evil_fhir.hang_up, AWAY),
    "is silent": (evil_fhir.silence, AWAY),
    "drips": (evil_fhir.dripping(), AWAY),
    "is busy": (resource(evil_fhir.outcome(), status="503 Busy"), AWAY),
    "answers HTML": (answering(HTML, content_type="text/html"), WRONG),
    "answers HTML that it calls JSON": (answering(HTML), WRONG),
    "redirects": (answering(HTML, status="302 Found", headers=REDIRECT), WRONG),
    "sends 10 GB": (evil_fhir.endless(), WRONG),
    "sends a bomb": (evil_fhir.bomb(16 * 1024**2), WRONG),
    "breaks off": (evil_fhir.reset_amidst, AWAY),
    "is broken": (resource(evil_fhir.outcome(), status="500 Broken"), WRONG),
    "refuses our credentials": (resource(evil_fhir.outcome(), status="401 Unauthorized"), WRONG),
    "says what went wrong": (resource(evil_fhir.outcome()), WRONG),
    "gives another patient": (resource(patient("another", name=[{"family": CANARY}])), WRONG),
    "gives two where one was asked": (resource(page(entry(patient(JANE)), entry(patient(JIMMY)))), WRONG),
    "gives another thing": (resource({"resourceType": "Observation", "id": JANE, "note": CANARY}), WRONG),
    "gives a list": (resource([patient(JANE)]), WRONG),
    "gives a patient without an id": (
        resource({"resourceType": "Patient", "name": [{"family": CANARY}]}),
        WRONG,
    ),
}
SEARCHED: dict[str, tuple[Behaviour, tuple[int, str]]] = {
    "finds one without that identifier": (resource(page(entry(identified("p1", CANARY)))), (400, "no-such-patient")),
    "finds two": (
        resource(page(entry(identified("p1", "900111222")), entry(identified("p2", "900111222")))),
        (400, "several-patients"),
    ),
    "finds one with an id that is none": (resource(page(entry(identified("../x", "900111222")))), WRONG),
    "finds the patient and doesn't page it": (resource(patient(JANE)), WRONG),
    "has more pages": (
        resource(page(entry(identified("p1", "900111222")), link=[{"relation": "next", "url": f"http://x.example/{CANARY}"}])),
        WRONG,
    ),
}  # fmt: skip


async def test_a_fhir_server_that_answers_badly_makes_nothing_and_tells_nothing(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_id: dict[str, Any] = {"patient": JANE}
    searched: dict[str, Any] = {"patient": None, SEARCH: "900111222"}
    asked = [(what, how, by_id, told) for what, (how, told) in UPSTREAM.items()]
    broken = {what: how for what, how in UPSTREAM.items() if not what.startswith("gives")}
    asked += [(what, how, searched, told) for what, (how, told) in (broken | SEARCHED).items()]
    async with EvilFhir.open(resource(patient(JANE))) as upstream:
        was_away, code_invite = True, None
        for number, (what, how, which, (status, kind)) in enumerate(asked):
            if was_away:
                # One that is away isn't asked for a while, so the next is a server of its own.
                clinic.server_id = await add_server(
                    house, name=f"{number}", base_url=f"{upstream.base}/{number}", allow_private_address=True
                )
                upstream.does = resource(patient(JANE))
                code_invite = body(await clinic.invites_by_code())["id"]
            was_away = status == 503
            upstream.does = how
            if what in ("is silent", "drips"):
                monkeypatch.setattr(fhir, "_READING", msgspec.structs.replace(fhir._READING, whole=0.3))
            before = await digest(house)
            with capture_logs() as logged:
                answers = [await clinic.invites_by_code(**which)]
                if which is by_id:
                    answers.append(await clinic.invites_by_email("nobody@mail.example", **which))
                    again = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
                    answers.append(await house.ben.post(f"/OrganizationInvites/{code_invite}/reissue", again))
            for answered in answers:
                assert (answered.status_code, what) == (status, what), answered.text
                told = problem(answered, status, kind)
                assert CANARY not in answered.text, what
                assert "127.0.0.1" not in answered.text
                assert told["detail"]
                assert ("retry-after" in answered.headers) is (status == 503), what
            monkeypatch.undo()
            assert CANARY not in repr(logged), what
            assert await digest(house) == before, what
        assert upstream.sent < 64 * 1024**2
    await house.must_be_sound()


async def test_a_fhir_server_that_is_not_there_at_all(house: House, clinic: Clinic) -> None:
    async with EvilFhir.open(evil_fhir.hang_up) as upstream:
        base = upstream.base
    clinic.server_id = await add_server(house, name="Gone", base_url=base, allow_private_address=True)
    before = await everything(house)
    problem(await clinic.invites_by_code(), 503, "fhir-server-away")
    assert await everything(house) == before
    # In our own network nobody is asked, unless the operator said so of this address.
    async with EvilFhir.open(resource(patient(JANE))) as upstream:
        clinic.server_id = await add_server(house, name="Inside", base_url=upstream.base)
        before = await everything(house)
        problem(await clinic.invites_by_code(), 502, "fhir-server-wrong")
        assert await everything(house) == before
        assert upstream.connections == 0


async def test_a_server_that_has_no_such_patient_says_so_to_the_inviter(house: House, clinic: Clinic) -> None:
    gone = resource(evil_fhir.outcome(), status="410 Gone")
    async with EvilFhir.open(resource(evil_fhir.outcome(), status="404 Not Found")) as upstream:
        clinic.server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        for how in (upstream.does, gone):
            upstream.does = how
            answered = await clinic.invites_by_code()
            problem(answered, 400, "no-such-patient")
            assert CANARY not in answered.text
        upstream.does = resource(page())
        problem(await clinic.invites_by_code(patient=None, **{SEARCH: "900111222"}), 400, "no-such-patient")
        for retired in (
            {"active": False},
            {"link": [{"type": "replaced-by", "other": {"reference": "Patient/x"}}]},
        ):
            upstream.does = resource(patient(JANE, **retired))
            problem(await clinic.invites_by_code(), 400, "invalid")


async def test_an_invite_is_not_made_by_what_a_server_said_before_it_was_changed(
    house: House, clinic: Clinic
) -> None:
    """While it answers, its address is changed: what it said may be of another patient."""

    async def moves(caller: evil_fhir.Caller) -> None:
        await house.rows("UPDATE fhir_servers SET version = version + 1 WHERE id = $1", clinic.server_id)
        await resource(patient(JANE))(caller)

    async with EvilFhir.open(moves) as upstream:
        clinic.server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        answered = await clinic.invites_by_code()
        problem(answered, 503, "unavailable")
        assert "retry-after" in answered.headers
        assert (await house.rows("SELECT count(*) FROM invites"))[0][0] == 0
        upstream.does = resource(patient(JANE))
        body(await clinic.invites_by_code())
