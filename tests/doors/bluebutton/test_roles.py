"""What one may do on a FHIR server by what one is: ruling 23, and the check that goes by it (contract bluebutton.md §3.2)."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from cast import Caller, House, connected
from clinic import JANE, JIMMY, Clinic, accepts, body, makes_person, problem
from doors.bluebutton.test_grants import ends, grants, listed, records
from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.grants import on_servers
from hospitium.engine.grants.record import CauseKind, GranteeKind
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission

NOTHING, READ, WRITE, ADMINISTRATOR = 0, int(Level.READ), int(Level.UPDATE), int(Level.DELETE)


async def level(house: House, name: str, resource: Resource) -> int:
    """Return how much somebody may do on a FHIR server, or on a patient of it."""
    best = await house.operate(lambda ctx: best_of(ctx, house.accounts[name], resource))
    return NOTHING if best is None else int(best.level)


class May(NamedTuple):
    """What the routes of this surface let somebody do: each the status that it answers."""

    invite: int
    see_sent: int
    grant: int
    list_grants: int


EVERYTHING = May(200, 200, 200, 200)
WRITES = May(200, 200, 403, 200)
READS = May(403, 403, 403, 200)
ONE_PATIENT = May(404, 404, 404, 200)
NOTHING_AT_ALL = May(404, 404, 404, 404)


async def may(clinic: Clinic, who: Caller) -> May:
    """Ask all of it; the grant that is asked for changes nothing, for there is such a one already, or none to whom."""
    granted = await grants(clinic, who, "User", "nobody@mail.example")
    return May(
        (await clinic.invites_by_code(who)).status_code,
        (await clinic.sees_sent(who)).status_code,
        200 if granted.status_code == 400 else granted.status_code,
        (await who.get(f"/FhirServers/{clinic.server_id}/grants")).status_code,
    )


async def test_staff_inherit_as_what_they_are_and_members_nothing(house: House, clinic: Clinic) -> None:
    server, jane = Resource.server(clinic.server_id), Resource.patient(clinic.server_id, JANE)
    await connected(house.ada, house.lakeside, house.rui)
    body(await grants(clinic, house.ada, "Organization", house.lakeside))
    staff = {
        role: await house.add_person(f"the_{role}", "northside", role)
        for role in Role
        if role is not Role.ADMIN
    }
    theirs = await house.add_person("theirs", "lakeside", Role.RADIOLOGIST)
    their_member = await house.add_person("their_member", "lakeside", Role.MEMBER)
    expected: dict[str, tuple[Caller, int, May]] = {
        "ada": (house.ada, ADMINISTRATOR, EVERYTHING),
        "rui": (house.rui, READ, READS),
        "theirs": (theirs, READ, READS),
        "their_member": (their_member, NOTHING, NOTHING_AT_ALL),
        "zoe": (house.zoe, NOTHING, NOTHING_AT_ALL),
        "pat": (house.pat, NOTHING, NOTHING_AT_ALL),
    }
    for role, caller in staff.items():
        is_member = role is Role.MEMBER
        expected[f"the_{role}"] = (
            caller,
            NOTHING if is_member else WRITE,
            NOTHING_AT_ALL if is_member else WRITES,
        )
    for name, (caller, most, allowed) in expected.items():
        assert await level(house, name, server) == await level(house, name, jane) == most, name
        assert await may(clinic, caller) == allowed, name
        roles = set((await records(caller)).values())
        wanted = {
            NOTHING: set(),
            READ: {("Read", True)},
            WRITE: {("Write", True)},
            ADMINISTRATOR: {("Owner", True)},
        }
        assert roles == wanted[most], name
    await house.must_be_sound()


async def test_a_grant_of_ones_own_comes_before_what_one_inherits_but_for_administrators(
    house: House, clinic: Clinic
) -> None:
    server = Resource.server(clinic.server_id)
    lower = body(await grants(clinic, house.ada, "User", "ben@northside.example", "Read"))
    assert await level(house, "ben", server) == READ
    assert await may(clinic, house.ben) == READS
    assert await records(house.ben) == {lower["grantId"]: ("Read", False)}
    own = body(await grants(clinic, house.ada, "User", "ada@northside.example", "Read"))
    assert await level(house, "ada", server) == ADMINISTRATOR
    assert await may(clinic, house.ada) == EVERYTHING
    assert len(await records(house.ada)) == 2
    body(await grants(clinic, house.ada, "User", "mia@northside.example", "Write"))
    assert await may(clinic, house.mia) == WRITES
    # It comes before as long as it is, and then what is inherited counts again.
    assert (await ends(house.ada, lower)).status_code == 204
    assert await may(clinic, house.ben) == WRITES
    assert (await ends(house.ada, own)).status_code == 204
    # One patient is another thing than the whole server: it takes nothing away there.
    body(await grants(clinic, house.ada, "User", "ben@northside.example", "Read", accessiblePatientId=JANE))
    assert (
        await level(house, "ben", server)
        == await level(house, "ben", Resource.patient(clinic.server_id, JANE))
        == WRITE
    )
    assert await may(clinic, house.ben) == WRITES


async def test_a_persons_grant_gives_no_more_than_the_grant_and_no_more_than_the_role_on_the_person(
    house: House, clinic: Clinic
) -> None:
    """Danger of the contract: by a person's grant its users would inherit the role they have with the person (trap 24)."""
    made = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    person_id = await makes_person(house.pat)
    grant = body(await accepts(house.pat, made, person_id))
    for name, role in (("zoe", "Administrator"), ("rui", "Write"), ("mia", "Read")):
        email = {"zoe": "zoe@harbor.example", "rui": "rui@lakeside.example", "mia": "mia@northside.example"}[
            name
        ]
        offered = body(await house.pat.post(f"/Persons/{person_id}/users", {"email": email, "role": role}))
        body(await house.callers[name].post(f"/Persons/offers/{offered['id']}/accept", {}))
    jane, jimmy = (Resource.patient(clinic.server_id, one) for one in (JANE, JIMMY))
    for name in ("pat", "zoe", "rui", "mia"):
        assert await level(house, name, jane) == READ, name
        assert await level(house, name, jimmy) == NOTHING
        assert await level(house, name, Resource.server(clinic.server_id)) == NOTHING
        assert await may(clinic, house.callers[name]) == ONE_PATIENT, name
        assert await records(house.callers[name]) == {grant["grantId"]: ("Read", True)}

    # A grant of more than Read is none that anybody makes for a person; if it were, the role on the person would bound it.
    async def give(ctx: Context) -> UUID:
        grantee = (GranteeKind.PERSON, UUID(person_id))
        return await on_servers._start(
            ctx, grantee, jimmy, Level.UPDATE, cause=(CauseKind.ADMINISTRATOR, None)
        )

    ended = await house.operate(give)
    assert [await level(house, name, jimmy) for name in ("pat", "zoe", "rui", "mia")] == [
        WRITE,
        WRITE,
        WRITE,
        READ,
    ]
    assert (await ends(house.ada, str(ended))).status_code == 204
    # Whoever leaves the person, leaves what it was granted.
    left = await house.mia.send("DELETE", f"/Persons/{person_id}/users/{house.accounts['mia']}")
    assert left.status_code == 204, left.text
    assert await level(house, "mia", jane) == NOTHING
    assert await records(house.mia) == {}
    assert (await house.pat.send("DELETE", f"/Persons/{person_id}")).status_code == 204
    for name in ("pat", "zoe", "rui"):
        assert await level(house, name, jane) == NOTHING
        assert await records(house.callers[name]) == {}
    await house.must_be_sound()


