"""Whether an answer is one that the document has: its status, its headers, its type, and a body with no member too few or too many."""

from __future__ import annotations

import copy
import re
from typing import Any, NamedTuple

import httpx
import jsonschema_rs

from hospitium.engine.organizations.record import RESERVED_CODES

# What any address may answer besides: nothing promises an error of ours, and no address is there for every method.
UNPROMISED = {500}
NO_OPERATION = {204, 404, 405}  # 204: OPTIONS
MISDIRECTED = 421  # before any door hears of it


class Operation(NamedTuple):
    """One operation of the document, and the addresses it is at."""

    method: str
    path: str
    pattern: re.Pattern[str]
    responses: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Documented:
    """A document, asked of answers. `seen` gathers which operations gave which statuses."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: dict[str, set[int]] = {}
        self._components = closed(document["components"])
        self._validators: dict[int, jsonschema_rs.Validator] = {}
        self._operations = sorted(
            (
                Operation(method.upper(), path, _pattern(path), operation["responses"])
                for path, methods in document["paths"].items()
                for method, operation in methods.items()
            ),
            key=lambda operation: operation.path.count(
                "{"
            ),  # what is spelled out goes before what is filled in
        )

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation that an address is of, None if there is none for this method."""
        path = path.rstrip("/")  # which the framework doesn't look at
        found = [one for one in self._operations if one.pattern.fullmatch(path)]
        literal = [one for one in found if one.path.count("{") == found[0].path.count("{")]
        return next((one for one in literal if one.method == method), None)

    async def insist(self, response: httpx.Response) -> None:
        """Fail if the document doesn't have this answer: a hook for httpx."""
        await response.aread()
        self.check(response)

    def check(self, response: httpx.Response) -> None:
        """Fail if the document doesn't have this answer."""
        request, status = response.request, response.status_code
        if status in UNPROMISED or status == MISDIRECTED:
            return
        if request.url.path.startswith("/fhir/"):
            return  # told by a CapabilityStatement, as FHIR has it
        operation = self.operation(request.method, request.url.path)
        if operation is None:
            assert status in NO_OPERATION, f"{request.method} {request.url.path} is in no table: {status}"
            return
        self.seen.setdefault(str(operation), set()).add(status)
        assert str(status) in operation.responses, f"{operation} answered {status}: not documented"
        described = self._whole(operation.responses[str(status)])
        for name, header in described.get("headers", {}).items():
            assert name in response.headers, f"{operation} answered {status} without {name}"
            value: Any = response.headers[name]
            schema = self._whole(header)["schema"]
            if schema["type"] == "integer":
                value = int(value)
            assert jsonschema_rs.is_valid(schema, value), f"{operation} {status}: {name} is {value!r}"
        self._check_body(f"{operation} {status}", described.get("content", {}), response)

    def _check_body(self, what: str, content: dict[str, Any], response: httpx.Response) -> None:
        if not content:
            assert response.content == b"", f"{what} has a body that isn't documented"
            return
        kind = response.headers["content-type"].removesuffix("; charset=utf-8")
        assert kind in content, f"{what} is {kind}, documented as {', '.join(content)}"
        if "json" not in kind:
            return
        schema = content[kind]["schema"]
        if id(schema) not in self._validators:
            self._validators[id(schema)] = jsonschema_rs.validator_for(
                {**closed(schema), "components": self._components}, validate_formats=True
            )
        problems = [
            f"{'.'.join(map(str, error.instance_path))}: {error.message}"
            for error in self._validators[id(schema)].iter_errors(response.json())
        ]
        assert not problems, f"{what} doesn't fit: {problems}"

    def _whole(self, place: dict[str, Any]) -> dict[str, Any]:
        found: Any = place
        while "$ref" in found:
            keys = found["$ref"].removeprefix("#/").split("/")
            found = self.document
            for key in keys:
                found = found[key]
        return found


def closed(node: Any) -> Any:
    """Return schemas in which an object has only the members that are named: a document may leave room, a test doesn't."""
    node = copy.deepcopy(node)
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("type") == "object" and "properties" in one:
                one.setdefault("additionalProperties", False)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return node


def _pattern(path: str) -> re.Pattern[str]:
    pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", path))
    # An organization's surface is at its code, and no organization has a code where another surface is.
    elsewhere = "|".join(re.escape(code) for code in RESERVED_CODES)
    return re.compile(f"(?!/(?:{elsewhere})/){pattern}" if path.startswith("/{org}/") else pattern)
