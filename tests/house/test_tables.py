"""A noun's table is read in its own folder, and written nowhere else."""

from __future__ import annotations

import ast
import re

import hospitium.app  # noqa: F401  with it every table is known
from hospitium.storage.tables import metadata
from house.tree import calls, imported, modules, texts

# Who else may look at a noun's table, and why. What is not here goes through the noun's queries.
READERS = {
    "engine/trail/feed.py": {
        "event_parties": "what an organization is told of the trail is one walk: number, party, event",
        "events": "likewise",
        "fhir_servers": "and of what its people did it is told only what is its own: on whose server a grant is",
        "grants": "likewise",
        "invites": "likewise: whose an invite is",
        "memberships": "likewise",
        "offers": "likewise",
        "records": "likewise",
        "sessions": "likewise: for whom a session acts",
        "shares": "likewise",
        "teams": "likewise",
    },
    "engine/access/candidates.py": {
        "accounts": "a question is one statement: who, as what, and by which grant, in one snapshot",
        "epochs": "likewise: what a restore holds",
        "fhir_resources": "likewise: whether a patient is there",
        "fhir_servers": "likewise: whose a FHIR server is, and whether its grants are suspended",
        "grants": "likewise",
        "memberships": "likewise: what an account stands in, and who stands in an organization",
        "organizations": "likewise",
        "person_roles": "likewise, of persons",
        "patient_suspensions": "likewise: whether the grants on a patient are suspended",
        "records": "likewise: whose a record is",
        "team_memberships": "likewise, of teams",
    },
    "engine/access/check.py": {"grants": "likewise"},
    "engine/access/asking.py": {
        "grants": "likewise",
        "organizations": "likewise: whether the asker's is active",
        "service_keys": "likewise: who asks",
    },
    "engine/access/naming.py": {
        "account_external_ids": "likewise: what an application's words name",
        "accounts": "likewise",
        "grants": "likewise: in whose world a grant is",
        "object_types": "likewise",
        "records": "likewise",
    },
    "engine/access/listing.py": {
        "account_external_ids": "lists are the same question, the other way round: what is found is named in the asker's words",
        "fhir_resources": "likewise: the patients of a whole FHIR server",
        "fhir_servers": "likewise: whose patients live elsewhere",
        "grants": "likewise",
        "records": "likewise",
    },
    "engine/access/finding.py": {
        "fhir_servers": "whose a resource is, before anybody is told why",
        "object_types": "likewise",
        "organizations": "likewise",
        "records": "likewise",
    },
    "engine/access/paths.py": {
        "accounts": "an answer says by whom a grant was given",
        "fhir_servers": "likewise: on what",
        "grants": "likewise",
        "invites": "likewise: because of which invite",
        "object_types": "likewise",
        "organizations": "likewise: to whom",
        "shares": "likewise: because of which share",
        "teams": "likewise",
    },
    "engine/access/reach.py": {
        "accounts": "whoever can reach something is shown with his name",
        "records": "what can be reached is shown with its external id",
    },
    "engine/access/standing.py": {
        "grants": "parts of that question, for lists that must agree with it",
        "memberships": "likewise",
        "organizations": "likewise",
        "team_memberships": "likewise",
    },
    "engine/client_keys/queries.py": {
        "memberships": "who enters an organization's surface is one statement: organization, key, role",
        "organizations": "likewise",
    },
    "engine/records/queries.py": {
        "accounts": "no record may have the id of an account, by which shares know what they are of",
        "grants": "the readable records of an account are one statement, paged by it",
        "shares": "a record is shown with whether it is shared",
    },
    "engine/shares/accounts.py": {
        "accounts": "an account is one of the things that are shared",
        "grants": "the readable ones are one statement, paged by it",
    },
    "engine/shares/contexts.py": {
        "accounts": "what a share is of is an account or a record, and is locked before anything of it is changed",
        "object_types": "likewise, with the rules for sharing it",
        "records": "likewise",
    },
    "engine/shares/queries.py": {
        "accounts": "whether one is the target is whether the address is one's own and proved",
        "grants": "whether whoever made a share could still make it",
        "object_types": "a share is shown with what kind of thing it is of",
        "organizations": "no token works at an organization that isn't active",
        "team_memberships": "what is shared with a team is seen by who is in it",
    },
    "engine/reads/queries.py": {
        "accounts": "a read is shown with who read",
        "event_parties": "reads are events, found by whom they concern",
        "events": "likewise",
        "fhir_servers": "and with the name of the FHIR server",
        "grants": "whom a read concerns is one statement: the persons with a grant on a patient, and whose the grants are that were used",
        "organizations": "and with whose server it is, and for whom he read",
    },
    "engine/suspensions/queries.py": {
        "fhir_servers": "who is told of a suspension is one statement: the FHIR server, and its organization",
        "organizations": "likewise",
    },
    "engine/teams/queries.py": {"accounts": "a member is shown with his name"},
    "engine/deliveries/queries.py": {
        "accounts": "to whom a mail goes and what it is about, read when it is sent and never before",
        "invites": "likewise",
        "memberships": "likewise: who administers an organization at that moment",
        "object_types": "likewise: what kind of thing is shared",
        "offers": "likewise",
        "shares": "likewise",
        "teams": "likewise: what the team is called that a mail goes to",
        "organizations": "likewise: the names",
        "partnerships": "likewise: the two sides, for no actor that is one of them",
    },
    "engine/fhir_references/actions.py": {"fhir_servers": "likewise, what was noted of them"},
    "engine/access/on_server.py": {
        "grants": "the question, about all patients of one FHIR server",
        "sessions": "whose question it is, in the same statement",
        "fhir_servers": "likewise, which server",
    },
    "engine/fhir_resources/actions.py": {
        "fhir_servers": "the resources of a server that was removed are deleted with it, some at a time"
    },
    "engine/grants/on_servers.py": {
        "fhir_servers": "what a member was granted ends on every FHIR server of an organization, in one statement"
    },
    "engine/fhir_servers/queries.py": {
        "organizations": "the one FHIR server of a tax id is found in one statement"
    },
    "engine/grants/queries.py": {"fhir_servers": "a grant is shown with the name of its FHIR server"},
    "engine/invites/queries.py": {
        "accounts": "an invite is shown with the account it is tied to, and is one's own by one's proved address",
        "fhir_servers": "and with the name of its FHIR server; none is open where that is gone",
        "organizations": "or its organization isn't active",
    },
    "engine/links/actions.py": {"deliveries": "a link is kept for as long as a delivery names it"},
    "engine/epochs/queries.py": {
        "events": "which lines of an exported trail the backup has",
        "grants": "how far a restore's hold must reach",
        "memberships": "likewise",
        "person_roles": "likewise",
        "team_memberships": "likewise",
    },
    "engine/persons/queries.py": {
        "accounts": "whoever looks after a person, or offers it, is shown with name and address; and whose an address is, if it is proved"
    },
    "engine/offers/queries.py": {"organizations": "an offer is shown with who makes it"},
    "engine/memberships/queries.py": {
        "account_external_ids": "and with the id by which the organization's applications know him",
        "accounts": "a member is shown with name and address, and counts as administrator only if he can act",
        "organizations": "a membership is shown with its organization's status",
    },
    "engine/organizations/queries.py": {
        "partnerships": "the caller's standing comes with the page of a search"
    },
    "engine/partnerships/queries.py": {"organizations": "a partnership is shown with both, and locks both"},
    "engine/trail/backlog.py": {"events": "how many are beyond the end of the chain"},
    "engine/trail/queries.py": {
        "events": "what is sealed is the events, row by row",
        "event_parties": "likewise, with their parties",
    },
    "engine/service_keys/queries.py": {
        "organizations": "the actor of a request is one statement: key, and its organization"
    },
    "engine/sessions/actions.py": {"accounts": "the hash is compared again in the transaction that signs in"},
    "engine/sessions/queries.py": {
        "accounts": "the actor of a request is one statement: session, account, membership, organization",
        "memberships": "likewise",
        "organizations": "likewise",
    },
}
# Who else may select: everything else starts from a finder in queries.py.
SELECTORS = {
    "engine/deliveries/actions.py": "the claim is one UPDATE with its choice inside",
    "engine/deliveries/backlog.py": "how far behind, in numbers and for no actor",
    "engine/trail/backlog.py": "likewise",
    "engine/trail/sealer.py": "rows of a new block, made by INSERT … SELECT",
    "engine/trail/feed.py": "one question, of one actor: what comes next of the trail that is his organization's to know",
    "engine/access/candidates.py": "it is the question",
    "engine/access/check.py": "likewise",
    "engine/access/on_server.py": "likewise",
    "engine/access/asking.py": "likewise",
    "engine/access/naming.py": "likewise",
    "engine/access/listing.py": "the same question, the other way round",
    "engine/access/finding.py": "what a question names, for no actor",
    "engine/access/paths.py": "what an answer says of grants",
    "engine/access/reach.py": "names of what was found",
    "engine/access/standing.py": "parts of the question",
    "engine/shares/accounts.py": "finders of another noun's rows, as what is shared",
    "engine/shares/actions.py": "rows of several shares, made by INSERT … SELECT",
    "engine/shares/contexts.py": "finders and locks of what is shared",
    "engine/shares/importing.py": "whether a world file's share is there, asked by nobody else",
    "engine/teams/actions.py": "the teams of one organization, inside the UPDATE that leaves them",
    "engine/events.py": "the trail",
    "engine/fhir_resources/actions.py": "rows of many resources, made by INSERT … SELECT, and which to delete, inside the DELETE",
    "engine/fhir_references/actions.py": "rows of many references, made by INSERT … SELECT, and which to delete, inside the DELETE",
    "engine/grants/on_servers.py": "the FHIR servers of one organization, inside the UPDATE",
    "engine/grants/actions.py": "rows of a new pair of grants, made by INSERT … SELECT",
    "engine/idempotency.py": "one table, one file",
    "engine/throttles/actions.py": "rows to count, made by INSERT … SELECT",
    "engine/sessions/actions.py": "the hash, compared again in the transaction that signs in",
}
# Who may write SQL as text about our tables, and why.
WRITERS_OF_TEXT = {
    "doors/cli/doctor.py": "counts and instants, seen from outside the engine",
    "storage/backup.py": "known_keys and Alembic's table belong to storage",
    "engine/verify.py": "invariants are said in SQL, apart from the statements they check",
    "storage/keyring.py": "known_keys belongs to storage, below the engine",
    "storage/schema.py": "Alembic's own table",
}
_TABLES_AS_TEXT = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+("
    + "|".join([*metadata.tables, "known_keys", "alembic_version"])
    + r")\b"
)


