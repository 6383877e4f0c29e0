"""What a real browser makes of taking up an invite: on a telephone, at night, without script; and of the slip, on paper."""

from __future__ import annotations

import re
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from browser.conftest import PHONE, Watched, Window
from browser.looking import must_be_readable
from browser.test_console import PAYLOADS, forgotten
from cast import PASSWORD, House
from clinic import ANSWER, JANE, JIMMY, QUESTION, Clinic, body, makes_person
from doors.console.test_invite_pages import PAT, a_code, a_link
from doors.native.living import SECRET
from hospitium.doors.slips import slip
from hospitium.engine.accounts.record import Language
from hospitium.engine.invites.codes import InviteCode

GO_ON = "main button.primary"
ACCEPT = "form:has(input[name=step][value=accept]) button.primary"
DECLINE = "form:has(input[name=step][value=decline]) button"
BEN = "ben@northside.example"
WIDE_AND_DARK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}


@pytest_asyncio.fixture(loop_scope="session")
async def clinic(house: House) -> Clinic:
    await house.rows("UPDATE organizations SET phone = '+1 555 0100' WHERE code = 'northside'")
    return await Clinic.open(house)


async def sees(page: Page, what: str) -> None:
    """Wait until a page is there, style and all, and look at it."""
    await page.wait_for_selector(what, state="attached")
    await page.wait_for_load_state("load")
    await must_be_readable(page)


