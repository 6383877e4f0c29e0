"""A restore is an epoch: what it voids, what it holds, and what an exported trail takes away again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from engine import caring, inviting, sharing
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.access.check import Question, Resource, SubjectKind, best_of, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.actor import Role
from hospitium.engine.client_keys import actions as client_keys
from hospitium.engine.context import Context
from hospitium.engine.epochs import actions as epochs, revocations
from hospitium.engine.epochs.actions import VOIDED, Restored
from hospitium.engine.epochs.revocations import TAKES_AWAY, Trail, TrailLine
from hospitium.engine.errors import DeadLink, Forbidden, NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.invites.record import Invite
from hospitium.engine.levels import Level
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.object_types.record import ObjectType
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.records import actions as records
from hospitium.engine.secrets import ClientKeyText, HashedPassword, ServiceKeyText
from hospitium.engine.service_keys import actions as service_keys, queries as service_key_queries
from hospitium.engine.shares.record import Share
from hospitium.engine.teams import actions as teams

FRESH = HashedPassword("$argon2id$nobody knows this")
ADA = "ada@northside.example"


async def restored(
    ground: Ground, *lines: TrailLine, complete: bool = False, taken_at: datetime | None = None
) -> Restored:
    return await ground.does("operator", epochs.begin_next, taken_at, Trail(lines, complete, FRESH))  # type: ignore[no-any-return]


def line(kind: EventKind, subject: UUID | None, number: int | None = None, **data: Any) -> TrailLine:
    said = {name: str(value) if isinstance(value, UUID) else value for name, value in data.items()}
    return TrailLine(
        id=uuid4(),
        at=datetime.now().astimezone(),
        kind=kind.value,
        subject_id=subject,
        number=number,
        data=said,
    )


async def may_connect(ground: Ground) -> str:
    question = Question(
        SubjectKind.ORGANIZATION,
        ground.northside,
        Level.CONNECTED,
        ResourceKind.ORGANIZATION,
        str(ground.lakeside),
    )
    decision = await ground.does("system", check, question)
    return "yes" if isinstance(decision, Allowed) else decision.reason


async def connected(ground: Ground) -> UUID:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    return partnership_id


# -- where the data lives --------------------------------------------------------------------------------------------------


async def test_the_first_start_notes_where_the_data_lives(ground: Ground) -> None:
    assert await ground.does("operator", epochs.settle) is True
    assert await ground.does("operator", epochs.settle) is True
    (epoch,) = await ground.rows("SELECT * FROM epochs")
    assert (epoch["number"], epoch["holds_until"]) == (1, None)
    await connected(ground)
    assert await may_connect(ground) == "yes"


@pytest.mark.parametrize("part", [1, 2, 3], ids=["cluster", "database", "tables"])
async def test_data_that_wakes_up_elsewhere_is_not_at_home_until_its_epoch_begins(
    ground: Ground, part: int
) -> None:
    await ground.does("operator", epochs.settle)
    await ground.rows(
        "UPDATE epochs SET place = array_to_string((string_to_array(place, '/'))[:$1 - 1] || '1'::text || "
        "(string_to_array(place, '/'))[$1 + 1:], '/')",
        part,
    )
    assert await ground.does("operator", epochs.settle) is False
    await restored(ground)
    assert await ground.does("operator", epochs.settle) is True


async def test_the_same_tables_stay_at_home_whatever_is_done_to_their_files(
    ground: Ground, database_url: str
) -> None:
    await ground.does("operator", epochs.settle)
    owner = await asyncpg.connect(database_url)
    await owner.execute("VACUUM FULL epochs")
    await owner.execute("CLUSTER epochs USING epochs_pkey")
    await owner.close()
    assert await ground.does("operator", epochs.settle) is True


@pytest.mark.parametrize("action", [epochs.settle, epochs.confirm])
async def test_it_is_the_operators_alone(ground: Ground, action: Any) -> None:
    with pytest.raises(Forbidden):
        await ground.does("ada", action)
    with pytest.raises(Forbidden):
        await ground.does("ada", epochs.begin_next, None, Trail((), True, FRESH))


# -- holding ---------------------------------------------------------------------------------------------------------------


async def test_what_was_granted_before_is_held_and_what_is_granted_after_counts(ground: Ground) -> None:
    first = await connected(ground)
    await restored(ground)
    assert await may_connect(ground) == "held since the restore of 2026-03-01, until the operator confirms"
    await ground.moves("ada", "terminate", first)
    ground.clock.advance(days=31)
    await connected(ground)
    assert await may_connect(ground) == "yes"


async def test_confirming_releases_what_every_restore_holds(ground: Ground) -> None:
    await connected(ground)
    await restored(ground)
    second = await restored(ground)
    assert second.epoch.number == 3
    confirmed = await ground.does("operator", epochs.confirm)
    assert [epoch.number for epoch in confirmed] == [2, 3]
    assert await may_connect(ground) == "yes"
    with pytest.raises(WrongState):
        await ground.does("operator", epochs.confirm)


async def test_a_grant_that_clocks_put_into_the_future_is_held_too(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id, now=ground.clock() + timedelta(days=1))
    await restored(ground)
    ground.clock.advance(days=2)
    assert (await may_connect(ground)).startswith("held since")


async def test_a_membership_that_clocks_put_into_the_future_is_held_too(ground: Ground) -> None:
    ahead = ground.clock() + timedelta(days=1)
    await ground.does(
        "operator", memberships.add, ground.actors["pat"].account_id, ground.northside, Role.ADMIN, now=ahead
    )
    done = await restored(ground)
    assert done.epoch.holds_until == ahead


async def test_a_complete_trail_or_the_operators_word_that_nothing_happened_releases_at_once(
    ground: Ground,
) -> None:
    await connected(ground)
    done = await restored(ground, complete=True)
    assert (done.epoch.holds, done.still_held_because) == (False, None)
    assert await may_connect(ground) == "yes"


async def known(ground: Ground, number: int) -> TrailLine:
    row = (await ground.rows("SELECT id, at, kind FROM events ORDER BY position LIMIT 1"))[0]
    return TrailLine(id=row["id"], at=row["at"], kind=row["kind"], number=number)


async def known_later(ground: Ground, number: int) -> TrailLine:
    """A line the backup has, six minutes after the first."""
    ground.clock.advance(minutes=6)
    await ground.asks("ada", "harbor")
    row = (await ground.rows("SELECT id, at, kind FROM events ORDER BY position DESC LIMIT 1"))[0]
    return TrailLine(id=row["id"], at=row["at"], kind=row["kind"], number=number)


async def test_a_trail_that_may_lack_something_releases_nothing(ground: Ground) -> None:
    await connected(ground)
    new = [line(EventKind.SESSION_ENDED, uuid4(), number) for number in range(6)]
    early, late = await known(ground, 4), await known_later(ground, 5)
    too_late = "the trail begins too late: export it from the day before the backup on"
    for lines, because in (
        (new[2:], too_late),
        ([late], too_late),
        ([early, new[5]], too_late),
        ([early, late, new[4]], "the trail has a gap after number 5"),
        ([new[1], new[3]], "the trail has a gap after number 1"),
        ([early, late, line(EventKind.SESSION_ENDED, uuid4())], "the lines of the trail are not numbered"),
    ):
        done = await restored(ground, *lines, complete=True)
        assert (done.epoch.holds, done.still_held_because) == (True, because)
    for lines in ([early, late], [*new[1:3]], []):
        await restored(ground)
        done = await restored(ground, *lines, complete=True)
        assert (done.epoch.holds, done.still_held_because) == (False, None)


# -- voiding ---------------------------------------------------------------------------------------------------------------


async def open_something(ground: Ground) -> None:
    ada, at = ground.actors["ada"].account_id, ground.clock()
    later = at + timedelta(days=1)
    link, offer = uuid4(), uuid4()
    for sql, values in (
        ("INSERT INTO sessions (id, account_id, started_at, expires_at) VALUES ($1, $2, $3, $4)", (uuid4(), ada, at, later)),
        ("INSERT INTO links (id, purpose, account_id, email, email_key, language, key_number, nonce, digest, issued_at, expires_at) VALUES ($1, 'password', $2, 'a', 'a', 'en', 1, '', '\\x01', $3, $4)", (link, ada, at, later)),
        ("INSERT INTO offers (id, organization_id, email, email_key, role, language, status, offered_by_id, offered_at, expires_at, key_number, nonce, digest) VALUES ($1, $5, 'b', 'b', 'admin', 'en', 'pending', $2, $3, $4, 1, '', '\\x02')", (offer, ada, at, later, ground.northside)),
    ):  # fmt: skip
        await ground.rows(sql, *values)
    person = uuid4()
    await ground.rows(
        "INSERT INTO persons (id, first_name, last_name, gender, identifiers, contacts, created_at, updated_at) VALUES ($1, 'a', 'b', 'other', '[]', '[]', $2, $2)",
        person,
        at,
    )
    await ground.rows(
        "INSERT INTO person_roles (id, person_id, account_id, level, is_owner, relationship, starts_at) VALUES ($1, $2, $3, 7, true, 'self', $4)",
        uuid4(),
        person,
        ada,
        at,
    )
    await ground.rows(
        "INSERT INTO person_offers (id, person_id, email, email_key, level, relationship, status, offered_by_id, offered_at, expires_at, language) VALUES ($1, $2, 'c', 'c', 7, 'self', 'pending', $3, $4, $5, 'en')",
        uuid4(),
        person,
        ada,
        at,
        later,
    )
    await ground.does("ben", inviting.by_code, await inviting.a_server(ground))
    # A share that waits, and its mail.
    target = sharing.to_email("rui@lakeside.example")
    await ground.does("ada", sharing.offer_account, ground.northside, ada, target)


async def test_every_session_link_offer_and_waiting_mail_of_before_is_void(ground: Ground) -> None:
    await open_something(ground)
    done = await restored(ground)
    assert done.voided == dict.fromkeys(VOIDED, 1)
    assert [row[0] for row in await ground.rows("SELECT end_reason FROM sessions")] == ["restored"]
    assert [row[0] for row in await ground.rows("SELECT end_reason FROM links")] == ["restored"]
    assert [row[0] for row in await ground.rows("SELECT status FROM offers")] == ["withdrawn"]
    assert [row[0] for row in await ground.rows("SELECT status FROM shares")] == ["withdrawn"]
    assert [row[0] for row in await ground.rows("SELECT status FROM person_offers")] == ["withdrawn"]
    assert [row[0] for row in await ground.rows("SELECT status FROM invites")] == ["withdrawn"]
    assert [row[0] for row in await ground.rows("SELECT status FROM deliveries")] == ["void"]
    assert await ground.violations() == []


@pytest.mark.parametrize("noun", ["sessions", "links", "offers", "shares", "person_offers", "invites"])
async def test_what_a_restore_forgot_to_void_is_found(
    ground: Ground, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the voiding, `verify` names what is open."""

    async def nothing(_: Context) -> int:
        return 0

    await open_something(ground)
    monkeypatch.setitem(VOIDED, noun, nothing)
    await restored(ground, taken_at=ground.clock())
    assert await ground.violations() == ["R1"]


