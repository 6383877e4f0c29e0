"""`hospitium keys`: the keys outside the database."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from hospitium.doors.cli.house import as_json, house, print_json, print_table
from hospitium.storage.keyring import KeyPurpose, Keyring


@click.group()
def keys() -> None:
    """Keys: make, list, rotate. Keep a backup of their directory apart from that of the database."""


@keys.command()
@as_json
def make(as_json: bool) -> None:
    """Make the keys that aren't there yet; those that are stay."""
    _print(house().make_keys(), as_json)


@keys.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the keys, without their secrets."""
    _print(house().keyring(), as_json)


@keys.command()
@click.argument("purpose", type=click.Choice([purpose.value for purpose in KeyPurpose]))
@as_json
def rotate(purpose: str, as_json: bool) -> None:
    """Make a new key and retire the one in use: it still verifies for 90 days, one for seals for ever.

    Servers take it up at their next start.
    """
    ring = house().keyring()
    ring.rotate(KeyPurpose(purpose), datetime.now(UTC))
    _print(ring, as_json)


def _print(ring: Keyring, as_json: bool) -> None:
    found = [
        {"key": f"{key.purpose}-{key.number}", "made": key.made_at, "retired": key.retired_at}
        for purpose in KeyPurpose
        for key in ring.all(purpose)
    ]
    if as_json:
        print_json(found)
    else:
        rows = [
            [
                str(one["key"]),
                f"{one['made']:%Y-%m-%d}",
                f"{one['retired']:%Y-%m-%d}" if one["retired"] else "",
            ]
            for one in found
        ]
        print_table(["key", "made", "retired"], rows)
