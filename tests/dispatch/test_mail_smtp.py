"""Mails over SMTP, to a real server: what arrives is what was written, and every way of failing has its answer."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest

from fakes.carrier import KeepingCarrier
from fakes.mail_server import BrokenServer, MailServer, make_certificate, signing_in
from hospitium.engine.deliveries.queries import Letter, LinkSeed
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import Invalid
from hospitium.engine.secrets import DerivationKey, Secret, derive
from hospitium.outside.letters.writing import Letterhead, written
from hospitium.outside.mail import Refused, Unreachable
from hospitium.outside.mailbox import MailboxDirectory
from hospitium.outside.smtp import SmtpAddress, SmtpServer, smtp_address

if TYPE_CHECKING:
    from pathlib import Path

KEY = DerivationKey(1, b"k" * 32)
HEAD = Letterhead("https://hospitium.example", {1: KEY})
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = UUID("00000000-0000-4000-8000-000000000001")
DELIVERY = UUID("00000000-0000-4000-8000-00000000000d")
REQUESTED = Letter(
    delivery_id=DELIVERY,
    template=Template.PARTNERSHIP_REQUESTED,
    at=AT,
    email="rui@lakeside.example",
    language="en",
    organization="Lakeside Imaging",
    partner="Northside Family Practice",
)
CONFIRM = Letter(
    delivery_id=DELIVERY,
    template=Template.CONFIRM,
    at=AT,
    email="ada@northside.example",
    language="en",
    seed=LinkSeed("confirm", ROW, 1, b"n" * 16, AT + timedelta(days=7)),
)


def _with(letter: Letter = REQUESTED, **changes: object) -> EmailMessage:
    return written(msgspec.structs.replace(letter, **changes), HEAD)


async def _send(address: SmtpAddress, message: EmailMessage, *, patience: float = 5.0) -> None:
    server = SmtpServer(address, "hospitium.example", patience=patience)
    try:
        await server.send(message)
    finally:
        await server.close()


# -- what arrives ------------------------------------------------------------------------------------------------------


async def test_it_arrives_as_it_was_written_with_one_sender_and_one_recipient() -> None:
    message = _with()
    async with MailServer.open() as server:
        await _send(server.address(), message)
    (taken,) = server.received
    assert (taken.sender, taken.recipients) == ("no-reply@hospitium.example", ["rui@lakeside.example"])
    assert taken.content == message.as_bytes()
    arrived = taken.message
    assert arrived["From"] == "Hospitium <no-reply@hospitium.example>"
    assert arrived["To"] == "rui@lakeside.example"
    assert arrived["Subject"] == "New Connection Request from Northside Family Practice"
    assert arrived["Message-ID"] == f"<{DELIVERY}@hospitium.example>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Date"].datetime == AT
    assert arrived.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in arrived.iter_parts()] == ["text/plain", "text/html"]
    assert set(arrived.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip


async def test_the_link_is_derived_from_the_key_and_stands_behind_a_hash() -> None:
    async with MailServer.open() as server:
        await _send(server.address(), _with(CONFIRM))
    mail = server.received[0].mail
    token = derive(KEY, "confirm", ROW, b"n" * 16).reveal()
    assert mail.link == f"https://hospitium.example/console/confirm#{token}"
    assert mail.html.count(f'href="{mail.link}"') == 2


def test_the_same_letter_is_the_same_bytes_so_that_twins_can_be_told() -> None:
    assert _with(CONFIRM).as_bytes() == _with(CONFIRM).as_bytes()


async def test_what_speaks_smtp_in_a_text_stays_text() -> None:
    """Dots at the beginning of a line, the end of a message, and commands behind it."""
    message = _with()
    body = ".\r\n..\r\n.\r\nMAIL FROM:<eve@mail.example>\r\nRCPT TO:<pat@mail.example>\r\nDATA\r\nno\r\n.\r\nQUIT\r\n"
    message.clear_content()
    message.set_content(body, cte="7bit")
    async with MailServer.open() as server:
        await _send(server.address(), message)
    (taken,) = server.received
    assert taken.recipients == ["rui@lakeside.example"]
    assert taken.message.get_content() == body


@pytest.mark.parametrize("ending", ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\r", "\r\n.\n", "\n.\r"])
async def test_no_odd_end_of_a_line_ends_the_message_early(ending: str) -> None:
    """Servers differ in what they take for the end; what follows must not become a mail of somebody else's."""
    message = _with()
    message.set_payload(f"before{ending}MAIL FROM:<eve@mail.example>{ending}after")
    async with BrokenServer.open() as server:
        await _send(server.address(), message)
    content = bytes(server.heard).partition(b"DATA\r\n")[2]
    assert content.count(b"\r\n.\r\n") == 1
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content), "only whole ends of lines are sent"
    assert content.partition(b"\r\n.\r\n")[2].startswith(b"QUIT") or content.endswith(b"\r\n.\r\n")


