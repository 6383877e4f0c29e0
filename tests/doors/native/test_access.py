"""Why, who and what: what people are told of access, and what they are not."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from cast import Caller, House, connected
from clinic import JANE, Clinic
from doors.authzen.asking import KEY, LAKESIDES_KEY, Application, question
from doors.medable.sharing import accepts, defines, makes, offers
from doors.native.living import done
from doors.native.problems import problem
from doors.native.test_teams import team_of, writes
from hospitium.engine.access import reach
from hospitium.engine.access.decide import Denied
from hospitium.engine.actor import Role
from hospitium.engine.ids import parse_id
from hospitium.engine.memberships import actions as memberships

EXPLAIN, WHO, WHAT = "/v1/access/explain", "/v1/access/subjects", "/v1/access/resources"
UNKNOWN = "0190a7e4-0000-8000-8000-000002485350"


async def explains(caller: Caller, subject: str, action: str, resource: str, **more: Any) -> Any:
    return done(await caller.post(EXPLAIN, question(subject, action, resource, **more)))


async def prescription(house: House) -> str:
    """Ben's prescription of northside; return its id as a UUID."""
    await defines(house)
    return str(parse_id(await makes(house.ben)))


def kinds(path: list[dict[str, Any]]) -> list[str]:
    return [step["type"] for step in path]


# -- why ---------------------------------------------------------------------------------------------------------------


async def test_it_tells_the_path_by_which_a_team_member_reads(house: House) -> None:
    record = await prescription(house)
    team = await team_of(house, "mia")
    made = await offers(house.ben, record, {"object": "team", "_id": team, "access": 4})
    await accepts(house.ben, made["_id"])

    told = await explains(house.ben, f"account/{house.accounts['mia']}", "read", f"c_prescription/{record}")
    assert (told["decision"], told["needed"]) == (True, 4)
    assert told["reason"] == "a grant of level 4 allows it"
    account, team_step, grant, on = told["path"]
    assert account == {"type": "account", "id": str(house.accounts["mia"])}
    assert (team_step["type"], team_step["id"], team_step["name"]) == ("team", team, "Cardiology")
    assert team_step["since"]
    assert (grant["type"], grant["level"], grant["because"]) == ("grant", 4, "share")
    assert (grant["givenById"], grant["givenByName"]) == (str(house.accounts["ben"]), "Ben Cast")
    assert grant["givenAt"] <= grant["since"]
    assert on == {"type": "record", "id": record, "name": "c_prescription"}

    refused = await explains(
        house.ben, f"account/{house.accounts['mia']}", "update", f"c_prescription/{record}"
    )
    assert refused["decision"] is False
    assert refused["reason"] == "the grant is of level 4, and 6 is needed"
    assert kinds(refused["path"]) == ["account", "team", "grant", "record"]


async def test_it_tells_what_was_then(house: House) -> None:
    record = await prescription(house)
    before = house.clock()
    target = {"object": "account", "_id": str(house.accounts["pat"]), "access": 4}
    made = await offers(house.ben, record, target)
    await accepts(house.pat, made["_id"])
    during = house.clock()
    house.clock.advance(days=1)
    await house.ben.send("DELETE", f"/northside/v2/connections/{made['_id']}")
    house.clock.advance(days=1)

    who, what = f"account/{house.accounts['pat']}", f"c_prescription/{record}"
    now = await explains(house.ben, who, "read", what)
    assert (now["decision"], now["reason"]) == (False, "the grant has ended")
    assert now["path"][1]["until"]
    then = await explains(house.ben, who, "read", what, at=during.isoformat())
    assert (then["decision"], then["at"][:19]) == (True, during.isoformat()[:19])
    earlier = await explains(house.ben, who, "read", what, at=before.isoformat())
    assert (earlier["decision"], earlier["reason"]) == (False, "the grant has not begun")
    later = (house.clock.now + timedelta(days=1)).isoformat()
    answered = await house.ben.post(EXPLAIN, question(who, "read", what, at=later))
    assert problem(answered, 400, "invalid")["errors"] == [
        {"field": "at", "detail": "must not be in the future"}
    ]


