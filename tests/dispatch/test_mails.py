"""Mails leave through the outbox: queued with the deed, claimed under a lease, sent outside any transaction, settled once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import bindparam, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import TIMESTAMP
from structlog.testing import capture_logs

from cast import START, House, connected, data, refusal
from fakes.carrier import KeepingCarrier, ReceivedMail
from hospitium.dispatch import loop, mails, retry
from hospitium.dispatch.mails import Breaker, Dispatcher
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.actor import OPERATOR, SYSTEM, Role
from hospitium.engine.context import Context
from hospitium.engine.deliveries import actions as deliveries, queries
from hospitium.engine.deliveries.record import (
    DELIVERY_COLUMNS,
    Delivery,
    DeliveryStatus,
    Template,
    deliveries as table,
)
from hospitium.engine.errors import NotFound, WrongState
from hospitium.engine.links import actions as links
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.offers.record import OFFER_PURPOSE
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.partnerships.record import PartnershipStatus
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import derive, seed
from hospitium.outside.letters.writing import Letterhead
from hospitium.outside.mail import Refused, Unreachable
from hospitium.storage.database import DatabaseUnavailable
from hospitium.storage.statements import Query, Statement, struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from email.message import EmailMessage


class Failing(KeepingCarrier):
    """Takes nothing, for a reason."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem = problem
        self.tries = 0

    async def send(self, message: EmailMessage) -> None:
        self.tries += 1
        raise self.problem


async def _rows(house: House, status: str | None = None) -> list[Any]:
    rows = await house.rows("SELECT * FROM deliveries ORDER BY created_at, id")
    return [row for row in rows if status in (None, row["status"])]


async def _queue(house: House, template: Template, **recipient: UUID) -> UUID:
    made: UUID = await house.operate(lambda ctx: deliveries.queue(ctx, template, **recipient))
    return made


async def _link(
    house: House, person: str, purpose: LinkPurpose = LinkPurpose.PASSWORD, language: str = "en"
) -> UUID:
    email = f"{person}@northside.example"
    account_id = None if purpose is LinkPurpose.NONE else house.accounts[person]
    issued: UUID = await house.operate(
        lambda ctx: links.issue(
            ctx, purpose, house.parts.link_key, account_id=account_id, email=email,
            email_key=canonical_email("email", email), language=language,
        )
    )  # fmt: skip
    return issued


async def _offer(house: House, email: str) -> UUID:
    made = seed(house.parts.link_key, OFFER_PURPOSE, uuid4())
    now = house.clock()
    async with house.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO offers (id, organization_id, email, email_key, role, language, status, offered_by_id, offered_at, "
            "expires_at, key_number, nonce, digest) VALUES ($1, $2, $3, $3, 'physician', 'es', 'pending', $4, $5, $6, $7, $8, $9)",
            made.row_id, house.northside, email, house.accounts["ada"], now, now + timedelta(days=14),
            made.key_number, made.nonce, made.digest,
        )  # fmt: skip
    return made.row_id


# -- what is told to whom ----------------------------------------------------------------------------------------------


async def _reject(house: House) -> str:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.rui.does("reject", connection_id, {"responseMessage": "A PATIENT"}))
    return str(connection_id)


async def _asked(house: House) -> None:
    data(await house.ada.asks(house.lakeside, "A PATIENT"), 201)


async def _resent(house: House) -> None:
    connection_id = await _reject(house)
    await house.mails()
    data(await house.ada.does("resend", connection_id, {"message": "A PATIENT"}))


