"""What every page has: a language, a policy, a way on; and nothing that somebody typed does anything in it."""

from __future__ import annotations

import re

import pytest

from cast import House
from doors.console.test_links import ADA, EVE, LINKS, deeds, join_link, share_link
from doors.console.visitor import Read, Visitor
from doors.native.living import SECRET, mail_to, registers
from hospitium.doors.console import accounts, assets, choosing, desk, readers, record_words, texts
from hospitium.doors.console.errors import TABLE, form_of
from hospitium.doors.console.rendering import POLICY
from hospitium.doors.console.routes import ROUTES
from hospitium.doors.patient_summary import Part, Why
from hospitium.engine.accounts.record import Language
from hospitium.engine.object_types.record import GRANTABLE
from hospitium.engine.persons.actions import LEVELS
from hospitium.storage.database import Database, DatabaseUnavailable
from house.tree import SOURCE

OPEN = sorted({route.path for route in ROUTES if route.method == "GET" and "{" not in route.path})
CONSOLE = SOURCE / "doors" / "console"


def must_be_a_page(page: Read, lang: str) -> None:
    """Insist on what every page has, whatever it says."""
    assert page.language == lang
    assert page.headers["content-language"] == lang
    assert page.title.endswith("· Hospitium")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in page.headers
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert all(load.startswith("/assets/") for load in page.loads)
    assert all(link.startswith(("/console", "/openapi", "#")) for link in page.links)
    assert all(form.action.startswith("/console") for form in page.forms)
    # No style and no script stands in a page, and no handler does.
    assert not any(tag == "style" for tag, _ in page.tags)
    assert not any("style" in given or any(name.startswith("on") for name in given) for _, given in page.tags)
    _must_be_labelled(page)


def _must_be_labelled(page: Read) -> None:
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    for _, given in page.tags:
        for name in ("aria-describedby", "aria-controls", "for"):
            assert set((given.get(name) or "").split()) <= set(ids)
    labelled = {given["for"] for tag, given in page.tags if tag == "label"}
    fields = {
        given.get("id")
        for tag, given in page.tags
        if tag == "input" and given.get("type") != "hidden" and "hidden" not in given
    }
    assert fields <= labelled


async def test_every_page_opens_in_both_languages(house: House) -> None:
    async with Visitor(house) as visitor:
        for path in OPEN:
            for lang, other in (("en", "es"), ("es", "en")):
                page = await visitor.opens(f"{path}?lang={lang}")
                assert page.status == 200
                must_be_a_page(page, lang)
                assert f"{path}?lang={other}" in page.links


async def test_a_page_speaks_what_the_browser_likes_best(house: House) -> None:
    for wanted, lang in (
        ("", "en"), ("es", "es"), ("es-MX,es;q=0.9,en;q=0.8", "es"), ("en-US,en;q=0.9,es;q=0.8", "en"), ("de,es;q=0.5", "es"),
        ("en;q=0.1,es;q=0.2", "es"), ("de", "en"), ("*", "en"), ("es;q=0", "en"), ("es;q=x,en", "en"), ("ES", "es"), ("," * 500, "en"),
        ("es;q=nan", "en"),
    ):  # fmt: skip
        async with Visitor(house, Accept_Language=wanted) as visitor:
            assert (await visitor.opens("/console")).language == lang, wanted
            assert (await visitor.opens("/console?lang=es")).language == "es"
            assert (await visitor.opens("/console?lang=en")).language == "en"
            for odd in ("lang=xx", "lang=es&lang=en", "lang=", "lang=%ff", "lang=<script>", "x=1&" * 60):
                page = await visitor.opens(f"/console?{odd}")
                assert (page.status, page.language) == (200, lang)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_what_is_not_there_is_a_page_too(house: House, lang: str) -> None:
    async with Visitor(house) as visitor:
        for path in (
            "/console/nothing", "/console/confirm/more", "/console//evil.example", "/assets/none.css", "/assets/", "/console/%2e%2e/x",
        ):  # fmt: skip
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
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(accounts.life, "look", broken)
    async with Visitor(house) as visitor:
        opened = await visitor.opens(f"/console/password?lang={lang}")
        page = await visitor.sends(opened.form("look"), link="0" * 32)
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


async def test_a_name_is_shown_as_it_is_written_and_does_nothing(house: House) -> None:
    for number, name in enumerate(HOSTILE):
        await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", name)
        link = await join_link(house, f"zed{number}@mail.example")
        async with Visitor(house) as zed:
            plain = await zed.follows(link)
            assert plain.status == 200
            must_be_a_page(plain, "en")
            assert name in plain.words
            assert "<img" not in plain.html
            finished = await zed.sends(plain.form("do"), new_password=SECRET)
            must_be_a_page(finished, "en")
            assert name in finished.words