async def test_no_line_is_longer_than_smtp_allows_and_every_character_survives() -> None:
    name = "Kliník für Bildgebung 画像診断 مركز الأشعة 🩻 "
    long = (name * 40)[:2_000]
    async with MailServer.open() as server:
        await _send(server.address(), _with(partner=long))
        await _send(server.address(), _with(partner=name))
    for taken in server.received:
        assert max(map(len, taken.content.split(b"\r\n"))) <= 998
        assert taken.content.isascii()
    assert name.strip() in " ".join(server.received[1].mail.text.split())
    assert name.strip() in server.received[1].mail.html
    assert server.received[1].mail.subject == f"New Connection Request from {name.strip()}"


@pytest.mark.parametrize(
    "end_of_line", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
async def test_a_name_adds_no_header_whatever_ends_a_line_in_it(end_of_line: str) -> None:
    async with MailServer.open() as server:
        await _send(
            server.address(),
            _with(partner=f"Clinic{end_of_line}Bcc: eve@mail.example{end_of_line}{end_of_line}<b>Hello</b>"),
        )
    (taken,) = server.received
    assert taken.recipients == ["rui@lakeside.example"]
    assert "Bcc" not in taken.message
    assert taken.mail.subject == "New Connection Request from Clinic Bcc: eve@mail. example <b>Hello</b>"


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nRCPT TO:<eve@mail.example>",
        "a@b.example, eve@mail.example",
        "a b@c.example",
        "<a@b.example>",
        "a@b.example\x00",
        '"a b"@c.example',
        "a@[127.0.0.1]",
        "",
    ],
)
def test_an_address_that_is_none_is_never_written_to(address: str) -> None:
    with pytest.raises(Invalid):
        _with(email=address)


async def test_a_domain_is_sent_in_its_idna_form() -> None:
    async with MailServer.open(utf8=False) as server:
        await _send(server.address(), _with(email="Ada@Müller.example"))
    assert server.received[0].recipients == ["Ada@xn--mller-kva.example"]


async def test_a_mailbox_beyond_ascii_is_reached_where_the_server_can() -> None:
    async with MailServer.open() as server:
        await _send(server.address(), _with(email="jürgen@mail.example"))
    assert server.received[0].recipients == ["jürgen@mail.example"]
    assert "To: jürgen@mail.example\r\n".encode() in server.received[0].content


async def test_a_mailbox_beyond_ascii_is_refused_for_good_where_the_server_can_not() -> None:
    async with MailServer.open(utf8=False) as server:
        with pytest.raises(Refused) as refused:
            await _send(server.address(), _with(email="jürgen@mail.example"))
    assert (refused.value.code, refused.value.permanent) == ("smtputf8", True)
    assert server.received == []


async def test_several_mails_use_one_connection() -> None:
    async with MailServer.open() as server:
        carrier = SmtpServer(server.address(), "hospitium.example")
        for _ in range(5):
            await carrier.send(_with())
        server.answers["RCPT"] = "550 No"
        with pytest.raises(Refused):
            await carrier.send(_with())
        del server.answers["RCPT"]
        await carrier.send(_with())
        await carrier.close()
    assert (len(server.received), server.connections) == (6, 1)


async def test_a_connection_the_server_has_closed_meanwhile_is_replaced() -> None:
    async with BrokenServer.open("rset", "hang up") as server:
        carrier = SmtpServer(server.address(), "hospitium.example", patience=5)
        await carrier.send(_with())
        await carrier.send(_with())
        await carrier.close()
    assert server.connections == 2
    assert bytes(server.heard).count(b"\r\n.\r\n") == 2


async def test_an_idle_connection_is_let_go() -> None:
    async with MailServer.open() as server:
        carrier = SmtpServer(server.address(), "hospitium.example", idle=0.01)
        await carrier.send(_with())
        async with asyncio.timeout(5):
            while carrier._resting:
                await asyncio.sleep(0.005)
        await carrier.send(_with())
        await carrier.close()
    assert server.connections == 2


# -- how it fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "answer", "code", "permanent"),
    [
        ("RCPT", "550 5.1.1 No such mailbox rui@lakeside.example", "rcpt 550", True),
        ("RCPT", "450 4.2.0 Greylisted", "rcpt 450", False),
        ("DATA", "554 5.7.1 Looks like spam", "data 554", True),
        ("DATA", "452 4.3.1 Disk full", "data 452", False),
    ],
)
async def test_what_the_recipients_server_says_is_about_this_mail(
    step: str, answer: str, code: str, permanent: bool
) -> None:
    async with MailServer.open() as server:
        server.answers[step] = answer
        with pytest.raises(Refused) as refused:
            await _send(server.address(), _with())
    assert (refused.value.code, refused.value.permanent) == (code, permanent)
    assert server.received == []


