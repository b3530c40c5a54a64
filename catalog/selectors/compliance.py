"""How streams stand with the rules: owners, reviews, findings, personal data, retention, access.

One row a stream serves the compliance report of a domain and the record of processing activities.
Each reader asks a fixed number of questions of the database, however many streams it is given.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from catalog.classified import PERSONAL
from catalog.models import (
    ConsumerMapping,
    Domain,
    DomainConsumerPermission,
    DomainGroupPermission,
    DomainProducerPermission,
    DomainUserPermission,
    ProducerStream,
    SchemaField,
    StreamConsumerPermission,
    StreamGroupPermission,
    StreamProducerPermission,
    StreamUserPermission,
)
from catalog.reviewing import due_expression
from catalog.selectors.streams import visible_streams
from catalog.types import Lifecycle, SubjectPrivacy
from governance import access
from governance.models import PolicyFinding, Review
from governance.selectors.policies import visible_findings
from governance.selectors.reviews import OPEN
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

_LABELLED = SchemaField.objects.filter(
    stream=OuterRef("pk"), is_current=True, classification__in=PERSONAL
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant that holds, for who decides on the thing it is on."""

    holder: str
    permission: str
    purpose: str
    until: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One stream. `owner` is its team's name or its domain's, empty without one; `grants` those that
    the reader decides on, `grants_count` and `last_used_at` are of all that hold."""

    stream: Any
    owner: str
    review_id: UUID | None
    review_due_at: datetime | None
    findings: tuple[Any, ...]  # PolicyFinding, each with `waived`
    fields: tuple[SchemaField, ...]
    consumers: tuple[ConsumerMapping, ...]
    producers: tuple[str, ...]
    grants: tuple[Grant, ...]
    grants_count: int
    last_used_at: datetime | None

    @property
    def is_overdue(self) -> bool:
        return self.review_due_at is not None and self.review_due_at < clock.now()

    @property
    def subject_treatment(self) -> str:
        """What becomes of the stream's subject, in words."""
        return SubjectPrivacy(self.stream.subject_privacy).said

    @property
    def untreated(self) -> int:
        """Personal fields that are kept as sent."""
        return sum(not field.privacy for field in self.fields)


def reported(actor: Actor, *, domain: str = "") -> QuerySet[Any]:
    """Streams that the actor may know of and that are not retired, each with `review_due_at`."""
    rows = visible_streams(actor).exclude(lifecycle=Lifecycle.RETIRED)
    if domain:
        rows = rows.filter(domain__slug=domain)
    return rows.select_related("domain__owner_team", "owner_team").annotate(
        review_due_at=due_expression()
    )


def overdue_count(actor: Actor) -> int:
    """Of how many of these the review is overdue, over all domains."""
    return reported(actor).filter(review_due_at__lt=clock.now()).count()


def processing(actor: Actor, *, domain: str = "") -> QuerySet[Any]:
    """Of these and the retired ones, whose events may still be kept, what holds personal data."""
    rows = visible_streams(actor).filter(
        Q(classification__in=PERSONAL) | Q(subject_classification__in=PERSONAL) | Exists(_LABELLED)
    )
    if domain:
        rows = rows.filter(domain__slug=domain)
    return rows.select_related("domain__owner_team", "owner_team").annotate(
        review_due_at=due_expression()
    )


def domain_totals(actor: Actor) -> QuerySet[Any, dict[str, Any]]:
    """One row a domain with streams that the actor may know of, by slug: how many there are, and of
    how many the review is overdue, nobody is the owner, a policy finds something, a personal field
    has no treatment."""
    findings: QuerySet[Any] = visible_findings(actor)
    breaking = findings.filter(subject_kind="stream", waived=False)
    rows = reported(actor).annotate(untreated_field=Exists(_LABELLED.filter(privacy="")))
    counted: QuerySet[Any, dict[str, Any]] = (
        rows.order_by()
        .values("domain__slug", "domain__name")
        .annotate(
            streams=Count("pk"),
            overdue=Count("pk", filter=Q(review_due_at__lt=clock.now())),
            ownerless=Count("pk", filter=Q(owner_team=None, domain__owner_team=None)),
            found=Count("pk", filter=Q(name__in=breaking.order_by().values("subject_key"))),
            untreated=Count("pk", filter=Q(untreated_field=True)),
        )
        .order_by("domain__slug")
    )
    return counted


