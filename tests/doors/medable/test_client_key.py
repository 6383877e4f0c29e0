"""The header `Medable-Client-Key`: checked whenever it is sent, and asked for where the organization says so."""

from __future__ import annotations

from uuid import UUID

import httpx

from cast import PASSWORD, Caller, House
from doors.manners import bare
from doors.medable.sharing import AT, account_of, address, defines, done, fault, makes, unchanged
from hospitium.engine.client_keys import actions as client_keys
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import ClientKeyText

KEY = "fNb8rCkQ0wUzSj3mXtYhLa"
PAT = {"email": "pat@mail.example", "access": 4}


async def has_key(house: House, text: str = KEY, code: str = "northside", name: str = "The portal") -> UUID:
    """Make a client key of an organization; return its id."""
    made = await house.operate(
        lambda ctx: client_keys.make(ctx, house.organizations[code], name, ClientKeyText(text)),
        Permission.KEEP_CLIENT_KEYS,
    )
    found: UUID = made.id
    return found


async def asks_for_keys(house: House, code: str = "northside") -> None:
    await house.rows(
        "UPDATE organizations SET requires_client_key = true WHERE id = $1 RETURNING id",
        house.organizations[code],
    )


async def sends(
    caller: Caller, method: str, path: str, key: str | None, body: bytes = b"", at: str = AT
) -> httpx.Response:
    headers = {} if key is None else {"Medable_Client_Key": key}
    return await caller.send(method, f"{at}{path}", body, Content_Type="application/json", **headers)


async def test_a_key_is_checked_whenever_one_is_sent(house: House) -> None:
    await has_key(house)
    done(await sends(house.ada, "GET", "/connections", None))
    done(await sends(house.ada, "GET", "/connections", KEY))
    before = bare(await sends(house.ada, "GET", "/connections", "x" * 22))
    for wrong in ("x" * 22, "", KEY[:-1], KEY + "0", KEY.swapcase(), KEY + " " + KEY, "x" * 5_000, "null"):
        for caller in (house.ada, house.mia, house.pat):
            refused = await sends(caller, "GET", "/connections", wrong)
            fault(refused, 404, "kNotFound", "cortex.notFound.app")
            assert bare(refused) == before, wrong
    # It isn't one of another organization.
    fault(
        await sends(house.ada, "GET", "/connections", KEY, at="/lakeside/v2"),
        404,
        "kNotFound",
        "notFound.app",
    )
    await house.must_be_sound()


async def test_where_the_organization_asks_for_one_nothing_goes_without(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await has_key(house)
    made = done(
        await sends(
            house.ada,
            "POST",
            f"/c_prescriptions/{record}/connections",
            KEY,
            b'{"targets": [{"email": "pat@mail.example", "access": 4}]}',
        )
    )
    (mail,) = await house.mails()
    await asks_for_keys(house)
    login = b'{"email": "%s", "password": "%s"}' % (address("ada").encode(), PASSWORD.encode())
    register = b'{"email": "eve@mail.example", "password": "a quiet green harbour"}'
    connection = made["data"][0]["_id"]
    asked = (
        ("GET", "/connections", b""), ("GET", f"/connections/{connection}", b""), ("GET", f"/connections/{mail.token}", b""),
        ("POST", f"/connections/{mail.token}", b""), ("DELETE", f"/connections/{connection}", b""),
        ("PATCH", f"/connections/{connection}", b'{"access": 2}'), ("GET", "/objects", b""), ("POST", "/objects", b"{}"),
        ("GET", "/c_prescriptions", b""), ("GET", f"/c_prescriptions/{record}", b""), ("POST", "/c_prescriptions", b"{}"),
        ("PUT", f"/c_prescriptions/{record}", b"{}"), ("DELETE", f"/c_prescriptions/{record}", b""),
        ("GET", f"/c_prescriptions/{record}/connections", b""), ("DELETE", f"/c_prescriptions/{record}/connections?orphaned=true", b""),
        ("GET", "/accounts/me", b""), ("GET", "/accounts", b""), ("GET", f"/accounts/{account_of(house, 'ada')}", b""),
        ("POST", "/accounts/login", login), ("POST", "/accounts/register", register), ("POST", "/accounts/me/logout", b""),
        ("POST", "/accounts/verify", b'{"token": "%s", "password": "x"}' % (b"x" * 32)),
    )  # fmt: skip
    for method, path, body in asked:
        caller = house.stranger if path.startswith(("/accounts/login", "/accounts/register")) else house.ada
        refused = await unchanged(house, sends(caller, method, path, None, body))
        fault(refused, 403, "kAccessDenied", "cortex.accessDenied.app")
        refused = await unchanged(house, sends(caller, method, path, "x" * 22, body))
        fault(refused, 404, "kNotFound", "cortex.notFound.app")
    done(await sends(house.stranger, "GET", f"/connections/{mail.token}", KEY))
    fault(
        await sends(house.stranger, "GET", f"/connections/{mail.token}", None),
        403,
        "kAccessDenied",
        "accessDenied.app",
    )
    done(await sends(house.stranger, "POST", "/accounts/login", KEY, login))
    house.http.cookies.clear()
    done(await sends(house.pat, "POST", f"/connections/{mail.token}", KEY))
    # Elsewhere nobody asks.
    done(await sends(house.ada, "GET", "/connections", None, at="/lakeside/v2"))
    await house.must_be_sound()


async def test_making_a_connection_without_one_has_a_fault_of_its_own(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await has_key(house)
    await asks_for_keys(house)
    body = b'{"targets": [{"email": "pat@mail.example", "access": 4}]}'
    for path in (
        f"/c_prescriptions/{record}/connections",
        f"/accounts/{account_of(house, 'ada')}/connections",
    ):
        refused = await unchanged(house, sends(house.ada, "POST", path, None, body))
        fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.noConnectionApp")
        refused = await unchanged(house, sends(house.ada, "POST", path, "x" * 22, body))
        fault(refused, 404, "kNotFound", "cortex.notFound.app")
        done(await sends(house.ada, "POST", path, KEY, body))
    await house.must_be_sound()


async def test_a_key_that_was_ended_is_good_no_more_and_others_are(house: House) -> None:
    first = await has_key(house)
    await has_key(house, "another-key-of-northside", name="The phone")
    await asks_for_keys(house)
    done(await sends(house.ada, "GET", "/connections", KEY))
    await house.operate(lambda ctx: client_keys.end(ctx, first), Permission.KEEP_CLIENT_KEYS)
    fault(await sends(house.ada, "GET", "/connections", KEY), 404, "kNotFound", "cortex.notFound.app")
    done(await sends(house.ada, "GET", "/connections", "another-key-of-northside"))
    assert "client_key.ended" in await house.trail(house.northside)
    await house.must_be_sound()


async def test_a_key_is_no_session_and_is_kept_nowhere(house: House) -> None:
    await has_key(house)
    fault(
        await sends(house.stranger, "GET", "/connections", KEY),
        403,
        "kNotLoggedIn",
        "accessDenied.notLoggedIn",
    )
    for table in ("client_keys", "events"):
        assert KEY not in str([dict(row) for row in await house.rows(f"SELECT * FROM {table}")])
    await house.must_be_sound()
