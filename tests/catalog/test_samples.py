"""Samples as people give them: read as one event, a list, lines, or a schema; faults by line."""

import json

import pytest

from catalog.inference import MAX_SAMPLES
from catalog.samples import MAX_BYTES, read_samples
from portal.kernel.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"a": 1}', 1),
        ('\n\n{\n  "a": 1\n}\n', 1),
        ('[{"a": 1}, {"a": 2}]', 2),
        ('{"a": 1}\n\n{"a": 2}\r\n{"a": 3}\n', 3),
        ('\ufeff{"a": 1}', 1),
    ],
)
def test_an_event_a_list_and_lines_are_read(text: str, count: int) -> None:
    found = read_samples(text.encode())
    assert (len(found.events), found.total, found.schema) == (count, count, None)


def test_a_schema_is_known_by_its_dialect() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}
    assert read_samples(json.dumps(schema).encode()).schema == schema


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": }\n{"a": 3}', "Not JSON at line 2, column 7"),
        ('{"a": 1}\n\n\n[1]', "Line 4: an event is a JSON object"),
        ('{\n  "a": 1,\n  "b" 2\n}', "Not JSON at line 3, column 7"),
        ('[\n  {"a": 1},\n  {"b": [1,\n 2]},\n  3\n]', "Line 5: an event is a JSON object"),
        (
            '{"a": 1}\n{"a": 1, "a": 2}',
            "From line 2: An object of the body has the same key twice.",
        ),
        ('{"a": 1}\n{"a": 1e999}', "From line 2"),
        ("3", "Line 1: an event is a JSON object"),
        ("[]", "The list is empty"),
        ("", "There is nothing in it"),
        ("[" * 300, "Not JSON at line 1"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_samples(text.encode())
    assert caught.value.detail.startswith(said)


def test_bytes_that_are_no_text_are_said_with_their_line() -> None:
    with pytest.raises(InvalidError) as caught:
        read_samples(b'{"a": 1}\n{"a": "\xff"}')
    assert caught.value.detail == "Line 2: it is not UTF-8."


def test_only_the_first_thousand_are_taken_and_a_huge_file_is_refused() -> None:
    found = read_samples(b'{"a": 1}\n' * (MAX_SAMPLES + 5))
    assert (len(found.events), found.total) == (MAX_SAMPLES, MAX_SAMPLES + 5)
    with pytest.raises(InvalidError):
        read_samples(b" " * (MAX_BYTES + 1))
