"""`hospitium invite`: thousands of invites from a file, through the API of a running server, and no row twice.

    check the whole file ─▶ sign in ─▶ [ some rows a call ─▶ letters, outcomes on disk ] … ─▶ sign out

Whatever breaks off, the same command goes on: what is on disk as done isn't sent again, and what was made but not written down
is found by its key.
"""

from __future__ import annotations

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
import msgspec

from hospitium.doors.cli import invite_file
from hospitium.doors.cli.house import VIOLATED
from hospitium.doors.cli.outcome_file import OutcomeFile, Told
from hospitium.engine.accounts.record import Language
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import parse_id
from hospitium.engine.invites.codes import InviteCode
from hospitium.engine.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.doors.cli.invite_file import Row
    from hospitium.outside.own_api import OwnApi, Reply

T = TypeVar("T")
MOST_ROWS = 500
ROWS_A_CALL = 50
LARGEST_CALL = 900_000  # bytes, of the million that the API takes
MOST_TRIES = 6
FIRST_PAUSE = 1.0  # seconds; each further one twice as long, if the server says nothing else
SHOWN_WRONG = 20
_OK, _NOT_SIGNED_IN = 200, 401
_MISUSED = 2


class _FromEnvironment(click.Option):
    """What only the environment says: on the command line everybody on this machine could read it."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Take no such option."""


class Stopped(click.ClickException):
    """It can't go on; what was done is on disk."""

    def show(self, file: Any = None) -> None:
        """Say so, as all that is refused is said."""
        click.echo(f"hospitium: {self.message}", file=file, err=file is None)


@click.command()
@click.option(
    "--csv",
    "file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The file.",
)
@click.option("--url", metavar="URL", help="Address of the server, such as https://share.example.")
@click.option("--fhir-server", "server", metavar="ID", help="Whose patients the rows are about.")
@click.option("--dry-run", is_flag=True, help="Check the file, and ask the server nothing.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where outcomes go. [default: FILE.outcomes.csv]",
)
@click.option(
    "--slips", type=click.Path(path_type=Path, file_okay=False), help="Directory for a letter a code."
)
@click.option(
    "--language", type=click.Choice([one.value for one in Language]), default=Language.ENGLISH.value, show_default=True,
    help="Of mails and letters, where a row says none.",
)  # fmt: skip
@click.option(
    "--rows",
    type=click.IntRange(1, MOST_ROWS),
    default=ROWS_A_CALL,
    show_default=True,
    help="How many a call.",
)
@click.option("--plain", is_flag=True, help="Show a line a call, in place of a line that moves.")
@click.option("--email", envvar="HOSPITIUM_EMAIL", show_envvar=True, help="Who signs in.")
@click.option(
    "--password-file", envvar="HOSPITIUM_PASSWORD_FILE", show_envvar=True, help="File with his password.",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)  # fmt: skip
@click.option("--password", cls=_FromEnvironment, envvar="HOSPITIUM_PASSWORD", hidden=True)
@click.option("--token", cls=_FromEnvironment, envvar="HOSPITIUM_TOKEN", hidden=True)
@click.pass_context
def invite(
    ctx: click.Context, /, file: Path, url: str | None, server: str | None, dry_run: bool, **more: Any
) -> None:
    """Invite many, from a CSV file, through the API of a running server; run again, it goes on where it stopped.

    Its columns: key, accessiblePatientId or accessiblePatientIdentifierSearchStr, then securityQuestion and securityAnswer (by
    code) or userEmail, firstName and lastName (by e-mail), and language. The password is asked for, or in HOSPITIUM_PASSWORD;
    HOSPITIUM_TOKEN serves in place of signing in. Exit code 4 if rows were refused.
    """
    read = invite_file.read(file.read_bytes(), Language(more["language"]))
    by_code = sum(row.is_by_code for row in read.rows)
    if read.wrong:
        for sentence in read.wrong[:SHOWN_WRONG]:
            click.echo(f"{file.name}: {sentence}", err=True)
        more_wrong = len(read.wrong) - SHOWN_WRONG
        if more_wrong > 0:
            click.echo(f"and {more_wrong} more", err=True)
        click.echo("hospitium: nothing was sent; mend these lines first", err=True)
        ctx.exit(_MISUSED)
    click.echo(f"{len(read.rows)} rows: {by_code} by code, {len(read.rows) - by_code} by e-mail.")
    if dry_run:
        click.echo("The file is good. Nothing was sent.")
        return
    if url is None or server is None:
        raise click.UsageError("--url and --fhir-server are required, but for --dry-run")
    out = more["out"] or file.with_name(f"{file.name}.outcomes.csv")
    counts = _send_all(_connection(url, more), server, read.rows, out, more)
    if counts["refused"]:
        ctx.exit(VIOLATED)


