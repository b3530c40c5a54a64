"""The catalog around a contract, read for one actor: only streams they may know of."""

from collections import Counter, defaultdict
from typing import Final

from django.db.models import QuerySet

from catalog.models import SchemaField, Stream
from catalog.neighbours import FieldUse, Neighbours
from catalog.selectors.streams import visible_streams
from portal.kernel.actor import Actor

MAX_FIELDS: Final = 20_000


def neighbours_of(actor: Actor, *, but: str = "") -> Neighbours:
    """Fields and streams of the catalog without one stream; one query, MAX_FIELDS rows at most.

    Reads through the index on (stream, is_current, position).
    """
    rows = _rows(visible_streams(actor).exclude(name=but).exclude(lifecycle="retired"))
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    streams: dict[str, set[str]] = defaultdict(set)
    used: dict[str, set[str]] = defaultdict(set)
    meanings: dict[str, str] = {}
    examples: dict[str, str] = {}
    for name, stream, depth, types, description in rows.iterator(chunk_size=2000):
        used[name].add(stream)
        examples.setdefault(name, stream)
        if depth == 0:
            streams[stream].add(name)
        kinds[name].update(kind for kind in types if kind != "null")
        if description and name not in meanings:
            meanings[name], examples[name] = description[:500], stream
    return Neighbours(
        fields={
            name: FieldUse(
                kind=counted.most_common(1)[0][0] if counted else "",
                streams=len(used[name]),
                example=examples[name],
                meaning=meanings.get(name, ""),
            )
            for name, counted in kinds.items()
        },
        streams={name: frozenset(fields) for name, fields in streams.items()},
    )


def _rows(streams: QuerySet[Stream]) -> QuerySet[SchemaField, tuple[str, str, int, list[str], str]]:
    return (
        SchemaField.objects.filter(is_current=True, stream__in=streams.values("pk"))
        .order_by("stream_id", "position")
        .values_list("name", "stream__name", "depth", "types", "description")[:MAX_FIELDS]
    )
