"""Why something was refused: a kind and its data, never a status number.

    Refusal
    ├── Invalid                  what was sent is wrong, in this field, for this reason
    │   ├── UnknownObjectType
    │   ├── NoTargets
    │   ├── TooManyTargets
    │   ├── WrongTarget
    │   ├── AccountRequired
    │   ├── AcceptanceRequired
    │   ├── WrongAnswer
    │   ├── NoSuchPatient
    │   └── SeveralPatients
    ├── NotSignedIn              nobody known asks
    │   ├── WrongCredentials
    │   └── SessionEnded
    ├── Forbidden                he knows of it, but may not do this
    │   ├── WrongSide
    │   ├── AccountDisabled
    │   ├── NotConfirmed
    │   ├── OrganizationInactive
    │   ├── RegistrationClosed
    │   ├── ClientKeyRequired
    │   ├── SharingDisabled
    │   ├── NotSharable
    │   ├── TargetAccessRequired
    │   └── NotOnesShare
    ├── NotFound                 it is not there, or not for him; the two are one
    │   ├── UnknownClientKey
    │   ├── UnknownCode
    │   └── DeadLink
    ├── Conflict                 not as things stand
    │   ├── AlreadyConnected
    │   ├── AlreadyShared
    │   ├── WrongState
    │   ├── RequestExpired
    │   ├── PartnerInactive
    │   ├── NameTaken
    │   ├── LastAdministrator
    │   ├── LimitReached
    │   │   ├── ActiveLimitReached
    │   │   ├── PendingLimitReached
    │   │   ├── OfferLimitReached
    │   │   └── ServiceKeyLimitReached
    │   └── CoolingDown
    │       ├── RejectionCooldown
    │       └── TerminationCooldown
    ├── KeyReused                this Idempotency-Key came with another request before
    ├── Busy                     too much at once; later
    │   └── TooManyAttempts
    ├── Unavailable              something we stand on is away; later
    ├── FhirServerAway           a FHIR server can't be asked at present; later
    └── FhirServerWrong          what a FHIR server answered can't be used

Each door has one total table from these kinds to its own words (`doors/*/errors.py`); a test holds it total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Refusal(Exception):
    """Something was refused; nothing was changed. `field` names what it is about, where it is about one member of what was
    sent; `besides` is what else would have been refused, of several things sent at once."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.field: str | None = None
        self.besides: Sequence[Refusal] = ()


class Invalid(Refusal):
    """What was sent is wrong: `field` names it (a member, a parameter, or a path such as `accounts[3].email`)."""

    field: str

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownObjectType(Invalid):
    """The organization has no records of this name."""

    def __init__(self, name: str) -> None:
        super().__init__("object", f"there are no {name} here")


class NoTargets(Invalid):
    """Nobody was named to share with."""

    def __init__(self) -> None:
        super().__init__("targets", "must name whom to share with")


class TooManyTargets(Invalid):
    """More were named than one call takes: `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__("targets", f"must be at most {limit}")
        self.limit = limit


class WrongTarget(Invalid):
    """Somebody was named with whom this can't be shared, or wrongly."""


class AccountRequired(Invalid):
    """To be shared with at once, one must be named as an account."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "needs the _id of an account")


class AcceptanceRequired(Invalid):
    """What is shared here must be accepted first."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "is not possible: what is shared here must be accepted")


class WrongAnswer(Invalid):
    """The answer to an invite's question is wrong; it counts (ruling 18)."""

    def __init__(self, field: str = "security_answer") -> None:
        super().__init__(field, "is not right")


class NoSuchPatient(Invalid):
    """No patient of the FHIR server is the one that was named: `field` says how."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "names no patient of this FHIR server")


class SeveralPatients(Invalid):
    """More than one patient of the FHIR server has the identifier that was named."""

    def __init__(self, field: str) -> None:
        super().__init__(field, "names more than one patient of this FHIR server")


class NotSignedIn(Refusal):
    """Nobody known asks."""

    def __init__(self, message: str = "Authentication required") -> None:
        super().__init__(message)


class WrongCredentials(NotSignedIn):
    """No account has this address and password together."""

    def __init__(self) -> None:
        super().__init__("Invalid email or password")


class SessionEnded(NotSignedIn):
    """The session, or the token that stands for it, is over."""

    def __init__(self, message: str = "The session has ended; sign in again") -> None:
        super().__init__(message)


class Forbidden(Refusal):
    """The caller knows of it, but may not do this; `administrators_only` if an administrator of his organization may; `field` names what he
    may not send."""

    def __init__(self, message: str, *, administrators_only: bool = False, field: str | None = None) -> None:
        super().__init__(message)
        self.administrators_only = administrators_only
        self.field = field


class WrongSide(Forbidden):
    """It is for the other organization to do."""


class AccountDisabled(Forbidden):
    """The account was disabled by the operator."""

    def __init__(self) -> None:
        super().__init__("This account is disabled")


class NotConfirmed(Forbidden):
    """The account's mailbox is not proved, and this needs it, or its first 24 hours are over (ruling 22); `field` names another's."""

    def __init__(self, field: str | None = None) -> None:
        whose = "Confirm your e-mail address first; a new link can be sent to it at any time"
        super().__init__(whose if field is None else "This account has not confirmed its e-mail address yet")
        self.field = field


class OrganizationInactive(Forbidden):
    """The caller's own organization is not active."""

    def __init__(self) -> None:
        super().__init__("Your organization is not active")


class RegistrationClosed(Forbidden):
    """New organizations are made by the operator only (ruling 28)."""

    def __init__(self) -> None:
        super().__init__("New organizations are registered by the operator of this server")


