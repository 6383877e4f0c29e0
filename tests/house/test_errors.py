"""Every door answers every refusal in its own words."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module

import pytest

from hospitium.engine import errors
from house.tree import SOURCE, modules

# What was caught, and is told after all of a call was looked at.
RAISED_AGAIN = {
    "engine/shares/targets.py": {"refused[0]"},
    # No refusal yet: whoever opens it knows of what it is.
    "engine/sealing.py": {"CantBeOpened"},
    "engine/fhir_servers/credentials.py": {"CantBeOpened"},
}
DOORS = sorted(path.parent.name for path in (SOURCE / "doors").glob("*/errors.py"))


@pytest.mark.parametrize("door", DOORS)
def test_a_doors_table_is_total_and_has_no_stranger(door: str) -> None:
    table = import_module(f"hospitium.doors.{door}.errors").TABLE
    missing = sorted(kind.__name__ for kind in errors.kinds() - set(table))
    strangers = sorted(kind.__name__ for kind in set(table) - errors.kinds())
    assert (missing, strangers) == ([], []), (
        f"Decide in doors/{door}/errors.py what a caller sees of {missing}; drop {strangers}, which can't be raised."
    )


@pytest.mark.parametrize("door", DOORS)
def test_a_refusal_is_the_callers_to_mend_or_to_wait_for(door: str) -> None:
    table = import_module(f"hospitium.doors.{door}.errors").TABLE
    odd = {
        kind.__name__: form.status
        for kind, form in table.items()
        # 502: a server that isn't ours said what can't be used.
        if not (400 <= form.status < 500 or form.status == (502 if kind is errors.FhirServerWrong else 503))
    }
    assert not odd, f"A refusal is the caller's to mend (4xx), or one to wait for (503): {odd}."


def test_every_door_that_answers_http_has_a_table() -> None:
    with_routes = {path.parent.name for path in (SOURCE / "doors").glob("*/routes.py")}
    assert with_routes == set(DOORS), (
        "A door with routes.py needs errors.py: its own words for every refusal."
    )


def test_the_tree_drawn_at_the_top_is_the_tree_below() -> None:
    drawn = {word.strip("│├└─ ").split(" ")[0] for word in (errors.__doc__ or "").splitlines() if "─" in word}
    defined = {
        kind.__name__
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.Refusal)
    }
    assert drawn == defined - {"Refusal"}, (
        "The docstring of engine/errors.py draws the tree: draw the new kind there."
    )


def test_the_engine_raises_nothing_but_refusals() -> None:
    allowed = errors.kinds()
    names = {kind.__name__ for kind in allowed}
    found = []
    for place, tree in modules().items():
        if not place.startswith("engine/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                name = ast.unparse(node.exc).partition("(")[0]
                if name not in names | {"ValueError", "TypeError"} | RAISED_AGAIN.get(place, set()):
                    found.append(f"{place}:{node.lineno} {name}")
    assert not found, f"The engine refuses with a kind of engine/errors.py. Found {found}."
