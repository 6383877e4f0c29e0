"""Signing in through the door, as the tests of sessions do it."""

from __future__ import annotations

from typing import Any

import httpx

from cast import PASSWORD, Caller, House, data


async def login(house: House, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    """Post a login; return the answer."""
    return await house.stranger.post("/api/auth/login", {"email": email, "password": password, **more})


async def signed_in(house: House, email: str = "ada@northside.example", **more: Any) -> Any:
    """Sign in; return the data of the answer."""
    return data(await login(house, email, **more))


async def refresh(house: House, token: str) -> httpx.Response:
    """Post a refresh token; return the answer."""
    return await house.stranger.post("/api/auth/refresh", {"refreshToken": token})


def bearer(house: House, tokens: Any) -> Caller:
    """Return whoever holds this access token."""
    return Caller(house.http, tokens["token"])
