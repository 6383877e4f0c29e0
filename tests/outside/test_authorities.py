"""Whose certificates are believed: those of a FHIR server's own authorities, and then nobody else's (threats F-37).

Real TLS on loopback. Each server is opened with a certificate; who is asked with which authorities is the question.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from cast import MovableClock
from fakes import evil_fhir as evil
from fakes.authorities import OVER, TO_COME, Issued, authority, issued
from fakes.evil_fhir import EvilFhir
from hospitium.engine.errors import FhirServerAway
from hospitium.engine.fhir_servers.authorities import AuthoritiesPem, authorities_in
from hospitium.engine.secrets import Secret
from hospitium.outside import breaker, http
from hospitium.outside.exchange import Answer, Unreachable
from hospitium.outside.fhir import Bearer, RemoteFhir, RemoteServer
from hospitium.outside.http import Egress, Limits, checked_url

SMALL = Limits(connect=1.0, whole=2.0, body=100_000)
TOKEN = Bearer(Secret("t0ken"))
ROOT, OTHER = authority(), authority("Lakeside Root")
NAMESAKE = authority()  # of the same name, with another key


def pem(*given: Issued) -> AuthoritiesPem:
    return authorities_in("authorities", "".join(one.pem for one in given))


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """The egress as it is, but that every name leads to loopback."""

    async def loopback(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    egress = Egress(names=loopback)
    yield egress
    await egress.close()


async def ask(
    egress: Egress, server: EvilFhir, authorities: AuthoritiesPem | None, host: str = "127.0.0.1"
) -> Answer:
    url = f"https://{host}:{server.port}/fhir"
    headers = {"Authorization": TOKEN.authorization}
    return await egress.get(
        checked_url(url, allow_private=True),
        headers=headers,
        allow_private=True,
        authorities=authorities,
        limits=SMALL,
    )


async def is_refused(
    egress: Egress, server: EvilFhir, authorities: AuthoritiesPem | None, host: str = "127.0.0.1"
) -> None:
    """Ask, and insist that nothing was said to whoever is there."""
    before = len(server.heard)
    with pytest.raises(Unreachable) as refused:
        await ask(egress, server, authorities, host)
    assert refused.value.kind == "certificate"
    assert len(server.heard) == before


async def test_a_server_is_believed_with_its_authority_and_with_no_other(egress: Egress) -> None:
    async with EvilFhir.open(evil.answering(b"{}"), tls=issued(ROOT).server()) as server:
        for believed in (pem(ROOT), pem(OTHER, ROOT), pem(NAMESAKE, OTHER, ROOT)):
            assert (await ask(egress, server, believed)).body == b"{}"
        for not_believed in (None, pem(OTHER), pem(NAMESAKE), pem(OTHER, NAMESAKE)):
            await is_refused(egress, server, not_believed)


@pytest.fixture
def of_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Issued:
    """An authority that is the system's, and the only one."""
    of_system = authority("One of the system's")
    file = tmp_path / "system.pem"
    file.write_text(of_system.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))  # by which OpenSSL finds the system's
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    http._believing.cache_clear()
    return of_system


async def test_what_the_system_believes_is_not_believed_of_a_server_with_authorities_of_its_own(
    egress: Egress, of_system: Issued
) -> None:
    async with EvilFhir.open(evil.answering(b"{}"), tls=issued(of_system).server()) as server:
        await is_refused(egress, server, pem(ROOT))
        assert (await ask(egress, server, None)).body == b"{}"  # so the system does believe it
        await is_refused(egress, server, pem(ROOT))
        assert (await ask(egress, server, pem(of_system))).body == b"{}"


async def test_names_and_dates_are_checked_of_what_the_system_believes(
    egress: Egress, of_system: Issued
) -> None:
    for shown in (
        issued(of_system, days=OVER),
        issued(of_system, days=TO_COME),
        issued(of_system, names=["127.0.0.2"]),
        issued(None),
        issued(ROOT),
    ):
        async with EvilFhir.open(evil.answering(b"{}"), tls=shown.server()) as server:
            await is_refused(egress, server, None)


