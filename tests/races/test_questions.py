"""Questions that come at the same time share a statement, and nothing else: neither an older answer, nor each other's, nor each other's end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from engine.access.tables import DECISIONS, TODAY, Thing, digest, named, subject_of
from hospitium.doors.authzen import questions as door
from hospitium.doors.authzen.questions import ENOUGH, MOST_IN_A_STATEMENT, MOST_WAITING, WORKERS, Questions
from hospitium.engine.access.asking import Answer, Asked, Asker, answer
from hospitium.engine.access.decide import Allowed, Decision, Denied
from hospitium.engine.access.naming import Named
from hospitium.engine.errors import Busy, Forbidden, OrganizationInactive, Refusal, SessionEnded, Unavailable
from hospitium.engine.levels import Level
from hospitium.engine.secrets import ServiceKeyText
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from engine.ground import Ground

KEY = ServiceKeyText("northside")
ONE = [Named("account", "ada", "read", "c_prescription", "rx-1")]
BOUND = 10  # seconds for whatever must not hang


class Statements:
    """Stands where the database is: statements that begin, are held until they are let go, and say which they were."""

    def __init__(self) -> None:
        self.begun: list[list[Asked]] = []
        self.running = 0
        self.most = 0
        self.fails: Exception | None = None
        self._go = asyncio.Event()
        self._go.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Statements]:
        yield self

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    async def answer(self, tx: Any, asked: Sequence[Asked], now: Any) -> list[Answer]:
        number = len(self.begun)
        self.begun.append(list(asked))
        fails, self.fails = self.fails, None
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self._go.wait()
        finally:
            self.running -= 1
        if fails is not None:
            raise fails
        asker = Asker(1, uuid4(), True, ["check"], Level.READ)  # type: ignore[list-item]
        return [Answer(asker, Denied(f"{number} {one.named.subject_id}")) for one in asked]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    made = Statements()
    monkeypatch.setattr(door, "answer", made.answer)
    return made


def asking(database: Any, kind: type[Questions] = Questions) -> Questions:
    return kind(database, lambda: TODAY, lambda _: nullcontext(), lambda _key, _at: None)


def by(who: str, count: int = 1) -> list[Named]:
    return [ONE[0]._replace(subject_id=who)] * count


async def comes_to(condition: Callable[[], bool]) -> None:
    """Let others run until it is so."""
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0)


async def a_while() -> None:
    """Let whoever can go on go on, for some turns."""
    for _ in range(10):
        await asyncio.sleep(0)


def ask(questions: Questions, who: str, count: int = 1) -> asyncio.Task[list[Decision]]:
    return asyncio.create_task(questions.ask(KEY, by(who, count)))


def said(decisions: list[Decision], who: str) -> int:
    """Return by which statement somebody was answered; he was answered, and nobody else."""
    numbers = set()
    for one in decisions:
        assert isinstance(one, Denied)
        number, _, name = one.reason.partition(" ")
        assert name == who
        numbers.add(int(number))
    (found,) = numbers
    return found


# -- never an older answer -----------------------------------------------------------------------------------------------


class FromTheRunning(Questions):
    """For a control: who asks what is being asked already is given that answer."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._asked: dict[Named, asyncio.Future[list[Answer]]] = {}

    async def _answers(self, digest: bytes, questions: Sequence[Named]) -> list[Answer]:
        question = questions[0]
        if question not in self._asked:
            self._asked[question] = asyncio.ensure_future(super()._answers(digest, questions))
        try:
            return await asyncio.shield(self._asked[question])
        finally:
            self._asked.pop(question, None)


