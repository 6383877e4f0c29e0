"""The sections of a world file about sharing: teams, object types, records, shares, client keys and service keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

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
)
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.client_keys import actions as client_keys, queries as client_key_queries
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import parse_id
from hospitium.engine.json_text import parse
from hospitium.engine.levels import Level
from hospitium.engine.object_types import actions as object_types, queries as type_queries
from hospitium.engine.object_types.actions import TypeSettings
from hospitium.engine.object_types.record import DEFAULT_CHAIN, Storage
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.records import actions as records, queries as record_queries
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.secrets import ClientKeyText, RandomText, ServiceKeyText
from hospitium.engine.service_keys import actions as service_keys, queries as service_key_queries
from hospitium.engine.shares.importing import ImportedShare, import_one
from hospitium.engine.shares.record import ShareStatus
from hospitium.engine.teams import actions as teams, queries as team_queries
from hospitium.engine.text import search_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.object_types.record import ObjectType
    from hospitium.engine.secrets import DerivationKey

    Ids = dict[str, UUID]

K = TypeVar("K", bound=RandomText)


class TeamEntry(Entry, frozen=True, kw_only=True):
    organization: str
    name: str
    owner: str
    members: list[str] = msgspec.field(default_factory=list)


class OptionsEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    require_accept: bool = True
    send_notifications: bool = True
    required_access: int | None = None


class ObjectTypeEntry(Entry, frozen=True, kw_only=True):
    organization: str
    name: str
    plural_name: str
    label: str
    storage: Storage = Storage.STORED
    allow_connections: bool = False
    connection_options: OptionsEntry = OptionsEntry()
    share_chain: list[int] = msgspec.field(default_factory=lambda: [int(level) for level in DEFAULT_CHAIN])
    actions: dict[str, int] = msgspec.field(default_factory=dict)


class RecordEntry(Entry, frozen=True, kw_only=True):
    organization: str
    type: str
    owner: str
    body: dict[str, Any] | None = None
    external_id: str | None = None


class ShareEntry(Entry, frozen=True, kw_only=True):
    organization: str
    type: str
    record: str
    by: str
    access: int = int(Level.READ)
    to: str | None = None
    team: str | None = None
    status: ShareStatus = ShareStatus.PENDING


class ClientKeyEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    organization: str
    name: str
    key: str | None = None


class ServiceKeyEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    organization: str
    name: str
    scopes: list[str]
    key: str | None = None


class Sharing(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The sections about sharing."""

    teams: list[TeamEntry] = msgspec.field(default_factory=list)
    object_types: list[ObjectTypeEntry] = msgspec.field(default_factory=list)
    records: list[RecordEntry] = msgspec.field(default_factory=list)
    shares: list[ShareEntry] = msgspec.field(default_factory=list)
    client_keys: list[ClientKeyEntry] = msgspec.field(default_factory=list)
    service_keys: list[ServiceKeyEntry] = msgspec.field(default_factory=list)


async def load(ctx: Context, world: Sharing, key: DerivationKey | None) -> list[Loaded]:
    """Create what is missing; return a count a kind. `key`: from which tokens of links are derived. Raises Invalid."""
    codes = await organization_queries.ids_by_code(ctx, sorted(_codes(world)))
    people = await account_queries.ids_by_email(ctx, _addresses(world))
    return [
        await _load_teams(ctx, world, codes, people),
        await _load_object_types(ctx, world, codes),
        await _load_records(ctx, world, codes, people),
        await _load_shares(ctx, world, codes, people, key),
        await _load_client_keys(ctx, world, codes),
        await _load_service_keys(ctx, world, codes),
    ]


def _codes(world: Sharing) -> set[str]:
    every: Iterable[Any] = (
        *world.teams,
        *world.object_types,
        *world.records,
        *world.shares,
        *world.client_keys,
        *world.service_keys,
    )
    return {entry.organization for entry in every}


def _addresses(world: Sharing) -> list[str]:
    """Return the canonical form of every address of an account that is named."""
    named = [entry.owner for entry in world.records] + [entry.by for entry in world.shares]
    named += [one for entry in world.teams for one in (entry.owner, *entry.members)]
    named += [entry.to for entry in world.shares if entry.to is not None]
    return canonical_addresses(named)


