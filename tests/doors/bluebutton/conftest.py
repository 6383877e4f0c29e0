"""A house with a clinic in it."""

from __future__ import annotations

import pytest

from cast import House
from clinic import Clinic


@pytest.fixture
async def clinic(house: House) -> Clinic:
    """Northside with its FHIR server, in this test's house."""
    return await Clinic.open(house)
