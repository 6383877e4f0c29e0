"""The truth table of access (decisions.yaml), asked of the pure rule and of the database, which must agree with it."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

import pytest
import yaml

from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.access import decide as decide_module
from hospitium.engine.access.check import Question, SubjectKind, candidates, check
from hospitium.engine.access.decide import Allowed, Candidate, Decision, decide
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind
from hospitium.engine.levels import ACTIONS, Level

SERVERS = yaml.safe_load(Path(__file__).with_name("servers.yaml").read_text(encoding="utf-8"))
TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "decisions.yaml").read_text(encoding="utf-8"))
SPACE = UUID("5d9f0c1e-0000-4000-8000-000000000000")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TODAY = datetime(2026, 5, 1, tzinfo=UTC)
UNNAMED_CAUSES = ("ownership", "operator")


class Case(NamedTuple):
    scene: dict[str, Any]
    question: dict[str, Any]


CASES = [Case(scene, question) for scene in TABLE["scenes"] for question in scene["questions"]]


def named(name: str) -> UUID:
    """The id of an organization, account, team, record or grant of the table."""
    return uuid5(SPACE, name)


def instant(given: Any, default: datetime | None) -> datetime | None:
    if given is None:
        return default
    if isinstance(given, date) and not isinstance(given, datetime):
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return datetime.fromisoformat(str(given)).replace(tzinfo=UTC)


def kind_and_name(text: str, default: str = "account") -> tuple[str, str]:
    kind, _, name = text.rpartition(" ")
    return kind or default, name


def type_of(record: str) -> str:
    """The id of the object type of a record: each organization has one. Of what is no record of the table, nobody's."""
    return str(named("prescriptions of " + TABLE["records"].get(record, {"of": "nobody"})["of"]))


def resource_type(kind: str, name: str) -> str:
    return type_of(name) if kind == "record" else ""


def asked(question: dict[str, Any]) -> tuple[Question, datetime]:
    subject_kind, subject = kind_and_name(question["who"])
    kind, name = kind_and_name(question["what"])
    at = instant(question.get("at"), TODAY)
    assert at is not None
    return Question(
        SubjectKind(subject_kind),
        named(subject),
        ACTIONS[question["may"]],
        ResourceKind(kind),
        str(named(name)),
        resource_type(kind, name),
    ), at


def answer(decision: Decision, scene: dict[str, Any]) -> str:
    """Return a decision in the words of the table."""
    if isinstance(decision, Allowed):
        assert decision.level == decision.by.level
        names = {named(scene["title"] + name): name for name in scene["grants"]}
        return f"yes by {names[decision.by.grant_id]}"
    return decision.reason


# -- the pure rule, on candidates gathered from the table by hand ------------------------------------------------------


def held_since(scene: dict[str, Any], *beginnings: datetime | None) -> datetime | None:
    """Return when the restore was that holds what began then: a grant, or the membership by which it is inherited."""
    starts_at = min(one or BEGINNING for one in beginnings)
    holding = [
        instant(epoch["begun"], None)
        for epoch in scene.get("epochs", [])
        if "confirmed" not in epoch and starts_at <= (instant(epoch["until"], None) or BEGINNING)
    ]
    return min(filter(None, holding), default=None)


def is_active(kind: str, name: str) -> bool:
    """Whether what is asked about may be acted on at all."""
    if kind == "record":
        record = TABLE["records"].get(name, {"is": "deleted"})
        return record.get("is") != "deleted" and TABLE["organizations"][record["of"]] == "active"
    return kind != "organization" or TABLE["organizations"][name] == "active"


def roads_of(question: Question, to_kind: str, to: str) -> list[dict[str, Any]]:
    """Every road by which a grantee reaches the subject of a question: itself, or a membership."""
    if (to_kind, named(to)) == (question.subject_kind, question.subject_id):
        return [{}]
    inherited = {"organization": "memberships", "team": "team_memberships"}.get(to_kind)
    if inherited is None or question.subject_kind is not SubjectKind.ACCOUNT:
        return []
    return [m for m in TABLE[inherited] if m["in"] == to and named(m["of"]) == question.subject_id]


