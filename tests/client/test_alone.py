"""The guard needs nothing of the server, and nothing but httpx and msgspec; and what is imported is typed."""

from __future__ import annotations

import subprocess
import sys

import hospitium
import hospitium.client
from house.tree import SOURCE

# What httpx itself stands on.
WITH_HTTPX = {"httpx", "httpcore", "h11", "anyio", "sniffio", "certifi", "idna", "click", "rich", "pygments", "h2", "socksio", "brotli",
              "brotlicffi", "zstandard", "backports", "typing_extensions", "exceptiongroup"}  # fmt: skip
ASKS = """
import sys
before = set(sys.modules)
import hospitium.client.testing
print(*sorted(set(sys.modules) - before))
"""


def test_it_comes_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=True)
    come = done.stdout.split()
    ours = {name for name in come if name.split(".")[0] == "hospitium"}
    assert ours == {"hospitium", "hospitium.client"} | {
        f"hospitium.client.{path.stem}"
        for path in (SOURCE / "client").glob("*.py")
        if path.stem != "__init__"
    }
    others = {name.split(".")[0] for name in come} - set(sys.stdlib_module_names) - {"hospitium", "msgspec"}
    assert {name for name in others if not name.startswith("_")} <= WITH_HTTPX


def test_it_is_typed() -> None:
    assert (SOURCE / "py.typed").exists()


def test_everything_it_offers_is_there() -> None:
    assert all(hasattr(hospitium.client, name) for name in hospitium.client.__all__)
    assert hospitium.client.__all__ == sorted(hospitium.client.__all__)
