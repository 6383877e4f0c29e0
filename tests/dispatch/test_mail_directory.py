"""Where no mail server is set, mails are files: whole, readable by their owner only, one for each however often it is sent."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from email.policy import SMTPUTF8
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from hospitium.engine.deliveries.queries import Letter
from hospitium.engine.deliveries.record import Template
from hospitium.outside.letters.writing import Letterhead, written
from hospitium.outside.mail import Unreachable
from hospitium.outside.mailbox import MailboxDirectory, mails_in, read_mail

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


def _mail(number: int, *, day: int = 1, email: str = "ada@northside.example") -> EmailMessage:
    letter = Letter(
        delivery_id=UUID(int=number),
        template=Template.PASSWORD_CHANGED,
        at=datetime(2026, 3, day, 12, tzinfo=UTC),
        email=email,
        language="es",
    )
    return written(letter, Letterhead("https://hospitium.example", {}))


async def test_a_mail_is_one_file_that_nobody_else_reads(tmp_path: Path) -> None:
    carrier = MailboxDirectory(tmp_path / "data" / "mailbox")
    await carrier.send(_mail(1))
    (path,) = (tmp_path / "data" / "mailbox").iterdir()
    assert path.name == f"20260301T120000Z-{UUID(int=1)}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes() == _mail(1).as_bytes(policy=SMTPUTF8)


async def test_a_mail_that_is_sent_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    carrier = MailboxDirectory(tmp_path)
    for _ in range(3):
        await carrier.send(_mail(1))
    assert len(mails_in(tmp_path)) == 1


async def test_they_are_listed_by_age_and_read_as_they_were_written(tmp_path: Path) -> None:
    carrier = MailboxDirectory(tmp_path)
    for number, day in ((1, 3), (2, 1), (3, 2)):
        await carrier.send(_mail(number, day=day, email=f"jürgen{number}@mail.example"))
    (tmp_path / ".half.eml.1").write_bytes(b"From: ")
    found = [read_mail(path) for path in mails_in(tmp_path)]
    assert [mail["Date"].datetime.day for mail in found] == [1, 2, 3]
    assert found[0]["Subject"] == "Se cambió su contraseña"


async def test_what_can_not_be_written_leaves_nothing_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "mailbox").write_text("a file")
    with pytest.raises(Unreachable, match="mailbox EEXIST"):
        await MailboxDirectory(tmp_path / "mailbox").send(_mail(1))
