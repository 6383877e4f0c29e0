"""A record of 200 MB that is read page by page takes the room of a page: a process of its own reads it, and says how large it is."""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import parse_qsl, urlsplit

from fakes import evil_fhir as evil
from fakes.evil_fhir import Caller, EvilFhir

PAGE = 1024 * 1024  # bytes
ON_A_PAGE = 50
PAGES = 200
MOST_GROWN = 40  # MB beyond what the first pages took
READER = """
import asyncio, resource, sys
from datetime import UTC, datetime
from uuid import UUID
from hospitium.outside.fhir import RemoteFhir, RemoteServer
from hospitium.outside.http import Egress

async def read():
    remote, server = RemoteFhir(Egress(), lambda: datetime.now(UTC)), RemoteServer(UUID(int=7), sys.argv[1], True, None, None)
    found = await remote.search(server, "Observation", [("patient", "ada"), ("_count", "50")])
    number = len(found.resources)
    while found.next:
        found = await remote.follow(server, found.next)
        number += len(found.resources)
        print(number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)

asyncio.run(read())
"""


def record(pages: int) -> evil.Behaviour:
    """So many pages of a megabyte, made as they are asked for."""

    async def behave(caller: Caller) -> None:
        asked = dict(parse_qsl(urlsplit(caller.heard.target).query))
        number = int(asked.get("page", 1))
        note = "x" * (PAGE // ON_A_PAGE - 300)
        entries = [
            evil.entry(
                {
                    "resourceType": "Observation",
                    "id": f"o-{number}-{index}",
                    "subject": {"reference": "Patient/ada"},
                    "valueQuantity": {"value": 1.5},
                    "note": [{"text": f"{note}{number}"}],
                }
            )
            for index in range(ON_A_PAGE)
        ]
        way = {"relation": "next", "url": f"{caller.server.base}/Observation?page={number + 1}&_count=50"}
        await evil.resource(evil.page(*entries, link=[way] if number < pages else []))(caller)

    return behave


async def test_a_large_record_takes_the_room_of_a_page(rounds: int) -> None:
    pages = min(rounds, PAGES)
    async with EvilFhir.open(record(pages)) as server:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READER, server.base, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await reader.communicate()
        sent = server.sent
    lines = [[int(word) for word in line.split()] for line in said.decode().splitlines()]
    assert reader.returncode == 0
    assert len(lines) == pages - 1
    assert lines[-1][0] == pages * ON_A_PAGE
    assert sent > pages * PAGE * 0.95
    grown = lines[-1][1] - lines[3][1]
    print(json.dumps({"pages": pages, "MB sent": sent >> 20, "MB at first": lines[3][1], "MB grown": grown}))
    assert grown < min(MOST_GROWN, pages // 2)
