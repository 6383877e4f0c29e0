"""Bad input at every address of both JSON surfaces, generated from their tables of routes.

Whatever is sent, the answer is 4xx in the surface's own envelope, names what is wrong, changes nothing and gives nothing
of the inside away. A new route is covered from its first day: one that takes a body must say here what a good body is.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cast import PASSWORD, Caller, House, connected, data
from doors.conftest import Opening
from doors.manners import UNKNOWN, everything, partner
from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.native import account_shapes as accounts
from hospitium.doors.native.members import RoleBody
from hospitium.doors.native.offers import JoiningBody, LookBody, OfferBody
from hospitium.doors.native.organizations import ProfileChanges, RegistrationBody
from hospitium.doors.native.routes import ROUTES as NATIVE
from hospitium.doors.native.sessions import OrganizationBody, RenewalBody, SignInBody
from hospitium.doors.radorderpad.auth import LoginBody, RefreshBody
from hospitium.doors.radorderpad.connections import MessageBody, RequestBody, ResponseBody, TerminateBody
from hospitium.doors.radorderpad.routes import ROUTES as RADORDERPAD
from hospitium.doors.radorderpad.wire import Body

JSON = {"Content_Type": "application/json"}
SERVER_OWNED = (
    "status", "id", "sourceId", "version", "role", "requestDate", "isAdmin", "createdAt", "accountId", "tenant", "__proto__",
    "target_organization_id", "constructor", "", " message", "Message", "$ref", "`", "a\nb",
)  # fmt: skip
SECRET = "a quiet green harbour"
LINKED = {"token": "x" * 32, "password": SECRET}
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|asyncpg|msgspec|litestar|sqlalchemy|uvicorn|postgres|site-packages|SELECT |INSERT |UPDATE "
    r"|\$\d|partnerships_|/home/|/root/|/tmp/|hospitium\."
)


class Door(NamedTuple):
    """One address that takes a body, and what a good one looks like."""

    method: str
    path: str
    shape: type[msgspec.Struct]
    body: dict[str, Any]
    anonymous: bool = False

    @property
    def native(self) -> bool:
        return not self.path.startswith("/api/")

    async def sends(self, caller: Caller, content: bytes, **headers: str) -> httpx.Response:
        return await caller.send(self.method, self.path, content, **headers)


class World(NamedTuple):
    """A house in which every address would do its work, if it were asked properly."""

    house: House
    doors: list[Door]
    connections: dict[str, str]

    def filled(self, path: str, verb: str = "") -> str:
        return path.replace(
            "{connection_id:str}", self.connections.get(verb, self.connections["see"])
        ).replace("{organization_id:str}", str(self.house.lakeside))


@pytest.fixture
async def house(open_house: Opening) -> AsyncIterator[House]:
    """A house that counts no tries: here many are made, and how they are limited is told elsewhere."""
    many = dict.fromkeys(("ADDRESS_FAILURES_PER_MINUTE", "ACCOUNT_FAILURES_PER_HOUR"), "1000000")
    async with open_house(**many) as opened:
        yield opened


@pytest.fixture
async def world(house: House) -> AsyncIterator[World]:
    connections = {}
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    connections["cancel"] = connections["see"] = asked
    asked = data(await house.zoe.asks(house.northside), 201)["connectionId"]
    connections["approve"] = connections["reject"] = asked
    elm = await partner(house, "elm")
    asked = data(await house.ada.asks(house.organizations["elm"]), 201)["connectionId"]
    data(await elm.does("reject", asked))
    connections["resend"] = asked
    for code, verb in (("oak", "terminate"), ("ash", "reestablish")):
        admin = await partner(house, code)
        connections[verb] = await connected(house.ada, house.organizations[code], admin)
    data(await house.ada.does("terminate", connections["reestablish"], {"reason": "Over"}))

    def one(verb: str) -> str:
        return f"/api/connections/{connections[verb]}/{verb}"

    await partner(house, "yew")
    person = {"firstName": "Eve", "lastName": "Moor"}
    doors = [
        Door("POST", "/api/auth/login", LoginBody, {"email": "ada@northside.example", "password": PASSWORD}, anonymous=True),
        Door("POST", "/api/auth/refresh", RefreshBody, {"refreshToken": "x" * 32}, anonymous=True),
        Door("POST", "/api/connections/request", RequestBody, {"targetOrganizationId": str(house.organizations["yew"]), "message": "Hello"}),
        Door("POST", one("approve"), ResponseBody, {"responseMessage": "Yes"}),
        Door("POST", one("reject"), ResponseBody, {"responseMessage": "No"}),
        Door("POST", one("cancel"), Body, {}),
        Door("POST", one("resend"), MessageBody, {"message": "Again"}),
        Door("POST", one("terminate"), TerminateBody, {"reason": "Over", "handlePendingOrders": "complete", "targetConnectionId": UNKNOWN}),
        Door("POST", one("reestablish"), MessageBody, {"message": "Again"}),
        Door("POST", "/v1/sessions/organization", OrganizationBody, {"organizationId": str(house.northside)}),
        Door("POST", "/v1/organizations", RegistrationBody, {
            "code": "fir", "name": "Fir", "type": "both", "npi": "1234567893", "taxId": "1", "address": "1", "city": "1",
            "state": "1", "zipCode": "1", "phone": "1", "website": "https://fir.example", "contactName": "1",
            "contactEmail": "desk@fir.example", "contactPhone": "1", "specialties": ["MRI"],
        }),
        Door("POST", "/v1/accounts", accounts.AccountBody, {**person, "email": "eve@mail.example", "password": SECRET, "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/confirmation", accounts.AddressBody, {"email": "eve@mail.example", "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/confirm", accounts.ProofBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/claim", accounts.NewPasswordBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/password-reset", accounts.AddressBody, {"email": "eve@mail.example", "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/password", accounts.NewPasswordBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/email", accounts.ProofBody, LINKED, anonymous=True),
        Door("PATCH", "/v1/accounts/own", accounts.AccountChanges, {**person, "language": "es"}),
        Door("POST", "/v1/accounts/own/password", accounts.ChangedPasswordBody, {"currentPassword": SECRET, "password": SECRET}),
        Door("POST", "/v1/accounts/own/email", accounts.EmailBody, {"email": "eve@mail.example", "password": SECRET}),
        Door("POST", "/v1/accounts/own/deletion", accounts.PasswordBody, {"password": SECRET}),
        Door("POST", "/v1/sessions", SignInBody, {"email": "ada@northside.example", "password": PASSWORD, "organizationId": str(house.northside)}, anonymous=True),
        Door("POST", "/v1/sessions/renewal", RenewalBody, {"refreshToken": "x" * 32}, anonymous=True),
        Door("PATCH", f"/v1/members/{house.accounts['mia']}", RoleBody, {"role": "scheduler"}),
        Door("POST", "/v1/offers", OfferBody, {"email": "eve@mail.example", "role": "physician", "language": "es"}),
        Door("POST", "/v1/offers/preview", LookBody, {"token": "x" * 32}, anonymous=True),
        Door("POST", "/v1/offers/accept", JoiningBody, {**LINKED, **person, "language": "es"}, anonymous=True),
        Door("PATCH", "/v1/organizations/own", ProfileChanges, {
            "name": "Fir", "type": "both", "npi": "1234567893", "taxId": "1", "address": "1", "city": "1",
            "state": "1", "zipCode": "1", "phone": "1", "website": "https://fir.example", "contactName": "1",
            "contactEmail": "desk@fir.example", "contactPhone": "1", "specialties": ["MRI"],
        }),
    ]  # fmt: skip
    yield World(house, doors, connections)
    await house.must_be_sound()


def refused(response: httpx.Response, *statuses: int) -> dict[str, str]:
    """Insist on a refusal in the form of the surface the address is of; return the fields it names."""
    assert response.status_code in (statuses or (400,)), (response.status_code, response.text)
    assert not LEAKS.search(response.text), response.text
    body = response.json()
    if response.request.url.path.startswith("/api/") or response.request.url.path == "/api":
        assert response.headers["content-type"] == "application/json"
        assert body.keys() == {"success", "message", "error"}
        assert body["success"] is False
        assert re.fullmatch(r"[A-Z_]+", body["error"]["code"])
        return body["error"].get("details", {})
    assert response.headers["content-type"] == "application/problem+json"
    assert body.keys() >= {"type", "title", "status", "detail"}
    assert body["status"] == response.status_code
    return {error["field"]: error["detail"] for error in body.get("errors", [])}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_every_address_that_takes_a_body_is_covered_here() -> None:
    covered = {
        ("POST", "/api/auth/login"), ("POST", "/api/auth/refresh"), ("POST", "/api/connections/request"),
        *(("POST", f"/api/connections/{{connection_id:str}}/{verb}") for verb in ("approve", "reject", "cancel", "resend", "terminate", "reestablish")),
        ("POST", "/v1/sessions/organization"), ("POST", "/v1/organizations"), ("PATCH", "/v1/organizations/own"),
        *(("POST", f"/v1/accounts{path}") for path in ("", "/confirmation", "/confirm", "/claim", "/password-reset", "/password", "/email", "/own/password", "/own/email", "/own/deletion")),
        ("PATCH", "/v1/accounts/own"), ("POST", "/v1/sessions"), ("POST", "/v1/sessions/renewal"),
        ("PATCH", "/v1/members/{account_id:str}"),
        ("POST", "/v1/offers"), ("POST", "/v1/offers/preview"), ("POST", "/v1/offers/accept"),
        # These read no body, by decision.
        ("POST", "/api/auth/logout"), ("POST", "/v1/offers/{offer_id:str}/resend"),
        *(("DELETE", f"/v1/sessions/{which}") for which in ("current", "others", "{session_id:str}")),
        ("DELETE", "/v1/members/{account_id:str}"), ("DELETE", "/v1/memberships/{organization_id:str}"),
        ("DELETE", "/v1/offers/{offer_id:str}"),
    }  # fmt: skip
    writing = {("POST", "/api" + route.path) for route in RADORDERPAD if route.method != "GET"}
    writing |= {(route.method, route.path) for route in NATIVE if route.method != "GET"}
    assert writing == covered


async def test_the_doors_of_this_file_open_for_a_good_body(world: World) -> None:
    answered = {}
    for door in world.doors:
        if "/reject" in door.path or "organizations/own" in door.path:
            continue  # the same connection is approved; the profile is changed last
        if "own/" in door.path or door.body.get("token") == "x" * 32:
            continue  # what takes a link, or the password, has stories of its own
        body = {k: v for k, v in door.body.items() if k != "targetConnectionId"}
        answered[door.path] = (await door.sends(world.house.ada, encoded(body), **JSON)).status_code
    assert {status for path, status in answered.items() if not path.endswith(("/refresh", "/renewal"))} <= {
        200,
        201,
        202,
    }, answered
    changing = world.doors[-1]
    assert (await changing.sends(world.house.ada, encoded(changing.body), **JSON)).status_code == 200


# -- bodies ------------------------------------------------------------------------------------------------------------

MALFORMED = {
    "nothing but a brace": b"{",
    "a trailing comma": b'{"message": "x",}',
    "single quotes": b"{'message': 'x'}",
    "a comment": b'{"message": "x"} // hello',
    "two documents": b'{"message": "x"}{"message": "y"}',
    "NaN": b'{"message": NaN}',
    "Infinity": b'{"message": -Infinity}',
    "a number of 5,000 digits": b'{"message": ' + b"9" * 5000 + b"}",
    "a raw control character": b'{"message": "a\nb"}',
    "invalid UTF-8": b'{"message": "\xff"}',
    "UTF-16": '{"message": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + b'{"message": "x"}',
    "white space": b"  \n ",
    "NUL": b"\x00",
    "a form": b"message=x",
    "XML": b"<message>x</message>",
    "a broken escape": b'{"message": "\\x41"}',
    "a string that never ends": b"[" * 65 + b'"' + b'\\"' * 100_000,
    "65 levels": b'{"message": ' * 65 + b"1" + b"}" * 65,
    "65 lists": b"[" * 65 + b"]" * 65,
    "100,000 levels": b'{"a":' * 100_000,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
}


async def test_a_malformed_body_is_refused_at_every_address(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for what, content in MALFORMED.items():
            fields = refused(await door.sends(world.house.ada, content, **JSON))
            assert fields.keys() == {"body"}, (door.path, what, fields)
    assert await everything(world.house) == before


async def test_a_body_that_is_no_object_is_refused_at_every_address(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for content in (b"[]", b'""', b"1", b"null", b"true", b"[{}]", encoded([door.body])):
            fields = refused(await door.sends(world.house.ada, content, **JSON))
            assert fields == {"body": "must be an object"}, door.path
    assert await everything(world.house) == before


async def test_a_member_given_twice_is_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        good = encoded(door.body)[1:-1] + (b", " if door.body else b"")
        for member in door.body:
            content = b"{" + good + encoded(member) + b": " + encoded(door.body[member]) + b"}"
            assert refused(await door.sends(world.house.ada, content, **JSON)) == {member: "is given twice"}
        for content in (
            b"{" + good + b'"x": 1, "x": 1}',
            b"{" + good + b'"x": {"x": [1, {"x": 1, "\\u0078": 2}]}}',
        ):
            assert refused(await door.sends(world.house.ada, content, **JSON)) == {"x": "is given twice"}
    assert await everything(world.house) == before


async def test_json_under_another_content_type_is_415_at_every_address(world: World) -> None:
    before = await everything(world.house)
    kinds = (
        None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
        "application/json, text/plain", "text/json", "application/json; charset=utf-16", "application/json; charset=latin-1",
        "application/problem+json", "*/*", "application/json\u00a0",
    )  # fmt: skip
    for door in world.doors:
        for kind in kinds:
            headers = [] if kind is None else [(b"Content-Type", kind.encode("latin-1"))]
            answered = await world.house.http.request(
                door.method,
                door.path,
                content=encoded(door.body),
                headers=[*((k.encode(), v.encode()) for k, v in world.house.ada.headers.items()), *headers],
            )
            refused(answered, 415)
    assert await everything(world.house) == before


async def test_json_may_say_its_charset_and_be_written_in_any_case(world: World) -> None:
    for kind in (
        "application/json; charset=utf-8",
        "APPLICATION/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
    ):
        for door in world.doors:
            answered = await door.sends(world.house.ada, b'{"nonsense": 1}', Content_Type=kind)
            assert refused(answered) == {"nonsense": "is not known here"}


async def test_a_body_over_1_mb_is_413_whether_it_says_its_length_or_not(world: World) -> None:
    before = await everything(world.house)
    large = b'{"message": "' + b"x" * LARGEST_BODY + b'"}'

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    for door in world.doors:
        for content in (large, in_pieces()):
            answered = await world.house.http.request(
                door.method,
                door.path,
                content=content,
                headers={**world.house.ada.headers, "Content-Type": "application/json"},
            )
            refused(answered, 413)
    assert await everything(world.house) == before


# -- members -----------------------------------------------------------------------------------------------------------


def kinds_of(shape: type[msgspec.Struct], member: str) -> tuple[str, bool]:
    """Return what a member is (`str`, `list`, `word`) and whether it may be null."""
    (field,) = [field for field in msgspec.structs.fields(shape) if field.encode_name == member]
    described = str(field.type)
    kind = "list" if "list[" in described else "str" if re.search(r"\bstr\b", described) else "word"
    return kind, "None" in described or "Optional" in described


async def test_every_member_of_the_wrong_type_is_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for member in door.body:
            kind, nullable = kinds_of(door.shape, member)
            wrong: list[Any] = [0, 1.5, 1e308, True, {}, {"$ne": None}, [1], [[]], 10**30]
            wrong += [["x"]] if kind != "list" else ["x"]
            wrong += [] if nullable else [None]
            for value in wrong:
                answered = await door.sends(world.house.ada, encoded(door.body | {member: value}), **JSON)
                fields = refused(answered)
                (name,) = fields
                assert name.partition("[")[0] == member, (door.path, member, value, fields)
                assert re.fullmatch(r"must be [a-z ]+", fields[name]), fields
    assert await everything(world.house) == before


async def test_every_required_member_that_is_missing_is_named(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        required = [field.encode_name for field in msgspec.structs.fields(door.shape) if field.required]
        for member in required:
            body = {k: v for k, v in door.body.items() if k != member}
            answered = await door.sends(world.house.ada, encoded(body), **JSON)
            assert refused(answered) == {member: "is required"}, door.path
        if required:
            assert refused(await door.sends(world.house.ada, b"", **JSON)).keys() <= set(required)
    assert await everything(world.house) == before


async def test_unknown_members_are_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        known = {field.encode_name for field in msgspec.structs.fields(door.shape)}
        for member in SERVER_OWNED:
            if member in known:
                continue
            for value in ("x", None, {"deep": [1]}):
                answered = await door.sends(world.house.ada, encoded(door.body | {member: value}), **JSON)
                fields = refused(answered)
                assert list(fields.values()) == ["is not known here"], (door.path, member)
                assert list(fields) == ["a\ufffdb" if member == "a\nb" else member]
    assert await everything(world.house) == before


async def test_a_very_long_name_comes_back_short(world: World) -> None:
    for door in world.doors:
        answered = await door.sends(world.house.ada, encoded({"n" * 100_000: 1}), **JSON)
        refused(answered)
        assert len(answered.content) < 1_000


async def test_nul_and_lone_surrogates_are_refused_in_every_string_and_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for escape, says in (
            ("\\u0000", "must not contain NUL characters"),
            ("\\ud800", "must not contain lone surrogates"),
            ("\\udfff\\ud800", "must not contain lone surrogates"),
        ):
            for member, value in door.body.items():
                text = f'"a{escape}b"' if isinstance(value, str) else f'["a{escape}b"]'
                others = encoded({k: v for k, v in door.body.items() if k != member})[1:-1].decode()
                content = "{" + ", ".join(filter(None, [others, f'"{member}": {text}'])) + "}"
                fields = refused(await door.sends(world.house.ada, content.encode(), **JSON))
                name = member if isinstance(value, str) else f"{member}[0]"
                assert fields == {name: says}, door.path
            content = f'{{"a{escape}b": 1}}'
            assert refused(await door.sends(world.house.ada, content.encode(), **JSON)) == {"body": says}
    assert await everything(world.house) == before


async def test_an_id_of_neither_form_is_400_in_a_body_and_404_in_a_path(world: World) -> None:
    before = await everything(world.house)
    neither = (
        "", "x", "1", "northside", UNKNOWN.replace("-", ""), UNKNOWN + "0", UNKNOWN[:-1], "{" + UNKNOWN + "}", "5" * 23, "5" * 25,
        "g" * 24, "٥" * 24, "urn:uuid:" + UNKNOWN, " " + UNKNOWN, UNKNOWN.replace("-", "_"), "' OR 1=1 --",
    )  # fmt: skip
    for door in world.doors:
        for member in door.body:
            if not member.endswith(("OrganizationId", "organizationId", "ConnectionId")):
                continue
            for text in neither:
                body = door.body | {member: text}
                answered = await door.sends(world.house.ada, encoded(body), **JSON)
                assert refused(answered) == {member: "must be an id: a UUID, or 24 hexadecimal digits"}, text
    answers = set()
    for route in RADORDERPAD:
        if "{" not in route.path:
            continue
        for text in (*neither[1:], "%00", "%ff", "%ed%a0%80", "..%2f..", "a%2Fb", "x" * 5000):
            path = re.sub(r"\{\w+:str\}", lambda _, text=text: text, "/api" + route.path)
            content, headers = (b"", {}) if route.method == "GET" else (b'{"reason": "Over"}', JSON)
            if route.path.endswith(("approve", "reject", "cancel", "resend", "reestablish")):
                content = b"{}"
            answered = await world.house.ada.send(route.method, path, content, **headers)
            refused(answered, 404)
            answers.add(answered.json()["message"])
    assert answers == {"Connection not found", "Organization not found", "There is nothing at this address"}
    assert await everything(world.house) == before


# -- queries -----------------------------------------------------------------------------------------------------------

PAGED = (
    "/api/organizations/search", "/api/connections/outgoing", "/api/connections/incoming", "/api/connections/established",
    "/api/connections/terminated", "/api/connections/{approved}/pending-orders",
)  # fmt: skip
TEXTS = {
    "/api/organizations/search": ("q", "type", "state", "specialty"),
    "/api/connections/outgoing": ("status",),
    "/api/connections/incoming": ("status",),
}


async def test_page_and_limit_out_of_range_are_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    wrong = ("0", "-1", "1e3", "1.0", "99999999999999999999", "9" * 5000, "", "%20", "%2B1", "0x10", "1_0", "%D9%A1", "%00", "null", "1;2", "NaN")  # fmt: skip
    for template in PAGED:
        path = template.replace("{approved}", world.connections["terminate"])
        for member in ("page", "limit"):
            for text in (*wrong, *(("101", "1000") if member == "limit" else ("1000000001",))):
                answered = await world.house.ada.send("GET", f"{path}?{member}={text}")
                fields = refused(answered)
                assert fields.keys() == {member}, (path, text)
                assert fields[member].startswith("must be a number from 1 to ")
            answered = await world.house.ada.send("GET", f"{path}?{member}=1&{member}=1")
            assert refused(answered) == {member: "is given twice"}
        for good in ("page=1&limit=1", "page=1000000000&limit=100", "page=01", "other=1"):
            assert (await world.house.ada.send("GET", f"{path}?{good}")).status_code == 200, good
    assert await everything(world.house) == before


async def test_nul_bad_utf_8_and_repeats_in_a_query_are_refused(world: World) -> None:
    before = await everything(world.house)
    for path, members in TEXTS.items():
        for member in members:
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}=a%00b"))
            assert fields == {member: "must not contain NUL characters"}
            for bad in ("%ff", "%c3%28", "%ed%a0%80", "%c0%80", "a%80"):
                fields = refused(await world.house.ada.send("GET", f"{path}?{member}={bad}"))
                assert fields == {"query": "can't be read"}, bad
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}=a&{member}=b"))
            assert fields == {member: "is given twice"}
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}={'x' * 201}"))
            assert fields == {member: "must be at most 200 characters long"}
        for bad in ("%00=1&%00=2", "&".join(f"p{n}=1" for n in range(51)), "%ff=1"):
            assert refused(await world.house.ada.send("GET", f"{path}?{bad}")).keys() == {"query"}
    assert await everything(world.house) == before


async def test_odd_texts_in_a_search_find_nothing_and_break_nothing(world: World) -> None:
    for text in (
        "\u0001",
        "\ud7ff",
        "\U0010ffff",
        "\u202e",
        "a" * 200,
        "İ" * 200,
        "ﷺ" * 200,
        "\u0301" * 200,
        "'\"`;--",
        "{}",
        "\\",
    ):
        answered = await world.house.ada.get("/api/organizations/search", q=text)
        assert answered.status_code == 200, repr(text)


# -- addresses and methods ---------------------------------------------------------------------------------------------


async def test_an_address_that_is_nowhere_is_404_in_the_envelope_of_its_surface(world: World) -> None:
    nowhere = (
        "/api", "/api/", "/api/nope", "/api/connections", "/api/connections/x/nope", "/api/connections/x/y/z", "/api/organizations",
        "/api/auth", "/api/auth/nope", "/api/%00", "/api/../etc/passwd", "/API/auth/login", "/apix", "/", "/nope", "/v1", "/v1/nope",
        "/v1/organizations/nope", "/health", "/.well-known", "/.git/config", "/favicon.ico", "/schema", "/docs", "/openapi.yaml", "/openapi/x", "/%ff",
        "/v1/%00", "//", "/api//connections",
    )  # fmt: skip
    for path in nowhere:
        for caller in (world.house.ada, world.house.stranger):
            answered = await caller.send("GET", path)
            assert refused(answered, 404) == {}, path
            answered = await caller.send("POST", path, b"{nonsense", **JSON)
            refused(answered, 404)


async def test_a_method_that_an_address_does_not_take_is_405_with_those_it_takes(world: World) -> None:
    before = await everything(world.house)
    addresses: dict[str, set[str]] = {}
    for route in RADORDERPAD:
        addresses.setdefault(world.filled("/api" + route.path), set()).add(route.method)
    for route in NATIVE:
        addresses.setdefault(route.path, set()).add(route.method)
    for path, taken in addresses.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY"} - taken:
            for caller in (world.house.ada, world.house.stranger):
                answered = await caller.send(method, path, b'{"reason": "Over"}', **JSON)
                assert refused(answered, 405) == {}, (method, path)
                allowed = {word.strip() for word in answered.headers["allow"].split(",")}
                assert taken <= allowed <= taken | {"OPTIONS", "HEAD"}, (method, path)
        answered = await world.house.ada.send("HEAD", path)
        assert answered.status_code in (200, 405)
        assert answered.content == b""
    assert await everything(world.house) == before


async def test_a_body_where_none_is_read_does_no_harm(world: World) -> None:
    for content in (b"{nonsense", b"[" * 1000, b"\x00"):
        answered = await world.house.ada.send("GET", "/api/connections/outgoing", content, **JSON)
        assert answered.status_code == 200


# -- anything at all ---------------------------------------------------------------------------------------------------

_texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [UNKNOWN, "5" * 24, "ada@northside.example", PASSWORD, "transfer", "both", "\0", "%", "\u202e"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def _bodies(draw: st.DrawFn, number: int) -> Any:
    """Draw some JSON; more often than not with the members that the address knows."""
    if draw(st.integers(0, 3)) == 0:
        return draw(_values)
    known = [field.encode_name for field in msgspec.structs.fields(SHAPES[number])]
    return draw(st.dictionaries(st.sampled_from(known) if known else _texts, _values | _texts, max_size=6))


SHAPES: tuple[type[msgspec.Struct], ...] = (
    LoginBody, RefreshBody, RequestBody, ResponseBody, ResponseBody, Body, MessageBody, TerminateBody, MessageBody,
    OrganizationBody, RegistrationBody,
    accounts.AccountBody, accounts.AddressBody, accounts.ProofBody, accounts.NewPasswordBody, accounts.AddressBody,
    accounts.NewPasswordBody, accounts.ProofBody, accounts.AccountChanges, accounts.ChangedPasswordBody, accounts.EmailBody,
    accounts.PasswordBody, SignInBody, RenewalBody, RoleBody, OfferBody, LookBody, JoiningBody,
    ProfileChanges,
)  # fmt: skip


async def test_whatever_json_is_thrown_at_it_every_door_keeps_its_manners(world: World, rounds: int) -> None:
    assert tuple(door.shape for door in world.doors) == SHAPES

    @settings(
        max_examples=min(rounds * 10, 20_000),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(drawn=st.integers(0, len(SHAPES) - 1).flatmap(lambda n: st.tuples(st.just(n), _bodies(n))))
    def collect(drawn: tuple[int, Any]) -> None:
        thrown.append(drawn)

    thrown: list[tuple[int, Any]] = []
    collect()
    for number, value in thrown:
        door = world.doors[number]
        answered = await door.sends(world.house.ada, encoded(value), **JSON)
        if answered.status_code >= 300:
            refused(answered, 400, 401, 403, 404, 409, 422)
    assert len(thrown) >= min(rounds * 10, 20_000)
