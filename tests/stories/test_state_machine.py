"""Organizations ask, answer and end in every order, by right and wrong people, while the clock jumps; a plain model predicts it all.

The model below is written from the contract (docs/dialects/radorderpad.md to §1.6) and its rulings 3, 6, 7, 8, 9 and 10, not from the
code. It says of each request either what it changes, or for which reasons it must be refused; where several hold, the
contract doesn't say which one is told.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cast import START, Caller, House
from hospitium.dispatch.sweeps import expire_one_partnership
from hospitium.engine.actor import Role
from hospitium.engine.ids import to_object_id
from stories.machine import one_house

PENDING_LIMIT = ACTIVE_LIMIT = 2
COOLDOWN, LIFE = timedelta(days=30), timedelta(days=90)
STATUSES = ("pending_approval", "approved", "rejected", "canceled", "expired", "terminated")
VERBS = ("approve", "reject", "cancel", "resend", "terminate", "reestablish")
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
JUMPS = [timedelta(0), timedelta(milliseconds=1), DAY - SECOND, DAY, DAY + SECOND] + [
    span + by for span in (COOLDOWN, LIFE) for by in (-SECOND, timedelta(0), SECOND)
]

Reasons = set[tuple[int, str]]
NOT_SIGNED_IN = {(401, "AUTHENTICATION_REQUIRED")}
MAY_NOT = {(403, "INSUFFICIENT_PERMISSIONS")}
NOT_THERE = {(404, "RESOURCE_NOT_FOUND")}
WRONG_INPUT = {(400, "INVALID_PARAMETERS")}
CONFLICT = (409, "RESOURCE_CONFLICT")

# -- the model ---------------------------------------------------------------------------------------------------------

#  verb          from                side        to
MOVES = {
    "approve":     ("pending_approval", "target", "approved"),
    "reject":      ("pending_approval", "target", "rejected"),
    "cancel":      ("pending_approval", "source", "canceled"),
    "resend":      ("rejected",         "source", "pending_approval"),
    "terminate":   ("approved",         "either", "terminated"),
    "reestablish": ("terminated",       "either", "pending_approval"),
}  # fmt: skip


class Model:
    """What there should be: a dict for each connection, and the rejections that are remembered."""

    def __init__(self) -> None:
        self.now = START
        self.connections: dict[str, dict[str, Any]] = {}
        self.rejections: list[tuple[str, str, datetime]] = []  # who asked, who rejected, when

    # what is so, by the clock

    def status(self, c: dict[str, Any]) -> str:
        overdue = c["status"] == "pending_approval" and self.now >= c["expires"]
        return "expired" if overdue else str(c["status"])

    def of_pair(self, one: str, other: str) -> list[dict[str, Any]]:
        return [c for c in self.connections.values() if {c["source"], c["target"]} == {one, other}]

    def active(self, organization: str) -> int:
        return sum(
            organization in (c["source"], c["target"]) and c["status"] == "approved"
            for c in self.connections.values()
        )

    def pending(self, organization: str) -> int:
        return sum(
            c["source"] == organization and self.status(c) == "pending_approval"
            for c in self.connections.values()
        )

    def cooling_down(self, me: str, other: str) -> Reasons:
        reasons: Reasons = set()
        if any((a, b) == (me, other) and self.now < at + COOLDOWN for a, b, at in self.rejections):
            reasons.add((409, "REJECTION_COOLDOWN"))
        if any(c["terminated"] and self.now < c["terminated"] + COOLDOWN for c in self.of_pair(me, other)):
            reasons.add((409, "TERMINATION_COOLDOWN"))
        return reasons

    def standing(self, me: str, other: str) -> str:
        """`connectionStatus`, from the latest connection of the pair."""
        pair = self.of_pair(me, other)
        if not pair:
            return "not_connected"
        latest = max(pair, key=lambda c: c["requested"])
        mine = latest["source"] == me
        return {
            "pending_approval": "pending_outgoing" if mine else "pending_incoming",
            "approved": "connected",
            "rejected": "rejected" if mine else "not_connected",
        }.get(self.status(latest), "not_connected")

    # what must be refused

    def _asking(self, me: str, other: str) -> Reasons:
        reasons: Reasons = set()
        if any(self.status(c) in ("pending_approval", "approved") for c in self.of_pair(me, other)):
            reasons.add(CONFLICT)
        if self.active(me) >= ACTIVE_LIMIT:
            reasons.add((409, "ACTIVE_CONNECTION_LIMIT"))
        if self.pending(me) >= PENDING_LIMIT:
            reasons.add((409, "PENDING_REQUEST_LIMIT"))
        return reasons

    def against_request(self, me: str, other: str) -> Reasons:
        return self._asking(me, other) | self.cooling_down(me, other)

    def exempt(self, verb: str, me: str, c: dict[str, Any]) -> bool:
        """Ruling 8: once per cycle of 30 days, for the latest of the pair. A resend is its asker's, a reestablishment the pair's."""
        other = other_side(c, me)
        if c is not max(self.of_pair(me, other), key=lambda one: one["requested"]):
            return False
        used = [
            one[verb]
            for one in self.of_pair(me, other)
            if one[verb] and (verb == "reestablish" or one["source"] == me)
        ]
        return not used or self.now >= max(used) + COOLDOWN

    def against_move(self, verb: str, me: str, c: dict[str, Any] | None) -> Reasons:
        source, side, _ = MOVES[verb]
        if c is None or me not in (c["source"], c["target"]):
            return NOT_THERE
        if side != "either" and c[side] != me:
            return MAY_NOT
        status = self.status(c)
        if status != source:
            late = status == "expired" and verb in ("approve", "reject", "cancel")
            return {(409, "REQUEST_EXPIRED") if late else CONFLICT}
        if verb == "approve" and max(self.active(c["source"]), self.active(c["target"])) >= ACTIVE_LIMIT:
            return {(409, "ACTIVE_CONNECTION_LIMIT")}
        if verb in ("resend", "reestablish"):
            other = other_side(c, me)
            cooling = set() if self.exempt(verb, me, c) else self.cooling_down(me, other)
            return self._asking(me, other) | cooling
        return set()

    # what happens

    def request(self, connection_id: str, me: str, other: str, message: str | None) -> None:
        self.connections[connection_id] = {
            "id": connection_id, "source": me, "target": other, "status": "pending_approval", "message": message,
            "requested": self.now, "expires": self.now + LIFE, "answer": None, "responded": None, "canceled": None,
            "terminated": None, "terminator": None, "reason": None, "resend": None, "reestablish": None,
        }  # fmt: skip

    def move(self, verb: str, me: str, c: dict[str, Any], text: str | None) -> None:
        match verb:
            case "approve" | "reject":
                c.update(responded=self.now, answer=text)
                if verb == "reject":
                    self.rejections.append((c["source"], me, self.now))
            case "cancel":
                c.update(canceled=self.now)
            case "terminate":
                c.update(terminated=self.now, terminator=me, reason=text)
            case "resend" | "reestablish":
                if self.cooling_down(me, other_side(c, me)):
                    c[verb] = self.now
                if c["source"] != me:  # and what the other side once wrote is not its message
                    c.update(source=me, target=c["source"], resend=None, message=None)
                c.update(requested=self.now, expires=self.now + LIFE, responded=None, answer=None)
                c["message"] = text or c["message"]
        c["status"] = MOVES[verb][2]

    # what each organization should see

    def seen(self, me: str, side: str, status: str) -> list[str]:
        mine = [
            c
            for c in self.connections.values()
            if me in ((c["source"], c["target"]) if side == "either" else (c[side],))
            and status in ("all", self.status(c))
        ]
        return [c["id"] for c in sorted(mine, key=lambda c: c["requested"], reverse=True)]

    def detail(self, me: str, c: dict[str, Any]) -> dict[str, Any]:
        status = self.status(c)
        return {
            "id": c["id"], "status": status, "requestDate": c["requested"], "responseDate": c["responded"], "message": c["message"],
            "responseMessage": c["answer"], "sourceOrganization": c["source"], "targetOrganization": c["target"],
            "connectionType": "outgoing" if c["source"] == me else "incoming",
            "cancelDate": c["canceled"] if status == "canceled" else None,
            "terminationDate": c["terminated"] if status == "terminated" else None,
            "terminationReason": c["reason"] if status == "terminated" else None,
            "terminatedBy": c["terminator"] if status == "terminated" else None,
        }  # fmt: skip


def other_side(c: dict[str, Any], me: str) -> str:
    return str(c["target"] if c["source"] == me else c["source"])


# -- the machine -------------------------------------------------------------------------------------------------------


class Organizations(RuleBasedStateMachine):
    """Every example has four organizations of its own, in one house that keeps what earlier examples left behind."""

    runner: ClassVar[asyncio.Runner]
    house: ClassVar[House]
    left_behind: ClassVar[list[str]] = []
    examples: ClassVar[Any] = itertools.count()
    seen: ClassVar[set[Any]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.turn = itertools.count()
        self.name = f"Machine{next(self.examples):06}"
        self.ids: list[str] = []
        self.people: dict[str, Caller] = {"stranger": self.house.stranger}

    def run(self, awaited: Any) -> Any:
        return self.runner.run(awaited)

    @initialize(count=st.sampled_from([4, 3]), crowded=st.sampled_from([True, False]))
    def gather(self, count: int, crowded: bool) -> None:
        self.run(self._gather(count))
        for n in range(count) if crowded else ():
            for step in (1, 2):  # everybody has asked the next, and where there is room the one after
                me, target = self.ids[n], self.ids[(n + step) % count]
                self.tick()
                self.ask(f"admin {n}", target, self.model.against_request(me, target), None)

    async def _gather(self, count: int) -> None:
        for n in range(count):
            code = f"{self.name.lower()}-{n}"
            self.ids.append(str(await self.house.add_organization(code, name=f"{self.name} {n}")))
            self.people[f"admin {n}"] = await self.house.add_person(f"admin{n}-{code}", code)
        code = f"{self.name.lower()}-0"
        self.people["physician"] = await self.house.add_person(f"physician-{code}", code, Role.PHYSICIAN)

    def tick(self) -> None:
        self.house.clock.advance(microseconds=1)
        self.model.now = self.house.clock.now

    def organization_of(self, who: str) -> str | None:
        """The organization somebody administers; None for the others."""
        return self.ids[int(who[-1])] if who.startswith("admin") else None

    def must_be(self, response: httpx.Response, who: str, reasons: Reasons) -> dict[str, Any] | None:
        """Insist on a refusal for one of the reasons, or on none; return the data of a success."""
        if who == "stranger":
            reasons = NOT_SIGNED_IN
        elif who == "physician":
            reasons = MAY_NOT
        body = response.json()
        if reasons:
            assert body["success"] is False
            assert (response.status_code, body["error"]["code"]) in reasons, response.text
            self.seen.add((response.status_code, body["error"]["code"]))
            return None
        assert response.status_code in (200, 201), response.text
        assert body["success"] is True
        self.seen.add(body["data"].get("status"))
        data: dict[str, Any] = body["data"]
        return data

    def somebody(self, data: st.DataObject) -> str:
        admins = [who for who in self.people if who.startswith("admin")]
        return data.draw(st.sampled_from(admins * 3 + ["physician", "stranger"]), label="who")

    # asking

    def ask(self, who: str, target: str, reasons: Reasons, message: str | None) -> None:
        answer = self.must_be(self.run(self.people[who].asks(target, message)), who, reasons)
        if answer is not None:
            me = self.organization_of(who)
            assert me is not None
            assert answer["status"] == "pending_approval"
            assert datetime.fromisoformat(answer["requestDate"]) == self.model.now
            assert answer["targetOrganization"]["id"] == target
            assert answer["connectionId"] not in self.model.connections
            self.model.request(answer["connectionId"], me, target, message)

    def asks(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from([None, "Hello"]), label="message")
        who = self.somebody(data)
        me = self.organization_of(who)
        target = data.draw(st.sampled_from(self.ids), label="target")
        self.ask(
            who,
            target,
            WRONG_INPUT if target == me else self.model.against_request(me or "", target),
            message,
        )

    def asks_who_is_not_asked_yet(self, data: st.DataObject) -> None:
        free = [
            (n, target)
            for n, me in enumerate(self.ids)
            for target in self.ids
            if target != me and not self.model.against_request(me, target)
        ]
        if free:
            n, target = data.draw(st.sampled_from(free), label="who asks whom")
            self.ask(f"admin {n}", target, set(), "Hello")

    def asks_nobody(self, data: st.DataObject) -> None:
        nobody = data.draw(st.sampled_from(["", "x", "0" * 24, str(uuid.UUID(int=7))]), label="target")
        readable = len(nobody) in (24, 36)
        self.ask(self.somebody(data), nobody, NOT_THERE if readable else WRONG_INPUT, None)

    # moving

    def do(self, who: str, verb: str, connection_id: str, text: str | None) -> None:
        me = self.organization_of(who) or ""
        c = self.model.connections.get(connection_id)
        reasons = self.model.against_move(verb, me, c)
        field = {"approve": "responseMessage", "reject": "responseMessage", "terminate": "reason"}.get(
            verb, "message"
        )
        if verb == "terminate" and text is None:
            # What is wrong with the request, and what is wrong with asking it, may be told in either order.
            reasons = reasons | WRONG_INPUT
        body = None if text is None or verb == "cancel" else {field: text}
        # An id of ours has a second spelling (ruling 6).
        spelled = (
            connection_id if c is None or next(self.turn) % 2 else to_object_id(uuid.UUID(connection_id))
        )
        path = f"/api/connections/{quote(str(spelled), safe='')}/{verb}"
        answer = self.must_be(self.run(self.people[who].post(path, body)), who, reasons)
        if answer is not None:
            assert c is not None
            self.model.move(verb, me, c, text)
            assert (answer["id"], answer["status"]) == (connection_id, c["status"])
            date = {
                "cancel": "cancelDate",
                "terminate": "terminationDate",
                "approve": "responseDate",
                "reject": "responseDate",
            }
            assert datetime.fromisoformat(answer[date.get(verb, "requestDate")]) == self.model.now

    def tries(self, data: st.DataObject) -> None:
        """Anybody tries anything with any connection of this example."""
        which = data.draw(st.sampled_from(list(self.model.connections)), label="which")
        verb, text = data.draw(st.sampled_from(VERBS)), data.draw(st.sampled_from([None, "Words"]))
        self.do(self.somebody(data), verb, which, text)

    def does_what_is_open(self, data: st.DataObject) -> None:
        """The right one does what the status allows, whatever limits and cool-downs say."""
        text = data.draw(st.sampled_from([None, "Words"]))
        found = [
            (f"admin {n}", verb, connection_id)
            for connection_id, c in self.model.connections.items()
            for verb, (source, side, _) in MOVES.items()
            for n, me in enumerate(self.ids)
            if self.model.status(c) == source
            and me in ((c["source"], c["target"]) if side == "either" else (c[side],))
        ]
        if found:
            # Approvals are what the rest of the story needs most.
            likely = [one for one in found if one[1] == "approve"]
            who, verb, connection_id = data.draw(st.sampled_from(likely * 3 + found), label="who does what")
            self.do(who, verb, connection_id, text or ("Over" if verb == "terminate" else None))

    def tries_what_is_not_his(self, data: st.DataObject) -> None:
        verb = data.draw(st.sampled_from(VERBS))
        foreign = [*self.left_behind[-5:], str(uuid.UUID(int=7)), "0" * 24, "conn_123456", "%2e%2e", "ä"]
        self.do(self.somebody(data), verb, data.draw(st.sampled_from(foreign), label="which"), "Words")

    # time, and what happens while nobody asks

    def time_passes(self, data: st.DataObject) -> None:
        self.house.clock.now += data.draw(st.sampled_from(JUMPS), label="by")

    def a_deadline_comes(self, data: st.DataObject) -> None:
        """Somebody acts a microsecond before, at, or after a moment at which something changes by itself."""
        model = self.model
        moments = [(c["expires"], c) for c in model.connections.values() if c["status"] == "pending_approval"]
        moments += [(c["terminated"] + COOLDOWN, c) for c in model.connections.values() if c["terminated"]]
        moments += [
            (at + COOLDOWN, c)
            for a, b, at in model.rejections
            for c in model.of_pair(a, b)
            if c["source"] == a
        ]
        ahead = [(at, c) for at, c in moments if at > self.house.clock.now + SECOND]
        if not ahead:
            return
        when, c = data.draw(st.sampled_from(ahead), label="when")
        self.house.clock.now = when + timedelta(
            microseconds=data.draw(st.sampled_from([-1, 0, 1]), label="off by")
        )
        model.now = self.house.clock.now
        source, target = (f"admin {self.ids.index(c[side])}" for side in ("source", "target"))
        match model.status(c):
            case "pending_approval" | "expired":
                who, verb = data.draw(
                    st.sampled_from([(target, "approve"), (target, "reject"), (source, "cancel")])
                )
                self.do(who, verb, c["id"], "Words")
            case "rejected" | "terminated" if data.draw(st.booleans(), label="the same again"):
                self.do(source, "resend" if c["status"] == "rejected" else "reestablish", c["id"], "Words")
            case _:
                self.ask(source, c["target"], model.against_request(c["source"], c["target"]), None)

    def the_sweep_comes(self, _: st.DataObject) -> None:
        self.run(self.house.sweep(expire_one_partnership))

    # one after the other; said by weight, so that every example meets everything

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # The likeliest comes first: the first of a list is drawn most.
        always = (
            [self.asks_who_is_not_asked_yet] * 4
            + [self.asks] * 2
            + [self.tries_what_is_not_his, self.asks_nobody]
        )
        with_some = (
            [self.does_what_is_open] * 8
            + [self.a_deadline_comes] * 4
            + [self.tries] * 3
            + [self.time_passes, self.the_sweep_comes]
        )
        happens = data.draw(
            st.sampled_from((with_some if self.model.connections else []) + always), label="what"
        )
        self.tick()
        happens(data)

    # what must always be so

    @precondition(lambda self: self.ids)
    @invariant()
    def one_organization_sees_what_it_should(self) -> None:
        n = next(self.turn) % len(self.ids)
        self.run(self._compare(n, every=False))

    async def _compare(self, n: int, *, every: bool) -> None:
        self.model.now = self.house.clock.now
        me, caller, model = self.ids[n], self.people[f"admin {n}"], self.model
        lists = [("outgoing", "source", s) for s in ("all", *STATUSES)] + [
            ("incoming", "target", s) for s in ("all", *STATUSES)
        ]
        if not every:
            lists = [lists[(next(self.turn) * 5) % len(lists)]]
        for name, side, status in lists:
            await self._list(caller, f"/api/connections/{name}", model.seen(me, side, status), status=status)
        await self._list(caller, "/api/connections/incoming", model.seen(me, "target", "pending_approval"))
        await self._list(caller, "/api/connections/established", model.seen(me, "either", "approved"))
        await self._list(caller, "/api/connections/terminated", model.seen(me, "either", "terminated"))

        found = (await caller.get("/api/organizations/search", q=self.name)).json()["data"]
        assert found["pagination"]["totalItems"] == len(self.ids) - 1
        assert {o["id"]: o["connectionStatus"] for o in found["organizations"]} == {
            other: model.standing(me, other) for other in self.ids if other != me
        }
        for c in list(model.connections.values())[None if every else -1 :]:
            response = await caller.sees(c["id"])
            if me not in (c["source"], c["target"]):
                assert (response.status_code, response.json()["error"]["code"]) in NOT_THERE
            else:
                assert read(response.json()["data"]) == model.detail(me, c)

    async def _list(self, caller: Caller, path: str, expected: list[str], **query: str) -> None:
        found = (await caller.get(path, limit=100, **query)).json()["data"]
        assert [one["id"] for one in found["connections"]] == expected
        assert found["pagination"]["totalItems"] == len(expected)

    def teardown(self) -> None:
        if self.ids:
            for n in range(len(self.ids)):
                self.run(self._compare(n, every=True))
            self.run(self.house.must_be_sound())
        self.left_behind.extend(self.model.connections)


def read(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a connection as it is shown, with instants as instants and organizations as their ids."""
    names = (
        "id",
        "status",
        "message",
        "responseMessage",
        "connectionType",
        "terminationReason",
        "terminatedBy",
    )
    dates = ("requestDate", "responseDate", "cancelDate", "terminationDate")
    return (
        {name: shown.get(name) for name in names}
        | {name: shown.get(name) and datetime.fromisoformat(shown[name]) for name in dates}
        | {name: shown[name]["id"] for name in ("sourceOrganization", "targetOrganization")}
    )


def test_the_server_does_what_the_model_says(
    database_url: str, tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"PENDING_REQUEST_LIMIT": str(PENDING_LIMIT), "ACTIVE_CONNECTION_LIMIT": str(ACTIVE_LIMIT)}
    soaking = rounds > 20
    with one_house(Organizations, database_url, tmp_path / "keys", monkeypatch, limits):
        run_state_machine_as_test(
            Organizations,
            settings=settings(
                max_examples=min(rounds * 3 // 4, 1_000) if soaking else 10,
                stateful_step_count=60 if soaking else 30,
                derandomize=not soaking,
                database=None,
                # Without the lesser phases a failure is told as it was found; explaining would trace the whole server.
                phases=[Phase.generate, Phase.shrink] if soaking else [Phase.generate],
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    # What was never seen was never tried: these few examples must at least have met the usual answers.
    assert {
        "pending_approval",
        "approved",
        "rejected",
        "terminated",
        CONFLICT,
        *MAY_NOT,
        *NOT_THERE,
        *WRONG_INPUT,
    } <= Organizations.seen
