"""Somebody with a browser that has no script: opens pages, reads them, fills in their forms, keeps their cookies."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx

if TYPE_CHECKING:
    from cast import House

TYPE = "application/x-www-form-urlencoded"
COOKIE = "hospitium-form"


class Form:
    """A form on a page: where it goes, and what it sends as it stands."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}
        self.names: set[str] = set()


class Read(HTMLParser):
    """A page as it is read: its language, its words, its forms, its links, and whatever it loads."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.headers = response.headers
        self.html = response.text
        self.language = ""
        self.title = ""
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._in_form = False
        self._choosing = ""
        self._in: list[str] = []
        self.feed(response.text)
        self.words = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag in ("title", "script", "style"):
            self._in.append(tag)
        match tag:
            case "html":
                self.language = given.get("lang") or ""
            case "form":
                self.forms.append(Form(given.get("action") or ""))
                self._in_form = True
            case "input" | "button" if self._in_form and (name := given.get("name")):
                self.forms[-1].names.add(name)
                is_sent = tag == "input" and (given.get("type") != "radio" or "checked" in given)
                if given.get("value") is not None and is_sent:
                    self.forms[-1].fields[name] = str(given["value"])
            case "select" if self._in_form and (name := given.get("name")):
                self._choosing = name
                self.forms[-1].names.add(name)
            case "option" if self._choosing and (
                "selected" in given or self._choosing not in self.forms[-1].fields
            ):
                # The first one is chosen until another says it is.
                self.forms[-1].fields[self._choosing] = given.get("value") or ""
            case "a":
                self.links.append(given.get("href") or "")
            case "link" | "script" | "img":
                self.loads.append(given.get("href") or given.get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        if tag == "select":
            self._choosing = ""
        if self._in and self._in[-1] == tag:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        if self._in and self._in[-1] == "title":
            self.title += data
        elif not self._in:
            self._words.append(data)

    def form(self, step: str) -> Form:
        """Return the last form of the page that takes a step: those of the frame stand before it."""
        return [form for form in self.forms if form.fields.get("step") == step][-1]

    def form_with(self, name: str) -> Form:
        """Return the one form that has a field of this name."""
        (found,) = [form for form in self.forms if name in form.names]
        return found


class Visitor:
    """A browser of its own. What it is asked to send besides a form's own fields takes their place."""

    def __init__(self, house: House, **headers: str) -> None:
        self.house = house
        self.http = httpx.AsyncClient(
            base_url=house.base_url,
            timeout=60,
            verify=False,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get(COOKIE)

    async def opens(self, path: str) -> Read:
        return Read(await self.http.get(path))

    async def sends(self, form: Form, **fields: str) -> Read:
        """Fill a form in and send it, as a browser does."""
        return await self.posts(form.action, {**form.fields, **fields})

    async def posts(self, path: str, fields: Any, **headers: str) -> Read:
        """Send these fields (a mapping, or pairs), with these headers besides a form's own."""
        sent = {"Content-Type": TYPE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return Read(await self.http.post(path, content=urlencode(fields).encode(), headers=sent))

    async def lands(self, page: Read) -> Read:
        """Open the page of ours that an answer sends this browser on to."""
        assert page.status == 303, (page.status, page.words)
        assert page.headers["location"].startswith("/console/")
        return await self.opens(page.headers["location"])

    async def follows(self, link: str, *, lang: str = "en") -> Read:
        """Follow a link of a mail without script: open its page, paste the link, and look."""
        path = re.sub(r"^https?://[^/]+", "", link).partition("#")[0].partition("?")[0]
        page = await self.opens(f"{path}?lang={lang}")
        return await self.sends(page.form("look"), link=link)
