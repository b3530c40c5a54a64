"""The import page as a browser without scripts drives it: the plan first, then the same for good."""

import html
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog import forms_import
from catalog.models import Stream
from governance.types import Role
from tests.catalog.exchange_services.conftest import BREAKING, FIRST
from tests.catalog.exchange_services.test_apply import declaration, text_of
from tests.support.factories import make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
URL = "/import/"


@pytest.fixture
def client() -> Client:
    found = Client()
    found.force_login(make_person(Role.ENGINEER, Role.ADMIN, team=make_team()))
    return found


def confirm(page: str) -> dict[str, str]:
    """What the browser sends when the plan is confirmed; a textarea drops its first line break."""
    form = page[page.index("<footer><form") :]
    given = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", form, re.S)
    assert text is not None
    return {name: html.unescape(value) for name, value in given.items()} | {
        "text": html.unescape(text[1]), "do": "import"
    }  # fmt: skip


def test_a_file_is_planned_first_and_imported_with_the_second_press(client: Client) -> None:
    lines = "\n".join(
        json.dumps({"subject": f"Shop/{name}", "versions": [{"version": "1", "schema": FIRST}]})
        for name in ("RefundIssued", "RefundDenied")
    )
    file = SimpleUploadedFile("streams.jsonl", f"{lines}\n{{nope".encode())
    planned = client.post(URL, {"file": file, "do": "plan"})
    page = planned.content.decode()
    assert planned.status_code == 200
    assert "Plan: 2 to add, 0 to change, 0 to remove, 1 refused." in page
    assert "shop.refund_issued" in page
    assert "streams.jsonl:3" in page
    assert Stream.objects.count() == 0
    done = client.post(URL, confirm(page)).content.decode()
    assert "Applied: 2 added" in done
    assert Stream.objects.count() == 2
    assert 'href="/streams/shop.refund_issued/"' in done
    again = client.post(URL, {"text": lines, "do": "plan"}).content.decode()
    assert "The catalog has all of it already." in again
    assert 'value="import"' not in again


def test_portal_yaml_shows_what_breaks_and_applies_nothing_of_it(client: Client) -> None:
    client.post(URL, {"text": text_of(declaration()), "do": "import"})
    stream = Stream.objects.get()
    worse = text_of(declaration({"label": "2", "schema": BREAKING}, description="New words."))
    planned = client.post(URL, {"text": worse, "do": "plan"}).content.decode()
    assert "Breaks: " in planned
    assert 'value="import"' not in planned
    refused = client.post(URL, {"text": worse, "do": "import"})
    assert refused.status_code == 422
    assert "Nothing of body was applied" in refused.content.decode()
    stream.refresh_from_db()
    assert stream.description == "Money went back."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Choose a file, or paste its text."),
        ({"text": "{nope"}, "Nothing of it can be read."),
        ({"text": "{}", "domain": "No Domain"}, "A domain is lower case letters"),
        ({"text": "{}", "format": "avro"}, "avro"),
    ],
)
def test_what_cannot_be_taken_is_said_at_the_form(
    given: dict[str, Any], said: str, client: Client
) -> None:
    answer = client.post(URL, given)
    assert answer.status_code == 422
    assert said in html.unescape(answer.content.decode())


def test_a_large_file_is_told_the_other_ways(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms_import, "MAX_BYTES", 3)
    answer = client.post(URL, {"file": SimpleUploadedFile("a.json", b"{   }")})
    assert "manage.py import" in answer.content.decode()


def test_what_a_file_says_is_shown_as_text_and_never_as_markup(client: Client) -> None:
    odd = {**declaration(), "streams": [{"name": "a.b", "owner": "nobody", "title": "<b>x</b>"}]}
    page = client.post(URL, {"text": text_of(odd), "do": "plan"}).content.decode()
    assert "<b>x</b>" not in page


def test_it_is_for_who_may_register() -> None:
    analyst = Client()
    analyst.force_login(make_person(Role.ANALYST))
    for answer in (analyst.get(URL), analyst.post(URL, {"text": "{}", "do": "import"})):
        assert answer.status_code == 403
    assert Client().get(URL).status_code == 302


def test_the_catalog_and_a_stream_lead_to_the_exchange(client: Client) -> None:
    make_stream("shop.refund_issued", schema=FIRST)
    listed = client.get("/streams/").content.decode()
    assert 'href="/import/"' in listed
    page = client.get("/streams/shop.refund_issued/use/").content.decode()
    for address in re.findall(r'href="(/api/v1/[^"]+)" download', page):
        assert client.get(html.unescape(address)).status_code == 200, address
    assert page.count(" download=") >= 5
