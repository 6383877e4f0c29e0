"""What is asked of a FHIR server elsewhere, and what of its answer is taken (threats B-12, F-01, F-16, F-17, F-30 to F-35)."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from cast import MovableClock
from fakes import evil_fhir as evil
from fakes.evil_fhir import CANARY, EvilFhir
from hospitium.engine.errors import FhirServerAway, FhirServerWrong, Invalid, Refusal
from hospitium.engine.secrets import Secret
from hospitium.outside import breaker, fhir
from hospitium.outside.fhir import Basic, Bearer, Credentials, Metadata, RemoteFhir, RemoteServer, base_url
from hospitium.outside.http import Blocked, Egress

SERVER_ID = UUID(int=7)
SYSTEM = "http://hospital.example/mrn"
ADA = evil.identified("ada", "MRN-1", SYSTEM)
TOKEN = Bearer(Secret("t0ken"))


@pytest.fixture
async def remote(clock: MovableClock) -> AsyncIterator[RemoteFhir]:
    egress = Egress()
    yield RemoteFhir(egress, clock)
    await egress.close()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little of it that tests of slowness are quick."""
    for limits in ("_READING", "_READING_ONE", "_READING_A_PAGE"):
        monkeypatch.setattr(fhir, limits, fhir.Limits(0.3, 0.4, fhir.LARGEST_PATIENT))


def at(server: EvilFhir, credentials: Credentials | None = None, server_id: UUID = SERVER_ID) -> RemoteServer:
    return RemoteServer(server_id, server.base, allow_private=True, credentials=credentials, authorities=None)


Asking = Callable[[RemoteFhir, RemoteServer], Awaitable[Any]]


