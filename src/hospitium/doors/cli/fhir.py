"""`hospitium fhir`: the FHIR servers of organizations, and what those that are built in hold."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import click

from hospitium import logs
from hospitium.doors.cli.house import as_json, house, print_fields, print_json, print_table, run
from hospitium.engine.errors import Invalid, NotFound, WrongState
from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import resources_in
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_servers import actions, queries
from hospitium.engine.fhir_servers.actions import ServerChanges, ServerForm
from hospitium.engine.fhir_servers.authorities import LONGEST_PEM, authorities_in, told
from hospitium.engine.fhir_servers.credentials import Credentials, SealedCredentials, seal, unseal
from hospitium.engine.fhir_servers.record import CredentialsKind, FhirServer, ServerKind
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.sealing import CantBeOpened, SealingKey
from hospitium.engine.secrets import Secret
from hospitium.engine.text import search_key
from hospitium.storage.keyring import KeyPurpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_resources.actions import Loaded
    from hospitium.engine.fhir_resources.checking import Prepared
    from hospitium.engine.fhir_resources.reading import Given
    from hospitium.engine.fhir_servers.authorities import AuthoritiesPem
    from hospitium.outside.fhir import Metadata

PAGE = 500
_SHOWN_EVERY = 100  # resources

_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def fhir() -> None:
    """FHIR servers: add, list, load, test, authorities, confirm, remove. SERVER is an id, or ORGANIZATION/NAME."""


# -- add ---------------------------------------------------------------------------------------------------------------


@fhir.command()
@click.argument("organization")
@click.argument("name")
@click.option(
    "--remote", metavar="URL", help="Base URL of a FHIR R4 server; without one, the server is built in."
)
@click.option(
    "--allow-private-address", is_flag=True, help="Let the URL lead into a private network, or be http://."
)
@click.option("--bearer-file", type=_file, help="File with the token that is shown to the remote server.")
@click.option("--basic-user", metavar="USER", help="User that is shown to it, with --password-file.")
@click.option("--password-file", type=_file, help="File with that user's password.")
@click.option(
    "--authorities-file",
    type=_file,
    help="File with certificates of authorities in PEM: they alone are believed for the remote server, and not the system's.",
)
@click.option("--id", "given_id", type=click.UUID, help="The id it is to have.")
@as_json
def add(
    organization: str,
    name: str,
    remote: str | None,
    allow_private_address: bool,
    bearer_file: Path | None,
    basic_user: str | None,
    password_file: Path | None,
    authorities_file: Path | None,
    given_id: UUID | None,
    as_json: bool,
) -> None:
    """Add a FHIR server to an organization, by its code."""
    if remote is None and (
        allow_private_address or bearer_file or basic_user or password_file or authorities_file
    ):
        raise click.UsageError(
            "only a remote FHIR server has an address, credentials and authorities: add --remote URL"
        )
    base_url = None if remote is None else _checked_url(remote, allow_private=allow_private_address)
    credentials = _credentials(bearer_file, basic_user, password_file)
    believed = None if authorities_file is None else _authorities_in("authorities-file", authorities_file)
    key = None if credentials is None else _newest(_sealing_keys())

    async def deed(ctx: Context) -> FhirServer:
        found = await organization_queries.by_code(ctx, organization)
        server_id = given_id or ctx.new_id()
        sealed = None
        if credentials is not None and key is not None and base_url is not None:
            sealed = seal(key, server_id, base_url, credentials)
        form = ServerForm(
            name,
            ServerKind.BUILT_IN if base_url is None else ServerKind.REMOTE,
            base_url,
            allow_private_address,
            sealed,
            believed,
        )
        return await actions.create(ctx, found.id, form, server_id=server_id)

    _print(run(house().operate(Permission.KEEP_FHIR_SERVERS, deed)), as_json)


def _checked_url(text: str, *, allow_private: bool) -> str:
    from hospitium.outside.fhir import base_url  # noqa: PLC0415  most commands have no need of it
    from hospitium.outside.http import Blocked  # noqa: PLC0415  likewise

    try:
        return base_url(text, allow_private=allow_private)
    except Blocked as blocked:
        raise Invalid("remote", blocked.reason) from None


def _credentials(
    bearer_file: Path | None, basic_user: str | None, password_file: Path | None
) -> Credentials | None:
    from hospitium.outside.fhir import Basic, Bearer  # noqa: PLC0415  likewise

    if (basic_user is None) != (password_file is None) or (bearer_file and basic_user):
        raise click.UsageError("give --bearer-file, or --basic-user and --password-file")
    if bearer_file is not None:
        token = _secret_in(bearer_file)
        Bearer(token)  # refuses what can't be sent
        return Credentials(CredentialsKind.BEARER, "", token)
    if basic_user is not None and password_file is not None:
        password = _secret_in(password_file)
        Basic(basic_user, password)
        return Credentials(CredentialsKind.BASIC, basic_user, password)
    return None


def _secret_in(file: Path) -> Secret:
    return Secret(file.read_text(encoding="utf-8").rstrip("\r\n"))


def _authorities_in(field: str, file: Path) -> AuthoritiesPem:
    with file.open("rb") as opened:
        content = opened.read(LONGEST_PEM + 1)
    # What isn't ASCII isn't PEM either, and is refused as such: a certificate in DER, say.
    return authorities_in(field, content.decode("ascii", errors="replace"))


def _sealing_keys() -> dict[int, SealingKey]:
    keyring = house().keyring()
    return {key.number: SealingKey(key.number, key.material()) for key in keyring.all(KeyPurpose.CREDENTIALS)}


def _newest(keys: dict[int, SealingKey]) -> SealingKey:
    return keys[max(keys)]


# -- list, test, authorities, confirm, remove --------------------------------------------------------------------------


class _Listed(NamedTuple):
    """A FHIR server with the code of its organization."""

    organization: str
    server: FhirServer


@fhir.command("list")
@click.argument("organization", required=False)
@as_json
def list_(organization: str | None, as_json: bool) -> None:
    """List FHIR servers, of one organization or of all."""

    async def deed(ctx: Context) -> list[_Listed]:
        if organization is not None:
            found = [await organization_queries.by_code(ctx, organization)]
        else:
            found = []
            while page := await organization_queries.all_after(
                ctx, found[-1].code if found else "", None, PAGE
            ):
                found += page
        return [
            _Listed(one.code, server)
            for one in found
            for server in await queries.of_organization(ctx, one.id)
        ]

    listed = run(house().operate(Permission.SEE_FHIR_SERVERS, deed))
    if as_json:
        print_json([_said(one.server, organization=one.organization) for one in listed])
        return
    print_table(
        ["organization", "name", "id", "kind", "is", "base URL"],
        [
            [code, server.name, str(server.id), server.kind, _state(server), server.base_url or ""]
            for code, server in listed
        ],
    )


@fhir.command()
@click.argument("server")
@as_json
def test(server: str, as_json: bool) -> None:
    """Ask a remote FHIR server what it is, with the credentials it is shown; exit code 1 if it doesn't answer as one."""

    async def deed(ctx: Context) -> tuple[FhirServer, SealedCredentials | None]:
        found = await _server(ctx, server)
        return found, await queries.sealed_credentials(ctx, found.id)

    async def ask() -> tuple[FhirServer, Metadata]:
        found, sealed = await house().operate(Permission.KEEP_FHIR_SERVERS, deed)
        return found, await _asked(found, sealed)

    found, metadata = run(ask())
    said = {"id": str(found.id), "fhir_version": metadata.fhir_version, "software": metadata.software}
    if as_json:
        print_json(said)
    else:
        click.echo(
            f"{found.name} answers: FHIR {metadata.fhir_version}, {metadata.software or 'of no name'}."
        )


