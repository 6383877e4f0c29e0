"""A patient found merged, gone or inactive: the grants on him count for nothing until an administrator confirms (threats F-20)."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.ground import Ground
from engine.reads.test_record import Ward
from hospitium.engine.access.check import Question, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.errors import Forbidden, NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.levels import Level
from hospitium.engine.reads.record import party_of_patient
from hospitium.engine.suspensions import actions, queries
from hospitium.engine.suspensions.record import SuspensionReason

MERGED, GONE, INACTIVE = SuspensionReason.MERGED, SuspensionReason.GONE, SuspensionReason.INACTIVE


@pytest.fixture
async def ward(ground: Ground) -> Ward:
    return await Ward.open(ground)


async def may(ward: Ward, who: str, patient: str = "jane") -> bool:
    asked = Question(
        SubjectKind.ACCOUNT, ward.ground.actors[who].account_id, Level.READ, ResourceKind.PATIENT, patient, "", ward.server  # type: ignore[arg-type]
    )  # fmt: skip
    return isinstance(await ward.ground.does("system", check, asked), Allowed)


async def suspends(ward: Ward, reason: SuspensionReason, who: str = "pat", patient: str = "jane") -> Any:
    return await ward.ground.does(who, actions.suspend_patient, ward.server, patient, reason)


async def confirms(ward: Ward, who: str = "ada", patient: str = "jane", server: UUID | None = None) -> Any:
    return await ward.ground.does(who, actions.confirm_patient, server or ward.server, patient)


@pytest.mark.parametrize("reason", SuspensionReason)
async def test_his_grants_count_for_nothing_until_an_administrator_confirms(
    ward: Ward, reason: SuspensionReason
) -> None:
    assert await may(ward, "pat")
    made = await suspends(ward, reason)
    assert (made.patient_id, made.reason, made.lifted_at) == ("jane", reason, None)
    assert not await may(ward, "pat")
    lifted = await confirms(ward)
    assert lifted.id == made.id
    assert lifted.lifted_at is not None
    assert await may(ward, "pat")
    assert await ward.ground.violations() == []


async def test_he_is_suspended_once_whoever_finds_it(ward: Ward) -> None:
    first = await suspends(ward, MERGED)
    assert first is not None
    assert await suspends(ward, GONE, "ben") is None
    assert len(await ward.ground.rows("SELECT FROM patient_suspensions")) == 1
    assert len(await ward.ground.rows("SELECT FROM events WHERE kind = 'patient.suspended'")) == 1
    assert len(await ward.ground.rows("SELECT FROM deliveries WHERE template = 'patient_suspended'")) == 1


async def test_what_was_confirmed_is_not_suspended_for_the_same_again_but_for_something_else(
    ward: Ward,
) -> None:
    for reason in (MERGED, INACTIVE):
        assert await suspends(ward, reason) is not None
        await confirms(ward)
        assert await suspends(ward, reason) is None
    assert await may(ward, "pat")


async def test_who_is_gone_again_is_suspended_again(ward: Ward) -> None:
    await suspends(ward, GONE)
    await confirms(ward)
    assert await suspends(ward, GONE) is not None
    assert not await may(ward, "pat")


async def test_others_and_the_same_id_elsewhere_are_not_touched(ward: Ward) -> None:
    await suspends(ward, MERGED, patient="jimmy")
    assert await may(ward, "pat")
    assert (await ward.ground.rows("SELECT fhir_server_id FROM patient_suspensions"))[0][0] == ward.server


async def test_only_an_administrator_of_the_servers_organization_confirms(ward: Ward) -> None:
    await suspends(ward, MERGED)
    for who, refusal in (("ben", Forbidden), ("mia", Forbidden), ("pat", Forbidden), ("rui", NotFound)):
        with pytest.raises(refusal):
            await confirms(ward, who)
    with pytest.raises(NotFound):
        await confirms(ward, patient="jimmy")
    with pytest.raises(NotFound):
        await confirms(ward, server=uuid4())
    assert not await may(ward, "pat")
    await confirms(ward)
    with pytest.raises(NotFound):
        await confirms(ward)


async def test_it_stands_in_the_trails_of_the_clinic_the_patient_and_his_person_and_of_no_employer(
    ward: Ward,
) -> None:
    await suspends(ward, MERGED, "rui")
    event = await ward.newest()
    assert event["kind"] == EventKind.PATIENT_SUSPENDED
    assert event["data"] == {"fhir_server": str(ward.server), "patient": "jane", "reason": "merged"}
    assert event["parties"] == sorted(
        [
            f"organization {ward.ground.northside}",
            f"account {ward.ground.actors['rui'].account_id}",
            f"person {ward.person}",
            f"patient {party_of_patient(ward.server, 'jane')}",
        ]
    )
    await confirms(ward)
    assert (await ward.newest())["kind"] == EventKind.PATIENT_CONFIRMED


async def test_its_administrators_see_the_open_ones(ward: Ward) -> None:
    made = [await suspends(ward, MERGED, patient=one) for one in ("jane", "jimmy", "june")]
    await confirms(ward, patient="jimmy")
    found = await ward.ground.does("ada", queries.page, ward.server, FIRST_ID, 10)
    assert [one.id for one in found] == [made[0].id, made[2].id]
    assert await ward.ground.does("ada", queries.page, ward.server, made[0].id, 10) == [made[2]]
    for who, refusal in (("ben", Forbidden), ("rui", NotFound)):
        with pytest.raises(refusal):
            await ward.ground.does(who, queries.page, ward.server, FIRST_ID, 10)
