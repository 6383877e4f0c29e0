"""From nothing running to the first answer, and the memory of a server that waits."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time

import psutil

from bench.figures import Sheet, median, size
from bench.ground import ground
from bench.load import first_answer

LONGEST_START = 5.0  # seconds
LARGEST_MEMORY = 150.0  # MB
A_MOMENT = 2.0  # seconds, after which a server that isn't asked anything is idle


async def run() -> Sheet:
    """Start the server on an existing data directory whose database is stopped, several times."""
    starts, memory, database_memory = [], [], []
    async with ground() as here:
        await asyncio.to_thread(here.embedded.stop)
        for _ in range(size("STARTS", 7)):
            port = _free_port()
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hospitium", "serve", "--port", str(port),
                env={"PATH": os.environ["PATH"], **here.environment},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                starts.append(await first_answer(port) - began)
                await asyncio.sleep(A_MOMENT)
                memory.append(psutil.Process(process.pid).memory_info().rss / 1e6)
                database_memory.append(_own_memory(here.embedded.postmaster()) / 1e6)
            finally:
                process.terminate()
                await process.wait()
            if here.embedded.postmaster() is not None:
                raise RuntimeError(
                    "the server left its database running, so the next start would not be cold"
                )
    sheet = Sheet("cold_start")
    sheet.ratio(median(starts) / LONGEST_START, "time to the first answer / 5 s", at_most=1)
    sheet.ratio(median(memory) / LARGEST_MEMORY, "idle memory of the server process / 150 MB", at_most=1)
    sheet.number("seconds to the first answer, each start", "  ".join(f"{one:.2f}" for one in starts))
    sheet.number("resident memory of the server process, MB, median", f"{median(memory):.0f}")
    sheet.number(
        "memory of its PostgreSQL beside what it shares, MB, median", f"{median(database_memory):.0f}"
    )
    sheet.made(
        "`hospitium serve` on a migrated, empty data directory, until /health/ready answers (files in the system's cache); "
        f"memory {A_MOMENT:g} s later"
    )
    return sheet


def _own_memory(postmaster: int) -> int:
    main = psutil.Process(postmaster)
    return sum(process.memory_full_info().uss for process in (main, *main.children()))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
