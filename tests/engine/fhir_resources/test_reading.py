"""Files become resources: what they may hold, where their references lead, and what is refused by which name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.fhir_resources.clinic import Json, bundle, ndjson, prepared
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources.checking import LARGEST

ADA: Json = {"resourceType": "Patient", "id": "ada"}


def bodies(files: dict[str, bytes]) -> dict[str, Json]:
    return {f"{one.type}/{one.id}": json.loads(one.body) for one in prepared(files)}


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection"])
def test_it_reads_bundles(kind: str) -> None:
    assert list(bodies({"a.json": bundle(ADA, kind=kind)})) == ["Patient/ada"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ADA).encode(),
        json.dumps(ADA, indent=2).encode(),
        b"\xef\xbb\xbf" + json.dumps(ADA).encode(),
        json.dumps(ADA).encode() + b"\n",
    ],
)
def test_it_reads_a_single_resource(text: bytes) -> None:
    assert list(bodies({"a.json": text})) == ["Patient/ada"]


def test_it_reads_ndjson_whatever_its_name() -> None:
    text = b"\n".join([ndjson([ADA, {**ADA, "id": "ben"}]), b"  ", bundle({**ADA, "id": "zoe"})])
    assert list(bodies({"a.txt": text})) == ["Patient/ada", "Patient/ben", "Patient/zoe"]


def test_addresses_become_types_and_ids_throughout_and_across_files() -> None:
    patient = {"resourceType": "Patient", "id": "p1", "generalPractitioner": [{"reference": "urn:uuid:DR-1"}]}
    doctor = {"resourceType": "Practitioner", "id": "dr-1"}
    seen = {
        "resourceType": "Observation",
        "id": "o1",
        "subject": {"reference": "urn:uuid:p1"},
        "performer": [{"reference": "Practitioner?identifier=urn:x|1"}, {"reference": "urn:uuid:nobody"}],
        "hasMember": [{"reference": "#inside"}, {"reference": "Observation/other"}],
        "contained": [{"resourceType": "Basic", "id": "inside", "subject": {"reference": "urn:uuid:p1"}}],
        "extension": [
            {"url": "urn:uuid:p1", "valueReference": {"reference": "https://elsewhere.example/Patient/9"}}
        ],
        "note": [{"text": "urn:uuid:p1"}],
    }
    elsewhere = {
        "fullUrl": "https://elsewhere.example/Patient/9",
        "resource": {"resourceType": "Patient", "id": "nine"},
    }
    other = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [elsewhere]}).encode()
    files = {"a.json": bundle(patient, seen), "b.json": bundle(doctor), "c.json": other}
    found = bodies(files)
    assert found["Patient/p1"]["generalPractitioner"] == [{"reference": "Practitioner/dr-1"}]
    observation = found["Observation/o1"]
    assert observation["subject"] == {"reference": "Patient/p1"}
    assert observation["performer"] == seen["performer"]
    assert observation["hasMember"] == seen["hasMember"]
    assert observation["contained"][0]["subject"] == {"reference": "Patient/p1"}
    assert observation["extension"] == [
        {"url": "urn:uuid:p1", "valueReference": {"reference": "Patient/nine"}}
    ]
    assert observation["note"] == seen["note"]
    assert sum(one.leading_nowhere for one in prepared(files)) == 1


def test_what_several_files_give_counts_once_as_the_last_gives_it() -> None:
    doctor = {"resourceType": "Practitioner", "id": "dr"}
    files = {
        "a.json": bundle(ADA, doctor),
        "b.json": bundle({**ADA, "id": "ben"}, doctor),
        "c.json": bundle({**doctor, "active": True}),
    }
    assert bodies(files)["Practitioner/dr"]["active"] is True
    assert [one.id for one in prepared(files)] == ["ada", "ben", "dr"]


def test_numbers_are_kept_digit_for_digit() -> None:
    text = b'{"resourceType":"Basic","id":"a","extension":[{"valueDecimal":1.50},{"valueDecimal":0.000000000000000001},{"valueInteger":7}]}'
    (one,) = prepared({"a.json": text})
    assert '"valueDecimal":1.50' in one.body
    assert '"valueDecimal":1E-18' in one.body
    assert '"valueInteger":7' in one.body


def test_what_a_server_says_of_its_own_copy_is_left_out() -> None:
    meta = {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z"}
    assert bodies({"a.json": json.dumps({**ADA, "meta": meta}).encode()})["Patient/ada"] == ADA
    kept = bodies({"a.json": json.dumps({**ADA, "meta": {**meta, "profile": ["x"]}}).encode()})
    assert kept["Patient/ada"]["meta"] == {"profile": ["x"]}


def entry(**members: Any) -> bytes:
    return json.dumps(
        {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": ADA}, members]}
    ).encode()


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"extension": [value]}
    return value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "a.json: is not valid JSON"),
        (b"{", "a.json: is not valid JSON"),
        (b"[]", "a.json: must be a resource"),
        (b"7", "a.json: must be a resource"),
        (b"{}", "a.json: resourceType: must be the name of a type"),
        (b'{"resourceType":"Patient","id":"\xff"}', "a.json: is not valid JSON: it is not in UTF-8"),
        (b'{"resourceType":"Patient","id":"\\ud800"}', "a.json: is not valid JSON"),
        (b"[" * 100_000, "a.json: is not valid JSON: it is nested too deeply"),
        (b'{"resourceType":"Basic","id":"a","x":1e41}', "a.json: is not valid JSON: a number is out of range"),
        (b'{"resourceType":"Basic","id":"a","x":0e-20000}', "a.json: is not valid JSON: a number is out of range"),
        (b'{"resourceType":"Basic","id":"a","x":1.' + b"1" * 5_000 + b"}", "a.json: is not valid JSON: a number is out of range"),
        (b'{"resourceType":"Basic","id":"a","x":NaN}', "a.json: is not valid JSON"),
        (ndjson([ADA]) + b"{", "a.json: line 2: is not valid JSON"),
        (ndjson([ADA, {"resourceType": "Patient"}]), "a.json: line 2: id: must be 1 to 64 letters"),
        (ndjson([ADA]) + b"[]", "a.json: line 2: must be a resource"),
        (bundle(ADA, kind="searchset"), "a.json: type: must be one of transaction, batch, collection"),
        (b'{"resourceType":"Bundle"}', "a.json: type: must be one of"),
        (b'{"resourceType":"Bundle","type":"batch","entry":{}}', "a.json: entry: must be a list"),
        (b'{"resourceType":"Bundle","type":"batch","entry":[7]}', "a.json: entry[0]: must be an object"),
        (entry(), "a.json: entry[1].resource: must be a resource"),
        (entry(resource=[]), "a.json: entry[1].resource: must be a resource"),
        (entry(resource={**ADA, "id": "b"}, fullUrl=7), "a.json: entry[1].fullUrl: must be a text"),
        (entry(resource=ADA, request={"method": "DELETE", "url": "x"}), "a.json: entry[1].request.method: must be POST or PUT"),
        (entry(resource={**ADA, "active": True}), "a.json: entry[1].resource.id: is that of an entry before, which is not the same"),
        (entry(resource={"resourceType": "Patient"}), "a.json: entry[1].resource.id: must be 1 to 64 letters"),
        *[
            (entry(resource={**ADA, "id": bad}), "a.json: entry[1].resource.id: must be 1 to 64 letters")
            for bad in (7, None, "", ".", "..", "a/b", "a b", "a\n", "a_b", "\u00e4", "a" * 65, ["a"])
        ],
        *[
            (entry(resource={"resourceType": bad, "id": "b"}), "a.json: entry[1].resource.resourceType: ")
            for bad in (7, None, "", "patient", "Pat ient", "Nobody", "Bundle", "P" * 65, "Patient\n", ["Patient"])
        ],
        (entry(resource={**ADA, "id": "b", "meta": 7}), "a.json: entry[1].resource.meta: must be an object"),
        (entry(resource={**ADA, "id": "b", "x": "a\0"}), "a.json: entry[1].resource: must not contain NUL characters"),
        (entry(resource={**ADA, "id": "b", "x": [["\0"]]}), "a.json: entry[1].resource: must not contain NUL characters"),
        (entry(resource={**ADA, "id": "b", "x\0": 1}), "a.json: entry[1].resource: must not contain NUL characters"),
        (entry(resource={**ADA, "id": "b", "x": nested(40)}), "a.json: entry[1].resource: must not be nested deeper than 64"),
        (entry(resource={**ADA, "id": "b", "x": "y" * LARGEST}), "a.json: entry[1].resource: must be at most 2,000,000 bytes long"),
        (
            entry(resource={"resourceType": "Observation", "id": "b", "subject": [{"reference": "Patient/a"}, {"reference": "Patient/b"}]}),
            "a.json: entry[1].resource: names several patients",
        ),
    ],
)  # fmt: skip
def test_it_refuses_what_can_not_be_kept_and_says_where(text: bytes, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        prepared({"a.json": text})
    assert str(refused.value).startswith(says), str(refused.value)[:300]
    assert "\0" not in str(refused.value)


def test_it_refuses_an_address_of_two_resources() -> None:
    second = json.dumps(
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"fullUrl": "urn:uuid:ADA", "resource": {**ADA, "id": "b"}}],
        }
    ).encode()
    with pytest.raises(
        Invalid, match=r"b.json: entry\[0\].fullUrl: is the address of another resource already"
    ):
        prepared({"a.json": bundle(ADA), "b.json": second})
