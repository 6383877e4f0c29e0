"""Which resources: one by type and id, and those a search finds. Their callers have decided before that one may look.

A search is narrowed to some patients by `within`: only what is in their compartments is there (drawing.py). Each shape of search
(which kinds of terms, in which order) is a statement of its own, built once, so that each has a plan of its own; values are
parameters always.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import (
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from hospitium.engine.errors import NotFound
from hospitium.engine.fhir_resources import keys
from hospitium.engine.fhir_resources.checking import is_id
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.fhir_resources.record import Resource, fhir_resources
from hospitium.engine.fhir_resources.search import (
    Dated,
    Ids,
    Keys,
    Names,
    OfPatients,
    Order,
    Position,
    Prefix,
    Search,
    Term,
    Updated,
)
from hospitium.storage.statements import Query, scalar, struct, triple

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_resources.keys import Key

_WHEN = TIMESTAMP(timezone=True)
_SHAPES = 256  # statements that are kept
_c = fhir_resources.c
# What a page is chosen from, and what it is served from.
_ROW = ("type", "id", "version", "last_updated", "body")
_SEARCHED = ("fhir_server_id", "patients", "search_keys", "names", "date_from", "date_until")
# As the index has it: with the number as a parameter, the planner would not know it again.
_FIRST: ColumnElement[int] = literal_column("1")
_PLACES = {Order.ID: ("id",), Order.DATE: ("date_from", "id"), Order.LAST_UPDATED: ("last_updated", "id")}


def _of_type(rows: Any) -> Any:
    return and_(
        rows.fhir_server_id == bindparam("server_id", type_=Uuid), rows.type == bindparam("type", type_=Text)
    )


def _word(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'")


def _served(rows: Any) -> tuple[Any, ...]:
    """The columns of a Resource; its `meta` says what this server says (https://hl7.org/fhir/R4/resource.html#Meta)."""
    when = func.to_char(
        func.timezone(_word("UTC"), rows.last_updated), _word('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )
    said = func.jsonb_build_object(
        _word("versionId"), cast(rows.version, Text), _word("lastUpdated"), when, type_=JSONB
    )
    meta = func.coalesce(rows.body.op("->")(_word("meta")), cast(_word("{}"), JSONB)).op("||")(said)
    body = rows.body.op("||")(func.jsonb_build_object(_word("meta"), meta, type_=JSONB))
    return rows.type, rows.id, rows.version, rows.last_updated, cast(body, Text).label("body")


_one = and_(_of_type(_c), _c.id == bindparam("id", type_=Text))
_READ = Query(select(*_served(_c)).where(_one), struct(Resource))
_READ_ALL = Query(
    select(*_served(_c)).where(_of_type(_c), _c.id == func.any(bindparam("ids", type_=ARRAY(Text)))),
    struct(Resource),
)
_READ_WITHIN = Query(
    select(*_served(_c)).where(_one, _c.patients.overlap(bindparam("patients", type_=ARRAY(Text)))),
    struct(Resource),
)


class Page(NamedTuple):
    """Resources that were found, and where the next page begins; None if there is none."""

    resources: list[Resource]
    following: Position | None


async def read(
    ctx: Context, server_id: UUID, type_: str, resource_id: str, within: frozenset[str] | None = None
) -> Resource:
    """Return a resource by its type and id; NotFound otherwise. `within`: if it is in the compartment of one of these patients."""
    found = await _found(ctx, server_id, type_, resource_id, within)
    if found is None:
        raise NotFound("resource")
    return found


async def search(ctx: Context, server_id: UUID, asked: Search, within: frozenset[str] | None = None) -> Page:
    """Return a page of what a search finds, in its order. `within`: only in the compartments of these patients."""
    asking = _asking(server_id, asked, within)
    if asking is None:
        return Page([], None)
    page = _page(asking.shape, asked.order, asked.descending, asked.after is not None)
    after = asked.after or Position("")
    # One more than is asked for tells whether there are more.
    rows = await page.all(ctx.tx, **asking.given, limit=asked.count + 1, after_id=after.id, after_at=after.at)
    found = [resource for resource, _, _ in rows[: asked.count]]
    if len(rows) <= asked.count:
        return Page(found, None)
    _, at, last_id = rows[asked.count - 1]
    return Page(found, Position(last_id, None if asked.order is Order.ID else at))


async def count(ctx: Context, server_id: UUID, asked: Search, within: frozenset[str] | None = None) -> int:
    """Return how many a search finds on all its pages."""
    asking = _asking(server_id, asked, within)
    if asking is None:
        return 0
    found: int | None = await _counting(asking.shape).first(ctx.tx, **asking.given)
    return found or 0


async def patient(ctx: Context, server_id: UUID, patient_id: str) -> dict[str, Any] | None:
    """Return a patient by id; None if there is none."""
    found = await _found(ctx, server_id, "Patient", patient_id, None)
    return None if found is None else _members(found)


async def patients(ctx: Context, server_id: UUID, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return those patients that are there among some ids, by their ids."""
    found = await _READ_ALL.all(ctx.tx, server_id=server_id, type="Patient", ids=ids)
    return {one.id: _members(one) for one in found}


async def patients_by_identifier(
    ctx: Context, server_id: UUID, system: str | None, value: str, most: int
) -> list[dict[str, Any]]:
    """Return at most so many patients that have an identifier; `system`: None for any, "" for none."""
    key = (
        keys.by_value("identifier", value)
        if system is None
        else keys.by_system_and_value("identifier", system, value)
    )
    asked = Search("Patient", (Keys((key,), is_rare=True),), count=most)
    return [_members(one) for one in (await search(ctx, server_id, asked)).resources]


async def _found(
    ctx: Context, server_id: UUID, type_: str, resource_id: str, within: frozenset[str] | None
) -> Resource | None:
    if type_ not in TYPES or not is_id(resource_id):
        return None
    given = {"server_id": server_id, "type": type_, "id": resource_id}
    if within is None:
        return await _READ.first(ctx.tx, **given)
    return await _READ_WITHIN.first(ctx.tx, **given, patients=sorted(within))


def _members(resource: Resource) -> dict[str, Any]:
    return msgspec.json.decode(resource.body, type=dict[str, Any])


# -- what is asked: its shape, and the values that go with it -----------------------------------------------------------


_Shape: TypeAlias = "tuple[tuple[str, ...], ...]"


class _Asking(NamedTuple):
    """The shape of a search, and the parameters of its statement."""

    shape: _Shape
    given: dict[str, Any]


def _asking(server_id: UUID, asked: Search, within: frozenset[str] | None) -> _Asking | None:
    """Return what to ask the database for; None where nothing can be found."""
    given: dict[str, Any] = {"server_id": server_id, "type": asked.type}
    terms = [*asked.terms]
    if within is not None:
        narrowed = _narrowing(asked.type, within)
        if narrowed is None:
            return None
        terms.append(narrowed)
    shape: list[tuple[str, ...]] = []
    needed: list[Key] = []
    for index, term in enumerate(terms):
        if isinstance(term, Keys) and len(term.keys) == 1:
            needed += term.keys  # all of them are one condition
            if ("all keys",) not in shape:
                shape.append(("all keys",))
            if term.is_rare and ("rare",) not in shape:
                shape.append(("rare",))
        else:
            shape += _said_of(term, index, server_id, asked.type, given)
    if needed:
        given["all_keys"] = keys.hashed(server_id, asked.type, needed)
    return _Asking(tuple(shape), given)


def _narrowing(type_: str, within: frozenset[str]) -> Term | None:
    kind = TYPES[type_]
    if not within:
        return None
    patients = tuple(sorted(within))
    if kind.may_be_of_several and kind.subject is not None:
        subject = kind.subject
        return Keys(tuple(keys.by_reference(subject, f"Patient/{one}") for one in patients), is_rare=True)
    return OfPatients(patients)


def _said_of(
    term: Term, index: int, server_id: UUID, type_: str, given: dict[str, Any]
) -> list[tuple[str, ...]]:
    """Return the shape of one term; add its values to the parameters, under names that end in its index."""
    match term:
        case Ids(ids):
            given[f"ids_{index}"] = list(ids)
            return [("ids", str(index))]
        case OfPatients([patient]):
            given[f"patient_{index}"] = patient
            return [("patient", str(index))]
        case OfPatients(patients):
            given[f"patients_{index}"] = list(patients)
            return [("patients", str(index))]
        case Keys(wanted, is_rare):
            given[f"keys_{index}"] = keys.hashed(server_id, type_, wanted)
            return [("keys", str(index), "rare"), ("rare",)] if is_rare else [("keys", str(index))]
        case Names(patterns):
            given.update({f"name_{index}_{number}": one for number, one in enumerate(patterns)})
            return [("names", str(index), str(len(patterns)))]
        case Dated(dates) | Updated(dates):
            for number, one in enumerate(dates):
                given[f"start_{index}_{number}"] = one.start
                given[f"until_{index}_{number}"] = one.until
            return [
                (
                    "dated" if isinstance(term, Dated) else "updated",
                    str(index),
                    *(one.prefix for one in dates),
                )
            ]


# -- the statements ----------------------------------------------------------------------------------------------------


def _from(shape: _Shape) -> tuple[Any, list[Any]]:
    """Return the rows that a search looks through, and which of them it finds."""
    if ("rare",) not in shape or any(term[0] in ("patient", "ids") for term in shape):
        return _c, [_of_type(_c), *_conditions(shape, _c)]
    # Few are found by a rare key; the index of keys knows them all, and a key is that of one server and type. Without a wall
    # here the planner may walk along the order instead, in the belief that it soon meets as many as are wanted.
    by_key = tuple(term for term in shape if term[0] == "all keys" or "rare" in term)
    rest = tuple(term for term in shape if term not in by_key)
    columns = [_c[name] for name in (*_ROW, *_SEARCHED)]
    found = select(*columns).where(*_conditions(by_key, _c)).cte("found").prefix_with("MATERIALIZED")
    return found.c, [_of_type(found.c), *_conditions(rest, found.c)]


@functools.lru_cache(maxsize=_SHAPES)
def _page(
    shape: _Shape, order: Order, descending: bool, has_before: bool
) -> Query[tuple[Resource, Any, Any]]:
    """Build the statement of one page: first which rows, as they are; then the bodies of those are made ready."""
    rows, which = _from(shape)
    place = [rows[name] for name in _PLACES[order]]
    if has_before:
        before: list[Any] = [bindparam("after_id", type_=Text)]
        if order is not Order.ID:
            before.insert(0, bindparam("after_at", type_=_WHEN))
        here, there = tuple_(*place), tuple_(*before)
        which.append(here < there if descending else here > there)
    chosen = (
        select(*(rows[name] for name in _ROW), place[0].label("at"))
        .where(*which)
        .order_by(*(one.desc() if descending else one for one in place))
        .limit(bindparam("limit", type_=Integer))
        .subquery("chosen")
    )
    ordered = [chosen.c.at, chosen.c.id]
    return Query(
        select(*_served(chosen.c), chosen.c.at, chosen.c.id.label("last_id")).order_by(
            *(one.desc() if descending else one for one in ordered)
        ),
        triple(struct(Resource), scalar("at"), scalar("last_id")),
    )


@functools.lru_cache(maxsize=_SHAPES)
def _counting(shape: _Shape) -> Query[int]:
    _, which = _from(shape)
    return Query(select(func.count().label("found")).where(*which), scalar("found"))


def _conditions(shape: _Shape, rows: Any) -> list[Any]:
    return [_condition(rows, *term) for term in shape if term != ("rare",)]


def _condition(rows: Any, kind: str, index: str = "", *details: str) -> Any:
    match kind:
        case "ids":
            return rows.id == func.any(bindparam(f"ids_{index}", type_=ARRAY(Text)))
        case "patient":
            return rows.patients[_FIRST] == bindparam(f"patient_{index}", type_=Text)
        case "patients":
            return rows.patients[_FIRST] == func.any(bindparam(f"patients_{index}", type_=ARRAY(Text)))
        case "all keys":
            return rows.search_keys.contains(bindparam("all_keys", type_=ARRAY(Uuid)))
        case "keys":
            return rows.search_keys.overlap(bindparam(f"keys_{index}", type_=ARRAY(Uuid)))
        case "names":
            patterns = [bindparam(f"name_{index}_{number}", type_=Text) for number in range(int(details[0]))]
            return or_(false(), *(rows.names.like(one) for one in patterns))
        case "dated":
            return and_(rows.date_until.is_not(None), _any_of(_dated, rows, index, details))
        case _:
            return _any_of(_updated, rows, index, details)


def _any_of(comparing: Any, rows: Any, index: str, prefixes: tuple[str, ...]) -> Any:
    return or_(
        false(),
        *(
            comparing(
                rows,
                Prefix(prefix),
                bindparam(f"start_{index}_{number}", type_=_WHEN),
                bindparam(f"until_{index}_{number}", type_=_WHEN),
            )
            for number, prefix in enumerate(prefixes)
        ),
    )


def _dated(rows: Any, prefix: Prefix, start: Any, until: Any) -> Any:
    """Compare spans (https://hl7.org/fhir/R4/search.html#prefix): what is asked contains the other, or lies beyond one of its ends."""
    contained = and_(rows.date_from >= start, rows.date_until <= until)
    match prefix:
        case Prefix.EQUAL:
            return contained
        case Prefix.NOT_EQUAL:
            return ~contained
        case Prefix.GREATER:
            return rows.date_until > until
        case Prefix.LESS:
            return rows.date_from < start
        case Prefix.GREATER_OR_EQUAL:
            return or_(rows.date_until > until, contained)
        case Prefix.LESS_OR_EQUAL:
            return or_(rows.date_from < start, contained)
        case Prefix.STARTS_AFTER:
            return rows.date_from >= until
        case Prefix.ENDS_BEFORE:
            return rows.date_until <= start


def _updated(rows: Any, prefix: Prefix, start: Any, until: Any) -> Any:
    """Compare an instant with a span."""
    contained = and_(rows.last_updated >= start, rows.last_updated < until)
    match prefix:
        case Prefix.EQUAL:
            return contained
        case Prefix.NOT_EQUAL:
            return ~contained
        case Prefix.GREATER | Prefix.STARTS_AFTER:
            return rows.last_updated >= until
        case Prefix.LESS | Prefix.ENDS_BEFORE:
            return rows.last_updated < start
        case Prefix.GREATER_OR_EQUAL:
            return rows.last_updated >= start
        case Prefix.LESS_OR_EQUAL:
            return rows.last_updated < until
