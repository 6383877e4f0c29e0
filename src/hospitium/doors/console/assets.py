"""What the pages load: style, script and mark, each under a name that changes with its content, so that it can be kept for ever."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.exceptions import NotFoundException

from hospitium.doors.answers import Answer, send
from hospitium.doors.openapi.published import Edition

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
EDITIONS: Mapping[str, Edition] = {
    path.name: Edition.of(path.read_bytes()) for path in sorted(_HERE.iterdir()) if path.suffix in _TYPES
}
_FOR_EVER = "public, max-age=31536000, immutable"


def address(name: str) -> str:
    """Return the path of an asset, with the hash of its content in it."""
    stem, _, kind = name.rpartition(".")
    return f"/assets/{stem}.{_hash(EDITIONS[name])}.{kind}"


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read an asset. Under the name it has now it may be kept for ever; under an older one it is the newest, and not kept."""
    stem, _, rest = str(request.path_params["name"]).partition(".")
    hashed, _, kind = rest.rpartition(".")
    # A page that was opened before an upgrade asks by the name it knows, and gets what is there.
    edition = EDITIONS.get(f"{stem}.{kind}")
    if edition is None:
        raise NotFoundException
    headers = {
        "Cache-Control": _FOR_EVER if hashed == _hash(edition) else "no-cache",
        "ETag": edition.etag,
    }
    if edition.is_had_by(request.headers.get("if-none-match")):
        return send(Answer(304, b""), media_type=_TYPES[f".{kind}"], headers=headers)
    return send(Answer(200, edition.body), media_type=_TYPES[f".{kind}"], headers=headers)


def _hash(edition: Edition) -> str:
    return edition.etag.strip('"')[:16]
