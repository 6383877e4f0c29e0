"""The change and its event are one write: where the event can't be written, nothing was changed (style.md, habit 14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from engine import caring, inviting, sharing
from engine.fhir_resources.clinic import ndjson, prepared
from engine.ground import NOBODYS_HASH, Ground
from hospitium.dispatch import sweeps
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine import errors, events, ids
from hospitium.engine.accounts import actions as accounts, life
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.mails import Post
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import ANONYMOUS, Role
from hospitium.engine.client_keys import actions as client_keys
from hospitium.engine.context import Context
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_resources import actions as resource_actions
from hospitium.engine.fhir_servers import actions as servers, queries as server_queries
from hospitium.engine.fhir_servers.actions import ServerChanges, ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.grants import on_servers
from hospitium.engine.grants.on_servers import GrantForm
from hospitium.engine.grants.record import GranteeKind
from hospitium.engine.invites import accepting, actions as invites, answering, importing as importing_invites
from hospitium.engine.invites.actions import EmailForm, Terms
from hospitium.engine.invites.importing import ImportedInvite, ImportedStatus
from hospitium.engine.invites.record import MOST_WRONG_ANSWERS
from hospitium.engine.levels import Level
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.object_types import actions as object_types
from hospitium.engine.object_types.actions import TypeSettings
from hospitium.engine.offers import actions as offers
from hospitium.engine.offers.record import OFFER_PURPOSE
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationType
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.partnerships.actions import ImportedPartnership
from hospitium.engine.partnerships.record import PartnershipStatus
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import actions as persons, offering
from hospitium.engine.persons.offering import PersonOfferForm
from hospitium.engine.persons.record import PERSON_OFFER_LIFE, Relationship
from hospitium.engine.reads import actions as reads
from hospitium.engine.reads.record import Interaction, Read
from hospitium.engine.records import actions as records
from hospitium.engine.secrets import (
    ClientKeyText,
    DerivationKey,
    HashedPassword,
    ServiceKeyText,
    derive,
    seed,
)
from hospitium.engine.service_keys import actions as service_keys
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.sessions.actions import PasswordVerdict
from hospitium.engine.sessions.record import REFRESH_PURPOSE
from hospitium.engine.shares import actions as shares, importing
from hospitium.engine.shares.importing import ImportedShare
from hospitium.engine.shares.record import ShareStatus
from hospitium.engine.suspensions import actions as suspensions
from hospitium.engine.suspensions.record import SuspensionReason
from hospitium.engine.teams import actions as teams
from hospitium.engine.throttles.rules import Limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = DerivationKey(1, b"k" * 32)
Deed = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def no_event_can_be_written(ground: Ground, table: str) -> AsyncIterator[None]:
    await ground.rows(
        "CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trail is broken'; END $$"
    )
    await ground.rows(
        f"CREATE TRIGGER broken BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION break_it()"
    )
    yield
    await ground.rows(f"DROP TRIGGER broken ON {table}")
    await ground.rows("DROP FUNCTION break_it()")


def verdict(ground: Ground, name: str = "ada") -> PasswordVerdict:
    return PasswordVerdict(ground.actors[name].account_id, NOBODYS_HASH, True)


async def sign_in(ground: Ground, name: str = "ada") -> Any:
    """Start a session; return it with the text of its refresh token."""
    given = seed(KEY, REFRESH_PURPOSE, ids.new_id(ground.clock()))
    started = await ground.does(name, sessions.start, verdict(ground, name), None, given)
    return started.session, derive(KEY, REFRESH_PURPOSE, given.row_id, given.nonce)


async def as_session(ground: Ground, name: str) -> Any:
    """Return the actor of a person with a session."""
    session, _ = await sign_in(ground, name)
    actor = ground.actors[name]
    return type(actor)(**{n: getattr(actor, n) for n in actor.__struct_fields__} | {"session_id": session.id})


POST = Post(KEY, Limit(1_000, timedelta(seconds=1)))


async def token_of(ground: Ground, purpose: LinkPurpose) -> Any:
    """Return the token of the newest link of a kind."""
    (row,) = await ground.rows(
        "SELECT id, nonce FROM links WHERE purpose = $1 ORDER BY id DESC LIMIT 1", purpose.value
    )
    return derive(KEY, purpose.value, row["id"], row["nonce"])


async def link_of(ground: Ground, asking: Any, email: str, purpose: LinkPurpose) -> Any:
    """Have a link sent; return its token."""
    await ground.does(ANONYMOUS, asking, email, Language.ENGLISH, POST)
    return await token_of(ground, purpose)


async def unconfirmed(ground: Ground, name: str) -> tuple[Any, Any]:
    """Register somebody; return the account's id and the token that confirms it."""
    email = f"{name}@new.example"
    await ground.does(ANONYMOUS, life.register, AccountForm(email=email), NOBODYS_HASH, POST)
    (row,) = await ground.rows("SELECT id FROM accounts WHERE email = $1", email)
    return row["id"], await token_of(ground, LinkPurpose.CONFIRM)


