"""What is hashed and signed is what docs/trail.md says, for ever: a hash that changes its recipe breaks every trail."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engine.trail.sealing import KEYS
from hospitium.engine.trail.hashing import canonical, hash_of_block, hash_of_event
from hospitium.engine.trail.record import Block, TrailEvent
from hospitium.engine.trail.signing import SealKeys, is_signed

EVENT = TrailEvent(
    id="69a42d00-0000-8000-8000-000002485350",
    at="2026-03-01T12:00:00.000001Z",
    position=7,
    transaction=801,
    kind="partnership.requested",
    actor_kind="account",
    actor_account_id="69a42d00-0000-8000-8000-000006485350",
    actor_organization_id=None,
    actor_session_id=None,
    subject_kind="partnership",
    subject_id="69a42d00-0000-8000-8000-00000a485350",
    data='{"status": "pending_approval", "grants": ["a", "b"], "version": 1}',
    parties=[["organization", "69a42d00-0000-8000-8000-00000e485350"], ["account", "69a42d00-0000-8000-8000-000006485350"]],
)  # fmt: skip
BLOCK = Block(
    number=2, cluster=7710818536476230425, first_number=1, last_number=2, reached_transaction=801, reached_position=7,
    retired=[], hashes=b"\x01" * 32 + b"\x02" * 32, previous_hash=bytes(32), sealed_at="2026-03-01T12:00:01.000000Z",
    key_number=1, hash=b"", signature=b"",
)  # fmt: skip


def sha(*members: object) -> str:
    said = json.dumps(list(members), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def test_an_event_is_hashed_as_the_page_says() -> None:
    found = hash_of_event(17, EVENT).hex()
    assert found == sha(
        "hospitium event 1", 17, EVENT.id, EVENT.at, 7, 801, "partnership.requested", "account", EVENT.actor_account_id,
        None, None, "partnership", EVENT.subject_id, '{"grants":["a","b"],"status":"pending_approval","version":1}',
        [["account", EVENT.parties[1][1]], ["organization", EVENT.parties[0][1]]],
    )  # fmt: skip
    assert found == "64c07020194626da1356830de2c655f1932054e33511f4acae0dc72a6261a772"


def test_a_block_is_hashed_as_the_page_says() -> None:
    found = hash_of_block(BLOCK).hex()
    assert found == sha(
        "hospitium block 1", 2, BLOCK.cluster, 1, 2, 801, 7, [], hashlib.sha256(BLOCK.hashes).hexdigest(), "00" * 32,
        BLOCK.sealed_at, 1,
    )  # fmt: skip
    assert found == "0421b23bc60f7c68be11a670489ee56d599215d2ab1514d6309101ccc3ea252f"


@pytest.mark.parametrize("field", TrailEvent.__struct_fields__)
def test_no_two_events_that_differ_have_one_hash(field: str) -> None:
    value = getattr(EVENT, field)
    other = value + 1 if isinstance(value, int) else [] if isinstance(value, list) else f"{value or ''}x"
    assert hash_of_event(1, msgspec.structs.replace(EVENT, **{field: other})) != hash_of_event(1, EVENT)


def test_the_number_is_part_of_it_and_the_order_of_the_parties_is_not() -> None:
    assert hash_of_event(1, EVENT) != hash_of_event(2, EVENT)
    turned = msgspec.structs.replace(EVENT, parties=EVENT.parties[::-1])
    assert hash_of_event(1, turned) == hash_of_event(1, EVENT)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"b": 1, "a": [true, null, "x"]}', '{"a":[true,null,"x"],"b":1}'),
        ('{"n": 1.50}', '{"n":1.50}'),
        ('{"n": 123456789012345678901234567890}', '{"n":123456789012345678901234567890}'),
        ('"\\u00e9\\n\\""', '"é\\n\\""'),
        ("{}", "{}"),
    ],
)
def test_data_has_one_form(text: str, form: str) -> None:
    assert canonical(text) == canonical(form) == form


def test_what_is_no_data_of_ours_is_hashed_as_it_stands() -> None:
    for text in ("[" * 100_000 + "]" * 100_000, "nonsense"):
        assert canonical(text) == text
    long = '{"n": ' + "9" * 10_000 + "}"
    assert canonical(long) != canonical(long.replace("9}", "8}"))


def test_a_block_is_signed_with_the_newest_key_and_proved_by_its_public_half() -> None:
    keys = SealKeys({1: bytes(range(32)), 2: bytes(range(1, 33))})
    found = hash_of_block(BLOCK)
    signature = keys.sign(found)
    assert keys.newest == 2
    public = keys.public(2) or b""
    Ed25519PublicKey.from_public_bytes(public).verify(
        signature, b"hospitium block\0" + found
    )  # as anybody would
    assert is_signed(public, found, signature)
    assert not is_signed(KEYS.public(1) or b"", found, signature)
    assert not is_signed(public, bytes(32), signature)
    assert not is_signed(b"no key", found, signature)
    assert keys.public(3) is None


def test_a_key_never_prints_its_secret() -> None:
    said = f"{KEYS} {KEYS!r} {KEYS._keys} {vars(KEYS)}"
    assert bytes(range(32)).hex() not in said
    assert "private" not in said
