"""What the page 'Use this stream' lets people paste is accepted by the door, byte for byte."""

import json
import re
import shlex
from typing import Any

import pytest

from catalog import snippets
from catalog.examples import example_of
from portal.demo.fields import document
from portal.demo.shop import STREAMS
from tests.ingest.conftest import World, post

ODD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "quote": {"const": 'it\'s "quoted" </script> \u2028 \\n and \\ kept, größer'},
        "at": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["quote", "at", "code"],
}


def body_of(way: str, text: str) -> bytes:
    """The event inside a snippet, as the language that reads it would see it."""
    if way == "curl":
        words = shlex.split(text.replace("\\\n", " "))
        return words[words.index("-d") + 1].encode()
    if way in ("python", "segment"):
        found = re.search(r'json\.loads\(r"""\n(.*?)\n"""\)', text, re.DOTALL)
    else:
        found = re.search(r"const event = (\{.*?\n\s*\});\n", text, re.DOTALL)
    assert found is not None
    return found[1].encode()


@pytest.mark.parametrize("way", snippets.WAYS)
def test_each_snippet_sends_an_event_that_the_door_accepts(world: World, way: str) -> None:
    key = world.key(world.producer())
    shop = [document(stream.fields, 1, "x") for stream in STREAMS[:6]]
    for schema in [ODD, *shop]:
        stream = world.stream(schema)
        event = snippets.event_of(stream.name, "/shop", example_of(schema), 1)
        text = snippets.WAYS[way].make(
            snippets.Sending("https://portal.example/v1/events", event, key)
        )
        assert key in text
        body = body_of(way, text)
        if way == "segment":
            assert json.loads(body) == event["data"]
            call = {"userId": "user-1", "event": stream.name, "properties": json.loads(body)}
            assert f'analytics.track("user-1", "{stream.name}", properties)' in text
            assert 'analytics.host = "https://portal.example"' in text
            answer = post(json.dumps(call).encode(), {"Authorization": f"Bearer {key}"},
                          path="/v1/track")  # fmt: skip
            assert answer.status == 200
        else:
            assert json.loads(body) == event
            headers = {"Authorization": f"Bearer {key}", "Content-Type": snippets.MEDIA_TYPE}
            answer = post(body, headers)
            assert (answer.status, answer.json["accepted"]) == (202, 1), answer.json
        assert len(world.events(stream)) == 1


def test_no_value_of_a_contract_can_end_the_script_it_stands_in() -> None:
    event = snippets.event_of("a.b", "/a", {"x": "</script><script>alert(1)"}, None)
    text = snippets.browser(snippets.Sending("https://portal.example/v1/events", event))
    assert text.count("</script>") == 1
