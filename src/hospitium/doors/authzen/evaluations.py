"""May this one do that to this? One question, or many (AuthZEN 1.0, "Access Evaluation API" and "Access Evaluations API")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from msgspec import UNSET

from hospitium.doors.answers import answer, send
from hospitium.doors.authzen.shapes import (
    Decision,
    Decisions,
    EvaluationBody,
    EvaluationsBody,
)
from hospitium.doors.authzen.wire import body_of, named, read_body
from hospitium.doors.json_body import convert, whole_body
from hospitium.doors.problems import TooManyQuestions
from hospitium.doors.surroundings import surroundings
from hospitium.engine.access.decide import Allowed
from hospitium.engine.errors import Forbidden, Invalid
from hospitium.engine.permissions import RULES, Permission
from hospitium.engine.secrets import ServiceKeyText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.access.naming import Named

MOST = 1_000
EXECUTE_ALL, DENY_FIRST, PERMIT_FIRST = "execute_all", "deny_on_first_deny", "permit_on_first_permit"
_ENDS_WITH = {EXECUTE_ALL: None, DENY_FIRST: False, PERMIT_FIRST: True}
_YES, _NO = b'{"decision":true}', b'{"decision":false}'
_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


async def evaluate(scope: Any, receive: Any, send: Any) -> None:
    """Say whether a subject may do an action on a resource now."""
    parts: Surroundings = scope["litestar_app"].state["surroundings"]
    said = dict(scope["headers"])
    key = _key(parts, said.get(b"authorization", b"").decode("latin-1"))
    asked = read_body(await whole_body(receive), said.get(b"content-type"), EvaluationBody)
    (decision,) = await parts.questions.ask(key, [named(asked.subject, asked.action, asked.resource)])
    body = _YES if isinstance(decision, Allowed) else _NO
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, (b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def evaluate_all(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say it of many questions, which are answered in their order out of one snapshot; at most 1,000.

    With the semantic `deny_on_first_deny` or `permit_on_first_permit` the answers end with the first such decision.
    """
    key = _key(surroundings(request), request.headers.get("authorization"))
    await surroundings(request).questions.admit(key)
    asked = await body_of(request, EvaluationsBody)
    semantic = EXECUTE_ALL if asked.options is UNSET else asked.options.evaluations_semantic
    if semantic not in _ENDS_WITH:
        raise Invalid("options.evaluations_semantic", f"must be one of {', '.join(_ENDS_WITH)}")
    if not asked.evaluations:  # it is one question, then
        (allowed,) = await _ask(request, key, [_merged(asked, {})])
        return _plain(allowed)
    if len(asked.evaluations) > MOST:
        raise TooManyQuestions(MOST)
    questions = [_one_of(asked, item) for item in asked.evaluations]
    good = [one for one in questions if not isinstance(one, Invalid)]
    decisions = iter(await _ask(request, key, good) if good else ())
    answers: list[Decision] = []
    for question in questions:
        allowed = False if isinstance(question, Invalid) else next(decisions)
        answers.append(Decision(allowed, _said(question)))
        if allowed is _ENDS_WITH[semantic]:
            why = answers[-1].context
            answers[-1].context = {**({} if why is UNSET else why), "reason": semantic}
            break
    return send(answer(200, Decisions(answers)))


def _key(parts: Surroundings, authorization: str | None) -> ServiceKeyText:
    """Return the service key that a request shows. Raises NotSignedIn; Forbidden for a session, however good."""
    shown = parts.access_tokens.shown(authorization, parts.work.clock())
    if isinstance(shown, ServiceKeyText):
        return shown
    raise Forbidden(RULES[Permission.CHECK_ACCESS].sentence)


async def _ask(
    request: Request[Any, Any, Any], key: ServiceKeyText, questions: Sequence[Named]
) -> list[bool]:
    decisions = await surroundings(request).questions.ask(key, questions)
    return [isinstance(decision, Allowed) for decision in decisions]


def _plain(allowed: bool) -> Response[bytes]:
    return Response(
        _YES if allowed else _NO,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _merged(asked: EvaluationsBody, item: dict[str, Any]) -> Named:
    """Return one question of several: what it doesn't have itself, as a whole, stands at the top. Raises Invalid."""
    whole = {
        name: value
        for name in ("subject", "action", "resource", "context")
        if (value := item.get(name, getattr(asked, name))) is not UNSET
    }
    one = convert(whole, EvaluationBody)
    return named(one.subject, one.action, one.resource)


def _one_of(asked: EvaluationsBody, item: dict[str, Any]) -> Named | Invalid:
    try:
        return _merged(asked, item)
    except Invalid as reason:
        return reason


def _said(question: Named | Invalid) -> Any:
    if isinstance(question, Invalid):
        return {"error": {"status": 400, "message": question.message}}
    return UNSET
