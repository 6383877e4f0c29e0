"""Every page for people, on one screen. They are for people: /openapi.json, which is for programs, doesn't have them."""

from __future__ import annotations

from litestar import Router

from hospitium.doors.console import (
    accounts,
    assets,
    codes,
    desk,
    endings,
    entrance,
    home,
    invited,
    invites,
    my_record,
    offers,
    readers,
    shares,
)
from hospitium.doors.console.errors import answer_exception
from hospitium.doors.console.following import start
from hospitium.doors.console.forms import LARGEST_FORM
from hospitium.doors.routing import Route, handlers
from hospitium.engine.permissions import Permission as May

PLACES = ("/console/", "/assets/")
HOLDER = "/console/persons/{id:str}/accounts/{account_id:str}/end"
ROUTES = (
    Route("GET", "/console", May.SEE_PAGES, home.home),
    Route("GET", "/console/new-link", May.SEE_PAGES, home.new_link),
    Route("POST", "/console/new-link", May.REGISTER_ACCOUNT, home.send_new_link),
    Route("GET", "/console/confirm", May.SEE_PAGES, start),
    Route("POST", "/console/confirm", May.CONFIRM_ACCOUNT, accounts.confirm),
    Route("GET", "/console/password", May.SEE_PAGES, start),
    Route("POST", "/console/password", May.RECOVER_ACCOUNT, accounts.set_password),
    Route("GET", "/console/email", May.SEE_PAGES, start),
    Route("POST", "/console/email", May.CHANGE_EMAIL, accounts.prove_email),
    Route("GET", "/console/join", May.SEE_PAGES, start),
    Route("POST", "/console/join", May.ACCEPT_OFFER, offers.join),
    Route("GET", "/console/share", May.SEE_PAGES, start),
    Route("POST", "/console/share", May.FOLLOW_SHARE, shares.answer_share),
    Route("GET", "/console/sign-in", May.SEE_PAGES, entrance.open_sign_in),
    Route("POST", "/console/sign-in", May.SIGN_IN, entrance.sign_in),
    Route("GET", "/console/sign-out", May.SEE_PAGES, entrance.open_sign_out),
    Route("POST", "/console/sign-out", May.SIGN_OUT, entrance.sign_out),
    Route("GET", "/console/invited", May.SEE_PAGES, start),
    Route("POST", "/console/invited", May.FOLLOW_INVITE, invited.take_up),
    Route("GET", "/console/code", May.SEE_PAGES, codes.open_code),
    Route("POST", "/console/code", May.FOLLOW_INVITE, codes.take_code),
    Route("GET", "/console/invites", May.SEE_INVITES, invites.list_invites),
    Route("GET", "/console/invites/{id:str}", May.SEE_INVITES, invites.read),
    Route("POST", "/console/invites/{id:str}", May.ACCEPT_INVITE, invites.answer),
    Route("GET", "/console/my-record", May.SEE_PERSONS, my_record.list_records),
    Route("GET", "/console/my-record/{id:str}", May.SEE_GRANTS, my_record.read),
    Route("GET", "/console/my-record/{id:str}/end", May.END_GRANT, endings.ask_record),
    Route("POST", "/console/my-record/{id:str}/end", May.END_GRANT, endings.end_record),
    Route("GET", "/console/persons/{id:str}/reads", May.SEE_READS, readers.list_reads),
    Route("GET", HOLDER, May.LEAVE_PERSON, endings.ask_holder),
    Route("POST", HOLDER, May.LEAVE_PERSON, endings.end_holder),
    Route("GET", "/console/desk", May.MAKE_INVITE, desk.open_desk),
    Route("POST", "/console/desk", May.MAKE_INVITE, desk.hand_out),
    Route("GET", "/assets/{name:str}", May.SEE_PAGES, assets.read),
)


def router() -> Router:
    """Return the pages for the application, with their own form of errors."""
    return Router(
        "/",
        route_handlers=handlers(ROUTES),
        exception_handlers={Exception: answer_exception},
        request_max_body_size=LARGEST_FORM,
    )