async def _load_teams(ctx: Context, world: Sharing, codes: Ids, people: Ids) -> Loaded:
    counted, seen = Loaded("teams"), set[object]()
    for index, entry in enumerate(world.teams):
        with at(f"teams[{index}]"):
            organization_id = known(codes, "organization", entry.organization)
            once(seen, "name", (organization_id, search_key(entry.name)))
            if await team_queries.ids_by_name(ctx, organization_id, [search_key(entry.name)]):
                counted.present += 1
                continue
            members = [
                known_account(people, f"members[{place}]", one) for place, one in enumerate(entry.members)
            ]
            owner = known_account(people, "owner", entry.owner)
            its_id = given_id(entry.id, printed_as_object_id=True)
            await teams.import_one(ctx, organization_id, entry.name, owner, members, its_id)
            counted.created += 1
    return counted


async def _load_object_types(ctx: Context, world: Sharing, codes: Ids) -> Loaded:
    counted, seen = Loaded("objectTypes"), set[object]()
    for index, entry in enumerate(world.object_types):
        with at(f"objectTypes[{index}]", _SPELLED):
            organization_id = known(codes, "organization", entry.organization)
            once(seen, "name", (organization_id, entry.name))
            if entry.name in await type_queries.by_names(ctx, organization_id, [entry.name]):
                counted.present += 1
                continue
            options = entry.connection_options
            settings = TypeSettings(
                label=entry.label,
                allows_shares=entry.allow_connections,
                requires_acceptance=options.require_accept,
                sends_notifications=options.send_notifications,
                required_level=options.required_access,
                share_chain=tuple(entry.share_chain),
                actions=entry.actions,
            )
            its_id = given_id(entry.id, printed_as_object_id=True)
            await object_types.write_down(
                ctx, organization_id, entry.name, entry.plural_name, entry.storage, settings, its_id
            )
            counted.created += 1
    return counted


_SPELLED = {
    "plural_name": "pluralName",
    "share_chain": "shareChain",
    "required_level": "connectionOptions.requiredAccess",
}


async def _type(ctx: Context, codes: Ids, entry: RecordEntry | ShareEntry) -> ObjectType:
    organization_id = known(codes, "organization", entry.organization)
    found = (await type_queries.by_names(ctx, organization_id, [entry.type])).get(entry.type)
    if found is None:
        raise Invalid("type", f"{entry.organization} has no object type {entry.type}")
    return found


async def _load_records(ctx: Context, world: Sharing, codes: Ids, people: Ids) -> Loaded:
    counted, seen = Loaded("records"), set[object]()
    for index, entry in enumerate(world.records):
        with at(f"records[{index}]", {"_id": "id"}):
            object_type = await _type(ctx, codes, entry)
            its_id = given_id(entry.id, printed_as_object_id=True)
            external_id = None if entry.external_id is None else entry.external_id.strip()  # as it is kept
            if its_id is None and external_id is None:
                raise Invalid("id", "or externalId is required, so that the record is known again")
            if its_id is not None:
                once(seen, "id", its_id)
            if external_id is not None:
                once(seen, "externalId", (object_type.id, external_id))
            ids, external_ids = await record_queries.present(
                ctx,
                object_type,
                [] if its_id is None else [its_id],
                [] if external_id is None else [external_id],
            )
            if ids or external_ids:
                counted.present += 1
                continue
            form = RecordForm(
                body=_body(object_type, entry),
                names=frozenset(entry.body or {}),
                external_id=external_id,
                given_id=its_id,
            )
            await _make_record(ctx, object_type, form, known_account(people, "owner", entry.owner))
            counted.created += 1
    return counted


async def _make_record(ctx: Context, object_type: ObjectType, form: RecordForm, owner: UUID) -> None:
    try:
        await records.import_one(ctx, object_type, form, owner)
    except Invalid as refusal:
        # Which of the body's names, as opposed to those of the entry.
        place = f"body.{refusal.field}" if refusal.field in form.names else refusal.field
        raise Invalid(place, refusal.reason) from None


