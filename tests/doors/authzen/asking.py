"""An organization whose applications ask: northside, with the fixture of AuthZEN's certification scenario in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cast import PASSWORD, Caller
from hospitium.doors import passwords
from hospitium.doors.cli import world
from hospitium.doors.cli.world_invites import Means
from hospitium.engine.partnerships.rules import PartnershipRules
from hospitium.engine.secrets import Password

if TYPE_CHECKING:
    import httpx

    from cast import House

KEY = "hsk_" + "K" * 43
LAKESIDES_KEY = "hsk_" + "L" * 43
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECTS, RESOURCES, ACTIONS = (f"/access/v1/search/{what}" for what in ("subject", "resource", "action"))
EVERY_SCOPE = ["check", "list", "explain", "events"]


def account(name: str, organization: str = "northside") -> dict[str, Any]:
    return {
        "email": f"{name}@asked.example",
        "password": PASSWORD,
        "firstName": name.title(),
        "lastName": "Asked",
        "verified": True,
        "externalId": name,
        "memberships": [{"organization": organization, "role": "member"}],
    }


# Alice may read and write record-1, bob may read it (AuthZEN certification scenario, §1.4, rules 1 to 4).
WORLD: dict[str, Any] = {
    "accounts": [account("alice"), account("bob"), account("lara", "lakeside")],
    "objectTypes": [
        {
            "organization": "northside",
            "name": "record",
            "pluralName": "records",
            "label": "Record",
            "allowConnections": True,
            "shareChain": [6, 5, 4, 2],
            "actions": {"write": 6},
        }
    ],
    "records": [
        {
            "organization": "northside",
            "type": "record",
            "owner": "alice@asked.example",
            "externalId": its_id,
            "body": {"n": its_id},
        }
        for its_id in ("record-1", "record-2")
    ],
    "shares": [
        {
            "organization": "northside",
            "type": "record",
            "record": "record-1",
            "by": "alice@asked.example",
            "to": "bob@asked.example",
            "access": 4,
            "status": "active",
        }
    ],
    "serviceKeys": [
        {"organization": "northside", "name": "portal", "scopes": EVERY_SCOPE, "key": KEY},
        {"organization": "lakeside", "name": "portal", "scopes": EVERY_SCOPE, "key": LAKESIDES_KEY},
    ],
}


class Application:
    """An application that shows a service key."""

    def __init__(self, house: House, key: str = KEY) -> None:
        self.house = house
        self.caller = Caller(house.http, key)

    @classmethod
    async def open(cls, house: House, more: dict[str, Any] | None = None) -> Application:
        """Set up the world, with more of it, in a house."""
        whole = {
            name: [*WORLD.get(name, []), *(more or {}).get(name, [])] for name in {*WORLD, *(more or {})}
        }
        described = world.world_of(whole)
        hashed = passwords.hash_now(Password(PASSWORD))
        means = Means(house.parts.link_key)
        made = world.Made(passwords={entry.email: hashed for entry in described.accounts}, means=means)
        await house.operate(lambda ctx: world.load(ctx, described, made, PartnershipRules()))
        return cls(house)

    async def asks(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.caller.post(path, body, **headers)

    async def says(self, path: str, body: Any) -> Any:
        """Ask; insist on an answer, and return it."""
        answered = await self.asks(path, body)
        assert answered.status_code == 200, answered.text
        assert answered.headers["content-type"] == "application/json"
        return answered.json()

    async def allows(self, subject: str, action: str, resource: str, **more: Any) -> bool:
        answered = await self.says(EVALUATION, question(subject, action, resource, **more))
        assert answered in ({"decision": True}, {"decision": False})
        decision: bool = answered["decision"]
        return decision


def thing(text: str, **more: Any) -> dict[str, Any]:
    """`record/record-1` as an entity; `user` alone is a type."""
    kind, slash, its_id = text.partition("/")
    return {"type": kind, **({"id": its_id} if slash else {}), **more}


def question(
    subject: str | None = None, action: str | None = None, resource: str | None = None, **more: Any
) -> dict[str, Any]:
    found = {
        "subject": subject and thing(subject),
        "action": action and {"name": action},
        "resource": resource and thing(resource),
    }
    return {**{name: value for name, value in found.items() if value}, **more}
