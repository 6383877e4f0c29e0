"""A file of invites (CSV), read and checked whole before anything is sent: every row that is wrong is named by its line."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, NamedTuple

from hospitium.doors.invite_row import CodeWish, form_of, patient_of
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import Language
from hospitium.engine.errors import Invalid
from hospitium.engine.invites.actions import LONGEST_BULK_KEY
from hospitium.engine.text import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.doors.fhir_patients import Selector
    from hospitium.engine.invites.actions import EmailForm

COLUMNS = {
    "key": "key",
    "accessiblePatientId": "accessible_patient_id",
    "accessiblePatientIdentifierSearchStr": "accessible_patient_identifier_search_str",
    "securityQuestion": "security_question",
    "securityAnswer": "security_answer",
    "userEmail": "user_email",
    "firstName": "first_name",
    "lastName": "last_name",
    "language": "language",
}
"""The columns of a file: the members of a row, spelled as there."""
LARGEST_FILE = 100_000_000  # bytes
LONGEST_CELL = 2_000  # characters
_SPELLED = {field: column for column, field in COLUMNS.items()}
# What a key is made of must not be readable out of it: it is kept, and an identifier isn't.
_WORK = {"n": 2**12, "r": 8, "p": 1, "dklen": 16}


class Row(NamedTuple):
    """One row of a file: the line it begins at, its key (None: to be made of what it says), and what it says."""

    number: int
    key: str | None = None
    accessible_patient_id: str | None = None
    accessible_patient_identifier_search_str: str | None = None
    security_question: str | None = None
    security_answer: str | None = None
    user_email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language: Language = Language.ENGLISH

    @property
    def is_by_code(self) -> bool:
        """Whether it asks for a code."""
        return self.user_email is None

    def members(self) -> dict[str, str]:
        """Return what it says as it is sent."""
        said = {
            column: getattr(self, field)
            for column, field in COLUMNS.items()
            if getattr(self, field) is not None
        }
        return said | {"language": self.language.value}


class InviteFile(NamedTuple):
    """The rows of a file that are right, and a sentence for each that is wrong."""

    rows: list[Row]
    wrong: list[str]


def read(content: bytes, language: Language) -> InviteFile:
    """Read a file (UTF-8, with or without a byte order mark); rows that say no language have this one.

    Raises Invalid if it is no such file at all.
    """
    if len(content) > LARGEST_FILE:
        raise Invalid("csv", f"must be at most {LARGEST_FILE:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = content[: problem.start].count(b"\n") + 1
        raise Invalid("csv", f"must be text in UTF-8, and line {before} is not") from None
    if "\0" in text:
        raise Invalid("csv", "must not contain NUL characters")
    rows: list[Row] = []
    wrong: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in _lines(text):
        try:
            rows.append(_another(_row(number, cells, language), seen))
        except Invalid as refusal:
            column = _SPELLED.get(refusal.field, refusal.field)
            wrong.append(f"line {number}: {f'{column} {refusal.reason}'.strip()}")
    if not rows and not wrong:
        raise Invalid("csv", "has no rows")
    return InviteFile(rows, wrong)


def with_key(row: Row, server_id: str) -> Row:
    """Return a row with its key, made of the patient and the address it names if it has none; slowly, where those are kept nowhere.

    The same row of the same FHIR server has the same key, wherever in whichever file it stands.
    """
    if row.key is not None:
        return row
    said = "\n".join(_what(row)).encode()
    salt = f"hospitium invite {server_id}".encode()
    if row.accessible_patient_id is not None:
        return row._replace(key=hashlib.sha256(salt + b"\n" + said).hexdigest()[:32])
    return row._replace(key=hashlib.scrypt(said, salt=salt, **_WORK).hex())


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a file by the names of their columns, each with the line it begins at. Raises Invalid."""
    first = text.partition("\n")[0]
    # As spreadsheets write it where a comma stands in numbers.
    between = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=between)
    begins = 1
    try:
        heads = [head.strip() for head in next(reader, [])]
        _check_heads(heads)
        begins = reader.line_num + 1
        for cells in reader:
            number, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                raise Invalid("csv", f"line {number} has {len(cells)} cells under {len(heads)} columns")
            yield number, dict(zip(heads, cells, strict=True))
    except csv.Error:
        raise Invalid("csv", f"line {begins} can't be read: look at its quotation marks") from None


def _check_heads(heads: list[str]) -> None:
    if unknown := [head for head in heads if head not in COLUMNS]:
        known = ", ".join(COLUMNS)
        shown = ", ".join(repr(head[:40]) for head in unknown)
        raise Invalid("csv", f"has columns that are not known: {shown}; there are {known}")
    if twice := {head for head in heads if heads.count(head) > 1}:
        raise Invalid("csv", f"has the column {min(twice)} twice")
    if not heads:
        raise Invalid("csv", "has no first line with the names of its columns")


def _row(number: int, cells: dict[str, str], language: Language) -> Row:
    """Return a row that can be sent: what the server would refuse without looking at its data is refused here. Raises Invalid."""
    said = {COLUMNS[head]: cell for head, cell in cells.items() if cell.strip()}
    for field, cell in said.items():
        if len(cell) > LONGEST_CELL:
            raise Invalid(field, f"must be at most {LONGEST_CELL:,} characters long")
    key = said.pop("key", None)
    word = said.pop("language", language.value).strip()
    if word not in [one.value for one in Language]:
        raise Invalid("language", f"must be one of {', '.join(one.value for one in Language)}")
    row = Row(
        number,
        key=None if key is None else line("key", key, longest=LONGEST_BULK_KEY),
        language=Language(word),
        **{field: cell.strip() for field, cell in said.items()},
    )
    patient_of(row)
    form_of(row)
    return row


def _another(row: Row, seen: dict[tuple[str, ...], int]) -> Row:
    """Return a row that is another than all before it. Raises Invalid."""
    before = seen.setdefault(_what(row), row.number)
    if before == row.number:
        return row
    if row.key is not None:
        raise Invalid("key", f"is the one of line {before}, too")
    raise Invalid(
        "", f"invites the same to the same patient as line {before}; if both are meant, give each a key"
    )


def _what(row: Row) -> tuple[str, ...]:
    """Return by what a row is told apart: its key, or else whom it invites to which patient."""
    if row.key is not None:
        return ("key", row.key)
    return (*_patient(patient_of(row)), *_invited(form_of(row)))


def _patient(which: Selector) -> tuple[str, ...]:
    if which.patient_id is not None:
        return ("patient", which.patient_id)
    assert which.identifier is not None  # a selector has one or the other  # noqa: S101
    return ("identifier", which.identifier.parameter)


def _invited(form: CodeWish | EmailForm) -> tuple[str, ...]:
    return ("code",) if isinstance(form, CodeWish) else ("email", canonical_email("user_email", form.email))
