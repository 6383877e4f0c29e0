"""What must always be true of FHIR servers, their grants and invites: `verify` names each of these when it isn't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cast import connected
from clinic import JIMMY, accepts, body, makes_person
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from cast import House
    from clinic import Clinic

BREAK = {
    "a server without its owner's grant": ("F1", "DELETE FROM grants WHERE is_owner AND resource_kind = 'fhir_server'"),
    "a server that was removed, with open grants": ("F1", "UPDATE fhir_servers SET removed_at = now() + interval '1 year'"),
    "a partner's grant after the partnership": ("F2", "UPDATE grants SET ends_at = greatest(starts_at, now()) WHERE cause_kind = 'partnership'"),
    "a partner's grant of more than reading": ("F2", "UPDATE grants SET level = 6 WHERE cause_kind = 'administrator'"),
    "an invite that names another patient's grant": ("I1", "UPDATE invites SET patient_id = 'jimmy' WHERE status = 'accepted'"),
    "a grant of an invite that is not accepted": (
        "I2",
        "UPDATE invites SET status = 'undone', ended_at = accepted_at WHERE status = 'accepted'",
    ),
    "an invite of another organization": (
        "I3",
        "UPDATE invites SET organization_id = (SELECT id FROM organizations WHERE code = 'harbor')",
    ),
    "a status that no event tells of": ("I4", "UPDATE invites SET version = version + 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAK)
async def test_verify_names(house: House, clinic: Clinic, what: str) -> None:
    code, sql = BREAK[what]
    await connected(house.ada, house.lakeside, house.rui)
    body(
        await house.ada.post(
            "/FhirServers/grants",
            {
                "entityType": "Organization",
                "entityId": str(house.lakeside),
                "fhirServerId": str(clinic.server_id),
                "role": "Read",
            },
        )
    )
    invite = body(await clinic.invites_by_email("pat@mail.example"))
    body(await clinic.invites_by_email("mia@northside.example", patient=JIMMY))
    body(await accepts(house.pat, invite["id"], await makes_person(house.pat)))
    await house.must_be_sound()
    async with house.database.transaction() as tx:
        # What a superuser can do by mistake: with the triggers off, nothing holds him back.
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(sql)
    async with house.database.transaction() as tx:
        found = await verify(tx, house.parts.rules, house.clock())
    assert code in {violation.code for violation in found}
