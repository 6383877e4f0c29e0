"""Pages of the origins that were named may read answers, without cookies; pages of no other may."""

from __future__ import annotations

import pytest

from edge.conftest import Stand
from hospitium.edge import Edge

APP, OTHER = "https://app.example", "http://localhost:5173"
NAMED = {"CORS_ORIGINS": f"{APP}, {OTHER}"}
NOT_NAMED = [
    "https://evil.example", "http://app.example", "https://app.example:443", "https://app.example:8443", "https://app.example.", "https://app.example/",
    "https://APP.example", "https://sub.app.example", "https://app.example.evil.example", "https://evil.example#https://app.example", "null", "*", "",
    "app.example", "https://app.example, https://app.example", "file://", "http://localhost",
]  # fmt: skip


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }


@pytest.mark.parametrize("origin", [APP, OTHER])
async def test_a_page_of_a_named_origin_may_ask_and_read(standing: Stand, origin: str) -> None:
    async with standing(**NAMED) as server:
        asked = await server.http.options("/api/auth/login", headers=preflight(origin))
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == origin
        assert asked.headers["access-control-max-age"] == "600"
        assert set(asked.headers["access-control-allow-headers"].split(", ")) == {"Authorization", "Content-Type", "Idempotency-Key", "Medable-Client-Key", "Hospitium-After", "Last-Event-ID"}  # fmt: skip
        assert {"GET", "POST", "PATCH", "DELETE"} <= set(
            asked.headers["access-control-allow-methods"].split(", ")
        )

        for path, status in (("/health/live", 200), ("/api/connections/incoming", 401), ("/nowhere", 404)):
            read = await server.http.get(path, headers={"Origin": origin})
            assert read.status_code == status
            assert read.headers.get_list("access-control-allow-origin") == [origin]
            assert (
                read.headers["access-control-expose-headers"]
                == "X-Request-ID, Retry-After, Medable-Csrf-Token, Hospitium-Position, Hospitium-Next"
            )
            assert read.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
            assert read.headers.get_list("vary") == ["Origin"]
        for answered in (asked, read):
            assert "access-control-allow-credentials" not in answered.headers


@pytest.mark.parametrize("origin", NOT_NAMED)
async def test_a_page_of_any_other_may_not(standing: Stand, origin: str) -> None:
    async with standing(**NAMED) as server:
        asked = await server.http.options("/api/auth/login", headers=preflight(origin))
        read = await server.http.get("/health/live", headers={"Origin": origin})
    for answered in (asked, read):
        assert not [name for name in answered.headers if name.startswith("access-control")]
        assert answered.headers["cross-origin-resource-policy"] == "same-origin"
        assert answered.headers["vary"] == "Origin"


async def test_two_origins_are_none(standing: Stand) -> None:
    async with standing(**NAMED) as server:
        read = await server.http.get("/health/live", headers=[("Origin", APP), ("Origin", APP)])
    assert "access-control-allow-origin" not in read.headers


async def test_by_default_no_page_of_anybody_elses_may(standing: Stand) -> None:
    async with standing() as server:
        for headers in (preflight(APP), {"Origin": APP}):
            answered = await server.http.options("/api/auth/login", headers=headers)
            assert not [name for name in answered.headers if name.startswith("access-control")]


async def test_what_only_looks_like_a_preflight_reaches_the_door(standing: Stand) -> None:
    async with standing(**NAMED) as server:
        answered = await server.http.options("/api/auth/login", headers={"Origin": APP})
        assert "allow" in answered.headers
        posted = await server.http.post("/api/auth/login", headers=preflight(APP))
        assert posted.status_code in (400, 415)


def test_one_function_decides() -> None:
    class Generous(Edge):
        def allowed_origin(self, origin: str) -> bool:
            return origin.endswith(".example")

    scope = {"method": "GET", "path": "/", "headers": [(b"origin", b"https://anything.example")]}
    assert (b"access-control-allow-origin", b"https://anything.example") in Generous().arrival(scope).carries
    assert not [name for name, _ in Edge().arrival(scope).carries if name.startswith(b"access-control")]
