"""The pages of docs/reference, each a function of the code it describes. `make docs` writes them; a test holds them fresh."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import msgspec
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)
from structlog.testing import capture_logs

from hospitium import __main__ as main, settings
from hospitium.doors.bluebutton import routes as bluebutton
from hospitium.doors.cli.house import VIOLATED
from hospitium.doors.cli.main import cli
from hospitium.doors.console import errors as console_errors, forms, routes as console, texts
from hospitium.doors.json_body import WrongContentType
from hospitium.doors.medable import errors as medable_errors, routes as medable
from hospitium.doors.native import errors as native_errors, routes as native
from hospitium.doors.radorderpad import errors as radorderpad_errors, routes as radorderpad
from hospitium.engine import errors
from hospitium.engine.events import EventKind
from hospitium.engine.invites.lifecycle import MOVES as INVITE_MOVES
from hospitium.engine.offers.lifecycle import MOVES as OFFER_MOVES
from hospitium.engine.organizations.lifecycle import MOVES as ORGANIZATION_MOVES
from hospitium.engine.partnerships.lifecycle import MOVES as PARTNERSHIP_MOVES
from hospitium.engine.permissions import RULES
from hospitium.engine.persons.lifecycle import MOVES as PERSON_OFFER_MOVES
from hospitium.engine.records.lifecycle import MOVES as RECORD_MOVES
from hospitium.engine.shares.lifecycle import MOVES as SHARE_MOVES

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, too, this file is `house.generated`
from house.tree import ROOT, members_named, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hospitium.doors.routing import Route
    from hospitium.engine.lifecycle import Move

DIRECTORY = ROOT / "docs" / "reference"
SURFACES: Mapping[str, tuple[tuple[Route, ...], str]] = {
    "RadOrderPad": (radorderpad.ROUTES, "/api"),
    "Medable": (medable.ROUTES, ""),
    "BlueButtonPro": (bluebutton.ROUTES, ""),
    "own": (native.ROUTES, ""),
    "pages": (console.ROUTES, ""),
}

WHEN = {
    EventKind.REFUSED: "Somebody known was refused: forbidden, not found, or in conflict with how things stand.",
    EventKind.ACCOUNT_CREATED: "The operator, or a world file, made an account.",
    EventKind.ACCOUNT_REGISTERED: "Somebody registered an account, over HTTP or by taking up an invitation.",
    EventKind.ACCOUNT_LINK_SENT: "Somebody asked for a link; `template` names the mail. In the account's trail if there is one.",
    EventKind.ACCOUNT_CONFIRMED: "The mailbox was proved with the link, by who knew the password.",
    EventKind.ACCOUNT_CLAIMED: "The mailbox was proved by who didn't know the password: a new one, and all that was before ended; `grants` names those that did.",
    EventKind.ACCOUNT_REPLACED: "An account nobody had confirmed gave way to a new registration of its address.",
    EventKind.ACCOUNT_UPDATED: "An account changed its name or language; `fields` names which, never what.",
    EventKind.ACCOUNT_PASSWORD_CHANGED: "An account got another password; its other sessions ended.",
    EventKind.ACCOUNT_EMAIL_CHANGED: "An account got another address, which was proved.",
    EventKind.ACCOUNT_EXPORTED: "An account was handed all that is kept of it.",
    EventKind.ACCOUNT_DELETED: "An account deleted itself: its id remains, and nothing else.",
    EventKind.ACCOUNT_DISABLED: "The operator disabled an account; its sessions ended with it.",
    EventKind.ACCOUNT_ENABLED: "The operator enabled a disabled account.",
    EventKind.MEMBERSHIP_STARTED: "An account became a member of an organization.",
    EventKind.MEMBERSHIP_CHANGED: "The applications of an organization know a member by another id from now on, or by none; the id is not said.",
    EventKind.MEMBERSHIP_ENDED: "A membership ended.",
    EventKind.OFFER_MADE: "An administrator invited a colleague by e-mail.",
    EventKind.OFFER_RESENT: "An administrator sent an invitation again, with a new link.",
    EventKind.OFFER_WITHDRAWN: "An administrator took an invitation back.",
    EventKind.OFFER_ACCEPTED: "The colleague joined.",
    EventKind.OFFER_EXPIRED: "Nobody took the invitation up in time; written down by the sweep.",
    EventKind.SESSION_STARTED: "Somebody signed in.",
    EventKind.SESSION_REFUSED: "A sign-in failed; in the account's trail if there is one.",
    EventKind.SESSION_MOVED: "A session went on to act for another organization.",
    EventKind.SESSION_ENDED: "Somebody signed out, or ended a session from another.",
    EventKind.SESSIONS_ENDED: "Several sessions of an account ended at once; `reason` says why.",
    EventKind.SESSION_TOKEN_REUSED: "A refresh token came a second time, too late to be a repeat: its session ended.",
    EventKind.ORGANIZATION_REGISTERED: "An organization was written down, by itself, the operator or a world file.",
    EventKind.ORGANIZATION_UPDATED: "An organization changed its profile; `fields` names which, never what.",
    EventKind.ORGANIZATION_APPROVED: "The operator let a pending organization in.",
    EventKind.ORGANIZATION_SUSPENDED: "The operator suspended an organization.",
    EventKind.ORGANIZATION_REINSTATED: "The operator let a suspended organization act again.",
    EventKind.PARTNERSHIP_REQUESTED: "An organization asked another to connect.",
    EventKind.PARTNERSHIP_APPROVED: "The other approved; `grants` names the two grants that began.",
    EventKind.PARTNERSHIP_REJECTED: "The other rejected.",
    EventKind.PARTNERSHIP_CANCELED: "The asker took the request back.",
    EventKind.PARTNERSHIP_RESENT: "The asker sent a rejected request again.",
    EventKind.PARTNERSHIP_EXPIRED: "Nobody answered in time; written down by the sweep, or by the next deed of the pair.",
    EventKind.PARTNERSHIP_TERMINATED: "One of the two ended it; `grants` names the grants that ended.",
    EventKind.PARTNERSHIP_REESTABLISHED: "One of the two asked to take it up again, and is its source from here on.",
    EventKind.DELIVERY_RETRIED: "The operator had a mail that failed, or waits, tried again.",
    EventKind.PARTNERSHIP_IMPORTED: "A world file brought it, in the status it says.",
    EventKind.OBJECT_TYPE_DEFINED: "An administrator, or a world file, defined a kind of records.",
    EventKind.OBJECT_TYPE_CHANGED: "An administrator changed how records of a kind are shared.",
    EventKind.OBJECT_TYPE_DROPPED: "An administrator dropped a kind of records of which there were none.",
    EventKind.RECORD_CREATED: "Somebody made a record, and owns it; `grants` names the owner's grant.",
    EventKind.RECORD_UPDATED: "The body of a record was replaced; never what it says.",
    EventKind.RECORD_ARCHIVED: "A record was archived: every share of it ended.",
    EventKind.RECORD_UNARCHIVED: "A record was taken out of the archive.",
    EventKind.RECORD_DELETED: "A record was deleted; `grants` names those that ended.",
    EventKind.TEAM_CREATED: "Somebody, or a world file, made a team.",
    EventKind.TEAM_RENAMED: "A team got another name.",
    EventKind.TEAM_ENDED: "A team ended, and with it what was shared with it.",
    EventKind.TEAM_JOINED: "An account came into a team; `owner` says whether as its owner.",
    EventKind.TEAM_LEFT: "An account went out of a team, by itself, by another, or with its membership of the organization.",
    EventKind.SHARE_OFFERED: "Somebody offered to share a record or an account; `form` says how the target was named, never by which address.",
    EventKind.SHARE_ACCEPTED: "Its target accepted a share; `grants` names the grant that began.",
    EventKind.SHARE_APPLIED: "A share was made that needs no acceptance; `grants` names the grant that began.",
    EventKind.SHARE_CHANGED: "A share got another level; `grants` names the grants that ended and began.",
    EventKind.SHARE_DECLINED: "Its target declined a share.",
    EventKind.SHARE_WITHDRAWN: "A share was taken back before it was accepted, or what it was made under ended.",
    EventKind.SHARE_LEFT: "Its target left a share; `grants` names those that ended.",
    EventKind.SHARE_REVOKED: "A share was taken away, or what it was made under ended; `grants` names those that ended.",
    EventKind.SHARE_EXPIRED: "Nobody accepted a share in time, or its window closed; written down by the sweep, or by the next deed.",
    EventKind.SHARE_MERGED: "Its target accepted a share though it had the same from the same hand: that one was raised.",
    EventKind.SHARE_IMPORTED: "A world file brought a share, in the status it says.",
    EventKind.CLIENT_KEY_MADE: "The operator, or a world file, made a client key of an organization.",
    EventKind.CLIENT_KEY_ENDED: "The operator ended a client key.",
    EventKind.SERVICE_KEY_MADE: "An administrator, the operator, or a world file, made a service key of an organization; `scopes` says what it is for.",
    EventKind.SERVICE_KEY_ENDED: "An administrator, or the operator, ended a service key.",
    EventKind.FHIR_SERVER_ADDED: "An administrator, the operator or a world file added a FHIR server; `grants` names its owner's, `authorities` says how many it has of its own.",
    EventKind.FHIR_SERVER_CHANGED: "A FHIR server was changed; `suspended` if its address was, and with it the grants on it; `authorities` if those it believes were: how many it has of its own, 0 for the system's.",
    EventKind.FHIR_SERVER_CONFIRMED: "An administrator confirmed that the patients at the new address are the same ones.",
    EventKind.FHIR_SERVER_REMOVED: "A FHIR server was removed; `grants` names those that ended.",
    EventKind.FHIR_SERVER_LOADED: "The operator, or a world file, loaded resources into a built-in FHIR server; it counts them, and names none.",
    EventKind.FHIR_SERVER_SEARCHED: "Somebody looked for a patient by an identifier; `found` says none, one or several, never which.",
    EventKind.FHIR_READ: "Something was read on a FHIR server, and on record before it was shown: `interaction` (read, search, everything, page), `type`, `resource` of a single one, `patients`, how many resources (`count`), by which `grants`; `asked` is a keyed hash of what was searched for. It stands in the trail of each person that has a grant on a patient, too.",
    EventKind.FHIR_READ_REFUSED: "A read of a FHIR server was refused: `refusal` says why, `asked` is a keyed hash of what was asked. It names no patient and no resource, which could be what somebody typed, or may not know of.",
    EventKind.FHIR_LEFT_OUT: "A FHIR server gave what was not asked for, or is not to be shown: so many (`count`) resources or other entries of a `type` were left out. It is told to the server's organization alone, and names neither patients nor who read.",
    EventKind.PATIENT_SUSPENDED: "A `patient` was found merged, gone or inactive on a `fhir_server` (`reason`): the grants on him count for nothing until an administrator confirms.",
    EventKind.PATIENT_CONFIRMED: "An administrator confirmed that a `patient` is still who he was: the grants on him count again.",
    EventKind.GRANT_MADE: "An administrator granted somebody access to a FHIR server, or to one patient there. To an account, it comes before what that inherits, so a restore makes it again.",
    EventKind.GRANT_ENDED: "A grant on a FHIR server was ended, by its owner's side or by whoever administers the person it was given to.",
    EventKind.INVITE_MADE: "Somebody invited to the record of a patient; `form` says whether by code or by e-mail, never to which address.",
    EventKind.INVITE_RESENT: "The mail of an invite was sent again, with a new link.",
    EventKind.INVITE_REPLACED: "An open invite was closed, because it was issued again with another code.",
    EventKind.INVITE_WITHDRAWN: "An open invite was taken back, or its FHIR server removed.",
    EventKind.INVITE_BOUND: "Somebody registered with the code of an invite: it is for that account alone.",
    EventKind.INVITE_ANSWERED_WRONG: "The code of an invite came with a wrong answer, or with the address of an account there is; `wrong_answers` counts them.",
    EventKind.INVITE_LOCKED: "The fifth wrong answer: an invite can't be taken up any more.",
    EventKind.INVITE_ACCEPTED: "An invite was accepted with a person; `grants` names the grant that began.",
    EventKind.INVITE_DECLINED: "Whom an invite was for declined it.",
    EventKind.INVITE_EXPIRED: "Nobody accepted an invite in time; written down by the sweep.",
    EventKind.INVITE_UNDONE: "An invite was bound to, or accepted by, an account that is gone or whose mailbox was another's: what it gave ended.",
    EventKind.INVITE_IMPORTED: "A world file brought an invite, in the status it says.",
    EventKind.PERSON_CREATED: "Somebody made a person, and owns it.",
    EventKind.PERSON_UPDATED: "What is said of a person was changed; `fields` names what, never how.",
    EventKind.PERSON_DELETED: "A person was deleted, by its owner or with the account of the only one who could own it; `grants` names those that ended, and each is told by an event of its own, too.",
    EventKind.PERSON_OFFERED: "An administrator of a person offered its care to an address, which is never said.",
    EventKind.PERSON_ACCEPTED: "The holder of that address took it up, and looks after the person.",
    EventKind.PERSON_DECLINED: "The holder of that address declined it.",
    EventKind.PERSON_WITHDRAWN: "An offer was taken back, replaced by another to the same address, or its maker could make it no more.",
    EventKind.PERSON_EXPIRED: "Nobody answered the offer in time; written down by the sweep.",
    EventKind.PERSON_ROLE_CHANGED: "Somebody looks after a person at another level.",
    EventKind.PERSON_ROLE_ENDED: "Somebody looks after a person no more, by himself, by an administrator of it, or with his account.",
    EventKind.PERSON_TRANSFERRED: "A person got another owner (`target`); the one before (`source`) is its administrator.",
    EventKind.PERSON_IMPORTED: "A world file brought a person.",
    EventKind.TRAIL_RETIRED: "The operator took an old month out of the trail; its seals stay.",
    EventKind.EPOCH_RESTORED: "A backup was restored; `voided` counts the sessions, links, offers and deliveries it ended, `applied` what the trail ended again.",
    EventKind.EPOCH_CONFIRMED: "The operator released the grants that a restore held.",
    EventKind.ACCOUNT_PASSWORD_VOIDED: "A restore brought an old password back, and the trail says it was changed since: nobody knows the one it has now.",
}


def settings_page() -> str:
    return settings.reference()


def cli_page() -> str:
    lines = [
        *_head("The command line", "the commands themselves"),
        "`hospitium` reads its [settings](settings.md) from the environment. What a script reads goes to standard output",
        "(`--json`: one line of JSON), what went wrong to standard error as one sentence that names the mend.",
        "",
        *_table(
            ["exit code", "when"],
            [
                ["0", "done"],
                [
                    str(main.REFUSED),
                    "refused: what was asked can't be done as things stand; nothing was changed",
                ],
                [str(main.MISUSED), "misused: an unknown command or option, or a file with a wrong entry"],
                [
                    str(main.CANT_RUN),
                    "can't run as it is set up: a setting, the keys, the database or its schema",
                ],
                [
                    str(VIOLATED),
                    "`hospitium verify`, `audit verify` or `doctor` found something that must not be",
                ],
                ["130", "stopped by hand"],
            ],
        ),
    ]
    for path, command in _commands(cli, "hospitium"):
        arguments = [_argument(one) for one in command.params if isinstance(one, click.Argument)]
        lines += ["", f"## `{' '.join([path, *arguments])}`", "", _sentences(command)]
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        if options:
            lines += ["", *_table(["option", "takes", "what it is"], [_option(one) for one in options])]
    return _page(lines)


def permissions_page() -> str:
    uses: dict[str, list[str]] = {}
    for routes, prefix in SURFACES.values():
        for route in routes:
            path = f"{prefix}{route.path}".replace(":str}", "}")
            uses.setdefault(route.permission, []).append(f"`{route.method} {path}`")
    rows = [
        [f"`{permission}`", rule.need.value, rule.sentence, "<br>".join(uses.get(permission, []))]
        for permission, rule in RULES.items()
    ]
    return _page(
        [
            *_head("Permissions", "`engine/permissions.py` and the tables of routes"),
            "Every route declares one; a server with a route that doesn't refuses to start. It is asked for before the deed runs,",
            "and every action asks again by itself. The operator stands at the command line; nobody is the operator over HTTP.",
            "",
            *_table(["permission", "who", "the sentence", "asked for at"], rows),
        ]
    )


def errors_page() -> str:
    rows = []
    for kind in _in_order_of_the_tree():
        printed, own = radorderpad_errors.TABLE[kind], native_errors.TABLE[kind]
        fault = medable_errors.TABLE[kind]
        exit_code = main.MISUSED if issubclass(kind, errors.Invalid) else main.REFUSED
        rows.append(
            [
                f"`{kind.__name__}`",
                _sentence_of(kind),
                f"{printed.status} `{printed.code}`",
                f"{fault.status} `{fault.code}` `{fault.err_code}`",
                f"{own.status} `{own.kind}`",
                _page_of(console_errors.TABLE[kind]),
                str(exit_code),
            ]
        )
    return _page(
        [
            *_head("Errors", "the tables in `doors/*/errors.py`"),
            "The engine refuses with a kind and its data; each door has one total table from kinds to its own form. The RadOrderPad",
            'surface answers `{"success": false, "message", "error": {"code", …}}`, the Medable surface a fault with `code` and `errCode`; our own and the BlueButtonPro surface answer a problem of RFC 9457 whose',
            "`type` is `urn:hospitium:problem:` and the word below; a page for people has the title below (a password or an address that is",
            "wrong is said at its field); the command line prints the message and exits with the code.",
            "",
            *_table(["kind", "what it says", "RadOrderPad", "Medable", "own API", "pages", "exit"], rows),
            "",
            "What never reaches the engine:",
            "",
            *_table(["what happened", "RadOrderPad", "Medable", "own API", "pages"], _refused_at_the_edge()),
        ]
    )


def lifecycle_page() -> str:
    return _page(
        [
            *_head("Lifecycles", "the tables in `engine/*/lifecycle.py`"),
            "Only these moves write a status, each by one guarded `UPDATE … WHERE status IN (…) … RETURNING`.",
            "",
            "## Partnership",
            "",
            "Made by `request`, by its source. A request past its time reads `expired` by the clock, whether or not the sweep has run.",
            "",
            *_drawn("pending_approval", "request", PARTNERSHIP_MOVES),
            "",
            "## Organization",
            "",
            "Made `pending` by registering (`active` where `REGISTRATION=open`), `active` by the operator; a world file says which.",
            "",
            *_drawn("pending", "register", ORGANIZATION_MOVES),
            "",
            "## Offer",
            "",
            "Made by an administrator who invites a colleague. A link past its time is dead by the clock, whether or not the sweep has run.",
            "",
            *_drawn("pending", "make", OFFER_MOVES),
            "",
            "## Person offer",
            "",
            "Made by an administrator of a person. One past its time is over by the clock, whether or not the sweep has run; one whose maker",
            "could make it no more is withdrawn.",
            "",
            *_drawn("pending", "offer", PERSON_OFFER_MOVES),
            "",
            "## Invite",
            "",
            "Made by code (`unbound`) or by e-mail (`bound`, to an address). One past its time is over by the clock, whether or not the sweep",
            "has run; so is one by code after five wrong answers. Its code and answer are forgotten when it leaves `unbound`.",
            "",
            *_drawn("unbound", "make", INVITE_MOVES),
            "",
            "## Share",
            "",
            "Made by `offer`; one that needs no acceptance is `active` from the start. One past its time, or whose window has closed, is over by",
            "the clock, whether or not the sweep has run. What is over is kept, and seen by nobody but in the trail.",
            "",
            *_drawn("pending", "offer", SHARE_MOVES),
            "",
            "## Record",
            "",
            "Made by whoever owns it from then on.",
            "",
            *_drawn("active", "create", RECORD_MOVES),
        ]
    )


def events_page() -> str:
    recorded = _recorded_in()
    rows = [
        [
            f"`{kind}`",
            WHEN[kind],
            ", ".join(f"[{place}](../../src/hospitium/{place})" for place in recorded[kind.name]),
        ]
        for kind in EventKind
    ]
    return _page(
        [
            *_head("Events", "`engine/events.py`"),
            "What can have happened. Each is one row, written in the deed's own transaction, and never changed. It holds ids, kinds,",
            "levels, times and counts; never names, addresses, messages or search values. `event_parties` names the organizations and",
            "accounts, and the persons, in whose trails it stands; whoever did it always does.",
            "",
            *_table(["kind", "when", "recorded in"], rows),
        ]
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "permissions.md": permissions_page,
    "errors.md": errors_page,
    "lifecycle.md": lifecycle_page,
    "events.md": events_page,
}


def write() -> None:
    """Write every page anew."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (DIRECTORY / name).write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}")


