"""`hospitium audit`: the sealed trail proved, exported, and its old months retired (docs/trail.md)."""

from __future__ import annotations

import csv
import io
import os
import sys
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hospitium.doors.cli.house import VIOLATED, as_json, house, print_fields, print_json, print_table, run
from hospitium.engine.errors import Invalid
from hospitium.engine.permissions import Permission
from hospitium.engine.trail import actions, queries
from hospitium.engine.trail.export import LAST_POSSIBLE, Selection, exported
from hospitium.engine.trail.lines import Line, head_of, read_head, write_line
from hospitium.engine.trail.lines_proof import LinesProof, prove_lines
from hospitium.engine.trail.proof import Proof, prove
from hospitium.engine.trail.signing import SealKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from hospitium.engine.context import Context
    from hospitium.engine.trail.actions import Retired
    from hospitium.engine.trail.lines import Head
    from hospitium.engine.trail.record import Block

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_CSV_COLUMNS = [name for name in Line.__struct_fields__ if name != "block"]
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@click.group()
def audit() -> None:
    """The trail of all events: verify, head, export, retire."""


@audit.command()
@click.option(
    "--head", "head_file", type=_file, help="What `audit head --json` printed, kept elsewhere since."
)
@click.option(
    "--export", "exported_file", type=_file, help="Look at an exported file (NDJSON) instead of the database."
)
@as_json
def verify(head_file: Path | None, exported_file: Path | None, as_json: bool) -> None:
    """Prove that the trail is what was sealed; exit code 4 if it is not. Names what was changed."""
    head = None if head_file is None else read_head(head_file.read_bytes())
    if exported_file is not None:
        with exported_file.open("rb") as lines:
            of_lines = prove_lines(lines, head)
        _conclude(of_lines, _said_of_lines(of_lines), as_json)
    else:
        keys = SealKeys.of(house().keyring())
        proof = run(house().operate(Permission.PROVE_TRAIL, lambda ctx: prove(ctx, keys, head)))
        _conclude(proof, _said_of_trail(proof), as_json)


@audit.command()
@as_json
def head(as_json: bool) -> None:
    """Print the last block, signed. Keep it elsewhere: `audit verify --head` then finds a trail that was cut off."""
    keys = SealKeys.of(house().keyring())
    last: Block = run(house().operate(Permission.PROVE_TRAIL, queries.head))
    found: Head = head_of(last, keys)
    if as_json:
        print_json(found)
    else:
        print_fields(msgspec.structs.asdict(found))


@audit.command()
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "csv"]), default="ndjson", show_default=True,
    help="NDJSON can be proved by itself; CSV is for a spreadsheet.",
)  # fmt: skip
@click.option("--since", help="The first number, or the first day (2026-03-01, in UTC).")
@click.option("--until", help="The last number, or the last day.")
@click.option("--organization", metavar="CODE", help="Only what is in the trail of this organization.")
@click.option("--account", metavar="EMAIL", help="Only what is in the trail of this account.")
def export(
    form: str, since: str | None, until: str | None, organization: str | None, account: str | None
) -> None:
    """Print what is sealed, an event a line, in order of the numbers."""
    if organization is not None and account is not None:
        raise click.UsageError("choose one: --organization or --account")
    wanted = Selection(organization=organization, account=account)
    wanted = _from(_until(wanted, until), since)
    keys = SealKeys.of(house().keyring())
    write = _write_csv() if form == "csv" else _write_ndjson

    async def deed(ctx: Context) -> None:
        async with aclosing(exported(ctx, keys, wanted)) as lines:
            async for line in lines:
                write(line)

    run(house().operate(Permission.PROVE_TRAIL, deed))
    _put(b"", flush=True)


