"""Why: the path by which something is allowed, or the nearest grant that would have allowed it, and what stands in its way.

The same rows and the same rule as `check`, now or as of a past moment: grants, memberships, teams and roles are intervals, so that another
instant is another answer. What isn't an interval is as it is today: whether an account is disabled, an organization active, a
FHIR server suspended, and what a restore holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from hospitium.engine.access.asking import NO_ACTION
from hospitium.engine.access.check import (
    Question,
    Resource,
    SubjectKind,
    best_of,
    candidates,
    open_candidates,
)
from hospitium.engine.access.decide import Allowed, Decision, Denied, decide
from hospitium.engine.access.finding import find, find_account
from hospitium.engine.access.naming import SUBJECT_TYPES
from hospitium.engine.access.paths import Step, given, path
from hospitium.engine.actor import ActorKind
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.grants.record import GranteeKind, ResourceKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require

if TYPE_CHECKING:
    from hospitium.engine.access.finding import Found
    from hospitium.engine.access.naming import Named
    from hospitium.engine.context import Context


_NOTHING = Resource(ResourceKind.RECORD, str(FIRST_ID))


class Explanation(msgspec.Struct, frozen=True):
    """An answer with its reason, as of an instant. `path`: of the grant that allows it, or of the nearest that doesn't; empty if there is
    none. Whoever may not know the reason gets the decision alone (`is_full`)."""

    at: datetime
    decision: Decision
    needed: Level | None
    path: list[Step]
    is_full: bool = True

    @property
    def allowed(self) -> bool:
        return isinstance(self.decision, Allowed)

    @property
    def reason(self) -> str:
        """What is said of the decision: why not, or how much is granted."""
        if isinstance(self.decision, Denied):
            return self.decision.reason
        return f"a grant of level {self.decision.level:d} allows it"


async def explain_named(ctx: Context, named: Named, at: datetime | None) -> Explanation:
    """Explain a question in the words of the actor's organization: for a service key of the resource's organization, its administrators, the
    resource's owner, and the operator. An account that asks about itself gets the decision alone. Raises NotFound (also where one may not
    know of it), Invalid (`at` is not past)."""
    require(ctx.actor, Permission.EXPLAIN_ACCESS)
    _must_be_past(ctx, at)
    found = await find(ctx, named)
    is_full = await may_know_all(ctx, found)
    if not is_full and not await _is_oneself(ctx, named):
        raise NotFound("resource")
    if found is None:
        # Whoever asks about himself is told no, as of whatever else he can't reach.
        return Explanation(at or ctx.now, Denied("there is no such resource"), None, [], is_full=False)
    if found.needed is None:
        return Explanation(at or ctx.now, NO_ACTION, None, [], is_full)
    if found.subject_id is None or found.subject_kind is None:
        return Explanation(at or ctx.now, Denied("there is no grant"), found.needed, [], is_full)
    question = Question(
        SubjectKind(found.subject_kind),
        found.subject_id,
        found.needed,
        found.resource.kind,
        found.resource.id,
        found.resource.type,
        found.resource.fhir_server_id,
        # What one may do oneself one may know, through whomever.
        told_to=ctx.actor.organization_id if is_full and ctx.actor.kind is not ActorKind.OPERATOR else None,
    )
    explained = await explain(ctx, question, at)
    return explained if is_full else msgspec.structs.replace(explained, path=[], is_full=False)


async def explain(ctx: Context, question: Question, at: datetime | None = None) -> Explanation:
    """Explain a decision, now or as of a past moment. For whoever may know all of it. Raises Invalid (`at` is not past)."""
    _must_be_past(ctx, at)
    instant = at or ctx.now
    decision = await _decided(ctx, question, at)
    nearest = decision.by if isinstance(decision, Allowed) else decision.nearest
    steps = []
    if nearest is not None:
        told = await given(ctx, [nearest.grant_id])
        steps = path(question.subject_kind, question.subject_id, nearest, told[nearest.grant_id])
    return Explanation(instant, decision, question.level, steps)


async def _decided(ctx: Context, question: Question, at: datetime | None) -> Decision:
    if at is not None:
        return decide(await candidates(ctx, question), question.level, at)
    decision = decide(await open_candidates(ctx, question), question.level, ctx.now)
    if isinstance(decision, Allowed):
        return decision
    # What was ended isn't among the open ones, and may be the nearest.
    ever = decide(await candidates(ctx, question), question.level, ctx.now)
    return Denied("the grant has ended", ever.by) if isinstance(ever, Allowed) else ever


async def may_know_all(ctx: Context, found: Found | None) -> bool:
    """Whether the actor may know everything about who can reach a resource: its organization's administrators and service keys, its owner,
    the operator. Of a resource that isn't there (None) nobody may, which takes as long to find out."""
    actor = ctx.actor
    if found is None:
        if actor.account_id is not None:
            await best_of(ctx, actor.account_id, _NOTHING)
        return False
    if actor.kind is ActorKind.OPERATOR:
        return True
    is_of_organization = actor.organization_id is not None and actor.organization_is_active
    if is_of_organization and (actor.kind is ActorKind.SERVICE_KEY or actor.is_administrator):
        if found.organization_id == actor.organization_id:
            return True
        # Of its own connections with others an organization may know all.
        itself = (GranteeKind.ORGANIZATION, actor.organization_id)
        if (
            found.resource.kind is ResourceKind.ORGANIZATION
            and (found.subject_kind, found.subject_id) == itself
        ):
            return True
    if actor.account_id is None:
        return False
    best = await best_of(ctx, actor.account_id, found.resource)
    return best is not None and best.level is Level.DELETE and not found.resource.fhir_server_id


def _must_be_past(ctx: Context, at: datetime | None) -> None:
    if at is not None and at > ctx.now:
        raise Invalid("at", "must not be in the future")


async def _is_oneself(ctx: Context, named: Named) -> bool:
    if ctx.actor.account_id is None or SUBJECT_TYPES.get(named.subject_type) is not GranteeKind.ACCOUNT:
        return False
    return await find_account(ctx, named.subject_id) == ctx.actor.account_id