async def test_only_who_may_know_is_told_why(house: House) -> None:
    record = await prescription(house)
    pat, ben = (f"account/{house.accounts[name]}" for name in ("pat", "ben"))
    what = f"c_prescription/{record}"
    # Its owner and the administrators of its organization are told everything, of whomever they ask.
    for caller in (house.ben, house.ada):
        assert "reason" in await explains(caller, pat, "read", what)
    # Whoever asks about himself is told the decision alone.
    told = await explains(house.pat, pat, "read", what)
    assert sorted(told) == ["at", "decision"]
    assert told["decision"] is False
    # Whether there is such a thing at all, he isn't told: not by asking about himself, either.
    missing = await explains(house.pat, pat, "read", f"c_prescription/{UNKNOWN}")
    assert {**missing, "at": ""} == {**told, "at": ""}
    # Of others, and to others, it is as unknown as what isn't there: the same bytes.
    unknown = await house.pat.post(EXPLAIN, question(ben, "read", f"c_prescription/{UNKNOWN}"))
    problem(unknown, 404, "not-found")
    for caller in (house.pat, house.rui, house.mia, house.zoe):
        answered = await caller.post(EXPLAIN, question(ben, "read", what))
        assert (answered.status_code, answered.content) == (404, unknown.content)
    problem(await house.stranger.post(EXPLAIN, question(ben, "read", what)), 401, "not-signed-in")
    # A key of another organization is told nothing, either, though it may explain.
    app = await Application.open(house)
    for key, status in ((app.caller, 200), (Caller(house.http, LAKESIDES_KEY), 404)):
        assert (
            await key.post(EXPLAIN, question("account/alice", "read", f"c_prescription/{record}"))
        ).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        question("account/x", "read"),
        question("account", "read", "record/1"),
        question("account/x", "read", "record/1", more=1),
        question("account/x", "read", "record/1", at="yesterday"),
        question("account/x", "read", "record/1", at="2026-01-01"),
    ],
)
async def test_it_refuses_what_is_no_question(house: House, body: Any) -> None:
    problem(await house.ada.post(EXPLAIN, body), 400, "invalid")


@pytest.mark.parametrize("name", ["..", "\0", "a" * 10_000, "%", "'; DROP TABLE grants; --", "😀", " "])
async def test_strange_names_name_nothing(house: House, name: str) -> None:
    for subject, resource in (
        (name, f"c_prescription/{UNKNOWN}"),
        ("ada", f"{name}/{name}"),
        (name, f"organization/{name}"),
    ):
        answered = await house.ada.post(EXPLAIN, question(f"account/{subject}", name, resource))
        assert answered.status_code in (400, 404), answered.text


# -- who ---------------------------------------------------------------------------------------------------------------


async def test_it_lists_everybody_who_can_reach_a_record(house: House) -> None:
    record = await prescription(house)
    team = await team_of(house, "mia", "ada")
    made = await offers(house.ben, record, {"object": "team", "_id": team, "access": 4})
    await accepts(house.ben, made["_id"])
    found = done(await house.ben.get(WHO, type="c_prescription", id=record))
    assert (found["total"], found["next"]) == (3, None)
    by_id = {one["id"]: one for one in found["accounts"]}
    assert sorted(by_id) == sorted(str(house.accounts[name]) for name in ("ben", "mia", "ada"))
    assert by_id[str(house.accounts["ben"])]["level"] == 7
    assert kinds(by_id[str(house.accounts["ben"])]["path"]) == ["account", "grant", "record"]
    assert kinds(by_id[str(house.accounts["mia"])]["path"]) == ["account", "team", "grant", "record"]
    only = done(await house.ben.get(WHO, type="c_prescription", id=record, action="update"))
    assert [one["id"] for one in only["accounts"]] == [str(house.accounts["ben"])]

    # Page by page: the same, in the same order, and the count of the beginning.
    paged, after = [], None
    while True:
        part = done(
            await house.ben.get(
                WHO, type="c_prescription", id=record, limit=1, **({"after": after} if after else {})
            )
        )
        paged += part["accounts"]
        assert part["total"] == 3
        if (after := part["next"]) is None:
            break
    assert paged == found["accounts"]


async def test_it_lists_everybody_who_can_reach_a_patient(house: House) -> None:
    clinic = await Clinic.open(house)
    asked = {"type": "Patient", "id": JANE, "fhirServerId": str(clinic.server_id)}
    found = done(await house.ada.get(WHO, **asked))
    assert {one["name"]: (one["level"], kinds(one["path"])[1]) for one in found["accounts"]} == {
        "Ada Cast": (7, "organization"),
        "Ben Cast": (6, "organization"),
    }
    problem(await house.ben.get(WHO, **asked), 404, "not-found")
    problem(await house.rui.get(WHO, **asked), 404, "not-found")