def _owners() -> dict[tuple[str, str], str]:
    """Return, for each table, the module and name it is imported by, and the table's own name."""
    owners = {}
    for place, tree in modules().items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and ast.unparse(node.value.func) == "Table"
            ):
                module = "hospitium." + place.removesuffix(".py").replace("/", ".")
                owners[module, ast.unparse(node.targets[0])] = ast.literal_eval(node.value.args[0])
    assert sorted(owners.values()) == sorted(metadata.tables)
    return owners


def _strangers() -> dict[str, dict[str, str]]:
    """Return, for each module, the tables of other folders that it imports: name here, and whose."""
    owners = _owners()
    return {
        place: {
            here: owners[module, name]
            for module, name, here in imported(tree)
            if (module, name) in owners and not module.startswith(_folder(place))
        }
        for place, tree in modules().items()
        if not place.startswith("storage/")
    }


def _folder(place: str) -> str:
    return "hospitium." + place.rpartition("/")[0].replace("/", ".") + "."


def test_a_table_is_looked_at_in_its_own_folder() -> None:
    found = {place: set(tables.values()) for place, tables in _strangers().items() if tables}
    allowed = {place: set(tables) for place, tables in READERS.items()}
    assert found == allowed, (
        "There is one way to look at a noun, and it knows who is looking: use its queries.py. Where one statement must span "
        "two nouns, say so in READERS with the reason; what no longer does, leaves the list."
    )


def test_a_table_is_written_in_its_own_folder_without_exception() -> None:
    found = [
        f"{place}:{call.lineno} {ast.unparse(call)[:50]}"
        for place, strangers in _strangers().items()
        for name, call in calls(modules()[place])
        if name in ("insert", "insert_into", "update", "delete")
        and call.args
        and ast.unparse(call.args[0]) in strangers
    ]
    assert not found, f"What happens to a noun happens in its own actions.py. Found {found}."


def test_only_queries_select() -> None:
    found = {
        place
        for place, tree in modules().items()
        for name, _ in calls(tree)
        if name == "select" and not place.endswith("/queries.py")
    }
    assert found == set(SELECTORS), "Start from a finder in queries.py, or name the reason in SELECTORS."


def test_sql_as_text_stays_where_it_has_a_reason() -> None:
    found = {
        place
        for place, tree in modules().items()
        if "migrations/" not in place
        for _, text in texts(tree)
        if _TABLES_AS_TEXT.search(text)
    }
    assert found <= set(WRITERS_OF_TEXT), (
        "Statements are Core values in queries.py and actions.py (docs/decisions/0003)."
    )
