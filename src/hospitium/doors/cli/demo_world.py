"""The made-up world of the demo: 300 organizations, their connections in every state, shared prescriptions in every state, a
clinic with the charts of 12 patients to which it invites, and people to sign in as.

Made by a small generator with fixed randomness, so that it is the same everywhere. Nobody in it exists.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hospitium.doors.cli.synthetic import patients
from hospitium.doors.cli.world import World, world_of
from hospitium.engine.service_keys.record import Scope

if TYPE_CHECKING:
    from pathlib import Path

ORGANIZATIONS = 300
PARTNERSHIPS = 240
PASSWORD = "correct horse battery"  # noqa: S105  the demo's, printed on the screen
SIGN_INS = (
    ("ada@northside.example", "administrator of Northside Family Practice, which refers patients"),
    ("rui@lakeside.example", "administrator of Lakeside Imaging, a radiology group"),
    ("ben@northside.example", "physician at Northside: may look at profiles, may not administer"),
    ("ivy@harbor.example", "physician and administrator of Harbor Clinic, which shares prescriptions"),
    (
        "pat@mail.example",
        "a patient: prescriptions are shared with her, one waits to be accepted, and an invite does",
    ),
    ("elena@mail.example", "a mother: reads her own record at Harbor Clinic, and is to get her son's"),
)
SHARING = "harbor"
SERVICE_KEY = "hsk_" + "Demo" * 10 + "App"  # as little a secret as the password

# Harbor Clinic's FHIR server, and three of the twelve on it (synthetic.py): two are invited to, one reads her own record.
PATIENTS = 12
FHIR_SERVER = "0d5e7a11-5c0c-4b0e-9a55-6f0d3d0e0001"
ELENA, MATEO, HAROLD = (f"https://{SHARING}.example/mrn|N0000{number}" for number in (1, 2, 3))
SON = "0d5e7a11-5c0c-4b0e-9a55-6f0d3d0e0002"  # Elena's, as a person she looks after
CODE, QUESTION, ANSWER = "HARB R2K7", "What is the name of Mateo's dog?", "Luna"

_PLACES = (
    ("Dayton", "OH", "45402"), ("Akron", "OH", "44308"), ("Toledo", "OH", "43604"), ("Ann Arbor", "MI", "48104"),
    ("Lansing", "MI", "48933"), ("Madison", "WI", "53703"), ("Green Bay", "WI", "54301"), ("Duluth", "MN", "55802"),
    ("Rochester", "MN", "55902"), ("Peoria", "IL", "61602"), ("Springfield", "IL", "62701"), ("Fort Wayne", "IN", "46802"),
    ("El Paso", "TX", "79901"), ("Laredo", "TX", "78040"), ("Santa Fe", "NM", "87501"), ("Tucson", "AZ", "85701"),
    ("Fresno", "CA", "93721"), ("San José", "CA", "95113"), ("Cañon City", "CO", "81212"), ("Spokane", "WA", "99201"),
)  # fmt: skip
_FIRST = (
    "Harbor", "Cedar", "Summit", "Riverside", "Maple", "Prairie", "Granite", "Willow", "Juniper", "Meadow", "Copper",
    "Canyon", "Heron", "Lighthouse", "Orchard", "Quarry", "Redwood", "Saguaro", "Thistle", "Valley", "Alder", "Birch",
    "Clínica Sol", "Clínica Luz", "Île Verte",
)  # fmt: skip
_KINDS = {
    "referring": (
        "Family Practice",
        "Internal Medicine",
        "Pediatrics",
        "Orthopedics",
        "Women's Health",
        "Primary Care",
    ),
    "radiology": ("Imaging", "Radiology", "Diagnostic Imaging", "MRI Center"),
    "both": ("Health", "Medical Center", "Clinic"),
}
_SPECIALTIES = {
    "referring": ("family medicine", "internal medicine", "pediatrics", "orthopedics", "obstetrics"),
    "radiology": ("radiology", "nuclear medicine", "mammography"),
    "both": ("family medicine", "radiology", "emergency medicine"),
}
_STREETS = ("Elm St", "Oak Ave", "Main St", "2nd St", "Lake Dr", "Mill Rd", "Station Sq")


def world() -> World:
    """Return the demo world."""
    return world_of(
        {
            "organizations": _organizations(),
            "accounts": _accounts(),
            "partnerships": _partnerships(),
            "teams": [
                {"organization": SHARING, "name": "Cardiology", "owner": "ivy@harbor.example", "members": ["max@harbor.example"]}
            ],
            "objectTypes": [
                {"organization": SHARING, "name": "c_prescription", "pluralName": "c_prescriptions", "label": "Prescription",
                 "allowConnections": True, "shareChain": [5, 4, 2]},
                {"organization": SHARING, "name": "c_scan", "pluralName": "c_scans", "label": "Scan", "storage": "external",
                 "allowConnections": True, "connectionOptions": {"requireAccept": False, "sendNotifications": False}},
            ],
            "records": _records(),
            "shares": _shares(),
            "fhirServers": [
                {"organization": SHARING, "id": FHIR_SERVER, "name": "Harbor Clinic", "kind": "built-in",
                 "resources": patients(PATIENTS, clinic=f"https://{SHARING}.example", clinic_name="Harbor Clinic")},
            ],
            "serviceKeys": [
                {"organization": SHARING, "name": "demo-app", "scopes": [scope.value for scope in Scope], "key": SERVICE_KEY}
            ],
            "persons": _persons(),
            "invites": _invites(),
        }
    )  # fmt: skip


def introduction(address: str, data: Path) -> str:
    """Return what the demo prints once it serves at an address, with its data in a directory."""
    people = "\n".join(f"    {email:24}{who}" for email, who in SIGN_INS)
    return f"""
