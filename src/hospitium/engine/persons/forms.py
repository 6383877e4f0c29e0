"""What may be said of a person: which names, dates, addresses, identifiers and contacts are accepted."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from hospitium.engine.errors import Invalid
from hospitium.engine.persons.record import Gender
from hospitium.engine.text import line, optional_line

EARLIEST_BIRTH = date(1850, 1, 1)
MOST_LISTED = 50
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZIP_CODE = re.compile(r"([0-9]{5})(?:-?([0-9]{4}))?")


class ContactType(StrEnum):
    PHONE = "phone"
    FAX = "fax"
    EMAIL = "email"
    PAGER = "pager"
    URL = "url"
    SMS = "sms"
    OTHER = "other"


class Identifier(msgspec.Struct, frozen=True):
    """What a system calls a person, such as a clinic's number of its records."""

    system: str
    value: str


class Contact(msgspec.Struct, frozen=True):
    """How a person is reached; `primary`: first of all."""

    type: ContactType
    value: str
    primary: bool


class PersonForm(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a person, as it was typed (contract bluebutton.md §3.4); `birth_date` is YYYY-MM-DD."""

    first_name: str
    last_name: str
    gender: Gender
    middle_name: str | None = None
    birth_date: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    contacts: tuple[Contact, ...] = ()


def checked(form: PersonForm, today: date) -> dict[str, Any]:
    """Return what a form says as a row has it, by column. Raises Invalid, naming the field, such as `contacts[2].value`.

    Names and addresses are trimmed lines of at most 200 characters. A state becomes upper case; of a ZIP code, its 5 or 9
    digits are kept.
    """
    return {
        "first_name": line("first_name", form.first_name),
        "middle_name": optional_line("middle_name", form.middle_name),
        "last_name": line("last_name", form.last_name),
        "gender": form.gender.value,
        "birth_date": _birth_date(form.birth_date, today),
        "address_line1": optional_line("address_line1", form.address_line1),
        "address_line2": optional_line("address_line2", form.address_line2),
        "city": optional_line("city", form.city),
        "state": _state(form.state),
        "zip_code": _zip_code(form.zip_code),
        "identifiers": [
            {
                "system": line(f"identifiers[{place}].system", one.system),
                "value": line(f"identifiers[{place}].value", one.value),
            }
            for place, one in enumerate(_few("identifiers", form.identifiers))
        ],
        "contacts": [
            {
                "type": one.type.value,
                "value": line(f"contacts[{place}].value", one.value),
                "primary": one.primary,
            }
            for place, one in enumerate(_few("contacts", form.contacts))
        ],
    }


def _birth_date(given: str | None, today: date) -> date | None:
    text = optional_line("birth_date", given)
    if text is None:
        return None
    if _DATE.fullmatch(text) is None:
        raise Invalid("birth_date", "must be a date, such as 1985-01-31")
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Invalid("birth_date", "is no day there is") from None
    if not EARLIEST_BIRTH <= found <= today:
        raise Invalid("birth_date", f"must be between {EARLIEST_BIRTH.isoformat()} and today")
    return found


def _state(given: str | None) -> str | None:
    text = optional_line("state", given)
    if text is None:
        return None
    if re.fullmatch("[A-Za-z]{2}", text) is None:
        raise Invalid("state", "must be two letters, such as OH")
    return text.upper()


def _zip_code(given: str | None) -> str | None:
    text = optional_line("zip_code", given)
    if text is None:
        return None
    found = _ZIP_CODE.fullmatch(text)
    if found is None:
        raise Invalid("zip_code", "must be 5 or 9 digits")
    return "".join(filter(None, found.groups()))


def _few(field: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(given) > MOST_LISTED:
        raise Invalid(field, f"must be at most {MOST_LISTED}")
    return given
