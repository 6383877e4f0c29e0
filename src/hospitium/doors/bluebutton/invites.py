"""Invites of patients: made by code or by e-mail, found, registered with, accepted, ended (contract bluebutton.md §3.4)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors import code_answers, fhir_patients, json_body
from hospitium.doors.answers import Answer, answer, given_before, once, send
from hospitium.doors.bluebutton.context import server_in_context
from hospitium.doors.bluebutton.grants import Grant
from hospitium.doors.bluebutton.invite_shapes import (
    AcceptBody,
    AcceptByCodeBody,
    CodeInviteBody,
    CodeRegistration,
    CodeRegistrationBody,
    EmailInviteBody,
    FindBody,
    Invite,
    RegisteredUser,
    RegisteringUser,
    ReissueBody,
)
from hospitium.doors.bluebutton.wire import Body, page_of, wire_names
from hospitium.doors.fhir_patients import Reachable, Selector
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.parameters import Parameters
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.errors import (
    FhirServerAway,
    FhirServerWrong,
    Invalid,
    NotFound,
    UnknownCode,
    WrongAnswer,
)
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.invites import accepting, actions, answering, queries
from hospitium.engine.invites.actions import EmailForm
from hospitium.engine.invites.codes import InviteAnswer, InviteCode
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line, optional_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.invites.actions import CodeForm
    from hospitium.engine.invites.answering import AnswerVerdict
    from hospitium.engine.invites.patients import PatientFound
    from hospitium.engine.invites.queries import InviteView

PLAIN = "text/plain"
_NOT_READ = "The whole record could not be read from the FHIR server just now; this is what was known when the invite was made"


class _Asked(NamedTuple):
    """What a call that needs a patient asks for: on which server, of which patient, by whom, and the rest of its body."""

    where: Reachable
    which: Selector
    account_id: UUID | None
    given: Any


# -- the inviting side -------------------------------------------------------------------------------------------------


async def create_by_code(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Invite whoever is given the code that is answered, this once, and knows the answer to the clinic's question."""
    house = surroundings(request)
    kept = await _given_before(request, Permission.MAKE_INVITE, _may_make_here)
    if kept is not None:
        return send(kept)
    asked, patient = await _asked_for_patient(request, CodeInviteBody)
    with wire_names():
        form = await code_answers.new_form(
            request, asked.given.security_question, asked.given.security_answer
        )

    async def deed(ctx: Context) -> Answer:
        async def do() -> Answer:
            made = await actions.make_by_code(ctx, patient, form, house.terms, language=asked.given.language)
            return answer(200, await _with_code(ctx, made.id, patient, form))

        return await once(ctx, request, await request.body(), do, sealed=True)

    with wire_names():
        return send(await house.work.perform(request, Permission.MAKE_INVITE, deed))


async def create_by_email(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Invite whoever reads a mailbox. The answer is the same whether it has an account here or not."""
    house = surroundings(request)
    kept = await _given_before(request, Permission.MAKE_INVITE, _may_make_here)
    if kept is not None:
        return send(kept)
    asked, patient = await _asked_for_patient(request, EmailInviteBody)
    form = EmailForm(
        asked.given.user_email, asked.given.first_name, asked.given.last_name, asked.given.language
    )

    async def deed(ctx: Context) -> Answer:
        async def do() -> Answer:
            made = await actions.make_by_email(ctx, patient, form, house.terms)
            shown = await queries.view(ctx, made.id)
            return answer(200, Invite.of(shown, patient=patient.resource))

        # Sealed, too: it holds the whole patient.
        return await once(ctx, request, await request.body(), do, sealed=True)

    with wire_names():
        return send(await house.work.perform(request, Permission.MAKE_INVITE, deed))


async def list_sent(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the invites of a FHIR server, the newest first, whatever became of them."""

    async def deed(ctx: Context) -> Answer:
        page = page_of(request)
        only_open = _open_only(request)
        server_id = await server_in_context(request, ctx)
        found, total = await queries.sent(ctx, server_id, page.skip, page.count, only_open=only_open)
        return answer(200, page.paged([Invite.of(one) for one in found], total))

    return send(await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed))


