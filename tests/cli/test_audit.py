"""`hospitium audit`, beside a server that seals: what an auditor has before him."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cli.running import COMMAND, PATIENCE, Installation
from hospitium.doors.cli.audit import safe_cell

# As many events as must be; enough of them fill any pipe.
EVENTS = """
    INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data)
    SELECT gen_random_uuid(), '{at}', pg_current_xact_id()::text::bigint, 'refused', 'system', 'account', '{{"version": 1}}'
    FROM generate_series(1, {count})"""


@pytest.fixture
def beside(passable_directory: Path, database_url: str, world_file: Path) -> Iterator[Installation]:
    """An installation on a PostgreSQL of its own, with a world in it, and a server that seals."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
    )
    made.says("keys", "make")
    made.says("load", str(world_file))
    with made.serving():
        yield made


def sealed(installation: Installation) -> dict[str, Any]:
    """Wait until the server has sealed all there is; return the proof."""
    deadline = time.monotonic() + PATIENCE
    while True:
        proof: dict[str, Any] = installation.json("audit", "verify")
        if proof["unsealed"] == 0 and proof["events"]:
            return proof
        assert time.monotonic() < deadline, proof
        time.sleep(0.1)


def execute(installation: Installation, *statements: str) -> None:
    """Do something as the owner of the database, with every trigger out of work."""

    async def run() -> None:
        connection = await asyncpg.connect(installation.environment["DATABASE_URL"])
        try:
            await connection.execute("SET session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_server_seals_by_itself_and_verify_says_so(installation: Installation) -> None:
    proof = sealed(installation)
    assert proof["found"] == []
    assert proof["events"] == proof["last_number"] > 0
    said = installation.says("audit", "verify").splitlines()
    assert said[0] == "This is what was sealed."
    assert any(line.split()[:2] == ["last", "number"] for line in said)
    assert said[-1].split() == ["not", "sealed", "yet", "0"]


def test_a_head_kept_elsewhere_is_compared(installation: Installation, tmp_path: Path) -> None:
    sealed(installation)
    kept = tmp_path / "head.json"
    kept.write_text(installation.says("audit", "head", "--json"))
    head = json.loads(kept.read_text())
    assert {"block", "hash", "public_key", "signature"} <= set(head)
    assert installation.json("audit", "verify", "--head", str(kept))["found"] == []
    assert f"block         {head['block']}" in installation.says("audit", "head")

    kept.write_text(json.dumps({**head, "block": head["block"] + 1_000_000}))
    (finding,) = installation.json("audit", "verify", "--head", str(kept), status=4)["found"]
    assert (finding["fault"], finding["block"]) == ("head_not_there", head["block"] + 1_000_000)
    kept.write_text("nonsense")
    said = installation.complains("audit", "verify", "--head", str(kept), status=2)
    assert said == "hospitium: head: is not what `hospitium audit head --json` prints\n"


def test_an_export_is_proved_without_any_installation(
    installation: Installation, fresh: Installation, tmp_path: Path
) -> None:
    proof = sealed(installation)
    exported, head = tmp_path / "trail.ndjson", tmp_path / "head.json"
    exported.write_text(installation.says("audit", "export"))
    head.write_text(installation.says("audit", "head", "--json"))
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) >= proof["last_number"]

    alone = fresh.json("audit", "verify", "--export", str(exported), "--head", str(head))
    assert (alone["found"], alone["events"], alone["left_out"]) == ([], len(lines), 0)
    assert not fresh.data.exists()  # it looked at nothing else
    assert fresh.says("audit", "verify", "--export", str(exported)).startswith("This is what was sealed.\n")

    exported.write_text(exported.read_text().replace(lines[2]["kind"], "account.enabled", 1))
    found = fresh.run("audit", "verify", "--export", str(exported), status=4)
    assert found.stdout.startswith("This is not what was sealed.\n    The event ")
    assert found.stderr == ""


def test_an_export_in_parts(installation: Installation) -> None:
    last = sealed(installation)["last_number"]

    def numbers(*words: str) -> list[int]:
        return [
            json.loads(line)["number"] for line in installation.says("audit", "export", *words).splitlines()
        ]

    assert numbers("--since", str(last)) == [last]
    assert numbers("--since", "2", "--until", "4") == [2, 3, 4]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert numbers("--since", "2000-01-01", "--until", today)[0] == 1
    assert numbers("--until", "2000-01-01") == []
    assert numbers("--since", "2999-01-01") == []
    of_lakeside, of_rui = numbers("--organization", "lakeside"), numbers("--account", "RUI@lakeside.example")
    assert 0 < len(of_lakeside) < last
    assert 0 < len(of_rui) < last


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--since", "yesterday"), 2, "hospitium: since: must be a number or a day such as 2026-03-01\n"),
        (("--until", "9" * 30), 2, "hospitium: until: is more than any number\n"),
        (("--since", "9999-12-31"), 2, "hospitium: since: must be a number or a day such as 2026-03-01\n"),
        (("--organization", "nowhere"), 1, "hospitium: Organization not found\n"),
        (("--account", "nobody@nowhere.example"), 1, "hospitium: Account not found\n"),
    ],
)
def test_a_part_that_is_none(
    installation: Installation, words: tuple[str, ...], status: int, says: str
) -> None:
    assert installation.complains("audit", "export", *words, status=status) == says


def test_one_party_at_a_time(installation: Installation) -> None:
    said = installation.complains(
        "audit", "export", "--organization", "lakeside", "--account", "rui@lakeside.example", status=2
    )
    assert "choose one" in said