async def test_the_restore_is_on_record_with_counts_alone(ground: Ground) -> None:
    await open_something(ground)
    await restored(
        ground, line(EventKind.ACCOUNT_DISABLED, ground.actors["mia"].account_id), taken_at=ground.clock()
    )
    (event,) = await ground.rows("SELECT * FROM events WHERE kind = 'epoch.restored'")
    assert event["data"]["voided"] == dict.fromkeys(VOIDED, 1)
    assert event["data"]["applied"] == {"account.disabled": 1}
    assert event["data"]["epoch"] == 2


# -- what the trail takes away again ---------------------------------------------------------------------------------------

# These take nothing from anybody that a restore brings back: what they give must be given again, and what they end
# (sessions, links, offers) a restore ends anyway.
TAKES_NOTHING = {
    "refused", "account.created", "account.registered", "account.link_sent", "account.confirmed", "account.updated",
    "account.exported", "account.enabled", "membership.started", "offer.made", "offer.resent", "offer.withdrawn",
    "offer.accepted", "offer.expired", "session.started", "session.refused", "session.moved", "session.ended",
    "session.token_reused", "sessions.ended", "organization.registered", "organization.updated", "organization.approved",
    "organization.reinstated", "partnership.requested", "partnership.approved", "partnership.resent", "partnership.expired",
    "partnership.reestablished", "partnership.imported", "epoch.restored", "epoch.confirmed", "delivery.retried",
    "trail.retired", "object_type.defined", "object_type.changed", "object_type.dropped", "record.created", "record.updated",
    "record.unarchived", "team.created", "team.renamed", "team.joined", "share.offered", "share.accepted", "share.applied",
    "share.imported", "client_key.made", "service_key.made", "person.created", "person.updated", "person.imported", "person.offered",
    "person.accepted", "person.declined", "person.withdrawn", "person.expired", "fhir_server.added", "fhir_server.confirmed",
    "fhir_server.loaded", "fhir_server.searched", "invite.made", "invite.resent", "invite.replaced", "invite.withdrawn",
    "invite.bound", "invite.answered_wrong", "invite.locked", "invite.accepted", "invite.declined", "invite.expired",
    "invite.imported", "fhir.read", "fhir.read_refused", "fhir.left_out", "patient.confirmed",
}  # fmt: skip


