"""What must always be true of the data, as statements that find what is not.

`hospitium verify` runs them on a live or restored database, and the tests call the same code: an invariant is said once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from datetime import datetime

    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.storage.database import Transaction


class Invariant(NamedTuple):
    """A sentence that must be true, and a statement whose rows are what breaks it (`found`: an id or a pair as text)."""

    code: str
    sentence: str
    sql: str


class Violation(NamedTuple):
    """An invariant that doesn't hold, and up to ten rows that show it."""

    code: str
    sentence: str
    found: list[str]


INVARIANTS: tuple[Invariant, ...] = (
    Invariant("D1", "Two organizations have at most one pending or approved partnership.", """
        SELECT pair_low || ' ' || pair_high AS found FROM partnerships
        WHERE status IN ('pending_approval', 'approved') GROUP BY pair_low, pair_high HAVING count(*) > 1"""),
    Invariant("D2-active", "No organization has more active partnerships than the limit.", """
        SELECT organization_id::text AS found FROM (
            SELECT source_id AS organization_id FROM partnerships WHERE status = 'approved'
            UNION ALL SELECT target_id FROM partnerships WHERE status = 'approved'
        ) AS active GROUP BY organization_id HAVING count(*) > :active_limit"""),
    Invariant("D2-pending", "No organization waits for more answers than the limit.", """
        SELECT source_id::text AS found FROM partnerships
        WHERE status = 'pending_approval' AND expires_at > :now GROUP BY source_id HAVING count(*) > :pending_limit"""),
    Invariant("D3", "No organization is its own partner.", """
        SELECT id::text AS found FROM partnerships WHERE source_id = target_id"""),
    Invariant("D4-open", "An approved partnership has exactly two open grants, one each way, of level 2.", """
        SELECT p.id::text AS found FROM partnerships AS p
        LEFT JOIN grants AS g ON g.cause_id = p.id AND g.cause_kind = 'partnership' AND g.ends_at IS NULL
        WHERE p.status = 'approved' GROUP BY p.id, p.source_id, p.target_id
        HAVING count(*) FILTER (WHERE g.level = 2 AND g.grantee_kind = 'organization' AND g.resource_kind = 'organization'
                                AND g.grantee_id = p.source_id AND g.resource_id = p.target_id::text) <> 1
            OR count(*) FILTER (WHERE g.level = 2 AND g.grantee_kind = 'organization' AND g.resource_kind = 'organization'
                                AND g.grantee_id = p.target_id AND g.resource_id = p.source_id::text) <> 1
            OR count(g.id) <> 2"""),
    Invariant("D4-closed", "No other partnership has an open grant, and no grant of a partnership lacks its partnership.", """
        SELECT g.id::text AS found FROM grants AS g LEFT JOIN partnerships AS p ON p.id = g.cause_id
        WHERE g.cause_kind = 'partnership' AND g.ends_at IS NULL AND p.status IS DISTINCT FROM 'approved'"""),
    Invariant("D8", "What was answered was answered in time.", """
        SELECT id::text AS found FROM partnerships
        WHERE expires_at <= requested_at OR responded_at >= expires_at OR responded_at < requested_at"""),
    # Of a partnership that is older than a retired month, the last events must be there without a hole, and the first may be gone.
    Invariant("S5", "The events of a partnership, replayed, end in the row: same status, same version, none missing.", """
        SELECT p.id::text AS found FROM partnerships AS p
        LEFT JOIN LATERAL (
            SELECT count(*) AS moves, max((e.data->>'version')::integer) AS version,
                   min((e.data->>'version')::integer) AS oldest,
                   (array_agg(e.data->>'status' ORDER BY (e.data->>'version')::integer DESC))[1] AS status
            FROM events AS e WHERE e.subject_id = p.id AND e.kind LIKE 'partnership.%'
        ) AS replayed ON true
        WHERE (replayed.status IS DISTINCT FROM p.status OR replayed.version IS DISTINCT FROM p.version
            OR replayed.moves <> p.version)
        AND NOT (EXISTS (SELECT FROM blocks WHERE cardinality(retired) > 0)
            AND coalesce(replayed.status, p.status) = p.status AND coalesce(replayed.version, p.version) = p.version
            AND replayed.moves = coalesce(p.version - replayed.oldest + 1, 0))"""),
    Invariant("S5-parties", "Both partners have every event of their partnership in their trail.", """
        SELECT e.id::text AS found FROM events AS e JOIN partnerships AS p ON p.id = e.subject_id
        WHERE e.kind LIKE 'partnership.%' AND (
            NOT EXISTS (SELECT FROM event_parties AS x WHERE x.party_id = p.source_id AND x.event_id = e.id AND x.at = e.at)
            OR NOT EXISTS (SELECT FROM event_parties AS x WHERE x.party_id = p.target_id AND x.event_id = e.id AND x.at = e.at)
        )"""),
    Invariant("T1", "The tallies are what counting the partnerships gives.", """
        SELECT coalesce(kept.organization_id, counted.organization_id) || ' ' || coalesce(kept.status, counted.status) AS found
        FROM (SELECT organization_id, side, status, count FROM partnership_tallies WHERE count <> 0) AS kept
        FULL JOIN (
            SELECT source_id AS organization_id, 'source' AS side, status, count(*) AS count FROM partnerships GROUP BY 1, 2, 3
            UNION ALL
            SELECT target_id, 'target', status, count(*) FROM partnerships GROUP BY 1, 2, 3
        ) AS counted USING (organization_id, side, status)
        WHERE kept.count IS DISTINCT FROM counted.count"""),
    Invariant("A1", "No open session belongs to a disabled account that could still use it: its refresh tokens are dead.", """
        SELECT s.id::text AS found FROM sessions AS s JOIN accounts AS a ON a.id = s.account_id
        WHERE a.status = 'disabled' AND s.ended_at IS NULL AND s.expires_at > :now
            AND s.started_at < (SELECT max(e.at) FROM events AS e WHERE e.subject_id = a.id AND e.kind = 'account.disabled')"""),
    Invariant("A2", "An account has one open membership of an organization at most.", """
        SELECT account_id || ' ' || organization_id AS found FROM memberships
        WHERE ends_at IS NULL GROUP BY account_id, organization_id HAVING count(*) > 1"""),
    Invariant("A5", "An organization's applications know no account by an id that is not a member now.", """
        SELECT x.organization_id || ' ' || x.account_id AS found FROM account_external_ids AS x WHERE NOT EXISTS (
            SELECT FROM memberships AS m WHERE m.account_id = x.account_id AND m.organization_id = x.organization_id AND m.ends_at IS NULL)"""),
    Invariant("R1", "No session, link, offer, pending share or open invite from before the last restore is open.", """
        SELECT opened.id::text AS found FROM (SELECT max(taken_at) AS at FROM epochs) AS taken JOIN (
            SELECT id, started_at AS at FROM sessions WHERE ended_at IS NULL
            UNION ALL SELECT id, issued_at FROM links WHERE ended_at IS NULL AND account_id IS NOT NULL
            UNION ALL SELECT id, offered_at FROM offers WHERE ended_at IS NULL
            UNION ALL SELECT id, offered_at FROM person_offers WHERE ended_at IS NULL
            UNION ALL SELECT id, created_at FROM invites WHERE status IN ('unbound', 'bound')
            UNION ALL SELECT id, created_at FROM shares WHERE status = 'pending'
        ) AS opened ON opened.at <= taken.at"""),
    Invariant("A3", "A deleted account has nothing that is open: no session, link, membership, grant, record, share or role on a person.", """
        SELECT a.id::text AS found FROM accounts AS a WHERE a.status = 'deleted' AND (
            EXISTS (SELECT FROM sessions AS s WHERE s.account_id = a.id AND s.ended_at IS NULL)
            OR EXISTS (SELECT FROM links AS l WHERE l.account_id = a.id AND l.ended_at IS NULL)
            OR EXISTS (SELECT FROM memberships AS m WHERE m.account_id = a.id AND m.ends_at IS NULL)
            OR EXISTS (SELECT FROM grants AS g WHERE g.grantee_id = a.id AND g.ends_at IS NULL)
            OR EXISTS (SELECT FROM team_memberships AS t WHERE t.account_id = a.id AND t.ends_at IS NULL)
            OR EXISTS (SELECT FROM person_roles AS p WHERE p.account_id = a.id AND p.ends_at IS NULL)
            OR EXISTS (SELECT FROM records AS r WHERE r.owner_id = a.id AND r.status <> 'deleted')
            OR EXISTS (SELECT FROM shares AS s WHERE s.target_account_id = a.id AND s.ended_at IS NULL)
            OR EXISTS (SELECT FROM shares AS s WHERE s.shared_account_id = a.id AND s.ended_at IS NULL)
            OR EXISTS (SELECT FROM invites AS i WHERE i.account_id = a.id AND i.status = 'bound'))"""),
    Invariant("H1", "An active share has exactly one open grant: of its level, to its target, on what it is of.", """
        SELECT s.id::text AS found FROM shares AS s
        LEFT JOIN grants AS g ON g.cause_id = s.id AND g.cause_kind = 'share' AND g.ends_at IS NULL
        WHERE s.status = 'active' GROUP BY s.id
        HAVING count(*) FILTER (WHERE g.level = s.level AND g.resource_id = s.context_id::text
            AND g.resource_kind = CASE WHEN s.record_id IS NULL THEN 'account' ELSE 'record' END
            AND g.resource_type = coalesce(s.object_type_id::text, '')
            AND (g.grantee_kind, g.grantee_id) = (CASE WHEN s.target_team_id IS NULL THEN 'account' ELSE 'team' END,
                coalesce(s.target_team_id, s.target_account_id))
            AND g.until IS NOT DISTINCT FROM s.window_ends_at) <> 1 OR count(g.id) <> 1"""),
    Invariant("H2", "No other share has an open grant, and no grant of a share lacks its share.", """
        SELECT g.id::text AS found FROM grants AS g LEFT JOIN shares AS s ON s.id = g.cause_id
        WHERE g.cause_kind = 'share' AND g.ends_at IS NULL AND s.status IS DISTINCT FROM 'active'"""),
    Invariant("H3", "What was made under a grant that was ended has ended with it.", """
        SELECT s.id::text AS found FROM shares AS s JOIN grants AS g ON g.id = s.made_under_id
        WHERE s.ended_at IS NULL AND g.ends_at IS NOT NULL"""),
    Invariant("H4", "A share gives less than the grant it was made under, of the same, and no longer.", """
        SELECT s.id::text AS found FROM shares AS s JOIN grants AS g ON g.id = s.made_under_id
        WHERE s.ended_at IS NULL AND (s.level >= g.level OR g.level < 5 OR g.resource_id <> s.context_id::text
            OR (g.until IS NOT NULL AND s.window_ends_at IS DISTINCT FROM least(s.window_ends_at, g.until)))"""),
    Invariant("H5", "The events of a share, replayed, end in the row: same status, same version, none missing.", """
        SELECT s.id::text AS found FROM shares AS s
        LEFT JOIN LATERAL (
            SELECT count(*) AS moves, max((e.data->>'version')::integer) AS version,
                   min((e.data->>'version')::integer) AS oldest,
                   (array_agg(e.data->>'status' ORDER BY (e.data->>'version')::integer DESC))[1] AS status
            FROM events AS e WHERE e.subject_id = s.id AND e.kind LIKE 'share.%'
        ) AS replayed ON true
        WHERE (replayed.status IS DISTINCT FROM s.status OR replayed.version IS DISTINCT FROM s.version
            OR replayed.moves <> s.version)
        AND NOT EXISTS (SELECT FROM epochs AS e WHERE e.holds_until IS NOT NULL
            AND s.status = 'withdrawn' AND s.ended_at = greatest(e.begun_at, s.created_at))
        AND NOT (EXISTS (SELECT FROM blocks WHERE cardinality(retired) > 0)
            AND coalesce(replayed.status, s.status) = s.status AND coalesce(replayed.version, s.version) = s.version
            AND replayed.moves = coalesce(s.version - replayed.oldest + 1, 0))"""),
    Invariant("H6", "What was accepted was accepted in time.", """
        SELECT id::text AS found FROM shares WHERE accepted_at >= expires_at OR accepted_at < created_at"""),
    Invariant("C1", "A record that is there has one owner's grant, its owner's; one that is deleted has no open grant and no live share.", """
        SELECT r.id::text AS found FROM records AS r
        LEFT JOIN grants AS g ON g.resource_kind = 'record' AND g.resource_id = r.id::text AND g.ends_at IS NULL
        WHERE r.status <> 'deleted' GROUP BY r.id
        HAVING count(*) FILTER (WHERE g.is_owner AND g.level = 7 AND g.grantee_id = r.owner_id) <> 1 OR count(*) FILTER (WHERE g.is_owner) <> 1
        UNION ALL
        SELECT r.id::text FROM records AS r WHERE r.status = 'deleted' AND (
            EXISTS (SELECT FROM grants AS g WHERE g.resource_kind = 'record' AND g.resource_id = r.id::text AND g.ends_at IS NULL)
            OR EXISTS (SELECT FROM shares AS s WHERE s.record_id = r.id AND s.ended_at IS NULL))
        UNION ALL
        SELECT r.id::text FROM records AS r WHERE r.status = 'archived' AND EXISTS (
            SELECT FROM shares AS s WHERE s.record_id = r.id AND s.ended_at IS NULL)"""),
    Invariant("C2", "A record, its type and its shares are of one organization.", """
        SELECT r.id::text AS found FROM records AS r JOIN object_types AS t ON t.id = r.object_type_id
        WHERE t.organization_id <> r.organization_id
        UNION ALL
        SELECT s.id::text FROM shares AS s JOIN records AS r ON r.id = s.record_id
        WHERE (s.organization_id, s.object_type_id) <> (r.organization_id, r.object_type_id)"""),
    Invariant("G1", "Whoever is in a team is a member of its organization, and nobody is in a team that has ended.", """
        SELECT m.id::text AS found FROM team_memberships AS m JOIN teams AS t ON t.id = m.team_id
        WHERE m.ends_at IS NULL AND (t.ended_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM memberships AS o WHERE o.account_id = m.account_id AND o.organization_id = t.organization_id AND o.ends_at IS NULL))"""),
    Invariant("G2", "A team has one owner at most.", """
        SELECT team_id::text AS found FROM team_memberships WHERE is_owner AND ends_at IS NULL GROUP BY team_id HAVING count(*) > 1"""),
    Invariant("P1", "A person has one owner, who looks after it now.", """
        SELECT p.id::text AS found FROM persons AS p
        LEFT JOIN person_roles AS r ON r.person_id = p.id AND r.ends_at IS NULL
        WHERE p.ended_at IS NULL GROUP BY p.id HAVING count(*) FILTER (WHERE r.is_owner) <> 1"""),
    Invariant("P2", "Of a person that was deleted nothing is open: no role, offer or grant.", """
        SELECT p.id::text AS found FROM persons AS p WHERE p.ended_at IS NOT NULL AND (
            EXISTS (SELECT FROM person_roles AS r WHERE r.person_id = p.id AND r.ends_at IS NULL)
            OR EXISTS (SELECT FROM person_offers AS o WHERE o.person_id = p.id AND o.status = 'pending')
            OR EXISTS (SELECT FROM grants AS g WHERE g.grantee_kind = 'person' AND g.grantee_id = p.id AND g.ends_at IS NULL))"""),
    Invariant("P3", "An offer of a person that waits was made by who could make it still: an administrator of it, or to become one, its owner.", """
        SELECT o.id::text AS found FROM person_offers AS o WHERE o.status = 'pending' AND NOT EXISTS (
            SELECT FROM person_roles AS r WHERE r.person_id = o.person_id AND r.account_id = o.offered_by_id AND r.ends_at IS NULL
                AND r.level = 7 AND (o.level < 7 OR r.is_owner))"""),
    Invariant("F1", "A FHIR server that is there has one owner's grant, its organization's; one that was removed has no open grant and no open invite.", """
        SELECT f.id::text AS found FROM fhir_servers AS f
        LEFT JOIN grants AS g ON g.resource_kind = 'fhir_server' AND g.fhir_server_id = f.id AND g.is_owner AND g.ends_at IS NULL
        WHERE f.removed_at IS NULL GROUP BY f.id
        HAVING count(*) FILTER (WHERE g.grantee_kind = 'organization' AND g.grantee_id = f.organization_id) <> 1 OR count(g.id) <> 1
        UNION ALL
        SELECT f.id::text FROM fhir_servers AS f WHERE f.removed_at IS NOT NULL AND (
            EXISTS (SELECT FROM grants AS g WHERE g.fhir_server_id = f.id AND g.ends_at IS NULL)
            OR EXISTS (SELECT FROM invites AS i WHERE i.fhir_server_id = f.id AND i.status IN ('unbound', 'bound')))"""),
    Invariant("F2", "What a partner may do on a FHIR server rests on a partnership that is there, and is no more than to read.", """
        SELECT g.id::text AS found FROM grants AS g JOIN fhir_servers AS f ON f.id = g.fhir_server_id
        LEFT JOIN grants AS under ON under.id = g.made_under_id
        WHERE g.ends_at IS NULL AND g.grantee_kind = 'organization' AND g.grantee_id <> f.organization_id AND NOT coalesce(
            g.level <= 4 AND under.ends_at IS NULL AND under.cause_kind = 'partnership' AND under.grantee_id = g.grantee_id
            AND under.resource_id = f.organization_id::text, false)"""),
    Invariant("F3", "Whoever was granted something on a FHIR server himself is a member of its organization.", """
        SELECT g.id::text AS found FROM grants AS g JOIN fhir_servers AS f ON f.id = g.fhir_server_id
        WHERE g.ends_at IS NULL AND g.grantee_kind = 'account' AND NOT EXISTS (
            SELECT FROM memberships AS m WHERE m.account_id = g.grantee_id AND m.organization_id = f.organization_id AND m.ends_at IS NULL)"""),
    Invariant("I1", "An accepted invite names a grant to its person on its patient, to read and no more.", """
        SELECT i.id::text AS found FROM invites AS i LEFT JOIN grants AS g ON g.id = i.grant_id
        WHERE i.accepted_at IS NOT NULL AND NOT coalesce(
            (g.grantee_kind, g.grantee_id, g.resource_kind, g.resource_id, g.fhir_server_id, g.level)
            = ('person', i.person_id, 'patient', i.patient_id, i.fhir_server_id, 4), false)"""),
    Invariant("I2", "An open grant of an invite has an invite that was accepted.", """
        SELECT g.id::text AS found FROM grants AS g LEFT JOIN invites AS i ON i.id = g.cause_id
        WHERE g.cause_kind = 'invite' AND g.ends_at IS NULL AND i.status IS DISTINCT FROM 'accepted'"""),
    Invariant("I3", "An invite is of the organization whose FHIR server it is on.", """
        SELECT i.id::text AS found FROM invites AS i JOIN fhir_servers AS f ON f.id = i.fhir_server_id
        WHERE i.organization_id <> f.organization_id"""),
    # As with shares; a restore withdraws what was open without an event for each.
    Invariant("I4", "The last event of an invite says the status it has.", """
        SELECT i.id::text AS found FROM invites AS i
        LEFT JOIN LATERAL (
            SELECT (array_agg(e.data->>'status' ORDER BY (e.data->>'version')::integer DESC, e.position DESC))[1] AS status,
                   max((e.data->>'version')::integer) AS version
            FROM events AS e WHERE e.subject_id = i.id AND e.kind LIKE 'invite.%'
        ) AS replayed ON true
        WHERE (replayed.status IS DISTINCT FROM i.status OR replayed.version IS DISTINCT FROM i.version)
        AND NOT EXISTS (SELECT FROM epochs AS e WHERE e.holds_until IS NOT NULL
            AND i.status = 'withdrawn' AND i.ended_at = greatest(e.begun_at, i.created_at))
        AND NOT EXISTS (SELECT FROM blocks WHERE cardinality(retired) > 0)"""),
    Invariant("A4", "A session of an unconfirmed account ends 24 hours after the account was made.", """
        SELECT s.id::text AS found FROM sessions AS s JOIN accounts AS a ON a.id = s.account_id
        WHERE s.ended_at IS NULL AND a.verified_at IS NULL AND a.status = 'active'
            AND s.expires_at > a.created_at + interval '24 hours'"""),
    Invariant("O1", "Whoever took an invitation up became a member by it.", """
        SELECT o.id::text AS found FROM offers AS o WHERE o.status = 'accepted' AND NOT EXISTS (
            SELECT FROM memberships AS m WHERE m.account_id = o.account_id AND m.organization_id = o.organization_id)"""),
    Invariant("E1", "Every event names its deed's instant, and stands in the trail of whoever did it.", """
        SELECT e.id::text AS found FROM events AS e
        WHERE e.actor_account_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM event_parties AS x WHERE x.party_id = e.actor_account_id AND x.event_id = e.id AND x.at = e.at)"""),
    Invariant("L1", "The sealed numbers have no gap: each block goes on where the one before ended, and nothing comes after the last.", """
        SELECT 'block ' || number AS found FROM (
            SELECT number, first_number, row_number() OVER ends AS counted, lag(last_number, 1, 0::bigint) OVER ends AS ended
            FROM blocks WINDOW ends AS (ORDER BY number)
        ) AS chain WHERE number <> counted OR first_number <> ended + 1
        UNION ALL
        SELECT 'number ' || number FROM event_seals WHERE number > (SELECT coalesce(max(last_number), 0) FROM blocks)
        UNION ALL
        SELECT counted || ' numbers, and not ' || sealed FROM (
            SELECT (SELECT count(*) FROM event_seals) AS counted,
                   (SELECT coalesce(sum(last_number - first_number + 1), 0) FROM blocks)
                   - (SELECT coalesce(sum(CASE WHEN place % 2 = 0 THEN ends.number + 1 ELSE - ends.number END), 0)
                      FROM blocks, unnest(retired) WITH ORDINALITY AS ends (number, place)) AS sealed
        ) AS totals WHERE counted <> sealed"""),
)  # fmt: skip


async def verify(tx: Transaction, rules: PartnershipRules, now: datetime) -> list[Violation]:
    """Return every invariant that doesn't hold, with up to ten rows that show it. Reads one snapshot, writes
    nothing; must come first in its transaction."""
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    values = {":now": now, ":active_limit": rules.active_limit, ":pending_limit": rules.pending_limit}
    violations = []
    for invariant in INVARIANTS:
        used = [name for name in values if name in invariant.sql]
        sql = invariant.sql
        for position, name in enumerate(used, start=1):
            sql = sql.replace(name, f"${position}")
        rows = await tx.fetch(sql + " LIMIT 10", *(values[name] for name in used))
        if rows:
            violations.append(Violation(invariant.code, invariant.sentence, [row["found"] for row in rows]))
    strange = [
        str(row["id"])
        async for row in tx.cursor("SELECT id, email, email_key FROM accounts WHERE status <> 'deleted'")
        if _is_strange(row)
    ]
    if strange:
        violations.append(
            Violation(
                "D12", "The address compared is the canonical form of the one written to.", strange[:10]
            )
        )
    return violations


def _is_strange(row: Any) -> bool:
    try:
        return canonical_email("email", row["email"]) != str(row["email_key"])
    except Invalid:
        return True
