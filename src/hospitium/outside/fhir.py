"""FHIR servers elsewhere (R4), asked one thing at a time: what was named, or nothing (threats F-13, F-16, F-17, F-30 to F-37).

A request is built from checked parts and looked at once more, whole, before it leaves. An answer is read strictly, and what
it holds is checked against what was asked: a server may be broken, or somebody else's by now. Whoever asked us learns that it
is away or wrong; what it said stays between it and us, and isn't logged either.
"""

from __future__ import annotations

import asyncio
import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import quote
from uuid import UUID

import msgspec
import structlog

from hospitium.engine.errors import FhirServerAway, FhirServerWrong, Invalid, NotFound
from hospitium.engine.fhir_gateway.compartments import with_references_of_ours
from hospitium.engine.fhir_servers.authorities import AuthoritiesPem
from hospitium.engine.json_text import parse
from hospitium.engine.secrets import Secret
from hospitium.outside.breaker import PAUSE, Breaker
from hospitium.outside.exchange import NoAnswer, TooSlow, Unreachable
from hospitium.outside.fhir_departures import Departure
from hospitium.outside.fhir_pages import WAY, Found, NotAPage, most_on, page
from hospitium.outside.http import LONGEST_URL, Blocked, Limits, checked_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from hospitium.outside.exchange import Answer
    from hospitium.outside.http import Egress, HttpUrl

CONNECT = 3.0  # seconds
WHOLE = 10.0  # seconds, while somebody waits to invite
WHOLE_READING = 20.0  # seconds, while somebody waits to read
LARGEST_PATIENT = 2 * 1024 * 1024  # bytes of a Patient, or of the page with those who have an identifier
LARGEST_RESOURCE = 8 * 1024 * 1024  # bytes of any resource
LARGEST_PAGE = 16 * 1024 * 1024  # bytes of a page of a search
MOST_PARTS = 1_000_000  # members and elements of an answer, which may each take a hundred bytes of memory
LARGE = 256 * 1024  # bytes of an answer that is read beside the loop, which has others to serve
LARGEST_METADATA = 8 * 1024 * 1024  # bytes of a CapabilityStatement, which lists all a server can do
RETRY_AFTER = 5  # seconds until a server that just failed may be there again
LONGEST_TOKEN = 4_000  # characters of an identifier, as it is sent
LONGEST_SOFTWARE = 100  # characters of what a server calls itself that are kept
ENOUGH = 2  # patients tell "one" from "several"
_READING: Final = Limits(CONNECT, WHOLE, LARGEST_PATIENT)
_READING_ONE: Final = Limits(CONNECT, WHOLE_READING, LARGEST_RESOURCE)
_READING_A_PAGE: Final = Limits(CONNECT, WHOLE_READING, LARGEST_PAGE)
_LOOKING: Final = Limits(CONNECT, WHOLE, LARGEST_METADATA)
_OK, _NOT_FOUND, _GONE = 200, 404, 410
_REFUSING = (401, 403)
_BUSY = (429, 502, 503, 504)

_RESOURCE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9.-]{1,64}")  # of FHIR, but for what a path takes for a step up
_ASKED = re.compile(
    r"/(?:metadata"
    r"|Patient/(?!\.+$)[A-Za-z0-9.-]{1,64}"
    r"|Patient\?identifier=(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+&_count=2)"
)
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ONE = re.compile(r"/[A-Z][A-Za-z]{1,63}/(?!\.+$)[A-Za-z0-9.-]{1,64}")
# No chain, no `_has`, no `_include`: a name is a parameter of the resource itself, or one of those that narrow and order.
_NAME = r"(?:[a-z][A-Za-z0-9-]{0,63}|_(?:id|lastUpdated|count|sort))(?::[A-Za-z-]{1,64})?"
_PAIR = rf"{_NAME}=(?:[A-Za-z0-9_.~-]|%[0-9A-F]{{2}})*"
_SEARCH = re.compile(rf"/[A-Z][A-Za-z]{{1,63}}(?:\?{_PAIR}(?:&{_PAIR})*)?")
_JSON = re.compile(
    r"application/(?:fhir\+)?json(?P<parameters>(?:[ \t]*;[ \t]*[\w-]+=(?:[\w.+-]+|\"[\w.+ -]*\"))*)",
    re.IGNORECASE,
)
_CHARSET = re.compile(r";[ \t]*charset=\"?([^\";]*)", re.IGNORECASE)
_R4 = re.compile(r"4\.0\.[0-9]+")
_VISIBLE = re.compile(r"[!-~]+")
_log = structlog.get_logger("hospitium.fhir")


