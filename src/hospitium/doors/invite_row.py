"""One row of a bulk of invites, shared by the doors that take them: which patient it means, and whether by code or by e-mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from hospitium.doors import fhir_patients
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Invalid
from hospitium.engine.invites.actions import EmailForm
from hospitium.engine.invites.codes import SHORTEST_ANSWER, InviteAnswer
from hospitium.engine.text import line

if TYPE_CHECKING:
    from hospitium.doors.fhir_patients import Selector
    from hospitium.engine.accounts.record import Language

_BY_CODE = ("security_question", "security_answer")
_BY_EMAIL = ("user_email", "first_name", "last_name")


class GivenRow(Protocol):
    """What was sent, or stands in a file; None for what doesn't."""

    @property
    def accessible_patient_id(self) -> str | None: ...
    @property
    def accessible_patient_identifier_search_str(self) -> str | None: ...
    @property
    def security_question(self) -> str | None: ...
    @property
    def security_answer(self) -> str | None: ...
    @property
    def user_email(self) -> str | None: ...
    @property
    def first_name(self) -> str | None: ...
    @property
    def last_name(self) -> str | None: ...
    @property
    def language(self) -> Language: ...


class CodeWish(NamedTuple):
    """That a code is wanted, with this question and answer."""

    question: str
    answer: InviteAnswer
    language: Language


def patient_of(row: GivenRow) -> Selector:
    """Return which patient a row means. Raises Invalid: none, twice, or in no form that one can be meant in."""
    by_id, by_identifier = row.accessible_patient_id, row.accessible_patient_identifier_search_str
    if by_id is not None and by_identifier is not None:
        raise Invalid(
            "accessible_patient_id", "and accessiblePatientIdentifierSearchStr must not both be given"
        )
    return fhir_patients.selector(by_id, by_identifier)


def form_of(row: GivenRow) -> CodeWish | EmailForm:
    """Return how a row invites, which its members say. Raises Invalid: neither way, or both, or something is missing or wrong."""
    by_code = [name for name in _BY_CODE if getattr(row, name) is not None]
    by_email = [name for name in _BY_EMAIL if getattr(row, name) is not None]
    if by_code and by_email:
        raise Invalid(
            by_email[0], "belongs to an invite by e-mail, and this one is by code: it can't be both"
        )
    if not by_code and not by_email:
        raise Invalid(
            "security_question",
            "and securityAnswer are required for a code, or userEmail, firstName and lastName for a mail",
        )
    if missing := [name for name in (_BY_CODE if by_code else _BY_EMAIL) if name not in by_code + by_email]:
        raise Invalid(missing[0], "is required")
    if by_code:
        answer = InviteAnswer.typed("security_answer", row.security_answer or "", shortest=SHORTEST_ANSWER)
        return CodeWish(line("security_question", row.security_question or ""), answer, row.language)
    email = row.user_email or ""
    canonical_email("user_email", email)
    first_name, last_name = line("first_name", row.first_name or ""), line("last_name", row.last_name or "")
    return EmailForm(email, first_name, last_name, row.language)