def test_of_every_kind_of_event_it_is_known_whether_it_takes_something_away() -> None:
    undecided = {kind.value for kind in EventKind} - {kind.value for kind in TAKES_AWAY} - TAKES_NOTHING
    assert not undecided, (
        f"A backup brings back what these ended: do it again in engine/epochs/revocations.py, or say in TAKES_NOTHING that "
        f"they end nothing: {sorted(undecided)}."
    )
    assert not TAKES_NOTHING & {kind.value for kind in TAKES_AWAY}


async def accepted_invite(ground: Ground) -> tuple[Invite, UUID]:
    """Have pat invited and accept; return the invite, and the grant."""
    invite = await ground.does("ben", inviting.by_email, await inviting.a_server(ground))
    person_id = await ground.does("pat", caring.a_person)
    return invite, (await ground.does("pat", inviting.accept, invite, person_id)).id


async def test_a_grant_on_a_fhir_server_that_was_ended_is_ended_again(ground: Ground) -> None:
    _, grant_id = await accepted_invite(ground)
    done = await restored(ground, line(EventKind.GRANT_ENDED, grant_id))
    assert done.applied.counts() == {"grant.ended": 1}
    assert [row[0] for row in await ground.rows("SELECT ends_at FROM grants WHERE id = $1", grant_id)] != [
        None
    ]
    assert (await restored(ground, line(EventKind.GRANT_ENDED, grant_id))).applied.not_there == 1
    assert await ground.violations() == []


