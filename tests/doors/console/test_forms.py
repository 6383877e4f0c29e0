"""A form is ours or it does nothing: forged, foreign, malformed and oversized ones, each beside the one that goes through."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from cast import House
from doors.console.test_links import LINKS, deeds, password_link
from doors.console.visitor import COOKIE, TYPE, Form, Read, Visitor
from doors.native.living import OTHER_SECRET, SECRET
from hospitium.doors.console import forms


class Aimed:
    """A form that would set a password, and what it would change."""

    def __init__(self, house: House, visitor: Visitor, form: Form) -> None:
        self.house, self.visitor, self.form = house, visitor, form
        self.fields = {**form.fields, "new_password": OTHER_SECRET}

    async def sent(self, fields: Any = None, **headers: str) -> Read:
        return await self.visitor.posts(
            self.form.action, self.fields if fields is None else fields, **headers
        )


async def aim(house: House, visitor: Visitor) -> Aimed:
    return Aimed(house, visitor, (await visitor.follows(await password_link(house))).form("do"))


async def is_refused(aimed: Aimed, status: int, **headers: str) -> Read:
    """Insist that a form is refused with a page, and that the same form goes through with nothing wrong about it."""
    fields = headers.pop("fields", None)
    before = await deeds(aimed.house)
    page = await aimed.sent(fields, **headers)
    assert page.status == status, page.words
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert await deeds(aimed.house) == before
    return page


async def test_control_the_form_as_it_is_goes_through(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        before = await deeds(house)
        assert (await aimed.sent()).status == 200
        assert await deeds(house) != before


async def test_a_form_that_a_browser_says_is_from_elsewhere_is_refused(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        for site in ("cross-site", "same-site", "nonsense"):  # fmt: skip
            page = await is_refused(aimed, 403, Sec_Fetch_Site=site)
            assert aimed.form.fields["link"] not in page.html  # a stranger's form gets nothing shown again
        assert (await aimed.sent(Sec_Fetch_Site="same-origin")).status == 200


async def test_a_form_of_a_foreign_origin_is_refused(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        for origin in ("https://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "http://127.0.0.1.evil.example", "file://", "", "http://"):  # fmt: skip
            await is_refused(aimed, 403, Origin=origin)
        assert (await aimed.sent(Origin=house.base_url)).status == 200


async def test_the_origin_null_says_nothing_and_the_cookie_decides(house: House) -> None:
    # What browsers send from a page with `Referrer-Policy: no-referrer`, as ours are; and what a sandboxed frame sends.
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        await is_refused(aimed, 403, Origin="null", Sec_Fetch_Site="cross-site")
        assert (await aimed.sent(Origin="null", Sec_Fetch_Site="same-origin")).status == 200
    async with Visitor(house) as stranger:
        aimed.visitor = stranger  # whose browser has no cookie of ours
        await is_refused(aimed, 403, Origin="null")


async def test_a_form_without_its_token_or_with_another_is_refused_and_can_be_opened_again(
    house: House,
) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        good = aimed.fields["form"]
        for wrong in (
            {},
            {"form": ""},
            {"form": good[:-1]},
            {"form": good + "A"},
            {"form": good.swapcase()},
            {"form": forms.new_form_token()},
            {"form": "ü" * 22},
        ):
            without = {name: value for name, value in aimed.fields.items() if name != "form"}
            page = await is_refused(aimed, 403, fields={**without, **wrong})  # type: ignore[arg-type]
            assert "Please open this form again" in page.words
        # The way on: one press, and what the link is about is shown again.
        shown = await ada.sends(page.form("look"))
        assert (await ada.sends(shown.form("do"), new_password=OTHER_SECRET)).status == 200


async def test_a_form_without_its_cookie_or_with_two_is_refused(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        good = aimed.fields["form"]
        for cookies in ("", "other=1", f"{COOKIE}=", f"{COOKIE}={good}; {COOKIE}={forms.new_form_token()}", f"x{COOKIE}={good}", f"{COOKIE}x={good}"):  # fmt: skip
            ada.http.cookies.clear()
            await is_refused(aimed, 403, Cookie=cookies)
        ada.http.cookies.clear()
        assert (await aimed.sent(Cookie=f"other=1; {COOKIE}={good}")).status == 200


async def test_control_without_the_comparison_a_forged_form_goes_through(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms.hmac, "compare_digest", lambda *_: True)
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        assert (await aimed.sent({**aimed.fields, "form": forms.new_form_token()})).status == 200


async def test_every_page_asks_for_the_token_of_its_form(house: House) -> None:
    for kind in LINKS:
        link = await LINKS[kind](house)
        before = await deeds(house)
        async with Visitor(house) as visitor:
            for fields in (
                {"link": link},
                {"link": link, "step": "do", "password": SECRET, "new_password": SECRET},
            ):
                page = await visitor.posts(f"/console/{kind}", fields)
                assert page.status == 403
        assert await deeds(house) == before


async def test_asking_for_a_link_takes_it_too(house: House) -> None:
    before = await deeds(house)
    async with Visitor(house) as visitor:
        page = await visitor.posts(
            "/console/new-link", {"email": "ada@northside.example", "purpose": "password"}
        )
        assert page.status == 403
        assert any(href.startswith("/console/new-link") for href in page.links)
    assert await deeds(house) == before


async def test_only_a_form_is_a_form(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencodedx", "application/csp-report"):  # fmt: skip
            await is_refused(aimed, 415, Content_Type=kind)
        assert (await aimed.sent(Content_Type=f"{TYPE}; charset=UTF-8")).status == 200


async def test_a_form_has_bounds(house: House) -> None:
    async with Visitor(house) as ada:
        aimed = await aim(house, ada)
        pairs = list(aimed.fields.items())
        too_many = pairs + [(f"f{n}", "") for n in range(21 - len(pairs))]
        await is_refused(aimed, 400, fields=too_many)  # type: ignore[arg-type]
        for doubled in ("new_password", "form", "link", "step"):
            await is_refused(aimed, 400, fields=[*pairs, (doubled, aimed.fields[doubled])])  # type: ignore[arg-type]
        await is_refused(aimed, 400, fields=[*pairs, ("next", "https://evil.example")])  # type: ignore[arg-type]
        await is_refused(aimed, 400, fields={**aimed.fields, "new_password": f"{OTHER_SECRET}\0"})  # type: ignore[arg-type]
        await is_refused(aimed, 413, fields={**aimed.fields, "new_password": "x" * 70_000})  # type: ignore[arg-type]
        assert (await aimed.sent()).status == 200


async def test_what_is_no_form_at_all_is_answered_with_a_page(house: House) -> None:
    for body in (
        b"",
        b"&&&",
        b"=",
        b"\xff\xfe",
        b"form=%ff",
        b"form=%",
        b"%00=1",
        b"form=\xc3\xbc",
        b"a=1;b=2" * 500,
    ):
        async with Visitor(house) as visitor:
            await visitor.opens("/console/join")
            answered = await visitor.http.post("/console/join", content=body, headers={"Content-Type": TYPE})
            assert answered.status_code in (400, 403)
            assert Read(answered).language == "en"


async def test_two_windows_share_one_cookie(house: House) -> None:
    link = await password_link(house)
    async with Visitor(house) as ada:
        first = (await ada.follows(link)).form("do")
        kept = ada.cookie
        await ada.opens("/console/join")
        await ada.follows(link, lang="es")
        assert ada.cookie == kept
        assert (await ada.sends(first, new_password=OTHER_SECRET)).status == 200


async def test_a_cookie_that_is_none_of_ours_is_replaced(house: House) -> None:
    async with Visitor(house) as visitor:
        for planted in ("chosen-by-somebody-else", "x" * 22 + "!", ""):
            page = await visitor.http.get("/console/join", headers={"Cookie": f"{COOKIE}={planted}"})
            assert page.headers["set-cookie"].startswith(f"{COOKIE}=")
            assert not planted or planted not in page.text


async def test_the_cookie_is_for_this_server_alone(house: House) -> None:
    async with Visitor(house) as visitor:
        plain = (await visitor.http.get("/console/join")).headers["set-cookie"]
    assert plain.startswith("hospitium-form=")
    assert plain.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    # A page without a form needs none.
    async with Visitor(house) as visitor:
        assert "set-cookie" not in (await visitor.http.get("/console")).headers


async def test_behind_https_the_cookie_can_be_set_by_nobody_else(house: House) -> None:
    secure = house.parts._replace(public_url="https://hospitium.example")
    request = _Asking(secure, {})
    assert forms.cookie(request, "t") == "__Host-hospitium-form=t; Path=/; HttpOnly; SameSite=Strict; Secure"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("origin", "host", "is_ours"),
    [
        ("https://hospitium.example", "hospitium.example", True),
        ("https://hospitium.example", "internal:8420", True),
        ("https://other.example", "other.example", True),  # a further name, which the edge has let in
        ("http://hospitium.example", "hospitium.example", False),  # whoever stands on the way could say that
        ("https://hospitium.example:444", "hospitium.example", False),
        ("https://evil.example", "hospitium.example", False),
        ("hospitium.example", "hospitium.example", False),
    ],
)
async def test_behind_https_which_origins_are_ours(
    house: House, origin: str, host: str, is_ours: bool
) -> None:
    secure = house.parts._replace(public_url="https://hospitium.example")
    asked = _Asking(secure, {"host": host})
    assert forms._is_ours(asked, origin) is is_ours  # type: ignore[arg-type]


class _Asking:
    """As much of a request as is looked at."""

    def __init__(self, parts: Any, headers: dict[str, str]) -> None:
        self.headers = headers
        self.app = type("App", (), {"state": {"surroundings": parts}})


def test_the_body_of_a_form_is_small() -> None:
    assert len(urlencode({"new_password": "x" * 1_024, "link": "x" * 200})) < forms.LARGEST_FORM
