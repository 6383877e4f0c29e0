"""What mails say: every template in both languages, whatever people have typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest
from jinja2 import UndefinedError
from markupsafe import escape

from hospitium.doors.console.texts import text
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.queries import Letter, LinkSeed
from hospitium.engine.deliveries.record import Template
from hospitium.engine.invites.record import INVITE_PURPOSE
from hospitium.engine.links.record import LINK_LIVES, LinkPurpose
from hospitium.engine.object_types.record import GRANTABLE
from hospitium.engine.offers.record import OFFER_LIFE, OFFER_PURPOSE
from hospitium.engine.persons.record import PERSON_OFFER_LIFE
from hospitium.engine.secrets import DerivationKey
from hospitium.engine.shares.record import PENDING_LIFE, SHARE_PURPOSE
from hospitium.outside.letters import writing
from hospitium.outside.letters.writing import (
    LONGEST_NAME,
    PAGES,
    PLAIN_PAGES,
    Letterhead,
    UnknownKey,
    one_line,
    sender_line,
    texts,
    written,
)

if TYPE_CHECKING:
    from pathlib import Path

HEAD = Letterhead("https://hospitium.example", {1: DerivationKey(1, b"k" * 32)})
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
INVITE_LIFE = timedelta(days=30)
SEEDS = {
    Template.CONFIRM: (LinkPurpose.CONFIRM.value, LINK_LIVES[LinkPurpose.CONFIRM]),
    Template.REGISTERED_ALREADY: (LinkPurpose.PASSWORD.value, LINK_LIVES[LinkPurpose.PASSWORD]),
    Template.NEW_PASSWORD: (LinkPurpose.PASSWORD.value, LINK_LIVES[LinkPurpose.PASSWORD]),
    Template.NEW_EMAIL: (LinkPurpose.EMAIL.value, LINK_LIVES[LinkPurpose.EMAIL]),
    Template.OFFER: (OFFER_PURPOSE, OFFER_LIFE),
    Template.SHARE: (SHARE_PURPOSE, PENDING_LIFE),
    Template.INVITE: (INVITE_PURPOSE, INVITE_LIFE),
}
ABOUT_PARTNERSHIPS = [template for template in Template if template.value.startswith("partnership_")]
ABOUT_SHARES = [Template.SHARE, Template.SHARE_ACCEPTED]
ABOUT_INVITES = [template for template in Template if template.value.startswith("invite")]
NAMING = [
    *ABOUT_PARTNERSHIPS,
    Template.OFFER,
    *ABOUT_SHARES,
    *ABOUT_INVITES,
    Template.PERSON_OFFER,
    Template.PATIENT_SUSPENDED,
]
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "template": "{{ 7*7 }}{% raw %}{{ config }}",
    "entities": "&lt;b&gt; &amp; Söhne",
    "direction": "\u202egro.live\u202c \u2066x\u2069 \u200f\u061c",
    "length": "W" * 200,
    "lines": "Clinic\r\n\r\nSubject: gone\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029end",
    "links": "pay at https://evil.example/x or www.evil.example, mail eve@evil.example, evil。example",
    "nothing visible": "\u200b\u2060\ufeff\x00",
    "button": "<div> -> --",
    "encoded word": "=?utf-8?q?x=0d=0ABcc:_eve=40b.example?= =?utf-8?b?Cgo=?=",
}


def letter_of(template: Template, language: str, name: str = "Lakeside Imaging") -> Letter:
    """Return a letter of each kind as it is read from the rows."""
    letter = Letter(
        delivery_id=UUID(int=13), template=template, at=AT, email="a@b.example", language=language
    )
    if template in SEEDS:
        purpose, life = SEEDS[template]
        letter = msgspec.structs.replace(letter, seed=LinkSeed(purpose, UUID(int=1), 1, b"n" * 16, AT + life))
    if template in NAMING:
        letter = msgspec.structs.replace(letter, organization=name)
    if template in ABOUT_PARTNERSHIPS:
        letter = msgspec.structs.replace(letter, partner=f"P {name}")
    if template in ABOUT_SHARES:
        letter = msgspec.structs.replace(letter, label=f"L {name}", target=f"T {name}")
    if template is Template.SHARE:
        letter = msgspec.structs.replace(letter, sharer=f"S {name}", level=4)
    if template in (Template.INVITE, Template.INVITE_WAITING):
        letter = msgspec.structs.replace(letter, phone=f"+1 {name}", expires_at=AT + INVITE_LIFE)
    if template is Template.INVITE:
        letter = msgspec.structs.replace(letter, invitee=f"I {name}")
    if template in (*ABOUT_INVITES, Template.PATIENT_SUSPENDED):
        letter = msgspec.structs.replace(letter, about=UUID(int=14))
    if template is Template.PERSON_OFFER:
        letter = msgspec.structs.replace(letter, sharer=f"S {name}", expires_at=AT + PERSON_OFFER_LIFE)
    return msgspec.structs.replace(letter, role=Role.PHYSICIAN) if template is Template.OFFER else letter


class _Page(HTMLParser):
    """The elements, addresses and words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "action", "background")
        ]
        self._inside = tag

    def handle_data(self, data: str) -> None:
        self.words += " " + data if self._inside != "title" else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


