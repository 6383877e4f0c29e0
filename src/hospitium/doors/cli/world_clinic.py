"""The sections of a world file about clinics and those who look after their patients: FHIR servers, with what they hold, and persons.

What bundles hold is read and checked before the transaction, and loaded in it each time: what is there just so stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

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
from hospitium.doors.cli.world_sharing import Sharing
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import resources_in
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_servers import actions as fhir_servers, queries as server_queries
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.authorities import LONGEST_PEM, AuthoritiesPem, authorities_in
from hospitium.engine.fhir_servers.credentials import Credentials, seal
from hospitium.engine.fhir_servers.record import CredentialsKind, ServerKind
from hospitium.engine.json_text import printable
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.persons.actions import import_one
from hospitium.engine.persons.forms import Contact, ContactType, Identifier, PersonForm
from hospitium.engine.persons.record import Gender, Relationship
from hospitium.engine.secrets import Secret
from hospitium.engine.text import line, search_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_resources.checking import Prepared
    from hospitium.engine.sealing import SealingKey

LARGEST_BUNDLES = 200_000_000  # bytes of all of one world; `hospitium fhir load` takes more, a file at a time
LARGEST_SECRET = 16_384  # bytes of a file


class CredentialsEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    bearer_token: str | None = None
    bearer_token_file: str | None = None
    user: str | None = None
    password: str | None = None
    password_file: str | None = None


class FhirServerEntry(Entry, frozen=True, kw_only=True):
    organization: str
    name: str
    kind: ServerKind
    base_url: str | None = None
    allow_private_address: bool = False
    credentials: CredentialsEntry | None = None
    authorities_pem: str | None = None
    authorities_file: str | None = None
    bundles: list[str] = msgspec.field(default_factory=list)
    resources: list[dict[str, Any]] = msgspec.field(default_factory=list)


class IdentifierEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    system: str
    value: str


class ContactEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    value: str
    primary: bool = False


class PersonEntry(Entry, frozen=True, kw_only=True):
    account: str
    first_name: str
    last_name: str
    gender: str
    birth_date: str
    relationship: str = Relationship.SELF.value
    middle_name: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    identifiers: list[IdentifierEntry] = msgspec.field(default_factory=list)
    contacts: list[ContactEntry] = msgspec.field(default_factory=list)


class Clinics(Sharing, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The sections about clinics, but for their invites."""

    fhir_servers: list[FhirServerEntry] = msgspec.field(default_factory=list)
    persons: list[PersonEntry] = msgspec.field(default_factory=list)


_SPELLED = {
    "base_url": "baseUrl",
    "authorities_pem": "authoritiesPem",
    "first_name": "firstName",
    "middle_name": "middleName",
    "last_name": "lastName",
    "birth_date": "birthDate",
    "address_line1": "addressLine1",
    "address_line2": "addressLine2",
    "zip_code": "zipCode",
    "owner": "account",
}


# -- before the transaction --------------------------------------------------------------------------------------------


class Brought(NamedTuple):
    """What a FHIR server of a world file brings along: its checked address, what we show it, whose certificates are believed for it,
    and what it is to hold."""

    base_url: str | None
    credentials: Credentials | None
    authorities: AuthoritiesPem | None
    resources: list[Prepared]


def bring(servers: Sequence[FhirServerEntry], beside: Path) -> list[Brought]:
    """Read and check what the FHIR servers of a world file bring along, in their order.

    `beside`: the directory of the file. What it names lies there or below, so that a file from a stranger reaches nothing else of
    this machine. Raises Invalid, with the entry's path, such as `fhirServers[0].bundles[1]: patients/a.json: entry[3].resource.id`.
    """
    left = LARGEST_BUNDLES
    brought = []
    for index, entry in enumerate(servers):
        with at(f"fhirServers[{index}]", _SPELLED):
            texts = []
            for name, path in _named(entry, beside):
                text = _content(name, path, left)
                left -= len(text)
                texts.append((name, text))
            texts += [
                (f"resources[{number}]", msgspec.json.encode(one))
                for number, one in enumerate(entry.resources)
            ]
            if texts and entry.kind is ServerKind.REMOTE:
                field = "bundles" if entry.bundles else "resources"
                raise Invalid(field, "belong to a built-in FHIR server: the others keep their own")
            given = [one for name, text in texts for one in resources_in(name, text)]
            brought.append(
                Brought(
                    _address(entry),
                    _credentials(entry, beside),
                    _authorities(entry, beside),
                    list(prepare(given, together(given))),
                )
            )
    return brought


