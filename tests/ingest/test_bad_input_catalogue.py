"""The catalogue of bad input, A (ingest bodies) and B (headers and transport): a row for each line.

Every row goes over a socket to the application as it is served. A row that another test covers
better names that test, and it must exist.
"""

import ast
import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Stream
from ingest.doors import asgi
from portal.http import body_limit
from portal.kernel import clock
from tests.ingest.conftest import ORDER_SCHEMA, World
from tests.support.serving import served

ROOT = Path(__file__).resolve().parents[2]
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
# The lines of A and B as they are numbered in the catalogue.
NUMBERS = {
    *range(1, 7), *range(10, 14), 17, 18, 19, 20, 24, 25, 26, *range(30, 35), *range(36, 41),
    *range(46, 52), *range(55, 61),
    *range(67, 72), *range(77, 83), *range(87, 94), 98, 99,
}  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass
class Desk:
    """Where a row is tried: a served application, a stream, and who may send to it."""

    world: World
    port: int
    stream: Stream
    key: str
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def event(self, **changes: Any) -> dict[str, Any]:
        event = {
            "specversion": "1.0",
            "id": f"row-{next(self.numbers)}",
            "source": "/catalogue",
            "type": self.stream.name,
            "time": clock.now().isoformat(),
            "data": {"order": "a"},
        }
        return {name: value for name, value in (event | changes).items() if value is not ...}

    def send(self, body: object, content_type: str | None = ONE, **fields: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        headers = {"Authorization": f"Bearer {self.key}"} | named
        if content_type is not None:
            headers["Content-Type"] = content_type
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/v1/events", raw, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def talk(self, head: str, body: bytes = b"", *, key: str = "", host: str = "") -> Answer:
        """A request of which each byte of the head is chosen; reads until the other side closes."""
        lines = [
            "POST /v1/events HTTP/1.1", f"Host: {host or '127.0.0.1'}",
            f"Authorization: Bearer {key or self.key}", f"Content-Type: {ONE}", *head.split("\n"),
            "", "",
        ]  # fmt: skip
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall("\r\n".join(lines).encode("latin-1") + body)
            said = b""
            with contextlib.suppress(ConnectionError):
                while part := client.recv(65_536):
                    said += part
        head_said, _, rest = said.partition(b"\r\n\r\n")
        first, *fields = head_said.decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in
                 (line.partition(":") for line in fields)}  # fmt: skip
        return Answer(int(first.split()[1]), found, rest)

    def raw_event(self, data: str) -> bytes:
        """An event whose data are spelled by hand."""
        return json.dumps(self.event(data="@")).encode().replace(b'"@"', data.encode())

    def stored(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.world.events(self.stream) if row["event_id"] == name]


Try = Callable[[Desk], None]


@dataclass(frozen=True)
class Row:
    number: int
    text: str
    tries: Try | str  # a function, or the id of the test that covers it


# --- outcomes ---


def refuses(body: Callable[[Desk], bytes], code: str, *, status: int = 400) -> Try:
    """The body as a whole is refused with a problem, and kept as one dead letter when unparsable."""

    def attempt(desk: Desk) -> None:
        before = len(desk.world.events(desk.stream))
        answer = desk.send(body(desk))
        assert (answer.status, answer.code) == (status, code), answer.body[:300]
        assert answer.headers["content-type"] == "application/problem+json"
        letters = {str(row["id"]): row for row in desk.world.dead_letters()}
        assert letters[answer.json["dead_letter"]]["reason"] == "unparsable"
        assert len(answer.body) < 8192
        assert len(desk.world.events(desk.stream)) == before

    return attempt


def says(body: bytes, code: str) -> Try:
    return refuses(lambda _: body, code)


def buries(event: Callable[[Desk], bytes], reason: str, code: str) -> Try:
    """That event alone is a dead letter: a 422 alone, a 202 beside a good one."""

    def attempt(desk: Desk) -> None:
        bad = event(desk)
        alone = desk.send(bad)
        assert alone.status == 422, alone.body[:300]
        good = json.dumps(desk.event()).encode()
        answer = desk.send(b"[%b,%b]" % (good, bad), MANY)
        assert (answer.status, answer.json["accepted"]) == (202, 1)
        (result,) = answer.json["results"]
        assert (result["index"], result["reason"]) == (1, reason), result
        assert code in {error["code"] for error in result["errors"]}, result
        assert result["dead_letter"] in {str(row["id"]) for row in desk.world.dead_letters()}

    return attempt