def a_grant(name: str) -> GrantForm:
    return GrantForm(GranteeKind.ACCOUNT, f"{name}@northside.example", Level.READ)


async def a_wrong_answer(ctx: Context, coded: inviting.Coded) -> None:
    """Answer wrong; the try is counted first, as the door does."""
    attempt = await answering.take_attempt(ctx, coded.digests)
    await answering.count_wrong(ctx, attempt.invite_id)


FORM = OrganizationForm(name="Westside", type=OrganizationType.BOTH)


async def deeds_of_sharing(ground: Ground) -> dict[str, Deed]:
    """Every kind of deed with types, records, teams, shares and client keys, ready to be done; each once.

    Rui is with whom things are shared, zoe who is offered them: both stay to the end of all deeds.
    """
    g = ground
    now = g.clock()
    rui, zoe = "rui@lakeside.example", g.actors["zoe"].account_id
    kind = await g.does("ada", sharing.a_type, requires_acceptance=False)
    unused = await g.does("ada", sharing.a_type, "c_unused")
    # Below it the records, each shared as its deed wants it.
    made = {
        name: await g.does("ada", sharing.a_record, kind)
        for name in ("update", "archive", "unarchive", "delete", "offer", "accept", "apply", "change", "decline", "withdraw",
                     "leave", "revoke", "expire", "merge", "import")
    }  # fmt: skip
    await g.does("ada", records.archive, kind, made["unarchive"])
    offered = {
        name: await g.does("ada", sharing.offer, made[name], sharing.to_email(rui))
        for name in (
            "archive",
            "delete",
            "accept",
            "change",
            "decline",
            "withdraw",
            "leave",
            "revoke",
            "merge",
        )
    }
    for name in ("archive", "delete", "change", "leave", "revoke", "merge"):
        await g.does("rui", sharing.accept, offered[name])
    second = await g.does(
        "ada", sharing.offer, made["merge"], sharing.to_account(g.actors["rui"].account_id, 5)
    )
    long_ago = now - timedelta(days=6, hours=23)
    early = await g.does("ada", sharing.a_record, kind, now=long_ago)
    await g.does("ada", sharing.offer, early, sharing.to_email(rui), now=long_ago)
    crew = [await g.does("ada", teams.create, name) for name in ("Crew", "Old crew")]
    ida = await g.does("operator", ground.add_person, "ida", "northside", Role.PHYSICIAN)
    jon = await g.does("operator", ground.add_person, "jon", "northside", Role.PHYSICIAN)
    await g.does("ada", teams.add_member, crew[0].id, jon.account_id)
    held = await g.does("operator", client_keys.make, g.northside, "Old", ClientKeyText("x" * 32))
    old = await g.does(
        "ada", service_keys.make, g.northside, "Old", ["check"], ServiceKeyText("hsk_" + "x" * 43)
    )
    new_key = ServiceKeyText("hsk_" + "y" * 43)
    settings = TypeSettings(label="Changed", allows_shares=True)
    imported = ImportedShare(
        record_id=made["import"], made_by=g.actors["ada"].account_id, level=4, status=ShareStatus.ACTIVE,  # type: ignore[arg-type]
        email="zoe@harbor.example", account_id=zoe,
    )  # fmt: skip
    return {
        "object_type.defined": lambda: g.does("ada", sharing.a_type, "c_new"),
        "object_type.changed": lambda: g.does("ada", object_types.change, unused.id, settings),
        "object_type.dropped": lambda: g.does("ada", object_types.drop, unused.id),
        "record.created": lambda: g.does("ada", records.create, kind, sharing.BODY),
        "record.updated": lambda: g.does("ada", records.replace, kind, made["update"], sharing.BODY),
        "record.archived": lambda: g.does("ada", records.archive, kind, made["archive"]),
        "record.unarchived": lambda: g.does("ada", records.unarchive, kind, made["unarchive"]),
        "record.deleted": lambda: g.does("ada", records.delete, kind, made["delete"]),
        "team.created": lambda: g.does("ada", teams.create, "New crew"),
        "team.renamed": lambda: g.does("ada", teams.rename, crew[0].id, "Night crew"),
        "team.joined": lambda: g.does("ada", teams.add_member, crew[0].id, ida.account_id),
        "team.left": lambda: g.does("ada", teams.remove_member, crew[0].id, jon.account_id),
        "team.ended": lambda: g.does("ada", teams.end, crew[1].id),
        "share.offered": lambda: g.does("ada", sharing.offer, made["offer"], sharing.to_email(rui)),
        "share.accepted": lambda: g.does("rui", sharing.accept, offered["accept"]),
        "share.applied": lambda: g.does("ada", sharing.offer, made["apply"], sharing.to_account(zoe, is_auto=True)),
        "share.changed": lambda: g.does("ada", shares.change_level, offered["change"].id, 5),
        "share.declined": lambda: g.does("rui", shares.decline, sharing.token_of(offered["decline"])),
        "share.withdrawn": lambda: g.does("ada", shares.end, offered["withdraw"].id),
        "share.left": lambda: g.does("rui", shares.end, offered["leave"].id),
        "share.revoked": lambda: g.does("ada", shares.end, offered["revoke"].id),
        "share.expired": lambda: g.does("system", sweeps.expire_one_share, now=now + timedelta(hours=2)),
        "share.merged": lambda: g.does("rui", sharing.accept, second),
        "share.imported": lambda: g.does("operator", importing.import_one, imported, KEY),
        "client_key.made": lambda: g.does("operator", client_keys.make, g.northside, "New", ClientKeyText("y" * 32)),
        "client_key.ended": lambda: g.does("operator", client_keys.end, held.id),
        "service_key.made": lambda: g.does("ada", service_keys.make, g.northside, "New", ["list", "check"], new_key),
        "service_key.ended": lambda: g.does("ada", service_keys.end, old.id),
    }  # fmt: skip