@audit.command()
@click.option("--before", required=True, metavar="YYYY-MM", help="Every month before this one.")
@as_json
def retire(before: str, as_json: bool) -> None:
    """Take old months out of the trail, all of them sealed. Export them first: they are gone. Their seals stay."""
    try:
        month = datetime.strptime(f"{before}-01", "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Invalid("before", "must be a month such as 2026-03") from None
    keys = SealKeys.of(house().keyring())
    taken: list[Retired] = run(
        house().operate(Permission.RETIRE_TRAIL, lambda ctx: actions.retire(ctx, month, keys))
    )
    if as_json:
        print_json(taken)
    elif not taken:
        click.echo(f"There is nothing before {before}.")
    else:
        print_table(
            ["month", "events", "parties"], [[one.month, str(one.events), str(one.parties)] for one in taken]
        )


# -- what is said of a proof -----------------------------------------------------------------------------------------------


def _said_of_trail(proof: Proof) -> dict[str, Any]:
    return {
        "blocks": proof.blocks,
        "last number": proof.last_number,
        "events": proof.events,
        "retired": proof.retired or None,
        "not sealed yet": proof.unsealed,
    }


def _said_of_lines(proof: LinesProof) -> dict[str, Any]:
    return {
        "events": proof.events,
        "first number": proof.first_number,
        "last number": proof.last_number,
        "left out between": proof.left_out,
        "blocks": proof.blocks,
        "signed by": proof.public_keys,
    }


def _conclude(proof: Proof | LinesProof, said: dict[str, Any], as_json: bool) -> None:
    """Print a proof, and leave with the exit code it deserves."""
    if as_json:
        print_json(proof)
    else:
        click.echo("This is not what was sealed." if proof.found else "This is what was sealed.")
        for finding in proof.found:
            click.echo(f"    {finding.sentence}")
        print_fields(said)
    if proof.found:
        click.get_current_context().exit(VIOLATED)


# -- which part ------------------------------------------------------------------------------------------------------------


def _from(wanted: Selection, since: str | None) -> Selection:
    if since is None:
        return wanted
    if since.isascii() and since.isdigit():
        return msgspec.structs.replace(wanted, first=_number("since", since))
    return msgspec.structs.replace(wanted, since=_midnight(_day("since", since)))


def _until(wanted: Selection, until: str | None) -> Selection:
    if until is None:
        return wanted
    if until.isascii() and until.isdigit():
        return msgspec.structs.replace(wanted, last=_number("until", until))
    return msgspec.structs.replace(wanted, until=_midnight(_day("until", until)) + timedelta(days=1))


def _number(option: str, text: str) -> int:
    if len(text) > len(str(LAST_POSSIBLE)) or int(text) > LAST_POSSIBLE:
        raise Invalid(option, "is more than any number")
    return int(text)


def _day(option: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not 1 < day.year < 9999:  # noqa: PLR2004  the day after must be one, too
        raise Invalid(option, "must be a number or a day such as 2026-03-01")
    return day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# -- lines -----------------------------------------------------------------------------------------------------------------


def _write_ndjson(line: Line) -> None:
    _put(write_line(line))


def _write_csv() -> Callable[[Line], None]:
    _put(_as_row(_CSV_COLUMNS))

    def write(line: Line) -> None:
        said = {name: getattr(line, name) for name in _CSV_COLUMNS}
        said["data"] = bytes(line.data).decode()
        said["parties"] = " ".join(f"{party.kind}:{party.id}" for party in line.parties)
        _put(_as_row(["" if value is None else safe_cell(str(value)) for value in said.values()]))

    return write


def safe_cell(text: str) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


def _as_row(cells: list[str]) -> bytes:
    row = io.StringIO()
    csv.writer(row).writerow(cells)
    return row.getvalue().encode()


def _put(text: bytes, *, flush: bool = False) -> None:
    """Write to standard output. Whoever reads it may have had enough; a full disk is said as it is."""
    try:
        sys.stdout.buffer.write(text)
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer must not fail a second time
        raise click.Abort from None
    except OSError as reason:
        raise click.ClickException(f"can't write the export: {reason.strerror}") from None
