"""Tests of the CloudEvents parser: modes, attributes, data."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.protocols import cloudevents
from ingest.protocols.cloudevents import Mode
from ingest.types import Envelope, Reason
from portal.kernel.errors import BadRequestError, PortalError, UnsupportedMediaError

WIRE = Path(__file__).parent.parent / "data" / "wire" / "cloudevents.jsonl"
CE_HEADERS = {"ce-id": "1", "ce-source": "/s", "ce-type": "a.b", "ce-specversion": "1.0"}


def event(**changes: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "data": {"x": 1}}
    return {name: value for name, value in (made | changes).items() if value is not ...}


def read(**changes: Any) -> Envelope:
    return cloudevents.read_structured(json.dumps(event(**changes)).encode())


def faults(envelope: Envelope) -> list[tuple[str, str]]:
    assert envelope.reason is Reason.ENVELOPE_INVALID
    return [(error.pointer, error.code) for error in envelope.errors]


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents-batch+json", Mode.BATCH),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode.STRUCTURED),
        ("application/cloudevents+json;x=y", Mode.STRUCTURED),
        ("application/x-ndjson", Mode.NDJSON),
        ("application/json; charset=utf-8", Mode.BINARY),
        ("text/plain", Mode.BINARY),
        ("", Mode.BINARY),
    ],
)
def test_mode_follows_from_the_media_type(content_type: str, mode: Mode) -> None:
    assert cloudevents.choose_mode(content_type, CE_HEADERS) is mode


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/cloudevents+avro", CE_HEADERS),
        ("application/cloudevents", CE_HEADERS),
        ("application/json", {}),
        ("application/json", {"ce-id": "1", "ce-source": "/s", "ce-type": "a.b"}),
        ("text/plain", {}),
        ("multipart/form-data; boundary=x", {}),
        ("", {}),
        ("application/cloudevents+json; charset=latin-1", {}),
        ("no media type", CE_HEADERS),
    ],
)
def test_other_content_types_are_415(content_type: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaError):
        cloudevents.choose_mode(content_type, headers)


def test_structured_event_is_read_whole() -> None:
    found = read(
        time="2026-01-02T03:04:05.678901+01:00",
        subject="s",
        dataschema="2",
        traceparent="00-x",
        sampledrate=3,
        flagged=True,
    )
    assert found.reason is None
    assert (found.id, found.type, found.source, found.subject) == ("1", "a.b", "/s", "s")
    assert found.occurred_us == 1767319445678901
    assert found.extensions == {"traceparent": "00-x", "sampledrate": 3, "flagged": True}
    assert found.has_data
    assert found.data == {"x": 1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ...}, [("/id", "required")]),
        ({"id": None}, [("/id", "required")]),
        ({"id": ""}, [("/id", "minLength")]),
        ({"id": 5}, [("/id", "type")]),
        ({"id": "x" * 129}, [("/id", "bad_id")]),
        ({"id": "a\nb"}, [("/id", "bad_id")]),
        ({"source": ...}, [("/source", "required")]),
        ({"source": "not a uri"}, [("/source", "bad_source")]),
        ({"source": "a%zz"}, [("/source", "bad_source")]),
        ({"source": "1:x"}, [("/source", "bad_source")]),
        ({"type": ...}, [("/type", "required")]),
        ({"type": ""}, [("/type", "minLength")]),
        ({"specversion": ...}, [("/specversion", "required")]),
        ({"specversion": "0.3"}, [("/specversion", "specversion")]),
        ({"specversion": 1.0}, [("/specversion", "specversion")]),
        ({"time": "yesterday"}, [("/time", "bad_time")]),
        ({"time": 5}, [("/time", "type")]),
        ({"time": "0001-01-01T00:00:00+14:00"}, [("/time", "time_range")]),
        ({"subject": "s" * 257}, [("/subject", "maxLength")]),
        ({"subject": 5}, [("/subject", "type")]),
        ({"datacontenttype": "json"}, [("/datacontenttype", "bad_media_type")]),
        ({"myExt": "x"}, [("", "extension_name")]),
        ({"my-ext": "x"}, [("", "extension_name")]),
        ({"ext": {"a": 1}}, [("/ext", "type")]),
        ({"ext": 1.5}, [("/ext", "type")]),
        ({"data_base64": "AA=="}, [("/data_base64", "both")]),
        ({"data": ..., "data_base64": "*"}, [("/data_base64", "base64")]),
        ({"data": ..., "data_base64": 5}, [("/data_base64", "type")]),
    ],
)
def test_broken_attribute_is_named(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(read(**changes)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x" * 128},
        {"source": "urn:example:1"},
        {"source": "https://example.com/a?b=c#d"},
        {"source": "../a"},
        {"subject": "s" * 256},
        {"subject": ""},
        {"time": None, "subject": None, "ext": None},
        {"data": ...},
        {"data": None},
        {"data": "مرحبا \u202e 🫐"},
    ],
)
def test_unusual_but_legal_attributes_are_taken(changes: dict[str, Any]) -> None:
    assert read(**changes).reason is None


def test_absent_data_differs_from_null() -> None:
    assert not read(data=...).has_data
    assert read(data=None).has_data


def test_base64_data_is_unpacked_when_it_is_json() -> None:
    packed = base64.b64encode(b'{"x": 2}').decode()
    found = read(data=..., data_base64=packed)
    assert (found.data, found.data_bytes) == ({"x": 2}, None)
    assert read(data=..., data_base64=packed, datacontenttype="a/b+json").data == {"x": 2}
    octets = read(data=..., data_base64="AP8B", datacontenttype="application/octet-stream")
    assert octets.data_bytes == b"\x00\xff\x01"
    assert read(data=..., data_base64="AP8B").data_bytes == b"\x00\xff\x01"
    assert faults(read(data=..., data_base64="AP8B", datacontenttype="application/json")) == [
        ("/data_base64", "malformed_json")
    ]


@pytest.mark.parametrize("datacontenttype", [..., "application/json"])
@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        (b"[" * 40 + b"]" * 40, "/data" + "/0" * 31, "limits"),
        (b'{"a": 1e400}', "/data/a", "number_range"),
        (b'{"a": ["\\u0000"]}', "/data/a/0", "unstorable"),
    ],
)
def test_limits_inside_unpacked_data_hold_too(
    data: bytes, pointer: str, code: str, datacontenttype: object
) -> None:
    packed = base64.b64encode(data).decode()
    found = read(data=..., data_base64=packed, datacontenttype=datacontenttype)
    assert found.reason is Reason.LIMIT_EXCEEDED
    assert (found.errors[0].pointer, found.errors[0].code) == (pointer, code)


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        ("1e400", "/data", "number_range"),
        ('{"a": [9223372036854775808]}', "/data/a/0", "number_range"),
        ('{"a": "\\u0000"}', "/data/a", "unstorable"),
        ('{"a": "\\ud800"}', "/data/a", "unstorable"),
        ("[" * 33 + "]" * 33, "/data" + "/0" * 31, "limits"),
        ('{"' + "k" * 300 + '": 1}', "/data", "limits"),
        (json.dumps({str(n): n for n in range(10_000)}), "/data", "limits"),
        (json.dumps(["x" * 65_000] * 5), "", "too_large"),
    ],
)
def test_value_beyond_a_limit_is_that_events_fault(data: str, pointer: str, code: str) -> None:
    body = f'[{{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data":{data}}}]'
    (found,) = cloudevents.read_batch(body.encode())
    assert found.reason is Reason.LIMIT_EXCEEDED
    assert (found.errors[0].pointer, found.errors[0].code) == (pointer, code)
    assert found.id == "1"


@pytest.mark.parametrize("oddity", ["1e400", '"\\u0000"', '"\\ud800"', "9" * 5000])
@pytest.mark.parametrize("mode", ["structured", "batch", "lines", "binary", "base64"])
def test_event_beyond_its_size_is_refused_for_that_alone(mode: str, oddity: str) -> None:
    """Whatever it holds: what can't be stored in it needs no place, only its refusal."""
    data = f"[{oddity}{',1' * 200_000}]"
    body = f'{{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data":{data}}}'.encode()
    if mode == "structured":
        found = cloudevents.read_structured(body)
    elif mode == "batch":
        (found,) = cloudevents.read_batch(b"[" + body + b"]")
    elif mode == "lines":
        (found,) = cloudevents.read_lines(body)
    elif mode == "binary":
        found = cloudevents.read_binary(CE_HEADERS.items(), "application/json", data.encode())
    else:
        found = read(data=..., data_base64=base64.b64encode(data.encode()).decode())
    assert found.reason is Reason.LIMIT_EXCEEDED
    assert [(error.pointer, error.code) for error in found.errors] == [("", "too_large")]
    assert (found.id, found.type, found.data) == ("1", "a.b", None)
    assert len(found.raw) > 256 * 1024