async def _asked(server: FhirServer, sealed: SealedCredentials | None) -> Metadata:
    from hospitium.outside.fhir import Basic, Bearer, RemoteFhir, RemoteServer  # noqa: PLC0415  only this needs it
    from hospitium.outside.http import Egress  # noqa: PLC0415  likewise

    logs.configure("warning")  # what is wrong with its answer is said there
    if server.base_url is None:
        raise WrongState("This FHIR server is built in: there is nobody to ask")
    shown: Bearer | Basic | None = None
    if sealed is not None:
        try:
            kept = unseal(_sealing_keys(), server.id, server.base_url, sealed)
        except CantBeOpened:
            raise WrongState(
                "The credentials of this FHIR server can't be opened with the keys here"
            ) from None
        shown = (
            Bearer(kept.secret) if kept.kind is CredentialsKind.BEARER else Basic(kept.username, kept.secret)
        )
    egress = Egress()
    try:
        remote = RemoteFhir(egress, lambda: datetime.now(UTC))
        return await remote.test(
            RemoteServer(
                server.id, server.base_url, server.allow_private_address, shown, server.authorities_pem
            )
        )
    finally:
        await egress.close()


@fhir.command()
@click.argument("server")
@click.argument("file", type=_file, required=False)
@click.option("--system", is_flag=True, help="Believe the system's authorities again, in place of a FILE.")
@as_json
def authorities(server: str, file: Path | None, system: bool, as_json: bool) -> None:
    """Say whose certificates are believed for a remote FHIR server: those of the authorities in FILE (PEM) alone, or the system's."""
    if (file is None) != system:
        raise click.UsageError("give a FILE of certificates, or --system")
    believed = None if file is None else _authorities_in("file", file)

    async def deed(ctx: Context) -> FhirServer:
        before = await queries.of_own_organization(ctx, (await _server(ctx, server)).id)
        to = ServerChanges(before.name, before.base_url, before.allow_private_address, None, believed)
        return await actions.change(ctx, before.id, to)

    _print(run(house().operate(Permission.KEEP_FHIR_SERVERS, deed)), as_json)


