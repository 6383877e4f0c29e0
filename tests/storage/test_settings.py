"""A wrong setting stops the start with its name and what it takes; a right one means what it says."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hospitium import settings
from hospitium.engine.secrets import Secret
from hospitium.engine.throttles.rules import Limit
from hospitium.settings import SETTINGS, Settings, WrongSetting, read

URL = "postgresql://ada:p%40ss@db.example/hospitium"

# For each setting: what may be written, what it then is in Settings (by a look at them), and what is refused.
GOOD: dict[str, list[tuple[str, Any, Any]]] = {
    "HOSPITIUM_DATA": [("/srv/h", lambda s: (s.data, s.keys), (Path("/srv/h"), Path("/srv/h/keys"))), ("~/h", lambda s: s.data, Path.home() / "h")],
    "HOSPITIUM_KEYS": [("/srv/k", lambda s: (s.keys, s.keys_are_named), (Path("/srv/k"), True))],
    "DATABASE_URL": [(URL, lambda s: s.database_url, Secret(URL)), ("postgres://x/y", lambda s: s.database_url, Secret("postgres://x/y"))],
    "HOSPITIUM_PG_BIN": [("/usr/lib/postgresql/17/bin", lambda s: s.pg_bin, Path("/usr/lib/postgresql/17/bin"))],
    "HOSPITIUM_PG_USER": [("postgres", lambda s: s.pg_user, "postgres")],
    "DATABASE_CONNECTIONS": [("2", lambda s: s.database_connections, 2), ("1000", lambda s: s.database_connections, 1000)],
    "PUBLIC_URL": [("https://h.example/", lambda s: s.public_url, "https://h.example"), ("http://[::1]:8420", lambda s: s.public_url, "http://[::1]:8420"), ("https://h.example/below", lambda s: s.public_url, "https://h.example/below")],
    "ALLOWED_HOSTS": [("", lambda s: s.allowed_hosts, ()), ("inside, H.example:8420, [::1]", lambda s: s.allowed_hosts, ("inside", "h.example:8420", "[::1]"))],
    "CORS_ORIGINS": [("", lambda s: s.cors_origins, ()), ("https://app.example, http://localhost:5173", lambda s: s.cors_origins, ("https://app.example", "http://localhost:5173"))],
    "DRAIN_SECONDS": [("0", lambda s: s.drain_seconds, 0), ("600", lambda s: s.drain_seconds, 600)],
    "METRICS_PORT": [("9420", lambda s: s.metrics_port, 9420)],
    "METRICS_HOST": [("0.0.0.0", lambda s: s.metrics_host, "0.0.0.0")],
    "METRICS_TOKEN": [("0123456789abcdef", lambda s: s.metrics_token, Secret("0123456789abcdef"))],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [("http://127.0.0.1:4318", lambda s: s.tracing_endpoint, "http://127.0.0.1:4318")],
    "TRUSTED_PROXIES": [("", lambda s: s.trusted_proxies, ()), ("127.0.0.1, fd00::/8", lambda s: [str(one) for one in s.trusted_proxies], ["127.0.0.1/32", "fd00::/8"])],
    "REGISTRATION": [(word, lambda s: s.registration, word) for word in ("closed", "approval", "open")],
    "ACTIVE_CONNECTION_LIMIT": [("1", lambda s: s.rules.active_limit, 1), ("10000000", lambda s: s.rules.active_limit, 10_000_000)],
    "PENDING_REQUEST_LIMIT": [("7", lambda s: s.rules.pending_limit, 7)],
    "REJECTION_COOLDOWN_DAYS": [("0", lambda s: s.rules.rejection_cooldown, timedelta(0)), ("31", lambda s: s.rules.rejection_cooldown, timedelta(days=31))],
    "TERMINATION_COOLDOWN_DAYS": [("0", lambda s: s.rules.termination_cooldown, timedelta(0))],
    "REQUEST_EXPIRY_DAYS": [("1", lambda s: s.rules.request_life, timedelta(days=1))],
    "RESEND_EXEMPT": [("false", lambda s: s.rules.resend_is_exempt, False), ("true", lambda s: s.rules.resend_is_exempt, True)],
    "ADDRESS_FAILURES_PER_MINUTE": [("6", lambda s: s.limits.network, Limit(6, timedelta(seconds=10)))],
    "ACCOUNT_FAILURES_PER_HOUR": [("60", lambda s: s.limits.account, Limit(60, timedelta(minutes=1)))],
    "MAILBOX_MAILS_PER_HOUR": [("1", lambda s: s.limits.mailbox, Limit(1, timedelta(hours=1)))],
    "INVITE_DAYS": [("0", lambda s: s.invite_life, None), ("7", lambda s: s.invite_life, timedelta(days=7))],
    "UNKNOWN_CODES_PER_MINUTE": [("6", lambda s: s.limits.codes, Limit(6, timedelta(seconds=10)))],
    "IDENTIFIER_MISSES_PER_HOUR": [("60", lambda s: s.limits.identifiers, Limit(60, timedelta(minutes=1)))],
    "PASSWORDS_AT_ONCE": [("64", lambda s: s.passwords_at_once, 64)],
    "PASSWORDS_WAITING": [("0", lambda s: s.passwords_waiting, 0)],
    "SMTP_URL": [(text, lambda s: s.smtp_url, Secret(text)) for text in ("smtp://ada:p%40ss@mail.example:587", "smtps://mail.example", "smtp://127.0.0.1:25?tls=never", "smtp://mail.example?ca=/etc/ssl/own.pem")],
    "MAIL_FROM": [(text, lambda s: s.mail_from, text) for text in ("no-reply@h.example", "Hospitium <no-reply@h.example>", '"Clínica, S.A." <hola@h.example>')],
    "MAIL_REPLY_TO": [("desk@h.example", lambda s: s.mail_reply_to, "desk@h.example")],
    "DISPATCH": [("false", lambda s: s.dispatch, False), ("true", lambda s: s.dispatch, True)],
    "LOG_LEVEL": [("debug", lambda s: s.log_level, "debug"), ("error", lambda s: s.log_level, "error")],
}  # fmt: skip

NO_NUMBERS = ["", "many", "-1", "1.5", "1e2", " 3", "²", "٣", "9" * 30]
BAD: dict[str, list[str]] = {
    "HOSPITIUM_DATA": ["", "~nobody-by-this-name/h"],
    "HOSPITIUM_KEYS": [""],
    "DATABASE_URL": ["", "mysql://x/y", "/var/run/db", "sqlite:///x", "postgresql://ada:p%40ss@[::1/x", "postgresql://ada:p%40ss@db.example:port/x", "postgresql://ada:p%40ss\u2100@db/x"],
    "HOSPITIUM_PG_BIN": [""],
    "HOSPITIUM_PG_USER": [],
    "ADDRESS_FAILURES_PER_MINUTE": [*NO_NUMBERS, "0", "1000001"],
    "ACCOUNT_FAILURES_PER_HOUR": [*NO_NUMBERS, "0", "1000001"],
    "MAILBOX_MAILS_PER_HOUR": [*NO_NUMBERS, "0", "1000001"],
    "DATABASE_CONNECTIONS": [*NO_NUMBERS, "1", "1001"],
    "PUBLIC_URL": ["", "hospitium.example", "ftp://h.example", "https://", "https://h.example/?a=b", "https://h.example/#x", "https://ada:p%40ss@h.example", "https://h.example?", "https://[::1", "https://h.example:port", "https://h.example/a b"],
    "ALLOWED_HOSTS": ["https://h.example", "h.example/", "*", "h.example:port", "a b", "*.h.example"],
    "CORS_ORIGINS": ["*", "https://app.example, *", "null", "app.example", "https://app.example/", "https://app.example:443", "http://app.example:80", "https://APP.example", "https://*.app.example", "ftp://app.example", "https://a@app.example", "https://app.example?"],
    "DRAIN_SECONDS": [*NO_NUMBERS, "601"],
    "METRICS_PORT": [*NO_NUMBERS, "0", "65536"],
    "METRICS_HOST": [""],
    "METRICS_TOKEN": ["", "too-short", "with a space in it", "umlauts-in-it-äöüß", "control-in-it-\x00\x00"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["", "127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http://[::1"],
    "TRUSTED_PROXIES": ["localhost", "10.0.0.1/8", "127.0.0.1; ::1", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "1.2.3.4:80"],
    "REGISTRATION": ["", "OPEN", "yes"],
    "ACTIVE_CONNECTION_LIMIT": [*NO_NUMBERS, "0"],
    "PENDING_REQUEST_LIMIT": [*NO_NUMBERS, "0"],
    "REJECTION_COOLDOWN_DAYS": [*NO_NUMBERS, "36501"],
    "TERMINATION_COOLDOWN_DAYS": [*NO_NUMBERS, "36501"],
    "REQUEST_EXPIRY_DAYS": [*NO_NUMBERS, "0", "36501"],
    "RESEND_EXEMPT": ["", "1", "True"],
    "INVITE_DAYS": [*NO_NUMBERS, "36501"],
    "UNKNOWN_CODES_PER_MINUTE": [*NO_NUMBERS, "0", "1000001"],
    "IDENTIFIER_MISSES_PER_HOUR": [*NO_NUMBERS, "0", "1000001"],
    "PASSWORDS_AT_ONCE": [*NO_NUMBERS, "0", "65"],
    "PASSWORDS_WAITING": [*NO_NUMBERS, "10001"],
    "SMTP_URL": ["", "mail.example", "http://mail.example", "smtp://", "smtp://ada:p%40ss@mail.example?tls=never", "smtp://mail.example?tls=maybe", "smtps://mail.example?tls=never", "smtp://mail.example/path", "smtp://ada@mail.example", "smtp://ada:p%40ss@mail.example:port", "smtp://mail.example?verify=no", "smtp://ma il.example"],
    "MAIL_FROM": ["", "Hospitium", "a@h.example, b@h.example", "a@h.example\nBcc: b@h.example", "a@localhost", "ä@h.example", "Hospitium <no-reply@h.example> x"],
    "MAIL_REPLY_TO": ["", "nobody"],
    "DISPATCH": ["", "1", "yes"],
    "LOG_LEVEL": ["", "INFO", "trace"],
}  # fmt: skip


def test_every_setting_has_its_cases() -> None:
    assert set(GOOD) == set(BAD) == {setting.name for setting in SETTINGS}


@pytest.mark.parametrize(
    ("name", "text", "look", "means"), [(n, *case) for n, cases in GOOD.items() for case in cases]
)
def test_a_right_value_is_taken(name: str, text: str, look: Any, means: Any, tmp_path: Path) -> None:
    assert look(read({name: text})) == means
    file = tmp_path / "value"
    file.write_text(f"{text}\n")
    assert look(read({f"{name}_FILE": str(file)})) == means


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_a_wrong_value_is_refused_with_the_name_and_what_it_takes(name: str, text: str) -> None:
    with pytest.raises(WrongSetting) as refused:
        read({name: text})
    assert str(refused.value).startswith(f"{name} must be ")
    assert len(str(refused.value)) < 150
    # What was written may be a secret in the wrong place.
    assert "p%40ss" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_number_longer_than_python_reads_is_refused_like_any_other() -> None:
    with pytest.raises(WrongSetting, match="ACTIVE_CONNECTION_LIMIT must be a number from 1 to 10,000,000"):
        read({"ACTIVE_CONNECTION_LIMIT": "9" * 5_000})


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_a_value_and_a_file_together_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "value"
    text = GOOD[name][0][0]
    file.write_text(text)
    with pytest.raises(WrongSetting, match=f"set {name} or {name}_FILE, not both"):
        read({name: text, f"{name}_FILE": str(file)})


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WrongSetting, match=r"DATABASE_URL_FILE names .*nowhere, which can't be read: No such file"
    ):
        read({"DATABASE_URL_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(WrongSetting, match="can't be read"):
        read({"DATABASE_URL_FILE": str(tmp_path)})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongSetting, match="not text in UTF-8"):
        read({"DATABASE_URL_FILE": str(tmp_path / "binary")})


def test_nothing_set_is_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    found = read({})
    assert found.data == Path("/var/lib/hospitium")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert read({"XDG_DATA_HOME": "/home/ada/data"}).data == Path("/home/ada/data/hospitium")
    assert read({}).data == Path.home() / ".local/share/hospitium"
    assert (found.database_url, found.public_url, found.registration, found.keys_are_named) == (
        None,
        None,
        "approval",
        False,
    )
    # The numbers of ruling 9.
    assert (found.rules.active_limit, found.rules.pending_limit) == (100, 20)
    assert (found.rules.rejection_cooldown, found.rules.termination_cooldown, found.rules.request_life) == (
        timedelta(days=30), timedelta(days=30), timedelta(days=90),
    )  # fmt: skip


def test_a_default_is_a_right_value() -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            setting.parse(setting.default)


def test_secrets_do_not_print() -> None:
    assert "p%40ss" not in repr(read({"DATABASE_URL": URL}))


def test_the_page_names_every_setting() -> None:
    page = settings.reference()
    for setting in SETTINGS:
        assert f"| `{setting.name}` |" in page
        assert setting.sentence in page


def test_no_setting_goes_unread() -> None:
    source = inspect.getsource(settings.read)
    assert [setting.name for setting in SETTINGS if f'"{setting.name}"' not in source] == []
    assert len(Settings.__struct_fields__) >= len(SETTINGS) - 9  # six of them are the rules, five the limits
