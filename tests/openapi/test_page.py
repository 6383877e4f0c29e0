"""GET /openapi: the document as a page that loads nothing, from anywhere."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import Any

from cast import House
from hospitium import __version__
from hospitium.app import SURFACES
from hospitium.doors.openapi.document import document
from hospitium.doors.openapi.page import body, prose, rendered, spelled

DOCUMENT = document(SURFACES, __version__, "https://share.example")
EMPTY = {"meta", "br"}


class Read(HTMLParser):
    """Reads a page: its text, its ids and links, and whether everything opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def all(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


async def test_it_is_served_to_anyone_under_a_policy_that_allows_nothing_but_its_style(house: House) -> None:
    page = await house.stranger.get("/openapi")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    again = await house.stranger.send("GET", "/openapi", If_None_Match=page.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


def test_it_loads_nothing_and_runs_nothing() -> None:
    page = Read(rendered(DOCUMENT))
    assert not page.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base", "svg"}
    assert not [
        name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "style", "srcset")
    ]
    assert {link for link in page.all("href") if not link.startswith("#")} == {"/openapi.json"}
    assert "url(" not in rendered(DOCUMENT)
    assert "@import" not in rendered(DOCUMENT)


def test_every_operation_and_every_shape_is_on_it_once_and_every_link_leads_there() -> None:
    page = Read(rendered(DOCUMENT))
    ids = page.all("id")
    assert len(set(ids)) == len(ids)
    operations = {one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()}
    assert operations | {f"shape-{name}" for name in DOCUMENT["components"]["schemas"]} <= set(ids)
    assert {link[1:] for link in page.all("href") if link.startswith("#")} <= set(ids)


def test_a_phone_shows_it_as_wide_as_it_is_and_a_reader_hears_its_language() -> None:
    page = Read(rendered(DOCUMENT))
    assert ("html", "lang", "en") in page.attributes
    assert ("meta", "content", "width=device-width, initial-scale=1") in page.attributes
    assert page.tags >= {"nav", "main", "h1", "h2", "h3", "title"}


def test_what_the_document_says_stays_text() -> None:
    evil: Any = DOCUMENT | {"info": DOCUMENT["info"] | {"title": "<script>alert(1)</script>"}}
    assert "<script" not in rendered(evil)
    assert str(prose("a <b> `<i>` c\n* d")) == "<p>a &lt;b&gt; <code>&lt;i&gt;</code> c<br>d</p>"


def test_a_schema_is_spelled_in_words() -> None:
    for schema, words in (
        ({"type": "string", "format": "uuid"}, "string (uuid)"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        (
            {"type": "array", "items": {"$ref": "#/components/schemas/Id"}},
            'list of <a href="#shape-Id">Id</a>',
        ),
        ({"enum": ["a", True]}, "<code>a</code>, <code>true</code>"),
        ({"const": 1}, "<code>1</code>"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
        ({"pattern": "x"}, "blank"),
        ({}, "anything"),
    ):
        assert str(spelled(schema)) == words, schema
    assert str(body({"properties": {"data": {"type": "string"}}})) == "{<code>data</code>: string}"
