"""/{org}/v2/accounts: registering, being verified, signing in and out; the cookie of a browser, and the token of a program."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cast import PASSWORD, Caller, House
from doors.manners import UNKNOWN, bare
from doors.medable.sharing import (
    AT,
    DRUG,
    account_of,
    address,
    defines,
    done,
    fault,
    makes,
    moment,
    unchanged,
    writes,
)
from doors.native.living import EVE, OTHER_SECRET, SECRET
from hospitium.doors.medable import entrance
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import actions as accounts

ADA = {"email": "ada@northside.example", "password": PASSWORD}
CSRF = "Medable-Csrf-Token"


class Browser:
    """Somebody who keeps the cookie and the token of his session, and sends them as a browser would."""

    def __init__(self, house: House, signed_in: httpx.Response) -> None:
        self.http = house.http
        self.cookie = signed_in.headers["set-cookie"].partition(";")[0]
        self.token = signed_in.headers[CSRF]

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        token: str | bytes | None = "",
        cookie: str | None = None,
    ) -> httpx.Response:
        headers: dict[str, Any] = {"Cookie": cookie or self.cookie, "Content-Type": "application/json"}
        if token is not None:
            headers[CSRF] = token or self.token
        return await self.http.request(method, f"{AT}{path}", content=body, headers=headers)


async def signs_in(house: House, body: dict[str, str] | None = None) -> httpx.Response:
    answered = await house.stranger.post(f"{AT}/accounts/login", body or ADA)
    house.http.cookies.clear()  # of these each test sends its own
    return answered


async def registers(house: House, email: str = EVE, **more: Any) -> httpx.Response:
    return await house.stranger.post(f"{AT}/accounts/register", {"email": email, "password": SECRET, **more})


# -- registering -------------------------------------------------------------------------------------------------------


async def test_registering_is_answered_the_same_for_a_known_and_an_unknown_address(house: House) -> None:
    name = {"first": "Eve", "last": "Moor"}
    answers = [await registers(house, email, name=name) for email in (EVE, ADA["email"])]
    for one, email in zip(answers, (EVE, ADA["email"]), strict=True):
        assert done(one) == {"object": "account", "email": email, "name": name}
    assert answers[0].text.replace(EVE, "") == answers[1].text.replace(ADA["email"], "")
    assert set(answers[0].headers) == set(answers[1].headers)
    assert "set-cookie" not in answers[0].headers
    mails = {mail.to: mail for mail in await house.mails()}
    assert mails[EVE].page.endswith("/console/confirm")
    assert mails[ADA["email"]].page.endswith("/console/password")
    # Nothing of the known one has changed.
    assert done(await signs_in(house))["name"] == {"first": "Ada", "last": "Cast"}
    await house.must_be_sound()


async def test_whoever_registers_is_a_member_once_he_is_verified_and_not_before(house: House) -> None:
    done(await registers(house, locale="es"))
    (mail,) = await house.mails()

    async def memberships() -> list[tuple[Any, ...]]:
        return [
            tuple(row)
            for row in await house.rows(
                "SELECT m.role, m.organization_id FROM memberships AS m JOIN accounts AS a ON a.id = m.account_id WHERE a.email = $1",
                EVE,
            )
        ]

    signed = done(await signs_in(house, {"email": EVE, "password": SECRET}))
    assert (signed["state"], signed["locale"]) == ("unverified", "es")
    assert await memberships() == []
    for body in ({"token": mail.token, "password": OTHER_SECRET}, {"token": mail.token}):
        refused = await unchanged(house, house.stranger.post(f"{AT}/accounts/verify", body))
        fault(refused, 403, "kInvalidCredentials" if "password" in body else "kNotLoggedIn")
    for token in ("x" * 32, "", mail.token[:-1]):
        refused = await unchanged(
            house, house.stranger.post(f"{AT}/accounts/verify", {"token": token, "password": SECRET})
        )
        assert fault(refused, 400, "kValidationError")["path"] == "token"
    assert await memberships() == []
    verified = done(
        await house.stranger.post(f"{AT}/accounts/verify", {"token": mail.token, "password": SECRET})
    )
    assert (verified["state"], verified["email"]) == ("verified", EVE)
    # Never more than a member, and only of the organization it registered with (ruling 23).
    assert await memberships() == [("member", house.northside)]
    eve = Caller(
        house.http,
        (await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET})).json()["accessToken"],
    )
    fault(await eve.get(f"{AT}/objects"), 403, "kAccessDenied")
    await house.must_be_sound()


async def test_a_session_of_the_account_verifies_it_without_the_password(house: House) -> None:
    done(await registers(house))
    (mail,) = await house.mails()
    browser = Browser(house, await signs_in(house, {"email": EVE, "password": SECRET}))
    body = b'{"token": "%s"}' % mail.token.encode()
    refused = await unchanged(house, browser.send("POST", "/accounts/verify", body, token=None))
    fault(refused, 403, "kCsrfTokenMismatch")
    fault(
        await unchanged(house, writes(house.ada, "POST", "/accounts/verify", {"token": mail.token})),
        403,
        "kNotLoggedIn",
    )
    assert done(await browser.send("POST", "/accounts/verify", body))["state"] == "verified"
    await house.must_be_sound()


async def test_it_refuses_what_can_not_be_registered(house: House) -> None:
    good = {"email": EVE, "password": SECRET}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"email": "eve"}, "email"),
        ({"email": None}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"name": {"first": "E\nve"}}, "name.first"),
        ({"name": {"middle": "X"}}, "name.middle"),
        ({"locale": "xx"}, "locale"),
        ({"role": "admin"}, "role"),
        ({"state": "verified"}, "state"),
        ({"access": 7}, "access"),
        ({"_id": "5" * 24}, "_id"),
    ]
    for change, path in wrong:
        refused = await unchanged(house, house.stranger.post(f"{AT}/accounts/register", {**good, **change}))
        assert fault(refused, 400, "kValidationError")["path"] == path, change
    fault(await house.stranger.post("/nowhere/v2/accounts/register", good), 404, "kNotFound", "notFound.org")
    fault(await house.stranger.post("/closed/v2/accounts/register", good), 404, "kNotFound", "notFound.org")
    assert await house.mails() == []
    await house.must_be_sound()


# -- signing in --------------------------------------------------------------------------------------------------------


async def test_signing_in_answers_the_account_and_sets_a_cookie_for_this_organization_alone(
    house: House,
) -> None:
    answered = await signs_in(house)
    ada = account_of(house, "ada")
    assert done(answered) == {
        "_id": ada,
        "object": "account",
        "access": 7,
        "email": ADA["email"],
        "name": {"first": "Ada", "last": "Cast"},
        "locale": "en",
        "state": "verified",
        "owner": {"_id": ada, "object": "account", "path": f"/accounts/{ada}"},
        "created": answered.json()["created"],
    }
    assert moment(answered.json()["created"])
    (cookie,) = answered.headers.get_list("set-cookie")
    value, *flags = cookie.split("; ")
    assert value.startswith("md.sid=")
    assert len(value) >= len("md.sid=") + 32
    assert set(flags) == {"Path=/northside", "Max-Age=604800", "HttpOnly", "SameSite=Lax"}
    assert answered.headers[CSRF] not in cookie
    # Another one each time, and neither of them in any row.
    again = await signs_in(house)
    assert again.headers["set-cookie"] != cookie
    kept = str([dict(row) for row in await house.rows("SELECT * FROM sessions")])
    assert value.partition("=")[2] not in kept
    assert answered.headers[CSRF] not in kept
    await house.must_be_sound()


async def test_behind_https_the_cookie_is_secure_and_below_the_path_of_the_server(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def public(request: Any) -> Any:
        return surroundings(request)._replace(public_url="https://share.example/base")

    monkeypatch.setattr(entrance, "surroundings", public)
    flags = (await signs_in(house)).headers["set-cookie"].split("; ")[1:]
    assert set(flags) == {"Path=/base/northside", "Max-Age=604800", "HttpOnly", "SameSite=Lax", "Secure"}


async def test_a_wrong_password_and_an_unknown_address_are_one_answer(house: House) -> None:
    answers = [
        await signs_in(house, {"email": email, "password": password})
        for email, password in (
            (ADA["email"], "not hers at all"),
            ("nobody@mail.example", PASSWORD),
            ("no address", PASSWORD),
            ("", ""),
        )
    ]
    for one in answers:
        fault(one, 403, "kInvalidCredentials", "cortex.accessDenied.invalidCredentials")
        assert bare(one) == bare(answers[0])
        assert "set-cookie" not in one.headers
    for body in ({}, {"email": EVE}, {**ADA, "organizationId": 1}, {**ADA, "password": None}):
        fault(await house.stranger.post(f"{AT}/accounts/login", body), 400, "kValidationError")
    for org in ("nowhere", "closed", "newcomer"):
        fault(await house.stranger.post(f"/{org}/v2/accounts/login", ADA), 404, "kNotFound", "notFound.org")
    await house.must_be_sound()


async def test_a_disabled_account_does_not_get_in_and_its_cookie_is_good_no_more(house: House) -> None:
    browser = Browser(house, await signs_in(house))
    done(await browser.send("GET", "/accounts/me"))
    await house.operate(lambda ctx: accounts.disable(ctx, ADA["email"]))
    fault(await browser.send("GET", "/accounts/me"), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    fault(await house.ada.get(f"{AT}/accounts/me"), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    fault(await signs_in(house), 403, "kAccessDenied", "cortex.accessDenied.account")
    # Only whoever knows the password is told so.
    fault(await signs_in(house, {**ADA, "password": "not hers"}), 403, "kInvalidCredentials")
    await house.must_be_sound()


# -- by a cookie, by a token -------------------------------------------------------------------------------------------


async def test_a_cookie_reads_and_changes_only_what_comes_with_its_token(house: House) -> None:
    await defines(house)
    browser = Browser(house, await signs_in(house))
    assert done(await browser.send("GET", "/connections", token=None))["data"] == []
    body = b'{"drug": "aspirin"}'
    other = Browser(house, await signs_in(house))
    for token in (None, "x", browser.token[:-1], browser.token.swapcase(), other.token, b"\xe9\xff"):
        refused = await unchanged(house, browser.send("POST", "/c_prescriptions", body, token=token))
        fault(refused, 403, "kCsrfTokenMismatch", "cortex.accessDenied.csrfTokenMismatch")
    record = done(await browser.send("POST", "/c_prescriptions", body))["_id"]
    at = f"/c_prescriptions/{record}"
    for method, path, sent in (
        ("PUT", at, body),
        ("PATCH", at, b'{"isArchived": true}'),
        ("DELETE", at, b""),
        ("POST", f"{at}/connections", b'{"targets": [{"email": "pat@mail.example", "access": 4}]}'),
        ("POST", f"/connections/{'x' * 32}", b""),
        ("DELETE", f"/connections/{'x' * 32}", b""),
        ("POST", "/objects", b"{}"),
        ("POST", "/accounts/me/logout", b""),
    ):
        refused = await unchanged(house, browser.send(method, path, sent, token=None))
        fault(refused, 403, "kCsrfTokenMismatch")
    done(await browser.send("PUT", at, body))
    # A browser that has lost its token is told it again.
    me = await browser.send("GET", "/accounts/me", token=None)
    assert (done(me)["email"], me.headers[CSRF]) == (ADA["email"], browser.token)
    await house.must_be_sound()


async def test_a_cookie_that_is_none_signs_nobody_in(house: House) -> None:
    browser = Browser(house, await signs_in(house))
    value = browser.cookie.partition("=")[2]
    for cookie in (
        "md.sid=", "md.sid=x", f"md.sid={value[:-1]}", f"md.sid={value}0", f"md.sid={value.swapcase()}", f"MD.SID={value}",
        f"md.sid={value}; md.sid={value}", f"md.sid={'x' * 500}", f"session={value}", f"md.sid={browser.token}",
    ):  # fmt: skip
        answered = await browser.send("GET", "/accounts/me", cookie=cookie)
        fault(answered, 403, "kNotLoggedIn", "cortex.accessDenied.notLoggedIn")
    done(await browser.send("GET", "/accounts/me", cookie=f"a=1; {browser.cookie}; b=2"))
    # A bearer token goes first, and what is wrong with it isn't mended by a cookie.
    sent = await house.http.get(
        f"{AT}/accounts/me", headers={"Cookie": browser.cookie, "Authorization": "Bearer nonsense"}
    )
    fault(sent, 403, "kNotLoggedIn")
    await house.must_be_sound()


async def test_a_bearer_token_needs_no_other(house: House) -> None:
    await defines(house)
    await makes(house.ada)
    me = await house.ada.get(f"{AT}/accounts/me")
    assert done(me)["_id"] == account_of(house, "ada")
    assert CSRF not in me.headers
    fault(await house.stranger.get(f"{AT}/accounts/me"), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    for wrong in ("nonsense", house.ada.token[:-4], "null", "x.y.z"):
        fault(await Caller(house.http, wrong).get(f"{AT}/accounts/me"), 403, "kNotLoggedIn")
    # One account, one token, at every organization's surface (ruling 2).
    assert done(await house.ada.get("/lakeside/v2/accounts/me"))["_id"] == account_of(house, "ada")
    await house.must_be_sound()


async def test_signing_out_ends_the_session_at_once_and_takes_the_cookie_back(house: House) -> None:
    browser, other = Browser(house, await signs_in(house)), Browser(house, await signs_in(house))
    left = await browser.send("POST", "/accounts/me/logout")
    assert done(left) == {"object": "result", "data": True}
    assert left.headers["set-cookie"].startswith("md.sid=; Path=/northside; Max-Age=0")
    fault(await browser.send("GET", "/accounts/me"), 403, "kNotLoggedIn")
    fault(await browser.send("POST", "/accounts/me/logout"), 403, "kNotLoggedIn")
    done(await other.send("GET", "/accounts/me"))
    done(await house.ada.send("POST", f"{AT}/accounts/me/logout"))
    fault(await house.ada.get(f"{AT}/accounts/me"), 403, "kNotLoggedIn")
    fault(await house.stranger.send("POST", f"{AT}/accounts/me/logout"), 403, "kNotLoggedIn")
    await house.must_be_sound()


async def test_a_browser_whose_session_has_ended_can_sign_in_and_register_again(house: House) -> None:
    browser = Browser(house, await signs_in(house))
    done(await browser.send("POST", "/accounts/me/logout"))
    body = b'{"email": "ada@northside.example", "password": "%s"}' % PASSWORD.encode()
    for token in (None, ""):
        done(await browser.send("POST", "/accounts/login", body, token=token))
        new = b'{"email": "eve@mail.example", "password": "%s"}' % SECRET.encode()
        done(await browser.send("POST", "/accounts/register", new, token=token))
    house.http.cookies.clear()
    await house.must_be_sound()


async def test_a_session_ends_by_the_clock(house: House) -> None:
    browser = Browser(house, await signs_in(house))
    house.clock.advance(days=6, hours=23)
    done(await browser.send("GET", "/accounts/me"))
    house.clock.advance(hours=1)
    fault(await browser.send("GET", "/accounts/me"), 403, "kNotLoggedIn")
    await house.must_be_sound()


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_one_reads_ones_own_account_and_no_other(house: House) -> None:
    own = done(await house.ada.get(f"{AT}/accounts/me"))
    assert own["shared"] is False
    assert done(await house.ada.get(f"{AT}/accounts/{own['_id']}")) == own
    assert done(await house.ada.get(f"{AT}/accounts")) == {"data": [own], "hasMore": False, "object": "list"}
    answered = await house.ada.get(f"{AT}/accounts/{account_of(house, 'ben')}")
    fault(answered, 404, "kNotFound", "cortex.notFound.instance")
    for unknown in (UNKNOWN, "5" * 24, "you", str(house.northside)):
        assert bare(await house.ada.get(f"{AT}/accounts/{unknown}")) == bare(answered)
    for path in ("", f"/{own['_id']}"):
        fault(await house.stranger.get(f"{AT}/accounts{path}"), 403, "kNotLoggedIn")
    # An account is no instance one makes, changes or deletes here.
    for method, path in (
        ("POST", ""),
        ("PUT", f"/{own['_id']}"),
        ("PATCH", f"/{own['_id']}"),
        ("DELETE", f"/{own['_id']}"),
    ):
        refused = await unchanged(house, writes(house.ada, method, f"/accounts{path}", DRUG))
        assert refused.status_code in (400, 405), (method, refused.text)
    assert done(await house.pat.get(f"{AT}/accounts/me"))["email"] == address("pat")
    await house.must_be_sound()


async def test_tries_at_signing_in_are_limited(house: House) -> None:
    answers = [await signs_in(house, {**ADA, "password": f"wrong {index} again"}) for index in range(30)]
    fault(answers[0], 403, "kInvalidCredentials")
    fault(answers[-1], 429, "kTooManyRequests")
