"""This server answers by its own names alone, and takes no address from what a request says."""

from __future__ import annotations

import ast
import re

import pytest

from edge.conftest import Stand
from hospitium.app import application
from hospitium.edge import Edge
from house.tree import modules

EVIL = "evil.example"


def verdict(public_url: str, *hosts: str, more: tuple[str, ...] = (), target: str | None = None) -> bool:
    edge = Edge(public_url=public_url, allowed_hosts=more)
    scope = {
        "method": "GET",
        "path": "/v1/x",
        "headers": [(b"host", host.encode("latin-1")) for host in hosts],
        **({} if target is None else {"hospitium.target": target}),
    }
    answer = edge.arrival(scope).answer
    assert answer is None or answer.status == 421
    return answer is None


@pytest.mark.parametrize(
    ("public_url", "host", "ours"),
    [
        ("https://h.example", "h.example", True),
        ("https://h.example", "H.Example", True),
        ("https://h.example", "h.example:443", True),
        ("https://h.example:443", "h.example", True),
        ("https://h.example", "h.example:80", False),
        ("https://h.example", "h.example:8420", False),
        ("http://h.example", "h.example:80", True),
        ("http://h.example", "h.example:443", False),
        ("https://h.example:8443", "h.example:8443", True),
        ("https://h.example:8443", "h.example", False),
        ("https://h.example/below", "h.example", True),
        ("http://[::1]:8420", "[::1]:8420", True),
        ("http://[::1]", "[::1]", True),
        *(
            ("https://h.example", wrong, False)
            for wrong in (
                "", " ", EVIL, f"h.example.{EVIL}", "xh.example", "example", "h.example.", ".h.example", "h.example:", "h.example@evil.example",
                f"{EVIL}#h.example", f"{EVIL}/h.example", "h.example,evil.example", "h.example evil.example", "h.example:443:443", "[h.example]", "h.example\x00", "h\xb7example",
            )
        ),
    ],
)  # fmt: skip
def test_which_names_are_ours(public_url: str, host: str, ours: bool) -> None:
    assert verdict(public_url, host) is ours


def test_a_request_names_its_server_once() -> None:
    public = "https://h.example"
    assert not verdict(public)
    assert not verdict(public, "h.example", "h.example")
    assert not verdict(public, "h.example", EVIL)
    assert not verdict(public, EVIL, "h.example")


def test_a_whole_address_counts_as_the_header_does() -> None:
    public = "https://h.example"
    assert verdict(public, "h.example", target="http://h.example/v1/x")
    assert verdict(public, "h.example", target="HTTPS://H.EXAMPLE:443?q")
    for target in (f"http://{EVIL}/v1/x", f"http://h.example@{EVIL}/", f"http://{EVIL}?h.example", f"http://{EVIL}#@h.example", "*", "//h.example"):  # fmt: skip
        assert not verdict(public, "h.example", target=target), target
    assert not verdict(public, EVIL, target="http://h.example/v1/x")


def test_further_names_may_be_given() -> None:
    public, more = "https://h.example", ("inside", "10.0.0.5:8420", "[fd00::1]")
    for name in ("inside", "inside:8420", "INSIDE:1", "10.0.0.5:8420", "[fd00::1]", "[fd00::1]:8420"):
        assert verdict(public, name, more=more), name
    for name in ("10.0.0.5", "10.0.0.5:1", "insider", "inside:port", "fd00::1", "inside:123456"):
        assert not verdict(public, name, more=more), name


async def test_another_name_is_misdirected_at_every_address_but_health_and_metrics(standing: Stand) -> None:
    token = "canary-token-of-the-metrics"
    async with standing(PUBLIC_URL="https://h.example", METRICS_TOKEN=token) as server:
        for path in (
            "/api/connections/incoming",
            "/.well-known/jwks.json",
            "/nowhere",
            "/",
            "/healthy",
            "/metrics/x",
        ):
            for headers in ({}, {"Host": EVIL}, {"Host": ""}):
                answered = await server.http.get(path, headers=headers)
                assert answered.status_code == 421, path
                assert answered.headers["content-type"] == "application/problem+json"
                assert answered.json()["type"] == "urn:hospitium:problem:misdirected"
                assert EVIL not in answered.text
            assert (await server.http.get(path, headers={"Host": "h.example"})).status_code != 421
        for path in ("/health/live", "/health/ready", "/metrics"):
            answered = await server.http.get(path, headers={"Host": EVIL, "Authorization": f"Bearer {token}"})
            assert answered.status_code == 200, path


async def test_a_whole_address_on_the_request_line_is_looked_at(standing: Stand) -> None:
    async with standing(PUBLIC_URL="http://h.example") as server:
        for target, status in ((EVIL, b"421"), ("h.example", b"200")):
            said = await server.says(
                f"GET http://{target}/.well-known/jwks.json HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n\r\n".encode()
            )
            assert said.startswith(b"HTTP/1.1 " + status), target


async def test_without_a_public_address_any_name_will_do(standing: Stand) -> None:
    async with standing() as server:
        assert (await server.http.get("/.well-known/jwks.json", headers={"Host": EVIL})).status_code == 200


# -- no address comes from a request -----------------------------------------------------------------------------------

SAID: list[dict[str, str]] = [
    {"Host": EVIL},
    {"Host": f"{EVIL}:443"},
    {"X-Forwarded-Host": EVIL},
    {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"},
    {"X-Forwarded-Server": EVIL},
    {"Forwarded": f"host={EVIL};proto=https;for=1.2.3.4"},
    {"X-Original-Host": EVIL},
    {"X-Original-URL": f"https://{EVIL}/"},
    {"X-Rewrite-URL": f"https://{EVIL}/"},
    {"X-Host": EVIL},
    {"X-Forwarded-Prefix": f"//{EVIL}"},
    {"X-Forwarded-For": EVIL, "Referer": f"https://{EVIL}/", "Origin": f"https://{EVIL}"},
]


async def test_no_answer_holds_an_address_that_the_request_brought(standing: Stand) -> None:
    asked = 0
    async with standing(TRUSTED_PROXIES="127.0.0.1") as server:
        routes = application(server.parts)._app.routes  # type: ignore[attr-defined]
        paths = [route.path for route in routes if "GET" in getattr(route, "methods", ())]
        for path in paths:
            there = re.sub(r"\{[^}]*\}", "01980000-0000-8000-8000-000002485350", path)
            for headers in SAID:
                answered = await server.http.get(there, headers=headers)
                asked += 1
                assert EVIL not in answered.text, (path, headers)
                assert EVIL not in str(answered.headers), (path, headers)
    assert asked >= 12 * 15


def test_nobody_asks_a_request_for_its_address() -> None:
    """A link made of it would send whoever follows it to whom the request named."""
    fhir_servers = (
        "server",
        "before",
        "given",
        "entry",
        "its",
    )  # what has an address of its own, and is no request
    found = [
        f"{place}:{node.lineno} {ast.unparse(node)}"
        for place, tree in modules().items()
        if place.startswith(("doors/", "edge.py", "observed.py"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            (node.attr == "base_url" and ast.unparse(node.value) not in fhir_servers)
            or node.attr in ("url_for", "absolute_url")
            or (isinstance(node.value, ast.Attribute) and node.value.attr == "url" and node.attr != "path")
        )
    ]
    assert not found, f"Links are made from PUBLIC_URL, never from what a request says of itself: {found}."
