"""`hospitium deliveries` and `hospitium dispatch`: which mails wait, were sent or failed, and sending them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hospitium.doors.cli.house import as_json, house, print_json, print_table, run
from hospitium.engine.deliveries import actions, queries
from hospitium.engine.deliveries.record import DeliveryStatus
from hospitium.engine.errors import NotFound
from hospitium.engine.ids import parse_id
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.deliveries.queries import Counted, Listed
    from hospitium.engine.deliveries.record import Delivery

SHOWN = 50


@click.command()
@click.option("--once", is_flag=True, help="Send what is due, and end.")
@as_json
def dispatch(once: bool, as_json: bool) -> None:
    """Send mails until stopped, beside a `serve` with DISPATCH=false or in addition to one; any number may run."""
    if not once and not as_json:
        click.echo("Mails are sent as they become due; Ctrl-C stops.")
    outcomes = run(house().dispatch(once=once))
    if not once:
        return
    if as_json:
        print_json(outcomes)
    else:
        said = [f"{count} {status}" for status, count in sorted(outcomes.items())]
        click.echo(f"Tried: {', '.join(said) or 'nothing was due'}.")


@click.group(invoke_without_command=True)
@click.option("--failed", is_flag=True, help="Only those that were given up.")
@click.option(
    "--limit", default=SHOWN, show_default=True, type=click.IntRange(1, 10_000), help="How many at most."
)
@as_json
@click.pass_context
def deliveries(ctx: click.Context, failed: bool, limit: int, as_json: bool) -> None:
    """Show how many mails wait, were sent or failed, and the latest of them with their tries and problems."""
    if ctx.invoked_subcommand is not None:
        return

    async def look(context: Context) -> tuple[list[Counted], list[Listed]]:
        wanted = DeliveryStatus.FAILED if failed else None
        return await queries.counts(context), await queries.latest(context, wanted, limit)

    counts, latest = run(house().operate(Permission.KEEP_DELIVERIES, look))
    if as_json:
        print_json({"counts": {one.status: one.count for one in counts}, "deliveries": latest})
        return
    click.echo(", ".join(f"{one.count} {one.status}" for one in counts) or "There are no deliveries.")
    if latest:
        print_table(
            ["id", "mail", "for", "status", "tries", "next try", "last problem"],
            [_row(one) for one in latest],
        )


@deliveries.command()
@click.argument("delivery_id")
def retry(delivery_id: str) -> None:
    """Try a mail again now that failed, or waits for its next try."""

    async def deed(ctx: Context) -> Delivery:
        found = parse_id(delivery_id)
        if found is None:
            raise NotFound("delivery")
        return await actions.retry(ctx, found)

    run(house().operate(Permission.KEEP_DELIVERIES, deed))
    click.echo("It is due now.")


def _row(one: Listed) -> list[str]:
    next_try = "" if one.ended_at else "being sent" if one.being_sent else f"{one.due_at:%Y-%m-%d %H:%M} UTC"
    return [
        str(one.id),
        one.template,
        one.recipient,
        one.status,
        str(one.attempts),
        next_try,
        one.last_problem or "",
    ]
