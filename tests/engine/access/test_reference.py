"""Worlds that nobody thought up: check, list, who and an application's question say what the slow and obvious reference says of them.

And what is added takes nothing away, what is ended gives nothing, but for one thing that the contract wants: on a FHIR server, or on a
patient, what an account was given itself comes before what it inherits there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from cast import MovableClock
from engine.access import reference
from engine.access.reference import What, Who, World
from engine.access.tables import address, digest, insert, named, patient_row
from engine.access.test_truth import listed_resources, listed_subjects
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.access import decide, listing
from hospitium.engine.access.asking import Asked, answer
from hospitium.engine.access.check import Question, Resource, SubjectKind, best_of, check, check_all
from hospitium.engine.access.decide import Allowed, Decision
from hospitium.engine.access.naming import Named
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.levels import Level

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
# What begins, and a window that closes, may be still to come; and so may what was ended, by a clock that is ahead.
DAYS = range(-5, 3)
ORGANIZATIONS, ACCOUNTS = ("o1", "o2", "o3"), ("a1", "a2", "a3")
TEAMS, PERSONS = ("t1", "t2"), ("p1",)
SERVERS, PATIENTS, RECORDS = ("s1", "s2"), ("jane", "june"), ("r1", "r2", "r3")
TYPE, OWN_ACTIONS = "c_thing", {"write": 6, "glance": 1, "share": 3}
OF_RECORDS = {1: "glance", 2: "connect", 3: "share", 4: "read", 5: "update", 6: "write", 7: "delete"}
OF_OTHERS = {1: "connect", 2: "connect", 3: "write", 4: "read", 5: "share", 6: "update", 7: "delete"}
"""By which action each level is asked for; of what is no record there is no `write`."""
GRANTEES = [
    *(Who("account", one) for one in ACCOUNTS), *(Who("team", one) for one in TEAMS), *(Who("person", one) for one in PERSONS),
    *(Who("organization", one) for one in ORGANIZATIONS),
]  # fmt: skip
THINGS = [
    *(What("record", one) for one in RECORDS), *(What("organization", one) for one in ORGANIZATIONS),
    *(What("fhir_server", one, one) for one in SERVERS), *(What("patient", *pair) for pair in product(PATIENTS, SERVERS)),
]  # fmt: skip


OFTEN = 2 * [one for one in THINGS if one.kind == "fhir_server"]


# -- a world -------------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """From when until when, in days from now, and when its window closes by itself."""

    starts: int
    ends: int | None
    closes: int | None

    def columns(self, *, window: bool = False) -> dict[str, Any]:
        closes = None if self.closes is None or self.closes <= self.starts else NOW + self.closes * DAY
        return {
            "starts_at": NOW + self.starts * DAY,
            "ends_at": None
            if self.ends is None or self.starts > 0
            else NOW + max(self.ends, self.starts) * DAY,
            **({"until": closes} if window else {}),
        }


class Drawn(NamedTuple):
    """A world, by name."""

    statuses: tuple[str, ...]
    accounts: tuple[str, ...]
    records: tuple[tuple[str, str], ...]
    servers: tuple[tuple[str, str, str], ...]
    patients: frozenset[tuple[str, str]]
    members: list[tuple[str, str, str, Span]]
    in_teams: list[tuple[str, str, Span]]
    persons: list[tuple[str, str, int, Span]]
    grants: list[tuple[Who, What, int, Span]]
    restore: tuple[int, int, bool] | None
    suspended: list[tuple[str, str, bool]]  # patients, and whether an administrator has confirmed them


def mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * 5 + list(others))


def each_of(names: tuple[str, ...], what: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*(what for _ in names))


spans = st.builds(
    Span,
    st.sampled_from([-4, -5, -3, -2, -1, 0, 1]),
    st.sampled_from([None, None, None, None, None, None, -2, -1, 0, 1]),
    st.sampled_from([None, None, None, None, None, None, -1, 0, 1, 2]),
)
a_grant = st.tuples(st.sampled_from(GRANTEES), st.sampled_from(THINGS + OFTEN), st.integers(1, 7), spans)
worlds = st.builds(
    Drawn,
    each_of(ORGANIZATIONS, mostly("active", "suspended", "pending")),
    each_of(ACCOUNTS, mostly("active", "disabled")),
    each_of(RECORDS, st.tuples(st.sampled_from(ORGANIZATIONS), mostly("active", "archived", "deleted"))),
    each_of(
        SERVERS,
        st.tuples(
            st.sampled_from(ORGANIZATIONS),
            st.sampled_from(["built-in", "remote"]),
            mostly("open", "suspended", "removed"),
        ),
    ),
    st.frozensets(st.sampled_from([*product(SERVERS, PATIENTS)]), min_size=2),
    st.lists(
        st.tuples(
            st.sampled_from(ACCOUNTS), st.sampled_from(ORGANIZATIONS),
            st.sampled_from(["admin", "admin", "physician", "physician", "scheduler", "member"]), spans,
        ), min_size=4, max_size=10,
    ),
    st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(TEAMS), spans), min_size=3, max_size=8),
    st.lists(
        st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(PERSONS), st.sampled_from([4, 6, 7]), spans), min_size=2, max_size=5
    ),
    st.lists(a_grant, min_size=30, max_size=80),
    st.none() | st.none() | st.tuples(st.sampled_from(DAYS[:5]), st.integers(0, 2), st.booleans()),
    st.lists(
        st.tuples(st.sampled_from(SERVERS), st.sampled_from(PATIENTS), st.booleans()), max_size=3, unique_by=lambda one: one[:2]
    ),
)  # fmt: skip


def once(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Leave out whatever would be open twice."""
    found, seen = [], set()
    for row in rows:
        key = tuple(row[name] for name in names)
        if row["ends_at"] is None and key in seen:
            continue
        if row["ends_at"] is None:
            seen.add(key)
        found.append(row)
    return found