# -- for a spreadsheet -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "1", "partnership.approved", '{"version":1}', "a=b", "2026-03-01"])
def test_a_cell_that_is_no_formula_is_left_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_a_table_for_a_spreadsheet(beside: Installation) -> None:
    sealed(beside)
    # Nothing of ours begins like a formula; somebody who owns the database could.
    execute(
        beside, EVENTS.format(at="2026-03-01Z", count=1).replace("'refused'", "'=HYPERLINK(\"http://x\")'")
    )
    sealed(beside)
    read = csv.DictReader(io.StringIO(beside.says("audit", "export", "--format", "csv")))
    rows = list(read)
    assert list(read.fieldnames or [])[:4] == ["number", "id", "at", "kind"]
    assert rows[-1]["kind"] == '\'=HYPERLINK("http://x")'
    assert [row["number"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row.values())
    assert json.loads(rows[-1]["data"]) == {"version": 1}
    assert any("organization:" in row["parties"] for row in rows)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_what_was_changed_is_named_and_the_exit_code_says_so(beside: Installation) -> None:
    sealed(beside)
    execute(
        beside,
        "UPDATE events SET kind = 'account.enabled' WHERE id = (SELECT event_id FROM event_seals WHERE number = 3)",
    )
    proof = beside.json("audit", "verify", status=4)
    (finding,) = proof["found"]
    assert (finding["fault"], finding["number"]) == ("event_changed", 3)
    said = beside.run("audit", "verify", status=4).stdout
    assert f"    The event {finding['event_id']} with number 3 is not what was sealed.\n" in said


def test_with_other_keys_nothing_is_proved(beside: Installation, tmp_path: Path) -> None:
    sealed(beside)
    other = str(tmp_path / "other")
    beside.says("keys", "make", HOSPITIUM_KEYS=other)
    proof = beside.run("audit", "verify", "--json", status=4, HOSPITIUM_KEYS=other)
    assert {finding["fault"] for finding in json.loads(proof.stdout)["found"]} == {"block_not_signed"}


def test_after_a_rotation_old_blocks_are_still_proved(beside: Installation, database_url: str) -> None:
    before = sealed(beside)
    beside.says("keys", "rotate", "seals")
    with beside.serving():
        execute(beside, EVENTS.format(at="2026-03-01Z", count=1))
        assert sealed(beside)["last_number"] == before["last_number"] + 1
    assert beside.json("audit", "head")["key_number"] in (1, 2)  # one of the two servers was faster
    (beside.data.parent / "keys" / "seals-1.json").unlink()
    proof = beside.json("audit", "verify", status=4)
    assert {finding["fault"] for finding in proof["found"]} == {"block_not_signed"}


def test_before_anything_is_sealed_there_is_no_head(fresh: Installation) -> None:
    fresh.says("migrate")
    said = fresh.complains("audit", "head", status=1)
    assert said == "hospitium: Nothing is sealed yet; a server seals within a second or two of its start\n"
    assert fresh.json("audit", "verify")["found"] == []
    assert fresh.says("audit", "export") == ""


def test_keys_without_one_for_seals_are_a_decision_of_the_operator(beside: Installation) -> None:
    (beside.data.parent / "keys" / "seals-1.json").unlink()
    assert "`hospitium keys make`" in beside.complains("audit", "verify", status=3)


def test_whoever_reads_may_have_had_enough(beside: Installation) -> None:
    execute(beside, EVENTS.format(at="2026-03-01Z", count=2_000))
    sealed(beside)
    exporting = subprocess.Popen(
        [*COMMAND, "audit", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=beside.environment
    )
    assert exporting.stdout is not None
    assert exporting.stderr is not None
    assert json.loads(exporting.stdout.readline())["number"] == 1
    exporting.stdout.close()
    assert exporting.wait(PATIENCE) == 130
    assert b"Traceback" not in exporting.stderr.read()
    exporting.stderr.close()


# -- old months --------------------------------------------------------------------------------------------------------


def test_retire_takes_old_months_and_what_stays_is_proved(beside: Installation) -> None:
    before = sealed(beside)
    assert beside.says("audit", "retire", "--before", "2020-01") == "There is nothing before 2020-01.\n"
    execute(beside, "SELECT make_event_partitions('2020-01-01', 2)", EVENTS.format(at="2020-01-15Z", count=7))
    sealed(beside)
    said = beside.says("audit", "retire", "--before", "2020-02").splitlines()
    assert [line.split() for line in said] == [["month", "events", "parties"], ["2020-01", "7", "0"]]
    proof = sealed(beside)
    assert (proof["found"], proof["retired"]) == ([], 7)
    assert proof["last_number"] == before["last_number"] + 8
    assert beside.json("verify") == []
    kept = [json.loads(line) for line in beside.says("audit", "export").splitlines()]
    assert kept[-1]["kind"] == "trail.retired"
    assert kept[-1]["data"] == {"month": "2020-01", "events": 7, "parties": 0}


@pytest.mark.parametrize("before", ["2020", "2020-13", "soon", "2020-01-01", ""])
def test_a_month_that_is_none(installation: Installation, before: str) -> None:
    said = installation.complains("audit", "retire", "--before", before, status=2)
    assert said == "hospitium: before: must be a month such as 2026-03\n"


def test_a_month_that_is_not_over_is_not_retired(installation: Installation) -> None:
    said = installation.complains("audit", "retire", "--before", "2999-01", status=2)
    assert said == "hospitium: before: must be a month that has begun\n"
