"""Whose address counts: nobody can choose it, unless the operator named him."""

from __future__ import annotations

import secrets
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from edge.conftest import Stand
from hospitium.doors import client_address as subject
from hospitium.doors.client_address import MOST_HOPS, client_address, network_of, proxies_named

NONE = proxies_named("")
TRUSTED = proxies_named("127.0.0.1, 10.0.0.0/8, fd00::/8, ::1")


def scope(peer: str | None, *forwarded: str, **others: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in others.items()]
    return {"type": "http", "client": None if peer is None else (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        # nobody forwards
        ("203.0.113.7", [], "203.0.113.7"),
        ("2001:db8::7", [], "2001:db8::7"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("fe80::1%eth0", [], "fe80::1"),
        (None, [], "::1"),
        ("10.0.0.1", [], "10.0.0.1"),
        # a stranger claims what he likes
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", ["127.0.0.1"], "203.0.113.7"),
        ("11.0.0.1", ["198.51.100.1"], "11.0.0.1"),
        # a trusted proxy vouches for its own peer, and for nothing further left
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["127.0.0.1, 10.9.9.9, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3, fd00::5"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, ::ffff:198.51.100.1, ::ffff:10.1.2.3"], "198.51.100.1"),
        ("fd12::1", ["2001:db8::9"], "2001:db8::9"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        # all of them trusted: the farthest that was vouched for
        ("127.0.0.1", ["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        # ports, brackets, spaces
        ("127.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("127.0.0.1", ["[2001:db8::1]:80"], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("127.0.0.1", ["[::ffff:1.2.3.4]:80"], "1.2.3.4"),
        ("127.0.0.1", [" \t 1.2.3.4 \t , 10.0.0.1:99 "], "1.2.3.4"),
        # several headers are one list
        ("127.0.0.1", ["6.6.6.6", "1.2.3.4", "10.0.0.1"], "1.2.3.4"),
        ("127.0.0.1", ["1.2.3.4, 10.0.0.1", "10.0.0.2, 10.0.0.3"], "1.2.3.4"),
        # what is no address ends the walk
        ("127.0.0.1", ["6.6.6.6, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, unknown, 10.0.0.5"], "10.0.0.5"),
        ("127.0.0.1", ["6.6.6.6,"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6", ""], "127.0.0.1"),
        *(
            ("127.0.0.1", [f"6.6.6.6, {wrong}"], "127.0.0.1")
            for wrong in (
                "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4:", "1.2.3.4:port", "1.2.3.4:123456", "1.2.3.4 5", "1.2.3.4/32",
                "[1.2.3.4]:80", "[::1", "::1]", "[::1]80", "[::1]:", "::1%eth0", "[::1%25eth0]:80", ":::", "\xb2.2.3.4", "0x7f.1",
                '"1.2.3.4"', "for=1.2.3.4", "[]", "[]:80", "h.example", "1" * 5_000, "1.2.3.4\x00",
            )
        ),
    ],
)  # fmt: skip
def test_which_address_counts(peer: str | None, forwarded: list[str], counts: str) -> None:
    assert client_address(scope(peer, *forwarded), TRUSTED) == ip_address(counts)


@pytest.mark.parametrize(
    "header", ["Forwarded", "X_Real_IP", "X_Client_IP", "True_Client_IP", "CF_Connecting_IP", "Via"]
)
def test_no_other_header_says_anything(header: str) -> None:
    said = {header.lower(): "for=198.51.100.1"}
    assert client_address(scope("127.0.0.1", **said), TRUSTED) == ip_address("127.0.0.1")


def test_with_nobody_trusted_nothing_is_read() -> None:
    assert client_address(scope("127.0.0.1", "1.2.3.4"), NONE) == ip_address("127.0.0.1")
    assert client_address(scope(None, "1.2.3.4"), NONE) == ip_address("::1")


def _invented(number: int) -> list[str]:
    """Return what a client might send to seem another with each request."""
    address = f"{number % 223 + 1}.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{number % 256}"
    return [
        [address],
        [f"{address}, {address}"],
        [f"10.0.0.1, {address}", address],
        [f"[2001:db8::{number:x}]:80"],
        [f"{address}, unknown", "127.0.0.1"],
    ][number % 5]


def test_a_thousand_invented_addresses_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = {client_address(scope("203.0.113.7", *_invented(n)), TRUSTED) for n in range(1_000)}
    assert direct == {ip_address("203.0.113.7")}
    behind = {client_address(scope("127.0.0.1", *_invented(n), "203.0.113.7"), TRUSTED) for n in range(1_000)}
    assert behind == {ip_address("203.0.113.7")}

    # The control: believing whoever speaks lets one be a thousand.
    monkeypatch.setattr(subject, "is_trusted", lambda address, _: address == ip_address("203.0.113.7"))
    fooled = {client_address(scope("203.0.113.7", *_invented(n)), TRUSTED) for n in range(1_000)}
    assert len(fooled) > 400


def test_a_huge_header_costs_no_more_than_a_chain() -> None:
    chain = ", ".join(["10.0.0.1"] * 7_000)
    looked = []

    class Counting(tuple):  # noqa: SLOT001
        def __iter__(self) -> Any:
            looked.append(1)
            return super().__iter__()

    found = client_address(scope("127.0.0.1", "6.6.6.6," + chain), Counting(TRUSTED))
    assert found == ip_address("10.0.0.1")
    assert len(looked) <= MOST_HOPS + 1
    assert client_address(scope("127.0.0.1", "9" * 60_000), TRUSTED) == ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("address", "unit"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
    ],
)
def test_limits_count_by_what_one_has_for_himself(address: str, unit: str) -> None:
    assert network_of(ip_address(address)) == ip_network(unit)


def test_networks_are_named_as_one_writes_them() -> None:
    assert proxies_named(" 127.0.0.1 ,fd00::/8,, ") == (ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
    assert proxies_named("::ffff:10.0.0.0/104, ::ffff:1.2.3.4") == (
        ip_network("10.0.0.0/8"),
        ip_network("1.2.3.4/32"),
    )


async def test_the_server_believes_whom_it_was_told_to_and_nobody_by_default(standing: Stand) -> None:
    async with standing(TRUSTED_PROXIES="127.0.0.0/8") as server:
        assert server.parts.trusted_proxies == (ip_network("127.0.0.0/8"),)
    async with standing() as server:
        assert server.parts.trusted_proxies == ()
