"""Whatever the exact judgement finds, the database finds first, however it was spelled."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.whole_values import Names
from ingest.erasing.judging import Judge
from ingest.erasing.needles import MOST, needles
from tests.support.walking import sought_of

pytestmark = pytest.mark.django_db
PLAIN = ["+491701234567", "crm/4711", "a~b/c~d", "ada.lovelace@shop.example", "48213", "tok_0a1b2c"]
ODD = ['say "hi"', "back\\slash", "tab\tbed", "straße", "del\x7fete"]
SPOKEN_OF = datetime(2026, 1, 1, tzinfo=UTC)


def row_of(**columns: Any) -> dict[str, Any]:
    """A row as the statements give it; JSON as the database spells it."""
    row: dict[str, Any] = {
        "stream_id": 1, "event_id": "e", "subject": None, "source": "/shop", "marks": 0,
        "occurred_at": SPOKEN_OF, "received_at": SPOKEN_OF, "attributes": "{}", "data": None,
        "extra": None, "data_base64": None,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for name in {"attributes", "data", "extra"} & set(columns):
            cursor.execute("SELECT %s::jsonb::text", [columns[name]])
            (columns[name],) = cursor.fetchone()
    return row | columns


def looked_in(row: dict[str, Any]) -> str:
    """What the statements look into (sought_events.sql, sought_restored.sql)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lower(concat_ws(' ', %s::text, %s::text, %s::text, %s::text, %s::text, %s::text,"
            " encode(%s::bytea, 'escape')) COLLATE \"C\")",
            [row[name] for name in ("subject", "event_id", "source", "attributes", "data", "extra",
                                    "data_base64")],
        )  # fmt: skip
        return str(cursor.fetchone()[0])


def is_found(row: dict[str, Any], identifier: str) -> bool:
    """Whether the row is judged to mean them; it is looked at then."""
    sought = sought_of(identifier)
    (verdict,) = Judge(Names(sought)).verdicts([row])
    if not (verdict.goes or verdict.changes):
        return False
    texts = needles(sought)
    assert texts is None or any(text in looked_in(row) for text in texts), row
    return True


@st.composite
def spelled(draw: Callable[[Any], Any], text: str) -> str:
    """A JSON string of a text, each sign in one of the ways in which it may stand there."""
    signs = []
    for sign in text:
        ways = [f"\\u{ord(sign):04x}", f"\\u{ord(sign):04X}", json.dumps(sign)[1:-1]]
        ways += [json.dumps(sign)[1:-1]] * 6
        signs.append(draw(st.sampled_from([*ways, "\\/"] if sign == "/" else ways)))
    return f'"{"".join(signs)}"'


@st.composite
def nested(draw: Callable[[Any], Any], identifier: str, levels: int) -> str:
    """JSON that holds an identifier, as a value or a name, under so many levels of text."""
    one = draw(spelled(draw(st.sampled_from([identifier, f" {identifier.upper()}", identifier]))))
    shape = draw(st.sampled_from(['{{"k": {}}}', "[1, {}]", "{{{}: 1}}"]))
    document = str(shape.format(one))
    for _ in range(levels):
        document = '{"inner": ' + draw(spelled(document)) + "}"
    return document


@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("identifier", [*PLAIN, *ODD])
def test_json_within_json_is_looked_at_however_it_is_spelled(identifier: str, levels: int) -> None:
    found = []

    @settings(
        max_examples=40, deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(nested(identifier, levels))
    def check(document: str) -> None:
        found.append(is_found(row_of(data=document), identifier))

    check()
    assert any(found), "the judgement finds some of them"


@pytest.mark.parametrize(
    ("inner", "identifier"),
    [
        ('{"phone":"\\u002B491701234567"}', "+491701234567"),
        ('{"id":"crm\\/4711"}', "crm/4711"),
        ('{"deep":"{\\"id\\":\\"crm\\\\\\/4711\\"}"}', "crm/4711"),
    ],
)
def test_what_a_review_found_is_found(inner: str, identifier: str) -> None:
    for column in ("data", "attributes", "extra"):
        name = "/context" if column == "extra" else "context"
        assert is_found(row_of(**{column: json.dumps({name: inner})}), identifier)


@pytest.mark.parametrize("identifier", PLAIN)
def test_every_other_place_is_looked_into(identifier: str) -> None:
    pointer = "/deep/" + identifier.replace("~", "~0").replace("/", "~1")
    for columns in (
        {"subject": identifier},
        {"source": f" {identifier}"},
        {"event_id": identifier},
        {"attributes": json.dumps({"partitionkey": identifier})},
        {"extra": json.dumps({pointer: 1})},
        {"data_base64": identifier.encode()},
    ):
        assert is_found(row_of(**columns), identifier)


@pytest.mark.parametrize(
    ("identifier", "stored"),
    [("Kelvin", "\u212aelvin"), ("strasse@shop.example", "stra\u00dfe@shop.example")],
)
def test_signs_that_become_ascii_are_found_in_bytes_as_well(identifier: str, stored: str) -> None:
    assert is_found(row_of(data_base64=stored.encode()), identifier)
    assert is_found(row_of(data=json.dumps(stored)), identifier)


def test_where_the_spelling_tells_the_level_every_row_is_judged() -> None:
    assert needles(sought_of("ada", *ODD[:1])) is None
    assert all(needles(sought_of(odd)) is None for odd in ODD)
    assert needles(sought_of(*(f"cus_{number}" for number in range(MOST + 1)))) is None
    assert needles(sought_of("ada", in_clear=False)) is None


def test_rows_without_spelled_signs_are_passed_by() -> None:
    said = looked_in(row_of(data=json.dumps({"a": 'C:\\temp "x"', "é": "https://a/b", "n": "\n"})))
    texts = needles(sought_of("crm/4711", "+491701234567"))
    assert texts is not None
    assert not any(text in said for text in texts)