class Bearer(msgspec.Struct, frozen=True):
    """A token that a server knows us by. Invalid if it can't stand in a header."""

    token: Secret

    def __post_init__(self) -> None:
        if not _VISIBLE.fullmatch(self.token.reveal()):
            raise Invalid("token", "must be plain characters without spaces")

    @property
    def authorization(self) -> str:
        """What the header of that name says."""
        return f"Bearer {self.token.reveal()}"


class Basic(msgspec.Struct, frozen=True):
    """A user and a password that a server knows us by (RFC 7617). Invalid if they can't be told apart there."""

    user: str
    password: Secret

    def __post_init__(self) -> None:
        if ":" in self.user or not self.user.isprintable():
            raise Invalid("user", "must not contain a colon or control characters")
        if not self.password.reveal().isprintable():
            raise Invalid("password", "must not contain control characters")

    @property
    def authorization(self) -> str:
        """What the header of that name says."""
        both = f"{self.user}:{self.password.reveal()}".encode()
        return "Basic " + base64.b64encode(both).decode("ascii")


Credentials = Bearer | Basic


class RemoteServer(msgspec.Struct, frozen=True):
    """A FHIR server elsewhere. Its credentials go to the origin of its base URL and nowhere else (threats F-17).

    `authorities`: whose certificates are believed for it; None: the system's (threats F-37).
    """

    id: UUID
    base_url: str
    allow_private: bool
    credentials: Credentials | None
    authorities: AuthoritiesPem | None


class Metadata(msgspec.Struct, frozen=True):
    """What a server says it is: its version of FHIR, and what it calls itself, cut short and printable."""

    fhir_version: str
    software: str | None


@lru_cache(1_000)
@lru_cache(200)
def base_url(text: str, *, allow_private: bool) -> str:
    """Return the base URL of a FHIR server in the one spelling that is kept. Raises Blocked, whose `reason` says what is wrong.

    `allow_private`: the operator said so of this URL.
    """
    url = checked_url(text, allow_private=allow_private)
    if url.query is not None:
        raise Blocked("query")
    return str(url).removesuffix("/")


