"""The HTTP server in this process: it answers until it is asked to stop, and then stops in order.

Asked once, it says so (`/health/ready`), goes on accepting for as long as balancers need to see it, finishes what is in
flight, and returns. Asked again, it breaks off what is in flight, and returns at once. Either way whoever called it puts
away what it opened: no signal ends the process before that.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from hospitium.bounded import BoundedProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator

FINISHING = 20  # seconds for what is in flight
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger("hospitium.serving")


def configuration(app: Any, **more: Any) -> uvicorn.Config:
    """Return how every server of ours is set up; `more` is uvicorn's own words, for tests."""
    chosen: dict[str, Any] = {
        "http": BoundedProtocol,
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # doors/client_address.py reads them, from whom we were told to believe
        "timeout_graceful_shutdown": FINISHING,
    }
    return uvicorn.Config(app, **{**chosen, **more})


class StoppingInOrder(uvicorn.Server):
    """A server that signals stop in order. `stopping` is set when it is asked; `drain` is how many seconds it goes on then."""

    def __init__(
        self, app: Any, stopping: asyncio.Event, *, drain: float, announce: Callable[[], None]
    ) -> None:
        super().__init__(configuration(app))
        self._stopping, self._drain, self._announce = stopping, drain, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals from now on, also when it has stopped: nothing may end the process before all is put away."""
        events = asyncio.get_running_loop()
        for stop in _SIGNALS:
            events.add_signal_handler(stop, self._asked_to_stop)
        yield

    def _asked_to_stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            _log.info("stopping", drain=self._drain, in_flight=len(self.server_state.tasks))
            if self._drain:
                asyncio.get_running_loop().call_later(self._drain, setattr, self, "should_exit", True)
            else:
                self.should_exit = True
            return
        self.should_exit = self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Beside(uvicorn.Server):
    """A server that leaves signals to the other one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_beside(app: Any, listener: socket.socket | None) -> AsyncIterator[None]:
    """Serve a second application at a listener of its own, while the block runs; without a listener, nothing."""
    if listener is None:
        yield
        return
    server = _Beside(configuration(app, timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task
