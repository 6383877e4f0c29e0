"""Faults: what a refusal looks like, and what is refused before anybody's door is reached (contract 2.1)."""

from __future__ import annotations

from typing import Any

import httpx

from cast import House
from doors.manners import bare
from doors.medable.sharing import (
    AT,
    account_of,
    address,
    connected,
    defines,
    done,
    ends,
    fault,
    makes,
    offers,
    shares,
    unchanged,
    writes,
)
from hospitium.engine.organizations import actions as organizations

PAT = {"email": "pat@mail.example", "access": 4}
WHOLE = {"object", "name", "code", "errCode", "status", "message"}


def is_json(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_fault_has_the_documented_members_and_no_others(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 4)
    plain = [
        (await house.stranger.get(f"{AT}/connections"), WHOLE),
        (await house.rui.get(f"{AT}/c_prescriptions/{record}"), WHOLE),
        (await house.rui.get(f"{AT}/c_nothings"), WHOLE | {"path", "reason"}),
        (await shares(house.ben, record, PAT), WHOLE),
        (await shares(house.ada, record), WHOLE | {"path", "reason"}),
        (await shares(house.ada, record, PAT | {"access": 7}), WHOLE | {"path"}),
        (await shares(house.ada, record, PAT | {"access": 3}), WHOLE | {"path", "reason"}),
        (await shares(house.ada, record, *[PAT] * 101), WHOLE | {"path", "reason"}),
        (await house.ada.get(f"{AT}/connections/{'x' * 32}"), WHOLE),
        (await house.ada.get(f"{AT}/nothing/at/all/here"), WHOLE),
    ]
    for response, members in plain:
        body = response.json()
        assert body.keys() == members, body
        assert body["object"] == "fault"
        assert body["name"] == "error"
        assert body["status"] == response.status_code
        assert body["code"].startswith("k")
        assert body["errCode"].startswith("cortex.")
        assert body["message"]
        is_json(response)
    assert plain[0][0].headers["www-authenticate"] == "Bearer"
    await house.must_be_sound()


async def test_what_is_wrong_with_a_body_is_the_one_child_of_its_fault(house: House) -> None:
    await defines(house)
    refused = await house.ada.post(f"{AT}/c_prescriptions", {"owner": "me"})
    body = fault(refused, 400, "kValidationError")
    assert body.keys() == WHOLE | {"path", "reason", "faults"}
    (child,) = body["faults"]
    assert child.keys() == WHOLE | {"path", "reason"}
    assert child["code"] == "kInvalidArgument"
    assert (child["path"], child["reason"]) == (body["path"], body["reason"])
    assert child["path"] == "owner"
    is_json(refused)


async def test_each_thing_that_is_wrong_with_the_targets_is_a_child(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    refused = await shares(
        house.ada,
        record,
        PAT | {"access": 3},
        {"_id": "5" * 24, "access": 4},
        PAT | {"access": 6},
        PAT,
        PAT,
        PAT | {"auto": True},
    )
    body = fault(refused, 400, "kInvalidArgument", "connectionTarget")
    assert [(one["path"], one["status"], one["errCode"].split(".")[-1]) for one in body["faults"]] == [
        ("targets[0].access", 400, "connectionTarget"),
        ("targets[1]._id", 400, "connectionTarget"),
        ("targets[2].access", 403, "shareAccess"),
        ("targets[4]", 409, "connectionExists"),
        ("targets[5].auto", 400, "requireConnectionAccept"),
    ]
    first = {name: value for name, value in body.items() if name != "faults"}
    assert body["faults"][0] == first


async def test_where_nothing_is_there_is_a_fault_too(house: House) -> None:
    for path in (
        "/northside/v2/a/b/c/d",
        "/northside/v2",
        "/northside/v2/",
        "/nowhere/v2/a/b/c/d",
        "/northside/v2/c_prescriptions/x/y",
    ):
        answered = await house.ada.get(path)
        fault(answered, 404, "kNotFound", "cortex.notFound.route")
        is_json(answered)
    await house.must_be_sound()


async def test_a_method_that_is_none_here_is_refused_with_those_that_are(house: House) -> None:
    for method, path, allowed in (
        ("PUT", "/connections", {"GET"}),
        ("DELETE", "/connections", {"GET"}),
        ("PUT", f"/connections/{'x' * 32}", {"GET", "POST", "PATCH", "DELETE"}),
        ("GET", "/accounts/login", {"POST"}),
        ("DELETE", "/c_prescriptions", {"GET", "POST"}),
        ("PATCH", "/objects", {"GET", "POST"}),
        ("TRACE", "/connections", {"GET"}),
    ):
        answered = await unchanged(house, house.ada.send(method, f"{AT}{path}"))
        if answered.status_code != 501:
            fault(answered, 405, "kInvalidArgument", "cortex.invalidArgument.method")
            assert {one.strip() for one in answered.headers["allow"].split(",")} >= allowed, path
            is_json(answered)
    # No method dressed as another.
    for header in ("X-HTTP-Method-Override", "X-Method-Override"):
        answered = await house.ada.send("GET", f"{AT}/connections", **{header.replace("-", "_"): "DELETE"})
        assert done(answered)["object"] == "list"
    await house.must_be_sound()


async def test_a_body_that_is_too_large_or_says_it_is_something_else_is_refused(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    at = f"{AT}/c_prescriptions/{record}/connections"
    large = b'{"targets": [%s]}' % (b" " * 1_000_000)
    answered = await unchanged(house, house.ada.send("POST", at, large, Content_Type="application/json"))
    fault(answered, 413, "kTooLarge", "cortex.tooLarge.body")
    good = b'{"targets": [{"email": "pat@mail.example", "access": 4}]}'
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonx",
        "text/json",
        "application/json; charset=latin-1",
    ):
        answered = await unchanged(house, house.ada.send("POST", at, good, Content_Type=kind))
        fault(answered, 415, "kInvalidArgument", "cortex.invalidArgument.contentType")
    answered = await unchanged(house, house.ada.send("POST", at, good))
    fault(answered, 415, "kInvalidArgument", "cortex.invalidArgument.contentType")
    done(await house.ada.send("POST", at, good, Content_Type="Application/JSON; charset=UTF-8"))
    await house.must_be_sound()


async def test_an_unknown_a_pending_and_a_suspended_organization_are_one_answer(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    paths = (
        "/connections",
        f"/connections/{made['_id']}",
        "/c_prescriptions",
        f"/c_prescriptions/{record}",
        "/accounts/me",
        "/objects",
    )
    unknown = await house.ada.get("/nowhere/v2/connections")
    fault(unknown, 404, "kNotFound", "cortex.notFound.org")
    for code in (
        "nowhere",
        "newcomer",
        "closed",
        "NORTHSIDE",
        "northside%00",
        "north side",
        "x" * 300,
        "%2e%2e",
        "5" * 24,
    ):
        for name in ("ada", "nia", "cal"):
            for path in paths:
                answered = await house.callers[name].get(f"/{code}/v2{path}")
                assert bare(answered) == bare(unknown), (code, path)
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    for path in paths:
        assert bare(await house.ada.get(f"{AT}{path}")) == bare(unknown), path
    refused = await unchanged(house, shares(house.ada, record, PAT))
    assert bare(refused) == bare(unknown)
    assert bare(await unchanged(house, ends(house.pat, made["_id"]))) == bare(unknown)
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "northside"))
    done(await house.ada.get(f"{AT}/connections"))
    await house.must_be_sound()


async def test_the_codes_of_organizations_that_are_reserved_lead_nowhere_else(house: House) -> None:
    for code in ("api", "console", "v1", "fhir", "access", "assets", "health", "metrics", ".well-known"):
        answered = await house.ada.get(f"/{code}/v2/connections")
        assert answered.status_code == (400 if code == "fhir" else 404), code
    await house.must_be_sound()


async def test_a_refusal_is_in_the_trail_of_who_asked(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    since = len(await house.trail(house.accounts["rui"]))
    await shares(house.rui, record, PAT)
    await house.rui.get(f"{AT}/c_prescriptions/{record}")
    await house.rui.send("DELETE", f"{AT}/c_prescriptions/{record}")
    assert await house.trail(house.accounts["rui"], since=since) == ["refused"] * 3
    await house.must_be_sound()


async def test_what_is_written_in_a_request_comes_back_harmless(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    nasty = "<script>\u202e{{7*7}}\x1b[31m" + "x" * 5_000
    answers: list[httpx.Response] = [
        await writes(house.ada, "POST", "/c_prescriptions", {f"_{nasty}": 1}),
        await shares(house.ada, record, {**PAT, nasty: 1}),
        await writes(house.ada, "POST", "/objects", {nasty: 1}),
        await house.ada.get(f"{AT}/connections", state=nasty[:150]),
        await house.ada.get(f"{AT}/%3Cscript%3E%E2%80%AE%1B"),
    ]
    for one in answers:
        body: dict[str, Any] = one.json()
        assert one.status_code == 400
        assert len(one.content) < 2_000
        for text in (body["message"], body.get("path", ""), body.get("reason", "")):
            assert text.isprintable(), repr(text)
        is_json(one)
    await house.must_be_sound()


async def test_nobody_is_told_of_another_one_by_a_fault(house: House) -> None:
    await defines(house)
    record = await makes(house.ada, body={"drug": "a-canary"})
    await offers(
        house.ada, record, {"email": "canary@mail.example", "name": {"first": "Canary"}, "access": 4}
    )
    ben = account_of(house, "ben")
    answers = [
        await house.rui.get(f"{AT}/c_prescriptions/{record}"),
        await shares(house.rui, record, {"email": "canary@mail.example", "access": 4}),
        await shares(
            house.ada, record, {"email": "canary@mail.example", "access": 4}, {"_id": ben, "access": 7}
        ),
        await house.rui.get(f"{AT}/accounts/{ben}"),
    ]
    for one in answers:
        assert one.status_code >= 400
        for secret in ("canary", "Canary", ben, address("ben")):
            assert secret not in one.text
    await house.must_be_sound()
