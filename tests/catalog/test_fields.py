"""The field explorer: names over all streams, and where streams disagree about one."""

from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from catalog.selectors.fields import ORDERINGS, FieldName, explore_fields, named_fields
from governance.types import Role
from portal.http.pagination import paginate
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import make_actor, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


def stream_with(**properties: dict[str, Any]) -> Stream:
    return make_stream(schema={"type": "object", "properties": properties})


def explored(actor: Actor = SYSTEM, ordering: str = "name", **asked: Any) -> dict[str, FieldName]:
    rows = explore_fields(actor, **asked).order_by(*ORDERINGS[ordering])
    return {row.name: row for row in named_fields(actor, rows)}


@pytest.mark.parametrize(
    ("one", "other", "aspect"),
    [
        ({"type": "string"}, {"type": "integer"}, "type"),
        ({"type": "integer"}, {"type": "number"}, "type"),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, "format"),
        ({"type": "integer", "x-unit": "EUR"}, {"type": "integer", "x-unit": "cents"}, "unit"),
        (
            {"type": "string"},
            {"type": "string", "x-classification": "personal", "x-privacy": "tokenize"},
            "classification",
        ),
    ],
)
def test_streams_that_disagree_about_a_name_are_a_conflict(
    one: dict[str, Any], other: dict[str, Any], aspect: str
) -> None:
    stream_with(value=one, same={"type": "string"})
    stream_with(value=other, same={"type": "string"})
    found = explored()
    assert (found["value"].conflicts, found["same"].conflicts) == ((aspect,), ())
    assert len(found["value"].variants) == 2
    assert explored(conflicts=True).keys() == {"value"}
    assert explored(conflicts=False).keys() == {"same"}


def test_that_a_field_may_be_null_is_no_conflict() -> None:
    stream_with(value={"type": "string"})
    stream_with(value={"type": ["null", "string"]})
    assert explored()["value"].conflicts == ()
    assert explored()["value"].types == ["string"]


def test_variants_say_how_many_streams_have_them_and_name_one() -> None:
    first = stream_with(value={"type": "string"})
    stream_with(value={"type": "string"}, inner={
        "type": "object", "properties": {"value": {"type": "string"}},
    })  # fmt: skip
    odd = stream_with(value={"type": "integer"})
    row = explored()["value"]
    assert row.streams == 3, "a stream that has it twice counts once"
    assert [(one.kind, one.streams) for one in row.variants] == [("string", 2), ("integer", 1)]
    assert row.variants[1].example == odd.name
    assert row.variants[0].example <= first.name


def test_what_may_not_be_known_makes_no_conflict_and_no_count() -> None:
    stream_with(value={"type": "string"})
    hidden = stream_with(value={"type": "integer"}, secret={"type": "string"})
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    stranger = make_actor(Role.ANALYST)
    found = explored(stranger)
    assert found.keys() == {"value"}
    assert (found["value"].streams, found["value"].conflicts) == (1, ())
    assert explored(stranger, conflicts=True) == {}
    assert len(found["value"].variants) == 1


def test_a_classification_keeps_names_that_some_stream_gives_it_with_all_their_variants() -> None:
    personal = {"type": "string", "x-classification": "personal", "x-privacy": "tokenize"}
    stream_with(email=personal, plain={"type": "string"})
    stream_with(email={"type": "string"})
    found = explored(classification="personal")
    assert found.keys() == {"email"}
    assert len(found["email"].variants) == 2


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_pages_neither_skip_nor_repeat(ordering: str) -> None:
    stream_with(**{f"field_{n:02d}": {"type": "string"} for n in range(12)})
    stream_with(**{f"field_{n:02d}": {"type": "string"} for n in range(5)})
    seen: list[str] = []
    cursor = None
    while True:
        page = paginate(explore_fields(SYSTEM), order=ORDERINGS[ordering], limit=5, cursor=cursor)
        seen += [row["name"] for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"field_{n:02d}" for n in range(12)]


def test_the_api_and_the_page_show_conflicts_only() -> None:
    stream_with(value={"type": "string"}, same={"type": "string"})
    stream_with(value={"type": "integer"}, same={"type": "string"})
    person = make_person(team=make_team())
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    (row,) = client.get("/api/v1/fields?conflicts=true&ordering=name").json()["items"]
    assert (row["name"], row["conflicts"]) == ("value", ["type"])
    assert [one["types"] for one in row["variants"]] == [["integer"], ["string"]]
    assert client.get("/api/v1/fields?conflicts=maybe").status_code == 400
    assert client.get("/api/v1/fields?classification=secret").status_code == 400
    browser = Client()
    browser.force_login(person)
    page = browser.get("/fields/?conflicts=true").content.decode()
    assert "<code>value</code>" in page
    assert "<code>same</code>" not in page
    assert "type differs" in page
