"""The pages in a real browser: the whole way through, with script and without, by keyboard alone, and on a telephone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Error, Page

from browser.conftest import PHONE, Watched, Window
from browser.looking import must_be_readable
from cast import House
from doors.console.test_links import LINKS, confirm_link, join_link, password_link, share_link
from doors.native.living import EVE, SECRET, signs_in

OUTCOMES = {
    "confirm": ("Your address is confirmed", "Su dirección está confirmada"),
    "password": ("Your new password is set", "Su contraseña nueva está guardada"),
    "email": ("Your new address is in use", "Su nueva dirección está en uso"),
    "join": ("You have joined", "Ya forma parte"),
    "share": ("It is shared with you", "Ya está compartido con usted"),
}
DO = "form:has(input[name=step][value=do])"
DECLINE = "form:has(input[name=step][value=decline])"
# Each would say something to a dialog, or ask another place, if any of it came alive.
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "</h1><iframe src=javascript:alert(1)>",
    "<style>@import 'https://evil.example/x'</style><a autofocus onfocus=alert(1) href=x>",
]


async def lifted(window: Watched, link: str) -> None:
    """Follow a link; the script takes its token out of the address and shows what it is about."""
    await window.page.goto(link)
    await window.page.wait_for_selector(DO)
    await forgotten(window.page, link.partition("#")[2])


async def forgotten(page: Page, token: str) -> None:
    """Insist that the token stands in no address, nor in what the browser goes back to."""
    assert token not in page.url
    assert token not in await page.evaluate(
        "[location.href, document.referrer, JSON.stringify(history.state)].join()"
    )
    assert "#" not in page.url


async def does(page: Page) -> None:
    """Fill in the one password the page asks for, and press the button."""
    await page.locator(f"{DO} input[type=password]").fill(SECRET)
    await page.locator(f"{DO} button.primary").click()
    await page.wait_for_selector(".outcome")


async def test_the_whole_way_on_a_telephone(house: House, window: Window) -> None:
    for kind, make in LINKS.items():
        link = await make(house)
        async with window(**PHONE, locale="es-ES") as seen:
            await lifted(seen, link)
            await must_be_readable(seen.page)
            await does(seen.page)
            assert OUTCOMES[kind][1] in await seen.page.inner_text("h1")
            await must_be_readable(seen.page)
            seen.must_be_clean()
            assert not any(link.partition("#")[2] in url for url in seen.asked)


async def test_the_whole_way_without_script(house: House, window: Window) -> None:
    for kind, make in LINKS.items():
        link = await make(house)
        async with window(**PHONE, java_script_enabled=False) as seen:
            page = seen.page
            await page.goto(link)
            await page.get_by_label("Link from the mail").fill(link)
            await page.get_by_role("button", name="Continue").click()
            await page.wait_for_selector(DO)
            assert not await page.locator(f"{DO} button.show").is_visible()
            await does(page)
            assert OUTCOMES[kind][0] in await page.inner_text("h1")
            seen.must_be_clean()


async def test_the_whole_way_by_keyboard_alone(house: House, window: Window) -> None:
    link = await confirm_link(house)
    async with window() as seen:
        page = seen.page
        await lifted(seen, link)
        await page.keyboard.press("Tab")
        assert await _focused(page) == "Skip to the content"
        await page.keyboard.press("Enter")
        passed = []
        for _ in range(12):
            await page.keyboard.press("Tab")
            passed.append(await _focused(page))
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), (
                passed
            )
            if passed[-1] == "Your password":
                break
        await page.keyboard.type(SECRET)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".outcome")
        seen.must_be_clean()
    await signs_in(house)


async def test_the_other_way_opens_by_keyboard_too(house: House, window: Window) -> None:
    link = await confirm_link(house)
    async with window() as seen:
        page = seen.page
        await lifted(seen, link)
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("Choose a password").fill(SECRET + "!")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".outcome")
        assert await page.inner_text("h1") == "✓The account is yours"
        seen.must_be_clean()
    await signs_in(house, EVE, SECRET + "!")


async def test_what_an_organization_calls_itself_does_nothing(house: House, window: Window) -> None:
    for number, payload in enumerate(PAYLOADS):
        await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", payload)
        link = await join_link(house, f"zed{number}@mail.example")
        async with window() as seen:
            await lifted(seen, link)
            assert payload in await seen.page.inner_text("h1")
            await does(seen.page)
            assert payload in await seen.page.inner_text(".outcome")
            seen.must_be_clean()


async def test_what_is_said_of_a_share_does_nothing(house: House, window: Window) -> None:
    for number, payload in enumerate(PAYLOADS):
        await house.rows(
            "UPDATE accounts SET first_name = $1, last_name = NULL WHERE email = 'ada@northside.example'",
            payload,
        )
        named = {"first": payload, "last": payload}
        link = await share_link(house, f"zed{number}@mail.example", label=payload, name=named)
        async with window() as seen:
            await lifted(seen, link)
            assert payload in await seen.page.inner_text("h1")
            assert payload in await seen.page.inner_text(".facts")
            assert await seen.page.locator("#first_name").input_value() == payload
            await does(seen.page)
            assert payload in await seen.page.inner_text(".outcome")
            seen.must_be_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("script", [True, False])
async def test_a_share_is_declined_on_a_telephone(
    house: House, window: Window, scheme: Any, script: bool
) -> None:
    """Two buttons below one another, of which accepting stands first and stands out; declining asks for nothing."""
    link = await share_link(house, startsAt="2026-03-05T09:00:00Z", endsAt="2026-06-05T09:00:00Z")
    async with window(**PHONE, locale="es-ES", color_scheme=scheme, java_script_enabled=script) as seen:
        page = seen.page
        if script:
            await lifted(seen, link)
            await must_be_readable(page)
        else:
            await page.goto(link)
            await page.locator("#link").fill(link)
            await page.locator("button.primary").click()
        accept, decline = page.locator(f"{DO} button.primary"), page.locator(f"{DECLINE} button.secondary")
        boxes = [await one.bounding_box() for one in (accept, decline)]
        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]
        assert boxes[0]["width"] == boxes[1]["width"]
        grounds = [
            await one.evaluate("e => getComputedStyle(e).backgroundColor") for one in (accept, decline)
        ]
        assert grounds[0] != grounds[1]
        await decline.click()
        await page.wait_for_selector(".outcome")
        assert "Lo ha rechazado" in await page.inner_text("h1")
        if script:
            await must_be_readable(page)
        seen.must_be_clean()
        assert not any(link.partition("#")[2] in url for url in seen.asked)
    assert [tuple(row) for row in await house.rows("SELECT status FROM shares")] == [("declined",)]


async def test_enter_in_the_password_of_a_share_accepts_it(house: House, window: Window) -> None:
    link = await share_link(house)
    async with window() as seen:
        await lifted(seen, link)
        await seen.page.locator("#new_password").fill(SECRET)
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_selector(".outcome")
        assert OUTCOMES["share"][0] in await seen.page.inner_text("h1")
        seen.must_be_clean()


async def test_control_what_a_page_may_not_do_is_seen(house: House, window: Window) -> None:
    async with window() as seen:
        await seen.page.goto("/console")
        seen.must_be_clean()
        await seen.page.evaluate("document.body.setAttribute('style', 'color: red')")
        await seen.page.evaluate(
            "document.body.append(Object.assign(new Image(), {src: 'https://evil.example/x'}))"
        )
        await seen.page.wait_for_timeout(100)
        assert any("style" in trouble for trouble in seen.troubles)
        assert any("evil.example" in trouble for trouble in seen.troubles)
        with pytest.raises(AssertionError):
            seen.must_be_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_readable_however_it_is_looked_at(
    house: House, window: Window, scheme: Any
) -> None:
    links = {kind: await make(house) for kind, make in LINKS.items() if kind != "email"}
    # 320 pixels is what is left of a usual screen at 400 %, and of a telephone at 200 %.
    async with window(
        color_scheme=scheme, viewport={"width": 320, "height": 640}, reduced_motion="reduce"
    ) as seen:
        page = seen.page
        for path in ("", "/new-link", *(f"/{kind}" for kind in LINKS), "/nothing"):
            for lang in ("en", "es"):
                await page.goto(f"/console{path}?lang={lang}")
                await must_be_readable(page)
        for link in links.values():
            await lifted(seen, link)
            await must_be_readable(page)
        await page.goto(links["confirm"])
        await page.wait_for_selector(DO)
        await page.locator("summary").click()
        await page.locator("#password").fill("not the password")
        await page.locator(f"{DO} button.primary").click()
        await page.wait_for_selector(".is-wrong")
        await must_be_readable(page)
        assert await _focused(page) == "Your password"
        await page.goto("/console/join#" + "0" * 32)
        await page.wait_for_selector("[role=alert]")
        await must_be_readable(page)
        seen.must_be_clean(expected=("404", "403"))


async def test_control_a_page_that_is_too_faint_is_seen(house: House, window: Window) -> None:
    async with window() as seen:
        await seen.page.goto("/console")
        await seen.page.evaluate("document.documentElement.style.setProperty('--faint', '#999')")
        with pytest.raises(AssertionError):
            await must_be_readable(seen.page)


async def test_a_password_can_be_looked_at_by_who_typed_it(house: House, window: Window) -> None:
    link = await password_link(house)
    async with window() as seen:
        page = seen.page
        await lifted(seen, link)
        field, button = page.locator("#new_password"), page.locator("button.show")
        await field.fill(SECRET)
        assert await field.get_attribute("type") == "password"
        await button.click()
        assert (await field.get_attribute("type"), await button.get_attribute("aria-pressed")) == (
            "text",
            "true",
        )
        await button.click()
        assert (await field.get_attribute("type"), await button.get_attribute("aria-pressed")) == (
            "password",
            "false",
        )
        seen.must_be_clean()


async def test_back_and_again_frighten_nobody(house: House, window: Window) -> None:
    link = await confirm_link(house)
    async with window() as seen:
        page = seen.page
        await lifted(seen, link)
        await does(page)
        await page.reload()
        assert "Your address is confirmed" in await page.inner_text("h1")
        await page.go_back()
        await page.goto(link)
        await page.wait_for_selector(".outcome")
        assert "Your address is confirmed" in await page.inner_text("h1")


async def test_a_link_may_be_followed_in_a_window_that_is_open(house: House, window: Window) -> None:
    """Then only what stands behind the # changes, and no page is loaded."""
    link = await password_link(house)
    async with window() as seen:
        await seen.page.goto("/console/password")
        await seen.page.evaluate("link => { location.href = link }", link)
        await seen.page.wait_for_selector(DO)
        await forgotten(seen.page, link.partition("#")[2])
        seen.must_be_clean()


