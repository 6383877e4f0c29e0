"""What every page has: a language, a policy, a way on; and nothing that somebody typed does anything in it."""

from __future__ import annotations

import re

import pytest

from cast import House
from doors.console.test_links import ADA, EVE, deeds, join_link
from doors.console.visitor import Read, Visitor
from doors.native.living import SECRET, mail_to, registers
from hospitium.doors.console import assets, texts
from hospitium.doors.console.errors import TABLE, form_of
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import POLICY
from hospitium.doors.console.routes import ROUTES
from hospitium.engine.accounts.record import Language
from house.tree import SOURCE

OPEN = sorted({route.path for route in ROUTES if route.method == "GET" and "{" not in route.path})
CONSOLE = SOURCE / "doors" / "console"


def must_be_a_page(page: Read, lang: str) -> None:
    """Insist on what every page has, whatever it says."""
    assert page.language == lang
    assert page.headers["content-language"] == lang
    assert page.title.endswith("· Hospitium")
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in page.headers
    assert "clear-site-data" not in page.headers
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert all(load.startswith("/assets/") for load in page.loads)
    assert all(link.startswith(("/console", "/openapi", "#")) for link in page.links)
    assert all(form.action.startswith("/console") for form in page.forms)
    # No style and no script stands in a page, and no handler does.
    assert not any(tag == "style" for tag, _ in page.tags)
    assert not any("style" in given or any(name.startswith("on") for name in given) for _, given in page.tags)
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    for _, given in page.tags:
        for name in ("aria-describedby", "aria-controls", "for"):
            assert set((given.get(name) or "").split()) <= set(ids)
    labelled = {given["for"] for tag, given in page.tags if tag == "label"}
    fields = {given.get("id") for tag, given in page.tags if tag == "input" and given.get("type") != "hidden" and "hidden" not in given}  # fmt: skip
    assert fields <= labelled


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("lang", ["en", "es"])
async def test_every_page_opens_in_both_languages(house: House, path: str, lang: str) -> None:
    async with Visitor(house) as visitor:
        page = await visitor.opens(f"{path}?lang={lang}")
        assert page.status == 200
        must_be_a_page(page, lang)
        other = {"en": "es", "es": "en"}[lang]
        assert f"{path}?lang={other}" in page.links


@pytest.mark.parametrize(
    ("wanted", "lang"),
    [
        ("", "en"), ("es", "es"), ("es-MX,es;q=0.9,en;q=0.8", "es"), ("en-US,en;q=0.9,es;q=0.8", "en"), ("de,es;q=0.5", "es"),
        ("en;q=0.1,es;q=0.2", "es"), ("de", "en"), ("*", "en"), ("es;q=0", "en"), ("es;q=x,en", "en"), ("ES", "es"), ("," * 500, "en"), ("es;q=nan", "en"),
    ],
)  # fmt: skip
async def test_a_page_speaks_what_the_browser_likes_best(house: House, wanted: str, lang: str) -> None:
    async with Visitor(house, Accept_Language=wanted) as visitor:
        assert (await visitor.opens("/console")).language == lang
        assert (await visitor.opens("/console?lang=es")).language == "es"
        assert (await visitor.opens("/console?lang=en")).language == "en"
        for odd in ("lang=xx", "lang=es&lang=en", "lang=", "lang=%ff", "lang=<script>", "x=1&" * 60):
            page = await visitor.opens(f"/console?{odd}")
            assert (page.status, page.language) == (200, lang)
    assert language_of is not None


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_what_is_not_there_is_a_page_too(house: House, lang: str) -> None:
    async with Visitor(house) as visitor:
        for path in ("/console/nothing", "/console/confirm/more", "/console//evil.example", "/assets/none.css", "/assets/", "/console/%2e%2e/x"):  # fmt: skip
            page = await visitor.opens(f"{path}?lang={lang}")
            assert page.status == 404, path
            must_be_a_page(page, lang)
            assert any(link.startswith("/console?") for link in page.links)
        for method in ("PUT", "DELETE", "PATCH"):
            page = Read(await visitor.http.request(method, f"/console/confirm?lang={lang}"))
            assert page.status == 405
            assert set(page.headers["allow"].split(", ")) >= {"GET", "POST"}
            must_be_a_page(page, lang)
        assert Read(await visitor.http.post("/console")).status == 405