async def read(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.read_patient(server, "ada")


async def search(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.patients_by_identifier(server, SYSTEM, "MRN-1")


async def look(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.test(server)


async def read_one(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.read(server, "Patient", "ada")


async def search_page(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.search(server, "Patient", [("_id", "ada")])


async def follow(remote: RemoteFhir, server: RemoteServer) -> Any:
    return await remote.follow(server, "Patient ?_getpages=1")


GATEWAYS = (read_one, search_page, follow)
EVERY_WAY = pytest.mark.parametrize("asking", [read, search, look, *GATEWAYS])


# -- what is asked --


async def test_it_reads_the_patient_that_was_named(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(ADA)) as server:
        assert await remote.read_patient(at(server), "ada") == ADA
    (heard,) = server.heard
    assert heard.line == "GET /fhir/Patient/ada HTTP/1.1"
    assert heard.headers == [
        ("Host", f"127.0.0.1:{server.port}"),
        ("Accept", "application/fhir+json"),
        ("User-Agent", "Hospitium"),
    ]


@pytest.mark.parametrize(
    ("credentials", "shown"),
    [
        (Bearer(Secret("t0ken|with~signs")), "Bearer t0ken|with~signs"),
        (
            Basic("clinic", Secret("pä:ss word")),
            "Basic " + base64.b64encode("clinic:pä:ss word".encode()).decode(),
        ),
    ],
)
async def test_it_shows_who_we_are_and_nothing_else(
    remote: RemoteFhir, credentials: Credentials, shown: str
) -> None:
    async with EvilFhir.open(evil.resource(ADA)) as server:
        await remote.read_patient(at(server, credentials), "ada")
    assert server.heard[0].header("Authorization") == shown
    assert [name for name, _ in server.heard[0].headers] == ["Host", "Accept", "User-Agent", "Authorization"]
    assert "pä" not in repr(credentials)
    assert "t0ken" not in repr(credentials)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "a\nb", "tökèn", "a\0", "\x7f"])
def test_a_token_that_is_no_header_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        Bearer(Secret(token))
    assert not token.strip() or token not in str(refused.value)


def test_a_user_and_a_password_can_be_told_apart() -> None:
    for user, password in (("a:b", "c"), ("a\nb", "c"), ("a", "b\r\nX: 1")):
        with pytest.raises(Invalid):
            Basic(user, Secret(password))


async def test_credentials_go_to_no_other_origin(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(ADA)) as elsewhere:
        there = evil.answering(status="302 Found", headers=[("Location", f"{elsewhere.base}/Patient/ada")])
        async with EvilFhir.open(there) as server:
            for asking in (read, search, look, *GATEWAYS):
                with pytest.raises(FhirServerWrong):
                    await asking(remote, at(server, TOKEN))
    assert (server.connections, elsewhere.connections) == (6, 0)


@pytest.mark.parametrize(
    "patient_id",
    [
        "", ".", "..", "...", "A/../B", "../metadata", "%2e%2e", "%252e", "..;/", "a%2fb", "a%5cb", "a\\b", "//", "a//b", "a\0", "A?_x=1",
        "A%3f_x", "A#", "A#x", "．．", "Ａ", "a" * 65, "a ", " a", "a\n", "a\r\nHost: b", "a_b", "a|b", "a,b", "a&b", "a;b", "a:b", "a@b",
        "$everything", "ada/$everything", "ada/_history/1", "é", "a\u202eb", "\ud800",
    ],
)  # fmt: skip
async def test_it_asks_for_no_id_that_nobody_can_have(remote: RemoteFhir, patient_id: str) -> None:
    async with EvilFhir.open(evil.resource(ADA)) as server:
        assert await remote.read_patient(at(server), patient_id) is None
    assert server.connections == 0


@pytest.mark.parametrize(
    "patient_id", ["a", "a.b", ".a", "-", "a..b", "A-1.2", "a" * 64, "0c1d2e3f-4a5b-4c6d-8e7f-0a1b2c3d4e5f"]
)
async def test_it_asks_for_every_id_that_one_can_have(remote: RemoteFhir, patient_id: str) -> None:
    async with EvilFhir.open(evil.resource(evil.patient(patient_id))) as server:
        assert await remote.read_patient(at(server), patient_id) == evil.patient(patient_id)
    assert server.targets == [f"/fhir/Patient/{patient_id}"]


# The identifier, and what a server hears: one value of one parameter, whatever is in it.
IDENTIFIERS = [
    (None, "MRN-1", "MRN-1"),
    (SYSTEM, "MRN-1", "http%3A%2F%2Fhospital.example%2Fmrn%7CMRN-1"),
    ("", "MRN-1", "%7CMRN-1"),
    (None, "x&_count=1000", "x%26_count%3D1000"),
    (None, "x&identifier=y", "x%26identifier%3Dy"),
    (None, "a,b", "a%5C%2Cb"),
    (None, "|", "%5C%7C"),
    (None, "sys|", "sys%5C%7C"),
    ("s|t", "u|v", "s%5C%7Ct%7Cu%5C%7Cv"),
    (None, "%", "%25"),
    (None, "%2C", "%252C"),
    (None, "$", "%5C%24"),
    (None, "\\", "%5C%5C"),
    (None, "\\,", "%5C%5C%5C%2C"),
    (None, "a\nb", "a%0Ab"),
    (None, "a\r\nHost: evil.example", "a%0D%0AHost%3A%20evil.example"),
    (None, "a b+c", "a%20b%2Bc"),
    (None, "#x", "%23x"),
    (None, "?x", "%3Fx"),
    (None, "../metadata", "..%2Fmetadata"),
    (None, "'; DROP TABLE", "%27%3B%20DROP%20TABLE"),
    (None, "*", "%2A"),
    (None, "\0", "%00"),
    (None, "Zoë ß １", "Zo%C3%AB%20%C3%9F%20%EF%BC%91"),
    (None, ":missing=true", "%3Amissing%3Dtrue"),
    ("urn:oid:1.2,3", "$4", "urn%3Aoid%3A1.2%5C%2C3%7C%5C%244"),
]


@pytest.mark.parametrize(("system", "value", "sent"), IDENTIFIERS)
async def test_an_identifier_is_one_value_whatever_is_in_it(
    remote: RemoteFhir, system: str | None, value: str, sent: str
) -> None:
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        assert await remote.patients_by_identifier(at(server), system, value) == []
    (heard,) = server.heard
    assert heard.line == f"GET /fhir/Patient?identifier={sent}&_count=2 HTTP/1.1"
    (name, token), count = parse_qsl(urlsplit(heard.target).query, strict_parsing=True)
    assert (name, count) == ("identifier", ("_count", "2"))
    assert _unescaped(token) == ([value] if system is None else [system, value])


def _unescaped(token: str) -> list[str]:
    """Read a token as a server does: split where a bar isn't escaped, refuse what would be several."""
    parts, escaped = [""], False
    for character in token:
        if escaped or character not in "\\|,$":
            parts[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            assert character == "|", "several values"
            parts.append("")
    return parts


@pytest.mark.parametrize("value", ["", "\ud800", "x" * 4_001, "," * 700])
async def test_it_asks_for_no_identifier_that_nobody_can_have(remote: RemoteFhir, value: str) -> None:
    async with EvilFhir.open(evil.resource(evil.page(evil.entry(ADA)))) as server:
        assert await remote.patients_by_identifier(at(server), None, value) == []
        assert await remote.patients_by_identifier(at(server), SYSTEM, value) == []
    assert server.connections == 0


# -- what is taken --


async def test_it_finds_the_one_who_has_an_identifier(remote: RemoteFhir) -> None:
    for mode in ("match", None):
        async with EvilFhir.open(evil.resource(evil.page(evil.entry(ADA, mode)))) as server:
            assert await remote.patients_by_identifier(at(server), SYSTEM, "MRN-1") == [ADA]
            assert await remote.patients_by_identifier(at(server), None, "MRN-1") == [ADA]


async def test_two_are_several_and_more_make_no_difference(remote: RemoteFhir) -> None:
    many = [evil.entry(evil.identified(f"p{number}", "MRN-1", SYSTEM)) for number in range(50)]
    async with EvilFhir.open(
        evil.resource(evil.page(*many, link=[{"relation": "next", "url": "x"}]))
    ) as server:
        found = await remote.patients_by_identifier(at(server), SYSTEM, "MRN-1")
    assert [one["id"] for one in found] == ["p0", "p1"]


async def test_only_who_has_the_identifier_counts(remote: RemoteFhir) -> None:
    other = evil.identified("other", "MRN-2", SYSTEM)
    elsewhere = evil.identified("elsewhere", "MRN-1", "http://other.example/mrn")
    smaller = evil.identified("smaller", "mrn-1", SYSTEM)
    odd = [
        evil.patient("a", identifier="MRN-1"), evil.patient("b", identifier=["MRN-1", None, {"value": 1}]), evil.patient("c"),
        evil.patient("d", identifier={"value": "MRN-1", "system": SYSTEM}),
    ]  # fmt: skip
    entries = [evil.entry(one) for one in (other, elsewhere, smaller, *odd, ADA)]
    async with EvilFhir.open(evil.resource(evil.page(*entries))) as server:
        assert await remote.patients_by_identifier(at(server), SYSTEM, "MRN-1") == [ADA]
        either = await remote.patients_by_identifier(at(server), None, "MRN-1")
        assert [one["id"] for one in either] == ["elsewhere", "ada"]
        assert await remote.patients_by_identifier(at(server), "", "MRN-1") == []


async def test_an_identifier_without_a_system_can_be_asked_for(remote: RemoteFhir) -> None:
    bare = evil.identified("bare", "MRN-1")
    async with EvilFhir.open(evil.resource(evil.page(evil.entry(ADA), evil.entry(bare)))) as server:
        assert await remote.patients_by_identifier(at(server), "", "MRN-1") == [bare]


async def test_what_comes_along_with_a_search_is_left_out(remote: RemoteFhir) -> None:
    included = evil.entry(evil.identified("included", "MRN-1", SYSTEM), "include")
    told = evil.entry(evil.outcome(), "outcome")
    foreign = evil.entry({"resourceType": "Person", "id": "x", "identifier": ADA["identifier"]})
    empty: dict[str, Any] = {"fullUrl": "http://x/Patient/1"}
    entries = [included, told, foreign, empty, evil.entry(ADA), {"search": None, "resource": ADA}]
    async with EvilFhir.open(evil.resource(evil.page(*entries))) as server:
        assert await remote.patients_by_identifier(at(server), SYSTEM, "MRN-1") == [ADA]


@pytest.mark.parametrize(
    "bundle",
    [
        evil.page(evil.entry(ADA), link=[{"relation": "self"}, {"relation": "next", "url": "?page=2"}]),
        evil.page(evil.entry(ADA), evil.entry(ADA)),
        evil.page(evil.entry({**ADA, "id": "../x"})),
        evil.page(evil.entry({**ADA, "id": 7})),
        evil.page(evil.entry({"resourceType": "Patient", "identifier": ADA["identifier"]})),
        evil.page(evil.entry(ADA), type="collection"),
        {"resourceType": "Bundle", "type": "searchset", "entry": {"resource": ADA}},
        {"resourceType": "Bundle", "entry": [evil.entry(ADA)]},
        evil.outcome(),
        ADA,
        [],
    ],
)  # fmt: skip
async def test_a_search_that_doesnt_say_whether_there_is_one_is_wrong(
    remote: RemoteFhir, bundle: Any
) -> None:
    async with EvilFhir.open(evil.resource(bundle)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.patients_by_identifier(at(server), SYSTEM, "MRN-1")


@pytest.mark.parametrize(
    "given",
    [
        evil.patient("eve"), evil.patient("Ada"), evil.patient("ada "), {"resourceType": "Patient"}, evil.patient("ada", resourceType="Person"),
        evil.patient("ada", id=["ada"]), evil.page(evil.entry(ADA), evil.entry(evil.patient("eve"))), evil.outcome(), [ADA], "Patient", None, 7, {},
    ],
)  # fmt: skip
async def test_it_takes_the_patient_that_was_named_or_nobody(remote: RemoteFhir, given: Any) -> None:
    async with EvilFhir.open(evil.resource(given)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.read_patient(at(server), "ada")


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_who_isnt_there_or_isnt_any_more_is_nobody(remote: RemoteFhir, status: str) -> None:
    async with EvilFhir.open(evil.resource(evil.outcome(), status=status)) as server:
        assert await remote.read_patient(at(server), "ada") is None
        for asking in (search, look):  # there, it is the address that is wrong
            with pytest.raises(FhirServerWrong):
                await asking(remote, at(server))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+json", "application/json", "Application/FHIR+JSON; charset=UTF-8", 'application/json;charset="utf-8"',
        "application/fhir+json; fhirVersion=4.0; charset=utf-8", "application/fhir+json;charset=utf8",
    ],
)  # fmt: skip
async def test_it_reads_json_by_any_of_its_names(remote: RemoteFhir, content_type: str) -> None:
    async with EvilFhir.open(evil.resource(ADA, content_type=content_type)) as server:
        assert await remote.read_patient(at(server), "ada") == ADA


@EVERY_WAY
@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "text/html", "text/html; charset=utf-8", "application/fhir+xml", "text/plain", "application/json, text/html",
        "application/json; charset=utf-16", "application/json; charset=latin-1", "application/jsonp", "application/json+fhir",
        "application/json; charset=utf-8, text/html", "application/fhir+ndjson", "text/json",
    ],
)  # fmt: skip
async def test_it_reads_nothing_but_json(
    remote: RemoteFhir, asking: Asking, content_type: str | None
) -> None:
    async with EvilFhir.open(evil.resource(ADA, content_type=content_type)) as server:
        with pytest.raises(FhirServerWrong):
            await asking(remote, at(server))


ADA_AS_TEXT = json.dumps(ADA)


@EVERY_WAY
@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>Patient</html>", b"{", b'{"resourceType": "Patient", "id": "eve", "id": "ada"}',
        b'{"resourceType": "Patient", "resourceType": "Bundle", "type": "searchset", "id": "ada"}',
        b'{"resourceType": "Patient", "id": "ada", "a": {"b": 1, "b": 2}}', b'{"resourceType": "Patient", "id": "ada", "a": NaN}',
        b'{"resourceType": "Patient", "id": "ada", "a": Infinity}', b'{"resourceType": "Patient", "id": "ada", "a": 1e400}',
        b'{"resourceType": "Patient", "id": "ada", "a": ' + b"9" * 5000 + b"}", b'{"resourceType": "Patient", "id": "ada", "a": "\\ud800"}',
        b'{"resourceType": "Patient", "id": "ada", "a": "\\u0000"}', b'{"resourceType": "Patient", "id": "ada", "a": "\xff"}',
        b"\xef\xbb\xbf" + ADA_AS_TEXT.encode(), ADA_AS_TEXT.encode("utf-16"), ADA_AS_TEXT.encode("utf-16-le"), ADA_AS_TEXT.encode("utf-32"),
        ADA_AS_TEXT.encode() + b"{}", ADA_AS_TEXT.encode() + b"\0", b'{"resourceType": "Patient", "id": "ada", "a": ' + b"[" * 100_000,
        b'{"resourceType": "Patient", "id": "ada", "a": ' + b"[" * 65 + b"]" * 65 + b"}", b"{'resourceType': 'Patient', 'id': 'ada'}",
        b'{"resourceType": "Patient", "id": "ada",}', b'{"resourceType": "Patient", "id": "ada"} // x',
    ],
    ids=range(24),
)  # fmt: skip
async def test_json_that_two_could_read_differently_is_read_by_nobody(
    remote: RemoteFhir, asking: Asking, body: bytes
) -> None:
    async with EvilFhir.open(evil.answering(body)) as server:
        with pytest.raises(FhirServerWrong):
            await asking(remote, at(server))


# -- what goes wrong --

WRONG = {
    "html": evil.answering(f"<html>{CANARY}</html>".encode(), content_type="text/html"),
    "redirect": evil.answering(status=f"301 {CANARY}", headers=[("Location", f"http://{CANARY}.example/")]),
    "unauthorized": evil.answering(
        CANARY.encode(), status=f"401 {CANARY}", headers=[("WWW-Authenticate", CANARY)]
    ),
    "forbidden": evil.resource(evil.outcome(), status=f"403 {CANARY}"),
    "stack trace": evil.answering(f"NullPointerException: {CANARY}".encode(), status=f"500 {CANARY}"),
    "teapot": evil.answering(CANARY.encode(), status="418 Teapot"),
    "accepted": evil.resource(ADA, status="202 Accepted"),
    "nothing": evil.answering(status="204 No Content"),
    "outcome": evil.resource(evil.outcome(), headers=[("Set-Cookie", CANARY), ("X-Patient", CANARY)]),
    "another": evil.resource(evil.patient("eve", name=[{"family": CANARY}])),
    "twice": evil.answering(f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode()),
    "deep": evil.answering(b"[" * 100_000),
    "many headers": evil.resource(ADA, headers=[(f"X-{number}", CANARY) for number in range(10_000)]),
    "endless": evil.endless(),
    "bomb": evil.bomb(),
    "nested bomb": evil.bomb(times=2),
    "too short": evil.answering(f'{{"a": "{CANARY}"'.encode(), length=500),
    "cut off": evil.answering(ADA_AS_TEXT.encode(), length=30),
    "not http": evil.saying(f"{CANARY}\r\n\r\n".encode()),
    "bad line": evil.saying(f"HTTP/1.1 2xx {CANARY}\r\n\r\n".encode()),
    "switching": evil.saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + CANARY.encode()),
}
AWAY = {
    "hangs up": evil.hang_up,
    "resets": evil.reset_amidst,
    "silent": evil.silence,
    "drips": evil.dripping(),
    "soon": evil.early_hints,
    "maintenance": evil.answering(CANARY.encode(), status=f"503 {CANARY}", headers=[("Retry-After", "1000000000")]),
    "gateway": evil.answering(CANARY.encode(), status="502 Bad Gateway"),
    "gateway slow": evil.answering(CANARY.encode(), status="504 Slow"),
    "too often": evil.answering(CANARY.encode(), status="429 Slow down"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*WRONG, *AWAY])