def test_attributes_of_an_event_beyond_its_size_can_be_stored() -> None:
    found = read(id="a\0b", subject="s\0", data=["x" * 60_000] * 6)
    assert found.reason is Reason.LIMIT_EXCEEDED
    assert (found.id, found.subject) == ("a\ufffdb", "s\ufffd")
    assert faults(read(id="", data=["x" * 60_000] * 6)) == [("/id", "minLength")]


def test_envelope_faults_come_before_limits() -> None:
    assert faults(read(id="", data=["x" * 70_000])) == [("/id", "minLength")]


def test_batch_is_one_event_after_the_other() -> None:
    body = json.dumps([event(id="a"), event(id=""), 5, event(id="b")]).encode()
    found = list(cloudevents.read_batch(body))
    assert [envelope.reason for envelope in found] == [
        None,
        Reason.ENVELOPE_INVALID,
        Reason.ENVELOPE_INVALID,
        None,
    ]
    assert found[0].raw == json.dumps(event(id="a")).encode()
    assert list(cloudevents.read_batch(b"[]")) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'[{"id":1,"id":2}]', "duplicate_key"),
        (b'[{"a":1},{"b":NaN}]', "malformed_json"),
        (b"[" + b"[" * 200 + b"]" * 200 + b"]", "too_deep"),
        (b'{"a": 1}', "shape"),
        (b"null", "shape"),
        (b"", "malformed_json"),
    ],
)
def test_batch_that_cannot_be_read_raises_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        list(cloudevents.read_batch(body))
    assert caught.value.code == code


