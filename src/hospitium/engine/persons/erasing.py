"""What goes of offers of persons with whom they were about, or for: the address they were sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, and_, bindparam, cast, or_, update

from hospitium.engine.persons.record import PersonOfferStatus, person_offers
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = person_offers.c
_NOBODY = {"email": "", "email_key": cast(_c.id, Text)}
_has_ended = _c.status != PersonOfferStatus.PENDING.value
_FORGET_ADDRESS = Statement(
    update(person_offers)
    .where(
        or_(
            _c.account_id == bindparam("of_account"),
            and_(_c.email_key == bindparam("of_address"), _has_ended),
        )
    )
    .values(_NOBODY)
)
_FORGET_ALL_OF_PERSON = Statement(
    update(person_offers).where(_c.person_id == bindparam("of_person"), _has_ended).values(_NOBODY)
)


async def forget_address(ctx: Context, account_id: UUID, email_key: str) -> None:
    """Forget the address of the offers an account accepted, and of others to it that are over; that they were made stays."""
    await _FORGET_ADDRESS.run(ctx.tx, of_account=account_id, of_address=email_key)


async def forget_all_of(ctx: Context, person_id: UUID) -> None:
    """Forget the addresses of the offers of a person that are over. Called by what ends the person."""
    await _FORGET_ALL_OF_PERSON.run(ctx.tx, of_person=person_id)
