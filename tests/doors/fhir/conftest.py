"""Wards, of either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doors.fhir.ward import JANES, JIMMYS, SHARED, Upstream, Ward, built_in, remote
from fakes.evil_fhir import EvilFhir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House


@pytest.fixture(params=["built-in", "remote"])
async def ward(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Ward]:
    """A ward where jan was granted jane's record."""
    kept = (*JANES, *SHARED, *JIMMYS)
    if request.param == "built-in":
        found = await built_in(house, *kept)
        await found.grant()
        yield found
        return
    async with EvilFhir.open(Upstream(kept)) as evil:
        found = await remote(house, evil)
        await found.grant()
        evil.heard.clear()
        yield found
