"""Every address of our own API, on one screen."""

from __future__ import annotations

from typing import Any

from litestar import Router

from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.native import (
    access,
    accounts,
    api,
    feed,
    fhir_servers,
    invites,
    members,
    offers,
    organizations,
    reads,
    server,
    service_keys,
    sessions,
    shares,
    teams,
)
from hospitium.doors.native.access import CSV
from hospitium.doors.native.access_shapes import (
    ExplainBody,
    PrintedExplanation,
    ReachedResources,
    ReachingAccounts,
    WhatQuery,
    WhoQuery,
)
from hospitium.doors.native.account_shapes import (
    Accepted,
    AccountBody,
    AccountChanges,
    AddressBody,
    ChangedPasswordBody,
    Done,
    EmailBody,
    Export,
    NewPasswordBody,
    PasswordBody,
    PrintedAccount,
    ProofBody,
    Trail,
)
from hospitium.doors.native.api import HTML
from hospitium.doors.native.errors import WORDING, answer_exception
from hospitium.doors.native.feed_shapes import EventsQuery, Feed, StreamQuery
from hospitium.doors.native.fhir_servers import (
    FhirServerBody,
    FhirServerChanges,
    FhirServers,
    FhirServerSaid,
    PrintedFhirServer,
)
from hospitium.doors.native.invite_shapes import InviteRowsBody, RowOutcomes, SlipBody
from hospitium.doors.native.members import MemberChanges, Members, PrintedMembership
from hospitium.doors.native.offers import (
    Joined,
    JoiningBody,
    LookBody,
    OfferBody,
    Offers,
    Preview,
    PrintedOffer,
)
from hospitium.doors.native.organizations import Organization, ProfileChanges, RegistrationBody
from hospitium.doors.native.reads_shapes import (
    FHIR_JSON,
    PrintedSuspension,
    Reads,
    ReadsQuery,
    ServerReadsQuery,
    Suspensions,
)
from hospitium.doors.native.server import JWK_SET, PROMETHEUS, JwkSet, Live, NotReady, Ready
from hospitium.doors.native.service_keys import (
    MadeServiceKey,
    PrintedServiceKey,
    ServiceKeyBody,
    ServiceKeys,
)
from hospitium.doors.native.sessions import (
    ChosenOrganization,
    Ended,
    OrganizationBody,
    RenewalBody,
    Sessions,
    SignedIn,
    SignInBody,
)
from hospitium.doors.native.shares import (
    PrintedShare,
    ShareBody,
    ShareLevelBody,
    SharePreview,
    Shares,
    SharesQuery,
    ShareTokenBody,
)
from hospitium.doors.native.teams import (
    PrintedTeam,
    TeamBody,
    TeamChanges,
    TeamJoined,
    TeamMemberBody,
    TeamMembers,
    Teams,
)
from hospitium.doors.native.wire import Page
from hospitium.doors.routing import Media, Route, Surface, handlers
from hospitium.doors.streams import EVENT_STREAM
from hospitium.engine.errors import (
    AcceptanceRequired,
    AccountDisabled,
    AccountRequired,
    AlreadyShared,
    Busy,
    DeadLink,
    FhirServerAway,
    FhirServerWrong,
    Forbidden,
    LastAdministrator,
    NameTaken,
    NoTargets,
    NotConfirmed,
    NotFound,
    NotOnesShare,
    NotSharable,
    NotSignedIn,
    OfferLimitReached,
    OrganizationInactive,
    RegistrationClosed,
    ServiceKeyLimitReached,
    SessionEnded,
    SharingDisabled,
    TargetAccessRequired,
    TooManyAttempts,
    TooManyTargets,
    UnknownCode,
    WrongCredentials,
    WrongState,
    WrongTarget,
)
from hospitium.engine.permissions import Permission as May

# What whoever asks for a mail, brings a link, or brings a link and a password, can be told.
ASKED = (TooManyAttempts, Busy)
LINKED = (DeadLink, AccountDisabled, *ASKED)
SHARING = (NotFound, NotConfirmed, NotSharable, SharingDisabled, NoTargets, TooManyTargets, WrongTarget, AccountRequired,
           AcceptanceRequired, TargetAccessRequired, AlreadyShared, TooManyAttempts)  # fmt: skip
PROVED = (*LINKED, NotSignedIn, WrongCredentials, Forbidden)