def buries_event(reason: str, code: str, **changes: Any) -> Try:
    return buries(lambda desk: json.dumps(desk.event(**changes)).encode(), reason, code)


def buries_data(data: str, code: str) -> Try:
    return buries(lambda desk: desk.raw_event(data), "limit_exceeded", code)


def ago(**span: float) -> str:
    return (clock.now() - timedelta(**span)).isoformat()


# --- rows with a course of their own ---


def an_early_event(desk: Desk) -> None:
    buries_event("out_of_window", "future", time=ago(hours=-25))(desk)  # by the clock of now


def equal_spellings(first: str, *others: str) -> Try:
    """Accepted; in any other spelling of the same content a duplicate."""

    def attempt(desk: Desk) -> None:
        event = desk.raw_event(first)
        assert desk.send(event).json["accepted"] == 1
        for other in others:
            again = event.replace(first.encode(), other.encode())
            assert desk.send(again).json["duplicate"] == 1, other

    return attempt


def order_of_keys(desk: Desk) -> None:
    event = desk.event(data={"order": "a", "amount": 1, "note": "n"})
    assert desk.send(event).json["accepted"] == 1
    turned = dict(reversed(event.items())) | {"data": dict(reversed(event["data"].items()))}
    assert desk.send(json.dumps(turned, indent=3).encode()).json["duplicate"] == 1


def too_deep_at_once(depth: int) -> Try:
    """400 within 50 ms of work, by the same process."""

    def attempt(desk: Desk) -> None:
        body = desk.raw_event("[" * depth + "]" * depth)
        took: list[float] = []
        while len(took) < 5 and min(took, default=1) >= 0.05:  # the machine may be busy
            began = time.process_time()
            answer = desk.send(body)
            took.append(time.process_time() - began)
            assert (answer.status, answer.code) == (400, "too_deep")
        assert min(took) < 0.05, took
        assert desk.send(desk.event()).status == 202

    return attempt


