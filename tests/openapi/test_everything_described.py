"""Everything /openapi.json describes is asked: what fits, what doesn't, and what is almost right. Schemathesis asks, with all its
checks, as two administrators of different organizations and as a stranger; few examples here, many in `make soak`."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import events, from_schema

import cast
from cast import PEOPLE, House, connected, data
from doors.manners import partner
from doors.medable.sharing import AT, defines, done, makes, offers
from hospitium.app import SURFACES

# What a check says though we mean it so. Each stands here with its reason, and for its operation alone.
MEANT: dict[tuple[str, str], str] = {
    # Members that depend on each other: a list of members can't say so.
    ("radorderpad_auth_login", "positive_data_acceptance"): "email or username, one of the two",
    ("radorderpad_connections_terminate", "positive_data_acceptance"): "transfer needs a targetConnectionId",
    ("native_accounts_confirm", "positive_data_acceptance"): "a password, or a session in its place",
    ("native_accounts_prove_email", "positive_data_acceptance"): "a password, or a session in its place",
    ("native_offers_accept", "positive_data_acceptance"): "a password, or a session in its place",
    (
        "native_teams_create",
        "positive_data_acceptance",
    ): "an Idempotency-Key that came with another body is 422",
    (
        "native_service_keys_make",
        "positive_data_acceptance",
    ): "an Idempotency-Key that came with another body is 422",
    ("native_members_change", "positive_data_acceptance"): "role or externalId, one of the two at least",
    ("native_teams_add_member", "positive_data_acceptance"): "accountId or email, one of the two",
    (
        "native_shares_offer",
        "positive_data_acceptance",
    ): "email, accountId or teamId, one of the three; a level of the type's chain",
    (
        "native_fhir_servers_create",
        "positive_data_acceptance",
    ): "an address and credentials, of a remote server alone; a token, or a user and a password",
    ("native_invites_make_in_bulk", "positive_data_acceptance"): "keys of which no two are the same",
    (
        "medable_connections_create",
        "positive_data_acceptance",
    ): "email or _id, one of the two; somebody to share with",
    (
        "medable_connections_create_of_account",
        "positive_data_acceptance",
    ): "email or _id, one of the two; somebody to share with",
    (
        "bluebutton_invites_create_by_code",
        "positive_data_acceptance",
    ): "a patient, by id or identifier; a header",
    (
        "bluebutton_invites_create_by_email",
        "positive_data_acceptance",
    ): "a patient, by id or identifier; a header",
    ("bluebutton_invites_list_sent", "positive_data_acceptance"): "a header, of which there are two",
    ("bluebutton_invites_find", "positive_data_acceptance"): "an answer that isn't blank",
    (
        "bluebutton_invites_accept_by_code",
        "positive_data_acceptance",
    ): "an answer that isn't blank; the code twice",
    ("bluebutton_invites_accept", "positive_data_acceptance"): "the id twice",
    ("bluebutton_invites_register", "positive_data_acceptance"): "an answer that isn't blank; the code twice",
    ("bluebutton_invites_reissue", "positive_data_acceptance"): "an answer that isn't blank",
    ("bluebutton_grants_make", "positive_data_acceptance"): "a role that may be given, to whom it may be",
    ("medable_connections_read", "positive_data_acceptance"): "a token that waits: what is none is 400 here",
    (
        "medable_connections_accept",
        "positive_data_acceptance",
    ): "a token that waits: what is none is 400 here",
    (
        "medable_connections_end",
        "positive_data_acceptance",
    ): "an id, or a token that waits: what is none is 400 here",
    (
        "medable_accounts_verify",
        "positive_data_acceptance",
    ): "a token that waits, with a password or a session",
    (
        "bluebutton_persons_create",
        "positive_data_acceptance",
    ): "a birth date is a day there is, and none to come",
    (
        "bluebutton_persons_change",
        "positive_data_acceptance",
    ): "a birth date is a day there is, and none to come",
    ("medable_objects_create", "positive_data_acceptance"): "two different names, and none that is reserved",
    **{
        (f"medable_{name}", "positive_data_acceptance"): "an object there is: one that isn't is 400 here"
        for name in (
            "records_create",
            "records_list_",
            "records_read",
            "records_replace",
            "records_archive",
            "records_delete",
            "connections_list_on",
            "connections_end_orphans",
        )
    },
}
# What somebody without a token is told at an address that needs one. 400: some read the query before they ask who sent it.
TOLD_TO_STRANGERS = {400, 401, 404, 405}


NOT_KNOWN = {"Medable": 403}  # by its documents


class Asked:
    """What was found by asking one operation: failed checks with what to repeat them by, and the statuses seen."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self.statuses: set[int] = set()

    def take(self, event: events.EngineEvent) -> None:
        match event:
            case events.ScenarioFinished():
                for case_id, interaction in event.recorder.interactions.items():
                    if interaction.response is not None:
                        self.statuses.add(interaction.response.status_code)
                    for check in event.recorder.checks.get(case_id, []):
                        if (told := check.failure_info) is not None:
                            self.failures[check.name] = f"{told.failure}\n{told.code_sample}"
            case events.NonFatalError(value=problem) | events.FatalError(exception=problem):
                self.failures[type(problem).__name__] = str(problem)


