"""Every answer of every kind keeps a browser from doing more with it than was meant."""

from __future__ import annotations

import pytest

from edge.conftest import Stand, Standing
from hospitium.edge import GUARDS, STRICT_TRANSPORT, guarded

ORIGIN = "https://app.example"
PUBLIC = {"PUBLIC_URL": "https://h.example", "ALLOWED_HOSTS": "127.0.0.1", "CORS_ORIGINS": ORIGIN}

KINDS = {
    "fine": ("GET", "/health/live", {}, 200),
    "of no router": ("GET", "/nowhere", {}, 404),
    "of no route of a surface": ("GET", "/api/nowhere", {}, 404),
    "not signed in": ("GET", "/api/connections/incoming", {}, 401),
    "another method": ("DELETE", "/health/live", {}, 405),
    "head": ("HEAD", "/health/live", {}, 405),
    "head of nowhere": ("HEAD", "/nowhere", {}, 404),
    "options": ("OPTIONS", "/api/auth/login", {}, 204),
    "wrong body": ("POST", "/api/auth/login", {"Content-Type": "application/json"}, 400),
    "wrong type": ("POST", "/api/auth/login", {"Content-Type": "text/xml"}, 415),
    "misdirected": ("GET", "/api/connections/incoming", {"Host": "evil.example"}, 421),
    "preflight": ("OPTIONS", "/api/auth/login", {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}, 204),
    "no metrics": ("GET", "/metrics", {}, 404),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_is_guarded(standing: Stand, kind: str) -> None:
    method, path, headers, status = KINDS[kind]
    content = b"<a/>" if method == "POST" else b""
    async with standing(**PUBLIC) as server:
        answered = await server.http.request(method, path, headers=headers, content=content)
    assert answered.status_code == status
    expected = {name.decode(): value.decode() for name, value in GUARDS.items()}
    if kind == "preflight":
        expected["cross-origin-resource-policy"] = "cross-origin"
    for name, value in expected.items():
        assert answered.headers.get_list(name) == [value], name
    assert answered.headers.get_list("strict-transport-security") == [STRICT_TRANSPORT.decode()]
    assert answered.headers["vary"] == "Origin"
    assert len(answered.headers.get_list("x-request-id")) == 1
    assert "server" not in answered.headers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"CONNECT h.example:443 HTTP/1.1\r\nHost: h.example\r\n\r\n", b"400"),
        (b"GET http://h.example HTTP/1.1\r\nHost: h.example\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"a" * 10_000) * 8, b"431"),
    ],
)
async def test_what_is_no_request_is_answered_with_the_same_guards(
    standing: Stand, sent: bytes, status: bytes
) -> None:
    async with standing() as server:
        said = await server.says(sent)
    head = said.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0].startswith(b"HTTP/1.1 " + status)
    for name, value in GUARDS.items():
        assert name + b": " + value in head
    assert not [line for line in head if line.lower().startswith(b"server")]
    assert b"uvicorn" not in said.lower()


async def test_without_a_public_address_in_https_nothing_is_said_of_transport(standing: Stand) -> None:
    for settings in ({}, {"PUBLIC_URL": "http://127.0.0.1"}):
        async with standing(**settings, ALLOWED_HOSTS="127.0.0.1") as server:
            assert "strict-transport-security" not in (await server.http.get("/health/live")).headers
            assert "vary" not in (await server.http.get("/health/live")).headers


def test_a_handler_knows_better_for_its_own_answer() -> None:
    own = [(b"content-security-policy", b"default-src 'self'"), (b"content-type", b"text/html")]
    headers = guarded(own, list(GUARDS.items()))
    assert headers[:2] == own
    assert [value for name, value in headers if name == b"content-security-policy"] == [b"default-src 'self'"]
    assert {name for name, _ in headers} == {*GUARDS, b"content-type"}


async def test_a_mistake_beneath_everything_is_answered_all_the_same(
    standing: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("canary")

    async with standing() as server:
        monkeypatch.setattr("litestar.Litestar.__call__", broken)
        answered = await server.http.get("/health/live")
        assert answered.status_code == 500
        assert answered.json()["type"] == "urn:hospitium:problem:internal"
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert "canary" not in answered.text


# -- request ids -----------------------------------------------------------------------------------------------------

SANE = ["a", "A-b_c.9", "x" * 128]
NOT_SANE = ["", "a b", "x" * 129, "a\tb", "ä", "a,b", "a;b", "<script>", "a/b", "a:b"]


async def _id_of(server: Standing, *ids: str) -> str:
    headers = [("X-Request-ID", one.encode("latin-1")) for one in ids]
    (found,) = (await server.http.get("/health/live", headers=headers)).headers.get_list("x-request-id")
    return found


async def test_a_trusted_proxy_may_give_a_request_its_id(standing: Stand) -> None:
    async with standing(TRUSTED_PROXIES="127.0.0.1") as server:
        for one in SANE:
            assert await _id_of(server, one) == one
        for one in NOT_SANE:
            assert await _id_of(server, one) != one.strip()
        assert await _id_of(server, "a", "b") not in ("a", "b", "a,b")


async def test_nobody_else_may(standing: Stand) -> None:
    for proxies in ("", "10.0.0.0/8"):
        async with standing(TRUSTED_PROXIES=proxies) as server:
            made = {await _id_of(server, one) for one in SANE}
            assert len(made) == len(SANE)
            assert not made & set(SANE)
