"""What mails say: every template in both languages, whatever people have typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest
from jinja2 import UndefinedError

from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.queries import Letter, LinkSeed
from hospitium.engine.deliveries.record import Template
from hospitium.engine.links.record import LINK_LIVES, LinkPurpose
from hospitium.engine.offers.record import OFFER_LIFE, OFFER_PURPOSE
from hospitium.engine.secrets import DerivationKey
from hospitium.outside.letters import writing
from hospitium.outside.letters.writing import (
    LONGEST_NAME,
    PAGES,
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
SEEDS = {
    Template.CONFIRM: (LinkPurpose.CONFIRM.value, LINK_LIVES[LinkPurpose.CONFIRM]),
    Template.REGISTERED_ALREADY: (LinkPurpose.PASSWORD.value, LINK_LIVES[LinkPurpose.PASSWORD]),
    Template.NEW_PASSWORD: (LinkPurpose.PASSWORD.value, LINK_LIVES[LinkPurpose.PASSWORD]),
    Template.NEW_EMAIL: (LinkPurpose.EMAIL.value, LINK_LIVES[LinkPurpose.EMAIL]),
    Template.OFFER: (OFFER_PURPOSE, OFFER_LIFE),
}
ABOUT_PARTNERSHIPS = [template for template in Template if template.value.startswith("partnership_")]
NAMING = [*ABOUT_PARTNERSHIPS, Template.OFFER]
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
