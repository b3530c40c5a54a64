"""What of a stored event, in the log, a restore or an archive, goes, and what is taken out of it.

1. An event is about somebody when its subject, one of the ids beside it, its partition key or its own
   id is theirs. It goes whole.
2. Any other event that holds one of their identifiers as a whole value keeps all but that value, and
   its content hash: a late retry of it is a duplicate still.
3. What came and happened after the erasure is nobody's who was erased.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from governance.privacy.ciphers import PREFIX
from governance.whole_values import GONE, IsMeant, Names, read_exact, taken_out, write_exact
from ingest.erasing.sealed import Sealed, meant_in, sealed_in
from ingest.types import Mark

# The attributes that say whom an event is about, beside its subject.
OF_THE_PERSON: Final = ("anonymousid", "previousid", "partitionkey")
# The columns that hold JSON, and where what stands in them stood when it was sealed. The names in
# `extra` are pointers into the data (`ingest.judging.drift`).
EXTRA: Final = "extra"
PLACES: Final = {"attributes": "", "data": "/data", EXTRA: "/data"}
NOBODY: Final = "/erased"  # in place of a source that named somebody: a row has one

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a row: it goes, or columns change (`data_base64` to null), or neither.

    `places` are the pointers of what is taken out, `count` how many values that are.
    """

    goes: bool = False
    changes: Mapping[str, Any] | None = None
    count: int = 0
    places: tuple[str, ...] = ()


KEPT: Final = Verdict()
GOES: Final = Verdict(goes=True)


class Judge:
    """Judges rows: `stream_id`, `event_id`, `occurred_at`, `received_at`, `subject`, `source`, `marks`,
    `attributes`, `data` and `extra` as JSON text, `data_base64`. One for a step."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """A verdict for each row. Opens what is encrypted in all of them at once.

        Raises UnavailableError when a key is not at hand.
        """
        parsed = [_parsed(row) for row in rows]
        found: list[Verdict | None] = [
            GOES if self._is_about(row, columns) else None
            for row, columns in zip(rows, parsed, strict=True)
        ]
        sealed = [
            one
            for row, columns, verdict in zip(rows, parsed, found, strict=True)
            if verdict is None
            for one in _sealed(row, columns)
        ]
        meant = meant_in(sealed, self._names) if sealed else {}
        return [
            verdict or self._cleared(row, columns, meant)
            for row, columns, verdict in zip(rows, parsed, found, strict=True)
        ]

    def _is_about(self, row: Row, columns: Mapping[str, Any]) -> bool:
        attributes = columns["attributes"]
        ids = (row["subject"], row["event_id"], *(attributes.get(name) for name in OF_THE_PERSON))
        return any(_is_due(row, self._names.until(one)) for one in ids if one is not None)

    def _cleared(
        self, row: Row, columns: Mapping[str, Any], sealed: Mapping[str, datetime]
    ) -> Verdict:
        places: list[str] = []

        def is_meant(value: Any, pointer: str) -> bool:
            until = self._names.until(value)
            if until is None and sealed and isinstance(value, str):
                until = sealed.get(value)
            if not _is_due(row, until):
                return False
            places.append(pointer)
            return True

        changes: dict[str, Any] = {}
        for name, value in columns.items():
            look = _of_extra if name == EXTRA else taken_out
            left, count = look(value, is_meant, PLACES[name])
            if count:
                changes[name] = "null" if left is GONE else write_exact(left)
        if is_meant(row["source"], "/source"):
            changes["source"] = NOBODY
        raw = row["data_base64"]
        if raw is not None and is_meant(bytes(raw).decode("utf-8", "replace"), "/data_base64"):
            changes["data_base64"] = None
        if not places:
            return KEPT
        changes["marks"] = int(row["marks"] | Mark.ERASED_IN_PLACE)
        return Verdict(changes=changes, count=len(places), places=tuple(places))


def _parsed(row: Row) -> dict[str, Any]:
    return {name: read_exact(row[name]) for name in PLACES if row[name] is not None}


def _sealed(row: Row, columns: Mapping[str, Any]) -> list[Sealed]:
    return [
        one
        for name, value in columns.items()
        if PREFIX in row[name]
        for place, part in (
            [(f"{PLACES[name]}{at}", one) for at, one in value.items()]
            if name == EXTRA
            else [(PLACES[name], value)]
        )
        for one in sealed_in(
            part, stream_id=row["stream_id"], event_id=row["event_id"], pointer=place
        )
    ]


def _of_extra(value: Mapping[str, Any], is_meant: IsMeant, pointer: str) -> tuple[Any, int]:
    """As `taken_out`, of what was set aside: each step of a pointer is the name of a member."""
    left: dict[str, Any] = {}
    total = 0
    for name, one in value.items():
        place = f"{pointer}{name}"
        steps = (step.replace("~1", "/").replace("~0", "~") for step in name.split("/") if step)
        made, count = GONE, 1
        if not any(is_meant(step, place) for step in steps):
            made, count = taken_out(one, is_meant, place)
        total += count
        if made is not GONE:
            left[name] = made
    return left, total


def _is_due(row: Row, until: datetime | None) -> bool:
    """Whether what was erased up to a moment reaches this row."""
    return until is not None and min(row["received_at"], row["occurred_at"]) <= until
