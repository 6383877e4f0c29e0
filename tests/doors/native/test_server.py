"""Health and keys: what every server has, for anyone who asks."""

from __future__ import annotations

from cast import House
from doors.native.problems import problem
from doors.radorderpad.signing_in import bearer, signed_in


async def test_it_says_that_it_lives_and_that_it_is_ready(house: House) -> None:
    for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
        answered = await house.http.get(path)
        assert (answered.status_code, answered.json()) == (200, {"status": status})
        assert answered.headers["cache-control"] == "no-store"


async def test_without_its_database_it_lives_and_is_not_ready(house: House) -> None:
    await house.database.close()
    assert (await house.http.get("/health/live")).status_code == 200
    answered = await house.http.get("/health/ready")
    assert answered.status_code == 503
    assert answered.headers["retry-after"] == "2"
    answered = await house.ada.get("/v1/organizations/own")
    problem(answered, 503, "unavailable")
    assert answered.headers["retry-after"] == "2"
    answered = await house.ada.get("/api/connections/outgoing")
    assert (answered.status_code, answered.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_the_keys_are_public_cacheable_and_public_only(house: House) -> None:
    answered = await house.http.get("/.well-known/jwks.json")
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "application/jwk-set+json"
    assert answered.headers["cache-control"] == "public, max-age=300"
    keys = answered.json()["keys"]
    assert keys
    assert all(
        (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig") for key in keys
    )
    assert not any("d" in key for key in keys)


async def test_an_address_that_is_nowhere_is_a_problem_and_every_answer_is_guarded(house: House) -> None:
    problem(await house.http.get("/nowhere"), 404, "not-found")
    answered = await house.http.get("/health/live")
    assert answered.headers["x-content-type-options"] == "nosniff"
    assert answered.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answered.headers
    ids = {(await house.http.get("/health/live")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_token_of_one_surface_is_a_token_of_the_other(house: House) -> None:
    caller = bearer(house, await signed_in(house))
    assert (await caller.get("/v1/organizations/own")).json()["code"] == "northside"
