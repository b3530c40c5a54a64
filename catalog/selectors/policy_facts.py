"""Reading the facts of streams, open changes and consumers for policies, many at once.

Each reader asks a fixed number of questions of the database, however many things it reads.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import CharField, Count, Q, QuerySet
from django.db.models.functions import Cast

from catalog.field_index import FieldRow
from catalog.models import (
    Change,
    Consumer,
    ConsumerMapping,
    ProducerStream,
    SchemaField,
    SchemaVersion,
    Stream,
    StreamTag,
)
from catalog.policy_facts import FieldLike, as_with, change_facts, field_facts, own_facts
from catalog.selectors.streams import visible_streams
from catalog.touched import BREAKS, effect_on, touched_fields
from catalog.types import OPEN_STATES, Lifecycle
from governance import access
from governance.models import User
from governance.policies.facts import Thing
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

Readers = Mapping[int, Mapping[str, list[str]]]


def stream_things(after: str, limit: int) -> list[Thing]:
    """Streams after a name with the contract that is their default, by name."""
    rows = Stream.objects.select_related("domain__owner_team", "owner_team")
    return _stream_things(list(rows.filter(name__gt=after).order_by("name")[:limit]))


def stream_thing(stream: Stream) -> Thing:
    """One stream as it is now, whatever of it is at hand."""
    rows = Stream.objects.select_related("domain__owner_team", "owner_team")
    return _stream_things([rows.get(pk=stream.pk)])[0]


def known_streams(actor: Actor) -> QuerySet[Any, Any]:
    return visible_streams(actor).order_by().values("name")


def stream_titles(actor: Actor, keys: Sequence[str]) -> dict[str, str]:
    rows = visible_streams(actor).order_by().filter(name__in=keys)
    return {name: name for name in rows.values_list("name", flat=True)}


def _stream_things(streams: Sequence[Stream]) -> list[Thing]:
    facts = _facts_of(streams)
    fields = _current_fields(streams)
    return [
        Thing(
            stream.name,
            {
                "stream": facts[stream.pk],
                "contract": {
                    "version": stream.default_version or 0,
                    "fields": field_facts(fields[stream.pk]),
                },
            },
        )
        for stream in streams
    ]


def _facts_of(streams: Iterable[Stream]) -> dict[int, dict[str, Any]]:
    rows = {stream.pk: stream for stream in streams}
    tags = defaultdict(list)
    for pk, slug in (
        StreamTag.objects.filter(stream__in=rows)
        .order_by("tag__slug")
        .values_list("stream_id", "tag__slug")
    ):
        tags[pk].append(slug)
    producers = _counts(ProducerStream.objects.filter(stream__in=rows))
    consumers = _counts(ConsumerMapping.objects.filter(stream__in=rows))
    approvers = _approvers(list(rows.values()))
    now = clock.now()
    found = {}
    for pk, stream in rows.items():
        owner = stream.owner_team or stream.domain.owner_team
        found[pk] = {
            **own_facts(stream),
            "domain": stream.domain.slug,
            "owner": owner.slug if owner is not None else "",
            "tags": tags[pk],
            "approvers": approvers[pk],
            "producers": producers.get(pk, 0),
            "consumers": consumers.get(pk, 0),
            "age_days": (now - stream.created_at).days,
        }
    return found


def _counts(rows: QuerySet[Any]) -> dict[int, int]:
    counted = rows.order_by().values("stream_id").annotate(number=Count("pk"))
    return {row["stream_id"]: row["number"] for row in counted}


def _approvers(streams: Sequence[Stream]) -> dict[int, int]:
    """How many active people may approve on each, as its owners or by a live grant."""
    held = access.held_by(Permission.APPROVE, streams)
    everybody = set().union(*held.values())
    active = set(User.objects.filter(pk__in=everybody, is_active=True).values_list("pk", flat=True))
    return {pk: len(people & active) for pk, people in held.items()}


def _current_fields(streams: Iterable[Stream]) -> dict[int, list[SchemaField]]:
    found: dict[int, list[SchemaField]] = defaultdict(list)
    rows = SchemaField.objects.filter(stream__in=[one.pk for one in streams], is_current=True)
    for row in rows.order_by("stream_id", "position"):
        found[row.stream_id].append(row)
    return found


def _readers_of(streams: Iterable[Stream]) -> Readers:
    """The fields that each consumer declared, by stream."""
    found: dict[int, dict[str, list[str]]] = defaultdict(dict)
    rows = ConsumerMapping.objects.filter(stream__in=[one.pk for one in streams])
    for pk, name, fields in rows.values_list("stream_id", "consumer__name", "fields"):
        found[pk][name] = fields
    return found


# Changes


def change_things(after: str, limit: int) -> list[Thing]:
    """Open changes after an id, by id."""
    rows = _open_changes().select_related(
        "version", "stream__domain__owner_team", "stream__owner_team"
    )
    if after:
        rows = rows.filter(pk__gt=UUID(after))
    changes = list(rows.order_by("pk")[:limit])
    streams = {change.stream_id: change.stream for change in changes}.values()
    facts, current, readers = _facts_of(streams), _current_fields(streams), _readers_of(streams)
    proposed: dict[int, list[SchemaField]] = defaultdict(list)
    versions = [change.version_id for change in changes]
    for row in SchemaField.objects.filter(schema_version__in=versions).order_by("position"):
        proposed[row.schema_version_id].append(row)
    return [
        Thing(
            str(change.pk),
            _candidate(
                facts[change.stream_id],
                change.version,
                old=current[change.stream_id],
                new=proposed[change.version_id],
                readers=readers.get(change.stream_id, {}),
                stated=stated_by(change),
            ),
        )
        for change in changes
    ]


def _open_changes() -> QuerySet[Change]:
    return Change.objects.filter(version__state__in=OPEN_STATES)


def count_open_changes() -> int:
    return _open_changes().count()


def known_changes(actor: Actor) -> QuerySet[Any, Any]:
    rows = _open_changes().filter(stream__in=visible_streams(actor).order_by().values("pk"))
    return rows.annotate(key=Cast("pk", CharField())).order_by().values("key")


def change_titles(actor: Actor, keys: Sequence[str]) -> dict[str, str]:
    """What open changes are called, of those that the actor may know of."""
    ids = [key for key in keys if _is_uuid(key)]
    rows = _open_changes().filter(
        pk__in=ids, stream__in=visible_streams(actor).order_by().values("pk")
    )
    return {str(row.pk): str(row) for row in rows.select_related("stream", "version")}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def stated_by(change: Change) -> dict[str, Any]:
    """What a proposal says itself; `compatible` is not known before its report is there."""
    stated: dict[str, Any] = {
        "summary": change.summary,
        "opens_group": change.opens_group,
        "needed_approvals": change.needed_approvals,
    }
    if "verdict" in change.report:
        stated["compatible"] = bool(change.report["verdict"]["compatible"])
    return stated


def candidate_thing(
    stream: Stream,
    document: Mapping[str, Any],
    new: Sequence[FieldLike],
    *,
    key: str = "",
    number: int = 0,
    stated: Mapping[str, Any],
) -> Thing:
    """A candidate for a stream, kept or not, with the facts of `change`, `stream` and `contract`."""
    rows = Stream.objects.select_related("domain__owner_team", "owner_team")
    stream = rows.get(pk=stream.pk)
    version = SchemaVersion(version=number, document=document)
    facts = _candidate(
        _facts_of([stream])[stream.pk],
        version,
        old=_current_fields([stream])[stream.pk],
        new=new,
        readers=_readers_of([stream]).get(stream.pk, {}),
        stated=stated,
    )
    return Thing(key, facts)


def _candidate(
    stream: dict[str, Any],
    version: SchemaVersion,
    *,
    old: Sequence[SchemaField],
    new: Sequence[FieldLike],
    readers: Mapping[str, list[str]],
    stated: Mapping[str, Any],
) -> dict[str, Any]:
    touched = touched_fields([_row(one) for one in old], [_row(one) for one in new])
    broken = [name for name, paths in readers.items() if effect_on(touched, paths)[0] == BREAKS]
    return {
        "change": change_facts(
            old, new, readers=readers, broken=sorted(broken), version=version.version, **stated
        ),
        "stream": as_with(stream, version.document),
        "contract": {"version": version.version, "fields": field_facts(new)},
    }


def _row(row: Any) -> FieldRow:
    """A field of the index as the rules of touching read it."""
    if isinstance(row, FieldRow):
        return row
    names = FieldRow.__slots__
    return FieldRow(**{name: getattr(row, name) for name in names} | {"types": tuple(row.types)})


# Consumers


def consumer_things(after: str, limit: int) -> list[Thing]:
    """Consumers after a name, by name."""
    rows = Consumer.objects.filter(name__gt=after).order_by("name")
    return _consumer_things(rows[:limit])


def consumer_thing(consumer: Consumer) -> Thing:
    """One consumer as it is now."""
    return _consumer_things(Consumer.objects.filter(pk=consumer.pk))[0]


def _consumer_things(rows: QuerySet[Consumer]) -> list[Thing]:
    now = clock.now()
    retired = Q(mappings__stream__lifecycle=Lifecycle.RETIRED)
    counted = rows.select_related("team").annotate(
        streams=Count("mappings", distinct=True),
        retired=Count("mappings", filter=retired, distinct=True),
        vague=Count("mappings", filter=Q(mappings__fields=[]), distinct=True),
    )
    return [
        Thing(
            row.name,
            {
                "consumer": {
                    "name": row.name,
                    "description": row.description,
                    "kind": row.kind,
                    "team": row.team.slug if row.team is not None else "",
                    "streams": row.streams,
                    "retired_streams": row.retired,
                    "without_fields": row.vague,
                    "age_days": (now - row.created_at).days,
                }
            },
        )
        for row in counted
    ]


def known_consumers(actor: Actor) -> QuerySet[Any, Any]:
    """All of them: the existence of a consumer is no secret."""
    return Consumer.objects.order_by().values("name")


def consumer_titles(actor: Actor, keys: Sequence[str]) -> dict[str, str]:
    rows = Consumer.objects.filter(name__in=keys)
    return {row.name: row.title or row.name for row in rows}
