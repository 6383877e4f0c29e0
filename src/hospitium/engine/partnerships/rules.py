"""The numbers of docs/dialects/radorderpad.md; all of them are settings (ruling 9)."""

from __future__ import annotations

from datetime import timedelta

import msgspec


class PartnershipRules(msgspec.Struct, frozen=True):
    """Limits and spans that hold for every organization of this server."""

    active_limit: int = 100
    pending_limit: int = 20
    rejection_cooldown: timedelta = timedelta(days=30)
    termination_cooldown: timedelta = timedelta(days=30)
    request_life: timedelta = timedelta(days=90)
    resend_is_exempt: bool = True  # from the cool-downs, once per cycle (ruling 8)
