"""The section of a world file about invites: of which patient, by whom, for whom, and how they stand.

Codes are made and slowly hashed with their answers before the transaction; one that isn't given is shown once.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hospitium.doors.cli.world_clinic import Clinics
from hospitium.doors.cli.world_entries import (
    Entry,
    Loaded,
    at,
    canonical_addresses,
    given_id,
    known,
    known_account,
    once,
    word,
)
from hospitium.doors.passwords import hash_now
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import Language
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.fhir_resources import queries as resource_queries
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.fhir_servers.record import FhirServer, ServerKind
from hospitium.engine.ids import parse_id
from hospitium.engine.invites import queries
from hospitium.engine.invites.actions import CodeForm, EmailForm
from hospitium.engine.invites.codes import SHORTEST_ANSWER, InviteAnswer, InviteCode, proof
from hospitium.engine.invites.importing import Acceptance, ImportedInvite, ImportedStatus, import_one
from hospitium.engine.invites.patients import PatientFound, identifier_token, patient_found, patient_id
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.persons import queries as person_queries
from hospitium.engine.persons.record import Gender
from hospitium.engine.text import line, search_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import DerivationKey, HashedPassword

    Ids = dict[str, UUID]

ENOUGH = 2
"""As many patients are looked for as it takes to know that there are several."""
MOST_NAMES = 20
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")  # FHIR R4 §2.24.0.1, to the day


class HumanNameEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    use: str | None = None
    text: str | None = None
    family: str | None = None
    given: list[str] = []
    prefix: list[str] = []
    suffix: list[str] = []


class PatientSummaryEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    name: list[HumanNameEntry]
    gender: str
    birth_date: str


class PersonOfInvite(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which person an invite was accepted with: by its owner's address and its names."""

    account: str
    first_name: str
    last_name: str
    birth_date: str | None = None


class InviteEntry(Entry, frozen=True, kw_only=True):
    organization: str
    fhir_server: str
    by: str
    patient: str | None = None
    patient_identifier: str | None = None
    patient_summary: PatientSummaryEntry | None = None
    to: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    code: str | None = None
    question: str | None = None
    answer: str | None = None
    status: ImportedStatus = ImportedStatus.OPEN
    person: PersonOfInvite | None = None
    language: Language = Language.ENGLISH

    @property
    def waits_for_its_code(self) -> bool:
        """Whether whoever has its code may take it up."""
        return self.to is None and self.status is ImportedStatus.OPEN