def _named(entry: FhirServerEntry, beside: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of an entry's bundles, in order, each with what it is called in a refusal."""
    for number, pattern in enumerate(entry.bundles):
        field = f"bundles[{number}]"
        try:
            found = sorted(path for path in beside.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError, LookupError, OSError):
            raise Invalid(field, "must be a path, or a pattern of paths, relative to this file") from None
        if not found:
            raise Invalid(field, "finds no file beside this one")
        for path in found:
            if not _is_beside(path, beside):
                raise Invalid(field, "leads out of the directory of this file")
            yield f"{field}: {printable(str(path.relative_to(beside)))}", path


def _is_beside(path: Path, beside: Path) -> bool:
    return path.resolve().is_relative_to(beside.resolve())


def _content(name: str, path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise Invalid(
                name,
                f"with the bundles before it is more than {LARGEST_BUNDLES:,} bytes: load them with `hospitium fhir load`",
            )
        return path.read_bytes()
    except OSError as reason:
        raise Invalid(name, f"can't be read: {reason.strerror}") from None


def _address(entry: FhirServerEntry) -> str | None:
    if entry.kind is ServerKind.BUILT_IN:
        for field, given in (
            ("baseUrl", entry.base_url is not None),
            ("allowPrivateAddress", entry.allow_private_address),
            ("credentials", entry.credentials is not None),
            ("authoritiesPem", entry.authorities_pem is not None),
            ("authoritiesFile", entry.authorities_file is not None),
        ):
            if given:
                raise Invalid(field, "belongs to a remote FHIR server")
        return None
    if entry.base_url is None:
        raise Invalid("baseUrl", "is required of a remote FHIR server")
    from hospitium.outside.fhir import base_url  # noqa: PLC0415  most worlds have no need of it
    from hospitium.outside.http import Blocked  # noqa: PLC0415  likewise

    try:
        return base_url(entry.base_url, allow_private=entry.allow_private_address)
    except Blocked as blocked:
        raise Invalid("baseUrl", blocked.reason) from None


def _credentials(entry: FhirServerEntry, beside: Path) -> Credentials | None:
    if entry.credentials is None:
        return None
    from hospitium.outside.fhir import Basic, Bearer  # noqa: PLC0415  likewise

    given = entry.credentials
    with at("credentials", {"token": "bearerToken"}):
        token = _secret("bearerToken", given.bearer_token, given.bearer_token_file, beside)
        password = _secret("password", given.password, given.password_file, beside)
        if (token is None) == (password is None) or (given.user is None) != (password is None):
            raise Invalid("bearerToken", "or user and password must be given, and one of both alone")
        if token is not None:
            Bearer(token)  # refuses what can't be sent
            return Credentials(CredentialsKind.BEARER, "", token)
        assert password is not None  # looked at before  # noqa: S101
        Basic(given.user or "", password)
        return Credentials(CredentialsKind.BASIC, given.user or "", password)


def _secret(field: str, text: str | None, file: str | None, beside: Path) -> Secret | None:
    if text is not None and file is not None:
        raise Invalid(field, f"is given twice: here, and by {field}File")
    if file is None:
        return None if text is None else Secret(text)
    return Secret(_text_of(f"{field}File", file, beside, LARGEST_SECRET).rstrip("\r\n"))


def _authorities(entry: FhirServerEntry, beside: Path) -> AuthoritiesPem | None:
    text, file = entry.authorities_pem, entry.authorities_file
    if text is not None and file is not None:
        raise Invalid("authoritiesPem", "is given twice: here, and by authoritiesFile")
    if file is not None:
        found = _text_of("authoritiesFile", file, beside, LONGEST_PEM)
        return authorities_in("authoritiesFile", found)
    return None if text is None else authorities_in("authoritiesPem", text)


def _text_of(field: str, file: str, beside: Path, largest: int) -> str:
    path = beside / file
    try:
        if not _is_beside(path, beside):
            raise Invalid(field, "leads out of the directory of this file")
        if path.stat().st_size > largest:
            raise Invalid(field, f"is larger than {largest:,} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as reason:
        raise Invalid(field, f"can't be read: {reason.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid(field, "is not UTF-8") from None


# -- FHIR servers ------------------------------------------------------------------------------------------------------


async def load_servers(
    ctx: Context, servers: Sequence[FhirServerEntry], brought: Sequence[Brought], key: SealingKey | None
) -> list[Loaded]:
    """Create the FHIR servers that are missing, and load what all of them bring along; return a count a kind. Raises Invalid.

    `key`: with which the credentials are sealed, where there are any.
    """
    counted, held, seen = Loaded("fhirServers"), Loaded("resources"), set[object]()
    codes = await organization_queries.ids_by_code(ctx, sorted({entry.organization for entry in servers}))
    for index, (entry, its) in enumerate(zip(servers, brought, strict=True)):
        with at(f"fhirServers[{index}]", _SPELLED):
            organization_id = known(codes, "organization", entry.organization)
            once(seen, "name", (organization_id, search_key(entry.name)))
            its_id = given_id(entry.id)
            if its_id is not None:
                once(seen, "id", its_id)
            server_id = await _find(ctx, organization_id, its_id, entry.name)
            if server_id is None:
                server_id = await _add(ctx, organization_id, its_id, entry, its, key)
                counted.created += 1
            else:
                counted.present += 1
            await _load_resources(ctx, server_id, its.resources, held)
    return [counted, held]


async def _find(ctx: Context, organization_id: UUID, its_id: UUID | None, name: str) -> UUID | None:
    """Return the FHIR server of an organization that has an id, or else a name; None if there is none. Raises Invalid (`id`)."""
    if its_id is not None:
        try:
            found = await server_queries.by_id(ctx, its_id)
        except NotFound:
            pass  # it may have been made without its id before
        else:
            if found.organization_id != organization_id:
                raise Invalid("id", "is that of a FHIR server of another organization")
            return found.id
    return (await server_queries.ids_by_name(ctx, organization_id, [search_key(name)])).get(search_key(name))


async def _add(
    ctx: Context,
    organization_id: UUID,
    its_id: UUID | None,
    entry: FhirServerEntry,
    its: Brought,
    key: SealingKey | None,
) -> UUID:
    server_id, sealed = its_id or ctx.new_id(), None
    if its.credentials is not None and its.base_url is not None:
        if key is None:
            raise Invalid("credentials", "need the keys of this installation")
        sealed = seal(key, server_id, its.base_url, its.credentials)
    form = ServerForm(
        entry.name, entry.kind, its.base_url, entry.allow_private_address, sealed, its.authorities
    )
    return (await fhir_servers.create(ctx, organization_id, form, server_id=server_id)).id


async def _load_resources(ctx: Context, server_id: UUID, given: list[Prepared], held: Loaded) -> None:
    if given:
        loaded = await resources.load(ctx, server_id, given)
        held.created += loaded.created
        held.present += loaded.updated + loaded.unchanged
        held.updated += loaded.updated


# -- persons -----------------------------------------------------------------------------------------------------------


async def load_persons(ctx: Context, persons: Sequence[PersonEntry]) -> Loaded:
    """Create the persons that are missing, each owned by the account of an address. Raises Invalid."""
    counted, seen = Loaded("persons"), set[object]()
    people = await account_queries.ids_by_email(ctx, canonical_addresses(entry.account for entry in persons))
    for index, entry in enumerate(persons):
        with at(f"persons[{index}]", _SPELLED):
            owner_id = known_account(people, "account", entry.account)
            names = (line("firstName", entry.first_name), line("lastName", entry.last_name))
            its_id = given_id(entry.id)
            once(seen, "birthDate", (owner_id, *names, entry.birth_date.strip()))
            if its_id is not None:
                once(seen, "id", its_id)
            relationship = word("relationship", entry.relationship, Relationship)
            made = await import_one(ctx, owner_id, _form(entry), relationship, its_id)
            counted.created += made is not None
            counted.present += made is None
    return counted


def _form(entry: PersonEntry) -> PersonForm:
    as_they_are = (
        "first_name", "middle_name", "last_name", "birth_date", "address_line1", "address_line2", "city", "state", "zip_code"
    )  # fmt: skip
    return PersonForm(
        gender=word("gender", entry.gender, Gender),
        identifiers=tuple(Identifier(one.system, one.value) for one in entry.identifiers),
        contacts=tuple(
            Contact(word(f"contacts[{place}].type", one.type, ContactType), one.value, one.primary)
            for place, one in enumerate(entry.contacts)
        ),
        **{name: getattr(entry, name) for name in as_they_are},
    )
