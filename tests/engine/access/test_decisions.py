"""The truth table of access (decisions.yaml), asked of the pure rule and of the database, which must agree with it."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engine.access.tables import (
    BEGINNING,
    DECISIONS,
    NO_SUCH_ACTION,
    ON_SERVERS,
    TABLES,
    UNNAMED_CAUSES,
    Thing,
    began,
    instant,
    level_of,
    moment,
    named,
    reason_pattern,
    subject_of,
)
from engine.ground import Ground
from hospitium.engine.access import asking, decide as decide_module, restrictions
from hospitium.engine.access.check import Question, SubjectKind, candidates, check
from hospitium.engine.access.decide import Allowed, Candidate, decide
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind
from hospitium.engine.levels import ACTIONS, Level

CASES = [
    (scene, asked, question)
    for scene, asked in DECISIONS.cases
    if (question := DECISIONS.question(asked)) is not None
]


# -- the pure rule, on candidates gathered from the table by hand ------------------------------------------------------


def held_since(scene: dict[str, Any], *beginnings: datetime) -> datetime | None:
    """Return when the restore was that holds what began then: a grant, or the membership by which it is inherited."""
    starts_at = min(beginnings)
    holding = [
        instant(epoch["begun"])
        for epoch in scene.get("epochs", [])
        if "confirmed" not in epoch and starts_at <= (instant(epoch["until"]) or BEGINNING)
    ]
    return min(filter(None, holding), default=None)


def is_active(on: Thing) -> bool:
    """Whether what is asked about may be acted on at all."""
    if on.kind is ResourceKind.RECORD:
        record = DECISIONS["records"].get(on.name, {"is": "deleted"})
        return record.get("is") != "deleted" and DECISIONS["organizations"][record["of"]] == "active"
    return on.kind is not ResourceKind.ORGANIZATION or DECISIONS["organizations"][on.name] == "active"


def roads_of(question: Question, to_kind: str, to: str) -> list[dict[str, Any]]:
    """Every road by which a grantee reaches the subject of a question: itself, or a membership."""
    if (to_kind, named(to)) == (question.subject_kind, question.subject_id):
        return [{}]
    inherited = {"organization": "memberships", "team": "team_memberships"}.get(to_kind)
    if inherited is None or question.subject_kind is not SubjectKind.ACCOUNT:
        return []
    return [m for m in DECISIONS.rows(inherited) if m["in"] == to and named(m["of"]) == question.subject_id]


def subject_is_active(question: Question) -> bool:
    if question.subject_kind is not SubjectKind.ACCOUNT:
        return True
    name = next((n for n in DECISIONS["accounts"] if named(n) == question.subject_id), None)
    return name is not None and DECISIONS.account(name)["is"] == "active"


def gathered(scene: dict[str, Any], question: Question) -> list[Candidate]:
    """What the statement of `check` should find, found by walking the table."""
    found = []
    for name, grant in scene["grants"].items():
        (to_kind, to), on = subject_of(grant["to"]), Thing.of(grant["what"])
        if (on.kind, on.id) != (question.resource_kind, question.resource_id):
            continue
        found += [
            Candidate(
                grant_id=named(scene["title"] + name),
                grantee_kind=GranteeKind(to_kind),
                grantee_id=named(to),
                level=level_of(grant["level"]),
                starts_at=began(grant),
                ends_at=min(
                    filter(None, (instant(grant.get(end)) for end in ("until", "closes"))), default=None
                ),
                cause_kind=CauseKind(grant["because"]),
                cause_id=None if grant["because"] in UNNAMED_CAUSES else named("cause"),
                role=Role(road["as"]) if "as" in road else None,
                membership_starts_at=began(road) if road else None,
                membership_ends_at=instant(road.get("until")),
                subject_is_active=subject_is_active(question),
                grantee_is_active=to_kind != "organization" or DECISIONS["organizations"][to] == "active",
                resource_is_active=is_active(on),
                held_since=held_since(scene, *(began(one) for one in (grant, road) if one)),
                resource_kind=on.kind,
            )
            for road in roads_of(question, to_kind, to)
        ]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[1]['who']} {c[1]['may']} {c[1]['what']}")
def test_the_rule_decides_as_the_table_says(case: tuple[dict[str, Any], dict[str, Any], Question]) -> None:
    scene, asked, question = case
    found = gathered(scene, question)
    for given in (found, found[::-1]):  # in whichever order the rows come
        assert DECISIONS.says(scene, decide(given, question.level, moment(asked))) == asked["then"]


# -- the database ------------------------------------------------------------------------------------------------------


async def test_the_statement_gathers_what_walking_the_table_finds(ground: Ground) -> None:
    wrong = []
    async with ground.database.transaction() as tx:
        await DECISIONS.build(tx)
    for scene in DECISIONS.scenes:
        async with ground.trial() as tx:
            await DECISIONS.stage(tx, scene)
            for asked in scene["questions"]:
                question = DECISIONS.question(asked)
                if question is None:
                    continue
                found = await candidates(Context(tx, ground.actors["system"], moment(asked)), question)
                if sorted(found, key=repr) != sorted(gathered(scene, question), key=repr):
                    wrong.append(f"{scene['title']}: {asked}")
    assert wrong == []


async def test_whoever_is_unknown_may_nothing(ground: Ground) -> None:
    for kind in SubjectKind:
        question = Question(kind, uuid4(), Level.PUBLIC, ResourceKind.ORGANIZATION, str(ground.lakeside))
        decision = await ground.does("system", check, question)
        assert decision.reason == "there is no grant"


async def test_a_resource_that_is_no_id_is_only_a_resource_without_grants(ground: Ground) -> None:
    for strange in ("", "lakeside", "%", "'; DROP TABLE grants --", "é" * 300):
        question = Question(
            SubjectKind.ORGANIZATION, ground.northside, Level.PUBLIC, ResourceKind.ORGANIZATION, strange
        )
        assert not isinstance(await ground.does("system", check, question), Allowed)


async def test_a_partnership_is_seen_by_the_question_from_its_approval_to_its_termination(
    ground: Ground,
) -> None:
    question = Question(
        SubjectKind.ORGANIZATION,
        ground.northside,
        Level.CONNECTED,
        ResourceKind.ORGANIZATION,
        str(ground.lakeside),
    )
    partnership_id = await ground.asks("ada", "lakeside")
    before = ground.clock()
    assert not isinstance(await ground.does("system", check, question), Allowed)
    approved = (await ground.moves("rui", "approve", partnership_id)).partnership.responded_at
    during = ground.clock()
    assert isinstance(await ground.does("system", check, question), Allowed)
    ended = (await ground.moves("ada", "terminate", partnership_id)).partnership.terminated_at
    reasons = [
        getattr(await ground.does("system", check, question, now=at), "reason", "yes")
        for at in (before, approved, during, ended, ground.clock())
    ]
    assert reasons == ["the grant has not begun", "yes", "yes", "the grant has ended", "the grant has ended"]


# -- the tables themselves ---------------------------------------------------------------------------------------------


def test_the_tables_are_large_enough_and_say_each_thing_once() -> None:
    cases = [case for table in TABLES.values() for case in table.cases]
    assert len(cases) >= 300
    keys = [(scene["title"], str({k: v for k, v in asked.items() if k != "then"})) for scene, asked in cases]
    assert len(set(keys)) == len(keys)


def _text_of(node: ast.expr) -> str | None:
    """Return a text as the source has it, its holes filled with #; None for what is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return reason_pattern(text)
        case ast.JoinedStr(values=parts):
            return "".join(str(p.value) if isinstance(p, ast.Constant) else "#" for p in parts)
    return None


