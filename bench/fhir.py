"""A built-in FHIR server: how quickly charts are loaded, and what it costs to find one patient of a million by an identifier."""

from __future__ import annotations

import json
import random
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from hospitium.doors.cli.synthetic import bulk_patients, patients
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.fhir_resources import actions, queries
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import Given, resources_in
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_resources.search import parse_search
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from typing import Any
    from uuid import UUID

    import asyncpg

    from bench.ground import Ground

ROUNDS = 5
TURNS = 10
TEN_TIMES = 1.5
SEARCH_TO_READ = 3.0


class Clinic(NamedTuple):
    """A built-in server, and the database it is in."""

    database: Database
    server_id: UUID

    async def does(self, action: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        """Do one deed as the operator, in a transaction of its own."""
        async with self.database.transaction() as tx:
            return await action(Context(tx, OPERATOR, datetime.now(UTC)), self.server_id, *given)


@asynccontextmanager
async def _clinic(here: Ground) -> AsyncIterator[Clinic]:
    database = await Database.open(here.url, size=2)
    try:
        async with database.transaction() as tx:
            ctx = Context(tx, OPERATOR, datetime.now(UTC))
            form = OrganizationForm(name="Northside", type=OrganizationType.REFERRING)
            made = await organizations.create(ctx, "northside", form, OrganizationStatus.ACTIVE)
            server = await servers.create(ctx, made.id, ServerForm("Charts", ServerKind.BUILT_IN))
        yield Clinic(database, server.id)
    finally:
        await database.close()


# -- resources ---------------------------------------------------------------------------------------------------------


async def resources() -> Sheet:
    """Load charts, load them again, and copy the same JSON into a bare table, in turns."""
    charts = size("CHARTS", 150)
    bundles = patients(charts)
    texts = [json.dumps(bundle).encode() for bundle in bundles]
    lines = [json.dumps(entry["resource"]) for bundle in bundles for entry in bundle["entry"]]
    first, again, bare = [], [], []
    async with ground() as here, _clinic(here) as clinic, here.connection() as connection:
        await connection.execute("CREATE TABLE bare_resources (body jsonb NOT NULL)")
        count = 0
        for turn in range(-1, ROUNDS):  # the first warms up
            await connection.execute("TRUNCATE fhir_resources, bare_resources; CHECKPOINT")
            took = []
            for _ in range(2):
                began = time.perf_counter()
                count = sum(await clinic.does(_load, texts))
                took.append(time.perf_counter() - began)
            copied = await _copied(connection, lines)
            if turn >= 0:
                first.append(took[0])
                again.append(took[1])
                bare.append(copied)
    sheet = Sheet("resources")
    sheet.ratio(
        median(bare) / len(lines) / (median(first) / count),
        "resources a second / rows of the same JSON a second by a bare COPY",
    )
    sheet.ratio(median(again) / median(first), "loading the same again / loading it first")
    for name, seconds, how_many in (
        ("loaded", first, count),
        ("loaded again", again, count),
        ("copied", bare, len(lines)),
    ):
        sheet.number(f"{name}, a second, each round", "  ".join(f"{how_many / one:.0f}" for one in seconds))
    sheet.made(
        f"{charts} charts as Bundles, {len(lines):,} entries ({sum(map(len, texts)) / 1e6:.0f} MB), of which {count:,} are different resources, in "
        "one transaction; read, checked, translated and written by one process; the COPY has the JSON ready, one column and no index; medians"
    )  # fmt: skip
    return sheet


async def _load(ctx: Context, server_id: UUID, texts: list[bytes]) -> actions.Loaded:
    def given() -> Iterator[Given]:
        for number, text in enumerate(texts):
            yield from resources_in(f"chart {number}", text)

    return await actions.load(ctx, server_id, prepare(given(), together(given())))


async def _copied(connection: asyncpg.Connection, lines: list[str]) -> float:
    # In PostgreSQL's text form, where a backslash has to be doubled.
    written = "\n".join(line.replace("\\", "\\\\") for line in lines).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(written), 1 << 16):
            yield written[start : start + (1 << 16)]

    began = time.perf_counter()
    await connection.copy_to_table("bare_resources", source=pieces())
    return time.perf_counter() - began


# -- identifiers -------------------------------------------------------------------------------------------------------


