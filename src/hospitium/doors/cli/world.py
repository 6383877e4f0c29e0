"""World files (docs/world-files.md): a whole world in JSON or YAML, for demos, tests, moves from elsewhere and configuration as code.

Loading creates what is missing and leaves what is there, by natural key (code, address, pair), in one transaction: a bad
entry refuses the whole file and names its path, such as `accounts[3].email`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import yaml

from hospitium.doors.cli import world_clinic, world_invites, world_sharing
from hospitium.doors.cli.world_entries import Entry, Loaded, at, given_id, known
from hospitium.doors.cli.world_invites import Inviting, Means
from hospitium.doors.json_body import convert
from hospitium.doors.passwords import hash_now
from hospitium.engine.accounts import actions as accounts, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.actor import Role
from hospitium.engine.errors import Invalid
from hospitium.engine.json_text import parse
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.organizations import actions as organizations, queries as organization_queries
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.partnerships.actions import ImportedPartnership
from hospitium.engine.partnerships.record import PartnershipStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from hospitium.doors.cli.world_clinic import Brought
    from hospitium.doors.cli.world_invites import Coded
    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.sealing import SealingKey
    from hospitium.engine.secrets import HashedPassword

LARGEST_FILE = 200_000_000  # bytes
LONGEST_PATH = 200  # characters of an entry's path that are shown
WHOLE = "the file"


class OrganizationEntry(Entry, frozen=True, kw_only=True):
    code: str
    name: str
    type: OrganizationType
    status: OrganizationStatus = OrganizationStatus.ACTIVE
    npi: str | None = None
    tax_id: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    phone: str | None = None
    website: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    specialties: list[str] = msgspec.field(default_factory=list)
    requires_client_key: bool = False


class MembershipEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    organization: str
    role: Role = Role.MEMBER


class AccountEntry(Entry, frozen=True, kw_only=True):
    email: str
    password: str
    first_name: str | None = None
    last_name: str | None = None
    verified: bool = False
    external_id: str | None = None
    memberships: list[MembershipEntry] = msgspec.field(default_factory=list)


class PartnershipEntry(Entry, frozen=True, kw_only=True):
    source: str
    target: str
    status: PartnershipStatus = PartnershipStatus.PENDING_APPROVAL
    message: str | None = None
    response_message: str | None = None
    reason: str | None = None
    terminated_by: str | None = None
    requested_at: datetime | None = None
    responded_at: datetime | None = None
    ended_at: datetime | None = None


class World(Inviting, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a world file may hold so far; any other section is refused by its name."""

    organizations: list[OrganizationEntry] = msgspec.field(default_factory=list)
    accounts: list[AccountEntry] = msgspec.field(default_factory=list)
    partnerships: list[PartnershipEntry] = msgspec.field(default_factory=list)


def read(path: Path) -> World:
    """Read a world file; Invalid names what is wrong in it (`the file`, if it is the whole)."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Invalid(WHOLE, f"is larger than {LARGEST_FILE:,} bytes")
        text = path.read_bytes()
    except OSError as reason:
        raise Invalid(WHOLE, f"can't be read: {reason.strerror}") from None
    try:
        return world_of(parse(text) if path.suffix.lower() == ".json" else _parse_yaml(text))
    except Invalid as refusal:
        # It goes to somebody's terminal, and the file may come from anybody.
        field = "".join(c if c.isprintable() else "\ufffd" for c in refusal.field[:LONGEST_PATH])
        raise Invalid(WHOLE if field == "body" else field, refusal.reason) from None


def world_of(value: Any) -> World:
    """Return parsed content as a world; Invalid names the entry that doesn't fit."""
    return convert({} if value is None else value, World)


class Made(NamedTuple):
    """What a world takes that is made before its transaction, and the keys it is written down with, where it needs any.

    `passwords`: slow hashes by canonical address (`hash_passwords`). `brought`: what its FHIR servers bring along
    (`world_clinic.bring`). `coded`: the codes of invites, by place (`world_invites.make_codes`).
    """

    passwords: Mapping[str, HashedPassword] = MappingProxyType({})
    brought: Sequence[Brought] = ()
    coded: Mapping[int, Coded] = MappingProxyType({})
    means: Means = Means()
    sealing_key: SealingKey | None = None