async def test_a_grant_that_comes_before_what_is_inherited_is_made_again_and_held_like_the_rest(
    ground: Ground,
) -> None:
    """Ben was made a reader since: without that he would write again."""
    server_id = await inviting.a_server(ground)
    ben, grant_id = ground.actors["ben"].account_id, uuid4()
    made = {"fhir_server": server_id, "grantee_kind": "account", "grantee": ben, "level": 4}

    async def level() -> int | None:
        best = await ground.does("system", best_of, ben, Resource.server(server_id))
        return None if best is None else int(best.level)

    assert await level() == 6
    done = await restored(ground, line(EventKind.GRANT_MADE, grant_id, **made))
    assert done.applied.counts() == {"grant.made": 1}
    assert await level() is None
    await ground.does("operator", epochs.confirm)
    assert await level() == 4
    assert (await restored(ground, line(EventKind.GRANT_MADE, grant_id, **made))).applied.not_there == 1
    nobodys = {**made, "grantee": ground.actors["pat"].account_id}
    assert (await restored(ground, line(EventKind.GRANT_MADE, uuid4(), **nobodys))).applied.not_there == 1
    to_a_person = {**made, "grantee_kind": "person"}
    assert (await restored(ground, line(EventKind.GRANT_MADE, uuid4(), **to_a_person))).applied.not_there == 1
    assert await ground.violations() == []


async def test_an_invite_that_was_undone_is_undone_again_with_its_grant(ground: Ground) -> None:
    invite, grant_id = await accepted_invite(ground)
    done = await restored(ground, line(EventKind.INVITE_UNDONE, invite.id))
    assert done.applied.counts() == {"invite.undone": 1}
    assert [row[0] for row in await ground.rows("SELECT status FROM invites")] == ["undone"]
    assert [row[0] for row in await ground.rows("SELECT ends_at FROM grants WHERE id = $1", grant_id)] != [
        None
    ]
    assert (await restored(ground, line(EventKind.INVITE_UNDONE, uuid4()))).applied.not_there == 1
    assert await ground.violations() == []


async def test_a_fhir_server_that_was_moved_is_suspended_and_one_that_was_removed_is_removed_again(
    ground: Ground,
) -> None:
    form = ServerForm("Hospital", ServerKind.REMOTE, "https://fhir.example/r4")
    server_id = (await ground.does("operator", servers.create, ground.northside, form)).id
    await restored(ground, line(EventKind.FHIR_SERVER_CHANGED, server_id))
    assert [row[0] for row in await ground.rows("SELECT suspended_at FROM fhir_servers")] != [None]
    await restored(ground, line(EventKind.FHIR_SERVER_REMOVED, server_id))
    assert [row[0] for row in await ground.rows("SELECT removed_at FROM fhir_servers")] != [None]
    gone = await restored(ground, line(EventKind.FHIR_SERVER_REMOVED, server_id))
    assert gone.applied.not_there == 1
    assert await ground.violations() == []


async def test_a_partnership_that_was_terminated_is_terminated_again_with_its_grants(ground: Ground) -> None:
    partnership_id = await connected(ground)
    for who in (None, ground.lakeside):
        ended = line(
            EventKind.PARTNERSHIP_TERMINATED, partnership_id, source=ground.northside, target=ground.lakeside
        )
        ended = TrailLine(
            **{**{f: getattr(ended, f) for f in ended.__struct_fields__}, "actor_organization_id": who}
        )
        done = await restored(ground, ended, complete=True)
    assert (done.applied.counts(), done.applied.not_there) == (
        {},
        1,
    )  # the second time there was nothing left to do
    assert await ground.status_of(partnership_id) == "terminated"
    assert await may_connect(ground) == "the grant has ended"
    assert await ground.violations() == []


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        (EventKind.PARTNERSHIP_CANCELED, "canceled"),
        (EventKind.PARTNERSHIP_REJECTED, "rejected"),
        (EventKind.PARTNERSHIP_TERMINATED, "canceled"),  # approved since, and ended since
    ],
)
async def test_a_request_that_was_over_can_not_be_approved_any_more(
    ground: Ground, kind: EventKind, becomes: str
) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await restored(ground, line(kind, partnership_id, source=ground.northside, target=ground.lakeside))
    assert await ground.status_of(partnership_id) == becomes
    with pytest.raises(WrongState):
        await ground.moves("rui", "approve", partnership_id)
    assert await ground.violations() == []


async def test_a_membership_that_ended_ends_again(ground: Ground) -> None:
    ben = ground.actors["ben"].account_id
    done = await restored(
        ground, line(EventKind.MEMBERSHIP_ENDED, uuid4(), account=ben, organization=ground.northside)
    )
    assert done.applied.counts() == {"membership.ended": 1}
    assert await ground.rows("SELECT FROM memberships WHERE account_id = $1 AND ends_at IS NULL", ben) == []


