"""What the database never lets anybody rewrite: events, their parties, intervals, partnerships (docs/decisions/0004, 0006)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from engine import sharing
from engine.ground import Ground
from hospitium.dispatch.sweeps import make_event_partitions
from hospitium.engine.shares import actions as shares
from hospitium.engine.teams import actions as teams

TRAIL = ("events", "event_parties")


async def parts_of(ground: Ground, parent: str) -> list[str]:
    found = await ground.rows(
        "SELECT inhrelid::regclass::text AS part FROM pg_inherits WHERE inhparent = $1::text::regclass",
        parent,
    )
    return sorted(row["part"] for row in found)


async def refused(ground: Ground, sql: str, *values: Any) -> str | None:
    """Return how the database refuses a statement; None if it doesn't. Nothing of it remains either way."""
    try:
        async with ground.trial() as tx:
            done = await tx.execute(sql, *values)
    except asyncpg.RestrictViolationError as refusal:
        return str(refusal)
    assert not done.endswith(" 0"), f"{sql} met no row, so it shows nothing"
    return None


async def spread_events(ground: Ground) -> dict[str, list[str]]:
    """See to events in this month's partition, in a later one, and in the one for all other times."""
    now = (await ground.rows("SELECT now() AS now"))[0]["now"]
    partnership_id = await ground.asks("ada", "lakeside", now=now)
    await ground.moves("rui", "reject", partnership_id, now=now + timedelta(days=40))
    await ground.asks("rui", "northside", now=now + timedelta(days=4_000))
    return {parent: await parts_of(ground, parent) for parent in TRAIL}


