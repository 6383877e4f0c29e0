"""POST /api/auth/login (docs/dialects/radorderpad.md; rulings 2, 23)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from cast import PASSWORD, House, data, refusal
from doors.conftest import Opening
from doors.manners import UNKNOWN, at_once, bare, everything
from doors.radorderpad.signing_in import bearer, login, signed_in
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.actor import Role
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import actions as organizations

ADA = "ada@northside.example"


def claims_of(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


async def test_it_answers_both_names_of_the_token_and_who_signed_in(house: House) -> None:
    answered = await login(house, ADA)
    tokens = data(answered)
    assert answered.headers["cache-control"] == "no-store"
    assert tokens.keys() == {"token", "accessToken", "refreshToken", "expiresIn", "user"}
    assert tokens["token"] == tokens["accessToken"]
    assert tokens["expiresIn"] == 3600
    assert tokens["user"] == {
        "id": str(house.accounts["ada"]),
        "firstName": "Ada",
        "lastName": "Cast",
        "email": ADA,
        "role": "admin_referring",
        "organizationId": str(house.northside),
        "isActive": True,
    }
    data(await bearer(house, tokens).get("/api/connections/outgoing"))
    assert (await house.trail(house.accounts["ada"]))[-1] == "session.started"


async def test_username_is_another_name_for_email_and_giving_both_or_none_is_refused(house: House) -> None:
    password = {"password": PASSWORD}
    data(await house.stranger.post("/api/auth/login", {"username": ADA} | password))
    data(await house.stranger.post("/api/auth/login", {"email": " ADA@NORTHSIDE.EXAMPLE "} | password))
    for body, says in (
        (password, "is required"),
        ({"email": ADA, "username": ADA} | password, "and username must not both be given"),
    ):
        refused = refusal(await house.stranger.post("/api/auth/login", body), 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"] == {"email": says}
    for body in ({"email": ADA}, {"email": ADA, "password": None}):
        refused = refusal(await house.stranger.post("/api/auth/login", body), 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"].keys() == {"password"}


async def test_roles_are_printed_by_the_kind_of_the_organization(house: House) -> None:
    for email, role in (
        (ADA, "admin_referring"),
        ("rui@lakeside.example", "admin_radiology"),
        ("zoe@harbor.example", "admin_referring"),
        ("ben@northside.example", "physician"),
        ("mia@northside.example", "member"),
    ):
        tokens = await signed_in(house, email)
        assert tokens["user"]["role"] == claims_of(tokens["token"])["role"] == role


async def test_who_belongs_nowhere_gets_a_token_with_nulls_and_403_at_organization_routes(
    house: House,
) -> None:
    tokens = await signed_in(house, "pat@mail.example")
    assert (tokens["user"]["organizationId"], tokens["user"]["role"]) == (None, None)
    claims = claims_of(tokens["token"])
    assert (claims["organizationId"], claims["role"]) == (None, None)
    answered = await bearer(house, tokens).get("/api/connections/outgoing")
    refusal(answered, 403, "INSUFFICIENT_PERMISSIONS")


async def test_the_token_is_verified_by_the_published_keys_and_a_jose_library_alone(house: House) -> None:
    tokens = await signed_in(house)
    published = await house.http.get("/.well-known/jwks.json")
    keys = KeySet.import_key_set(published.json())
    token = jwt.decode(tokens["token"], keys, algorithms=["ES256"])
    assert token.header["alg"] == "ES256"
    claims = token.claims
    assert claims["iss"] == house.base_url
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["type"] == "access"
    assert claims["userId"] == claims["sub"] == str(house.accounts["ada"])
    assert claims["organizationId"] == str(house.northside)


async def test_an_unknown_address_a_wrong_password_and_no_address_are_one_answer(house: House) -> None:
    before = await everything(house)
    answers = [
        await login(house, ADA, "wrong horse battery"),
        await login(house, "nobody@northside.example"),
        await login(house, "no address at all"),
        await login(house, ADA, ""),
        await login(house, ADA, PASSWORD + " "),
        await login(house, ADA, PASSWORD.upper()),
        await login(house, ""),
    ]
    for answered in answers:
        refused = refusal(answered, 401, "AUTHENTICATION_REQUIRED")
        assert refused["message"] == "Invalid email or password"
        assert bare(answered) == bare(answers[0])
    assert await everything(house) == before
    assert (await house.trail(house.accounts["ada"]))[-1] == "session.refused"


async def test_a_disabled_account_is_told_so_only_with_its_password(house: House) -> None:
    await house.operate(lambda ctx: accounts.disable(ctx, ADA))
    before = await everything(house)
    refused = refusal(await login(house, ADA), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "This account is disabled"
    unknown = await login(house, "nobody@northside.example")
    assert bare(await login(house, ADA, "wrong horse battery")) == bare(unknown)
    assert await everything(house) == before
    await house.operate(lambda ctx: accounts.enable(ctx, ADA))
    await signed_in(house)


async def test_with_suspended_organizations_only_it_is_403(house: House) -> None:
    refused = refusal(await login(house, "cal@closed.example"), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Your organization is not active"


async def test_who_waits_for_the_operator_signs_in_without_an_organization(house: House) -> None:
    user = data(await login(house, "nia@newcomer.example"))["user"]
    assert (user["organizationId"], user["role"]) == (None, None)
    chosen = await login(house, "nia@newcomer.example", organizationId=str(house.newcomer))
    refusal(chosen, 403, "INSUFFICIENT_PERMISSIONS")


async def test_among_several_organizations_the_oldest_active_one_is_the_default_and_one_may_choose(
    house: House,
) -> None:
    for organization, role in ((house.lakeside, Role.RADIOLOGIST), (house.closed, Role.ADMIN)):
        await house.operate(
            lambda ctx, to=organization, role=role: memberships.add(ctx, house.accounts["ada"], to, role)
        )
    assert (await signed_in(house))["user"]["organizationId"] == str(house.northside)

    chosen = (await signed_in(house, organizationId=str(house.lakeside)))["user"]
    assert (chosen["organizationId"], chosen["role"]) == (str(house.lakeside), "radiologist")

    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    assert (await signed_in(house))["user"]["organizationId"] == str(house.lakeside)
    for inactive in (house.northside, house.closed):
        refused = refusal(
            await login(house, ADA, organizationId=str(inactive)), 403, "INSUFFICIENT_PERMISSIONS"
        )
        assert refused["message"] == "Your organization is not active"
    answers = [await login(house, ADA, organizationId=named) for named in (str(house.harbor), UNKNOWN)]
    for answered in answers:
        refusal(answered, 403, "INSUFFICIENT_PERMISSIONS")
        assert bare(answered) == bare(answers[0])
    refused = refusal(await login(house, ADA, organizationId="northside"), 400, "INVALID_PARAMETERS")
    assert refused["error"]["details"].keys() == {"organizationId"}


async def test_a_password_is_bounded_before_anything_is_hashed(house: House) -> None:
    refused = refusal(await login(house, ADA, "x" * 1025), 400, "INVALID_PARAMETERS")
    assert refused["error"]["details"].keys() == {"password"}


@pytest.mark.usefixtures("slow_hash")
async def test_a_full_queue_of_passwords_is_429_with_a_time_to_come_back(open_house: Opening) -> None:
    async with open_house(PASSWORDS_AT_ONCE="1", PASSWORDS_WAITING="0") as house:
        answers = await at_once([login(house, ADA) for _ in range(12)])
        statuses = {answered.status_code for answered in answers}
        assert statuses == {200, 429}
        for answered in answers:
            if answered.status_code == 429:
                refused = refusal(answered, 429, "RATE_LIMIT_EXCEEDED")
                assert refused["error"]["retryAfter"] == int(answered.headers["retry-after"]) >= 1
        # Nobody is locked out: as soon as the queue has room, one gets in.
        await signed_in(house)
