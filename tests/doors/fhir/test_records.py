"""Nothing is shown that is not on record, and who is no more who he was is shown to nobody (threats F-20; DESIGN §3.9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from clinic import JANE, JIMMY, body
from doors.fhir.ward import CANARY, JANES, Upstream, Ward, remote
from fakes.evil_fhir import EvilFhir, answering, entry, outcome, page, resource
from hospitium.doors import reading, recording
from hospitium.storage.database import Database, DatabaseUnavailable
from hospitium.storage.statements import Query, Statement

if TYPE_CHECKING:
    from cast import House


async def trail(house: House, kind: str) -> list[dict[str, Any]]:
    import msgspec  # noqa: PLC0415  for this alone

    rows = await house.rows("SELECT data::text AS data FROM events WHERE kind = $1 ORDER BY id", kind)
    return [msgspec.json.decode(row["data"]) for row in rows]


async def test_every_read_and_every_refusal_is_on_record_before_it_is_answered(
    house: House, ward: Ward
) -> None:
    body(await ward.get(f"Patient/{JANE}"))
    body(await ward.get("Observation?code=8867-4"))
    assert (await ward.get("Observation?patient.name=x")).status_code == 400
    assert (await ward.get(f"Patient/{JIMMY}")).status_code == 404
    read, searched = await trail(house, "fhir.read")
    assert (read["interaction"], read["type"], read["patients"], read["count"]) == (
        "read",
        "Patient",
        [JANE],
        1,
    )
    assert (searched["interaction"], searched["type"], searched["patients"], searched["count"]) == (
        "search",
        "Observation",
        [JANE],
        7,
    )
    assert len(read["grants"]) == len(searched["grants"]) == 1
    assert "8867-4" not in str(searched)
    refused = await trail(house, "fhir.read_refused")
    assert [one["refusal"] for one in refused] == ["Invalid", "NotFound"]
    assert JIMMY not in str(refused)


async def test_that_there_is_nothing_of_somebody_is_told_of_him_too(house: House, ward: Ward) -> None:
    body(await ward.get(f"Condition?patient={JANE}&code=none"))
    body(await ward.get("Observation?_summary=count"))
    assert [one["patients"] for one in await trail(house, "fhir.read")] == [[JANE], [JANE]]


async def test_a_read_is_decided_in_one_statement_and_on_record_in_another(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks, which server, what we show to it and what he may see there, are of one instant."""
    body(await ward.get(f"Patient/{JANE}"))
    asked: list[str] = []

    def counting(before: Any) -> Any:
        def counted(statement: Any, *given: Any, **more: Any) -> Any:
            asked.append(statement.sql)
            return before(statement, *given, **more)

        return counted

    for kind, name in ((Query, "first"), (Query, "all"), (Statement, "run")):
        monkeypatch.setattr(kind, name, counting(getattr(kind, name)))
    monkeypatch.setattr(Database, "transaction", None)
    body(await ward.get(f"Patient/{JANE}"))
    here = 1 if ward.evil is None else 0
    assert len(asked) == 2 + here
    assert all(word in asked[0] for word in ("sessions", "fhir_servers", "sealed_credentials", "grants"))
    assert "INSERT INTO events" in asked[-1]


async def test_what_a_server_gives_besides_is_counted_for_its_organization(house: House, ward: Ward) -> None:
    body(await ward.get("Observation"))
    (left_out,) = await trail(house, "fhir.left_out")
    # A remote server filters nothing; what is jane's and contains what is jimmy's is left out of either.
    assert (left_out["type"], left_out["count"]) == ("Observation", 1 if ward.evil is None else 9)
    assert "fhir.left_out" not in await house.trail(house.accounts["pat"])
    assert "fhir.left_out" in await house.trail(house.organizations["northside"])


