"""The ground the engine stands on, without a house: a database, the cast as actors, and a clock that is told what to say."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cast import ORGANIZATIONS, PEOPLE, MovableClock, contents
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.actor import OPERATOR, SYSTEM, Actor, ActorKind, Role
from hospitium.engine.context import Context
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.partnerships.actions import Ending
from hospitium.engine.partnerships.record import PartnershipView
from hospitium.engine.partnerships.rules import PartnershipRules
from hospitium.engine.secrets import HashedPassword
from hospitium.engine.verify import verify
from hospitium.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

NOBODYS_HASH = HashedPassword("$argon2id$nobody compares this")


class _Undone(Exception):
    """Ends a trial."""


class Ground:
    """A database with the cast in it. Deeds run as in the house: one transaction each, committed on leaving."""

    def __init__(self, database: Database, clock: MovableClock, rules: PartnershipRules) -> None:
        self.database = database
        self.clock = clock
        self.rules = rules
        self.organizations: dict[str, UUID] = {}
        self.actors: dict[str, Actor] = {"operator": OPERATOR, "system": SYSTEM}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, clock: MovableClock, *, size: int = 4, rules: PartnershipRules | None = None
    ) -> AsyncIterator[Ground]:
        database = await Database.open(url, size=size, patience=60)
        try:
            ground = cls(database, clock, rules or PartnershipRules())
            await ground.does("operator", ground._gather_the_cast)
            yield ground
        finally:
            await database.close()

    def __getattr__(self, name: str) -> UUID:
        """`ground.lakeside` is the id of an organization."""
        try:
            return self.__dict__["organizations"][name]
        except KeyError:
            raise AttributeError(name) from None

    async def does(
        self,
        who: str | Actor,
        action: Callable[..., Awaitable[Any]],
        *given: Any,
        now: datetime | None = None,
        **more: Any,
    ) -> Any:
        """Run one deed as somebody, in a transaction of its own; return what it returns."""
        async with self.database.transaction() as tx:
            return await action(self.context(tx, who, now), *given, **more)

    @asynccontextmanager
    async def trial(self) -> AsyncIterator[Any]:
        """Lend a transaction of which nothing remains."""
        with suppress(_Undone):
            async with self.database.transaction() as tx:
                yield tx
                raise _Undone

    def context(self, tx: Any, who: str | Actor, now: datetime | None = None) -> Context:
        return Context(tx, self.actors[who] if isinstance(who, str) else who, now or self.clock())

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            return list(await tx.fetch(sql, *values))

    async def status_of(self, partnership_id: UUID) -> str:
        found = await self.rows("SELECT status FROM partnerships WHERE id = $1", partnership_id)
        return str(found[0]["status"])

    async def violations(self) -> list[str]:
        """Return the codes of the invariants that don't hold."""
        async with self.database.transaction() as tx:
            return [found.code for found in await verify(tx, self.rules, self.clock())]

    async def everything(self) -> dict[str, list[str]]:
        """Return every row of every table, as text."""
        async with self.database.transaction() as tx:
            names = await tx.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            return await contents(tx, (name for (name,) in names))

    # -- the deeds of partnerships, each by its verb --

    async def asks(
        self, who: str, target: str | UUID, *, now: datetime | None = None, message: str | None = None
    ) -> UUID:
        """Ask to connect; return the partnership's id."""
        target_id = self.organizations[target] if isinstance(target, str) else target
        view = await self.does(who, partnerships.request, target_id, message, self.rules, now=now)
        made: UUID = view.partnership.id
        return made

    async def moves(
        self, who: str | Actor, verb: str, partnership_id: UUID, *, now: datetime | None = None
    ) -> PartnershipView:
        view: PartnershipView = await self.does(who, self.move, verb, partnership_id, now=now)
        return view

    async def move(self, ctx: Context, verb: str, partnership_id: UUID) -> PartnershipView:
        """Make one of the moves that people make."""
        match verb:
            case "approve":
                return await partnerships.approve(ctx, partnership_id, "Gladly", self.rules)
            case "reject":
                return await partnerships.reject(ctx, partnership_id, "Not now")
            case "cancel":
                return await partnerships.cancel(ctx, partnership_id)
            case "resend":
                return await partnerships.resend(ctx, partnership_id, "Please", self.rules)
            case "terminate":
                return await partnerships.terminate(ctx, partnership_id, Ending("Over"))
            case "reestablish":
                return await partnerships.reestablish(ctx, partnership_id, "Again", self.rules)
        raise KeyError(verb)

    # -- the world --

    async def add_organization(
        self,
        ctx: Context,
        code: str,
        status: OrganizationStatus = OrganizationStatus.ACTIVE,
        type_: OrganizationType = OrganizationType.REFERRING,
        name: str | None = None,
    ) -> UUID:
        form = OrganizationForm(name=name or code.title(), type=type_)
        self.organizations[code] = (await organizations.create(ctx, code, form, status)).id
        return self.organizations[code]

    async def add_person(
        self, ctx: Context, name: str, code: str | None, role: Role, organization_is_active: bool = True
    ) -> Actor:
        form = AccountForm(email=f"{name}@{code or 'mail'}.example", verified=True)
        account = await accounts.create(ctx, form, NOBODYS_HASH)
        organization_id = None if code is None else self.organizations[code]
        if organization_id is not None:
            await memberships.add(ctx, account.id, organization_id, role)
        self.actors[name] = Actor(
            ActorKind.ACCOUNT,
            account_id=account.id,
            organization_id=organization_id,
            organization_is_active=organization_id is not None and organization_is_active,
            role=None if organization_id is None else role,
            is_confirmed=True,
        )
        return self.actors[name]

    async def add_many(self, ctx: Context, *codes: str) -> list[UUID]:
        """Add active organizations, each with an administrator of its name."""
        made = []
        for code in codes:
            made.append(await self.add_organization(ctx, code))
            await self.add_person(ctx, code, code, Role.ADMIN)
        return made

    async def _gather_the_cast(self, ctx: Context) -> None:
        for code, (type_, status, name) in ORGANIZATIONS.items():
            await self.add_organization(ctx, code, status, type_, name)
        for name, (code, role) in PEOPLE.items():
            active = code is not None and ORGANIZATIONS[code][1] is OrganizationStatus.ACTIVE
            await self.add_person(ctx, name, code, role, active)
