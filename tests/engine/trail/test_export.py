"""An exported trail says everything, and is proved by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from cast import START
from engine.ground import Ground
from engine.trail.conftest import LENGTH
from engine.trail.sealing import KEYS, behind_its_back, head_now, seal_all, write
from hospitium.engine.errors import NotFound, WrongState
from hospitium.engine.trail import queries
from hospitium.engine.trail.export import LAST_POSSIBLE, Selection, exported, within_reach
from hospitium.engine.trail.hashing import hash_of_block, hash_of_event
from hospitium.engine.trail.lines import Head, Line, block_of_line, line_of, read_line, write_line
from hospitium.engine.trail.lines_proof import LinesProof, prove_lines
from hospitium.engine.trail.record import Block
from hospitium.engine.trail.signing import SealKeys

Sealed = tuple[str, Ground]
UNKNOWN = "00000000-0000-8000-8000-00000000000b"


async def export(ground: Ground, keys: SealKeys = KEYS, **wanted: Any) -> list[bytes]:
    async with ground.database.transaction() as tx:
        return [
            write_line(line)
            async for line in exported(ground.context(tx, "operator"), keys, Selection(**wanted))
        ]


def numbers_of(lines: list[bytes]) -> list[int]:
    return [msgspec.json.decode(line)["number"] for line in lines]


def faults(proof: LinesProof) -> list[str]:
    return [finding.fault.value for finding in proof.found]


async def test_it_has_every_event_with_every_column_and_party(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await seal_all(ground)
    lines = [msgspec.json.decode(line) for line in await export(ground)]
    (said,) = [line for line in lines if line["subject_id"] == str(partnership_id)]
    (row,) = await ground.rows("SELECT * FROM events WHERE subject_id = $1", partnership_id)
    assert {
        name: said[name] for name in ("kind", "actor_kind", "subject_kind", "data", "position", "transaction")
    } == {
        name: row[name] for name in ("kind", "actor_kind", "subject_kind", "data", "position", "transaction")
    }
    for name in ("id", "actor_account_id", "actor_organization_id", "subject_id"):
        assert said[name] == str(row[name])
    assert said["actor_session_id"] is None
    assert datetime.fromisoformat(said["at"]) == row["at"]
    parties = await ground.rows(
        "SELECT party_kind, party_id FROM event_parties WHERE event_id = $1", row["id"]
    )
    assert {(p["kind"], p["id"]) for p in said["parties"]} == {(k, str(i)) for k, i in parties}
    assert len(parties) == 3
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))


async def test_the_last_line_of_each_block_carries_it_and_all_is_proved_without_the_database(
    sealed: Sealed, head: Head
) -> None:
    _, ground = sealed
    lines = await export(ground)
    assert numbers_of(lines) == list(range(1, LENGTH + 1))
    for kept in (None, head):
        proof = prove_lines(lines, kept)
        assert (proof.found, proof.events, proof.left_out) == ([], LENGTH, 0)
        assert (proof.first_number, proof.last_number) == (1, LENGTH)
        assert proof.public_keys == [head.public_key]
    carried = [block["number"] for line in lines if (block := msgspec.json.decode(line).get("block"))]
    assert carried == sorted(carried)
    assert carried[-1] == head.block


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"first": 500}, range(500, LENGTH + 1)),
        ({"last": 17}, range(1, 18)),
        ({"first": 500, "last": 500}, [500]),
        ({"first": LENGTH + 1}, []),
        ({"since": START.replace(hour=0), "until": START.replace(day=2, hour=0)}, range(1, LENGTH + 1)),
        ({"until": START.replace(hour=0)}, []),
        ({"since": START.replace(day=2)}, []),
    ],
)
async def test_a_part_is_proved_as_well(
    sealed: Sealed, head: Head, wanted: dict[str, Any], numbers: Any
) -> None:
    _, ground = sealed
    lines = await export(ground, **wanted)
    assert numbers_of(lines) == list(numbers)
    assert prove_lines(lines, head).found == []


async def test_a_partys_trail_is_what_concerns_it(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    await ground.asks("zoe", "northside")
    await seal_all(ground)
    lines = [msgspec.json.decode(line) for line in await export(ground, organization="lakeside")]
    assert [line["kind"] for line in lines][-2:] == ["partnership.requested", "partnership.approved"]
    assert all(str(ground.lakeside) in {p["id"] for p in line["parties"]} for line in lines)
    of_ada = [
        msgspec.json.decode(line)["kind"] for line in await export(ground, account="Ada@Northside.example")
    ]
    assert of_ada[-1] == "partnership.requested"
    proof = prove_lines(await export(ground, organization="lakeside"))
    assert proof.found == []
    assert proof.left_out > 0
    for unknown in ({"organization": "nowhere"}, {"account": "nobody@nowhere.example"}):
        with pytest.raises(NotFound):
            await export(ground, **unknown)


def edited(lines: list[bytes], number: int, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    line = msgspec.json.decode(lines[number - 1])
    change(line)
    return [*lines[: number - 1], msgspec.json.encode(line), *lines[number:]]


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    **{
        name: lambda line, name=name: line.update({name: UNKNOWN})
        for name in ("id", "kind", "actor_kind", "actor_account_id", "actor_organization_id", "actor_session_id",
                     "subject_kind", "subject_id", "at", "hash")
    },
    **{name: lambda line, name=name: line.update({name: line[name] + 1}) for name in ("position", "transaction")},
    "data": lambda line: line["data"].update(version=9),
    "a party less": lambda line: line["parties"].pop(),
    "a party more": lambda line: line["parties"].append({"kind": "account", "id": UNKNOWN}),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
async def test_an_edited_line_is_found_and_named(sealed: Sealed, what: str) -> None:
    lines = await export(sealed[1], first=400, last=600)
    found = prove_lines(edited(lines, 101, EDITS[what])).found
    assert [(finding.fault.value, finding.number) for finding in found] == [("event_changed", 500)]


async def test_lines_that_are_missing_swapped_repeated_or_unreadable_are_found(
    sealed: Sealed, head: Head
) -> None:
    lines = await export(sealed[1])
    left_out = prove_lines([*lines[:499], *lines[500:]])
    assert (left_out.found, left_out.left_out) == ([], 1)  # a part is a part, and it says so
    assert "number_twice" in faults(prove_lines([*lines[:499], lines[500], lines[499], *lines[501:]]))
    assert "number_twice" in faults(prove_lines([*lines[:500], lines[499], *lines[500:]]))
    assert faults(prove_lines(lines[:-1])) == ["number_in_no_block"]
    for nonsense in (b"nonsense", b"{}", b"\xff", b"[" * 100_000, lines[499][:-20]):
        assert faults(prove_lines([*lines[:499], nonsense, *lines[500:]])) == ["line_unreadable"]
    assert prove_lines([]).events == 0


async def test_an_export_forged_with_another_key_is_found_by_the_head(sealed: Sealed, head: Head) -> None:
    url, ground = sealed
    other = SealKeys({1: bytes(range(1, 33))})
    async with behind_its_back(url) as owner:
        await owner.execute("DELETE FROM blocks; DELETE FROM event_seals")
    await seal_all(ground, other)
    async with ground.database.transaction() as tx:
        lines = [
            write_line(line) async for line in exported(ground.context(tx, "operator"), other, Selection())
        ]
    alone = prove_lines(lines)
    assert alone.found == []
    assert alone.public_keys != [head.public_key]  # what one compares, who has no head
    assert {"block_not_signed"} <= set(faults(prove_lines(lines, head)))


STRANGER = SealKeys({2: bytes(range(1, 33))})
ROTATED = SealKeys({1: bytes(range(32)), 2: bytes(range(2, 34))})


def sealed_in_one(lines: list[bytes], number: int, keys: SealKeys, **said: Any) -> list[bytes]:
    """Seal lines in one block of this number, as whoever has these keys can."""
    events = [read(line) for line in lines]
    hashes = [hash_of_event(line.number, line.event()) for line in events]
    block = Block(
        number=number, cluster=1, first_number=events[0].number, last_number=events[-1].number,
        reached_transaction=1, reached_position=1, retired=[], hashes=b"".join(hashes), previous_hash=bytes(32),
        sealed_at="2026-01-01T00:00:00.000000Z", key_number=keys.newest, hash=b"", signature=b"",
    )  # fmt: skip
    block = msgspec.structs.replace(block, **said)
    found = hash_of_block(block)
    carried = block_of_line(msgspec.structs.replace(block, hash=found, signature=keys.sign(found)), keys)
    return [
        write_line(line_of(line.number, line.event(), of_line, carried if line is events[-1] else None))
        for line, of_line in zip(events, hashes, strict=True)
    ]


def read(line: bytes) -> Line:
    found = read_line(line)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("number", "keys", "fault"),
    [
        (900, STRANGER, "block_not_signed"),
        (1, STRANGER, "block_not_signed"),
        # With the key itself, the events it seals anew are of a block that the head names otherwise.
        (900, KEYS, "head_not_there"),
        (1, KEYS, "head_not_there"),
    ],
)
async def test_all_of_it_sealed_anew_in_a_block_of_whatever_number_is_found_by_the_head(
    sealed: Sealed, head: Head, number: int, keys: SealKeys, fault: str
) -> None:
    lines = edited(await export(sealed[1]), 500, EDITS["kind"])
    forged = sealed_in_one(lines[1:], number, keys)
    assert prove_lines(forged).found == []
    assert fault in faults(prove_lines(forged, head))


async def test_a_part_that_says_it_comes_from_the_other_side_of_the_head_is_found(
    sealed: Sealed, head: Head
) -> None:
    forged = sealed_in_one((await export(sealed[1]))[:100], head.block + 7, KEYS)
    assert faults(prove_lines(forged, head)) == ["head_not_there"]


async def test_a_stranger_can_not_chain_a_block_of_his_own_to_the_heads(sealed: Sealed, head: Head) -> None:
    lines = await export(sealed[1])
    more = [write_line(msgspec.structs.replace(read(lines[-1]), number=LENGTH + 1, block=None))]
    goes_on = {"previous_hash": bytes.fromhex(head.hash)}
    for keys, expected in ((STRANGER, ["block_not_signed"]), (KEYS, [])):
        grown = [*lines, *sealed_in_one(more, head.block + 1, keys, **goes_on)]
        assert faults(prove_lines(grown)) == []
        assert faults(prove_lines(grown, head)) == expected
    # Nor does it help to leave the head's own block out, or to go on from another.
    alone = sealed_in_one(more, head.block + 1, KEYS)
    assert faults(prove_lines(alone, head)) == ["block_not_chained"]


async def test_a_head_vouches_for_what_an_older_key_signed_as_far_as_the_chain_reaches(
    ground: Ground,
) -> None:
    await seal_all(ground)
    await write(ground, *range(5))
    await seal_all(ground)
    older = await head_now(ground)
    for _ in range(2):
        await write(ground, *range(5))
        await seal_all(ground, ROTATED)
    newer = await head_now(ground, ROTATED)
    lines = await export(ground, ROTATED)
    assert len(prove_lines(lines).public_keys) == 2
    assert prove_lines(lines, newer).found == []
    # No head knows a key that came after it, though the chain goes on.
    (finding,) = prove_lines(lines, older).found
    assert (finding.fault.value, finding.block) == ("block_not_signed", older.block + 1)
    assert prove_lines(lines[: older.last_number], older).found == []
    # Nor what the older key may have signed since, with a block missing between.
    gap = [*lines[: older.last_number], *lines[older.last_number + 5 :]]
    (finding,) = prove_lines(gap, newer).found
    assert finding.fault.value == "block_not_signed"
    assert f"{older.block} are not signed" in finding.sentence


async def months_of(ground: Ground) -> datetime:
    """Seal two months of 300 events each and then a day of ten, each in a block; return the beginning of that day."""
    async with ground.database.transaction() as tx:
        await tx.execute("SELECT make_event_partitions($1, 4)", (START + timedelta(days=35)).date())
    await seal_all(ground)
    for days, count in ((35, 300), (31, 300), (31, 10)):
        ground.clock.advance(days=days)
        await write(ground, *range(count))
        await seal_all(ground)
    async with ground.database.transaction() as tx:
        await tx.execute("ANALYZE events, event_seals, event_parties")
    return ground.clock() - timedelta(hours=1)


async def seals_looked_at(tx: Any, query: Any, **given: Any) -> tuple[int, str]:
    """Run a query; return how many seals were looked at, and the plan."""
    explained = (await tx.fetch("EXPLAIN (ANALYZE, FORMAT JSON) " + query.sql, *query._arguments(given)))[0][
        0
    ]
    plan = msgspec.json.decode(explained) if isinstance(explained, str) else explained

    def count(node: dict[str, Any]) -> int:
        own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        is_of_seals = node.get("Relation Name", "").startswith("event_seals")
        return int(own * node["Actual Loops"] if is_of_seals else 0) + sum(map(count, node.get("Plans", [])))

    return count(plan[0]["Plan"]), str(plan)


async def test_a_day_of_it_reads_the_seals_and_blocks_of_that_day(ground: Ground) -> None:
    since = await months_of(ground)
    lines = await export(ground, since=since)
    assert len(lines) == 10
    assert prove_lines(lines, await head_now(ground)).found == []
    async with ground.database.transaction() as tx:
        wanted = await within_reach(ground.context(tx, "operator"), Selection(since=since))
        every = {"first": 1, "last": LAST_POSSIBLE, "since": since, "until": None}
        for query, given in (
            (queries.REACH, every),
            (queries.CHOSEN, every),
            (queries.CHOSEN, {**every, "first": wanted.first, "last": wanted.last}),
        ):
            looked_at, plan = await seals_looked_at(tx, query, **given)
            assert looked_at <= 50, plan  # the ten, and what is in the partition for all other times
            assert "event_seals_2026_06" in plan
            assert not re.search(r"event_seals_2026_0[45]", plan), plan
        blocks = await queries.BLOCKS_WITH.all(tx, first=wanted.first, last=wanted.last)
    assert [(block.first_number, block.last_number) for block in blocks] == [(wanted.first, wanted.last)]


async def test_a_clock_that_went_back_leaves_nothing_out(ground: Ground) -> None:
    await seal_all(ground)
    days = []
    for step in (2, -1, 2, -2):
        ground.clock.advance(days=step)
        days.append(ground.clock())
        await write(ground, 1, 2)
        await seal_all(ground)
    for since in days:
        for until in (None, since + timedelta(hours=30)):
            lines = await export(ground, since=since, until=until)
            expected = await ground.rows(
                "SELECT number FROM event_seals WHERE at >= $1 AND ($2::timestamptz IS NULL OR at < $2) ORDER BY number",
                since, until,
            )  # fmt: skip
            assert numbers_of(lines) == [row["number"] for row in expected]
            assert len(lines) >= 2
            assert prove_lines(lines).found == []


async def test_what_is_not_sealed_yet_is_not_in_it(ground: Ground) -> None:
    await seal_all(ground)
    before = await export(ground)
    await write(ground, 1)
    assert await export(ground) == before


async def test_a_number_without_a_block_is_not_exported_in_silence(sealed: Sealed) -> None:
    url, ground = sealed
    async with behind_its_back(url) as owner:
        await owner.execute("DELETE FROM blocks WHERE number = (SELECT max(number) FROM blocks)")
    with pytest.raises(WrongState, match="audit verify"):
        await export(ground)


async def test_a_head_says_where_the_trail_ends(ground: Ground) -> None:
    await seal_all(ground)
    head = await head_now(ground)
    (row,) = await ground.rows("SELECT number, last_number, hash FROM blocks ORDER BY number DESC LIMIT 1")
    assert (head.block, head.last_number, head.hash) == (row["number"], row["last_number"], row["hash"].hex())
    assert head.is_signed()
    assert datetime.fromisoformat(head.sealed_at).utcoffset() == timedelta(0)
