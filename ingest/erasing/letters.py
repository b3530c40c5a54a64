"""The store of dead letters: those about somebody, and those that name them, go whole.

1. The body is opened where it is kept sealed, and what is encrypted in it too. Of what is JSON each
   value and each name counts; of other bytes each word, with what is coded for an address decoded.
2. Type, id, source, the content type, the places of faults and the key of the group count as well.
3. The table's triggers take a letter out of the counts. A count that then stands at nothing and whose
   key names the person goes too, and so does what people said of that group.
"""

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from django.db.models import Model

from catalog.models import Stream, StreamAlias
from governance.erasing import Collected, Sought, Swept
from governance.privacy.ciphers import PREFIX
from governance.whole_values import (
    Names,
    read_exact,
    values_in,
    words_in,
    words_of_bytes,
    write_exact,
)
from ingest.erasing import walking
from ingest.erasing.events import put_back, size_of
from ingest.erasing.sealed import Sealed, meant_in, sealed_in
from ingest.log import partitions
from ingest.models import LetterCount, LetterGroup, LetterTotal
from ingest.privacy import sealing
from ingest.services.reveal import in_clear
from portal.kernel import sql

BATCH: Final = 500
MOST_BYTES: Final = 8 * 1024 * 1024
# The members that say whom an event is about, also as Segment's calls name them.
WHO: Final = (
    "subject", "anonymousid", "previousid", "partitionkey", "userId", "anonymousId", "previousId",
)  # fmt: skip
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_NOWHERE: Final = str(UUID(int=0))
_WALK: Final = sql.load("ingest", "walk_letters")
_ERASE: Final = sql.load("ingest", "erase_letters")

Row = Mapping[str, Any]


