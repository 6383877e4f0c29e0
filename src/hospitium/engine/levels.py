"""Access levels: one ladder for everything that can be granted (GLOSSARY.md)."""

from enum import IntEnum


class Level(IntEnum):
    """How much a grant allows; each level includes those below it."""

    PUBLIC = 1
    CONNECTED = 2
    RESERVED = 3
    READ = 4
    SHARE = 5
    UPDATE = 6
    DELETE = 7


ACTIONS: dict[str, Level] = {
    "connect": Level.CONNECTED,
    "read": Level.READ,
    "share": Level.SHARE,
    "update": Level.UPDATE,
    "delete": Level.DELETE,
}
"""The level each action needs, unless an object type says otherwise."""