def ask(
    house: House, operation_id: str, token: str | None, named: dict[str, str], examples: int, *, edges: bool
) -> Asked:
    """Ask one operation; `named` are ids to ask about, `edges` whether every value on the edge of its range is tried too.

    Schemathesis is not asynchronous: to be run in a thread.
    """
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "headers": {} if token is None else {"Authorization": f"Bearer {token}"},
            "parameters": {f"path.{name}": value for name, value in named.items()},
            "checks": {"enabled": True},
            "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": edges}},
        }
    )
    schema = schemathesis.openapi.from_dict(house.parts.api.described, config=config)
    schema.config.update(base_url=house.base_url)
    asked = Asked()
    for event in from_schema(schema.include(operation_id=operation_id)).execute():
        asked.take(event)
    return asked


async def token_of(house: House, who: str) -> str | None:
    """Return a token of a new session: some operations end the one they are asked in."""
    if who == "stranger":
        return None
    organization, role = PEOPLE[who]
    return await house._token_of(house.accounts[who], organization, role)


async def things_of(house: House) -> dict[str, dict[str, str]]:
    """Make a thing for each verb to be done to it; return the ids by the last word of the address."""
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    answered = data(await house.zoe.asks(house.northside), 201)["connectionId"]
    elm = await partner(house, "elm")
    rejected = data(await house.ada.asks(house.organizations["elm"]), 201)["connectionId"]
    data(await elm.does("reject", rejected))
    oak = await partner(house, "oak")
    standing = await connected(house.ada, house.organizations["oak"], oak)
    ash = await partner(house, "ash")
    ended = await connected(house.ada, house.organizations["ash"], ash)
    data(await house.ada.does("terminate", ended, {"reason": "Over"}))
    verbs = {
        "approve": answered,
        "reject": answered,
        "cancel": asked,
        "resend": rejected,
        "reestablish": ended,
    }
    return {
        verb: {"connectionId": verbs.get(verb, standing)}
        for verb in (*verbs, "terminate", "statistics", "pending-orders", "{connectionId}")
    }


async def shared_things_of(house: House) -> dict[str, dict[str, str]]:
    """Make an object, an instance and a connection at northside; return the ids by how an address begins."""
    made = await defines(house)
    record = await makes(house.ada)
    connection = await offers(house.ada, record, {"email": "pat@mail.example", "access": 4})
    ada = done(await house.ada.get(f"{AT}/accounts/me"))["_id"]
    return {
        "accounts": {"id": ada},
        "objects": {"id": made["_id"]},
        "connections": {"which": connection["_id"]},
        "{plural}": {"plural": "c_prescriptions", "id": record},
    }


@pytest.mark.parametrize("surface", [surface.name for surface in SURFACES])
@pytest.mark.parametrize("who", ["ada", "rui", "stranger"])
async def test_every_operation_answers_as_described_whatever_it_is_asked(
    house: House, rounds: int, surface: str, who: str
) -> None:
    # Ada is at home with what she asks about, and tries the edges; the others ask about what they made up.
    things = await things_of(house) if who == "ada" else {}
    shared = await shared_things_of(house) if who == "ada" else {}
    failures: dict[str, Any] = {}
    house.parts.streams.longest = (
        0  # who asks here reads every answer to its end: a stream has one, and it comes at once
    )
    soaking = rounds > 20
    for number, (path, methods) in enumerate(house.parts.api.described["paths"].items()):
        for operation in methods.values():
            if operation["tags"] != [surface]:
                continue
            name = operation["operationId"]
            token = await token_of(house, who)
            named = things.get(path.rpartition("/")[2], {})
            if path.startswith("/{org}/v2/"):
                named = {"org": "northside", **shared.get(path.split("/")[3], {})}
            # What was asked before under the same key is forgotten: elsewhere that is told as 422.
            await house.rows("DELETE FROM idempotency_keys RETURNING key")
            # Few have their edges tried here, others in each surface; all of them in `make soak`.
            edges = soaking or (who == "ada" and number % 3 == 0)
            asked = await asyncio.to_thread(ask, house, name, token, named, max(2, rounds // 10), edges=edges)
            failures |= {
                f"{name} {check}": told
                for check, told in asked.failures.items()
                if (name, check) not in MEANT
                and not (surface in NOT_KNOWN and check == "missing_required_header")
            }
            assert asked.statuses, f"{name} was not asked"
            not_known = NOT_KNOWN.get(surface, 401)
            if token is not None:
                assert not_known == 403 or asked.statuses != {not_known}, f"{name} never knew who asked"
            elif "security" in operation:
                allowed = TOLD_TO_STRANGERS | {not_known, 204}
                assert asked.statuses <= allowed, f"{name} answered a stranger"
    assert not failures, "\n\n".join(f"{what}: {told}" for what, told in failures.items())
    await house.must_be_sound()


@pytest.fixture
def untrue(house: House) -> Iterator[dict[str, Any]]:
    """The document, of which a test may make something untrue: other houses of this process have the same."""
    described = house.parts.api.described
    kept = copy.deepcopy(described)
    yield described
    described.clear()
    described.update(kept)
    # What holds answers against it has parts of it by heart.
    cast._DOCUMENTED.clear()


async def test_a_document_that_is_not_true_is_found_out(house: House, untrue: dict[str, Any]) -> None:
    operation = untrue["paths"]["/api/connections/outgoing"]["get"]
    answer = operation["responses"]["200"]
    answer["content"]["application/json"]["schema"] = {"type": "string"}
    answer["headers"]["X-Missing"] = {"required": True, "schema": {"type": "string"}}
    del operation["responses"]["400"]
    del operation["parameters"][0]["schema"]["minimum"]
    asked = await asyncio.to_thread(
        ask, house, operation["operationId"], await token_of(house, "ada"), {}, 2, edges=True
    )
    assert asked.failures.keys() == {
        "response_schema_conformance",
        "response_headers_conformance",
        "status_code_conformance",
        "positive_data_acceptance",
    }
