"""Which patients of a FHIR server an account may read, and by which grants: one statement, the same rule as every question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Uuid, bindparam

from hospitium.engine.access.check import on_servers_of_account
from hospitium.engine.access.decide import Allowed, Candidate, decide
from hospitium.engine.grants.record import ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from hospitium.engine.context import Context

_ON_SERVER = Query(
    on_servers_of_account(grants.c.resource_id).where(
        grants.c.fhir_server_id == bindparam("server_id", type_=Uuid)
    ),
    pair(struct(Candidate), scalar("resource_id")),
)


class ServerReach(msgspec.Struct, frozen=True):
    """What an account may read on a FHIR server: all of it (`whole`), or these patients; each by which grant."""

    whole: Allowed | None
    patients: dict[str, Allowed]

    @property
    def is_nothing(self) -> bool:
        """Whether it may read nothing there."""
        return self.whole is None and not self.patients

    @property
    def within(self) -> frozenset[str] | None:
        """The patients it is narrowed to; None: all."""
        return None if self.whole is not None else frozenset(self.patients)

    def grant_ids(self, patients: Iterable[str]) -> list[UUID]:
        """Return by which grants some patients may be read."""
        found = {self.patients[one].by.grant_id for one in patients if one in self.patients}
        if self.whole is not None:
            found.add(self.whole.by.grant_id)
        return sorted(found)


async def reach_on(ctx: Context, account_id: UUID, server_id: UUID) -> ServerReach:
    """Return what an account may read on a FHIR server now."""
    rows = await _ON_SERVER.all(ctx.tx, subject_id=account_id, server_id=server_id)
    gathered: dict[tuple[ResourceKind | None, str], list[Candidate]] = {}
    for candidate, resource_id in rows:
        gathered.setdefault((candidate.resource_kind, resource_id), []).append(candidate)
    allowed = {
        on: decision
        for on, candidates in gathered.items()
        if isinstance(decision := decide(candidates, Level.READ, ctx.now), Allowed)
    }
    whole = [decision for (kind, _), decision in allowed.items() if kind is ResourceKind.FHIR_SERVER]
    return ServerReach(
        whole[0] if whole else None,
        {its_id: decision for (kind, its_id), decision in allowed.items() if kind is ResourceKind.PATIENT},
    )