@pytest.mark.parametrize("asking", [read, search, *GATEWAYS])
async def test_what_a_server_says_stays_between_it_and_us(
    remote: RemoteFhir,
    request: pytest.FixtureRequest,
    asking: Asking,
    kind: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected: type[Refusal] = FhirServerWrong if kind in WRONG else FhirServerAway
    if kind in AWAY:  # what is only wrong may take as long as this machine needs
        request.getfixturevalue("patience")
    async with EvilFhir.open((WRONG | AWAY)[kind]) as server:
        with capture_logs() as logged, pytest.raises(expected) as refused:
            await asking(remote, at(server, TOKEN))
    told = "".join(traceback.format_exception(refused.value))
    seen = [told, repr(refused.value.__dict__), repr(logged), repr(capsys.readouterr()), caplog.text]
    for text in seen:
        assert CANARY not in text
        assert "t0ken" not in text
    assert "127.0.0.1" not in repr(logged)
    (line,) = logged
    assert set(line) <= {"event", "log_level", "server", "problem", "status"}
    assert line["server"] == str(SERVER_ID)
    if isinstance(refused.value, FhirServerAway):
        assert refused.value.retry_after == fhir.RETRY_AFTER


async def test_ten_gigabytes_cost_us_little(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.endless()) as server:
        tracemalloc.start()
        try:
            for asking in (read, search):
                with pytest.raises(FhirServerWrong):
                    await asking(remote, at(server))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * fhir.LARGEST_PATIENT
    assert server.sent < 100 * 1024**2


async def test_a_large_answer_is_taken_up_to_its_limit(remote: RemoteFhir) -> None:
    large = {**ADA, "text": "x" * (fhir.LARGEST_PATIENT - 1_000)}
    larger = {**ADA, "text": "x" * fhir.LARGEST_PATIENT}
    async with EvilFhir.open(evil.in_turn(evil.resource(large), evil.resource(larger))) as server:
        assert await remote.read_patient(at(server), "ada") == large
        with pytest.raises(FhirServerWrong):
            await remote.read_patient(at(server), "ada")


async def test_a_base_url_that_isnt_one_is_never_asked(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(ADA)) as server:
        for base in (
            f"{server.base}?x=1",
            f"{server.base}/..",
            f"{server.base}#",
            f"{server.base}//",
            "file:///etc",
        ):
            with pytest.raises(FhirServerWrong):
                await remote.read_patient(RemoteServer(SERVER_ID, base, True, None, None), "ada")
        with pytest.raises(FhirServerWrong):  # the operator didn't say that it may be private
            await remote.read_patient(RemoteServer(SERVER_ID, server.base, False, None, None), "ada")
    assert server.connections == 0


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://fhir.example/R4/", "https://fhir.example/R4"), ("https://FHIR.example", "https://fhir.example"),
        ("https://fhir.example/", "https://fhir.example"), ("https://fhir.example:443/a/b", "https://fhir.example/a/b"),
    ],
)  # fmt: skip
def test_a_base_url_is_kept_in_one_spelling(text: str, kept: str) -> None:
    assert base_url(text, allow_private=False) == kept == base_url(kept, allow_private=False)