async def deeds_of_caring(ground: Ground) -> dict[str, Deed]:
    """Every kind of deed with persons and those who look after them, ready to be done; each once.

    Sam owns them all, ted is whom he lets in: both stay to the end of all deeds.
    """
    g = ground
    now = g.clock()
    for name in ("sam", "ted"):
        await g.does("operator", ground.add_person, name, None, Role.ADMIN)
    ted = g.actors["ted"].account_id
    form = PersonOfferForm("ted@mail.example", Level.READ)
    long_ago = now - PERSON_OFFER_LIFE + timedelta(hours=1)
    early = await g.does("sam", caring.a_person, first_name="Early", now=long_ago)
    await g.does("sam", offering.offer, early, form, POST, now=long_ago)
    person = {
        name: await g.does("sam", caring.a_person, first_name=name.title())
        for name in (
            "update",
            "delete",
            "offer",
            "accept",
            "decline",
            "withdraw",
            "change",
            "end",
            "transfer",
        )
    }
    offered = {
        name: await g.does("sam", offering.offer, person[name], form, POST)
        for name in ("accept", "decline", "withdraw", "change", "end", "transfer")
    }
    for name in ("change", "end", "transfer"):
        await g.does("ted", caring.accept, offered[name])
    said = caring.a_form(first_name="Leslie")
    return {
        "person.created": lambda: g.does("sam", caring.a_person, first_name="New"),
        "person.updated": lambda: g.does("sam", persons.change, person["update"], said),
        "person.deleted": lambda: g.does("sam", persons.delete, person["delete"]),
        "person.offered": lambda: g.does("sam", offering.offer, person["offer"], form, POST),
        "person.accepted": lambda: g.does("ted", caring.accept, offered["accept"]),
        "person.declined": lambda: g.does("ted", offering.decline, offered["decline"].id),
        "person.withdrawn": lambda: g.does("sam", offering.withdraw, person["withdraw"], offered["withdraw"].id),
        "person.expired": lambda: g.does("system", sweeps.expire_one_person_offer, now=now + timedelta(hours=2)),
        "person.role_changed": lambda: g.does("sam", persons.change_role, person["change"], ted, Level.UPDATE),
        "person.role_ended": lambda: g.does("sam", persons.end_role, person["end"], ted),
        "person.transferred": lambda: g.does("sam", persons.transfer, person["transfer"], ted),
        "person.imported": lambda: g.does("operator", persons.import_one, ted, said, Relationship.CHILD),
    }  # fmt: skip