Hospitium serves at {address}

Sign in as (password: {PASSWORD})
{people}

Ask as an application of Harbor Clinic, in place of a session (service key):
    {SERVICE_KEY}

First calls to try, in another terminal:

    TOKEN=$(curl -s {address}/api/auth/login -H 'Content-Type: application/json' \\
        -d '{{"email": "{SIGN_INS[0][0]}", "password": "{PASSWORD}"}}' \\
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["token"])')

    curl -s "{address}/api/organizations/search?q=imaging&limit=3" -H "Authorization: Bearer $TOKEN"
    curl -s {address}/api/connections/established -H "Authorization: Bearer $TOKEN"
    curl -s {address}/api/connections/incoming -H "Authorization: Bearer $TOKEN"

Prescriptions that are shared with somebody, and those that are not:

    PAT=$(curl -s {address}/v1/sessions -H 'Content-Type: application/json' \\
        -d '{{"email": "pat@mail.example", "password": "{PASSWORD}"}}' \\
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["accessToken"])')

    curl -s {address}/{SHARING}/v2/c_prescriptions -H "Authorization: Bearer $PAT"
    curl -s "{address}/{SHARING}/v2/connections?state=0" -H "Authorization: Bearer $PAT"
    curl -s -X POST {address}/{SHARING}/v2/connections/THE-TOKEN-OF-IT -H "Authorization: Bearer $PAT"

{_of_a_mother(address)}
Whoever has no account registers with the code. In a browser it is typed at {address}/console/code
and what waits for pat@mail.example, who looks after her father, is at {address}/console/invites

Register somebody, and read the mail that confirms the address; its link opens a page:

    curl -s {address}/v1/accounts -H 'Content-Type: application/json' \\
        -d '{{"email": "eve@mail.example", "password": "a quiet green harbour"}}'
    HOSPITIUM_DATA={data} hospitium mailbox show latest

Everything this server can be asked is described at {address}/openapi

Stop with Ctrl-C; this world is then gone.
"""


def _of_a_mother(address: str) -> str:
    return f"""\
Harbor Clinic has handed a slip to the mother of Mateo, a patient: code {CODE}, and she knows the answer ({ANSWER}) to its
question. Signed in, she accepts the invite for her son, and what she may read are two records, her own and his:

    curl -s {address}/OrganizationInvites/security-details/code/{_TYPED}/security-question

    ELENA=$(curl -s {address}/v1/sessions -H 'Content-Type: application/json' \\
        -d '{{"email": "elena@mail.example", "password": "{PASSWORD}"}}' \\
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["accessToken"])')

    curl -s {address}/Persons -H "Authorization: Bearer $ELENA"
    curl -s {address}/OrganizationInvites/security-details/code/{_TYPED}/accept \\
        -H "Authorization: Bearer $ELENA" -H 'Content-Type: application/json' \\
        -d '{{"securityCode": "{_TYPED}", "securityAnswer": "{ANSWER}", "personId": "{SON}"}}'
    curl -s {address}/FhirServers/records -H "Authorization: Bearer $ELENA"

