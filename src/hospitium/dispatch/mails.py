"""The dispatcher: takes up deliveries that are due, has their mails written and sent, and settles them.

A delivery is claimed under a lease in one transaction, sent outside any, and settled under the same lease in another. So a
mail is never lost: whoever is killed meanwhile leaves a lease that ends. And it is sent twice only if the first sender didn't
live to write that it was taken, or never heard it; both carry the same Message-ID. Any number of dispatchers may run.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog

from hospitium.dispatch.retry import next_try
from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.engine.deliveries import actions, queries
from hospitium.engine.deliveries.record import DeliveryStatus
from hospitium.outside.letters.writing import UnknownKey, written
from hospitium.outside.mail import Refused, Unreachable
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from email.message import EmailMessage

    from hospitium.engine.deliveries.record import Delivery
    from hospitium.outside.letters.writing import Letterhead
    from hospitium.outside.mail import Carrier
    from hospitium.storage.database import Database

AT_ONCE = 4
POLL = 1.0  # seconds between looks when nothing is due
LONGEST_SENDING = 90.0  # seconds; well below the lease
GRACE = 10.0  # seconds for the mails under way when told to stop
_log = structlog.get_logger("hospitium.mail")


class Outcome(NamedTuple):
    """What became of one try: the status it ends with, or WAITING to be tried again."""

    status: DeliveryStatus
    problem: str | None = None


class Breaker:
    """Keeps a dispatcher from trying while no mail leaves at all: a second, then twice as long each time, up to a minute."""

    FIRST, LONGEST = 1.0, 60.0

    def __init__(self) -> None:
        self._pause = self.FIRST
        self._closed_at = 0.0

    @property
    def remaining(self) -> float:
        """How many seconds nothing is to be tried."""
        return max(0.0, self._closed_at - asyncio.get_running_loop().time())

    def trip(self) -> None:
        """Begin a pause, if none is running."""
        if not self.remaining:
            self._closed_at = asyncio.get_running_loop().time() + self._pause
            self._pause = min(2 * self._pause, self.LONGEST)

    def mend(self) -> None:
        """Note that a mail has left."""
        self._pause = self.FIRST


class Dispatcher:
    """Sends what is due, a few mails at once."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], carrier: Carrier, letterhead: Letterhead
    ) -> None:
        self._database = database
        self._clock = clock
        self._carrier = carrier
        self._letterhead = letterhead
        self._breaker = Breaker()
        self._under_way: set[asyncio.Task[None]] = set()
        self._settled: Counter[DeliveryStatus] = Counter()

    async def drain(self) -> Counter[DeliveryStatus]:
        """Send what is due until nothing is, or no mail leaves; return how many tries had which outcome."""
        self._settled.clear()
        try:
            while not self._breaker.remaining:
                busy = bool(self._under_way)
                delivery = await self._claim()
                if delivery is not None:
                    await self._begin(delivery)
                elif self._under_way:
                    # One to an organization may yet become several.
                    await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
                elif not busy:  # what ended while we looked may have become several since
                    break
        finally:
            await self._finish()
        return Counter(self._settled)

    async def run_for_ever(self) -> None:
        """Send what is due, pause, and look again; told to stop, let the mails under way end first."""
        try:
            while True:
                await asyncio.sleep(self._breaker.remaining)
                delivery = await self._claim_if_possible()
                if delivery is None:
                    await asyncio.sleep(POLL)
                else:
                    await self._begin(delivery)
        finally:
            await self._finish()

    async def _begin(self, delivery: Delivery) -> None:
        """Start with one, and return when there is room for another."""
        task = asyncio.create_task(self._deliver(delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        while len(self._under_way) >= AT_ONCE:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _finish(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claim(self) -> Delivery | None:
        async with self._database.transaction() as tx:
            return await actions.claim(self._context(tx))

    async def _claim_if_possible(self) -> Delivery | None:
        try:
            return await self._claim()
        except (Collision, DatabaseUnavailable) as reason:
            _log.warning("no deliveries can be taken up", reason=str(reason))
        except Exception:  # noqa: BLE001  a dispatcher that ends would be missed only when mails don't come
            _log.exception("no deliveries can be taken up")
        return None

    async def _deliver(self, delivery: Delivery) -> None:
        """Try one, and settle it."""
        try:
            if next_try(delivery.attempts - 1, self._clock(), 0) is None:
                # Nobody lived to settle it, again and again: whatever it does to them, it must end.
                await self._settle(delivery, Outcome(DeliveryStatus.FAILED, "never settled"))
            elif delivery.organization_id is not None:
                async with self._database.transaction() as tx:
                    await actions.spread(self._context(tx), delivery)
            else:
                await self._settle(delivery, await self._try(delivery))
        except (Collision, DatabaseUnavailable) as reason:
            # Its lease ends, and it is taken up again.
            _log.warning("a delivery was broken off", delivery=str(delivery.id), reason=str(reason))
        except Exception:  # noqa: BLE001  it is tried again when its lease ends, a bounded number of times
            _log.exception("a delivery failed", delivery=str(delivery.id))

    async def _try(self, delivery: Delivery) -> Outcome:
        async with self._database.transaction() as tx:
            letter = await queries.letter(self._context(tx), delivery)
        if letter is None:
            return Outcome(DeliveryStatus.VOID)
        try:
            # It takes a few milliseconds; in a server, requests go on meanwhile.
            message = await asyncio.to_thread(written, letter, self._letterhead)
        except UnknownKey:
            # A key made since this process started; another dispatcher may have it, or this one after its next start.
            return Outcome(DeliveryStatus.WAITING, "unknown key")
        except Exception as problem:  # noqa: BLE001  what can't be written today can't be tomorrow, nor be in the way
            _log.exception("a mail can't be written", delivery=str(delivery.id))
            return Outcome(DeliveryStatus.FAILED, f"unwritable {type(problem).__name__}")
        return await self._send(delivery, message)

    async def _send(self, delivery: Delivery, message: EmailMessage) -> Outcome:
        try:
            async with asyncio.timeout(LONGEST_SENDING):
                await self._carrier.send(message)
        except Refused as refusal:
            self._breaker.mend()
            status = DeliveryStatus.FAILED if refusal.permanent else DeliveryStatus.WAITING
            return Outcome(status, f"refused {refusal.code}")
        except Unreachable as reason:
            self._breaker.trip()
            return Outcome(DeliveryStatus.WAITING, f"unreachable {reason.kind}")
        except TimeoutError:
            self._breaker.trip()
            return Outcome(DeliveryStatus.WAITING, "unreachable timeout")
        except Exception as problem:  # noqa: BLE001  a carrier's mistake is no reason to lose a mail
            _log.exception("a mail can't be sent", delivery=str(delivery.id))
            self._breaker.trip()
            return Outcome(DeliveryStatus.WAITING, f"error {type(problem).__name__}")
        self._breaker.mend()
        return Outcome(DeliveryStatus.SENT)

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Write down what became of it. While the database is away, keep trying for as long as the lease lasts."""
        while True:
            try:
                async with self._database.transaction() as tx:
                    status, ours = await self._write_down(self._context(tx), delivery, outcome)
                break
            except (Collision, DatabaseUnavailable):
                if self._clock() >= delivery.due_at:
                    raise
                await asyncio.sleep(POLL)
        self._settled[status] += 1
        say = _log.info if status is not DeliveryStatus.FAILED else _log.warning
        say(
            "delivery tried",
            delivery=str(delivery.id),
            template=delivery.template.value,
            attempt=delivery.attempts,
            status=status.value,
            problem=outcome.problem,
            too_late=not ours,
        )

    async def _write_down(
        self, ctx: Context, delivery: Delivery, outcome: Outcome
    ) -> tuple[DeliveryStatus, bool]:
        if outcome.status is not DeliveryStatus.WAITING:
            return outcome.status, await actions.end(ctx, delivery, outcome.status, outcome.problem)
        again = next_try(delivery.attempts, ctx.now, secrets.randbelow(1_000) / 999)
        if again is None:
            return DeliveryStatus.FAILED, await actions.end(
                ctx, delivery, DeliveryStatus.FAILED, outcome.problem
            )
        return outcome.status, await actions.put_off(ctx, delivery, again, outcome.problem or "")

    def _context(self, tx: object) -> Context:
        return Context(tx, SYSTEM, self._clock())  # type: ignore[arg-type]
