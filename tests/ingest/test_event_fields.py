"""An event field by field: what the contract says of each place, what is masked, what is bounded."""

from datetime import UTC, datetime
from typing import Any

from catalog.classified import MASK
from ingest.pages.event_fields import MAX_ROWS, fields_shown, one_line, treated_said
from ingest.selectors.events import StoredEvent

AT = datetime(2026, 11, 17, 14, 31, 58, tzinfo=UTC)
CONTRACT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "total": {"type": "integer", "x-unit": "cents"},
        "ip": {"type": "string", "x-privacy": "drop"},
        "mail": {"type": "string", "x-classification": "personal", "x-privacy": "tokenize"},
        "items": {"type": "array", "items": {
            "type": "object", "properties": {"sku": {"type": "string", "format": "uuid"}}}},
    },
}  # fmt: skip


def event(data: Any, **fields: Any) -> StoredEvent:
    values: dict[str, Any] = {
        "stream": "a.b", "id": "e", "occurred_at": AT, "received_at": AT, "version": 1,
        "subject": None, "source": "/s", "producer": "p", "attributes": {}, "data": data,
        "binary": None, "extra": None, "masked": (),
    } | fields  # fmt: skip
    return StoredEvent(**values)


def test_each_value_stands_beside_what_its_contract_says() -> None:
    found = fields_shown(
        event({"total": 5, "mail": MASK, "items": [{"sku": "x"}, {"sku": ""}], "odd": []}), CONTRACT
    )
    rows = [(one.path, one.text, one.kind, one.did, one.is_masked, one.is_known)
            for one in found.data]  # fmt: skip
    assert rows == [
        ("total", "5", "number", "", False, True),
        ("mail", MASK, "", "Tokenized", True, True),
        ("items[0].sku", "x", "uuid", "", False, True),
        ("items[1].sku", "", "uuid", "", False, True),
        ("odd", "[]", "empty list", "", False, False),
    ]
    assert found.data[0].unit == "cents"
    assert found.never == ("ip",)
    assert [one.path for one in found.envelope] == ["id", "source", "type", "time"]
    assert treated_said(CONTRACT) == "ip dropped, mail tokenized"


def test_without_a_contract_nothing_is_called_unknown_and_much_is_bounded() -> None:
    found = fields_shown(event({str(n): n for n in range(MAX_ROWS + 7)}, version=None), None)
    assert (len(found.data), found.more) == (MAX_ROWS, 7)
    assert all(one.is_known for one in found.data)
    (text,) = fields_shown(event("plain"), None).data
    assert (text.path, text.text) == ("data", "plain")
    assert one_line({"time": AT, "n": 1}) == '{"time":"2026-11-17T14:31:58Z","n":1}'
