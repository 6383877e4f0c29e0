"""The JSON schemas of the structs that go in and out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.doors.shapes import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable

PLACE = "#/components/schemas/"
_REFERENCES = re.compile(r" ?\((?:rulings? [0-9, ]+|docs/[^)]*)\)")


class Schemas:
    """The schemas of some shapes, with references among them: `of` gives one, `components` all that are referred to.

    Shapes that are filled in, such as `Envelope[Tokens]`, are written where they stand; every other struct, list of words
    and named type (`doors/shapes.py`) is one component.
    """

    def __init__(self, shapes: Iterable[Any]) -> None:
        distinct = {repr(shape): shape for shape in shapes}
        found, self._made = msgspec.json.schema_components(distinct.values(), ref_template=PLACE + "{name}")
        self._found = dict(zip(distinct, found, strict=True))
        self.components: dict[str, Any] = {}

    def of(self, shape: Any) -> dict[str, Any]:
        """Return the schema of one of the shapes."""
        tidied: dict[str, Any] = self._tidied(self._found[repr(shape)])
        return tidied

    def members(self, shape: type[msgspec.Struct]) -> tuple[dict[str, Any], list[str]]:
        """Return the schemas of a struct's members, and which of them must be there: for structs that are written apart."""
        name = self._found[repr(shape)]["$ref"].removeprefix(PLACE)
        made = self._made[name]
        return {name: self._tidied(member) for name, member in made["properties"].items()}, made["required"]

    def _tidied(self, node: Any) -> Any:
        match node:
            case {"$ref": str(place)}:
                name = place.removeprefix(PLACE)
                if "[" in self._made[name].get("title", ""):
                    return {
                        key: self._tidied(value)
                        for key, value in self._made[name].items()
                        if key not in ("title", "description")
                    }
                self._keep(name, self._made[name])
                return {"$ref": place}
            case {"title": str(name)} if name in NAMED:
                own = {key: node[key] for key in ("description", "default") if key in node}
                if own["description"] == NAMED[name]:
                    del own["description"]
                named = {key: value for key, value in node.items() if key != "default"}
                self._keep(name, named | {"description": NAMED[name]})
                return {"$ref": PLACE + name} | own
            case dict():
                return {key: self._tidied(value) for key, value in node.items()}
            case list():
                return [self._tidied(value) for value in node]
            case _:
                return node

    def _keep(self, name: str, made: dict[str, Any]) -> None:
        if name in self.components:
            return
        self.components[name] = {}  # a shape may hold itself
        kept = {key: self._tidied(value) for key, value in made.items() if key != "title"}
        if "description" in kept:
            kept["description"] = sentences(kept["description"])
        self.components[name] = kept


def sentences(docstring: str | None) -> str:
    """Return a docstring as running text, without what only a reader of the code can follow."""
    return _REFERENCES.sub("", " ".join((docstring or "").split()))