async def _approved(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await house.mails()
    data(await house.rui.does("approve", connection_id, {"responseMessage": "A PATIENT"}))


async def _rejected(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await house.mails()
    data(await house.rui.does("reject", connection_id))


async def _canceled(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await house.mails()
    data(await house.ada.does("cancel", connection_id))


async def _expired(house: House) -> None:
    data(await house.ada.asks(house.lakeside), 201)
    await house.mails()
    house.clock.advance(days=91)
    await loop.run_once(house.database, house.clock)


async def _expired_by_the_next_deed(house: House) -> None:
    data(await house.rui.asks(house.northside), 201)
    await house.mails()
    house.clock.advance(days=91)
    data(await house.ada.asks(house.harbor), 201)
    data(await house.ada.asks(house.lakeside), 201)


async def _ended(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await house.mails()
    data(await house.rui.does("terminate", connection_id, {"reason": "A PATIENT"}))


async def _ended_by_the_asker(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await house.mails()
    data(await house.ada.does("terminate", connection_id, {"reason": "A PATIENT"}))


async def _taken_up_again(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    data(await house.ada.does("terminate", connection_id, {"reason": "A PATIENT"}))
    await house.mails()
    data(await house.rui.does("reestablish", connection_id))


ADA, RUI, ZOE = "ada@northside.example", "rui@lakeside.example", "zoe@harbor.example"
NORTHSIDE, LAKESIDE = "Northside Family Practice", "Lakeside Imaging"


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (_asked, [(RUI, f"New Connection Request from {NORTHSIDE}", f"{NORTHSIDE} asks to connect with {LAKESIDE}")]),
        (_resent, [(RUI, f"New Connection Request from {NORTHSIDE}", f"{NORTHSIDE} asks to connect with {LAKESIDE}")]),
        (_approved, [(ADA, "Connection Request Approved", f"{LAKESIDE} approved the connection request of {NORTHSIDE}")]),
        (_rejected, [(ADA, "Connection Request Rejected", f"{LAKESIDE} rejected the connection request of {NORTHSIDE}")]),
        (_canceled, [(RUI, "Connection Request Canceled", f"{NORTHSIDE} took back its request to connect with {LAKESIDE}")]),
        (_expired, [(ADA, "Connection Request Expired", f"{LAKESIDE} did not answer the connection request of {NORTHSIDE}")]),
        (
            _expired_by_the_next_deed,
            [
                (ZOE, f"New Connection Request from {NORTHSIDE}", f"{NORTHSIDE} asks to connect with Harbor"),
                (RUI, "Connection Request Expired", f"{NORTHSIDE} did not answer the connection request of {LAKESIDE}"),
                (RUI, f"New Connection Request from {NORTHSIDE}", f"{NORTHSIDE} asks to connect with {LAKESIDE}"),
            ],
        ),
        (_ended, [(ADA, "Connection Terminated", f"{LAKESIDE} ended its connection with {NORTHSIDE}")]),
        (_ended_by_the_asker, [(RUI, "Connection Terminated", f"{NORTHSIDE} ended its connection with {LAKESIDE}")]),
        (_taken_up_again, [(ADA, f"New Connection Request from {LAKESIDE}", f"{LAKESIDE} asks to connect with {NORTHSIDE}")]),
    ],
)  # fmt: skip
async def test_each_deed_is_told_to_the_other_sides_administrators(
    house: House, deed: Callable[[House], Awaitable[None]], told: list[tuple[str, str, str]]
) -> None:
    await deed(house)
    received = await house.mails()
    assert sorted((mail.to, mail.subject) for mail in received) == sorted(
        (to, subject) for to, subject, _ in told
    )
    for mail in received:
        text = " ".join(mail.text.split())
        assert any(says in text for to, subject, says in told if (to, subject) == (mail.to, mail.subject))
        # What people wrote to one another may name a patient by mistake: it stays where one has to sign in.
        assert "PATIENT" not in mail.message.as_string()
        assert not mail.has_link
    assert await house.mails() == []


async def test_every_administrator_there_is_gets_one_and_nobody_else(house: House) -> None:
    await house.add_person("eva", "lakeside")
    await house.add_person("max", "lakeside", Role.RADIOLOGIST)
    await house.add_person("leo", "lakeside")
    await house.add_person("ida", "lakeside")
    await house.operate(lambda ctx: memberships.end(ctx, house.accounts["leo"], house.lakeside))
    await house.rows(
        "UPDATE accounts SET status = 'disabled' WHERE email = 'ida@lakeside.example' RETURNING id"
    )
    data(await house.ada.asks(house.lakeside), 201)
    assert {mail.to for mail in await house.mails()} == {RUI, "eva@lakeside.example"}
    assert sorted(row["status"] for row in await _rows(house)) == ["sent", "sent", "spread"]


async def test_who_no_longer_administers_when_it_is_sent_is_not_told(house: House) -> None:
    data(await house.ada.asks(house.lakeside), 201)
    (row,) = await _rows(house)
    async with house.database.transaction() as tx:
        ctx = Context(tx, SYSTEM, house.clock())
        claimed = await deliveries.claim(ctx)
        assert claimed is not None
        assert claimed.id == row["id"]
        assert await deliveries.spread(ctx, claimed) == 1
    await house.operate(lambda ctx: memberships.end(ctx, house.accounts["rui"], house.lakeside))
    assert await house.mails() == []
    assert [row["status"] for row in await _rows(house)] == ["spread", "void"]


async def test_who_administers_both_sides_is_told_of_each_as_it_is_meant(house: House) -> None:
    await house.operate(lambda ctx: memberships.add(ctx, house.accounts["ada"], house.lakeside, Role.ADMIN))
    data(await house.ada.asks(house.lakeside), 201)
    received = await house.mails(to=ADA)
    assert [mail.subject for mail in received] == [f"New Connection Request from {NORTHSIDE}"]


async def test_what_swapped_sides_since_still_names_the_right_one(house: House) -> None:
    """An approval waits; meanwhile the connection is ended, and taken up again from the other side."""
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    data(await house.rui.does("reestablish", connection_id))
    approved = [mail for mail in await house.mails() if mail.subject == "Connection Request Approved"]
    assert [mail.to for mail in approved] == [ADA]
    assert f"{LAKESIDE} approved" in " ".join(approved[0].text.split())


async def test_a_world_file_tells_nobody(house: House) -> None:
    given = partnerships.ImportedPartnership(
        source_id=house.northside, target_id=house.lakeside, status=PartnershipStatus.APPROVED
    )
    await house.operate(lambda ctx: partnerships.import_one(ctx, given, house.parts.rules))
    assert await _rows(house) == []


async def test_a_link_is_sent_in_its_language_with_the_token_that_opens_it(house: House) -> None:
    link_id = await _link(house, "ada", language="es")
    await _queue(house, Template.NEW_PASSWORD, link_id=link_id)
    (mail,) = await house.mails()
    (row,) = await house.rows("SELECT nonce, digest FROM links")
    assert (mail.to, mail.subject) == (ADA, "Elija una contraseña nueva")
    assert mail.page == f"{house.base_url}/console/password"
    token = derive(house.parts.link_key, "password", link_id, row["nonce"])
    assert mail.token == token.reveal()
    assert token.digest() == row["digest"]


async def test_an_offer_is_sent_to_its_mailbox_with_its_token(house: House) -> None:
    offer_id = await _offer(house, "kim@mail.example")
    await _queue(house, Template.OFFER, offer_id=offer_id)
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == ("kim@mail.example", f"{NORTHSIDE} le invita a unirse")
    assert mail.page == f"{house.base_url}/console/join"


async def test_an_account_is_written_to_in_its_language(house: House) -> None:
    await house.rows("UPDATE accounts SET language = 'es' WHERE email = $1 RETURNING id", ADA)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    (mail,) = await house.mails()
    assert (mail.to, mail.subject) == (ADA, "Se cambió su contraseña")


# -- what is no longer told --------------------------------------------------------------------------------------------


async def _end_link(house: House) -> UUID:
    link_id = await _link(house, "ada")
    delivery_id = await _queue(house, Template.NEW_PASSWORD, link_id=link_id)
    await house.operate(lambda ctx: links.use(ctx, link_id))
    return delivery_id


async def _outlive_link(house: House) -> UUID:
    delivery_id = await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ada"))
    house.clock.advance(hours=2)
    return delivery_id


async def _withdraw_offer(house: House) -> UUID:
    delivery_id = await _queue(house, Template.OFFER, offer_id=await _offer(house, "kim@mail.example"))
    await house.rows("UPDATE offers SET status = 'withdrawn', ended_at = $1 RETURNING id", house.clock())
    return delivery_id


async def _outlive_offer(house: House) -> UUID:
    delivery_id = await _queue(house, Template.OFFER, offer_id=await _offer(house, "kim@mail.example"))
    house.clock.advance(days=14)
    return delivery_id


async def _delete_account(house: House) -> UUID:
    delivery_id = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await _forget_ada(house)
    return delivery_id


async def _delete_account_of_link(house: House) -> UUID:
    delivery_id = await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ada"))
    await _forget_ada(house)
    return delivery_id


async def _forget_ada(house: House) -> None:
    await house.rows(
        "UPDATE accounts SET status = $1, ended_at = $2, email = '', email_key = id::text, password_hash = '', "
        "first_name = NULL, last_name = NULL, verified_at = NULL WHERE email = $3 RETURNING id",
        AccountStatus.DELETED, house.clock(), ADA,
    )  # fmt: skip


async def _suspend_organization_of_offer(house: House) -> UUID:
    delivery_id = await _queue(house, Template.OFFER, offer_id=await _offer(house, "kim@mail.example"))
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    return delivery_id


async def _vanish_partnership(house: House) -> UUID:
    return await _queue(
        house, Template.PARTNERSHIP_APPROVED, account_id=house.accounts["ada"], subject_id=uuid4()
    )


@pytest.mark.parametrize(
    "ending",
    [
        _end_link,
        _outlive_link,
        _withdraw_offer,
        _outlive_offer,
        _suspend_organization_of_offer,
        _delete_account,
        _delete_account_of_link,
        _vanish_partnership,
    ],
)
async def test_what_is_over_is_void_and_not_sent(
    house: House, ending: Callable[[House], Awaitable[UUID]]
) -> None:
    delivery_id = await ending(house)
    assert await house.mails() == []
    (row,) = await _rows(house)
    assert (row["id"], row["status"], row["last_problem"]) == (delivery_id, "void", None)


async def test_a_notice_that_leads_nowhere_is_never_too_late(house: House) -> None:
    link_id = await _link(house, "ada", LinkPurpose.NONE)
    await _queue(house, Template.EMAIL_CHANGED, link_id=link_id)
    house.clock.advance(days=1)
    (mail,) = await house.mails()
    assert (mail.to, mail.subject, mail.has_link) == (ADA, "Your e-mail address was changed", False)


async def test_an_organization_nobody_administers_is_told_nothing(house: House) -> None:
    target = await house.add_organization("empty")
    data(await house.ada.asks(target), 201)
    assert await house.mails() == []
    assert [row["status"] for row in await _rows(house)] == ["spread"]


# -- the deed and its mail ---------------------------------------------------------------------------------------------


async def test_a_deed_that_is_rolled_back_sends_nothing(house: House) -> None:
    class Undone(Exception):
        pass

    async def deed(ctx: Context) -> None:
        await deliveries.queue(ctx, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
        raise Undone

    with pytest.raises(Undone):
        await house.operate(deed)
    refusal(await house.ada.asks(house.northside), 400, "INVALID_PARAMETERS")
    assert (await _rows(house), await house.mails()) == ([], [])


async def test_nothing_is_sent_before_the_deed_is_committed(house: House) -> None:
    async with house.database.transaction() as tx:
        ctx = Context(tx, OPERATOR, house.clock())
        await deliveries.queue(ctx, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
        assert await house.mails() == []
    assert len(await house.mails()) == 1


@pytest.mark.parametrize(
    "problem", [Unreachable("connection"), Refused("rcpt 550", permanent=True), RuntimeError("ours")]
)
async def test_mails_that_do_not_leave_neither_fail_nor_delay_the_deed(
    house: House, problem: Exception
) -> None:
    carrier = Failing(problem)
    dispatching = asyncio.create_task(house.dispatcher(carrier).run_for_ever())
    try:
        data(await house.ada.asks(house.lakeside), 201)
        async with asyncio.timeout(10):
            while not carrier.tries:
                await asyncio.sleep(0.01)
        data(await house.ada.asks(house.harbor), 201)
    finally:
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)
    await house.must_be_sound()


async def test_a_deed_whose_mail_can_not_be_queued_does_not_happen(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.database.transaction() as tx:
        await tx.execute("ALTER TABLE deliveries ADD CONSTRAINT broken CHECK (false)")
    assert (await house.ada.asks(house.lakeside)).status_code == 500
    assert await house.rows("SELECT FROM partnerships") == []


# -- trying again ------------------------------------------------------------------------------------------------------


def test_it_is_tried_soon_at_first_then_ever_more_seldom_for_three_days() -> None:
    start = now = START
    pauses = []
    for attempt in range(1, 20):
        again = retry.next_try(attempt, now, 0.5)
        if again is None:
            break
        pauses.append(again - now)
        now = again
    assert pauses[:4] == [
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(hours=1),
    ]
    assert pauses == sorted(pauses)
    assert timedelta(days=3) <= now - start < timedelta(days=3, hours=6)
    assert retry.next_try(1, start, 0) == start + timedelta(seconds=48)
    assert retry.next_try(1, start, 1) == start + timedelta(seconds=72)


@pytest.mark.parametrize(
    "problem", [Unreachable("timeout"), Refused("rcpt 450", permanent=False), RuntimeError("a@b.example")]
)
async def test_what_may_pass_is_tried_again_and_given_up_in_the_end(house: House, problem: Exception) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    carrier = Failing(problem)
    said = {
        "Unreachable": "unreachable timeout",
        "Refused": "refused rcpt 450",
        "RuntimeError": "error RuntimeError",
    }
    for attempt in range(1, len(retry.PAUSES) + 2):
        await house.dispatcher(carrier).drain()
        (row,) = await _rows(house)
        assert (row["attempts"], row["lease"]) == (attempt, None)
        assert row["last_problem"] == said[type(problem).__name__]
        assert carrier.tries == attempt
        await house.dispatcher(carrier).drain()
        assert carrier.tries == attempt, "not before its time"
        house.clock.now = max(house.clock.now, row["due_at"])
    assert row["status"] == "failed"
    assert row["ended_at"] is not None
    house.clock.advance(days=30)
    assert await house.mails() == []


async def test_what_is_refused_for_good_is_given_up_at_once(house: House) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await house.dispatcher(Failing(Refused("rcpt 550", permanent=True))).drain()
    (row,) = await _rows(house)
    assert (row["status"], row["attempts"], row["last_problem"]) == ("failed", 1, "refused rcpt 550")


@pytest.mark.parametrize("address", ["a\nb@mail.example", "nobody", 'x"@mail.example'])
async def test_what_can_not_be_written_fails_and_holds_nobody_up(house: House, address: str) -> None:
    link_id = await _link(house, "ada")
    await house.rows("UPDATE links SET email = $1 RETURNING id", address)
    await _queue(house, Template.NEW_PASSWORD, link_id=link_id)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    with capture_logs() as logged:
        assert [mail.to for mail in await house.mails()] == [ADA]
    assert [row["status"] for row in await _rows(house)] == ["failed", "sent"]
    assert (await _rows(house))[0]["last_problem"] == "unwritable Invalid"
    assert address not in repr([{k: v for k, v in line.items() if k != "exc_info"} for line in logged])


async def test_a_key_of_a_later_ring_puts_the_mail_off(house: House) -> None:
    await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ada"))
    carrier = KeepingCarrier()
    older = Dispatcher(house.database, house.clock, carrier, Letterhead(house.base_url, {}))
    await older.drain()
    (row,) = await _rows(house)
    assert (row["status"], row["last_problem"], carrier.kept) == ("waiting", "unknown key", [])
    house.clock.advance(minutes=2)
    assert len(await house.mails()) == 1


async def _burn(house: House) -> tuple[int, list[Any]]:
    """Have a dispatcher meet thirty mails while no mail leaves; return how often it tried, and the rows."""
    for _ in range(30):
        await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    carrier = Failing(Unreachable("connection"))
    await house.dispatcher(carrier).drain()
    return carrier.tries, await _rows(house)


async def test_while_no_mail_leaves_the_others_are_neither_held_nor_burnt(house: House) -> None:
    tries, rows = await _burn(house)
    assert 1 <= tries <= mails.AT_ONCE
    assert [row["lease"] for row in rows] == [None] * 30
    assert [row["attempts"] for row in rows].count(0) == 30 - tries


async def test_control_without_the_breaker_all_are_burnt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaker, "trip", lambda _: None)
    tries, _ = await _burn(house)
    assert tries == 30


async def test_the_breaker_waits_longer_each_time_up_to_a_minute_and_forgets_when_a_mail_leaves() -> None:
    breaker = Breaker()
    assert breaker.remaining == 0
    pauses = []
    for _ in range(8):
        breaker.trip()
        breaker.trip()  # four failures at once are one
        pauses.append(round(breaker.remaining))
        breaker._closed_at = 0
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    breaker.mend()
    breaker.trip()
    assert round(breaker.remaining) == 1


# -- leases ------------------------------------------------------------------------------------------------------------


async def _claim(house: House) -> Delivery | None:
    async with house.database.transaction() as tx:
        return await deliveries.claim(Context(tx, SYSTEM, house.clock()))


async def test_a_claimed_mail_is_nobody_elses_until_its_lease_ends(house: House) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    first = await _claim(house)
    assert first is not None
    assert (first.attempts, first.due_at - house.clock.now) == (1, deliveries.LEASE)
    house.clock.advance(minutes=2, seconds=-1)
    assert await _claim(house) is None
    house.clock.advance(seconds=1)
    second = await _claim(house)
    assert second is not None
    assert (second.id, second.attempts, second.lease == first.lease) == (first.id, 2, False)


async def test_who_comes_late_with_an_old_lease_changes_nothing(house: House) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    late = await _claim(house)
    house.clock.advance(minutes=3)
    now_his = await _claim(house)
    assert late is not None
    assert now_his is not None
    before = await _rows(house)
    async with house.database.transaction() as tx:
        ctx = Context(tx, SYSTEM, house.clock())
        assert not await deliveries.end(ctx, late, DeliveryStatus.FAILED, "refused rcpt 550")
        assert not await deliveries.put_off(ctx, late, ctx.now, "unreachable timeout")
    assert await _rows(house) == before
    async with house.database.transaction() as tx:
        assert await deliveries.end(Context(tx, SYSTEM, house.clock()), now_his, DeliveryStatus.SENT)
        assert not await deliveries.end(Context(tx, SYSTEM, house.clock()), now_his, DeliveryStatus.FAILED)
    assert [row["status"] for row in await _rows(house)] == ["sent"]


async def test_who_comes_late_spreads_nothing(house: House) -> None:
    data(await house.ada.asks(house.lakeside), 201)
    late = await _claim(house)
    house.clock.advance(minutes=3)
    assert len(await house.mails()) == 1
    assert late is not None
    async with house.database.transaction() as tx:
        assert await deliveries.spread(Context(tx, SYSTEM, house.clock()), late) == 0
    assert len(await _rows(house)) == 2


async def test_control_without_the_lease_in_the_guard_who_comes_late_does_change_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguarded = Statement(
        update(table)
        .where(table.c.id == bindparam("delivery_id"))
        .values(
            status=bindparam("end_status"), ended_at=bindparam("now", type_=TIMESTAMP(timezone=True)),
            lease=null(), last_problem=bindparam("problem"),
        )
    )  # fmt: skip
    monkeypatch.setattr(deliveries, "END", unguarded)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    late = await _claim(house)
    house.clock.advance(minutes=3)
    assert await _claim(house) is not None
    assert late is not None
    async with house.database.transaction() as tx:
        await deliveries.end(
            Context(tx, SYSTEM, house.clock()), late, DeliveryStatus.FAILED, "refused rcpt 550"
        )
    assert [row["status"] for row in await _rows(house)] == ["failed"]


async def _race(house: House, count: int) -> list[ReceivedMail]:
    """Have several dispatchers send at once; return what was sent."""
    for _ in range(count):
        await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    carrier = KeepingCarrier()
    await asyncio.gather(*(house.dispatcher(carrier).drain() for _ in range(4)))
    return [ReceivedMail(message) for message in carrier.kept]


async def test_dispatchers_at_once_send_each_mail_once(house: House, rounds: int) -> None:
    count = min(2 * rounds, 2_000)
    sent = await _race(house, count)
    assert len({mail.message["Message-ID"] for mail in sent}) == len(sent) == count
    assert {row["attempts"] for row in await _rows(house, "sent")} == {1}


async def test_control_a_claim_that_looks_first_and_takes_then_sends_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Query(
        select(*DELIVERY_COLUMNS)
        .where(table.c.status == literal_column("'waiting'"))
        .order_by(table.c.id)
        .limit(1),
        struct(Delivery),
    )

    async def look_first(ctx: Context) -> Delivery | None:
        found = await look.first(ctx.tx)
        await asyncio.sleep(0.01)  # somebody else looks, too
        if found is not None:
            await ctx.tx.execute(
                "UPDATE deliveries SET attempts = attempts + 1, lease = $2 WHERE id = $1", found.id, uuid4()
            )
        return found

    monkeypatch.setattr(mails.actions, "claim", look_first)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    carrier = KeepingCarrier()
    dispatchers = [house.dispatcher(carrier) for _ in range(3)]
    claimed = await asyncio.gather(*(dispatcher._claim() for dispatcher in dispatchers))
    await asyncio.gather(*(d._deliver(one) for d, one in zip(dispatchers, claimed, strict=True) if one))
    assert len(carrier.kept) > 1


async def test_a_dispatcher_waits_for_no_row_another_holds(house: House) -> None:
    """One claim is open and uncommitted; the next takes the next row at once."""
    first_id = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    second_id = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ben"])
    async with house.database.transaction() as tx:
        held = await deliveries.claim(Context(tx, SYSTEM, house.clock()))
        async with asyncio.timeout(5):
            other = await _claim(house)
            nothing = await _claim(house)
    assert held is not None
    assert other is not None
    assert (held.id, other.id, nothing) == (first_id, second_id, None)


async def test_a_database_that_is_away_when_it_is_settled_makes_no_twin(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    real, failures = deliveries.end, iter(range(3))

    async def away_at_first(*given: Any) -> bool:
        if next(failures, None) is not None:
            raise DatabaseUnavailable("away")
        return await real(*given)

    monkeypatch.setattr(mails.actions, "end", away_at_first)
    monkeypatch.setattr(mails, "POLL", 0.001)
    assert len(await house.mails()) == 1
    assert [(row["status"], row["attempts"]) for row in await _rows(house)] == [("sent", 1)]


async def test_what_nobody_lives_to_settle_ends_all_the_same(house: House) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    for _ in range(len(retry.PAUSES) + 1):
        assert await _claim(house) is not None
        house.clock.advance(minutes=3)
    assert await house.mails() == []
    (row,) = await _rows(house)
    assert (row["status"], row["last_problem"]) == ("failed", "never settled")


async def test_what_never_can_be_spread_ends_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> int:
        raise RuntimeError("ours")

    monkeypatch.setattr(mails.actions, "spread", fails)
    await _queue(house, Template.PARTNERSHIP_REQUESTED, organization_id=house.lakeside, subject_id=uuid4())
    for _ in range(len(retry.PAUSES) + 3):
        assert await house.mails() == []
        house.clock.advance(minutes=3)
    (row,) = await _rows(house)
    assert (row["status"], row["last_problem"]) == ("failed", "never settled")
    assert row["attempts"] == len(retry.PAUSES) + 2


async def test_what_a_later_release_queued_is_left_to_it_and_holds_nobody_up(house: House) -> None:
    unknown = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await house.rows("UPDATE deliveries SET template = 'of_tomorrow' WHERE id = $1 RETURNING id", unknown)
    house.clock.advance(seconds=1)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    assert len(await house.mails()) == 1
    assert [(row["status"], row["attempts"]) for row in await _rows(house)] == [("waiting", 0), ("sent", 1)]


async def test_told_to_stop_it_lets_the_mails_under_way_end(house: House) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(KeepingCarrier):
        async def send(self, message: EmailMessage) -> None:
            begun.set()
            await go_on.wait()
            await super().send(message)

    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    dispatching = asyncio.create_task(house.dispatcher(Slow()).run_for_ever())
    async with asyncio.timeout(10):
        await begun.wait()
        dispatching.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(dispatching, return_exceptions=True)
    assert [row["status"] for row in await _rows(house)] == ["sent"]


async def test_a_mail_that_hangs_is_given_up_before_its_lease_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(KeepingCarrier):
        async def send(self, message: EmailMessage) -> None:
            await asyncio.Event().wait()

    assert timedelta(seconds=mails.LONGEST_SENDING) < deliveries.LEASE
    monkeypatch.setattr(mails, "LONGEST_SENDING", 0.01)
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await house.dispatcher(Hanging()).drain()
    (row,) = await _rows(house)
    assert (row["status"], row["last_problem"], row["lease"]) == ("waiting", "unreachable timeout", None)


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_neither_token_nor_address_is_kept_or_logged(house: House) -> None:
    await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ada"))
    data(await house.ada.asks(house.lakeside), 201)
    with capture_logs() as logged:
        received = await house.mails()
        await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ben"))
        await house.dispatcher(Failing(Refused("rcpt 550", permanent=True))).drain()
    assert len(received) == 2
    token = next(mail.token for mail in received if mail.has_link)
    kept = repr(await house.rows("SELECT d::text FROM deliveries AS d"))
    kept += repr(await house.rows("SELECT e::text FROM events AS e"))
    links_kept = repr(await house.rows("SELECT l::text FROM links AS l"))
    assert len(logged) >= 3
    for text in (kept, repr(logged)):
        assert token not in text
        assert "@" not in text.replace("<", "")
    assert token not in links_kept


async def test_deliveries_are_forgotten_after_30_days_and_failures_after_90(house: House) -> None:
    await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ada"))
    assert len(await house.mails()) == 1
    await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ben"))
    await house.dispatcher(Failing(Refused("rcpt 550", permanent=True))).drain()
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])

    async def after(**span: float) -> tuple[list[str], int]:
        house.clock.advance(**span)
        await loop.run_once(house.database, house.clock)
        return [row["status"] for row in await _rows(house)], len(await house.rows("SELECT FROM links"))

    assert await after(days=29) == (["sent", "failed", "waiting"], 2)
    # A link lives for two hours more than the mail that carries it, and is kept for as long as the failure names it.
    assert await after(days=1, hours=1) == (["failed", "waiting"], 2)
    assert await after(hours=2) == (["failed", "waiting"], 1)
    assert await after(days=60) == (["waiting"], 0)


async def test_the_operator_has_a_failed_mail_tried_again_from_the_beginning(house: House) -> None:
    delivery_id = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await house.dispatcher(Failing(Refused("rcpt 550", permanent=True))).drain()
    await house.operate(lambda ctx: deliveries.retry(ctx, delivery_id), Permission.KEEP_DELIVERIES)
    (row,) = await _rows(house)
    assert (row["status"], row["attempts"], row["ended_at"]) == ("waiting", 0, None)
    assert len(await house.mails()) == 1
    with pytest.raises(WrongState, match="this one is sent"):
        await house.operate(lambda ctx: deliveries.retry(ctx, delivery_id), Permission.KEEP_DELIVERIES)
    with pytest.raises(NotFound):
        await house.operate(lambda ctx: deliveries.retry(ctx, uuid4()), Permission.KEEP_DELIVERIES)
    assert (await house.trail(house.accounts["ada"]))[-1] == "delivery.retried"


async def test_what_is_being_sent_is_not_tried_beside_itself(house: House) -> None:
    delivery_id = await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    assert await _claim(house) is not None
    with pytest.raises(WrongState, match="being sent"):
        await house.operate(lambda ctx: deliveries.retry(ctx, delivery_id), Permission.KEEP_DELIVERIES)


async def test_the_operator_sees_what_waits_and_why(house: House) -> None:
    await _queue(house, Template.PASSWORD_CHANGED, account_id=house.accounts["ada"])
    await _queue(house, Template.NEW_PASSWORD, link_id=await _link(house, "ben"))
    await house.dispatcher(Failing(Unreachable("certificate"))).drain()

    async def look(ctx: Context) -> Any:
        return await queries.counts(ctx), await queries.latest(ctx, None, 10)

    counts, latest = await house.operate(look, Permission.KEEP_DELIVERIES)
    assert [(one.status, one.count) for one in counts] == [("waiting", 2)]
    assert {one.recipient for one in latest} >= {ADA}
    assert "ben@northside.example" not in repr(latest)
    assert {one.last_problem for one in latest} <= {"unreachable certificate", None}
