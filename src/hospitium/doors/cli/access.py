"""`hospitium explain`: why somebody may do something, or why not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from hospitium.doors.cli.house import as_json, house, print_json, run
from hospitium.engine.access.explain import explain_named
from hospitium.engine.access.naming import PATIENT, SUBJECT_TYPES, Named
from hospitium.engine.errors import Invalid
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.access.explain import Explanation
    from hospitium.engine.access.paths import Step
    from hospitium.engine.context import Context

_NOUNS = {"fhir_server": "FHIR server"}


@click.command()
@click.argument("subject")
@click.argument("action")
@click.argument("resource")
@click.option("--at", help="As of when, e.g. 2026-03-01T12:00Z; now, if not said.")
@click.option(
    "--for",
    "organization",
    help="The code of the organization whose external ids SUBJECT and RESOURCE may be.",
)
@as_json
def explain(
    subject: str, action: str, resource: str, at: str | None, organization: str | None, as_json: bool
) -> None:
    """Say why SUBJECT may do ACTION on RESOURCE, or why not.

    SUBJECT is an account, by its address or id; or team/ID, person/ID, organization/ID. RESOURCE is TYPE/ID, as
    c_prescription/576967021d0c03a53cd79fd7, organization/ID, FhirServer/ID, or Patient/SERVER/ID.
    """
    named, instant = _named(subject, action, resource), _instant(at)

    async def deed(ctx: Context) -> Explanation:
        if organization is not None:
            found = await organization_queries.by_code(ctx, organization)
            acting = msgspec.structs.replace(ctx.actor, organization_id=found.id)
            ctx = ctx._replace(actor=acting)
        return await explain_named(ctx, named, instant)

    explained = run(house().operate(Permission.EXPLAIN_ACCESS, deed))
    if as_json:
        print_json(
            {
                "decision": explained.allowed,
                "at": explained.at,
                "reason": explained.reason,
                "needed": explained.needed,
                "path": [msgspec.to_builtins(step, enc_hook=str) for step in explained.path],
            }
        )
        return
    click.echo(f"{'Yes' if explained.allowed else 'No'}: {explained.reason}. ({_when(explained.at)})")
    for step in explained.path:
        click.echo(f"  {_line(step)}")


def _named(subject: str, action: str, resource: str) -> Named:
    kind, slash, its_id = subject.partition("/")
    if not slash or kind not in SUBJECT_TYPES:
        kind, its_id = "account", subject
    parts = resource.split("/", 2)
    if parts[0] == PATIENT and len(parts) == 3:  # noqa: PLR2004  type, server, id
        return Named(kind, its_id, action, PATIENT, parts[2], parts[1])
    what, slash, which = resource.partition("/")
    if not slash or what == PATIENT:
        raise Invalid("resource", "must be TYPE/ID, or Patient/SERVER/ID")
    return Named(kind, its_id, action, what, which)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        # Shifted here, where it can be refused: the first and the last day of the calendar have no instant in UTC everywhere.
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid("at", "must be an instant such as 2026-03-01T12:00Z") from None


def _line(step: Step) -> str:
    name = f" ({step.name})" if step.name else ""
    if step.kind != "grant":
        said = [f"{_NOUNS.get(step.kind, step.kind)} {step.id}{name}"]
        said += [f"as {step.role}"] if step.role else []
        said += [f"at level {step.level}"] if step.level else []
        return ", ".join([*said, *_span(step)])
    giver = step.given_by_name or step.given_by_id or "the operator"
    said = [f"grant of level {step.level}", f"by {step.because}", f"from {giver}"]
    said += [f"given {_when(step.given_at)}"] if step.given_at else []
    return ", ".join([*said, *_span(step)])


def _span(step: Step) -> list[str]:
    since = [f"since {_when(step.since)}"] if step.since else []
    return since + ([f"until {_when(step.until)}"] if step.until else [])


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
