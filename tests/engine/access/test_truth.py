"""Every question of the truth tables, asked in every way there is, gets the answer that the table says.

By check, for one and for many; by an application of every organization, with everybody and everything named in every way it may be named;
by the list of what the subject may do it on, by the list of who may do it there, by the list of what he may do there; and by the explanation.
A question of a past moment is asked twice: as of then, and in the world as it stood then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest

from engine.access.tables import (
    NO_SUCH_ACTION,
    TABLES,
    Table,
    Thing,
    address,
    digest,
    moment,
    named,
    subject_of,
)
from hospitium.engine.access import asking, listing, restrictions
from hospitium.engine.access.asking import NO_ACTION, Asked, answer
from hospitium.engine.access.check import Question, check, check_all
from hospitium.engine.access.decide import Allowed
from hospitium.engine.access.explain import explain
from hospitium.engine.access.listing import After
from hospitium.engine.access.naming import Named
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import FIRST_ID, to_object_id

if TYPE_CHECKING:
    from engine.ground import Ground
    from hospitium.engine.access.listing import ListedResource, ListedSubject

LEAST = {"decisions": 14_000, "servers": 7_000}
"""How many assertions there are at least, by table."""
MOST = 3  # on a page, so that pages are turned


class Tally:
    """Counts what was asserted, and keeps what was wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.wrong: list[str] = []

    def agrees(self, found: Any, expected: Any, *what: Any) -> None:
        self.count += 1
        if found != expected:
            self.wrong.append(f"{' '.join(map(str, what))}: {found!r} and not {expected!r}")


class Case(NamedTuple):
    """A question of a table, and which organizations' applications are told that it is so."""

    table: Table
    scene: dict[str, Any]
    asked: dict[str, Any]
    thing: Thing

    @property
    def is_allowed(self) -> bool:
        return bool(self.asked["then"].startswith("yes "))

    def sees(self, organization: str) -> bool:
        """Whether an application of the organization is told yes."""
        told = {self.table.home(self.thing), *self.asked.get("also", [])} - {*self.asked.get("but", [])}
        return self.is_allowed and organization in told

    def askers(self) -> list[str]:
        """Return whose applications look into lists: those who are told, the organization it is about, and one more."""
        own = {self.table.home(self.thing), *self.asked.get("also", [])}
        others = [name for name in self.table["organizations"] if name not in own]
        another = others[len(str(self)) % len(others)]
        return [name for name in self.table["organizations"] if name in own or name == another]

    def subjects(self, organization: str) -> list[tuple[str, str]]:
        """Return every way to name the subject: its type and its id."""
        kind, name = subject_of(self.asked["who"])
        found = [(kind, str(named(name))), (kind, to_object_id(named(name)) or "")]
        if kind == "account" and name in self.table["accounts"]:
            account = self.table.account(name)
            found += [("user", one) for _, one in found]
            if "address" not in account:
                found += [("user", address(name)), ("account", address(name).upper())]
            if organization in account.get("called", {}):
                found += [("user", account["called"][organization])]
        return found

    def resources(self, organization: str) -> list[tuple[str, str, str]]:
        """Return every way to name the resource: its type, its id, and the FHIR server where it is."""
        words, thing = self.table.words(self.thing), self.thing
        server = "" if thing.server_id is None else str(thing.server_id)
        if thing.kind is ResourceKind.PATIENT:
            return [
                (words, thing.id, server),
                (words, thing.id, to_object_id(named(thing.server or "")) or ""),
            ]
        found = [(words, thing.id, ""), (words, to_object_id(UUID(thing.id)) or "", "")]
        called = self.table["records"].get(thing.name, {}) if thing.kind is ResourceKind.RECORD else {}
        if "called" in called and organization == called["of"]:
            found.append((words, called["called"], ""))
        return found

    def __str__(self) -> str:
        return f"{self.scene['title']}: {self.asked}"


def cases_by_moment(table: Table, scene: dict[str, Any]) -> list[tuple[datetime, list[Case]]]:
    cases = [Case(table, scene, asked, Thing.of(asked["what"])) for asked in scene["questions"]]
    cases.sort(key=lambda case: moment(case.asked))
    return [(at, list(those)) for at, those in groupby(cases, key=lambda case: moment(case.asked))]


