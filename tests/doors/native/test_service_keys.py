"""Service keys: made by administrators, shown once, used in place of a session, ended at once; and good for nothing else."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cast import Caller, House
from doors.manners import UNKNOWN, bare, everything, instant
from doors.native.living import done
from doors.native.problems import problem
from hospitium.doors.bluebutton.routes import ROUTES as BLUEBUTTON
from hospitium.doors.medable.routes import ROUTES as MEDABLE
from hospitium.doors.native.routes import ROUTES as NATIVE
from hospitium.doors.radorderpad.routes import ROUTES as RADORDERPAD
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Forbidden, OrganizationInactive, SessionEnded
from hospitium.engine.permissions import KEY_MAY, RULES, Need, Permission
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys.actions import KEY_FORM, MOST_LIVING
from hospitium.engine.service_keys.record import Scope
from hospitium.storage.database import DatabaseUnavailable

ALL = [scope.value for scope in Scope]
PORTAL = {"name": "Portal", "scopes": ["list", "check"]}
PLACES = {"org": "northside", "plural": "c_prescriptions"}


async def makes(caller: Caller, name: str = "Portal", scopes: list[str] | None = None) -> Any:
    """Make a service key; return what is told of it, with the key itself."""
    body = {"name": name, "scopes": ALL if scopes is None else scopes}
    return done(await caller.post("/v1/service-keys", body), 201)


async def application(house: House, scopes: list[str] | None = None) -> Caller:
    """Return an application of northside, with a service key."""
    return Caller(house.http, (await makes(house.ada, f"App {uuid4()}", scopes))["key"])


async def asks(house: House, key: str, permission: Permission = Permission.CHECK_ACCESS) -> Actor:
    """Have a deed done for whoever sends a service key; return as whom."""

    async def deed(ctx: Any) -> Actor:
        found: Actor = ctx.actor
        return found

    return await house.parts.work.perform_for(ServiceKeyText(key), permission, deed)


async def listed(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(await caller.get("/v1/service-keys"))["serviceKeys"]
    return found


# -- made, seen, ended -------------------------------------------------------------------------------------------------


async def test_a_key_is_made_and_shown_once(house: House) -> None:
    made = done(await house.ada.post("/v1/service-keys", PORTAL), 201)
    key, printed = made["key"], made["serviceKey"]
    assert KEY_FORM.fullmatch(key)
    assert re.fullmatch(r"hsk_[0-9A-Za-z]{43}", key)
    assert printed == {
        "id": printed["id"], "name": "Portal", "scopes": ["check", "list"], "madeAt": printed["madeAt"],
        "madeBy": str(house.accounts["ada"]), "lastUsedAt": None, "endedAt": None,
    }  # fmt: skip
    assert instant(printed["madeAt"])
    assert await listed(house.ada) == [printed]
    (row,) = await house.rows("SELECT digest FROM service_keys")
    assert row["digest"] == ServiceKeyText(key).digest()
    assert (await house.trail(house.northside))[-1] == "service_key.made"
    for rows in (await everything(house)).values():
        assert key not in str(rows)
    assert key not in str(await house.rows("SELECT * FROM events"))
    await house.must_be_sound()


async def test_a_repeat_is_answered_the_same_and_the_database_alone_cannot_tell_it(house: House) -> None:
    first = await house.ada.post("/v1/service-keys", PORTAL, Idempotency_Key="k-1")
    again = await house.ada.post("/v1/service-keys", PORTAL, Idempotency_Key="k-1")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert len(await listed(house.ada)) == 1
    (row,) = await house.rows("SELECT answer FROM idempotency_keys")
    assert first.json()["key"].encode() not in row["answer"]


async def test_a_repeat_is_answered_the_same_also_when_the_key_has_ended_and_the_key_opens_nothing(
    house: House,
) -> None:
    first = await house.ada.post("/v1/service-keys", PORTAL, Idempotency_Key="k-1")
    done(await house.ada.send("DELETE", f"/v1/service-keys/{first.json()['serviceKey']['id']}"))
    again = await house.ada.post("/v1/service-keys", PORTAL, Idempotency_Key="k-1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    (key,) = await listed(house.ada)
    assert key["endedAt"] is not None
    with pytest.raises(SessionEnded):
        await asks(house, again.json()["key"])


async def test_keys_are_listed_page_by_page_ended_ones_too(house: House) -> None:
    made = [(await makes(house.ada, name))["serviceKey"] for name in ("One", "Two", "Three")]
    ended = done(await house.ada.send("DELETE", f"/v1/service-keys/{made[1]['id']}"))
    assert ended == {**made[1], "endedAt": ended["endedAt"]}
    assert instant(ended["endedAt"])
    every = [made[0], ended, made[2]]
    assert done(await house.ada.get("/v1/service-keys")) == {"serviceKeys": every, "next": None}
    seen, after = [], None
    while True:
        page = done(await house.ada.get("/v1/service-keys", limit=2, **({"after": after} if after else {})))
        seen += page["serviceKeys"]
        after = page["next"]
        if after is None:
            break
    assert seen == every
    assert (await house.trail(house.northside))[-1] == "service_key.ended"


async def test_only_administrators_have_to_do_with_keys_and_only_with_their_own(house: House) -> None:
    theirs = (await makes(house.rui))["serviceKey"]["id"]
    before = await everything(house)
    for name, kind in (
        ("ben", "forbidden"),
        ("mia", "forbidden"),
        ("pat", "forbidden"),
        ("nia", "organization-inactive"),
    ):
        caller = house.callers[name]
        problem(await caller.post("/v1/service-keys", PORTAL), 403, kind)
        problem(await caller.get("/v1/service-keys"), 403, kind)
        problem(await caller.send("DELETE", f"/v1/service-keys/{theirs}"), 403, kind)
    problem(await house.stranger.post("/v1/service-keys", PORTAL), 401, "not-signed-in")
    problem(await house.stranger.get("/v1/service-keys"), 401, "not-signed-in")
    problem(await house.stranger.send("DELETE", f"/v1/service-keys/{theirs}"), 401, "not-signed-in")
    answers = [
        await house.ada.send("DELETE", f"/v1/service-keys/{which}") for which in (theirs, UNKNOWN, "nonsense")
    ]
    for one in answers:
        problem(one, 404, "not-found")
    assert len({one.content for one in answers}) == 1
    assert await listed(house.ada) == []
    assert await everything(house) == before


async def test_what_is_wrong_with_a_new_key_is_named(house: House) -> None:
    await makes(house.ada)
    before = await everything(house)
    for body, field in (
        ({**PORTAL, "scopes": []}, "scopes"),
        ({**PORTAL, "scopes": ["write"]}, "scopes[0]"),
        ({**PORTAL, "scopes": ["check", "CHECK"]}, "scopes[1]"),
        ({**PORTAL, "scopes": "check"}, "scopes"),
        ({**PORTAL, "name": " "}, "name"),
        ({**PORTAL, "name": "x" * 201}, "name"),
        ({**PORTAL, "name": "a\u202eb"}, "name"),
        ({"name": "Portal"}, "scopes"),
        ({"scopes": ["check"]}, "name"),
        ({**PORTAL, "key": "hsk_" + "x" * 43}, "key"),
    ):
        refused = problem(await house.ada.post("/v1/service-keys", body), 400, "invalid")
        assert [error["field"] for error in refused["errors"]] == [field], body
    for taken in ("Portal", " Portal "):
        refused = problem(
            await house.ada.post("/v1/service-keys", {**PORTAL, "name": taken}), 409, "name-taken"
        )
        assert refused["errors"][0]["field"] == "name"
    assert await everything(house) == before
    # Its name is free again when it has ended, and never was taken elsewhere.
    await makes(house.rui)
    done(await house.ada.send("DELETE", f"/v1/service-keys/{(await listed(house.ada))[0]['id']}"))
    await makes(house.ada)


async def test_an_organization_has_so_many_and_no_more_also_when_several_are_made_at_once(
    house: House,
) -> None:
    for number in range(MOST_LIVING - 1):
        await makes(house.ada, f"App {number}")
    done(await house.ada.send("DELETE", f"/v1/service-keys/{(await listed(house.ada))[0]['id']}"))
    answers = await asyncio.gather(
        *(house.ada.post("/v1/service-keys", {**PORTAL, "name": f"More {number}"}) for number in range(6))
    )
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409, 409, 409]
    refused = problem(await house.ada.post("/v1/service-keys", PORTAL), 409, "service-key-limit-reached")
    assert refused["limit"] == MOST_LIVING
    await makes(house.rui)
    await house.must_be_sound()


# -- acting with one ---------------------------------------------------------------------------------------------------


async def test_who_sends_a_key_is_an_application_of_its_organization(house: House) -> None:
    made = await makes(house.ada, scopes=["check", "events"])
    actor = await asks(house, made["key"])
    assert actor == Actor(
        ActorKind.SERVICE_KEY,
        organization_id=house.northside,
        organization_type="referring",
        organization_is_active=True,
        service_key_id=UUID(made["serviceKey"]["id"]),
        scopes=frozenset({Scope.CHECK, Scope.EVENTS}),
    )
    with pytest.raises(Forbidden, match="scope explain"):
        await asks(house, made["key"], Permission.EXPLAIN_ACCESS)
    await house.rows(
        "UPDATE organizations SET status = 'suspended' WHERE id = $1 RETURNING 1", house.northside
    )
    with pytest.raises(OrganizationInactive):
        await asks(house, made["key"])


async def test_an_ended_key_is_refused_from_the_next_request_on_like_one_that_never_was(house: House) -> None:
    app = await application(house)
    assert app.token is not None
    await asks(house, app.token)
    problem(await app.get("/v1/members"), 403, "forbidden")  # known, and not for this
    (key,) = await listed(house.ada)
    done(await house.ada.send("DELETE", f"/v1/service-keys/{key['id']}"))
    refused = await app.get("/v1/members")
    problem(refused, 401, "session-ended")
    with pytest.raises(SessionEnded):
        await asks(house, app.token)
    for never in (
        "hsk_" + "x" * 43,
        "hsk_",
        "hsk_é",
        app.token[:-1],
        app.token + "0",
        app.token.swapcase()[:-1],
    ):
        if never.startswith("hsk_"):
            never_was = await house.http.get(
                "/v1/members", headers={"Authorization": f"Bearer {never}".encode()}
            )
            assert bare(never_was) == bare(refused), never
    problem(await house.ada.send("DELETE", f"/v1/service-keys/{key['id']}"), 404, "not-found")


async def test_a_key_is_never_taken_for_a_token(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await application(house)

    def fails(*_: object) -> None:
        raise AssertionError("a service key was parsed as a token")

    monkeypatch.setattr(house.parts.access_tokens, "session_of", fails)
    problem(await app.get("/v1/members"), 403, "forbidden")
    refused = (await app.get("/northside/v2/connections")).json()
    assert (refused["status"], refused["code"]) == (403, "kAccessDenied")


def addresses() -> list[tuple[str, str, Permission]]:
    """Return every address but those of pages, each with ids that nobody has."""
    tables = (("/api", RADORDERPAD), ("", MEDABLE), ("", NATIVE), ("", BLUEBUTTON))
    return [
        (
            route.method,
            prefix + re.sub(r"\{(\w+):\w+\}", lambda found: PLACES.get(found[1], UNKNOWN), route.path),
            route.permission,
        )
        for prefix, routes in tables
        for route in routes
    ]


async def test_a_key_gets_nowhere_that_is_not_for_keys(house: House) -> None:
    app = await application(house)
    before = await everything(house)
    for method, path, permission in addresses():
        if permission in KEY_MAY:
            continue
        answered = await app.send(
            method, path, b"" if method == "GET" else b"{}", Content_Type="application/json"
        )
        if RULES[permission].need is Need.ANYONE:
            # Where nobody is asked who he is, a key says nothing more than a stranger does.
            assert answered.status_code < 500, (method, path, answered.text)
            continue
        # 400, 404: some read the body, or the id in the path, before anybody asks who sent it.
        assert answered.status_code in (400, 403, 404), (method, path, answered.text)
        if method == "GET" and UNKNOWN not in path:
            assert answered.status_code in (400, 403), (method, path, answered.text)
    assert await everything(house) == before
    await house.must_be_sound()


async def test_a_key_confirms_no_address_and_joins_nothing(house: House) -> None:
    """Where a session may stand in for a password, a key is told that it can't."""
    app = await application(house)
    before = await everything(house)
    for path in ("/v1/accounts/confirm", "/v1/accounts/email", "/v1/offers/accept"):
        problem(await app.post(path, {"token": "x" * 32}), 403, "forbidden")
    refused = await app.post("/northside/v2/accounts/verify", {"token": "x" * 32})
    assert refused.status_code == 403
    assert await everything(house) == before