async def test_pressed_twice_is_sent_once(house: House, window: Window) -> None:
    link = await password_link(house)
    async with window() as seen:
        await lifted(seen, link)
        await seen.page.locator("#new_password").fill(SECRET)
        before = len(seen.asked)
        await seen.page.locator(f"{DO} button.primary").dblclick()
        await seen.page.wait_for_selector(".outcome")
        assert "Your new password is set" in await seen.page.inner_text("h1")
        assert sum("/console/password" in url for url in seen.asked[before:]) == 1


async def test_a_page_of_somebody_else_can_neither_frame_nor_send_our_forms(
    house: House, window: Window
) -> None:
    link = await join_link(house)
    async with window() as seen:
        page = seen.page
        await lifted(seen, link)
        # Another origin of this machine, whose page sends our form as it would be found in a page of ours.
        await page.route("**/elsewhere", lambda route: route.fulfill(content_type="text/html", body=_forged(house, link)))  # fmt: skip
        await page.goto(house.base_url.replace("127.0.0.1", "localhost") + "/elsewhere", wait_until="commit")
        try:
            await page.wait_for_url("**/console/join", timeout=5_000)
        except Error:
            pass
        else:
            assert "Please open this form again" in await page.inner_text("h1")
    assert await house.rows("SELECT 1 FROM offers WHERE status = 'accepted'") == []


def _forged(house: House, link: str) -> str:
    token = link.partition("#")[2]
    return (
        f'<form method="post" action="{house.base_url}/console/join"><input name="step" value="do"><input name="link" value="{token}">'
        f'<input name="new_password" value="{SECRET}"><input name="form" value="{"A" * 22}"></form>'
        "<script>document.forms[0].submit()</script>"
    )


async def _focused(page: Page) -> str:
    found: str = await page.evaluate(
        "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
    )
    return found