def gathered(scene: dict[str, Any], question: Question) -> list[Candidate]:
    """What the statement of `check` should find, found by walking the table."""
    found = []
    for name, grant in scene["grants"].items():
        to_kind, to = kind_and_name(grant["to"])
        on_kind, on = kind_and_name(grant["what"])
        if (on_kind, str(named(on))) != (question.resource_kind, question.resource_id):
            continue
        roads = roads_of(question, to_kind, to)
        subject = next((n for n in TABLE["accounts"] if named(n) == question.subject_id), None)
        found += [
            Candidate(
                grant_id=named(scene["title"] + name),
                grantee_kind=GranteeKind(to_kind),
                grantee_id=named(to),
                level=ACTIONS[grant["level"]],
                starts_at=instant(grant.get("from"), BEGINNING) or BEGINNING,
                ends_at=min(
                    filter(None, (instant(grant.get(name), None) for name in ("until", "closes"))),
                    default=None,
                ),
                cause_kind=CauseKind(grant["because"]),
                cause_id=None if grant["because"] in UNNAMED_CAUSES else named("cause"),
                role=Role(road["as"]) if "as" in road else None,
                membership_starts_at=instant(road.get("from"), BEGINNING) if road else None,
                membership_ends_at=instant(road.get("until"), None),
                subject_is_active=subject is None or TABLE["accounts"][subject] == "active",
                grantee_is_active=to_kind != "organization" or TABLE["organizations"][to] == "active",
                resource_is_active=is_active(on_kind, on),
                held_since=held_since(
                    scene,
                    *(instant(one.get("from"), BEGINNING) for one in (grant, road) if one),
                ),
                resource_kind=ResourceKind(on_kind),
            )
            for road in roads
        ]
    return found


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c.question['who']} {c.question['may']} {c.question['what']}"
)
def test_the_rule_decides_as_the_table_says(case: Case) -> None:
    question, at = asked(case.question)
    found = gathered(case.scene, question)
    for given in (found, found[::-1]):  # in whichever order the rows come
        assert answer(decide(given, question.level, at), case.scene) == case.question["then"]


# -- the database ------------------------------------------------------------------------------------------------------


async def build_world(tx: Any) -> None:
    for name, status in TABLE["organizations"].items():
        await tx.execute(
            "INSERT INTO organizations (id, code, name, name_key, type, status, created_at, updated_at) VALUES ($1, $2, $2, $2, 'both', $3, $4, $4)",
            named(name), f"{name}-x", status, BEGINNING,
        )  # fmt: skip
    for name, status in TABLE["accounts"].items():
        await tx.execute(
            "INSERT INTO accounts (id, email, email_key, password_hash, status, created_at) VALUES ($1, $2, $2, $3, $4, $5)",
            named(name), f"{name}@table.example", NOBODYS_HASH.reveal(), status, BEGINNING,
        )  # fmt: skip
    for m in TABLE["memberships"]:
        await tx.execute(
            "INSERT INTO memberships (id, account_id, organization_id, role, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)",
            uuid4(), named(m["of"]), named(m["in"]), m["as"], instant(m.get("from"), BEGINNING), instant(m.get("until"), None),
        )  # fmt: skip
    for name, organization in TABLE["teams"].items():
        await tx.execute(
            "INSERT INTO teams (id, organization_id, name, name_key, created_at) VALUES ($1, $2, $3, $3, $4)",
            named(name), named(organization), name, BEGINNING,
        )  # fmt: skip
    for m in TABLE["team_memberships"]:
        await tx.execute(
            "INSERT INTO team_memberships (id, team_id, account_id, is_owner, starts_at, ends_at) VALUES ($1, $2, $3, false, $4, $5)",
            uuid4(), named(m["in"]), named(m["of"]), instant(m.get("from"), BEGINNING), instant(m.get("until"), None),
        )  # fmt: skip
    for name, record in TABLE["records"].items():
        await tx.execute(
            "INSERT INTO object_types (id, organization_id, name, plural_name, label, storage, allows_shares, requires_acceptance, "
            "sends_notifications, share_chain, created_at, updated_at) VALUES ($1, $2, 'c_prescription', 'c_prescriptions', 'P', 'stored', "
            "true, true, true, '{5,4,2}', $3, $3) ON CONFLICT (id) DO NOTHING",
            UUID(type_of(name)), named(record["of"]), BEGINNING,
        )  # fmt: skip
        status = record.get("is", "active")
        over, filed = (TODAY if status == one else None for one in ("deleted", "archived"))
        await tx.execute(
            "INSERT INTO records (id, organization_id, object_type_id, owner_id, creator_id, status, created_at, updated_at, ended_at, archived_at) "
            "VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9)",
            named(name), named(record["of"]), UUID(type_of(name)), named("ben"), status, BEGINNING, TODAY, over, filed,
        )  # fmt: skip


