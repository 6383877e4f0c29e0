"""What applications ask on every read: one question a request, many in one, and the whole list of what somebody may read.

Against the same framework answering a constant at the same address, in the same run, from the same callers.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

from bench import load
from bench.constant import ADDRESS
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import beside, ground
from bench.load import Callers
from hospitium.engine.secrets import ServiceKeyText

if TYPE_CHECKING:
    import asyncpg

AT_ONCE = 32
ROUNDS = 5
BATCH = 50
PAGE = 100
BATCHES, SEARCHES = "/access/v1/evaluations", "/access/v1/search/resource"
TO_CONSTANT, P99_TO_CONSTANT, BATCH_TO_SINGLE, LISTED = 0.5, 3.0, 5.0, 2.0
WORLD = """
    INSERT INTO organizations (id, code, name, name_key, type, status, created_at, updated_at)
    VALUES ('{organization}', 'bench', 'Bench', 'bench', 'both', 'active', now(), now());
    INSERT INTO accounts (id, email, email_key, password_hash, status, verified_at, created_at)
    SELECT md5('account' || n)::uuid, 'a' || n || '@bench.example', 'a' || n || '@bench.example', 'x', 'active', now(), now()
    FROM generate_series(0, {accounts} - 1) AS n;
    INSERT INTO memberships (id, account_id, organization_id, role, starts_at)
    SELECT md5('membership' || n)::uuid, md5('account' || n)::uuid, '{organization}', 'member', now()
    FROM generate_series(0, {accounts} - 1) AS n;
    INSERT INTO account_external_ids (organization_id, account_id, external_id)
    SELECT '{organization}', md5('account' || n)::uuid, 'a' || n FROM generate_series(0, {accounts} - 1) AS n;
    INSERT INTO object_types (id, organization_id, name, plural_name, label, storage, allows_shares, requires_acceptance, sends_notifications,
        share_chain, created_at, updated_at)
    VALUES ('{type}', '{organization}', 'record', 'records', 'Record', 'external', true, false, false, '{{6,5,4,2}}', now(), now());
    INSERT INTO records (id, organization_id, object_type_id, external_id, owner_id, creator_id, status, created_at, updated_at)
    SELECT md5('record' || n)::uuid, '{organization}', '{type}', 'r' || n, md5('account' || n % {accounts})::uuid,
        md5('account' || n % {accounts})::uuid, 'active', now(), now()
    FROM generate_series(0, {records} - 1) AS n;
    INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, starts_at, cause_kind)
    SELECT md5('grant' || n)::uuid, 'account', md5('account' || n % {accounts})::uuid, 'record', '{type}',
        md5('record' || (n % {accounts} + n / {accounts}) % {records})::uuid::text, 4 + n % 4, now(), 'operator'
    FROM generate_series(0::bigint, {grants} - 1) AS n;
    INSERT INTO service_keys (id, organization_id, name, digest, scopes, made_at)
    VALUES (gen_random_uuid(), '{organization}', 'bench', '\\x{digest}', '{{check,list}}', now());
"""
# Somebody who may read very much.
READER = """
    INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, starts_at, cause_kind)
    SELECT gen_random_uuid(), 'account', md5('account0')::uuid, 'record', '{type}', md5('record' || n)::uuid::text, 4, now(), 'operator'
    FROM generate_series(100, 100 + {listed} - 1) AS n
