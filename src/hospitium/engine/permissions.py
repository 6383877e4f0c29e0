"""What can be done, by whom, with a sentence each that a person can read.

Every route declares one of these (a server with a route that doesn't refuses to start), and every action asks for its
own in its first line.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Forbidden, NotSignedIn, OrganizationInactive
from hospitium.engine.service_keys.record import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


MEMBERSHIP_HELD = "Your membership is held since a restore of this server, until its operator confirms"


class Need(Enum):
    """Who one must be."""

    ANYONE = "anyone"
    ACCOUNT = "a signed-in account"
    STAFF = "staff of an active organization"
    ADMINISTRATOR = "an administrator of an active organization"
    OPERATOR = "the operator"
    SERVICE_KEY = "a service key of an active organization"


class Permission(StrEnum):
    SEE_HEALTH = "health.see"
    SEE_KEYS = "keys.see"
    SEE_API = "api.see"
    SEE_PAGES = "pages.see"
    SEE_METRICS = "metrics.see"
    SIGN_IN = "sessions.start"
    RENEW_SESSION = "sessions.renew"
    SIGN_OUT = "sessions.end"
    CHOOSE_ORGANIZATION = "sessions.choose_organization"
    SEE_SESSIONS = "sessions.see"
    REGISTER_ACCOUNT = "accounts.register"
    CONFIRM_ACCOUNT = "accounts.confirm"
    RECOVER_ACCOUNT = "accounts.recover"
    SEE_ACCOUNT = "accounts.see"
    UPDATE_ACCOUNT = "accounts.update"
    CHANGE_EMAIL = "accounts.change_email"
    DELETE_ACCOUNT = "accounts.delete"
    SEE_MEMBERS = "memberships.see"
    CHANGE_MEMBERS = "memberships.change"
    LEAVE_ORGANIZATION = "memberships.leave"
    OFFER_MEMBERSHIP = "offers.make"
    ACCEPT_OFFER = "offers.accept"
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
    KEEP_DELIVERIES = "deliveries.keep"
    KEEP_OBJECT_TYPES = "object_types.keep"
    CREATE_RECORD = "records.create"
    SEE_RECORDS = "records.see"
    UPDATE_RECORD = "records.update"
    DELETE_RECORD = "records.delete"
    SEE_SHARES = "shares.see"
    MAKE_SHARE = "shares.make"
    CHANGE_SHARE = "shares.change"
    ACCEPT_SHARE = "shares.accept"
    END_SHARE = "shares.end"
    FOLLOW_SHARE = "shares.follow"
    SEE_TEAMS = "teams.see"
    CREATE_TEAM = "teams.create"
    CHANGE_TEAM = "teams.change"
    LEAVE_TEAM = "teams.leave"
    KEEP_CLIENT_KEYS = "client_keys.keep"
    KEEP_SERVICE_KEYS = "service_keys.keep"
    CHECK_ACCESS = "access.check"
    SEARCH_ACCESS = "access.search"
    EXPLAIN_ACCESS = "access.explain"
    SEE_ACCESS = "access.see"
    SEE_EVENTS = "events.see"
    SEE_FHIR_SERVERS = "fhir_servers.see"
    KEEP_FHIR_SERVERS = "fhir_servers.keep"
    LOAD_RESOURCES = "fhir_servers.load"
    READ_FHIR = "fhir.read"
    SEE_READS = "persons.see_reads"
    SEE_SERVER_READS = "fhir_servers.see_reads"
    SEE_GRANTS = "grants.see"
    MAKE_GRANT = "grants.make"
    END_GRANT = "grants.end"
    SEE_PERSONS = "persons.see"
    CREATE_PERSON = "persons.create"
    UPDATE_PERSON = "persons.update"
    SHARE_PERSON = "persons.share"
    LEAVE_PERSON = "persons.leave"
    ACCEPT_PERSON = "persons.accept"
    DELETE_PERSON = "persons.delete"
    MAKE_INVITE = "invites.make"
    SEE_INVITES = "invites.see"
    END_INVITE = "invites.end"
    FOLLOW_INVITE = "invites.follow"
    ACCEPT_INVITE = "invites.accept"
    IMPORT_WORLD = "world.import"
    PROVE_TRAIL = "trail.prove"
    RETIRE_TRAIL = "trail.retire"
    RESTORE = "epochs.restore"


class Rule(NamedTuple):
    """Who may, and the sentence that says so."""

    need: Need
    sentence: str


RULES: Mapping[Permission, Rule] = {
    Permission.SEE_HEALTH: Rule(Need.ANYONE, "Anyone may ask whether this server is up."),
    Permission.SEE_KEYS: Rule(Need.ANYONE, "Anyone may read the public keys that prove this server's tokens."),
    Permission.SEE_METRICS: Rule(Need.ANYONE, "Whoever shows the token of the metrics may read how this server fares."),
    Permission.SEE_API: Rule(Need.ANYONE, "Anyone may read what this server's addresses take and answer."),
    Permission.SEE_PAGES: Rule(Need.ANYONE, "Anyone may open the pages for people; opening one changes nothing."),
    Permission.SIGN_IN: Rule(Need.ANYONE, "Anyone may try to sign in."),
    Permission.RENEW_SESSION: Rule(Need.ANYONE, "Whoever holds a refresh token may renew its session."),
    Permission.SIGN_OUT: Rule(Need.ACCOUNT, "A signed-in account may end its session."),
    Permission.CHOOSE_ORGANIZATION: Rule(Need.ACCOUNT, "A signed-in account may choose for which of its organizations it acts."),
    Permission.SEE_SESSIONS: Rule(Need.ACCOUNT, "A signed-in account may see its sessions."),
    Permission.REGISTER_ACCOUNT: Rule(Need.ANYONE, "Anyone may register an account, and have a link sent to an address."),
    Permission.CONFIRM_ACCOUNT: Rule(Need.ANYONE, "Whoever has the link and the password may confirm an account; whoever has only the link may claim it."),
    Permission.RECOVER_ACCOUNT: Rule(Need.ANYONE, "Anyone may ask for a link to set a new password; whoever has the link may set it."),
    Permission.SEE_ACCOUNT: Rule(Need.ACCOUNT, "A signed-in account may read and export what is kept of it."),
    Permission.UPDATE_ACCOUNT: Rule(Need.ACCOUNT, "A signed-in account may change its name, language and password."),
    Permission.CHANGE_EMAIL: Rule(Need.ANYONE, "Whoever has the link and the password, or a session, may prove a new address of the account."),
    Permission.DELETE_ACCOUNT: Rule(Need.ACCOUNT, "A signed-in account may delete itself."),
    Permission.SEE_MEMBERS: Rule(Need.ADMINISTRATOR, "An administrator may see the members of the own organization, and whom it has invited."),
    Permission.CHANGE_MEMBERS: Rule(Need.ADMINISTRATOR, "An administrator may change the roles of members of the own organization, and remove them."),
    Permission.LEAVE_ORGANIZATION: Rule(Need.ACCOUNT, "A signed-in account may leave an organization."),
    Permission.OFFER_MEMBERSHIP: Rule(Need.ADMINISTRATOR, "An administrator may invite colleagues into the own organization."),
    Permission.ACCEPT_OFFER: Rule(Need.ANYONE, "Whoever has the link of an invitation may join as a colleague."),
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
    Permission.KEEP_DELIVERIES: Rule(Need.OPERATOR, "The operator may see which mails wait, were sent or failed, and have one tried again."),
    Permission.KEEP_OBJECT_TYPES: Rule(Need.ADMINISTRATOR, "An administrator may define which kinds of records the own organization has, and how they are shared."),
    Permission.CREATE_RECORD: Rule(Need.ACCOUNT, "A signed-in account whose address is confirmed may make records, and owns them."),
    Permission.SEE_RECORDS: Rule(Need.ACCOUNT, "A signed-in account may read the records it was granted level 4 on."),
    Permission.UPDATE_RECORD: Rule(Need.ACCOUNT, "A signed-in account may change the records it was granted level 6 on."),
    Permission.DELETE_RECORD: Rule(Need.ACCOUNT, "A signed-in account may archive and delete the records it was granted level 7 on."),
    Permission.SEE_SHARES: Rule(Need.ACCOUNT, "A signed-in account may see the shares it made, those it was offered, and all of what it was granted level 5 on."),
    Permission.MAKE_SHARE: Rule(Need.ACCOUNT, "A signed-in account whose address is confirmed may share what it was granted level 5 on, at less than its own level."),
    Permission.CHANGE_SHARE: Rule(Need.ACCOUNT, "A signed-in account may change the level of a share that it made, or that gives less than its own level, which is 5 or more."),
    Permission.ACCEPT_SHARE: Rule(Need.ACCOUNT, "A signed-in account whose address is confirmed may accept a share it is the target of."),
    Permission.END_SHARE: Rule(Need.ACCOUNT, "A signed-in account may end a share that it made or is the target of, or that gives less than its own level, which is 5 or more."),
    Permission.FOLLOW_SHARE: Rule(Need.ANYONE, "Whoever has the token of a share may see what waits, and accept it with the password of its account, or decline it."),
    Permission.SEE_TEAMS: Rule(Need.ACCOUNT, "A signed-in account may see the teams it is in; an administrator, those of the own organization."),
    Permission.CREATE_TEAM: Rule(Need.STAFF, "Staff may make teams in the own organization, and own them."),
    Permission.CHANGE_TEAM: Rule(Need.ACCOUNT, "A signed-in account may change a team, and who is in it, if it owns the team or administers its organization."),
    Permission.LEAVE_TEAM: Rule(Need.ACCOUNT, "A signed-in account may leave a team; its owner, or an administrator, may take others out of it."),
    Permission.KEEP_CLIENT_KEYS: Rule(Need.OPERATOR, "The operator may make and end the client keys of an organization's applications."),
    Permission.KEEP_SERVICE_KEYS: Rule(Need.ADMINISTRATOR, "An administrator may make, see and end the service keys of the own organization."),
    Permission.CHECK_ACCESS: Rule(Need.SERVICE_KEY, "A service key with the scope `check` may ask whether somebody may do something, of what its organization may know."),
    Permission.SEARCH_ACCESS: Rule(Need.SERVICE_KEY, "A service key with the scope `list` may ask who may do something, what somebody may do it on, and what he may do, of what its organization may know."),
    Permission.EXPLAIN_ACCESS: Rule(Need.ACCOUNT, "A signed-in account may ask why somebody may do something, or may not, and is told of what is its own or its organization's to know; so may a service key with the scope `explain`."),
    Permission.SEE_ACCESS: Rule(Need.ACCOUNT, "A signed-in account may see what it may reach, and who may reach what is its own or its organization's; so may a service key with the scope `list`."),
    Permission.SEE_EVENTS: Rule(Need.ADMINISTRATOR, "An administrator may follow what happens to the own organization; so may a service key with the scope `events`."),
    Permission.SEE_FHIR_SERVERS: Rule(Need.STAFF, "Staff may see the FHIR servers of the own organization."),
    Permission.KEEP_FHIR_SERVERS: Rule(Need.ADMINISTRATOR, "An administrator may set up, change, test and remove the FHIR servers of the own organization."),
    Permission.LOAD_RESOURCES: Rule(Need.OPERATOR, "The operator may load resources into a built-in FHIR server."),
    Permission.READ_FHIR: Rule(Need.ACCOUNT, "A signed-in account may read, on a FHIR server, the patients it was granted there; with level 4 on all of it, all."),
    Permission.SEE_READS: Rule(Need.ACCOUNT, "A signed-in account may see who read what was granted to the persons it looks after."),
    Permission.SEE_SERVER_READS: Rule(Need.ADMINISTRATOR, "An administrator may see who read on the FHIR servers of the own organization, and whose reading was refused."),
    Permission.SEE_GRANTS: Rule(Need.ACCOUNT, "A signed-in account may see the grants by which it may do something on a FHIR server, and with level 6 there all that are on it."),
    Permission.MAKE_GRANT: Rule(Need.ACCOUNT, "A signed-in account with level 7 on a FHIR server may grant others access to it."),
    Permission.END_GRANT: Rule(Need.ACCOUNT, "A signed-in account that acts as owner of a FHIR server may end grants on it; one that administers a person, those of that person."),
    Permission.SEE_PERSONS: Rule(Need.ACCOUNT, "A signed-in account may see the persons it looks after."),
    Permission.CREATE_PERSON: Rule(Need.ACCOUNT, "A signed-in account may make persons, and owns them."),
    Permission.UPDATE_PERSON: Rule(Need.ACCOUNT, "A signed-in account may change the persons it looks after with level 6."),
    Permission.SHARE_PERSON: Rule(Need.ACCOUNT, "A signed-in account may let others look after a person that it administers; only its owner makes administrators, and another the owner."),
    Permission.LEAVE_PERSON: Rule(Need.ACCOUNT, "A signed-in account may cease to look after a person, unless it owns it; an administrator of the person may have others cease to, and its owner other administrators, too."),
    Permission.ACCEPT_PERSON: Rule(Need.ACCOUNT, "A signed-in account whose address is confirmed may see, accept and decline the care of a person that it is offered."),
    Permission.DELETE_PERSON: Rule(Need.ACCOUNT, "A signed-in account may delete the persons it owns; what they were granted ends."),
    Permission.MAKE_INVITE: Rule(Need.ACCOUNT, "A signed-in account with level 6 on a FHIR server may invite to the record of a patient there."),
    Permission.SEE_INVITES: Rule(Need.ACCOUNT, "A signed-in account may see the invites it received, and with level 6 on a FHIR server those sent there."),
    Permission.END_INVITE: Rule(Need.ACCOUNT, "A signed-in account with level 6 on a FHIR server may withdraw invites there, issue them again, and have their mails sent again."),
    Permission.FOLLOW_INVITE: Rule(Need.ANYONE, "Whoever has the code of an invite may see its question, and register with the right answer; whoever has the link of its mail may see what waits, and take it up with a password."),
    Permission.ACCEPT_INVITE: Rule(Need.ACCOUNT, "A signed-in account may accept an invite that is bound to it, or whose code and answer it has, with a person that it administers; or decline one that is bound to it."),
    Permission.IMPORT_WORLD: Rule(Need.OPERATOR, "The operator may load a world file."),
    Permission.PROVE_TRAIL: Rule(Need.OPERATOR, "The operator may prove and export the whole trail."),
    Permission.RETIRE_TRAIL: Rule(Need.OPERATOR, "The operator may take old months out of the trail, once they are sealed."),
    Permission.RESTORE: Rule(Need.OPERATOR, "The operator may restore a backup, and confirm what the restore holds."),
}  # fmt: skip


KEY_MAY: Mapping[Permission, Scope] = {
    Permission.CHECK_ACCESS: Scope.CHECK,
    Permission.SEARCH_ACCESS: Scope.LIST,
    Permission.EXPLAIN_ACCESS: Scope.EXPLAIN,
    Permission.SEE_ACCESS: Scope.LIST,
    Permission.SEE_EVENTS: Scope.EVENTS,
}
"""What a service key may do, if it has the scope; nothing else, not even what anyone may."""


_SINGULARS = {"access": "access", "deliveries": "delivery", "metrics": "metrics"}


def noun_of(permission: Permission) -> str:
    """Return what a permission is about: the noun of the events that tell of its refusals."""
    plural = permission.value.partition(".")[0]
    return _SINGULARS.get(plural, plural.removesuffix("s"))


def require(actor: Actor, permission: Permission) -> None:
    """Return if the actor is who the permission needs.

    Raises NotSignedIn, OrganizationInactive, Forbidden (with the permission's sentence, or the scope that a key lacks).
    """
    rule = RULES[permission]
    if actor.kind is ActorKind.SERVICE_KEY:
        _require_of_key(actor, permission)
        return
    if rule.need is Need.ANYONE or actor.kind is ActorKind.OPERATOR:
        return
    if rule.need is Need.OPERATOR:
        raise Forbidden(rule.sentence)
    if actor.account_id is None:
        raise NotSignedIn
    if rule.need is Need.ACCOUNT:
        return
    if rule.need is Need.SERVICE_KEY:
        raise Forbidden(rule.sentence)
    if actor.is_held:
        raise Forbidden(MEMBERSHIP_HELD)
    only = rule.need is Need.ADMINISTRATOR
    if actor.organization_id is None or not actor.is_staff or (only and not actor.is_administrator):
        raise Forbidden(rule.sentence, administrators_only=only)
    if not actor.organization_is_active:
        raise OrganizationInactive


def _require_of_key(actor: Actor, permission: Permission) -> None:
    scope = KEY_MAY.get(permission)
    if scope is None:
        raise Forbidden(RULES[permission].sentence)
    if scope not in actor.scopes:
        raise Forbidden(f"This service key is not for this: it has not the scope {scope}")
    if not actor.organization_is_active:
        raise OrganizationInactive


def organization_of(actor: Actor) -> UUID:
    """Return the organization the actor acts for; Forbidden if there is none."""
    if actor.organization_id is None:
        raise Forbidden(MEMBERSHIP_HELD if actor.is_held else "You act for no organization")
    return actor.organization_id