def id_of(what: What) -> What:
    """Return a thing by its ids."""
    server = None if what.server is None else named(what.server)
    return What(what.kind, what.id if what.kind == "patient" else str(named(what.id)), server)


def grant_row(drawn: Drawn, number: int, grant: tuple[Who, What, int, Span]) -> dict[str, Any]:
    who, what, level, span = grant
    there = id_of(what)
    of = (
        dict(zip(RECORDS, drawn.records, strict=True)).get(what.id, ("", ""))[0]
        if what.kind == "record"
        else ""
    )
    return {
        "id": named(f"grant {number}"), "grantee_kind": who.kind, "grantee_id": named(who.id), "resource_kind": what.kind,
        "resource_type": str(named(f"{TYPE} of {of}")) if of else "", "resource_id": there.id, "fhir_server_id": there.server, "level": level,
        "cause_kind": "operator", **span.columns(window=True),
    }  # fmt: skip


ONE_ON_SERVER = ("fhir_server_id", "grantee_id", "resource_id", "grantee_kind", "resource_kind")


async def build(tx: Any, drawn: Drawn) -> None:
    """Put a world into the database."""
    then = NOW - 9 * DAY
    made = {"created_at": then, "updated_at": NOW}
    await insert(tx, "organizations", [
        {"id": named(one), "code": f"drawn-{one}", "name": one, "name_key": one, "type": "both", "status": status, **made}
        for one, status in zip(ORGANIZATIONS, drawn.statuses, strict=True)
    ])  # fmt: skip
    await insert(tx, "service_keys", [
        {"id": named(f"key of {one}"), "organization_id": named(one), "name": "k", "digest": digest(one), "scopes": ["check"], "made_at": then} for one in ORGANIZATIONS
    ])  # fmt: skip
    await insert(tx, "accounts", [
        {"id": named(one), "email": address(one), "email_key": address(one), "password_hash": NOBODYS_HASH.reveal(), "status": status, "created_at": then}
        for one, status in zip(ACCOUNTS, drawn.accounts, strict=True)
    ])  # fmt: skip
    await insert(tx, "teams", [
        {"id": named(one), "organization_id": named("o1"), "name": one, "name_key": one, "created_at": then} for one in TEAMS
    ])  # fmt: skip
    await insert(tx, "persons", [
        {"id": named(one), "first_name": one, "last_name": "Doe", "gender": "other", "identifiers": [], "contacts": [], **made} for one in PERSONS
    ])  # fmt: skip
    await insert(tx, "object_types", [
        {"id": named(f"{TYPE} of {one}"), "organization_id": named(one), "name": TYPE, "plural_name": f"{TYPE}s", "label": "T", "storage": "stored",
         "allows_shares": True, "requires_acceptance": True, "sends_notifications": False, "share_chain": [5, 4, 2], "actions": OWN_ACTIONS, **made}
        for one in ORGANIZATIONS
    ])  # fmt: skip
    await insert(tx, "records", [
        {"id": named(one), "organization_id": named(of), "object_type_id": named(f"{TYPE} of {of}"), "owner_id": named("a1"), "creator_id": named("a1"),
         "status": status, "ended_at": NOW if status == "deleted" else None, "archived_at": NOW if status == "archived" else None, **made}
        for one, (of, status) in zip(RECORDS, drawn.records, strict=True)
    ])  # fmt: skip
    await insert(tx, "fhir_servers", [
        {"id": named(one), "organization_id": named(of), "name": one, "name_key": one, "kind": kind, "created_at": then,
         "base_url": "https://fhir.example" if kind == "remote" else None,
         "suspended_at": NOW if state == "suspended" else None, "removed_at": NOW if state == "removed" else None}
        for one, (of, kind, state) in zip(SERVERS, drawn.servers, strict=True)
    ])  # fmt: skip
    await insert(tx, "patient_suspensions", [
        {"id": named(f"suspension of {patient} on {server}"), "fhir_server_id": named(server), "patient_id": patient, "reason": "gone", "since": NOW - 2 * DAY,
         "lifted_at": NOW if confirmed else None}
        for server, patient, confirmed in drawn.suspended
    ])  # fmt: skip
    kinds = {one: kind for one, (_, kind, _) in zip(SERVERS, drawn.servers, strict=True)}
    await insert(tx, "fhir_resources", [
        patient_row(named(server), patient) for server, patient in sorted(drawn.patients) if kinds[server] == "built-in"
    ])  # fmt: skip
    await insert(tx, "memberships", once([
        {"id": named(f"m{n}"), "account_id": named(who), "organization_id": named(of), "role": role, **span.columns()}
        for n, (who, of, role, span) in enumerate(drawn.members)
    ], "account_id", "organization_id"))  # fmt: skip
    await insert(tx, "team_memberships", once([
        {"id": named(f"t{n}"), "account_id": named(who), "team_id": named(team), "is_owner": False, **span.columns()}
        for n, (who, team, span) in enumerate(drawn.in_teams)
    ], "account_id", "team_id"))  # fmt: skip
    await insert(tx, "person_roles", once([
        {"id": named(f"p{n}"), "account_id": named(who), "person_id": named(person), "level": level, "is_owner": False, "relationship": "other", **span.columns()}
        for n, (who, person, level, span) in enumerate(drawn.persons)
    ], "account_id", "person_id"))  # fmt: skip
    grants = [grant_row(drawn, n, grant) for n, grant in enumerate(drawn.grants)]
    on_servers = [row for row in grants if row["fhir_server_id"] is not None]
    await insert(
        tx,
        "grants",
        [row for row in grants if row["fhir_server_id"] is None] + once(on_servers, *ONE_ON_SERVER),
    )
    if drawn.restore is not None:
        begun, longer, confirmed = drawn.restore
        begun_at = NOW + begun * DAY
        await insert(tx, "epochs", [
            {"number": 2, "place": "here", "begun_at": begun_at, "holds_until": begun_at + longer * DAY, "confirmed_at": NOW if confirmed else None}
        ])  # fmt: skip