class _Taken(NamedTuple):
    """Seconds of each kind of question."""

    searches: list[float]
    values: list[float]
    missed: list[float]
    reads: list[float]


async def identifiers() -> Sheet:
    """Search by identifiers and read by id, in turns, among a tenth of the patients and then among all."""
    count, each = size("PATIENTS", 1_000_000), size("IDENTIFIERS", 200)
    chance = random.Random(count)
    taken: dict[int, _Taken] = {}
    seconds = 0.0
    async with ground() as here, _clinic(here) as clinic:
        made = bulk_patients(count)
        known: list[dict[str, Any]] = []
        for so_many in (count // 10, count):
            began = time.perf_counter()
            await clinic.does(
                _load_patients, made, so_many - so_many // 10 * (so_many == count), known, chance
            )
            seconds += time.perf_counter() - began
            taken[so_many] = await _asked(clinic, known, each, chance)
    sheet = Sheet("identifiers")
    few, many = (taken[one] for one in (count // 10, count))
    for name, found in many._asdict().items():
        if name != "reads":
            sheet.ratio(
                median(found) / median(many.reads),
                f"{_SAID[name]} / read by id, {count:,} patients",
                at_most=SEARCH_TO_READ,
            )
    for name in _Taken._fields:
        grown = median(getattr(many, name)) / median(getattr(few, name))
        sheet.ratio(grown, f"{_SAID[name]}: {count:,} patients / {count // 10:,}", at_most=TEN_TIMES)
    for so_many, one in taken.items():
        for name, found in one._asdict().items():
            figures = f"{median(found) * 1000:7.3f} {slowest_but(found, 0.05) * 1000:7.3f}"
            sheet.number(f"{_SAID[name]}, {so_many:,} patients: p50, p95 in ms", figures)
    sheet.number("patients loaded a second", f"{count / seconds:.0f}")
    sheet.made(
        f"{count:,} patients with two identifiers each on a server of its own, loaded in two transactions; {TURNS} times {each} questions of each kind in "
        "process, one after the other in turns, each in a transaction; ratios of medians"
    )  # fmt: skip
    return sheet


_SAID = {
    "searches": "search by system and value",
    "values": "search by value in any system",
    "missed": "search for what nobody has",
    "reads": "read by id",
}


async def _load_patients(
    ctx: Context, server_id: UUID, made: Iterator[Any], so_many: int, known: list[Any], chance: random.Random
) -> actions.Loaded:
    def given() -> Iterator[Given]:
        for one in islice(made, so_many):
            if chance.random() < 0.01:
                known.append({"id": one["id"], "identifier": one["identifier"]})
            yield Given("patients: ", None, one)

    # Each is different, and refers to nobody: there is nothing to look through before.
    return await actions.load(ctx, server_id, _each(given()))


def _each(given: Iterator[Given]) -> Iterator[Any]:
    for one in given:
        yield from prepare([one], together([one]))


async def _asked(clinic: Clinic, known: list[Any], each: int, chance: random.Random) -> _Taken:
    taken = _Taken([], [], [], [])
    for turn in range(-2, TURNS):  # the first warm connections, plans and caches up
        for one in chance.sample(known, min(each, len(known))):
            system, value = one["identifier"][0]["system"], one["identifier"][0]["value"]
            found = (
                await _search(clinic, f"{system}|{value}", 1),
                await _search(clinic, value, 1),
                await _search(clinic, f"{value}x", 0),
                await _timed(clinic, queries.read, "Patient", one["id"]),
            )
            if turn >= 0:
                for kind, seconds in zip(taken, found, strict=True):
                    kind.append(seconds)
    return taken


async def _search(clinic: Clinic, token: str, wanted: int) -> float:
    asked = parse_search("Patient", [("identifier", token), ("_count", "2")])

    async def search(ctx: Context, server_id: UUID) -> None:
        page = await queries.search(ctx, server_id, asked)
        if len(page.resources) != wanted:
            raise RuntimeError(f"a search found {len(page.resources)}")

    return await _timed(clinic, search)


async def _timed(clinic: Clinic, action: Callable[..., Awaitable[Any]], *given: Any) -> float:
    began = time.perf_counter()
    await clinic.does(action, *given)
    return time.perf_counter() - began
