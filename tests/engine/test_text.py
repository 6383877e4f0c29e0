"""What may be typed into one line or one message, and which names are found by which search."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from hospitium.engine.errors import Invalid
from hospitium.engine.text import LONGEST_LINE, LONGEST_MESSAGE, line, message, optional_line, search_key

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = [
    "\0",
    "\x01",
    "\x07",
    "\x08",
    "\x0b",
    "\x0c",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9f",
    "\u2028",
    "\u2029",
    "\ud800",
    "\udfff",
]


def test_a_line_is_trimmed_and_in_normal_form() -> None:
    assert line("name", "  Zoe\u0301 \t") == "Zoé"
    assert line("name", "O'Brien & Söhne <GmbH> 💊 中文 עברית") == "O'Brien & Söhne <GmbH> 💊 中文 עברית"


@pytest.mark.parametrize("text", ["", " ", "\t", "\n\n", "\u00a0\u3000"])
def test_a_blank_line_is_refused_where_one_is_needed(text: str) -> None:
    with pytest.raises(Invalid, match="must not be blank"):
        line("name", text)
    assert optional_line("phone", text) is None
    assert message("message", text) is None


@pytest.mark.parametrize("wrong", [*TURNING, *CONTROLS, "\n", "\r", "\t"], ids=ascii)
def test_a_line_holds_no_controls_and_nothing_that_turns_the_writing(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        line("specialties[2]", f"North{wrong}side")
    assert refused.value.field == "specialties[2]"
    with pytest.raises(Invalid):
        optional_line("phone", f"North{wrong}side")


@pytest.mark.parametrize("wrong", [*TURNING, *CONTROLS], ids=ascii)
def test_a_message_holds_none_either(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        message("reason", f"We{wrong}move")
    assert refused.value.field == "reason"


def test_a_message_may_have_several_lines() -> None:
    assert message("message", "\n Hello,\r\n\twe would\nlike to. \n") == "Hello,\r\n\twe would\nlike to."
    assert message("message", None) is None
    assert optional_line("phone", None) is None


@pytest.mark.parametrize(("longest", "take"), [(LONGEST_LINE, line), (LONGEST_MESSAGE, message)])
def test_it_counts_characters_and_never_shortens(longest: int, take) -> None:
    for symbol in ("a", "é", "💊"):
        assert take("field", symbol * longest) == symbol * longest
        with pytest.raises(Invalid, match=f"{longest:,} characters"):
            take("field", symbol * (longest + 1))


@given(st.text(max_size=80))
def test_what_is_taken_is_taken_again_unchanged(text: str) -> None:
    for take in (optional_line, message):
        try:
            kept = take("field", text)
        except Invalid:
            continue
        if kept is not None:
            assert take("field", kept) == kept == unicodedata.normalize("NFC", kept).strip()


SAME_NAME = [
    ("Zoé", "zoe"), ("ZOÉ", "zoe\u0301"), ("Müller", "muller"), ("Straße", "STRASSE"), ("ＡＢＣ", "abc"), ("ﬁn", "FIN"), ("İzmir", "izmir"),
    ("Ångström", "\u212bngstrom"), ("\u212aelvin", "kelvin"), ("Łódź", "łodz"), ("Ελλάδα", "ΕΛΛΑΔΑ"), ("  Lakeside ", "lakeside"), ("①", "1"),
    ("Σίσυφος", "ΣΙΣΥΦΟΣ"), ("한", "\u1112\u1161\u11ab"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME_NAME)
def test_case_accents_and_width_make_no_difference_to_a_search(one: str, other: str) -> None:
    assert search_key(one) == search_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("North", "South"), ("a b", "ab"), ("a-b", "a b"), ("ö", "oe"), ("1", "2"), ("%", "_")]
)
def test_other_differences_do(one: str, other: str) -> None:
    assert search_key(one) != search_key(other)


@given(st.text(max_size=60))
def test_the_key_of_a_key_is_the_key(text: str) -> None:
    assert search_key(search_key(text)) == search_key(text)


@given(st.text(max_size=20), st.text(min_size=1, max_size=10), st.text(max_size=20))
def test_a_part_of_a_name_is_found_in_its_key(before: str, part: str, after: str) -> None:
    """What one reads in a name and types into the search is found; combining marks at the seam belong to what precedes."""
    assert search_key(f"{before} {part} {after}").find(search_key(part)) >= 0


@given(st.text(max_size=60))
def test_a_key_can_be_kept_by_the_database_whenever_the_name_can(text: str) -> None:
    try:
        kept = line("name", text)
    except Invalid:
        return
    assert "\0" not in search_key(kept)
    search_key(kept).encode()