# -- questions -----------------------------------------------------------------------------------------------------------

SUBJECTS = [Who(one.kind, named(one.id)) for one in (*GRANTEES, Who("account", "nobody"))]
EVERY_THING = [id_of(one) for one in (*THINGS, What("record", "none"), What("patient", "no id", "s1"))]


def type_of(drawn: Drawn, what: What) -> str:
    """Return the id of a record's type, as text."""
    if what.kind != "record":
        return ""
    by_id = {str(named(one)): of for one, (of, _) in zip(RECORDS, drawn.records, strict=True)}
    return str(named(f"{TYPE} of {by_id.get(what.id, 'o1')}"))


def question(drawn: Drawn, who: Who, what: What, level: int, told_to: UUID | None = None) -> Question:
    return Question(
        SubjectKind(who.kind), who.id, Level(level), ResourceKind(what.kind), what.id, type_of(drawn, what), what.server, told_to
    )  # fmt: skip


def some(*key: Any) -> int:
    """Return a number that looks like chance, and is the same every time."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4])


def words(who: Who, what: What, level: int) -> tuple[Named, str]:
    """Return a question as an application puts it, and its action."""
    kinds = {
        "record": TYPE,
        "organization": "organization",
        "fhir_server": "FhirServer",
        "patient": "Patient",
    }
    action = (OF_RECORDS if what.kind == "record" else OF_OTHERS)[level]
    server = str(what.server) if what.kind == "patient" else ""
    return Named(who.kind, str(who.id), action, kinds[what.kind], what.id, server), action


class Compared:
    """Compares what the engine says of a world with what the reference says; counts, so that a world in which nothing is allowed shows."""

    def __init__(self, ctx: Context, drawn: Drawn, world: World) -> None:
        self.ctx = ctx
        self.drawn = drawn
        self.world = world
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []

    def same(self, found: Any, expected: Any, *what: Any) -> None:
        self.seen[f"{what[0]}: {'yes' if expected else 'no'}"] += 1
        if found != expected:
            self.wrong.append(f"{what}: {found!r}, and the reference says {expected!r}")

    def decided(self, decision: Decision, best: int, needed: int, *what: Any) -> None:
        found = int(decision.level) if isinstance(decision, Allowed) else 0
        self.same(found, best if best >= needed else 0, *what)

    async def by_ids(self) -> None:
        """Every subject, every level, every resource: now in one statement, and as of some moment one by one."""
        every = [(who, what, level) for who in SUBJECTS for what in EVERY_THING for level in (1, 4, 6, 7)]
        levels = {(who, what): self.world.level(who, what) for who in SUBJECTS for what in EVERY_THING}
        found = await check_all(self.ctx, [question(self.drawn, *one) for one in every])
        for (who, what, level), decision in zip(every, found, strict=True):
            self.decided(decision, levels[who, what], level, "check_all", who, what, level)
        for who, what in levels:
            then = NOW + DAYS[some(who, what, self.drawn.restore) % len(DAYS)] * DAY
            level = some(what, who) % 7 + 1
            then_world = self.world.at(then, as_of_then=True)
            decision = await check(self.ctx._replace(now=then), question(self.drawn, who, what, level))
            self.decided(decision, then_world.level(who, what), level, "check", who, what, level, then)

    async def as_told(self, level: int) -> None:
        """What an organization is told of its own connections: in one statement, one by one, and as a list of accounts."""
        accounts = [who for who in SUBJECTS if who.kind == "account"]
        for of, what in product(ORGANIZATIONS, [one for one in EVERY_THING if one.kind == "organization"]):
            levels = [self.world.level(who, what, told_to=named(of)) for who in accounts]
            asked = [question(self.drawn, who, what, level, named(of)) for who in accounts]
            for who, best, decision in zip(accounts, levels, await check_all(self.ctx, asked), strict=True):
                self.decided(decision, best, level, "told", of, who, what, level)
            then = self.world.at(NOW, as_of_then=True).level(accounts[0], what, told_to=named(of))
            self.decided(await check(self.ctx, asked[0]), then, level, "told then", of, what, level)
            resource = Resource(ResourceKind.ORGANIZATION, what.id)
            asker = msgspec.structs.replace(self.ctx.actor, organization_id=named(of))
            ctx = self.ctx._replace(actor=asker)
            found = [one.id for one in await listing.accounts_on(ctx, resource, Level(level), FIRST_ID, 100)]
            expected = sorted(who.id for who, best in zip(accounts, levels, strict=True) if best >= level)
            self.same(found, expected, "told who", of, what, level)
            counted = await listing.count_accounts_on(ctx, resource, Level(level))
            self.same(counted, len(expected), "told how many", of, what, level)

    async def by_applications(self) -> None:
        """The same, by a key of each organization, which sees its own world only."""
        every = [(of, who, what, some(of, who, what) % 7 + 1) for of in ORGANIZATIONS for who in SUBJECTS for what in EVERY_THING]  # fmt: skip
        asked = [Asked(digest(of), words(who, what, level)[0]) for of, who, what, level in every]
        for (of, who, what, level), found in zip(every, await answer(self.ctx.tx, asked, NOW), strict=True):
            named_, action = words(who, what, level)
            needed = self.world.needed(named(of), named_.resource_type, action)
            # A record of another organization is of none of the asker's types.
            own_type = what.kind != "record" or type_of(self.drawn, what) == str(named(f"{TYPE} of {of}"))
            best = self.world.level(who, what, named(of)) if own_type and needed is not None else 0
            self.decided(found.decision, best, needed or 0, "answer", of, who, what, action)

    async def by_lists(self, level: int) -> None:
        """Everything that everybody may do it on, whole and in order; and everybody who may do it there."""
        for of, who, kind in product(
            ORGANIZATIONS, SUBJECTS, ("record", "organization", "fhir_server", "patient")
        ):
            if some(of, who, kind, level) % 2:
                continue
            things = [what for what in EVERY_THING if what.kind == kind]
            asked, action = words(who, things[0], level)
            asked = asked._replace(resource_id="", fhir_server_id="")
            needed = self.world.needed(named(of), asked.resource_type, action)
            expected = sorted(
                (what.id, what.server)
                for what in things
                if (kind != "record" or type_of(self.drawn, what) == str(named(f"{TYPE} of {of}")))
                and needed is not None
                and self.world.is_listed(who, what, needed, named(of))
            )
            listed = await listed_resources(self.ctx, named(of), asked)
            self.same(
                [(one.id, one.fhir_server_id) for one in listed], expected, "list", of, who, kind, action
            )
            self.same(
                await listing.count_resources(self.ctx, named(of), asked),
                len(expected),
                "count",
                of,
                who,
                kind,
            )
            if kind == "patient":
                remote = [
                    UUID(what.id)
                    for what in EVERY_THING
                    if what.kind == "fhir_server" and self.is_remote(what)
                ]
                wholly = [
                    one for one in remote
                    if needed is not None and self.world.level(who, What("fhir_server", str(one), one), named(of)) >= needed
                ]  # fmt: skip
                elsewhere = await listing.patients_elsewhere(self.ctx, named(of), asked)
                self.same(elsewhere, sorted(wholly), "elsewhere", of, who, action)
        for of, what, kind in product(
            ORGANIZATIONS, EVERY_THING, ("account", "team", "person", "organization")
        ):
            if some(of, what, kind, level) % 2:
                continue
            those = [who for who in SUBJECTS if who.kind == kind]
            asked, action = words(those[0], what, level)
            needed = self.world.needed(named(of), asked.resource_type, action)
            own_type = what.kind != "record" or type_of(self.drawn, what) == str(named(f"{TYPE} of {of}"))
            expected_ids = sorted(
                who.id for who in those if own_type and needed is not None and self.world.level(who, what, named(of)) >= needed
            )  # fmt: skip
            asked = asked._replace(subject_id="")
            found = [one.id for one in await listed_subjects(self.ctx, named(of), asked)]
            self.same(found, expected_ids, "who", of, what, kind, action)
            self.same(
                await listing.count_subjects(self.ctx, named(of), asked),
                len(expected_ids),
                "count who",
                of,
                what,
            )

    def is_remote(self, what: What) -> bool:
        return bool(self.world.servers[what.server]["kind"] == "remote")

    async def one_by_one(self) -> None:
        """What deeds rest on, and the names of what may be done."""
        for number, (who, what) in enumerate(
            product([one for one in SUBJECTS if one.kind == "account"], EVERY_THING)
        ):
            if number % 5:
                continue
            resource = Resource(ResourceKind(what.kind), what.id, type_of(self.drawn, what), what.server)
            best = await best_of(self.ctx, who.id, resource)
            self.same(
                0 if best is None else int(best.level), self.world.level(who, what), "best_of", who, what
            )
            of = self.world.owner_of(what)
            if of is not None:
                asked, _ = words(who, what, 4)
                level = self.world.level(who, what, of)
                usual = [
                    "connect",
                    "read",
                    "share",
                    "update",
                    "delete",
                    *(OWN_ACTIONS if what.kind == "record" else ()),
                ]
                may = sorted(
                    {
                        one
                        for one in usual
                        if 1 <= (self.world.needed(of, asked.resource_type, one) or 9) <= level
                    }
                )
                self.same(await listing.actions(self.ctx, of, asked), may, "actions", who, what)

    async def everything(self, level: int) -> None:
        await self.by_ids()
        await self.by_applications()
        await self.by_lists(level)
        await self.as_told(level)
        await self.one_by_one()


# -- the machine -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_worlds(database_url: str) -> Iterator[Callable[[Callable[[Any], Awaitable[None]]], None]]:
    """Runs something in a database with nothing in it but the cast, of which nothing remains."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        ground = runner.run(stack.enter_async_context(Ground.open(database_url, MovableClock())))

        async def trial(body: Callable[[Any], Awaitable[None]]) -> None:
            async with ground.trial() as tx:
                # A plan for each statement, and not for each of its thousand executions, which each take less than a plan.
                await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                await body(Context(tx, ground.actors["system"], NOW))

        yield lambda body: runner.run(trial(body))
        runner.run(stack.aclose())


