"""Asking a FHIR server for a patient, shared by the doors: outside any transaction, and never by what a session claims.

    look where, and whether he may ─▶ ask the server ─▶ a patient, whose type proves that it was asked

What a remote server says stays here: the caller learns that it was away, or that its answer was of no use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import FhirServerWrong, Invalid, NoSuchPatient, SeveralPatients
from hospitium.engine.fhir_resources import queries as resources
from hospitium.engine.fhir_resources.search import parse_search
from hospitium.engine.fhir_servers import actions, queries
from hospitium.engine.fhir_servers.credentials import SealedCredentials, unseal
from hospitium.engine.fhir_servers.record import CredentialsKind, ServerKind
from hospitium.engine.invites.patients import (
    IdentifierToken,
    PatientFound,
    identifier_token,
    patient_found,
    patient_id,
)
from hospitium.engine.permissions import Permission
from hospitium.engine.sealing import CantBeOpened
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Try, a_try
from hospitium.outside.fhir import Basic, Bearer, RemoteServer

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_servers.record import FhirServer

ENOUGH = 2
"""As many patients are looked for as it takes to know that there are several."""


class Selector(NamedTuple):
    """Which patient: by id, or by an identifier; `field` is the member that says so."""

    field: str
    patient_id: str | None = None
    identifier: IdentifierToken | None = None


class Reachable(NamedTuple):
    """A FHIR server, and what it takes to ask it."""

    server: FhirServer
    credentials: SealedCredentials | None


def selector(by_id: str | None, by_identifier: str | None) -> Selector:
    """Return which patient is meant; the id wins (contract bluebutton.md §3.4). Raises Invalid."""
    if by_id is not None:
        return Selector("accessible_patient_id", patient_id("accessible_patient_id", by_id))
    if by_identifier is not None:
        field = "accessible_patient_identifier_search_str"
        return Selector(field, identifier=identifier_token(field, by_identifier))
    raise Invalid("accessible_patient_id", "or accessiblePatientIdentifierSearchStr is required")


async def reachable(ctx: Context, server: FhirServer) -> Reachable:
    """Return what it takes to ask a FHIR server; to be read in the transaction that decides whether he may."""
    if server.kind is ServerKind.BUILT_IN:
        return Reachable(server, None)
    return Reachable(server, await queries.sealed_credentials(ctx, server.id))


async def find(
    request: Request[Any, Any, Any], where: Reachable, which: Selector, account_id: UUID | None
) -> PatientFound:
    """Ask a FHIR server for the one patient that is meant.

    Searches by identifier are recorded; of those that find none or several an account has so many an hour (threats B-12).
    Raises NoSuchPatient, SeveralPatients, Invalid, TooManyAttempts, FhirServerAway, FhirServerWrong.
    """
    if which.patient_id is not None:
        resource = await read(request, where, which.patient_id)
        if resource is None:
            raise NoSuchPatient(which.field)
        return patient_found(where.server, resource, which.field, which.patient_id)
    assert which.identifier is not None  # a selector has one or the other  # noqa: S101
    return await _find_by_identifier(request, where, which, which.identifier, account_id)


async def read(request: Request[Any, Any, Any], where: Reachable, patient_id: str) -> dict[str, Any] | None:
    """Return a patient as a FHIR server has it; None if it has none of this id. Raises FhirServerAway, FhirServerWrong."""
    house = surroundings(request)
    if where.server.kind is ServerKind.REMOTE:
        return await house.remote_fhir.read_patient(remote_of(request, where), patient_id)

    async def deed(ctx: Context) -> dict[str, Any] | None:
        return await resources.patient(ctx, where.server.id, patient_id)

    return await house.work.perform(request, Permission.MAKE_INVITE, deed)


async def _find_by_identifier(
    request: Request[Any, Any, Any],
    where: Reachable,
    which: Selector,
    wanted: IdentifierToken,
    account_id: UUID | None,
) -> PatientFound:
    house = surroundings(request)
    counted = a_try(house.link_key.key, house.limits.identifiers, "identifiers", str(account_id))
    await house.work.perform(request, Permission.MAKE_INVITE, lambda ctx: throttles.count(ctx, [counted]))
    found = await _search(request, where, wanted, counted)
    outcome = ("none", "one", "several")[min(len(found), ENOUGH)]

    async def note(ctx: Context) -> None:
        await actions.note_search(ctx, where.server, outcome)
        if len(found) == 1:
            await throttles.give_back(ctx, [counted])

    await house.work.perform(request, Permission.MAKE_INVITE, note)
    if not found:
        raise NoSuchPatient(which.field)
    if len(found) > 1:
        raise SeveralPatients(which.field)
    return patient_found(where.server, found[0], which.field, None)


async def _search(
    request: Request[Any, Any, Any], where: Reachable, wanted: IdentifierToken, counted: Try
) -> list[dict[str, Any]]:
    house = surroundings(request)
    if where.server.kind is ServerKind.REMOTE:
        try:
            return await house.remote_fhir.patients_by_identifier(
                remote_of(request, where), wanted.system, wanted.value
            )
        except Exception:
            # It was not asked, or said nothing: nobody was probed for.
            await house.work.perform(
                request, Permission.MAKE_INVITE, lambda ctx: throttles.give_back(ctx, [counted])
            )
            raise

    async def deed(ctx: Context) -> list[dict[str, Any]]:
        asked = parse_search("Patient", [("identifier", wanted.parameter), ("_count", str(ENOUGH))])
        page = await resources.search(ctx, where.server.id, asked)
        return [msgspec.json.decode(one.body) for one in page.resources]

    return await house.work.perform(request, Permission.MAKE_INVITE, deed)


def remote_of(request: Request[Any, Any, Any], where: Reachable) -> RemoteServer:
    """Return how a remote FHIR server is called. Raises FhirServerWrong (what we show it can't be opened)."""
    server = where.server
    assert server.base_url is not None  # a remote one has an address  # noqa: S101
    shown: Bearer | Basic | None = None
    if where.credentials is not None:
        try:
            kept = unseal(surroundings(request).sealing_keys, server.id, server.base_url, where.credentials)
        except CantBeOpened:
            raise FhirServerWrong from None
        shown = (
            Bearer(kept.secret) if kept.kind is CredentialsKind.BEARER else Basic(kept.username, kept.secret)
        )
    return RemoteServer(
        server.id, server.base_url, server.allow_private_address, shown, server.authorities_pem
    )
