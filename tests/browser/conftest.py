"""A real browser, if there is one: Debian's Chromium, driven by Playwright. Without it these tests are skipped, and say so."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright
from pytest_asyncio import is_async_test

from cast import House, MovableClock

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None
)
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

Window = Callable[..., AbstractAsyncContextManager["Watched"]]


class Watched:
    """A page of a browser, and all that happened in it that should not."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.troubles: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda said: self.troubles.append(f"console: {said.text}") if said.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("dialog", lambda dialog: self.troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.asked.append(request.url))

    def must_be_clean(self, *, expected: tuple[str, ...] = ()) -> None:
        """Fail if a policy was violated, a script failed, or anything was asked of another place."""
        # A browser also says on its console which status a refused page has.
        troubles = [
            one for one in self.troubles if not any(f"status of {status}" in one for status in expected)
        ]
        assert troubles == []
        elsewhere = [url for url in self.asked if not url.startswith(f"{self.origin}/")]
        assert elsewhere == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)  # the browser's


@pytest_asyncio.fixture(loop_scope="session")
async def house(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[House]:
    """The house, in the loop that the browser is spoken to in."""
    async with House.open(database_url, clock, tmp_path / "keys") as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all; to begin one takes longer than most tests, and each window has a profile of its own."""
    if CHROMIUM is None:
        pytest.skip(
            "there is no chromium here, so nobody looks at the pages: `make programs` installs it on Debian"
        )
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield started
        finally:
            await started.close()


@pytest.fixture
def window(browser: Browser, house: House) -> Window:
    """Open a window at this house: `async with window(java_script_enabled=False) as watched`."""

    @asynccontextmanager
    async def opening(**options: Any) -> AsyncIterator[Watched]:
        context = await browser.new_context(
            base_url=house.base_url, **{"locale": "en-US", "color_scheme": "light", **options}
        )
        context.set_default_timeout(15_000)
        # Nothing a page asks for may leave this machine, whatever it is.
        await context.route(lambda url: not url.startswith(house.base_url), _refuse)
        page = await context.new_page()
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
        )
        try:
            yield Watched(page, house.base_url)
        finally:
            await context.close()

    return opening


async def _refuse(route: Route) -> None:
    await route.abort()
