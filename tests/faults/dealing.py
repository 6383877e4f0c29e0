"""Eight pairs of organizations that ask, approve and terminate without a pause, and remember what they were told.

What was acknowledged must be there after whatever happens to the server: as it was acknowledged, or further along by the
same pair's own doing. What was not acknowledged is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from cli.conftest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.running import Installation, Server

PAIRS = 8
PUBLIC_URL = "https://hospitium.example"
COURSE = ("pending_approval", "approved", "terminated")
SETTINGS = {
    "PUBLIC_URL": PUBLIC_URL,
    "ALLOWED_HOSTS": "127.0.0.1",
    "TERMINATION_COOLDOWN_DAYS": "0",
    "LOG_LEVEL": "warning",
}


def world() -> str:
    lines = ["organizations:"]
    lines += [
        f"  - {{code: {side}-{n}, name: {side.title()} {n}, type: both}}"
        for n in range(PAIRS)
        for side in ("asker", "answerer")
    ]
    lines += ["accounts:"]
    lines += [
        f"  - {{email: {side}@{side}-{n}.example, password: {PASSWORD}, memberships: [{{organization: {side}-{n}, role: admin}}]}}"
        for n in range(PAIRS) for side in ("asker", "answerer")
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


class Deal:
    """One partnership from its request to its end: what was tried last, and what was acknowledged last."""

    def __init__(self) -> None:
        self.key = str(uuid.uuid4())
        self.id: str | None = None
        self.acknowledged = -1  # an index into COURSE
        self.tried = -1


class Pair:
    """An organization that asks and one that answers, with their sessions."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: dict[str, str] = {}
        self.target = ""
        self.deals: list[Deal] = []
        self.strange: list[str] = []

    async def sign_in(self, http: httpx.AsyncClient) -> None:
        for side in ("asker", "answerer"):
            form = {"email": f"{side}@{side}-{self.number}.example", "password": PASSWORD}
            answer = await http.post("/api/auth/login", json=form)
            assert answer.status_code == 200, answer.text
            self.tokens[side] = answer.json()["data"]["token"]
            self.target = answer.json()["data"]["user"]["organizationId"]  # the answerer's, who comes second

    async def send(
        self, http: httpx.AsyncClient, side: str, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        every = {
            "Authorization": f"Bearer {self.tokens[side]}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return await http.request(method, f"/api/connections{path}", json=body, headers=every)

    async def step(self, http: httpx.AsyncClient, deal: Deal) -> httpx.Response:
        """Try the next move of a deal; take note if it is acknowledged."""
        deal.tried = deal.acknowledged + 1
        match COURSE[deal.tried]:
            case "pending_approval":
                answer = await self.send(
                    http,
                    "asker",
                    "POST",
                    "/request",
                    {"targetOrganizationId": self.target},
                    Idempotency_Key=deal.key,
                )
            case "approved":
                answer = await self.send(http, "answerer", "POST", f"/{deal.id}/approve")
            case _:
                answer = await self.send(http, "asker", "POST", f"/{deal.id}/terminate", {"reason": "Over"})
        if answer.is_success:
            deal.id = deal.id or answer.json()["data"]["connectionId"]
            deal.acknowledged = deal.tried
        elif answer.status_code != 503:
            self.strange.append(f"{COURSE[deal.tried]}: {answer.status_code} {answer.text}")
        return answer

    async def deal_without_end(self, http: httpx.AsyncClient) -> None:
        """Make deals until the server is gone."""
        try:
            while not self.strange:
                deal = Deal()
                self.deals.append(deal)
                while deal.acknowledged < len(COURSE) - 1:
                    answer = await self.step(http, deal)
                    if answer.status_code == 503:
                        return
                    if self.strange:
                        return
        except httpx.TransportError:
            return

    async def must_be_as_acknowledged(self, http: httpx.AsyncClient) -> None:
        """Compare every deal with what the server shows now, and bring the last one to its end."""
        assert self.strange == []
        for deal in self.deals:
            if deal.id is None:
                # Nobody knows whether it happened. The same key gives the answer of then, or makes it now: once.
                deal.acknowledged = -1
                assert (await self.step(http, deal)).status_code == 201
            shown = await self.send(http, "asker", "GET", f"/{deal.id}")
            for _ in range(20):
                if shown.status_code != 503:
                    break
                await asyncio.sleep(
                    0.5
                )  # its connections may be those to a database that is no more: told to come back, it does
                shown = await self.send(http, "asker", "GET", f"/{deal.id}")
            assert shown.status_code == 200, f"{COURSE[deal.acknowledged]} was acknowledged: {shown.text}"
            now = COURSE.index(shown.json()["data"]["status"])
            assert deal.acknowledged <= now <= deal.tried, (
                COURSE[deal.acknowledged],
                COURSE[now],
                COURSE[deal.tried],
            )
            deal.acknowledged = now
        assert len({deal.id for deal in self.deals}) == len(self.deals)
        while self.deals and self.deals[-1].acknowledged < len(COURSE) - 1:
            assert (await self.step(http, self.deals[-1])).is_success, self.strange


class Market:
    """All the pairs, on one server after the other."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.pairs = [Pair(number) for number in range(PAIRS)]

    @property
    def acknowledgements(self) -> int:
        return sum(deal.acknowledged + 1 for pair in self.pairs for deal in pair.deals)

    async def sign_in(self, server: Server) -> None:
        async with self.caller(server) as http:
            await asyncio.gather(*(pair.sign_in(http) for pair in self.pairs))

    @asynccontextmanager
    async def dealing(self, server: Server) -> AsyncIterator[None]:
        """All pairs deal while the block runs, and until the server is gone."""
        async with self.caller(server) as http, asyncio.timeout(120), asyncio.TaskGroup() as group:
            for pair in self.pairs:
                group.create_task(pair.deal_without_end(http))
            yield

    async def must_be_as_acknowledged(self, server: Server) -> None:
        async with self.caller(server) as http:
            await asyncio.gather(*(pair.must_be_as_acknowledged(http) for pair in self.pairs))
        assert self.installation.json("verify") == []

    @staticmethod
    @asynccontextmanager
    async def caller(server: Server) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
            yield http