async def test_even_the_last_administrator_leaves_again(ground: Ground) -> None:
    """Whoever followed him is not in the backup; the operator makes another."""
    ada = ground.actors["ada"].account_id
    done = await restored(
        ground, line(EventKind.MEMBERSHIP_ENDED, uuid4(), account=ada, organization=ground.northside)
    )
    assert done.applied.counts() == {"membership.ended": 1}


async def test_an_account_and_an_organization_are_closed_again(ground: Ground) -> None:
    mia = ground.actors["mia"].account_id
    await restored(
        ground,
        line(EventKind.ACCOUNT_DISABLED, mia),
        line(EventKind.ORGANIZATION_SUSPENDED, ground.harbor),
    )
    assert (await ground.rows("SELECT status FROM accounts WHERE id = $1", mia))[0][0] == "disabled"
    assert (await ground.rows("SELECT status FROM organizations WHERE id = $1", ground.harbor))[0][
        0
    ] == "suspended"


async def test_an_account_that_deleted_itself_is_deleted_again(ground: Ground) -> None:
    pat = ground.actors["pat"].account_id
    await restored(ground, line(EventKind.ACCOUNT_DELETED, pat))
    (found,) = await ground.rows("SELECT status, email, password_hash FROM accounts WHERE id = $1", pat)
    assert tuple(found) == ("deleted", "", "")
    assert await ground.violations() == []


@pytest.mark.parametrize("before", [
    [EventKind.ACCOUNT_EMAIL_CHANGED],
    [EventKind.ACCOUNT_DISABLED, EventKind.ACCOUNT_ENABLED],
])  # fmt: skip
async def test_an_account_that_deleted_itself_is_deleted_again_whatever_came_before(
    ground: Ground, before: list[EventKind]
) -> None:
    pat = ground.actors["pat"].account_id
    done = await restored(ground, *(line(kind, pat) for kind in [*before, EventKind.ACCOUNT_DELETED]))
    assert done.applied.counts() == {before[0]: 1, EventKind.ACCOUNT_DELETED: 1}
    (found,) = await ground.rows("SELECT status, email, password_hash FROM accounts WHERE id = $1", pat)
    assert tuple(found) == ("deleted", "", "")
    assert await ground.violations() == []


async def test_an_account_that_is_disabled_in_the_backup_is_deleted_again(ground: Ground) -> None:
    pat = ground.actors["pat"].account_id
    await ground.does("operator", accounts.disable, "pat@mail.example")
    for applied, not_there in (({"account.deleted": 1}, 0), ({}, 1)):
        done = await restored(ground, line(EventKind.ACCOUNT_DELETED, pat))
        assert (done.applied.counts(), done.applied.not_there) == (applied, not_there)
    (found,) = await ground.rows("SELECT status, email, password_hash FROM accounts WHERE id = $1", pat)
    assert tuple(found) == ("deleted", "", "")


@pytest.mark.parametrize(
    "kind", [EventKind.ACCOUNT_PASSWORD_CHANGED, EventKind.ACCOUNT_CLAIMED, EventKind.ACCOUNT_PASSWORD_VOIDED]
)
async def test_a_password_that_was_changed_since_is_nobodys(ground: Ground, kind: EventKind) -> None:
    ada = ground.actors["ada"].account_id
    await restored(ground, line(kind, ada))
    hashes = {
        row["id"]: row["password_hash"] for row in await ground.rows("SELECT id, password_hash FROM accounts")
    }
    assert hashes.pop(ada) == FRESH.reveal()
    assert set(hashes.values()) == {NOBODYS_HASH.reveal()}


async def test_an_address_that_was_changed_since_closes_the_account_for_the_operator_to_look_at(
    ground: Ground,
) -> None:
    ada = ground.actors["ada"].account_id
    await restored(ground, line(EventKind.ACCOUNT_EMAIL_CHANGED, ada))
    assert (await ground.rows("SELECT status FROM accounts WHERE id = $1", ada))[0][0] == "disabled"


async def test_grants_that_ended_with_a_claim_end_again(ground: Ground) -> None:
    await connected(ground)
    (grant, *_) = await ground.rows("SELECT id FROM grants WHERE grantee_id = $1", ground.northside)
    await restored(
        ground,
        line(EventKind.ACCOUNT_CLAIMED, ground.actors["ada"].account_id, grants=[str(grant["id"])]),
        complete=True,
    )
    assert await may_connect(ground) == "the grant has ended"


# -- and of what is shared -------------------------------------------------------------------------------------------------


