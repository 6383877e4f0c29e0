"""Which passwords are refused (ruling 26): too short, too long, or one that everybody tries. Nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from hospitium.engine.accounts.passwords import LONGEST, SHORTEST, checked_password
from hospitium.engine.errors import Invalid

DOCUMENTS = Path(__file__).parents[2] / "../shared/reference/documents"
LONG_COMMON = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST]


@pytest.mark.parametrize(
    "text",
    ["correct horse battery", "aaaaaaaaab", "0192837465xyz", "          .", " leading and trailing ", "пароль моей собаки", "密码密码密码密码密码",
     "tab\tand\nnewline", "x" * 256, "Tr0ub4dor&3", "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘"],
)  # fmt: skip
def test_it_takes_any_ten_characters_that_are_not_common(text: str) -> None:
    assert checked_password("password", text).reveal() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "123456789",
        "é" * 9,
        "e\u0301" * 9,
        "x" * 257,
        "x" * 100_000,
        "long enough\0 but for this",
    ],
)
def test_it_refuses_too_few_too_many_and_nul(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_password("password", text)
    assert refused.value.field == "password"
    assert not text or text not in str(refused.value)


def test_it_refuses_what_everybody_tries_whatever_the_case() -> None:
    assert len(LONG_COMMON) > 100
    for word in LONG_COMMON:
        for spelling in (word, word.upper(), word.title()):
            with pytest.raises(Invalid, match="tried first"):
                checked_password("password", spelling)


def test_the_length_is_that_of_the_form_that_is_hashed() -> None:
    """Composed and decomposed spellings are one password: a keyboard decides, not the person."""
    assert checked_password("password", "e\u0301" * 10) == checked_password("password", "é" * 10)
    assert len(checked_password("password", "e\u0301" * LONGEST).reveal()) == LONGEST


@given(
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=SHORTEST * 4, max_size=200
    )
)
def test_it_is_never_trimmed_nor_shortened(text: str) -> None:
    try:
        kept = checked_password("password", text).reveal()
    except Invalid:
        return
    assert len(kept) >= SHORTEST
    assert checked_password("password", kept).reveal() == kept
    assert kept.startswith(" ") == text.startswith(" ") or text[0] != " "
    if text.isascii():
        assert kept == text


def test_the_example_passwords_of_the_reference_documents_are_accepted() -> None:
    if not DOCUMENTS.is_dir():
        pytest.skip("the reference documents are not beside this repository")
    written = "\n".join(
        page.read_text(encoding="utf-8", errors="replace") for page in sorted(DOCUMENTS.iterdir())
    )
    found = set(re.findall(r"""["']password["']\s*[:=]\s*["']([^"']+)["']""", written, re.IGNORECASE))
    assert "P@ssw0rd123" in found
    for text in found:
        checked_password("password", text)