def nested(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


def unusual_text(text: str) -> Try:
    """Accepted, stored as sent, and set apart where a page shows it."""

    def attempt(desk: Desk) -> None:
        event = desk.event(data={"order": text}, subject=text)
        assert desk.send(event).json["accepted"] == 1
        (row,) = desk.stored(event["id"])
        data = json.loads(row["data"]) if isinstance(row["data"], str) else row["data"]
        assert (data, row["subject"]) == ({"order": text}, text)

    return attempt


def isolated_on_pages(desk: Desk) -> None:
    from portal.http.templatetags.portal_ui import json_code

    unusual_text("\u202egro.elgoog\u200b\U0001f9ff")(desk)
    assert '<bdi class="s">&quot;\u202egro&quot;</bdi>' in json_code({"a": "\u202egro"})
    css = (ROOT / "static/css/base.css").read_text()
    assert "code { unicode-bidi: isolate; }" in css, "ids and subjects stand in such"


def twice_in_a_batch(desk: Desk) -> None:
    event = desk.event()
    body = desk.send([event, event], MANY).json
    assert (body["accepted"], body["duplicate"], body["results"][0]["index"]) == (1, 1, 1)


def other_body_in_a_batch(desk: Desk) -> None:
    event = desk.event()
    body = desk.send([event, event | {"data": {"order": "b"}}], MANY).json
    assert (body["accepted"], body["results"][0]["reason"]) == (1, "id_conflict")
    (row,) = desk.stored(event["id"])
    assert "a" in str(row["data"])


def same_id_in_another_stream(desk: Desk) -> None:
    event = desk.event()
    other = desk.world.stream()
    assert desk.send([event, event | {"type": other.name}], MANY).json["accepted"] == 2


def a_late_event(desk: Desk) -> None:
    """Refused by the default window, taken where the stream says so."""
    buries_event("out_of_window", "expired", time=ago(days=400))(desk)
    patient = desk.world.stream(late_seconds=500 * 86_400)
    assert desk.send(desk.event(type=patient.name, time=ago(days=400))).json["accepted"] == 1


def the_bounds_themselves(desk: Desk) -> None:
    """30 days back and 24 h ahead are inside; the request takes a moment, hence the second."""

    def accepted() -> int:
        early, late = ago(days=30, seconds=-1), ago(hours=-24, seconds=1)
        events = [desk.event(time=early), desk.event(time=late)]
        return int(desk.send(events, MANY).json["accepted"])

    assert 2 in (accepted() for _ in range(10)), "or longer, where the machine has other work"


def retired_version(desk: Desk) -> None:
    stream = desk.world.stream()
    desk.world.version(stream, 2, ORDER_SCHEMA, state="retired")
    buries_event("version_retired", "version_retired", type=stream.name, dataschema="2")(desk)


def schema_of_another_stream(desk: Desk) -> None:
    other = desk.world.stream()
    address = f"https://here/schemas/{other.name}/1"
    buries_event("schema_unknown", "schema_unknown", dataschema=address)(desk)


def empty_batch(desk: Desk) -> None:
    body = desk.send([], MANY)
    counts = [body.json[name] for name in ("received", "accepted", "duplicate", "dead_lettered")]
    assert (body.status, counts) == (202, [0, 0, 0, 0])


def one_too_many(desk: Desk) -> None:
    event = json.dumps(desk.event()).encode()
    answer = desk.send(b"[" + b",".join([event] * 5001) + b"]", MANY)
    assert (answer.status, answer.code) == (413, "too_large")


def one_bad_of_a_hundred(desk: Desk) -> None:
    events = [desk.event() for _ in range(99)]
    answer = desk.send([*events[:50], desk.event(data={}), *events[50:]], MANY)
    assert (answer.status, answer.json["accepted"], answer.json["dead_lettered"]) == (202, 99, 1)
    assert answer.json["results"][0]["index"] == 50


def ended_key(desk: Desk) -> None:
    for fields in (
        {"revoked_at": clock.now()},
        {"expires_at": clock.now() - timedelta(seconds=1)},
    ):
        key = desk.world.key(desk.world.producer(), **fields)
        answer = desk.send(desk.event(), Authorization=f"Bearer {key}")
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert "www-authenticate" in answer.headers


def key_for_nothing(desk: Desk) -> None:
    key = desk.world.key(desk.world.producer(globs=()))
    answer = desk.send(desk.event(), Authorization=f"Bearer {key}")
    assert (answer.status, answer.code) == (403, "not_permitted")


def streams_of_others(desk: Desk) -> None:
    known, hidden = desk.world.stream(), desk.world.stream(restricted=True)
    key = desk.world.key(desk.world.producer(globs=(desk.stream.name,)))
    events = [desk.event(type=known.name), desk.event(type=hidden.name)]
    answer = desk.send(events, MANY, Authorization=f"Bearer {key}")
    reasons = [result["reason"] for result in answer.json["results"]]
    assert (answer.status, reasons) == (202, ["not_permitted", "unknown_stream"])


def wrong_media(*content_types: str | None) -> Try:
    def attempt(desk: Desk) -> None:
        for content_type in content_types:
            answer = desk.send(desk.event(), content_type)
            assert (answer.status, answer.code) == (415, "unsupported_media_type"), content_type

    return attempt


def malformed(*heads: str) -> Try:
    """No request in HTTP/1.1: 400 and the connection is closed, whatever else came on it."""

    def attempt(desk: Desk) -> None:
        event = desk.event()
        body = json.dumps(event).encode()
        for head in heads:
            smuggled = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            answer = desk.talk(head.format(length=len(body)), body + smuggled)
            assert (answer.status, answer.headers["connection"]) == (400, "close"), head
            assert answer.headers["content-type"] == "application/problem+json"
            assert b"HTTP/1.1" not in answer.body.partition(b"}")[2], "one answer, not two"
        assert desk.stored(event["id"]) == []

    return attempt


def chunked(desk: Desk) -> None:
    event = desk.event()
    body = json.dumps(event).encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:20], body[20:]))
    answer = desk.talk("Transfer-Encoding: chunked\nConnection: close", pieces + b"0\r\n\r\n")
    assert (answer.status, len(desk.stored(event["id"]))) == (202, 1)


def short_body(desk: Desk) -> None:
    """The length promises more than comes; the test waits less than the portal does."""
    assert body_limit.BODY_SECONDS < 30
    event = desk.event()
    body = json.dumps(event).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asgi, "BODY_SECONDS", 0.2)
        answer = desk.talk(f"Content-Length: {len(body) + 1}", body)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert (answer.code, desk.stored(event["id"])) == ("request_timeout", [])


def overridden_method(desk: Desk) -> None:
    event = desk.event()
    assert desk.send(event, X_HTTP_Method_Override="DELETE").json["accepted"] == 1


