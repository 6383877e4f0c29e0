"""Every address of our own API, on one screen."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.native import organizations, server, sessions
from hospitium.doors.native.errors import answer_exception
from hospitium.doors.routing import Route, handlers
from hospitium.engine.permissions import Permission as May

ROUTES = (
    Route("GET", "/health/live", May.SEE_HEALTH, server.live),
    Route("GET", "/health/ready", May.SEE_HEALTH, server.ready),
    Route("GET", "/.well-known/jwks.json", May.SEE_KEYS, server.jwks),
    Route("POST", "/v1/sessions/organization", May.CHOOSE_ORGANIZATION, sessions.choose_organization),
    Route("POST", "/v1/organizations", May.REGISTER_ORGANIZATION, organizations.register),
    Route("GET", "/v1/organizations/own", May.SEE_ORGANIZATION, organizations.read_own),
    Route("PATCH", "/v1/organizations/own", May.UPDATE_ORGANIZATION, organizations.update_own),
)


def router() -> Router:
    """Return this surface for the application, with its own form of errors."""
    return Router(
        "/",
        route_handlers=handlers(ROUTES),
        exception_handlers={Exception: answer_exception},
        request_max_body_size=LARGEST_BODY,
    )
