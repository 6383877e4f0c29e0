"""The real command in a process of its own, on a data directory of its own: what an operator has before him."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from hospitium.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (sys.executable, "-m", "hospitium")
_TURN = threading.Lock()  # one order at a time
_NUMBERS = itertools.count()
PATIENCE = 60.0  # seconds until a process must have done what it was asked

# Nine tenths of a command's time are Python's imports. This process has done them, and each command is a child of it:
# a process of its own, with its own arguments, environment and exit code. Asked for a number, it says how that child ended.
NURSERY = """
import json, os, sys, traceback
import hospitium.__main__ as command

for line in sys.stdin:
    number, order = json.loads(line)
    if isinstance(order, int):
        gone, status = os.waitpid(order, os.WNOHANG)
        print(json.dumps([number, os.waitstatus_to_exitcode(status) if gone else None]), flush=True)
        continue
    words, environment, given, out, err = order
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environment)
        for number, path, how in ((0, given, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            os.dup2(os.open(path, how), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        sys.argv = ["hospitium", *words]
        code = 70
        try:
            command.main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(json.dumps([number, child]), flush=True)
"""


@functools.cache
def nursery() -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(started.communicate)  # it ends when there is nothing more to read
    return started


def _tell_the_nursery(order: Any) -> Any:
    mother, number = nursery(), next(_NUMBERS)
    with _TURN:
        mother.stdin.write(json.dumps([number, order]) + "\n")  # type: ignore[union-attr]
        mother.stdin.flush()  # type: ignore[union-attr]
        answered, answer = json.loads(mother.stdout.readline())  # type: ignore[union-attr]
        while answered != number:  # what somebody asked who was broken off before he heard it
            answered, answer = json.loads(mother.stdout.readline())  # type: ignore[union-attr]
        return answer


class Child:
    """A command that the nursery bore, and what one may ask of a `subprocess.Popen`. What it reads and writes are files."""

    def __init__(
        self, words: tuple[str, ...], environment: dict[str, str], *, given: Path, out: Path, err: Path
    ) -> None:
        self.out, self.err = out, err
        self.pid: int = _tell_the_nursery([words, environment, *map(str, (given, out, err))])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _tell_the_nursery(self.pid)
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        """Return how it ended. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return code

    def send_signal(self, how: int) -> None:
        if self.poll() is None:  # nobody else buries it, so that its number is still its own
            os.kill(self.pid, how)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Installation:
    """A data directory and an environment; commands run on it."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        names = {setting.name for setting in SETTINGS}
        inherited = {k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in names}
        self.environment = {**inherited, "HOSPITIUM_DATA": str(data), **settings}

    def run(
        self, *words: str, status: int = 0, given: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and insist on its exit code."""
        with tempfile.TemporaryDirectory() as directory:
            reads = Path(directory, "in")
            reads.write_text(given)
            child = self.bears(*words, given=reads, into=Path(directory), **settings)
            done = subprocess.CompletedProcess(
                words, child.wait(), child.out.read_text(), child.err.read_text()
            )
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def bears(self, *words: str, into: Path, given: Path = Path(os.devnull), **settings: str) -> Child:
        """Start a command, which writes what it says into files of a directory."""
        number = len(list(into.iterdir()))
        out, err = into / f"{number}.out", into / f"{number}.err"
        out.touch()
        err.touch()
        return Child(words, {**self.environment, **settings}, given=given, out=out, err=err)

    def says(self, *words: str, given: str = "", **settings: str) -> str:
        """Return what a command prints when it succeeds; it complains of nothing."""
        done = self.run(*words, given=given, **settings)
        assert done.stderr == "", done.stderr
        return done.stdout

    def json(self, *words: str, status: int = 0, given: str = "") -> Any:
        """Return what a command prints with --json."""
        return json.loads(self.run(*words, "--json", status=status, given=given).stdout)

    def complains(self, *words: str, status: int, given: str = "", **settings: str) -> str:
        """Return the one line a command fails with; it prints nothing else."""
        done = self.run(*words, status=status, given=given, **settings)
        assert done.stdout == "", done.stdout
        return done.stderr

    @contextmanager
    def serving(self, *words: str, anew: bool = False, **settings: str) -> Iterator[Server]:
        """Run `serve` until the block is left; `anew` in a Python that has imported nothing yet, as an operator's is."""
        server = Server(self, words or ("serve", "--port", "0"), settings, anew=anew)
        try:
            server.wait_until_it_serves()
            yield server
        finally:
            server.end()

    def postmaster(self) -> psutil.Process | None:
        """Return the process of this installation's database server, None if it doesn't run."""
        try:
            number = int((self.data / "cluster" / "postmaster.pid").read_text().splitlines()[0])
            found = psutil.Process(number)
            return found if str(self.data.resolve() / "cluster") in found.cmdline() else None
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None

    def database_processes(self) -> list[psutil.Process]:
        postmaster = self.postmaster()
        return [] if postmaster is None else [postmaster, *postmaster.children(recursive=True)]


class Server:
    """A `serve` or a `demo` at work."""

    def __init__(
        self,
        installation: Installation,
        words: tuple[str, ...],
        settings: dict[str, str],
        *,
        anew: bool = False,
    ) -> None:
        self._out = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115  closed at the end
        self._err = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115  likewise
        environment = {**installation.environment, **settings}
        self.process: subprocess.Popen[bytes] | Child
        if anew:
            self.process = subprocess.Popen(
                [*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, env=environment
            )  # fmt: skip
        else:
            self.process = Child(
                words,
                environment,
                given=Path(os.devnull),
                out=Path(self._out.name),
                err=Path(self._err.name),
            )
        self.address = ""

    @property
    def said(self) -> str:
        self._out.seek(0)
        return self._out.read()

    @property
    def logged(self) -> str:
        self._err.seek(0)
        return self._err.read()

    def wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.address:
            assert self.process.poll() is None, f"it ended: {self.said} {self.logged}"
            assert time.monotonic() < deadline, f"it does not serve: {self.said} {self.logged}"
            for line in self.said.splitlines(keepends=True):
                if line.startswith("Hospitium serves at ") and line.endswith("\n"):
                    self.address = line.split()[-1]
            time.sleep(0.005)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._out.close()
        self._err.close()

    @contextmanager
    def signed_in(self, email: str, password: str) -> Iterator[httpx.Client]:
        """Lend a client that is signed in."""
        with httpx.Client(base_url=self.address, timeout=30, verify=False) as http:
            answer = http.post("/api/auth/login", json={"email": email, "password": password})
            assert answer.status_code == 200, answer.text
            http.headers["Authorization"] = f"Bearer {answer.json()['data']['token']}"
            yield http


def runs(process: psutil.Process) -> bool:
    """Whether a process lives; one that is dead and waits to be buried does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_the_end(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + PATIENCE
    while alive := [process for process in processes if runs(process)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)
