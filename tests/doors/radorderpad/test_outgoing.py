"""GET /api/connections/outgoing: the requests the own organization sent (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from datetime import timedelta

from cast import Caller, House, MovableClock, connected, data, refusal
from doors.manners import BASIC, PAGINATION, instant, only_administrators_may, partner

PATH = "/api/connections/outgoing"


async def of_status(caller: Caller, status: str | None = None) -> list[str]:
    query = {} if status is None else {"status": status}
    answered = data(await caller.get(PATH, **query))
    assert answered["pagination"]["totalItems"] == len(answered["connections"])
    return [one["id"] for one in answered["connections"]]


async def test_each_record_holds_what_the_document_promises(house: House) -> None:
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)
    listed = data(await house.ada.get(PATH))
    assert listed.keys() == {"connections", "pagination"}
    assert listed["pagination"] == {"currentPage": 1, "totalPages": 1, "totalItems": 1, "itemsPerPage": 20}
    (one,) = listed["connections"]
    assert one.keys() == {
        "id",
        "status",
        "requestDate",
        "responseDate",
        "targetOrganization",
        "message",
        "responseMessage",
    }
    assert (one["id"], one["status"], one["message"]) == (asked["connectionId"], "pending_approval", "Hello")
    assert one["requestDate"] == asked["requestDate"]
    assert (one["responseDate"], one["responseMessage"]) == (None, None)
    assert one["targetOrganization"].keys() == BASIC

    data(await house.rui.does("reject", one["id"], {"responseMessage": "No"}))
    (one,) = data(await house.ada.get(PATH))["connections"]
    assert (one["status"], one["responseMessage"]) == ("rejected", "No")
    assert instant(one["responseDate"])


async def test_it_is_empty_for_who_asked_nobody_and_blind_to_what_was_received(house: House) -> None:
    data(await house.ada.asks(house.lakeside), 201)
    for caller in (house.rui, house.zoe):
        listed = data(await caller.get(PATH))
        assert listed == {
            "connections": [],
            "pagination": {"currentPage": 1, "totalPages": 0, "totalItems": 0, "itemsPerPage": 20},
        }


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.get(PATH))


async def test_status_chooses_and_the_clock_decides_what_is_expired(
    house: House, clock: MovableClock
) -> None:
    admins = {name: await partner(house, name) for name in ("elm", "oak", "ash", "fir", "yew")}
    asked = {
        name: data(await house.ada.asks(house.organizations[name]), 201)["connectionId"] for name in admins
    }
    data(await admins["oak"].does("approve", asked["oak"]))
    data(await admins["ash"].does("reject", asked["ash"]))
    data(await house.ada.does("cancel", asked["fir"]))
    data(await admins["yew"].does("approve", asked["yew"]))
    data(await admins["yew"].does("terminate", asked["yew"], {"reason": "Over"}))

    newest_first = [asked[name] for name in ("yew", "fir", "ash", "oak", "elm")]
    assert await of_status(house.ada) == await of_status(house.ada, "all") == newest_first
    for status, name in (
        ("pending_approval", "elm"),
        ("pending", "elm"),
        ("approved", "oak"),
        ("rejected", "ash"),
        ("canceled", "fir"),
        ("terminated", "yew"),
    ):
        assert await of_status(house.ada, status) == [asked[name]], status
    assert await of_status(house.ada, "expired") == []

    clock.advance(days=90)
    assert await of_status(house.ada, "pending_approval") == []
    assert await of_status(house.ada, "expired") == [asked["elm"]]
    assert await of_status(house.ada) == newest_first
    assert data(await house.ada.get(PATH))["connections"][-1]["status"] == "expired"


async def test_an_unknown_status_is_refused_naming_the_known_ones(house: House) -> None:
    for status in ("nonsense", "APPROVED", "active", "pending_approval "):
        answered = await house.ada.get(PATH, status=status)
        if status.strip() == "pending_approval":
            data(answered)
            continue
        refused = refusal(answered, 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"] == {
            "status": "must be one of all, pending, pending_approval, approved, rejected, canceled, expired, terminated"
        }


async def test_all_pages_together_give_each_connection_once_newest_first(
    house: House, clock: MovableClock
) -> None:
    asked = []
    for number in range(13):
        admin = await partner(house, f"partner-{number}")
        asked.append(await connected(house.ada, house.organizations[f"partner-{number}"], admin))
        clock.advance(seconds=1)
    for limit, pages in ((1, 13), (5, 3), (13, 1), (100, 1)):
        walked: list[str] = []
        for page in range(1, pages + 1):
            listed = data(await house.ada.get(PATH, page=page, limit=limit))
            assert listed["pagination"].keys() == PAGINATION
            assert listed["pagination"] == {
                "currentPage": page,
                "totalPages": pages,
                "totalItems": 13,
                "itemsPerPage": limit,
            }
            walked += [one["id"] for one in listed["connections"]]
        assert walked == asked[::-1], limit
        for beyond in (pages + 1, 1_000_000_000):
            listed = data(await house.ada.get(PATH, page=beyond, limit=limit))
            assert listed["connections"] == []
            assert listed["pagination"] == {
                "currentPage": beyond,
                "totalPages": pages,
                "totalItems": 13,
                "itemsPerPage": limit,
            }


async def test_a_resend_makes_it_the_newest(house: House, clock: MovableClock) -> None:
    first = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    second = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    data(await house.rui.does("reject", first))
    assert await of_status(house.ada) == [second, first]
    clock.now += timedelta(seconds=1)
    data(await house.ada.does("resend", first))
    assert await of_status(house.ada) == [first, second]
