"""Two patients whose records differ, on a built-in FHIR server and on a remote one that filters nothing; jan sees one of them.

jane's record is jan's to see. jimmy's is not: every word of his holds `CANARY`, which may be in nothing that jan, the log or the trail is
told.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clinic import JANE, JIMMY, add_server, body, load
from fakes.evil_fhir import CANARY, EvilFhir, answering, entry, outcome, page, resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from uuid import UUID

    import httpx

    from cast import Caller, House

PAT, MED, PRACTITIONER, OTHERS_PRACTITIONER = f"Patient/{JANE}", "med-1", "dr-house", f"dr-{CANARY}"


def observation(id_: str, subject: str, day: int = 1, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": f"2024-01-{day:02}",
        "valueQuantity": {"value": 60 + day, "unit": "/min"},
        **members,
    }


JANES: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Patient",
        "id": JANE,
        "name": [{"family": "Doe", "given": ["Jane"]}],
        "gender": "female",
    },
    *(observation(f"j-{day}", JANE, day) for day in range(1, 6)),
    observation(
        "j-by-house", JANE, 6, performer=[{"reference": f"Practitioner/{PRACTITIONER}", "display": "House"}]
    ),
    observation("j-names-jimmy", JANE, 7, focus=[{"reference": f"Patient/{JIMMY}", "display": CANARY}]),
    {
        "resourceType": "Condition",
        "id": "c-1",
        "code": {"text": "Asthma"},
        "subject": {"reference": PAT},
        "onsetDateTime": "2020-05-01",
    },
    {
        "resourceType": "AllergyIntolerance",
        "id": "a-1",
        "code": {"text": "Peanut"},
        "patient": {"reference": PAT},
    },
)
SHARED: tuple[dict[str, Any], ...] = (
    {"resourceType": "Practitioner", "id": PRACTITIONER, "name": [{"family": "House"}]},
    {"resourceType": "Practitioner", "id": OTHERS_PRACTITIONER, "name": [{"family": CANARY}]},
)
JIMMYS: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "id": JIMMY, "name": [{"family": CANARY}], "gender": "male"},
    *(observation(f"ax-{day}", JIMMY, day, note=[{"text": CANARY}]) for day in range(1, 8)),
    observation("x-by", JIMMY, 8, performer=[{"reference": f"Practitioner/{OTHERS_PRACTITIONER}"}]),
    # About jimmy; that jane told of it makes it none of hers (threats F-03).
    {
        "resourceType": "AllergyIntolerance",
        "id": "x-told-by-jane",
        "code": {"text": CANARY},
        "patient": {"reference": f"Patient/{JIMMY}"},
        "asserter": {"reference": PAT},
        "recorder": {"reference": PAT},
    },
    # About both: who may not see both, sees nothing of it.
    {
        "resourceType": "Account",
        "id": "x-both",
        "status": "active",
        "name": CANARY,
        "subject": [{"reference": PAT}, {"reference": f"Patient/{JIMMY}"}],
    },
    # In jane's by its subject, and jimmy's by what it contains.
    observation(
        "x-contained",
        JANE,
        9,
        contained=[observation("inner", JIMMY, 1, note=[{"text": CANARY}])],
        hasMember=[{"reference": "#inner"}],
    ),
)


class Upstream:
    """A FHIR server that gives all it has of a type, whatever it is asked."""

    def __init__(self, kept: Iterable[dict[str, Any]]) -> None:
        self.kept = list(kept)

    async def __call__(self, caller: Any) -> None:
        split = urlsplit(caller.heard.target)
        type_, _, id_ = split.path.removeprefix("/fhir/").partition("/")
        found = [one for one in self.kept if one["resourceType"] == type_ and id_ in ("", one["id"])]
        if id_ and not found:
            await answering(json.dumps(outcome()).encode(), status="404 Not Found")(caller)
        elif id_:
            await resource(found[0])(caller)
        else:
            await resource(page(*map(entry, found), total=len(found)))(caller)


class Ward:
    """A FHIR server in a house, and jan, who was granted jane's record there."""

    def __init__(self, house: House, server_id: UUID, evil: EvilFhir | None = None) -> None:
        self.house = house
        self.server_id = server_id
        self.evil = evil
        self.jan: Caller = house.callers["pat"]

    @property
    def targets(self) -> list[str]:
        return [] if self.evil is None else self.evil.targets

    async def get(self, path: str, who: Caller | None = None, **headers: str) -> httpx.Response:
        return await (who or self.jan).send("GET", f"/fhir/{self.server_id}/{path}", **headers)

    async def grant(self, patient: str = JANE) -> None:
        """Have jan accept an invite to a patient's record."""
        made = await self.house.ben.post(
            "/OrganizationInvites/user-details/create",
            {
                "userEmail": "pat@mail.example",
                "firstName": "Jane",
                "lastName": "Doe",
                "accessiblePatientId": patient,
            },
            FhirServerId_Context=str(self.server_id),
        )
        invite = body(made)
        person = body(
            await self.jan.post(
                "/Persons",
                {"firstName": "Jane", "lastName": "Doe", "gender": "Female", "birthDate": "1990-02-01"},
            )
        )["id"]
        body(
            await self.jan.post(
                f"/OrganizationInvites/{invite['id']}/accept", {"id": invite["id"], "personId": person}
            )
        )


async def built_in(house: House, *resources: dict[str, Any]) -> Ward:
    """Open a ward whose FHIR server is ours."""
    server_id = await add_server(house)
    await load(house, server_id, *resources)
    return Ward(house, server_id)


async def remote(house: House, evil: EvilFhir) -> Ward:
    """Open a ward whose FHIR server is elsewhere."""
    server_id = await add_server(house, base_url=evil.base, allow_private_address=True)
    return Ward(house, server_id, evil)


@asynccontextmanager
async def granted(
    house: House, kind: str, kept: Sequence[dict[str, Any]], upstream: Any
) -> AsyncIterator[Ward]:
    """Open a ward of a kind where jan was granted jane's record; what is elsewhere answers as `upstream` does, and has heard nothing yet."""
    if kind == "built-in":
        found = await built_in(house, *kept)
        await found.grant()
        yield found
        return
    async with EvilFhir.open(upstream(kept)) as evil:
        found = await remote(house, evil)
        await found.grant()
        evil.heard.clear()
        yield found
