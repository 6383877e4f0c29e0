"""A clinic for stories about invites: northside's FHIR server with a few patients, and what people do with its invites.

Of northside, ada administers the server, ben (physician) may write there, mia (member) may nothing; pat is nobody's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import Given
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    import httpx

    from cast import Caller, House
    from hospitium.engine.context import Context

QUESTION, ANSWER = "What is the name of your first pet?", "Charlie"
SSN = "http://hl7.org/fhir/sid/us-ssn"
PATIENTS: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Patient",
        "id": "d1f84545-5981-4250-80d6-a99f8be0d716",
        "identifier": [{"system": SSN, "value": "900111222"}, {"system": "urn:mrn", "value": "N-1"}],
        "name": [{"use": "official", "given": ["Jane"], "family": "Doe"}],
        "gender": "female",
        "birthDate": "1990-02-01",
        "address": [{"line": ["12 Canary Lane"], "city": "Dayton"}],
        "telecom": [{"system": "phone", "value": "+1 555 0100"}],
    },
    {
        "resourceType": "Patient",
        "id": "jimmy",
        "identifier": [{"system": SSN, "value": "900333444"}, {"system": "urn:shared", "value": "same"}],
        "name": [{"given": ["Jimmy"], "family": "Doe"}],
        "gender": "male",
        "birthDate": "2015-06-30",
    },
    {
        "resourceType": "Patient",
        "id": "twin.of-jimmy",
        "identifier": [{"system": "urn:shared", "value": "same"}],
        "name": [{"given": ["Jimmy"], "family": "Doe"}],
        "gender": "male",
        "birthDate": "2015-07-01",
    },
    {"resourceType": "Patient", "id": "gone", "active": False, "name": [{"family": "Gone"}]},
    {
        "resourceType": "Patient",
        "id": "merged",
        "name": [{"family": "Merged"}],
        "link": [{"other": {"reference": "Patient/jimmy"}, "type": "replaced-by"}],
    },
)
JANE, JIMMY = PATIENTS[0]["id"], PATIENTS[1]["id"]


async def add_server(
    house: House, organization: str = "northside", name: str = "Good Health Clinic", **form: Any
) -> UUID:
    """Add a FHIR server to an organization of the world, built-in unless said otherwise; return its id."""
    kind = ServerKind.REMOTE if "base_url" in form else ServerKind.BUILT_IN

    async def deed(ctx: Context) -> UUID:
        return (
            await servers.create(ctx, house.organizations[organization], ServerForm(name, kind, **form))
        ).id

    return await house.operate(deed, Permission.KEEP_FHIR_SERVERS)


async def load(house: House, server_id: UUID, *given: dict[str, Any]) -> None:
    """Load resources into a built-in FHIR server."""
    asked = [Given(f"resource[{i}].", None, deepcopy(one)) for i, one in enumerate(given)]
    prepared = list(prepare(asked, together(asked)))
    await house.operate(lambda ctx: resources.load(ctx, server_id, prepared), Permission.LOAD_RESOURCES)


class Clinic:
    """Northside, its FHIR server, and its invites."""

    def __init__(self, house: House, server_id: UUID) -> None:
        self.house = house
        self.server_id = server_id

    @classmethod
    async def open(cls, house: House) -> Clinic:
        """Set the clinic up in a house."""
        clinic = cls(house, await add_server(house))
        await load(house, clinic.server_id, *PATIENTS)
        return clinic

    @property
    def context(self) -> dict[str, str]:
        """The header that names the FHIR server, as `Caller.post` takes it."""
        return {"FhirServerId-Context": str(self.server_id)}

    async def invites_by_code(
        self, who: Caller | None = None, patient: str = JANE, **more: Any
    ) -> httpx.Response:
        body = {
            "securityQuestion": QUESTION,
            "securityAnswer": ANSWER,
            "accessiblePatientId": patient,
            **more,
        }
        return await (who or self.house.ben).post(
            "/OrganizationInvites/security-details/create", body, **self.context
        )

    async def invites_by_email(
        self, email: str, who: Caller | None = None, patient: str = JANE, **more: Any
    ) -> httpx.Response:
        body = {
            "userEmail": email,
            "firstName": "Jane",
            "lastName": "Doe",
            "accessiblePatientId": patient,
            **more,
        }
        return await (who or self.house.ben).post(
            "/OrganizationInvites/user-details/create", body, **self.context
        )

    async def sees_sent(self, who: Caller | None = None, **query: Any) -> httpx.Response:
        caller = who or self.house.ben
        return await caller.http.get(
            "/OrganizationInvites/sent", params=query or None, headers={**caller.headers, **self.context}
        )


async def asks_question(who: Caller, code: str) -> httpx.Response:
    return await who.get(f"/OrganizationInvites/security-details/code/{code}/security-question")


async def registers(
    who: Caller, code: str, email: str, answer: str = ANSWER, password: str = "P@ssw0rd123", **user: Any
) -> httpx.Response:
    return await who.post(
        f"/OrganizationInvites/security-details/code/{code}/register",
        {
            "securityCode": code,
            "securityAnswer": answer,
            "user": {
                "email": email,
                "password": password,
                "confirmPassword": password,
                "firstName": "Jane",
                "lastName": "Doe",
                **user,
            },
        },
    )


async def finds(who: Caller, code: str, answer: str = ANSWER) -> httpx.Response:
    return await who.post(
        "/OrganizationInvites/security-details/find", {"securityCode": code, "securityAnswer": answer}
    )


async def accepts_by_code(who: Caller, code: str, person_id: str, answer: str = ANSWER) -> httpx.Response:
    return await who.post(
        f"/OrganizationInvites/security-details/code/{code}/accept",
        {"securityCode": code, "securityAnswer": answer, "personId": person_id},
    )


async def accepts(who: Caller, invite_id: str, person_id: str) -> httpx.Response:
    return await who.post(
        f"/OrganizationInvites/{invite_id}/accept", {"id": invite_id, "personId": person_id}
    )


async def makes_person(who: Caller, **more: Any) -> str:
    """Make a person; return its id."""
    body = {"firstName": "Jane", "lastName": "Doe", "gender": "Female", "birthDate": "1990-02-01", **more}
    answered = await who.post("/Persons", body)
    assert answered.status_code == 200, answered.text
    return str(answered.json()["id"])


async def signs_in(house: House, email: str, password: str = "P@ssw0rd123") -> Caller:
    """Sign in as somebody who registered; return the caller."""
    from cast import Caller  # noqa: PLC0415  the cast knows nothing of clinics

    answered = await house.stranger.post("/v1/sessions", {"email": email, "password": password})
    assert answered.status_code == 200, answered.text
    return Caller(house.http, answered.json()["accessToken"])


def body(answered: httpx.Response, status: int = 200) -> Any:
    """Return the JSON of an answer, and insist on its status."""
    assert answered.status_code == status, answered.text
    return msgspec.json.decode(answered.content)


def problem(answered: httpx.Response, status: int, kind: str) -> Any:
    """Return a problem of RFC 9457, and insist on its status and kind."""
    assert answered.headers["content-type"] == "application/problem+json", answered.text
    told = msgspec.json.decode(answered.content)
    assert (answered.status_code, told["type"]) == (status, f"urn:hospitium:problem:{kind}"), answered.text
    assert told["status"] == status
    return told