class RemoteFhir:
    """Asks FHIR servers elsewhere. How each has been doing is remembered here, in this process."""

    def __init__(self, egress: Egress, clock: Callable[[], datetime]) -> None:
        self._egress = egress
        self._clock = clock
        # By address and authorities, too: whoever mends them need not wait for the pause of the old ones.
        self._breakers: dict[tuple[UUID, str, int], Breaker] = {}

    async def read_patient(self, server: RemoteServer, patient_id: str) -> dict[str, Any] | None:
        """Return the Patient of this id as a server has it; None if it has none, or none any more.

        An id that no resource can have has none, and nobody is asked. Raises FhirServerAway, FhirServerWrong.
        """
        if not _RESOURCE_ID.fullmatch(patient_id):
            return None
        answer = await self._ask(server, f"/Patient/{patient_id}", _READING)
        if answer.status in (_NOT_FOUND, _GONE):
            return None
        patient = _resource(server, answer, "Patient")
        if patient.get("id") != patient_id:
            _refuse(server, "another patient")
        return patient

    async def patients_by_identifier(
        self, server: RemoteServer, system: str | None, value: str
    ) -> list[dict[str, Any]]:
        """Return the Patients that have an identifier, two at most: one more than one is several.

        `system`: None for any, "" for none. Raises FhirServerAway, FhirServerWrong.
        """
        token = _token(system, value)
        if token is None:
            return []
        answer = await self._ask(server, f"/Patient?identifier={token}&_count={ENOUGH}", _READING)
        bundle = _resource(server, answer, "Bundle")
        patients = _matches(server, bundle)
        found = [one for one in patients if _has_identifier(one, system, value)]
        if len(found) < ENOUGH and _goes_on(bundle):
            # Whether there is one more is on a page that wasn't read: "exactly one" can't be said.
            _refuse(server, "more pages")
        return found[:ENOUGH]

    async def read(
        self, server: RemoteServer, type_: str, id_: str
    ) -> dict[str, Any] | Literal[Departure.GONE] | None:
        """Return the resource of this type and id; None if there is none, GONE if the server says that there was one.

        What it refers to below the server's base URL it refers to as to something here. Numbers that aren't whole are Decimals, digit for digit. A type or id that no resource can have has none, and nobody
        is asked. Raises FhirServerAway, FhirServerWrong.
        """
        if not _TYPE.fullmatch(type_) or not _RESOURCE_ID.fullmatch(id_):
            return None
        answer = await self._ask(server, f"/{type_}/{id_}", _READING_ONE, _ONE)
        if answer.status == _NOT_FOUND:
            return None
        if answer.status == _GONE:
            return Departure.GONE
        resource = await _shown_resource(server, answer, type_)
        if resource.get("id") != id_:
            _refuse(server, "another resource")
        return resource

    async def search(self, server: RemoteServer, type_: str, pairs: Iterable[tuple[str, str]]) -> Found:
        """Return the first page of a search: resources of this type, of which each has still to be looked at by whoever asks.

        `pairs`: names and values, not yet as in a URL. A server may leave some of them out of account.
        Raises Invalid (more than a URL can hold), FhirServerAway, FhirServerWrong.
        """
        asked = list(pairs)
        # Each by itself: `code=a&patient` would look like two of ours in the whole.
        if not all(re.fullmatch(_NAME, name) for name, _ in asked):
            _refuse(server, "question")
        query = "&".join(f"{name}={_sent(name, value)}" for name, value in asked)
        path = f"/{type_}?{query}" if query else f"/{type_}"
        if len(server.base_url) + len(path) > LONGEST_URL:
            raise Invalid("query", "asks for more than a FHIR server elsewhere can be asked at once")
        answer = await self._ask(server, path, _READING_A_PAGE, _SEARCH)
        return await _page(server, answer, type_, path)

    async def follow(self, server: RemoteServer, next_: str) -> Found:
        """Return the page that `next` of the one before leads to, wherever it was kept meanwhile.

        Raises NotFound (servers forget their pages after a while), FhirServerAway, FhirServerWrong.
        """
        type_, _, path = next_.partition(" ")
        form = WAY.fullmatch(path)
        if not _TYPE.fullmatch(type_) or form is None or form["type"] not in (None, type_):
            _refuse(server, "way on")
        answer = await self._ask(server, path, _READING_A_PAGE, WAY)
        if answer.status in (_NOT_FOUND, _GONE):
            raise NotFound("page")
        return await _page(server, answer, type_, path)

    async def test(self, server: RemoteServer) -> Metadata:
        """Return what a server says it is (`/metadata`). Raises FhirServerAway, FhirServerWrong if it isn't R4 in JSON."""
        answer = await self._ask(server, "/metadata", _LOOKING)
        statement = _resource(server, answer, "CapabilityStatement")
        version = statement.get("fhirVersion")
        if not isinstance(version, str) or not _R4.fullmatch(version):
            _refuse(server, "version of FHIR")
        return Metadata(version, _software(statement.get("software")))

    async def _ask(
        self, server: RemoteServer, path: str, limits: Limits, form: re.Pattern[str] = _ASKED
    ) -> Answer:
        """Ask one thing, of this form; return an answer that says yes, or that there is no such thing."""
        key = (server.id, server.base_url, hash(server.authorities))
        breaker = self._breakers.setdefault(key, Breaker(self._clock))
        wait = breaker.enter()
        if wait:
            raise FhirServerAway(wait)
        outcome: Answer | NoAnswer | None = None
        try:
            outcome = await self._outcome(server, path, limits, form)
        finally:
            breaker.leave(was_there=None if outcome is None else not _is_away(outcome))
            if breaker.is_as_new:
                self._breakers.pop(key, None)
        if _is_away(outcome):
            _log.warning("a FHIR server is away", server=str(server.id), **_told(outcome))
            raise FhirServerAway(round(PAUSE) if breaker.is_open else RETRY_AFTER)
        if isinstance(outcome, NoAnswer) or outcome.status not in (_OK, _NOT_FOUND, _GONE):
            _refuse(server, **_told(outcome))
        return outcome

    async def _outcome(
        self, server: RemoteServer, path: str, limits: Limits, form: re.Pattern[str]
    ) -> Answer | NoAnswer:
        headers = {"Accept": "application/fhir+json", "User-Agent": "Hospitium"}
        if server.credentials is not None:
            headers["Authorization"] = server.credentials.authorization
        try:
            return await self._got(server, _whole(server, path, form), headers, limits)
        except NoAnswer as reason:
            return reason

    async def _got(
        self, server: RemoteServer, url: HttpUrl, headers: Mapping[str, str], limits: Limits
    ) -> Answer:
        try:
            return await self._egress.get(
                url,
                headers=headers,
                allow_private=server.allow_private,
                authorities=server.authorities,
                limits=limits,
            )
        except Blocked as blocked:
            # A name that leads into somebody's own network is answered as one that nobody has: which there are isn't told.
            raise Unreachable(blocked.kind) from None


