"""How often what may be tried: the numbers, all of them settings."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import NamedTuple


class Limit(NamedTuple):
    """A bucket: how many tries at once, and after which pause there is one more."""

    burst: int
    pause: timedelta

    @property
    def room(self) -> timedelta:
        """How long an empty bucket takes to fill."""
        return self.burst * self.pause


class Limits(NamedTuple):
    """What is counted: failures from one network, failures on one account from strange networks, mails to one mailbox; unknown
    codes from everywhere, searches of one account for a patient's identifier that found none or several."""

    network: Limit
    account: Limit
    mailbox: Limit
    codes: Limit
    identifiers: Limit


class Try(NamedTuple):
    """One thing that is counted: a keyed hash of what tries, and its limit."""

    key: bytes
    limit: Limit


def a_try(secret: bytes, limit: Limit, *what: str) -> Try:
    """Return what counts tries of `what`; neither an address nor a name can be read in it."""
    return Try(hmac.digest(secret, "\0".join(("throttle", *what)).encode(), "sha256"), limit)


def limits(
    *,
    network_per_minute: int,
    account_per_hour: int,
    mailbox_per_hour: int,
    unknown_codes_per_minute: int = 120,
    identifier_misses_per_hour: int = 100,
) -> Limits:
    """Return the limits for these numbers of tries."""
    return Limits(
        Limit(network_per_minute, timedelta(minutes=1) / network_per_minute),
        Limit(account_per_hour, timedelta(hours=1) / account_per_hour),
        Limit(mailbox_per_hour, timedelta(hours=1) / mailbox_per_hour),
        Limit(unknown_codes_per_minute, timedelta(minutes=1) / unknown_codes_per_minute),
        Limit(identifier_misses_per_hour, timedelta(hours=1) / identifier_misses_per_hour),
    )