async def test_a_table_is_no_program(house: House) -> None:
    record = await prescription(house)
    done(await writes(house.ben, "PATCH", "/v1/accounts/own", {"firstName": "=1+1"}))
    answered = await house.ben.get(WHO, type="c_prescription", id=record, format="csv")
    assert answered.headers["content-type"] == "text/csv; charset=utf-8"
    head, row = csv.reader(io.StringIO(answered.text))
    assert head[:4] == ["accountId", "externalId", "name", "level"]
    assert dict(zip(head, row, strict=True)) | {"givenAt": "", "since": ""} == {
        "accountId": str(house.accounts["ben"]),
        "externalId": "",
        "name": "'=1+1 Cast",
        "level": "7",
        "through": "",
        "throughId": "",
        "throughName": "",
        "because": "ownership",
        "givenById": str(house.accounts["ben"]),
        "givenByName": "'=1+1 Cast",
        "givenAt": "",
        "since": "",
        "until": "",
    }
    for query, field in (({"format": "xml"}, "format"), ({"limit": 0}, "limit"), ({"after": "x"}, "after")):
        answered = await house.ben.get(WHO, type="c_prescription", id=record, **query)
        assert problem(answered, 400, "invalid")["errors"][0]["field"] == field
    problem(await house.ben.get(WHO, type="c_prescription"), 400, "invalid")


# -- what --------------------------------------------------------------------------------------------------------------


async def test_it_lists_everything_an_account_can_reach(house: House) -> None:
    clinic = await Clinic.open(house)
    record = await prescription(house)
    own = done(await house.ben.get(WHAT))
    assert [(one["type"], one["level"]) for one in own["resources"]] == [
        ("FhirServer", 6),
        ("c_prescription", 7),
    ]
    assert (own["total"], own["next"]) == (2, None)
    assert own["resources"][0]["id"] == str(clinic.server_id)
    assert own["resources"][1]["id"] == record
    # An administrator is told of members, within the organization; of others as of nobody.
    assert done(await house.ada.get(WHAT, account=str(house.accounts["ben"]))) == own
    for caller, name in (
        (house.ada, "rui"),
        (house.rui, "ben"),
        (house.ben, "ada"),
        (house.pat, "ben"),
        (house.mia, "ben"),
    ):
        problem(await caller.get(WHAT, account=str(house.accounts[name])), 404, "not-found")
    problem(await house.ada.get(WHAT, account=UNKNOWN), 404, "not-found")
    assert done(await house.pat.get(WHAT))["resources"] == []

    paged, after = [], None
    while True:
        part = done(await house.ben.get(WHAT, limit=1, **({"after": after} if after else {})))
        paged += part["resources"]
        if (after := part["next"]) is None:
            break
    assert paged == own["resources"]


async def test_a_key_is_told_what_is_its_organizations(house: House) -> None:
    app = await Application.open(house)
    found = done(await app.caller.get(WHAT, account="bob"))
    assert [(one["externalId"], one["level"]) for one in found["resources"]] == [("record-1", 4)]
    assert done(await app.caller.get(WHAT, account="bob@asked.example")) == found
    problem(await app.caller.get(WHAT, account="lara"), 404, "not-found")
    problem(await app.caller.get(WHAT), 401, "not-signed-in")
    table = await app.caller.get(WHAT, account="bob", format="csv")
    assert table.text.splitlines()[1].startswith("record,")
    lakeside = Caller(house.http, LAKESIDES_KEY)
    problem(await lakeside.get(WHAT, account="bob"), 404, "not-found")


# -- partners ----------------------------------------------------------------------------------------------------------