class Shared:
    """Ada's record in a backup: pat has 5 and has given zoe 4, ben's crew has 4, and rui has not answered."""

    def __init__(self, ground: Ground, object_type: ObjectType, record_id: UUID, team_id: UUID) -> None:
        self.ground = ground
        self.object_type = object_type
        self.record_id = record_id
        self.team_id = team_id
        self.shares: dict[str, Share] = {}

    @classmethod
    async def made(cls, ground: Ground) -> Shared:
        object_type = await ground.does("ada", sharing.a_type)
        record_id = await ground.does("ada", sharing.a_record, object_type)
        team = await ground.does("ben", teams.create, "Crew")
        await ground.does("ben", teams.add_member, team.id, ground.actors["mia"].account_id)
        made = cls(ground, object_type, record_id, team.id)
        for by, who, level in (("ada", "pat", 5), ("pat", "zoe", 4), ("ada", "rui", 4)):
            target = sharing.to_account(ground.actors[who].account_id, level)
            made.shares[who] = await ground.does(by, sharing.offer, record_id, target)
            if who != "rui":
                await ground.does(who, sharing.accept, made.shares[who])
        made.shares["crew"] = await ground.does("ada", sharing.offer, record_id, sharing.to_team(team.id))
        await ground.does("ben", sharing.accept, made.shares["crew"])
        return made

    async def levels(self) -> dict[str, int]:
        """Return what everybody may do on it once the operator has confirmed, and those who may nothing are left out."""
        found = {
            name: await self.ground.does(
                "system",
                sharing.level_of,
                self.ground.actors[name].account_id,
                self.object_type,
                self.record_id,
            )
            for name in ("ada", "pat", "zoe", "ben", "mia", "rui")
        }
        return {name: level for name, level in found.items() if level}

    async def restored(self, *lines: TrailLine) -> dict[str, int]:
        """Restore with this trail and confirm; return what was applied."""
        done = await restored(self.ground, *lines)
        await self.ground.does("operator", epochs.confirm)
        assert await self.ground.violations() == []
        return done.applied.counts()


@pytest.fixture
async def shared(ground: Ground) -> Shared:
    return await Shared.made(ground)


BEFORE = {"ada": 7, "pat": 5, "zoe": 4, "ben": 4, "mia": 4}


async def test_what_was_shared_is_held_until_the_operator_confirms_and_stays_then(shared: Shared) -> None:
    assert await shared.levels() == BEFORE
    await restored(shared.ground)
    assert await shared.levels() == {}
    await shared.ground.does("operator", epochs.confirm)
    assert await shared.levels() == BEFORE


async def test_nobody_accepts_what_waited_in_the_backup(shared: Shared) -> None:
    """Whether it was withdrawn since nobody can say."""
    await shared.restored()
    with pytest.raises(DeadLink):
        await shared.ground.does("rui", sharing.accept, shared.shares["rui"])
    again = sharing.to_account(shared.ground.actors["rui"].account_id)
    share = await shared.ground.does("ada", sharing.offer, shared.record_id, again)
    await shared.ground.does("rui", sharing.accept, share)
    assert await shared.levels() == {**BEFORE, "rui": 4}
    assert await shared.ground.violations() == []


async def test_what_several_restores_withdrew_is_sound(shared: Shared) -> None:
    """H5 knows of what a restore withdrew, though no event tells it: of each restore, not of the last one alone."""
    for _ in range(2):
        await shared.restored()
        target = sharing.to_email("late@else.example")
        await shared.ground.does("ada", sharing.offer, shared.record_id, target)
    await shared.restored()


ENDINGS = [
    "share.declined",
    "share.withdrawn",
    "share.left",
    "share.revoked",
    "share.expired",
    "share.merged",
    "share.changed",
]


@pytest.mark.parametrize("kind", ENDINGS)
async def test_a_share_that_was_ended_or_changed_ends_again_with_its_grant_and_what_was_made_under_it(
    shared: Shared, kind: str
) -> None:
    again = line(EventKind(kind), shared.shares["pat"].id)
    assert await shared.restored(again, again) == {kind: 1}
    assert await shared.levels() == {"ada": 7, "ben": 4, "mia": 4}


async def test_of_a_share_that_waited_there_is_nothing_to_take_away(shared: Shared) -> None:
    assert await shared.restored(line(EventKind.SHARE_WITHDRAWN, shared.shares["rui"].id)) == {}
    assert await shared.levels() == BEFORE


@pytest.mark.parametrize(
    ("who", "left"),
    [("mia", {"ada": 7, "pat": 5, "zoe": 4, "ben": 4}), ("ben", {"ada": 7, "pat": 5, "zoe": 4, "mia": 4})],
)
async def test_who_left_a_team_leaves_it_again_though_he_owned_it(
    shared: Shared, who: str, left: dict[str, int]
) -> None:
    account = shared.ground.actors[who].account_id
    again = line(EventKind.TEAM_LEFT, shared.team_id, account=account, organization=shared.ground.northside)
    assert await shared.restored(again, again) == {"team.left": 1}
    assert await shared.levels() == left