@fhir.command()
@click.argument("server")
@as_json
def confirm(server: str, as_json: bool) -> None:
    """Confirm that the patients at a changed base URL are the same ones: the grants on them count again."""

    async def deed(ctx: Context) -> FhirServer:
        return await actions.confirm(ctx, (await _server(ctx, server)).id)

    _print(run(house().operate(Permission.KEEP_FHIR_SERVERS, deed)), as_json)


@fhir.command()
@click.argument("server")
@as_json
def remove(server: str, as_json: bool) -> None:
    """Remove a FHIR server: its open invites are withdrawn, every grant on it ends, and what it holds is deleted."""

    async def deed(ctx: Context) -> FhirServer:
        return await actions.remove(ctx, (await _server(ctx, server)).id)

    removed = run(house().operate(Permission.KEEP_FHIR_SERVERS, deed))
    if as_json:
        print_json(_said(removed))
    else:
        click.echo(f"The FHIR server {removed.name} is removed.")


# -- load --------------------------------------------------------------------------------------------------------------


@fhir.command()
@click.argument("server")
@click.argument("files", nargs=-1, required=True, type=_file)
@click.option("--plain", is_flag=True, help="Show a line a file, in place of a line that moves.")
@as_json
def load(server: str, files: tuple[Path, ...], plain: bool, as_json: bool) -> None:
    """Load FILES into a built-in FHIR server: Bundles, single resources or NDJSON (FHIR R4, JSON), all in one transaction.

    What they hold refers to each other across files. Loading the same again changes nothing.
    """
    began = time.perf_counter()
    progress = _Progress(plain)
    among = together(_given(files, progress))
    progress.expect(len(among.last))
    taken = _Taken()

    async def deed(ctx: Context) -> Loaded:
        found = await _server(ctx, server)
        taken.leading_nowhere = 0
        return await resources.load(
            ctx, found.id, taken.counting(prepare(_given(files, progress), among), progress)
        )

    try:
        loaded = run(house().operate(Permission.LOAD_RESOURCES, deed))
    finally:
        progress.end()
    seconds = time.perf_counter() - began
    rate = round(sum(loaded) / seconds)
    if as_json:
        print_json(
            {
                **loaded._asdict(),
                "leading_nowhere": taken.leading_nowhere,
                "seconds": round(seconds, 3),
                "rate": rate,
            }
        )
        return
    click.echo(
        f"{loaded.created} created, {loaded.updated} updated, {loaded.unchanged} unchanged "
        f"in {seconds:.1f} s ({rate} a second)"
    )
    if taken.leading_nowhere:
        click.echo(
            f"{taken.leading_nowhere} references lead to nothing that was loaded along with them: load those files together.",
            err=True,
        )


