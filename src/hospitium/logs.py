"""Structured logs: one JSON object a line, on standard error. They name the route template, never a path, a query, a body
or a secret; of an exception they name the type and the places in our code, never its message, which may hold values."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def configure(level: str) -> None:
    """Send the logs of this process to standard error from a level on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_messages,
            _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # Libraries may put values into what they log: only that something is wrong with them passes, without what.
    logging.basicConfig(handlers=[_TypesOnly()], level=logging.ERROR, force=True)


class _TypesOnly(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger("hospitium.library").error("a library reports an error", library=record.name)


def _without_messages(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    problem = event.pop("exc_info", None)
    if problem is True:
        problem = sys.exc_info()[1]
    if isinstance(problem, BaseException):
        event["problem"] = type(problem).__name__
        event["at"] = [
            f"{frame.filename.rpartition('hospitium/')[2]}:{frame.lineno}"
            for frame in traceback.extract_tb(problem.__traceback__)
        ][-8:]
    return event


def _to_json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(event, enc_hook=str)
    except UnicodeEncodeError:  # half a character is in no encoding; what was to be said is said all the same
        return json.dumps(event, default=str).encode()