# -- how the pages are made --------------------------------------------------------------------------------------------


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _head(title: str, origin: str) -> list[str]:
    return [f"# {title}", "", f"This page is generated from {origin} by `make docs`.", ""]


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    cells = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{path} {name}", command
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _argument(argument: click.Argument) -> str:
    name = (argument.name or "").upper()
    return f"{name}…" if argument.nargs == -1 else name


def _option(option: click.Option) -> list[str]:
    kind = option.type
    if option.is_flag:
        takes = ""
    elif isinstance(kind, click.Choice):
        takes = ", ".join(f"`{choice}`" for choice in kind.choices)
    elif isinstance(kind, click.IntRange):
        takes = f"{kind.min} to {kind.max}"
    else:
        takes = "a path" if isinstance(kind, (click.Path, click.File)) else "text"
    said = [option.help or "", "Required." if option.required else ""]
    if option.show_default and not option.is_flag:
        said.append(f"By default `{option.default}`.")
    return [", ".join(f"`{name}`" for name in option.opts), takes, " ".join(part for part in said if part)]


def _sentences(command: click.Command) -> str:
    return " ".join(inspect.cleandoc(command.help or "").split())


def _sentence_of(kind: type[errors.Refusal]) -> str:
    return re.sub(r" \(ruling [0-9]+\)", "", " ".join(inspect.cleandoc(kind.__doc__ or "").split()))