def _whole(server: RemoteServer, path: str, form: re.Pattern[str]) -> HttpUrl:
    """Return the URL of what is asked, as it will be sent: the base as it was checked, and what a question of this form looks like."""
    base = base_url(server.base_url, allow_private=server.allow_private)
    url = checked_url(base + path, allow_private=server.allow_private)
    sent = str(url)
    if not sent.startswith(base) or not form.fullmatch(sent.removeprefix(base)):
        raise Blocked("question")
    return url


def _is_away(outcome: Answer | NoAnswer) -> bool:
    if isinstance(outcome, NoAnswer):
        return isinstance(outcome, Unreachable | TooSlow)
    return outcome.status in _BUSY


def _told(outcome: Answer | NoAnswer) -> dict[str, Any]:
    """Return what the log may say of an outcome: a word of ours, or the status."""
    if isinstance(outcome, NoAnswer):
        return {"problem": f"{type(outcome).__name__} {outcome.kind}"}
    return {"problem": "credentials" if outcome.status in _REFUSING else "status", "status": outcome.status}


def _refuse(server: RemoteServer, problem: str, status: int | None = None) -> NoReturn:
    _log.warning("a FHIR server answers wrongly", server=str(server.id), problem=problem, status=status)
    raise FhirServerWrong from None


async def _page(server: RemoteServer, answer: Answer, type_: str, path: str) -> Found:
    bundle = await _shown_resource(server, answer, "Bundle")
    try:
        found = page(
            bundle,
            base=base_url(server.base_url, allow_private=server.allow_private),
            allow_private=server.allow_private,
            type_=type_,
            most=most_on(path.partition("?")[2]),
            at=f"{type_} {path}",
        )
    except NotAPage as reason:
        _refuse(server, reason.problem)
    if found.left_out or found.is_cut:
        _log.warning(
            "a FHIR server gives what wasn't asked for",
            server=str(server.id),
            left_out=found.left_out,
            is_cut=found.is_cut,
        )
    return msgspec.structs.replace(found, size=len(answer.body))