def foreign_host(desk: Desk) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80"):
        event = desk.event()
        for answer in (
            desk.talk("Connection: close\nContent-Length: 0", host=host),
            desk.send(event, Host=host),
            desk.send(event, X_Forwarded_Host=host),
        ):
            assert (answer.status, answer.code) == (400, "host"), host
            assert host.encode() not in answer.body
        assert desk.stored(event["id"]) == []
    assert desk.send(desk.event(), X_Forwarded_Host="localhost").status == 202


def forged_address(desk: Desk) -> None:
    """The quota is the key's, from wherever it says it comes."""
    key = desk.world.key(desk.world.producer(), events_per_second=1)
    statuses = []
    for place in range(4):
        answer = desk.send(
            [desk.event() for _ in range(5)],
            MANY,
            Authorization=f"Bearer {key}",
            X_Forwarded_For=f"10.0.0.{place}",
        )
        statuses.append(answer.status)
    assert (statuses[0], 429 in statuses) == (202, True)


def expected_oversize(desk: Desk) -> None:
    """Refused before the body is asked for."""
    answer = desk.talk("Content-Length: 100000000\nExpect: 100-continue")
    assert (answer.status, answer.headers["connection"]) == (413, "close")


IDEMPOTENCY = "tests/governance/test_idempotency.py"
ROWS = [
    Row(1, "empty", says(b"", "malformed_json")),
    Row(2, "{", says(b"{", "malformed_json")),
    Row(3, "{} x", says(b"{} x", "malformed_json")),
    Row(4, "{'a':1}", says(b"{'a':1}", "malformed_json")),
    Row(4, "a comment", says(b'{"a":1 /* no */}', "malformed_json")),
    Row(4, "a trailing comma", says(b'{"a":1,}', "malformed_json")),
    Row(4, "012", refuses(lambda desk: desk.raw_event("012"), "malformed_json")),
    Row(5, "a UTF-8 BOM", says(b"\xef\xbb\xbf{}", "malformed_json")),
    Row(6, "bytes ff fe", says(b"\xff\xfe{\0}\0", "malformed_json")),
    Row(10, "NaN", refuses(lambda desk: desk.raw_event("NaN"), "malformed_json")),
    Row(11, "Infinity", refuses(lambda desk: desk.raw_event("-Infinity"), "malformed_json")),
    Row(12, "1e400", buries_data('{"order": "a", "amount": 1e400}', "number_range")),
    Row(13, "[1e131071 x 1000]", buries_data(f"[{','.join(['1e131071'] * 1000)}]", "number_range")),
    Row(17, "-0", equal_spellings('{"order": "a", "amount": -0}', '{"order": "a", "amount": 0}')),
    Row(17, "1.0 vs 1", equal_spellings('{"order":"a","amount":1.0}', '{"order":"a","amount":1}',
                                        '{"order":"a","amount":1e0}', '{"order":"a","amount":10e-1}')),
    Row(18, "key order and whitespace", order_of_keys),
    Row(19, "a key twice", refuses(lambda desk: desk.raw_event('{"a":1,"a":2}'), "duplicate_key")),
    Row(20, "a key twice, once escaped",
        refuses(lambda desk: desk.raw_event('{"a":1,"\\u0061":2}'), "duplicate_key")),
    Row(24, "raw 0x01 in a string", refuses(lambda desk: desk.raw_event('"a\x01b"'), "malformed_json")),
    Row(25, "1,100 nested arrays", too_deep_at_once(1100)),
    Row(26, "50,000 nested arrays", too_deep_at_once(50_000)),
    Row(26, "nesting of 33", buries_data(nested(33), "limits")),
    Row(26, "nesting of 198 in an event", buries_data(nested(198), "limits")),
    Row(30, "an object of 10,000 keys",
        buries_event("limit_exceeded", "limits", data={str(n): n for n in range(10_000)})),
    Row(31, "a key of 300 B", buries_event("limit_exceeded", "limits", data={"k" * 300: 1})),
    Row(32, "an array where an object is due", says(b"[]", "shape")),
    Row(33, "a text where an object is due", says(b'"x"', "shape")),
    Row(34, "null where an object is due", says(b"null", "shape")),
    Row(36, "RTL override, zero width, emoji", isolated_on_pages),
    Row(37, "homoglyphs", unusual_text("раураl vs paypal")),
    Row(38, "an id twice in a batch", twice_in_a_batch),
    Row(39, "an id with another body", other_body_in_a_batch),
    Row(40, "an id in another stream", same_id_in_another_stream),
    Row(46, "0001-01-01T00:00+14:00",
        buries_event("envelope_invalid", "time_range", time="0001-01-01T00:00:00+14:00")),
    Row(47, "9999-12-31T23:59:59-14:00",
        buries_event("envelope_invalid", "time_range", time="9999-12-31T23:59:59-14:00")),
    Row(48, "year 10000", buries_event("envelope_invalid", "time_range", time="10000-01-01T00:00:00Z")),
    Row(48, "infinity", buries_event("envelope_invalid", "time_range", time="infinity")),
    Row(49, "25 hours ahead", an_early_event),
    Row(50, "400 days ago", a_late_event),
    Row(51, "exactly the bound", the_bounds_themselves),
    Row(55, "an unknown version", buries_event("schema_unknown", "schema_unknown", dataschema="99")),
    Row(56, "a retired version", retired_version),
    Row(57, "a schema of another stream", schema_of_another_stream),
    Row(58, "[] as a batch", empty_batch),
    Row(59, "5,001 events", one_too_many),
    Row(60, "1 bad of 100", one_bad_of_a_hundred),
    Row(67, "a key revoked, or expired 1 s ago", ended_key),
    Row(68, "a key that may publish nothing", key_for_nothing),
    Row(69, "a stream it may know, one it may not", streams_of_others),
    Row(70, "text/plain, multipart", wrong_media("text/plain", "multipart/form-data; boundary=x")),
    Row(71, "a missing type", wrong_media(None)),
    Row(77, "CL and TE", malformed("Content-Length: {length}\nTransfer-Encoding: chunked",
                                   "Transfer-Encoding: chunked\nContent-Length: {length}")),
    Row(78, "two CL", malformed("Content-Length: {length}\nContent-Length: 3",
                                "Content-Length: {length}, 3")),
    Row(79, "chunked, identity", malformed("Transfer-Encoding: chunked, identity",
                                           "Transfer-Encoding: identity",
                                           "Transfer-Encoding : chunked",
                                           "Transfer-Encoding: xchunked")),
    Row(80, "CL of -1 or 10^20", malformed("Content-Length: -1", "Content-Length: +5",
                                           "Content-Length: 100000000000000000000")),
    Row(81, "chunked without CL", chunked),
    Row(82, "CL longer than the body", short_body),
    Row(87, "X-HTTP-Method-Override: DELETE", overridden_method),
    Row(88, "a foreign Host or X-Forwarded-Host", foreign_host),
    Row(89, "a forged X-Forwarded-For", forged_address),
    Row(90, "Expect: 100-continue, oversize", expected_oversize),
    Row(91, "Idempotency-Key of 256 characters or not ASCII",
        f"{IDEMPOTENCY}::test_a_key_of_other_characters_or_length_is_a_400"),
    Row(92, "Idempotency-Key with another body",
        f"{IDEMPOTENCY}::test_another_body_or_address_under_the_key_is_a_422"),
    Row(93, "Idempotency-Key 20 times at once",
        f"{IDEMPOTENCY}::test_twenty_at_once_under_one_key_have_one_effect"),
    Row(98, "a cookie POST without token",
        "tests/api/test_scopes.py::test_a_session_needs_the_token_of_its_pages_to_change_anything"),
    Row(98, "a cookie POST with Origin: null",
        "tests/api/test_sessions.py::test_a_page_of_no_origin_changes_nothing_even_with_a_token"),
    Row(99, "a session id set before login",
        "tests/api/test_sessions.py::test_a_session_id_that_was_planted_is_not_the_one_after_login"),
]  # fmt: skip
TRIED = [row for row in ROWS if not isinstance(row.tries, str)]
ELSEWHERE = [row for row in ROWS if isinstance(row.tries, str)]


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Desk]:
    """The application of the web processes behind their HTTP protocol, on a port of its own."""
    from portal.asgi import application

    with served(application) as port:
        yield Desk(world, port, world.stream(), world.key(world.producer()))


@pytest.mark.parametrize("row", TRIED, ids=lambda row: f"{row.number} {row.text}")
def test_bad_input_has_the_outcome_that_is_promised(desk: Desk, row: Row) -> None:
    assert callable(row.tries)
    row.tries(desk)


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: f"{row.number} {row.text}")
def test_a_row_that_is_tested_elsewhere_is(row: Row) -> None:
    assert isinstance(row.tries, str)
    file, _, name = row.tries.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_line_of_the_catalogue_has_a_row() -> None:
    assert {row.number for row in ROWS} == NUMBERS
    assert len(NUMBERS) == 59
