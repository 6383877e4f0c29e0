"""FHIR servers of an organization: set up, changed and confirmed, tested, removed; and what is never told of one (threats F-17 to F-19)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from cast import Caller, House
from clinic import JANE, PATIENTS, Clinic, add_server, load
from doors.manners import UNKNOWN, bare, everything, instant
from doors.native.living import done
from doors.native.problems import problem
from fakes import evil_fhir as evil
from fakes.authorities import Issued, authority, issued
from fakes.evil_fhir import CANARY, EvilFhir
from hospitium.doors.native.fhir_servers import TESTS_AN_HOUR
from hospitium.engine.fhir_servers import queries
from hospitium.engine.fhir_servers.authorities import authorities_in
from hospitium.engine.fhir_servers.credentials import SealedCredentials, unseal
from hospitium.engine.ids import to_object_id
from hospitium.engine.permissions import Permission

AT = "/v1/fhir-servers"
URL = "https://fhir.northside.example/r4"
TOKEN, PASSWORD = "t0ken-of-the-clinic", "a word of the clinic"
ROOT, OTHER = authority(), authority("Lakeside Root")
REMOTE = {"name": "Main", "kind": "remote", "baseUrl": URL, "credentials": {"bearerToken": TOKEN}}
PRIVATE = (
    "https://127.0.0.1/fhir", "https://10.0.0.7/fhir", "https://192.168.1.1", "https://172.16.3.4/r4", "https://[::1]/r4", "https://[fd00::1]/r4",
    "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/r4", "https://100.100.100.200/r4", "https://0.0.0.0/r4", "https://224.0.0.1/r4",
)  # fmt: skip
NO_URL = (
    "", "fhir.example", "http://fhir.example/r4", "ftp://fhir.example", "https://", "https://localhost/r4", "https://127.1/r4", "https://0x7f.1/r4",
    "https://2130706433/r4", "https://ada:word@fhir.example/r4", "https://fhir.example/r4?x=1", "https://fhir.example/r4#x", "https://fhir.example/../r4",
    "https://fhir.example/%2e%2e/r4", "https://fhir.example:22/r4", "https://fhir.exämple/r4", "https://fhir.example/a b", "file:///etc/passwd",
    "https://fhir.example/" + "x" * 8_200, "https://fhir.example\r\nX: 1/r4",
)  # fmt: skip


async def adds(caller: Caller, **more: Any) -> Any:
    return done(await caller.post(AT, {**REMOTE, **more}), 201)


async def changes(caller: Caller, server: str, **to: Any) -> httpx.Response:
    return await caller.send(
        "PATCH", f"{AT}/{server}", msgspec.json.encode(to), Content_Type="application/json"
    )


async def ends(caller: Caller, server: str) -> httpx.Response:
    return await caller.send("DELETE", f"{AT}/{server}")


async def kept(house: House, server: str) -> Any:
    """Return what is kept to be shown to a server, opened; None if nothing is."""
    sealed = await house.operate(
        lambda ctx: queries.sealed_credentials(ctx, UUID(server)), Permission.KEEP_FHIR_SERVERS
    )
    if sealed is None:
        return None
    (row,) = await house.rows("SELECT base_url FROM fhir_servers WHERE id = $1", UUID(server))
    assert isinstance(sealed, SealedCredentials)
    opened = unseal(house.parts.sealing_keys, UUID(server), row["base_url"], sealed)
    return opened.kind, opened.username, opened.secret.reveal()


# -- adding ------------------------------------------------------------------------------------------------------------


async def test_an_administrator_adds_a_remote_server_and_nobody_reads_its_credentials(house: House) -> None:
    made = await adds(house.ada, name="  Main ")
    assert made == {
        "id": made["id"],
        "organizationId": str(house.northside),
        "name": "Main",
        "kind": "remote",
        "baseUrl": URL,
        "allowsPrivateAddress": False,
        "credentialsKind": "bearer",
        "authorities": None,
        "createdAt": made["createdAt"],
        "suspendedAt": None,
    }
    instant(made["createdAt"])
    by_name = await adds(house.ada, name="Second", credentials={"user": "clinic", "password": PASSWORD})
    assert by_name["credentialsKind"] == "basic"
    assert await kept(house, made["id"]) == ("bearer", "", TOKEN)
    assert await kept(house, by_name["id"]) == ("basic", "clinic", PASSWORD)
    assert done(await house.ben.get(AT)) == {"fhirServers": [made, by_name]}
    assert done(await house.ben.get(f"{AT}/{made['id']}")) == made
    assert done(await house.ben.get(f"{AT}/{to_object_id(UUID(made['id']))}")) == made
    dump = str(await everything(house))
    assert TOKEN not in dump
    assert PASSWORD not in dump
    assert TOKEN.encode().hex() not in dump
    assert (await house.trail(house.northside))[-2:] == ["fhir_server.added", "fhir_server.added"]
    await house.must_be_sound()


async def test_a_built_in_server_has_neither_address_nor_credentials(house: House) -> None:
    made = done(await house.ada.post(AT, {"name": "Here", "kind": "built-in"}), 201)
    assert (made["kind"], made["baseUrl"], made["credentialsKind"]) == ("built-in", None, None)
    for more, field in (
        ({"baseUrl": URL}, "baseUrl"),
        ({"credentials": {"bearerToken": TOKEN}}, "credentials"),
        ({"authoritiesPem": ROOT.pem}, "authoritiesPem"),
    ):
        refused = problem(await house.ada.post(AT, {"name": "X", "kind": "built-in", **more}), 400, "invalid")
        assert refused["errors"] == [{"field": field, "detail": "belongs to a remote FHIR server"}]
        refused = problem(await changes(house.ada, made["id"], **more), 400, "invalid")
        assert refused["errors"] == [{"field": field, "detail": "belongs to a remote FHIR server"}]
    refused = problem(await house.ada.post(AT, {"name": "X", "kind": "remote"}), 400, "invalid")
    assert refused["errors"][0]["field"] == "baseUrl"
    await house.must_be_sound()


async def test_a_name_is_taken_once_in_an_organization(house: House) -> None:
    await adds(house.ada)
    before = await everything(house)
    refused = problem(await house.ada.post(AT, REMOTE | {"name": "MAIN"}), 409, "name-taken")
    assert refused["errors"] == [{"field": "name", "detail": "is taken"}]
    assert await everything(house) == before
    await adds(house.rui)


async def test_an_idempotency_key_adds_once_and_keeps_no_secret(house: House) -> None:
    first = await house.ada.post(AT, REMOTE, Idempotency_Key="one")
    again = await house.ada.post(AT, REMOTE, Idempotency_Key="one")
    assert (done(first, 201), len(done(await house.ada.get(AT))["fhirServers"])) == (done(again, 201), 1)
    problem(
        await house.ada.post(AT, REMOTE | {"name": "Other"}, Idempotency_Key="one"),
        422,
        "idempotency-key-reused",
    )
    (row,) = await house.rows("SELECT answer FROM idempotency_keys")
    assert TOKEN.encode() not in row["answer"]


@pytest.mark.parametrize("url", [*PRIVATE, *NO_URL])
async def test_an_address_that_is_not_public_or_no_address_is_refused(house: House, url: str) -> None:
    server = (await adds(house.ada))["id"]
    before = await everything(house)
    for asked in (
        house.ada.post(AT, REMOTE | {"name": "X", "baseUrl": url}),
        changes(house.ada, server, baseUrl=url),
    ):
        refused = problem(await asked, 400, "invalid")
        ((field, detail),) = [(one["field"], one["detail"]) for one in refused["errors"]]
        assert field == "baseUrl"
        if url in PRIVATE:
            assert detail == "leads to an address that is not public"
        assert "ada:word" not in str(refused)
    assert await everything(house) == before


async def test_credentials_are_a_token_or_a_user_with_a_password(house: House) -> None:
    before = await everything(house)
    for given, field in (
        ({}, ""), ({"user": "clinic"}, ""), ({"password": PASSWORD}, ""), ({"bearerToken": TOKEN, "user": "clinic"}, ""),
        ({"bearerToken": TOKEN, "user": "clinic", "password": PASSWORD}, ""), ({"bearerToken": ""}, ".bearerToken"),
        ({"bearerToken": "a b"}, ".bearerToken"), ({"bearerToken": "a\r\nX: 1"}, ".bearerToken"), ({"bearerToken": "x" * 8_001}, ".bearerToken"),
        ({"user": "a:b", "password": PASSWORD}, ".user"), ({"user": "clinic", "password": "a\nb"}, ".password"),
    ):  # fmt: skip
        refused = problem(await house.ada.post(AT, REMOTE | {"credentials": given}), 400, "invalid")
        assert [one["field"] for one in refused["errors"]] == [f"credentials{field}"], given
        assert PASSWORD not in str(refused)
        assert TOKEN not in str(refused)
    assert await everything(house) == before


# -- who may -----------------------------------------------------------------------------------------------------------


def every_way(house: House, server: str) -> list[Any]:
    return [
        lambda who: who.post(AT, REMOTE | {"name": "X"}),
        lambda who: changes(who, server, name="X"),
        lambda who: who.post(f"{AT}/{server}/confirmation"),
        lambda who: who.post(f"{AT}/{server}/test"),
        lambda who: ends(who, server),
    ]


async def test_staff_see_and_administrators_keep_and_others_do_neither(house: House) -> None:
    server = str(await add_server(house))
    before = await everything(house)
    for name, kind in (
        ("ben", "forbidden"),
        ("mia", "forbidden"),
        ("pat", "forbidden"),
        ("nia", "organization-inactive"),
    ):
        for way in every_way(house, server):
            problem(await way(house.callers[name]), 403, kind)
    for name in ("mia", "pat", "nia", "cal"):
        for path in (AT, f"{AT}/{server}"):
            assert (await house.callers[name].get(path)).status_code == 403, name
    for who in (house.stranger, Caller(house.http, "nonsense")):
        for way in (
            *every_way(house, server),
            lambda who: who.get(AT),
            lambda who: who.get(f"{AT}/{server}"),
        ):
            problem(await way(who), 401, "not-signed-in")
    assert await everything(house) == before


async def test_another_organizations_server_is_not_there(house: House) -> None:
    server = str(await add_server(house))
    before = await everything(house)
    for ask in (
        lambda which: house.rui.get(f"{AT}/{which}"),
        lambda which: changes(house.rui, which, name="X"),
        lambda which: changes(house.rui, which, baseUrl="nonsense"),
        lambda which: house.rui.post(f"{AT}/{which}/confirmation"),
        lambda which: house.rui.post(f"{AT}/{which}/test"),
        lambda which: ends(house.rui, which),
    ):
        theirs = await ask(server)
        problem(theirs, 404, "not-found")
        for unknown in (UNKNOWN, "5" * 24, "nonsense", server[:-1]):
            assert bare(await ask(unknown)) == bare(theirs), unknown
    assert done(await house.rui.get(AT)) == {"fhirServers": []}
    assert await everything(house) == before


# -- changing ----------------------------------------------------------------------------------------------------------


async def test_another_path_at_the_same_origin_suspends_and_keeps_the_credentials(house: House) -> None:
    made = await adds(house.ada)
    after = done(await changes(house.ada, made["id"], baseUrl="https://FHIR.northside.example:443/r4b/"))
    assert after["baseUrl"] == "https://fhir.northside.example/r4b"
    instant(after["suspendedAt"])
    assert after["credentialsKind"] == "bearer"
    assert await kept(house, made["id"]) == ("bearer", "", TOKEN)
    confirmed = done(await house.ada.post(f"{AT}/{made['id']}/confirmation"))
    assert confirmed == after | {"suspendedAt": None}
    problem(await house.ada.post(f"{AT}/{made['id']}/confirmation"), 409, "wrong-state")
    await house.must_be_sound()


@pytest.mark.parametrize(
    "url", ["https://fhir.northside.example.evil/r4", "https://fhir.northside.example:8443/r4", "https://northside.example/r4"]
)  # fmt: skip
async def test_at_another_origin_the_credentials_are_forgotten(house: House, url: str) -> None:
    made = await adds(house.ada)
    after = done(await changes(house.ada, made["id"], baseUrl=url))
    assert (after["credentialsKind"], after["suspendedAt"] is None) == (None, False)
    assert await kept(house, made["id"]) is None
    again = done(await changes(house.ada, made["id"], credentials={"user": "clinic", "password": PASSWORD}))
    assert (again["credentialsKind"], again["suspendedAt"]) == ("basic", after["suspendedAt"])
    assert await kept(house, made["id"]) == ("basic", "clinic", PASSWORD)
    done(await changes(house.ada, made["id"], baseUrl=URL, credentials={"bearerToken": TOKEN}))
    assert await kept(house, made["id"]) == ("bearer", "", TOKEN)
    await house.must_be_sound()


async def test_a_name_and_credentials_change_without_suspending(house: House) -> None:
    made = await adds(house.ada)
    renamed = done(await changes(house.ada, made["id"], name="Other", baseUrl=URL))
    assert renamed == made | {"name": "Other"}
    assert await kept(house, made["id"]) == ("bearer", "", TOKEN)
    assert done(await changes(house.ada, made["id"], credentials=None))["credentialsKind"] is None
    assert done(await changes(house.ada, made["id"])) == renamed | {"credentialsKind": None}
    await adds(house.ada, name="Third")
    problem(await changes(house.ada, made["id"], name="THIRD"), 409, "name-taken")


async def test_an_invite_waits_until_a_changed_address_is_confirmed(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.patient())) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        clinic = Clinic(house, server)
        assert (await clinic.invites_by_code(patient="p1")).status_code == 200
        done(await changes(house.ada, str(server), baseUrl=URL))
        # Nobody's grant on it counts, so nobody knows of it on the surface of invites.
        problem(await clinic.invites_by_code(patient="p1"), 404, "not-found")
        row = {
            "key": "1",
            "accessiblePatientId": "p1",
            "securityQuestion": "Which?",
            "securityAnswer": "That",
        }
        bulk = {"fhirServerId": str(server), "invites": [row]}
        problem(await house.ben.post("/v1/invites/bulk", bulk), 404, "not-found")
        assert len(there.heard) == 1


async def test_what_the_operator_allowed_he_allowed_of_one_address(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.statement())) as there:
        server = str(await add_server(house, base_url=there.base, allow_private_address=True))
        kept_address = done(await changes(house.ada, server, name="Other", baseUrl=there.base))
        assert (kept_address["allowsPrivateAddress"], kept_address["suspendedAt"]) == (True, None)
        refused = problem(await changes(house.ada, server, baseUrl=f"{there.base}/other"), 400, "invalid")
        assert refused["errors"][0]["field"] == "baseUrl"
        moved = done(await changes(house.ada, server, baseUrl=URL))
        assert (moved["allowsPrivateAddress"], moved["suspendedAt"] is None) == (False, False)
        problem(await changes(house.ada, server, baseUrl=there.base), 400, "invalid")


# -- whose certificates are believed (threats F-37) --------------------------------------------------------------------


def printed(*given: Issued) -> list[dict[str, Any]]:
    return [
        {
            "subject": one.certificate.subject.rfc4514_string(),
            "expiresAt": one.certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
            "sha256": one.certificate.fingerprint(SHA256()).hex(":").upper(),
        }
        for one in given
    ]


async def told_of(house: House, kind: str) -> list[dict[str, Any]]:
    rows = await house.rows("SELECT data FROM events WHERE kind = $1 ORDER BY id", kind)
    return [
        row["data"] if isinstance(row["data"], dict) else msgspec.json.decode(row["data"]) for row in rows
    ]


async def test_a_remote_server_has_authorities_of_its_own(house: House) -> None:
    typed = "\r\n" + (ROOT.pem + OTHER.pem + ROOT.pem).replace("\n", "\r\n")
    made = await adds(house.ada, authoritiesPem=typed)
    assert made["authorities"] == printed(ROOT, OTHER)
    assert done(await house.ben.get(f"{AT}/{made['id']}")) == made
    (row,) = await house.rows("SELECT authorities_pem FROM fhir_servers WHERE id = $1", UUID(made["id"]))
    assert row["authorities_pem"] == ROOT.pem + OTHER.pem
    assert [one.get("authorities") for one in await told_of(house, "fhir_server.added")] == [2]
    for to, authorities in (
        ({"authoritiesPem": OTHER.pem}, printed(OTHER)),
        ({"name": "Other"}, printed(OTHER)),
        ({"credentials": None}, printed(OTHER)),
        ({"authoritiesPem": OTHER.pem}, printed(OTHER)),
        ({"baseUrl": f"{URL}/b"}, printed(OTHER)),
        ({"baseUrl": "https://fhir.lakeside.example/r4"}, printed(OTHER)),
        ({"authoritiesPem": None}, None),
        ({"authoritiesPem": None}, None),
    ):
        after = done(await changes(house.ada, made["id"], **to))
        assert after["authorities"] == authorities, to
    told = await told_of(house, "fhir_server.changed")
    assert [one.get("authorities") for one in told] == [1, None, None, None, None, None, 0, None]
    await house.must_be_sound()


async def test_other_authorities_suspend_nothing_and_leave_the_credentials(house: House) -> None:
    made = await adds(house.ada)
    after = done(await changes(house.ada, made["id"], authoritiesPem=ROOT.pem))
    assert after == made | {"authorities": printed(ROOT)}
    assert await kept(house, made["id"]) == ("bearer", "", TOKEN)


async def test_authorities_that_are_none_are_refused_and_not_repeated(house: House) -> None:
    server = (await adds(house.ada, authoritiesPem=ROOT.pem))["id"]
    before = await everything(house)
    for text, says in (
        ("", "must be certificates in PEM"),
        ("the usual ones", "must be certificates in PEM"),
        (ROOT.key_pem, "must not hold a private key"),
        (ROOT.pem + ROOT.key_pem, "must not hold a private key"),
        (issued(ROOT).pem, "certificate 1 is no authority's"),
        (ROOT.pem + ROOT.pem.replace("MII", "MIJ"), "certificate 2 can't be read"),
        (ROOT.pem * 21, "must hold at most 20 certificates"),
        (" " * 65_537, "must be at most 65,536 characters long"),
    ):
        for asked in (
            house.ada.post(AT, REMOTE | {"name": "X", "authoritiesPem": text}),
            changes(house.ada, server, authoritiesPem=text),
        ):
            answered = await asked
            ((field, detail),) = [
                (one["field"], one["detail"]) for one in problem(answered, 400, "invalid")["errors"]
            ]
            assert field == "authoritiesPem"
            assert detail.startswith(says), text
            assert "MII" not in answered.text
    assert await everything(house) == before


async def test_authorities_of_whom_none_is_good_any_more_are_refused(house: House) -> None:
    over = authority(days=(-900, -600))  # by the clock of the house, too
    server = str(await add_server(house, base_url=URL))
    for given, expected in ((over.pem, 400), (over.pem + ROOT.pem, 200)):
        answered = await changes(house.ada, server, authoritiesPem=given)
        assert answered.status_code == expected
        if expected == 400:
            assert "expired on" in answered.text
            assert "authoritiesPem" in answered.text
    # What expired where it is doesn't stand in the way of other changes.
    await house.rows("UPDATE fhir_servers SET authorities_pem = $1", over.pem)
    done(await changes(house.ada, server, name="Renamed"))
    assert (await changes(house.ada, server, baseUrl="https://elsewhere.example/fhir")).status_code == 400


async def test_a_server_is_believed_by_its_authorities_alone(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.statement()), tls=issued(ROOT).server()) as there:
        server = str(await add_server(house, base_url=secure(there), allow_private_address=True))
        problem(await house.ada.post(f"{AT}/{server}/test"), 503, "fhir-server-away")
        for not_its_own in (OTHER, authority()):
            done(await changes(house.ada, server, authoritiesPem=not_its_own.pem))
            problem(await house.ada.post(f"{AT}/{server}/test"), 503, "fhir-server-away")
        assert there.heard == []
        done(await changes(house.ada, server, authoritiesPem=ROOT.pem, credentials={"bearerToken": TOKEN}))
        assert done(await house.ada.post(f"{AT}/{server}/test"))["fhirVersion"] == "4.0.1"
        # What another server believes is of no use to this one.
        done(await changes(house.ada, server, authoritiesPem=None))
        await add_server(
            house, name="Beside", base_url=URL, authorities=authorities_in("authorities_pem", ROOT.pem)
        )
        problem(await house.ada.post(f"{AT}/{server}/test"), 503, "fhir-server-away")
    assert len(there.heard) == 1


async def test_inviting_and_reading_go_to_who_is_believed_alone(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.patient()), tls=issued(ROOT).server()) as there:
        server = await add_server(house, base_url=secure(there), allow_private_address=True)
        clinic = Clinic(house, server)
        for believed, status in ((OTHER, 503), (ROOT, 200)):
            done(await changes(house.ada, str(server), authoritiesPem=believed.pem))
            assert (await clinic.invites_by_code(patient="p1")).status_code == status
            assert (await house.ben.get(f"/fhir/{server}/Patient/p1")).status_code == status
            assert len(there.heard) == (0 if status == 503 else 2)


def secure(there: EvilFhir) -> str:
    return there.base.replace("http://", "https://")


# -- testing -----------------------------------------------------------------------------------------------------------


async def test_a_server_says_what_it_is(house: House) -> None:
    named = evil.statement(software={"name": "HAPI", "version": "8"})
    async with EvilFhir.open(evil.resource(named)) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        assert done(await house.ada.post(f"{AT}/{server}/test")) == {
            "fhirVersion": "4.0.1",
            "software": "HAPI 8",
        }
        done(await changes(house.ada, str(server), credentials={"user": "clinic", "password": PASSWORD}))
        done(await house.ada.post(f"{AT}/{server}/test"))
    assert there.targets == ["/fhir/metadata"] * 2
    first, second = (heard.header("Authorization") for heard in there.heard)
    assert first is None
    assert second is not None
    assert second.startswith("Basic ")
    built_in = await add_server(house, name="Here")
    said = done(await house.ada.post(f"{AT}/{built_in}/test"))
    assert said["fhirVersion"] == "4.0.1"
    assert said["software"].startswith("Hospitium ")


@pytest.mark.parametrize(
    ("does", "status", "kind"),
    [
        (evil.answering(CANARY.encode(), content_type="text/html"), 502, "fhir-server-wrong"),
        (evil.answering(CANARY.encode(), status="500 Oops"), 502, "fhir-server-wrong"),
        (evil.answering(status="302 Found", headers=[("Location", f"https://{CANARY}.example/")]), 502, "fhir-server-wrong"),
        (evil.answering(status=f"401 {CANARY}"), 502, "fhir-server-wrong"),
        (evil.resource(evil.outcome()), 502, "fhir-server-wrong"),
        (evil.resource(evil.statement(fhirVersion="5.0.0")), 502, "fhir-server-wrong"),
        (evil.endless(), 502, "fhir-server-wrong"),
        (evil.hang_up, 503, "fhir-server-away"),
        (evil.answering(CANARY.encode(), status="503 Busy"), 503, "fhir-server-away"),
    ],
)  # fmt: skip
async def test_what_a_broken_server_says_is_told_to_nobody(
    house: House, does: Any, status: int, kind: str
) -> None:
    async with EvilFhir.open(does) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        answered = await house.ada.post(f"{AT}/{server}/test")
    problem(answered, status, kind)
    assert CANARY not in answered.text
    assert str(there.port) not in answered.text
    assert ("retry-after" in answered.headers) == (status == 503)


async def test_a_name_that_leads_into_a_private_network_is_answered_as_one_nobody_has(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"inside.northside.example": ["10.1.2.3"], "outside.northside.example": []}

    async def resolve(host: str, port: int) -> list[str]:
        return names[host]

    monkeypatch.setattr(house.parts.egress, "_names", resolve)
    told = []
    for host in names:
        server = (await adds(house.ada, name=host, baseUrl=f"https://{host}/r4"))["id"]
        answered = await house.ada.post(f"{AT}/{server}/test")
        problem(answered, 503, "fhir-server-away")
        told.append(bare(answered))
    assert told[0] == told[1]


async def test_an_organization_has_so_many_tests_an_hour(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.statement())) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        for _ in range(TESTS_AN_HOUR.burst):
            done(await house.ada.post(f"{AT}/{server}/test"))
        problem(await house.ada.post(f"{AT}/{server}/test"), 429, "too-many-attempts")
        house.clock.advance(minutes=2)
        done(await house.ada.post(f"{AT}/{server}/test"))


async def test_credentials_that_cant_be_opened_are_sent_to_nobody(house: House) -> None:
    async with EvilFhir.open(evil.resource(evil.statement())) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        done(await changes(house.ada, str(server), credentials={"bearerToken": TOKEN}))
        # As if somebody had written another address into the row.
        await house.rows(
            "UPDATE fhir_servers SET base_url = replace(base_url, '127.0.0.1', 'localhost') RETURNING id"
        )
        problem(await house.ada.post(f"{AT}/{server}/test"), 502, "fhir-server-wrong")
    assert there.connections == 0


# -- removing ----------------------------------------------------------------------------------------------------------


async def test_a_removed_server_is_gone_with_its_invites_and_credentials(house: House) -> None:
    server = await add_server(house)
    await load(house, server, *PATIENTS)
    clinic = Clinic(house, server)
    made = (await clinic.invites_by_code(patient=JANE)).json()
    remote = await adds(house.ada, authoritiesPem=ROOT.pem)
    for which in (str(server), remote["id"]):
        assert done(await ends(house.ada, which)) == {"status": "done"}
        problem(await ends(house.ada, which), 404, "not-found")
        problem(await house.ben.get(f"{AT}/{which}"), 404, "not-found")
        problem(await changes(house.ada, which, name="X"), 404, "not-found")
        problem(await house.ada.post(f"{AT}/{which}/test"), 404, "not-found")
    assert done(await house.ada.get(AT)) == {"fhirServers": []}
    (row,) = await house.rows("SELECT status FROM invites WHERE id = $1", UUID(made["id"]))
    assert row["status"] == "withdrawn"
    left = "sealed_credentials IS NOT NULL OR authorities_pem IS NOT NULL"
    assert await house.rows(f"SELECT id FROM fhir_servers WHERE {left}") == []
    await adds(house.ada)
    await house.must_be_sound()
