"""`python -m bench` runs every benchmark, `python -m bench NAME …` those named."""

from __future__ import annotations

import asyncio
import sys
import time

from bench import (
    check,
    cold_start,
    connect,
    fhir,
    gateway,
    invites,
    pages,
    questions,
    search,
    shares,
    shares_pages,
    teams,
)

BENCHMARKS = {
    "connect": connect.run,
    "search": search.run,
    "pages": pages.run,
    "check": check.run,
    "questions": questions.run,
    "shares": shares.run,
    "shares_pages": shares_pages.run,
    "teams": teams.run,
    "resources": fhir.resources,
    "identifiers": fhir.identifiers,
    "invites": invites.run,
    "bulk": invites.bulk,
    "gateway": gateway.run,
    "cold_start": cold_start.run,
}


def main(names: list[str]) -> int:
    """Run benchmarks one after the other; 2 if there is none of a name."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(
            f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr
        )
        return 2
    for name in names or BENCHMARKS:
        began = time.monotonic()
        sheet = asyncio.run(BENCHMARKS[name]())
        print(sheet.text(time.monotonic() - began), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