async def deeds_of_inviting(ground: Ground) -> dict[str, Deed]:
    """Every kind of deed with FHIR servers, grants on them and invites, ready to be done; each once. After those of sharing, with its
    colleagues of ada, and of caring, with its sam."""
    g = ground
    now = g.clock()
    sam, kim = "sam@mail.example", await g.does("sam", caring.a_person)
    server, changed, removed = [await inviting.a_server(g, name) for name in ("Clinic", "Branch", "Closed")]
    remote = ServerForm("Moved", ServerKind.REMOTE, "https://fhir.clinic.example/r4")
    moved = await g.does("operator", servers.create, g.northside, remote)
    await g.does("operator", servers.suspend_again, moved.id)
    granted = await g.does("ada", on_servers.make, server, a_grant("ida"))
    soon = Terms(timedelta(hours=1), POST)
    to_sam = EmailForm(sam, "Sam", "Moor")
    await g.does("ada", invites.make_by_email, inviting.a_patient(server, "expire"), to_sam, soon)
    mailed = {
        name: await g.does("ada", inviting.by_email, server, sam, name)
        for name in ("resend", "withdraw", "accept", "decline")
    }
    coded = {
        name: await g.does("ada", inviting.by_code, server, name)
        for name in ("replace", "bind", "wrong", "lock", "undo")
    }
    for _ in range(MOST_WRONG_ANSWERS - 1):
        await g.does(ANONYMOUS, a_wrong_answer, coded["lock"])
    await g.does(ANONYMOUS, inviting.register, coded["undo"], "ulf@new.example")
    claim = await token_of(g, LinkPurpose.CONFIRM)
    patient = inviting.a_patient(server, "import")
    imported = ImportedInvite(
        patient=patient, made_by=g.actors["ada"].account_id, status=ImportedStatus.OPEN,  # type: ignore[arg-type]
        by_email=to_sam,
    )  # fmt: skip
    await g.does("sam", suspensions.suspend_patient, server, "certain", SuspensionReason.MERGED)
    a_read = Read(server, g.northside, Interaction.READ, "Patient", ["jane"], "jane", 1)
    resources = prepared(
        {"a.ndjson": ndjson([{"resourceType": "Patient", "id": "jane", "gender": "female"}])}
    )

    async def search(ctx: Context) -> None:
        await servers.note_search(ctx, await server_queries.by_id(ctx, server), "several")

    return {
        "fhir_server.added": lambda: inviting.a_server(g, "New"),
        "fhir_server.changed": lambda: g.does("ada", servers.change, changed, ServerChanges("Branch II", None, False, None, None)),
        "fhir_server.confirmed": lambda: g.does("operator", servers.confirm, moved.id),
        "fhir_server.removed": lambda: g.does("ada", servers.remove, removed),
        "fhir_server.loaded": lambda: g.does("operator", resource_actions.load, server, resources),
        "fhir_server.searched": lambda: g.does("ada", search),
        "fhir.read": lambda: g.does("sam", reads.record, a_read),
        "fhir.read_refused": lambda: g.does("sam", reads.record, msgspec.structs.replace(a_read, refused="NotFound")),
        "fhir.left_out": lambda: g.does("sam", reads.record, msgspec.structs.replace(a_read, left_out=3)),
        "patient.suspended": lambda: g.does("sam", suspensions.suspend_patient, server, "jane", SuspensionReason.GONE),
        "patient.confirmed": lambda: g.does("ada", suspensions.confirm_patient, server, "certain"),
        "grant.made": lambda: g.does("ada", on_servers.make, server, a_grant("jon")),
        "grant.ended": lambda: g.does("ada", on_servers.end, granted.id),
        "invite.made": lambda: g.does("ada", inviting.by_email, server, sam, "make"),
        "invite.resent": lambda: g.does("ada", invites.resend, mailed["resend"].id, POST),
        "invite.replaced": lambda: g.does("ada", inviting.again, coded["replace"].invite),
        "invite.withdrawn": lambda: g.does("ada", invites.withdraw, mailed["withdraw"].id),
        "invite.bound": lambda: g.does(ANONYMOUS, inviting.register, coded["bind"], "una@new.example"),
        "invite.answered_wrong": lambda: g.does(ANONYMOUS, a_wrong_answer, coded["wrong"]),
        "invite.locked": lambda: g.does(ANONYMOUS, a_wrong_answer, coded["lock"]),
        "invite.accepted": lambda: g.does("sam", inviting.accept, mailed["accept"], kim),
        "invite.declined": lambda: g.does("sam", accepting.decline, mailed["decline"].id),
        "invite.expired": lambda: g.does("system", sweeps.expire_one_invite, now=now + timedelta(hours=2)),
        "invite.undone": lambda: g.does(ANONYMOUS, life.claim, claim, HashedPassword("new")),
        "invite.imported": lambda: g.does("operator", importing_invites.import_one, imported, KEY, inviting.LIFE),
    }  # fmt: skip