async def by_ids(ctx: Context, cases: list[Case], tally: Tally) -> None:
    """Ask by ids, as of the context's instant: the reason is the table's word for word."""
    for case in cases:
        question = case.table.question(case.asked)
        if question is not None:
            said = case.table.says(case.scene, await check(ctx, question))
            tally.agrees(said, case.asked["then"], "check", case)
            later = ctx._replace(now=ctx.now + timedelta(days=5_000))
            await explained(later, case, question, ctx.now, tally)
            if "at" not in case.asked:
                await explained(ctx, case, question, None, tally)


async def explained(ctx: Context, case: Case, question: Question, at: datetime | None, tally: Tally) -> None:
    """Ask why: the reason is the table's word for word, and whoever is named stands on the path."""
    told = await explain(ctx, question, at)
    tally.agrees(case.table.says(case.scene, told.decision), case.asked["then"], "explain", case)
    tally.agrees(bool(told.path), case.asked["then"] != "there is no grant", "path of", case)


async def all_by_ids(ctx: Context, cases: list[Case], tally: Tally) -> None:
    """Ask all of them in one statement, of what is open at the context's instant."""
    by_id = [(case, question) for case in cases if (question := case.table.question(case.asked)) is not None]
    found = await check_all(ctx, [question for _, question in by_id])
    for (case, _), decision in zip(by_id, found, strict=True):
        if case.is_allowed:
            tally.agrees(case.table.says(case.scene, decision), case.asked["then"], "check_all", case)
        else:
            tally.agrees(isinstance(decision, Allowed), False, "check_all", case)


async def by_applications(ctx: Context, cases: list[Case], tally: Tally) -> None:
    """Ask as an application of each organization, with everything named in every way, all in one statement."""
    every = [
        (case, organization, Named(*subject, case.asked["may"], *resource))
        for case in cases
        if case.thing.kind is not ResourceKind.ACCOUNT  # no application can ask about one
        for organization in case.table["organizations"]
        for subject in case.subjects(organization)
        for resource in case.resources(organization)
    ]
    asked = [Asked(digest(organization), words) for _, organization, words in every]
    for (case, organization, words), found in zip(every, await answer(ctx.tx, asked, ctx.now), strict=True):
        if case.sees(organization):
            said = case.table.says(case.scene, found.decision)
            tally.agrees(said, case.asked["then"], "answer", organization, words, case)
        else:
            tally.agrees(isinstance(found.decision, Allowed), False, "answer", organization, words, case)
        if case.asked["then"] == NO_SUCH_ACTION and organization == case.table.home(case.thing):
            tally.agrees(found.decision, NO_ACTION, "answer", organization, words, case)


async def listed_resources(ctx: Context, organization: UUID, words: Named) -> list[ListedResource]:
    """Turn the pages to the end."""
    found: list[ListedResource] = []
    after = After()
    while page := await listing.resources(ctx, organization, words, after, MOST):
        found += page
        after = After(page[-1].id, page[-1].fhir_server_id or FIRST_ID)
    return found


async def listed_subjects(ctx: Context, organization: UUID, words: Named) -> list[ListedSubject]:
    """Turn the pages to the end."""
    found: list[ListedSubject] = []
    after = FIRST_ID
    while page := await listing.subjects(ctx, organization, words, after, MOST):
        found += page
        after = page[-1].id
    return found


async def by_lists(ctx: Context, cases: list[Case], tally: Tally) -> None:
    """Look for the resource among what the subject may do it on, for the subject among who may do it there, and for the action."""
    for case in cases:
        if case.thing.kind is ResourceKind.ACCOUNT:
            continue
        for organization in case.askers():
            words = Named(
                *case.subjects(organization)[-1], case.asked["may"], *case.resources(organization)[-1]
            )
            sees, of = case.sees(organization), named(organization)
            things = await listed_resources(ctx, of, words)
            there = any(
                (one.id, one.fhir_server_id if case.thing.kind is ResourceKind.PATIENT else None)
                == (case.thing.id, case.thing.server_id if case.thing.kind is ResourceKind.PATIENT else None)
                for one in things
            )
            if words.resource_type == "Patient":
                there = there or case.thing.server_id in await listing.patients_elsewhere(ctx, of, words)
            tally.agrees(there, sees, "list for", organization, case)
            tally.agrees(len({(one.id, one.fhir_server_id) for one in things}), len(things), "twice in", case)
            tally.agrees(await listing.count_resources(ctx, of, words), len(things), "counted in", case)

            those = await listed_subjects(ctx, of, words)
            subject_id = named(subject_of(case.asked["who"])[1])
            tally.agrees(subject_id in {one.id for one in those}, sees, "who, for", organization, case)
            tally.agrees(len({one.id for one in those}), len(those), "twice who, in", case)
            tally.agrees(await listing.count_subjects(ctx, of, words), len(those), "counted who, in", case)

            may = await listing.actions(ctx, of, words)
            tally.agrees(case.asked["may"] in may, sees, "what, for", organization, case)


