"""Targets with `startsAt` and `endsAt`: what they are given begins and ends by the clock, whoever sweeps when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cast import Caller, House
from doors.medable.sharing import (
    AT,
    accepts,
    access,
    account_of,
    address,
    at_instant,
    connected,
    defines,
    done,
    fault,
    listed,
    makes,
    moment,
    offers,
    on_it,
    shares,
    token_of,
    unchanged,
    writes,
)
from hospitium.dispatch.sweeps import expire_one_share

MICROSECOND = timedelta(microseconds=1)
PAT: dict[str, Any] = {"email": "pat@mail.example", "access": 4}


def spelled(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def printed(at: datetime) -> datetime:
    """Return an instant as it is printed: to the millisecond, though it is kept to the microsecond."""
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000)


async def access_at(house: House, caller: Caller, record: str, instant: datetime) -> int:
    at_instant(house, instant)
    return await access(caller, record)


async def test_it_begins_and_ends_to_the_microsecond_without_any_sweep(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    starts, ends = (
        house.clock.now + timedelta(days=2),
        house.clock.now + timedelta(days=4, microseconds=123_457),
    )
    made = await offers(house.ada, record, PAT | {"startsAt": spelled(starts), "endsAt": spelled(ends)})
    assert moment(made["startsAt"]) == printed(starts)
    assert moment(made["endsAt"]) == printed(ends)
    accepted = await accepts(house.pat, made["_id"])
    assert accepted["state"] == 1
    assert await access(house.pat, record) == 0
    for instant, level in (
        (starts - MICROSECOND, 0),
        (starts, 4),
        (ends - MICROSECOND, 4),
        (ends, 0),
        (ends + timedelta(days=1), 0),
    ):
        assert await access_at(house, house.pat, record, instant) == level, instant
        at_instant(house, instant)
        found = done(await house.pat.get(f"{AT}/c_prescriptions"))["data"]
        assert [one["_id"] for one in found] == ([record] if level else []), instant
        at_instant(house, instant)
        shown = await house.pat.get(f"{AT}/connections/{made['_id']}")
        assert shown.status_code == (200 if instant < ends else 404)
        at_instant(house, instant)
        assert await listed(house.ada) == ([made["_id"]] if instant < ends else [])
    await house.must_be_sound()


async def test_the_sweep_only_writes_down_what_was_true_already(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    ends = house.clock.now + timedelta(days=1)
    await connected(house.ada, record, house.mia, address("mia"), 4)
    made = await offers(house.ada, record, PAT | {"access": 5, "endsAt": spelled(ends)})
    await accepts(house.pat, made["_id"])
    under = await connected(house.pat, record, house.zoe, address("zoe"), 4)
    waiting = await offers(house.ada, record, {"email": address("rui"), "access": 4})
    await house.sweep(expire_one_share)
    assert await access(house.pat, record) == 5
    house.clock.now = ends
    assert [await access(one, record) for one in (house.pat, house.zoe, house.mia)] == [0, 0, 4]
    await house.sweep(expire_one_share)
    await house.must_be_sound()
    rows = await house.rows("SELECT target_email, status FROM shares")
    found = {row["target_email"].partition("@")[0]: row["status"] for row in rows}
    assert found == {
        "mia": "active",
        "pat": "expired",
        "zoe": found["zoe"],
        "rui": "pending",
    }
    # Its window closed at the same instant: by itself, or with what it was made under.
    assert found["zoe"] in ("expired", "revoked")
    house.clock.advance(days=7)
    await house.sweep(expire_one_share)
    rows = await house.rows("SELECT status FROM shares WHERE ended_at IS NULL")
    assert [row["status"] for row in rows] == ["active"]
    assert "share.expired" in await house.trail(house.accounts["pat"])
    for one in (under, waiting["_id"]):
        fault(await house.ada.get(f"{AT}/connections/{one}"), 404, "kNotFound")
    await house.must_be_sound()


async def test_what_is_made_under_one_ends_with_it_at_the_latest(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    ends = house.clock.now + timedelta(days=10)
    made = await offers(house.ada, record, {"email": address("ben"), "access": 5, "endsAt": spelled(ends)})
    await accepts(house.ben, made["_id"])
    for name, asked, granted in (
        ("pat", None, ends),
        ("mia", ends + timedelta(days=5), ends),
        ("zoe", ends - timedelta(days=5), ends - timedelta(days=5)),
    ):
        now = house.clock.now
        window = {} if asked is None else {"endsAt": spelled(asked)}
        one = await offers(house.ben, record, {"email": address(name), "access": 4, **window})
        assert moment(one["endsAt"]) == printed(granted), name
        await accepts(house.callers[name], one["_id"])
        assert await access_at(house, house.callers[name], record, granted - MICROSECOND) == 4
        assert await access_at(house, house.callers[name], record, granted) == 0
        house.clock.now = now
    late = {"email": address("rui"), "access": 4, "startsAt": spelled(ends)}
    refused = await unchanged(house, shares(house.ben, record, late))
    assert fault(refused, 400, "kInvalidArgument", "connectionTarget")["path"] == "targets[0].startsAt"
    await house.must_be_sound()


async def test_nobody_shares_on_before_or_after_his_own_window(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    starts, ends = house.clock.now + timedelta(days=1), house.clock.now + timedelta(days=2)
    target = {
        "_id": account_of(house, "ben"),
        "access": 5,
        "startsAt": spelled(starts),
        "endsAt": spelled(ends),
    }
    made = await offers(house.ada, record, target)
    await accepts(house.ben, made["_id"])
    fault(await unchanged(house, shares(house.ben, record, PAT)), 404, "kNotFound", "notFound.instance")
    house.clock.now = starts
    done(await shares(house.ben, record, PAT))
    house.clock.now = ends
    refused = await unchanged(house, shares(house.ben, record, {"email": address("mia"), "access": 4}))
    fault(refused, 404, "kNotFound", "notFound.instance")
    assert await listed(house.pat) == []
    # Its target may be asked anew, though nobody has swept.
    again = await offers(house.ada, record, {"_id": account_of(house, "ben"), "access": 5})
    await accepts(house.ben, again["_id"])
    assert [one["_id"] for one in await on_it(house.ada, record)] == [again["_id"]]
    await house.must_be_sound()


async def test_it_can_not_be_accepted_after_its_end_nor_after_7_days_before_its_beginning(
    house: House,
) -> None:
    await defines(house)
    record = await makes(house.ada)
    ends = house.clock.now + timedelta(hours=1)
    short = await offers(house.ada, record, PAT | {"endsAt": spelled(ends)})
    token = await token_of(house.pat, short["_id"])
    at_instant(house, ends)
    refused = await unchanged(house, house.pat.send("POST", f"{AT}/connections/{token}"))
    fault(refused, 400, "kInvalidArgument", "connectionToken")
    assert await listed(house.pat) == []
    later = await offers(house.ada, record, PAT | {"startsAt": spelled(ends + timedelta(days=30))})
    token = await token_of(house.pat, later["_id"])
    house.clock.advance(days=8)
    fault(
        await house.pat.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    await house.must_be_sound()


async def test_what_is_active_at_once_has_its_window_too(house: House) -> None:
    await defines(house, connectionOptions={"requireAccept": False})
    record = await makes(house.ada)
    starts, ends = house.clock.now + timedelta(days=1), house.clock.now + timedelta(days=2)
    made = await offers(
        house.ada,
        record,
        {
            "_id": account_of(house, "pat"),
            "access": 4,
            "auto": True,
            "startsAt": spelled(starts),
            "endsAt": spelled(ends),
        },
    )
    assert made["state"] == 1
    for instant, level in ((starts - MICROSECOND, 0), (starts, 4), (ends - MICROSECOND, 4), (ends, 0)):
        assert await access_at(house, house.pat, record, instant) == level
    await house.sweep(expire_one_share)
    await house.must_be_sound()


async def test_it_refuses_windows_that_are_none(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    now = house.clock.now
    future, past = spelled(now + timedelta(days=1)), spelled(now - timedelta(days=1))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"endsAt": past}, "endsAt"),
        ({"endsAt": spelled(now)}, "endsAt"),
        ({"startsAt": future, "endsAt": future}, "endsAt"),
        ({"startsAt": spelled(now + timedelta(days=2)), "endsAt": future}, "endsAt"),
        ({"endsAt": "2036-01-01T00:00:00"}, "endsAt"),  # no offset
        ({"startsAt": "2036-01-01T00:00:00"}, "startsAt"),
        ({"endsAt": "2036-01-01"}, "endsAt"),
        ({"endsAt": "01-01-2036"}, "endsAt"),
        ({"endsAt": "2036-02-30T00:00:00Z"}, "endsAt"),
        ({"endsAt": 2_000_000_000}, "endsAt"),
        ({"endsAt": ""}, "endsAt"),
        ({"endsAt": "9999-12-31T23:59:59-23:59"}, "endsAt"),
        ({"startsAt": "0001-01-01T00:00:00+23:59"}, "startsAt"),
    ]
    for window, member in wrong:
        refused = await unchanged(house, shares(house.ada, record, PAT | window))
        answered = fault(refused, 400, "kInvalidArgument", "connectionTarget")
        assert answered["path"].endswith(f".{member}"), window
    # An offset is as good as Z, and what began already begins now.
    made = await offers(house.ada, record, PAT | {"startsAt": past, "endsAt": "2026-03-02T14:00:00+02:00"})
    assert moment(made["endsAt"]).isoformat() == "2026-03-02T12:00:00+00:00"
    await accepts(house.pat, made["_id"])
    assert await access(house.pat, record) == 4
    await house.must_be_sound()


async def test_another_level_keeps_the_window(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    ends = house.clock.now + timedelta(days=1)
    made = await offers(house.ada, record, PAT | {"endsAt": spelled(ends)})
    done(await writes(house.ada, "PATCH", f"/connections/{made['_id']}", {"access": 2}))
    await accepts(house.pat, made["_id"])
    changed = done(await writes(house.ada, "PATCH", f"/connections/{made['_id']}", {"access": 5}))
    assert moment(changed["endsAt"]) == printed(ends)
    assert await access_at(house, house.pat, record, ends - MICROSECOND) == 5
    assert await access_at(house, house.pat, record, ends) == 0
    await house.must_be_sound()
