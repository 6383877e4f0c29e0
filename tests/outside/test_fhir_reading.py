"""What the gateway asks of a FHIR server elsewhere, and what it takes of the answer (threats F-13, F-16, F-17, F-20, F-30 to F-37)."""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from cast import MovableClock
from fakes import evil_fhir as evil
from fakes.evil_fhir import CANARY, EvilFhir
from fakes.mail_server import make_certificate
from hospitium.engine.errors import FhirServerAway, FhirServerWrong, Invalid, NotFound
from hospitium.engine.fhir_gateway.asking import COMMON, MODIFIERS
from hospitium.engine.fhir_gateway.compartments import with_references_of_ours
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, Kind
from hospitium.engine.secrets import Secret
from hospitium.outside import breaker, fhir, fhir_pages
from hospitium.outside.fhir import Bearer, RemoteFhir, RemoteServer
from hospitium.outside.fhir_departures import Departure, departure
from hospitium.outside.fhir_pages import Found, page, way
from hospitium.outside.http import Egress

SERVER_ID = UUID(int=7)
TOKEN = Bearer(Secret("t0ken"))
PULSE = {
    "resourceType": "Observation",
    "id": "pulse",
    "subject": {"reference": "Patient/ada"},
    "code": {"text": "Pulse"},
}
ASKED = [("patient", "ada"), ("_count", "20")]


@pytest.fixture
async def remote(clock: MovableClock) -> AsyncIterator[RemoteFhir]:
    egress = Egress()
    yield RemoteFhir(egress, clock)
    await egress.close()


def at(server: EvilFhir) -> RemoteServer:
    return RemoteServer(SERVER_ID, server.base, allow_private=True, credentials=TOKEN, authorities=None)


def pulse(number: int) -> dict[str, Any]:
    return {**PULSE, "id": f"pulse-{number}"}


# -- what is asked --


async def test_it_asks_for_the_resource_that_was_named_and_shows_nothing_else_of_us(
    remote: RemoteFhir,
) -> None:
    async with EvilFhir.open(evil.resource(PULSE)) as server:
        assert await remote.read(at(server), "Observation", "pulse") == PULSE
        server.does = evil.resource(evil.page(evil.entry(PULSE)))
        assert (await remote.search(at(server), "Observation", ASKED)).resources == [PULSE]
        assert (await remote.follow(at(server), "Observation ?_getpages=a&_count=20")).resources == [PULSE]
    assert [heard.line for heard in server.heard] == [
        "GET /fhir/Observation/pulse HTTP/1.1",
        "GET /fhir/Observation?patient=ada&_count=20 HTTP/1.1",
        "GET /fhir?_getpages=a&_count=20 HTTP/1.1",
    ]
    for heard in server.heard:
        assert heard.headers == [
            ("Host", f"127.0.0.1:{server.port}"),
            ("Accept", "application/fhir+json"),
            ("User-Agent", "Hospitium"),
            ("Authorization", "Bearer t0ken"),
        ]


@pytest.mark.parametrize("slash", ["/", "\\/"])
async def test_what_is_referred_to_below_its_address_is_referred_to_as_here(
    remote: RemoteFhir, slash: str
) -> None:
    """Whoever follows a reference comes back to us, and learns nothing of where the server is; what isn't a plain reference stays."""
    async with EvilFhir.open(evil.silence) as server:
        base = server.base

        def written(*references: str) -> dict[str, Any]:
            first, *more = ({"reference": one} for one in references)
            inner = {"resourceType": "Practitioner", "id": "p", "note": {"author": dict(first)}}
            return {**PULSE, "subject": first, "performer": more, "contained": [inner], "reference": [first]}

        stay = [
            f"{base}", f"{base}/", f"{base}/Patient", f"{base}/Patient/a/_history/1", f"{base}.evil/Patient/a", f"{base}/Patient/a?x",
            "https://fhir.example/Patient/a", f"x{base}/Patient/a", "urn:uuid:1", "#p", "Patient/b", f"{base}//Patient/a", f"{base}/Patient/..",
        ]  # fmt: skip
        given = written(f"{base}/Patient/ada", f"{base}/Practitioner/house", *stay)
        expected = written("Patient/ada", "Practitioner/house", *stay)

        def says(value: Any) -> evil.Behaviour:
            return evil.answering(json.dumps(value).replace("/", slash).encode())

        server.does = says(given)
        assert await remote.read(at(server), "Observation", "pulse") == expected
        server.does = says(evil.page(evil.entry(given)))
        assert (await remote.search(at(server), "Observation", ASKED)).resources == [expected]