EVERY = [(template, language.value) for template in Template for language in Language]


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_every_template_is_there_in_both_languages_and_says_the_same_in_text_and_html(
    template: Template, language: str
) -> None:
    subject, text, html = texts(letter_of(template, language), HEAD)
    page = _Page(html)
    assert 10 < len(subject) < 90
    assert f'<html lang="{language}">' in html
    words = _words(page.words)
    if template in SEEDS:  # the button has the address, and the address stands below it
        assert text.count("#") == 1
        assert set(page.links) == {re.search(r"^https\S+$", text, re.MULTILINE).group()}  # type: ignore[union-attr]
        chosen = "?lang=es" if language == "es" else ""
        assert page.links[0].startswith(f"https://hospitium.example{PAGES[template]}{chosen}#")
    elif template in PLAIN_PAGES:
        (link,) = set(page.links)
        assert (
            link
            == f"https://hospitium.example{PLAIN_PAGES[template]}{'?lang=es' if language == 'es' else ''}"
        )
        assert text.count(link) == 1
    else:
        assert page.links == []
    assert words == _words(text)
    assert "{{" not in text + html


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_nothing_is_fetched_and_nobody_is_watched(template: Template, language: str) -> None:
    page = _Page(texts(letter_of(template, language), HEAD)[2])
    assert set(page.elements) <= {"html", "head", "meta", "title", "body", "div", "p", "a", "br", "hr"}
    assert page.attributes <= {"lang", "charset", "name", "content", "style", "href"}
    assert all(link.startswith("https://hospitium.example/") for link in page.links)


def test_the_two_languages_are_two() -> None:
    for template in Template:
        english, spanish = (texts(letter_of(template, language), HEAD) for language in ("en", "es"))
        assert english[0] != spanish[0]
        assert "Hello" in english[1]
        assert "Hola" in spanish[1]


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize(("template", "language"), [(t, lang) for t, lang in EVERY if t in NAMING])
def test_what_people_typed_stays_what_it_is(template: Template, language: str, what: str) -> None:
    tame = _Page(texts(letter_of(template, language), HEAD)[2])
    message = written(letter_of(template, language, HOSTILE[what]), HEAD)
    subject, text, html = texts(letter_of(template, language, HOSTILE[what]), HEAD)
    page = _Page(html)
    assert page.elements == tame.elements, "a name brought elements along"
    assert page.attributes == tame.attributes
    assert page.links == tame.links
    for part in (subject, text, html):
        assert not re.search(
            "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u200b\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", part
        )
        assert "W" * LONGEST_NAME not in part
        assert "49" not in part.replace("{{ 7*7 }}", "")
        assert not re.search(r"evil[.。]example|https?://evil|\w@evil\.\w", part), (
            "mail programs make links of these"
        )
    assert "\n" not in subject
    assert message.keys() == written(letter_of(template, language), HEAD).keys()
    assert message_from_bytes(message.as_bytes()).keys() == message.keys(), "a name brought a head along"
    assert message.as_bytes().partition(b"\r\n\r\n")[0].count(b"\r\nSubject:") == 1


