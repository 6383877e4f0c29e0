"""What became of the rows of a file of invites, in a file of its own (CSV): on disk before the next call is made, and read again
by the next run, which leaves out what is done.

It holds codes: only its owner may read it. A spreadsheet opens it without taking any cell for a formula, or a code for a number.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

COLUMNS = ("key", "line", "outcome", "inviteId", "securityCode", "expiresOn", "problem", "detail")
DONE = ("created", "present")
# What a spreadsheet takes for the beginning of a formula; and the mark itself, so that it can be taken off again.
_MARKED = ("=", "+", "-", "@", "\t", "\r", "'")
_OURS_ALONE = 0o600


class Told(NamedTuple):
    """What became of one row. `code` is written in groups; empty where there is none."""

    key: str
    line: int
    outcome: str
    invite_id: str = ""
    code: str = ""
    expires_on: str = ""
    problem: str = ""
    detail: str = ""


class OutcomeFile:
    """The file that outcomes are written to; to be used as a context manager. `done` are the keys of the rows that were done before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: set[str] = set()
        self._file = -1

    def __enter__(self) -> Self:
        """Open the file, or begin it. Raises Invalid if what is there is something else."""
        try:
            self._file = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _OURS_ALONE
            )
        except OSError as problem:
            raise Invalid("out", f"can't be written: {problem.strerror}") from None
        try:
            self._begin()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, told: list[Told]) -> None:
        """Write what became of some rows; when this returns, it is on disk."""
        self._append([[*map(str, one)] for one in told])

    def _begin(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise Invalid("out", "must be a file")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Invalid("out", "is being written by another run") from None
        os.fchmod(self._file, _OURS_ALONE)
        with os.fdopen(os.dup(self._file), "rb") as kept:
            kept.seek(0)
            content = kept.read()
        # The last line is whole if it ends. One that doesn't was being written when the machine stopped: as if it never were.
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            os.ftruncate(self._file, 0)
            self._append([list(COLUMNS)])
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
            return
        self._take_up(whole)
        os.ftruncate(self._file, len(whole))

    def _take_up(self, content: bytes) -> None:
        try:
            heads, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        except (UnicodeDecodeError, csv.Error, ValueError):
            heads, rows = [], []
        if tuple(heads) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
            raise Invalid("out", "is there, and no file of outcomes: name another, or take it away")
        self.done = {_plain(row[0]) for row in rows if row[2] in DONE}

    def _append(self, rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([[_safe(cell) for cell in row] for row in rows])
        left = text.getvalue().encode()
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)


def _safe(cell: str) -> str:
    """Return a cell that no spreadsheet calculates, on one line."""
    flat = " ".join(cell.splitlines())
    return f"'{flat}" if flat.startswith(_MARKED) else flat


def _plain(cell: str) -> str:
    return cell.removeprefix("'")