def standings(actor: Actor, streams: Sequence[Any]) -> list[Standing]:
    """How each stream stands, in the order given."""
    ids, names = [one.pk for one in streams], [one.name for one in streams]
    fields: dict[int, list[SchemaField]] = defaultdict(list)
    consumers: dict[int, list[ConsumerMapping]] = defaultdict(list)
    producers: dict[int, list[str]] = defaultdict(list)
    found: dict[str, list[PolicyFinding]] = defaultdict(list)
    labelled = SchemaField.objects.filter(
        stream__in=ids, is_current=True, classification__in=PERSONAL
    )
    for field in labelled.order_by("stream", "position"):
        fields[field.stream_id].append(field)
    mappings = ConsumerMapping.objects.filter(stream__in=ids).select_related("consumer")
    for mapping in mappings.order_by("consumer__name"):
        consumers[mapping.stream_id].append(mapping)
    permitted = ProducerStream.objects.filter(stream__in=ids).order_by("producer__name")
    for stream_id, name in permitted.values_list("stream_id", "producer__name"):
        producers[stream_id].append(name)
    findings = visible_findings(actor).filter(subject_kind="stream", subject_key__in=names)
    for finding in findings.order_by("policy__slug"):
        found[finding.subject_key].append(finding)
    reviews = Review.objects.filter(OPEN, resource_kind="stream", resource_key__in=names)
    waiting = dict(reviews.values_list("resource_key", "pk"))
    held = _grants(actor, streams)
    return [
        Standing(
            stream=one,
            owner=getattr(one.owner_team or one.domain.owner_team, "name", ""),
            review_id=waiting.get(one.name),
            review_due_at=None if one.lifecycle == Lifecycle.RETIRED else one.review_due_at,
            findings=tuple(found[one.name]),
            fields=tuple(fields[one.pk]),
            consumers=tuple(consumers[one.pk]),
            producers=tuple(producers[one.pk]),
            grants=tuple(held[one.pk].shown),
            grants_count=held[one.pk].count,
            last_used_at=held[one.pk].last_used_at,
        )
        for one in streams
    ]


@dataclass(slots=True)
class _Held:
    shown: list[Grant]
    count: int = 0
    last_used_at: datetime | None = None

    def add(self, row: Any, kind: str, *, is_shown: bool) -> None:
        self.count += 1
        last = row.last_used_at
        if last is not None and (self.last_used_at is None or last > self.last_used_at):
            self.last_used_at = last
        if is_shown:
            permission = row.permission.codename.removesuffix(f"_{kind}")
            self.shown.append(Grant(_holder(row), permission, row.purpose, row.valid_until, last))


def _holder(row: Any) -> str:
    for column in ("consumer", "producer"):
        if hasattr(row, column):
            return str(getattr(row, column).ref)
    group = getattr(row, "group", None)
    return str(row.user.email if group is None else getattr(group, "team", group).name)


def _grants(actor: Actor, streams: Sequence[Any]) -> dict[int, _Held]:
    """The grants that hold on each stream or on its domain, by stream."""
    held = {one.pk: _Held([]) for one in streams}
    for pk, kind, row, is_shown in _live_grants(actor, streams):
        held[pk].add(row, kind, is_shown=is_shown)
    return held


@dataclass(frozen=True, slots=True)
class PersonalGrant:
    """One grant to personal fields that holds; no `fields`: to all. `is_shown`: its purpose may be
    shown to who asked, as they decide on the thing it is on."""

    fields: tuple[str, ...]
    purpose: str
    is_shown: bool


def personal_grants(actor: Actor, streams: Sequence[Any]) -> dict[int, list[PersonalGrant]]:
    """The grants to personal fields that hold on each stream or on its domain, by stream."""
    held: dict[int, list[PersonalGrant]] = {one.pk: [] for one in streams}
    for pk, kind, row, is_shown in _live_grants(actor, streams, Permission.READ_PERSONAL):
        del kind
        held[pk].append(PersonalGrant(tuple(row.fields), row.purpose, is_shown))
    return held


def _live_grants(
    actor: Actor, streams: Sequence[Any], permission: Permission | None = None
) -> Iterator[tuple[int, str, Any, bool]]:
    """Each grant that holds on a stream or on its domain: the stream's key, what it is on, the row, and
    whether the actor decides on that."""
    of_stream = {one.pk: [one.pk] for one in streams}
    of_domain: dict[int, list[int]] = defaultdict(list)
    for one in streams:
        of_domain[one.domain_id].append(one.pk)
    tables: tuple[tuple[str, type[Model], str, dict[int, list[int]]], ...] = (
        ("stream", StreamUserPermission, "user", of_stream),
        ("stream", StreamGroupPermission, "group__team", of_stream),
        ("stream", StreamConsumerPermission, "consumer", of_stream),
        ("stream", StreamProducerPermission, "producer", of_stream),
        ("domain", DomainUserPermission, "user", of_domain),
        ("domain", DomainGroupPermission, "group__team", of_domain),
        ("domain", DomainConsumerPermission, "consumer", of_domain),
        ("domain", DomainProducerPermission, "producer", of_domain),
    )
    decided = {kind: _decided(actor, kind, placed) for kind, placed in
               (("stream", of_stream), ("domain", of_domain))}  # fmt: skip
    for kind, table, holder, placed in tables:
        rows: QuerySet[Any] = table._default_manager.filter(
            content_object__in=placed, valid_from__lte=Now(), valid_until__gt=Now(), revoked_at=None
        )
        if permission is not None:
            rows = rows.filter(permission__codename=f"{permission}_{kind}")
        for row in rows.select_related("permission", holder).order_by("valid_until", "pk"):
            for pk in placed[row.content_object_id]:
                yield pk, kind, row, row.content_object_id in decided[kind]


def _decided(actor: Actor, kind: str, keys: dict[int, list[int]]) -> set[int]:
    """Those of some things on which the actor decides: all of them for admins."""
    if actor.is_admin:
        return set(keys)
    if not actor.is_person:
        return set()
    things = access.approved_by(actor, access.protected_kinds()[kind]).filter(pk__in=keys)
    return set(things.values_list("pk", flat=True))


def domains_shown(actor: Actor) -> QuerySet[Domain]:
    """The domains that have a stream which the actor may know of, by slug."""
    streams = visible_streams(actor).order_by().values("domain")
    return Domain.objects.filter(pk__in=streams).order_by("slug")
