"""Every address of the OpenID AuthZEN Authorization API 1.0, on one screen (docs/dialects/authzen.md)."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.authzen import configuration, evaluations, searches
from hospitium.doors.authzen.configuration import (
    EVALUATION,
    EVALUATIONS,
    SEARCH_ACTION,
    SEARCH_RESOURCE,
    SEARCH_SUBJECT,
)
from hospitium.doors.authzen.errors import WORDING, answer_exception
from hospitium.doors.authzen.shapes import (
    ActionSearchBody,
    Configuration,
    Decision,
    Decisions,
    EvaluationBody,
    EvaluationsBody,
    FoundActions,
    FoundResources,
    FoundSubjects,
    ResourceSearchBody,
    SubjectSearchBody,
)
from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.problems import TooManyQuestions
from hospitium.doors.routing import Route, Surface, handlers
from hospitium.engine.errors import Busy
from hospitium.engine.permissions import Permission as May

PLACES = ("/access/",)

ROUTES = (
    Route("GET", "/.well-known/authzen-configuration", May.SEE_API, configuration.read, gives={200: Configuration}, alone=True),
    Route("POST", EVALUATION, May.CHECK_ACCESS, evaluations.evaluate, takes=EvaluationBody, gives={200: Decision}, refuses=(Busy,), bare=True),
    Route("POST", EVALUATIONS, May.CHECK_ACCESS, evaluations.evaluate_all, takes=EvaluationsBody, gives={200: Decisions},
          refuses=(TooManyQuestions, Busy)),
    Route("POST", SEARCH_SUBJECT, May.SEARCH_ACCESS, searches.search_subjects, takes=SubjectSearchBody, gives={200: FoundSubjects}, refuses=(Busy,)),
    Route("POST", SEARCH_RESOURCE, May.SEARCH_ACCESS, searches.search_resources, takes=ResourceSearchBody, gives={200: FoundResources}, refuses=(Busy,)),
    Route("POST", SEARCH_ACTION, May.SEARCH_ACCESS, searches.search_actions, takes=ActionSearchBody, gives={200: FoundActions}, refuses=(Busy,)),
)  # fmt: skip

SURFACE = Surface(
    "AuthZEN",
    "",
    "Applications ask who may do what, by the OpenID AuthZEN Authorization API 1.0, with a service key of their organization.",
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
