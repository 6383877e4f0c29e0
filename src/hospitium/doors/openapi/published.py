"""What is served of the document: itself, and the page; each made once, when it is first asked for."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hospitium.doors.openapi import page
from hospitium.doors.openapi.document import document

if TYPE_CHECKING:
    from hospitium.doors.routing import Surface


class Edition(NamedTuple):
    """Some bytes that are the same until the server starts anew, and the name of this version (RFC 9110, ETag)."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Edition:
        """Return the bytes with a name that other bytes don't have."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def is_had_by(self, if_none_match: str | None) -> bool:
        """Whether an If-None-Match header says that the asker has this version."""
        if if_none_match is None:
            return False
        had = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return self.etag in had or "*" in had


class Published:
    """The document of some surfaces; `public_url` is where people reach this server, if it was told."""

    def __init__(self, surfaces: tuple[Surface, ...], version: str, public_url: str | None) -> None:
        self._surfaces = surfaces
        self._version = version
        self._public_url = public_url

    @cached_property
    def described(self) -> dict[str, Any]:
        """The document as a value."""
        return document(self._surfaces, self._version, self._public_url)

    @cached_property
    def document(self) -> Edition:
        """The document as JSON."""
        return Edition.of(msgspec.json.encode(self.described))

    @cached_property
    def page(self) -> Edition:
        """The document as a page to read: HTML that loads nothing."""
        return Edition.of(page.rendered(self.described).encode())

    @cached_property
    def policy(self) -> str:
        """What the page may do (Content-Security-Policy): nothing but look as its own style says, which is named by its hash."""
        style = b64encode(hashlib.sha256(page.STYLE.encode()).digest()).decode()
        return (
            f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
