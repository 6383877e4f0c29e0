"""The slip: one page that is handed over at the desk, with the code of an invite. Shared by the doors that hand codes out.

It names who invites, the code, how to go on and until when; never whom or what it is about: one that is lost tells nobody
whose it is. It is whole in itself: nothing is loaded from anywhere, on a page's answer or as a file on somebody's desk.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hospitium.engine.accounts.record import Language
from hospitium.outside.letters.writing import instant

if TYPE_CHECKING:
    from datetime import datetime

    from hospitium.engine.invites.codes import InviteCode

_HERE = Path(__file__).parent
_SOURCE = (_HERE / "slip.html").read_text(encoding="utf-8")
_TEMPLATE = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("slip.html")
PAGE = "/console/code"


def _hash_of(element: str) -> str:
    """Return how a policy names the one style or script that stands in the page."""
    (inside,) = re.findall(f"<{element}>(.*?)</{element}>", _SOURCE, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"


_POLICY = f"default-src 'none'; style-src {_hash_of('style')}; script-src {_hash_of('script')}; base-uri 'none'; form-action 'none'"
POLICY = f"{_POLICY}; frame-ancestors 'none'"
"""The Content-Security-Policy a slip is sent with; as a file it brings its own."""


class _Texts(NamedTuple):
    """What a slip says, in one language."""

    title: str
    lead: str
    phone: str
    code: str
    until: str
    endless: str
    scan: str
    steps: str
    open: str
    go_on: tuple[str, ...]
    care: str
    care_text: str
    lost: str
    lost_text: str
    call: str
    print: str
    print_hint: str


_TEXTS = {
    Language.ENGLISH: _Texts(
        title="Your invitation",
        lead="With the code below you can look at health records that we keep: on a telephone, a tablet or a computer, whenever you like.",
        phone="Telephone:",
        code="Your code",
        until="It can be used once, until",
        endless="It can be used once.",
        scan="Or point your telephone\u2019s camera here.",
        steps="How to go on",
        open="On the internet, open",
        go_on=(
            "Type the code. Capital or small letters make no difference.",
            "Answer the question that we have agreed on with you.",
            "If you are new: choose a password. If you have an account already: sign in.",
            "You see what we offer, and can accept it. Until you accept, nothing is shared.",
        ),
        care="Please take care",
        care_text="Don\u2019t write the answer on this paper, and don\u2019t show the code to others. After five wrong answers the code stops working. Nobody from us will ask you for your password.",
        lost="Lost this paper, or stuck?",
        lost_text="Tell us: we make a new code for you, and the old one stops working. Your name is not on this paper, and nobody gets in without the answer.",
        call="Our telephone number:",
        print="Print",
        print_hint="This page is shown once. Print it now: Ctrl + P, on a Mac ⌘ + P.",
    ),
    Language.SPANISH: _Texts(
        title="Su invitación",
        lead="Con el código de abajo podrá ver datos de salud que guardamos: en un teléfono, una tableta o una computadora, cuando usted quiera.",
        phone="Teléfono:",
        code="Su código",
        until="Se puede usar una vez, hasta el",
        endless="Se puede usar una vez.",
        scan="O apunte aquí con la cámara de su teléfono.",
        steps="Cómo seguir",
        open="En internet, abra",
        go_on=(
            "Escriba el código. Da igual si usa mayúsculas o minúsculas.",
            "Responda a la pregunta que hemos acordado con usted.",
            "Si es la primera vez, elija una contraseña. Si ya tiene una cuenta, inicie sesión.",
            "Verá lo que le ofrecemos y podrá aceptarlo. Mientras no acepte, no se comparte nada.",
        ),
        care="Tenga cuidado, por favor",
        care_text="No escriba la respuesta en este papel ni enseñe el código a otras personas. Después de cinco respuestas equivocadas, el código deja de servir. Nadie de nuestra parte le pedirá su contraseña.",
        lost="¿Perdió este papel o no puede seguir?",
        lost_text="Díganoslo: haremos un código nuevo para usted y el anterior dejará de servir. Su nombre no está en este papel, y nadie entra sin la respuesta.",
        call="Nuestro número de teléfono:",
        print="Imprimir",
        print_hint="Esta página se muestra una sola vez. Imprímala ahora: Ctrl + P, en un Mac ⌘ + P.",
    ),
}  # fmt: skip


def slip(
    clinic_name: str,
    phone: str | None,
    code: InviteCode,
    language: Language,
    public_url: str,
    expires_at: datetime | None,
) -> str:
    """Return the slip of an invite as a whole HTML page, to be printed on A4 or Letter: with the code in two groups, and as a QR
    code that opens the page where it is used.

    `phone`, `expires_at`: None if there is none. It holds the code: whoever is sent it is to be the only one.
    """
    lang = "" if language is Language.ENGLISH else f"?lang={language.value}"
    # Behind the #, where no server and no log sees it.
    qr = segno.make_qr(f"{public_url}{PAGE}{lang}#{code.reveal()}", error="m")
    return _TEMPLATE.render(
        t=_TEXTS[language],
        language=language.value,
        policy=_POLICY,
        organization=clinic_name,
        phone=phone,
        groups=code.grouped().split(),
        address=f"{public_url.partition('://')[2]}{PAGE}",
        until=None if expires_at is None else instant(expires_at, language),
        qr=Markup(qr.svg_inline(border=4, svgclass=None, lineclass=None, omitsize=True)),  # noqa: S704  made of a code alone
    )