class ClientKeyRequired(Forbidden):
    """The organization wants every call to say from which application it is."""

    def __init__(self) -> None:
        super().__init__("This organization asks for a client key with every call: send Medable-Client-Key")


class SharingDisabled(Forbidden):
    """Records of this type, or this archived one, are not shared."""


class NotSharable(Forbidden):
    """The caller may not give that much: `field` names it, where it is one of several."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TargetAccessRequired(Forbidden):
    """To share at once the caller must be trusted with the target's account."""

    def __init__(self, field: str, level: int) -> None:
        super().__init__(f"Needs access level {level:d} to the account it is shared with")
        self.field = field


class NotOnesShare(Forbidden):
    """The share is another's to change or end."""

    def __init__(self) -> None:
        super().__init__("Only whoever made it, its target, or a holder of more access may do this")


class NotFound(Refusal):
    """It is not there, or not for the caller to know of: `resource` is the noun he asked for."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource[:1].upper()}{resource[1:]} not found")
        self.resource = resource


class UnknownClientKey(NotFound):
    """The organization has no such client key, or not any more."""

    def __init__(self) -> None:
        Refusal.__init__(self, "No application of this organization has this client key")
        self.resource = "app"


class UnknownCode(NotFound):
    """No open invite has this code: unknown, used, locked and expired ones, and those of others, are one (ruling 18)."""

    def __init__(self) -> None:
        Refusal.__init__(self, "There is no open invitation with this code")
        self.resource = "invite"


class DeadLink(NotFound):
    """No link that is good for this has this token: unknown, altered, used, replaced and expired ones are one."""

    def __init__(self) -> None:
        Refusal.__init__(self, "This link is not valid, or not valid any more; ask for a new one")
        self.resource = "link"


class Conflict(Refusal):
    """Not as things stand."""


class AlreadyConnected(Conflict):
    """The two organizations have a pending or approved partnership."""

    def __init__(self) -> None:
        super().__init__("Connection already exists or is pending")


class AlreadyShared(Conflict):
    """There is a share of the same with the same target already: `field` names the target."""

    def __init__(self, field: str) -> None:
        super().__init__("It is shared with this target already, or waits for it")
        self.field = field


class WrongState(Conflict):
    """The move is not open from the status it has."""


class RequestExpired(Conflict):
    """The request was not answered in time."""

    def __init__(self) -> None:
        super().__init__("The connection request has expired")


class PartnerInactive(Conflict):
    """The other organization is not active at present."""

    def __init__(self) -> None:
        super().__init__("The other organization is not active at present")


class NameTaken(Conflict):
    """A natural key (a code, an address) is somebody else's: `field` names it."""

    field: str

    def __init__(self, field: str) -> None:
        super().__init__(f"This {field} is taken")
        self.field = field


class LastAdministrator(Conflict):
    """The organization would have nobody left to administer it."""

    def __init__(self) -> None:
        super().__init__("An organization needs an administrator; make somebody else one first")


class LimitReached(Conflict):
    """A count would pass its limit."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class ActiveLimitReached(LimitReached):
    """An organization has as many active partnerships as it may have."""

    def __init__(self, limit: int, *, own: bool) -> None:
        whose = "Your organization" if own else "The other organization"
        super().__init__(f"{whose} already has the {limit} active connections that are allowed", limit)


class PendingLimitReached(LimitReached):
    """The organization waits for as many answers as it may wait for."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your organization already has the {limit} pending requests that are allowed", limit
        )


class OfferLimitReached(LimitReached):
    """The organization waits for as many colleagues as it may wait for."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your organization already has the {limit} open invitations that are allowed", limit
        )


class ServiceKeyLimitReached(LimitReached):
    """The organization has as many living service keys as it may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your organization already has the {limit} service keys that are allowed; end one first", limit
        )


class CoolingDown(Conflict):
    """Too soon after an ending: allowed again at `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class RejectionCooldown(CoolingDown):
    """The other organization rejected a request lately."""

    def __init__(self, until: datetime) -> None:
        super().__init__("This organization rejected a request recently; ask again later", until)


class TerminationCooldown(CoolingDown):
    """A connection with the other organization was terminated lately."""

    def __init__(self, until: datetime) -> None:
        super().__init__(
            "A connection with this organization was terminated recently; ask again later", until
        )


class KeyReused(Refusal):
    """The Idempotency-Key was used with another request before (ruling 27)."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request; use a new key for a new request"
        )


class Busy(Refusal):
    """Too much at once: worth trying again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many requests at once; try again shortly")
        self.retry_after = retry_after


class TooManyAttempts(Busy):
    """Tried too often: worth trying again after `retry_after` seconds, and never refused for good."""

    def __init__(self, retry_after: int) -> None:
        Refusal.__init__(self, "Too many attempts; wait a little and try again")
        self.retry_after = retry_after


class Unavailable(Refusal):
    """Something this server stands on is away: worth trying again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "The service is unavailable for the moment; nothing was changed that you were told of"
        )
        self.retry_after = retry_after


class FhirServerAway(Refusal):
    """A FHIR server can't be asked at present: worth trying again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("The FHIR server can't be reached at present; try again later")
        self.retry_after = retry_after


class FhirServerWrong(Refusal):
    """What a FHIR server answered can't be used. What it was stays between it and us."""

    def __init__(self) -> None:
        super().__init__("The FHIR server gave an answer that can't be used")


def kinds() -> set[type[Refusal]]:
    """Return every kind a refusal can be raised as: what each door's table must cover."""
    found: set[type[Refusal]] = set()
    waiting = list(Refusal.__subclasses__())
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting.extend(kind.__subclasses__())
    return found - {LimitReached, CoolingDown}