async def test_who_left_the_organization_leaves_its_teams_again(shared: Shared) -> None:
    ground = shared.ground
    mia = ground.actors["mia"].account_id
    ended = line(EventKind.MEMBERSHIP_ENDED, uuid4(), account=mia, organization=ground.northside)
    assert await shared.restored(ended) == {"membership.ended": 1}
    assert "mia" not in await shared.levels()


async def test_a_team_that_ended_ends_again_and_what_was_shared_with_it(shared: Shared) -> None:
    again = line(EventKind.TEAM_ENDED, shared.team_id)
    assert await shared.restored(again, again) == {"team.ended": 1}
    assert await shared.levels() == {"ada": 7, "pat": 5, "zoe": 4}
    (row,) = await shared.ground.rows("SELECT status FROM shares WHERE id = $1", shared.shares["crew"].id)
    assert row["status"] == "left"


async def test_of_a_record_that_was_archived_every_share_ends_again(shared: Shared) -> None:
    again = line(EventKind.RECORD_ARCHIVED, shared.record_id)
    assert await shared.restored(again, again) == {"record.archived": 1}
    assert await shared.levels() == {"ada": 7}
    # A restore is no sentence: it may come out of the archive, and be shared again.
    await shared.ground.does("ada", records.unarchive, shared.object_type, shared.record_id)
    target = sharing.to_account(shared.ground.actors["pat"].account_id)
    share = await shared.ground.does("ada", sharing.offer, shared.record_id, target)
    await shared.ground.does("pat", sharing.accept, share)
    assert await shared.levels() == {"ada": 7, "pat": 4}
    assert await shared.ground.violations() == []


async def test_a_record_that_was_deleted_is_deleted_again(shared: Shared) -> None:
    again = line(EventKind.RECORD_DELETED, shared.record_id)
    assert await shared.restored(again, again) == {"record.deleted": 1}
    assert await shared.levels() == {}
    (row,) = await shared.ground.rows("SELECT status, body FROM records WHERE id = $1", shared.record_id)
    assert tuple(row) == ("deleted", None)
    with pytest.raises(NotFound):
        await shared.ground.does("ada", records.unarchive, shared.object_type, shared.record_id)


@pytest.mark.parametrize(
    ("who", "left"),
    [("pat", {"ada": 7, "ben": 4, "mia": 4}), ("ada", {}), ("mia", {"ada": 7, "pat": 5, "zoe": 4, "ben": 4})],
)
async def test_what_an_account_had_ends_again_with_it(shared: Shared, who: str, left: dict[str, int]) -> None:
    account = shared.ground.actors[who].account_id
    lines = [line(EventKind.ACCOUNT_DELETED, account)]
    if who != "pat":  # whoever deletes his account has left his organizations before
        lines.insert(
            0,
            line(EventKind.MEMBERSHIP_ENDED, uuid4(), account=account, organization=shared.ground.northside),
        )
    assert (await shared.restored(*lines))["account.deleted"] == 1
    assert await shared.levels() == left


async def test_a_client_key_that_was_ended_is_ended_again(ground: Ground) -> None:
    key = await ground.does("operator", client_keys.make, ground.northside, "App", ClientKeyText("x" * 32))
    again = line(EventKind.CLIENT_KEY_ENDED, key.id)
    done = await restored(ground, again, again)
    assert (done.applied.counts(), done.applied.not_there) == ({"client_key.ended": 1}, 1)
    (row,) = await ground.rows("SELECT ended_at FROM client_keys WHERE id = $1", key.id)
    assert row["ended_at"] is not None


async def test_a_service_key_that_was_ended_is_ended_again(ground: Ground) -> None:
    text = ServiceKeyText.new()
    key = await ground.does("operator", service_keys.make, ground.northside, "App", ["check"], text)
    again = line(EventKind.SERVICE_KEY_ENDED, key.id)
    done = await restored(ground, again, again)
    assert (done.applied.counts(), done.applied.not_there) == ({"service_key.ended": 1}, 1)
    assert await ground.does("system", lambda ctx: service_key_queries.actor_of(ctx.tx, text)) is None


async def test_an_external_id_that_was_changed_since_is_nobodys(ground: Ground) -> None:
    """The one in the backup may be another member's by now, and what it may do would be asked of the wrong one."""
    ben, mia = (ground.actors[name].account_id for name in ("ben", "mia"))
    for account, text in ((ben, "alice"), (mia, "bob")):
        await ground.does("ada", memberships.change_external_id, account, text)
    again = line(EventKind.MEMBERSHIP_CHANGED, uuid4(), account=ben, organization=ground.northside)
    done = await restored(ground, again, again)
    assert (done.applied.counts(), done.applied.not_there) == ({"membership.changed": 1}, 1)
    left = await ground.rows("SELECT account_id, external_id FROM account_external_ids")
    assert [tuple(row) for row in left] == [(mia, "bob")]


