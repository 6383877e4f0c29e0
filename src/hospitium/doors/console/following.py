"""How a link is followed, alike for every kind: its page is opened, its token looked at, and then done what was shown.

The page is the same for everybody: the token stands behind the # of the address, which no browser sends. A script of ours, or
the reader, puts it into a form; `look` shows what it is about, and `do` does that, with the token the page carried along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors.console import forms
from hospitium.doors.console.rendering import page
from hospitium.doors.console.texts import TEXTS
from hospitium.engine.accounts.passwords import LONGEST, SHORTEST, typed_password
from hospitium.engine.errors import Invalid, Refusal, WrongAnswer, WrongCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hospitium.engine.secrets import LinkToken

    Fields = Mapping[str, str]
    Step = Callable[[LinkToken, Fields], Awaitable[Response[bytes]]]


class Wrong(NamedTuple):
    """What is wrong with what was typed: into which field, and the text that says it."""

    field: str
    key: str


async def start(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the page of a link. Nothing is known of the link yet, and nothing changes, however often it is opened."""
    return _opened(request, 200, None)


async def follow(
    request: Request[Any, Any, Any],
    look: Callable[[LinkToken, Wrong | None, Fields], Awaitable[Response[bytes]]],
    steps: Mapping[str, Step],
    takes: tuple[str, ...],
) -> Response[bytes]:
    """Look at a link, or take one of the steps its page offers; shown again, and why, if what was typed is wrong.

    Raises NotOurForm, WrongFormType, Invalid (`form`), and what the steps raise.
    """
    given = await forms.read(request, "step", "link", *takes)
    try:
        token = forms.link_token(given.get("link", ""))
    except Invalid:
        return _opened(request, 400, Wrong("link", "wrong.link"))
    step = steps.get(given.get("step", ""))
    if step is None:
        return await look(token, None, given)
    try:
        return await step(token, given)
    except (Invalid, WrongCredentials) as refusal:
        return await look(token, wrong_with(refusal, given), given)


def wrong_with(refusal: Refusal, given: Fields) -> Wrong:
    """Return what a refusal says about what was typed; the refusal itself if it is about nothing that was."""
    if isinstance(refusal, WrongCredentials):
        return Wrong("password", "wrong.password")
    if isinstance(refusal, WrongAnswer):
        return Wrong("security_answer", "wrong.answer")
    field = refusal.field if isinstance(refusal, Invalid) else ""
    if field == "password" and "new_password" in given:
        length = len(typed_password(given["new_password"]).reveal())
        return Wrong(
            "new_password",
            "wrong.password.common" if SHORTEST <= length <= LONGEST else "wrong.password.length",
        )
    if f"wrong.{field}" not in TEXTS:
        raise refusal
    return Wrong(field, f"wrong.{field}")


def done(
    request: Request[Any, Any, Any],
    name: str,
    *,
    again: LinkToken | None = None,
    note: str | None = None,
    way: str = "home",
    **values: object,
) -> Response[bytes]:
    """Return the page that says what is done: its texts begin with `name`; `note` is one more, `way` where one may go on."""
    return page(request, "done.html", name=name, again=again, note=note, way=way, values=values)


def _opened(request: Request[Any, Any, Any], status: int, wrong: Wrong | None) -> Response[bytes]:
    kind = request.scope["path"].rstrip("/").rpartition("/")[2]
    return page(request, "open.html", status, kind=kind, wrong=wrong)