def few(rounds: int, examples: int) -> settings:
    return settings(
        max_examples=min(max(rounds * examples // 20, 1), 1_000),
        derandomize=rounds <= 20,
        deadline=None,
        database=None,
        # Without the lesser phases a failure is told as it was found: to find the smallest such world takes minutes.
        phases=[Phase.generate, Phase.shrink] if rounds > 20 else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def compared(in_worlds: Any, rounds: int, examples: int) -> Counter[str]:
    """Compare in worlds; return what was said how often. Raises AssertionError at the first world in which anything differs."""
    seen: Counter[str] = Counter()

    @few(rounds, examples)
    @given(worlds, st.sampled_from([2, 4, 5, 6, 7]))
    def compare(drawn: Drawn, level: int) -> None:
        async def in_one(ctx: Context) -> None:
            await build(ctx.tx, drawn)
            comparison = Compared(ctx, drawn, await World.read(ctx.tx, NOW))
            await comparison.everything(level)
            seen.update(comparison.seen)
            assert not comparison.wrong, comparison.wrong[:5]

        in_worlds(in_one)

    compare()
    return seen


def test_everything_says_what_the_slow_and_obvious_way_says(in_worlds: Any, rounds: int) -> None:
    seen = compared(in_worlds, rounds, 5)
    for way in ("check_all", "check", "answer", "list", "who", "told", "told who", "best_of", "actions"):
        assert seen[f"{way}: yes"] >= rounds // 5, f"{way} hardly ever said yes, so it shows little"
        assert seen[f"{way}: no"] >= rounds // 5
    assert seen["elsewhere: yes"]


def test_the_reference_shares_nothing_with_the_engine() -> None:
    assert "hospitium" not in Path(reference.__file__).read_text("utf-8")


@pytest.mark.soak
def test_control_a_list_that_has_what_a_clock_ahead_has_ended_is_found_out(
    in_worlds: Any, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_open = "grants.ends_at IS NULL"
    assert is_open in listing._RESOURCES.sql
    monkeypatch.setattr(listing._RESOURCES, "sql", listing._RESOURCES.sql.replace(is_open, "true"))
    with pytest.raises(AssertionError, match="and the reference says"):
        compared(in_worlds, min(rounds, 20), 40)


@pytest.mark.soak
def test_control_a_rule_that_forgets_that_ones_own_comes_first_is_found_out(
    in_worlds: Any, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "_eclipsed", lambda *_: None)
    with pytest.raises(AssertionError, match="and the reference says"):
        compared(in_worlds, min(rounds, 20), 40)


def levels(found: list[Decision], asked: list[tuple[Who, What]]) -> dict[tuple[Who, What], int]:
    return {
        one: int(decision.level) if isinstance(decision, Allowed) else 0
        for one, decision in zip(asked, found, strict=True)
    }


async def everybodys(ctx: Context, drawn: Drawn) -> dict[tuple[Who, What], int]:
    """Return how much everybody may do on everything."""
    asked = [(who, what) for who in SUBJECTS for what in EVERY_THING]
    return levels(await check_all(ctx, [question(drawn, *one, 1) for one in asked]), asked)


def comes_before(grant: tuple[Who, What, int, Span], who: Who, what: What) -> bool:
    """Whether a grant may come before what somebody inherits: his own, on a FHIR server, on what that is on."""
    to, on = grant[0], id_of(grant[1])
    if to.kind != "account" or (who.kind, who.id) != ("account", named(to.id)):
        return False
    if on.kind not in ("fhir_server", "patient"):
        return False
    return what == on or (on.kind == "fhir_server" and what.kind == "patient" and what.server == on.server)


def test_a_grant_takes_nothing_from_anybody_and_its_end_gives_nothing(in_worlds: Any, rounds: int) -> None:
    seen: Counter[str] = Counter()

    @few(rounds, 15)
    @given(worlds, a_grant)
    def compare(drawn: Drawn, grant: tuple[Who, What, int, Span]) -> None:
        grant = (*grant[:3], Span(-1, None, None))
        row = grant_row(drawn, 99, grant)

        async def compared(ctx: Context) -> None:
            await build(ctx.tx, drawn)
            if row["fhir_server_id"] is not None:
                # Of one grantee there is one on the same: this one is there instead.
                await ctx.tx.execute(
                    "UPDATE grants SET ends_at = greatest(starts_at, $1) WHERE ends_at IS NULL AND "
                    "(fhir_server_id, grantee_id, resource_id, grantee_kind, resource_kind) = ($2, $3, $4, $5, $6)",
                    NOW - 9 * DAY, *(row[name] for name in ONE_ON_SERVER),
                )  # fmt: skip
            before = await everybodys(ctx, drawn)
            await insert(ctx.tx, "grants", [row])
            during = await everybodys(ctx, drawn)
            await ctx.tx.execute("UPDATE grants SET ends_at = $1 WHERE id = $2", NOW, row["id"])
            after = await everybodys(ctx, drawn)
            assert after == before
            for (who, what), level in during.items():
                if level < before[who, what]:
                    assert comes_before(grant, who, what), (who, what)
                elif level > before[who, what]:
                    seen["more"] += 1

        in_worlds(compared)

    compare()
    assert seen["more"] >= rounds // 10, "hardly any grant gave anything, so it shows little"


def test_the_one_exception_happens(in_worlds: Any) -> None:
    """A physician inherits 6 on the server, and is given 4 himself: 4 it is, there and on its patients; when that ends, it is 6 again."""
    drawn = Drawn(
        ("active",) * 3, ("active",) * 3, (("o1", "active"),) * 3, (("o1", "built-in", "open"),) * 2, frozenset({("s1", "jane")}),
        [("a1", "o1", "physician", Span(-5, None, None))], [], [], [(Who("organization", "o1"), What("fhir_server", "s1", "s1"), 7, Span(-5, None, None))], None, [],
    )  # fmt: skip
    grant = (Who("account", "a1"), What("fhir_server", "s1", "s1"), 4, Span(-1, None, None))
    who = Who("account", named("a1"))
    there = [id_of(What("fhir_server", "s1", "s1")), id_of(What("patient", "jane", "s1"))]

    async def happens(ctx: Context) -> None:
        await build(ctx.tx, drawn)
        found = [await everybodys(ctx, drawn)]
        await insert(ctx.tx, "grants", [grant_row(drawn, 99, grant)])
        found.append(await everybodys(ctx, drawn))
        await ctx.tx.execute("UPDATE grants SET ends_at = $1 WHERE id = $2", NOW, named("grant 99"))
        found.append(await everybodys(ctx, drawn))
        assert [[one[who, what] for what in there] for one in found] == [[6, 6], [4, 4], [6, 6]]
        assert all(comes_before(grant, who, what) for what in there)

    in_worlds(happens)
