"""Who may do what is said once, in a sentence, and asked for everywhere."""

from __future__ import annotations

import ast

import pytest
from litestar import get

from hospitium import app
from hospitium.doors.bluebutton import routes as bluebutton
from hospitium.doors.console import routes as console
from hospitium.doors.medable import routes as medable
from hospitium.doors.native import routes as native
from hospitium.doors.radorderpad import routes as radorderpad
from hospitium.doors.routing import undeclared
from hospitium.engine.permissions import RULES, Permission
from house.tree import calls, members_named, modules

# Steps of other deeds: who calls them has asked for the permission of the whole.
STEPS = {
    "engine/accounts/life.py": {"erase", "register_with_proof"},
    "engine/deliveries/actions.py": {"queue", "claim", "end", "put_off", "spread", "forget_outlived"},
    "engine/grants/actions.py": {
        "start_for_partnership",
        "start_for_owner",
        "start_for_share",
        "end_caused_by",
        "end_caused_by_shares",
        "end_all_of",
        "end_all_on_record",
    },
    "engine/fhir_references/actions.py": {"note", "forget", "forget_some_removed"},
    "engine/fhir_resources/actions.py": {"forget_some_removed"},
    "engine/fhir_servers/actions.py": {"note_search", "suspend_again"},
    "engine/invites/actions.py": {"expire_one", "end_again"},
    "engine/links/actions.py": {"issue", "use", "end", "forget_outlived"},
    "engine/memberships/actions.py": {"start", "end_all_of"},
    "engine/offers/actions.py": {"expire_one"},
    "engine/partnerships/actions.py": {"expire_one"},
    "engine/reads/actions.py": {"record", "record_all"},
    "engine/records/actions.py": {"delete_all_of"},
    "engine/service_keys/actions.py": {"note_uses"},
    "engine/shares/actions.py": {"grant", "expire_one"},
    "engine/suspensions/actions.py": {"suspend_patient"},
    "engine/teams/actions.py": {"make", "join", "end_again", "leave_all_in"},
    "engine/sessions/actions.py": {"note_failed_sign_in", "end_all_of", "tidy"},
    "engine/throttles/actions.py": {
        "count",
        "allows",
        "give_back",
        "remember_network",
        "forget_networks",
        "forget_outlived",
    },
}
TABLES = {
    "radorderpad": radorderpad.ROUTES,
    "medable": medable.ROUTES,
    "bluebutton": bluebutton.ROUTES,
    "native": native.ROUTES,
    "console": console.ROUTES,
}


def test_every_permission_has_a_rule_and_a_sentence_of_its_own() -> None:
    assert set(RULES) == set(Permission), "Say in RULES who may, and the sentence a person can read."
    sentences = [rule.sentence for rule in RULES.values()]
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences), "Two permissions with one sentence are one permission."


def test_every_permission_is_asked_for_somewhere() -> None:
    used = {
        name
        for place, tree in modules().items()
        if place != "engine/permissions.py"
        for name in members_named(tree, "Permission", "May")
    }
    unused = {permission.name for permission in Permission} - used
    assert not unused, f"A permission nobody asks for protects nothing: {sorted(unused)}."


def test_every_action_asks_before_it_does_anything() -> None:
    silent = []
    for place, tree in modules().items():
        if not (place.startswith("engine/") and place.endswith(("/actions.py", "/life.py"))):
            continue
        for action in tree.body:
            if not isinstance(action, ast.AsyncFunctionDef) or action.name.startswith("_"):
                continue
            body = {name for name, _ in calls(action)}
            asks = "require" in body or "_become" in body
            if asks == (action.name in STEPS.get(place, set())):
                silent.append(f"{place} {action.name}")
    assert not silent, (
        "An action asks for its permission by itself, whoever calls it: `require(ctx.actor, Permission.…)`. "
        f"A step of another deed stands in STEPS, with no question of its own. Look at {silent}."
    )


@pytest.mark.parametrize("surface", TABLES)
def test_every_route_is_declared_once(surface: str) -> None:
    addresses = [(route.method, route.path) for route in TABLES[surface]]
    assert len(set(addresses)) == len(addresses), "Two handlers at one address: only one can be meant."
    assert all(isinstance(route.permission, Permission) for route in TABLES[surface])


async def test_a_server_with_a_route_that_asks_for_no_permission_refuses_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @get("/open-to-all")
    async def forgotten() -> None:
        """A handler that somebody added without the table of routes."""

    router = native.router()
    router.register(forgotten)
    monkeypatch.setattr(app.native, "router", lambda: router)
    with pytest.raises(RuntimeError, match="/open-to-all"):
        app.application(None)  # type: ignore[arg-type]  it refuses before it looks at its parts


async def test_the_server_as_it_is_declares_every_route() -> None:
    observed = app.application(None)  # type: ignore[arg-type]  nothing is asked of its parts here
    assert undeclared(observed._app) == []
