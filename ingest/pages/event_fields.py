"""The data of one event field by field, beside what its contract says of each; and as one line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalog.classified import MASK, PERSONAL
from catalog.field_index import FieldRow, fields_of
from ingest.selectors.events import StoredEvent

MAX_ROWS: Final = 200
MAX_TEXT: Final = 200
DID: Final[Mapping[str, str]] = {
    "drop": "Dropped", "tokenize": "Tokenized", "encrypt": "Encrypted", "truncate": "Truncated",
    "bucket": "Bucketed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A value at its place. `says` is what the contract calls it, `did` what the door did with it.

    `is_known` is whether the contract knows the place; `is_masked` whether it is held back here.
    """

    path: str
    text: str
    kind: str
    says: str = ""
    did: str = ""
    unit: str = ""
    is_personal: bool = False
    is_known: bool = True
    is_masked: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """The values of an event: of its data, of what the contract does not know, of its envelope.

    `never` are the places that the contract has dropped before anything is written; `more` is how
    many values are left out here.
    """

    data: tuple[Value, ...]
    extra: tuple[Value, ...]
    envelope: tuple[Value, ...]
    never: tuple[str, ...]
    more: int


def fields_shown(event: StoredEvent, contract: object) -> Fields:
    """What the page shows under "Fields"; the masks of the reader stay."""
    known = {row.path: row for row in fields_of(contract)}
    data = list(_values(event.data, known, event.version is not None))
    extra = list(_values(event.extra, {}, True)) if event.extra is not None else []
    never = [row.path for row in known.values() if row.privacy == "drop"]
    present = {_place(one.path) for one in data}
    return Fields(
        data=tuple(data[:MAX_ROWS]),
        extra=tuple(extra[:MAX_ROWS]),
        envelope=tuple(_envelope(event)),
        never=tuple(path for path in never if path not in present)[:MAX_ROWS],
        more=max(0, len(data) - MAX_ROWS) + max(0, len(extra) - MAX_ROWS),
    )


def one_line(document: Mapping[str, Any]) -> str:
    """A document as one line of JSON, ready to be sent or searched."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=_text)


def treated_said(contract: object) -> str:
    """What the contract has done at the door: "shipping_zip truncated, ip dropped"."""
    rows = [row for row in fields_of(contract) if row.privacy]
    said = [f"{row.path} {DID[row.privacy].lower()}" for row in rows[:3]]
    if len(rows) > 3:
        said.append(f"{len(rows) - 3} more treated")
    return ", ".join(said)


def seen_in_clear(event: StoredEvent, contract: object) -> list[str]:
    """The personal fields of an event whose values its reader sees."""
    known = {row.path: row for row in fields_of(contract)}
    values = _values(event.data, known, is_judged=True)
    places = dict.fromkeys(
        _place(one.path) for one in values if one.is_personal and not one.is_masked
    )
    return list(places)


def _values(value: Any, known: Mapping[str, FieldRow], is_judged: bool) -> Iterator[Value]:
    """The leaves of a document in its order; an empty object or list is a leaf."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, here = stack.pop()
        inner: list[tuple[str, Any]] = []
        if isinstance(here, Mapping):
            inner = [(f"{path}.{key}" if path else str(key), item) for key, item in here.items()]
        elif isinstance(here, list):
            inner = [(f"{path}[{index}]", item) for index, item in enumerate(here)]
        if inner:
            stack += reversed(inner)
        elif path or here is not None:
            yield _value(path or "data", here, known, is_judged)


def _value(path: str, value: Any, known: Mapping[str, FieldRow], is_judged: bool) -> Value:
    place = _place(path)
    row = known.get(place) or known.get(place.removesuffix("[]"))
    is_masked = value == MASK
    return Value(
        path=path,
        text=_text(value),
        kind="" if is_masked else _kind(value, row),
        says=row.classification if row is not None else "",
        did=DID.get(row.privacy, "") if row is not None else "",
        unit=row.unit if row is not None and not is_masked else "",
        is_personal=row is not None and row.classification in PERSONAL,
        is_known=row is not None or not is_judged,
        is_masked=is_masked,
    )


def _place(path: str) -> str:
    """`items[3].sku` is at `items[].sku`."""
    parts = path.split("[")
    return parts[0] + "".join("[]" + part.partition("]")[2] for part in parts[1:])


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat().replace("+00:00", "Z")
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _kind(value: Any, row: FieldRow | None) -> str:
    if row is not None and row.format:
        return row.format
    for types, name in (
        (bool, "true or false"),
        (int | float, "number"),
        (str, "text"),
        (list, "empty list"),
        (Mapping, "empty object"),
    ):
        if isinstance(value, types):
            return name
    return "null"


def _envelope(event: StoredEvent) -> Iterator[Value]:
    """What stands around the data: the attributes of the CloudEvent."""
    told: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.stream,
        "time": event.occurred_at,
        "subject": event.subject,
        **event.attributes,
    }
    for name, value in told.items():
        if value is not None:
            yield Value(path=name, text=_text(value), kind="", is_masked=value == MASK)