class Inviting(Clinics, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The section about invites, and those before it."""

    invites: list[InviteEntry] = msgspec.field(default_factory=list)


_SPELLED = {
    "first_name": "firstName",
    "last_name": "lastName",
    "birth_date": "birthDate",
    "user_email": "to",
    "security_question": "question",
}


class Means(NamedTuple):
    """What invites are made with: the keys of their links and codes (None: there are none of that kind), and how long they live."""

    key: DerivationKey | None = None
    pepper: DerivationKey | None = None
    life: timedelta | None = None


# -- before the transaction --------------------------------------------------------------------------------------------


class Coded(NamedTuple):
    """A code, the slow hash of it and its answer, and whether it was made just now."""

    code: InviteCode
    answer_hash: HashedPassword
    is_new: bool


async def missing_codes(ctx: Context, invites: Sequence[InviteEntry]) -> list[int]:
    """Return the places of those invites by code that wait and aren't there yet. Raises Invalid, with the entry's path."""
    codes = await _organizations(ctx, invites)
    missing, seen = [], set[object]()
    for place, entry in enumerate(invites):
        with at(f"invites[{place}]", _SPELLED):
            _must_fit(entry)
            if not entry.waits_for_its_code:
                continue
            code = None if entry.code is None else _code(entry.code).reveal()
            if code is not None:
                once(seen, "code", code)
            if not await _is_there(ctx, codes, entry):
                missing.append(place)
    return missing


def make_codes(invites: Sequence[InviteEntry], places: list[int], threads: int) -> dict[int, Coded]:
    """Make the codes of those invites that have none, and hash each with its answer, slowly, several at a time."""

    def one(place: int) -> Coded:
        entry = invites[place]
        code = InviteCode.new() if entry.code is None else _code(entry.code)
        return Coded(code, hash_now(proof(code, _answer(entry))), entry.code is None)

    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(places, pool.map(one, places), strict=True))


def _must_fit(entry: InviteEntry) -> None:
    """Look whether what an entry says goes together. Raises Invalid."""
    if (entry.patient is None) == (entry.patient_identifier is None):
        raise Invalid("patient", "or patientIdentifier must be given, and one of them alone")
    if (entry.to is None) == (entry.question is None):
        raise Invalid("to", "or question must be given, and one of them alone")
    _must_say_what_it_has(entry)
    if (entry.status is ImportedStatus.ACCEPTED) != (entry.person is not None):
        raise Invalid("person", "belongs to an invite that was accepted, and is required there")
    if entry.waits_for_its_code:
        _answer(entry)
        line("question", entry.question or "")
    elif entry.to is None and entry.status is ImportedStatus.DECLINED:
        raise Invalid("status", "can't be declined: an invite by code is bound to nobody who could have")
    elif entry.to is None and entry.id is None:
        raise Invalid("id", "is required of an invite by code that is over, so that it is known again")


def _must_say_what_it_has(entry: InviteEntry) -> None:
    """Refuse what is missing of an invite, and what it doesn't have: it would be lost in silence. Raises Invalid."""
    required, possible = set[str](), set[str]()
    if entry.to is not None:
        required = {"first_name", "last_name"}
    elif entry.waits_for_its_code:
        required, possible = {"answer"}, {"code"}
    for field in ("first_name", "last_name", "code", "answer"):
        given = getattr(entry, field) is not None
        if field in required and not given:
            raise Invalid(field, "is required here")
        if given and field not in required | possible:
            raise Invalid(field, "isn't kept of such an invite: leave it out")


def _code(text: str) -> InviteCode:
    code = InviteCode.typed(text)
    if code is None:
        raise Invalid("code", "must be 8 letters and digits, without O, 0, I and 1")
    return code


def _answer(entry: InviteEntry) -> InviteAnswer:
    return InviteAnswer.typed("answer", entry.answer or "", shortest=SHORTEST_ANSWER)


async def _is_there(ctx: Context, codes: Ids, entry: InviteEntry) -> bool:
    """Whether an invite by code is there before anything of its file is loaded; then its server and patient are, too."""
    its_id = given_id(entry.id)
    if its_id is not None:
        return bool(await queries.present(ctx, [its_id]))
    if entry.organization not in codes:
        return False
    server = await _server(ctx, codes[entry.organization], entry.fhir_server)
    its_patient = None if server is None else await _patient_id(ctx, server, entry)
    if server is None or its_patient is None:
        return False
    question = line("question", entry.question or "")
    return await queries.is_there(ctx, server.id, its_patient, email_key=None, question=question)


async def _patient_id(ctx: Context, server: FhirServer, entry: InviteEntry) -> str | None:
    if entry.patient is not None:
        return entry.patient
    found = [] if server.kind is ServerKind.REMOTE else await _of_identifier(ctx, server, entry)
    return str(found[0]["id"]) if len(found) == 1 else None


# -- loading -----------------------------------------------------------------------------------------------------------


async def load(
    ctx: Context, invites: Sequence[InviteEntry], coded: Mapping[int, Coded], means: Means
) -> Loaded:
    """Write down the invites that are missing. `coded`: what `make_codes` made, by place. Raises Invalid."""
    counted, seen = Loaded("invites"), set[object]()
    codes = await _organizations(ctx, invites)
    people = await account_queries.ids_by_email(ctx, canonical_addresses(_addresses(invites)))
    for place, entry in enumerate(invites):
        with at(f"invites[{place}]", _SPELLED):
            _must_fit(entry)
            if means.key is None:
                raise Invalid("invites", "need the keys of this installation")
            server = await _server(ctx, known(codes, "organization", entry.organization), entry.fhir_server)
            if server is None:
                raise Invalid("fhirServer", f"{entry.organization} has no FHIR server {entry.fhir_server}")
            patient = await _patient(ctx, server, entry)
            _once(seen, entry, server.id, patient.patient_id)
            its_code = coded.get(place)
            given = ImportedInvite(
                patient=patient,
                made_by=known_account(people, "by", entry.by),
                status=entry.status,
                by_code=_code_form(entry, its_code, means.pepper),
                question=entry.question if entry.waits_for_its_code else None,
                by_email=_email_form(entry),
                acceptance=await _acceptance(ctx, people, entry),
                language=entry.language,
                given_id=given_id(entry.id),
            )
            if await import_one(ctx, given, means.key, means.life) is None:
                counted.present += 1
                continue
            counted.created += 1
            if its_code is not None and its_code.is_new:
                whose = f"{entry.organization} {server.name}, patient {patient.patient_id}"
                counted.shown.append(f"{whose}: {its_code.code.grouped()}")
    return counted


def _once(seen: set[object], entry: InviteEntry, server_id: UUID, its_patient: str) -> None:
    if entry.id is not None:
        once(seen, "id", given_id(entry.id))
    elif entry.to is not None:
        once(seen, "to", (server_id, its_patient, canonical_email("to", entry.to)))
    else:
        once(seen, "question", (server_id, its_patient, None, line("question", entry.question or "")))


async def _organizations(ctx: Context, invites: Sequence[InviteEntry]) -> Ids:
    return await organization_queries.ids_by_code(ctx, sorted({entry.organization for entry in invites}))


def _addresses(invites: Sequence[InviteEntry]) -> list[str]:
    return [entry.by for entry in invites] + [
        one
        for entry in invites
        for one in (entry.to, None if entry.person is None else entry.person.account)
        if one is not None
    ]


async def _server(ctx: Context, organization_id: UUID, named: str) -> FhirServer | None:
    """Return the FHIR server of an organization by its name, or else its id; None if the organization has none of those."""
    key = search_key(named)
    found = (await server_queries.ids_by_name(ctx, organization_id, [key])).get(key) or parse_id(named)
    try:
        server = None if found is None else await server_queries.by_id(ctx, found)
    except NotFound:
        return None
    return None if server is None or server.organization_id != organization_id else server


async def _patient(ctx: Context, server: FhirServer, entry: InviteEntry) -> PatientFound:
    """Return the patient that is meant. Raises Invalid."""
    if server.kind is ServerKind.REMOTE:
        return _patient_elsewhere(server, entry)
    if entry.patient_summary is not None:
        raise Invalid("patientSummary", "belongs to a patient of a remote FHIR server: this one has its own")
    if entry.patient is None:
        found = await _of_identifier(ctx, server, entry)
        if len(found) != 1:
            many = "several patients" if found else "no patient"
            raise Invalid("patientIdentifier", f"finds {many} on {server.name}")
        return patient_found(server, found[0], "patientIdentifier", None)
    resource = await resource_queries.patient(ctx, server.id, patient_id("patient", entry.patient))
    if resource is None:
        raise Invalid("patient", f"there is no patient {entry.patient} on {server.name}")
    return patient_found(server, resource, "patient", entry.patient)


async def _of_identifier(ctx: Context, server: FhirServer, entry: InviteEntry) -> list[dict[str, Any]]:
    token = identifier_token("patientIdentifier", entry.patient_identifier or "")
    return await resource_queries.patients_by_identifier(ctx, server.id, token.system, token.value, ENOUGH)


def _patient_elsewhere(server: FhirServer, entry: InviteEntry) -> PatientFound:
    """Return a patient of a remote FHIR server, which isn't asked: the file says who it is."""
    if entry.patient is None:
        raise Invalid("patientIdentifier", "is looked for on a built-in FHIR server alone: say patient here")
    its_id, said = patient_id("patient", entry.patient), entry.patient_summary
    if said is None:
        raise Invalid("patientSummary", "is required of a patient of a remote FHIR server")
    with at("patientSummary"):
        if not 1 <= len(said.name) <= MOST_NAMES:
            raise Invalid("name", f"must be 1 to {MOST_NAMES} names")
        for number, name in enumerate(said.name):
            _must_be_a_name(f"name[{number}]", name)
        if not _DATE.fullmatch(said.birth_date):
            raise Invalid("birthDate", "must be a date, such as 1985-01-31")
        gender = word("gender", said.gender, Gender).value
    resource = {
        "resourceType": "Patient",
        "id": its_id,
        "name": [msgspec.to_builtins(name) for name in said.name],
        "gender": gender,
        "birthDate": said.birth_date,
    }
    return patient_found(server, resource, "patient", its_id)


def _must_be_a_name(field: str, name: HumanNameEntry) -> None:
    if name.text is None and name.family is None and not name.given:
        raise Invalid(field, "must have a text, a family or a given name")
    for member, text in (("use", name.use), ("text", name.text), ("family", name.family)):
        if text is not None:
            line(f"{field}.{member}", text)
    for member, texts in (("given", name.given), ("prefix", name.prefix), ("suffix", name.suffix)):
        if len(texts) > MOST_NAMES:
            raise Invalid(f"{field}.{member}", f"must be at most {MOST_NAMES}")
        for number, text in enumerate(texts):
            line(f"{field}.{member}[{number}]", text)


def _code_form(entry: InviteEntry, coded: Coded | None, pepper: DerivationKey | None) -> CodeForm | None:
    """Return what an open invite by code keeps; None for one that has no code now, because it was there already."""
    if coded is None:
        return None
    if pepper is None:
        raise Invalid("code", "needs the keys of this installation")
    return CodeForm(coded.code, pepper, entry.question or "", coded.answer_hash)


def _email_form(entry: InviteEntry) -> EmailForm | None:
    if entry.to is None:
        return None
    return EmailForm(entry.to, entry.first_name or "", entry.last_name or "", entry.language)


async def _acceptance(ctx: Context, people: Ids, entry: InviteEntry) -> Acceptance | None:
    """Return with which person an invite was accepted, and by whom: of one by e-mail, by whose the address is."""
    if entry.person is None:
        return None
    with at("person"):
        owner_id = known_account(people, "account", entry.person.account)
        names = (line("firstName", entry.person.first_name), line("lastName", entry.person.last_name))
        born = entry.person.birth_date
        found = [
            its_id
            for its_id, birth_date in await person_queries.owned_of_name(ctx, owner_id, *names)
            if born is None or str(birth_date) == born.strip()
        ]
        if len(found) != 1:
            reason = "several such persons: say birthDate" if found else "no such person"
            raise Invalid("firstName", f"{entry.person.account} owns {reason}")
    accepted_by = owner_id if entry.to is None else known_account(people, "to", entry.to)
    return Acceptance(found[0], accepted_by)
