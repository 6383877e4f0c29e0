"""Every address of this surface, on one screen."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.medable import accounts, connections, objects, records
from hospitium.doors.medable.accounts import (
    AccountDocument,
    AccountLogin,
    RegisterBody,
    Registered,
    VerifyBody,
)
from hospitium.doors.medable.connection_shapes import (
    ConnectionDocument,
    ConnectionsBody,
    ConnectionsQuery,
    LevelBody,
    OfferedConnection,
    OrphansQuery,
)
from hospitium.doors.medable.errors import (
    WORDING,
    CsrfMismatch,
    NoConnectionApp,
    answer_exception,
)
from hospitium.doors.medable.objects import ObjectBody, ObjectDocument, ObjectSettings
from hospitium.doors.medable.records import ArchiveBody, RecordBody, RecordDocument
from hospitium.doors.medable.wire import List, PageQuery, Result
from hospitium.doors.routing import Route, Surface, handlers
from hospitium.engine.errors import (
    AcceptanceRequired,
    AccountDisabled,
    AccountRequired,
    AlreadyShared,
    Busy,
    ClientKeyRequired,
    DeadLink,
    Forbidden,
    NameTaken,
    NoTargets,
    NotConfirmed,
    NotOnesShare,
    NotSharable,
    NotSignedIn,
    OrganizationInactive,
    SharingDisabled,
    TargetAccessRequired,
    TooManyAttempts,
    TooManyTargets,
    UnknownClientKey,
    UnknownObjectType,
    WrongCredentials,
    WrongState,
    WrongTarget,
)
from hospitium.engine.permissions import Permission as May

AT = "/{org:str}/v2"
ONE = AT + "/{plural:str}/{id:str}"
ALL_OF = AT + "/connections"

# What entering can meet: an unknown organization or client key, or none where it is asked for.
ENTERED = (UnknownClientKey, ClientKeyRequired)
CHANGING = (*ENTERED, CsrfMismatch)
NAMED = (UnknownObjectType,)
SHARING = (NotConfirmed, NotSharable, SharingDisabled, NoTargets, TooManyTargets, WrongTarget, AccountRequired,
           AcceptanceRequired, TargetAccessRequired, AlreadyShared, TooManyAttempts, NoConnectionApp)  # fmt: skip
ASKED = (TooManyAttempts, Busy)

ROUTES = (
    Route("POST", AT + "/accounts/login", May.SIGN_IN, accounts.login, takes=AccountLogin, gives={200: AccountDocument},
          refuses=(*CHANGING, WrongCredentials, AccountDisabled, NotConfirmed, Forbidden, OrganizationInactive, *ASKED)),
    Route("POST", AT + "/accounts/register", May.REGISTER_ACCOUNT, accounts.register, takes=RegisterBody, gives={200: Registered}, refuses=(*CHANGING, *ASKED)),
    Route("POST", AT + "/accounts/verify", May.CONFIRM_ACCOUNT, accounts.verify, takes=VerifyBody, gives={200: AccountDocument},
          refuses=(*CHANGING, WrongCredentials, AccountDisabled, NotSignedIn, Forbidden, *ASKED)),
    Route("GET", AT + "/accounts/me", May.SEE_ACCOUNT, accounts.me, gives={200: AccountDocument}, refuses=ENTERED),
    Route("POST", AT + "/accounts/me/logout", May.SIGN_OUT, accounts.logout, gives={200: Result}, refuses=CHANGING),
    Route("GET", AT + "/accounts", May.SEE_RECORDS, accounts.list_, query=PageQuery, gives={200: List[AccountDocument]}, refuses=ENTERED),
    Route("GET", AT + "/accounts/{id:str}", May.SEE_RECORDS, accounts.read, gives={200: AccountDocument}, refuses=ENTERED),
    Route("POST", AT + "/accounts/{id:str}/connections", May.MAKE_SHARE, connections.create_of_account, takes=ConnectionsBody,
          gives={200: List[ConnectionDocument]}, refuses=(*CHANGING, *SHARING), creates=True),
    Route("GET", AT + "/accounts/{id:str}/connections", May.SEE_SHARES, connections.list_on_account, query=PageQuery, gives={200: List[ConnectionDocument]}, refuses=ENTERED),
    Route("DELETE", AT + "/accounts/{id:str}/connections", May.END_SHARE, connections.end_orphans_of_account, query=OrphansQuery, gives={200: Result},
          refuses=(*CHANGING, NotOnesShare)),
    Route("GET", AT + "/objects", May.KEEP_OBJECT_TYPES, objects.list_, query=PageQuery, gives={200: List[ObjectDocument]}, refuses=ENTERED),
    Route("POST", AT + "/objects", May.KEEP_OBJECT_TYPES, objects.create, takes=ObjectBody, gives={200: ObjectDocument}, refuses=(*CHANGING, NameTaken), creates=True),
    Route("GET", AT + "/objects/{id:str}", May.KEEP_OBJECT_TYPES, objects.read, gives={200: ObjectDocument}, refuses=ENTERED),
    Route("PUT", AT + "/objects/{id:str}", May.KEEP_OBJECT_TYPES, objects.replace, takes=ObjectSettings, gives={200: ObjectDocument}, refuses=CHANGING),
    Route("DELETE", AT + "/objects/{id:str}", May.KEEP_OBJECT_TYPES, objects.drop, gives={200: Result}, refuses=(*CHANGING, WrongState)),
    Route("GET", ALL_OF, May.SEE_SHARES, connections.list_, query=ConnectionsQuery, gives={200: List[ConnectionDocument]}, refuses=ENTERED),
    Route("GET", ALL_OF + "/{which:str}", May.FOLLOW_SHARE, connections.read, gives={200: OfferedConnection},
          refuses=(*ENTERED, DeadLink, NotSignedIn)),
    Route("POST", ALL_OF + "/{which:str}", May.ACCEPT_SHARE, connections.accept, gives={200: ConnectionDocument}, refuses=(*CHANGING, NotConfirmed, DeadLink)),
    Route("PATCH", ALL_OF + "/{which:str}", May.CHANGE_SHARE, connections.change, takes=LevelBody, gives={200: ConnectionDocument},
          refuses=(*CHANGING, NotConfirmed, NotOnesShare, NotSharable, SharingDisabled, WrongTarget, WrongState)),
    Route("DELETE", ALL_OF + "/{which:str}", May.END_SHARE, connections.end, gives={200: Result}, refuses=(*CHANGING, NotOnesShare, DeadLink)),
    Route("GET", AT + "/{plural:str}", May.SEE_RECORDS, records.list_, query=PageQuery, gives={200: List[RecordDocument]}, refuses=(*ENTERED, *NAMED)),
    Route("POST", AT + "/{plural:str}", May.CREATE_RECORD, records.create, takes=RecordBody, gives={200: RecordDocument},
          refuses=(*CHANGING, *NAMED, NotConfirmed, NameTaken), creates=True),
    Route("GET", ONE, May.SEE_RECORDS, records.read, gives={200: RecordDocument}, refuses=(*ENTERED, *NAMED)),
    Route("PUT", ONE, May.UPDATE_RECORD, records.replace, takes=RecordBody, gives={200: RecordDocument}, refuses=(*CHANGING, *NAMED, WrongState)),
    Route("PATCH", ONE, May.DELETE_RECORD, records.archive, takes=ArchiveBody, gives={200: RecordDocument}, refuses=(*CHANGING, *NAMED, WrongState)),
    Route("DELETE", ONE, May.DELETE_RECORD, records.delete, gives={200: Result}, refuses=(*CHANGING, *NAMED)),
    Route("POST", ONE + "/connections", May.MAKE_SHARE, connections.create, takes=ConnectionsBody, gives={200: List[ConnectionDocument]},
          refuses=(*CHANGING, *NAMED, *SHARING), creates=True),
    Route("GET", ONE + "/connections", May.SEE_SHARES, connections.list_on, query=PageQuery, gives={200: List[ConnectionDocument]}, refuses=(*ENTERED, *NAMED)),
    Route("DELETE", ONE + "/connections", May.END_SHARE, connections.end_orphans, query=OrphansQuery, gives={200: Result},
          refuses=(*CHANGING, *NAMED, NotOnesShare)),
)  # fmt: skip

SURFACE = Surface(
    "Medable",
    "",
    "People share records with people and teams, as Medable's documents describe it; `org` is the code of an organization.",
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
