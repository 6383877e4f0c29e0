"""A record as a FHIR server would tell it, for the pages that show one: of our own synthetic patients, whole or of any shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import patient_summary
from hospitium.doors.cli.synthetic import patients
from hospitium.doors.patient_summary import MOST_OF_A_KIND, Summary
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.permissions import Permission
from hospitium.engine.reads import actions
from hospitium.engine.reads.record import Interaction, Read, Reading

if TYPE_CHECKING:
    from uuid import UUID

    import pytest

    from cast import House
    from clinic import Clinic
    from hospitium.doors.patient_summary import Unreadable
    from hospitium.engine.context import Context

GRACE = 4
"""Of the synthetic patients, one with a chart of everything but allergies; the first has an allergy."""


def summary(number: int = GRACE) -> Summary:
    """Return what is told of one of the synthetic patients."""
    bundle = patients(number)[number - 1]
    of = {
        kind: [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind][
            -MOST_OF_A_KIND:
        ]
        for kind in (
            "Patient",
            "Condition",
            "MedicationRequest",
            "Immunization",
            "AllergyIntolerance",
            "Observation",
        )
    }
    return Summary(of["Patient"][0], *list(of.values())[1:])


def hostile(word: str) -> Summary:
    """Return a record in which every word a clinic can choose is this one."""
    code = {"text": word, "coding": [{"system": word, "code": word, "display": word}]}
    quantity = {"value": 7, "unit": word, "comparator": word}
    entry: dict[str, Any] = {
        "code": code, "clinicalStatus": code, "verificationStatus": code, "severity": code, "onsetDateTime": word, "onsetString": word,
        "status": word, "intent": word, "medicationCodeableConcept": code, "dosageInstruction": [{"text": word}], "authoredOn": word,
        "vaccineCode": code, "occurrenceString": word, "statusReason": code, "criticality": word,
        "reaction": [{"manifestation": [code], "substance": code}],
    }  # fmt: skip
    observed = {
        "code": code, "valueQuantity": quantity, "effectiveDateTime": "2020-01-01", "note": [{"text": word}],
        "referenceRange": [{"low": quantity, "high": quantity, "text": word}], "interpretation": [code], "status": word,
    }  # fmt: skip
    drawn = [{**observed, "effectiveDateTime": f"202{n}", "valueQuantity": {"value": n, "unit": word}} for n in range(3)]  # fmt: skip
    told = {**observed, "valueQuantity": None, "valueString": word}
    patient = {"name": [{"text": word, "family": word, "given": [word]}], "birthDate": word, "gender": word}
    return Summary(patient, [entry], [entry], [entry], [entry], [*drawn, observed, {**told, "code": word}])


def tells(monkeypatch: pytest.MonkeyPatch, told: Summary | Unreadable) -> list[tuple[UUID, str]]:
    """Have every record told so; return which were asked for."""
    asked: list[tuple[UUID, str]] = []

    async def tell(_: object, server_id: UUID, patient_id: str) -> Summary | Unreadable:
        asked.append((server_id, patient_id))
        return told

    monkeypatch.setattr(patient_summary, "patient_summary", tell)
    return asked


async def reads(clinic: Clinic, who: str | None, patient: str, kind: str = "Condition", **more: Any) -> None:
    """Put a read on record: of somebody of the cast (staff of northside, if he is), or of a program of northside."""
    house: House = clinic.house
    northside, staff = house.northside, who in ("ada", "ben")
    actor = (
        Actor(ActorKind.SERVICE_KEY, organization_id=northside)
        if who is None
        else Actor(
            ActorKind.ACCOUNT,
            account_id=house.accounts[who],
            organization_id=northside if staff else None,
        )
    )
    read = Read(
        clinic.server_id,
        northside,
        for_organizations=[northside] if staff else [],
        **{"interaction": Interaction.SEARCH, "type": kind, "patient_ids": [patient], "count": 3, **more},
    )

    async def deed(ctx: Context) -> None:
        await actions.record_all(ctx, [Reading(actor, read)])

    await house.operate(deed, Permission.IMPORT_WORLD)