@pytest.mark.parametrize("large", [True, False])
async def test_what_is_large_is_written_anew_beside_the_loop(
    remote: RemoteFhir, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    by: list[bool] = []

    def watched(resource: dict[str, Any], base: str) -> dict[str, Any]:
        by.append(threading.current_thread() is threading.main_thread())
        return with_references_of_ours(resource, base)

    monkeypatch.setattr(fhir, "with_references_of_ours", watched)
    async with EvilFhir.open(evil.silence) as server:
        note = [{"text": "x" * (fhir.LARGE if large else 1)}]
        given = {**PULSE, "subject": {"reference": f"{server.base}/Patient/ada"}, "note": note}
        server.does = evil.resource(given)
        found = await remote.read(at(server), "Observation", "pulse")
    assert found == {**given, "subject": {"reference": "Patient/ada"}}
    assert by == [not large]


STEPS = [
    "", ".", "..", "...", "A/../B", "../metadata", "%2e%2e", "%252e", "..;/", "a%2fb", "a%5cb", "a\\b", "//", "a//b", "a\0", "A?_x=1",
    "A%3f_x", "A#", "．．", "a" * 65, "a ", " a", "a\n", "a\r\nHost: b", "a_b", "$everything", "ada/$everything", "ada/_history/1", "é", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
async def test_it_asks_for_no_type_and_no_id_that_nobody_can_have(remote: RemoteFhir, name: str) -> None:
    async with EvilFhir.open(evil.resource(PULSE)) as server:
        assert await remote.read(at(server), "Observation", name) is None
        assert await remote.read(at(server), f"Observation{name}" if name else "", "pulse") is None or (
            name == "a" * 65
        )
    assert server.connections == 0


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("http://loinc.org|8867-4", "http%3A%2F%2Floinc.org%7C8867-4"), ("a,b", "a%2Cb"), ("a\\,b", "a%5C%2Cb"), ("x&patient=eve", "x%26patient%3Deve"),
        ("ge2020-01-01T00:00:00+01:00", "ge2020-01-01T00%3A00%3A00%2B01%3A00"), ("a\r\nHost: evil.example", "a%0D%0AHost%3A%20evil.example"),
        ("#x", "%23x"), ("?x", "%3Fx"), ("../metadata", "..%2Fmetadata"), ("%26", "%2526"), ("a b", "a%20b"), ("\0", "%00"), ("", ""),
        ("Zoë １", "Zo%C3%AB%20%EF%BC%91"), ("a;b", "a%3Bb"), ("é", "%C3%A9"),
    ],
)  # fmt: skip
async def test_a_value_is_one_value_whatever_is_in_it(remote: RemoteFhir, value: str, sent: str) -> None:
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        await remote.search(at(server), "Observation", [("code", value), ("patient", "ada")])
    assert server.targets == [f"/fhir/Observation?code={sent}&patient=ada"]
    heard = parse_qsl(urlsplit(server.targets[0]).query, keep_blank_values=True, strict_parsing=True)
    assert heard == [("code", value), ("patient", "ada")]


@pytest.mark.parametrize(
    "name",
    [
        "", "_include", "_Include", "_include:iterate", "_revinclude", "_has:Observation:patient:code", "subject:Patient.name", "patient.identifier",
        "subject.name", "_filter", "_query", "_list", "_content", "_text", "_contained", "_elements", "_summary", "_format", "_pretty", "_type", "_method",
        "_getpages", "code&patient", "code=a&patient", "code?", "code/", "code\r\nHost: b", "code#", "cod%65", "code ", "Code", "_id:", "code:a.b", "codé",
    ],
)  # fmt: skip
async def test_it_asks_by_no_parameter_that_widens(remote: RemoteFhir, name: str) -> None:
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        with pytest.raises(FhirServerWrong):
            await remote.search(at(server), "Observation", [("patient", "ada"), (name, "x")])
    assert server.connections == 0