def _body(object_type: ObjectType, entry: RecordEntry) -> msgspec.Raw | None:
    if object_type.storage is Storage.EXTERNAL:
        return None
    raw = msgspec.json.encode(entry.body or {})
    parse(raw)
    return msgspec.Raw(raw)


async def _load_shares(
    ctx: Context, world: Sharing, codes: Ids, people: Ids, key: DerivationKey | None
) -> Loaded:
    counted, seen = Loaded("shares"), set[object]()
    for index, entry in enumerate(world.shares):
        with at(f"shares[{index}]"):
            if key is None:
                raise Invalid("shares", "need the keys of this installation")
            object_type = await _type(ctx, codes, entry)
            if (entry.to is None) == (entry.team is None):
                raise Invalid("to", "or team must be given, and one of them alone")
            if entry.status is ShareStatus.MERGED:
                raise Invalid("status", "can't be merged: leave it out, and say the higher access")
            email_key = None if entry.to is None else canonical_email("to", entry.to)
            team_id = None if entry.team is None else await _team(ctx, object_type, entry.team)
            record_id = await _record(ctx, object_type, entry.record)
            once(seen, "to" if team_id is None else "team", (record_id, email_key or team_id))
            made = await import_one(
                ctx,
                ImportedShare(
                    record_id=record_id,
                    made_by=known_account(people, "by", entry.by),
                    level=entry.access,
                    status=entry.status,
                    email=entry.to,
                    account_id=None if email_key is None else people.get(email_key),
                    team_id=team_id,
                    given_id=given_id(entry.id, printed_as_object_id=True),
                ),
                key,
            )
            counted.created += made is not None
            counted.present += made is None
    return counted


async def _record(ctx: Context, object_type: ObjectType, named: str) -> UUID:
    its_id = parse_id(named)
    ids, external_ids = await record_queries.present(
        ctx, object_type, [] if its_id is None else [its_id], [named]
    )
    if named in external_ids:
        return external_ids[named]
    if its_id is None or its_id not in ids:
        raise Invalid("record", f"there is no {object_type.name} {named}")
    return its_id


async def _team(ctx: Context, object_type: ObjectType, named: str) -> UUID:
    found = await team_queries.ids_by_name(ctx, object_type.organization_id, [search_key(named)])
    if not found:
        raise Invalid("team", f"there is no team {named}")
    return next(iter(found.values()))


async def _load_client_keys(ctx: Context, world: Sharing, codes: Ids) -> Loaded:
    async def make(organization_id: UUID, entry: Any, key: ClientKeyText) -> None:
        await client_keys.make(ctx, organization_id, entry.name, key)

    return await _load_keys(
        ctx, "clientKeys", world.client_keys, codes, client_key_queries.names, ClientKeyText, make
    )


async def _load_service_keys(ctx: Context, world: Sharing, codes: Ids) -> Loaded:
    async def make(organization_id: UUID, entry: Any, key: ServiceKeyText) -> None:
        await service_keys.make(ctx, organization_id, entry.name, entry.scopes, key)

    return await _load_keys(
        ctx, "serviceKeys", world.service_keys, codes, service_key_queries.names, ServiceKeyText, make
    )


async def _load_keys(
    ctx: Context,
    member: str,
    entries: Sequence[Any],
    codes: Ids,
    names: Callable[[Context, UUID, list[str]], Awaitable[Any]],
    text: type[K],
    make: Callable[[UUID, Any, K], Awaitable[None]],
) -> Loaded:
    """Make the keys that aren't there yet by their names; show those that the world file doesn't give."""
    counted, seen = Loaded(member), set[object]()
    for index, entry in enumerate(entries):
        with at(f"{member}[{index}]"):
            organization_id = known(codes, "organization", entry.organization)
            name = entry.name.strip()  # as it is kept
            once(seen, "name", (organization_id, name))
            if await names(ctx, organization_id, [name]):
                counted.present += 1
                continue
            key = text.new() if entry.key is None else text(entry.key)
            await make(organization_id, entry, key)
            counted.created += 1
            if entry.key is None:
                counted.shown.append(f"{entry.organization} {entry.name}: {key.reveal()}")
    return counted
