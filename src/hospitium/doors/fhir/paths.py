"""What an address asks, read from its raw bytes: nothing that a client, a proxy or a framework made of them decides (threats F-01, F-11).

`/fhir/{server}/…`, or `/fhir/…` with the FHIR server named by the header `FhirServerId-Context`. Only these are addresses:

    GET, HEAD    metadata  .well-known/smart-configuration  {Type}/{id}  {Type}  Patient/{id}/$everything
    POST         {Type}/_search  Patient/{id}/$everything
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from hospitium.engine.errors import Invalid, NotFound

PREFIX = b"/fhir"
_SERVER = rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{24}"
_TYPE = rb"[A-Z][A-Za-z]{1,63}"
_ID = rb"(?!\.+(?:/|$))[A-Za-z0-9.-]{1,64}"
_ADDRESS = re.compile(rb"/fhir(?:/(?P<server>%b))?/(?P<rest>[^/].*)" % _SERVER, re.DOTALL)
_REST = (
    re.compile(rb"(?P<metadata>metadata)"),
    re.compile(rb"(?P<configuration>\.well-known/smart-configuration)"),
    re.compile(rb"(?P<type>Patient)/(?P<everything>%b)/\$everything" % _ID),
    re.compile(rb"(?P<type>%b)/(?P<search>_search)" % _TYPE),
    re.compile(rb"(?P<type>%b)/(?P<id>%b)" % (_TYPE, _ID)),
    re.compile(rb"(?P<type>%b)" % _TYPE),
)


class Interaction(StrEnum):
    """What is asked, in FHIR's words."""

    CAPABILITIES = "capabilities"
    CONFIGURATION = "smart-configuration"
    READ = "read"
    SEARCH = "search-type"
    EVERYTHING = "everything"


class WrongMethod(Exception):
    """There is such an address, and it takes other methods."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


class Address(NamedTuple):
    """What is asked of which FHIR server (None: the header says it)."""

    interaction: Interaction
    server: str | None
    type: str = ""
    id: str = ""
    by_post: bool = False  # its parameters are the body


_READING = ("GET", "HEAD")


def address(method: str, raw_path: bytes) -> Address:
    """Return what a request asks. Raises Invalid (no address looks like that), NotFound, WrongMethod."""
    found = _ADDRESS.fullmatch(raw_path)
    if found is None:
        raise (
            NotFound("address") if _is_plain(raw_path) else Invalid("address", "is not one of a FHIR server")
        )
    server = None if found["server"] is None else found["server"].decode("ascii")
    for form in _REST:
        said = form.fullmatch(found["rest"])
        if said is not None:
            return _of(
                method,
                server,
                {name: value.decode("ascii") for name, value in said.groupdict().items() if value},
            )
    raise Invalid("address", "must be metadata, Type/id, Type, Type/_search or Patient/id/$everything")


def _of(method: str, server: str | None, said: dict[str, str]) -> Address:
    type_ = said.get("type", "")
    if "search" in said:
        if method != "POST":
            raise WrongMethod("POST")
        return Address(Interaction.SEARCH, server, type_, by_post=True)
    if "everything" in said:
        if method not in (*_READING, "POST"):
            raise WrongMethod(", ".join((*_READING, "POST")))
        return Address(Interaction.EVERYTHING, server, type_, said["everything"], by_post=method == "POST")
    if method not in _READING:
        raise WrongMethod(", ".join(_READING))
    if "metadata" in said:
        return Address(Interaction.CAPABILITIES, server)
    if "configuration" in said:
        return Address(Interaction.CONFIGURATION, server)
    if "id" in said:
        return Address(Interaction.READ, server, type_, said["id"])
    return Address(Interaction.SEARCH, server, type_)


def _is_plain(raw_path: bytes) -> bool:
    return re.fullmatch(rb"/fhir(?:/[A-Za-z0-9._$-]*)*", raw_path) is not None
