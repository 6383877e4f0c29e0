"""One question and many, beyond the certification scenario: who may ask, what is no question, and what a batch ends with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from cast import Caller, House
from doors.authzen.asking import (
    EVALUATION,
    EVALUATIONS,
    KEY,
    LAKESIDES_KEY,
    SUBJECTS,
    WORLD,
    Application,
    question,
    thing,
)
from doors.medable.sharing import defines, done
from doors.native.problems import problem
from hospitium.engine.ids import parse_id, to_object_id
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.permissions import Permission

ALICE, BOB, ONE, TWO = "user/alice", "user/bob", "record/record-1", "record/record-2"
READ = question(ALICE, "read", ONE)


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS, SUBJECTS])
async def test_only_a_service_key_may_ask(app: Application, path: str) -> None:
    house = app.house
    for caller in (
        house.stranger,
        Caller(house.http, "hsk_" + "0" * 43),
        Caller(house.http, "hsk_"),
        Caller(house.http, KEY[:-1]),
    ):
        answered = await caller.post(path, READ)
        assert answered.status_code == 401, answered.text
        assert answered.json()["type"].startswith("urn:hospitium:problem:")
    problem(await house.ada.post(path, READ), 403, "forbidden")


async def test_a_key_without_the_scope_may_not(house: House) -> None:
    narrow = "hsk_" + "N" * 43
    key = {"organization": "northside", "name": "narrow", "scopes": ["list"], "key": narrow}
    await Application.open(house, {"serviceKeys": [key]})
    app = Application(house, narrow)
    refused = problem(await app.asks(EVALUATION, READ), 403, "forbidden")
    assert "check" in refused["detail"]
    assert (await app.asks(SUBJECTS, question("user", "read", ONE))).status_code == 200


async def test_a_key_that_ended_asks_nothing_more(app: Application) -> None:
    house = app.house
    assert await app.allows(ALICE, "read", ONE)
    (key,) = [
        one
        for one in (await house.ada.get("/v1/service-keys")).json()["serviceKeys"]
        if one["name"] == "portal"
    ]
    assert (await house.ada.send("DELETE", f"/v1/service-keys/{key['id']}")).status_code == 200
    for path in (EVALUATION, EVALUATIONS):
        assert (await app.asks(path, READ)).status_code == 401


async def test_the_key_of_a_suspended_organization_asks_nothing(app: Application) -> None:
    house = app.house
    await house.operate(
        lambda ctx: organizations.judge(ctx, "suspend", "northside"),
        Permission.JUDGE_ORGANIZATION,
    )
    problem(await app.asks(EVALUATION, READ), 403, "organization-inactive")


async def test_last_use_is_noted(app: Application) -> None:
    await app.allows(ALICE, "read", ONE)
    await app.house.parts.service_key_use.write_down()
    (used,) = await app.house.rows("SELECT count(*) AS used FROM service_keys WHERE last_used_at IS NOT NULL")
    assert used["used"] == 1


# -- what is named -----------------------------------------------------------------------------------------------------


async def test_ids_are_taken_in_every_spelling(app: Application) -> None:
    (alice,) = await app.house.rows("SELECT id FROM accounts WHERE email_key = 'alice@asked.example'")
    (record,) = await app.house.rows("SELECT id FROM records WHERE external_id = 'record-1'")
    for subject in (
        "alice",
        str(alice["id"]),
        str(alice["id"]).upper(),
        to_object_id(alice["id"]),
        "Alice@Asked.Example",
    ):
        for kind in ("user", "account"):
            for its_id in ("record-1", str(record["id"]), to_object_id(record["id"])):
                assert await app.allows(f"{kind}/{subject}", "read", f"record/{its_id}"), (subject, its_id)


async def test_whoever_gives_a_name_takes_nothing_over(app: Application) -> None:
    """An id of ours names what has it, though somebody's external id reads the same."""
    house = app.house
    await defines(house, name="c_scan", storage="external")
    (scan,) = [done(await house.ada.post("/northside/v2/c_scans", {}))["_id"]]
    assert not await app.allows("user/pat@mail.example", "delete", f"c_scan/{scan}")
    for caller in (house.pat, house.ada):
        answered = await caller.post("/northside/v2/c_scans", {"externalId": scan})
        assert answered.status_code == (403 if caller is house.pat else 409)
    # Nor does it by what was given before that was refused.
    other = done(await house.pat.post("/northside/v2/c_scans", {}))["_id"]
    async with house.database.transaction() as tx:
        await tx.execute("UPDATE records SET external_id = $1 WHERE id = $2", scan, parse_id(other))
    assert not await app.allows("user/pat@mail.example", "delete", f"c_scan/{scan}")
    assert await app.allows("user/ada@northside.example", "delete", f"c_scan/{scan}")


