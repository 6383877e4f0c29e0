from __future__ import annotations

import pytest

from cast import House
from doors.authzen.asking import Application


@pytest.fixture
async def app(house: House) -> Application:
    return await Application.open(house)
