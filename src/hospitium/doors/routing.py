"""A surface's addresses as a table: method, path, permission, handler, and what goes in and comes out.

A route without a permission can't be written. What else stands in its line is what /openapi.json says of it: each a name
that the handler uses too. What follows from the rest is derived (`doors/openapi/answers.py`).

    Route("POST", "/v1/organizations", May.REGISTER_ORGANIZATION, organizations.register,
          takes=RegistrationBody, gives={201: Organization}, refuses=(NameTaken, RegistrationClosed), creates=True)

* `takes`: the struct the body is read as (`json_body.read`). Its members say what they take by the types of `doors/shapes.py`.
* `query`: a struct whose members are the parameters of the query; those with a default needn't be sent.
* `gives`: the struct of the body for each status of success: what the handler passes to `answer`. `None` is an empty body;
  `Media("text/html")` is not JSON; a tuple holds what is answered to one wish or another. An output struct has no defaults, other than UNSET where a member may be absent.
* `refuses`: the refusals of the engine, and of the door itself, that this route can meet *besides* what follows from its nature: 400, 413, 415 from a body, 400
  from a query, 401 and 403 from its permission, 404 from an id in its path, 422 from `creates`, 503 from the database.
* `creates`: the answer is kept under an `Idempotency-Key` (`once`).
* `alone`: it answers without the database, and so never 503.
* `bare`: the handler is an ASGI application: of what is asked on every read, the framework's request and response would cost more
  than the answer.
* The summary and the description are the handler's docstring, to which the permission's sentence is added.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from litestar import Request, Response
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import msgspec
    from litestar import Litestar

    from hospitium.engine.errors import Refusal
    from hospitium.engine.permissions import Permission


class Media(NamedTuple):
    """An answer that is sent as another type than `application/json`; `shape` if it is JSON all the same."""

    type: str
    shape: Any = None


def shapes_of(given: Any) -> tuple[Any, ...]:
    """Return the shapes of what a route gives with one status: none of an empty body, several where one may wish."""
    if given is None:
        return ()
    return given if isinstance(given, tuple) and not isinstance(given, Media) else (given,)


class Route(NamedTuple):
    """One address, the permission it asks for, and what goes in and comes out."""

    method: Literal["GET", "POST", "PATCH", "DELETE", "PUT"]
    path: str
    permission: Permission
    handler: Callable[..., Any]
    takes: type[msgspec.Struct] | None = None
    gives: Mapping[int, Any] = MappingProxyType({})
    refuses: tuple[type[Exception], ...] = ()
    query: type[msgspec.Struct] | None = None
    creates: bool = False
    alone: bool = False
    bare: bool = False


class Wording(NamedTuple):
    """How a surface says no: the type and shape of the body; the status and the word of each kind of refusal, and of what is
    refused before the engine hears of it; and the JSON schema that leaves of that shape only a status and some words."""

    media_type: str
    shape: type[msgspec.Struct]
    refusals: Mapping[type[Refusal], tuple[int, str]]
    edge: Mapping[type[Exception], tuple[int, str]]
    only: Callable[[int, list[str]], dict[str, Any]]


class Surface(NamedTuple):
    """One door's whole table: what people call it, where it begins, what it is for, its routes, and how it says no."""

    name: str
    prefix: str
    says: str
    routes: tuple[Route, ...]
    wording: Wording


def handlers(routes: Sequence[Route]) -> list[HTTPRouteHandler | ASGIRouteHandler]:
    """Return the framework's handlers for a table of routes."""
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path, {"OPTIONS"}).add(route.method)
    bare = {route.path for route in routes if route.bare}
    # First, because the framework's own answer to OPTIONS knows only the method that was registered before it.
    telling = [
        _telling(path, ", ".join(sorted(allowed))) for path, allowed in methods.items() if path not in bare
    ]
    return telling + [
        _bare(route)
        if route.bare
        else HTTPRouteHandler(
            route.path, http_method=[route.method], opt={"permission": route.permission}, status_code=200
        )(route.handler)
        for route in routes
    ]


def _bare(route: Route) -> ASGIRouteHandler:
    """Return the handler of an address that answers to one method, and by itself; the framework hands it every method."""
    allowed = {"Allow": f"OPTIONS, {route.method}"}
    telling = Response(b"", status_code=204, headers={**allowed, "Cache-Control": "no-store"})

    async def only(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == route.method:
            await route.handler(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            request: Any = Request(scope)
            await telling.to_asgi_response(None, request)(scope, receive, send)
        else:
            raise MethodNotAllowedException(headers=allowed)

    return ASGIRouteHandler(route.path, opt={"permission": route.permission}, copy_scope=False)(only)


def _telling(path: str, allowed: str) -> HTTPRouteHandler:
    """Return what answers OPTIONS at an address: the methods it takes."""

    async def tell() -> Response[bytes]:
        return Response(b"", status_code=204, headers={"Allow": allowed, "Cache-Control": "no-store"})

    return HTTPRouteHandler(path, http_method=["OPTIONS"], status_code=200)(tell)


def undeclared(app: Litestar) -> list[str]:
    """Return the addresses of an application that declare no permission; it may not start if there are any."""
    return [
        route.path
        for route in app.routes
        for handler in getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        if handler is None
        or (handler.opt.get("permission") is None and "OPTIONS" not in getattr(handler, "http_methods", ()))
    ]