async def test_nor_does_whatever_is_said_of_a_share(house: House) -> None:
    """Of the sharer, the organization, the type, the team and the target, each by whoever named it."""
    for number, name in enumerate(HOSTILE):
        first, last = name[:90], name[90:180] or None
        await house.rows("UPDATE accounts SET first_name = $1, last_name = NULL WHERE email = $2", name, ADA)
        await house.rows("UPDATE organizations SET name = $1 WHERE code = 'northside'", name)
        link = await share_link(
            house, f"zed{number}@mail.example", label=name, name={"first": first, "last": last or "Stone"}
        )
        async with Visitor(house) as zed:
            shown = await zed.follows(link)
            assert shown.status == 200
            must_be_a_page(shown, "en")
            assert shown.words.count(" ".join(name.split())) == 4  # the heading, and three facts
            assert "<img" not in shown.html
            assert shown.form("do").fields["first_name"] == first
            finished = await zed.sends(shown.form("do"), new_password=SECRET)
            must_be_a_page(finished, "en")
            assert name in finished.words


async def test_control_a_name_that_is_not_escaped_is_seen(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts.Markup, "format", lambda self, *a, **k: texts.Markup(str.format(str(self), *a, **k)))  # fmt: skip
    await house.rows(
        "UPDATE organizations SET name = '<img src=x onerror=alert(1)>' WHERE code = 'northside'"
    )
    async with Visitor(house) as zed:
        page = await zed.follows(await join_link(house))
        with pytest.raises(AssertionError):
            must_be_a_page(page, "en")


async def test_what_is_typed_comes_back_as_text(house: House) -> None:
    async with Visitor(house) as visitor:
        for typed in HOSTILE:
            form = (await visitor.opens("/console/new-link")).form_with("email")
            page = await visitor.sends(form, email=typed, purpose="password")
            assert page.status == 400
            must_be_a_page(page, "en")
            (field,) = [given for _, given in page.tags if given.get("id") == "email"]
            assert field["value"] == typed


async def test_no_page_leads_anywhere_else(house: House) -> None:
    """There is no parameter that names a place to go on to; one function sends a browser on, and to pages of ours."""
    async with Visitor(house) as visitor:
        for name in ("next", "return", "return_to", "redirect", "url", "continue", "to"):
            for path in OPEN:
                page = await visitor.opens(f"{path}?{name}=https://evil.example/")
                assert page.status == 200
                assert "evil.example" not in page.html
                assert "location" not in page.headers
    sources = {path.name: path.read_text() for path in CONSOLE.rglob("*.py")}
    leading = {name for name, source in sources.items() if re.search(r"(?i)redirect|\blocation\b", source)}
    assert leading == {"rendering.py"}
    gone_on_to = {
        place
        for name, source in sources.items()
        if name != "rendering.py"
        for place in re.findall(r"elsewhere\((.*)\)", source)
    }
    assert gone_on_to == {
        'request, "/console/sign-out")',
        "request, back)",  # one of ours, whatever a form says: see test_invite_pages.py
        'request, request.scope["path"]',  # the page that was asked
        "request, await where(request))",
        'request, f"{entrance.HOME}/{answered.verdict.invite_id}"',
        'request, f"{entrance.HOME}/{invite_id}"',
    }


# -- a new link --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_a_new_link_can_be_asked_for(house: House, lang: str) -> None:
    await registers(house)
    await mail_to(house)
    async with Visitor(house) as eve:
        for purpose in ("password", "confirm"):
            page = await eve.opens(f"/console/new-link?lang={lang}")
            page = await eve.sends(page.form_with("email"), email=EVE, purpose=purpose)
            assert (page.status, page.language) == (200, lang)
            must_be_a_page(page, lang)
            assert EVE in page.words
            assert (await mail_to(house)).page == f"{house.base_url}/console/{purpose}"


async def test_the_answer_is_the_same_for_every_address(house: House) -> None:
    async with Visitor(house) as visitor:
        form = (await visitor.opens("/console/new-link")).form_with("email")
        pages = {}
        for address in (ADA, "nobody@nowhere.example"):
            page = await visitor.sends(form, email=address, purpose="password")
            pages[address] = (page.status, page.html.replace(address, "ADDRESS"))
        assert len(set(pages.values())) == 1
    assert {mail.to for mail in await house.mails()} == set(pages)