class _Progress:
    """What is shown while files are loaded: on a terminal a line that moves, or a line a file, or nothing."""

    def __init__(self, plain: bool) -> None:
        self._plain = plain
        self._moves = not plain and sys.stderr.isatty()
        self._total: int | None = None
        self._taken = 0
        self._file = ""

    def expect(self, total: int) -> None:
        """Say how many resources there are, once all files were looked through."""
        self._total = total

    def take_file(self, file: Path) -> None:
        """Begin to read a file."""
        self._file = file.name
        if self._plain and self._total is not None:
            click.echo(f"{file}: after {self._taken} of {self._total} resources", err=True)
        self._show()

    def take(self, number: int) -> None:
        """Show that so many resources were taken."""
        self._taken = number
        if number % _SHOWN_EVERY == 0:
            self._show()

    def end(self) -> None:
        """Take the line away that moves."""
        if self._moves:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _show(self) -> None:
        if self._moves:
            how_far = "reading" if self._total is None else f"{self._taken} of {self._total} resources"
            click.echo(f"\r\x1b[K{how_far}  {self._file}", nl=False, err=True)


class _Taken:
    """What is counted while resources are taken."""

    leading_nowhere = 0

    def counting(self, prepared: Iterable[Prepared], progress: _Progress) -> Iterator[Prepared]:
        """Pass resources on, and count them."""
        for number, one in enumerate(prepared, start=1):
            self.leading_nowhere += one.leading_nowhere
            progress.take(number)
            yield one


def _given(files: tuple[Path, ...], progress: _Progress) -> Iterator[Given]:
    for file in files:
        progress.take_file(file)
        yield from resources_in(str(file), file.read_bytes())


# -- which one ---------------------------------------------------------------------------------------------------------


async def _server(ctx: Context, named: str) -> FhirServer:
    """Return the FHIR server of an id, or of an organization's code and a name. Raises NotFound."""
    code, slash, name = named.partition("/")
    if slash:
        found = await organization_queries.by_code(ctx, code)
        key = search_key(name)
        ids = await queries.ids_by_name(ctx, found.id, [key])
        if key not in ids:
            raise NotFound("FHIR server")
        return await queries.by_id(ctx, ids[key])
    try:
        return await queries.by_id(ctx, UUID(named))
    except ValueError:
        raise NotFound("FHIR server") from None


def _state(server: FhirServer) -> str:
    return "suspended" if server.suspended_at else "good"


def _said(server: FhirServer, **more: str) -> dict[str, Any]:
    return {
        **more,
        "id": str(server.id),
        "name": server.name,
        "kind": server.kind,
        "base_url": server.base_url,
        "allow_private_address": server.allow_private_address,
        "credentials": server.credentials_kind,
        "authorities": None
        if server.authorities_pem is None
        else [one._asdict() for one in told(server.authorities_pem)],
        "is": _state(server),
    }


def _print(server: FhirServer, as_json: bool) -> None:
    if as_json:
        print_json(_said(server))
    else:
        said = _said(server)
        said["authorities"] = [
            f"{one['subject']}, until {one['expires_at']:%Y-%m-%d}, SHA-256 {one['sha256']}"
            for one in said["authorities"] or ()
        ]
        print_fields(said)
