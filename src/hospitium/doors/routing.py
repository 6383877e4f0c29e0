"""A surface's addresses as a table: method, path, permission, handler. A route without a permission can't be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from litestar.handlers import HTTPRouteHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar import Litestar

    from hospitium.engine.permissions import Permission


class Route(NamedTuple):
    """One address, and the permission it asks for."""

    method: Literal["GET", "POST", "PATCH", "DELETE", "PUT"]
    path: str
    permission: Permission
    handler: Callable[..., Any]


def handlers(routes: Iterable[Route]) -> list[HTTPRouteHandler]:
    """Return the framework's handlers for a table of routes."""
    return [
        HTTPRouteHandler(
            route.path, http_method=[route.method], opt={"permission": route.permission}, status_code=200
        )(route.handler)
        for route in routes
    ]


def undeclared(app: Litestar) -> list[str]:
    """Return the addresses of an application that declare no permission; it may not start if there are any."""
    return [
        route.path
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.opt.get("permission") is None and "OPTIONS" not in handler.http_methods
    ]
