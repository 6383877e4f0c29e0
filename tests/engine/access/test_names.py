"""Whom and what an application names, in which words, and what is nobody and nothing (names.yaml): by question, by lists, and by actions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import normalize

import pytest

from engine.access.tables import TODAY, Table, address, digest, insert, named
from engine.access.test_truth import listed_resources, listed_subjects
from hospitium.engine.access import asking, listing
from hospitium.engine.access.asking import Asked, answer
from hospitium.engine.access.decide import Allowed
from hospitium.engine.access.naming import PATIENT, Named
from hospitium.engine.context import Context
from hospitium.engine.ids import parse_id, to_object_id

if TYPE_CHECKING:
    from engine.ground import Ground

NAMES = Table("names.yaml")


def word(said: str) -> str:
    """Return what the table's word stands for."""
    if said.startswith("ID of "):
        return str(named(said.removeprefix("ID of ")))
    if said.startswith("DIGITS of "):
        return to_object_id(named(said.removeprefix("DIGITS of "))) or ""
    times = re.fullmatch(r"(\d+) (\w)", said)
    return times[2] * int(times[1]) if times else said


class Line(NamedTuple):
    """One question: by whose key, in which words; and its answer."""

    key: str
    words: Named
    is_allowed: bool

    @classmethod
    def of(cls, said: list[Any]) -> Line:
        key, *words, then = said
        return cls(key, Named(*map(word, words)), then)


LINES = [Line.of(said) for said in NAMES.scenes[0]["questions"]]
for _account in NAMES["accounts"].values():
    _account["called"] = {by: word(called) for by, called in _account.get("called", {}).items()}
for _record in NAMES["records"].values():
    if "called" in _record:
        _record["called"] = word(_record["called"])


@pytest.fixture
async def told(ground: Ground) -> Ground:
    async with ground.database.transaction() as tx:
        await NAMES.build(tx)
        await NAMES.stage(tx, NAMES.scenes[0])
        await insert(tx, "service_keys", [
            {"id": named("former key"), "organization_id": named("northside"), "name": "former", "digest": digest("former"), "scopes": ["check"],
             "made_at": TODAY, "ended_at": TODAY}
        ])  # fmt: skip
    return ground


async def answered(ground: Ground) -> list[bool]:
    async with ground.database.transaction() as tx:
        found = await answer(tx, [Asked(digest(line.key), line.words) for line in LINES], TODAY)
    return [isinstance(one.decision, Allowed) and one.asker.key_id is not None for one in found]


async def test_an_application_is_answered_in_its_own_words(told: Ground) -> None:
    found = await answered(told)
    assert [line for line, said in zip(LINES, found, strict=True) if said != line.is_allowed] == []


def called(its_id: str, external_id: str | None) -> set[str | None]:
    """Return everything that something may be called of which a list has the id: its word, its id in both spellings, its address."""
    known = parse_id(its_id)
    account = next((name for name in NAMES["accounts"] if named(name) == known), "")
    return {external_id, its_id, None if known is None else to_object_id(known), address(account)}


async def test_lists_know_the_same_names(told: Ground) -> None:
    wrong = []
    async with told.database.transaction() as tx:
        ctx = Context(tx, told.actors["system"], TODAY)
        for line in LINES:
            of, words = named(line.key), line.words
            things = [
                one
                for one in await listed_resources(ctx, of, words)
                if words.resource_type != PATIENT or one.fhir_server_id == parse_id(words.fhir_server_id)
            ]
            people = await listed_subjects(ctx, of, words)
            subject, resource = (normalize("NFC", one) for one in (words.subject_id, words.resource_id))
            has_thing = any(resource in called(one.id, one.external_id) for one in things)
            if words.resource_type == PATIENT:
                elsewhere = await listing.patients_elsewhere(ctx, of, words)
                has_thing = has_thing or parse_id(words.fhir_server_id) in elsewhere
            has_person = any(subject.lower() in called(str(one.id), one.external_id) for one in people)
            may = words.action in await listing.actions(ctx, of, words)
            if may != line.is_allowed or (line.is_allowed and not (has_thing and has_person)):
                wrong.append((line, things, people, may))
    assert wrong == []


FORGOTTEN = {
    "whether an address was proved": ("accounts.verified_at IS NOT NULL", "true"),
    "whose a type is": (
        "type.organization_id = named",
        "type.organization_id <> named",
    ),
    "that an id of an account comes first": ("accounts.id = named.subject_uuid", "false"),
    "that an id of a record comes first": ("records.id = named.resource_uuid", "false"),
    "that who works for a partner is not told": ("asked.subject_kind = 'account'", "false"),
    "whether a key was ended": ("service_keys.ended_at IS NULL", "true"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
async def test_control_a_question_that_forgets_one_condition_is_found_out(
    told: Ground, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition, instead = FORGOTTEN[what]
    assert condition in asking._ANSWER.sql, asking._ANSWER.sql
    monkeypatch.setattr(asking._ANSWER, "sql", asking._ANSWER.sql.replace(condition, instead))
    assert await answered(told) != [line.is_allowed for line in LINES]
