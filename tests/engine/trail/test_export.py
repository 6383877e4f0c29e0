"""An exported trail says everything, and is proved by itself."""

from __future__ import annotations

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
from hospitium.engine.trail.export import Selection, exported
from hospitium.engine.trail.lines import Head, write_line
from hospitium.engine.trail.lines_proof import LinesProof, prove_lines
from hospitium.engine.trail.signing import SealKeys

Sealed = tuple[str, Ground]
UNKNOWN = "00000000-0000-8000-8000-00000000000b"


async def export(ground: Ground, **wanted: Any) -> list[bytes]:
    async with ground.database.transaction() as tx:
        return [
            write_line(line)
            async for line in exported(ground.context(tx, "operator"), KEYS, Selection(**wanted))
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
