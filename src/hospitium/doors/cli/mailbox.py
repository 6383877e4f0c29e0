"""`hospitium mailbox`: the mails that were written into the mailbox directory, for trying without a mail server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from hospitium.doors.cli.house import as_json, house, print_json, print_table
from hospitium.outside.mailbox import mailbox_in, mails_in, read_mail

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

_HEADS = ("Date", "From", "To", "Subject")
_LINK = re.compile(r"^https?://\S+$", re.MULTILINE)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def mailbox(ctx: click.Context, as_json: bool) -> None:
    """List the mails of the mailbox directory, the latest last; where an SMTP server is set, none go there."""
    if ctx.invoked_subcommand is not None:
        return
    mails = [read_mail(path) for path in _mails()]
    if as_json:
        print_json([_fields(mail) for mail in mails])
        return
    rows = [
        [str(number), *(str(mail[head]).strip() for head in _HEADS if head != "From")]
        for number, mail in enumerate(mails, 1)
    ]
    print_table(["", "date", "to", "subject"], rows)


@mailbox.command()
@click.argument("which")
@as_json
def show(which: str, as_json: bool) -> None:
    """Show one mail: WHICH is its number in the list, or `latest`."""
    paths = _mails()
    number = len(paths) if which == "latest" else int(which) if which.isascii() and which.isdigit() else 0
    if not 0 < number <= len(paths):
        raise click.BadParameter(
            f"there are {len(paths)} mails; say `latest`, or a number of the list", param_hint="WHICH"
        )
    mail = read_mail(paths[number - 1])
    if as_json:
        print_json({**_fields(mail), "text": _text(mail), "links": _links(mail)})
        return
    for head in _HEADS:
        click.echo(f"{head}: {str(mail[head]).strip()}")
    click.echo(f"\n{_text(mail)}")
    for link in _links(mail):
        click.echo(f"Link: {link}")


def _mails() -> list[Path]:
    return mails_in(mailbox_in(house().installation().data))


def _fields(mail: EmailMessage) -> dict[str, Any]:
    return {head.lower(): str(mail[head]).strip() for head in _HEADS}


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n")


def _links(mail: EmailMessage) -> list[str]:
    return _LINK.findall(_text(mail))
