"""What a real browser makes of a record: on a telephone and enlarged, at night, on paper, by keyboard; and of what a clinic calls things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from browser.conftest import PHONE, Window
from browser.looking import must_be_readable
from browser.test_console import PAYLOADS
from browser.test_invites import WIDE_AND_DARK, enters, sees
from cast import House
from clinic import JANE, JIMMY, Clinic
from doors.console.records import hostile, reads, summary, tells
from doors.console.test_my_record import MINE, lets_in, opened
from hospitium.doors.patient_summary import Unreadable, Why

if TYPE_CHECKING:
    from playwright.async_api import Page

ENLARGED = {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}
"""A screen of 1280 pixels at 200 %."""


@pytest_asyncio.fixture(loop_scope="session")
async def clinic(house: House) -> Clinic:
    await house.rows("UPDATE organizations SET phone = '+1 555 0100' WHERE code = 'northside'")
    return await Clinic.open(house)


async def a_record(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Have pat look after two, one of them with rui, and some of the house look at one; return the ids of her grant and of herself."""
    grant_id, person_id = await opened(clinic)
    await opened(clinic, JIMMY, firstName="Jimmy", relationship="Child")
    await lets_in(clinic.house, person_id)
    for kind in ("Patient", "Condition", "Observation"):
        await reads(clinic, "pat", JANE, kind)
    await reads(clinic, "ben", JANE, "MedicationRequest")
    await reads(clinic, None, JANE, "Observation", count=40)
    tells(monkeypatch, summary())
    return grant_id, person_id


@pytest.mark.parametrize(
    "how", [PHONE, WIDE_AND_DARK, ENLARGED, {"locale": "es-ES", "viewport": {"width": 320, "height": 640}}]
)
async def test_every_page_of_it_is_readable_however_it_is_looked_at(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch, how: Any
) -> None:
    grant_id, person_id = await a_record(clinic, monkeypatch)
    async with window(**how) as seen:
        page = seen.page
        await enters(seen)
        lang = "es" if "locale" in how else "en"
        for path in (
            MINE,
            f"{MINE}/{grant_id}",
            f"{MINE}/{grant_id}/end",
            f"/console/persons/{person_id}/reads",
            f"/console/persons/{person_id}/accounts/{house.accounts['rui']}/end",
        ):
            await page.goto(f"{path}?lang={lang}")
            await sees(page, "h1")
        tells(monkeypatch, Unreadable(Why.AWAY))
        await page.goto(f"{MINE}/{grant_id}")
        await sees(page, "[role=alert]")
        seen.must_be_clean()


async def test_a_chart_is_a_picture_with_words_and_its_values_a_table(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await a_record(clinic, monkeypatch)
    async with window(**PHONE) as seen:
        page = seen.page
        await enters(seen)
        await page.goto(f"{MINE}/{grant_id}")
        weight = page.get_by_role(
            "img", name=re.compile("Chart of Body weight: 19 values, from .* the lowest is 56.6 kg")
        )
        box = await weight.bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["height"] > 70
        line = await weight.locator(".line").evaluate("e => [getComputedStyle(e).stroke, e.getTotalLength()]")
        assert line[0] != "none"
        assert line[1] > 250
        row = page.get_by_role("row").filter(has_text="59.5 kg").first
        assert not await row.is_visible()
        await page.get_by_text("All 19 values: Body weight").click()
        assert await row.is_visible()
        await must_be_readable(page)
        seen.must_be_clean()


async def test_by_keyboard_alone_an_access_is_ended(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_record(clinic, monkeypatch)
    async with window(java_script_enabled=True) as seen:
        page = seen.page
        await enters(seen)
        await page.goto(MINE)
        await _goes_to(page, "End my access to this record: Northside Family Practice")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("input[name=step][value=do]", state="attached")
        await _goes_to(page, "End the access")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".outcome")
        assert "The access has ended" in await page.inner_text("h1")
        seen.must_be_clean()


async def test_without_script_it_is_the_same(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await a_record(clinic, monkeypatch)
    async with window(**PHONE, java_script_enabled=False) as seen:
        page = seen.page
        await enters(seen)
        await page.goto(MINE)
        await page.click(f"a[href*='{grant_id}?']")
        await page.get_by_text("All 19 values: Body weight").click()
        assert await page.get_by_role("row").filter(has_text="59.5 kg").first.is_visible()
        await page.get_by_role("link", name="End my access to this record").click()
        await page.get_by_role("button", name="End the access").click()
        await page.wait_for_selector(".outcome")
        seen.must_be_clean()


async def test_on_paper_all_of_it_is_there(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await a_record(clinic, monkeypatch)
    async with window(color_scheme="dark") as seen:
        page = seen.page
        await enters(seen)
        await page.goto(f"{MINE}/{grant_id}")
        await page.emulate_media(media="print", color_scheme="light")
        assert await page.get_by_role("row").filter(has_text="59.5 kg").first.is_visible()
        assert await page.locator(".chart").first.is_visible()
        assert not await page.locator(".button").first.is_visible()
        assert not await page.locator(".who").is_visible()
        printed = await page.pdf(format="A4")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) < 25
        seen.must_be_clean()


async def test_what_a_clinic_says_does_nothing(
    house: House, clinic: Clinic, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, person_id = await a_record(clinic, monkeypatch)
    async with window() as seen:
        page = seen.page
        await enters(seen)
        for payload in PAYLOADS:
            tells(monkeypatch, hostile(payload))
            await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", payload)
            await house.rows("UPDATE persons SET first_name = $1", payload)
            await house.rows("UPDATE accounts SET first_name = $1", payload)
            for path in (f"{MINE}/{grant_id}", MINE, f"/console/persons/{person_id}/reads"):
                await page.goto(path)
                await page.wait_for_selector("h1")
                assert payload in await page.inner_text("main")
            seen.must_be_clean()


async def _goes_to(page: Page, name: str) -> None:
    """Press the tabulator until something of this name has the focus, and can be seen to."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        found = await page.evaluate(
            "[document.activeElement.ariaLabel ?? document.activeElement.textContent.trim(), getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert found[1] != "none", found
        if found[0] == name:
            return
    raise AssertionError(f"The keyboard doesn't come to {name!r}.")