def _as_here(server: RemoteServer, answer: Answer, resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource in which nothing leads past us to where it is from, as far as references go."""
    base = base_url(server.base_url, allow_private=server.allow_private)
    # Of most answers nothing has to be made anew. Some write each slash with another before it.
    if b"\\/" not in answer.body and _refers_below(base).search(answer.body) is None:
        return resource
    return with_references_of_ours(resource, base)


@lru_cache(200)
def _refers_below(base: str) -> re.Pattern[bytes]:
    return re.compile(rb'"reference"\s*:\s*"' + re.escape(base.encode()))


async def _shown_resource(server: RemoteServer, answer: Answer, kind: str) -> dict[str, Any]:
    """Return the resource of this type that an answer is, as it may be shown: its decimals as they were written, and what it refers to below its
    server's address referred to as to something here. Refuse anything else."""
    if sum(map(answer.body.count, (b",", b"{", b"["))) > MOST_PARTS:
        _refuse(server, "parts")

    def read() -> dict[str, Any]:
        return _as_here(server, answer, _resource(server, answer, kind, decimals=True))

    return await asyncio.to_thread(read) if len(answer.body) > LARGE else read()


def _resource(server: RemoteServer, answer: Answer, kind: str, *, decimals: bool = False) -> dict[str, Any]:
    """Return the resource of this type that an answer is; refuse anything else."""
    if answer.status != _OK:
        _refuse(server, "status", answer.status)
    if not _is_json(answer.content_type):
        _refuse(server, "content type")
    try:
        resource = parse(answer.body, digit_for_digit=decimals)
    except Invalid:
        _refuse(server, "JSON")
    if not isinstance(resource, dict) or resource.get("resourceType") != kind:
        _refuse(server, "type of resource")
    return resource


def _is_json(content_type: str) -> bool:
    found = _JSON.fullmatch(content_type.strip())
    charsets = _CHARSET.findall(found["parameters"]) if found else []
    return found is not None and all(charset.lower() in ("utf-8", "utf8") for charset in charsets)


def _sent(name: str, value: str) -> str:
    """Return a value as it stands in a URL."""
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise Invalid(name, "must not contain half a character") from None


def _token(system: str | None, value: str) -> str | None:
    """Return an identifier as one value of a token search, whatever it is made of; None for one that nobody can have (threats B-12).

    What has a meaning in a value is escaped as FHIR says (search, "Escaping Search Parameters"), then all of it as a URL does.
    """
    if not value:
        return None
    token = _escaped(value) if system is None else f"{_escaped(system)}|{_escaped(value)}"
    try:
        sent = quote(token, safe="")
    except UnicodeEncodeError:  # half a character is in nobody's identifier
        return None
    return sent if len(sent) <= LONGEST_TOKEN else None


def _escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _matches(server: RemoteServer, bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the Patients that a page of a search says it found, each once; what else is on it is left out."""
    entries = bundle.get("entry", [])
    if bundle.get("type") != "searchset" or not isinstance(entries, list):
        _refuse(server, "bundle")
    patients: dict[str, dict[str, Any]] = {}
    for entry in entries:
        resource = _found_in(entry)
        if resource is None:
            continue
        patient_id = resource.get("id")
        if (
            not isinstance(patient_id, str)
            or not _RESOURCE_ID.fullmatch(patient_id)
            or patient_id in patients
        ):
            _refuse(server, "id of a patient")
        patients[patient_id] = resource
    return list(patients.values())


def _found_in(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    search, resource = entry.get("search", {}), entry.get("resource")
    is_match = isinstance(search, dict) and search.get("mode", "match") == "match"
    if is_match and isinstance(resource, dict) and resource.get("resourceType") == "Patient":
        return resource
    return None


def _has_identifier(patient: Mapping[str, Any], system: str | None, value: str) -> bool:
    identifiers = patient.get("identifier")
    return isinstance(identifiers, list) and any(
        isinstance(one, dict)
        and one.get("value") == value
        and (system is None or one.get("system", "") == system)
        for one in identifiers
    )


def _goes_on(bundle: Mapping[str, Any]) -> bool:
    links = bundle.get("link")
    return isinstance(links, list) and any(
        isinstance(link, dict) and link.get("relation") == "next" for link in links
    )


def _software(given: Any) -> str | None:
    if not isinstance(given, dict):
        return None
    words = [word for word in (given.get("name"), given.get("version")) if isinstance(word, str)]
    text = " ".join("".join(c for c in " ".join(words) if c.isprintable()).split())
    return text[:LONGEST_SOFTWARE].strip() or None
