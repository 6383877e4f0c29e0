"""Mail servers to send to: a real one on loopback that can be told what to refuse, and one that misbehaves at a chosen step."""

from __future__ import annotations

import asyncio
import email
import ipaddress
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.policy import SMTPUTF8
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fakes.carrier import ReceivedMail
from hospitium.engine.secrets import Secret
from hospitium.outside.smtp import SmtpAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


USER, PASSWORD = "hospitium", "a password for mail"


class Received:
    """One message as the server took it: its envelope, and its bytes without the dots of the transfer."""

    def __init__(self, sender: str, recipients: list[str], content: bytes) -> None:
        self.sender = sender
        self.recipients = recipients
        self.content = content
        self.message = email.message_from_bytes(content, policy=SMTPUTF8)

    @property
    def mail(self) -> ReceivedMail:
        return ReceivedMail(self.message)

    @property
    def delivery_id(self) -> str:
        return str(self.message["Message-ID"]).strip("<>").partition("@")[0]


class MailServer:
    """Takes mails, but for what `answers` says: an answer by the command it is given to (MAIL, RCPT, DATA)."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, str] = {}
        self.connections = 0
        self.signed_in: list[tuple[str, bool]] = []
        self.port = 0
        # Called when a message was taken, before its sender hears of it.
        self.on_taken: Callable[[Received], Any] = lambda _: None

    def address(self, tls: str = "never", **more: Any) -> SmtpAddress:
        return SmtpAddress("127.0.0.1", self.port, tls, **more)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=never"

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        utf8: bool = True,
        auth: bool = False,
    ) -> AsyncIterator[MailServer]:
        """Open a server on a free port; with `tls` it offers STARTTLS, or speaks TLS from the first byte."""
        server = cls()
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            server.connections += 1
            return SMTP(
                server, loop=loop, hostname="mail.example", enable_SMTPUTF8=utf8,
                tls_context=None if implicit else tls, require_starttls=tls is not None and not implicit,
                auth_required=auth, auth_require_tls=not implicit, authenticator=server._sign_in if auth else None,
            )  # fmt: skip

        listener = await loop.create_server(session, "127.0.0.1", 0, ssl=tls if implicit else None)
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()

    # -- what the session asks, by the names it knows --

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "MAIL" not in self.answers:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        taken = Received(envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content)
        self.received.append(taken)
        self.on_taken(taken)
        return "250 OK"

    def _sign_in(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        self.signed_in.append((mechanism, session.ssl is not None))
        right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)


class BrokenServer:
    """Speaks SMTP up to one step, and there does something else: says a line, falls silent, or hangs up."""

    STEPS = ("connect", "ehlo", "mail", "rcpt", "data", "content")

    def __init__(self, step: str, does: str) -> None:
        self.step, self.does = step, does
        self.heard = bytearray()
        self.connections = 0
        self.port = 0
        self._talks: set[asyncio.Task[Any]] = set()

    def address(self) -> SmtpAddress:
        return SmtpAddress("127.0.0.1", self.port, "never")

    @classmethod
    @asynccontextmanager
    async def open(cls, step: str = "", does: str = "") -> AsyncIterator[BrokenServer]:
        """`does`: `silence`, `hang up`, or the line it says instead."""
        broken = cls(step, does)
        listener = await asyncio.start_server(broken._talk, "127.0.0.1", 0)
        broken.port = listener.sockets[0].getsockname()[1]
        try:
            yield broken
        finally:
            listener.close()
            for talk in broken._talks:
                talk.cancel()
            await asyncio.gather(*broken._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks.add(asyncio.current_task())  # type: ignore[arg-type]
        self.connections += 1
        try:
            with suppress(ConnectionError, EOFError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        usual = {
            "connect": "220 mail.example", "ehlo": "250 mail.example", "mail": "250 OK", "rcpt": "250 OK",
            "data": "354 Go on", "content": "250 OK",
        }  # fmt: skip
        step = "connect"
        while True:
            if step == self.step and self.does == "silence":
                await asyncio.Event().wait()
            if step == self.step and self.does == "hang up":
                return
            line = self.does if step == self.step else usual.get(step, "250 OK")
            writer.write(f"{line}\r\n".encode())
            await writer.drain()
            if step == "data" and line.startswith("354"):
                if (self.step, self.does) == ("content", "hang up"):
                    self.heard += await reader.read(50)  # in the middle of it
                    return
                self.heard += await reader.readuntil(b"\r\n.\r\n")
                step = "content"
                continue
            command = await reader.readuntil(b"\r\n")
            self.heard += command
            step = command.split()[0].decode().lower().split(":")[0]
            if step == "quit":
                writer.write(b"221 Bye\r\n")
                return


def make_certificate(
    directory: Path, *, address: str = "127.0.0.1", names: tuple[str, ...] = ()
) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate that vouches for itself; return what a server needs, and the file that a client may trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(address)), *map(x509.DNSName, names)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both, alone = directory / "server.pem", directory / "certificate.pem"
    alone.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + alone.read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, alone


def signing_in() -> dict[str, str | Secret]:
    """Return what an address needs for the server to let one in."""
    return {"user": USER, "password": Secret(PASSWORD)}