class Letters:
    """Dead letters. A cursor names the last one that was looked at."""

    key = "dead_letters"
    name = "Dead letters"

    def size(self) -> int:
        """As the planner last counted."""
        return size_of([partitions.DEAD_LETTERS])

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`. Raises UnavailableError when a key is not at hand."""
        if not cursor:
            put_back([partitions.DEAD_LETTERS])
        names = Names(sought)
        looked_at = erased = 0
        at: Mapping[str, Any] | None = cursor
        for page in _pages(cursor):
            at, rows = page
            looked_at += len(rows)
            gone = _meant(rows, names)
            if gone:
                params = {"ids": [row["id"] for row, _ in gone],
                          "times": [row["received_at"] for row, _ in gone]}  # fmt: skip
                erased += sql.execute(_ERASE, params)
        return Swept(at, looked_at, erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`."""
        names = Names(sought)
        looked_at = 0
        items: list[Mapping[str, Any]] = []
        at: Mapping[str, Any] | None = cursor
        for page in _pages(cursor):
            at, rows = page
            looked_at += len(rows)
            items += [_item(row, body, names) for row, body in _meant(rows, names)]
            if len(items) >= walking.MOST_ITEMS:
                break
        return Collected(at, looked_at, tuple(items))


class Groups:
    """Counts of groups that name somebody, and what people said of such a group."""

    key = "letter_groups"
    name = "Groups of dead letters"

    def size(self) -> int:
        """Exact: groups are few."""
        return LetterTotal.objects.count() + LetterGroup.objects.count()

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`. Counts of letters that are there stay: the letters came afterwards."""
        names = Names(sought)
        last = str(cursor.get("after", ""))
        keys = _keys_after(last)
        meant = [key for key in keys if names.latest(words_of_key(key)) is not None]
        erased = 0
        if meant:
            living = set(
                LetterTotal.objects.filter(group_key__in=meant, letters__gt=0).values_list(
                    "group_key", flat=True
                )
            )
            gone = [key for key in meant if key not in living]
            models: tuple[type[Model], ...] = (LetterCount, LetterTotal, LetterGroup)
            for model in models:
                erased += model._default_manager.filter(group_key__in=gone).delete()[0]
        return Swept({"after": keys[-1]} if len(keys) == BATCH else None, len(keys), erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`: a count tells nothing that its letters do not."""
        return Collected(None)


def words_of_key(key: str) -> Iterator[str]:
    """What in the key of a group may be a value: its type and the steps of a place."""
    yield key
    for part in key.split("|"):
        yield part
        yield from words_in(part)


def _keys_after(last: str) -> list[str]:
    found: set[str] = set()
    for rows in (LetterTotal.objects, LetterGroup.objects):
        keys = rows.filter(group_key__gt=last).order_by("group_key")
        found |= set(keys.values_list("group_key", flat=True).distinct()[:BATCH])
    return sorted(found)[:BATCH]


def _pages(cursor: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any] | None, list[Row]]]:
    """Some letters at a time, each with the cursor after them, until the budget is spent."""
    deadline = time.monotonic() + walking.BUDGET_SECONDS
    at, name = cursor.get("at", _FIRST.isoformat()), cursor.get("id", _NOWHERE)
    while True:
        rows = sql.fetch_all(
            _WALK,
            {"after_at": datetime.fromisoformat(at), "after_id": name, "batch": BATCH,
             "most_bytes": MOST_BYTES},
        )  # fmt: skip
        if not rows:
            yield None, []
            return
        at, name = rows[-1]["received_at"].isoformat(), str(rows[-1]["id"])
        yield {"at": at, "id": name}, list(rows)
        if time.monotonic() >= deadline:
            return


def _meant(rows: Sequence[Row], names: Names) -> list[tuple[Row, bytes]]:
    """Those of the letters that are about or name somebody, with their bytes in clear."""
    bodies = [sealing.opened(bytes(row["body"]), row["id"]) for row in rows]
    documents = [_document(body) for body in bodies]
    sealed_for = _SealedFor(rows)
    sealed: list[list[Sealed]] = [
        list(sealed_in(document, stream_id=sealed_for(row), event_id=row["event_id"]))
        if PREFIX.encode() in body
        else []
        for row, body, document in zip(rows, bodies, documents, strict=True)
    ]
    meant = meant_in([one for some in sealed for one in some], names)
    found = []
    for row, body, document, some in zip(rows, bodies, documents, sealed, strict=True):
        untils = [meant[one.text] for one in some if one.text in meant]
        until = names.latest(_values(row, body, document))
        latest = max([*untils, *([until] if until is not None else [])], default=None)
        came = min(row["received_at"], row["occurred_at"] or row["received_at"])
        if latest is not None and came <= latest:
            found.append((row, body))
    return found


def _document(body: bytes) -> Any:
    """The JSON of a body; None of what is none."""
    try:
        return read_exact(body)
    except (ValueError, RecursionError):
        return None


def _values(row: Row, body: bytes, document: Any) -> Iterator[Any]:
    yield from (row["type"], row["event_id"], row["source"])
    yield from words_in(row["content_type"] or "")
    yield from values_in(document) if document is not None else words_of_bytes(body)
    if isinstance(document, dict) and isinstance(document.get("data_base64"), str):
        yield _text_of(document["data_base64"])
    yield from words_of_key(row["group_key"])
    for said in (row["errors"], row["tried"]):
        if said is not None:
            for value in values_in(read_exact(said)):
                yield from value.split("/") if isinstance(value, str) else (value,)


def _text_of(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


class _SealedFor:
    """The stream that a letter's values were sealed for: its own, or the one that its type names."""

    def __init__(self, rows: Sequence[Row]) -> None:
        types = {row["type"] for row in rows if not row["stream_id"]}
        self._by_name = dict(Stream.objects.filter(name__in=types).values_list("name", "pk"))
        aliases = StreamAlias.objects.filter(alias__in=types)
        self._by_name |= dict(aliases.values_list("alias", "stream_id"))

    def __call__(self, row: Row) -> int:
        return int(row["stream_id"] or self._by_name.get(row["type"], 0))


def _item(row: Row, body: bytes, names: Names) -> Mapping[str, Any]:
    """A letter as the person gets it: whole where it is about them, else that there is one."""
    document = _document(body)
    item: dict[str, Any] = {
        "about": False, "dead_letter": str(row["id"]), "received_at": row["received_at"],
        "reason": row["reason"], "type": row["type"],
    }  # fmt: skip
    if not isinstance(document, dict):
        return item
    if names.latest(document.get(name) for name in WHO) is None:
        return item
    # Numbers as any reader has them: what is given is read, not stored again.
    plain = orjson.loads(write_exact(document))
    clear, _ = in_clear(plain, stream_id=_SealedFor([row])(row), event_id=row["event_id"])
    return {**item, "about": True, "event": clear}