async def fills(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        await page.fill(f"#{name}", value)


async def enters(seen: Watched, email: str = PAT) -> None:
    await seen.page.goto("/console/sign-in")
    await fills(seen.page, email=email, password=PASSWORD)
    await seen.page.click(GO_ON)
    await seen.page.wait_for_url("**/console/invites?*")


@pytest.mark.parametrize("script", [True, False])
async def test_from_the_code_to_the_record_on_a_telephone(
    house: House, clinic: Clinic, window: Window, script: bool
) -> None:
    code = await a_code(clinic)
    look = sees if script else _is_there  # nothing is measured without script
    async with window(**PHONE, java_script_enabled=script) as seen:
        page = seen.page
        if script:
            await page.goto(f"/console/code#{code}")
            await page.wait_for_selector("#security_answer")
            await forgotten(page, code)
        else:
            await page.goto("/console/code")
            await fills(page, code=f"{code[:4].lower()} {code[4:]}")
            await page.click(GO_ON)
        await look(page, "#security_answer")
        await fills(page, security_answer="Rex")
        await page.click("button[value=new]")
        await look(page, "#password_again")
        await fills(page, first_name="Jane", last_name="Doe", email="jane@mail.example", new_password=SECRET, password_again=SECRET)  # fmt: skip
        await page.click("button[value=register]")
        await look(page, ".is-wrong")
        assert await page.locator("#first_name").input_value() == "Jane"
        await fills(page, security_answer=ANSWER, new_password=SECRET, password_again=SECRET)
        await page.click("button[value=register]")
        await look(page, "#relationship")
        assert re.search(r"/console/invites/[0-9a-f-]{36}\?lang=en$", page.url)
        await page.select_option("#relationship", "self")
        await page.click(ACCEPT)
        await look(page, ".outcome")
        assert "You have accepted" in await page.inner_text("h1")
        await page.reload()  # nothing is asked again, and nothing done again
        assert "You have accepted" in await page.inner_text("h1")
        await page.goto("/console/invites")
        await look(page, ".rows a")
        seen.must_be_clean(expected=("400",))
        assert not any(code in url or ANSWER in url or SECRET in url for url in seen.asked)
    await house.must_be_sound()


async def test_by_mail_at_night_in_spanish(house: House, clinic: Clinic, window: Window) -> None:
    link = await a_link(clinic)
    async with window(**WIDE_AND_DARK, locale="es-ES") as seen:
        page = seen.page
        await page.goto(link)
        await sees(page, "#new_password")
        await forgotten(page, link.partition("#")[2])
        await fills(page, new_password=SECRET)
        await page.click(GO_ON)
        await sees(page, "#relationship")
        assert "le invita" in await page.inner_text("h1")
        await page.click(DECLINE)
        await sees(page, ".outcome")
        assert "La ha rechazado" in await page.inner_text("h1")
        await page.goto("/console/sign-out")
        await sees(page, GO_ON)
        await page.click(GO_ON)
        await sees(page, ".outcome")
        await page.go_back()
        await page.goto("/console/invites")
        await sees(page, "#password")
        seen.must_be_clean()


async def test_the_fields_of_a_new_person_are_there_when_they_are_asked_for(
    house: House, clinic: Clinic, window: Window
) -> None:
    person = await makes_person(house.pat, relationship="Child")
    made = body(await clinic.invites_by_email(PAT, patient=JIMMY))
    async with window(**PHONE) as seen:
        page = seen.page
        await enters(seen)
        await page.goto(f"/console/invites/{made['id']}")
        await sees(page, ".choices")
        assert not await page.locator("#relationship").is_visible()
        await page.click("label[for=person-new]")
        assert await page.locator("#relationship").is_visible()
        await sees(page, ".choices")
        await page.keyboard.press("ArrowUp")  # the radios are one group, by keyboard too
        assert await page.locator(f"#person-{person}").is_checked()
        assert not await page.locator("#relationship").is_visible()
        await page.click(ACCEPT)
        await sees(page, ".outcome")
        seen.must_be_clean()


async def test_whoever_follows_a_link_of_the_mail_is_signed_in_as_before(
    house: House, clinic: Clinic, window: Window
) -> None:
    """A page of somebody else's, as a mail on the web is, may lead here: what it can't do is send our forms."""
    made = body(await clinic.invites_by_email(PAT))
    async with window() as seen:
        page = seen.page
        await enters(seen)
        elsewhere = house.base_url.replace("127.0.0.1", "localhost")
        here = f"{house.base_url}/console/invites/{made['id']}"
        await page.route("**/webmail", lambda route: route.fulfill(content_type="text/html", body=f'<a href="{here}">x</a>'))  # fmt: skip
        await page.goto(f"{elsewhere}/webmail", wait_until="commit")
        await page.click("a")
        await page.wait_for_selector(ACCEPT)


async def test_what_a_clinic_and_a_record_are_called_does_nothing(
    house: House, clinic: Clinic, window: Window
) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with window() as seen:
        await enters(seen)
        for payload in PAYLOADS:
            await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", payload)
            await house.rows("UPDATE invites SET patient_summary = $1", {"name": [{"family": payload}]})
            await seen.page.goto(f"/console/invites/{made['id']}")
            await seen.page.wait_for_selector(ACCEPT)
            assert payload in await seen.page.inner_text("h1")
            assert await seen.page.locator("#last_name").input_value() == payload
            seen.must_be_clean()


async def test_the_desk_and_its_slip(house: House, clinic: Clinic, window: Window) -> None:
    async with window(viewport={"width": 1024, "height": 900}) as seen:
        page = seen.page
        await enters(seen, BEN)
        await page.goto("/console/desk")
        await sees(page, "#identifier")
        await fills(page, identifier="urn:mrn|N-1", security_question=QUESTION, security_answer=ANSWER)
        await page.click(GO_ON)
        await sees(page, "input[name=key]")
        assert JANE in await page.inner_text(".facts")
        await page.click(GO_ON)
        await page.wait_for_selector(".code")
        assert await page.locator(".print button").is_visible()
        await page.evaluate("() => { window.print = () => { document.title = 'printing' } }")
        await page.click(".print button")
        assert await page.title() == "printing"
        assert "#" not in page.url
        seen.must_be_clean()


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("paper", ["A4", "Letter"])
async def test_a_slip_is_one_page_of_black_on_white(
    house: House, window: Window, language: Language, paper: str
) -> None:
    name = "Clínica Familiar del Norte y Asociados de Atención Primaria " * 2
    html = slip(name, "+1 555 0100", InviteCode("ABCD2345"), language, "https://hospitium.example", house.clock.now)  # fmt: skip
    async with window(color_scheme="dark") as seen:
        page = seen.page
        await page.route("**/slip", lambda route: route.fulfill(content_type="text/html", body=html))
        await page.goto("/slip")
        seen.must_be_clean()  # its own policy lets its own style and script through, and asks for nothing
        assert len(seen.asked) == 1
        printed = await page.pdf(format=paper)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        await page.emulate_media(media="print")
        assert not await page.locator(".print").is_visible()
        colours: Any = await page.evaluate(
            "[...document.querySelectorAll('main *')].map(e => getComputedStyle(e).color)"
        )
        assert set(colours) == {"rgb(0, 0, 0)"}


async def test_a_slip_can_be_looked_at_on_a_telephone_without_script(house: House, window: Window) -> None:
    html = slip("Elm", None, InviteCode("ABCD2345"), Language.ENGLISH, "https://hospitium.example", None)
    async with window(**PHONE, java_script_enabled=False) as seen:
        page = seen.page
        await page.route("**/slip", lambda route: route.fulfill(content_type="text/html", body=html))
        await page.goto("/slip")
        assert not await page.locator(".print button").is_visible()
        assert "Ctrl + P" in await page.inner_text(".print")
        box = await page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= 360
        assert (await page.inner_text(".code")).split() == ["ABCD", "2345"]


async def _is_there(page: Page, what: str) -> None:
    await page.wait_for_selector(what, state="attached")
