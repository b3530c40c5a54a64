"""Reading lineage: who sends streams and who reads them, with what really came in 24 hours.

A producer and a consumer of one name are one party, a service: through it lineage goes on from the
streams it reads to the streams it sends. Only streams that the actor may know of are gone through,
so what hangs on others alone is neither shown nor counted.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from django.db.models import F, QuerySet

from analytics.lineage import GROUPED_FROM, Edge, Graph, Node, bounded, grouped
from analytics.selectors import volume
from catalog.models import Consumer, ConsumerMapping, Producer, ProducerStream, Stream
from catalog.selectors.streams import visible_streams
from ingest.selectors import health
from portal.kernel.actor import Actor

MAX_STREAMS: Final = 400
MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of the lineage is looked at: streams of a domain, of a team, and with events."""

    domain: str = ""
    team: str = ""
    active: bool = False


@dataclass(slots=True)
class _Parts:
    """What was gathered so far: streams, the steps of nodes by key, and the pairs between them."""

    streams: dict[int, Stream]
    steps: dict[str, int] = field(default_factory=dict)
    declared: set[tuple[str, int]] = field(default_factory=set)  # a party sends a stream
    reads: set[tuple[int, str]] = field(default_factory=set)  # a party reads a stream
    seen: dict[tuple[str, int], int] = field(default_factory=dict)  # events a party sent
    looked_at: set[int] = field(default_factory=set)


def lineage_of(actor: Actor, stream: Stream, *, depth: int = 1) -> Graph:
    """The lineage of one stream so many steps each way; a fixed number of queries for each step."""
    known = visible_streams(actor)
    parts = _Parts({stream.pk: stream}, {_key(stream): 0})
    back, ahead = {stream.pk}, {stream.pk}
    senders: set[str] = set()
    readers: set[str] = set()
    for step in range(1, depth + 1):
        if step % 2:
            senders, readers = _senders(parts, back), _readers(parts, ahead)
            _reach(parts, map(_party_key, senders), -step)
            _reach(parts, map(_party_key, readers), step)
        else:
            back = _take(parts, _read_by(parts, senders, known), -step)
            ahead = _take(parts, _sent_by(parts, readers, known), step)
    return bounded(_graph(parts, focus=_key(stream)))


def lineage_within(actor: Actor, scope: Scope, *, is_grouped: bool | None = None) -> Graph:
    """The streams of a scope, one step each way; grouped by domain where there are many.

    Of more than MAX_STREAMS those with the newest events are taken, the rest are `left_out`.
    """
    rows = streams_in(actor, scope)
    newest = rows.order_by(F("last_event_at").desc(nulls_last=True), "name")
    parts = _Parts({row.pk: row for row in newest[:MAX_STREAMS]})
    left_out = rows.count() - MAX_STREAMS if len(parts.streams) == MAX_STREAMS else 0
    _senders(parts, parts.streams)
    _readers(parts, parts.streams)
    whole = _graph(parts, active=scope.active)
    is_large = not scope.domain and len(whole.nodes) > GROUPED_FROM
    if is_grouped or (is_grouped is None and is_large):
        whole = grouped(whole, {_key(row): row.domain.slug for row in parts.streams.values()})
    return bounded(replace(whole, left_out=left_out))


def streams_in(actor: Actor, scope: Scope) -> QuerySet[Stream]:
    """The streams of a scope that the actor may know of; retired ones have no lineage any more."""
    rows = visible_streams(actor).exclude(lifecycle="retired")
    if scope.domain:
        rows = rows.filter(domain__slug=scope.domain)
    if scope.team:
        rows = rows.filter(owner_team__slug=scope.team)
    return rows


def _senders(parts: _Parts, ids: Collection[int]) -> set[str]:
    """Who sends these streams, said by name or seen in the last 24 hours."""
    rows = ProducerStream.objects.filter(stream__in=ids).values_list("producer__name", "stream_id")
    declared = set(rows)
    parts.declared |= declared
    _look(parts, ids)
    return {name for name, _ in declared} | {name for name, stream in parts.seen if stream in ids}


def _look(parts: _Parts, ids: Collection[int]) -> None:
    """Take in what really came of streams that were not looked at yet."""
    fresh = set(ids) - parts.looked_at
    parts.looked_at |= fresh
    sent = health.sent(fresh)
    names = dict(
        Producer.objects.filter(pk__in={producer for _, producer in sent}).values_list("pk", "name")
    )
    parts.seen |= {
        (names[producer], stream): events
        for (stream, producer), events in sent.items()
        if producer in names
    }


def _readers(parts: _Parts, ids: Collection[int]) -> set[str]:
    """Who declared to read these streams."""
    rows = set(
        ConsumerMapping.objects.filter(stream__in=ids).values_list("stream_id", "consumer__name")
    )
    parts.reads |= rows
    return {name for _, name in rows}


