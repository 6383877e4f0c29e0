"""The tests of FHIR resources have a built-in FHIR server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.fhir_resources.clinic import Clinic

if TYPE_CHECKING:
    from engine.ground import Ground


@pytest.fixture
async def clinic(ground: Ground) -> Clinic:
    """A built-in FHIR server of Northside with nothing in it."""
    return await Clinic.open(ground)