async def asked_in_every_way(ground: Ground, table: Table, *, to_the_end: bool = True) -> Tally:
    """Ask everything of a table; or until something is wrong."""
    tally = Tally()
    async with ground.database.transaction() as tx:
        await table.build(tx)
    for scene in table.scenes:
        async with ground.trial() as tx:
            await table.stage(tx, scene)
            for at, cases in cases_by_moment(table, scene):
                await by_ids(Context(tx, ground.actors["system"], at), cases, tally)
        for at, cases in cases_by_moment(table, scene):
            async with ground.trial() as tx:
                await table.stage(tx, scene, at)
                # A plan for each statement, and not for each of its executions, which each take less than a plan.
                await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                ctx = Context(tx, ground.actors["system"], at)
                await all_by_ids(ctx, cases, tally)
                await by_applications(ctx, cases, tally)
                await by_lists(ctx, cases, tally)
        if tally.wrong and not to_the_end:
            break
    return tally


@pytest.mark.parametrize("name", TABLES)
async def test_a_question_has_one_answer_however_it_is_asked(ground: Ground, name: str) -> None:
    tally = await asked_in_every_way(ground, TABLES[name])
    assert tally.wrong == []
    assert tally.count >= LEAST[name]


def test_there_are_two_thousand_assertions_and_more() -> None:
    assert sum(LEAST.values()) >= 2_000


# -- controls ------------------------------------------------------------------------------------------------------------

RESTRICTIONS = [type(one).__name__ for one in restrictions.RESTRICTIONS]
FORGOTTEN = {
    "an application learns of another's": (
        "decisions",
        asking._ANSWER,
        "about.id = asked.organization_id",
        "true",
    ),
    "a list has what a closed window was for": (
        "decisions",
        listing._RESOURCES,
        "least(grants.ends_at, grants.until)",
        "grants.ends_at",
    ),
    "a list has what a restore holds": (
        "decisions",
        listing._RESOURCES,
        "(SELECT min(epochs.begun_at)",
        "(SELECT min(NULL::timestamptz)",
    ),
    "a list has what is about a suspended organization": (
        "decisions",
        listing._RESOURCES,
        "about.status = 'active'",
        "true",
    ),
    "a list has patients of a suspended server": (
        "servers",
        listing._PATIENTS,
        "fhir_servers.suspended_at IS NULL",
        "true",
    ),
    "a list has patients who were found changed": (
        "servers",
        listing._PATIENTS,
        "patient_suspensions.lifted_at IS NULL",
        "false",
    ),
    "who names the disabled": ("decisions", listing._SUBJECTS, "accounts.status = 'active'", "true"),
    "who names members who are not staff": ("decisions", listing._SUBJECTS, "!= 'member'", "IS NOT NULL"),
    "who forgets that one's own comes first": (
        "servers",
        listing._SUBJECTS,
        "EXISTS (",
        "false AND EXISTS (",
    ),
    "who takes all that a partner has": (
        "servers",
        listing._SUBJECTS,
        "least(grants.level, 4)",
        "grants.level",
    ),
}
"""What a statement may forget: in which table it shows, which it is, what it forgets, and what stands there then."""


@pytest.mark.parametrize("restriction", RESTRICTIONS)
async def test_control_a_rule_without_one_restriction_is_found_out(
    ground: Ground, restriction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getattr(restrictions, restriction), "refuses", lambda *_: None)
    of_servers = ("ServerIsNotSuspended", "PatientIsNotSuspended")
    table = TABLES["servers" if restriction in of_servers else "decisions"]
    assert (await asked_in_every_way(ground, table, to_the_end=False)).wrong


@pytest.mark.parametrize("what", FORGOTTEN)
async def test_control_a_statement_that_forgets_one_condition_is_found_out(
    ground: Ground, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, query, condition, instead = FORGOTTEN[what]
    assert condition in query.sql, query.sql
    monkeypatch.setattr(query, "sql", query.sql.replace(condition, instead))
    assert (await asked_in_every_way(ground, TABLES[name], to_the_end=False)).wrong