@pytest.mark.parametrize("end", ["removed", "suspended organization", "left"])
async def test_nothing_is_left_of_it(house: House, clinic: Clinic, end: str) -> None:
    made, waits = [body(await clinic.invites_by_email("pat@mail.example"))["id"] for _ in range(2)]
    person_id = await makes_person(house.pat)
    body(await accepts(house.pat, made, person_id))
    jane = Resource.patient(clinic.server_id, JANE)
    callers = {"ben": house.ben, "ada": house.ada, "pat": house.pat}
    match end:
        case "removed":
            await house.operate(
                lambda ctx: servers.remove(ctx, clinic.server_id), Permission.KEEP_FHIR_SERVERS
            )
            (row,) = await house.rows(
                "SELECT count(*) FROM grants WHERE fhir_server_id IS NOT NULL AND ends_at IS NULL"
            )
            assert row[0] == 0
            statuses = await house.rows("SELECT status FROM invites ORDER BY id")
            assert [row[0] for row in statuses] == ["accepted", "withdrawn"]
        case "suspended organization":
            await house.rows("UPDATE organizations SET status = 'suspended' WHERE code = 'northside'")
        case "left":
            await house.rows(
                "UPDATE memberships SET ends_at = $1 WHERE account_id = $2",
                house.clock(),
                house.accounts["ben"],
            )
            callers = {"ben": house.ben}
    for name, caller in callers.items():
        assert await level(house, name, jane) == NOTHING, name
        assert await may(clinic, caller) == NOTHING_AT_ALL, name
        assert await records(caller) == {}
        problem(
            await caller.get(f"/OrganizationInvites/{waits}"), 404, "not-found"
        ) if name != "pat" else None
    if end != "left":
        problem(await accepts(house.pat, waits, person_id), 404, "not-found")
        assert [one["id"] for one in body(await house.pat.get("/OrganizationInvites/received"))] == [made]
    await house.must_be_sound()