@pytest.mark.parametrize("what", ["markup", "attribute", "button"])
def test_control_without_escaping_a_name_does_bring_elements_along(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tame = _Page(texts(letter_of(Template.PARTNERSHIP_REQUESTED, "en"), HEAD)[2])
    monkeypatch.setattr(writing, "_HTML", writing._HTML.overlay(autoescape=False))
    page = _Page(texts(letter_of(Template.PARTNERSHIP_REQUESTED, "en", HOSTILE[what]), HEAD)[2])
    if (
        what == "attribute"
    ):  # harmless between elements; what would make it harmful is what the escape takes away
        assert (
            '" onmouseover=' in texts(letter_of(Template.PARTNERSHIP_REQUESTED, "en", HOSTILE[what]), HEAD)[2]
        )
    else:
        assert page.elements != tame.elements


def test_a_name_is_cut_at_a_hundred_characters_and_kept_otherwise() -> None:
    assert one_line("Dr. O'Hara & Söhne, 画像診断") == "Dr. O'Hara & Söhne, 画像診断"
    assert one_line("W" * 100) == "W" * 100
    assert one_line("W" * 101) == "W" * 99 + "…"
    assert one_line(" a \n\t b ") == "a b"


@pytest.mark.parametrize(
    ("template", "language", "says"),
    [
        (Template.CONFIRM, "en", ["7 days", "March 8, 2026, 12:00 UTC"]),
        (Template.CONFIRM, "es", ["7 días", "8 de marzo de 2026, 12:00 UTC"]),
        (Template.NEW_PASSWORD, "en", ["2 hours", "March 1, 2026, 14:00 UTC"]),
        (Template.NEW_EMAIL, "es", ["24 horas", "2 de marzo de 2026, 12:00 UTC"]),
        (Template.OFFER, "en", ["14 days", "physician", "Lakeside Imaging"]),
        (
            Template.SHARE,
            "en",
            ["7 days", "March 8, 2026, 12:00 UTC", "read it", "Hello T Lakeside Imaging,"],
        ),
        (
            Template.SHARE,
            "es",
            ["7 días", "8 de marzo de 2026, 12:00 UTC", "leerlo", "Hola, T Lakeside Imaging:"],
        ),
    ],
)
def test_it_says_how_long_a_link_is_good(template: Template, language: str, says: list[str]) -> None:
    text = " ".join(texts(letter_of(template, language), HEAD)[1].split())
    for part in says:
        assert part in text


@pytest.mark.parametrize(
    ("template", "english", "spanish"),
    [
        (Template.PARTNERSHIP_REQUESTED, "New Connection Request from P Lakeside Imaging", "Nueva solicitud de conexión de P Lakeside Imaging"),
        (Template.PARTNERSHIP_APPROVED, "Connection Request Approved", "Solicitud de conexión aprobada"),
        (Template.PARTNERSHIP_REJECTED, "Connection Request Rejected", "Solicitud de conexión rechazada"),
        (Template.PARTNERSHIP_TERMINATED, "Connection Terminated", "Conexión terminada"),
    ],
)  # fmt: skip
def test_the_subjects_are_those_the_reference_uses(template: Template, english: str, spanish: str) -> None:
    assert texts(letter_of(template, "en"), HEAD)[0] == english
    assert texts(letter_of(template, "es"), HEAD)[0] == spanish


JOHN = {"sharer": "John Smith", "organization": "NewHealthCo", "label": "Prescription", "target": "Pat Doe"}


@pytest.mark.parametrize(
    ("language", "more", "subject", "says"),
    [
        ("en", {}, "John Smith at NewHealthCo would like to share a Prescription", "share a Prescription with you. If you accept, you may: read it."),
        ("es", {}, "John Smith, de NewHealthCo, quiere compartir «Prescription»", "compartir «Prescription» con usted. Si acepta, usted podrá: leerlo."),
        ("en", {"label": "Order"}, "John Smith at NewHealthCo would like to share an Order", "share an Order with you"),
        ("en", {"label": None}, "John Smith at NewHealthCo would like to share their account", "share their account with you"),
        ("es", {"label": None}, "John Smith, de NewHealthCo, quiere compartir su cuenta", "compartir su cuenta con usted"),
        ("en", {"team": "Cardiology", "target": None}, "John Smith at NewHealthCo would like to share a Prescription", "with the team Cardiology, which you answer for. If you accept, its members may: read it."),
        ("es", {"team": "Cardiology", "target": None}, "John Smith, de NewHealthCo, quiere compartir «Prescription»", "con el equipo Cardiology, por el que usted responde. Si acepta, sus miembros podrán: leerlo."),
    ],
)  # fmt: skip
def test_a_share_is_offered_in_the_words_of_the_reference(
    language: str, more: dict[str, str | None], subject: str, says: str
) -> None:
    letter = msgspec.structs.replace(letter_of(Template.SHARE, language), **{**JOHN, **more})
    said = texts(letter, HEAD)
    assert said[0] == subject
    assert says in " ".join(said[1].split())
    greeted = {"en": ("Hello Pat Doe,", "Hello,"), "es": ("Hola, Pat Doe:", "Hola:")}[language]
    assert said[1].startswith(greeted["target" in more])


@pytest.mark.parametrize(
    ("language", "more", "subject", "says"),
    [
        ("en", {}, "Pat Doe accepted what you shared", "Pat Doe accepted what you shared at NewHealthCo: a Prescription. It is shared from now on."),
        ("es", {}, "Pat Doe aceptó lo que usted compartió", "Pat Doe aceptó lo que usted compartió en NewHealthCo: «Prescription». Desde ahora está compartido."),
        ("en", {"label": None}, "Pat Doe accepted what you shared", "at NewHealthCo: your account."),
        ("es", {"label": None}, "Pat Doe aceptó lo que usted compartió", "en NewHealthCo: su propia cuenta."),
        ("en", {"target": None, "team": "Cardiology"}, "Cardiology accepted what you shared", "Cardiology accepted what you shared at NewHealthCo"),
        ("en", {"target": None}, "What you shared was accepted", "What you shared at NewHealthCo was accepted: a Prescription."),
        ("es", {"target": None}, "Se aceptó lo que usted compartió", "Se aceptó lo que usted compartió en NewHealthCo: «Prescription»."),
    ],
)  # fmt: skip
def test_that_it_was_accepted_is_told_in_the_words_it_was_named_in(
    language: str, more: dict[str, str | None], subject: str, says: str
) -> None:
    named = {name: value for name, value in JOHN.items() if name != "sharer"}
    letter = msgspec.structs.replace(letter_of(Template.SHARE_ACCEPTED, language), **{**named, **more})
    said = texts(letter, HEAD)
    assert said[0] == subject
    assert says in " ".join(said[1].split())
    assert "None" not in "".join(said)


@pytest.mark.parametrize("language", ["en", "es"])
def test_pages_and_mails_say_alike_how_much_one_may(language: str) -> None:
    chosen = Language(language)
    assert {int(level): str(text(f"share.may.{level:d}", chosen)) for level in GRANTABLE} == {
        level: str(escape(said)) for level, said in writing._MAY[language].items()
    }


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_team_is_named_as_tamely(language: str, what: str) -> None:
    for template in ABOUT_SHARES:
        tame, wild = (
            msgspec.structs.replace(letter_of(template, language), target=None, team=name)
            for name in ("Cardiology", HOSTILE[what])
        )
        expected, found = _Page(texts(tame, HEAD)[2]), _Page(texts(wild, HEAD)[2])
        assert (found.elements, found.attributes, found.links) == (
            expected.elements,
            expected.attributes,
            expected.links,
        )
        assert "\n" not in texts(wild, HEAD)[0]
        assert not re.search(r"evil[.。]example|https?://evil|\w@evil\.\w", "".join(texts(wild, HEAD)))


def test_a_template_that_names_what_there_is_not_can_not_be_written() -> None:
    letter = msgspec.structs.replace(letter_of(Template.PARTNERSHIP_APPROVED, "en"), partner=None)
    with pytest.raises(UndefinedError):
        texts(letter, HEAD)


def test_a_key_that_is_not_there_is_said_so() -> None:
    with pytest.raises(UnknownKey):
        texts(letter_of(Template.CONFIRM, "en"), HEAD._replace(keys={2: DerivationKey(2, b"x" * 32)}))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hospitium.example/below", "hospitium.example"),
        ("http://127.0.0.1:8420", "[127.0.0.1]"),
        ("http://[::1]:8420", "[IPv6:::1]"),
        ("https://müller.example", "xn--mller-kva.example"),
        ("http://localhost:8420", "localhost"),
    ],
)
def test_the_sender_is_of_the_host_people_reach(url: str, host: str) -> None:
    message = written(letter_of(Template.PASSWORD_CHANGED, "en"), HEAD._replace(public_url=url))
    assert message["From"].addresses[0].addr_spec == f"no-reply@{host}"
    assert message["Message-ID"] == f"<{UUID(int=13)}@{host}>"
    assert message.as_bytes().isascii()


