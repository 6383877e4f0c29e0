"""What can have happened is recorded by somebody, and names nobody."""

from __future__ import annotations

import ast

from hospitium.engine.events import EventKind
from house.generated import WHEN
from house.tree import calls, members_named, modules

# What an event may say besides its columns: ids, kinds, levels, times and counts.
MAY_SAY = {
    "account", "organization", "role", "reason", "fields", "status", "was", "version", "source", "target", "grants",
    "permission", "refusal", "month", "events", "parties", "template", "sessions",
    "epoch", "taken_at", "voided", "applied", "object_type", "owner", "level",
    "fhir_server", "patient", "grantee", "grantee_kind", "person", "form", "replaces", "grant", "wrong_answers", "suspended",
    "authorities",  # how many a FHIR server has of its own
    "scopes",  # what a service key is for
    "found",  # whether a search found none, one or several
}  # fmt: skip
_COLUMNS = {"subject", "organizations", "accounts", "persons"}


def test_every_kind_is_recorded_somewhere() -> None:
    recorded = {
        name
        for place, tree in modules().items()
        if place != "engine/events.py"
        for name in members_named(tree, "EventKind")
    }
    never = {kind.name for kind in EventKind} - recorded
    assert not never, f"A kind of event that nobody records is a promise nobody keeps: {sorted(never)}."


def test_every_kind_has_a_sentence() -> None:
    assert set(WHEN) == set(EventKind), (
        "Say in tests/house/generated.py (WHEN) what happened, then `make docs`."
    )


def test_events_say_ids_kinds_levels_times_and_counts_only() -> None:
    said = {
        f"{place}:{call.lineno} {keyword.arg}"
        for place, tree in modules().items()
        for name, call in calls(tree)
        if name in ("events.record", "_tell", "_tell_of")
        for keyword in call.keywords
        if keyword.arg
        not in MAY_SAY | _COLUMNS | {None}  # what a `_tell` passes on is looked at where it is called
    }
    assert not said, (
        "The trail outlives the people in it: no names, addresses, messages or search values in an event. "
        f"If it is an id, a kind, a level, a time or a count, add it to MAY_SAY. Found {sorted(said)}."
    )


def test_every_deed_that_changes_something_records_it() -> None:
    told = (
        "events.record", "events.record_each", "_tell", "tell", "tell_all", "_tell_of", "tell_role",
        "roles.leave", "roles.hand_over", "ending.end_person",  # of persons: each tells of what it does
    )  # fmt: skip
    # Steps of a deed that records for them, and work no trail is about.
    silent_steps = {
        "start_for_partnership", "end_caused_by",  # partnerships record the ids of the grants
        "end_all_of",  # whoever ends an account's grants records their ids
        "start_for_owner", "end_all_on_record",  # records do
        "start_for_share", "end_caused_by_shares", "grant",  # shares do
        "mailbox_of", "address_of", "find",  # change nothing
        "end_orphans", "decline", "end_again",  # each share that ends is told by shares/ending.py
        "may_make", "replaceable",  # change nothing
        "note",  # that a resource refers to another is no deed; the read that showed it is told
        "forget",  # that the server has another address is told; so is what was read there
        "forget_some_removed",  # that their server was removed has been told
        "start_for_owner_of_server", "start_for_invite",  # FHIR servers and invites do
        "issue", "use", "end",  # of links: accounts record what a link was sent for, and what it did
        "void_all",  # a restore records how many
        "look",  # changes nothing
        "tidy",  # what the clock has ended is written down; no trail is about it
        "count", "allows", "give_back", "remember_network", "forget_networks",  # tries are counted, not told: a refused sign-in is told by its own event
        "forget_outlived",
        "note_uses",  # when a service key was last used is kept in its own row
        "queue",  # the deed it belongs to records itself
        "claim", "put_off", "spread",  # what becomes of a mail is kept in its own row
        "settle",  # where the data lives is noted at the first start: nothing has happened
    }  # fmt: skip
    silent = []
    for place, tree in modules().items():
        if not (place.startswith("engine/") and place.endswith(("/actions.py", "/life.py"))):
            continue
        functions = {node.name: node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
        for name, action in functions.items():
            if name.startswith("_") or name in silent_steps:
                continue
            reached = {called for called, _ in calls(action)}
            for _ in range(4):
                for called in list(reached):
                    if called in functions:
                        reached |= {deeper for deeper, _ in calls(functions[called])}
            if not reached & set(told):
                silent.append(f"{place} {name}")
    assert not silent, (
        f"The change and its event are one write: record it in the same action. Silent: {silent}."
    )