async def test_other_doors_keep_their_own_words(house: House) -> None:
    for path in ("/consoles", "/console.txt", "/v1/nothing", "/nothing"):
        answered = await house.http.get(path)
        assert (answered.status_code, answered.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_when_the_database_is_away_the_page_says_when_to_come_back(
    house: House, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await join_link(house)
    async with Visitor(house) as zed:
        page = await zed.opens(f"/console/join?lang={lang}")
        from hospitium.storage.database import Database, DatabaseUnavailable  # noqa: PLC0415

        def away(_: object) -> None:
            raise DatabaseUnavailable("away")

        with monkeypatch.context() as broken:
            broken.setattr(Database, "transaction", away)
            assert (await zed.opens("/console/join")).status == 200  # opening asks nothing of it
            gone = await zed.sends(page.form("look"), link=link)
        assert gone.status == 503
        assert gone.headers["retry-after"] == "2"
        must_be_a_page(gone, lang)
        assert (await zed.sends(gone.form("look"))).status == 200  # one press, when it is back


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_when_something_is_wrong_with_us_it_says_so_and_nothing_else(
    house: House, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hospitium.doors.console import accounts  # noqa: PLC0415

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(accounts.life, "look", broken)
    async with Visitor(house) as visitor:
        page = await visitor.sends((await visitor.opens(f"/console/password?lang={lang}")).form("look"), link="0" * 32)  # fmt: skip
        assert page.status == 500
        must_be_a_page(page, lang)
        assert page.headers["x-request-id"] in page.words
        assert "secret" not in page.html
        assert "ZeroDivision" not in page.html


def test_every_refusal_has_its_texts() -> None:
    keys = {form.key for form in TABLE.values()} | {form_of(Exception()).key}
    missing = {f"{key}.{part}" for key in keys for part in ("title", "text")} - set(texts.TEXTS)
    assert missing == set()


# -- hostile names -----------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus x='",
    "{{ 7*7 }}{% raw %}{organization}{0.__class__}",
    "</title></h1></main><svg onload=alert(1)>",
    "javascript:alert(1)//<a href=https://evil.example>",
    "Ω" * 190,
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_is_shown_as_it_is_written_and_does_nothing(house: House, name: str) -> None:
    await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", name)
    link = await join_link(house)
    async with Visitor(house) as zed:
        plain = await zed.follows(link)
        assert plain.status == 200
        must_be_a_page(plain, "en")
        assert name in plain.words
        finished = await zed.sends(plain.form("do"), new_password=SECRET)
        must_be_a_page(finished, "en")
        assert name in finished.words
        assert not {"img", "svg onload"} & {tag for tag, _ in finished.tags}


async def test_what_is_typed_comes_back_as_text(house: House) -> None:
    async with Visitor(house) as visitor:
        for typed in HOSTILE:
            form = next(
                form for form in (await visitor.opens("/console/new-link")).forms if "email" in form.names
            )
            page = await visitor.sends(form, email=typed, purpose="password")
            assert page.status == 400
            must_be_a_page(page, "en")
            (field,) = [given for tag, given in page.tags if given.get("id") == "email"]
            assert field["value"] == typed


async def test_no_page_leads_anywhere_else(house: House) -> None:
    """There is no parameter that names a place to go on to, and no answer that sends a browser somewhere."""
    async with Visitor(house) as visitor:
        for name in ("next", "return", "return_to", "redirect", "url", "continue", "to"):
            for path in OPEN:
                page = await visitor.opens(f"{path}?{name}=https://evil.example/")
                assert page.status == 200
                assert "evil.example" not in page.html
                assert "location" not in page.headers
    source = "\n".join(path.read_text() for path in CONSOLE.rglob("*.py"))
    assert not re.search(r"(?i)redirect|\blocation\b", source)


# -- a new link --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "leads"), [("password", "/console/password"), ("confirm", "/console/confirm")]
)
@pytest.mark.parametrize("lang", ["en", "es"])
async def test_a_new_link_can_be_asked_for(house: House, purpose: str, leads: str, lang: str) -> None:
    await registers(house)
    await mail_to(house)
    async with Visitor(house) as eve:
        page = await eve.opens(f"/console/new-link?lang={lang}")
        form = next(form for form in page.forms if "email" in form.names)
        page = await eve.sends(form, email=EVE, purpose=purpose)
        assert (page.status, page.language) == (200, lang)
        must_be_a_page(page, lang)
        assert EVE in page.words
    assert (await mail_to(house)).page == house.base_url + leads


async def test_the_answer_is_the_same_for_every_address(house: House) -> None:
    async with Visitor(house) as visitor:
        form = next(
            form for form in (await visitor.opens("/console/new-link")).forms if "email" in form.names
        )
        pages = {}
        for address in (ADA, "nobody@nowhere.example"):
            page = await visitor.sends(form, email=address, purpose="password")
            pages[address] = (page.status, page.html.replace(address, "ADDRESS"))
        assert len(set(pages.values())) == 1
    assert {mail.to for mail in await house.mails()} == set(pages)


async def test_what_is_no_address_is_said_at_the_field_and_nothing_is_sent(house: House) -> None:
    before = await deeds(house)
    async with Visitor(house) as visitor:
        form = next(
            form for form in (await visitor.opens("/console/new-link")).forms if "email" in form.names
        )
        for typed in ("", "eve", "eve@", "eve@nowhere", "@mail.example"):
            page = await visitor.sends(form, email=typed, purpose="confirm")
            assert page.status == 400
            assert "This is not a complete e-mail address" in page.words
    assert await deeds(house) == before


async def test_asking_is_counted_against_the_network(house: House) -> None:
    async with Visitor(house) as visitor:
        form = next(
            form for form in (await visitor.opens("/console/new-link")).forms if "email" in form.names
        )
        statuses = [(await visitor.sends(form, email=f"n{n}@mail.example", purpose="password")).status for n in range(21)]  # fmt: skip
        assert statuses == [200] * 20 + [429]


# -- texts and assets --------------------------------------------------------------------------------------------------


def _keys_used() -> set[str]:
    """Return every key that a template or a handler names; those it puts together end with a star."""
    used = set()
    for path in [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")]:
        if path.name == "texts.py":
            continue
        source = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)*\.?)["']""", source))
    return used


