"""GET /api/organizations/search: finding whom to connect with (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cast import Caller, House, MovableClock, data, refusal
from doors.manners import BASIC, instant, only_administrators_may, partner
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.record import OrganizationType

PATH = "/api/organizations/search"


async def found(caller: Caller, **query: Any) -> list[str]:
    """Return the names found; insist on the exact total."""
    answered = data(await caller.get(PATH, limit=100, **query))
    assert answered["pagination"]["totalItems"] == len(answered["organizations"])
    return [one["name"] for one in answered["organizations"]]


async def test_each_record_holds_what_the_document_promises(house: House) -> None:
    await house.add_organization(
        "elm",
        OrganizationType.BOTH,
        name="Elm Clinic",
        npi="1234567893",
        tax_id="12-3456789",
        address="1 Elm St",
        city="Dayton",
        state="OH",
        zip_code="45402",
        phone="+1 937 555 0100",
        website="https://elm.example",
        contact_email="desk@elm.example",
    )
    answered = data(await house.ada.get(PATH, q="elm"))
    assert answered.keys() == {"organizations", "pagination"}
    assert answered["pagination"] == {"currentPage": 1, "totalPages": 1, "totalItems": 1, "itemsPerPage": 20}
    (one,) = answered["organizations"]
    assert one.keys() == BASIC | {"connectionStatus"}
    assert one == {
        "id": str(house.organizations["elm"]),
        "name": "Elm Clinic",
        "type": "both",
        "address": "1 Elm St",
        "city": "Dayton",
        "state": "OH",
        "zipCode": "45402",
        "phone": "+1 937 555 0100",
        "website": "https://elm.example",
        "connectionStatus": "not_connected",
    }


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.get(PATH))


async def test_without_a_text_it_lists_all_active_ones_but_the_own_by_name(house: House) -> None:
    await partner(house, "elm", name="élan Clinic")
    assert await found(house.ada) == ["élan Clinic", "Harbor Medical Center", "Lakeside Imaging"]
    assert await found(house.ada, q="  ") == await found(house.ada)
    assert await found(house.rui) == ["élan Clinic", "Harbor Medical Center", "Northside Family Practice"]


async def test_own_pending_and_suspended_organizations_are_never_found(house: House) -> None:
    for text in ("northside", "newcomer", "closed"):
        assert await found(house.ada, q=text) == []
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "lakeside"))
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "closed"))
    assert await found(house.ada) == ["Closed Radiology", "Harbor Medical Center"]


async def test_a_text_is_found_anywhere_in_the_name_whatever_case_and_accents(house: House) -> None:
    await partner(house, "zh", name="Zürich Röntgen AG")
    await partner(house, "st", name="Straße & Œuvre")
    for text in ("zurich", "ZÜRICH", "Zu\u0308rich", "rontg", "ÖNT", "ag", "z", "h R"):
        assert "Zürich Röntgen AG" in await found(house.ada, q=text), text
    for text in ("STRASSE", "straße", "rasse"):
        assert await found(house.ada, q=text) == ["Straße & Œuvre"], text
    for text in ("zurichx", "rontgen zurich", "zürich  röntgen"):
        assert await found(house.ada, q=text) == [], text


async def test_wildcards_are_taken_literally(house: House) -> None:
    await partner(house, "odd", name=r"100% A_B C\D Clinic")
    odd = [r"100% A_B C\D Clinic"]
    for text in ("%", "_", "\\", "0%", "a_b", r"c\d", r"100% A_B C\D", "% a"):
        assert await found(house.ada, q=text) == odd, text
    for text in ("%%%", "___", "a%b", "a_c", r"\%", r"c\\d", "L_keside", "Lake%", "*", ".*"):
        assert await found(house.ada, q=text) == [], text
    assert await found(house.ada, q="' OR 1=1 --") == []


async def test_an_npi_is_found_as_a_whole_only(house: House) -> None:
    await partner(house, "elm", name="Elm Clinic", npi="1234567893")
    assert await found(house.ada, q="1234567893") == ["Elm Clinic"]
    for text in ("123456789", "234567893", "12345678930", "1234567890"):
        assert await found(house.ada, q=text) == [], text


async def test_type_state_and_specialty_narrow_and_combine(house: House) -> None:
    await partner(house, "elm", name="Elm One", type_=OrganizationType.RADIOLOGY, state="OH", specialties=["Röntgen", "MRI"])  # fmt: skip
    await partner(house, "oak", name="Oak One", type_=OrganizationType.BOTH, state="OH", specialties=["MRI"])
    await partner(house, "ash", name="Ash Two", type_=OrganizationType.RADIOLOGY, state="TX")
    assert await found(house.ada, type="radiology") == ["Ash Two", "Elm One", "Lakeside Imaging"]
    assert await found(house.ada, state="OH") == ["Elm One", "Oak One"]
    assert await found(house.ada, state="oh") == []  # exact
    assert await found(house.ada, specialty="mri") == ["Elm One", "Oak One"]
    assert await found(house.ada, specialty="rontgen") == ["Elm One"]
    assert await found(house.ada, specialty="ront") == []  # a whole one
    assert await found(house.ada, q="one", type="both", state="OH", specialty="MRI") == ["Oak One"]
    assert await found(house.ada, q="o", type="radiology", state="TX") == ["Ash Two"]
    assert await found(house.ada, type="referring") == []  # the own one is the only one there is
    refused = refusal(await house.ada.get(PATH, type="hospital"), 400, "INVALID_PARAMETERS")
    assert refused["error"]["details"] == {"type": "must be one of referring, radiology, both"}


@pytest.mark.parametrize("query", [{}, {"q": "clinic"}, {"q": "c"}, {"state": "OH", "type": "both"}])
async def test_all_pages_together_give_each_organization_once(house: House, query: dict[str, str]) -> None:
    for number in range(45):
        # Names in threes, so that pages are cut between equals too.
        await house.add_organization(
            f"clinic-{number}", OrganizationType.BOTH, name=f"Clinic {number // 3}", state="OH"
        )
    expected = {str(house.organizations[f"clinic-{number}"]) for number in range(45)}
    if not query:
        expected |= {str(house.lakeside), str(house.harbor)}
    if query == {"q": "c"}:
        expected.add(str(house.harbor))  # Harbor Medical Center
    pages = -(-len(expected) // 7)
    walked: list[tuple[str, str]] = []
    for page in range(1, pages + 1):
        answered = data(await house.ada.get(PATH, page=page, limit=7, **query))
        assert answered["pagination"] == {
            "currentPage": page,
            "totalPages": pages,
            "totalItems": len(expected),
            "itemsPerPage": 7,
        }
        walked += [(one["name"], one["id"]) for one in answered["organizations"]]
    assert len(walked) == len(expected)
    assert {organization_id for _, organization_id in walked} == expected
    assert [name.casefold() for name, _ in walked] == sorted(name.casefold() for name, _ in walked)
    for beyond in (pages + 1, 1_000_000_000):
        answered = data(await house.ada.get(PATH, page=beyond, limit=7, **query))
        assert answered["organizations"] == []
        assert answered["pagination"] == {
            "currentPage": beyond,
            "totalPages": pages,
            "totalItems": len(expected),
            "itemsPerPage": 7,
        }


# -- connectionStatus, from both sides ---------------------------------------------------------------------------------


async def standing(house: House) -> tuple[str, str]:
    """Return how northside and lakeside stand, seen from each; search and profile must agree."""
    seen = []
    for caller, name, other in (
        (house.ada, "lakeside", house.lakeside),
        (house.rui, "northside", house.northside),
    ):
        (one,) = data(await caller.get(PATH, q=name))["organizations"]
        profile = data(await caller.get(f"/api/organizations/{other}"))
        assert profile["connectionStatus"] == one["connectionStatus"]
        seen.append(one["connectionStatus"])
    return seen[0], seen[1]


async def test_the_connection_status_follows_the_latest_connection_of_the_pair(
    house: House, clock: MovableClock
) -> None:
    nothing = ("not_connected", "not_connected")
    assert await standing(house) == nothing

    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    assert await standing(house) == ("pending_outgoing", "pending_incoming")
    data(await house.rui.does("reject", connection_id))
    assert await standing(house) == ("rejected", "not_connected")  # only the asker sees that
    data(await house.ada.does("resend", connection_id))
    assert await standing(house) == ("pending_outgoing", "pending_incoming")
    data(await house.ada.does("cancel", connection_id))
    assert await standing(house) == nothing

    connection_id = data(await house.rui.asks(house.northside), 201)["connectionId"]
    assert await standing(house) == ("pending_incoming", "pending_outgoing")
    data(await house.ada.does("approve", connection_id))
    assert await standing(house) == ("connected", "connected")
    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    assert await standing(house) == nothing

    asked = data(await house.ada.does("reestablish", connection_id))
    assert await standing(house) == ("pending_outgoing", "pending_incoming")
    expires = instant(asked["requestDate"]) + timedelta(days=90)
    clock.now = expires - timedelta(milliseconds=1)
    assert await standing(house) == ("pending_outgoing", "pending_incoming")
    clock.now = expires
    assert await standing(house) == nothing


async def test_a_rejection_stays_visible_until_something_newer_happens(
    house: House, clock: MovableClock
) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.rui.does("reject", connection_id))
    clock.advance(days=365)
    assert await standing(house) == ("rejected", "not_connected")
    data(await house.rui.asks(house.northside), 201)
    assert await standing(house) == ("pending_incoming", "pending_outgoing")


async def test_others_see_nothing_of_it(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    for verb in (None, "approve"):
        if verb:
            data(await house.rui.does(verb, connection_id))
        answered = data(await house.zoe.get(PATH))
        assert {one["connectionStatus"] for one in answered["organizations"]} == {"not_connected"}
