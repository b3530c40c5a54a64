"""Whom to tell of a weakness (RFC 9116), and how scanners know our keys."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from governance import keys
from portal.kernel import clock

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "/.well-known/security.txt"


def test_a_named_contact_is_told_with_an_end_within_the_year(client: Client, settings: Any) -> None:
    settings.SECURITY_CONTACT = ["mailto:security@example.com", "https://example.com/report"]
    settings.PUBLIC_URL = "https://portal.example.com"
    answer = client.get(ADDRESS)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.content.decode().splitlines()
    assert lines[:2] == [
        "Contact: mailto:security@example.com",
        "Contact: https://example.com/report",
    ]
    fields = [line.partition(": ") for line in lines]
    assert all(colon for _, colon, _ in fields)
    assert len([name for name, _, _ in fields if name == "Expires"]) == 1, "exactly one"
    told = {name: value for name, _, value in fields}
    assert told["Canonical"] == f"https://portal.example.com{ADDRESS}"
    ends = datetime.strptime(told["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert timedelta(days=30) < ends - clock.now() < timedelta(days=365)
    assert client.post(ADDRESS).status_code == 405


def test_without_a_contact_there_is_nothing(client: Client, settings: Any) -> None:
    settings.SECURITY_CONTACT = []
    assert client.get(ADDRESS).status_code == 404


def test_the_published_expression_is_the_one_that_keys_are_read_by() -> None:
    page = (ROOT / "docs/security.md").read_text()
    (published,) = re.findall(r"^```\n(.+)\n```$", page, re.M)
    assert published == keys.PATTERN.pattern


@pytest.mark.parametrize("kind", ["user", "prod", "cons", "flag"])
def test_the_rule_for_scanners_finds_every_kind_of_key_in_any_text(kind: str) -> None:
    page = (ROOT / "docs/security.md").read_text()
    (text,) = re.findall(r"^```toml\n(.+?)\n```$", page, re.M | re.S)
    (rule,) = tomllib.loads(text)["rules"]
    for _ in range(50):
        made, _ = keys.make(kind)
        assert any(word in made for word in rule["keywords"])
        for around in ('KEY="{}"', "curl -u {}:", "Bearer {}\n", "?key={}&a=b"):
            found = re.search(rule["regex"], around.format(made))
            assert found is not None
            assert found[0] == made
    assert re.search(rule["regex"], f"ep_{kind}_abcdefgh_short") is None