def test_every_text_is_there_in_every_language_with_the_same_gaps() -> None:
    for key, text in texts.TEXTS.items():
        assert len(text) == len(Language)
        gaps = [sorted(re.findall(r"\{(\w+)\}", one)) for one in text]
        assert all(one.strip() for one in text), key
        assert gaps[0] == gaps[1], key
        # French quotes and straight ones aside: nothing that would have to be escaped, and no space at an end.
        assert all(one == one.strip() for one in text), key


def test_every_text_is_used_and_every_text_used_is_there() -> None:
    used = _keys_used()
    families = {form.key for form in TABLE.values()} | {
        "form",
        "too_large",
        "not_found",
        "method",
        "internal",
        "unreadable",
    }
    families |= {key.removesuffix(".title") for key in texts.TEXTS if key.endswith(".title")}
    made = {f"{family}.{part}" for family in families for part in ("title", "text")}
    made |= {f"steps.{step}" for step in ("open", "look", "done")}
    made |= {f"dead_link.{kind}" for kind in ("confirm", "password", "email", "join")}
    made |= {key for key in texts.TEXTS if key.startswith("wrong.")}
    unused = set(texts.TEXTS) - used - made
    assert unused == set(), f"Nobody reads these: {sorted(unused)}."
    templates = "\n".join(path.read_text() for path in CONSOLE.rglob("*.html"))
    named = set(re.findall(r"""\bt\(["']([\w.]+)["']""", templates))
    assert named - {"steps.", "dead_link."} <= set(texts.TEXTS)


@pytest.mark.parametrize("name", sorted(assets.EDITIONS))
async def test_an_asset_is_kept_for_ever_under_the_name_of_its_content(house: House, name: str) -> None:
    address = assets.address(name)
    found = await house.http.get(address)
    assert found.status_code == 200
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["x-content-type-options"] == "nosniff"
    kind = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    assert found.headers["content-type"] == kind[name.rpartition(".")[2]]
    again = await house.http.get(address, headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    # A page that was opened before an upgrade gets what there is, and doesn't keep it.
    stem, _, rest = address.partition(".")
    old = await house.http.get(f"{stem}.{'0' * 16}.{rest.rpartition('.')[2]}")
    assert (old.status_code, old.content, old.headers["cache-control"]) == (200, found.content, "no-cache")


@pytest.mark.parametrize(
    "name",
    [
        "console.css",
        "../errors.py",
        "..%2ferrors.py",
        "__init__.py",
        "console.x.py",
        "",
        ".css",
        "console..css",
    ],
)
async def test_nothing_else_is_an_asset(house: House, name: str) -> None:
    answered = await house.http.get(f"/assets/{name}")
    assert answered.status_code in (200, 404)
    if answered.status_code == 200:
        assert answered.content == assets.EDITIONS["console.css"].body


def test_assets_load_nothing() -> None:
    for edition in assets.EDITIONS.values():
        source = edition.body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|innerHTML|eval\(", source)
