"""What of a page of a search is taken: the matches that were asked for, and a way on that stays on the server (threats F-13, F-17, F-31).

    link.next ─▶ same origin, below the base, a search like ours ─▶ path and query, kept with the type that was asked for

Nothing else of a page counts: not its total, not what was included, not what the server has to say about it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from hospitium.outside.http import Blocked, checked_url

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ON_A_PAGE = 1_000  # resources, where nobody said how many
SLACK = 20  # entries of a page beyond what was asked for: what a server has to say comes as entries, too
LONGEST_WAY = 4_000  # characters of a link to the next page that are kept

_RESOURCE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9.-]{1,64}")  # of FHIR, but for what a path takes for a step up
_LONGEST_VERSION = 100  # characters: a version, and a port that needs no saying
_VERSION = re.compile(r"/_history/[A-Za-z0-9.-]{1,64}")
# `?_getpages=…` as HAPI has it, `/Observation?page=…`, `/Observation/_search?…`, `/_page?…`: a search, never a resource or an operation.
WAY = re.compile(
    r"(?:/(?:(?P<type>[A-Z][A-Za-z]{1,63})(?:/_search)?|_[a-z]{1,32})?)?/?"
    r"\?(?:[A-Za-z0-9\-._~!$&'()*+,;:@/?=]|%[0-9A-Fa-f]{2})+"
)


class NotAPage(Exception):
    """A Bundle is no page of a search: `problem` is a word of ours."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Found(msgspec.Struct, frozen=True):
    """What a page of a search holds. `next`: what `RemoteFhir.follow` takes; None on the last page.

    `left_out`: how many of its entries were not what was asked for. `is_cut`: it says that there is more, where one doesn't go. `size`: its bytes.
    """

    resources: list[dict[str, Any]]
    next: str | None
    left_out: int = 0
    is_cut: bool = False
    size: int = 0


def page(
    bundle: Mapping[str, Any], *, base: str, allow_private: bool, type_: str, most: int, at: str
) -> Found:
    """Return what a page holds of what was asked for. Raises NotAPage.

    `base` is that of the server, in its one spelling. `most`: how many resources may be on it. `at`: the way that led here.
    """
    entries, links = bundle.get("entry", []), bundle.get("link", [])
    if bundle.get("type") != "searchset" or not isinstance(entries, list) or not isinstance(links, list):
        raise NotAPage("bundle")
    if len(entries) > most + SLACK:
        raise NotAPage("entries")
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        resource = _match(entry, type_)
        if resource is not None and _is_from(entry, resource, base, allow_private=allow_private):
            found.setdefault(resource["id"], resource)
    ways = [one.get("url") for one in links if isinstance(one, dict) and one.get("relation") == "next"]
    onward = way(ways[0], base, type_, allow_private=allow_private) if len(ways) == 1 else None
    if onward == at:  # round and round
        onward = None
    return Found(list(found.values()), onward, len(entries) - len(found), bool(ways) and onward is None)


def way(url: Any, base: str, type_: str, *, allow_private: bool) -> str | None:
    """Return the way to a next page of resources of this type, as it is kept; None if one doesn't go there."""
    if not isinstance(url, str) or len(url) > LONGEST_WAY:
        return None
    try:
        leads, root = (checked_url(one, allow_private=allow_private) for one in (url, base))
    except Blocked:
        return None
    # The whole origin, and whole parts of the path: `https://fhir.example.evil` begins like `https://fhir.example`, too.
    if (leads.scheme, leads.authority) != (root.scheme, root.authority):
        return None
    below = leads.path.removeprefix(root.path)
    if not leads.path.startswith(root.path) or (not below.startswith("/") and below):
        return None
    rest = f"{below}?{leads.query or ''}"
    form = WAY.fullmatch(rest)
    return f"{type_} {rest}" if form is not None and form["type"] in (None, type_) else None


def most_on(query: str) -> int:
    """Return how many resources may be on the page that is asked for."""
    counts = [value for name, value in parse_qsl(query) if name == "_count"]
    asked = int(counts[-1]) if counts and re.fullmatch("[0-9]{1,4}", counts[-1]) else MOST_ON_A_PAGE
    return min(asked, MOST_ON_A_PAGE)


def _match(entry: Any, type_: str) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    search, resource = entry.get("search", {}), entry.get("resource")
    is_match = isinstance(search, dict) and search.get("mode", "match") == "match"
    if not is_match or not isinstance(resource, dict) or resource.get("resourceType") != type_:
        return None
    resource_id = resource.get("id")
    is_named = isinstance(resource_id, str) and _RESOURCE_ID.fullmatch(resource_id) is not None
    return resource if is_named else None


def _is_from(
    entry: Mapping[str, Any], resource: Mapping[str, Any], base: str, *, allow_private: bool
) -> bool:
    """Whether an entry says of its resource that it is the one of this name on this server, or doesn't say."""
    url, name = entry.get("fullUrl"), f"{resource['resourceType']}/{resource['id']}"
    if url is None or url in (name, f"{base}/{name}", f"urn:uuid:{resource['id']}"):
        return True
    if not isinstance(url, str) or len(url) > len(base) + len(name) + _LONGEST_VERSION:
        return False
    try:
        said = str(checked_url(url, allow_private=allow_private))
    except Blocked:
        return False
    version = said.removeprefix(f"{base}/{name}")
    return said.startswith(f"{base}/{name}") and (not version or _VERSION.fullmatch(version) is not None)