def reasons_in_the_source() -> set[str]:
    """Return every reason there is: what a restriction's `refuses` returns, what comes with a nearness, and what is `Denied` with."""
    found = set()
    for module in (decide_module, restrictions, asking):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        refusing = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in ("refuses", "_eclipsed")
        ]
        given: list[ast.expr] = []
        for function in refusing:
            for node in ast.walk(function):
                match node:
                    case ast.Return(value=ast.IfExp(body=one, orelse=other)):
                        given += [one, other]
                    case ast.Return(value=ast.Tuple(elts=[_, reason])):
                        given.append(reason)
                    case ast.Return(value=ast.expr() as one):
                        given.append(one)
        given += [
            node.args[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Denied"
        ]
        found |= {text for one in given if (text := _text_of(one)) is not None}
    # What one stands in is a membership, or a role on a person.
    standing = {text for text in found if text.startswith("the # has ")}
    return (found - standing) | {
        text.replace("#", word) for text in standing for word in ("membership", "role on the person")
    }


def test_every_reason_there_is_occurs_in_the_tables() -> None:
    """A new reason needs a case in decisions.yaml, or in servers.yaml."""
    said = {
        reason_pattern(asked["then"])
        for table in TABLES.values()
        for _, asked in table.cases
        if not asked["then"].startswith("yes ")
    }
    reasons = reasons_in_the_source()
    assert said == reasons
    assert len(reasons) == 17
    assert NO_SUCH_ACTION in reasons


def test_every_action_and_level_of_the_ladder_occurs() -> None:
    assert {asked["may"] for _, asked, _ in CASES} >= set(ACTIONS)
    assert {question.level for _, _, question in CASES} == set(Level) - {Level.RESERVED}


def test_every_kind_of_subject_and_of_resource_occurs() -> None:
    cases = [asked for table in TABLES.values() for _, asked in table.cases]
    assert {subject_of(asked["who"])[0] for asked in cases} == {kind.value for kind in SubjectKind}
    assert {Thing.of(asked["what"]).kind for asked in cases} == set(ResourceKind)
    allowed = {
        (subject_of(asked["who"])[0], Thing.of(asked["what"]).kind)
        for asked in cases
        if asked["then"].startswith("yes ")
    }
    assert {kind for kind, _ in allowed} == {kind.value for kind in SubjectKind}
    assert {kind for _, kind in allowed} == set(ResourceKind)
    assert ON_SERVERS.cases
