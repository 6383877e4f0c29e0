"""Steps in the life of an account, as its holder takes them over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from cast import Caller, House
from fakes.carrier import ReceivedMail

EVE = "eve@mail.example"
SECRET = "a quiet green harbour"
OTHER_SECRET = "seven slow bicycles"


def done(response: httpx.Response, status: int = 200) -> Any:
    """Return the body of an answer of our own API, and insist on its status."""
    assert response.status_code == status, (response.status_code, response.text)
    return response.json()


async def registers(house: House, email: str = EVE, password: str = SECRET, **more: Any) -> None:
    body = {"email": email, "password": password, **more}
    assert done(await house.stranger.post("/v1/accounts", body), 202) == {"status": "accepted"}


async def mail_to(house: House, email: str = EVE) -> ReceivedMail:
    """Have what is due sent; return the one mail to an address."""
    (mail,) = await house.mails(to=email)
    return mail


async def signs_in(house: House, email: str = EVE, password: str = SECRET) -> Caller:
    tokens = done(await house.stranger.post("/v1/sessions", {"email": email, "password": password}))
    return Caller(house.http, tokens["accessToken"])


async def living(house: House, email: str = EVE, password: str = SECRET, **more: Any) -> Caller:
    """Register, confirm and sign in."""
    await registers(house, email, password, **more)
    mail = await mail_to(house, email)
    done(await house.stranger.post("/v1/accounts/confirm", {"token": mail.token, "password": password}))
    return await signs_in(house, email, password)


async def account_id(house: House, email: str = EVE) -> Any:
    (row,) = await house.rows("SELECT id FROM accounts WHERE email = $1", email)
    return row["id"]
