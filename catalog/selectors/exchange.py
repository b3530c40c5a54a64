"""The catalog as it looks outside: streams in the shape that every format is written from.

Versions are those that events may name, active and deprecated ones, oldest first, each labelled: by
its label, else by its number. What other tools said and no column holds stands in `extensions` as
it came (`catalog.exchange.portal_keys` says what the portal itself puts there).
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Count, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast, Length

from catalog.exchange.documents import OutsideStream, OutsideVersion
from catalog.exchange.portal_keys import FACTS, PORTAL
from catalog.exchange.portal_yaml import (
    ConsumerEntry,
    DomainEntry,
    MappingEntry,
    PortalFile,
    ProducerEntry,
    TeamEntry,
)
from catalog.models import (
    Consumer,
    ConsumerMapping,
    Domain,
    Producer,
    ProducerStream,
    SchemaVersion,
    Stream,
)
from catalog.selectors.streams import visible_streams
from catalog.types import Lifecycle, VersionState
from governance.models import Team
from portal.kernel import rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError

MAX_STREAMS: Final = 500
MAX_VERSIONS: Final = 5_000
MAX_BYTES: Final = 20 * 1024 * 1024
_NAMEABLE: Final = (VersionState.ACTIVE, VersionState.DEPRECATED)


def living_streams(
    actor: Actor,
    *,
    domain: str = "",
    producer: Producer | None = None,
    consumer: Consumer | None = None,
    names: Iterable[str] = (),
) -> QuerySet[Stream]:
    """The streams that the actor may know of and that are not retired, narrowed, by name.

    `names` are names or aliases; unknown ones find nothing.
    """
    rows = visible_streams(actor).exclude(lifecycle=Lifecycle.RETIRED)
    if domain:
        rows = rows.filter(domain__slug=domain)
    if producer is not None:
        sent = ProducerStream.objects.filter(producer=producer, stream__isnull=False)
        rows = rows.filter(pk__in=sent.values("stream"))
    if consumer is not None:
        read = ConsumerMapping.objects.filter(consumer=consumer)
        rows = rows.filter(pk__in=read.values("stream"))
    if wanted := list(names):
        named = Stream.objects.filter(Q(name__in=wanted) | Q(aliases__alias__in=wanted))
        rows = rows.filter(pk__in=named.values("pk"))
    return rows.order_by("name")


def outside_streams(rows: QuerySet[Stream], *, with_parties: bool = True) -> list[OutsideStream]:
    """The streams of a visible queryset as they look outside, in its order; nine queries.

    `with_parties` names their producers and consumers. Raises InvalidError with the way out when
    they are too many or too large for one document.
    """
    _check_bounds(rows)
    found = rows.prefetch_related("aliases", "tags")
    if with_parties:
        found = found.prefetch_related("permitted_producers__producer", "mappings__consumer")
    versions: dict[int, list[SchemaVersion]] = defaultdict(list)
    for row in SchemaVersion.objects.filter(
        stream__in=rows.order_by().values("pk"), state__in=_NAMEABLE
    ).order_by("stream_id", "version"):
        versions[row.stream_id].append(row)
    return [_outside(stream, versions[stream.pk], with_parties=with_parties) for stream in found]


def declared(actor: Actor, rows: QuerySet[Stream]) -> PortalFile:
    """A portal file of the streams: with their domains and teams, and the producers and consumers
    of any of them, as far as the actor may know what these send and read."""
    streams = outside_streams(rows, with_parties=False)
    keys = rows.order_by().values("pk")
    domains = Domain.objects.filter(streams__in=keys).select_related("owner_team").distinct()
    producers = (
        Producer.objects.filter(permitted__stream__in=keys)
        .select_related("team")
        .prefetch_related("permitted__stream", "sources")
        .distinct()
    )
    consumers = (
        Consumer.objects.filter(mappings__stream__in=keys)
        .select_related("team")
        .prefetch_related("mappings__stream")
        .distinct()
    )
    names = {one.name for one in streams}
    domain_entries = [_domain(one) for one in domains.order_by("slug")]
    producer_entries = [_producer(one, names) for one in producers.order_by("name")]
    consumer_entries = [_consumer(one, names) for one in consumers.order_by("name")]
    slugs = {one.owner for one in streams} | {one.owner for one in domain_entries}
    slugs |= {one.team for one in producer_entries} | {one.team for one in consumer_entries}
    teams = Team.objects.filter(slug__in=[slug for slug in slugs if slug]).order_by("slug")
    return PortalFile(
        domains=tuple(domain_entries),
        teams=tuple(
            TeamEntry(one.slug, name=one.name, description=one.description or None) for one in teams
        ),
        streams=tuple(streams),
        producers=tuple(producer_entries),
        consumers=tuple(consumer_entries),
    )


def _check_bounds(rows: QuerySet[Stream]) -> None:
    count = rows.order_by().count()
    held = SchemaVersion.objects.filter(
        stream__in=rows.order_by().values("pk"), state__in=_NAMEABLE
    ).aggregate(
        versions=Count("pk"), characters=Sum(Length(Cast("document", output_field=TextField())))
    )
    if (
        count <= MAX_STREAMS
        and held["versions"] <= MAX_VERSIONS
        and (held["characters"] or 0) <= MAX_BYTES
    ):
        return
    raise InvalidError(
        f"{count:,} streams with {held['versions']:,} versions are more than one document holds: "
        f"{MAX_STREAMS} streams, {MAX_VERSIONS:,} versions or 20 MiB of schemas at most. "
        "Narrow it by domain, stream, producer or consumer.",
        code="too_many",
    )


def _outside(
    stream: Stream, versions: Iterable[SchemaVersion], *, with_parties: bool
) -> OutsideStream:
    fresh = Stream()
    facts = {
        name: getattr(stream, name)
        for name in FACTS
        if getattr(stream, name) != getattr(fresh, name)
    }
    extensions = {**stream.extensions, **({PORTAL: facts} if facts else {})}
    producers, consumers = _parties(stream) if with_parties else ((), ())
    return OutsideStream(
        name=stream.name,
        title=stream.title,
        description=stream.description,
        domain=stream.domain.slug,
        owner=stream.owner_team.slug if stream.owner_team else "",
        tier=stream.tier,
        track=stream.track,
        classification=stream.classification,
        compatibility_mode=stream.compatibility_mode,
        compatibility_policy=stream.compatibility_policy,
        retention_days=stream.retention_days,
        tags=tuple(sorted(tag.slug for tag in stream.tags.all())),
        aliases=tuple(sorted(alias.alias for alias in stream.aliases.all())),
        producers=producers,
        consumers=consumers,
        versions=_versions(versions),
        extensions=extensions,
    )


def _parties(stream: Stream) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(sorted(row.producer.name for row in stream.permitted_producers.all())),
        tuple(sorted(row.consumer.name for row in stream.mappings.all())),
    )


def _versions(rows: Iterable[SchemaVersion]) -> tuple[OutsideVersion, ...]:
    found: list[OutsideVersion] = []
    group = 0
    for row in rows:
        facts: dict[str, Any] = {}
        if 0 < group < row.compatibility_group:
            facts["compatibility_group"] = "new"
        if row.state == VersionState.DEPRECATED:
            facts["state"] = str(VersionState.DEPRECATED)
            if row.sunset_at is not None:
                facts["sunset_at"] = rfc3339.spell(row.sunset_at)
            facts["migration"] = row.migration_note
        group = max(group, row.compatibility_group)
        found.append(
            OutsideVersion(
                label=row.label or str(row.version),
                document=row.document,
                note=row.note,
                extensions={**row.extensions, **({PORTAL: facts} if facts else {})},
            )
        )
    return tuple(found)


def _domain(domain: Domain) -> DomainEntry:
    return DomainEntry(
        slug=domain.slug,
        name=domain.name,
        description=domain.description or None,
        owner=domain.owner_team.slug if domain.owner_team else None,
    )


def _producer(producer: Producer, known: set[str]) -> ProducerEntry:
    rows = producer.permitted.all()
    sent = sorted(row.stream.name for row in rows if row.stream and row.stream.name in known)
    return ProducerEntry(
        name=producer.name,
        title=producer.title or None,
        description=producer.description or None,
        team=producer.team.slug if producer.team else None,
        default_domain=producer.default_domain or None,
        is_test=producer.is_test or None,
        sources=tuple(sorted(one.source for one in producer.sources.all() if one.declared)) or None,
        streams=tuple(sent),
        globs=tuple(sorted(row.glob for row in rows if row.glob)) or None,
    )


def _consumer(consumer: Consumer, known: set[str]) -> ConsumerEntry:
    return ConsumerEntry(
        name=consumer.name,
        title=consumer.title or None,
        description=consumer.description or None,
        kind=consumer.kind,
        team=consumer.team.slug if consumer.team else None,
        mappings=tuple(
            MappingEntry(row.stream.name, tuple(row.fields), row.version, row.purpose)
            for row in sorted(consumer.mappings.all(), key=lambda row: row.stream.name)
            if row.stream.name in known
        ),
    )
