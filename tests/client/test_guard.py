"""Both guards over real sockets: what they raise, what they wait for, what they send and never show."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.pdp import DROPPED, KEY, NO, RX, SCAN, YES, Hand, Pdp, Turn, busy, problem
from hospitium.client import (
    AsyncGuard,
    Explanation,
    Forbidden,
    Guard,
    GuardError,
    GuardUnavailable,
    KeyRefused,
    NotAllowed,
    Question,
    QuestionRefused,
    Refused,
    Resource,
    Step,
    Subject,
    TooLarge,
    WrongAnswer,
    connecting,
)

Make = Callable[..., Hand]
QUICK = 0.4  # seconds


async def test_it_says_yes_and_no(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(YES, NO)
    assert await guard.allowed() is True
    assert await guard.allowed() is False
    path, headers, body = pdp.asked[0]
    assert path == "/access/v1/evaluation"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert "hospitium-after" not in headers
    assert body["resource"] == {"type": "c_prescription", "id": "rx-1"}


async def test_require_returns_or_raises(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(YES, NO)
    assert await guard.asks("require", "alice", "read", RX) is None
    with pytest.raises(NotAllowed, match="account alice may not read c_prescription rx-1") as denied:
        await guard.asks("require", "alice", "read", RX)
    assert denied.value.question == Question(Subject("account", "alice"), "read", RX)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, QuestionRefused), (401, KeyRefused), (403, Forbidden), (413, TooLarge), (404, Refused), (415, Refused), (422, Refused)],
)  # fmt: skip
async def test_a_mistake_of_the_application_is_raised_at_once(
    guard: Hand, pdp: Pdp, status: int, kind: type[Refused]
) -> None:
    pdp.answers(problem(status, "subject.id: is required", "invalid", X_Request_ID="r-1"), YES)
    with pytest.raises(Refused) as refused:
        await guard.allowed()
    assert type(refused.value) is kind
    told = refused.value
    assert (told.status, told.kind, told.detail, told.request_id) == (
        status,
        "invalid",
        "subject.id: is required",
        "r-1",
    )
    assert len(pdp.asked) == 1


async def test_a_refusal_that_says_nothing_is_one_all_the_same(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(Turn(b"<h1>Forbidden</h1>", 403, content_type="text/html"))
    with pytest.raises(Forbidden) as refused:
        await guard.allowed()
    assert (refused.value.kind, refused.value.detail) == ("", "")


async def test_it_tries_again_where_somebody_is_busy_or_the_connection_breaks(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(busy(503), DROPPED, busy(429), busy(502), YES)
    assert await guard.allowed() is True
    assert len(pdp.asked) == 5


async def test_it_comes_back_when_it_was_told_to(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(busy(503, "1"), YES)
    begun = time.monotonic()
    assert await guard.allowed() is True
    assert 1.0 <= time.monotonic() - begun < 2.0


@pytest.mark.parametrize("turn", [busy(503), busy(503, "0"), DROPPED, Turn(b"x" * 2000, drip=0.01)])
async def test_it_gives_up_in_time(make: Make, pdp: Pdp, turn: Turn | None) -> None:
    pdp.answers(turn)
    guard = make(pdp.address, within=QUICK)
    begun = time.monotonic()
    with pytest.raises(GuardUnavailable):
        await guard.allowed()
    assert time.monotonic() - begun < 3 * QUICK
    assert len(pdp.asked) >= 1


async def test_it_does_not_wait_for_what_comes_too_late(make: Make, pdp: Pdp) -> None:
    pdp.answers(busy(503, "30"))
    begun = time.monotonic()
    with pytest.raises(GuardUnavailable) as away:
        await make(pdp.address).allowed()
    assert time.monotonic() - begun < 1.0
    assert away.value.retry_after == 30.0


async def test_where_nobody_listens_nothing_is_allowed(make: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GuardUnavailable, match="can't be reached"):
        await make(f"http://127.0.0.1:{port}", within=QUICK).allowed()


async def test_where_nobody_answers_nothing_is_allowed(make: Make) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(GuardUnavailable, match="takes too long"):
            await make(f"http://127.0.0.1:{silent.getsockname()[1]}", within=QUICK).allowed()
        assert time.monotonic() - begun < 3 * QUICK


async def test_it_follows_nobody_with_its_key(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(Turn({"decision": True}, 307, Location=f"{pdp.address}/elsewhere"), YES)
    with pytest.raises(WrongAnswer):
        await guard.allowed()
    assert len(pdp.asked) == 1


async def test_an_answer_that_does_not_end_is_none(
    make: Make, pdp: Pdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "LARGEST_ANSWER", 100_000)
    pdp.answers(Turn(b'{"decision": true' + b" " * 200_000 + b"}"))
    with pytest.raises(GuardUnavailable, match="doesn't end"):
        await make(pdp.address, within=QUICK).allowed()


async def test_connections_are_kept(guard: Hand, pdp: Pdp) -> None:
    for _ in range(10):
        await guard.allowed()
    assert (len(pdp.asked), pdp.connections) == (10, 1)


async def test_many_may_ask_at_once(make: Make, pdp: Pdp) -> None:
    pdp.answers(Turn({"decision": True}, drip=0.002))
    guard = make(pdp.address, at_once=3)
    assert await asyncio.gather(*(guard.allowed() for _ in range(20))) == [True] * 20
    assert 2 <= pdp.most_under_way <= 3


async def test_a_check_sees_ones_own_write(guard: Hand, pdp: Pdp) -> None:
    await guard.allowed(after="1-k2f-9zz")
    assert pdp.asked[0][1]["hospitium-after"] == "1-k2f-9zz"
    with pytest.raises(ValueError, match="after"):
        await guard.allowed(after="1\r\nX: y")
    assert len(pdp.asked) == 1


async def test_a_list_is_filtered_in_its_order(guard: Hand, pdp: Pdp) -> None:
    given = [Resource("c_scan", str(index)) for index in (3, 1, 2)]
    pdp.answers(Turn({"evaluations": [{"decision": True}, {"decision": False}, {"decision": True}]}))
    assert await guard.asks("filter", "alice", "read", given) == [given[0], given[2]]


async def test_it_follows_the_pages_of_a_search(guard: Hand, pdp: Pdp) -> None:
    def page(ids: list[str], token: str) -> Turn:
        return Turn(
            {"results": [{"type": "c_scan", "id": each} for each in ids], "page": {"next_token": token}}
        )

    pdp.answers(page(["1", "2"], "t1"), page([], "t2"), page(["3"], ""))
    found = await guard.asks("resources", "alice", "read", "c_scan")
    assert found == [Resource("c_scan", "1"), Resource("c_scan", "2"), Resource("c_scan", "3")]
    assert [body.get("page") for body in pdp.bodies] == [None, {"token": "t1"}, {"token": "t2"}]
    assert pdp.bodies[0] == {
        "subject": {"type": "account", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "c_scan"},
    }


async def test_a_search_that_leads_nowhere_ends(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(Turn({"results": [], "page": {"next_token": "t"}}))
    with pytest.raises(WrongAnswer):
        await guard.asks("resources", "alice", "read", "c_scan")
    assert len(pdp.asked) == 2


@pytest.mark.parametrize(
    "found",
    [
        {"results": [{"type": "c_scan"}]},
        {"results": None},
        {},
        {"results": ["x"]},
        {"results": [], "page": []},
    ],
)
async def test_a_page_that_cannot_be_read_is_none(guard: Hand, pdp: Pdp, found: object) -> None:
    pdp.answers(Turn(found))
    with pytest.raises(WrongAnswer):
        await guard.asks("resources", "alice", "read", "c_scan")


async def test_subjects_and_actions_are_searched(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(
        Turn({"results": [{"type": "account", "id": "alice"}]}), Turn({"results": [{"name": "read"}]})
    )
    assert await guard.asks("subjects", "account", "read", RX) == [Subject("account", "alice")]
    assert await guard.asks("actions", "alice", RX) == ["read"]
    assert [path for path, _, _ in pdp.asked] == ["/access/v1/search/subject", "/access/v1/search/action"]
    assert pdp.bodies[0]["subject"] == {"type": "account"}
    assert "action" not in pdp.bodies[1]


ENDED = {
    "decision": False, "at": "2026-03-01T12:00:00Z", "reason": "ended", "needed": 4, "more": 1,
    "path": [{"type": "grant", "id": "g-1", "until": "2026-02-01T12:00:00Z", "givenByName": "Ivy", "more": 1}],
}  # fmt: skip


async def test_it_explains(guard: Hand, pdp: Pdp) -> None:
    pdp.answers(
        Turn(ENDED),
        Turn({"decision": True}),
    )
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert await guard.asks("explain", "bob", "read", RX, at=at) == Explanation(
        False,
        "ended",
        4,
        [Step("grant", "g-1", until=datetime(2026, 2, 1, 12, tzinfo=UTC), given_by_name="Ivy")],
        at,
    )
    path, _, body = pdp.asked[0]
    assert path == "/v1/access/explain"
    assert body["at"] == "2026-03-01T12:00:00+00:00"
    assert await guard.asks("explain", "bob", "read", RX) == Explanation(True)
    assert "at" not in pdp.bodies[1]
    with pytest.raises(ValueError, match="UTC"):
        await guard.asks("explain", "bob", "read", RX, at=at.replace(tzinfo=None) - timedelta(days=1))


async def test_a_closed_guard_answers_nothing(make: Make, pdp: Pdp) -> None:
    guard = make(pdp.address)
    await guard.asks("close")
    with pytest.raises(RuntimeError):
        await guard.allowed()


@pytest.mark.parametrize(
    "turn",
    [
        NO, busy(503, "30"), DROPPED, Turn(b"x", content_type="text/html"), problem(401, f"unknown key: Bearer {KEY}", kind=KEY),
        problem(400, f"you sent {KEY}"), Turn({"decision": True}, 302, Location="http://x.example/"), Turn({"decision": KEY}),
    ],
)  # fmt: skip
async def test_the_key_is_shown_nowhere(
    make: Make,
    pdp: Pdp,
    turn: Turn | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    pdp.answers(turn)
    guard = make(pdp.address, within=QUICK)
    with pytest.raises(GuardError) as raised:
        await guard.asks("require", "alice", "read", RX)
    shown = [
        repr(guard.guard), str(guard.guard), caplog.text, *capfd.readouterr(), repr(raised.value), str(raised.value.__dict__),
        "".join(traceback.format_exception(raised.value)),
    ]  # fmt: skip
    chained: BaseException | None = raised.value
    while chained := chained.__context__ if chained else None:
        shown += [repr(chained), str(vars(chained))]
    assert KEY not in "".join(shown)
    assert pdp.asked[0][1]["authorization"].endswith(KEY), "the canary was there to be shown"


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
@pytest.mark.parametrize(
    "url",
    ["", "share.example", "ftp://share.example", "https://", "https://me:secret@share.example", "https://share.example/?x=1",
     "https://share.example/#x", "https://sh\nare.example", "https://[::1", "http://share.example", "http://10.0.0.1", "http://127.0.0.1.nip.example"],
)  # fmt: skip
def test_where_no_key_should_go_it_does_not_go(kind: type[Guard | AsyncGuard], url: str) -> None:
    with pytest.raises(ValueError, match="url") as refused:
        kind(url, KEY)
    assert "secret" not in str(refused.value)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8420", "http://[::1]:8420/", "http://127.0.0.1:8420", "https://share.example/base/"],
)
def test_where_a_key_may_go(url: str) -> None:
    with Guard(url, KEY) as guard:
        assert repr(guard) == f"Guard('{url.rstrip('/')}')"
    with Guard("http://hospitium:8420", KEY, in_the_clear=True):
        pass


@pytest.mark.parametrize(
    "key", ["", "hsk_", "secret", "Bearer hsk_x", " hsk_x", "hsk_x\n", "hsk_x\r\nX: y", "hsk_é"]
)
def test_what_is_no_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="service_key") as refused:
        Guard("http://localhost", key)
    assert str(refused.value).startswith("service_key must be a service key: hsk_ and what follows,")


async def test_a_server_may_have_a_path(make: Make, pdp: Pdp) -> None:
    await make(f"{pdp.address}/share").allowed()
    assert pdp.asked[0][0] == "/share/access/v1/evaluation"


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
def test_it_is_made_as_the_environment_says(
    kind: type[Guard | AsyncGuard], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (connecting.URL, connecting.KEY, connecting.KEY_FILE):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="HOSPITIUM_URL"):
        kind.from_environment()
    monkeypatch.setenv("HOSPITIUM_URL", "http://localhost:1")
    with pytest.raises(ValueError, match="one of HOSPITIUM_SERVICE_KEY and HOSPITIUM_SERVICE_KEY_FILE"):
        kind.from_environment()
    file = tmp_path / "key"
    monkeypatch.setenv("HOSPITIUM_SERVICE_KEY_FILE", str(file))
    with pytest.raises(ValueError, match="HOSPITIUM_SERVICE_KEY_FILE names can't be read"):
        kind.from_environment()
    file.write_text(KEY + "\n")
    of_file = kind.from_environment(within=1.0)
    assert of_file._http.headers["authorization"] == f"Bearer {KEY}"
    monkeypatch.setenv("HOSPITIUM_SERVICE_KEY", KEY)
    with pytest.raises(ValueError, match="one of"):
        kind.from_environment()
    monkeypatch.delenv("HOSPITIUM_SERVICE_KEY_FILE")
    assert repr(kind.from_environment()) == f"{kind.__name__}('http://localhost:1')"


async def test_a_task_that_is_broken_off_leaves_nothing_behind(pdp: Pdp) -> None:
    pdp.answers(Turn(b'{"decision": true}', drip=0.05), YES)
    async with AsyncGuard(pdp.address, KEY, at_once=1) as guard:
        task = asyncio.create_task(guard.allowed("alice", "read", RX))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await guard.allowed("alice", "read", SCAN) is True
    gc.collect()