def _read_by(parts: _Parts, parties: set[str], known: QuerySet[Stream]) -> list[Stream]:
    """The streams that parties read, of those that are known."""
    rows = set(
        ConsumerMapping.objects.filter(
            consumer__name__in=parties, stream__in=known.values("pk")
        ).values_list("stream_id", "consumer__name")
    )
    parts.reads |= rows
    return list(known.filter(pk__in={stream for stream, _ in rows}))


def _sent_by(parts: _Parts, parties: set[str], known: QuerySet[Stream]) -> list[Stream]:
    """The streams that parties are permitted to send by name, of those that are known."""
    rows = ProducerStream.objects.filter(
        producer__name__in=parties, stream__in=known.values("pk")
    ).values_list("producer__name", "stream_id")
    declared = set(rows)
    parts.declared |= declared
    return list(known.filter(pk__in={stream for _, stream in declared}))


def _take(parts: _Parts, rows: Iterable[Stream], step: int) -> set[int]:
    """Take in streams not met before, as many as there is room for; gives them for the next step."""
    fresh = sorted((row for row in rows if row.pk not in parts.streams), key=lambda row: row.name)
    taken = {row.pk: row for row in fresh[: max(MAX_STREAMS - len(parts.streams), 0)]}
    parts.streams |= taken
    _reach(parts, map(_key, taken.values()), step)
    return set(taken)


def _reach(parts: _Parts, keys: Iterable[str], step: int) -> None:
    for key in keys:
        parts.steps.setdefault(key, step)


def _graph(parts: _Parts, *, focus: str = "", active: bool = False) -> Graph:
    """Nodes and edges with volumes; `active` leaves out streams without an event in 24 hours."""
    _look(parts, parts.streams)
    came = volume.last_day(parts.streams)
    shown = {pk: row for pk, row in parts.streams.items() if not active or came.get(pk)}
    split = _split(parts.seen, came)
    edges = [
        Edge(
            _party_key(party),
            _key(shown[stream]),
            split.get((party, stream), 0),
            declared=(party, stream) in parts.declared,
            seen=(party, stream) in parts.seen,
        )
        for party, stream in sorted(parts.declared | set(parts.seen))
        # Others may send a stream at the rim of the picture too, but lie beyond it.
        if stream in shown and (not focus or _party_key(party) in parts.steps)
    ]
    edges += [
        Edge(_key(shown[stream]), _party_key(party), came.get(stream, 0), declared=True)
        for stream, party in sorted(parts.reads)
        if stream in shown
    ]
    nodes = {
        _key(row): Node(
            _key(row), "stream", row.name, detail=row.domain.slug, events=came.get(pk, 0),
            step=parts.steps.get(_key(row)),
        )
        for pk, row in shown.items()
    }  # fmt: skip
    return Graph(nodes | _party_nodes(edges, parts.steps), edges, focus)


def _split(
    seen: Mapping[tuple[str, int], int], came: Mapping[int, int]
) -> dict[tuple[str, int], int]:
    """The counted events of each stream by who sent them, as ingest's accounts have their shares.

    The two are of one day but not of the same minute, so that a sum of one is not the other; where
    nothing is counted yet, the accounts stand for themselves.
    """
    whole: dict[int, int] = defaultdict(int)
    for (_, stream), events in seen.items():
        whole[stream] += events
    return {
        (party, stream): round(events * came.get(stream, whole[stream]) / whole[stream])
        for (party, stream), events in seen.items()
    }


def _party_nodes(edges: Iterable[Edge], steps: dict[str, int]) -> dict[str, Node]:
    sends: dict[str, int] = defaultdict(int)
    reads: dict[str, int] = defaultdict(int)
    for edge in edges:
        if edge.source.startswith("party:"):
            sends[edge.source] += edge.events
        else:
            reads[edge.target] += edge.events
    names = {key.removeprefix("party:") for key in (*sends, *reads)}
    producers = dict(Producer.objects.filter(name__in=names).values_list("name", "title"))
    rows = Consumer.objects.filter(name__in=names).only("name", "title", "kind")
    consumers = {row.name: row for row in rows}
    found = {}
    for key in sorted({*sends, *reads}):
        name = key.removeprefix("party:")
        consumer = consumers.get(name) if key in reads else None
        kind = "producer" if consumer is None else "service" if key in sends else "consumer"
        found[key] = Node(
            key,
            kind,
            name,
            label=(consumer.title if consumer else producers.get(name, "")) or name,
            detail=consumer.kind if consumer and kind == "consumer" else kind,
            events=sends.get(key, 0) or reads.get(key, 0),
            step=steps.get(key),
        )
    return found


def _key(stream: Stream) -> str:
    return f"stream:{stream.name}"


def _party_key(name: str) -> str:
    return f"party:{name}"