async def test_an_address_nobody_proved_names_nobody(house: House) -> None:
    unproved = {**WORLD["accounts"][0], "email": "new@asked.example", "externalId": "new", "verified": False}
    share = {**WORLD["shares"][0], "to": "new@asked.example", "status": "pending"}
    app = await Application.open(house, {"accounts": [unproved], "shares": [share]})
    (new,) = await house.rows("SELECT id FROM accounts WHERE email_key = 'new@asked.example'")
    (record,) = await house.rows("SELECT id, object_type_id FROM records WHERE external_id = 'record-1'")
    async with house.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, starts_at, cause_kind) "
            "VALUES (gen_random_uuid(), 'account', $1, 'record', $2, $3, 4, $4, 'operator')",
            new["id"], str(record["object_type_id"]), str(record["id"]), house.clock(),
        )  # fmt: skip
    assert await app.allows("user/new", "read", ONE)
    assert not await app.allows("user/new@asked.example", "read", ONE)


STRANGE = [
    "",
    " ",
    "..",
    "*",
    "%",
    "'; --",
    "é" * 300,
    "a" * 100_000,
    "𝕒lice",
    "alice\n",
    "ALICE",
    "null",
    "0",
    "\ufeffalice",
]


@pytest.mark.parametrize("name", STRANGE, ids=lambda one: repr(one)[:12])
async def test_what_is_strange_is_denied_and_disturbs_nobody(app: Application, name: str) -> None:
    for asked in (
        question(f"user/{name}", "read", ONE),
        question(ALICE, "read", f"record/{name}"),
        {**READ, "action": {"name": name}},
        {**READ, "subject": {"type": name, "id": "alice"}},
        {**READ, "resource": {"type": name, "id": "record-1"}},
    ):
        assert await app.says(EVALUATION, asked) == {"decision": False}
    batch = question(
        None, "read", ONE, evaluations=[{"subject": {"type": "user", "id": name}}, {"subject": thing(ALICE)}]
    )
    assert (await app.says(EVALUATIONS, batch))["evaluations"] == [{"decision": False}, {"decision": True}]


async def test_what_no_text_can_hold_is_refused(app: Application) -> None:
    for escape in ("\\u0000", "\\ud800", "\\udfff\\ud800"):
        body = msgspec.json.encode(READ).replace(b"alice", escape.encode())
        answered = await app.caller.send("POST", EVALUATION, body, Content_Type="application/json")
        problem(answered, 400, "invalid")


async def test_an_application_sees_its_organizations_world_only(app: Application) -> None:
    lakeside = Application(app.house, LAKESIDES_KEY)
    (record,) = await app.house.rows("SELECT id FROM records WHERE external_id = 'record-1'")
    (alice,) = await app.house.rows("SELECT id FROM accounts WHERE email_key = 'alice@asked.example'")
    for subject in (f"user/{alice['id']}", "user/alice@asked.example", ALICE):
        for resource in (f"record/{record['id']}", ONE):
            assert not await lakeside.allows(subject, "read", resource)
    assert await app.allows("user/alice@asked.example", "read", f"record/{record['id']}")


# -- one question, by itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_told_which_one(app: Application, method: str) -> None:
    answered = await app.caller.send(method, EVALUATION)
    assert (answered.status_code, answered.headers["allow"]) == (405, "OPTIONS, POST")
    telling = await app.caller.send("OPTIONS", EVALUATION)
    assert (telling.status_code, telling.headers["allow"], telling.content) == (204, "OPTIONS, POST", b"")


async def test_a_body_in_pieces_is_read_and_one_too_large_is_not(app: Application) -> None:
    content = msgspec.json.encode(READ)

    async def pieces() -> Any:
        for at in range(0, len(content), 7):
            yield content[at : at + 7]

    headers = {**app.caller.headers, "Content-Type": "application/json; charset=UTF-8"}
    answered = await app.house.http.post(EVALUATION, content=pieces(), headers=headers)
    assert answered.json() == {"decision": True}
    padded = content[:-1] + b" " * 1_000_000 + b"}"
    refused = await app.house.http.post(EVALUATION, content=padded, headers=headers)
    problem(refused, 413, "too-large")
    assert await app.allows(ALICE, "read", ONE)


