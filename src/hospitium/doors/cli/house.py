"""What the command line asks of the composition root."""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from pathlib import Path

    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.permissions import Permission
    from hospitium.engine.sealing import SealingKey
    from hospitium.engine.secrets import DerivationKey
    from hospitium.outside.smtp import SmtpServer
    from hospitium.storage.backup import Programs
    from hospitium.storage.database import Database
    from hospitium.storage.keyring import Keyring

T = TypeVar("T")
VIOLATED = 4
"""The exit code of a command that looked, and found something wrong."""


class Installation(NamedTuple):
    """How this process is set up, as far as `doctor` and `restore` look at it."""

    data: Path
    keys: Path
    is_embedded: bool
    database_connections: int
    public_url: str | None
    trusted_proxies: tuple[str, ...]


class House(Protocol):
    """This process's settings, and the means to open what they name."""

    @property
    def rules(self) -> PartnershipRules: ...
    def database_url(self) -> AbstractAsyncContextManager[str]: ...
    def database(self) -> AbstractAsyncContextManager[Database]: ...
    def keyring(self) -> Keyring: ...
    @property
    def invite_life(self) -> timedelta | None: ...
    def link_key(self) -> DerivationKey: ...
    def pepper(self) -> DerivationKey: ...
    def sealing_key(self) -> SealingKey: ...
    def make_keys(self) -> Keyring: ...
    def elsewhere(self, data: Path) -> House: ...
    def kept_keys(self) -> Keyring: ...
    def programs(self) -> Programs: ...
    def installation(self) -> Installation: ...
    def mail_server(self) -> SmtpServer | None: ...
    async def migrate(self) -> tuple[str | None, str]: ...
    async def operate(self, permission: Permission, deed: Callable[[Context], Awaitable[T]]) -> T: ...
    async def dispatch(self, *, once: bool) -> dict[str, int]: ...
    async def serve(self, host: str, port: int, announce: Callable[[str], None]) -> None: ...


def house() -> House:
    """Return what this command works with; the settings are read now."""
    make: Callable[[], House] = click.get_current_context().obj
    return make()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work to its end."""
    import uvloop  # noqa: PLC0415  `--help` has no need of it

    async def stoppable() -> T:
        # Asked to stop, leave in order: what was started (a database, a directory of a demo) is put away first.
        here = asyncio.current_task()
        assert here is not None  # a coroutine runs in a task  # noqa: S101
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, here.cancel)
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(stoppable())
        except asyncio.CancelledError:
            raise click.Abort from None


def print_json(value: Any) -> None:
    """Print a value as one line of JSON, for a script."""
    click.echo(msgspec.json.encode(value, enc_hook=str))


def print_table(heads: list[str], rows: list[list[str]]) -> None:
    """Print rows under their heads, for a person."""
    widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
    for line in [heads, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(fields: dict[str, Any]) -> None:
    """Print what is said of one thing, a line each, for a person; what isn't said is left out."""
    said = {
        name.replace("_", " "): value
        for name, value in fields.items()
        if value not in (None, [], "") and value is not False
    }
    width = max(map(len, said), default=0)
    for name, value in said.items():
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            click.echo(f"{'' if index else name:{width}}  {_for_a_person(one)}")


def _for_a_person(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return "yes" if value is True else str(value)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script.")