def _send_all(
    connection: _Connection, server: str, rows: list[Row], out: Path, more: dict[str, Any]
) -> dict[str, int]:
    """Send what isn't done yet; return how many rows had which outcome."""
    server_id = parse_id(server)
    if server_id is None:
        raise Invalid("fhir-server", "must be an id: a UUID, or 24 hexadecimal digits")
    letters = None if more["slips"] is None else _Letters(more["slips"])
    counts = {"created": 0, "present": 0, "refused": 0}
    lost: list[Told] = []
    with OutcomeFile(out) as outcomes:
        keyed = _with_keys(rows, str(server_id))
        left = [row for row in keyed if row.key not in outcomes.done]
        if len(left) < len(keyed):
            click.echo(f"{len(keyed) - len(left)} are done already; {len(left)} are left.")
        progress = _Progress(len(left), plain=more["plain"])
        with connection:
            for some in _calls(left, more["rows"]):
                answered = connection.invite(str(server_id), some)
                told = [_told(row, one) for row, one in zip(some, answered.outcomes, strict=True)]
                try:
                    if letters is not None:
                        letters.write(some, answered)
                    outcomes.write(told)
                except OSError as problem:
                    raise Stopped(
                        f"what became of the last rows can't be written ({problem.strerror})"
                    ) from None
                for one in told:
                    counts[one.outcome] += 1
                lost += [
                    one
                    for row, one in zip(some, told, strict=True)
                    if one.outcome == "present" and row.is_by_code
                ]
                progress.took(len(some), counts)
        progress.end()
    _sum_up(counts, lost, out)
    return counts


def _sum_up(counts: dict[str, int], lost: list[Told], out: Path) -> None:
    said = f"{counts['created']} created, {counts['present']} there before, {counts['refused']} refused."
    click.echo(f"{said} Outcomes, with the codes: {out}")
    if lost:
        click.echo(
            f"{len(lost)} invites by code were made by a call whose answer never came: their codes are known to nobody. "
            "Issue each again, with POST /OrganizationInvites/{inviteId}/reissue; it gets a new code.",
            err=True,
        )
    if counts["refused"]:
        click.echo(
            f"{counts['refused']} were refused; the file says why. Run again when that is mended.", err=True
        )


def _with_keys(rows: list[Row], server_id: str) -> list[Row]:
    """Return rows with their keys, on all cores: some keys take a while."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(lambda row: invite_file.with_key(row, server_id), rows))


def _calls(rows: list[Row], most: int) -> Iterator[list[Row]]:
    """Yield rows as they are sent together."""
    some: list[Row] = []
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row.members()))
        if some and (len(some) == most or size + length > LARGEST_CALL):
            yield some
            some, size = [], 0
        some.append(row)
        size += length
    if some:
        yield some


# -- what is answered --------------------------------------------------------------------------------------------------


class _Field(msgspec.Struct):
    field: str
    detail: str


class _Problem(msgspec.Struct):
    type: str
    detail: str
    errors: list[_Field] = []


class _Outcome(msgspec.Struct, rename="camel"):
    key: str
    outcome: str
    invite_id: UUID | None = None
    expires_on: datetime | None = None
    security_code: str | None = None
    problem: _Problem | None = None


class _Clinic(msgspec.Struct):
    name: str
    phone: str | None


class _Answered(msgspec.Struct, rename="camel"):
    clinic: _Clinic
    public_url: str
    outcomes: list[_Outcome]


class _SignedIn(msgspec.Struct, rename="camel"):
    access_token: str


def _told(row: Row, one: _Outcome) -> Told:
    detail = "" if one.problem is None else one.problem.detail
    if one.outcome == "present" and row.is_by_code:
        detail = "made by an earlier call; its code is not known here: issue it again if nobody has it"
    return Told(
        key=row.key or "",
        line=row.number,
        outcome=one.outcome,
        invite_id="" if one.invite_id is None else str(one.invite_id),
        code="" if one.security_code is None else InviteCode(one.security_code).grouped(),
        expires_on="" if one.expires_on is None else one.expires_on.isoformat(),
        problem="" if one.problem is None else one.problem.type.rpartition(":")[2],
        detail=detail,
    )


# -- the server --------------------------------------------------------------------------------------------------------


def _connection(url: str, more: dict[str, Any]) -> _Connection:
    from hospitium.outside.own_api import OwnApi, checked_address  # noqa: PLC0415  most commands have no need of it

    address = checked_address(url)
    if more["token"]:
        return _Connection(OwnApi(address), address, Secret(more["token"]), None)
    email = more["email"] or click.prompt("E-mail address", err=True)
    if more["password"] and more["password_file"]:
        raise click.UsageError("set HOSPITIUM_PASSWORD or HOSPITIUM_PASSWORD_FILE, not both")
    if more["password_file"]:
        password = more["password_file"].read_text(encoding="utf-8").rstrip("\r\n")
    else:
        password = more["password"] or click.prompt("Password", hide_input=True, err=True)
    return _Connection(OwnApi(address), address, None, (email, Secret(password)))


class _Connection:
    """A server that is asked, signed in to if no token was given; to be used as a context manager."""

    def __init__(
        self, api: OwnApi, address: str, token: Secret | None, who: tuple[str, Secret] | None
    ) -> None:
        self._api = api
        self._address = address
        self._token = token
        self._who = who

    def __enter__(self) -> None:
        self._api.__enter__()

    def __exit__(self, *ended: object) -> None:
        try:
            if self._who is not None and self._token is not None:
                self._leave()
        finally:
            self._api.__exit__(*ended)

    def invite(self, server_id: str, rows: list[Row]) -> _Answered:
        """Send some rows; return what became of them, in their order. Raises Stopped."""
        body = {"fhirServerId": server_id, "invites": [row.members() for row in rows]}
        if self._token is None:
            self._sign_in()
        reply = self._ask("POST", "/v1/invites/bulk", body)
        if reply.status == _NOT_SIGNED_IN and self._who is not None:
            self._sign_in()  # a token is good for an hour
            reply = self._ask("POST", "/v1/invites/bulk", body)
        answered = self._read(reply, _Answered)
        if [one.key for one in answered.outcomes] != [row.key for row in rows]:
            raise self._odd()
        return answered

    def _sign_in(self) -> None:
        assert self._who is not None  # without a token there is somebody who signs in  # noqa: S101
        email, password = self._who
        self._token = None
        reply = self._ask("POST", "/v1/sessions", {"email": email, "password": password.reveal()})
        self._token = Secret(self._read(reply, _SignedIn).access_token)

    def _leave(self) -> None:
        """End the session; if that doesn't work, it ends by itself."""
        from hospitium.outside.own_api import NoReply  # noqa: PLC0415  likewise

        try:
            self._api.ask("DELETE", "/v1/sessions/current", token=self._token)
        except NoReply:
            return

    def _ask(self, method: str, path: str, body: Any) -> Reply:
        """Ask, and ask again while the server is away or busy: each thing asked here may be asked twice."""
        from hospitium.outside.own_api import NoReply  # noqa: PLC0415  likewise

        pause, why = FIRST_PAUSE, ""
        for number in range(1, MOST_TRIES + 1):
            wait = pause
            try:
                reply = self._api.ask(method, path, body, self._token)
                if not reply.is_busy:
                    return reply
                why = "it is busy"
                wait = max(pause, reply.retry_after or 0)
            except NoReply as problem:
                why = problem.reason
            if number < MOST_TRIES:
                time.sleep(wait)
                pause *= 2
        raise Stopped(f"{self._address} doesn't answer ({why}); run the same again, it goes on from here")

    def _read(self, reply: Reply, shape: type[T]) -> T:
        try:
            if reply.status == _OK:
                return msgspec.json.decode(reply.body, type=shape)
            problem = msgspec.json.decode(reply.body, type=_Problem)
        except msgspec.MsgspecError:
            raise self._odd() from None
        raise Stopped(f"{self._address} says: {_printable(problem.detail)}")

    def _odd(self) -> Stopped:
        return Stopped(f"{self._address} doesn't answer as Hospitium does; is it the right address?")