@pytest.mark.parametrize(
    ("step", "does", "kind"),
    [
        ("connect", "554 Not you", "answer 554"),
        ("connect", "421 Later", "answer 421"),
        ("mail", "550 Not from you", "mail 550"),
        ("mail", "451 Too many", "mail 451"),
        ("rcpt", "421 Going down", "answer 421"),
        ("content", "421 Going down", "answer 421"),
        ("ehlo", "what?", "answer -1"),
    ],
)
async def test_what_meets_every_mail_is_the_servers_matter(step: str, does: str, kind: str) -> None:
    async with BrokenServer.open(step, does) as server:
        with pytest.raises(Unreachable) as away:
            await _send(server.address(), _with())
    assert away.value.kind == kind


@pytest.mark.parametrize("step", BrokenServer.STEPS)
async def test_a_server_that_falls_silent_holds_nobody_up(step: str) -> None:
    async with BrokenServer.open(step, "silence") as server:
        with pytest.raises(Unreachable) as away:
            await _send(server.address(), _with(), patience=0.1)
    assert away.value.kind == "timeout"


@pytest.mark.parametrize("step", BrokenServer.STEPS)
async def test_a_connection_that_breaks_is_tried_again_later(step: str) -> None:
    async with BrokenServer.open(step, "hang up") as server:
        with pytest.raises(Unreachable) as away:
            await _send(server.address(), _with())
    assert away.value.kind in ("disconnected", "connection")


async def test_where_nobody_listens_nothing_is_sent() -> None:
    async with MailServer.open() as server:
        address = server.address()
    with pytest.raises(Unreachable, match="connection"):
        await _send(address, _with())


# -- what it is protected by -------------------------------------------------------------------------------------------


async def test_by_starttls_it_arrives_and_the_password_goes_inside(tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path)
    async with MailServer.open(tls=context, auth=True) as server:
        await _send(server.address("starttls", ca=certificate, **signing_in()), _with())
    assert len(server.received) == 1
    assert server.signed_in
    assert all(protected for _, protected in server.signed_in)


async def test_by_tls_from_the_first_byte_it_arrives(tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path)
    async with MailServer.open(tls=context, implicit=True) as server:
        await _send(server.address("implicit", ca=certificate), _with())
    assert len(server.received) == 1


async def test_a_server_that_does_not_offer_tls_is_told_nothing() -> None:
    async with BrokenServer.open() as server:
        address = SmtpAddress("127.0.0.1", server.port, "starttls", "ada", Secret("a secret"))
        with pytest.raises(Unreachable, match="not offered"):
            await _send(address, _with())
    assert bytes(server.heard).splitlines() == [b"EHLO hospitium.example"]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_nobody_vouches_for_is_not_believed(tls: str, tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with MailServer.open(tls=context, implicit=tls == "implicit", auth=tls == "starttls") as server:
        with pytest.raises(Unreachable, match="certificate"):
            await _send(server.address(tls, **signing_in()), _with())
    assert (server.received, server.signed_in) == ([], [])


async def test_a_certificate_of_another_host_is_not_believed(tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path, address="127.0.0.2")
    async with MailServer.open(tls=context) as server:
        with pytest.raises(Unreachable, match="certificate"):
            await _send(server.address("starttls", ca=certificate), _with())
    assert server.received == []


async def test_a_wrong_password_is_the_operators_matter_and_no_mails(tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path)
    async with MailServer.open(tls=context, auth=True) as server:
        with pytest.raises(Unreachable, match="auth 535"):
            await _send(
                server.address("starttls", ca=certificate, user="hospitium", password=Secret("wrong")),
                _with(),
            )


async def test_a_missing_ca_file_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="ca file"):
        await _send(SmtpAddress("127.0.0.1", 9, "starttls", ca=tmp_path / "none.pem"), _with())


def test_an_address_is_read_as_it_is_meant() -> None:
    found = smtp_address("smtp://ada:p%40ss@mail.example")
    assert (found.host, found.port, found.tls, found.user) == ("mail.example", 587, "starttls", "ada")
    assert found.password == Secret("p@ss")
    assert "p@ss" not in repr(found)
    assert smtp_address("smtps://mail.example").port == 465
    assert smtp_address("smtp://mail.example:25?tls=never").tls == "never"


def test_the_fake_takes_what_the_real_one_takes() -> None:
    signatures = {inspect.signature(kind.send) for kind in (KeepingCarrier, SmtpServer, MailboxDirectory)}
    assert len(signatures) == 1