async def test_who_works_for_a_partner_is_not_told(house: House) -> None:
    """Rui administers lakeside, with which northside is connected, and works at northside, too, where ben does."""
    await connected(house.rui, house.northside, house.ada)
    await house.operate(
        lambda ctx: memberships.add(ctx, house.accounts["rui"], house.northside, Role.SCHEDULER)
    )
    own, other = f"organization/{house.northside}", f"organization/{house.lakeside}"
    await Application.open(house)
    keys = {of: Caller(house.http, key) for of, key in (("northside", KEY), ("lakeside", LAKESIDES_KEY))}
    for asker in (house.ada, keys["northside"]):
        # Nobody is listed because he works there, and nobody is explained.
        asked = {"type": "organization", "action": "connect"}
        found = done(await asker.get(WHO, id=str(house.northside), **asked))
        assert (found["accounts"], found["total"]) == ([], 0)
        for who in (f"account/{house.accounts['rui']}", "account/rui@lakeside.example"):
            told = await explains(asker, who, "connect", own)
            assert (told["decision"], told["reason"], told["path"]) == (False, "there is no grant", [])
        # What the partner may is told, and what the own people may by that; but not who of the partner's gave it.
        told = await explains(asker, f"organization/{house.lakeside}", "connect", own)
        assert (told["decision"], kinds(told["path"])) == (True, ["organization", "grant", "organization"])
        grant = told["path"][1]
        assert (grant["because"], "givenById" in grant, "givenByName" in grant) == (
            "partnership",
            False,
            False,
        )
        reached = done(await asker.get(WHAT, account=str(house.accounts["ben"])))["resources"]
        (connection,) = [one for one in reached if one["type"] == "organization"]
        assert connection["id"] == str(house.lakeside)
        assert "givenById" not in connection["path"][2]
        assert kinds(connection["path"]) == ["account", "organization", "grant", "organization"]
        # Of rui, who works here, no more than of anybody else who does.
        reached = done(await asker.get(WHAT, account="rui@lakeside.example"))["resources"]
        assert [one["id"] for one in reached if one["type"] == "organization"] == [str(house.lakeside)]
    # Of ben, who works for northside alone, lakeside knows nothing.
    for asker in (house.rui, keys["lakeside"]):
        problem(await asker.get(WHAT, account="ben@northside.example"), 404, "not-found")
        told = await explains(asker, "account/ben@northside.example", "connect", other)
        assert (told["decision"], told["reason"]) == (False, "there is no grant")
    # He knows it himself.
    told = await explains(house.ben, f"account/{house.accounts['ben']}", "connect", other)
    assert told["decision"] is True


# -- cursors -----------------------------------------------------------------------------------------------------------


async def test_a_cursor_is_for_one_caller_and_one_question(house: House) -> None:
    record = await prescription(house)
    team = await team_of(house, "mia", "ada")
    made = await offers(house.ben, record, {"object": "team", "_id": team, "access": 4})
    await accepts(house.ben, made["_id"])
    asked = {"type": "c_prescription", "id": record}
    good = done(await house.ben.get(WHO, **asked, limit=1))["next"]
    assert done(await house.ben.get(WHO, **asked, after=good))["accounts"]
    for caller, query in (
        (house.ada, asked),
        (house.ben, {**asked, "action": "update"}),
        (house.ben, {**asked, "id": record.upper()}),
    ):
        problem(await caller.get(WHO, **query, after=good), 400, "invalid")
    problem(await house.ben.get(WHAT, after=good), 400, "invalid")
    for place in range(len(good)):
        other = "A" if good[place] != "A" else "B"
        altered = good[:place] + other + good[place + 1 :]
        problem(await house.ben.get(WHO, **asked, after=altered), 400, "invalid")
    for altered in (good[:-1], good + "A", good * 2, "", "=", "é", good.swapcase()):
        answered = await house.ben.get(WHO, **asked, after=altered)
        assert answered.status_code == (200 if altered == "" else 400)


# -- what ends meanwhile -----------------------------------------------------------------------------------------------


async def test_a_list_goes_on_after_what_ended_between_two_statements(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was listed, and had ended when it was looked at, isn't told; what comes after it is."""
    await defines(house)
    made = sorted([str(parse_id(await makes(house.ben))) for _ in range(8)])
    looked_at = reach.check_all

    async def denying_some(ctx: Any, questions: Any) -> Any:
        found = await looked_at(ctx, questions)
        return [
            Denied("the grant has ended") if question.resource_id in made[2:5] else one
            for question, one in zip(questions, found, strict=True)
        ]

    monkeypatch.setattr(reach, "check_all", denying_some)
    told, after = [], None
    while True:
        part = done(await house.ben.get(WHAT, limit=2, **({"after": after} if after else {})))
        told += [one["id"] for one in part["resources"]]
        if (after := part["next"]) is None:
            break
    assert told == made[:2] + made[5:]


async def test_why_not_is_the_same_of_nobody_and_of_somebody_without_a_grant(house: House) -> None:
    record = await prescription(house)
    reasons = [
        (await explains(house.ben, f"account/{who}", "read", f"c_prescription/{record}"))["reason"]
        for who in ("nobody@nowhere.example", UNKNOWN, str(house.accounts["pat"]), "x")
    ]
    assert set(reasons) == {"there is no grant"}