async def test_what_is_no_address_is_said_at_the_field_and_nothing_is_sent(house: House) -> None:
    before = await deeds(house)
    async with Visitor(house) as visitor:
        form = (await visitor.opens("/console/new-link")).form_with("email")
        for typed in ("", "eve", "eve@", "eve@nowhere", "@mail.example"):
            page = await visitor.sends(form, email=typed, purpose="confirm")
            assert page.status == 400
            assert "This is not a complete e\u2011mail address" in page.words
    assert await deeds(house) == before


async def test_asking_is_counted_against_the_network(house: House) -> None:
    async with Visitor(house) as visitor:
        form = (await visitor.opens("/console/new-link")).form_with("email")
        asked = [await visitor.sends(form, email=f"n{n}@mail.example", purpose="password") for n in range(21)]
        assert [page.status for page in asked] == [200] * 20 + [429]


# -- texts and assets --------------------------------------------------------------------------------------------------


def test_every_text_is_there_in_every_language_with_the_same_gaps() -> None:
    for key, text in texts.TEXTS.items():
        assert len(text) == len(Language)
        gaps = [sorted(re.findall(r"\{(\w+)\}", one)) for one in text]
        assert gaps[0] == gaps[1], key
        assert all(one.strip() == one != "" for one in text), key


def test_every_text_is_used_and_every_text_used_is_there() -> None:
    sources = {
        path: path.read_text(encoding="utf-8") for path in [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")]
    }
    named = {
        name
        for path, source in sources.items()
        if path.name != "texts.py"
        for name in re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)*)["']""", source)
    }
    # What is put together from a name and a part.
    named |= {f"{name}.{part}" for name in named for part in ("title", "text")}
    named |= {f"steps.{step}" for step in ("open", "look", "done", "code", "question", "password", "agree")}
    named |= {f"dead_link.{kind}" for kind in (*LINKS, "invited")}
    named |= {
        f"question.{way}.{part}" for way in ("ask", "new", "known", "signed_in") for part in ("title", "text")
    }
    named |= {f"share.may.{level}" for level in GRANTABLE}
    named |= {f"holders.level.{int(level)}" for level in LEVELS}
    named |= {f"record.mark.{mark}" for mark in record_words.MARKS} | {f"record.why.{why}" for why in Why}
    named |= {f"record.{part}" for part in Part} | {f"reads.what.{kind}" for kind in readers.KINDS}
    named |= {
        f"wrong.{field}" for field in ("email", "first_name", "middle_name", "last_name", "security_answer")
    }
    named |= {f"wrong.{field}" for field in ("password_again", *choosing.FIELDS, *desk.FIELDS)}
    unused = set(texts.TEXTS) - named
    assert unused == set(), f"Nobody reads these: {sorted(unused)}."
    asked = {
        name
        for path, source in sources.items()
        if path.suffix == ".html"
        for name in re.findall(r"""\bt\(["']([\w.]+)["'](?! ~)""", source)
    }
    assert asked <= set(texts.TEXTS)


async def test_an_asset_is_kept_for_ever_under_the_name_of_its_content(house: House) -> None:
    kinds = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    assert len(assets.EDITIONS) == 3
    async with Visitor(house) as visitor:
        for name in assets.EDITIONS:
            address = assets.address(name)
            found = await visitor.http.get(address)
            assert found.status_code == 200
            assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert found.headers["x-content-type-options"] == "nosniff"
            assert found.headers["content-type"] == kinds[name.rpartition(".")[2]]
            again = await visitor.http.get(address, headers={"If-None-Match": found.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            # A page that was opened before an upgrade gets what there is, and doesn't keep it.
            stem, _, rest = address.partition(".")
            old = await visitor.http.get(f"{stem}.{'0' * 16}.{rest.rpartition('.')[2]}")
            assert (old.status_code, old.content) == (200, found.content)
            assert old.headers["cache-control"] == "no-cache"


async def test_nothing_else_is_an_asset(house: House) -> None:
    async with Visitor(house) as visitor:
        for name in ("../errors.py", "..%2ferrors.py", "..%2f..%2ferrors.py", "__init__.py", "console.x.py", "", ".css", "nothing.css"):  # fmt: skip
            assert (await visitor.http.get(f"/assets/{name}")).status_code == 404, name


def test_assets_load_nothing() -> None:
    for edition in assets.EDITIONS.values():
        source = edition.body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|innerHTML|eval\(", source)
