"""How a page is made and sent: from a template, in a language, with headers that allow it nothing but what it needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hospitium.doors.answers import Answer, send
from hospitium.doors.console import assets, forms, sessions
from hospitium.doors.console.languages import NAMES, day, instant, language_of, role
from hospitium.doors.console.texts import text
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.passwords import LONGEST, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request, Response

HTML = "text/html"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; connect-src 'none'"
)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
# What every page may ask for, unless its handler says more.
_USUAL: Mapping[str, Any] = {"wrong": None, "again": None, "carry": {}, "given": {}}


def page(
    request: Request[Any, Any, Any],
    template: str,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response[bytes]:
    """Return a page. What a template is given is escaped, whatever it is; a value it needs and isn't given is a mistake.

    `wrong`: what is wrong with a field, as (its name, a text). `given`: what was typed, but passwords. `again`: the token of
    a link, with which the page can be shown in another language; `carry`: what else its forms carry along for that.
    """
    language = language_of(request)
    public_url = urlsplit(surroundings(request).public_url)
    path = request.scope["path"]
    token = forms.form_token(request) or forms.new_form_token()
    body = _TEMPLATES.get_template(template).render(
        {
            **_USUAL,
            "t": partial(_text, language),
            "language": language,
            "languages": NAMES,
            "instant": lambda when: instant(when, language),
            "role": lambda which: role(which, language),
            "path": path if f"{path}/".startswith("/console/") else "/console",
            "place": public_url.hostname or "",
            # Behind a proxy this server may live below a path.
            "url": lambda path: public_url.path + path,
            "page_url": lambda path, lang=language: f"{public_url.path}{path}?lang={lang.value}",
            "asset": lambda name: public_url.path + assets.address(name),
            "form_token": token,
            "session_token": sessions.form_token(request),
            "visitor": sessions.known(request),
            "day": lambda said: day(said, language),
            "shortest": SHORTEST,
            "longest_password": LONGEST,
            **values,
        }
    )
    sent = {
        "Content-Security-Policy": POLICY,
        "Content-Language": language.value,
        "Vary": "Accept-Language",
        **(headers or {}),
    }
    if token in body:  # a page without a form needs no cookie
        sent["Set-Cookie"] = forms.cookie(request, token)
    return send(Answer(status, body.encode()), media_type=HTML, headers=sent)


def elsewhere(request: Request[Any, Any, Any], path: str) -> Response[bytes]:
    """Return what has a browser open another of our pages, in the same language: so that loading it again does nothing again."""
    where = f"{urlsplit(surroundings(request).public_url).path}{path}?lang={language_of(request).value}"
    return send(Answer(303, b""), media_type=HTML, headers={"Location": where})


def _text(language: Any, key: str, **values: object) -> Any:
    return text(key, language, **values)
