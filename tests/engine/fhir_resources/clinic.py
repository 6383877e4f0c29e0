"""A built-in FHIR server on the ground, and what tests load into it and ask of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.engine.fhir_resources import actions, queries
from hospitium.engine.fhir_resources.checking import Prepared, prepare
from hospitium.engine.fhir_resources.reading import Given, resources_in
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.fhir_resources.search import Search, parse_search
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind

if TYPE_CHECKING:
    from uuid import UUID

    from engine.ground import Ground
    from hospitium.engine.fhir_resources.actions import Loaded

Json = dict[str, Any]


def prepared(files: dict[str, bytes]) -> list[Prepared]:
    """Prepare all that some files hold, together."""

    def given() -> list[Given]:
        return [one for name, text in files.items() for one in resources_in(name, text)]

    return list(prepare(given(), together(given())))


def ndjson(resources: list[Json]) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in resources) + b"\n"


def bundle(*resources: Json, kind: str = "transaction", **more: Any) -> bytes:
    """Return a Bundle of resources, each at the address `urn:uuid:` and its id."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{one['id']}",
            "resource": one,
            "request": {"method": "POST", "url": one["resourceType"]},
        }
        for one in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **more}).encode()


class Clinic:
    """One built-in FHIR server."""

    def __init__(self, ground: Ground, server_id: UUID) -> None:
        self.ground = ground
        self.id = server_id

    @classmethod
    async def open(cls, ground: Ground, name: str = "Main", organization: str = "northside") -> Clinic:
        form = ServerForm(name, ServerKind.BUILT_IN)
        made = await ground.does("operator", servers.create, ground.organizations[organization], form)
        return cls(ground, made.id)

    async def loads(self, *resources: Json) -> Loaded:
        """Load resources as one NDJSON file."""
        return await self.loads_files({"a.ndjson": ndjson([*resources])})

    async def loads_files(self, files: dict[str, bytes], who: str = "operator") -> Loaded:
        found: Loaded = await self.ground.does(who, actions.load, self.id, prepared(files))
        return found

    async def page(self, asked: Search, within: frozenset[str] | None = None) -> queries.Page:
        found: queries.Page = await self.ground.does("operator", queries.search, self.id, asked, within)
        return found

    async def finds(self, query: str, within: frozenset[str] | None = None) -> list[str]:
        """Return the ids that a search finds, on all its pages. `Observation?code=x` is written as one says it."""
        return await self.pages(searched(query), within)

    async def pages(self, asked: Search, within: frozenset[str] | None = None) -> list[str]:
        """Return the ids that a search finds, page by page, which are as many as are counted."""
        counted = await self.ground.does("operator", queries.count, self.id, asked, within)
        found: list[str] = []
        following = None
        while True:
            page = await self.page(msgspec.structs.replace(asked, after=following), within)
            assert len(page.resources) <= asked.count
            found += [one.id for one in page.resources]
            following = page.following
            if following is None:
                break
        assert counted == len(found), asked
        return found

    async def reads(self, type_: str, resource_id: str, within: frozenset[str] | None = None) -> Json:
        found = await self.ground.does("operator", queries.read, self.id, type_, resource_id, within)
        body: Json = json.loads(found.body)
        return body


def searched(query: str) -> Search:
    """Read a search as one writes it; nothing in it is encoded."""
    type_, _, parameters = query.partition("?")
    return parse_search(type_, [tuple(one.split("=", 1)) for one in parameters.split("&") if one])  # type: ignore[misc]
