"""What `_elements` and `_summary` leave of what was checked (threats F-10), and how it is put into Bundles and bytes (F-31, F-32)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.answering import SUBSETTED, bundle, decode, encode, only
from hospitium.engine.fhir_gateway.compartments import may_be_shown
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS
from hospitium.engine.fhir_gateway.elements import ELEMENTS
from hospitium.engine.json_text import parse

Json = dict[str, Any]

OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "3", "tag": [{"code": "x"}]},
    "implicitRules": "urn:rules",
    "text": {"status": "generated", "div": "<div>88 %</div>"},
    "contained": [{"resourceType": "Practitioner", "id": "dr"}],
    "extension": [{"url": "urn:e"}],
    "modifierExtension": [{"url": "urn:m"}],
    "identifier": [{"value": "4711"}],
    "status": "final",
    "_status": {"id": "s"},
    "category": [{"text": "vital"}],
    "code": {"text": "oxygen"},
    "subject": {"reference": "Patient/child"},
    "effectiveDateTime": "2026-11-28",
    "_effectiveDateTime": {"id": "e"},
    "valueQuantity": {"value": Decimal("88.0")},
    "interpretation": [{"text": "low"}],
    "note": [{"text": "hm"}],
    "component": [
        {"id": "1", "code": {"text": "a"}, "valueSampledData": {"dimensions": 1, "data": "1 2 3"}, "interpretation": [{}]},
        {"code": {"text": "b"}, "modifierExtension": [{"url": "urn:m"}]},
    ],
}  # fmt: skip
ALWAYS = {"resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status", "code"}


def left(elements: list[str] | None = None, summary: str | None = None, of: Json = OBSERVATION) -> Json:
    """Return what is left, having looked that it is marked, and in the order it had."""
    found = only(of, elements, summary)
    assert found["meta"]["tag"][-1] == SUBSETTED
    assert [name for name in found if name in of and name != "contained"] == [name for name in of if name in found and name != "contained"]  # fmt: skip
    return found


# -- _elements and _summary --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("summary", [None, "false"])
def test_all_of_it_is_left_where_no_less_is_asked_for(summary: str | None):
    assert only(OBSERVATION, None, summary) is OBSERVATION


def test_the_elements_that_are_named_are_left_with_what_is_always_there():
    assert set(left(["subject"])) == {*ALWAYS, "subject"}
    assert set(left([])) == ALWAYS
    assert set(left(["nosuch", "component.code", "_subject"])) == {*ALWAYS, "component"}


def test_a_choice_is_named_by_its_own_name_or_by_that_of_its_type():
    assert set(left(["value"])) - ALWAYS == set(left(["valueQuantity"])) - ALWAYS == {"valueQuantity"}
    assert set(left(["effective"])) - ALWAYS == {"effectiveDateTime", "_effectiveDateTime"}
    assert set(left(["valueString", "val", "Quantity"])) - ALWAYS == set()


def test_a_subject_may_be_left_out_once_it_was_checked():
    found = left(["status"])

    assert may_be_shown(OBSERVATION, frozenset(["child"]))
    assert "subject" not in found
    assert not may_be_shown(found, frozenset(["child"]))


def test_what_changes_the_meaning_is_never_left_out():
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "verificationStatus": {"text": "refuted"},
        "code": {},
        "note": [],
    }

    assert "verificationStatus" in left(["code"], of=allergy)
    assert "deceasedDateTime" in left(
        ["name"], of={"resourceType": "Patient", "id": "p", "deceasedDateTime": "2020"}
    )


def test_a_summary_is_what_fhir_marks_as_one():
    found = left(summary="true")

    assert set(found) - ALWAYS == {
        "identifier", "subject", "effectiveDateTime", "_effectiveDateTime", "valueQuantity", "component",
    }  # fmt: skip
    # Nor is all of a part in it, if FHIR marks not all of it.
    assert found["component"] == [
        {"code": {"text": "a"}, "valueSampledData": {"dimensions": 1}},
        {"code": {"text": "b"}, "modifierExtension": [{"url": "urn:m"}]},
    ]


def test_a_summary_doesnt_carry_documents():
    reference = {
        "resourceType": "DocumentReference", "id": "d", "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "data": "YQ==", "title": "t"}, "format": {"code": "f"}}],
    }  # fmt: skip

    assert left(summary="true", of=reference)["content"] == [
        {"attachment": {"contentType": "text/plain", "title": "t"}, "format": {"code": "f"}}
    ]
    assert left(["content"], of=reference)["content"] == reference["content"]


def test_the_text_alone_is_left_with_what_is_always_there():
    assert set(left(summary="text")) == {*ALWAYS, "text"}


def test_data_is_all_but_the_text():
    assert set(OBSERVATION) - set(left(summary="data")) == {"text"}


def test_elements_of_a_summary_are_in_both():
    assert set(left(["note", "subject"], "true")) - ALWAYS == {"subject"}


@pytest.mark.parametrize("summary", ["count", "TRUE", "", "everything"])
def test_no_other_summary_leaves_anything(summary: str):
    with pytest.raises(ValueError, match="leaves no resources"):
        only(OBSERVATION, None, summary)


def test_what_is_contained_is_left_if_what_is_left_refers_to_it():
    inside = OBSERVATION | {"performer": [{"reference": "#dr"}]}

    assert left(["performer"], of=inside)["contained"] == OBSERVATION["contained"]
    assert left(summary="true", of=inside)["contained"] == OBSERVATION["contained"]
    assert "contained" not in left(["note"], of=inside)


def test_it_is_marked_once_whatever_stands_there():
    once = left([])

    assert left([], of=once)["meta"] == once["meta"] == {"versionId": "3", "tag": [{"code": "x"}, SUBSETTED]}
    for odd in ({}, {"meta": None}, {"meta": []}, {"meta": {"tag": {}}}, {"meta": {"tag": "SUBSETTED"}}):
        assert left([], of={"resourceType": "Basic", "id": "b", "code": {}, **odd})["meta"] == {
            "tag": [SUBSETTED]
        }


def test_it_takes_nothing_out_of_what_it_was_given():
    before = encode(OBSERVATION)
    left(["subject"], "true")

    assert encode(OBSERVATION) == before


@given(
    st.sampled_from(sorted(ELEMENTS)),
    st.lists(st.sampled_from(["subject", "patient", "code", "value", "text", "contained", "id", "meta", "a.b", ""])),
    st.sampled_from([None, "true", "text", "data", "false"]),
    st.recursive(st.none() | st.booleans() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["code", "subject", "component", "reference", "text"]), inner, max_size=3)),
)  # fmt: skip
def test_nothing_is_left_that_wasnt_there(type_: str, elements: list[str], summary: str | None, value: Any):
    resource = {
        "resourceType": type_,
        "id": "x",
        "code": value,
        "subject": value,
        "component": value,
        "valueCode": value,
    }

    found = only(resource, elements, summary)

    assert all(name == "meta" or is_part(member, resource[name]) for name, member in found.items())
    assert found.keys() >= {"resourceType", "id"}


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and is_part(member, whole[name]) for name, member in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(is_part, part, whole))
    return bool(part == whole)


def test_every_type_that_may_be_shown_has_its_elements():
    assert ELEMENTS.keys() == {*DEFINITIONS.types, *DEFINITIONS.shared}
    assert all(one.summary for one in ELEMENTS.values())


# -- Bundles -----------------------------------------------------------------------------------------------------------


def test_a_bundle_says_where_each_is_and_why_it_is_there():
    doctor = {"resourceType": "Practitioner", "id": "dr"}

    found = bundle(
        [OBSERVATION],
        base="https://here.example/fhir/s/",
        self_link="self?x",
        next_link="next?y",
        total=7,
        included=[doctor],
    )

    assert found == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 7,
        "link": [{"relation": "self", "url": "self?x"}, {"relation": "next", "url": "next?y"}],
        "entry": [
            {"fullUrl": "https://here.example/fhir/s/Observation/o1", "resource": OBSERVATION, "search": {"mode": "match"}},
            {"fullUrl": "https://here.example/fhir/s/Practitioner/dr", "resource": doctor, "search": {"mode": "include"}},
        ],
    }  # fmt: skip


def test_an_empty_bundle_has_no_entries_and_says_only_what_is_known():
    assert bundle([], base="b", self_link="s", next_link=None, total=None) == {
        "resourceType": "Bundle", "type": "searchset", "link": [{"relation": "self", "url": "s"}],
    }  # fmt: skip
    assert bundle([], base="b", self_link="s", next_link=None, total=0)["total"] == 0


def test_equal_worlds_are_answered_with_equal_bytes():
    def answered() -> bytes:
        resource = parse(encode(OBSERVATION), digit_for_digit=True)
        return encode(
            bundle(
                [only(resource, ["subject", "note", "value"], None)],
                base="b",
                self_link="s",
                next_link=None,
                total=1,
            )
        )

    assert answered() == answered()


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_numbers_are_written_digit_for_digit():
    text = b'{"a":1.50,"b":0.1234567890123456789,"c":-0.0,"d":1E+2,"e":12345678901234567890123,"f":1.0}'

    assert encode(parse(text, digit_for_digit=True)) == text
    assert encode(decode(text.decode())) == text


def test_members_stay_in_their_order_and_text_as_it_is():
    text = '{"z":"é\u2028<script>&","a":[null,true,{}],"__proto__":{"x":"\U0001f600"}}'.encode()

    assert encode(parse(text)) == text


def test_nothing_goes_out_of_how_it_came_in():
    assert encode(parse(b'\n{ "a" :\t"\\u0061\\/\\u00e9" }\r\n')) == '{"a":"a/é"}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b'{"subject":{"reference":"Patient/a"},"subject":{"reference":"Patient/b"}}',
        b'{"subject":1,"\\u0073ubject":2}',
        b'{"a":1e400}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":"\\u0000"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 100_000,
        b'{"a":1}{"b":2}',
        b'{"a":1',
        b"",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_parsers_read_differently_isnt_read_at_all(text: bytes):
    with pytest.raises(Invalid):
        parse(text, digit_for_digit=True)


def test_half_a_character_cant_get_out_either():
    with pytest.raises((UnicodeEncodeError, msgspec.MsgspecError)):
        encode({"a": "\ud800"})


def test_any_parser_reads_back_what_was_written():
    assert json.loads(encode(OBSERVATION))["valueQuantity"] == {"value": 88.0}
