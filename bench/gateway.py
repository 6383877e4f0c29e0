"""The read gateway in front of a remote FHIR server: what it costs above that server, what is left of its throughput, and a large record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from bench import crowd, load, remote, sharing
from bench.figures import Sheet, median, size
from bench.ground import beside, ground
from bench.load import Callers
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.ids import new_id
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    import asyncpg

    from bench.ground import Ground, Server
    from bench.sharing import Person
    from hospitium.engine.context import Context

ROUNDS = 5
READERS = 64
AT_ONCE = 16
PAUSE = 0.01  # seconds a remote server takes
SLOWLY, MEGABYTE = 1, 1 << 20
READ, PAGE, THROUGHPUT, GROWN = 1.0, 3.0, 0.6, 40  # ms, ms, of the remote server's, MB


class _Cost(NamedTuple):
    """CPU seconds a request: of the server process, and of PostgreSQL."""

    server: float
    postgres: float

    @property
    def whole(self) -> float:
        return self.server + self.postgres


class _Patients(NamedTuple):
    """Who reads, and whom."""

    tokens: list[str]
    names: list[str]


async def run() -> Sheet:
    """Read and search at a server that answers at once, for the CPU; at one that takes its time, by it and straight; and a large record."""
    each, megabytes = size("READS", 2_000), size("RECORD_MB", 200)
    costs: dict[tuple[str, int], list[_Cost]] = {}
    rates: dict[str, list[tuple[float, float]]] = {"read": [], "page": []}
    async with (
        ground() as here,
        beside("bench.remote", "0.0", str(megabytes)) as quick,
        beside("bench.remote", str(PAUSE), str(megabytes)) as slow,
        here.server() as server,
    ):
        quick_id, slow_id, readers = await _prepare(here, quick, slow)
        with Callers() as callers:
            for turn in range(-1, ROUNDS):  # the first warms connections, plans and caches up
                for name, path in (("read", _one), ("page", _search)):
                    for at_once in (SLOWLY, AT_ONCE):
                        asked = [
                            load.get(f"/fhir/{quick_id}{path(who, n)}", token)
                            for n, token, who in _turns(readers, each)
                        ]
                        before = server.cpu(), here.postgres_cpu()
                        _, bodies = await callers.run(load.ask_all, server.port, asked, at_once)
                        spent = _Cost(
                            (server.cpu() - before[0]) / each, (here.postgres_cpu() - before[1]) / each
                        )
                        _insist(name, bodies)
                        if turn >= 0:
                            costs.setdefault((name, at_once), []).append(spent)
                    through = [
                        load.get(f"/fhir/{slow_id}{path(who, n)}", token)
                        for n, token, who in _turns(readers, each)
                    ]
                    straight = [
                        load.get(f"{remote.BASE}{path(who, n)}", "") for n, _, who in _turns(readers, each)
                    ]
                    by_gateway, bodies = await callers.run(load.ask_all, server.port, through, AT_ONCE)
                    _insist(name, bodies)
                    alone, _ = await callers.run(load.ask_all, slow.port, straight, AT_ONCE)
                    if turn >= 0:
                        rates[name].append((each / by_gateway, each / alone))
            grown, at_first, read = await _large(callers, server, f"/fhir/{quick_id}", readers.tokens[0])
    return _sheet(costs, rates, (grown, at_first, read), each)


def _one(patient: str, n: int) -> str:
    return f"/Observation/{patient}.{n % remote.ON_A_PAGE}"


def _search(patient: str, _: int) -> str:
    return f"/Observation?patient={patient}&_count={remote.ON_A_PAGE}"


def _turns(readers: _Patients, each: int) -> Iterator[tuple[int, str, str]]:
    for n in range(each):
        yield n, readers.tokens[n % READERS], readers.names[n % READERS]


def _insist(name: str, bodies: list[bytes]) -> None:
    for body in bodies:
        given = json.loads(body)
        if (
            (given["resourceType"] != "Observation")
            if name == "read"
            else (len(given["entry"]) != remote.ON_A_PAGE)
        ):
            raise RuntimeError(f"a {name} was answered with {body[:200]!r}")


async def _large(callers: Callers, server: Server, at: str, token: str) -> tuple[int, int, int]:
    """Read the large record page by page; return by how much the server grew after the first pages, how large it was, and how much it read."""
    path: str | None = f"{at}/Observation?patient={remote.LARGE}&_count={remote.ON_A_LARGE_PAGE}"
    sizes: list[int] = []
    read = 0
    while path is not None:
        body = await callers.run(load.ask, server.port, load.get(path, token))
        read += len(body)
        sizes.append(server.resident())
        after = [link["url"] for link in json.loads(body)["link"] if link["relation"] == "next"]
        path = None if not after else _path(after[0])
    warm = sizes[min(4, len(sizes) - 1)]
    return max(sizes) - warm, warm, read


def _path(url: str) -> str:
    split = urlsplit(url)
    return f"{split.path}?{split.query}"


# -- what stands there -------------------------------------------------------------------------------------------------


async def _prepare(here: Ground, quick: Server, slow: Server) -> tuple[UUID, UUID, _Patients]:
    """Add both servers, and readers, each with a person who was granted one patient on both; the first has the large record, too."""
    names = [f"p{n}" for n in range(READERS)]
    async with here.connection() as connection:
        at = await sharing.place(connection)
        people = await sharing.people(connection, at, READERS)
        tokens = await sharing.sessions(connection, here.access_tokens(), people)

    async def add(name: str, found: Server) -> UUID:
        form = ServerForm(name, ServerKind.REMOTE, f"http://127.0.0.1:{found.port}{remote.BASE}", True)

        async def deed(ctx: Context) -> UUID:
            return (await servers.create(ctx, at.organization, form)).id

        return await here.composition.operate(Permission.KEEP_FHIR_SERVERS, deed)

    both = await add("Quick", quick), await add("Slow", slow)
    async with here.connection() as connection:
        await _grant(connection, both, list(zip(people, names, strict=True)))
        await crowd.settle(connection)
    return *both, _Patients(tokens, names)


async def _grant(
    connection: asyncpg.Connection, on: tuple[UUID, ...], given: list[tuple[Person, str]]
) -> None:
    now = datetime.now(UTC)
    persons = {account.id: new_id(now) for account, _ in given}
    await connection.copy_records_to_table(
        "persons",
        columns=[
            "id",
            "first_name",
            "last_name",
            "gender",
            "identifiers",
            "contacts",
            "created_at",
            "updated_at",
        ],
        records=[(one, "Ada", "Park", "female", "[]", "[]", now, now) for one in persons.values()],
    )
    await connection.copy_records_to_table(
        "person_roles",
        columns=["id", "person_id", "account_id", "level", "is_owner", "relationship", "starts_at"],
        records=[(new_id(now), person, account, 7, True, "self", now) for account, person in persons.items()],
    )
    whom = [(persons[account.id], patient) for account, patient in given]
    whom.append((whom[0][0], remote.LARGE))
    await connection.copy_records_to_table(
        "grants",
        columns=[
            "id",
            "grantee_kind",
            "grantee_id",
            "resource_kind",
            "resource_id",
            "fhir_server_id",
            "level",
            "starts_at",
            "cause_kind",
        ],
        records=[
            (new_id(now), "person", person, "patient", patient, server_id, 4, now, "operator")
            for server_id in on
            for person, patient in whom
        ],
    )


def _sheet(
    costs: dict[tuple[str, int], list[_Cost]],
    rates: dict[str, list[tuple[float, float]]],
    large: tuple[int, int, int],
    each: int,
) -> Sheet:
    sheet = Sheet("gateway")
    for (name, at_once), spent in costs.items():
        most = READ if name == "read" else PAGE
        sheet.ratio(
            median([one.whole for one in spent]) * 1000 / most,
            f"CPU of a {name}, server and PostgreSQL, {at_once} at once / {most:g} ms",
            at_most=1.0,
        )
    for name, taken in rates.items():
        sheet.ratio(
            median([through / straight for through, straight in taken]),
            f"{name}s a second, {AT_ONCE} at once, through the gateway / straight, of a server that takes {PAUSE * 1000:g} ms",
            # What a page may cost in CPU allows for less.
            at_least=THROUGHPUT if name == "read" else None,
        )
    grown, at_first, read = (one / MEGABYTE for one in large)
    sheet.ratio(grown / GROWN, f"memory grown over a record of {read:.0f} MB / {GROWN} MB", at_most=1.0)
    for (name, at_once), spent in costs.items():
        figures = f"{median([one.server for one in spent]) * 1000:6.2f} {median([one.postgres for one in spent]) * 1000:6.2f}"
        sheet.number(f"CPU of a {name}, {at_once} at once: server, PostgreSQL, in ms", figures)
    for name, taken in rates.items():
        figures = f"{median([one for one, _ in taken]):7.0f} {median([one for _, one in taken]):7.0f}"
        sheet.number(f"{name}s a second: through the gateway, straight", figures)
    sheet.number("memory of the server when the record began, MB; grown", f"{at_first:6.0f} {grown:6.1f}")
    sheet.made(
        f"{ROUNDS} rounds of {each:,} reads and pages of {remote.ON_A_PAGE} by {READERS} people of one patient each, through persons and roles, each on record "
        "before it is answered; the remote server, the callers, PostgreSQL and the server share the machine; its own CPU is not counted"
    )
    return sheet