def _in_order_of_the_tree() -> list[type[errors.Refusal]]:
    kinds = errors.kinds()
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and kind in kinds]


def _refused_at_the_edge() -> list[list[str]]:
    request: Any = SimpleNamespace(scope={})
    rows = []
    for what, problem in (
        ("there is nothing at this address", NotFoundException()),
        ("the address doesn't take this method", MethodNotAllowedException()),
        ("the body is too large", HTTPException(status_code=413)),
        ("the body doesn't say that it is JSON (a form)", WrongContentType()),
        ("the request can't be read", ClientException()),
        ("something unforeseen", Exception()),
    ):
        with capture_logs():
            printed = radorderpad_errors.answer_exception(request, problem)
            own = native_errors.answer_exception(request, problem)
            fault = medable_errors.answer_exception(request, problem)
        err_code = msgspec.json.decode(fault.content)["errCode"]
        code = msgspec.json.decode(printed.content)["error"]["code"]
        kind = msgspec.json.decode(own.content)["type"].rpartition(":")[2]
        shown = problem if not isinstance(problem, WrongContentType) else forms.WrongFormType()
        rows.append(
            [
                what,
                f"{printed.status_code} `{code}`",
                f"{fault.status_code} `{err_code}`",
                f"{own.status_code} `{kind}`",
                _page_of(console_errors.form_of(shown)),
            ]
        )
    not_ours = _page_of(console_errors.form_of(forms.NotOurForm()))
    return [*rows, ["a form was not opened here, or its browser keeps no cookie", "", "", "", not_ours]]


def _page_of(form: console_errors.Form) -> str:
    return f"{form.status} {texts.TEXTS[f'{form.key}.title'].english}"


def _drawn(first: str, making: str, moves: Mapping[str, Move]) -> list[str]:
    edges = [
        (source.value, verb, move)
        for verb, move in moves.items()
        for source in sorted(move.sources, key=lambda status: status.value)
    ]
    return [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {first}: {making}",
        *(f"    {source} --> {move.target}: {verb} ({move.by})" for source, verb, move in edges),
        "```",
        "",
        *_table(
            ["move", "from", "to", "by"],
            [[verb, f"`{source}`", f"`{move.target}`", move.by.value] for source, verb, move in edges],
        ),
    ]


def _recorded_in() -> dict[str, list[str]]:
    places: dict[str, list[str]] = {kind.name: [] for kind in EventKind}
    for place, tree in modules().items():
        for name in members_named(tree, "EventKind"):
            places[name].append(place)
    return places


if __name__ == "__main__":
    write()