async def answered_by_older(statements: Statements, kind: type[Questions]) -> int:
    """Ask the same thing again and again while statements run; return how often a statement answered that had begun before it was asked."""
    questions = asking(statements, kind)
    older = 0
    for _ in range(20):
        statements.hold()
        before = len(statements.begun)
        first = ask(questions, "ada")
        await comes_to(lambda before=before: len(statements.begun) > before)  # type: ignore[misc]
        later = []
        for _ in range(6):  # so many at a time that soon there are two statements
            later.append((len(statements.begun), ask(questions, "ada", ENOUGH // 2)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        statements.let_go()
        said(await first, "ada")
        for begun_before, task in later:
            older += said(await task, "ada") < begun_before
    assert statements.most == WORKERS or kind is not Questions
    return older


async def test_nobody_is_answered_by_a_statement_that_had_begun_before_he_asked(
    statements: Statements,
) -> None:
    assert await answered_by_older(statements, Questions) == 0


async def test_control_an_answer_from_a_running_statement_is_found_out(statements: Statements) -> None:
    assert await answered_by_older(statements, FromTheRunning) > 0


# -- shared statements -----------------------------------------------------------------------------------------------------


async def one_runs(statements: Statements, questions: Questions) -> asyncio.Task[list[Decision]]:
    """Have somebody ask, and hold the statement that asks for him."""
    statements.hold()
    before = len(statements.begun)
    first = ask(questions, "first")
    await comes_to(lambda: len(statements.begun) > before)
    return first


async def test_those_who_come_while_a_statement_runs_are_asked_for_together_by_the_next(
    statements: Statements,
) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    few = [ask(questions, str(n)) for n in range(ENOUGH - 1)]
    await a_while()
    assert len(statements.begun) == 1, "so few are not worth a second statement"
    statements.let_go()
    assert said(await first, "first") == 0
    assert {said(await task, str(n)) for n, task in enumerate(few)} == {1}
    assert len(statements.begun) == 2


async def test_many_do_not_wait_for_the_statement_that_runs(statements: Statements) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    many = [ask(questions, str(n)) for n in range(ENOUGH)]
    await comes_to(lambda: len(statements.begun) == 2)
    late = [ask(questions, f"late {n}") for n in range(ENOUGH)]
    await a_while()
    assert len(statements.begun) == 2, "there are two at most"
    statements.let_go()
    assert said(await first, "first") == 0
    assert {said(await task, str(n)) for n, task in enumerate(many)} == {1}
    assert {said(await task, f"late {n}") for n, task in enumerate(late)} == {2}


async def test_no_more_statements_run_at_once_however_many_ask(statements: Statements) -> None:
    questions = asking(statements)
    tasks = []
    for n in range(300):
        tasks.append(ask(questions, str(n), ENOUGH // 2))
        if n % 7 == 0:
            (statements.hold if n % 14 else statements.let_go)()
            await asyncio.sleep(0)
    statements.let_go()
    for n, task in enumerate(tasks):
        said(await task, str(n))
    assert statements.most == WORKERS == 2
    assert statements.running == 0


async def test_a_statement_asks_no_more_than_it_may_and_splits_nobodys_questions(
    statements: Statements,
) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    sizes = [600, 400, 1, MOST_IN_A_STATEMENT, 3, 997, 2 * MOST_IN_A_STATEMENT, 5]
    tasks = [ask(questions, str(n), size) for n, size in enumerate(sizes)]
    await a_while()
    statements.let_go()
    await first
    for n, (size, task) in enumerate(zip(sizes, tasks, strict=True)):
        answers = await task
        assert len(answers) == size
        said(answers, str(n))
    found = [len(one) for one in statements.begun[1:]]
    assert found == [1_000, 1, 1_000, 1_000, 2_000, 5]


# -- nobody is disturbed ---------------------------------------------------------------------------------------------------


async def test_who_goes_away_disturbs_nobody(statements: Statements) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    waiting = [ask(questions, f"later {n}") for n in range(9)]
    await a_while()
    gone = [first, *waiting[::2]]
    for task in gone:
        task.cancel()
    await a_while()
    statements.let_go()
    for n in range(1, 9, 2):
        said(await waiting[n], f"later {n}")
    assert [task.cancelled() for task in gone] == [True] * len(gone)
    asked_for = [one.named.subject_id for one in statements.begun[-1]]
    assert asked_for == [f"later {n}" for n in range(1, 9, 2)], "who went away is asked for"
    said(await ask(questions, "afterwards"), "afterwards")


async def test_who_goes_away_while_he_is_asked_for_disturbs_nobody(statements: Statements) -> None:
    questions = asking(statements)
    statements.hold()
    together = [ask(questions, str(n)) for n in range(9)]
    await comes_to(lambda: len(statements.begun) == 1)
    assert len(statements.begun[0]) == 9
    for task in together[::2]:
        task.cancel()
    await a_while()
    statements.let_go()
    assert [said(await together[n], str(n)) for n in range(1, 9, 2)] == [0] * 4


async def test_if_all_go_away_the_next_is_answered_all_the_same(statements: Statements) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    gone = [first, *(ask(questions, str(n)) for n in range(2 * ENOUGH))]
    await a_while()
    for task in gone:
        task.cancel()
    await a_while()
    last = ask(questions, "last")
    await a_while()
    statements.let_go()
    async with asyncio.timeout(BOUND):
        said(await last, "last")


@pytest.mark.parametrize("broken", [DatabaseUnavailable("gone"), Collision()], ids=["gone", "collision"])
async def test_a_database_that_breaks_off_is_unavailable_for_all_in_the_statement_and_heals(
    statements: Statements, broken: Exception
) -> None:
    questions = asking(statements)
    first = await one_runs(statements, questions)
    statements.fails = broken
    many = [ask(questions, str(n)) for n in range(ENOUGH - 1)]
    await a_while()
    statements.let_go()
    outcomes = await asyncio.gather(*many, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Unavailable] * len(many)
    said(await first, "first")  # it was another statement's
    said(await ask(questions, "afterwards"), "afterwards")


async def test_who_waits_behind_a_statement_that_breaks_off_is_asked_for_by_another(
    statements: Statements,
) -> None:
    questions = asking(statements)
    statements.fails = DatabaseUnavailable("gone")
    first = await one_runs(statements, questions)
    waiting = [ask(questions, str(n)) for n in range(ENOUGH - 1)]
    await a_while()
    statements.let_go()
    with pytest.raises(Unavailable):
        await first
    async with asyncio.timeout(BOUND):
        assert {said(await task, str(n)) for n, task in enumerate(waiting)} == {1}


async def test_a_mistake_is_told_to_those_in_the_statement_and_nobody_waits_for_ever(
    statements: Statements,
) -> None:
    questions = asking(statements)
    statements.fails = ZeroDivisionError("a mistake of ours")
    async with asyncio.timeout(BOUND):
        with pytest.raises(ZeroDivisionError):
            await questions.ask(KEY, ONE)
        said(await ask(questions, "afterwards"), "afterwards")


# -- a database ------------------------------------------------------------------------------------------------------------

TOLD = next(scene for scene in DECISIONS.scenes if scene["title"].startswith("Teams, persons"))


def every_question() -> list[tuple[str, Named]]:
    """Return the questions of one scene, asked by every organization, and by somebody who has no key."""
    found = []
    for asked in TOLD["questions"]:
        (kind, name), thing = subject_of(asked["who"]), Thing.of(asked["what"])
        if "at" in asked:
            continue
        question = Named(kind, str(named(name)), asked["may"], DECISIONS.words(thing), thing.id)
        found += [(organization, question) for organization in (*DECISIONS["organizations"], "nobody")]
    return found


def put(decision: Decision) -> str:
    return f"yes {decision.by.grant_id}" if isinstance(decision, Allowed) else decision.reason


async def what_is_said(deed: Callable[[], Awaitable[list[Decision]]]) -> str:
    try:
        (decision,) = await deed()
    except Refusal as refusal:
        return type(refusal).__name__
    return put(decision)


@pytest.fixture
async def told(ground: Ground) -> Ground:
    """The world of decisions.yaml, and one of its scenes."""
    async with ground.database.transaction() as tx:
        await DECISIONS.build(tx)
        await DECISIONS.stage(tx, TOLD)
    return ground


async def test_sixty_four_who_ask_at_once_by_different_keys_each_get_their_own_answer(told: Ground) -> None:
    every = every_question()[:64]
    assert len(every) == 64
    alone = []
    for organization, question in every:
        async with told.database.reading() as connection:
            (found,) = await answer(connection, [Asked(digest(organization), question)], TODAY)
        alone.append(found)
    expected = [
        SessionEnded.__name__ if found.asker.key_id is None
        else OrganizationInactive.__name__ if not found.asker.organization_is_active
        else put(found.decision)
        for found in alone
    ]  # fmt: skip
    assert len(set(expected)) >= 5, "they hardly differ, so it shows little"
    questions = asking(told.database)
    for _ in range(5):
        outcomes = await asyncio.gather(
            *(
                what_is_said(lambda o=organization, q=question: questions.ask(ServiceKeyText(o), [q]))  # type: ignore[misc]
                for organization, question in every
            )
        )
        assert list(outcomes) == expected


async def test_a_key_that_is_not_for_it_asks_nothing(told: Ground) -> None:
    async with told.database.transaction() as tx:
        await tx.execute("UPDATE service_keys SET scopes = '{events}' WHERE digest = $1", digest("harbor"))
    with pytest.raises(Forbidden):
        await asking(told.database).ask(ServiceKeyText("harbor"), ONE)


async def test_a_connection_that_is_broken_off_is_unavailable_and_the_next_question_is_answered(
    told: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = asking(told.database)
    began, go = asyncio.Event(), asyncio.Event()
    pids = []

    async def broken_off(tx: Any, asked: Sequence[Asked], now: Any) -> list[Answer]:
        pids.append(tx.get_server_pid())
        began.set()
        await go.wait()
        return await answer(tx, asked, now)

    monkeypatch.setattr(door, "answer", broken_off)
    _, question = every_question()[0]
    asked = asyncio.create_task(questions.ask(ServiceKeyText("harbor"), [question]))
    await began.wait()
    await told.rows("SELECT pg_terminate_backend($1, 10000)", pids[0])
    go.set()
    with pytest.raises(Unavailable):
        await asked
    (decision,) = await questions.ask(ServiceKeyText("harbor"), [question])
    assert isinstance(decision, Allowed)


# -- turns -------------------------------------------------------------------------------------------------------------


async def test_whoever_asks_little_does_not_wait_behind_all_that_another_asks(statements: Statements) -> None:
    questions = asking(statements)
    statements.hold()
    first = [
        asyncio.ensure_future(questions.ask(ServiceKeyText("busy"), ONE * MOST_IN_A_STATEMENT))
        for _ in range(8)
    ]
    await comes_to(lambda: statements.running == WORKERS)
    little = asyncio.ensure_future(questions.ask(ServiceKeyText("quiet"), ONE))
    await asyncio.sleep(0)
    before = len(statements.begun)
    statements.let_go()
    await little
    digests = [{one.digest for one in begun} for begun in statements.begun[before : before + 2]]
    assert any(ServiceKeyText("quiet").digest() in found for found in digests), "it waited behind the other's"
    await asyncio.gather(*first)


async def test_a_key_that_asks_far_too_much_at_once_is_told_to_come_back(statements: Statements) -> None:
    questions = asking(statements)
    statements.hold()

    async def more(count: int) -> list[asyncio.Future[Any]]:
        made = [asyncio.ensure_future(questions.ask(KEY, ONE * MOST_IN_A_STATEMENT)) for _ in range(count)]
        await asyncio.sleep(0.01)
        return made

    many = await more(1) + await more(1)
    await comes_to(lambda: statements.running == WORKERS)
    many += await more(MOST_WAITING // MOST_IN_A_STATEMENT)
    async with asyncio.timeout(BOUND):
        with pytest.raises(Busy):
            await questions.ask(KEY, ONE)
        quiet = asyncio.ensure_future(questions.ask(ServiceKeyText("quiet"), ONE))
        statements.let_go()
        answers = await asyncio.gather(*many)
        await quiet
    assert all(len(one) == MOST_IN_A_STATEMENT for one in answers)


async def test_many_questions_are_not_asked_for_a_key_nobody_has(ground: Ground) -> None:
    questions = asking(ground.database)
    with pytest.raises(SessionEnded):
        await questions.admit(ServiceKeyText("hsk_nobody"))
