"""Every address of this surface, on one screen."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.radorderpad import auth, connections, organizations
from hospitium.doors.radorderpad.errors import answer_exception
from hospitium.doors.routing import Route, handlers
from hospitium.engine.permissions import Permission as May

ONE = "/connections/{connection_id:str}"

ROUTES = (
    Route("POST", "/auth/login", May.SIGN_IN, auth.login),
    Route("POST", "/auth/refresh", May.RENEW_SESSION, auth.refresh),
    Route("POST", "/auth/logout", May.SIGN_OUT, auth.logout),
    Route("GET", "/organizations/search", May.SEARCH_ORGANIZATIONS, organizations.search),
    Route("GET", "/organizations/{organization_id:str}", May.SEE_ORGANIZATION, organizations.profile),
    Route("POST", "/connections/request", May.REQUEST_PARTNERSHIP, connections.request_connection),
    Route("GET", "/connections/outgoing", May.SEE_PARTNERSHIPS, connections.outgoing),
    Route("GET", "/connections/incoming", May.SEE_PARTNERSHIPS, connections.incoming),
    Route("GET", "/connections/established", May.SEE_PARTNERSHIPS, connections.established),
    Route("GET", "/connections/terminated", May.SEE_PARTNERSHIPS, connections.terminated),
    Route("GET", ONE, May.SEE_PARTNERSHIPS, connections.detail),
    Route("POST", ONE + "/approve", May.ANSWER_PARTNERSHIP, connections.approve),
    Route("POST", ONE + "/reject", May.ANSWER_PARTNERSHIP, connections.reject),
    Route("POST", ONE + "/cancel", May.CANCEL_PARTNERSHIP, connections.cancel),
    Route("POST", ONE + "/resend", May.RESEND_PARTNERSHIP, connections.resend),
    Route("POST", ONE + "/terminate", May.TERMINATE_PARTNERSHIP, connections.terminate),
    Route("POST", ONE + "/reestablish", May.REESTABLISH_PARTNERSHIP, connections.reestablish),
    Route("GET", ONE + "/statistics", May.SEE_PARTNERSHIPS, connections.statistics),
    Route("GET", ONE + "/pending-orders", May.SEE_PARTNERSHIPS, connections.pending_orders),
)


def router() -> Router:
    """Return this surface for the application, with its own form of errors."""
    return Router(
        "/api",
        route_handlers=handlers(ROUTES),
        exception_handlers={Exception: answer_exception},
        request_max_body_size=LARGEST_BODY,
    )
