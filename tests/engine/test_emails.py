"""Which spellings are one address, and which are none: a table of pairs that were confused elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Invalid

SAME = [
    ("ada@northside.example", "ADA@northside.example"),
    ("ada@northside.example", "ada@NORTHSIDE.EXAMPLE"),
    ("ada@northside.example", "Ada@NorthSide.Example"),
    ("ada@northside.example", "  ada@northside.example\t"),
    ("ada.park@northside.example", "Ada.Park@northside.example"),
    ("ada+portal@northside.example", "ADA+PORTAL@northside.example"),
    ("zoé@harbor.example", "zoe\u0301@harbor.example"),  # one letter, composed or not
    ("ñoño@harbor.example", "n\u0303on\u0303o@harbor.example"),
    ("한@harbor.example", "\u1112\u1161\u11ab@harbor.example"),
    ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ("ada@bücher.example", "ada@BÜCHER.example"),
    ("ada@bücher.example", "ada@bu\u0308cher.example"),
    ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
    ("ada@northside.example", "ada@ｎｏｒｔｈｓｉｄｅ.example"),  # UTS 46 maps full width in domains
    ("ada@northside.example", "ada@northside。example"),  # and the ideographic full stop
    ("ada@kelvin.example", "ada@\u212aelvin.example"),  # the Kelvin sign, in a domain
]

DIFFERENT = [
    ("mike@x.example", "mıke@x.example"),  # dotless i, whose upper case is I
    ("MIKE@x.example", "mıke@x.example"),
    ("mike@x.example", "m\u0130ke@x.example"),  # I with a dot
    ("kelvin@x.example", "\u212aelvin@x.example"),  # the Kelvin sign lowers to k
    ("kim@x.example", "\u212aim@x.example"),
    ("sam@x.example", "ſam@x.example"),  # long s, whose upper case is S
    ("strasse@x.example", "straße@x.example"),
    ("straße@x.example", "stra\u1e9ee@x.example"),  # the capital sharp s
    ("fin@x.example", "ﬁn@x.example"),  # the ligature
    ("zoé@x.example", "ZOÉ@x.example"),  # beyond ASCII the local part is compared exactly
    ("zoe@x.example", "zoé@x.example"),
    ("ada@x.example", "аda@x.example"),  # a Cyrillic letter
    ("ada@x.example", "ada@х.example"),  # and in the domain
    ("omega@x.example", "ｏmega@x.example"),  # full width, in the local part
    ("ada@x.example", "a\u200bda@x.example"),  # zero width space
    ("ada@x.example", "ada+1@x.example"),  # plus tags are other mailboxes to us
    ("ada+1@x.example", "ada+2@x.example"),
    ("ada.park@x.example", "adapark@x.example"),  # dots too
    ("ada@strasse.example", "ada@straße.example"),  # IDNA 2008 keeps them apart
    ("ada@x.example", "ada@x.example.com"),
    ("ada@x.example", "ada@mail.x.example"),
    ("ada@x.example", "ada%x.example@y.example"),
    ("Σίσυφος@x.example", "σίσυφοσ@x.example"),  # final and other sigma
    ("ﬀ@x.example", "ff@x.example"),
    ("①@x.example", "1@x.example"),
    ("\u01c6ep@x.example", "\u01c5ep@x.example"),  # one letter in title case
]

NONE_AT_ALL = [
    "", " ", "@", "ada", "ada@", "@x.example", "ada@x", "ada@x.example.", "ada@.example", "ada@x..example", ".ada@x.example",
    "ada.@x.example", "a..da@x.example", "a da@x.example", "ada@x example", "ada@@x.example", "a@b@x.example", '"ada"@x.example',
    "ada,ben@x.example", "ada@x.example,ben@x.example", "Ada <ada@x.example>", "ada@[127.0.0.1]", "ada@x.example\nBcc: ben@x.example",
    "ada\r\n@x.example", "ada\0@x.example", "a\u200bda@x.example", "a\u00a0da@x.example", "a\u202eda@x.example", "ada@x\u202e.example",
    "ada@-x.example", "ada@x-.example", "ada@xn--a.example", "ada@" + "x" * 64 + ".example", "a" * 65 + "@x.example",
    "ada@" + "x." * 126 + "example", "ada@☃.example", "mailto:ada@x.example", "ada;ben@x.example", "(ada)@x.example", "a\\da@x.example",
    "\ud800@x.example", "ada@\udfff.example",
]  # fmt: skip


def canonical(text: str) -> str | None:
    try:
        return canonical_email("email", text)
    except Invalid:
        return None


def test_the_table_has_its_forty_pairs() -> None:
    assert len(SAME) + len(DIFFERENT) >= 40


@pytest.mark.parametrize(("first", "second"), SAME)
def test_two_spellings_of_one_address(first: str, second: str) -> None:
    assert canonical_email("email", first) == canonical_email("email", second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_two_addresses_that_look_alike_stay_two(first: str, second: str) -> None:
    """Or the second is none at all; it never passes for the first."""
    assert canonical_email("email", first) != canonical(second)


@pytest.mark.parametrize("text", NONE_AT_ALL, ids=ascii)
def test_what_is_no_address_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        canonical_email("accounts[3].email", text)
    assert refused.value.field == "accounts[3].email"
    assert not text.strip() or text not in refused.value.reason or text == "@"


@given(st.text(max_size=30), st.sampled_from(["x.example", "BÜCHER.example", "例え.テスト", "ß.example"]))
def test_the_canonical_form_is_its_own_canonical_form(local: str, domain: str) -> None:
    kept = canonical(f"{local}@{domain}")
    if kept is None:
        return
    assert canonical_email("email", kept) == kept
    assert kept == kept.strip()
    assert kept.rpartition("@")[2].isascii()


@given(st.text(max_size=60))
def test_nothing_but_invalid_comes_of_whatever_is_typed(text: str) -> None:
    kept = canonical(text)
    assert kept is None or "@" in kept