async def withdraw(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take an open invite back; its code or link is dead."""
    invite_id = path_id(request, "id", "invite")
    await surroundings(request).work.perform(
        request, Permission.END_INVITE, lambda ctx: actions.withdraw(ctx, invite_id), about=invite_id
    )
    return send(Answer(204, b""))


async def reissue(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Issue an invite by code again: the old one is closed, the answer is a new one with a new code that names it."""
    house = surroundings(request)
    invite_id = path_id(request, "id", "invite")
    body = await request.body()
    kept = await _given_before(request, Permission.END_INVITE, _may_end_this)
    if kept is not None:
        return send(kept)

    async def decide(ctx: Context) -> tuple[ReissueBody, Reachable, str]:
        before = await actions.replaceable(ctx, invite_id)
        standing = await actions.may_make(ctx, before.fhir_server_id)
        given = json_body.read(body, request.headers.get("content-type"), ReissueBody)
        return given, await fhir_patients.reachable(ctx, standing.server), before.patient_id

    given, where, patient_id = await house.work.perform(
        request, Permission.END_INVITE, decide, about=invite_id
    )
    with wire_names():
        patient = await fhir_patients.find(
            request, where, Selector("accessible_patient_id", patient_id), None
        )
        form = await code_answers.new_form(request, given.security_question, given.security_answer)

    async def deed(ctx: Context) -> Answer:
        async def do() -> Answer:
            made = await actions.replace(ctx, invite_id, patient, form, house.terms)
            return answer(200, await _with_code(ctx, made.id, patient, form))

        return await once(ctx, request, body, do, sealed=True)

    with wire_names():
        return send(await house.work.perform(request, Permission.END_INVITE, deed, about=invite_id))


async def resend(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have the mail of an open invite sent again, with a new link; the one before is dead."""
    house = surroundings(request)
    invite_id = path_id(request, "id", "invite")

    async def deed(ctx: Context) -> Invite:
        await actions.resend(ctx, invite_id, house.post)
        return Invite.of(await queries.view(ctx, invite_id))

    return send(answer(200, await house.work.perform(request, Permission.END_INVITE, deed, about=invite_id)))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read an invite: with the whole patient where one may write on the FHIR server, else one's own, with five members of it."""
    invite_id = path_id(request, "id", "invite")

    async def deed(ctx: Context) -> tuple[InviteView, Reachable | None]:
        shown, standing = await queries.read(ctx, invite_id)
        return shown, None if standing is None else await fhir_patients.reachable(ctx, standing.server)

    shown, where = await surroundings(request).work.perform(
        request, Permission.SEE_INVITES, deed, about=invite_id
    )
    if where is None:
        return send(answer(200, Invite.of(shown)))
    return send(answer(200, await _with_whole_patient(request, shown, where)))


# -- whoever is invited ------------------------------------------------------------------------------------------------


async def list_received(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the invites that are tied to one's account: sent to its confirmed address, registered through, or accepted."""

    async def deed(ctx: Context) -> Answer:
        found = await queries.received(ctx, only_open=_open_only(request))
        return answer(200, [Invite.of(one) for one in found])

    return send(await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed))


async def question(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the question of the open invite that has a code, as plain text."""
    asked = await code_answers.question(request, request.path_params["code"])
    return send(Answer(200, asked.encode()), media_type=PLAIN)


async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Register with a code and its answer; the invite is for that account alone from then on, to be accepted by its id.

    An address that has a confirmed account is answered `userExists: true`, and nothing changes: sign in, and accept by the code.
    """
    given: CodeRegistrationBody = await _read(request, CodeRegistrationBody)
    with wire_names():
        _must_be_same_code(request, given.security_code)
        InviteAnswer.typed("security_answer", given.security_answer)
    with _of_user():
        account = await code_answers.register(
            request, given.security_code, given.security_answer, lambda: _registering(given.user)
        )
    if account is None:
        return send(answer(200, CodeRegistration(user_exists=True)))
    return send(answer(200, CodeRegistration(user_exists=False, user=RegisteredUser.of(account))))


async def find(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Find an open invite by its code and answer. That its id is known then doesn't make it acceptable by that."""
    given = await _read_from_account(request, FindBody)
    with wire_names():
        answered = await code_answers.answered(
            request, Permission.ACCEPT_INVITE, given.security_code, given.security_answer
        )
        found = await code_answers.then(request, Permission.ACCEPT_INVITE, answered, answering.find)
    return send(answer(200, Invite.of(found)))


async def accept_by_code(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Accept an open invite by its code and answer, with a person that one owns or administers; the answer is that person's grant."""
    house = surroundings(request)
    given = await _read_from_account(request, AcceptByCodeBody)
    with wire_names():
        _must_be_same_code(request, given.security_code)
        person_id = body_id("person_id", given.person_id)

        async def deed(ctx: Context, verdict: AnswerVerdict) -> Answer:
            grant = await accepting.accept_by_code(ctx, verdict, person_id)
            return answer(200, Grant.of(grant, house.public_url))

        answered = await code_answers.answered(
            request, Permission.ACCEPT_INVITE, given.security_code, given.security_answer
        )
        return send(await code_answers.then(request, Permission.ACCEPT_INVITE, answered, deed))


async def accept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Accept an invite that was sent to one's address, or that one registered through, with a person that one owns or administers."""
    house = surroundings(request)
    invite_id = path_id(request, "id", "invite")
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), AcceptBody)
        with wire_names():
            if body_id("id", given.id) != invite_id:
                raise Invalid("id", "must be the id in the address")
            grant = await accepting.accept(ctx, invite_id, body_id("person_id", given.person_id))
        return answer(200, Grant.of(grant, house.public_url))

    return send(await house.work.perform(request, Permission.ACCEPT_INVITE, deed, about=invite_id))


async def decline(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Decline an invite that was sent to one's address, or that one registered through."""
    invite_id = path_id(request, "id", "invite")
    await surroundings(request).work.perform(
        request, Permission.ACCEPT_INVITE, lambda ctx: accepting.decline(ctx, invite_id), about=invite_id
    )
    return send(Answer(204, b""))


# -- how ---------------------------------------------------------------------------------------------------------------


async def _given_before(
    request: Request[Any, Any, Any],
    permission: Permission,
    may_still: Callable[[Request[Any, Any, Any], Context], Awaitable[None]],
) -> Answer | None:
    """Return what the same request was answered before (ruling 27): a repeat asks no FHIR server, and finds the invite as it left it.

    Who may not do it any more isn't told again what he was told then.
    """
    if "idempotency-key" not in request.headers:
        return None
    body = await request.body()

    async def deed(ctx: Context) -> Answer | None:
        await may_still(request, ctx)
        return await given_before(ctx, request, body, sealed=True)

    return await surroundings(request).work.perform(request, permission, deed)


async def _may_make_here(request: Request[Any, Any, Any], ctx: Context) -> None:
    server_id = await server_in_context(request, ctx)
    await server_queries.standing(ctx, Permission.MAKE_INVITE, server_id, Level.UPDATE)


async def _may_end_this(request: Request[Any, Any, Any], ctx: Context) -> None:
    _, standing = await queries.read(ctx, path_id(request, "id", "invite"))
    if standing is None:
        raise NotFound("invite")


async def _asked_for_patient(
    request: Request[Any, Any, Any], shape: type[Body]
) -> tuple[_Asked, PatientFound]:
    """Find out who asks for what, and ask the FHIR server for the patient."""
    body = await request.body()

    async def decide(ctx: Context) -> _Asked:
        standing = await actions.may_make(ctx, await server_in_context(request, ctx))
        given: Any = json_body.read(body, request.headers.get("content-type"), shape)
        with wire_names():
            which = fhir_patients.selector(
                given.accessible_patient_id, given.accessible_patient_identifier_search_str
            )
        return _Asked(await fhir_patients.reachable(ctx, standing.server), which, ctx.actor.account_id, given)

    asked = await surroundings(request).work.perform(request, Permission.MAKE_INVITE, decide)
    with wire_names():
        return asked, await fhir_patients.find(request, asked.where, asked.which, asked.account_id)


async def _with_code(ctx: Context, invite_id: UUID, patient: PatientFound, form: CodeForm) -> Invite:
    shown = await queries.view(ctx, invite_id)
    return Invite.of(
        shown,
        patient=patient.resource,
        security_code=form.code.reveal(),
        security_question=form.question,
    )


async def _with_whole_patient(request: Request[Any, Any, Any], shown: InviteView, where: Reachable) -> Invite:
    try:
        resource = await fhir_patients.read(request, where, shown.invite.patient_id)
    except (FhirServerAway, FhirServerWrong):
        resource = None
    if resource is None:
        return Invite.of(shown, patient_note=_NOT_READ)
    return Invite.of(shown, patient=resource)


async def _read_from_account(request: Request[Any, Any, Any], shape: type[Any]) -> Any:
    """Return a body of whoever is signed in: who isn't is told so, and nothing about what he sent."""
    body = await request.body()

    async def deed(_: Context) -> Any:
        return json_body.read(body, request.headers.get("content-type"), shape)

    return await surroundings(request).work.perform(request, Permission.ACCEPT_INVITE, deed)


async def _read(request: Request[Any, Any, Any], shape: type[Any]) -> Any:
    return json_body.read(await request.body(), request.headers.get("content-type"), shape)


def _open_only(request: Request[Any, Any, Any]) -> bool:
    given = Parameters(request).text("openOnly")
    if given not in (None, "true", "false"):
        raise Invalid("openOnly", "must be true or false")
    return given == "true"


def _must_be_same_code(request: Request[Any, Any, Any], code: str) -> None:
    in_path, in_body = InviteCode.typed(request.path_params["code"]), InviteCode.typed(code)
    if in_path is None:
        raise UnknownCode
    if in_path != in_body:
        raise Invalid("security_code", "must be the code in the address")


def _registering(user: dict[str, Any]) -> tuple[AccountForm, str]:
    """Return who registers, and with which password. Raises Invalid."""
    given = json_body.convert(user, RegisteringUser)
    with wire_names():
        if given.password != given.confirm_password:
            raise Invalid("confirm_password", "must be the same as the password")
        form = AccountForm(
            email=given.email,
            first_name=line("first_name", given.first_name),
            middle_name=optional_line("middle_name", given.middle_name),
            last_name=line("last_name", given.last_name),
        )
    return form, given.password


@contextmanager
def _of_user() -> Iterator[None]:
    """Name the member of `user` that is refused; a wrong answer is none of them."""
    try:
        yield
    except WrongAnswer:
        with wire_names():
            raise
    except Invalid as refusal:
        raise Invalid(f"user.{refusal.field}", refusal.reason) from None