async def give(tx: Any, scene: dict[str, Any]) -> None:
    for name, grant in scene["grants"].items():
        (to_kind, to), (on_kind, on) = kind_and_name(grant["to"]), kind_and_name(grant["what"])
        await tx.execute(
            "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, starts_at, ends_at, until, "
            "cause_kind, cause_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            named(scene["title"] + name), to_kind, named(to), on_kind, resource_type(on_kind, on), str(named(on)),
            int(ACTIONS[grant["level"]]), instant(grant.get("from"), BEGINNING), instant(grant.get("until"), None),
            instant(grant.get("closes"), None), grant["because"], None if grant["because"] in UNNAMED_CAUSES else named("cause"),
        )  # fmt: skip


async def restore(tx: Any, scene: dict[str, Any]) -> None:
    for number, epoch in enumerate(scene.get("epochs", []), start=2):
        begun, until, confirmed = (instant(epoch.get(name), None) for name in ("begun", "until", "confirmed"))
        await tx.execute(
            "INSERT INTO epochs (number, place, begun_at, holds_until, confirmed_at) VALUES ($1, 'here', $2, $3, $4)",
            number, begun, until, confirmed,
        )  # fmt: skip


async def test_the_database_answers_as_the_table_says_now_and_as_of_then(ground: Ground) -> None:
    wrong = []
    async with ground.database.transaction() as tx:
        await build_world(tx)
    for scene in TABLE["scenes"]:
        async with ground.trial() as tx:
            await give(tx, scene)
            await restore(tx, scene)
            for asking in scene["questions"]:
                question, at = asked(asking)
                ctx = Context(tx, ground.actors["system"], at)
                found = answer(await check(ctx, question), scene)
                if found != asking["then"]:
                    wrong.append(f"{scene['title']}: {asking} but: {found}")
                by_hand = sorted(gathered(scene, question), key=repr)
                if sorted(await candidates(ctx, question), key=repr) != by_hand:
                    wrong.append(f"{scene['title']}: {asking} gathers other candidates")
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


# -- the table itself --------------------------------------------------------------------------------------------------


def test_the_table_is_large_enough_and_says_each_thing_once() -> None:
    assert len(CASES) >= 140
    keys = [
        (case.scene["title"], str({k: v for k, v in case.question.items() if k != "then"})) for case in CASES
    ]
    assert len(set(keys)) == len(keys)


def test_every_reason_there_is_occurs_in_the_table() -> None:
    """A new reason in `decide.py` needs a case in decisions.yaml, or in servers.yaml."""
    tree = ast.parse(Path(decide_module.__file__).read_text(encoding="utf-8"))
    reasons = {"there is no grant"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            match node.value.elts[1]:
                case ast.Constant(value=str(reason)):
                    reasons.add(reason)
                case ast.JoinedStr(values=parts):
                    reasons.add("".join(p.value if isinstance(p, ast.Constant) else "#" for p in parts))
                case other:
                    pytest.fail(f"a reason that can't be read: {ast.dump(other)}")
    said = {
        re.sub(r"\d{4}-\d{2}-\d{2}|\d", "#", then)
        for scene in SERVERS["scenes"]
        for _, _, _, then in scene["asks"]
        if not then.startswith("yes ")
    }
    said |= {
        re.sub(r"\d{4}-\d{2}-\d{2}|\d", "#", c.question["then"])
        for c in CASES
        if not c.question["then"].startswith("yes by ")
    }
    assert said == reasons
    assert len(reasons) == 15


def test_every_action_and_level_of_the_ladder_occurs() -> None:
    assert {case.question["may"] for case in CASES} == set(ACTIONS)