async def test_an_answer_carries_what_every_answer_carries(app: Application) -> None:
    answered = await app.asks(EVALUATION, READ)
    assert answered.headers["cache-control"] == "no-store"
    assert answered.headers["x-content-type-options"] == "nosniff"
    assert answered.headers["content-length"] == str(len(answered.content))


# -- many --------------------------------------------------------------------------------------------------------------


def batch(*resources: str, semantic: str, subject: str = BOB, action: str = "read") -> dict[str, Any]:
    return question(
        subject,
        action,
        options={"evaluations_semantic": semantic, "unknown": 1},
        evaluations=[{"resource": thing(one)} for one in resources],
    )


@pytest.mark.parametrize(
    ("semantic", "resources", "decisions"),
    [
        ("execute_all", (ONE, TWO, ONE), [True, False, True]),
        ("deny_on_first_deny", (ONE, TWO, ONE), [True, False]),
        ("deny_on_first_deny", (ONE, ONE), [True, True]),
        ("deny_on_first_deny", (TWO,), [False]),
        ("permit_on_first_permit", (TWO, ONE, TWO), [False, True]),
        ("permit_on_first_permit", (TWO, TWO), [False, False]),
        ("permit_on_first_permit", (ONE, TWO), [True]),
    ],
)
async def test_a_batch_ends_as_its_semantic_says(
    app: Application, semantic: str, resources: tuple[str, ...], decisions: list[bool]
) -> None:
    answers = (await app.says(EVALUATIONS, batch(*resources, semantic=semantic)))["evaluations"]
    assert [one["decision"] for one in answers] == decisions
    ended = semantic != "execute_all" and decisions[-1] is (semantic == "permit_on_first_permit")
    assert answers[-1].get("context") == ({"reason": semantic} if ended else None)


async def test_what_is_no_question_ends_a_batch_as_a_denial(app: Application) -> None:
    asked = question(
        BOB,
        "read",
        options={"evaluations_semantic": "deny_on_first_deny"},
        evaluations=[{}, {"resource": thing(ONE)}],
    )
    (only,) = (await app.says(EVALUATIONS, asked))["evaluations"]
    assert only["decision"] is False
    assert only["context"] == {
        "reason": "deny_on_first_deny",
        "error": {"status": 400, "message": "resource: is required"},
    }


@pytest.mark.parametrize(
    "more",
    [
        {"options": {"evaluations_semantic": "whatever"}},
        {"options": {"evaluations_semantic": 1}},
        {"options": []},
        {"evaluations": {}},
        {"evaluations": [1]},
        {"evaluations": [None]},
        {"subject": "alice", "evaluations": [{}]},
        {"subject": {"type": "user"}, "evaluations": [{}]},
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(app: Application, more: dict[str, Any]) -> None:
    whole = {**READ, "evaluations": [{}], **more}
    problem(await app.asks(EVALUATIONS, whole), 400, "invalid")


async def test_a_thousand_questions_are_answered_and_one_more_is_not(app: Application) -> None:
    many = batch(*[ONE, TWO] * 500, semantic="execute_all")
    answers = (await app.says(EVALUATIONS, many))["evaluations"]
    assert [one["decision"] for one in answers] == [True, False] * 500
    refused = problem(
        await app.asks(EVALUATIONS, batch(*[ONE] * 1_001, semantic="execute_all")), 413, "too-many-questions"
    )
    assert "1,000" in refused["detail"]


async def test_what_is_revoked_is_denied_at_once(app: Application) -> None:
    house = app.house
    (share,) = await house.rows("SELECT id FROM shares")
    assert await app.allows(BOB, "read", ONE)
    alice = await house.http.post(
        "/v1/sessions", json={"email": "alice@asked.example", "password": "correct horse battery"}
    )
    token = alice.json()["accessToken"]
    ended = await Caller(house.http, token).send("DELETE", f"/v1/shares/{UUID(str(share['id']))}")
    assert ended.status_code == 200, ended.text
    assert not await app.allows(BOB, "read", ONE)
    assert [one["id"] for one in (await app.says(SUBJECTS, question("user", "read", ONE)))["results"]] == [
        "alice"
    ]


async def test_a_batch_without_any_question_needs_a_key_all_the_same(app: Application) -> None:
    broken = {"evaluations": [{"subject": 1}, {}]}
    answers = (await app.says(EVALUATIONS, broken))["evaluations"]
    assert [one["decision"] for one in answers] == [False, False]
    for key in ("hsk_" + "0" * 43, "hsk_" + "1" * 43):
        answered = await Application(app.house, key).asks(EVALUATIONS, broken)
        assert answered.status_code == 401
