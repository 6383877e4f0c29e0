"""The one way out over HTTP: where it doesn't go, and what it doesn't wait for, take or follow (threats G-01 to G-07, F-17, F-18)."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import ssl
import time
import traceback
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from fakes import evil_fhir as evil
from fakes.evil_fhir import EvilFhir
from fakes.mail_server import make_certificate
from hospitium.outside import exchange
from hospitium.outside.addresses import Reach, reach
from hospitium.outside.exchange import (
    Answer,
    Connection,
    Garbled,
    NoAnswer,
    Redirected,
    TooLarge,
    TooSlow,
    Unreachable,
)
from hospitium.outside.http import Blocked, Egress, Limits, SystemNames, checked_url

SMALL = Limits(connect=1.0, whole=2.0, body=100_000)
PUBLIC = "93.184.216.34"

# What is refused, whoever says what; and for which reason.
NEVER = [
    # schemes
    ("", "characters"), ("https", "scheme"), ("https:", "scheme"), ("https:/a.example", "scheme"), ("//a.example", "scheme"),
    ("a.example", "scheme"), ("file:///etc/passwd", "scheme"), ("gopher://a.example/_x", "scheme"), ("ftp://a.example/", "scheme"),
    ("data:text/plain,x", "scheme"), ("javascript:alert(1)", "scheme"), ("ws://a.example/", "scheme"), ("httpss://a.example/", "scheme"),
    ("dict://127.0.0.1:6379/x", "scheme"), ("unix:/run/docker.sock", "scheme"), ("https+unix://a.example", "scheme"),
    # whose user, what else
    ("https://user@a.example/", "userinfo"), ("https://user:secret@a.example/", "userinfo"), ("https://a.example@127.0.0.1/", "userinfo"),
    ("https://@a.example/", "userinfo"), ("https://a.example#@127.0.0.1/", "fragment"), ("https://a.example/#x", "fragment"),
    ("https://a.example#", "fragment"), ("https://a.example:443@127.0.0.1:8080/", "userinfo"),
    # what a parser may trip over
    ("https://a.example\\@127.0.0.1/", "characters"), ("https:\\\\a.example/", "characters"), ("https://a.example\\.b.example/", "characters"),
    ("https://a.example/\r\nHost: b.example", "characters"), ("https://a.example/x y", "characters"), (" https://a.example/", "characters"),
    ("https://a.example/\n", "characters"), ("https://a.example/\t", "characters"), ("ht\ntps://a.example/", "characters"),
    ("https://a.exam\0ple/", "characters"), ("https://a.example/%", "characters"), ("https://a.example/%zz", "characters"),
    ("https://bücher.example/", "characters"), ("https://ａ.example/", "characters"), ("https://a。example/", "characters"),
    ("https://１２７.０.０.１/", "characters"), ("https://①②⑦.0.0.1/", "characters"), ("https://a.example/<x>", "characters"),
    ("https://a.example/[x]", "characters"), ("https://a.example/?x=[1]", "characters"), ("https://a.example/" + "x" * 9000, "length"),
    # hosts
    ("https:///x", "host"), ("https://", "host"), ("https://:443/", "host"), ("https://?x", "host"), ("https://a.example./", "host"),
    ("https://.example/", "host"), ("https://a..example/", "host"), ("https://-a.example/", "host"), ("https://a-.example/", "host"),
    ("https://%61.example/", "host"), ("https://a%2eexample/", "host"), ("https://127.0.0.1%2f@a.example/", "userinfo"),
    ("https://" + "a" * 64 + ".example/", "host"), ("https://" + "a." * 127 + "example/", "host"), ("https://a!b.example/", "host"),
    # an address that isn't written as one: a resolver takes all of these for 127.0.0.1
    ("https://127.1/", "host"), ("https://127.0.1/", "host"), ("https://2130706433/", "host"), ("https://0x7f000001/", "host"),
    ("https://0x7f.0.0.1/", "host"), ("https://0x7f.1/", "host"), ("https://0177.0.0.1/", "host"), ("https://017700000001/", "host"),
    ("https://127.0.0.01/", "host"), ("https://127.0.0.0x1/", "host"), ("https://0/", "host"), ("https://127.0.0.1./", "host"),
    ("https://1.2.3/", "host"), ("https://1.2.3.4.5/", "host"), ("https://256.0.0.1/", "host"), ("https://4294967297/", "host"),
    # IPv6
    ("https://[::1", "host"), ("https://::1/", "host"), ("https://[]/", "host"), ("https://[internal]/", "host"), ("https://[v1.a]/", "host"),
    ("https://[fe80::1%25eth0]/", "host"), ("https://[fe80::1%eth0]/", "characters"), ("https://[::1]a.example/", "host"),
    ("https://[127.0.0.1]/", "host"), ("https://[1:2:3]/", "host"), ("https://[::ffff:127.0.0.256]/", "host"),
    # ports
    ("https://a.example:22/", "port"), ("https://a.example:25/", "port"), ("https://a.example:0/", "port"), ("https://a.example:1/", "port"),
    ("https://a.example:1023/", "port"), ("https://a.example:65536/", "port"), ("https://a.example:99999/", "port"),
    ("https://a.example:/", "host"), ("https://a.example:+443/", "host"), ("https://a.example:443x/", "host"),
    ("https://a.example:443:80/", "host"), ("https://a.example:-1/", "host"), ("https://a.example:000443/", "host"),
    # paths
    ("https://a.example/..", "path"), ("https://a.example/x/../y", "path"), ("https://a.example/./x", "path"), ("https://a.example/...", "path"),
    ("https://a.example/%2e%2e/x", "path"), ("https://a.example/.%2E/x", "path"), ("https://a.example/x//y", "path"), ("https://a.example//x", "path"),
    ("https://a.example/x%2fy", "path"), ("https://a.example/x%5cy", "path"), ("https://a.example/%252e%252e/", "path"),
    ("https://a.example/..;/x", "path"), ("https://a.example/x%00", "path"), ("https://a.example/x%0d%0aHost:b", "path"),
    ("https://a.example/x%23y", None), ("https://a.example/x/", None),
    # where nothing is that one would ask
    ("https://0.0.0.0/", "address"), ("https://[::]/", "address"), ("https://169.254.169.254/latest/meta-data", "address"),
    ("https://169.254.0.1/", "address"), ("https://[fe80::1]/", "address"), ("https://[fd00:ec2::254]/", "address"),
    ("https://100.100.100.200/", "address"), ("https://168.63.129.16/", "address"), ("https://192.0.0.192/", "address"), ("https://192.0.0.8/", "address"),
    ("https://224.0.0.1/", "address"), ("https://239.255.255.250/", "address"), ("https://255.255.255.255/", "address"), ("https://240.0.0.1/", "address"),
    ("https://[ff02::1]/", "address"), ("https://[ff0e::1]/", "address"), ("https://192.0.2.1/", "address"), ("https://198.51.100.1/", "address"),
    ("https://203.0.113.1/", "address"), ("https://198.18.0.1/", "address"), ("https://0.1.2.3/", "address"), ("https://192.88.99.1/", "address"),
    ("https://[2001:db8::1]/", "address"), ("https://[3fff::1]/", "address"), ("https://[100::1]/", "address"), ("https://[fec0::1]/", "address"),
    ("https://[5f00::1]/", "address"), ("https://[4000::1]/", "address"), ("https://[::127.0.0.1]/", "address"), ("https://[::ffff:0:7f00:1]/", "address"),
    ("https://[2002:7f00:1::]/", "address"), ("https://[2002:a00:1::1]/", "address"), ("https://[2002:5db8:d822::1]/", "address"),
    ("https://[2001:0:5db8:d822::1]/", "address"), ("https://[64:ff9b::7f00:1]/", "address"), ("https://[64:ff9b::127.0.0.1]/", "address"),
    ("https://[64:ff9b::a9fe:a9fe]/", "address"), ("https://[64:ff9b::c0a8:1]/", "address"), ("https://[64:ff9b:1::5db8:d822]/", "address"),
    ("https://[::ffff:169.254.169.254]/", "address"), ("https://[::ffff:0.0.0.0]/", "address"), ("https://[2606:4700::5efe:7f00:1]/", "address"),
    ("https://[2606:4700::200:5efe:10.0.0.1]/", "address"),
]  # fmt: skip

# What is refused unless the operator said of this URL that its address may be private.
PRIVATE = [
    "https://127.0.0.1/", "https://127.255.255.254/", "https://10.0.0.1/fhir", "https://172.16.0.1/", "https://172.31.255.255/",
    "https://192.168.1.1:8443/fhir", "https://100.64.0.1/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[fc00::1]/",
    "https://[fd12:3456::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/", "https://[::ffff:7f00:1]/",
]  # fmt: skip

FINE = [
    ("https://fhir.example", "https://fhir.example"),
    ("https://fhir.example/", "https://fhir.example/"),
    ("HTTPS://FHIR.Example:443/R4/", "https://fhir.example/R4/"),
    ("https://fhir.example:8443/r4", "https://fhir.example:8443/r4"),
    ("https://fhir.example:80/", "https://fhir.example:80/"),
    ("https://xn--bcher-kva.example/a%20b", "https://xn--bcher-kva.example/a%20b"),
    ("https://my_server.example/", "https://my_server.example/"),
    ("https://fhir.example?x=1%7C2&y=?", "https://fhir.example?x=1%7C2&y=?"),
    ("https://93.184.216.34/", "https://93.184.216.34/"),
    ("https://[2606:4700:0:0::1]:8443/", "https://[2606:4700::1]:8443/"),
    ("https://[64:ff9b::5db8:d822]/", "https://[64:ff9b::5db8:d822]/"),
    ("https://[::ffff:93.184.216.34]/", "https://[::ffff:5db8:d822]/"),
    ("https://172.32.0.1/", "https://172.32.0.1/"),
    ("https://1.2.3.4.example/", "https://1.2.3.4.example/"),
]


class Telephone:
    """Resolves names by a list, in order of asking, and puts every call through to one port of loopback."""

    def __init__(self, *answers: Sequence[str], port: int = 0) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.dead: set[str] = set()
        self.port = port

    async def dial(
        self, kind: type[Connection], address: str, port: int
    ) -> tuple[asyncio.Transport, Connection]:
        self.dialled.append((address, port))
        if address in self.dead:
            raise ConnectionRefusedError
        return await asyncio.get_running_loop().create_connection(kind, "127.0.0.1", self.port)

    async def names(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)

    @asynccontextmanager
    async def egress(self, trust: ssl.SSLContext | None = None) -> AsyncIterator[Egress]:
        egress = Egress(names=self.names, dial=self.dial, trust=trust)
        yield egress
        await egress.close()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """The egress as it is, to which loopback is a private address."""
    egress = Egress()
    yield egress
    await egress.close()


async def ask(egress: Egress, url: str, *, limits: Limits = SMALL, allow_private: bool = True) -> Answer:
    return await egress.get(
        checked_url(url, allow_private=allow_private),
        headers={"Accept": "text/plain"},
        allow_private=allow_private,
        authorities=None,
        limits=limits,
    )


# -- where it doesn't go --


@pytest.mark.parametrize(("url", "kind"), [one for one in NEVER if one[1]])
@pytest.mark.parametrize("allow_private", [False, True])
def test_it_goes_nowhere_by_a_url_that_is_wrong(url: str, kind: str, *, allow_private: bool) -> None:
    with pytest.raises(Blocked) as refused:
        checked_url(url, allow_private=allow_private)
    assert refused.value.kind == kind
    assert refused.value.reason


@pytest.mark.parametrize("url", [one[0] for one in NEVER if not one[1]])
def test_it_doesnt_refuse_a_path_for_nothing(url: str) -> None:
    assert str(checked_url(url, allow_private=False)) == url


@pytest.mark.parametrize("url", PRIVATE)
def test_it_goes_to_a_private_address_only_where_the_operator_said_so(url: str) -> None:
    with pytest.raises(Blocked) as refused:
        checked_url(url, allow_private=False)
    assert refused.value.kind == "address"
    assert checked_url(url, allow_private=True).scheme == "https"
    plain = url.replace("https:", "http:")
    assert checked_url(plain, allow_private=True).scheme == "http"
    with pytest.raises(Blocked):
        checked_url(plain, allow_private=False)


@pytest.mark.parametrize(("url", "spelled"), FINE)
def test_a_url_has_one_spelling(url: str, spelled: str) -> None:
    assert str(checked_url(url, allow_private=False)) == spelled
    assert str(checked_url(spelled, allow_private=False)) == spelled


def test_the_table_is_as_long_as_the_threat_asks() -> None:
    assert len(NEVER) + len(PRIVATE) >= 80


def test_plain_http_is_not_for_the_way_through_all_the_world() -> None:
    for url in ("http://93.184.216.34/", "http://[2606:4700::1]/"):
        with pytest.raises(Blocked) as refused:
            checked_url(url, allow_private=True)
        assert refused.value.kind == "scheme"


def test_a_name_without_a_dot_is_of_somebodys_own_network() -> None:
    assert str(checked_url("http://hapi:8080/fhir", allow_private=True)) == "http://hapi:8080/fhir"
    for url in ("https://localhost/", "https://hapi/", "https://metadata/"):
        with pytest.raises(Blocked):
            checked_url(url, allow_private=False)


def test_an_address_that_is_none_is_reached_by_nobody() -> None:
    for text in ("", "localhost", "fe80::1%eth0", "2606:4700::1%1", "127.1", "1.2.3.4.5"):
        assert reach(text) is Reach.NEVER


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], [PUBLIC, "127.0.0.1"], [PUBLIC, PUBLIC, PUBLIC, "10.0.0.1"], ["169.254.169.254"], ["::1"], ["fd00::1"],
        [PUBLIC, "64:ff9b::7f00:1"], ["::ffff:127.0.0.1"], ["fe80::1%2"], ["0.0.0.0"], ["2002:7f00:1::"], ["not an address"],
    ],
)  # fmt: skip
async def test_it_refuses_a_name_any_of_whose_addresses_is_not_public(addresses: list[str]) -> None:
    telephone = Telephone(addresses)
    async with telephone.egress() as egress:
        with pytest.raises(Blocked) as refused:
            await ask(egress, "https://fhir.example/", allow_private=False)
    assert refused.value.kind == "address"
    assert telephone.dialled == []


async def test_the_operators_word_doesnt_reach_to_metadata_and_the_like() -> None:
    for address in (
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
        "::",
        "fd00:ec2::254",
        "100.100.100.200",
    ):
        telephone = Telephone([address])
        async with telephone.egress() as egress:
            with pytest.raises(Blocked):
                await ask(egress, "https://fhir.example/")
        assert telephone.dialled == []


async def test_what_a_resolver_takes_for_an_address_is_refused_by_where_it_leads() -> None:
    names = SystemNames()
    for host in ("localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1"):

        async def resolved(_: str, port: int, host: str = host) -> Sequence[str]:
            return await names(host, port)

        egress = Egress(names=resolved)
        async with EvilFhir.open(evil.answering(b"{}")) as server:
            with pytest.raises(Blocked):
                await ask(egress, f"https://fhir.example:{server.port}/", allow_private=False)
            assert (await ask(egress, f"http://fhir.example:{server.port}/")).status == 200
        assert server.connections == 1
        await egress.close()
    names.close()


async def test_a_name_that_changes_its_mind_is_asked_once() -> None:
    """DNS rebinding: what was public when it was judged is 127.0.0.1 to who asks again, and nobody does."""
    async with EvilFhir.open(evil.answering(b"{}")) as server:
        telephone = Telephone(["10.0.0.7"], ["127.0.0.1"], port=server.port)
        async with telephone.egress() as egress:
            await ask(egress, "http://fhir.example:8080/")
    assert telephone.asked == ["fhir.example"]
    assert telephone.dialled == [("10.0.0.7", 8080)]


async def test_each_request_resolves_and_judges_again() -> None:
    async with EvilFhir.open(evil.answering(b"{}")) as server:
        telephone = Telephone(["10.0.0.7"], ["169.254.169.254"], port=server.port)
        async with telephone.egress() as egress:
            await ask(egress, "http://fhir.example:8080/")
            with pytest.raises(Blocked):
                await ask(egress, "http://fhir.example:8080/")
    assert telephone.dialled == [("10.0.0.7", 8080)]
    assert server.connections == 1


async def test_it_tries_the_next_address_where_one_is_dead() -> None:
    async with EvilFhir.open(evil.answering(b"{}")) as server:
        telephone = Telephone(["10.0.0.7", "10.0.0.8"], port=server.port)
        telephone.dead = {"10.0.0.7"}
        async with telephone.egress() as egress:
            assert (await ask(egress, "http://fhir.example:8080/")).status == 200
    assert [host for host, _ in telephone.dialled] == ["10.0.0.7", "10.0.0.8"]


async def test_a_name_nobody_has_is_unreachable(egress: Egress) -> None:
    with pytest.raises(Unreachable) as failed:
        await ask(egress, "https://nobody.invalid/", allow_private=False)
    assert failed.value.kind == "name"


# -- whom it believes, and what it tells --


async def test_a_certificate_is_checked_for_the_name(tmp_path) -> None:
    context, certificate = make_certificate(tmp_path, names=("fhir.example",))
    trust = ssl.create_default_context(cafile=certificate)
    async with EvilFhir.open(evil.answering(b"{}"), tls=context) as server:
        telephone = Telephone([PUBLIC], [PUBLIC], [PUBLIC], port=server.port)
        async with telephone.egress(trust) as egress:
            answer = await ask(egress, "https://fhir.example:8443/r4", allow_private=False)
            assert (answer.status, answer.body) == (200, b"{}")
            with pytest.raises(Unreachable) as other_name:
                await ask(egress, "https://evil.example:8443/r4", allow_private=False)
        async with telephone.egress() as egress:
            with pytest.raises(Unreachable) as unknown_issuer:
                await ask(egress, "https://fhir.example:8443/r4", allow_private=False)
    assert other_name.value.kind == unknown_issuer.value.kind == "certificate"
    assert server.names_asked_for == ["fhir.example", "evil.example", "fhir.example"]
    assert [one.header("Host") for one in server.heard] == ["fhir.example:8443"]
    assert telephone.dialled == [(PUBLIC, 8443)] * 3


async def test_a_server_without_tls_is_not_spoken_to_in_plain() -> None:
    async with EvilFhir.open(evil.answering(b"{}")) as server:
        telephone = Telephone([PUBLIC], port=server.port)
        async with telephone.egress() as egress:
            with pytest.raises((Unreachable, TooSlow)):
                await ask(egress, "https://fhir.example/", allow_private=False)
    assert server.heard == []


async def test_it_says_no_more_than_it_was_told_to(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", os.devnull)
    fresh = Egress()
    cookie = evil.answering(b"{}", headers=[("Set-Cookie", "session=1; Path=/"), ("Set-Cookie", "b=2")])
    async with EvilFhir.open(cookie) as server:
        for _ in range(2):
            await ask(fresh, f"{server.base}/a?x=1%2C2")
    await fresh.close()
    assert [one.line for one in server.heard] == ["GET /fhir/a?x=1%2C2 HTTP/1.1"] * 2
    for heard in server.heard:
        assert heard.headers == [("Host", f"127.0.0.1:{server.port}"), ("Accept", "text/plain")]


async def test_a_header_that_would_be_two_never_leaves(egress: Egress) -> None:
    async with EvilFhir.open(evil.answering(b"{}")) as server:
        with pytest.raises(NoAnswer) as failed:
            await egress.get(
                checked_url(server.base, allow_private=True),
                headers={"Accept": "a\r\nX-Evil: secret"},
                allow_private=True,
                authorities=None,
                limits=SMALL,
            )
    assert "secret" not in repr(failed.value)
    assert server.heard == []


# -- what it doesn't follow, take, or wait for --


@pytest.mark.parametrize(
    "status", ["300 Choices", "301 Moved", "302 Found", "303 Other", "304 Same", "307 There", "308 There"]
)
async def test_it_follows_nobody_elsewhere(egress: Egress, status: str) -> None:
    async with EvilFhir.open(evil.answering(b"{}")) as elsewhere:
        there = evil.answering(b"", status=status, headers=[("Location", f"{elsewhere.base}/Patient/p1")])
        async with EvilFhir.open(there) as server:
            with pytest.raises(Redirected):
                await ask(egress, server.base)
    assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.parametrize(
    "behaviour",
    [evil.endless(), evil.endless(gzip.compress(b"{}"), coding="gzip")],
    ids=["plain", "after a parcel"],
)
async def test_ten_gigabytes_are_left_where_they_are(egress: Egress, behaviour: evil.Behaviour) -> None:
    async with EvilFhir.open(behaviour) as server:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await ask(egress, server.base, limits=Limits(1.0, 20.0, 2 * 1024**2))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * 1024**2
    assert server.sent < 64 * 1024**2


async def test_what_comes_behind_a_parcel_costs_no_more_than_to_read_it(egress: Egress) -> None:
    """In many pieces, inside every limit: kept, each would cost all those before it again."""

    async def behind(caller: evil.Caller) -> None:
        packed, piece = gzip.compress(b"{}"), b"x" * 800
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        await caller.say(head + b"%x\r\n%s\r\n" % (len(packed), packed))
        for _ in range(100):
            await caller.say((b"%x\r\n%s\r\n" % (len(piece), piece)) * 100)
        await caller.say(b"0\r\n\r\n")

    async with EvilFhir.open(behind) as server:
        began = time.process_time()
        with pytest.raises(Garbled):
            await ask(egress, server.base, limits=Limits(1.0, 20.0, 16 * 1024**2))
        assert time.process_time() - began < 2  # it was 5


@pytest.mark.parametrize("times", [1, 2])
async def test_a_bomb_is_not_unpacked(egress: Egress, times: int) -> None:
    async with EvilFhir.open(evil.bomb(times=times)) as server:
        tracemalloc.start()
        try:
            with pytest.raises((TooLarge, Garbled)):
                await ask(egress, server.base, limits=Limits(1.0, 20.0, 1024**2))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024**2


async def test_the_limit_is_exact_packed_or_not(egress: Egress) -> None:
    for behaviour in (evil.answering, lambda body: evil.zipped(body.decode())):
        async with EvilFhir.open(behaviour(b"x" * 998)) as server:
            whole = len((await ask(egress, server.base)).body)
            assert len((await ask(egress, server.base, limits=Limits(1.0, 2.0, whole))).body) == whole
            with pytest.raises(TooLarge):
                await ask(egress, server.base, limits=Limits(1.0, 2.0, whole - 1))


async def test_a_length_that_is_too_much_is_believed(egress: Egress) -> None:
    async with EvilFhir.open(evil.answering(b"{}", length=10 * 1024**3)) as server:
        with pytest.raises(TooLarge):
            await ask(egress, server.base)


async def test_dust_is_too_much_too(egress: Egress) -> None:
    async with EvilFhir.open(evil.dust()) as server:
        began = time.monotonic()
        with pytest.raises(TooLarge) as failed:
            await ask(egress, server.base, limits=Limits(1.0, 30.0, 10_000_000))
    assert failed.value.kind == "pieces"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "behaviour", [evil.silence, evil.dripping(), evil.early_hints], ids=["silence", "dripping", "early hints"]
)
async def test_it_waits_no_longer_than_it_may(egress: Egress, behaviour: evil.Behaviour) -> None:
    async with EvilFhir.open(behaviour) as server:
        began = time.monotonic()
        with pytest.raises(TooSlow):
            await ask(egress, server.base, limits=Limits(connect=0.2, whole=0.4, body=10_000_000))
        assert time.monotonic() - began < 1.5


async def test_it_doesnt_wait_for_a_handshake_that_never_comes() -> None:
    never = asyncio.Event()
    listener = await asyncio.start_server(lambda reader, writer: never.wait(), "127.0.0.1", 0)
    telephone = Telephone([PUBLIC], port=listener.sockets[0].getsockname()[1])
    async with telephone.egress() as egress:
        with pytest.raises(TooSlow) as failed:
            await ask(egress, "https://fhir.example/", allow_private=False, limits=Limits(0.3, 5.0, 100))
    assert failed.value.kind == "connection"
    never.set()
    listener.close()


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (evil.hang_up, Unreachable),
        (evil.reset_amidst, Unreachable),
        (evil.answering(b"{}", length=50), Garbled),
        (evil.saying(b"ICY 200 OK\r\n\r\n"), Garbled),
        (evil.saying(b"\x00\xff\x13" * 1000), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 200_000 + b"\r\n{}\r\n0\r\n\r\n"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X-T: 12345678\r\n" * 10_000 + b"\r\n"), Garbled),
        (evil.saying(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), Garbled),
        (evil.saying(b"HTTP/1.1 200 OK\r\nContent-Le"), Unreachable),
        (evil.answering(b"{}", headers=[(f"X-{number}", "1" * 20) for number in range(10_000)]), Garbled),
        (evil.answering(b"{}", headers=[("X-Long", "1" * 1_000_000)]), Garbled),
        (evil.answering(b"{}", headers=[("Content-Encoding", "br")]), Garbled),
        (evil.answering(b"not packed", headers=[("Content-Encoding", "gzip")]), Garbled),
        (evil.zipped({"a": 1}, cut=9), Garbled),
        (evil.answering(gzip.compress(b"{}") + b"more", headers=[("Content-Encoding", "gzip")]), Garbled),
    ],
)  # fmt: skip
async def test_what_cant_be_read_is_said_in_a_word(
    egress: Egress, behaviour: evil.Behaviour, kind: type[NoAnswer]
) -> None:
    async with EvilFhir.open(behaviour) as server:
        with pytest.raises(kind) as failed:
            await ask(egress, server.base)
    assert failed.value.kind in {"broke", "protocol", "encoding"}
    told = "".join(traceback.format_exception(failed.value))
    assert "another exception" not in told
    assert "direct cause" not in told


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\n{}",
        b"HTTP/1.1 103 Early\r\nContent-Type: x/y\r\n\r\nHTTP/1.1 200\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nContent-Type: x/y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nCONTENT-TYPE: a/b\r\nContent-Length: 2 \r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["until it hangs up", "after a hint", "in chunks", "by its length", "offering an upgrade"],
)
async def test_what_can_be_read_in_one_way_is(egress: Egress, said: bytes) -> None:
    async with EvilFhir.open(evil.saying(said)) as server:
        assert await ask(egress, server.base) == Answer(200, "a/b", b"{}")


async def test_a_change_of_protocol_is_no_success(egress: Egress) -> None:
    switching = evil.saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}")
    async with EvilFhir.open(switching) as server:
        assert await ask(egress, server.base) == Answer(101, "", b"")


async def test_what_is_said_before_it_is_asked_is_no_answer(tmp_path) -> None:
    """Somebody on the way says something in plain before the handshake with the right server: it must not be taken for that one's answer."""
    context, certificate = make_certificate(tmp_path, names=("fhir.example",))
    trust = ssl.create_default_context(cafile=certificate)
    planted = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted"

    async with EvilFhir.open(evil.answering(b"{}"), tls=context) as server:

        async def on_the_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(planted)
            await writer.drain()
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            with suppress(OSError):
                while piece := await reader.read(65_536):
                    back.write(piece)
                    writer.write(await there.read(65_536))
            back.close()
            writer.close()

        listener = await asyncio.start_server(on_the_way, "127.0.0.1", 0)
        between = listener.sockets[0].getsockname()[1]

        async def dial(kind: type[Connection], _: str, __: int) -> tuple[asyncio.Transport, Connection]:
            found = await asyncio.get_running_loop().create_connection(kind, "127.0.0.1", between)
            await asyncio.sleep(0.02)  # so that it is here before anything is asked
            return found

        egress = Egress(names=Telephone([PUBLIC]).names, dial=dial, trust=trust)
        for url in ("https://fhir.example:8443/", f"http://127.0.0.1:{between}/"):
            with pytest.raises(Garbled):
                await ask(egress, url, allow_private="https" not in url)
        await egress.close()
        listener.close()


