"""A guard in front of ASGI applications: who reaches them, and what the others are answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from client.pdp import KEY, RX, Pdp, busy, problem
from hospitium.client import AsyncGuard, Forbidden, Guard, Resource, Subject
from hospitium.client.route import Guarded
from hospitium.client.testing import FakeAsyncGuard, FakeGuard

Fake = FakeGuard | FakeAsyncGuard


def user(scope: Any) -> str | None:
    """Who is signed in, as some middleware has put it down."""
    return scope.get("user")


def prescription(scope: Any) -> Resource:
    return Resource("c_prescription", scope["path"].strip("/").rpartition("/")[2])


class Reached:
    """An application that remembers who reached it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"take one a day"})


def scope_of(path: str = "/rx-1", *, kind: str = "http", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"type": kind, "method": method, "path": path, "headers": [], **more}


async def call(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Call an application; return what it sent."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app(scope, receive, send)
    return sent


@pytest.fixture(params=[FakeGuard, FakeAsyncGuard])
async def fake(request: pytest.FixtureRequest) -> Any:
    guard: Fake = request.param()
    guard.allow("alice", "read", RX)
    return guard


def behind(fake: Fake, **how: Any) -> tuple[Reached, Guarded]:
    reached = Reached()
    return reached, fake.route("read", **{"subject": user, "resource": prescription, **how})(reached)


async def test_who_is_allowed_reaches_it(fake: Fake) -> None:
    reached, app = behind(fake)
    scope = scope_of(user="alice")
    start, body = await call(app, scope)
    assert (start["status"], body["body"]) == (200, b"take one a day")
    assert reached.scopes == [scope]
    assert [str(each.action) for each in fake.asked] == ["read"]


@pytest.mark.parametrize(
    ("scope", "status", "headers"),
    [
        (scope_of(), 401, {"www-authenticate": "Bearer"}),
        (scope_of(user=None), 401, {"www-authenticate": "Bearer"}),
        (scope_of(user="bob"), 403, {}),
        (scope_of("/rx-2", user="alice"), 403, {}),
        (scope_of(user=""), 403, {}),
    ],
)
async def test_who_is_not_allowed_does_not(
    fake: Fake, scope: Any, status: int, headers: dict[str, str]
) -> None:
    reached, app = behind(fake)
    start, body = await call(app, scope)
    said = {name.decode(): value.decode() for name, value in start["headers"]}
    assert start["status"] == status
    assert headers.items() <= said.items()
    assert said["content-type"] == "application/problem+json"
    assert said["cache-control"] == "no-store"
    assert int(said["content-length"]) == len(body["body"])
    assert json.loads(body["body"])["status"] == status
    assert "rx" not in body["body"].decode()
    assert not reached.scopes


async def test_while_nobody_can_say_nobody_reaches_it(fake: Fake) -> None:
    reached, app = behind(fake)
    fake.unavailable()
    start, body = await call(app, scope_of(user="alice"))
    assert start["status"] == 503
    assert (b"retry-after", b"2") in start["headers"]
    assert json.loads(body["body"])["title"] == "Service Unavailable"
    assert not reached.scopes
    fake.unavailable(still=False)
    assert (await call(app, scope_of(user="alice")))[0]["status"] == 200


async def test_the_two_functions_may_be_asynchronous(fake: Fake) -> None:
    async def subject(scope: Any) -> Subject | None:
        await asyncio.sleep(0)
        return Subject("account", scope["user"]) if "user" in scope else None

    async def resource(scope: Any) -> Resource:
        await asyncio.sleep(0)
        return prescription(scope)

    reached, app = behind(fake, subject=subject, resource=resource)
    assert (await call(app, scope_of(user="alice")))[0]["status"] == 200
    assert (await call(app, scope_of(user="bob")))[0]["status"] == 403
    assert (await call(app, scope_of()))[0]["status"] == 401
    assert len(reached.scopes) == 1


@pytest.mark.parametrize("which", ["subject", "resource"])
async def test_where_a_function_breaks_nobody_reaches_it(fake: Fake, which: str) -> None:
    def broken(scope: Any) -> Any:
        raise LookupError(which)

    reached, app = behind(fake, **{which: broken})
    with pytest.raises(LookupError, match=which):
        await call(app, scope_of(user="alice"))
    assert not reached.scopes


@pytest.mark.parametrize(
    ("who", "is_away", "code"), [("bob", False, 1008), (None, False, 1008), ("alice", True, 1013)]
)
async def test_a_websocket_is_closed(fake: Fake, who: str | None, is_away: bool, code: int) -> None:
    reached, app = behind(fake)
    fake.unavailable(still=is_away)
    sent = await call(app, scope_of(kind="websocket", user=who))
    assert sent == [{"type": "websocket.close", "code": code}]
    assert not reached.scopes


async def test_a_websocket_is_passed_on(fake: Fake) -> None:
    reached, app = behind(fake)
    assert await call(app, scope_of(kind="websocket", user="alice")) == []
    assert len(reached.scopes) == 1


async def test_a_lifespan_is_nobodys_and_passes(fake: Fake) -> None:
    reached, app = behind(fake)
    await call(app, {"type": "lifespan"})
    assert len(reached.scopes) == 1
    assert not fake.asked


async def test_what_is_not_known_is_not_passed_on(fake: Fake) -> None:
    reached, app = behind(fake)
    with pytest.raises(ValueError, match="webtransport"):
        await call(app, scope_of(kind="webtransport", user="alice"))
    assert not reached.scopes


async def test_nothing_but_true_passes() -> None:
    for answer in (1, "yes", [True], object()):

        async def ask(*_: Any, answer: Any = answer) -> Any:
            return answer

        reached = Reached()
        start, _ = await call(Guarded(reached, ask, "read", user, prescription), scope_of(user="alice"))
        assert start["status"] == 403
        assert not reached.scopes


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
async def test_a_mistake_of_the_application_is_raised(pdp: Pdp, kind: type[Guard | AsyncGuard]) -> None:
    pdp.answers(problem(403, "The service key lacks the scope check"))
    reached, guard = Reached(), kind(pdp.address, KEY)
    with pytest.raises(Forbidden):
        await call(guard.route("read", subject=user, resource=prescription)(reached), scope_of(user="alice"))
    assert not reached.scopes
    await closed(guard)


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
async def test_it_says_when_to_come_back(pdp: Pdp, kind: type[Guard | AsyncGuard]) -> None:
    pdp.answers(busy(503, "7"))
    guard = kind(pdp.address, KEY, within=1)
    start, _ = await call(
        guard.route("read", subject=user, resource=prescription)(Reached()), scope_of(user="alice")
    )
    assert (b"retry-after", b"7") in start["headers"]
    await closed(guard)


async def closed(guard: Guard | AsyncGuard) -> None:
    if isinstance(guard, AsyncGuard):
        await guard.close()
    else:
        guard.close()


def of_header(scope: Any) -> str | None:
    return dict(scope["headers"]).get(b"x-user", b"").decode() or None


async def test_it_guards_a_route_of_a_framework_on_a_real_server(fake: Fake) -> None:
    @asgi("/prescriptions", is_mount=True, copy_scope=True)
    @fake.route("read", subject=of_header, resource=prescription)
    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        await Reached()(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(Litestar([show]), port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/prescriptions/rx-1"
    async with httpx.AsyncClient() as http:
        found = {
            (method, who): await http.request(method, url, headers={"X-User": who} if who else {})
            for method in ("GET", "HEAD", "POST")
            for who in ("alice", "bob", "")
        }
    server.should_exit = True
    await serving
    assert {asked: answer.status_code for asked, answer in found.items()} == {
        (method, who): status
        for method in ("GET", "HEAD", "POST")
        for who, status in (("alice", 200), ("bob", 403), ("", 401))
    }
    assert found["GET", "bob"].json()["title"] == "Forbidden"
    assert found["HEAD", "bob"].content == b""
