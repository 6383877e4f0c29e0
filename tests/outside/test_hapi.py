"""HAPI FHIR, which nobody here wrote, read through ours: its pages are forgotten, its deleted are gone, its numbers are kept.

Its library and its server come from Maven Central; where Maven or Java isn't there, this is skipped, and says so.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from hospitium.doors.cli.synthetic import patients
from hospitium.engine.errors import NotFound
from hospitium.outside.fhir import RemoteFhir, RemoteServer
from hospitium.outside.fhir_departures import Departure
from hospitium.outside.http import Egress

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]  # seventy packages, and a start of ten seconds
HAPI = Path(__file__).parents[1] / "fakes" / "hapi"
ENCODER = msgspec.json.Encoder(decimal_format="number")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("there is no Maven or no Java here: HAPI FHIR is NOT TESTED")
    directory = tmp_path_factory.mktemp("hapi")
    copy = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(HAPI / "pom.xml"),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={directory}",
    ]
    if subprocess.run([*copy, "-DincludeScope=runtime"], capture_output=True, check=False).returncode:
        pytest.skip("Maven can't fetch HAPI FHIR here: NOT TESTED")
    return directory


@pytest.fixture
def kept() -> list[dict[str, Any]]:
    charts = [bundle for bundle in patients(4) if "urn:uuid:" not in json.dumps(bundle)]
    resources = [entry["resource"] for chart in charts for entry in chart["entry"]]
    return [one for one in resources if one["resourceType"] in ("Patient", "Observation")]


@pytest.fixture
async def base(packages: Path, kept: list[dict[str, Any]], tmp_path: Path) -> AsyncIterator[str]:
    data = tmp_path / "kept.ndjson"
    data.write_text("".join(json.dumps(one) + "\n" for one in kept))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-cp", f"{packages}/*", str(HAPI / "Hapi.java"), str(port), str(data), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        "java", *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(120):
            while True:
                assert process.returncode is None, "HAPI didn't start"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.2)
                else:
                    writer.close()
                    break
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        await process.wait()


def as_kept(resource: Any) -> Any:
    """Return a resource as it was before HAPI said whose version of it this is."""
    read = json.loads(ENCODER.encode(resource))
    meta = {
        name: member
        for name, member in read.pop("meta", {}).items()
        if name not in ("versionId", "lastUpdated")
    }
    return {**read, **({"meta": meta} if meta else {})}


async def test_it_is_read_whole_page_by_page_and_nothing_is_made_up(
    base: str, kept: list[dict[str, Any]]
) -> None:
    egress = Egress()
    remote, server = (
        RemoteFhir(egress, lambda: datetime.now(UTC)),
        RemoteServer(UUID(int=7), base, True, None, None),
    )
    assert (await remote.test(server)).fhir_version == "4.0.1"
    of_type = {
        name: {one["id"]: one for one in kept if one["resourceType"] == name}
        for name in ("Patient", "Observation")
    }

    for one in kept[:40]:
        assert as_kept(await remote.read(server, one["resourceType"], one["id"])) == one
    assert await remote.read(server, "Patient", "nobody") is None

    found = await remote.search(server, "Observation", [("_count", "100")])
    first, read, pages = found.next, list(found.resources), 1
    while found.next:
        found = await remote.follow(server, found.next)
        assert (found.left_out, found.is_cut) == (0, False)
        read += found.resources
        pages += 1
    assert {one["id"]: as_kept(one) for one in read} == of_type["Observation"]
    assert pages == -(-len(read) // 100) > 2

    patient_id = next(iter(of_type["Patient"]))
    found = await remote.search(server, "Patient", [("_id", patient_id)])
    assert [one["id"] for one in found.resources] == [patient_id]
    # This store of HAPI's leaves `patient=` out of account, and doesn't say so: what comes back has to be looked at.
    found = await remote.search(server, "Observation", [("patient", patient_id), ("_count", "500")])
    assert len({one["subject"]["reference"] for one in found.resources}) > 1

    asked = urllib.request.Request(f"{base}/Patient/{patient_id}", method="DELETE")
    await asyncio.to_thread(lambda: urllib.request.urlopen(asked).close())
    assert await remote.read(server, "Patient", patient_id) is Departure.GONE

    assert first is not None
    for _ in range(20):  # it remembers ten searches
        await remote.search(server, "Observation", [("_count", "20")])
    with pytest.raises(NotFound):
        await remote.follow(server, first)
    await egress.close()
