"""Reading a form strictly, and telling ours from anybody else's.

A form is ours if it carries the value that stands in a cookie of this browser (the form token): a stranger's page can have a
browser send a form, but can neither read nor set that cookie. What a browser says of where the form was opened is asked first.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.secrets import TOKEN_LENGTH, LinkToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request

LARGEST_FORM = 65_536  # bytes
MOST_FIELDS = 20
FIELD = "form"
SESSION = "session"
"""What the forms of whoever is signed in carry besides: made from his session's cookie (`sessions.py`)."""
_TYPE = "application/x-www-form-urlencoded"
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
_LINK_TOKEN = re.compile(rf"[0-9A-Za-z]{{{TOKEN_LENGTH}}}")


class NotOurForm(Exception):
    """The form was not opened here, in this browser; or its browser keeps no cookie of ours."""


class WrongFormType(Exception):
    """The body is no form."""


async def read(request: Request[Any, Any, Any], *takes: str) -> Mapping[str, str]:
    """Return the fields of a form that was opened here, each at most once, and none but those it takes.

    Raises NotOurForm, WrongFormType, Invalid (`form`).
    """
    _refuse_strangers(request)
    fields = _parsed(await request.body(), request.headers.get("content-type", ""))
    # Known before the form is: whoever is told to open it again needn't look for his mail.
    request.state.link, request.state.code = fields.get("link", ""), fields.get("code", "")
    request.state.session_shown = fields.pop(SESSION, "")
    given, kept = fields.pop(FIELD, ""), form_token(request)
    if kept is None or not hmac.compare_digest(given.encode(), kept.encode()):
        raise NotOurForm
    if not fields.keys() <= set(takes):
        raise Invalid("form", "has a field that is not known here")
    return fields


def link_token(given: str) -> LinkToken:
    """Return the token of what somebody pasted: a link, or only its end. Raises Invalid (`link`)."""
    token = "".join(given.rpartition("#")[2].split())
    if not _LINK_TOKEN.fullmatch(token):
        raise Invalid("link", "is no link of ours")
    return LinkToken(token)


def form_token(request: Request[Any, Any, Any]) -> str | None:
    """Return the form token of this browser: what its cookie says, if there is one such cookie, and it is one of ours."""
    found = cookie_called(request, _cookie_name(is_https(request)))
    return found if found is not None and _FORM_TOKEN.fullmatch(found) else None


def cookie_called(request: Request[Any, Any, Any], name: str) -> str | None:
    """Return what the one cookie of a name says; None if there is none, or several: then somebody else may have set one."""
    found = [
        value.strip()
        for header in request.headers.getall("cookie", [])
        for crumb in header.split(";")
        for called, _, value in (crumb.partition("="),)
        if called.strip() == name
    ]
    return found[0] if len(found) == 1 else None


def new_form_token() -> str:
    """Make a form token: 128 random bits."""
    return secrets.token_urlsafe(16)


def cookie(request: Request[Any, Any, Any], token: str) -> str:
    """Return the header that has a browser keep a form token, for nobody but us, until it is closed."""
    secure = "; Secure" if is_https(request) else ""
    return f"{_cookie_name(is_https(request))}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"


def is_https(request: Request[Any, Any, Any]) -> bool:
    """Whether browsers reach this server by https, and so may be told to keep cookies for that alone."""
    return surroundings(request).public_url.startswith("https:")


def _cookie_name(secure: bool) -> str:
    # With this prefix no neighbour's name, and nobody on the way, can set it (RFC 6265bis); it needs https.
    return "__Host-hospitium-form" if secure else "hospitium-form"


def _refuse_strangers(request: Request[Any, Any, Any]) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotOurForm
    # A page without referrer, as ours are, sends "null", which says nothing: then the cookie decides.
    origin = request.headers.get("origin", "null")
    if origin != "null" and not _is_ours(request, origin):
        raise NotOurForm


def _is_ours(request: Request[Any, Any, Any], origin: str) -> bool:
    """Whether an origin is the public address, or the name this request was asked by (which the edge has judged)."""
    public = urlsplit(surroundings(request).public_url)
    if origin == f"{public.scheme}://{public.netloc}".lower():
        return True
    scheme, _, host = origin.partition("://")
    return host == request.headers.get("host", "").lower() and scheme in (public.scheme, "https")


def _parsed(body: bytes, content_type: str) -> dict[str, str]:
    if content_type.partition(";")[0].strip(" \t").lower() != _TYPE:
        raise WrongFormType
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise Invalid("form", "can't be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Invalid("form", "has a field twice")
    if any("\0" in value for value in fields.values()):
        raise Invalid("form", "must not contain NUL characters")
    return fields
