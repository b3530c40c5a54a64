"""The page that registers a stream, as a browser without scripts drives it: forms and buttons."""

import html
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog import drafting
from catalog.models import Stream
from catalog.selectors.streams import get_version
from governance.models import Team
from governance.types import Role
from tests.support.factories import make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
NEW = "/streams/new/"
SAMPLE = {
    "specversion": "1.0", "id": "1", "source": "/s", "type": "growth.referralAccepted",
    "data": {"invitee_email": "jo@mail.example", "load_ms": 3, "qty": 1, "note": None},
}  # fmt: skip


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def client(team: Team) -> Client:
    found = Client()
    found.force_login(make_person(Role.ENGINEER, team=team))
    return found


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the review: hidden, text, checked and selected inputs."""
    given: dict[str, str] = {}
    body = page[page.index('name="document"') - 40 : page.rindex("</form>")]
    for tag in re.findall(r"<input[^>]*>", body):
        words = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if words.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        ticked = "on" if words.get("type") in ("checkbox", "radio") else ""
        given[words.get("name", "")] = html.unescape(words.get("value", ticked))
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', body, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        first = re.search(r'<option(?: value="([^"]*)")?>([^<]*)', options)
        option = chosen or first
        assert option is not None
        given[name] = html.unescape(option[1] if option[1] is not None else option[2])
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>([^<]*)', body):
        given[name] = html.unescape(text).lstrip("\n")
    return given


def review(client: Client, *samples: Any, **changes: str) -> dict[str, str]:
    text = "\n".join(json.dumps(sample) for sample in samples)
    answer = client.post(NEW, {"sample": text})
    assert answer.status_code == 200
    return {**form_of(answer.content.decode()), **changes}


def press(client: Client, form: dict[str, str], button: str, **changes: str) -> dict[str, str]:
    answer = client.post(NEW, {**form, **changes, "do": button})
    assert answer.status_code == 200, answer.content.decode()[:3000]
    return form_of(answer.content.decode())


def document(form: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(form["document"])
    return found


def test_from_a_sample_to_a_published_stream(client: Client, team: Team) -> None:
    form = review(client, SAMPLE)
    assert form["name"] == "growth.referral_accepted"
    form = press(client, form, "accept", description="Somebody accepted.")
    fields = document(form)["properties"]
    assert fields["invitee_email"]["x-privacy"] == "tokenize"
    assert fields["load_ms"]["x-unit"] == "milliseconds"
    assert form["description"] == "Somebody accepted."
    answer = client.post(NEW, {**form, "do": "publish"})
    assert answer.status_code == 302
    stream = Stream.objects.get(name="growth.referral_accepted")
    assert (stream.owner_team, stream.classification, stream.enforcement) == (
        team, "personal", "enforce",
    )  # fmt: skip
    assert get_version(stream, None).document["description"] == "Somebody accepted."


def test_what_looks_personal_is_decided_before_it_is_published(client: Client) -> None:
    form = review(client, SAMPLE, description="Somebody accepted.")
    answer = client.post(NEW, {**form, "do": "publish"})
    assert answer.status_code == 422
    assert "Decide first what is stored of invitee_email." in answer.content.decode()
    assert not Stream.objects.exists()
    form = press(client, form, "fix:personal_unlabelled:invitee_email:2")  # Keep
    field = document(form)["properties"]["invitee_email"]
    assert (field["x-classification"], "x-privacy" in field) == ("personal", False)
    assert client.post(NEW, {**form, "do": "publish"}).status_code == 302


def test_rows_change_type_always_privacy_and_meaning(client: Client) -> None:
    form = review(client, SAMPLE)
    number = next(key[1:-5] for key, value in form.items()
                  if key.endswith("_path") and value == "qty")  # fmt: skip
    form.pop(f"f{number}_always")
    form = press(client, form, "update", **{
        f"f{number}_type": "number", f"f{number}_meaning": "How many.",
        f"f{number}_privacy": "public",
    })  # fmt: skip
    assert document(form)["properties"]["qty"] == {
        "type": "number", "description": "How many.", "x-classification": "public",
    }  # fmt: skip
    assert document(form)["required"] == ["invitee_email", "load_ms", "note"]
    form[f"f{number}_always"] = "on"
    form = press(client, form, "update")
    assert document(form)["required"] == ["invitee_email", "load_ms", "note", "qty"]


def test_a_fix_renames_a_field_everywhere_and_another_is_left_as_it_is(client: Client) -> None:
    form = review(client, SAMPLE)
    form = press(client, form, "fix:abbreviation:qty:0")
    assert "quantity" in document(form)["properties"]
    assert "quantity" in document(form)["required"]
    answer = client.post(NEW, {**form, "do": "leave:unit:load_ms"})
    assert "Note the unit" not in answer.content.decode()
    assert "x-unit" not in document(form_of(answer.content.decode()))["properties"]["load_ms"]


def test_a_renamed_field_keeps_what_was_seen_in_its_values(client: Client) -> None:
    form = review(client, {"custContact": "jo@mail.example"}, name="a.b_placed")
    form = press(client, form, "fix:snake_case:custContact:0")
    state = json.loads(form["state"])
    assert list(state["evidence"]) == ["cust_contact"]
    assert state["notes"]["cust_contact"] == "in 1 of 1 sample"


def test_meanings_are_taken_from_streams_that_have_them(client: Client) -> None:
    make_stream("shop.known_thing", schema={"properties": {
        "load_ms": {"type": "integer", "description": "Until the first frame."}}})  # fmt: skip
    form = press(client, review(client, SAMPLE), "meanings")
    assert document(form)["properties"]["load_ms"]["description"] == "Until the first frame."


def test_a_name_that_breaks_the_style_has_a_button(client: Client) -> None:
    form = review(client, SAMPLE, name="growth.referralAccepted")
    form = press(client, form, "update")
    form = press(client, form, "fix:event_name::0")
    assert form["name"] == "growth.referral_accepted"


def test_a_file_is_read_and_a_fault_said_with_its_line(client: Client) -> None:
    lines = b'{"a": 1}\n{"a": 2, "b": 3}\n'
    good = client.post(NEW + "?from=upload", {"file": SimpleUploadedFile("a.jsonl", lines)})
    assert "2 samples read" in good.content.decode().replace("\u00a0", " ")
    bad = SimpleUploadedFile("a.jsonl", b'{"a": 1}\n{"a": 2\n')
    answer = client.post(NEW + "?from=upload", {"file": bad})
    assert answer.status_code == 422
    assert "at line 2" in answer.content.decode()


def test_a_schema_becomes_the_first_version_as_it_is(client: Client) -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "description": "Paid.",
              "properties": {"order_id": {"type": "string"}}}  # fmt: skip
    form = review(client, schema, name="shop.order_paid")
    assert form["description"] == "Paid."
    assert client.post(NEW, {**form, "do": "publish"}).status_code == 302
    assert get_version(Stream.objects.get(), None).document == schema
    remote = {**schema, "$ref": "https://127.0.0.1:1/x"}
    answer = client.post(NEW, {"sample": json.dumps(remote)})
    assert answer.status_code == 422
    assert "must stay within the document" in answer.content.decode()


@pytest.mark.parametrize(
    "changes",
    [{"document": "{"}, {"document": "[]"}, {"state": "{}"}, {"state": "3"}, {"state": ""},
     {"do": "fix:nothing:x:9"}, {"do": "fix:::"}, {"do": "dance"},
     {"state": '{"evidence": 3, "notes": {}, "left": [], "samples": 1, "shape": "", "discovered": ""}'}],
)  # fmt: skip
def test_a_form_that_was_not_ours_is_refused_or_ignored(
    client: Client, changes: dict[str, str]
) -> None:
    form = review(client, SAMPLE)
    assert client.post(NEW, {**form, "do": "update", **changes}).status_code in (200, 422)


def test_texts_of_samples_cannot_leave_their_place_on_the_page(client: Client) -> None:
    evil = '"><script>alert(1)</script>'
    answer = client.post(NEW, {"sample": json.dumps({evil: evil, "nested": {evil: 1}})})
    assert "<script>alert" not in answer.content.decode()


def test_values_vanish_from_a_document_for_who_may_not_see_them() -> None:
    found = drafting.without_values(
        {"properties": {"examples": {"type": "string", "examples": ["secret"]},
                        "b": {"type": "array", "items": {"enum": ["secret"]}}}}
    )  # fmt: skip
    assert found == {"properties": {"examples": {"type": "string"},
                                    "b": {"type": "array", "items": {}}}}  # fmt: skip
