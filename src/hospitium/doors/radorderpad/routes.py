"""Every address of this surface, on one screen."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.radorderpad import auth, connections, organizations
from hospitium.doors.radorderpad.auth import LoginBody, RefreshBody, SignedOut, Tokens
from hospitium.doors.radorderpad.connection_shapes import (
    ApprovedConnection,
    CanceledConnection,
    ConnectionAskedAgain,
    ConnectionDetail,
    Connections,
    EmptyBody,
    EndedConnection,
    EstablishedConnection,
    IncomingConnection,
    IncomingQuery,
    MessageBody,
    OutgoingConnection,
    OutgoingQuery,
    PendingOrdersPage,
    RejectedConnection,
    RequestBody,
    RequestedConnection,
    ResponseBody,
    Statistics,
    TerminateBody,
    TerminatedConnection,
)
from hospitium.doors.radorderpad.errors import WORDING, answer_exception
from hospitium.doors.radorderpad.organizations import FoundOrganizations, SearchQuery
from hospitium.doors.radorderpad.wire import Envelope, PageQuery, PublicProfile
from hospitium.doors.routing import Route, Surface, handlers
from hospitium.engine.errors import (
    AccountDisabled,
    ActiveLimitReached,
    AlreadyConnected,
    Busy,
    Forbidden,
    NotFound,
    OrganizationInactive,
    PartnerInactive,
    PendingLimitReached,
    RejectionCooldown,
    RequestExpired,
    SessionEnded,
    TerminationCooldown,
    WrongCredentials,
    WrongSide,
    WrongState,
)
from hospitium.engine.permissions import Permission as May

ONE = "/connections/{connection_id:str}"

# What asking can meet: a live connection, a limit, a cool-down.
ASKING = (AlreadyConnected, ActiveLimitReached, PendingLimitReached, RejectionCooldown, TerminationCooldown)

ROUTES = (
    Route("POST", "/auth/login", May.SIGN_IN, auth.login, takes=LoginBody, gives={200: Envelope[Tokens]},
          refuses=(WrongCredentials, AccountDisabled, OrganizationInactive, Forbidden, Busy)),
    Route("POST", "/auth/refresh", May.RENEW_SESSION, auth.refresh, takes=RefreshBody, gives={200: Envelope[Tokens]}, refuses=(SessionEnded,)),
    Route("POST", "/auth/logout", May.SIGN_OUT, auth.logout, gives={200: SignedOut}),
    Route("GET", "/organizations/search", May.SEARCH_ORGANIZATIONS, organizations.search,
          query=SearchQuery, gives={200: Envelope[FoundOrganizations]}),
    Route("GET", "/organizations/{organization_id:str}", May.SEE_ORGANIZATION, organizations.profile, gives={200: Envelope[PublicProfile]}),
    Route("POST", "/connections/request", May.REQUEST_PARTNERSHIP, connections.request_connection,
          takes=RequestBody, gives={201: Envelope[RequestedConnection]}, refuses=(NotFound, *ASKING), creates=True),
    Route("GET", "/connections/outgoing", May.SEE_PARTNERSHIPS, connections.outgoing,
          query=OutgoingQuery, gives={200: Envelope[Connections[OutgoingConnection]]}),
    Route("GET", "/connections/incoming", May.SEE_PARTNERSHIPS, connections.incoming,
          query=IncomingQuery, gives={200: Envelope[Connections[IncomingConnection]]}),
    Route("GET", "/connections/established", May.SEE_PARTNERSHIPS, connections.established,
          query=PageQuery, gives={200: Envelope[Connections[EstablishedConnection]]}),
    Route("GET", "/connections/terminated", May.SEE_PARTNERSHIPS, connections.terminated,
          query=PageQuery, gives={200: Envelope[Connections[TerminatedConnection]]}),
    Route("GET", ONE, May.SEE_PARTNERSHIPS, connections.detail, gives={200: Envelope[ConnectionDetail]}),
    Route("POST", ONE + "/approve", May.ANSWER_PARTNERSHIP, connections.approve, takes=ResponseBody, gives={200: Envelope[ApprovedConnection]},
          refuses=(WrongSide, WrongState, RequestExpired, PartnerInactive, ActiveLimitReached)),
    Route("POST", ONE + "/reject", May.ANSWER_PARTNERSHIP, connections.reject, takes=ResponseBody, gives={200: Envelope[RejectedConnection]},
          refuses=(WrongSide, WrongState, RequestExpired)),
    Route("POST", ONE + "/cancel", May.CANCEL_PARTNERSHIP, connections.cancel, takes=EmptyBody, gives={200: Envelope[CanceledConnection]},
          refuses=(WrongSide, WrongState, RequestExpired)),
    Route("POST", ONE + "/resend", May.RESEND_PARTNERSHIP, connections.resend, takes=MessageBody, gives={200: Envelope[ConnectionAskedAgain]},
          refuses=(WrongSide, WrongState, PartnerInactive, *ASKING)),
    Route("POST", ONE + "/terminate", May.TERMINATE_PARTNERSHIP, connections.terminate, takes=TerminateBody, gives={200: Envelope[EndedConnection]},
          refuses=(WrongState,)),
    Route("POST", ONE + "/reestablish", May.REESTABLISH_PARTNERSHIP, connections.reestablish, takes=MessageBody,
          gives={200: Envelope[ConnectionAskedAgain]}, refuses=(WrongState, PartnerInactive, *ASKING)),
    Route("GET", ONE + "/statistics", May.SEE_PARTNERSHIPS, connections.statistics, gives={200: Envelope[Statistics]}, refuses=(WrongState,)),
    Route("GET", ONE + "/pending-orders", May.SEE_PARTNERSHIPS, connections.pending_orders,
          query=PageQuery, gives={200: Envelope[PendingOrdersPage]}, refuses=(WrongState,)),
)  # fmt: skip

SURFACE = Surface(
    "RadOrderPad",
    "/api",
    "Organizations connect with organizations, as RadOrderPad's documents describe it.",
    ROUTES,
    WORDING,
)


def router() -> Router:
    """Return this surface for the application, with its own form of errors."""
    return Router(
        SURFACE.prefix,
        route_handlers=handlers(ROUTES),
        exception_handlers={Exception: answer_exception},
        request_max_body_size=LARGEST_BODY,
    )
