"""fhirsnake, a FHIR server that nobody here wrote (PyPI), as a process of its own with packages of its own (requirements/fhirsnake.txt).

It serves the files it is given, and leaves all that a search asks for out of account but `_id`: no `patient=`, no `_count`, no pages.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

PINS = Path(__file__).parents[2] / "requirements" / "fhirsnake.txt"
LONGEST_START = 20.0  # seconds


def install(directory: Path) -> None:
    """Put its packages into a directory, or skip the test and say why."""
    command = [
        "install",
        "--quiet",
        "--target",
        str(directory),
        "--python",
        sys.executable,
        "--require-hashes",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", *command, "-r", str(PINS)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("fhirsnake can't be installed here (no package index in reach?): NOT TESTED")


def keep(directory: Path, resources: Iterable[dict[str, Any]]) -> None:
    """Write resources down as it reads them."""
    for resource in resources:
        folder = directory / "resources" / resource["resourceType"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{resource['id']}.json").write_text(json.dumps(resource))


@asynccontextmanager
async def serving(packages: Path, directory: Path) -> AsyncIterator[str]:
    """Serve what is kept in a directory; yield the base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(packages / "fhirsnake"), "--port", str(port), "--log-level", "critical",
        cwd=directory, env={**os.environ, "PYTHONPATH": str(packages)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST_START):
            while not _is_there(process.pid, port):
                assert process.returncode is None, "fhirsnake didn't start"
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _is_there(pid: int, port: int) -> bool:
    """Whether it listens: somebody else might, who got the port in between."""
    with suppress(psutil.NoSuchProcess):
        there = psutil.Process(pid).net_connections("tcp")
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in there)
    return False
