"""What may be said of a person: what is accepted is kept in one spelling, what isn't is refused by its name."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from engine.caring import a_form
from hospitium.engine.errors import Invalid
from hospitium.engine.persons.forms import Contact, ContactType, Identifier, checked

TODAY = date(2026, 3, 1)
PHONE = ContactType.PHONE


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"first_name": "  Kim "}, {"first_name": "Kim"}),
        ({"last_name": "Zoe\u0308"}, {"last_name": "Zo\u00eb"}),
        ({"middle_name": " "}, {"middle_name": None}),
        ({"birth_date": None}, {"birth_date": None}),
        ({"birth_date": "2026-03-01"}, {"birth_date": TODAY}),
        ({"birth_date": "1850-01-01"}, {"birth_date": date(1850, 1, 1)}),
        ({"birth_date": "2024-02-29"}, {"birth_date": date(2024, 2, 29)}),
        ({"state": "oh"}, {"state": "OH"}),
        ({"state": ""}, {"state": None}),
        ({"zip_code": "44101"}, {"zip_code": "44101"}),
        ({"zip_code": "441011234"}, {"zip_code": "441011234"}),
        ({"zip_code": " 44101-1234 "}, {"zip_code": "441011234"}),
        (
            {"identifiers": (Identifier("urn:x", " 1 "),)},
            {"identifiers": [{"system": "urn:x", "value": "1"}]},
        ),
        (
            {"contacts": (Contact(PHONE, "1", True), Contact(PHONE, "2", True))},
            {
                "contacts": [
                    {"type": "phone", "value": "1", "primary": True},
                    {"type": "phone", "value": "2", "primary": True},
                ]
            },
        ),
        ({"contacts": (Contact(PHONE, "1", False),) * 50}, {"city": None}),
    ],
)
def test_what_is_said_is_kept_in_one_spelling(given: dict[str, Any], kept: dict[str, Any]) -> None:
    found = checked(a_form(**given), TODAY)
    assert {name: found[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first_name": " "}, "first_name"),
        ({"last_name": ""}, "last_name"),
        ({"last_name": "x" * 201}, "last_name"),
        ({"middle_name": "a\u202eb"}, "middle_name"),
        ({"city": "a\nb"}, "city"),
        ({"address_line2": "\x07"}, "address_line2"),
        *(
            ({"birth_date": text}, "birth_date")
            for text in (
                "2026-03-02",
                "1849-12-31",
                "2023-02-29",
                "2023-13-01",
                "2023-00-10",
                "01-01-2021",
                "2021-1-1",
                "20210101",
                "2021-01-01T00:00:00Z",
                "2021-W01-1",
                "\u0662\u0660\u0662\u0661-01-01",
                "yesterday",
            )
        ),
        *(({"state": text}, "state") for text in ("O", "OHI", "O1", "\u00d6H", "O H")),
        *(
            ({"zip_code": text}, "zip_code")
            for text in (
                "4410",
                "441012",
                "44101-",
                "44101-123",
                "4410a",
                "44101 1234",
                "\u0664\u0664\u0661\u0660\u0661",
            )
        ),
        ({"identifiers": (Identifier("urn:x", "1"), Identifier(" ", "1"))}, "identifiers[1].system"),
        ({"identifiers": (Identifier("urn:x", ""),)}, "identifiers[0].value"),
        ({"contacts": (Contact(PHONE, "1", True), Contact(PHONE, "\t", True))}, "contacts[1].value"),
        ({"identifiers": (Identifier("urn:x", "1"),) * 51}, "identifiers"),
        ({"contacts": (Contact(PHONE, "1", False),) * 51}, "contacts"),
    ],
)
def test_what_can_not_be_true_is_refused_by_its_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(a_form(**given), TODAY)
    assert refused.value.field == field
