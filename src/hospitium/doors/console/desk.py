"""The desk: staff make the slip of an invite for whoever stands before them. They see whose record it is first, and the slip once.

look: which patient, which question ─▶ the patient is shown ─▶ do: the invite is made, and its slip is the answer
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors import code_answers, fhir_patients, slips
from hospitium.doors.answers import Answer, once, send
from hospitium.doors.console import choosing, entrance, forms, sessions
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import Wrong, wrong_with
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import HTML, page
from hospitium.doors.fhir_patients import Selector
from hospitium.doors.named_ids import body_id
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.record import Language
from hospitium.engine.errors import Forbidden, Invalid, NoSuchPatient, NotFound, SeveralPatients
from hospitium.engine.grants import queries as grant_queries
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.invites import actions, queries
from hospitium.engine.invites.codes import SHORTEST_ANSWER, InviteAnswer
from hospitium.engine.invites.patients import identifier_token, patient_id
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from hospitium.doors.fhir_patients import Reachable
    from hospitium.engine.context import Context
    from hospitium.engine.invites.actions import CodeForm
    from hospitium.engine.invites.patients import PatientFound

    Fields = Mapping[str, str]

MOST_PLACES = 1_000
PATH = "/console/desk"
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")
FIELDS = ("server", "patient_id", "identifier", "security_question", "security_answer", "slip_language")


class Place(NamedTuple):
    """A FHIR server where whoever is signed in may invite."""

    id: str
    name: str


async def open_desk(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the desk."""
    if await sessions.visitor(request) is None:
        return entrance.asked(request, PATH)
    return await _desk(request, {})


async def hand_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Look for the patient of an invite; or make it, and answer with its slip."""
    given = await forms.read(request, "step", "key", *FIELDS)
    if await sessions.visitor(request) is None:
        return entrance.asked(request, PATH)
    sessions.must_fit(request)
    try:
        if given.get("step") == "do":
            return await _make(request, given)
        return await _look(request, given)
    except NoSuchPatient as refusal:
        return await _desk(request, given, Wrong(refusal.field, "wrong.no_such_patient"))
    except SeveralPatients as refusal:
        return await _desk(request, given, Wrong(refusal.field, "wrong.several_patients"))
    except Invalid as refusal:
        return await _desk(request, given, wrong_with(refusal, given))
    except (NotFound, Forbidden):
        return await _desk(request, given, Wrong("server", "wrong.server"))


async def _look(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    found = await _patient(request, given, _selector(given))
    line("security_question", given.get("security_question", ""))
    InviteAnswer.typed("security_answer", given.get("security_answer", ""), shortest=SHORTEST_ANSWER)
    summary = found.summary
    return page(
        request,
        "desk_look.html",
        patient_id=found.patient_id,
        name=choosing.name_of(summary),
        birth_date=summary["birthDate"] if isinstance(summary.get("birthDate"), str) else "",
        server=next((one.name for one in await _places(request) if one.id == str(found.server_id)), ""),
        key=secrets.token_urlsafe(16),
        given=given,
    )


async def _make(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    house = surroundings(request)
    if not _KEY.fullmatch(given.get("key", "")):
        raise Invalid("form", "has no key")
    which = Selector("patient_id", patient_id("patient_id", given.get("patient_id", "")))
    found = await _patient(request, given, which)
    form = await code_answers.new_form(
        request, given.get("security_question", ""), given.get("security_answer", "")
    )
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        async def do() -> Answer:
            return Answer(200, (await _slip(request, ctx, found, form, _language(given))).encode())

        # Pressed twice, it is the same invite and the same slip.
        return await once(ctx, request, body, do, sealed=True, key=f"desk {given['key']}")

    made = await house.work.perform(request, Permission.MAKE_INVITE, deed)
    return send(made, media_type=HTML, headers={"Content-Security-Policy": slips.POLICY})


async def _slip(
    request: Request[Any, Any, Any], ctx: Context, found: PatientFound, form: CodeForm, language: Language
) -> str:
    house = surroundings(request)
    made = await actions.make_by_code(ctx, found, form, house.terms, language=language)
    inviter = await queries.inviter(ctx, made.fhir_server_id)
    if inviter is None:
        raise NotFound("FHIR server")
    return slips.slip(inviter.name, inviter.phone, form.code, language, house.public_url, made.expires_at)


async def _patient(request: Request[Any, Any, Any], given: Fields, which: Selector) -> PatientFound:
    server_id = body_id("server", given.get("server", ""))

    async def decide(ctx: Context) -> tuple[Reachable, UUID | None]:
        standing = await actions.may_make(ctx, server_id)
        return await fhir_patients.reachable(ctx, standing.server), ctx.actor.account_id

    where, account_id = await surroundings(request).work.perform(request, Permission.MAKE_INVITE, decide)
    return await fhir_patients.find(request, where, which, account_id)


def _selector(given: Fields) -> Selector:
    """Return which patient is meant; the id wins. Raises Invalid."""
    by_id, by_identifier = given.get("patient_id", "").strip(), given.get("identifier", "").strip()
    if by_id:
        return Selector("patient_id", patient_id("patient_id", by_id))
    if by_identifier:
        return Selector("identifier", identifier=identifier_token("identifier", by_identifier))
    raise Invalid("patient_id", "or an identifier is required")


async def _places(request: Request[Any, Any, Any]) -> list[Place]:
    """Return the FHIR servers where whoever is signed in may invite, each once, by name."""
    reaching = await surroundings(request).work.perform(
        request,
        Permission.SEE_GRANTS,
        lambda ctx: grant_queries.reaching_actor(ctx, FIRST_ID, MOST_PLACES, only_whole=True),
    )
    found = {
        one.grant.fhir_server_id: Place(str(one.grant.fhir_server_id), one.grant.server_name)
        for one in reaching.found
        if one.grant.patient_id is None and one.level >= Level.UPDATE
    }
    return list(found.values())


async def _desk(
    request: Request[Any, Any, Any], given: Fields, wrong: Wrong | None = None
) -> Response[bytes]:
    return page(
        request,
        "desk.html",
        status_of(wrong),
        places=await _places(request),
        wrong=wrong,
        given={"slip_language": language_of(request).value, **given},
    )


def _language(given: Fields) -> Language:
    chosen = given.get("slip_language", "")
    if chosen not in tuple(Language):
        raise Invalid("slip_language", "must be a language of ours")
    return Language(chosen)