async def deeds(ground: Ground) -> dict[str, Deed]:
    """Every kind of deed that tells, ready to be done; each once."""
    g = ground
    now = g.clock()
    asked = await g.asks("ada", "lakeside")
    await g.does("operator", g.add_many, *(f"o{n}" for n in range(8)))
    pending = [await g.asks("ada", f"o{n}") for n in range(6)]
    await g.moves("o2", "reject", pending[2])
    await g.moves("o3", "approve", pending[3])
    await g.moves("o4", "approve", pending[4])
    await g.moves("ada", "terminate", pending[4])
    await g.asks("zoe", "o7", now=now - timedelta(days=89, hours=23))
    ada = await as_session(g, "ada")
    _, token = await sign_in(g, "zoe")
    _, used = await sign_in(g, "rui")
    await g.does("rui", sessions.renew, used, seed(KEY, REFRESH_PURPOSE, ids.new_id(g.clock())))
    new = lambda: seed(KEY, REFRESH_PURPOSE, ids.new_id(g.clock()))  # noqa: E731
    cards = [AccountForm(email=f"{name}@new.example") for name in ("kim", "lee")]
    lee = await g.does("operator", accounts.create, cards[1], NOBODYS_HASH)
    await g.does("operator", accounts.disable, "nia@newcomer.example")
    eve = await unconfirmed(g, "eve")
    claimed = await unconfirmed(g, "uma")
    await unconfirmed(g, "ivo")
    pat = g.actors["pat"]
    reset = await link_of(g, life.ask_new_password, "cal@closed.example", LinkPurpose.PASSWORD)
    await g.does(pat, life.ask_email_change, verdict(g, "pat"), "pat@new.example", POST)
    proof = await token_of(g, LinkPurpose.EMAIL)
    past = await g.does(
        "ada",
        offers.make,
        "old@offer.example",
        Role.PHYSICIAN,
        Language.ENGLISH,
        POST,
        now=now - timedelta(days=13, hours=23),
    )
    offers_made = [
        await g.does("ada", offers.make, f"{name}@offer.example", Role.PHYSICIAN, Language.ENGLISH, POST)
        for name in ("ann", "bob", "cy", "dee")
    ]
    taken = derive(KEY, OFFER_PURPOSE, offers_made[2].id, offers_made[2].nonce)
    await as_session(g, "mia")
    (delivery,) = await g.rows("SELECT id FROM deliveries WHERE account_id IS NOT NULL LIMIT 1")
    imported = ImportedPartnership(source_id=g.o5, target_id=g.o6, status=PartnershipStatus.APPROVED)
    return {
        "partnership.requested": lambda: g.asks("rui", "harbor"),
        "partnership.approved": lambda: g.moves("rui", "approve", asked),
        "partnership.rejected": lambda: g.moves("o1", "reject", pending[1]),
        "partnership.canceled": lambda: g.moves("ada", "cancel", pending[0]),
        "partnership.resent": lambda: g.moves("ada", "resend", pending[2]),
        "partnership.terminated": lambda: g.moves("o3", "terminate", pending[3]),
        "partnership.reestablished": lambda: g.moves("o4", "reestablish", pending[4]),
        "partnership.expired": lambda: g.does("system", sweeps.expire_one_partnership, now=now + timedelta(hours=2)),
        "partnership.imported": lambda: g.does("operator", partnerships.import_one, imported, g.rules),
        "organization.registered": lambda: g.does("ada", organizations.register, "westside", FORM, "approval"),
        "organization.updated": lambda: g.does("ada", organizations.update_profile, {"city": "Dayton"}),
        "organization.approved": lambda: g.does("operator", organizations.judge, "approve", "newcomer"),
        "organization.suspended": lambda: g.does("operator", organizations.judge, "suspend", "o7"),
        "organization.reinstated": lambda: g.does("operator", organizations.judge, "reinstate", "closed"),
        "account.created": lambda: g.does("operator", accounts.create, cards[0], NOBODYS_HASH),
        "account.disabled": lambda: g.does("operator", accounts.disable, "ben@northside.example"),
        "account.enabled": lambda: g.does("operator", accounts.enable, "nia@newcomer.example"),
        "account.registered": lambda: g.does(ANONYMOUS, life.register, AccountForm(email="kai@new.example"), NOBODYS_HASH, POST),
        "account.replaced": lambda: g.does(ANONYMOUS, life.register, AccountForm(email="ivo@new.example"), NOBODYS_HASH, POST),
        "account.link_sent": lambda: g.does(ANONYMOUS, life.ask_new_password, "zoe@harbor.example", Language.ENGLISH, POST),
        "account.confirmed": lambda: g.does(ANONYMOUS, life.confirm, eve[1], PasswordVerdict(eve[0], NOBODYS_HASH, True)),
        "account.claimed": lambda: g.does(ANONYMOUS, life.claim, claimed[1], HashedPassword("new")),
        "account.updated": lambda: g.does(pat, life.update_own, {"first_name": "Patricia"}),
        "account.email_changed": lambda: g.does(pat, life.prove_email, proof, None, POST),
        "account.exported": lambda: g.does(pat, life.export_own),
        "account.deleted": lambda: g.does(pat, life.delete_own, verdict(g, "pat"), POST),
        "account.password_changed": lambda: g.does(ANONYMOUS, life.set_password, reset, HashedPassword("new"), POST),
        "offer.made": lambda: g.does("ada", offers.make, "eli@offer.example", Role.PHYSICIAN, Language.ENGLISH, POST),
        "offer.resent": lambda: g.does("ada", offers.resend, offers_made[0].id, POST),
        "offer.withdrawn": lambda: g.does("ada", offers.withdraw, offers_made[1].id),
        "offer.accepted": lambda: g.does(ANONYMOUS, offers.accept, taken, AccountForm(email=""), NOBODYS_HASH, PasswordVerdict(None, None, False)),
        "offer.expired": lambda: g.does("system", offers.expire_one, now=past.expires_at),
        "sessions.ended": lambda: g.does("mia", sessions.end_others),
        "delivery.retried": lambda: g.does("operator", deliveries.retry, delivery["id"]),
        "membership.started": lambda: g.does("operator", memberships.add, lee.id, g.harbor, Role.SCHEDULER),
        "membership.changed": lambda: g.does("ada", memberships.change_external_id, g.actors["ben"].account_id, "CANARY-ID"),
        "membership.ended": lambda: g.does("operator", memberships.end, g.actors["mia"].account_id, g.northside),
        "session.started": lambda: sign_in(g, "rui"),
        "session.refused": lambda: g.does("ada", sessions.note_failed_sign_in, verdict(g), "WrongCredentials"),
        "session.moved": lambda: g.does(ada, sessions.move, g.northside),
        "session.token_reused": lambda: g.does("rui", sessions.renew, used, new(), now=g.clock() + timedelta(minutes=1)),
        "session.ended": lambda: g.does(ada, sessions.end),
        # Renewing tells nothing of its own: the chain of tokens is its record.
        "": lambda: g.does("zoe", sessions.renew, token, new()),
        **await deeds_of_sharing(g),
        **await deeds_of_caring(g),
        **await deeds_of_inviting(g),
    }  # fmt: skip