async def test_while_a_servers_grants_are_suspended_only_its_owners_administrators_see_it(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    grant = body(await accepts(house.pat, made, await makes_person(house.pat)))
    body(await grants(clinic, house.ada, "User", "mia@northside.example", "Administrator"))
    await house.rows(
        "UPDATE fhir_servers SET suspended_at = $1 WHERE id = $2", house.clock(), clinic.server_id
    )
    for who in (house.ben, house.mia):
        assert await may(clinic, who) == NOTHING_AT_ALL
        assert await records(who) == {}
    assert await records(house.pat) == {}
    assert len(await listed(clinic, house.ada)) == 3
    assert (await clinic.sees_sent(house.ada)).status_code == 200
    problem(await clinic.invites_by_code(house.ada), 409, "wrong-state")
    problem(await grants(clinic, house.ada, "User", "ben@northside.example", "Read"), 409, "wrong-state")
    assert (await ends(house.ada, grant)).status_code == 204  # what was given can be taken back all the same
    await house.operate(lambda ctx: servers.confirm(ctx, clinic.server_id), Permission.KEEP_FHIR_SERVERS)
    assert await may(clinic, house.mia) == EVERYTHING
    await house.must_be_sound()


async def test_the_check_and_the_list_say_the_same_of_everybody(house: House, clinic: Clinic) -> None:
    """Property E-05, in little: what reaches somebody in his list is what the check allows, and nothing else."""
    await connected(house.ada, house.lakeside, house.rui)
    body(await grants(clinic, house.ada, "Organization", house.lakeside))
    body(await grants(clinic, house.ada, "User", "ben@northside.example", "Read"))
    body(await grants(clinic, house.ada, "User", "mia@northside.example", "Read", accessiblePatientId=JIMMY))
    made = body(await clinic.invites_by_email("pat@mail.example", house.ada))["id"]
    body(await accepts(house.pat, made, await makes_person(house.pat)))
    words = {"Owner": ADMINISTRATOR, "Administrator": ADMINISTRATOR, "Write": WRITE, "Read": READ}
    for name, caller in house.callers.items():
        found: list[Any] = body(await caller.get("/FhirServers/records"))
        for resource in (
            Resource.server(clinic.server_id),
            *(Resource.patient(clinic.server_id, one) for one in (JANE, JIMMY)),
        ):
            on_it = [
                words[one["role"]]
                for one in found
                if UUID(one["fhirServerId"]) == clinic.server_id
                and one.get("accessiblePatientId", resource.id) == resource.id
            ]
            assert await level(house, name, resource) == max(on_it, default=NOTHING), (name, resource.id)