def test_of_lines_only_the_bad_one_is_unparsable() -> None:
    lines = [json.dumps(event(id="a")), "{nope", "", json.dumps(event(id="b")) + "\r", '"\\ud800"']
    found = list(cloudevents.read_lines("\n".join(lines).encode()))
    assert [envelope.reason for envelope in found] == [
        None,
        Reason.UNPARSABLE,
        None,
        Reason.ENVELOPE_INVALID,
    ]
    assert found[1].raw == b"{nope"


@pytest.mark.parametrize("number", [0, 30])
def test_lines_that_make_sense_only_together_are_unparsable(number: int) -> None:
    """Joined by commas, the halves would be as many events as there are lines."""
    good = [json.dumps(event(id=f"{place}")) for place in range(number)]
    one, other = json.dumps(event(id="a")), json.dumps(event(id="b"))
    halves = [one[:-1], f'"subject":"s"}},{other}']
    found = list(cloudevents.read_lines("\n".join([*good, *halves]).encode()))
    assert [each.reason for each in found] == [None] * number + [Reason.UNPARSABLE] * 2


def test_binary_headers_are_decoded_once() -> None:
    headers = [
        *CE_HEADERS.items(),
        ("ce-subject", "bl%C3%A5b%C3%A4r %25%22x%22"),
        ("ce-myext", "%2525"),
        ("ce-time", "2026-01-02T03:04:05Z"),
        ("host", "x"),
    ]
    found = cloudevents.read_binary(headers, "application/json", b'{"x": 1}')
    assert found.reason is None
    assert found.subject == 'blåbär %"x"'
    assert found.extensions == {"myext": "%25"}
    assert found.data == {"x": 1}
    assert json.loads(found.raw)["subject"] == found.subject