async def test_no_event_is_changed_or_deleted_by_way_of_any_table(ground: Ground) -> None:
    parts = await spread_events(ground)
    met = 0
    for parent in TRAIL:
        assert len(parts[parent]) >= 4
        column = "kind" if parent == "events" else "party_kind"
        for table in (parent, *parts[parent]):
            if (await ground.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"]:
                met += 1
                for change in (f"SET {column} = {column}", "SET at = at + interval '1 year'"):
                    assert "append-only" in (await refused(ground, f"UPDATE {table} {change}") or ""), table
                assert "append-only" in (await refused(ground, f"DELETE FROM {table}") or ""), table
    assert met == 8  # two parents, and three partitions of each that hold rows


async def test_no_table_of_events_is_truncated(ground: Ground) -> None:
    parts = await spread_events(ground)
    tables = [table for parent in TRAIL for table in (parent, *parts[parent])]
    for table in tables:
        for how in ("", " CASCADE"):
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await ground.rows(f"TRUNCATE {table}{how}")


async def test_the_partitions_made_later_are_kept_as_well(ground: Ground) -> None:
    later = (await ground.rows("SELECT now() AS now"))[0]["now"] + timedelta(days=400)
    before = {parent: await parts_of(ground, parent) for parent in TRAIL}
    await ground.does("system", make_event_partitions, now=later)
    await ground.asks("ada", "lakeside", now=later)
    for parent in TRAIL:
        made = set(await parts_of(ground, parent)) - set(before[parent])
        assert len(made) == 3
        holding = [t for t in made if (await ground.rows(f"SELECT count(*) AS n FROM {t}"))[0]["n"]]
        assert len(holding) == 1
        assert "append-only" in (await refused(ground, f"DELETE FROM {holding[0]}") or "")
        for table in made:
            with pytest.raises(asyncpg.RestrictViolationError):
                await ground.rows(f"TRUNCATE {table}")


async def test_a_month_that_holds_rows_already_is_left_where_it_is(ground: Ground) -> None:
    """A clock that ran ahead has put rows where they don't belong: the sweep goes on, and nothing is lost."""
    ahead = (await ground.rows("SELECT now() AS now"))[0]["now"] + timedelta(days=4_000)
    await ground.asks("ada", "lakeside", now=ahead)
    before = (await ground.rows("SELECT count(*) AS n FROM events"))[0]["n"]
    for _ in range(2):
        await ground.does("system", make_event_partitions, now=ahead)
    assert (await ground.rows("SELECT count(*) AS n FROM events"))[0]["n"] == before
    assert await ground.violations() == []


CHANGES = {
    "grants": ["level = 7", "grantee_id = gen_random_uuid()", "resource_id = 'x'", "starts_at = starts_at - interval '1 day'",
               "is_owner = NOT is_owner", "cause_id = gen_random_uuid()", "restrictions = '[{}]'", "ends_at = starts_at, level = 1", "until = starts_at + interval '1 day'",
               "ends_at = starts_at, until = starts_at + interval '1 day'", "made_under_id = id"],
    "team_memberships": ["is_owner = NOT is_owner", "account_id = gen_random_uuid()", "team_id = gen_random_uuid()",
                         "starts_at = starts_at - interval '1 day'", "id = gen_random_uuid()", "ends_at = starts_at, is_owner = NOT is_owner"],
    "memberships": ["role = 'scheduler'", "account_id = gen_random_uuid()", "organization_id = gen_random_uuid()",
                    "starts_at = starts_at - interval '1 day'", "id = gen_random_uuid()", "ends_at = starts_at, role = 'scheduler'"],
}  # fmt: skip


@pytest.mark.parametrize("table", CHANGES)
async def test_an_interval_is_ended_once_and_not_changed_otherwise(ground: Ground, table: str) -> None:
    if table == "grants":
        await ground.moves("rui", "approve", await ground.asks("ada", "lakeside"))
    if table == "team_memberships":
        await ground.does("ben", teams.create, "Crew")
    row = (await ground.rows(f"SELECT id, starts_at FROM {table} ORDER BY starts_at DESC, id LIMIT 1"))[0]
    one = row["id"]
    later = row["starts_at"] + timedelta(days=1)
    for change in CHANGES[table]:
        assert await refused(ground, f"UPDATE {table} SET {change} WHERE id = $1", one) is not None, change
    assert await refused(ground, f"DELETE FROM {table} WHERE id = $1", one) is not None

    await ground.rows(f"UPDATE {table} SET ends_at = $2 WHERE id = $1", one, later)
    for again in (None, later, later + timedelta(days=1), later - timedelta(hours=1)):
        assert await refused(ground, f"UPDATE {table} SET ends_at = $2 WHERE id = $1", one, again) is not None
    assert await refused(ground, f"DELETE FROM {table} WHERE id = $1", one) is not None


async def test_no_partnership_is_deleted_whatever_its_status(ground: Ground) -> None:
    made: dict[str, UUID] = {"pending": await ground.asks("ada", "lakeside")}
    made["rejected"] = await ground.asks("ada", "harbor")
    await ground.moves("zoe", "reject", made["rejected"])
    made["canceled"] = await ground.asks("rui", "harbor")
    await ground.moves("rui", "cancel", made["canceled"])
    for partnership_id in made.values():
        assert "append-only" in (
            await refused(ground, "DELETE FROM partnerships WHERE id = $1", partnership_id) or ""
        )


async def test_no_record_and_no_share_is_deleted_whatever_its_status(ground: Ground) -> None:
    object_type = await ground.does("ada", sharing.a_type)
    record_id = await ground.does("ada", sharing.a_record, object_type)
    waiting = await ground.does("ada", sharing.offer, record_id, sharing.to_email("rui@lakeside.example"))
    over = await ground.does("ada", sharing.offer, record_id, sharing.to_email("pat@mail.example"))
    await ground.does("ada", shares.end, over.id)
    for share in (waiting, over):
        assert "append-only" in (await refused(ground, "DELETE FROM shares WHERE id = $1", share.id) or "")
    assert "append-only" in (await refused(ground, "DELETE FROM records WHERE id = $1", record_id) or "")
