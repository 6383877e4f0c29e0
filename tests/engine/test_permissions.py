"""What can be done, by whom: every need against every kind of actor."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hospitium.engine.actor import ANONYMOUS, OPERATOR, SYSTEM, Actor, ActorKind, Role
from hospitium.engine.errors import Forbidden, NotSignedIn, OrganizationInactive
from hospitium.engine.permissions import KEY_MAY, RULES, Need, Permission, organization_of, require
from hospitium.engine.service_keys.record import Scope


def member(role: Role | None, *, active: bool = True) -> Actor:
    return Actor(
        ActorKind.ACCOUNT,
        account_id=uuid4(),
        session_id=uuid4(),
        organization_id=None if role is None else uuid4(),
        organization_is_active=active,
        role=role,
    )


ACTORS = {
    "nobody": ANONYMOUS,
    "the operator": OPERATOR,
    "the sweeps": SYSTEM,
    "an account alone": member(None, active=False),
    "a member": member(Role.MEMBER),
    "a member, suspended": member(Role.MEMBER, active=False),
    "a physician": member(Role.PHYSICIAN),
    "a physician, suspended": member(Role.PHYSICIAN, active=False),
    "an administrator": member(Role.ADMIN),
    "an administrator, suspended": member(Role.ADMIN, active=False),
}
NOT_SIGNED_IN, MAY_NOT, INACTIVE, YES = NotSignedIn, Forbidden, OrganizationInactive, None

#                                  ANYONE  ACCOUNT        STAFF          ADMINISTRATOR  OPERATOR  SERVICE KEY
TABLE: dict[str, tuple[type[Exception] | None, ...]] = {
    "nobody":                      (YES, NOT_SIGNED_IN, NOT_SIGNED_IN, NOT_SIGNED_IN, MAY_NOT,  NOT_SIGNED_IN),
    "the operator":                (YES, YES,           YES,           YES,           YES,      YES),
    "the sweeps":                  (YES, NOT_SIGNED_IN, NOT_SIGNED_IN, NOT_SIGNED_IN, MAY_NOT,  NOT_SIGNED_IN),
    "an account alone":            (YES, YES,           MAY_NOT,       MAY_NOT,       MAY_NOT,  MAY_NOT),
    "a member":                    (YES, YES,           MAY_NOT,       MAY_NOT,       MAY_NOT,  MAY_NOT),
    "a member, suspended":         (YES, YES,           MAY_NOT,       MAY_NOT,       MAY_NOT,  MAY_NOT),
    "a physician":                 (YES, YES,           YES,           MAY_NOT,       MAY_NOT,  MAY_NOT),
    "a physician, suspended":      (YES, YES,           INACTIVE,      MAY_NOT,       MAY_NOT,  MAY_NOT),
    "an administrator":            (YES, YES,           YES,           YES,           MAY_NOT,  MAY_NOT),
    "an administrator, suspended": (YES, YES,           INACTIVE,      INACTIVE,      MAY_NOT,  MAY_NOT),
}  # fmt: skip


def outcome(actor: Actor, permission: Permission) -> type[Exception] | None:
    try:
        require(actor, permission)
    except (NotSignedIn, Forbidden) as refused:
        return type(refused)
    return None


@pytest.mark.parametrize("permission", Permission)
def test_it_asks_each_actor_for_what_it_needs(permission: Permission) -> None:
    need = list(Need).index(RULES[permission].need)
    assert {who: outcome(actor, permission) for who, actor in ACTORS.items()} == {
        who: TABLE[who][need] for who in ACTORS
    }


def test_every_permission_has_a_sentence_of_its_own() -> None:
    assert set(RULES) == set(Permission)
    sentences = [rule.sentence for rule in RULES.values()]
    assert len(set(sentences)) == len(sentences)
    for permission, (need, sentence) in RULES.items():
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        subject = {
            Need.ANYONE: ("Anyone ", "Whoever "), Need.ACCOUNT: ("A signed-in account ",), Need.STAFF: ("Staff ",),
            Need.ADMINISTRATOR: ("An administrator ",), Need.OPERATOR: ("The operator ",), Need.SERVICE_KEY: ("A service key ",),
        }[need]  # fmt: skip
        assert sentence.startswith(subject), f"{permission}: the sentence must begin with who may"


def test_every_need_is_used() -> None:
    assert {rule.need for rule in RULES.values()} == set(Need)


@pytest.mark.parametrize("role", Role)
def test_every_role_but_member_is_staff_and_only_admin_administers(role: Role) -> None:
    assert role.is_staff == (role is not Role.MEMBER)
    assert member(role).is_administrator == (role is Role.ADMIN)
    assert (outcome(member(role), Permission.SEE_ORGANIZATION) is None) == (role is not Role.MEMBER)
    assert (outcome(member(role), Permission.REQUEST_PARTNERSHIP) is None) == (role is Role.ADMIN)


def test_the_refusal_says_what_one_would_have_to_be() -> None:
    with pytest.raises(Forbidden, match="An administrator may ask another organization to connect"):
        require(ACTORS["a physician"], Permission.REQUEST_PARTNERSHIP)


def test_whoever_acts_for_no_organization_has_none() -> None:
    for who in ("nobody", "the operator", "an account alone"):
        with pytest.raises(Forbidden):
            organization_of(ACTORS[who])
    actor = ACTORS["a member"]
    assert organization_of(actor) == actor.organization_id


# -- service keys ------------------------------------------------------------------------------------------------------


def service_key(*scopes: Scope, active: bool = True) -> Actor:
    return Actor(
        ActorKind.SERVICE_KEY,
        organization_id=uuid4(),
        organization_is_active=active,
        service_key_id=uuid4(),
        scopes=frozenset(scopes),
    )


@pytest.mark.parametrize("permission", Permission)
def test_a_service_key_may_what_its_scope_says_and_nothing_else(permission: Permission) -> None:
    needed = KEY_MAY.get(permission)
    for scope in Scope:
        assert outcome(service_key(scope), permission) == (YES if scope is needed else MAY_NOT)
        assert outcome(service_key(scope, active=False), permission) == (
            INACTIVE if scope is needed else MAY_NOT
        )
    assert outcome(service_key(*Scope), permission) == (MAY_NOT if needed is None else YES)
    assert outcome(service_key(), permission) == MAY_NOT


def test_every_scope_is_for_something() -> None:
    assert set(KEY_MAY.values()) == set(Scope)


def test_a_service_key_is_told_which_scope_it_lacks_or_what_is_not_for_keys() -> None:
    with pytest.raises(Forbidden, match="it has not the scope explain"):
        require(service_key(Scope.CHECK), Permission.EXPLAIN_ACCESS)
    with pytest.raises(Forbidden, match="A signed-in account may delete itself"):
        require(service_key(*Scope), Permission.DELETE_ACCOUNT)
