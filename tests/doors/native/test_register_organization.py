"""POST /v1/organizations: registering a new one (rulings 1, 27, 28)."""

from __future__ import annotations

from typing import Any

from cast import Caller, House, data, refusal
from doors.conftest import Opening
from doors.manners import everything
from doors.native.problems import problem
from doors.radorderpad.signing_in import bearer, signed_in
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.record import RESERVED_CODES

PATH = "/v1/organizations"
ELM: dict[str, Any] = {"code": "elm", "name": "Elm Clinic", "type": "referring"}
NAMED_BY_RULING_1 = (
    "api", "access", "fhir", "console", "assets", "v1", "health", "metrics", "organizationinvites", "fhirservers",
    "persons", ".well-known",
)  # fmt: skip
PROFILE = {
    "id", "code", "status", "name", "type", "npi", "taxId", "address", "city", "state", "zipCode", "phone", "website",
    "contactName", "contactEmail", "contactPhone", "specialties", "createdAt", "updatedAt", "version",
    "requiresClientKey",
}  # fmt: skip


async def choose(caller: Caller, organization_id: str) -> Any:
    return await caller.post("/v1/sessions/organization", {"organizationId": organization_id})


async def test_by_default_it_is_pending_and_sees_nothing_until_the_operator_approves(house: House) -> None:
    answered = await house.pat.post(PATH, ELM)
    assert answered.status_code == 201
    made = answered.json()
    assert made.keys() == PROFILE
    assert (made["code"], made["status"], made["version"]) == ("elm", "pending", 1)

    # Who registers it becomes its administrator, and waits with it.
    (row,) = await house.rows(
        "SELECT role, account_id FROM memberships WHERE organization_id = $1::text::uuid", made["id"]
    )
    assert (row["role"], row["account_id"]) == ("admin", house.accounts["pat"])
    assert (await choose(house.pat, made["id"])).status_code == 403
    refusal(await house.pat.get("/api/organizations/search"), 403, "INSUFFICIENT_PERMISSIONS")
    refusal(await house.ada.asks(made["id"]), 404, "RESOURCE_NOT_FOUND")
    assert data(await house.ada.get("/api/organizations/search", q="elm"))["organizations"] == []

    await house.operate(lambda ctx: organizations.judge(ctx, "approve", "elm"))
    assert (await choose(house.pat, made["id"])).json()["role"] == "admin"
    data(await house.pat.get("/api/organizations/search"))
    data(await house.ada.asks(made["id"]), 201)
    user = (await signed_in(house, "pat@mail.example"))["user"]
    assert (user["organizationId"], user["role"]) == (made["id"], "admin_referring")


async def test_where_registration_is_open_it_is_active_at_once(open_house: Opening) -> None:
    async with open_house(REGISTRATION="open") as house:
        made = (await house.pat.post(PATH, ELM)).json()
        assert made["status"] == "active"
        caller = bearer(house, await signed_in(house, "pat@mail.example"))
        data(await caller.asks(house.northside), 201)
        trail = await house.trail(house.accounts["pat"])
        assert [kind for kind in trail if kind in ("organization.registered", "membership.started")] == [
            "organization.registered",
            "membership.started",
        ]
        await house.must_be_sound()


async def test_where_registration_is_closed_it_is_refused(open_house: Opening) -> None:
    async with open_house(REGISTRATION="closed") as house:
        before = await everything(house)
        problem(await house.pat.post(PATH, ELM), 403, "registration-closed")
        assert await everything(house) == before


async def test_anyone_signed_in_may_and_strangers_may_not(house: House) -> None:
    answered = await house.stranger.post(PATH, ELM)
    problem(answered, 401, "not-signed-in")
    assert answered.headers["www-authenticate"] == "Bearer"
    for name in ("ada", "ben", "mia", "nia", "cal", "pat"):
        assert (await house.callers[name].post(PATH, ELM | {"code": f"of-{name}"})).status_code == 201


async def test_it_keeps_all_of_the_form(house: House) -> None:
    form = ELM | {
        "npi": "1234567893", "taxId": "12-3456789", "address": "1 Elm St", "city": "Dayton", "state": "OH",
        "zipCode": "45402", "phone": "+1 937 555 0100", "website": "https://elm.example", "contactName": "Ellen Elm",
        "contactEmail": "desk@elm.example", "contactPhone": "+1 937 555 0101", "specialties": ["MRI", "CT", "MRI"],
    }  # fmt: skip
    made = (await house.pat.post(PATH, form)).json()
    assert made["specialties"] == ["MRI", "CT"]
    for member in form.keys() - {"specialties"}:
        assert made[member] == form[member], member


async def test_it_refuses_the_codes_where_surfaces_live(house: House) -> None:
    before = await everything(house)
    for code in (*NAMED_BY_RULING_1, *RESERVED_CODES, "API", " Console "):
        refused = problem(await house.pat.post(PATH, ELM | {"code": code}), 400, "invalid")
        assert refused["errors"][0]["field"] == "code"
        if "." not in code:  # with a dot it is of the wrong form besides
            assert refused["errors"][0]["detail"] == "is reserved"
    assert await everything(house) == before


async def test_it_refuses_a_code_that_is_taken_or_of_the_wrong_form(house: House) -> None:
    before = await everything(house)
    for taken in ("northside", "NorthSide", "newcomer"):
        refused = problem(await house.pat.post(PATH, ELM | {"code": taken}), 409, "name-taken")
        assert refused["errors"] == [{"field": "code", "detail": "is taken"}]
    for wrong in ("", "-elm", "elm-", "e l m", "élm", "elm/1", "e" * 41, "elm\0"):
        refused = problem(await house.pat.post(PATH, ELM | {"code": wrong}), 400, "invalid")
        assert refused["errors"][0]["field"] == "code", wrong
    assert await everything(house) == before


BAD_MEMBERS: tuple[tuple[str, Any], ...] = (
    ("name", " "), ("name", "x" * 201), ("name", "a\nb"), ("name", "a\u202eb"), ("type", "hospital"),
    ("npi", "12345"), ("npi", "١٢٣٤٥٦٧٨٩٠"), ("website", "javascript:alert(1)"), ("website", "elm.example"),
    ("contactEmail", "desk"), ("contactEmail", "a@b"), ("specialties", ["x"] * 51), ("zipCode", "9" * 201),
    ("taxId", "a\tb"),
)  # fmt: skip


async def test_it_refuses_a_bad_member_by_the_name_it_was_sent_under(house: House) -> None:
    before = await everything(house)
    for member, value in BAD_MEMBERS:
        refused = problem(await house.pat.post(PATH, ELM | {member: value}), 400, "invalid")
        assert [error["field"] for error in refused["errors"]] == [member], value
    assert await everything(house) == before


async def test_it_names_the_one_specialty_that_is_wrong(house: House) -> None:
    refused = problem(await house.pat.post(PATH, ELM | {"specialties": ["MRI", " "]}), 400, "invalid")
    assert refused["errors"] == [{"field": "specialties[1]", "detail": "must not be blank"}]


async def test_a_repeat_with_the_same_key_makes_one_organization(house: House) -> None:
    first = await house.pat.post(PATH, ELM, Idempotency_Key="once")
    again = await house.pat.post(PATH, ELM, Idempotency_Key="once")
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    refused = await house.pat.post(PATH, ELM | {"name": "Oak"}, Idempotency_Key="once")
    problem(refused, 422, "idempotency-key-reused")
    assert len(await house.rows("SELECT id FROM organizations WHERE code = 'elm'")) == 1
