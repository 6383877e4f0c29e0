"""How a letter becomes a mail: its text from a template, its token from the key, both only for as long as it is being sent.

One template a letter and language (`confirm.en.txt`) gives the subject (its first line), the plain text and the HTML, so that
these can't say different things. It is rendered twice: as it stands, and with everything that comes from outside escaped.
What people typed (names of organizations) is on one line, of a bounded length, and nothing in it becomes a link.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import idna
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import Invalid
from hospitium.engine.secrets import derive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hospitium.engine.accounts.record import Language
    from hospitium.engine.deliveries.queries import Letter, LinkSeed
    from hospitium.engine.secrets import DerivationKey, LinkToken

LONGEST_NAME = 100
_TEXTS = FileSystemLoader(Path(__file__).parent)
_TEXT = Environment(loader=_TEXTS, undefined=StrictUndefined, autoescape=False)  # noqa: S701  plain text is not HTML
_HTML = Environment(loader=_TEXTS, undefined=StrictUndefined, autoescape=True)

# Where on this server a link leads.
PAGES = {
    Template.CONFIRM: "/console/confirm",
    Template.REGISTERED_ALREADY: "/console/password",
    Template.NEW_PASSWORD: "/console/password",
    Template.NEW_EMAIL: "/console/email",
    Template.OFFER: "/console/join",
    Template.SHARE: "/console/share",
    Template.INVITE: "/console/invited",
}
# A page where one signs in, and to which no token leads.
PLAIN_PAGES = {Template.INVITE_WAITING: "/console/invites"}
_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
}  # fmt: skip
_UNITS = {"en": ("days", "hours"), "es": ("días", "horas")}
_ROLES = {
    "en": {
        "admin": "administrator",
        "physician": "physician",
        "admin_staff": "administrative staff",
        "scheduler": "scheduler",
        "radiologist": "radiologist",
        "trial_physician": "trial physician",
        "member": "member",
    },
    "es": {
        "admin": "administración",
        "physician": "personal médico",
        "admin_staff": "personal administrativo",
        "scheduler": "programación de citas",
        "radiologist": "radiología",
        "trial_physician": "personal médico de ensayos",
        "member": "miembro",
    },
}


_MAY = {
    "en": {
        2: "know that it is there",
        4: "read it",
        5: "read it, and share it with others",
        6: "read it, share it with others, and change it",
    },
    "es": {
        2: "saber que existe",
        4: "leerlo",
        5: "leerlo y compartirlo con otras personas",
        6: "leerlo, compartirlo con otras personas y cambiarlo",
    },
}


# A target needn't have a name, nor be a team; an organization needn't have a telephone, nor an invite an end.
_DISPENSABLE = {
    Template.SHARE: ("target", "team"),
    Template.SHARE_ACCEPTED: ("target", "team"),
    Template.INVITE: ("phone", "until"),
    Template.INVITE_WAITING: ("phone", "until"),
}


class UnknownKey(Exception):
    """The token of this letter is derived from a key this process doesn't have."""


class Letterhead(NamedTuple):
    """What all mails of this server have in common, and the keys from which their tokens are derived."""

    public_url: str
    keys: Mapping[int, DerivationKey]
    sender: str | None = None
    reply_to: str | None = None

    @property
    def host(self) -> str:
        """The name of this server, as it stands in an address."""
        found = urlsplit(self.public_url).hostname or "localhost"
        if re.fullmatch(r"[0-9.]+", found):
            return f"[{found}]"
        if ":" in found:
            return f"[IPv6:{found}]"
        return found if found.isascii() else idna.encode(found, uts46=True).decode()


