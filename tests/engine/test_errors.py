"""The tree of refusals is drawn at the top of its module, and the drawing is the tree."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime

import pytest

from hospitium.engine import errors
from hospitium.engine.errors import Refusal

SAMPLES: dict[str, object] = {
    "message": "no", "field": "name", "reason": "must not be blank", "resource": "connection", "limit": 20, "level": 4, "name": "c_orders", "own": True,
    "until": datetime(2026, 3, 1, tzinfo=UTC), "retry_after": 2,
}  # fmt: skip


def drawn() -> dict[str, str | None]:
    """Read the picture: each name with the name it hangs from."""
    assert errors.__doc__ is not None
    parents: dict[str, str | None] = {}
    road: list[tuple[int, str]] = []
    for text in errors.__doc__.splitlines():
        found = re.match(r"([ │├└─]*)([A-Z]\w+)(?:  .*)?$", text)
        if not text.startswith("    ") or found is None:
            continue
        depth, name = len(found.group(1)), found.group(2)
        road = [(d, n) for d, n in road if d < depth]
        parents[name] = road[-1][1] if road else None
        road.append((depth, name))
    return parents


def built() -> dict[str, str | None]:
    found = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, Refusal)
    }
    return {name: None if kind is Refusal else kind.__base__.__name__ for name, kind in found.items()}


def test_the_picture_is_the_tree() -> None:
    """Whoever adds a refusal draws it into the docstring of errors.py."""
    assert drawn() == built()
    assert next(iter(drawn())) == "Refusal"


def test_every_refusal_that_can_be_raised_is_among_the_kinds() -> None:
    abstract = {"Refusal", "LimitReached", "CoolingDown"}
    assert {kind.__name__ for kind in errors.kinds()} == set(built()) - abstract


@pytest.mark.parametrize(
    "kind", sorted(errors.kinds(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_each_says_something_and_no_number_of_any_protocol(kind: type[Refusal]) -> None:
    wanted = [p for name, p in inspect.signature(kind.__init__).parameters.items() if name != "self"]
    positional = [
        SAMPLES[p.name] for p in wanted if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
    ]
    named = {p.name: SAMPLES[p.name] for p in wanted if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    refusal = kind(*positional, **named)
    assert refusal.message == str(refusal) != ""
    assert not {"status", "status_code", "code", "http_status"} & set(vars(refusal) | vars(kind))
    assert kind.__doc__


def test_a_limit_says_whose_it_is() -> None:
    assert "Your" in errors.ActiveLimitReached(100, own=True).message
    assert "Your" not in errors.ActiveLimitReached(100, own=False).message