def test_the_operator_says_whom_mails_are_from_and_where_replies_go() -> None:
    head = HEAD._replace(sender="Clínica <hola@clinica.example>", reply_to="desk@clinica.example")
    message = written(letter_of(Template.PASSWORD_CHANGED, "es"), head)
    assert message["From"].addresses[0].addr_spec == "hola@clinica.example"
    assert message["From"].addresses[0].display_name == "Clínica"
    assert message["Reply-To"] == "desk@clinica.example"
    assert "no se leen" not in texts(letter_of(Template.PASSWORD_CHANGED, "es"), head)[1]


@pytest.mark.parametrize(
    "text",
    [
        "a@b.example\r\nBcc: eve@b.example",
        "",
        "a@b.example, c@d.example",
        "group: a@b.example;",
        "a@b.example\x85x",
    ],
)
def test_a_sender_that_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one address"):
        sender_line(text)


def test_every_text_belongs_to_a_template(tmp_path: Path) -> None:
    directory = writing.Path(writing.__file__).parent
    expected = {
        f"{template.value}.{language.value}.txt"
        for template, language in ((t, lang) for t in Template for lang in Language)
    }
    expected |= {f"footer.{language.value}.txt" for language in Language}
    assert {path.name for path in directory.glob("*.txt")} == expected
