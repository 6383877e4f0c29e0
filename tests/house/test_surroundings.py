"""The clock is read once, the environment once, and both at the top."""

from __future__ import annotations

import re

from house.tree import calls, members_named, modules, texts

CLOCKS = ("app.py", "doors/cli/")
ENVIRONMENT = {
    "settings.py": "it is what settings are",
    "client/connecting.py": "it is part of another program: an application that asks this server",
    "storage/backup.py": "PATH, and what libpq reads by itself, for pg_dump and pg_restore",
    "storage/embedded.py": "PATH for its programs, and the user's runtime directory for a socket",
}
_LOOKS_AT_THE_CLOCK = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|localtime|gmtime))$"
)
_LOOKS_IN_SQL = re.compile(
    r"\b(now\(\)|clock_timestamp|statement_timestamp|current_timestamp|localtimestamp)", re.IGNORECASE
)


def test_nobody_below_the_top_looks_at_the_clock() -> None:
    found = [
        f"{place}:{call.lineno} {name}"
        for place, tree in modules().items()
        if not place.startswith(CLOCKS)
        for name, call in calls(tree)
        if _LOOKS_AT_THE_CLOCK.search(name) or name in ("func.now", "func.clock_timestamp")
    ]
    found += [
        f"{place}:{line}"
        for place, tree in modules().items()
        for line, text in texts(tree)
        if _LOOKS_IN_SQL.search(text) and place != "doors/cli/doctor.py"  # it compares two clocks
    ]
    assert not found, (
        "All rows of a deed carry one instant: use ctx.now, which the unit of work read, so that tests can move the clock. "
        f"Found {found}."
    )


def test_the_environment_is_read_where_it_is_documented() -> None:
    found = {
        place
        for place, tree in modules().items()
        if members_named(tree, "os") & {"environ", "getenv", "environb"}
    }
    assert found == set(ENVIRONMENT), (
        "What can be set is a row in settings.py, typed, documented and refused at the start if it is wrong. "
        f"Found {sorted(found - set(ENVIRONMENT))}."
    )


def test_chance_that_protects_comes_from_secrets() -> None:
    found = {
        place for place, tree in modules().items() for name, _ in calls(tree) if name.startswith("random.")
    }
    allowed = {
        "doors/unit_of_work.py",
        "doors/cli/demo_world.py",
        "doors/cli/synthetic.py",
    }  # a pause between tries, and a made-up world with its patients
    assert found <= allowed, (
        f"Ids, tokens and keys come from `secrets`, never from `random`: {sorted(found - allowed)}."
    )