Any FHIR client reads these two and nothing else at {address}/fhir/{FHIR_SERVER}
and whoever reads her son's is told to her; for the eye it is all at {address}/console/my-record

    curl -s {address}/fhir/{FHIR_SERVER}/Patient -H "Authorization: Bearer $ELENA"
    curl -s "{address}/fhir/{FHIR_SERVER}/Observation?_sort=-date&_count=3" -H "Authorization: Bearer $ELENA"
    curl -s {address}/v1/persons/{SON}/reads -H "Authorization: Bearer $ELENA"
"""


_TYPED = CODE.replace(" ", "")


def _organizations() -> list[dict[str, Any]]:
    chance = random.Random(300)  # noqa: S311  a fixed world, no secret
    made = [
        _organization(chance, "northside", "Northside Family Practice", "referring", 0),
        _organization(chance, "lakeside", "Lakeside Imaging", "radiology", 1),
        _organization(chance, SHARING, "Harbor Clinic", "both", 2),
    ]
    names = {organization["name"] for organization in made}
    while len(made) < ORGANIZATIONS:
        kind = chance.choices(("referring", "radiology", "both"), (6, 3, 1))[0]
        place = chance.randrange(len(_PLACES))
        name = f"{chance.choice(_FIRST)} {chance.choice(_KINDS[kind])}"
        if name in names:
            name = f"{name} of {_PLACES[place][0]}"
        if name in names:
            continue
        names.add(name)
        made.append(_organization(chance, f"org-{len(made):03}", name, kind, place))
    made[-1]["status"] = "pending"
    made[-2]["status"] = "suspended"
    return made


def _organization(chance: random.Random, code: str, name: str, kind: str, place: int) -> dict[str, Any]:
    city, state, zip_code = _PLACES[place]
    return {
        "code": code,
        "name": name,
        "type": kind,
        "npi": str(1_000_000_000 + chance.randrange(999_999_999)),
        "address": f"{chance.randrange(1, 900)} {chance.choice(_STREETS)}",
        "city": city,
        "state": state,
        "zipCode": zip_code,
        "phone": f"+1 555 01{chance.randrange(100):02} {chance.randrange(10_000):04}",
        "website": f"https://{code}.example",
        "contactEmail": f"desk@{code}.example",
        "specialties": sorted(chance.sample(_SPECIALTIES[kind], 2)),
    }


def _accounts() -> list[dict[str, Any]]:
    def one(email: str, first: str, last: str, organization: str, role: str) -> dict[str, Any]:
        memberships = [{"organization": organization, "role": role}]
        return {"email": email, "password": PASSWORD, "firstName": first, "lastName": last, "verified": True, "memberships": memberships}  # fmt: skip

    return [
        one(SIGN_INS[0][0], "Ada", "Park", "northside", "admin"),
        one(SIGN_INS[1][0], "Rui", "Okafor", "lakeside", "admin"),
        one(SIGN_INS[2][0], "Ben", "Lindqvist", "northside", "physician"),
        one("ivy@harbor.example", "Ivy", "Moreau", SHARING, "admin"),
        one("max@harbor.example", "Max", "Obi", SHARING, "physician"),
        one("pat@mail.example", "Pat", "Doe", SHARING, "member"),
        one("sam@mail.example", "Sam", "Doe", SHARING, "member"),
        {"email": "elena@mail.example", "password": PASSWORD, "firstName": "Elena", "lastName": "Peña", "verified": True},
    ]  # fmt: skip


_DRUGS = (
    ("aspirin", "100 mg", "once a day"), ("metformin", "500 mg", "twice a day"), ("lisinopril", "10 mg", "once a day"),
    ("amoxicillin", "500 mg", "three times a day"), ("ibuprofen", "400 mg", "when needed"), ("levothyroxine", "50 µg", "in the morning"),
    ("omeprazole", "20 mg", "before breakfast"), ("salbutamol", "100 µg", "when needed"), ("sertraline", "50 mg", "once a day"),
)  # fmt: skip
# Of each prescription: with whom it was shared, and how that stands.
_STATES = ("active", "pending", "declined", "withdrawn", "left", "revoked", "expired")


def _records() -> list[dict[str, Any]]:
    of_ivy = {"organization": SHARING, "owner": "ivy@harbor.example"}
    prescriptions = [
        {
            **of_ivy,
            "type": "c_prescription",
            "externalId": f"rx-{number}",
            "body": {"drug": drug, "dose": dose, "take": take},
        }
        for number, (drug, dose, take) in enumerate(_DRUGS, start=1)
    ]
    return [*prescriptions, {**of_ivy, "type": "c_scan", "externalId": "scan-1"}]


def _shares() -> list[dict[str, Any]]:
    made = {"organization": SHARING, "type": "c_prescription", "by": "ivy@harbor.example"}
    return [
        *(
            {**made, "record": f"rx-{number}", "to": "pat@mail.example", "access": 4, "status": status}
            for number, status in enumerate(_STATES, start=1)
        ),
        {**made, "record": "rx-8", "team": "Cardiology", "access": 4, "status": "active"},
        {**made, "record": "rx-8", "to": "pat@mail.example", "access": 5, "status": "active"},
        {
            **made,
            "record": "rx-8",
            "by": "pat@mail.example",
            "to": "sam@mail.example",
            "access": 4,
            "status": "active",
        },
        {**made, "record": "rx-9", "to": "nobody.yet@mail.example", "access": 4},
    ]


def _persons() -> list[dict[str, Any]]:
    """Return whom people look after: the patients among them have the names and dates of their charts."""
    elena, pat = {"account": "elena@mail.example"}, {"account": "pat@mail.example"}
    return [
        {**elena, "firstName": "Elena", "lastName": "Peña", "gender": "Female", "birthDate": "1988-01-12"},
        {**elena, "firstName": "Mateo", "lastName": "Peña", "gender": "Male", "birthDate": "2020-01-29", "relationship": "Child", "id": SON},
        {**pat, "firstName": "Pat", "lastName": "Doe", "gender": "Female", "birthDate": "1975-04-09"},
        {**pat, "firstName": "Harold", "lastName": "Whitfield", "gender": "Male", "birthDate": "1942-06-01", "relationship": "Parent"},
    ]  # fmt: skip


def _invites() -> list[dict[str, Any]]:
    """Return one invite that was accepted, one that waits for its code, and one that waits for whom it was sent to."""
    by_ivy = {"organization": SHARING, "fhirServer": FHIR_SERVER, "by": "ivy@harbor.example"}
    herself = {"account": "elena@mail.example", "firstName": "Elena", "lastName": "Peña"}
    return [
        {**by_ivy, "patientIdentifier": ELENA, "to": "elena@mail.example", "firstName": "Elena", "lastName": "Peña",
         "status": "accepted", "person": herself, "language": "es"},
        {**by_ivy, "patientIdentifier": MATEO, "id": "0d5e7a11-5c0c-4b0e-9a55-6f0d3d0e0003", "code": CODE, "question": QUESTION,
         "answer": ANSWER},
        {**by_ivy, "patientIdentifier": HAROLD, "to": "pat@mail.example", "firstName": "Pat", "lastName": "Doe"},
    ]  # fmt: skip


def _partnerships() -> list[dict[str, Any]]:
    chance = random.Random(240)  # noqa: S311  a fixed world, no secret
    made = [
        {"source": "northside", "target": "org-010", "status": "approved", "message": "We send you our knees.", "responseMessage": "Gladly."},
        {"source": "org-011", "target": "northside", "status": "approved", "message": "Shall we?"},
        {"source": "northside", "target": "org-012", "status": "pending_approval", "message": "A word from Dayton."},
        {"source": "org-013", "target": "northside", "status": "pending_approval", "message": "Could you read our scans?"},
        {"source": "northside", "target": "org-014", "status": "rejected", "responseMessage": "Not this year."},
        {"source": "northside", "target": "org-015", "status": "canceled"},
        {"source": "northside", "target": "org-016", "status": "expired"},
        {"source": "northside", "target": "org-017", "status": "terminated", "reason": "Moved to another city."},
        {"source": "org-018", "target": "lakeside", "status": "pending_approval", "message": "We are new in town."},
    ]  # fmt: skip
    pairs = {frozenset((one["source"], one["target"])) for one in made}
    statuses = ("approved", "pending_approval", "rejected", "canceled", "expired", "terminated")
    while len(made) < PARTNERSHIPS:
        source, target = (f"org-{chance.randrange(20, ORGANIZATIONS - 2):03}" for _ in range(2))
        if source == target or frozenset((source, target)) in pairs:
            continue
        pairs.add(frozenset((source, target)))
        made.append(
            {"source": source, "target": target, "status": chance.choices(statuses, (12, 4, 1, 1, 1, 1))[0]}
        )
    return made