def sender_line(text: str) -> str:
    """Return what stands behind `From:` or `Reply-To:`, as it was given: one address, with or without a name.

    ValueError for anything else.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = text
        (group,) = message["From"].groups
        (address,) = group.addresses
        canonical_email("address", address.addr_spec)
        sound = group.display_name is None and not message["From"].defects
        sound = sound and address.addr_spec.isascii() and text.isprintable()
    except (ValueError, IndexError, Invalid):
        sound = False
    if not sound:
        raise ValueError("one address, such as Hospitium <no-reply@hospitium.example>")
    return text


def written(letter: Letter, head: Letterhead) -> EmailMessage:
    """Write the mail of a letter.

    The same letter gives the same bytes each time, so that whoever gets it twice can tell. Raises UnknownKey; ValueError
    and others for what can't be put into a mail.
    """
    subject, text, html = texts(letter, head)
    recipient = _address(letter.email)
    message = EmailMessage(policy=SMTP if recipient.addr_spec.isascii() else SMTPUTF8)
    message["From"] = head.sender or Address("Hospitium", "no-reply", head.host)
    message["To"] = recipient
    if head.reply_to is not None:
        message["Reply-To"] = head.reply_to
    message["Subject"] = subject
    message["Date"] = letter.at
    message["Message-ID"] = f"<{letter.delivery_id}@{head.host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    # Quoted-printable has no "=" but before two digits, so that no text can hold this.
    message.set_boundary(f"={letter.delivery_id.hex}=")
    return message


def texts(letter: Letter, head: Letterhead) -> tuple[str, str, str]:
    """Return the subject, the plain text and the HTML of a letter."""
    url = _url(letter, head)
    expires_at = letter.expires_at if letter.seed is None else letter.seed.expires_at
    names = {
        "organization": None if letter.organization is None else one_line(letter.organization),
        "partner": None if letter.partner is None else one_line(letter.partner),
        "sharer": None if letter.sharer is None else one_line(letter.sharer),
        "target": None if letter.target is None else one_line(letter.target),
        "team": None if letter.team is None else one_line(letter.team),
        "invitee": None if letter.invitee is None else one_line(letter.invitee),
        "phone": None if letter.phone is None else one_line(letter.phone),
        "about": letter.about,
        "thing": _thing(letter),
        "may": None if letter.level is None else _MAY[letter.language][letter.level],
        "place": urlsplit(head.public_url).hostname or "",
        "role": None if letter.role is None else _ROLES[letter.language][letter.role],
        "until": None if expires_at is None else instant(expires_at, letter.language),
        "lasting": None if expires_at is None else _span(expires_at - letter.at, letter.language),
    }
    # What a template can't do without is missed.
    dispensable = _DISPENSABLE.get(letter.template, ())
    given = {name: value for name, value in names.items() if value is not None or name in dispensable}
    subject, text = _rendered(_TEXT, letter, given, lambda label: f"{label}:\n{url}")
    _, html = _rendered(_HTML, letter, given, lambda label: _button(label, url))
    footer = {"place": names["place"], "replies": head.reply_to is not None}
    text += f"\n\n--\n{_TEXT.get_template(f'footer.{letter.language}.txt').render(footer)}"
    html += f"\n\n{_HTML.get_template(f'footer.{letter.language}.txt').render(footer)}"
    framed = _HTML.get_template("frame.html").render(
        language=letter.language,
        subject=subject,
        paragraphs=[Markup(part.replace("\n", " ")) for part in html.split("\n\n")],  # noqa: S704  rendered with escapes
    )
    return subject, _wrapped(text), framed


def _rendered(
    environment: Environment, letter: Letter, given: dict[str, Any], button: Any
) -> tuple[str, str]:
    template = environment.get_template(f"{letter.template}.{letter.language}.txt")
    head, _, body = template.render(given, button=button).strip().partition("\n")
    return head.removeprefix("Subject: "), body.strip()


def one_line(name: str) -> str:
    """Return what somebody typed as one line of a bounded length, in which nothing looks like an address or an encoded word.

    Mail programs make links of `example.com` by themselves. With a space behind the dot they don't. An encoded word (RFC 2047) may
    hold the end of a line, and with it a head: whoever puts a text into one, Python's `email` too, reads it. Broken up it is none.
    """
    # Whatever Python or a mail server may take for the end of a line counts as white space here.
    line = " ".join(name.split())
    line = "".join(c for c in line if unicodedata.category(c)[0] != "C" or c in "\u200c\u200d")
    if len(line) > LONGEST_NAME:
        line = line[: LONGEST_NAME - 1].rstrip() + "…"
    return re.sub(r"([.\u3002\uff0e\uff61])(?=\w)|(:)(?=//)|(=)(?=\?)", r"\1\2\3 ", line)


def _thing(letter: Letter) -> str | None:
    """Return what is shared: the label of its type, which whoever defined it wrote, or the sharer's account."""
    if letter.template not in (Template.SHARE, Template.SHARE_ACCEPTED):
        return None
    if letter.label is None:
        of_sharer = letter.template is Template.SHARE
        if letter.language == "es":
            return "su cuenta" if of_sharer else "su propia cuenta"
        return "their account" if of_sharer else "your account"
    label = one_line(letter.label)
    if letter.language == "es":
        return f"«{label}»"
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"


def _url(letter: Letter, head: Letterhead) -> str | None:
    """Return where a letter leads; None if nowhere."""
    page = (PAGES if letter.seed is not None else PLAIN_PAGES).get(letter.template)
    if page is None:
        return None
    # A language that was chosen goes on on the page; English, which nobody need have chosen, leaves it to the browser.
    language = "" if letter.language == "en" else f"?lang={letter.language}"
    # Behind the #, where no server and no log sees it.
    token = "" if letter.seed is None else f"#{_token(letter.seed, head).reveal()}"
    return f"{head.public_url}{page}{language}{token}"


def _token(seed: LinkSeed, head: Letterhead) -> LinkToken:
    key = head.keys.get(seed.key_number)
    if key is None:
        raise UnknownKey
    return derive(key, seed.purpose, seed.row_id, seed.nonce)


def _button(label: str, url: str | None) -> Markup:
    style = (
        "display:inline-block;padding:12px 20px;border-radius:6px;background-color:#1f5f8b;color:#ffffff;"
        "text-decoration:none;font-weight:bold"
    )
    return Markup(
        '<a href="{0}" style="{1}">{2}</a><br><br><a href="{0}" style="word-break:break-all">{0}</a>'
    ).format(url, style, label)


def _address(email: str) -> Address:
    """Return an address as a mail server takes it: the local part as it was written, the domain in its IDNA form."""
    domain = canonical_email("email", email).rpartition("@")[2]
    local = unicodedata.normalize("NFC", email.strip()).rpartition("@")[0]
    return Address(username=local, domain=domain)


def instant(when: datetime, language: Language | str) -> str:
    """Return an instant as people of a language write it, and of which clock it is."""
    month = _MONTHS[language][when.month - 1]
    if language == "es":
        return f"{when.day} de {month} de {when.year}, {when:%H:%M} UTC"
    return f"{month} {when.day}, {when.year}, {when:%H:%M} UTC"


def _span(span: timedelta, language: Language | str) -> str:
    days, hours = _UNITS[language]
    minutes = round(span / timedelta(minutes=1))
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} {days}"
    return f"{max(minutes // 60, 1)} {hours}"


def _wrapped(text: str) -> str:
    """Return plain text with lines short enough to be read; an address is never broken."""
    lines = (
        textwrap.fill(line, 76, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
    )
    return "\n".join(lines) + "\n"
