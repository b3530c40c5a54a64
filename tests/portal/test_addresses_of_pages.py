"""Whatever people name their things, pages lead to our own addresses, or by https elsewhere (ASVS 1.2.2)."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.test import Client

from governance.types import Role
from tests.support.factories import make_person, make_stream, make_team

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "javascript:alert(1)//"
ATTRIBUTES = {
    "href", "src", "action", "formaction", "data-href", "hx-get", "hx-post", "xlink:href", "poster",
    "srcset", "ping", "data-live", "data-url",
}  # fmt: skip
SAFE = re.compile(
    r"(?:/(?!/)|[?#]|https://|mailto:|$)"  # ours, a part of the page, or elsewhere by TLS
)


class Addresses(HTMLParser):
    """Every address that a page leads to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ATTRIBUTES]


def is_safe(address: str) -> bool:
    # What browsers leave out of an address is left out before it is judged.
    plain = re.sub(r"[\x00-\x20]", "", address)
    return bool(SAFE.match(plain)) or plain.startswith(("data:image/svg+xml;", "data:image/png;"))


@pytest.fixture
def desk() -> Client:
    client = Client()
    client.force_login(make_person(Role.ADMIN, Role.ENGINEER))
    return client


@pytest.mark.django_db
def test_no_text_of_anybody_becomes_an_address_of_another_scheme(desk: Client) -> None:
    team = make_team(HOSTILE)
    schema = {
        "type": "object", "$id": HOSTILE, "title": HOSTILE,
        "properties": {"order_id": {"type": "string", "description": HOSTILE, "$comment": HOSTILE}},
    }  # fmt: skip
    make_stream("shop.order_placed", team=team, description=HOSTILE, schema=schema)
    asked = quote(f'{HOSTILE}"><a href="{HOSTILE}')
    tabs = (
        "",
        "schema/",
        "versions/",
        "samples/",
        "lineage/",
        "activity/",
        "quality/",
        "consumers/",
    )
    paths = [f"/streams/shop.order_placed/{tab}" for tab in tabs]
    paths += [f"/streams/?q={asked}", f"/search/?q={asked}", f"/fields/?q={asked}", "/lineage/"]
    paths += ["/", "/teams/", f"/teams/{team.slug}/", "/audit/", "/settings/"]
    seen = 0
    for path in paths:
        answer = desk.get(path)
        assert answer.status_code == 200, path
        for address in Addresses(answer.content.decode()).found:
            seen += 1
            assert is_safe(address), f"{path}: {address}"
            assert '"' not in address
            assert "<" not in address, "parts are encoded"
    assert seen > 300


@pytest.mark.django_db
def test_a_name_in_an_address_is_one_part_of_it(desk: Client) -> None:
    odd = 'a/../b?c#d&e="f"'
    answer = desk.get(f"/streams/?q={quote(odd, safe='')}")
    kept = [one for one in Addresses(answer.content.decode()).found if "q=" in one]
    assert kept
    for address in kept:
        parts = urlsplit(address)
        assert ".." not in parts.path
        assert parts.fragment in {"", "main"}
        assert parts.query.count("q=") == 1


def test_templates_name_no_other_scheme() -> None:
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for address in re.findall(
            r"\b(?:href|src|action|formaction)=\"([^\"{]*)", path.read_text()
        ):
            assert is_safe(address), f"{path.name}: {address}"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("javascript:alert(1)", False), ("JaVaScRiPt:x", False), ("java\nscript:x", False),
        ("data:text/html,x", False), ("vbscript:x", False), ("//evil.example/", False),
        ("http://evil.example/", False), ("/streams/", True), ("?q=javascript:x", True),
        ("https://www.example.org/", True),
    ],
)  # fmt: skip
def test_the_walk_knows_what_is_safe(address: str, *, expected: bool) -> None:
    assert is_safe(address) == expected