async def test_it_is_what_keeps_them_apart_that_refuses_it(
    egress: Egress, of_system: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: where the system's are believed besides, whoever has a certificate by one of them is spoken to."""
    apart = http._believing

    def besides(authorities: AuthoritiesPem) -> ssl.SSLContext:
        context = apart.__wrapped__(authorities)
        context.load_default_certs()
        return context

    async with EvilFhir.open(evil.answering(b"{}"), tls=issued(of_system).server()) as server:
        await is_refused(egress, server, pem(ROOT))
        monkeypatch.setattr(http, "_believing", besides)
        assert (await ask(egress, server, pem(ROOT))).body == b"{}"
    assert server.heard[0].header("Authorization") == TOKEN.authorization


async def test_what_a_process_was_told_to_believe_is_not_believed_either() -> None:
    trust = ssl.create_default_context(cadata=OTHER.pem)
    egress = Egress(trust=trust)
    async with EvilFhir.open(evil.answering(b"{}"), tls=issued(OTHER).server()) as server:
        assert (await ask(egress, server, None)).status == 200
        await is_refused(egress, server, pem(ROOT))
    await egress.close()


BETWEEN = authority("Northside Two", under=ROOT)
BEFORE = authority("Before", days=OVER)
LATER = authority("Later", days=TO_COME)
SERVERS_OWN = issued(None)
REFUSED: list[tuple[str, Issued, tuple[Issued, ...], str]] = [
    ("over", issued(ROOT, days=OVER), (ROOT,), "127.0.0.1"),
    ("not yet", issued(ROOT, days=TO_COME), (ROOT,), "127.0.0.1"),
    ("by an authority that is over", issued(BEFORE), (BEFORE,), "127.0.0.1"),
    ("by an authority that isn't yet", issued(LATER), (LATER,), "127.0.0.1"),
    ("for another address", issued(ROOT, names=["127.0.0.2"]), (ROOT,), "127.0.0.1"),
    ("for a name, asked by its address", issued(ROOT, names=["fhir.example"]), (ROOT,), "127.0.0.1"),
    ("for another name", issued(ROOT, names=["fhir.example"]), (ROOT,), "evil.example"),
    (
        "for a name that begins alike",
        issued(ROOT, names=["fhir.example"]),
        (ROOT,),
        "fhir.example.evil.example",
    ),
    ("for itself, and another name", issued(None, names=["fhir.example"]), (ROOT,), "fhir.example"),
    ("by a server", issued(SERVERS_OWN), (SERVERS_OWN,), "127.0.0.1"),
    ("by an authority above the one that is believed", issued(ROOT), (BETWEEN,), "127.0.0.1"),
    (
        "without the one between",
        issued(BETWEEN)._replace(chain=()),
        (ROOT,),
        "127.0.0.1",
    ),
]


@pytest.mark.parametrize(
    ("shown", "believed", "host"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
async def test_names_dates_and_chains_are_checked_all_the_same(
    egress: Egress, shown: Issued, believed: tuple[Issued, ...], host: str
) -> None:
    async with EvilFhir.open(evil.answering(b"{}"), tls=shown.server()) as server:
        await is_refused(egress, server, pem(*believed), host)


GOOD: list[tuple[str, Issued, tuple[Issued, ...], str]] = [
    ("a name", issued(ROOT, names=["fhir.example"]), (ROOT,), "fhir.example"),
    ("with the one between", issued(BETWEEN), (ROOT,), "127.0.0.1"),
    ("by the one between alone", issued(BETWEEN), (BETWEEN,), "127.0.0.1"),
    ("by the one between, which isn't sent", issued(BETWEEN)._replace(chain=()), (BETWEEN,), "127.0.0.1"),
    ("one that vouches for itself", SERVERS_OWN, (SERVERS_OWN,), "127.0.0.1"),
    ("beside one that is over", issued(ROOT), (BEFORE, ROOT), "127.0.0.1"),
]


@pytest.mark.parametrize(
    ("shown", "believed", "host"), [one[1:] for one in GOOD], ids=[one[0] for one in GOOD]
)
async def test_what_is_in_order_is_believed(
    egress: Egress, shown: Issued, believed: tuple[Issued, ...], host: str
) -> None:
    async with EvilFhir.open(evil.answering(b"{}"), tls=shown.server()) as server:
        assert (await ask(egress, server, pem(*believed), host)).body == b"{}"


async def test_servers_that_are_asked_at_once_are_not_taken_for_each_other(egress: Egress) -> None:
    roots = [authority(f"Root {number}") for number in range(4)]
    async with AsyncExitStack() as open_:
        servers = [
            await open_.enter_async_context(EvilFhir.open(evil.answering(b"{}"), tls=issued(by).server()))
            for by in roots
        ]

        async def pair(server: EvilFhir, by: Issued, believed: Issued | None) -> None:
            if by is believed:
                assert (await ask(egress, server, pem(by))).body == b"{}"
                return
            with pytest.raises(Unreachable):
                await ask(egress, server, None if believed is None else pem(believed))

        await asyncio.gather(
            *(
                pair(server, by, believed)
                for _ in range(3)
                for server, by in zip(servers, roots, strict=True)
                for believed in (*roots, None)
            )
        )
        assert [len(server.heard) for server in servers] == [3] * 4


async def test_each_set_is_read_once_and_checks_whatever_a_default_one_checks() -> None:
    first, second = http._believing(pem(ROOT)), http._believing(pem(OTHER))
    assert first is http._believing(pem(ROOT))
    assert first is not second
    assert http._believing(pem(ROOT, OTHER)) not in (first, second)
    default = ssl.create_default_context()
    for context in (first, second):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.verify_flags & default.verify_flags == default.verify_flags
        assert (context.minimum_version, context.options) == (default.minimum_version, default.options)
        assert len(context.get_ca_certs()) == 1


async def test_no_authorities_at_all_are_not_those_of_the_system(egress: Egress, of_system: Issued) -> None:
    """No row can hold them; `ssl` would take an empty text for none given."""
    async with EvilFhir.open(evil.answering(b"{}"), tls=issued(of_system).server()) as server:
        await is_refused(egress, server, AuthoritiesPem(""))
        with pytest.raises(Unreachable):
            await ask(
                egress, server, AuthoritiesPem("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----")
            )
    assert server.heard == []


async def test_the_protocol_that_is_asked_for_is_the_one_that_is_spoken(egress: Egress) -> None:
    agreed = []

    async def behave(caller: evil.Caller) -> None:
        agreed.append(caller.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await evil.answering(b"{}")(caller)

    tls = issued(ROOT).server()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with EvilFhir.open(behave, tls=tls) as server:
        await ask(egress, server, pem(ROOT))
    assert agreed == ["http/1.1"]


# -- FHIR servers elsewhere --

Asking = Callable[[RemoteFhir, RemoteServer], Awaitable[Any]]
EVERY_QUESTION: dict[str, tuple[Asking, Any]] = {
    "read_patient": (lambda remote, at: remote.read_patient(at, "p1"), evil.patient()),
    "patients_by_identifier": (lambda remote, at: remote.patients_by_identifier(at, None, "x"), evil.page()),
    "read": (lambda remote, at: remote.read(at, "Patient", "p1"), evil.patient()),
    "search": (lambda remote, at: remote.search(at, "Patient", [("name", "x")]), evil.page()),
    "follow": (lambda remote, at: remote.follow(at, "Patient ?_getpages=1"), evil.page()),
    "test": (lambda remote, at: remote.test(at), evil.statement()),
}


def test_every_question_there_is_is_asked_here() -> None:
    assert set(EVERY_QUESTION) == {name for name in vars(RemoteFhir) if not name.startswith("_")}


@pytest.mark.parametrize("question", EVERY_QUESTION)
async def test_every_question_goes_to_who_is_believed_alone(
    egress: Egress, clock: MovableClock, question: str
) -> None:
    asks, answer = EVERY_QUESTION[question]
    remote = RemoteFhir(egress, clock)
    async with EvilFhir.open(evil.resource(answer), tls=issued(ROOT).server()) as server:
        base = f"https://127.0.0.1:{server.port}/fhir"
        for authorities in (None, pem(OTHER), pem(NAMESAKE)):
            with pytest.raises(FhirServerAway):
                await asks(remote, RemoteServer(uuid4(), base, True, TOKEN, authorities))
        assert server.heard == []
        await asks(remote, RemoteServer(uuid4(), base, True, TOKEN, pem(ROOT)))
        assert len(server.heard) == 1


async def test_who_gives_the_right_authorities_waits_for_no_pause_of_the_wrong_ones(
    egress: Egress, clock: MovableClock
) -> None:
    remote, its_id = RemoteFhir(egress, clock), UUID(int=7)
    async with EvilFhir.open(evil.resource(evil.statement()), tls=issued(ROOT).server()) as server:
        base = f"https://127.0.0.1:{server.port}/fhir"
        for _ in range(breaker.FAILURES + 1):
            with pytest.raises(FhirServerAway):
                await remote.test(RemoteServer(its_id, base, True, TOKEN, pem(OTHER)))
        assert server.heard == []
        await remote.test(RemoteServer(its_id, base, True, TOKEN, pem(ROOT)))