"""
ORGANIZATION, TYPE = "0190a7e4-0000-8000-8000-000000000001", "0190a7e4-0000-8000-8000-000000000002"


async def run() -> Sheet:
    """Ask in rounds, the constant and the questions in turns; then many at once, and a whole list."""
    accounts, grants = size("ACCOUNTS_ASKED_ABOUT", 100_000), size("GRANTS_ASKED_ABOUT", 1_000_000)
    each, listed = size("QUESTIONS", 20_000), size("LISTED", 10_000)
    key = ServiceKeyText.new()
    async with ground() as here:
        async with here.connection() as connection:
            await _make(connection, key, accounts, grants, listed)
        chance = random.Random(grants)
        async with here.server() as server, beside("bench.constant") as constant:
            with Callers() as callers:
                single = [_single(chance, key, accounts, grants) for _ in range(each)]
                many = [_many(chance, key, accounts, grants) for _ in range(each // BATCH)]
                taken: dict[str, list[tuple[float, list[float]]]] = {"constant": [], "single": [], "many": []}
                spent: list[float] = []
                for turn in range(-1, ROUNDS):
                    for name, port, asked in (
                        ("constant", constant.port, single),
                        ("single", server.port, single),
                        ("many", server.port, many),
                    ):
                        before = server.cpu(), here.postgres_cpu()
                        seconds, latencies, bodies = await callers.run(
                            load.timed, port, [one for one, _ in asked], AT_ONCE
                        )
                        if name != "constant":
                            _insist(bodies, [answer for _, answer in asked])
                        if turn >= 0:  # the round before made the plans
                            taken[name].append((seconds, latencies))
                            if name == "single":
                                spent.append(
                                    (server.cpu() - before[0] + here.postgres_cpu() - before[1]) / len(asked)
                                )
                pages = await callers.run(_listing, server.port, key.reveal(), listed)
    return _sheet(taken, spent, pages, grants, accounts, each, listed)


async def _make(
    connection: asyncpg.Connection, key: ServiceKeyText, accounts: int, grants: int, listed: int
) -> None:
    given = {
        "organization": ORGANIZATION,
        "type": TYPE,
        "accounts": accounts,
        "records": accounts * 2,
        "grants": grants,
        "digest": key.digest().hex(),
        "listed": listed,
    }
    await connection.execute(WORLD.format(**given), timeout=600)
    await connection.execute(READER.format(**given), timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)


def _single(chance: random.Random, key: ServiceKeyText, accounts: int, grants: int) -> tuple[bytes, bytes]:
    """A question, half of them with yes for an answer, and that answer."""
    question, allowed = _question(chance, accounts, grants)
    answer = b'{"decision":true}' if allowed else b'{"decision":false}'
    return load.post(ADDRESS, key.reveal(), json.dumps(question).encode()), answer


def _many(chance: random.Random, key: ServiceKeyText, accounts: int, grants: int) -> tuple[bytes, bytes]:
    asked = [_question(chance, accounts, grants) for _ in range(BATCH)]
    body = json.dumps({"evaluations": [question for question, _ in asked]}).encode()
    answer = json.dumps(
        {"evaluations": [{"decision": allowed} for _, allowed in asked]}, separators=(",", ":")
    )
    return load.post(BATCHES, key.reveal(), body), answer.encode()


def _question(chance: random.Random, accounts: int, grants: int) -> tuple[dict[str, Any], bool]:
    n = chance.randrange(grants)
    account, step = n % accounts, n // accounts
    allowed = chance.random() < 0.5
    record = (account + step) % (accounts * 2) if allowed else (account + accounts) % (accounts * 2)
    return {
        "subject": {"type": "user", "id": f"a{account}"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": f"r{record}"},
    }, allowed


def _insist(bodies: list[bytes], answers: list[bytes]) -> None:
    wrong = [(got, right) for got, right in zip(bodies, answers, strict=True) if got != right]
    if wrong:
        raise RuntimeError(f"{len(wrong)} wrong answers: {wrong[0]}")


async def _listing(port: int, key: str, listed: int) -> float:
    """List everything somebody may read, page by page; return the seconds it took in all."""
    line = await load.Line.open(port)
    asked: dict[str, Any] = {
        "subject": {"type": "user", "id": "a0"},
        "action": {"name": "read"},
        "resource": {"type": "record"},
        "page": {"limit": PAGE},
    }
    clock = asyncio.get_running_loop().time
    found: set[str] = set()
    began = clock()
    while True:
        page = json.loads(await line.ask(load.post(SEARCHES, key, json.dumps(asked).encode())))
        found |= {one["id"] for one in page["results"]}
        if not page["page"]["next_token"]:
            break
        asked["page"] = {"token": page["page"]["next_token"]}
    taken = clock() - began
    line.close()
    if len(found) < listed:
        raise RuntimeError(f"only {len(found)} of {listed} were listed")
    return taken


def _sheet(
    taken: dict[str, list[tuple[float, list[float]]]],
    spent: list[float],
    pages: float,
    grants: int,
    accounts: int,
    each: int,
    listed: int,
) -> Sheet:
    rate = {
        name: len(rounds[0][1]) / median([seconds for seconds, _ in rounds]) for name, rounds in taken.items()
    }
    slow = {
        name: slowest_but([one for _, every in rounds for one in every], 0.01)
        for name, rounds in taken.items()
    }
    sheet = Sheet("questions")
    sheet.ratio(
        rate["single"] / rate["constant"], "questions a second / constants a second", at_least=TO_CONSTANT
    )
    sheet.ratio(
        slow["single"] / slow["constant"], "p99 of a question / of the constant", at_most=P99_TO_CONSTANT
    )
    sheet.ratio(
        rate["many"] * BATCH / rate["single"],
        f"questions a second, {BATCH} a request / one a request",
        at_least=BATCH_TO_SINGLE,
    )
    sheet.ratio(pages / LISTED, f"{listed:,} resources in pages of {PAGE} / {LISTED:g} s", at_most=1.0)
    for name in taken:
        sheet.number(f"{name}: requests a second, p99 in ms", f"{rate[name]:7.0f} {slow[name] * 1000:6.2f}")
    sheet.number("CPU of a question, server and PostgreSQL, in microseconds", f"{median(spent) * 1e6:6.0f}")
    sheet.made(
        f"{grants:,} grants over {accounts:,} accounts; {ROUNDS} rounds of {each:,} questions, {AT_ONCE} at once, each by a service key that is read "
        "on every request; subjects and records by the application's own ids; every answer is compared with what it must be"
    )
    return sheet
