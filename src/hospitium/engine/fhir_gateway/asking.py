"""What may be asked: a query is read into typed parts, and a new one is built of them with our own constraint in it.

Nothing of a caller's text goes on as it came. What isn't known, isn't well-formed or could reach beyond the patients one may see is
refused, never ignored (threats F-01 to F-11). https://hl7.org/fhir/R4/search.html: commas are OR, a repeated parameter is AND.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.definitions import ANY_TYPE, DEFINITIONS, PATIENT, Kind, ResourceType
from hospitium.engine.fhir_resources.checking import is_id
from hospitium.engine.fhir_resources.dates import span
from hospitium.engine.fhir_resources.escapes import divided, escaped, is_escaped_rightly, plain
from hospitium.engine.fhir_resources.search import DEFAULT_COUNT, LARGEST_COUNT, Prefix
from hospitium.engine.json_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_PARAMETERS = 60
MOST_ALTERNATIVES = 100
MOST_COMPARED = 10  # alternatives where each is a comparison of its own: dates, numbers, quantities and texts
MOST_PATIENTS = 50  # that one query names: more would not fit into the line of a request
MOST_SORTED_BY = 3
MOST_ELEMENTS = 50
LONGEST_QUERY = 4_000  # characters of all names and values, as they stand in an address

ID = "_id"
LAST_UPDATED = "_lastUpdated"
COMMON = {ID: Kind.TOKEN, LAST_UPDATED: Kind.DATE}
"""The parameters that every type has."""

MISSING = "missing"
# `:not` and `:missing` turn a condition round. They never stand on what says whose a resource is, and what they find is found among
# the resources of the patients that the query is narrowed to; so they can't widen it.
MODIFIERS = {
    Kind.TOKEN: ("not", MISSING),
    Kind.STRING: ("exact", "contains", MISSING),
    **dict.fromkeys((Kind.REFERENCE, Kind.DATE, Kind.NUMBER, Kind.QUANTITY, Kind.URI), (MISSING,)),
}
"""The modifiers that may be used, by kind; on references, the types they may lead to as well. None on COMMON."""

COUNT = "count"
SUMMARIES = ("true", "text", "data", COUNT, "false")
TOTALS = ("none", "estimate", "accurate")
FORMATS = ("json", "application/json", "application/fhir+json")
_CLOSED = {"_summary": SUMMARIES, "_total": TOTALS, "_format": FORMATS}
_SAID = frozenset({"_count", "_sort", "_elements", *_CLOSED})  # how to answer, not what is searched for

_CHAINED = "would reach into other resources, which is refused"
_UNREADABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_ELEMENT = re.compile(r"[a-z][A-Za-z0-9]{0,63}", re.ASCII)
_PREFIXES = frozenset(Prefix)


class Term(msgspec.Struct, frozen=True):
    """A condition: a parameter, how it compares, and the values of which one must hold; escaped as FHIR escapes."""

    name: str
    modifier: str | None
    values: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True):
    """What a search asks. `patients`: those the caller narrowed it to, None if he didn't; what says so is in no term. `count`: how many
    resources at most; `sort`: by which parameters, and whether descending.

    `elements`, `summary` and `total` say what is to be left of an answer: our own doing, after everything in it was checked.
    """

    type: str
    terms: tuple[Term, ...] = ()
    patients: frozenset[str] | None = None
    count: int = DEFAULT_COUNT
    sort: tuple[tuple[str, bool], ...] = ()
    elements: tuple[str, ...] | None = None
    summary: str | None = None
    total: str | None = None


def ask(type_: str, pairs: Iterable[tuple[str, str]]) -> Asked:
    """Read a search of a type by its parameters: names and values, decoded once, in the order they were given.

    `_count=0` asks what `_summary=count` does (https://hl7.org/fhir/R4/search.html#count). Raises Invalid, whose field is the parameter (or `type`, or `search`): whatever isn't served.
    """
    kind = _searched(type_)
    terms: list[Term] = []
    patients: frozenset[str] | None = None
    said: dict[str, str] = {}
    length = 0
    for number, (written, value) in enumerate(pairs):
        length += len(quote(written, "", errors="replace")) + len(quote(value, "", errors="replace"))
        if number == MOST_PARAMETERS or length > LONGEST_QUERY:
            raise Invalid(
                "search", f"must have at most {MOST_PARAMETERS} parameters and {LONGEST_QUERY:,} characters"
            )
        name, colon, modifier = written.partition(":")
        if written in _SAID:
            if written in said:
                raise Invalid(written, "is given twice")
            said[written] = value
        elif name in kind.about.names:
            named = _patients(printable(written), type_, modifier if colon else None, value)
            patients = named if patients is None else patients & named
        else:
            terms.append(_term(kind, written, value))
    for field, known in _CLOSED.items():
        if field in said:
            _one_of(field, known, said[field])
    if said.get("_count") == "0":
        del said["_count"]
        if said.setdefault("_summary", COUNT) != COUNT:
            raise Invalid(
                "_count", "of 0 counts, as _summary=count does, and can't stand beside another _summary"
            )
    return Asked(
        type_,
        tuple(terms),
        patients,
        _count(said.get("_count")),
        _sort(kind, said.get("_sort")),
        _elements(said.get("_elements")),
        said.get("_summary"),
        said.get("_total"),
    )


def narrowed(asked: Asked, patients: frozenset[str] | None) -> frozenset[str] | None:
    """Return about whom a server is to be asked: of those one may see (None: all), those the caller narrowed it to.

    None: all. Empty: nobody, and the server isn't asked.
    """
    if asked.patients is None or patients is None:
        return patients if asked.patients is None else asked.patients
    return asked.patients & patients


def pairs_of(asked: Asked, patients: Sequence[str] | None, count: int) -> list[tuple[str, str]]:
    """Return the parameters of the new query, not yet encoded: our own constraint, the terms, the order, how many.

    `patients`: those one may see, None for all; of them those count whom the caller named. What is to be left of an answer is not in
    it: that is no server's business (F-10). Raises Invalid (too many patients for one query) and ValueError (none, or no ids; or it would not say whose it is).
    """
    about = DEFINITIONS.types[asked.type].about
    wanted = narrowed(asked, None if patients is None else frozenset(patients))
    constraint = [] if wanted is None else [(about.parameter, _constraint(about.parameter, wanted))]
    built = [*constraint, *(_written(term) for term in asked.terms)]
    if asked.sort:
        order = ",".join(f"-{name}" if descending else name for name, descending in asked.sort)
        built.append(("_sort", order))
    built.append(("_count", str(count)))

    # Whatever was done above, nothing goes out without the constraint, once and as it must be (Z8).
    if [pair for pair in built if pair[0].partition(":")[0] in about.names] != constraint:
        raise ValueError("a query was built whose constraint is not the only one")
    return built


def _written(term: Term) -> tuple[str, str]:
    name = term.name if term.modifier is None else f"{term.name}:{term.modifier}"
    return name, ",".join(term.values)


def _constraint(parameter: str, patients: frozenset[str]) -> str:
    """Return the value that narrows a query to patients, in one order whoever asks. `patient` and `_id` take the id alone, as every
    server understands it; other parameters could mean another type."""
    if not patients or not all(map(is_id, patients)):
        raise ValueError("a query is about patients, by their ids")
    if len(patients) > MOST_PATIENTS:
        raise Invalid(
            parameter, f"must name whom to look for: at most {MOST_PATIENTS} of the patients you may see"
        )
    before = "" if parameter in ("patient", ID) else f"{PATIENT}/"
    return ",".join(f"{before}{patient}" for patient in sorted(patients))


# -- the type ----------------------------------------------------------------------------------------------------------


def _searched(type_: str) -> ResourceType:
    found = DEFINITIONS.types.get(type_)
    if found is not None:
        return found
    if type_ in DEFINITIONS.shared:
        raise Invalid("type", "is read by id only, where a resource you may see refers to it")
    if type_ in DEFINITIONS.denied:
        raise Invalid("type", f"is not served here: {printable(type_)} {DEFINITIONS.denied[type_]}")
    if type_ in DEFINITIONS.known:
        raise Invalid("type", "is not served here: nothing says which patient it is about")
    raise Invalid("type", "is no type of FHIR R4")


# -- the terms ---------------------------------------------------------------------------------------------------------


def _patients(field: str, type_: str, modifier: str | None, value: str) -> frozenset[str]:
    """Read what the caller narrows the query to himself. It becomes part of our own constraint, so nothing else may stand there (F-08)."""
    if modifier is not None and (modifier != PATIENT or type_ == PATIENT):
        raise Invalid(field, _why_not_modified(modifier))
    found = _alternatives(field, value, MOST_PATIENTS)
    if type_ != PATIENT and modifier is None:
        found = [one.removeprefix(f"{PATIENT}/") for one in found]
    if not all(map(is_id, found)):
        raise Invalid(
            field, "must be the id of a patient, as it is or behind Patient/, or several with commas between"
        )
    return frozenset(found)


def _term(kind: ResourceType, written: str, value: str) -> Term:
    name, colon, modifier = written.partition(":")
    field = printable(written)
    compared = COMMON.get(name) or kind.parameters.get(name)
    if compared is None:
        raise Invalid(field, _why_not(name))
    targets = _targets(kind, name)
    if not colon:
        return Term(name, None, _values(field, name, compared, targets, value))
    if name in COMMON or not (modifier in targets or modifier in MODIFIERS[compared]):
        raise Invalid(field, _why_not_modified(modifier))
    if modifier == MISSING:
        return Term(name, MISSING, (_one_of(field, ("true", "false"), value),))
    if modifier in targets:  # said the other way, which every server knows
        ids = _values(field, name, compared, frozenset(), value)
        return Term(name, None, tuple(f"{modifier}/{one}" for one in ids))
    return Term(name, modifier, _values(field, name, compared, targets, value))


def _why_not(name: str) -> str:
    if "." in name:
        return _CHAINED
    if name.strip().startswith("_"):
        return f"is not served; of what begins with _ only {', '.join(sorted({*COMMON, *_SAID}))} are"
    return "is no search parameter of this type that is served"


def _why_not_modified(modifier: str) -> str:
    return _CHAINED if "." in modifier else "has a modifier that is not served"


def _targets(kind: ResourceType, name: str) -> frozenset[str]:
    targets = kind.references.get(name, ())
    return DEFINITIONS.known if ANY_TYPE in targets else frozenset(targets)


def _alternatives(field: str, value: str, most: int) -> list[str]:
    """Divide a value at its commas. What is escaped stays so."""
    if any(unicodedata.category(character) in _UNREADABLE for character in value):
        raise Invalid(field, "must not contain control characters or lone surrogates")
    if not is_escaped_rightly(value):
        raise Invalid(field, "has a backslash that stands before none of \\ , | $")
    found = divided(value, ",")
    if len(found) > most:
        raise Invalid(field, f"must have at most {most} alternatives")
    if not all(one.strip() for one in found):
        raise Invalid(field, "must not be blank")
    return found


def _values(field: str, name: str, compared: Kind, targets: frozenset[str], value: str) -> tuple[str, ...]:
    """Read each alternative by the grammar of its kind, and write it anew."""
    few = compared not in (Kind.TOKEN, Kind.REFERENCE, Kind.URI)
    found = _alternatives(field, value, MOST_COMPARED if few else MOST_ALTERNATIVES)
    match compared:
        case Kind.TOKEN if name == ID:
            return tuple(_id(field, one) for one in found)
        case Kind.TOKEN:
            return tuple(_token(field, one) for one in found)
        case Kind.REFERENCE:
            return tuple(_reference(field, targets, one) for one in found)
        case Kind.DATE:
            return tuple(_date(field, one) for one in found)
        case Kind.STRING:
            return tuple(escaped(plain(one)) for one in found)
        case Kind.NUMBER:
            return tuple(_number(field, one) for one in found)
        case Kind.QUANTITY:
            return tuple(_quantity(field, one) for one in found)
        case Kind.URI:
            return tuple(_uri(field, one) for one in found)


def _id(field: str, value: str) -> str:
    if not is_id(value):
        raise Invalid(field, "must be ids of FHIR")
    return value


def _token(field: str, value: str) -> str:
    parts = [plain(part) for part in divided(value, "|")]
    match parts:
        case [_] | [_, str()] if any(parts):
            return "|".join(map(escaped, parts))
    raise Invalid(field, "must be value, |value, system|value or system|")


def _reference(field: str, targets: frozenset[str], value: str) -> str:
    type_, slash, id_ = value.rpartition("/")
    if is_id(id_) and (type_ in targets if slash else True):
        return value
    raise Invalid(
        field,
        "must be an id, or a type it may lead to and an id, such as Encounter/a; no address and no version",
    )


def _compared(value: str) -> tuple[str, str]:
    """Divide a value into its prefix, if it has one, and the rest."""
    return (value[:2], value[2:]) if value[:2] in _PREFIXES else ("", value)


def _date(field: str, value: str) -> str:
    if span(_compared(value)[1]) is None:
        raise Invalid(field, f"must be a date such as 2021-03-04, behind none or one of {', '.join(Prefix)}")
    return value


def _number(field: str, value: str) -> str:
    if not _NUMBER.fullmatch(_compared(value)[1]):
        raise Invalid(field, f"must be a number, behind none or one of {', '.join(Prefix)}")
    return value


def _quantity(field: str, value: str) -> str:
    match divided(value, "|"):
        case [number]:
            return _number(field, number)
        case [number, system, code] if code:
            return "|".join((_number(field, number), escaped(plain(system)), escaped(plain(code))))
    raise Invalid(field, "must be number, number||code or number|system|code")


def _uri(field: str, value: str) -> str:
    address = plain(value)
    if not _URI.fullmatch(address):
        raise Invalid(field, "must be a whole address")
    return escaped(address)


# -- how to answer -----------------------------------------------------------------------------------------------------


def _count(value: str | None) -> int:
    if value is None:
        return DEFAULT_COUNT
    if not _COUNT.fullmatch(value) or int(value) == 0:
        raise Invalid("_count", "must be a whole number, at least 1")
    return min(int(value), LARGEST_COUNT)


def _sort(kind: ResourceType, value: str | None) -> tuple[tuple[str, bool], ...]:
    """Read the order. References are left out: some servers put them in the order of what they lead to."""
    if value is None:
        return ()
    found = tuple((one.removeprefix("-"), one.startswith("-")) for one in value.split(","))
    names = [name for name, _ in found]
    if len(names) > MOST_SORTED_BY or len(set(names)) < len(names):
        raise Invalid("_sort", f"must be at most {MOST_SORTED_BY} parameters, each once")
    for name in names:
        if name not in COMMON and kind.parameters.get(name, Kind.REFERENCE) is Kind.REFERENCE:
            raise Invalid(
                "_sort",
                "must be parameters of the type that are no references, or the same behind a minus sign",
            )
    return found


def _elements(value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = tuple(dict.fromkeys(value.split(",")))
    if len(found) > MOST_ELEMENTS or not all(map(_ELEMENT.fullmatch, found)):
        raise Invalid("_elements", f"must be names of elements, at most {MOST_ELEMENTS}")
    return found


def _one_of(field: str, known: Sequence[str], value: str) -> str:
    if value not in known:
        raise Invalid(field, f"must be one of {', '.join(known)}")
    return value
