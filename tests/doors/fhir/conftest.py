"""Wards, of either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doors.fhir.ward import JANES, JIMMYS, SHARED, Upstream, Ward, granted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House


@pytest.fixture(params=["built-in", "remote"])
async def ward(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Ward]:
    """A ward where jan was granted jane's record."""
    async with granted(house, request.param, (*JANES, *SHARED, *JIMMYS), Upstream) as found:
        yield found
