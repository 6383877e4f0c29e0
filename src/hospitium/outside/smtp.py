"""Mails handed to an SMTP server, over TLS unless it was said otherwise, in so many words.

Whose fault a failure is decides what follows. What the recipient or the content met (`RCPT`, `DATA`) is this mail's alone:
Refused. Everything before is the same for every mail: Unreachable, and worth trying again however final it sounds, because a
wrong password or an expired certificate gets mended.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib
import msgspec

from hospitium.engine.secrets import Secret
from hospitium.outside.mail import Refused, Unreachable, recipient_of, sender_of

if TYPE_CHECKING:
    from email.message import EmailMessage

PATIENCE = 30.0  # seconds for a connection, and for each answer
IDLE = 15.0  # seconds a connection is kept for the next mail
_CLOSING = 421  # the server goes away, whatever it was asked
_PERMANENT = 500


class SmtpAddress(msgspec.Struct, frozen=True):
    """Where the mail server is, and how one gets in. `tls`: from the first byte, by STARTTLS, or never."""

    host: str
    port: int
    tls: str
    user: str | None = None
    password: Secret | None = None
    ca: Path | None = None


def smtp_address(text: str) -> SmtpAddress:
    """Read `smtp://user:password@host:587` or `smtps://host:465`; ValueError says what is wrong, and quotes nothing."""
    try:
        parts = urlsplit(text)
        port = parts.port
        options = (
            dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
        )
    except ValueError:
        parts, port, options = urlsplit(""), None, {}
    if (
        parts.scheme not in ("smtp", "smtps")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.fragment
    ):
        raise ValueError("an address such as smtp://user:password@mail.example:587 or smtps://mail.example")
    if not re.fullmatch(r"[0-9A-Za-z._:-]+", parts.hostname):
        raise ValueError("an address whose host is a name or an IP address")
    if set(options) - {"tls", "ca"} or options.get("tls", "never") != "never":
        raise ValueError("an address with no other options than ?tls=never and ?ca=FILE")
    implicit, never = parts.scheme == "smtps", "tls" in options
    if implicit and never:
        raise ValueError("either smtps:// or ?tls=never")
    user = unquote(parts.username) if parts.username else None
    password = Secret(unquote(parts.password)) if parts.password else None
    if never and (user or password):
        raise ValueError("without user and password where ?tls=never: they are never sent unprotected")
    if (user is None) != (password is None):
        raise ValueError("an address with both a user and a password, or neither")
    return SmtpAddress(
        host=parts.hostname,
        port=port or (465 if implicit else 587),
        tls="implicit" if implicit else "never" if never else "starttls",
        user=user,
        password=password,
        ca=Path(options["ca"]).expanduser() if options.get("ca") else None,
    )


class SmtpServer:
    """Hands mails to one SMTP server, over connections that are kept a few seconds for the next mail."""

    def __init__(
        self, address: SmtpAddress, name: str, *, patience: float = PATIENCE, idle: float = IDLE
    ) -> None:
        """`name` is what this server calls itself; `patience` and `idle` are seconds."""
        self._address = address
        self._name = name
        self._patience = patience
        self._idle = idle
        self._resting: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}

    async def send(self, message: EmailMessage) -> None:
        """Hand over one mail, which has one sender and one recipient. Raises Refused, Unreachable."""
        connection = await self._rested() or await self._connected()
        try:
            await self._hand_over(connection, message)
        except Refused:
            await self._rest(connection)
            raise
        except BaseException:
            connection.close()
            raise
        await self._rest(connection)

    async def greet(self) -> None:
        """Connect and sign in as for a mail, without one. Raises Unreachable."""
        await self._rest(await self._connected())

    async def close(self) -> None:
        """Take leave of the server."""
        while self._resting:
            connection, timer = self._resting.popitem()
            timer.cancel()
            with suppress(aiosmtplib.SMTPException, OSError):
                await connection.quit(timeout=1)
            connection.close()

    async def _rested(self) -> aiosmtplib.SMTP | None:
        """Return a connection of an earlier mail that still works, if there is one."""
        while self._resting:
            connection, timer = self._resting.popitem()
            timer.cancel()
            with suppress(aiosmtplib.SMTPException, OSError):
                await connection.rset()
                return connection
            connection.close()
        return None

    async def _rest(self, connection: aiosmtplib.SMTP) -> None:
        if connection.is_connected:
            timer = asyncio.get_running_loop().call_later(self._idle, self._let_go, connection)
            self._resting[connection] = timer

    def _let_go(self, connection: aiosmtplib.SMTP) -> None:
        del self._resting[connection]
        connection.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        address = self._address
        try:
            context = None if address.tls == "never" else ssl.create_default_context(cafile=address.ca)
        except OSError as problem:
            raise Unreachable("ca file") from problem
        connection = aiosmtplib.SMTP(
            hostname=address.host,
            port=address.port,
            username=address.user,
            password=None if address.password is None else address.password.reveal(),
            # Never "if the server offers it": whoever stands between could take the offer out.
            use_tls=address.tls == "implicit",
            start_tls=address.tls == "starttls",
            tls_context=context,
            local_hostname=self._name,
            timeout=self._patience,
        )
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
        except (aiosmtplib.SMTPException, OSError) as problem:
            connection.close()
            raise Unreachable(_kind(problem)) from problem
        return connection

    async def _hand_over(self, connection: aiosmtplib.SMTP, message: EmailMessage) -> None:
        recipient = recipient_of(message)
        needs_utf8 = not recipient.isascii()
        content = message.as_bytes(policy=SMTPUTF8 if needs_utf8 else SMTP)
        encoding = "utf-8" if needs_utf8 else "ascii"
        try:
            if needs_utf8 and not connection.supports_extension("smtputf8"):
                raise Refused("smtputf8", permanent=True)
            options = ["SMTPUTF8"] if needs_utf8 else []
            await connection.mail(sender_of(message), options=options, encoding=encoding)
            await connection.rcpt(recipient, encoding=encoding)
            await connection.data(content)
        except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as problem:
            if problem.code == _CLOSING:
                raise Unreachable(_kind(problem)) from problem
            step = "rcpt" if isinstance(problem, aiosmtplib.SMTPRecipientRefused) else "data"
            raise Refused(f"{step} {problem.code}", permanent=problem.code >= _PERMANENT) from problem
        except (aiosmtplib.SMTPException, OSError) as problem:
            raise Unreachable(_kind(problem)) from problem


# The first that fits names it; an answer's number is added.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (aiosmtplib.SMTPAuthenticationError, "auth"),
    (aiosmtplib.SMTPSenderRefused, "mail"),
    (aiosmtplib.SMTPHeloError, "ehlo"),
    (aiosmtplib.SMTPResponseException, "answer"),
    (TimeoutError, "timeout"),
    (aiosmtplib.SMTPServerDisconnected, "disconnected"),
    (OSError, "connection"),
    # All that remains is something the server doesn't offer: STARTTLS, or a way to sign in.
    (aiosmtplib.SMTPException, "not offered"),
)


def _kind(problem: BaseException) -> str:
    """Say in a word what is wrong with the server or the way to it; what it said itself is left out."""
    for cause in (problem, problem.__cause__, problem.__context__):
        if isinstance(cause, ssl.SSLError):
            return "certificate" if isinstance(cause, ssl.SSLCertVerificationError) else "tls"
    word = next(word for kind, word in _KINDS if isinstance(problem, kind))
    code = getattr(problem, "code", None)
    return word if code is None else f"{word} {code}"
