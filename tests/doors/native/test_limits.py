"""Failures are slowed, by network and by account, and nobody is locked out for good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cast import PASSWORD, House, MovableClock
from doors.conftest import Opening
from doors.native.living import EVE, OTHER_SECRET, SECRET, done, living, mail_to, registers, signs_in
from doors.native.problems import problem

ADA = "ada@northside.example"
WRONG = {"email": ADA, "password": OTHER_SECRET}
RIGHT = {"email": ADA, "password": PASSWORD}


def came_from(address: str) -> dict[str, str]:
    """The header by which the proxy in front, which is this machine, says from where a request came."""
    return {"X_Forwarded_For": address}


@pytest.fixture
async def behind(database_url: str, clock: MovableClock, tmp_path: Path) -> Any:
    """A house behind a proxy that it trusts."""
    environment = {"TRUSTED_PROXIES": "127.0.0.1", "PASSWORDS_WAITING": "1000"}
    async with House.open(database_url, clock, tmp_path / "keys", environment) as house:
        yield house


async def test_a_network_has_20_failures_a_minute_whatever_it_says_of_itself(house: House) -> None:
    for number in range(20):
        body = {"email": f"nobody{number}@mail.example", "password": SECRET}
        answered = await house.stranger.post("/v1/sessions", body, **came_from(f"203.0.113.{number}"))
        problem(answered, 401, "wrong-credentials")
    refused = await house.stranger.post("/v1/sessions", WRONG, **came_from("198.51.100.7"))
    problem(refused, 429, "too-many-attempts")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await house.stranger.post("/api/auth/login", RIGHT)).status_code == 429
    house.clock.advance(seconds=int(refused.headers["retry-after"]))
    done(await house.stranger.post("/v1/sessions", RIGHT))


async def test_who_signs_in_rightly_is_not_counted(house: House) -> None:
    for _ in range(25):
        done(await house.stranger.post("/v1/sessions", RIGHT))


async def test_an_account_takes_ten_failures_an_hour_from_strangers_and_its_holder_stays_in(
    behind: House,
) -> None:
    home = came_from("203.0.113.1")
    done(await behind.stranger.post("/v1/sessions", RIGHT, **home))
    for number in range(10):
        answered = await behind.stranger.post("/v1/sessions", WRONG, **came_from(f"198.51.100.{number}"))
        problem(answered, 401, "wrong-credentials")
    for number in (99, 100):
        refused = await behind.stranger.post("/v1/sessions", RIGHT, **came_from(f"198.51.100.{number}"))
        problem(refused, 429, "too-many-attempts")
    # The holder, at home, isn't slowed by what strangers did.
    done(await behind.stranger.post("/v1/sessions", RIGHT, **home))
    # And anywhere, after the pause that was named: not for good.
    behind.clock.advance(seconds=int(refused.headers["retry-after"]))
    done(await behind.stranger.post("/v1/sessions", RIGHT, **came_from("198.51.100.99")))


async def test_an_unknown_address_is_limited_like_a_known_one(behind: House) -> None:
    for email in (ADA, "nobody@mail.example"):
        body = {"email": email, "password": OTHER_SECRET}
        statuses = [
            (
                await behind.stranger.post("/v1/sessions", body, **came_from(f"198.51.100.{number}"))
            ).status_code
            for number in range(12)
        ]
        assert statuses == [401] * 10 + [429] * 2


async def test_tries_at_once_do_not_slip_past_the_count(behind: House) -> None:
    answers = await asyncio.gather(
        *(
            behind.stranger.post("/v1/sessions", WRONG, **came_from(f"198.51.100.{number}"))
            for number in range(40)
        )
    )
    statuses = sorted(one.status_code for one in answers)
    assert statuses == [401] * 10 + [429] * 30


async def test_a_network_of_ipv6_is_one_64(behind: House) -> None:
    statuses = [
        (
            await behind.stranger.post(
                "/v1/sessions",
                {"email": f"n{number}@mail.example", "password": SECRET},
                **came_from(f"2001:db8:1:2::{number:x}"),
            )
        ).status_code
        for number in range(1, 23)
    ]
    assert statuses == [401] * 20 + [429] * 2


async def test_dead_links_count_and_good_ones_do_not(house: House) -> None:
    for number in range(20):
        body = {"token": f"{number:032}", "password": SECRET}
        problem(await house.stranger.post("/v1/accounts/password", body), 404, "dead-link")
    body = {"token": "x" * 32, "password": SECRET}
    problem(await house.stranger.post("/v1/accounts/password", body), 429, "too-many-attempts")


async def test_a_mailbox_gets_five_mails_an_hour_in_silence_and_the_last_link_stays_good(
    house: House,
) -> None:
    await registers(house)
    mails = await house.mails(to=EVE)
    for _ in range(8):
        answered = await house.stranger.post("/v1/accounts/confirmation", {"email": EVE})
        assert done(answered, 202) == {"status": "accepted"}
        mails += await house.mails(to=EVE)
    assert len(mails) == 5
    done(await house.stranger.post("/v1/accounts/confirm", {"token": mails[-1].token, "password": SECRET}))
    house.clock.advance(minutes=12)
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    assert len(await house.mails(to=EVE)) == 1


async def test_who_registers_an_address_over_and_over_does_not_keep_its_holder_from_confirming(
    house: House,
) -> None:
    """The five mails of an hour are used up: then nothing is replaced either, and the last link in the mailbox is good."""
    await registers(house, EVE, SECRET)
    mails = await house.mails(to=EVE)
    for number in range(10):
        await registers(house, EVE, f"{OTHER_SECRET} {number}")
        mails += await house.mails(to=EVE)
    assert len(mails) == 5
    body = {"token": mails[-1].token, "password": SECRET}
    done(await house.stranger.post("/v1/accounts/claim", body))
    done(await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}))


async def test_an_unconfirmed_account_has_no_mails_sent_to_anybody(house: House) -> None:
    await registers(house)
    await house.mails()
    eve = await signs_in(house)
    for old, new in ((SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)):
        done(await eve.post("/v1/accounts/own/password", {"currentPassword": old, "password": new}))
    body = {"email": "stranger@mail.example", "password": SECRET}
    problem(await eve.post("/v1/accounts/own/email", body), 403, "not-confirmed")
    assert await house.mails() == []


async def test_notices_are_limited_and_leave_the_links_their_own_bucket(house: House) -> None:
    eve = await living(house)
    for number in range(12):
        old, new = (SECRET, OTHER_SECRET) if number % 2 == 0 else (OTHER_SECRET, SECRET)
        done(await eve.post("/v1/accounts/own/password", {"currentPassword": old, "password": new}))
    assert len(await house.mails(to=EVE)) == 5
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    assert len(await house.mails(to=EVE)) == 1


async def test_strangers_requests_do_not_use_up_what_organizations_send(house: House) -> None:
    for _ in range(8):
        done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    await house.mails()
    made = done(await house.ada.post("/v1/offers", {"email": EVE, "role": "physician"}), 201)
    token = (await mail_to(house)).token
    for _ in range(4):
        done(await house.ada.post(f"/v1/offers/{made['id']}/resend"))
        token = (await mail_to(house)).token
    # One more has no mail to go with it: it is refused, and the link that was sent stays good.
    problem(await house.ada.post(f"/v1/offers/{made['id']}/resend"), 429, "too-many-attempts")
    done(await house.stranger.post("/v1/offers/preview", {"token": token}))


async def test_an_organization_sends_fifty_offers_an_hour(house: House) -> None:
    for number in range(50):
        body = {"email": f"eve{number}@mail.example", "role": "physician"}
        done(await house.ada.post("/v1/offers", body), 201)
    body = {"email": "one-more@mail.example", "role": "physician"}
    problem(await house.ada.post("/v1/offers", body), 429, "too-many-attempts")
    house.clock.advance(seconds=72)
    done(await house.ada.post("/v1/offers", body), 201)


@pytest.mark.usefixtures("slow_hash")
async def test_a_busy_server_counts_no_failures(open_house: Opening) -> None:
    async with open_house(PASSWORDS_AT_ONCE="1", PASSWORDS_WAITING="0") as house:
        answers = await asyncio.gather(*(house.stranger.post("/v1/sessions", RIGHT) for _ in range(30)))
        assert {one.status_code for one in answers} <= {200, 429}
        assert any(one.status_code == 429 for one in answers)
        done(await house.stranger.post("/v1/sessions", RIGHT))
        (counted,) = await house.rows(
            "SELECT count(*) AS n FROM throttles WHERE free_at > $1", house.clock.now
        )
        assert counted["n"] == 0


async def test_neither_addresses_nor_networks_can_be_read_in_what_is_counted(house: House) -> None:
    await house.stranger.post("/v1/sessions", WRONG)
    done(await house.stranger.post("/v1/sessions", RIGHT))
    rows = await house.rows("SELECT key FROM throttles UNION ALL SELECT network FROM familiar_networks")
    assert all(len(row["key"]) == 32 for row in rows)
    assert b"ada" not in b"".join(row["key"] for row in rows)


async def test_full_buckets_are_forgotten(house: House) -> None:
    from hospitium.dispatch.sweeps import forget_throttles  # noqa: PLC0415

    await house.stranger.post("/v1/sessions", WRONG)
    assert len(await house.rows("SELECT 1 FROM throttles")) == 2
    house.clock.advance(hours=2)
    await house.sweep(forget_throttles)
    assert await house.rows("SELECT 1 FROM throttles") == []
