"""Invites made, registered with and accepted over HTTP, and how much of that is the slow hash; and ten thousand of them in bulk."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import bare, crowd, sharing
from bench.figures import Sheet, median, size
from bench.ground import ground
from bench.load import Callers, ask_all, post
from hospitium.doors.native.invite_shapes import MOST_ROWS
from hospitium.doors.passwords import hash_now
from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import Given
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import Password
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bench.ground import Ground, Server
    from hospitium.engine.context import Context

AT_ONCE = 8
ROUNDS = 3
HASHING = 2  # threads, as the server has by default
HASHES = 60  # that are timed alone
SECRET = "a quiet green harbour"
QUESTION, ANSWER = "Name of your first pet?", "Charlie"
CODED = "/OrganizationInvites/security-details"
DEEDS = {"create by code": 1, "create by e-mail": 0, "register": 2, "accept by code": 1}
"""What is measured, and how many slow hashes each of it takes."""


class Clinic(NamedTuple):
    """Who invites, to the patients of which FHIR server, and who accepts: tokens, and persons."""

    inviter: str
    server_id: UUID
    patients: list[str]
    accepting: list[tuple[str, str]]

    @property
    def context(self) -> str:
        return f"FhirServerId-Context: {self.server_id}\r\n"


async def run() -> Sheet:
    """Measure in rounds: each deed, the hash alone and bare transactions after it, so that a busy machine slows all."""
    each = size("INVITES", 300)
    deeds: dict[str, list[float]] = {name: [] for name in DEEDS}
    alone: list[float] = []
    bares: list[float] = []
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        here, server, clinic = await _open(open_ones, callers, patients=2 * each)
        async with here.connection() as connection:
            await bare.prepare(here, connection, 1_000)
        for number in range(ROUNDS + 1):  # the first warms connections, plans and caches up
            taken = await _round(callers, server, clinic, f"{number}", each)
            if number:
                for name, rate in taken.items():
                    deeds[name].append(rate)
                alone.append(_hashes_a_second())
                bares.append(await bare.transactions_a_second(here, bare.EACH * each, AT_ONCE))
        await _must_be_sound(here)
    return _sheet(each, deeds, alone, bares)


async def _round(
    callers: Callers, server: Server, clinic: Clinic, called: str, each: int
) -> dict[str, float]:
    """Return how many a second of each deed were done."""

    async def rate(requests: list[bytes]) -> tuple[float, list[bytes]]:
        seconds, bodies = await callers.run(ask_all, server.port, requests, AT_ONCE)
        return len(requests) / seconds, bodies

    asked = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
    by_code = [
        post(f"{CODED}/create", clinic.inviter, _json(**asked, accessiblePatientId=patient), clinic.context)
        for patient in clinic.patients
    ]
    by_email = [
        post(
            "/OrganizationInvites/user-details/create",
            clinic.inviter,
            _json(
                userEmail=f"{called}-{n}@mail.example",
                firstName="Ada",
                lastName="Park",
                accessiblePatientId=patient,
            ),
            clinic.context,
        )
        for n, patient in enumerate(clinic.patients[:each])
    ]
    created, bodies = await rate(by_code)
    mailed, _ = await rate(by_email)
    codes = [json.loads(body)["securityCode"] for body in bodies]
    registering = [
        _registering(code, f"new-{called}-{n}@mail.example") for n, code in enumerate(codes[:each])
    ]
    registered, _ = await rate(registering)
    accepting = [
        _accepting(code, *clinic.accepting[n % len(clinic.accepting)]) for n, code in enumerate(codes[each:])
    ]
    accepted, _ = await rate(accepting)
    return dict(zip(DEEDS, (created, mailed, registered, accepted), strict=True))


def _registering(code: str, email: str) -> bytes:
    who = {
        "email": email,
        "password": SECRET,
        "confirmPassword": SECRET,
        "firstName": "Ada",
        "lastName": "Park",
    }
    return post(
        f"{CODED}/code/{code}/register", "", _json(securityCode=code, securityAnswer=ANSWER, user=who)
    )


def _accepting(code: str, token: str, person: str) -> bytes:
    return post(
        f"{CODED}/code/{code}/accept", token, _json(securityCode=code, securityAnswer=ANSWER, personId=person)
    )


def _sheet(each: int, deeds: dict[str, list[float]], alone: Sequence[float], bares: Sequence[float]) -> Sheet:
    sheet = Sheet("invites")
    for name, rates in deeds.items():
        sheet.ratio(
            median([rate / other for rate, other in zip(rates, bares, strict=True)]),
            f"{name}, a second over HTTP / bare transactions of two statements a second",
        )
    for name, hashes in DEEDS.items():
        if hashes:
            sheet.ratio(
                median([hashes * rate / most for rate, most in zip(deeds[name], alone, strict=True)]),
                f"{name}: slow hashes a second in it ({hashes} each) / slow hashes alone on {HASHING} threads",
            )
    for name, rates in deeds.items():
        sheet.number(f"{name}, a second, each round", "  ".join(f"{rate:.0f}" for rate in rates))
    sheet.number("slow hashes alone, a second, each round", "  ".join(f"{rate:.0f}" for rate in alone))
    sheet.number("bare transactions a second, each round", "  ".join(f"{rate:.0f}" for rate in bares))
    sheet.made(
        f"{ROUNDS} rounds of {2 * each:,} invites by code, {each:,} by e-mail, {each:,} registrations and {each:,} acceptances, {AT_ONCE} at "
        f"once, on a built-in FHIR server, normal limits, one server process, durable; after each {HASHES} slow hashes alone and "
        f"{bare.EACH * each:,} bare transactions of {AT_ONCE} pgbench clients on the same cluster; `verify` found nothing afterwards"
    )
    return sheet


# -- in bulk -----------------------------------------------------------------------------------------------------------


async def bulk() -> Sheet:
    """Measure calls of 500 rows, one after the other, by code and by e-mail, and repeat all of them."""
    rows = size("BULK_ROWS", 10_000)
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        here, server, clinic = await _open(open_ones, callers, patients=rows)
        elsewhere = await _server(here, await _organization(here), "Second", clinic.patients)
        by_code = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
        before = _hashes_a_second()
        cpu = server.cpu()
        coded = await _send(callers, server, clinic, [by_code] * rows, "created")
        cpu = server.cpu() - cpu
        alone = (before + _hashes_a_second()) / 2
        again = await _send(callers, server, clinic, [by_code] * rows, "present")
        mails = [
            {"userEmail": f"{n}@mail.example", "firstName": "Ada", "lastName": "Park"} for n in range(rows)
        ]
        mailed = await _send(callers, server, clinic._replace(server_id=elsewhere), mails, "created")
        await _must_be_sound(here)
    sheet = Sheet("bulk")
    sheet.ratio(
        rows / coded / alone, f"rows by code a second / slow hashes alone a second on {HASHING} threads"
    )
    sheet.ratio(coded / mailed, "time of rows by code / of rows by e-mail, which need no hash")
    sheet.ratio(again / coded, "time of a repeat, which finds all / of the first time")
    for name, seconds in (("by code", coded), ("by e-mail", mailed), ("by code, a repeat", again)):
        sheet.number(f"{rows:,} rows {name}", f"{seconds:.1f} s, {rows / seconds:.0f} a second")
    sheet.number("slow hashes alone, a second, before and after", f"{alone:.0f}")
    sheet.number("CPU of the server process, ms a row by code", f"{cpu / rows * 1000:.2f}")
    sheet.made(
        f"calls of {MOST_ROWS} rows, one after the other on one connection, {rows:,} patients on a built-in FHIR server, normal limits, "
        "one server process, durable; `verify` found nothing afterwards"
    )
    return sheet


async def _send(
    callers: Callers, server: Server, clinic: Clinic, members: list[dict[str, str]], outcome: str
) -> float:
    """Send rows to that many patients, and insist on what becomes of each; return the seconds it took."""
    every = [
        {"key": str(n), "accessiblePatientId": patient, **more}
        for n, (patient, more) in enumerate(zip(clinic.patients, members, strict=True))
    ]
    calls = [
        post(
            "/v1/invites/bulk",
            clinic.inviter,
            _json(fhirServerId=str(clinic.server_id), invites=every[begin : begin + MOST_ROWS]),
        )
        for begin in range(0, len(every), MOST_ROWS)
    ]
    seconds, bodies = await callers.run(ask_all, server.port, calls, 1)
    told = [one["outcome"] for body in bodies for one in json.loads(body)["outcomes"]]
    if told != [outcome] * len(every):
        raise RuntimeError(f"rows are not all {outcome}: {set(told)}")
    return seconds


# -- where it happens --------------------------------------------------------------------------------------------------


async def _open(
    open_ones: AsyncExitStack, callers: Callers, *, patients: int
) -> tuple[Ground, Server, Clinic]:
    """Open a server with a clinic: an administrator, so many patients, and who accepts, with a person each."""
    here = await open_ones.enter_async_context(ground())
    async with here.connection() as connection:
        at = await sharing.place(connection)
        [inviter] = await crowd.administrators(connection, here.access_tokens(), [at.organization])
        accepting = await sharing.people(connection, at, AT_ONCE)
        tokens = await sharing.sessions(connection, here.access_tokens(), accepting)
    ids = [f"patient-{number}" for number in range(patients)]
    server_id = await _server(here, at.organization, "First", ids)
    async with here.connection() as connection:
        await crowd.settle(connection)
    server = await open_ones.enter_async_context(here.server())
    born = {"firstName": "Ada", "lastName": "Park", "gender": "Female", "birthDate": "1990-02-01"}
    making = [post("/Persons", token, _json(**born)) for token in tokens]
    _, bodies = await callers.run(ask_all, server.port, making, 1)
    persons = [json.loads(body)["id"] for body in bodies]
    return here, server, Clinic(inviter, server_id, ids, list(zip(tokens, persons, strict=True)))


async def _organization(here: Ground) -> UUID:
    async with here.connection() as connection:
        found: UUID = await connection.fetchval("SELECT id FROM organizations")
    return found


async def _server(here: Ground, organization_id: UUID, name: str, patients: list[str]) -> UUID:
    """Add a built-in FHIR server with these patients; return its id."""
    given = [
        Given(f"resource[{number}].", None, {"resourceType": "Patient", "id": one, "name": [{"family": one}]})
        for number, one in enumerate(patients)
    ]

    async def deed(ctx: Context) -> UUID:
        return (await servers.create(ctx, organization_id, ServerForm(name, ServerKind.BUILT_IN))).id

    made = await here.composition.operate(Permission.KEEP_FHIR_SERVERS, deed)
    prepared = prepare(given, together(given))
    await here.composition.operate(Permission.LOAD_RESOURCES, lambda ctx: resources.load(ctx, made, prepared))
    return made


async def _must_be_sound(here: Ground) -> None:
    async with here.connection() as connection, connection.transaction():
        broken = await verify(connection, here.composition.rules, datetime.now(UTC))
    if broken:
        raise RuntimeError(f"what was invited breaks an invariant: {broken}")


def _hashes_a_second() -> float:
    """Return how many slow hashes this machine makes, on as many threads as the server has, with nothing beside it."""
    with ThreadPoolExecutor(HASHING) as threads:
        began = time.perf_counter()
        for _ in threads.map(hash_now, [Password(SECRET)] * HASHES):
            pass
        return HASHES / (time.perf_counter() - began)


def _json(**members: object) -> bytes:
    return json.dumps(members).encode()