async def test_each_deed_tells_what_it_is_and_the_list_of_deeds_is_whole(ground: Ground) -> None:
    told = set()
    for kind, deed in (await deeds(ground)).items():
        before = {row["id"] for row in await ground.rows("SELECT id FROM events")}
        await deed()
        kinds = {
            row["kind"] for row in await ground.rows("SELECT id, kind FROM events") if row["id"] not in before
        }
        assert (kind in kinds) if kind else not kinds, kind
        told |= kinds
    # A refusal is told by the door's unit of work, and tried below; retiring has no party, and is tried with the trail.
    # So are restoring a backup, and what only that does.
    elsewhere = {"refused", "trail.retired", "epoch.restored", "epoch.confirmed", "account.password_voided"}
    assert told == {str(kind) for kind in EventKind} - elsewhere
    assert await ground.violations() == []


@pytest.mark.parametrize("table", ["events", "event_parties"])
async def test_without_its_event_no_deed_is_done(ground: Ground, table: str) -> None:
    changed = []
    for kind, deed in (await deeds(ground)).items():
        if not kind:
            continue
        before = await ground.everything()
        async with no_event_can_be_written(ground, table):
            with pytest.raises(asyncpg.RaiseError, match="the trail is broken"):
                await deed()
        after = await ground.everything()
        changed += [f"{kind}: {name}" for name in before if before[name] != after[name]]
        await deed()  # and nothing else stood in its way
    assert changed == []
    assert await ground.violations() == []


