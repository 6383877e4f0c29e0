"""A whole life of connections, each answer held against the document: no status, header or member that isn't there, none missing."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

import httpx
import pytest

from cast import PASSWORD, Caller, House, connected, data
from doors.manners import UNKNOWN, partner
from openapi.documented import Documented

OVER = {"reason": "Over"}


@pytest.fixture
async def held(house: House) -> AsyncIterator[Documented]:
    """The document, with every answer of this test's house held against it."""
    documented = Documented(house.parts.api.described)
    hooks = house.http.event_hooks
    house.http.event_hooks = {"response": [documented.insist]}
    yield documented
    house.http.event_hooks = hooks


async def test_every_operation_of_radorderpad_succeeds_as_described(house: House, held: Documented) -> None:
    who = {"email": "ada@northside.example", "password": PASSWORD}
    tokens = data(await house.stranger.post("/api/auth/login", who))
    data(await house.stranger.post("/api/auth/refresh", {"refreshToken": tokens["refreshToken"]}))
    assert (await Caller(house.http, tokens["token"]).post("/api/auth/logout")).status_code == 200

    data(await house.ada.get("/api/organizations/search", q="lake", type="radiology", limit=1))
    for caller, organization in (
        (house.ada, house.lakeside),
        (house.ada, house.northside),
        (house.ben, house.harbor),
    ):
        data(await caller.get(f"/api/organizations/{organization}"))

    canceled = data(await house.ada.asks(house.harbor, "Hello"), 201)["connectionId"]
    data(await house.ada.does("cancel", canceled))
    rejected = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    data(await house.zoe.does("reject", rejected, {"responseMessage": "No"}))
    data(await house.ada.does("resend", rejected, {"message": "Please"}))
    standing = await connected(house.ada, house.lakeside, house.rui)
    elm = await partner(house, "elm")
    ended = await connected(house.ada, house.organizations["elm"], elm)
    data(await house.ada.does("terminate", ended, OVER))

    for view in ("outgoing", "incoming", "established", "terminated"):
        for caller in (house.ada, house.rui, house.zoe):
            data(await caller.get(f"/api/connections/{view}"))
    for connection in (canceled, rejected, standing, ended):
        data(await house.ada.sees(connection))
    data(await house.zoe.sees(rejected))
    for view in ("statistics", "pending-orders"):
        data(await house.ada.get(f"/api/connections/{standing}/{view}"))
    data(await house.ada.does("reestablish", ended))

    succeeded = {operation for operation, seen in held.seen.items() if min(seen) < 300}
    theirs = {
        f"{method.upper()} {path}"
        for path, methods in held.document["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] == ["RadOrderPad"]
    }
    assert succeeded == theirs


async def test_refusals_are_as_described(house: House, held: Documented) -> None:
    for caller in (house.stranger, house.ben, house.nia, house.ada):
        await caller.asks(house.northside)
        await caller.asks(UNKNOWN)
        await caller.asks("nonsense")
        await caller.sees(UNKNOWN)
        await caller.get("/api/connections/outgoing", page=0)
        await caller.send("POST", "/api/connections/request", b"{}", Content_Type="text/plain")
        await caller.send(
            "POST", "/api/connections/request", b" " * 1_000_001, Content_Type="application/json"
        )
        await caller.send("PATCH", "/v1/organizations/own", b"{nonsense", Content_Type="application/json")
    asked = data(await house.ada.asks(house.lakeside, Idempotency_Key="one"), 201)["connectionId"]
    await house.ada.asks(house.harbor, Idempotency_Key="one")
    await house.ada.asks(house.harbor, Idempotency_Key="x" * 256)
    await house.ada.asks(house.lakeside)
    await house.ada.does("approve", asked)
    house.clock.advance(days=91)
    await house.rui.does("approve", asked)
    assert held.seen["POST /api/connections/request"] == {201, 400, 401, 403, 404, 409, 413, 415, 422}
    assert held.seen["POST /api/connections/{connectionId}/approve"] == {403, 409}


async def test_the_server_itself_answers_as_described(house: House, held: Documented) -> None:
    for path in ("/health/live", "/health/ready", "/.well-known/jwks.json", "/openapi.json", "/openapi"):
        assert (await house.stranger.get(path)).status_code == 200
        assert held.seen[f"GET {path}"] == {200}


async def test_an_answer_that_is_not_described_is_found_out(house: House) -> None:
    answered = await house.ada.get("/v1/organizations/own")
    described = house.parts.api.described

    def changed(**responses: object) -> Documented:
        document = copy.deepcopy(described)
        document["paths"]["/v1/organizations/own"]["get"]["responses"] |= responses
        return Documented(document)

    Documented(described).check(answered)
    as_described = described["paths"]["/v1/organizations/own"]["get"]["responses"]["200"]
    narrower = copy.deepcopy(described)
    del narrower["components"]["schemas"]["Organization"]["properties"]["npi"]
    wider = copy.deepcopy(described)
    wider["components"]["schemas"]["Organization"]["required"].append("motto")
    without = copy.deepcopy(described)
    del without["paths"]["/v1/organizations/own"]["get"]["responses"]["200"]
    for lie, says in (
        (Documented(without), "not documented"),
        (Documented(narrower), "npi"),
        (Documented(wider), "motto"),
        (
            changed(**{"200": as_described | {"content": {"text/plain": {"schema": {}}}}}),
            "documented as text/plain",
        ),
        (
            changed(**{"200": as_described | {"headers": {"ETag": {"schema": {"type": "string"}}}}}),
            "without ETag",
        ),
        (changed(**{"200": as_described | {"content": {}}}), "has a body"),
    ):
        with pytest.raises(AssertionError, match=says):
            lie.check(answered)
    nowhere = httpx.Response(200, request=httpx.Request("GET", "http://x.example/nowhere"))
    with pytest.raises(AssertionError, match="in no table"):
        Documented(described).check(nowhere)
