"""What is refused is refused before anybody is asked, in FHIR's words (threats F-01, F-05 to F-11, F-15)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import pytest

from clinic import JANE
from doors.fhir.ward import JANES, Upstream, Ward, remote
from engine.fhir_gateway.test_queries import _refused, read
from fakes.evil_fhir import EvilFhir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House

REFUSED = [query for query, _, _ in _refused()]
FORM = "application/x-www-form-urlencoded"
# Below the FHIR server: {S}. What no parser may make another address of.
PATHS = {
    400: (
        "Patient/..", "Patient/.", "Patient/...", "Patient/A/../B", "Patient/%2e%2e", "Patient/%252e", "Patient/..;/", "Patient/a%2fb",
        "Patient/a%5cb", "Patient/a\\b", "/Patient/a", "Patient//a", "Patient/a%00", "Patient/A%3f_x", "Patient/%EF%BC%8F",
        "Patient/" + "a" * 65, "Patient/a%20", "patient/a", "Patient/a/_history", "Patient/a/_history/1", "_history", "Patient/$everything",
        "Observation/a/$everything", "Patient/$export", "Patient/a/$meta", "$graphql", "Observation/$lastn", "Patient/$match", "Patient/a/b",
        "Binary/a/b", "%50atient/a", "Patient/a%", "Patient/;a", "metadata/", "Patient/", "Patient/a/",
    ),
    405: ("Observation/_search",),
}  # fmt: skip


@pytest.fixture
async def far(house: House) -> AsyncIterator[Ward]:
    async with EvilFhir.open(Upstream(JANES)) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.heard.clear()
        yield ward


async def raw(
    ward: Ward, method: str, target: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a request byte for byte; return its status, headers and body."""
    port = int(ward.house.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = {
        "Host": f"127.0.0.1:{port}",
        "Connection": "close",
        "Content-Length": str(len(body)),
        **ward.jan.headers,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
    await writer.drain()
    got = await reader.read()
    writer.close()
    before, _, after = got.partition(b"\r\n\r\n")
    lines = before.decode("latin-1").split("\r\n")
    told = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), told, after


def must_be_an_outcome(status: int, headers: dict[str, str], body: bytes, expected: int) -> Any:
    assert (status, headers["content-type"]) == (expected, "application/fhir+json"), body
    told = msgspec.json.decode(body)
    assert told["resourceType"] == "OperationOutcome"
    return told


async def test_every_query_of_the_table_is_refused_by_each_method_and_nobody_is_asked(far: Ward) -> None:
    for query in REFUSED:
        type_, pairs = read(query)
        encoded = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in pairs)
        if not type_.isascii() or not type_.isalpha() or not type_[:1].isupper():
            continue  # no address at all: below
        target = f"/fhir/{far.server_id}/{type_}"
        got = await raw(far, "GET", f"{target}?{encoded}")
        posted = await raw(far, "POST", f"{target}/_search", encoded.encode(), Content_Type=FORM)
        asked = await raw(far, "HEAD", f"{target}?{encoded}")
        if got[0] != 404:  # by a NUL in the name, say, it isn't the same as text
            must_be_an_outcome(*got, expected=400)
        assert (posted[0], posted[2]) == (got[0], got[2]), query
        assert (asked[0], asked[2], asked[1]["content-length"]) == (got[0], b"", str(len(got[2]))), query
    assert far.targets == []


async def test_no_other_address_leads_anywhere(far: Ward) -> None:
    for status, path in [(status, path) for status, paths in PATHS.items() for path in paths]:
        answered = await raw(far, "GET", f"/fhir/{far.server_id}/{path}")
        if answered[0] != 404:
            must_be_an_outcome(*answered, expected=status)
    assert far.targets == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_nothing_is_written(far: Ward, method: str) -> None:
    for path in (f"Patient/{JANE}", "Patient", "metadata"):
        status, headers, body = await raw(far, method, f"/fhir/{far.server_id}/{path}", b"{}")
        must_be_an_outcome(status, headers, body, 405)
        assert headers["allow"] == "GET, HEAD"
    for name in ("X-HTTP-Method-Override", "X-Method-Override"):
        status, _, _ = await raw(far, "GET", f"/fhir/{far.server_id}/Patient/{JANE}", **{name: "DELETE"})
        assert status == 200
    assert all("Patient" in target for target in far.targets)


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "text/html", "application/<script>", "application/fhir+ndjson"]
)
async def test_only_json_is_served(far: Ward, accept: str) -> None:
    must_be_an_outcome(
        *await raw(far, "GET", f"/fhir/{far.server_id}/Patient/{JANE}", Accept=accept), expected=406
    )
    status, headers, body = await raw(
        far, "GET", f"/fhir/{far.server_id}/Patient/{JANE}?_format={quote(accept, '')}"
    )
    must_be_an_outcome(status, headers, body, 400)
    assert headers["x-content-type-options"] == "nosniff"
    assert far.targets == []


async def test_who_is_nobody_or_may_nothing_reaches_nobody(house: House, far: Ward) -> None:
    path = f"/fhir/{far.server_id}/Patient/{JANE}"
    nobody = await house.stranger.get(path)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    unknown = await far.jan.get(path.replace(str(far.server_id), "00000000-0000-4000-8000-000000000000"))
    for who in (house.mia, house.rui, house.zoe):
        answered = await who.get(path)
        assert (answered.status_code, answered.content) == (404, unknown.content)
    assert far.targets == []


async def test_what_the_caller_sends_goes_no_further(far: Ward) -> None:
    """F-16: of his headers, nothing."""
    sent = {
        "Cookie": "a=b",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_For": "10.0.0.1",
        "Prefer": "respond-async",
    }
    status, _, _ = await raw(far, "GET", f"/fhir/{far.server_id}/Patient/{JANE}", **sent)
    assert status == 200
    assert far.evil is not None
    (heard,) = far.evil.heard
    assert {name.lower() for name, _ in heard.headers} <= {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "connection",
    }


async def test_the_header_may_say_which_fhir_server(far: Ward) -> None:
    named = {"FhirServerId_Context": str(far.server_id)}
    assert (await raw(far, "GET", f"/fhir/Patient/{JANE}", **named))[0] == 200
    must_be_an_outcome(*await raw(far, "GET", f"/fhir/Patient/{JANE}"), expected=400)
    other = {"FhirServerId_Context": "00000000-0000-4000-8000-000000000000"}
    must_be_an_outcome(*await raw(far, "GET", f"/fhir/{far.server_id}/Patient/{JANE}", **other), expected=400)
    must_be_an_outcome(*await raw(far, "GET", f"/fhir/Patient/{JANE}", **other), expected=404)
    must_be_an_outcome(
        *await raw(far, "GET", f"/fhir/Patient/{JANE}", FhirServerId_Context="x"), expected=400
    )
