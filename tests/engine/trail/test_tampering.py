"""Whoever owns the database can change every row of it. Each change alone is found, and named."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import Table

from engine.ground import Ground
from engine.trail.conftest import LENGTH
from engine.trail.sealing import KEYS, behind_its_back, faults_of, head_now, proof_of, seal_all
from hospitium.engine.events import event_parties, events
from hospitium.engine.trail.findings import Finding
from hospitium.engine.trail.lines import Head
from hospitium.engine.trail.record import blocks
from hospitium.engine.trail.signing import SealKeys

Sealed = tuple[str, Ground]
N = 500
OTHER_KEYS = SealKeys({1: bytes(range(1, 33))})
_ID = f"(SELECT event_id FROM event_seals WHERE number = {N})"
_AT = f"(SELECT at FROM event_seals WHERE number = {N})"
_NEXT = f"(SELECT event_id FROM event_seals WHERE number = {N + 1})"
_EVENT = f"UPDATE events SET {{}} WHERE id = {_ID}"
_PARTY = f"UPDATE event_parties SET {{}} WHERE event_id = {_ID}"
_BLOCK = "UPDATE blocks SET {} WHERE number = 4"
_OLD_ID = "00000000-0000-8000-8000-00000000000b"
_INSERT = (
    f"INSERT INTO events (id, at, position, transaction, kind, actor_kind, subject_kind, data) "
    f"SELECT '{_OLD_ID}', at, position + 1000000, {{}}, kind, actor_kind, subject_kind, data FROM events WHERE id = {_ID}"
)


class Tampering(NamedTuple):
    """What is done, what is found first, and all that is found."""

    sql: str
    names: dict[str, Any]  # of the first finding
    faults: set[str]


def changed(sql: str) -> Tampering:
    return Tampering(sql, {"number": N}, {"event_changed"})


def block_of(sql: str, *faults: str) -> Tampering:
    return Tampering(sql, {"block": 4}, set(faults))


TAMPERINGS: dict[str, Tampering] = {
    # every column of an event
    "its id": Tampering(
        _EVENT.format("id = gen_random_uuid()"), {"number": N}, {"event_missing", "event_inserted", "party_inserted"}
    ),
    "its id, wherever it stands": changed(
        f"WITH one AS (SELECT event_id AS id FROM event_seals WHERE number = {N}), "
        f"a AS (UPDATE events SET id = '{_OLD_ID}' WHERE id = (SELECT id FROM one)), "
        f"b AS (UPDATE event_parties SET event_id = '{_OLD_ID}' WHERE event_id = (SELECT id FROM one)) "
        f"UPDATE event_seals SET event_id = '{_OLD_ID}' WHERE event_id = (SELECT id FROM one)"
    ),
    "its instant": Tampering(
        _EVENT.format("at = at + interval '1 microsecond'"), {"number": N},
        {"event_missing", "event_inserted", "party_inserted"},
    ),
    **{
        f"its instant, wherever it stands, to {when}": changed(
            f"WITH one AS (SELECT event_id AS id FROM event_seals WHERE number = {N}), "
            f"a AS (UPDATE events SET at = {when} WHERE id = (SELECT id FROM one)), "
            f"b AS (UPDATE event_parties SET at = {when} WHERE event_id = (SELECT id FROM one)) "
            f"UPDATE event_seals SET at = {when} WHERE event_id = (SELECT id FROM one)"
        )
        for when in ("at + interval '1 microsecond'", "at - interval '4051 years'", "'infinity'", "'20000-01-01Z'")
    },
    "its position": changed(_EVENT.format("position = position + 100000")),
    "its transaction": changed(_EVENT.format("transaction = transaction + 1")),
    "its kind": changed(_EVENT.format("kind = 'session.started'")),
    "its actor's kind": changed(_EVENT.format("actor_kind = 'operator'")),
    "its actor": changed(_EVENT.format("actor_account_id = gen_random_uuid()")),
    "its actor taken away": changed(_EVENT.format("actor_account_id = NULL")),
    "its actor's organization": changed(_EVENT.format("actor_organization_id = gen_random_uuid()")),
    "its actor's session": changed(_EVENT.format("actor_session_id = gen_random_uuid()")),
    "its subject's kind": changed(_EVENT.format("subject_kind = 'account'")),
    "its subject": changed(_EVENT.format("subject_id = gen_random_uuid()")),
    "its subject taken away": changed(_EVENT.format("subject_id = NULL")),
    "what it says": changed(_EVENT.format("data = '{\"version\": 7}'")),
    "what it says, by one more word": changed(_EVENT.format("data = data || '{\"was\": null}'")),
    "what it says, by the form of a number": changed(_EVENT.format("data = jsonb_build_object('version', (data->>'version') || '.0')")),
    "what it says, by the digits of a number": changed(_EVENT.format("data = (replace(data::text, '}', '.0}'))::jsonb")),
    "what it says, beyond reading": changed(
        _EVENT.format("data = (repeat('[', 5000) || repeat(']', 5000))::jsonb")
    ),
    # its parties
    "a party taken away": changed(f"DELETE FROM event_parties WHERE event_id = {_ID}"),
    "a party given": changed(
        f"INSERT INTO event_parties (party_id, at, event_id, party_kind) VALUES (gen_random_uuid(), {_AT}, {_ID}, 'account')"
    ),
    "a party's kind": changed(_PARTY.format("party_kind = 'organization'")),
    "another party": changed(_PARTY.format("party_id = gen_random_uuid()")),
    "a party's instant": Tampering(
        _PARTY.format("at = at + interval '1 second'"), {"number": N}, {"event_changed", "party_inserted"}
    ),
    "a party of nothing": Tampering(
        f"INSERT INTO event_parties (party_id, at, event_id, party_kind) VALUES (gen_random_uuid(), {_AT}, '{_OLD_ID}', 'account')",
        {"event_id": _OLD_ID}, {"party_inserted"},
    ),
    # deleted
    "the event deleted": Tampering(
        f"DELETE FROM events WHERE id = {_ID}", {"number": N}, {"event_missing", "party_inserted"}
    ),
    "the event deleted with all that names it": Tampering(
        f"DELETE FROM events WHERE id = {_ID}; DELETE FROM event_parties WHERE event_id = {_ID}; "
        f"DELETE FROM event_seals WHERE number = {N}",
        {"number": N}, {"number_missing"},
    ),
    "its number deleted": Tampering(
        f"DELETE FROM event_seals WHERE number = {N}", {"number": N}, {"number_missing", "event_inserted"}
    ),
    "deleted, and called retired": Tampering(
        f"DELETE FROM events WHERE id = {_ID}; DELETE FROM event_parties WHERE event_id = {_ID}; "
        f"DELETE FROM event_seals WHERE number = {N}; {_BLOCK.format(f'retired = ARRAY[{N}, {N}]')}",
        {"block": 4}, {"block_changed"},
    ),
    # put elsewhere
    "two positions swapped": changed(
        "UPDATE events AS e SET position = other.position FROM events AS other "
        f"WHERE (e.id, other.id) IN (({_ID}, {_NEXT}), ({_NEXT}, {_ID}))"
    ),
    "two numbers swapped": changed(
        "; ".join(f"UPDATE event_seals SET number = {to} WHERE number = {of}" for of, to in ((N, -1), (N + 1, N), (-1, N + 1)))
    ),
    "moved to the end": Tampering(
        f"UPDATE event_seals SET number = {LENGTH + 1} WHERE number = {N}", {"number": N},
        {"number_missing", "number_in_no_block"},
    ),
    # inserted
    "an event inserted": Tampering(_INSERT.format("transaction"), {"event_id": _OLD_ID}, {"event_inserted"}),
    "an event inserted, of a transaction to come": Tampering(
        _INSERT.format("transaction + 2000000000"), {"event_id": _OLD_ID}, {"event_inserted"}
    ),
    "an event inserted with a number at the end": Tampering(
        f"{_INSERT.format('transaction')}; INSERT INTO event_seals SELECT {LENGTH + 1}, at, id FROM events WHERE id = '{_OLD_ID}'",
        {"number": LENGTH + 1}, {"number_in_no_block"},
    ),
    "an event inserted with a number of another": Tampering(
        f"{_INSERT.format('transaction')}; UPDATE events SET at = at + interval '1 second' WHERE id = '{_OLD_ID}'; "
        f"INSERT INTO event_seals SELECT {N}, at, id FROM events WHERE id = '{_OLD_ID}'",
        {"number": N}, {"number_twice"},
    ),
    # every column of a block
    "a block's cluster": block_of(_BLOCK.format("cluster = cluster + 1"), "block_changed"),
    "a block's first number": block_of(
        "ALTER TABLE blocks DROP CONSTRAINT blocks_a_hash_for_each_check; " + _BLOCK.format("first_number = first_number + 1"),
        "block_not_chained", "block_changed", "event_changed",
    ),
    "a block's last number": block_of(
        "ALTER TABLE blocks DROP CONSTRAINT blocks_a_hash_for_each_check; " + _BLOCK.format("last_number = last_number - 1"),
        "block_changed", "block_not_chained",
    ),
    "a block's number": block_of(
        _BLOCK.format("number = number + 100"), "block_missing", "block_changed", "number_missing"
    ),
    "a block's place reached": block_of(_BLOCK.format("reached_transaction = reached_transaction + 1"), "block_changed"),
    "a block's position reached": block_of(_BLOCK.format("reached_position = reached_position - 1"), "block_changed"),
    "a block's retirements": block_of(_BLOCK.format("retired = '{1,2}'"), "block_changed"),
    "a block's hashes": block_of(
        _BLOCK.format("hashes = overlay(hashes placing '\\x00'::bytea from 1)"), "block_changed", "event_changed"
    ),
    "a block's instant": block_of(_BLOCK.format("sealed_at = sealed_at + interval '1 second'"), "block_changed"),
    "a block's key": block_of(_BLOCK.format("key_number = 2"), "block_changed", "block_not_signed"),
    "a block's signature": block_of(
        _BLOCK.format("signature = overlay(signature placing '\\x00'::bytea from 7)"), "block_not_signed"
    ),
    "a block's previous hash": block_of(
        _BLOCK.format("previous_hash = hash"), "block_changed", "block_not_chained"
    ),
    "a block's hash": block_of(
        _BLOCK.format("hash = previous_hash"), "block_changed", "block_not_signed", "block_not_chained"
    ),
    "a block deleted": Tampering(
        "DELETE FROM blocks WHERE number = 4", {"block": 4}, {"block_missing"}
    ),
}  # fmt: skip


def says(finding: Finding) -> dict[str, Any]:
    return {"number": finding.number, "block": finding.block, "event_id": finding.event_id}


async def tamper(url: str, sql: str) -> None:
    async with behind_its_back(url) as owner:
        await owner.execute(sql)


async def test_the_trail_as_it_is_holds(sealed: Sealed, head: Head) -> None:
    _, ground = sealed
    proof = await proof_of(ground, head)
    assert (proof.found, proof.events, proof.last_number, proof.unsealed) == ([], LENGTH, LENGTH, 0)
    assert proof.blocks >= 6


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_it_finds(sealed: Sealed, what: str) -> None:
    url, ground = sealed
    sql, names, faults = TAMPERINGS[what]
    await tamper(url, sql)
    found = (await proof_of(ground)).found
    assert {finding.fault.value for finding in found} == faults
    assert {name: says(found[0])[name] for name in names} == names, found[0]
    assert all(str(value) in found[0].sentence for value in names.values())


@pytest.mark.parametrize("table", [events, event_parties, blocks], ids=lambda table: table.name)
def test_every_column_is_tried(table: Table) -> None:
    """A new column that the hash leaves out would be changed unseen."""
    every = " ".join(tampering.sql for tampering in TAMPERINGS.values())
    untried = [c.name for c in table.c if f"UPDATE {table.name} SET {c.name} = " not in every]
    assert untried == []


# -- the end of it -------------------------------------------------------------------------------------------------------

CUT_OFF = """
    DELETE FROM events AS e USING event_seals AS s WHERE s.event_id = e.id AND s.number > {last};
    DELETE FROM event_parties AS p USING event_seals AS s WHERE s.event_id = p.event_id AND s.number > {last};
    DELETE FROM event_seals WHERE number > {last};
    DELETE FROM blocks WHERE last_number > {last}"""


async def end_of_the_block_before(ground: Ground) -> int:
    rows = await ground.rows("SELECT last_number FROM blocks ORDER BY number DESC LIMIT 2")
    return int(rows[1]["last_number"])


async def test_a_head_kept_elsewhere_finds_that_the_end_was_cut_off(sealed: Sealed, head: Head) -> None:
    url, ground = sealed
    await tamper(url, CUT_OFF.format(last=await end_of_the_block_before(ground)))
    assert await faults_of(ground) == []  # a shorter trail is a trail: only who knew the longer one can tell
    (finding,) = (await proof_of(ground, head)).found
    assert (finding.fault, finding.block) == ("head_not_there", head.block)


async def test_a_head_finds_it_though_the_events_were_sealed_again(sealed: Sealed, head: Head) -> None:
    url, ground = sealed
    last = await end_of_the_block_before(ground)
    await tamper(
        url, f"DELETE FROM event_seals WHERE number > {last}; DELETE FROM blocks WHERE last_number > {last}"
    )
    await seal_all(ground)
    assert await faults_of(ground) == []
    assert await faults_of(ground, head) == ["head_not_there"]


async def test_a_head_holds_as_the_trail_grows(sealed: Sealed, head: Head) -> None:
    url, ground = sealed
    async with behind_its_back(url) as owner:
        await owner.execute(
            "INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data) VALUES "
            "(gen_random_uuid(), now(), pg_current_xact_id()::text::bigint, 'refused', 'system', 'account', '{}')"
        )
    assert await faults_of(ground, head) == []
    await seal_all(ground)
    assert await faults_of(ground, head) == []
    assert (await head_now(ground)).last_number == LENGTH + 1


# -- sealed anew ---------------------------------------------------------------------------------------------------------


async def forge(sealed: Sealed, keys: SealKeys) -> Ground:
    """Change an event, and seal the whole trail anew with these keys."""
    url, ground = sealed
    async with behind_its_back(url) as owner:
        await owner.execute(f"UPDATE events SET kind = 'account.enabled' WHERE id = {_ID}")
        await owner.execute("DELETE FROM blocks; DELETE FROM event_seals")
    await seal_all(ground, keys)
    return ground


async def test_a_trail_sealed_anew_without_the_key_is_found_in_its_first_block(sealed: Sealed) -> None:
    ground = await forge(sealed, OTHER_KEYS)
    assert (await proof_of(ground, keys=OTHER_KEYS)).found == []  # sound, for who has the forger's key
    found = (await proof_of(ground)).found
    assert {finding.fault.value for finding in found} == {"block_not_signed"}
    assert found[0].block == 1


async def test_a_trail_sealed_anew_with_a_key_of_another_number_is_found(sealed: Sealed, head: Head) -> None:
    stranger = SealKeys({2: bytes(range(1, 33))})
    ground = await forge(sealed, stranger)
    assert set(await faults_of(ground)) == {"block_not_signed"}
    # Nor does it help who has put his key into the ring, too: the head's block isn't that one.
    assert await faults_of(ground, head, stranger) == ["head_not_there"]


async def test_a_trail_sealed_anew_with_the_key_itself_is_found_by_the_head(
    sealed: Sealed, head: Head
) -> None:
    ground = await forge(sealed, KEYS)
    assert await faults_of(ground) == []
    assert await faults_of(ground, head) == ["head_not_there"]


async def test_a_head_that_was_forged_too_is_found(sealed: Sealed, head: Head) -> None:
    _, ground = sealed
    for change in ({"hash": "00" * 32}, {"signature": "00" * 64}, {"public_key": "00" * 32}, {"hash": "xyz"}):
        assert "head_not_signed" in await faults_of(ground, msgspec.structs.replace(head, **change))