def test_all_that_may_be_asked_here_can_be_asked_there() -> None:
    asked = [
        (type_, f"{name}{modifier}")
        for type_, kind in DEFINITIONS.types.items()
        for name, compared in {**kind.parameters, **COMMON, kind.about.parameter: Kind.REFERENCE}.items()
        for modifier in ("", *(f":{one}" for one in MODIFIERS[compared]))
    ]
    assert len(asked) > 1_000
    for type_, name in asked:
        assert fhir._SEARCH.fullmatch(f"/{type_}?{name}=x&_sort=-date&_count=20"), name
        assert re.fullmatch(fhir._NAME, name)


async def test_what_a_server_hears_is_what_was_asked_whatever_it_was(remote: RemoteFhir, rounds: int) -> None:
    chance = random.Random(7)
    names = [name for kind in DEFINITIONS.types.values() for name in kind.parameters]
    alphabet = "aZ0-._~!*'();:@&=+$,/?#[]%|\\\"<>{}^` \t\r\n\0\x7f\x85é１．／\u202e\U0001f600"
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        for number in range(min(rounds * 5, 2_000)):
            pairs = [
                (chance.choice(names), "".join(chance.choices(alphabet, k=chance.randrange(12))))
                for _ in range(chance.randrange(1, 6))
            ]
            await remote.search(at(server), "Observation", pairs)
            method, target, version = server.heard[number].line.split(" ")
            path, _, query = target.partition("?")
            assert (method, path, version) == ("GET", "/fhir/Observation", "HTTP/1.1")
            assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == pairs
            assert re.fullmatch(r"[A-Za-z0-9_.~%=&:-]+", query)
            assert len(server.heard[number].headers) == 4