async def load(ctx: Context, world: World, made: Made, rules: PartnershipRules) -> list[Loaded]:
    """Create what is missing of a world; return a count a kind. Raises Invalid, with the entry's path."""
    return [
        await _load_organizations(ctx, world),
        *await _load_accounts(ctx, world, made.passwords),
        *await world_sharing.load(ctx, world, made.means.key),
        *await world_clinic.load_servers(ctx, world.fhir_servers, made.brought, made.sealing_key),
        await world_clinic.load_persons(ctx, world.persons),
        await world_invites.load(ctx, world.invites, made.coded, made.means),
        await _load_partnerships(ctx, world, rules),
    ]


class Missing(NamedTuple):
    """What is to be hashed, slowly, before a world is loaded: passwords, by canonical address; and codes, by place."""

    accounts: dict[str, tuple[str, str]]
    codes: list[int]


async def missing(ctx: Context, world: World) -> Missing:
    """Return which accounts and which invites by code aren't there yet. Raises Invalid, with the entry's path."""
    return Missing(await missing_accounts(ctx, world), await world_invites.missing_codes(ctx, world.invites))


async def missing_accounts(ctx: Context, world: World) -> dict[str, tuple[str, str]]:
    """Return the canonical addresses that have no account yet, with the entry's path and its password."""
    entries: dict[str, tuple[str, str]] = {}
    for index, entry in enumerate(world.accounts):
        with at(f"accounts[{index}]"):
            key = canonical_email("email", entry.email)
            if key in entries:
                raise Invalid("email", "stands in this file twice")
            entries[key] = (f"accounts[{index}]", entry.password)
    present = await account_queries.ids_by_email(ctx, list(entries))
    return {key: entry for key, entry in entries.items() if key not in present}


def hash_passwords(wanted: dict[str, tuple[str, str]], threads: int) -> dict[str, HashedPassword]:
    """Hash passwords, slowly, several at a time; Invalid names the entry whose password is refused."""

    def one(entry: tuple[str, str]) -> HashedPassword:
        path, text = entry
        with at(path):
            return hash_now(checked_password("password", text))

    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(wanted, pool.map(one, wanted.values()), strict=True))


async def _load_organizations(ctx: Context, world: World) -> Loaded:
    counted = Loaded("organizations")
    present = await organization_queries.ids_by_code(
        ctx, [entry.code.strip().lower() for entry in world.organizations]
    )
    seen: set[str] = set()
    for index, entry in enumerate(world.organizations):
        code = entry.code.strip().lower()
        with at(f"organizations[{index}]"):
            if code in seen:
                raise Invalid("code", "stands in this file twice")
            seen.add(code)
            if code in present:
                counted.present += 1
                continue
            form = OrganizationForm(
                **{name: getattr(entry, name) for name in OrganizationForm.__struct_fields__}
            )
            await organizations.create(ctx, entry.code, form, entry.status, given_id=given_id(entry.id))
        counted.created += 1
    return counted


async def _load_accounts(ctx: Context, world: World, passwords: Mapping[str, HashedPassword]) -> list[Loaded]:
    counted, members = Loaded("accounts"), Loaded("memberships")
    keys = [canonical_email("email", entry.email) for entry in world.accounts]
    present = await account_queries.ids_by_email(ctx, keys)
    codes = sorted({one.organization for entry in world.accounts for one in entry.memberships})
    organization_ids = await organization_queries.ids_by_code(ctx, codes)
    for index, (key, entry) in enumerate(zip(keys, world.accounts, strict=True)):
        with at(f"accounts[{index}]"):
            account_id = present.get(key)
            if account_id is None:
                form = AccountForm(
                    email=entry.email,
                    first_name=entry.first_name,
                    last_name=entry.last_name,
                    verified=entry.verified,
                )
                its_id = given_id(entry.id, printed_as_object_id=True)
                account_id = (await accounts.create(ctx, form, passwords[key], given_id=its_id)).id
                counted.created += 1
            else:
                counted.present += 1
            has = {one.organization_id for one in await membership_queries.of_account(ctx, account_id)}
            for place, one in enumerate(entry.memberships):
                with at(f"memberships[{place}]"):
                    organization_id = known(organization_ids, "organization", one.organization)
                    if organization_id in has:
                        members.present += 1
                        continue
                    await memberships.add(ctx, account_id, organization_id, one.role)
                    has.add(organization_id)
                    members.created += 1
            await _load_external_id(ctx, entry, account_id, organization_ids)
    return [counted, members]


