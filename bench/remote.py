"""A FHIR server for benchmarks, which costs next to nothing and takes as long as it is told. Run as a process of its own.

It has of each patient what it is asked for: himself, one observation by its id, a page of twenty, or a record in pages of a megabyte.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

ON_A_PAGE = 20
LARGE, ON_A_LARGE_PAGE, LARGE_PAGE = "large", 50, 1024 * 1024  # bytes
BASE = "/fhir"


def observation(patient: str, id_: str, note: str = "") -> dict[str, Any]:
    """Return an observation as servers have them."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": "2024-05-01T10:00:00Z"},
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}], "text": "Heart rate"},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/e-{patient}"},
        "effectiveDateTime": "2024-05-01T09:58:00Z",
        "issued": "2024-05-01T10:00:00Z",
        "valueQuantity": {"value": 61.5, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        **({"note": [{"text": note}]} if note else {}),
    }  # fmt: skip


@cache
def _one(id_: str) -> bytes:
    return json.dumps(observation(id_.partition(".")[0], id_)).encode()


@cache
def _page(patient: str) -> bytes:
    return _bundle([observation(patient, f"{patient}.{n}") for n in range(ON_A_PAGE)], [])


def _large_page(number: int, last: int, host: str) -> bytes:
    note = "x" * (LARGE_PAGE // ON_A_LARGE_PAGE - 1_000)
    link = [{"relation": "next", "url": f"http://{host}{BASE}/Observation?page={number + 1}&last={last}"}]
    found = [observation(LARGE, f"{LARGE}.{number}.{n}", note) for n in range(ON_A_LARGE_PAGE)]
    return _bundle(found, link if number < last else [])


def _bundle(resources: list[dict[str, Any]], link: list[dict[str, str]]) -> bytes:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entries}
    ).encode()


class Fhir(asyncio.Protocol):
    """Answers each request after a pause; `pages`: of the large record."""

    def __init__(self, pause: float, pages: int) -> None:
        self._pause = pause
        self._pages = pages
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):  # only GETs come here, one at a time
            head, self._received = self._received.decode("latin-1"), bytearray()
            asyncio.get_running_loop().call_later(self._pause, self._answer, head)

    def _answer(self, head: str) -> None:
        host = next(line for line in head.split("\r\n") if line.lower().startswith("host:"))
        body = self._found(head.split(" ", 2)[1], host.partition(":")[2].strip())
        kept = "close" if "connection: close" in head.lower() else "keep-alive"
        self._transport.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\nConnection: {kept}\r\n\r\n".encode()
            + body
        )
        if kept == "close":
            self._transport.close()

    def _found(self, target: str, host: str) -> bytes:
        address = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        id_ = address.path.removeprefix(f"{BASE}/").partition("/")[2]
        if id_:
            return _one(id_)
        if "page" in asked:
            return _large_page(int(asked["page"]), int(asked["last"]), host)
        patient = asked["patient"].rpartition("/")[2]
        return _large_page(1, self._pages, host) if patient == LARGE else _page(patient)


async def _serve(pause: float, pages: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(lambda: Fhir(pause, pages), sock=listener)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(float(sys.argv[1]), int(sys.argv[2])))
