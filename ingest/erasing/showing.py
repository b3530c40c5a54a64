"""Stored events as the person whom they are about gets them: in clear, as CloudEvents.

Of an event that is about somebody else and only names them they get which it is and where: what else
stands in it is the other's.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from catalog.models import Stream
from ingest.erasing.judging import Row, Verdict
from ingest.judging.drift import join
from ingest.services.reveal import in_clear


def items_of(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> list[Mapping[str, Any]]:
    """What a person gets of rows that were judged; nothing of those that do not mean them."""
    found = [
        (row, verdict)
        for row, verdict in zip(rows, verdicts, strict=True)
        if verdict.goes or verdict.changes
    ]
    if not found:
        return []
    streams = {row["stream_id"] for row, _ in found}
    names = dict(Stream.objects.filter(pk__in=streams).values_list("pk", "name"))
    return [
        _whole(row, names) if verdict.goes else _named(row, verdict, names)
        for row, verdict in found
    ]


def _whole(row: Row, names: Mapping[int, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": row["event_id"],
        "source": row["source"],
        "type": names.get(row["stream_id"], ""),
        "time": row["occurred_at"],
        "subject": row["subject"],
        **orjson.loads(row["attributes"]),
    }
    if row["data_base64"] is not None:
        document["data_base64"] = base64.b64encode(bytes(row["data_base64"])).decode("ascii")
    elif row["data"] is not None:
        document["data"] = _as_it_came(row)
    clear, _ = in_clear(document, stream_id=row["stream_id"], event_id=row["event_id"])
    return {"about": True, "event": clear, "received_at": row["received_at"]}


def _as_it_came(row: Row) -> Any:
    """The data with what was set aside put back where it stood."""
    data = orjson.loads(row["data"])
    for pointer, value in orjson.loads(row["extra"] or b"{}").items():
        try:
            data = join(data, {pointer: value})
        except (KeyError, IndexError, TypeError, ValueError):
            # Where it stood is gone, as that had a life of its own.
            data = {"data": data} if not isinstance(data, dict) else data
            data[pointer] = value
    return data


def _named(row: Row, verdict: Verdict, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "about": False,
        "event": {
            "id": row["event_id"],
            "type": names.get(row["stream_id"], ""),
            "time": row["occurred_at"],
        },
        "received_at": row["received_at"],
        "places": list(verdict.places),
    }
