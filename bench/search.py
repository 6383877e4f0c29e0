"""Searching among 100,000 organizations, with the exact total and how each one found stands with the searcher."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from bench import crowd
from bench.crowd import Partners
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from bench.load import Callers, get, one_by_one

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

WITH_TRIGRAMS = 0.020  # seconds, p95
OTHERWISE = 0.060
# Work whose cost never changes: how unevenly it goes says how quiet the machine was.
YARDSTICK = "SELECT count(*) FROM generate_series(1, 100000)"


class Kind(NamedTuple):
    """Searches of one kind, and what 95 of 100 of them are to stay below."""

    name: str
    target: float
    queries: list[dict[str, object]]


def _kinds(organizations: int) -> list[Kind]:
    def each(name: str, *values: object) -> list[dict[str, object]]:
        return [{name: value} for value in values]

    middle, last = organizations // 40, -(-organizations // 20)
    late = max(1, organizations * 9 // 1_000)  # a common word has organizations / 100 pages or so
    return [
        Kind("q in 1 name of 5", WITH_TRIGRAMS, each("q", "medic", "center")),
        Kind("q in 1 name of 10", WITH_TRIGRAMS, each("q", "radiology", "imaging", "clinic", "primary")),
        Kind("q in 1 name of 25 or so", WITH_TRIGRAMS, each("q", "juniper", "tamarack", "spokane", "san jose", "quarry m")),
        Kind("q in a few names or none, of common parts", WITH_TRIGRAMS, each("q", "harbor cedar imaging of dayton", "zephyr zephyr clinic", "yarrow quail mri", "osprey upland pediatrics of r")),
        Kind("q of three letters, in 1 name of 20 to 2 of 5", WITH_TRIGRAMS, each("q", "ing", "ter", "edi", "cen", "car")),
        Kind("q in none, of parts that are nowhere", WITH_TRIGRAMS, each("q", "xyzzy", "clinic of nowhere", "medicalx")),
        Kind("q that is an NPI", WITH_TRIGRAMS, each("q", *(f"{1_000_000_000 + number}" for number in (7, 70, 700)))),
        Kind("q in 1 name of 5, a late page", WITH_TRIGRAMS, [{"q": "medic", "page": late}, {"q": "center", "page": late}]),
        Kind("q in 1 name of 5 or 10, with filters", WITH_TRIGRAMS, [{"q": "medic", "state": "OH"}, {"q": "center", "type": "radiology", "state": "TX"}, {"q": "imaging", "specialty": "radiology"}]),
        Kind("q of one letter or two", OTHERWISE, each("q", "e", "z", "of", "ju", "qq")),
        Kind("no q", OTHERWISE, [{}, {"limit": 100}]),
        Kind("no q, middle and last page", OTHERWISE, [{"page": middle}, {"page": last - 1}]),
        Kind("no q, with filters", OTHERWISE, [{"type": "radiology"}, {"state": "OH"}, {"specialty": "pediatrics"}, {"type": "both", "state": "CA"}]),
    ]  # fmt: skip


async def run() -> Sheet:
    """Send the searches of every kind one after the other, all kinds in turn."""
    organizations, each = size("ORGANIZATIONS", 100_000), size("SEARCHES", 120)
    kinds = _kinds(organizations)
    taken: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    async with ground(ACTIVE_CONNECTION_LIMIT="1000000") as here:
        async with here.connection() as connection:
            ids = await crowd.organizations(connection, organizations)
            [token] = await crowd.administrators(connection, here.access_tokens(), ids[:1])
            await crowd.partnerships(connection, _standing(ids))
            await crowd.settle(connection)
        yardstick: list[float] = []
        async with here.server() as server, here.connection() as connection:
            with Callers() as callers:
                for turn in range(-1, 4):  # the first warms connections, plans and caches up
                    for kind in kinds:
                        queries = (kind.queries * each)[: each // 4]
                        asked = [get(f"/api/organizations/search?{urlencode(q)}", token) for q in queries]
                        seconds = await callers.run(one_by_one, server.port, asked)
                        if turn >= 0:
                            taken[kind.name] += seconds
                            yardstick.append(await _timed(connection))
    sheet = Sheet("search")
    sheet.number("milliseconds:", " least    p50    p95   p50 / yardstick's")
    for kind in kinds:
        seconds = taken[kind.name]
        p95 = slowest_but(seconds, 0.05)
        sheet.ratio(p95 / kind.target, f"{kind.name}: p95 / {kind.target * 1000:.0f} ms", at_most=1)
        sheet.number(
            kind.name,
            f"{min(seconds) * 1000:6.1f} {median(seconds) * 1000:6.1f} {p95 * 1000:6.1f}   "
            f"{median(seconds) / median(yardstick):5.2f}",
        )
    sheet.number(
        "yardstick: a statement whose cost never changes",
        f"{min(yardstick) * 1000:6.1f} {median(yardstick) * 1000:6.1f} {slowest_but(yardstick, 0.05) * 1000:6.1f}",
    )
    sheet.made(
        f"{organizations:,} active organizations, {each} searches of each kind over HTTP one after the other, pages of 20; "
        "the searcher has a partnership with every tenth"
    )
    return sheet


async def _timed(connection: asyncpg.Connection) -> float:
    began = time.perf_counter()
    await connection.execute(YARDSTICK)
    return time.perf_counter() - began


def _standing(ids: list[UUID]) -> list[Partners]:
    """Let the first organization have a partnership of some status with every tenth."""
    chance = random.Random(len(ids))
    statuses = ("approved", "approved", "rejected", "terminated", "expired")
    return [Partners(ids[0], other, chance.choice(statuses)) for other in ids[10::10]]