@pytest.mark.parametrize(
    ("content_type", "body", "data", "content"),
    [
        ("", b"[1]", [1], None),
        ("application/json", b"", None, None),
        ("application/vnd.x+json", b"5", 5, None),
        ("text/plain; charset=utf-8", "héllo".encode(), "héllo", None),
        ("image/png", b"\x89PNG\x00", None, b"\x89PNG\x00"),
    ],
)
def test_binary_body_is_data_of_its_content_type(
    content_type: str, body: bytes, data: object, content: bytes | None
) -> None:
    found = cloudevents.read_binary(CE_HEADERS.items(), content_type, body)
    assert found.reason is None
    assert (found.data, found.data_bytes, found.has_data) == (data, content, bool(body))


@pytest.mark.parametrize("sent", ["blåbär", "blåbär".encode().decode("latin-1"), "bl%C3%A5bär"])
def test_header_that_was_not_encoded_is_read_as_it_was_meant(sent: str) -> None:
    """Header values come as Latin-1; clients that do not percent-encode send that or UTF-8."""
    headers = [*CE_HEADERS.items(), ("ce-subject", sent)]
    assert cloudevents.read_binary(headers, "", b"1").subject == "blåbär"


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (("ce-subject", "%ff"), ("/subject", "encoding")),
        (("ce-id", "2"), ("/id", "repeated")),
        (("ce-my-ext", "x"), ("", "extension_name")),
    ],
)
def test_broken_header_is_named(header: tuple[str, str], fault: tuple[str, str]) -> None:
    found = cloudevents.read_binary([*CE_HEADERS.items(), header], "", b"1")
    assert faults(found) == [fault]


def test_of_many_broken_headers_twenty_are_told() -> None:
    again = [(f"ce-a{number}", "x") for number in range(30)] * 2
    found = cloudevents.read_binary([*CE_HEADERS.items(), *again], "", b"1")
    assert found.reason is Reason.ENVELOPE_INVALID
    assert len(found.errors) == 20


def test_binary_text_with_a_nul_is_that_events_fault() -> None:
    found = cloudevents.read_binary(CE_HEADERS.items(), "text/plain", b"a\x00b")
    assert found.reason is Reason.LIMIT_EXCEEDED
    with pytest.raises(BadRequestError):
        cloudevents.read_binary(CE_HEADERS.items(), "text/plain", b"\xff")


def _replay(request: dict[str, Any]) -> list[str]:
    headers = [(name.lower(), value) for name, value in request["headers"]]
    content_type = dict(headers).get("content-type", "")
    body = request["body"].encode("utf-8")
    found: list[Envelope] = []
    try:
        match cloudevents.choose_mode(content_type, dict(headers)):
            case Mode.BATCH:
                found = list(cloudevents.read_batch(body))
            case Mode.NDJSON:
                found = list(cloudevents.read_lines(body))
            case Mode.STRUCTURED:
                found = [cloudevents.read_structured(body)]
            case Mode.BINARY:
                found = [cloudevents.read_binary(headers, content_type, body)]
    except PortalError as error:
        return [f"{error.status} {error.code}"]
    return [envelope.reason.value if envelope.reason else "ok" for envelope in found]


def test_requests_of_real_clients_are_read_as_they_were_meant() -> None:
    requests = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    assert [_replay(request) for request in requests] == [
        *[["ok"]] * 4,
        ["ok"] * 3,
        [],
        ["ok"],
        *[["envelope_invalid"]] * 9,
        ["400 malformed_json"],
        ["400 shape"],
        ["400 shape"],
        *[["415 unsupported_media_type"]] * 2,
        *[["ok"]] * 4,
        ["ok"] * 2,
    ]