async def test_a_refusal_is_kept_though_its_deed_is_rolled_back(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    ada = ground.actors["ada"]

    async def approve_own(ctx: Context) -> Any:
        await organizations.update_profile(ctx, {"city": "Dayton"})
        return await ground.move(ctx, "approve", partnership_id)

    before = await ground.everything()
    with pytest.raises(errors.WrongSide):
        await perform_as(
            ground.database,
            ground.clock,
            ada,
            Permission.ANSWER_PARTNERSHIP,
            approve_own,
            about=partnership_id,
        )
    after = await ground.everything()
    assert {name for name in before if before[name] != after[name]} <= {"events", "event_parties"} | {
        name for name in before if name.startswith("event")
    }
    assert len(after["events"]) == len(before["events"]) + 1
    kept = (await ground.rows("SELECT * FROM events WHERE kind = 'refused'"))[0]
    assert kept["data"] == {"permission": "partnerships.answer", "refusal": "WrongSide"}
    assert (kept["subject_id"], kept["actor_account_id"]) == (partnership_id, ada.account_id)


async def test_a_refusal_that_cannot_be_kept_is_no_yes_either(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    before = await ground.everything()
    async with no_event_can_be_written(ground, "events"):
        with pytest.raises((asyncpg.RaiseError, errors.Unavailable)):
            await perform_as(
                ground.database, ground.clock, ground.actors["ada"], Permission.ANSWER_PARTNERSHIP,
                lambda ctx: ground.move(ctx, "approve", partnership_id),
            )  # fmt: skip
    assert await ground.everything() == before


async def test_one_fact_stands_in_every_trail_it_belongs_to_and_in_no_other(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)

    async def trail(party: Any) -> list[str]:
        async with ground.database.transaction() as tx:
            return [
                e.kind.value
                for e in await events.TRAIL.all(tx, party_id=party)
                if e.subject_id == partnership_id
            ]

    both = ["partnership.requested", "partnership.approved"]
    assert await trail(ground.northside) == await trail(ground.lakeside) == both
    assert await trail(ground.actors["ada"].account_id) == both[:1]
    assert await trail(ground.actors["rui"].account_id) == both[1:]
    assert await trail(ground.harbor) == await trail(ground.actors["zoe"].account_id) == []


async def test_an_event_says_from_where_a_partnership_came_and_where_it_went(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    for who, verb in (
        ("rui", "reject"),
        ("ada", "resend"),
        ("rui", "approve"),
        ("ada", "terminate"),
        ("rui", "reestablish"),
        ("rui", "cancel"),
    ):
        await ground.moves(who, verb, partnership_id)
    told = await ground.rows(
        "SELECT data FROM events WHERE subject_id = $1 ORDER BY position", partnership_id
    )
    assert [(row["data"].get("was"), row["data"]["status"], row["data"]["version"]) for row in told] == [
        (None, "pending_approval", 1), ("pending_approval", "rejected", 2), ("rejected", "pending_approval", 3), ("pending_approval", "approved", 4),
        ("approved", "terminated", 5), ("terminated", "pending_approval", 6), ("pending_approval", "canceled", 7),
    ]  # fmt: skip


async def test_events_hold_no_words_that_anybody_wrote(ground: Ground) -> None:
    """Ids, kinds, levels and times: never names, addresses, messages or search values."""
    for deed in (await deeds(ground)).values():
        await deed()
    await ground.asks("rui", "o0", message="CANARY-MESSAGE")
    written = " ".join((await ground.everything())["events"])
    for word in (
        "CANARY",
        "Hello",
        "Gladly",
        "Not now",
        "Please",
        "Over",
        "Again",
        "Westside",
        "Dayton",
        "@",
        "$argon2",
        "aspirin",
        "drug",
        "Prescription",
        "c_",
        "Crew",
        "crew",
        "Clinic",
        "Branch",
        "Leslie",
        "Moor",
        "2019-04",
        "female",
        "Which pet",
        "Which school",
        "x" * 8,
        "y" * 8,
    ):
        assert word not in written, word
    names = await ground.rows("SELECT DISTINCT jsonb_object_keys(data) AS name FROM events")
    assert {row["name"] for row in names} <= {
        "account", "organization", "role", "status", "was", "version", "source", "target", "grants", "reason", "fields",
        "template", "sessions", "object_type", "record", "form", "level", "owner",
        "person", "fhir_server", "patient", "grantee", "grantee_kind", "suspended", "found", "created", "updated", "unchanged",
        "replaces", "grant", "wrong_answers", "scopes",
        "interaction", "type", "resource", "patients", "count", "refusal",  # of reads
    }  # fmt: skip


async def test_the_order_of_events_is_the_order_in_which_they_were_written(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    async with ground.database.transaction() as tx:
        await ground.move(ground.context(tx, "rui"), "approve", partnership_id)
        await ground.move(ground.context(tx, "rui"), "terminate", partnership_id)
    rows = await ground.rows(
        "SELECT kind, transaction FROM events WHERE subject_id = $1 ORDER BY transaction, position",
        partnership_id,
    )
    assert [row["kind"].partition(".")[2] for row in rows] == ["requested", "approved", "terminated"]
    assert rows[0]["transaction"] < rows[1]["transaction"] == rows[2]["transaction"]