ROUTES = (
    Route("GET", "/health/live", May.SEE_HEALTH, server.live, gives={200: Live}, alone=True),
    Route("GET", "/health/ready", May.SEE_HEALTH, server.ready, gives={200: Ready, 503: NotReady}, alone=True),
    Route("GET", "/metrics", May.SEE_METRICS, server.metrics, gives={200: Media(PROMETHEUS)}, refuses=(NotSignedIn, NotFound), alone=True),
    Route("GET", "/.well-known/jwks.json", May.SEE_KEYS, server.jwks, gives={200: Media(JWK_SET, JwkSet)}, alone=True),
    Route("GET", "/openapi.json", May.SEE_API, api.document, gives={200: dict[str, Any], 304: None}, alone=True),
    Route("GET", "/openapi", May.SEE_API, api.page, gives={200: Media(HTML), 304: None}, alone=True),
    Route("POST", "/v1/accounts", May.REGISTER_ACCOUNT, accounts.register, takes=AccountBody, gives={202: Accepted}, refuses=ASKED),
    Route("POST", "/v1/accounts/confirmation", May.REGISTER_ACCOUNT, accounts.ask_confirmation, takes=AddressBody, gives={202: Accepted}, refuses=ASKED),
    Route("POST", "/v1/accounts/confirm", May.CONFIRM_ACCOUNT, accounts.confirm, takes=ProofBody, gives={200: PrintedAccount}, refuses=(*PROVED, SessionEnded)),
    Route("POST", "/v1/accounts/claim", May.CONFIRM_ACCOUNT, accounts.claim, takes=NewPasswordBody, gives={200: PrintedAccount}, refuses=LINKED),
    Route("POST", "/v1/accounts/password-reset", May.RECOVER_ACCOUNT, accounts.ask_new_password, takes=AddressBody, gives={202: Accepted}, refuses=ASKED),
    Route("POST", "/v1/accounts/password", May.RECOVER_ACCOUNT, accounts.set_password, takes=NewPasswordBody, gives={200: Done}, refuses=LINKED),
    Route("POST", "/v1/accounts/email", May.CHANGE_EMAIL, accounts.prove_email, takes=ProofBody, gives={200: PrintedAccount}, refuses=(*PROVED, SessionEnded)),
    Route("GET", "/v1/accounts/own", May.SEE_ACCOUNT, accounts.read_own, gives={200: PrintedAccount}),
    Route("PATCH", "/v1/accounts/own", May.UPDATE_ACCOUNT, accounts.update_own, takes=AccountChanges, gives={200: PrintedAccount}),
    Route("POST", "/v1/accounts/own/password", May.UPDATE_ACCOUNT, accounts.change_password, takes=ChangedPasswordBody, gives={200: Done}, refuses=(WrongCredentials, AccountDisabled, *ASKED)),
    Route("POST", "/v1/accounts/own/email", May.UPDATE_ACCOUNT, accounts.ask_email_change, takes=EmailBody, gives={202: Accepted}, refuses=(WrongCredentials, NotConfirmed, *ASKED)),
    Route("GET", "/v1/accounts/own/export", May.SEE_ACCOUNT, accounts.export_own, gives={200: Export}),
    Route("GET", "/v1/accounts/own/trail", May.SEE_ACCOUNT, accounts.list_trail, query=Page, gives={200: Trail}, refuses=(NotFound,)),
    Route("POST", "/v1/accounts/own/deletion", May.DELETE_ACCOUNT, accounts.delete_own, takes=PasswordBody, gives={200: Done}, refuses=(WrongCredentials, AccountDisabled, LastAdministrator, *ASKED)),
    Route("POST", "/v1/sessions", May.SIGN_IN, sessions.sign_in, takes=SignInBody, gives={200: SignedIn},
          refuses=(WrongCredentials, AccountDisabled, NotConfirmed, Forbidden, OrganizationInactive, *ASKED)),
    Route("GET", "/v1/sessions", May.SEE_SESSIONS, sessions.list_own, gives={200: Sessions}),
    Route("POST", "/v1/sessions/renewal", May.RENEW_SESSION, sessions.renew, takes=RenewalBody, gives={200: SignedIn}, refuses=(SessionEnded,)),
    Route("DELETE", "/v1/sessions/current", May.SIGN_OUT, sessions.end_current, gives={200: Done}),
    Route("DELETE", "/v1/sessions/others", May.SIGN_OUT, sessions.end_others, gives={200: Ended}),
    Route("DELETE", "/v1/sessions/{session_id:str}", May.SIGN_OUT, sessions.end_one, gives={200: Done}),
    Route("GET", "/v1/members", May.SEE_MEMBERS, members.list_members, query=Page, gives={200: Members}),
    Route("PATCH", "/v1/members/{account_id:str}", May.CHANGE_MEMBERS, members.change, takes=MemberChanges, gives={200: PrintedMembership}, refuses=(WrongState, LastAdministrator, NameTaken)),
    Route("DELETE", "/v1/members/{account_id:str}", May.CHANGE_MEMBERS, members.remove, gives={200: Done}, refuses=(LastAdministrator,)),
    Route("DELETE", "/v1/memberships/{organization_id:str}", May.LEAVE_ORGANIZATION, members.leave, gives={200: Done}, refuses=(LastAdministrator,)),
    Route("POST", "/v1/offers", May.OFFER_MEMBERSHIP, offers.make, takes=OfferBody, gives={201: PrintedOffer}, refuses=(WrongState, OfferLimitReached, TooManyAttempts), creates=True),
    Route("GET", "/v1/offers", May.SEE_MEMBERS, offers.list_offers, query=Page, gives={200: Offers}),
    Route("DELETE", "/v1/offers/{offer_id:str}", May.OFFER_MEMBERSHIP, offers.withdraw, gives={200: Done}, refuses=(WrongState,)),
    Route("POST", "/v1/offers/{offer_id:str}/resend", May.OFFER_MEMBERSHIP, offers.resend, gives={200: PrintedOffer}, refuses=(WrongState, TooManyAttempts)),
    Route("POST", "/v1/offers/preview", May.ACCEPT_OFFER, offers.look, takes=LookBody, gives={200: Preview}, refuses=(DeadLink, TooManyAttempts)),
    Route("POST", "/v1/offers/accept", May.ACCEPT_OFFER, offers.accept, takes=JoiningBody, gives={200: Joined}, refuses=(*PROVED, SessionEnded, WrongState)),
    Route("POST", "/v1/teams", May.CREATE_TEAM, teams.create, takes=TeamBody, gives={201: PrintedTeam}, refuses=(NameTaken,), creates=True),
    Route("GET", "/v1/teams", May.SEE_TEAMS, teams.list_teams, query=Page, gives={200: Teams}),
    Route("GET", "/v1/teams/{team_id:str}", May.SEE_TEAMS, teams.read, gives={200: PrintedTeam}),
    Route("PATCH", "/v1/teams/{team_id:str}", May.CHANGE_TEAM, teams.change, takes=TeamChanges, gives={200: PrintedTeam}, refuses=(NameTaken, WrongState)),
    Route("DELETE", "/v1/teams/{team_id:str}", May.CHANGE_TEAM, teams.end, gives={200: Done}),
    Route("GET", "/v1/teams/{team_id:str}/members", May.SEE_TEAMS, teams.list_members, query=Page, gives={200: TeamMembers}),
    Route("POST", "/v1/teams/{team_id:str}/members", May.CHANGE_TEAM, teams.add_member, takes=TeamMemberBody, gives={201: TeamJoined}, refuses=(WrongState,), creates=True),
    Route("DELETE", "/v1/teams/{team_id:str}/members/{account_id:str}", May.LEAVE_TEAM, teams.remove_member, gives={200: Done}, refuses=(WrongState,)),
    Route("POST", "/v1/shares", May.MAKE_SHARE, shares.offer, takes=ShareBody, gives={201: Shares}, refuses=SHARING, creates=True),
    Route("GET", "/v1/shares", May.SEE_SHARES, shares.list_shares, query=SharesQuery, gives={200: Shares}),
    Route("POST", "/v1/shares/preview", May.FOLLOW_SHARE, shares.look, takes=ShareTokenBody, gives={200: SharePreview}, refuses=(DeadLink, TooManyAttempts)),
    Route("POST", "/v1/shares/accept", May.ACCEPT_SHARE, shares.accept, takes=ShareTokenBody, gives={200: PrintedShare}, refuses=(DeadLink, NotConfirmed)),
    Route("GET", "/v1/shares/{share_id:str}", May.SEE_SHARES, shares.read, gives={200: PrintedShare}),
    Route("PATCH", "/v1/shares/{share_id:str}", May.CHANGE_SHARE, shares.change_level, takes=ShareLevelBody, gives={200: PrintedShare},
          refuses=(NotConfirmed, NotOnesShare, NotSharable, SharingDisabled, WrongTarget, WrongState)),
    Route("DELETE", "/v1/shares/{share_id:str}", May.END_SHARE, shares.end, gives={200: Done}, refuses=(NotOnesShare,)),
    Route("GET", "/v1/events", May.SEE_EVENTS, feed.list_events, query=EventsQuery, gives={200: Feed}),
    Route("GET", "/v1/events/stream", May.SEE_EVENTS, feed.stream_events, query=StreamQuery, gives={200: Media(EVENT_STREAM)}, refuses=(Busy,)),
    Route("POST", "/v1/fhir-servers", May.KEEP_FHIR_SERVERS, fhir_servers.create, takes=FhirServerBody, gives={201: PrintedFhirServer}, refuses=(NameTaken,), creates=True),
    Route("GET", "/v1/fhir-servers", May.SEE_FHIR_SERVERS, fhir_servers.list_servers, gives={200: FhirServers}),
    Route("GET", "/v1/fhir-servers/{server_id:str}", May.SEE_FHIR_SERVERS, fhir_servers.read, gives={200: PrintedFhirServer}),
    Route("PATCH", "/v1/fhir-servers/{server_id:str}", May.KEEP_FHIR_SERVERS, fhir_servers.change, takes=FhirServerChanges, gives={200: PrintedFhirServer}, refuses=(NameTaken,)),
    Route("DELETE", "/v1/fhir-servers/{server_id:str}", May.KEEP_FHIR_SERVERS, fhir_servers.remove, gives={200: Done}),
    Route("POST", "/v1/fhir-servers/{server_id:str}/confirmation", May.KEEP_FHIR_SERVERS, fhir_servers.confirm, gives={200: PrintedFhirServer}, refuses=(WrongState,)),
    Route("POST", "/v1/fhir-servers/{server_id:str}/test", May.KEEP_FHIR_SERVERS, fhir_servers.test, gives={200: FhirServerSaid},
          refuses=(TooManyAttempts, FhirServerAway, FhirServerWrong)),
    Route("GET", "/v1/fhir-servers/{server_id:str}/reads", May.SEE_SERVER_READS, reads.list_of_server, query=ServerReadsQuery,
          gives={200: (Reads, Media(FHIR_JSON, dict[str, Any]))}),
    Route("GET", "/v1/fhir-servers/{server_id:str}/suspensions", May.KEEP_FHIR_SERVERS, reads.list_suspensions, query=Page, gives={200: Suspensions}),
    Route("POST", "/v1/fhir-servers/{server_id:str}/patients/{patient_id:str}/confirmation", May.KEEP_FHIR_SERVERS, reads.confirm_patient,
          gives={200: PrintedSuspension}),
    Route("GET", "/v1/persons/{person_id:str}/reads", May.SEE_READS, reads.list_of_person, query=ReadsQuery,
          gives={200: (Reads, Media(FHIR_JSON, dict[str, Any]))}),
    Route("POST", "/v1/invites/bulk", May.MAKE_INVITE, invites.make_in_bulk, takes=InviteRowsBody, gives={200: RowOutcomes},
          refuses=(NotFound, WrongState)),
    Route("POST", "/v1/invites/slip", May.MAKE_INVITE, invites.slip, takes=SlipBody, gives={200: Media(HTML)}, refuses=(UnknownCode, TooManyAttempts)),
    Route("POST", "/v1/service-keys", May.KEEP_SERVICE_KEYS, service_keys.make, takes=ServiceKeyBody, gives={201: MadeServiceKey},
          refuses=(NameTaken, ServiceKeyLimitReached), creates=True),
    Route("GET", "/v1/service-keys", May.KEEP_SERVICE_KEYS, service_keys.list_keys, query=Page, gives={200: ServiceKeys}),
    Route("DELETE", "/v1/service-keys/{key_id:str}", May.KEEP_SERVICE_KEYS, service_keys.end, gives={200: PrintedServiceKey}),
    Route("POST", "/v1/access/explain", May.EXPLAIN_ACCESS, access.explain, takes=ExplainBody, gives={200: PrintedExplanation}, refuses=(NotFound,)),
    Route("GET", "/v1/access/subjects", May.SEE_ACCESS, access.list_subjects, query=WhoQuery, gives={200: (ReachingAccounts, Media(CSV))}, refuses=(NotFound, Busy)),
    Route("GET", "/v1/access/resources", May.SEE_ACCESS, access.list_resources, query=WhatQuery, gives={200: (ReachedResources, Media(CSV))}, refuses=(NotFound, Busy)),
    Route("POST", "/v1/sessions/organization", May.CHOOSE_ORGANIZATION, sessions.choose_organization,
          takes=OrganizationBody, gives={200: ChosenOrganization}, refuses=(OrganizationInactive,)),
    Route("POST", "/v1/organizations", May.REGISTER_ORGANIZATION, organizations.register,
          takes=RegistrationBody, gives={201: Organization}, refuses=(RegistrationClosed, NotConfirmed, NameTaken), creates=True),
    Route("GET", "/v1/organizations/own", May.SEE_ORGANIZATION, organizations.read_own, gives={200: Organization}),
    Route("PATCH", "/v1/organizations/own", May.UPDATE_ORGANIZATION, organizations.update_own,
          takes=ProfileChanges, gives={200: Organization}),
)  # fmt: skip

SURFACE = Surface(
    "Hospitium",
    "",
    "What no vendor's API covers, below `/v1`, and what every server has: its health, its keys, and this document.",
    ROUTES,
    WORDING,
)


def router() -> Router:
    """Return this surface for the application, with its own form of errors."""
    return Router(
        "/",
        route_handlers=handlers(ROUTES),
        exception_handlers={Exception: answer_exception},
        request_max_body_size=LARGEST_BODY,
    )
