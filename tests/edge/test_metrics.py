"""What is counted: enough to see how the server fares, nothing of who asked for what, and never more rows than we have names."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cast import MovableClock
from edge.conftest import Stand, Standing
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine import events
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.deliveries import backlog as mails_behind
from hospitium.engine.errors import Busy
from hospitium.engine.events import EventKind
from hospitium.engine.ids import new_id
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import Password
from hospitium.engine.trail import backlog as seals_behind
from hospitium.metrics import MetricsAlone
from hospitium.serving import serving_beside

TOKEN = "canary-token-of-the-metrics"
CANARY = "canary7fe1"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


async def numbers(server: Standing) -> dict[tuple[str, ...], float]:
    """Return every number by its name and the values of its labels."""
    answered = await server.http.get("/metrics", headers=SHOWN)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answered.text)
        for sample in family.samples
    }


# -- who may read them -------------------------------------------------------------------------------------------------


async def test_without_a_token_there_is_nothing_here(standing: Stand) -> None:
    async with standing() as server:
        nowhere = await server.http.get("/nowhere")
        for headers in ({}, SHOWN, {"Authorization": "Bearer"}):
            answered = await server.http.get("/metrics", headers=headers)
            assert (answered.status_code, answered.content) == (404, nowhere.content)


async def test_whoever_shows_the_token_may_read_them_and_nobody_else(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as server:
        assert await numbers(server)
        assert (
            await server.http.get("/metrics", headers={"Authorization": f"bearer  {TOKEN}"})
        ).status_code == 200
        wrong = [
            "",
            "Bearer",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Basic {TOKEN}",
            TOKEN,
            f"Bearer {TOKEN.upper()}",
            "Bearer ä",
        ]
        for shown in wrong:
            answered = await server.http.get("/metrics", headers={"Authorization": shown.encode("latin-1")})
            assert answered.status_code == 401, shown
            assert answered.headers["www-authenticate"] == "Bearer"
            assert "hospitium_" not in answered.text
        assert (await server.http.get("/metrics")).status_code == 401


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_listener_of_its_own_serves_them_and_nothing_else(standing: Stand, token: str | None) -> None:
    given = {} if token is None else {"METRICS_TOKEN": token}
    async with standing(**given) as server:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving_beside(MetricsAlone(server.parts.metrics), listener), httpx.AsyncClient(base_url=address, verify=False) as http:  # fmt: skip
            answered = await http.get("/metrics", headers=SHOWN)
            assert answered.status_code == 200
            assert "hospitium_requests_in_flight 0.0" in answered.text
            assert answered.headers["x-content-type-options"] == "nosniff"
            assert answered.headers["cache-control"] == "no-store"
            assert (await http.get("/metrics")).status_code == (200 if token is None else 401)
            for path in ("/", "/health/live", "/api/auth/login", "/metrics/"):
                assert (await http.get(path, headers=SHOWN)).status_code == 404
            assert (await http.post("/metrics", headers=SHOWN)).status_code == 404
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(verify=False).get(f"{address}/metrics")


# -- what they say -----------------------------------------------------------------------------------------------------


async def test_requests_are_counted_by_template_method_and_class_of_status(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as server:
        for _ in range(3):
            await server.http.get("/health/live")
        await server.http.get("/api/connections/01980000-0000-8000-8000-000002485350")
        await server.http.delete("/health/live")
        found = await numbers(server)
    name = "hospitium_requests_total"
    assert found[name, "GET", "/health/live", "2xx"] == 3
    assert found[name, "GET", "/api/connections/{connection_id}", "4xx"] == 1
    assert found["hospitium_request_seconds_count", "/health/live"] >= 3
    assert found["hospitium_request_seconds_bucket", "+Inf", "/health/live"] >= 3
    assert found[("hospitium_requests_in_flight",)] == 1  # this one


async def test_the_rows_are_bounded_and_say_nothing_of_anybody(standing: Stand, rounds: int) -> None:
    async with standing(
        METRICS_TOKEN=TOKEN, PUBLIC_URL="http://h.example", ALLOWED_HOSTS="127.0.0.1"
    ) as server:
        for number in range(rounds):
            there = f"{CANARY}-{number}"
            for method, path in (
                ("GET", f"/{there}"),
                ("GET", f"/api/connections/{there}?q={there}"),
                ("POST", f"/api/{there}"),
                ("PROPFIND", f"/{there}"),
                ("PURGE", "/health/live"),
            ):
                await server.http.request(
                    method,
                    path,
                    headers={"X-Request-ID": there, "User-Agent": there, "X-Forwarded-For": there},
                )
            await server.http.get("/health/live", headers={"Host": there})
        answered = await server.http.get("/metrics", headers=SHOWN)
    assert CANARY not in answered.text
    assert TOKEN not in answered.text
    rows = [line for line in answered.text.splitlines() if line.startswith("hospitium_requests_total")]
    assert len(rows) <= 8, rows
    assert any('method="none",route="none"' in row for row in rows)
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|@|PROPFIND|PURGE", answered.text)


@pytest.mark.usefixtures("slow_hash")
async def test_the_queue_of_passwords_and_its_limit_are_seen(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN, PASSWORDS_AT_ONCE="1", PASSWORDS_WAITING="1") as server:
        gate = server.parts.passwords
        hashing = [asyncio.create_task(gate.hash(Password("correct horse battery"))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await gate.hash(Password("correct horse battery"))
        seen = {
            sample.name: sample.value
            for family in server.parts.metrics.collect()
            for sample in family.samples
        }
        assert seen["hospitium_passwords_inside"] == 2
        await asyncio.gather(*hashing)
        found = await numbers(server)
    assert found[("hospitium_passwords_inside",)] == 0
    assert found["hospitium_limits_hit_total", "Busy"] == 1


async def test_the_pool_is_seen(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as server:
        database = server.parts.database
        inside, go = [], asyncio.Event()

        async def hold() -> None:
            async with database.transaction():
                inside.append(1)
                await go.wait()

        holding = [asyncio.create_task(hold()) for _ in range(6)]  # two more than there are connections
        while len(inside) < 4:
            await asyncio.sleep(0.005)
        assert tuple(database.pool()) == (4, 0, 4, 2)
        go.set()
        await asyncio.gather(*holding)
        found = await numbers(server)
    assert found[("hospitium_database_connections",)] == found[("hospitium_database_connections_idle",)] == 4
    assert (found[("hospitium_database_connections_most",)], found[("hospitium_database_waiting",)]) == (4, 0)


async def test_refused_sign_ins_are_counted(standing: Stand) -> None:
    body = {"email": f"{CANARY}@mail.example", "password": "wrong and long enough"}
    async with standing(METRICS_TOKEN=TOKEN) as server:
        for _ in range(2):
            assert (await server.http.post("/api/auth/login", json=body)).status_code == 401
        await server.http.get("/api/connections/incoming")
        found = await numbers(server)
    assert found["hospitium_sign_in_failures_total", "WrongCredentials"] == 2
    assert found["hospitium_refusals_total", "sessions.start", "WrongCredentials"] == 2
    assert found["hospitium_refusals_total", "partnerships.see", "NotSignedIn"] == 1
    assert not [key for key in found if CANARY in str(key)]


async def test_the_process_and_its_version_are_seen(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as server:
        found = await numbers(server)
    assert found[("process_resident_memory_bytes",)] > 1_000_000
    assert found[("process_cpu_seconds_total",)] > 0
    assert [key for key in found if key[0] == "hospitium_build_info"]


async def test_two_servers_in_one_process_count_apart(standing: Stand) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as one, standing(METRICS_TOKEN=TOKEN) as other:
        await one.http.get("/health/live")
        key = ("hospitium_requests_total", "GET", "/health/live", "2xx")
        assert (await numbers(one))[key] == 1
        assert key not in await numbers(other)


async def test_mails_and_seals_that_are_behind_are_seen(standing: Stand, clock: MovableClock) -> None:
    async with standing(METRICS_TOKEN=TOKEN) as server:
        found = await numbers(server)
        for name in (*mails_behind.SENTENCES, *seals_behind.SENTENCES):
            assert found[(f"hospitium_{name}",)] == 0
        form = OrganizationForm(name="Northside", type=OrganizationType.REFERRING)
        organization = await perform_as(
            server.parts.database,
            clock,
            OPERATOR,
            Permission.IMPORT_WORLD,
            lambda ctx: organizations.create(ctx, "northside", form, OrganizationStatus.ACTIVE),
        )
        async with server.parts.database.transaction() as tx:
            for status, ago in (("waiting", 90), ("waiting", 30), ("sent", 60), ("sent", 7_200), ("failed", 60), ("void", 60)):  # fmt: skip
                at = clock() - timedelta(seconds=ago)
                await tx.execute(
                    "INSERT INTO deliveries (id, template, organization_id, subject_id, status, created_at, due_at, ended_at) VALUES ($1, 'partnership_requested', $2, NULL, $3, $4, $4, $5)",
                    new_id(clock()), organization.id, status, at, None if status == "waiting" else at,
                )  # fmt: skip
            for ago in (50, 40, 10):
                ctx = Context(tx, OPERATOR, clock() - timedelta(seconds=ago))
                await events.record(
                    ctx, EventKind.ORGANIZATION_REGISTERED, subject=("organization", organization.id)
                )
        found = await numbers(server)
    read = {
        name: found[(f"hospitium_{name}",)] for name in (*mails_behind.SENTENCES, *seals_behind.SENTENCES)
    }
    ages = [read.pop("deliveries_oldest_waiting_seconds"), read.pop("events_unsealed_seconds")]
    assert ages == [pytest.approx(90, abs=1), pytest.approx(50, abs=1)]
    assert read == {
        "deliveries_waiting": 2,
        "deliveries_sent_last_hour": 1,
        "deliveries_failed_last_hour": 1,
        "events_unsealed": 4,
    }


# -- what parts add ----------------------------------------------------------------------------------------------------


async def test_a_part_adds_numbers_that_are_read_when_somebody_asks(standing: Stand) -> None:
    async def reader(ctx: Context) -> Mapping[str, float]:
        return {"things_waiting": await ctx.tx.fetchval("SELECT 7"), "not_announced": 1}

    async def broken(ctx: Context) -> Mapping[str, float]:
        return {"broken": await ctx.tx.fetchval("SELECT 1 / 0")}

    async def slow(ctx: Context) -> Mapping[str, float]:
        return {"slow": await ctx.tx.fetchval("SELECT 1 FROM pg_sleep(60)")}

    async with standing(METRICS_TOKEN=TOKEN) as server:
        gauges = server.parts.metrics.gauges
        gauges.add({"broken": "It fails."}, broken)
        gauges.add({"slow": "It takes long."}, slow)
        gauges.add({"things_waiting": "How many wait.", "oldest_seconds": "None do."}, reader)
        began = time.monotonic()
        found = await numbers(server)
        assert time.monotonic() - began < 20
    assert found[("hospitium_things_waiting",)] == 7
    named: Any = {key[0] for key in found}
    assert not named & {
        "hospitium_broken",
        "hospitium_slow",
        "hospitium_oldest_seconds",
        "hospitium_not_announced",
    }


async def test_without_a_database_the_rest_is_still_there(standing: Stand) -> None:
    async def reader(ctx: Context) -> Mapping[str, float]:
        return {"things_waiting": await ctx.tx.fetchval("SELECT 7")}

    async with standing(METRICS_TOKEN=TOKEN) as server:
        server.parts.metrics.gauges.add({"things_waiting": "How many wait."}, reader)
        await server.parts.database.close()
        found = await numbers(server)
    assert ("hospitium_things_waiting",) not in found
    assert ("hospitium_passwords_inside",) in found
