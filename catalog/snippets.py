"""Ready-to-paste code that sends one event of a stream: curl, Python, Node, the browser, Segment.

Each is complete, needs nothing installed but what it says, and sends the same data, which the
stream's own door accepts. The key stands in one place.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

NO_KEY: Final = "ep_prod_…"
MEDIA_TYPE: Final = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Sending:
    """What every example sends, and where to. `event` is a CloudEvent without a time."""

    endpoint: str
    event: Mapping[str, Any]
    key: str = NO_KEY


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send: its title, what it needs, and the maker of its text."""

    title: str
    needs: str
    make: Callable[[Sending], str]


def event_of(stream: str, source: str, data: Any, version: int | None) -> dict[str, Any]:
    """A CloudEvent of the stream that holds the data. Without `time` it takes that of receipt."""
    event = {"specversion": "1.0", "id": str(uuid4()), "source": source, "type": stream}
    if version is not None:
        event["dataschema"] = str(version)
    return {**event, "data": data}


def curl(sending: Sending) -> str:
    body = json.dumps(sending.event, indent=2, ensure_ascii=False)
    return (
        f"curl {shlex.quote(sending.endpoint)} \\\n"
        f"  -H {shlex.quote(f'Authorization: Bearer {sending.key}')} \\\n"
        f"  -H 'Content-Type: {MEDIA_TYPE}' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def python(sending: Sending) -> str:
    # JSON never holds three quotes in a row, and a raw text keeps its escapes.
    text = json.dumps(sending.event, indent=4, ensure_ascii=False)
    return f'''import json
import urllib.request
import uuid

event = json.loads(r"""
{text}
""")
event["id"] = str(uuid.uuid4())  # a retry sends the same id again

request = urllib.request.Request(
    {json.dumps(sending.endpoint)},
    data=json.dumps(event).encode(),
    headers={{
        "Authorization": "Bearer {sending.key}",
        "Content-Type": "{MEDIA_TYPE}",
    }},
)
with urllib.request.urlopen(request, timeout=10) as answer:
    print(answer.status, answer.read().decode())
'''


def node(sending: Sending) -> str:
    return f'''import {{ randomUUID }} from "node:crypto";

const event = {_javascript(sending.event)};
event.id = randomUUID(); // a retry sends the same id again

const answer = await fetch({_javascript(sending.endpoint)}, {{
  method: "POST",
  headers: {{
    Authorization: "Bearer {sending.key}",
    "Content-Type": "{MEDIA_TYPE}",
  }},
  body: JSON.stringify(event),
}});
console.log(answer.status, await answer.text());
'''


def browser(sending: Sending) -> str:
    return f'''<script type="module">
  const event = {_javascript(sending.event).replace(chr(10), chr(10) + "  ")};
  event.id = crypto.randomUUID(); // a retry sends the same id again

  const answer = await fetch({_javascript(sending.endpoint)}, {{
    method: "POST",
    headers: {{
      // A key in a page is read by everybody: make it browser-safe and for this page's origin.
      Authorization: "Bearer {sending.key}",
      "Content-Type": "{MEDIA_TYPE}",
    }},
    body: JSON.stringify(event),
    keepalive: true,
  }});
  console.log(answer.status, await answer.text());
</script>
'''


def segment(sending: Sending) -> str:
    # A stream's own name is one that Segment's door maps to itself.
    text = json.dumps(sending.event["data"] or {}, indent=4, ensure_ascii=False)
    host = sending.endpoint.removesuffix("/v1/events")
    return f'''import json
import segment.analytics as analytics

analytics.host = {json.dumps(host)}
analytics.write_key = "{sending.key}"
analytics.on_error = lambda error, calls: print(error)

properties = json.loads(r"""
{text}
""")
analytics.track("user-1", {json.dumps(sending.event["type"])}, properties)
analytics.shutdown()  # sends what waits
'''


def _javascript(value: Any) -> str:
    """JSON as it may stand in a script and in a page: no tag can end it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


WAYS: Final[Mapping[str, Way]] = {
    "curl": Way("curl", "a shell", curl),
    "python": Way("Python", "Python 3 and nothing else", python),
    "node": Way("Node", "Node 18 or newer, as a module (.mjs)", node),
    "browser": Way("Browser", "a browser-safe key with the page's origin", browser),
    "segment": Way("Segment", "segment-analytics-python, or another SDK of Segment's", segment),
}