async def test_what_cant_be_put_on_record_is_not_shown(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(recording, "record_all", fails)
    for path in (f"Patient/{JANE}", "Observation", f"Patient/{JANE}/$everything", f"Patient/{JIMMY}"):
        answered = await ward.get(path)
        assert (answered.status_code, "Doe" in answered.text, "valueQuantity" in answered.text) == (
            503,
            False,
            False,
        )
        assert int(answered.headers["retry-after"]) > 0
        assert body(answered, 503)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "departs",
    [
        {"link": [{"other": {"reference": f"Patient/{JIMMY}"}, "type": "replaced-by"}]},
        {"active": False},
        None,
    ],
)
@pytest.mark.parametrize("path", [f"Patient/{JANE}", "Patient", f"Patient/{JANE}/$everything"])
async def test_who_departed_is_suspended_when_it_is_noticed(house: House, departs: Any, path: str) -> None:
    upstream = Upstream(JANES)
    async with EvilFhir.open(upstream) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        if departs is None:
            if path == "Patient":
                pytest.skip("who is gone is on no page")

            async def gone(caller: Any) -> None:
                if "?" in caller.heard.target:
                    await resource(page())(caller)
                else:
                    await answering(b"", status="410 Gone")(caller)

            evil.does = gone
        else:
            upstream.kept[0] = {**JANES[0], **departs}
        answered = await ward.get(path)
        assert answered.status_code == 404, answered.text
        evil.does = upstream
        upstream.kept[0] = JANES[0]
        evil.heard.clear()
        assert (await ward.get("Observation/j-1")).status_code == 404
        assert ward.targets == []
        suspended = await house.rows("SELECT reason FROM patient_suspensions WHERE lifted_at IS NULL")
        assert len(suspended) == 1


@pytest.mark.parametrize(
    "says",
    [
        resource({**JANES[0], "id": JIMMY, "name": [{"family": CANARY}]}),
        resource(outcome()),
        resource(page(entry({"resourceType": "Observation", "id": "j-1", "status": CANARY, "subject": {"reference": f"Patient/{JIMMY}"}}), entry(outcome(), "outcome"))),
        answering(b'{"resourceType":"Observation","id":"j-1","subject":{"reference":"Patient/' + JIMMY.encode() + b'"},"subject":{"reference":"Patient/' + JANE.encode() + b'"}}'),
        answering(CANARY.encode(), status="500 Internal Server Error"),
        answering(f"<html>{CANARY}".encode(), content_type="text/html"),
        answering(b"", status="302 Found", headers=[("Location", f"http://127.0.0.1/{CANARY}"), ("Set-Cookie", CANARY)]),
    ],
)  # fmt: skip
async def test_nothing_of_what_a_hostile_server_says_is_passed_on(house: House, says: Any) -> None:
    async with EvilFhir.open(resource(JANES[0])) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.does = says
        for asked in (f"Patient/{JANE}", "Observation/j-1", "Observation", f"Patient/{JANE}/$everything"):
            answered = await ward.get(asked)
            assert answered.status_code in (200, 404, 502), answered.text
            assert CANARY not in answered.text + repr(answered.headers)
            assert JIMMY not in answered.text
            if answered.status_code == 200:
                assert "valueQuantity" not in answered.text


@pytest.mark.parametrize("lasts", [0.05, pytest.param(60.0, id="control: decided once and for all")])
@pytest.mark.parametrize("path", [f"Patient/{JANE}", "Observation", f"Patient/{JANE}/$everything"])
async def test_a_grant_that_ends_while_a_slow_server_is_asked_shows_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, path: str, lasts: float
) -> None:
    monkeypatch.setattr(reading, "DECISION_LASTS", lasts)
    was_asked, may_answer = asyncio.Event(), asyncio.Event()
    gives = Upstream(JANES)

    async def slowly(caller: Any) -> None:
        was_asked.set()
        await may_answer.wait()
        await gives(caller)

    async with EvilFhir.open(gives) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.does = slowly
        reads = asyncio.create_task(ward.get(path))
        await was_asked.wait()
        (grant,) = body(await ward.jan.get("/FhirServers/records"))
        ended = await house.ada.send("DELETE", f"/FhirServers/grants/{grant['grantId']}")
        assert ended.status_code == 204
        await asyncio.sleep(0.1)
        may_answer.set()
        answered = await reads
    if lasts > 1:
        assert answered.status_code == 200
        return
    assert answered.status_code == 404
    assert await trail(house, "fhir.read") == []
    assert [one["refusal"] for one in await trail(house, "fhir.read_refused")] == ["NotFound"]