async def _load_external_id(
    ctx: Context, entry: AccountEntry, account_id: UUID, organization_ids: dict[str, UUID]
) -> None:
    """Have the applications of each organization that an entry names know the account by its id, where they know it by none."""
    if entry.external_id is None:
        return
    if not entry.memberships:
        raise Invalid(
            "externalId", "needs a membership: it is what applications of an organization call its member"
        )
    for one in entry.memberships:
        await memberships.import_external_id(
            ctx, account_id, organization_ids[one.organization], entry.external_id
        )


async def _load_partnerships(ctx: Context, world: World, rules: PartnershipRules) -> Loaded:
    counted = Loaded("partnerships")
    codes = {
        code
        for entry in world.partnerships
        for code in (entry.source, entry.target, entry.terminated_by)
        if code
    }
    ids = await organization_queries.ids_by_code(ctx, sorted(codes))
    seen: set[frozenset[UUID]] = set()
    for index, entry in enumerate(world.partnerships):
        with at(f"partnerships[{index}]"):
            source, target = known(ids, "source", entry.source), known(ids, "target", entry.target)
            if source == target:
                raise Invalid("target", "must be another organization than the source")
            if frozenset((source, target)) in seen:
                raise Invalid("target", "stands in this file with this source twice, one way or the other")
            seen.add(frozenset((source, target)))
            terminated_by = (
                None if entry.terminated_by is None else known(ids, "terminatedBy", entry.terminated_by)
            )
            if terminated_by not in (None, source, target):
                raise Invalid("terminatedBy", "must be the source or the target")
            made = await partnerships.import_one(
                ctx,
                ImportedPartnership(
                    source_id=source,
                    target_id=target,
                    status=entry.status,
                    message=entry.message,
                    response_message=entry.response_message,
                    reason=entry.reason,
                    terminated_by=terminated_by,
                    requested_at=_utc("requestedAt", entry.requested_at),
                    responded_at=_utc("respondedAt", entry.responded_at),
                    ended_at=_utc("endedAt", entry.ended_at),
                    given_id=given_id(entry.id),
                ),
                rules,
            )
            if made is None:
                counted.present += 1
            else:
                counted.created += 1
    return counted


def _utc(field: str, given: datetime | None) -> datetime | None:
    if given is not None and given.tzinfo is None:
        raise Invalid(field, "must say its offset from UTC, such as 2026-01-31T09:00:00Z")
    try:
        return None if given is None else given.astimezone(UTC)
    except OverflowError:
        raise Invalid(field, "is out of range") from None


class _StrictLoader(yaml.SafeLoader):
    """YAML that says no more than JSON can: no duplicate members, no aliases, and dates as the text they are written as."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # An alias may hold itself, or stand for thousands of others.
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            raise Invalid(WHOLE, f"has an alias, which worlds don't take{_line(mark)}")
        return super().compose_node(parent, index)


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    members: dict[Any, Any] = {}
    for name_node, value_node in node.value:
        name = loader.construct_object(name_node, deep=True)
        if name in members:
            raise Invalid(WHOLE, f"says {ascii(name)[:80]} twice{_line(name_node.start_mark)}")
        members[name] = loader.construct_object(value_node, deep=True)
    return members


def _as_written(loader: _StrictLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_written)


def _parse_yaml(text: bytes) -> Any:
    try:
        value = yaml.load(text.decode(), Loader=_StrictLoader)  # noqa: S506  a SafeLoader, only stricter
        # The same strictness for both: what JSON can't say, and what we refuse in it, is no world.
        return parse(json.dumps(value).encode())
    except UnicodeDecodeError:
        raise Invalid(WHOLE, "is not UTF-8") from None
    except yaml.YAMLError as reason:
        raise Invalid(WHOLE, f"is not YAML{_line(getattr(reason, 'problem_mark', None))}") from None
    except RecursionError:
        raise Invalid(WHOLE, "is nested too deeply") from None
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        # What PyYAML says of a value that doesn't fit its own tag, such as `!!int many`.
        raise Invalid(WHOLE, "holds a value that is none") from None


def _line(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1})"