async def test_all_that_happened_to_what_is_shared_since_is_taken_away_in_the_order_in_which_it_happened(
    shared: Shared,
) -> None:
    """A share that was revoked with what was below it tells of both; a team that ended, of its share."""
    lines = [
        line(EventKind.SHARE_REVOKED, shared.shares["pat"].id),
        line(EventKind.SHARE_REVOKED, shared.shares["zoe"].id),
        line(EventKind.SHARE_LEFT, shared.shares["crew"].id),
        line(EventKind.TEAM_ENDED, shared.team_id),
        line(EventKind.RECORD_DELETED, shared.record_id),
    ]
    done = await restored(shared.ground, *lines)
    # What was below had ended with the first line already.
    assert done.applied.counts() == {
        "share.revoked": 1,
        "share.left": 1,
        "team.ended": 1,
        "record.deleted": 1,
    }
    assert done.applied.not_there == 1
    assert await shared.ground.violations() == []


def test_every_new_kind_that_takes_away_was_tried() -> None:
    nouns = ("share", "team", "record", "client_key", "object_type")
    taking = {kind.value for kind in TAKES_AWAY if kind.value.partition(".")[0] in nouns}
    assert taking == {
        *ENDINGS, "team.left", "team.ended", "record.archived", "record.deleted", "client_key.ended",
    }  # fmt: skip


async def test_a_patient_who_was_suspended_is_suspended_again(ground: Ground) -> None:
    server_id = await inviting.a_server(ground)
    found = {"fhir_server": server_id, "patient": "jane", "reason": "merged"}
    done = await restored(ground, line(EventKind.PATIENT_SUSPENDED, uuid4(), **found))
    assert done.applied.counts() == {EventKind.PATIENT_SUSPENDED: 1}
    (row,) = await ground.rows("SELECT patient_id, reason, lifted_at FROM patient_suspensions")
    assert tuple(row) == ("jane", "merged", None)
    assert await ground.violations() == []


async def test_what_the_backup_itself_tells_of_is_not_done_again(ground: Ground) -> None:
    """Disabled, and enabled again before the backup was taken."""
    await ground.does("operator", accounts.disable, "mia@northside.example")
    await ground.does("operator", accounts.enable, "mia@northside.example")
    rows = await ground.rows("SELECT id, at, kind, subject_id FROM events ORDER BY position")
    lines = [TrailLine(id=r["id"], at=r["at"], kind=r["kind"], subject_id=r["subject_id"]) for r in rows]
    done = await restored(ground, *lines, complete=True)
    assert (done.applied.counts(), done.applied.not_there) == ({}, 0)
    assert done.applied.met == len(lines)
    mia = ground.actors["mia"].account_id
    assert (await ground.rows("SELECT status FROM accounts WHERE id = $1", mia))[0][0] == "active"


async def test_what_came_and_went_since_is_passed_over(ground: Ground) -> None:
    nobody = uuid4()
    kinds = list(TAKES_AWAY)
    strange = [
        line(kind, nobody, source=nobody, target=nobody, account=nobody, organization=nobody)
        for kind in kinds
    ]
    broken = [line(kind, None, source=1, target="x", account=None) for kind in kinds]
    before = await ground.everything()
    done = await restored(ground, *strange, *broken)
    assert done.applied.counts() == {}
    assert done.applied.read == 2 * len(kinds)
    after = await ground.everything()
    changed = {name for name in after if after[name] != before[name]}
    assert {name for name in changed if not name.startswith("events")} == {"epochs"}


async def test_a_long_trail_is_looked_up_a_batch_at_a_time(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(revocations, "BATCH", 7)
    mia = ground.actors["mia"].account_id
    many = [line(EventKind.SESSION_STARTED, uuid4(), number) for number in range(1, rounds)]
    done = await restored(ground, *many, line(EventKind.ACCOUNT_DISABLED, mia, rounds))
    assert (done.applied.read, done.applied.gap, done.applied.counts()) == (
        rounds,
        None,
        {"account.disabled": 1},
    )


async def test_a_restore_that_fails_half_way_has_not_begun(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_something(ground)
    before = await ground.everything()

    async def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setitem(TAKES_AWAY, EventKind.ACCOUNT_DISABLED, fail)
    with pytest.raises(RuntimeError):
        await restored(ground, line(EventKind.ACCOUNT_DISABLED, uuid4()))
    assert await ground.everything() == before


async def test_the_same_is_refused_to_nobody_who_comes_after(ground: Ground) -> None:
    """A restore is no sentence: what was ended again can be given again."""
    mia = ground.actors["mia"].account_id
    await restored(
        ground,
        line(EventKind.ACCOUNT_DISABLED, mia),
        line(EventKind.ORGANIZATION_SUSPENDED, ground.harbor),
        line(EventKind.MEMBERSHIP_ENDED, uuid4(), account=mia, organization=ground.northside),
    )
    await ground.does("operator", accounts.enable, "mia@northside.example")
    await ground.does("operator", organizations.judge, "reinstate", "harbor")
    await ground.does("operator", memberships.add, mia, ground.northside, Role.MEMBER)
    assert await ground.violations() == []