def test_a_base_url_asks_nothing() -> None:
    for text in (
        "https://fhir.example/?x=1",
        "https://fhir.example?",
        "https://127.0.0.1/",
        "http://fhir.example/",
    ):
        with pytest.raises(Blocked) as refused:
            base_url(text, allow_private=False)
        assert refused.value.reason.startswith(("must", "leads"))


# -- whether it is there --


async def test_a_server_says_what_it_is(remote: RemoteFhir) -> None:
    named = evil.statement(software={"name": "HAPI\u202e\n FHIR", "version": "6." + "1" * 500})
    async with EvilFhir.open(evil.in_turn(evil.resource(named), evil.resource(evil.statement()))) as server:
        full, bare = await remote.test(at(server)), await remote.test(at(server))
    assert server.targets == ["/fhir/metadata"] * 2
    assert full.fhir_version == "4.0.1"
    assert full.software is not None
    assert full.software.startswith("HAPI FHIR 6.1")
    assert len(full.software) == fhir.LONGEST_SOFTWARE
    assert bare == Metadata("4.0.1", None)


async def test_a_statement_may_be_larger_than_a_patient(remote: RemoteFhir) -> None:
    long = evil.statement(description="x" * (fhir.LARGEST_METADATA - 1_000))
    async with EvilFhir.open(evil.resource(long)) as server:
        assert (await remote.test(at(server))).fhir_version == "4.0.1"


