"""Every address of BlueButtonPro's API that this server speaks, on one screen (docs/dialects/bluebutton.md)."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.bluebutton import grants, invites, persons
from hospitium.doors.bluebutton.errors import WORDING, answer_exception
from hospitium.doors.bluebutton.grants import Grant, GrantBody, GrantsQuery
from hospitium.doors.bluebutton.invite_shapes import (
    AcceptBody,
    AcceptByCodeBody,
    CodeInviteBody,
    CodeRegistration,
    CodeRegistrationBody,
    EmailInviteBody,
    FindBody,
    Invite,
    ReceivedQuery,
    ReissueBody,
    SentQuery,
)
from hospitium.doors.bluebutton.invites import PLAIN
from hospitium.doors.bluebutton.person_shapes import (
    Person,
    PersonAcceptBody,
    PersonBody,
    PersonOfferBody,
    PersonOfferMade,
    PersonOfferReceived,
    PersonOwnerBody,
    PersonRoleBody,
    PersonUser,
    PersonUserRole,
)
from hospitium.doors.bluebutton.wire import Paged, PageQuery
from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.routing import Media, Route, Surface, handlers
from hospitium.engine.errors import (
    Busy,
    Conflict,
    FhirServerAway,
    FhirServerWrong,
    NoSuchPatient,
    NotConfirmed,
    NotFound,
    SeveralPatients,
    TooManyAttempts,
    UnknownCode,
    WrongAnswer,
    WrongState,
)
from hospitium.engine.permissions import Permission as May

PLACES = ("/OrganizationInvites/", "/FhirServers/", "/Persons/")
INVITES = "/OrganizationInvites"
CODE = INVITES + "/security-details/code/{code:str}"
PERSON = "/Persons/{person_id:str}"

# What whoever names a FHIR server, asks one for a patient, or brings a code (and an answer) can be told.
ON_SERVER = (NotFound,)
ASKED_AGAIN = (
    NoSuchPatient,
    SeveralPatients,
    WrongState,
    TooManyAttempts,
    FhirServerAway,
    FhirServerWrong,
)
ASKING = (NotFound, *ASKED_AGAIN)
CODED = (UnknownCode, TooManyAttempts)
ANSWERED = (*CODED, WrongAnswer, Busy)

ROUTES = (
    Route("POST", INVITES + "/security-details/create", May.MAKE_INVITE, invites.create_by_code, takes=CodeInviteBody, gives={200: Invite},
          refuses=(*ASKING, Busy), creates=True),
    Route("POST", INVITES + "/user-details/create", May.MAKE_INVITE, invites.create_by_email, takes=EmailInviteBody, gives={200: Invite},
          refuses=ASKING, creates=True),
    Route("GET", CODE + "/security-question", May.FOLLOW_INVITE, invites.question, gives={200: Media(PLAIN)}, refuses=CODED),
    Route("POST", CODE + "/register", May.FOLLOW_INVITE, invites.register, takes=CodeRegistrationBody, gives={200: CodeRegistration}, refuses=ANSWERED),
    Route("POST", CODE + "/accept", May.ACCEPT_INVITE, invites.accept_by_code, takes=AcceptByCodeBody, gives={200: Grant},
          refuses=(*ANSWERED, WrongState)),
    Route("POST", INVITES + "/security-details/find", May.ACCEPT_INVITE, invites.find, takes=FindBody, gives={200: Invite}, refuses=ANSWERED),
    Route("GET", INVITES + "/received", May.SEE_INVITES, invites.list_received, query=ReceivedQuery, gives={200: list[Invite]}),
    Route("GET", INVITES + "/sent", May.SEE_INVITES, invites.list_sent, query=SentQuery, gives={200: Paged[Invite]}, refuses=ON_SERVER),
    Route("GET", INVITES + "/{id:str}", May.SEE_INVITES, invites.read, gives={200: Invite}),
    Route("DELETE", INVITES + "/{id:str}", May.END_INVITE, invites.withdraw, gives={204: None}, refuses=(WrongState,)),
    Route("POST", INVITES + "/{id:str}/accept", May.ACCEPT_INVITE, invites.accept, takes=AcceptBody, gives={200: Grant}, refuses=(WrongState,)),
    Route("POST", INVITES + "/{id:str}/decline", May.ACCEPT_INVITE, invites.decline, gives={204: None}, refuses=(WrongState,)),
    Route("POST", INVITES + "/{id:str}/reissue", May.END_INVITE, invites.reissue, takes=ReissueBody, gives={200: Invite},
          refuses=(*ASKED_AGAIN, Busy), creates=True),
    Route("POST", INVITES + "/{id:str}/resend", May.END_INVITE, invites.resend, gives={200: Invite}, refuses=(WrongState, TooManyAttempts)),
    Route("POST", "/FhirServers/grants", May.MAKE_GRANT, grants.make, takes=GrantBody, gives={200: Grant},
          refuses=(*ON_SERVER, Conflict, WrongState), creates=True),
    Route("GET", "/FhirServers/records", May.SEE_GRANTS, grants.list_own, query=GrantsQuery, gives={200: list[Grant]}),
    Route("GET", "/FhirServers/{server_id:str}/grants", May.SEE_GRANTS, grants.list_on_server, query=GrantsQuery, gives={200: list[Grant]}),
    Route("GET", "/FhirServers/grants/{grant_id:str}", May.SEE_GRANTS, grants.read, gives={200: Grant}),
    Route("DELETE", "/FhirServers/grants/{grant_id:str}", May.END_GRANT, grants.end, gives={204: None}, refuses=(Conflict,)),
    Route("POST", "/Persons", May.CREATE_PERSON, persons.create, takes=PersonBody, gives={200: Person}, creates=True),
    Route("GET", "/Persons", May.SEE_PERSONS, persons.list_persons, query=PageQuery, gives={200: Paged[Person]}),
    Route("GET", "/Persons/offers", May.ACCEPT_PERSON, persons.list_offers_received, query=PageQuery, gives={200: Paged[PersonOfferReceived]},
          refuses=(NotConfirmed,)),
    Route("POST", "/Persons/offers/{offer_id:str}/accept", May.ACCEPT_PERSON, persons.accept, takes=PersonAcceptBody, gives={200: Person},
          refuses=(NotConfirmed, WrongState)),
    Route("POST", "/Persons/offers/{offer_id:str}/decline", May.ACCEPT_PERSON, persons.decline, gives={204: None},
          refuses=(NotConfirmed, WrongState)),
    Route("GET", PERSON, May.SEE_PERSONS, persons.read, gives={200: Person}),
    Route("PUT", PERSON, May.UPDATE_PERSON, persons.change, takes=PersonBody, gives={200: Person}),
    Route("DELETE", PERSON, May.DELETE_PERSON, persons.delete, gives={204: None}),
    Route("GET", PERSON + "/users", May.SEE_PERSONS, persons.list_users, query=PageQuery, gives={200: Paged[PersonUser]}),
    Route("POST", PERSON + "/users", May.SHARE_PERSON, persons.offer, takes=PersonOfferBody, gives={200: PersonOfferMade},
          refuses=(NotConfirmed, TooManyAttempts), creates=True),
    Route("PATCH", PERSON + "/users/{user_id:str}", May.SHARE_PERSON, persons.change_user, takes=PersonRoleBody, gives={200: PersonUserRole},
          refuses=(WrongState,)),
    Route("DELETE", PERSON + "/users/{user_id:str}", May.LEAVE_PERSON, persons.remove_user, gives={204: None}, refuses=(WrongState,)),
    Route("POST", PERSON + "/owner", May.SHARE_PERSON, persons.give_away, takes=PersonOwnerBody, gives={200: Person}, refuses=(WrongState,)),
    Route("GET", PERSON + "/offers", May.SHARE_PERSON, persons.list_offers_made, query=PageQuery, gives={200: Paged[PersonOfferMade]}),
    Route("DELETE", PERSON + "/offers/{offer_id:str}", May.SHARE_PERSON, persons.withdraw, gives={204: None}, refuses=(WrongState,)),
)  # fmt: skip

SURFACE = Surface(
    "BlueButtonPro",
    "",
    "Clinics invite patients to their own record on a FHIR server, as BlueButtonPro's document describes it; and the persons and grants that go with that.",
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
