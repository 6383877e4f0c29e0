"""What is kept of a read of a FHIR server: an event, which names nothing but ids.

Each read, and each that was refused, is an event of its own (`EventKind.FHIR_READ`, `FHIR_READ_REFUSED`), about the FHIR server. It stands in
the trails of the server's organization, of whoever read, of every person that has a grant on a patient concerned, and of the patients
themselves, who have no account: a party of their own, derived from server and id.

That a FHIR server gave what was not to be shown is an event beside it (`FHIR_LEFT_OUT`), for its organization alone: to the reader, how much
there is would say something of others (threats F-07, F-31).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

import msgspec

from hospitium.engine.actor import ActorKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from hospitium.engine.actor import Actor

_DIGITS = 32  # of the hash: 128 bits


class Interaction(StrEnum):
    """How something was read."""

    READ = "read"  # one resource
    SEARCH = "search"
    EVERYTHING = "everything"  # all of one patient
    PAGE = "page"  # a further one, of a search or of everything


class Read(msgspec.Struct, frozen=True):
    """A read, or one that was refused."""

    server_id: UUID
    organization_id: UUID  # whose the server is
    interaction: Interaction
    type: str  # of the resources asked for
    # Whose resources are shown. Of a refused read: those whom the caller named himself; they are told to nobody but the server's organization.
    patient_ids: Sequence[str]
    resource_id: str | None = None  # of the one resource that is read
    count: int = 0  # of resources shown
    left_out: int = 0  # of what the FHIR server gave besides
    tried: Sequence[
        str
    ] = ()  # patients that the caller named and may not read: told to the server's organization alone
    grant_ids: Sequence[UUID] = ()  # by which the patients may be read
    for_organizations: Sequence[UUID] = ()  # that have these grants: whoever works for one reads for it
    for_persons: Sequence[UUID] = ()  # likewise; others may have a grant on the same patient
    query_digest: str | None = None  # `digest_of` what was asked
    refused: str | None = None  # the kind of the refusal


class Reading(NamedTuple):
    """A read, and who reads."""

    actor: Actor
    read: Read


def digest_of(key: bytes, type_: str, asked: object) -> str:
    """Return a keyed hash of what was asked (plain values): the same question has the same, and without the key nobody can try out
    which it was."""
    text = msgspec.json.encode(("read", type_, asked))
    return hmac.digest(key, text, "sha256").hex()[:_DIGITS]


def as_whom(actor: Actor, organizations: Collection[UUID]) -> Actor:
    """Return an actor as the trail names him, where some organizations are concerned.

    Who reads for himself, by what he was granted as a person or an account, is nobody's staff there: that somebody's employee is a
    patient elsewhere stands in no trail of his employer's.
    """
    if actor.kind is ActorKind.SERVICE_KEY or actor.organization_id in organizations:
        return actor
    return msgspec.structs.replace(actor, organization_id=None)


def party_of_patient(server_id: UUID, patient_id: str) -> UUID:
    """Return by what a patient of a FHIR server is named in the trail."""
    return uuid5(server_id, patient_id)
