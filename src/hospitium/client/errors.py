"""What a guard raises. None of it means yes: who catches `GuardError` and denies has failed closed.

GuardError
├── NotAllowed            the answer to `require` is no
├── GuardUnavailable      nobody answered in time; asking again later may help
├── WrongAnswer           something answered, and it was no answer to a question
└── Refused               the question was not answered, and asking again won't help: a mistake of the application
    ├── QuestionRefused   400: it is malformed
    ├── KeyRefused        401: the service key is unknown, or was ended
    ├── Forbidden         403: the service key may not ask this
    └── TooLarge          413: too much at once
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hospitium.client.questions import Question


class GuardError(Exception):
    """Whatever keeps a guard from saying yes."""


class NotAllowed(GuardError):
    """The answer is no."""

    def __init__(self, question: Question) -> None:
        super().__init__(
            f"{question.subject.type} {question.subject.id} may not {question.action} "
            f"{question.resource.type} {question.resource.id}"
        )
        self.question = question


class GuardUnavailable(GuardError):
    """Nobody answered in time. `retry_after`: in how many seconds it may be worth asking again."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class WrongAnswer(GuardError):
    """What came is no answer: something else than Hospitium is at this address, or stands in between."""


class Refused(GuardError):
    """The question was refused. `kind` is the last part of the problem's type, `detail` its sentence; either may be empty."""

    def __init__(self, status: int, kind: str, detail: str, request_id: str) -> None:
        super().__init__(
            f"{status} {kind or 'refused'}: {detail}" if detail else f"{status} {kind or 'refused'}"
        )
        self.status = status
        self.kind = kind
        self.detail = detail
        self.request_id = request_id


class QuestionRefused(Refused):
    """The question is malformed."""


class KeyRefused(Refused):
    """The service key is unknown, or was ended."""


class Forbidden(Refused):
    """The service key may not ask this: it lacks the scope, or its organization isn't active."""


class TooLarge(Refused):
    """Too much was asked at once."""