async def test_it_searches_no_type_that_isnt_one(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        for type_ in (
            "",
            "observation",
            "Patient/ada",
            "..",
            "Patient/$match",
            "metadata",
            "Patient?x=",
            "$graphql",
            "É",
        ):
            with pytest.raises(FhirServerWrong):
                await remote.search(at(server), type_, ASKED)
    assert server.connections == 0


async def test_what_no_url_holds_is_said_to_who_asks(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(evil.page())) as server:
        for value in ("\ud800", "x" * 8_192, "," * 3_000):
            with pytest.raises(Invalid):
                await remote.search(at(server), "Observation", [("code", value)])
    assert server.connections == 0


# -- one resource --


@pytest.mark.parametrize(
    "given",
    [
        {**PULSE, "id": "other"}, {**PULSE, "id": "Pulse"}, {**PULSE, "id": None}, {**PULSE, "id": ["pulse"]}, {**PULSE, "resourceType": "Condition"},
        {"resourceType": "Observation"}, evil.page(evil.entry(PULSE)), evil.outcome(), [PULSE], None, "Observation", {},
    ],
)  # fmt: skip
async def test_it_takes_the_resource_that_was_named_or_nothing(remote: RemoteFhir, given: Any) -> None:
    async with EvilFhir.open(evil.resource(given)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.read(at(server), "Observation", "pulse")


async def test_gone_is_told_apart_from_never_there(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.resource(evil.outcome(), status="404 Not Found")) as server:
        assert await remote.read(at(server), "Patient", "ada") is None
        with pytest.raises(FhirServerWrong):
            await remote.search(at(server), "Patient", ASKED)
        with pytest.raises(NotFound) as forgotten:
            await remote.follow(at(server), "Patient ?_getpages=1")
        server.does = evil.resource(evil.outcome(), status="410 Gone")
        assert await remote.read(at(server), "Patient", "ada") is Departure.GONE
        with pytest.raises(NotFound):
            await remote.follow(at(server), "Patient ?_getpages=1")
    assert CANARY not in repr(forgotten.value.__dict__)


def test_a_patient_says_that_it_isnt_who_it_was() -> None:
    merged = [{"other": {"reference": "Patient/eve"}, "type": "replaced-by"}]
    also = [{"other": {"reference": "Patient/eve"}, "type": "seealso"}, *merged]
    assert departure(evil.patient(link=merged)) is Departure.MERGED
    assert departure(evil.patient(link=also, active=False)) is Departure.MERGED
    assert departure(evil.patient(active=False)) is Departure.INACTIVE
    for stays in (
        evil.patient(), evil.patient(active=True), evil.patient(link=also[:1]), evil.patient(link="replaced-by"), evil.patient(link=[None]),
        evil.patient(link=[{"other": {"reference": "Patient/old"}, "type": "replaces"}]), evil.patient(active="false"),
    ):  # fmt: skip
        assert departure(stays) is None


async def test_numbers_are_kept_digit_for_digit(remote: RemoteFhir) -> None:
    text = (
        b'{"resourceType":"Observation","id":"pulse","a":0.10,"b":1.00e2,"c":12345678901234567890,"d":-3,'
        b'"e":0.1234567890123456789,"f":-0.0}'
    )
    async with EvilFhir.open(evil.answering(text)) as server:
        found = await remote.read(at(server), "Observation", "pulse")
    assert isinstance(found, dict)
    assert (found["a"], str(found["a"]), found["d"]) == (Decimal("0.1"), "0.10", -3)
    again = msgspec.json.Encoder(decimal_format="number").encode(found)
    assert again == text.replace(b"1.00e2", b"100")


@pytest.mark.parametrize(
    "number",
    [b"1e400", b"1e-400", b"1e99999999999999999999", b"0." + b"1" * 41, b"9" * 41, b"1e41", b"1e-41", b"NaN", b"-Infinity"],
)  # fmt: skip
async def test_numbers_beyond_reason_are_wrong(remote: RemoteFhir, number: bytes) -> None:
    text = b'{"resourceType":"Observation","id":"pulse","a":' + number + b"}"
    async with EvilFhir.open(evil.answering(text)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.read(at(server), "Observation", "pulse")


async def test_a_resource_and_a_page_are_taken_up_to_their_limits(remote: RemoteFhir) -> None:
    def sized(size: int) -> evil.Behaviour:
        return evil.resource({**PULSE, "note": "x" * size})

    def paged(size: int) -> evil.Behaviour:
        return evil.resource(evil.page(evil.entry({**PULSE, "note": "x" * size})))

    async with EvilFhir.open(sized(fhir.LARGEST_RESOURCE - 1_000)) as server:
        assert isinstance(await remote.read(at(server), "Observation", "pulse"), dict)
        server.does = paged(fhir.LARGEST_PAGE - 1_000)
        assert len((await remote.search(at(server), "Observation", ASKED)).resources) == 1
        server.does = sized(fhir.LARGEST_RESOURCE)
        with pytest.raises(FhirServerWrong):
            await remote.read(at(server), "Observation", "pulse")
        server.does = paged(fhir.LARGEST_PAGE)
        with pytest.raises(FhirServerWrong):
            await remote.search(at(server), "Observation", ASKED)


@pytest.mark.parametrize("part", [b"{}", b"[]", b"0.5", b'{"":0}'])
async def test_many_small_things_dont_fill_the_memory(remote: RemoteFhir, part: bytes) -> None:
    parts = b",".join([part] * (7_500_000 // (len(part) + 1)))
    async with EvilFhir.open(
        evil.answering(b'{"resourceType":"Observation","id":"pulse","a":[' + parts + b"]}")
    ) as server:
        with capture_logs() as logged, pytest.raises(FhirServerWrong):
            await remote.read(at(server), "Observation", "pulse")
    assert [line["problem"] for line in logged] == ["parts"]


# -- a page --


async def test_only_matches_of_the_type_are_found_and_the_rest_is_counted(remote: RemoteFhir) -> None:
    entries = [
        evil.entry(pulse(1)),
        evil.entry(pulse(2), None),
        evil.entry(pulse(3), "include"),
        evil.entry(evil.patient("eve", name=[{"family": CANARY}]), "include"),
        evil.entry(evil.outcome(), "outcome"),
        evil.entry(evil.outcome()),
        evil.entry(evil.patient("ada")),
        evil.entry(pulse(4), "MATCH"),
        {"search": None, "resource": pulse(5)},
        {"search": {"mode": ["match"]}, "resource": pulse(6)},
        {"fullUrl": "http://x/Observation/1"},
        {"resource": None},
        evil.entry({**PULSE, "id": "../x"}),
        evil.entry({**PULSE, "id": 7}),
        evil.entry({"resourceType": "Observation"}),
        evil.entry({**pulse(1), "code": {"text": CANARY}}),  # of that name there was one
    ]
    odd: list[Any] = [None, [], "x"]
    bundle = evil.page(*entries, *odd, total=1_000_000)
    async with EvilFhir.open(evil.resource(bundle)) as server:
        with capture_logs() as logged:
            found = await remote.search(at(server), "Observation", ASKED)
    assert found == Found(
        [pulse(1), pulse(2)], None, left_out=len(entries) + len(odd) - 2, size=len(json.dumps(bundle))
    )
    assert CANARY not in repr(found) + repr(logged)
    assert [(line["left_out"], line["is_cut"]) for line in logged] == [(17, False)]


BASE = "https://fhir.example/R4"


def named(full_url: Any) -> dict[str, Any]:
    return evil.page({"fullUrl": full_url, **evil.entry(PULSE)})


def looked_at(bundle: dict[str, Any], base: str = BASE, at_: str = "Observation ?x=1") -> Found:
    return page(bundle, base=base, allow_private=False, type_="Observation", most=20, at=at_)


@pytest.mark.parametrize(
    "full_url",
    [
        None, f"{BASE}/Observation/pulse", "Observation/pulse", "urn:uuid:pulse", f"{BASE}/Observation/pulse/_history/3",
        "https://FHIR.example:443/R4/Observation/pulse",
    ],
)  # fmt: skip
def test_an_entry_may_say_where_its_resource_is_from(full_url: str | None) -> None:
    assert looked_at(named(full_url)).resources == [PULSE]


@pytest.mark.parametrize(
    "full_url",
    [
        f"{BASE}/Observation/other", f"{BASE}/Observation/pulses", f"{BASE}/Patient/pulse", f"{BASE}/Observation/pulse/..", f"{BASE}/Observation/pulse?x",
        f"{BASE}/Observation/pulse/_history/", f"{BASE}/Observation/pulse/_history/1/2", "https://fhir.example.evil/R4/Observation/pulse",
        "https://evil.example/R4/Observation/pulse", "https://fhir.example:8443/R4/Observation/pulse", "http://fhir.example/R4/Observation/pulse",
        "https://u@fhir.example/R4/Observation/pulse", "https://fhir.example/R5/Observation/pulse", "Patient/pulse", "urn:uuid:other", "file:///pulse",
        "", 7, [f"{BASE}/Observation/pulse"], {},
    ],
)  # fmt: skip
def test_an_entry_that_says_it_is_another_is_left_out(full_url: Any) -> None:
    assert looked_at(named(full_url)) == Found([], None, left_out=1)


async def test_more_than_was_asked_for_is_wrong(remote: RemoteFhir) -> None:
    fits = [evil.entry(pulse(number)) for number in range(20 + fhir_pages.SLACK)]
    async with EvilFhir.open(evil.resource(evil.page(*fits))) as server:
        assert len((await remote.search(at(server), "Observation", ASKED)).resources) == len(fits)
        server.does = evil.resource(evil.page(*fits, evil.entry(PULSE)))
        with pytest.raises(FhirServerWrong):
            await remote.search(at(server), "Observation", ASKED)
        with pytest.raises(FhirServerWrong):
            await remote.follow(at(server), "Observation ?_getpages=1&_count=20")
        many = [evil.entry(pulse(number)) for number in range(fhir_pages.MOST_ON_A_PAGE + 1)]
        server.does = evil.resource(evil.page(*many))
        found = await remote.follow(at(server), "Observation ?_getpages=1")
        assert len(found.resources) == len(many)
        server.does = evil.resource(evil.page(*many, *many[: fhir_pages.SLACK]))
        for way_on in ("?_getpages=1", "?_getpages=1&_count=9999", "?_count=99999999999", "?_count=²"):
            with pytest.raises(FhirServerWrong):
                await remote.follow(at(server), f"Observation {way_on}")


@pytest.mark.parametrize(
    "bundle",
    [
        evil.page(evil.entry(PULSE), type="collection"), evil.page(evil.entry(PULSE), type=None), {"resourceType": "Bundle", "entry": []},
        evil.page(entry={"resource": PULSE}), evil.page(entry="x"), evil.page(link={"relation": "next"}), evil.page(link="next"), evil.outcome(), PULSE, [],
    ],
)  # fmt: skip
async def test_what_isnt_a_page_is_wrong(remote: RemoteFhir, bundle: Any) -> None:
    async with EvilFhir.open(evil.resource(bundle)) as server:
        with pytest.raises(FhirServerWrong):
            await remote.search(at(server), "Observation", ASKED)
        with pytest.raises(FhirServerWrong):
            await remote.follow(at(server), "Observation ?_getpages=1")


# -- the way on --

WAYS = [
    (f"{BASE}?_getpages=0a1b-2c&_getpagesoffset=20&_count=20&_pretty=true&_bundletype=searchset", "?_getpages=0a1b-2c&_getpagesoffset=20&_count=20&_pretty=true&_bundletype=searchset"),
    (f"{BASE}/?_page_token=a%3D%3D", "/?_page_token=a%3D%3D"),
    (f"{BASE}/Observation?patient=ada&page=2", "/Observation?patient=ada&page=2"),
    (f"{BASE}/Observation/?page=2", "/Observation/?page=2"),
    (f"{BASE}/Observation/_search?page=2", "/Observation/_search?page=2"),
    (f"{BASE}/_page?id=7", "/_page?id=7"),
    ("https://FHIR.example:443/R4/Observation?page=2", "/Observation?page=2"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "kept"), WAYS)
def test_a_page_may_lead_to_the_next_of_its_server(url: str, kept: str) -> None:
    links = [
        {"relation": "self", "url": f"{BASE}/x"},
        {"relation": "next", "url": url},
        {"relation": "previous"},
    ]
    assert looked_at(evil.page(link=links)) == Found([], f"Observation {kept}")


@pytest.mark.parametrize(
    "url",
    [
        "https://fhir.example.evil/R4?_getpages=1", "https://evil.example/R4?_getpages=1", "https://fhir.example:8443/R4?_getpages=1",
        "http://fhir.example/R4?_getpages=1", "https://fhir.example@evil.example/R4?_getpages=1", "https://u:p@fhir.example/R4?_getpages=1",
        "https://fhir.example/?_getpages=1", "https://fhir.example/R4x?_getpages=1", "https://fhir.example/R4/../admin?x=1",
        "https://fhir.example/R4/%2e%2e/admin?x=1", "https://fhir.example/R4/..;/admin?x=1", "https://fhir.example/R4//Observation?x=1",
        "https://fhir.example/R4%2fObservation?x=1", f"{BASE}?x=1#y", f"{BASE}/Observation", f"{BASE}/Observation?", f"{BASE}/Observation/pulse",
        f"{BASE}/Observation/pulse?x=1", f"{BASE}/Observation/$lastn?x=1", f"{BASE}/$export?x=1", f"{BASE}/$graphql?query=x", f"{BASE}/metadata?x=1",
        f"{BASE}/Patient?page=2", f"{BASE}/Observation/_history?x=1", f"{BASE}/Observation?a=1\r\nHost: b", f"{BASE}/Observation?a= b", f"{BASE}\\@evil?x=1",
        "file:///etc/passwd?x=1", "http://169.254.169.254/R4?x=1", "https://127.0.0.1/R4?x=1", "gopher://fhir.example/R4?x=1", "//fhir.example/R4?x=1",
        "/R4?x=1", "?_getpages=1", "Observation?page=2", "javascript:alert(1)", "", f"{BASE}?{'x' * fhir_pages.LONGEST_WAY}", None, 7,
        [f"{BASE}?x=1"], {},
    ],
)  # fmt: skip
def test_a_page_leads_nowhere_else(url: Any) -> None:
    assert way(url, BASE, "Observation", allow_private=False) is None
    found = looked_at(evil.page(evil.entry(PULSE), link=[{"relation": "next", "url": url}]))
    assert found == Found([PULSE], None, is_cut=True)  # and who asked can know that this wasn't all


def test_a_server_at_the_root_has_ways_too() -> None:
    base = "https://fhir.example"
    for below in ("?_getpages=1", "/?_getpages=1", "/Observation?page=2"):
        assert way(base + below, base, "Observation", allow_private=False) == f"Observation {below}"
    assert way("https://fhir.example.evil?x=1", base, "Observation", allow_private=False) is None


def test_a_page_that_leads_to_itself_or_two_ways_leads_nowhere() -> None:
    once = {"relation": "next", "url": f"{BASE}?_getpages=1"}
    assert looked_at(evil.page(link=[once]), at_="Observation ?_getpages=1") == Found([], None, is_cut=True)
    assert looked_at(evil.page(link=[once, once])) == Found([], None, is_cut=True)
    assert looked_at(evil.page(link=[None, "x", {"relation": ["next"]}])) == Found([], None)


@pytest.mark.parametrize(
    "kept",
    [
        "", " ", "Observation", "Observation ", "?_getpages=1", "Observation https://evil.example/?x=1", "Observation //evil.example?x=1", "Observation .evil?x=1",
        "Observation @evil.example?x=1", "Observation :8080/?x=1", "Observation /../admin?x=1", "Observation /Patient?x=1", "Observation /Observation/pulse",
        "Observation /$export?x=1", "Observation ?x=1\r\nHost: b", "Observation ?x=1 HTTP/1.0", "Observation ?x=1#y", "observation ?x=1", "../x ?x=1",
        "Observation  ?x=1", "Observation ?x=[", "Observation ?x=%zz", "Observation /Observation?x=\u00e9",
    ],
)  # fmt: skip
async def test_it_follows_nothing_that_it_wouldnt_have_kept(remote: RemoteFhir, kept: str) -> None:
    async with EvilFhir.open(evil.resource(evil.page(evil.entry(PULSE)))) as server:
        with pytest.raises(FhirServerWrong):
            await remote.follow(at(server), kept)
    assert server.connections == 0


async def test_all_pages_are_read_and_only_at_the_server(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.silence) as elsewhere, EvilFhir.open(evil.silence) as server:
        server.does = evil.pages([pulse(number) for number in range(45)])
        found = await remote.search(at(server), "Observation", ASKED)
        read = list(found.resources)
        while found.next:
            found = await remote.follow(at(server), found.next)
            read += found.resources
        assert read == [pulse(number) for number in range(45)]
        assert server.targets == [
            "/fhir/Observation?patient=ada&_count=20",
            "/fhir?_getpages=f00d&_getpagesoffset=20&_count=20&_bundletype=searchset",
            "/fhir?_getpages=f00d&_getpagesoffset=40&_count=20&_bundletype=searchset",
        ]
        server.does = evil.resource(
            evil.page(link=[{"relation": "next", "url": f"{elsewhere.base}?_getpages=1"}])
        )
        found = await remote.search(at(server), "Observation", ASKED)
        assert (found.next, found.is_cut) == (None, True)
    assert elsewhere.connections == 0


# -- one that is away --


async def test_whoever_asks_is_told_at_once_that_a_server_is_away_and_no_other_is(remote: RemoteFhir) -> None:
    async with EvilFhir.open(evil.hang_up) as away, EvilFhir.open(evil.resource(PULSE)) as there:
        for _ in range(breaker.FAILURES):
            with pytest.raises(FhirServerAway):
                await remote.read(at(away), "Observation", "pulse")
        for asking in (
            remote.read(at(away), "Observation", "pulse"),
            remote.search(at(away), "Observation", ASKED),
            remote.follow(at(away), "Observation ?_getpages=1"),
            remote.read_patient(at(away), "ada"),
        ):
            with pytest.raises(FhirServerAway) as refused:
                await asking
            assert refused.value.retry_after == breaker.PAUSE
        assert await remote.read(at(there), "Observation", "pulse") == PULSE
    assert away.connections == breaker.FAILURES


async def test_nothing_is_said_to_who_cant_show_who_he_is(clock: MovableClock, tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path, names=("fhir.example",))

    async def loopback(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with EvilFhir.open(evil.resource(PULSE), tls=context) as server:
        for name, trust, is_believed in (
            ("fhir.example", ssl.create_default_context(cafile=certificate), True),
            ("other.example", ssl.create_default_context(cafile=certificate), False),
            ("fhir.example", None, False),
        ):
            egress = Egress(names=loopback, trust=trust)
            asked = RemoteServer(SERVER_ID, f"https://{name}:{server.port}/fhir", True, TOKEN, None)
            reading = RemoteFhir(egress, clock).read(asked, "Observation", "pulse")
            if is_believed:
                assert await reading == PULSE
                server.heard.clear()
            else:
                with pytest.raises(FhirServerAway):
                    await reading
            await egress.close()
    assert server.heard == []


def test_nothing_but_reading_is_ever_asked() -> None:
    """Whatever a door does, no verb that changes anything is there to be used."""
    asking = {name for name in vars(RemoteFhir) if not name.startswith("_")}
    assert asking == {"read_patient", "patients_by_identifier", "read", "search", "follow", "test"}