def _printable(text: str) -> str:
    return "".join(c for c in text[:500] if c.isprintable())


# -- letters, and what is shown ----------------------------------------------------------------------------------------


class _Letters:
    """A directory with a letter for each code, named by the key of its row; only its owner may read them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise Invalid("slips", f"can't be made: {problem.strerror}") from None

    def write(self, rows: list[Row], answered: _Answered) -> None:
        """Write the letters of those rows that got a code."""
        for row, one in zip(rows, answered.outcomes, strict=True):
            if one.security_code is not None and one.invite_id is not None:
                self._write(row, one, one.security_code, answered)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _write(self, row: Row, one: _Outcome, code: str, answered: _Answered) -> None:
        from hospitium.doors.slips import slip  # noqa: PLC0415  only this needs it

        clinic = answered.clinic
        page = slip(
            clinic.name, clinic.phone, InviteCode(code), row.language, answered.public_url, one.expires_on
        )
        # The key is the clinic's own; the id makes the name one that no other letter has.
        name = f"{re.sub(r'[^A-Za-z0-9_-]+', '_', row.key or '')[:60]}-{one.invite_id}.html"
        file = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as letter:
            letter.write(page)
            letter.flush()
            os.fsync(letter.fileno())


class _Progress:
    """What is shown meanwhile: on a terminal a line that moves, or a line a call, or nothing. Never a code."""

    def __init__(self, total: int, *, plain: bool) -> None:
        self._total = total
        self._plain = plain
        self._moves = not plain and sys.stderr.isatty()
        self._taken = 0

    def took(self, number: int, counts: dict[str, int]) -> None:
        """Show that so many rows were sent, and what became of all so far."""
        self._taken += number
        said = f"{self._taken} of {self._total} rows, {counts['refused']} refused"
        if self._plain:
            click.echo(said, err=True)
        elif self._moves:
            click.echo(f"\r\x1b[K{said}", nl=False, err=True)

    def end(self) -> None:
        """Take the line away that moves."""
        if self._moves:
            click.echo("\r\x1b[K", nl=False, err=True)