@pytest.mark.parametrize(
    "given",
    [
        evil.statement(fhirVersion="4.3.0"), evil.statement(fhirVersion="5.0.0"), evil.statement(fhirVersion="3.0.2"), evil.statement(fhirVersion=4),
        evil.statement(fhirVersion="4.0.1\n"), evil.statement(fhirVersion=None), evil.statement(resourceType="Conformance"), evil.outcome(), ADA,
    ],
)  # fmt: skip
async def test_what_isnt_r4_is_wrong(remote: RemoteFhir, given: Any) -> None:
    async with EvilFhir.open(evil.resource(given)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.test(at(server))


async def test_odd_software_is_no_reason_to_refuse(remote: RemoteFhir) -> None:
    for software in ("HAPI", [], None, {"name": 7}, {"name": ""}, {"version": None}):
        async with EvilFhir.open(evil.resource(evil.statement(software=software))) as server:
            assert (await remote.test(at(server))).software is None


# -- one that is away --


async def fail(remote: RemoteFhir, server: RemoteServer, times: int) -> list[int]:
    """Ask in vain; return how many seconds each was told to wait."""
    waits = []
    for _ in range(times):
        with pytest.raises(FhirServerAway) as refused:
            await remote.read_patient(server, "ada")
        waits.append(refused.value.retry_after)
    return waits


async def test_a_server_that_fails_in_a_row_is_left_in_peace_and_then_tried_by_one(
    remote: RemoteFhir, clock: MovableClock
) -> None:
    async with EvilFhir.open(evil.hang_up) as server:
        waits = await fail(remote, at(server), breaker.FAILURES)
        assert waits == [fhir.RETRY_AFTER] * (breaker.FAILURES - 1) + [round(breaker.PAUSE)]
        assert await fail(remote, at(server), 3) == [30] * 3
        assert server.connections == breaker.FAILURES
        for asking in (search, look):
            with pytest.raises(FhirServerAway):
                await asking(remote, at(server))
        clock.advance(seconds=25)
        assert await fail(remote, at(server), 1) == [5]
        assert server.connections == breaker.FAILURES

        clock.advance(seconds=6)  # one may try, and fails
        assert await fail(remote, at(server), 3) == [30] * 3
        assert server.connections == breaker.FAILURES + 1

        clock.advance(seconds=31)  # one may try, while the others wait for him
        server.does = evil.silence
        trying = asyncio.create_task(remote.read_patient(at(server), "ada"))
        while server.connections < breaker.FAILURES + 2:
            await asyncio.sleep(0.01)
        assert await fail(remote, at(server), 3) == [1] * 3
        trying.cancel()
        with suppress(asyncio.CancelledError):
            await trying

        server.does = evil.resource(ADA)  # he gave up without an answer; the next one may try
        assert await remote.read_patient(at(server), "ada") == ADA
        assert await asyncio.gather(*(remote.read_patient(at(server), "ada") for _ in range(5))) == [ADA] * 5
    assert remote._breakers == {}


async def test_a_clock_set_back_keeps_nobody_waiting(remote: RemoteFhir, clock: MovableClock) -> None:
    async with EvilFhir.open(evil.hang_up) as server:
        await fail(remote, at(server), breaker.FAILURES)
        clock.advance(days=-1)
        server.does = evil.resource(ADA)
        assert await remote.read_patient(at(server), "ada") == ADA


async def test_an_answer_however_wrong_is_no_absence(remote: RemoteFhir) -> None:
    wrong = evil.resource(evil.patient("eve"))
    async with EvilFhir.open(evil.hang_up) as server:
        for _ in range(3):
            await fail(remote, at(server), breaker.FAILURES - 1)
            server.does = wrong
            with pytest.raises(FhirServerWrong):
                await remote.read_patient(at(server), "ada")
            server.does = evil.hang_up
        server.does = wrong
        for _ in range(2 * breaker.FAILURES):
            with pytest.raises(FhirServerWrong):
                await remote.read_patient(at(server), "ada")
        server.does = evil.resource(ADA)
        assert await remote.read_patient(at(server), "ada") == ADA


async def test_one_server_away_is_no_other_away(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.hang_up) as away, EvilFhir.open(evil.resource(ADA)) as there:
        await fail(remote, at(away), breaker.FAILURES + 1)
        assert await remote.read_patient(at(there, server_id=UUID(int=8)), "ada") == ADA
        assert (
            await remote.read_patient(at(there), "ada") == ADA
        )  # the same one, at the address that was mended
    assert away.connections == breaker.FAILURES


async def test_a_slow_server_holds_no_more_of_us_than_so_much(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.silence) as server:
        asking = [
            asyncio.create_task(remote.read_patient(at(server), "ada")) for _ in range(3 * breaker.AT_ONCE)
        ]
        while server.connections < breaker.AT_ONCE:
            await asyncio.sleep(0.01)
        done = [task for task in asking if task.done()]
        assert len(done) == 2 * breaker.AT_ONCE
        assert {task.exception().retry_after for task in done} == {1}  # type: ignore[union-attr]
        assert server.connections == breaker.AT_ONCE
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        server.does = evil.resource(ADA)
        assert await remote.read_patient(at(server), "ada") == ADA
