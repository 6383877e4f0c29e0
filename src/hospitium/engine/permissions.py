"""What can be done, by whom, with a sentence each that a person can read.

Every route declares one of these (a server with a route that doesn't refuses to start), and every action asks for its
own in its first line.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Forbidden, NotSignedIn, OrganizationInactive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class Need(Enum):
    """Who one must be."""

    ANYONE = "anyone"
    ACCOUNT = "a signed-in account"
    STAFF = "staff of an active organization"
    ADMINISTRATOR = "an administrator of an active organization"
    OPERATOR = "the operator"


class Permission(StrEnum):
    SEE_HEALTH = "health.see"
    SEE_KEYS = "keys.see"
    SIGN_IN = "sessions.start"
    RENEW_SESSION = "sessions.renew"
    SIGN_OUT = "sessions.end"
    CHOOSE_ORGANIZATION = "sessions.choose_organization"
    REGISTER_ORGANIZATION = "organizations.register"
    SEARCH_ORGANIZATIONS = "organizations.search"
    SEE_ORGANIZATION = "organizations.see"
    UPDATE_ORGANIZATION = "organizations.update"
    JUDGE_ORGANIZATION = "organizations.judge"
    KEEP_ACCOUNTS = "accounts.keep"
    SEE_PARTNERSHIPS = "partnerships.see"
    REQUEST_PARTNERSHIP = "partnerships.request"
    CANCEL_PARTNERSHIP = "partnerships.cancel"
    ANSWER_PARTNERSHIP = "partnerships.answer"
    RESEND_PARTNERSHIP = "partnerships.resend"
    TERMINATE_PARTNERSHIP = "partnerships.terminate"
    REESTABLISH_PARTNERSHIP = "partnerships.reestablish"
    IMPORT_WORLD = "world.import"


class Rule(NamedTuple):
    """Who may, and the sentence that says so."""

    need: Need
    sentence: str


RULES: Mapping[Permission, Rule] = {
    Permission.SEE_HEALTH: Rule(Need.ANYONE, "Anyone may ask whether this server is up."),
    Permission.SEE_KEYS: Rule(Need.ANYONE, "Anyone may read the public keys that prove this server's tokens."),
    Permission.SIGN_IN: Rule(Need.ANYONE, "Anyone may try to sign in."),
    Permission.RENEW_SESSION: Rule(Need.ANYONE, "Whoever holds a refresh token may renew its session."),
    Permission.SIGN_OUT: Rule(Need.ACCOUNT, "A signed-in account may end its session."),
    Permission.CHOOSE_ORGANIZATION: Rule(Need.ACCOUNT, "A signed-in account may choose for which of its organizations it acts."),
    Permission.REGISTER_ORGANIZATION: Rule(Need.ACCOUNT, "A signed-in account may register a new organization, where registration is open."),
    Permission.SEARCH_ORGANIZATIONS: Rule(Need.ADMINISTRATOR, "An administrator may search for organizations to connect with."),
    Permission.SEE_ORGANIZATION: Rule(Need.STAFF, "Staff may read the public profile of an organization."),
    Permission.UPDATE_ORGANIZATION: Rule(Need.ADMINISTRATOR, "An administrator may change the profile of the own organization."),
    Permission.JUDGE_ORGANIZATION: Rule(Need.OPERATOR, "The operator may register, approve, suspend and reinstate organizations."),
    Permission.KEEP_ACCOUNTS: Rule(Need.OPERATOR, "The operator may make and disable accounts and memberships."),
    Permission.SEE_PARTNERSHIPS: Rule(Need.ADMINISTRATOR, "An administrator may see the own organization's connections."),
    Permission.REQUEST_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may ask another organization to connect."),
    Permission.CANCEL_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may cancel a request that the own organization sent."),
    Permission.ANSWER_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may approve or reject a request that the own organization received."),
    Permission.RESEND_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may send a rejected request of the own organization again."),
    Permission.TERMINATE_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may end a connection of the own organization."),
    Permission.REESTABLISH_PARTNERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may ask to take up an ended connection of the own organization again."),
    Permission.IMPORT_WORLD: Rule(Need.OPERATOR, "The operator may load a world file."),
}  # fmt: skip


def require(actor: Actor, permission: Permission) -> None:
    """Return if the actor is who the permission needs.

    Raises NotSignedIn, OrganizationInactive, Forbidden (with the permission's sentence).
    """
    rule = RULES[permission]
    if rule.need is Need.ANYONE or actor.kind is ActorKind.OPERATOR:
        return
    if rule.need is Need.OPERATOR:
        raise Forbidden(rule.sentence)
    if actor.account_id is None:
        raise NotSignedIn
    if rule.need is Need.ACCOUNT:
        return
    only = rule.need is Need.ADMINISTRATOR
    if actor.organization_id is None or not actor.is_staff or (only and not actor.is_administrator):
        raise Forbidden(rule.sentence, administrators_only=only)
    if not actor.organization_is_active:
        raise OrganizationInactive


def organization_of(actor: Actor) -> UUID:
    """Return the organization the actor acts for; Forbidden if there is none."""
    if actor.organization_id is None:
        raise Forbidden("You act for no organization")
    return actor.organization_id