async def test_a_port_where_nobody_listens_is_unreachable(egress: Egress) -> None:
    async with EvilFhir.open(evil.silence) as server:
        base = server.base
    with pytest.raises(Unreachable) as failed:
        await ask(egress, base)
    assert failed.value.kind == "connection"


async def test_what_comes_after_the_end_is_nobodys_answer(egress: Egress) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
    async with EvilFhir.open(evil.answering(b"{}", more=smuggled)) as server:
        bodies = [(await ask(egress, server.base)).body for _ in range(3)]
    assert bodies == [b"{}"] * 3
    assert server.connections == 3


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 Nowhere", "410 Gone", "500 Oh", "503 Later"])
async def test_the_body_of_a_refusal_is_not_even_read(egress: Egress, status: str) -> None:
    async with EvilFhir.open(evil.answering(evil.CANARY.encode(), status=status)) as server:
        answer = await ask(egress, server.base)
    assert (str(answer.status), answer.body) == (status[:3], b"")


async def test_what_is_packed_without_being_asked_for_is_read(egress: Egress) -> None:
    async with EvilFhir.open(evil.zipped({"a": "b" * 500})) as server:
        assert (await ask(egress, server.base)).body == b'{"a": "' + b"b" * 500 + b'"}'


async def test_what_was_read_is_let_go_at_once(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for a garbage collection, which is rare where little is made: each answer may hold a megabyte."""
    kept: list[weakref.ref[Any]] = []

    class Watched(exchange._Exchange):
        def __init__(self, most: int) -> None:
            super().__init__(most)
            kept.append(weakref.ref(self))

    monkeypatch.setattr(exchange, "_Exchange", Watched)
    gc.collect()
    gc.disable()
    try:
        async with EvilFhir.open(evil.answering(b"x" * 90_000)) as server:
            await ask(egress, server.base)
            server.does = evil.zipped("x" * 90_000)
            await ask(egress, server.base)
            server.does = evil.answering(b"x" * 90_000, length=95_000)
            with pytest.raises(Garbled):
                await ask(egress, server.base)
            await asyncio.sleep(0.01)
        assert kept[0]() is None
        # The traceback of what failed may hold some; nothing was read into them any more.
        assert sum(len(one._body) for ref in kept if (one := ref()) is not None) == 0
    finally:
        gc.enable()


async def test_no_connection_is_left_behind(egress: Egress) -> None:
    async with EvilFhir.open(evil.silence) as server:
        asking = asyncio.create_task(ask(egress, server.base))
        while not server.heard:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(5):
            server.does = evil.answering(b"{}")
            assert (await ask(egress, server.base)).status == 200
    assert exchange.MOST_PIECES > 1
