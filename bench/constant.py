"""The yardstick of questions: the same framework and server, answering a constant at the same address. Run as a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
import uvloop
from litestar import Litestar, Response, post

ADDRESS = "/access/v1/evaluation"


@post(ADDRESS, status_code=200)
async def constant() -> Response[bytes]:
    """Say yes, whatever was asked."""
    return Response(b'{"decision":true}', media_type="application/json")


def main() -> None:
    """Serve at a free port, and print its address once it answers."""
    app = Litestar([constant], openapi_config=None, logging_config=None)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        loop="uvloop",
        http="httptools",
    )
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as `hospitium serve` does
        runner.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    sys.exit(main())