# -- when it was last used ---------------------------------------------------------------------------------------------


async def test_the_last_use_is_written_down_from_time_to_time_and_not_with_each_request(house: House) -> None:
    app = await application(house)
    before = await house.rows("SELECT xmin::text, * FROM service_keys")
    for _ in range(5):
        problem(await app.get("/v1/members"), 403, "forbidden")
    house.clock.advance(hours=1)
    problem(await app.get("/v1/members"), 403, "forbidden")
    assert await house.rows("SELECT xmin::text, * FROM service_keys") == before
    last = house.clock.now
    house.clock.advance(hours=1)
    await house.parts.service_key_use.write_down()
    (key,) = await listed(house.ada)
    assert timedelta() <= last - instant(key["lastUsedAt"]) < timedelta(seconds=1)
    # Nothing was used since: nothing is written.
    before = await house.rows("SELECT xmin::text, * FROM service_keys")
    await house.parts.service_key_use.write_down()
    assert await house.rows("SELECT xmin::text, * FROM service_keys") == before


async def test_a_later_use_is_never_overwritten_by_an_earlier_one(house: House) -> None:
    made = (await makes(house.ada))["serviceKey"]
    now = house.clock()
    use = house.parts.service_key_use
    for at in (now, now - timedelta(minutes=5)):  # as another process writes its own down
        use.note(UUID(made["id"]), at)
        await use.write_down()
    use.note(UUID(made["id"]), now - timedelta(minutes=1))
    use.note(UUID(made["id"]), now - timedelta(minutes=2))
    use.note(uuid4(), now)  # of one that isn't there
    await use.write_down()
    (key,) = await listed(house.ada)
    assert instant(key["lastUsedAt"]) == now


async def test_what_cannot_be_written_down_now_is_the_next_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await makes(house.ada))["serviceKey"]
    use, now = house.parts.service_key_use, house.clock()
    use.note(UUID(made["id"]), now)

    for problem_of in (DatabaseUnavailable("it is away"), RuntimeError("something unforeseen")):

        def away(*_: object, raises: Exception = problem_of) -> None:
            raise raises

        with monkeypatch.context() as patched:
            patched.setattr(type(house.parts.database), "transaction", away)
            await use.write_down()
    await use.write_down()
    (key,) = await listed(house.ada)
    assert instant(key["lastUsedAt"]) == now
