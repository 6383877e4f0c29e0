"""The guard of an application: before it shows anything, it asks Hospitium whether this one may do that to this.

    from hospitium.client import Guard, Resource

    with Guard("https://share.example", service_key) as guard:
        guard.allowed("alice", "read", Resource("c_prescription", "rx-1"))

The questions go by the OpenID AuthZEN Authorization API 1.0; docs/guard.md tells it from the beginning. Nothing here knows the rest
of Hospitium, and the rest doesn't know this.
"""

from hospitium.client.async_guard import AsyncGuard
from hospitium.client.errors import (
    Forbidden,
    GuardError,
    GuardUnavailable,
    KeyRefused,
    NotAllowed,
    QuestionRefused,
    Refused,
    TooLarge,
    WrongAnswer,
)
from hospitium.client.guard import Guard
from hospitium.client.questions import Explanation, Question, Resource, Step, Subject

__all__ = [
    "AsyncGuard",
    "Explanation",
    "Forbidden",
    "Guard",
    "GuardError",
    "GuardUnavailable",
    "KeyRefused",
    "NotAllowed",
    "Question",
    "QuestionRefused",
    "Refused",
    "Resource",
    "Step",
    "Subject",
    "TooLarge",
    "WrongAnswer",
]
