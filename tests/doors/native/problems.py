"""The form of a refusal on our own API: a problem of RFC 9457."""

from __future__ import annotations

from typing import Any

import httpx


def problem(response: httpx.Response, status: int, kind: str) -> Any:
    """Return the problem; insist on its form, its status and its kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body.keys() >= {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == (f"urn:hospitium:problem:{kind}", status)
    assert body["detail"]
    assert body["title"]
    return body
