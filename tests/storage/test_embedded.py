"""The embedded PostgreSQL keeps its promises: nobody else gets in, nobody's directories change, and it comes back from a kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest

from hospitium.storage import embedded as module
from hospitium.storage.embedded import EmbeddedFailure, EmbeddedPostgres, installed_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(
    not AS_ROOT, reason="NOT TESTED: only root can act as another local user here; run the tests as root once"
)
needs_linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc, which Linux has")
STRANGER = 54_321  # a local user id that owns nothing


def ask(embedded: EmbeddedPostgres, sql: str, *values: object, url: str | None = None) -> object:
    """Run one statement as the superuser, or with the URL given."""

    async def one() -> object:
        connection = await asyncpg.connect(url or embedded.url("postgres"))
        try:
            return await connection.fetchval(sql, *values)
        finally:
            await connection.close()

    return asyncio.run(one())


def modes(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    return {path: (stat.S_IMODE((s := path.lstat()).st_mode), s.st_uid, s.st_gid) for path in paths}


def family(postmaster: int) -> list[psutil.Process]:
    parent = psutil.Process(postmaster)
    return [parent, *parent.children(recursive=True)]


def pids(processes: list[psutil.Process]) -> list[int]:
    return [process.pid for process in processes]


def runs(pid: int) -> bool:
    """Whether a process lives; one that is dead and waits to be buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_the_end(numbers: list[int]) -> None:
    """Wait until processes that were killed or stopped are gone; what is killed lives on for a moment."""
    deadline = time.monotonic() + 30
    while alive := [pid for pid in numbers if runs(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.01)


@contextmanager
def started(data: Path, **more: object) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(data, **{"durable": False, **more})  # type: ignore[arg-type]
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()


@pytest.fixture(scope="module")
def running(run_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A cluster as a server has it, durable, for tests that only look."""
    with started(run_directory / f"looked-at-{uuid.uuid4().hex[:8]}", durable=True) as embedded:
        yield embedded


# -- a life --------------------------------------------------------------------------------------------------------------


def test_it_starts_stops_and_starts_again(passable_directory: Path) -> None:
    with started(passable_directory / "data") as embedded:
        ask(embedded, "SELECT 1 FROM (SELECT set_config('a.b', 'c', false)) AS x")
        asyncio.run(_execute(embedded, "CREATE TABLE kept AS SELECT 42 AS answer"))
        first = embedded.postmaster()
        assert first is not None
        before = family(first)
    assert embedded.postmaster() is None
    wait_for_the_end(pids(before))

    with started(passable_directory / "data") as again:
        assert ask(again, "SELECT answer FROM kept") == 42
        assert again.postmaster() not in (None, first)


async def _execute(embedded: EmbeddedPostgres, sql: str) -> None:
    connection = await asyncpg.connect(embedded.url("postgres"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def test_it_is_durable_unless_a_test_says_otherwise(running: EmbeddedPostgres) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert ask(running, "SELECT current_setting($1)", setting) == "on", setting
    assert EmbeddedPostgres(running.data).durable is True


def test_it_listens_at_no_port(running: EmbeddedPostgres) -> None:
    assert ask(running, "SELECT current_setting('listen_addresses')") == ""
    postmaster = running.postmaster()
    assert postmaster is not None
    open_ports = []
    for process in family(postmaster):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker that has gone by now listens nowhere
            open_ports += [c for c in process.net_connections("inet") if c.status == "LISTEN"]
    assert open_ports == []
    # The same look does see the socket it has.
    assert psutil.Process(postmaster).net_connections("unix") != []


# -- who gets in ---------------------------------------------------------------------------------------------------------


def test_it_refuses_a_wrong_password(running: EmbeddedPostgres) -> None:
    password = (running.data / "postgres.password").read_text().strip()
    assert len(password) >= 32
    url = running.url("postgres")
    assert password in url
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(running, "SELECT 1", url=url.replace(password, "correct horse battery"))


def test_it_keeps_the_password_as_scram_only(running: EmbeddedPostgres) -> None:
    kept = ask(running, "SELECT rolpassword FROM pg_authid WHERE rolname = 'hospitium'")
    assert str(kept).startswith("SCRAM-SHA-256$")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="pg_hba"):
        ask(
            running,
            "SELECT 1",
            url=running.url("postgres").replace("postgresql://hospitium:", "postgresql://postgres:"),
        )


def _psql(
    embedded: EmbeddedPostgres, socket_directory: Path, user: int | str
) -> subprocess.CompletedProcess[str]:
    command = [
        str(embedded._binaries / "psql"), "--no-password", "--no-psqlrc", "-h", str(socket_directory), "-U", "hospitium",
        "-d", "postgres", "-c", "SELECT 1",
    ]  # fmt: skip
    identity = {"user": user, "group": user, "extra_groups": []}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/"}, timeout=30, **identity
    )  # fmt: skip


@needs_root
def test_it_refuses_another_local_user_at_the_door(running: EmbeddedPostgres) -> None:
    refused = _psql(running, running._socket_directory, STRANGER)
    assert refused.returncode == 2
    assert "Permission denied" in refused.stderr

    for private in ("cluster", "socket", "postgres.password", "postgres.log"):
        looked = subprocess.run(
            ["/bin/ls", "-A", str(running.data / private) + ("/" if private in ("cluster", "socket") else "")],
            capture_output=True, text=True, user=STRANGER, group=STRANGER, extra_groups=[], check=False,
        )  # fmt: skip
        if private.startswith("postgres."):
            looked = subprocess.run(
                ["/bin/cat", str(running.data / private)],
                capture_output=True, text=True, user=STRANGER, group=STRANGER, extra_groups=[], check=False,
            )  # fmt: skip
        assert looked.returncode != 0, private
        assert "Permission denied" in looked.stderr, looked.stderr


@needs_root
def test_it_asks_another_local_user_for_the_password_even_if_he_got_to_the_socket(
    passable_directory: Path,
) -> None:
    with started(passable_directory / "data") as embedded:
        # What a careless `chmod -R` would do.
        embedded._socket_directory.chmod(0o755)
        (embedded._socket_directory / module.SOCKET_NAME).chmod(0o777)
        refused = _psql(embedded, embedded._socket_directory, STRANGER)
        assert refused.returncode == 2
        assert "password" in refused.stderr, refused.stderr
        # Nor does the account PostgreSQL runs as get in by its name alone.
        refused = _psql(embedded, embedded._socket_directory, embedded._user.pw_uid if embedded._user else 0)
        assert refused.returncode == 2
        assert "password" in refused.stderr, refused.stderr


# -- directories ---------------------------------------------------------------------------------------------------------


def test_it_changes_no_mode_of_a_directory_that_was_there(passable_directory: Path) -> None:
    home = passable_directory / "home"
    home.mkdir(mode=0o755)
    neighbour = home / "neighbour"
    neighbour.mkdir(mode=0o700)
    data = home / "data"
    data.mkdir()
    data.chmod(0o711 if AS_ROOT else 0o750)
    binaries = installed_binaries()
    watched = [neighbour, data, *data.parents, binaries, *binaries.iterdir(), *binaries.parents]
    before = modes(*watched)
    with started(data):
        assert modes(*watched) == before
    assert modes(*watched) == before


def test_what_it_makes_is_private(passable_directory: Path) -> None:
    old = os.umask(0)  # the loosest there is, so that only its own care counts
    try:
        with started(passable_directory / "new" / "data") as embedded:
            data = embedded.data
            made = {
                p.relative_to(data).as_posix(): mode for p, (mode, _, _) in modes(*data.iterdir()).items()
            }
            inside = modes(*(p for p in embedded.cluster.rglob("*") if not p.is_symlink()))
            above = modes(data, data.parent)
    finally:
        os.umask(old)
    passage = 0o711 if AS_ROOT else 0o700  # its user passes through, and can't list
    assert {mode for mode, _, _ in above.values()} == {passage}
    assert made == {
        "cluster": 0o700, "socket": 0o700, "postgres.password": 0o600, "postgres.log": 0o600, "postgres.lock": 0o600,
        "postgres.users": 0o600,
    }  # fmt: skip
    assert [path for path, (mode, _, _) in inside.items() if mode & 0o077] == []


@needs_root
def test_it_never_runs_as_root_and_gives_its_user_the_cluster_alone(running: EmbeddedPostgres) -> None:
    postmaster = running.postmaster()
    assert postmaster is not None
    assert {uid for process in family(postmaster) for uid in process.uids()} == {running._user.pw_uid}
    assert {gid for process in family(postmaster) for gid in process.gids()} == {running._user.pw_gid}
    owned = {p.name for p in running.data.iterdir() if p.stat().st_uid == running._user.pw_uid}
    assert owned == {"cluster", "socket"}


@needs_root
def test_it_refuses_a_directory_its_user_cannot_reach_and_says_what_to_do(passable_directory: Path) -> None:
    closed = passable_directory / "closed"
    closed.mkdir(mode=0o700)
    before = modes(closed, *closed.parents)
    with pytest.raises(EmbeddedFailure, match=r"can't enter .*closed.*HOSPITIUM_DATA.*others may pass"):
        EmbeddedPostgres(closed / "data").start()
    assert list(closed.iterdir()) == []
    assert modes(closed, *closed.parents) == before


@needs_root
def test_it_follows_a_link_to_where_it_really_leads(passable_directory: Path) -> None:
    closed = passable_directory / "closed"
    closed.mkdir(mode=0o700)
    (closed / "data").mkdir()
    (passable_directory / "link").symlink_to(closed / "data")
    with pytest.raises(EmbeddedFailure, match="can't enter"):
        EmbeddedPostgres(passable_directory / "link").start()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_it_says_so_where_no_directory_can_be(passable_directory: Path, place: str) -> None:
    (passable_directory / "file").write_text("in the way")
    (passable_directory / "file").chmod(0o755)
    with pytest.raises(EmbeddedFailure, match=r"Not a directory|File exists"):
        EmbeddedPostgres(passable_directory / place).start()


def test_it_takes_a_short_socket_directory_where_the_path_is_long(passable_directory: Path) -> None:
    long = passable_directory / ("a-very-long-name-" * 8)
    with started(long) as embedded:
        socket_directory = embedded._socket_directory
        assert long not in socket_directory.parents
        assert len(str(socket_directory / module.SOCKET_NAME)) <= module.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(socket_directory.stat().st_mode) == 0o700
        assert ask(embedded, "SELECT 1") == 1
    assert not socket_directory.exists()


def test_it_refuses_a_socket_directory_others_could_enter(passable_directory: Path) -> None:
    data = passable_directory / ("a-very-long-name-" * 8)
    embedded = EmbeddedPostgres(data)
    embedded._socket_directory.mkdir(mode=0o755)  # somebody was there first
    try:
        with pytest.raises(EmbeddedFailure, match="mode 0700"):
            embedded.start()
    finally:
        embedded._socket_directory.rmdir()


@needs_root
def test_it_copies_programs_its_user_cannot_reach(passable_directory: Path) -> None:
    closed = passable_directory / "closed"
    closed.mkdir(mode=0o700)
    package = installed_binaries().parents[1]
    shutil.copytree(package, closed / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    binaries = closed / package.name / "pginstall" / "bin"
    before = modes(closed, *closed.rglob("*"))
    with started(passable_directory / "data", binaries=binaries) as embedded:
        assert ask(embedded, "SELECT 1") == 1
        copy = next((passable_directory / "data").glob("postgres-*"))
        assert Path(psutil.Process(embedded.postmaster()).exe()).is_relative_to(copy)
    assert modes(closed, *closed.rglob("*")) == before

    copied_at = copy.stat().st_ctime_ns
    with started(passable_directory / "data", binaries=binaries):
        assert [p.stat().st_ctime_ns for p in (passable_directory / "data").glob("postgres-*")] == [copied_at]


def test_it_names_the_users_it_looked_for(passable_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(EmbeddedFailure, match="HOSPITIUM_PG_USER"):
        EmbeddedPostgres(passable_directory / "data", run_as="nobody-by-this-name")


# -- faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whom", ["the postmaster", "everybody"])
def test_it_recovers_from_kill_9_of(passable_directory: Path, whom: str) -> None:
    victim = EmbeddedPostgres(passable_directory / "data")
    victim.start()
    asyncio.run(_execute(victim, "CREATE TABLE kept AS SELECT 42 AS answer"))
    processes = family(victim.postmaster() or 0)
    killed = processes if whom == "everybody" else processes[:1]
    for process in killed:
        with contextlib.suppress(psutil.NoSuchProcess):  # its children go by themselves
            process.send_signal(signal.SIGKILL)
    wait_for_the_end(pids(killed))

    with started(passable_directory / "data", durable=True) as again:
        assert ask(again, "SELECT answer FROM kept") == 42
    victim.stop()
    wait_for_the_end(pids(processes))
    assert again.postmaster() is None


def test_it_is_not_fooled_by_a_stranger_with_the_number_of_its_old_server(passable_directory: Path) -> None:
    with started(passable_directory / "data") as embedded:
        lines = (embedded.cluster / "postmaster.pid").read_text().splitlines()
    assert lines[7].strip() == "ready"
    with closing(_sleeper()) as stranger:
        stale = "\n".join([str(stranger.pid), *lines[1:]]) + "\n"
        (embedded.cluster / "postmaster.pid").write_text(stale)
        (embedded._socket_directory / f"{module.SOCKET_NAME}.lock").write_text(stale)
        assert embedded.postmaster() is None
        with started(passable_directory / "data") as again:
            assert again.postmaster() != stranger.pid
            assert ask(again, "SELECT 1") == 1
        assert stranger.process.poll() is None


def test_it_is_not_fooled_by_another_cluster_with_the_number_of_its_old_server(
    passable_directory: Path, running: EmbeddedPostgres
) -> None:
    with started(passable_directory / "data") as embedded:
        lines = (embedded.cluster / "postmaster.pid").read_text().splitlines()
    (embedded.cluster / "postmaster.pid").write_text(
        "\n".join([str(running.postmaster()), *lines[1:]]) + "\n"
    )
    with started(passable_directory / "data") as again:
        assert again.postmaster() not in (None, running.postmaster())
        assert ask(again, "SELECT 1") == 1
    assert ask(running, "SELECT 1") == 1, "the other cluster was stopped"


class _sleeper:  # noqa: N801  read as `closing(_sleeper())`
    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.pid = self.process.pid

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


STARTER = """
import pathlib, sys
from hospitium.storage.embedded import EmbeddedPostgres
embedded = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
embedded.start()
print("started", embedded.postmaster(), flush=True)
sys.stdin.readline()
embedded.stop()
print("stopped", flush=True)
"""


def _starter(data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("with_initdb", [True, False], ids=["with initdb", "leaving initdb at work"])
def test_a_kill_during_initdb_leaves_no_half_cluster(passable_directory: Path, with_initdb: bool) -> None:
    data = passable_directory / "data"
    with _starter(data) as starter:
        deadline = time.monotonic() + 60
        while not any(data.glob("cluster.arriving-*/base/*")):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        children = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
        if with_initdb:
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):  # it may have done its work meanwhile
                    child.kill()
        starter.wait()
    assert not (data / "cluster").exists()

    with started(data) as embedded:
        assert ask(embedded, "SELECT 1") == 1
        wait_for_the_end(pids(children))
    assert not (data / "postgres.password.lent").exists()
    with started(data) as again:
        assert ask(again, "SELECT 1") == 1


def test_two_processes_share_one_cluster_and_the_last_to_leave_stops_it(passable_directory: Path) -> None:
    data = passable_directory / "data"
    with _starter(data) as first, _starter(data) as second:  # both at once, on an empty directory
        said = {starter.stdout.readline().split()[-1] for starter in (first, second)}
        assert len(said) == 1
        postmaster = int(said.pop())

        first.communicate("leave\n", timeout=60)
        assert runs(postmaster)
        assert ask(EmbeddedPostgres(data), "SELECT 1") == 1

        second.communicate("leave\n", timeout=60)
        wait_for_the_end([postmaster])
    assert EmbeddedPostgres(data).postmaster() is None


def test_a_process_that_was_killed_does_not_keep_the_cluster_for_ever(passable_directory: Path) -> None:
    data = passable_directory / "data"
    with _starter(data) as killed:
        postmaster = int(killed.stdout.readline().split()[-1])
        killed.kill()
        killed.wait()
    assert runs(postmaster)  # it goes on until somebody takes it over
    with started(data) as heir:
        assert heir.postmaster() == postmaster
    wait_for_the_end([postmaster])


@needs_linux
def test_its_environment_holds_nothing_of_ours(
    passable_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret@elsewhere/x")
    with started(passable_directory / "data") as embedded:
        environment = Path(f"/proc/{embedded.postmaster()}/environ").read_bytes()
    assert b"secret" not in environment
