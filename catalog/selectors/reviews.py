"""What a review of a stream is about: when it is due, and what the portal knows of each point."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now

from catalog.classified import PERSONAL
from catalog.models import (
    ConsumerMapping,
    DomainConsumerPermission,
    DomainGroupPermission,
    DomainProducerPermission,
    DomainUserPermission,
    SchemaField,
    Stream,
    StreamConsumerPermission,
    StreamGroupPermission,
    StreamProducerPermission,
    StreamUserPermission,
)
from catalog.reviewing import due_expression
from catalog.types import Lifecycle, SubjectPrivacy
from governance.models import Key, Membership
from governance.reviewed import Stand
from governance.types import ReviewPoint
from portal.http import words
from portal.kernel import clock

_LINES: Final = 50


def with_due() -> QuerySet[Any]:
    """Streams that are not retired, each with `review_due_at`."""
    rows = Stream.objects.exclude(lifecycle=Lifecycle.RETIRED).select_related("domain")
    return rows.annotate(review_due_at=due_expression())


def due_streams(by: datetime) -> QuerySet[Any]:
    """Those whose review is due by a moment."""
    return with_due().filter(review_due_at__lte=by)


def overdue_days(names: Sequence[str]) -> Mapping[str, int]:
    """How many whole days each stream's review is overdue, below 0 before it is due; by name. A
    retired one is not in it: nothing of it is reviewed."""
    now = clock.now()
    rows = with_due().filter(name__in=names).values_list("name", "review_due_at")
    return {name: (now - due).days + (1 if now > due else 0) for name, due in rows}


def stands_of(stream: Stream) -> dict[ReviewPoint, Stand]:
    """What the portal knows of each point now. Who holds a grant stays out of it: that is for those
    who decide, and a snapshot is kept."""
    page = f"/streams/{stream.name}/"
    return {
        ReviewPoint.OWNER: _owner(stream, page),
        ReviewPoint.DESCRIPTION: _description(stream, page),
        ReviewPoint.CLASSIFICATION: _classification(stream, page),
        ReviewPoint.CONSUMERS: _consumers(stream, page),
        ReviewPoint.RETENTION: _retention(stream, page),
        ReviewPoint.ACCESS: _access(stream),
    }


def _owner(stream: Stream, page: str) -> Stand:
    team = stream.owner_team or stream.domain.owner_team
    if team is None:
        return Stand("No team owns it.", url=page)
    people = Membership.objects.filter(team=team, user__is_active=True).count()
    said = f"Team {team.name}, {words.plural(people, 'person', 'people')}"
    return Stand(f"{said}{'' if stream.owner_team else ', as the owner of its domain'}.", url=page)


def _description(stream: Stream, page: str) -> Stand:
    fields = SchemaField.objects.filter(stream=stream, is_current=True)
    bare = list(fields.filter(description="").values_list("path", flat=True)[:_LINES])
    says = stream.description.strip() or "It has no description."
    return Stand(says, tuple(f"{path} has no description" for path in bare), f"{page}schema/")


def _classification(stream: Stream, page: str) -> Stand:
    labelled = SchemaField.objects.filter(
        stream=stream, is_current=True, classification__in=PERSONAL
    ).order_by("position")[:_LINES]
    lines = tuple(
        f"{field.path}: {field.classification}, {field.privacy or 'without treatment'}"
        for field in labelled
    )
    treatment = SubjectPrivacy(stream.subject_privacy).said
    subject = f"subject {stream.subject_classification}, {treatment}"
    return Stand(f"{stream.classification.capitalize()}; {subject}.", lines, f"{page}privacy/")


def _consumers(stream: Stream, page: str) -> Stand:
    rows = list(
        ConsumerMapping.objects.filter(stream=stream)
        .select_related("consumer")
        .order_by("consumer__name")[:_LINES]
    )
    used = dict(
        Key.objects.filter(kind="cons", holder_id__in=[row.consumer_id for row in rows])
        .order_by()
        .values_list("holder_id")
        .annotate(last=Max("last_used_at"))
    )
    lines = []
    for row in rows:
        what = words.plural(len(row.fields), "field") if row.fields else "fields not said"
        last = used.get(row.consumer_id)
        seen = f"key last used {last:%Y-%m-%d}" if last else "key never used"
        lines.append(f"{row.consumer.name}: {row.purpose or 'no purpose'}; {what}; {seen}")
    total = ConsumerMapping.objects.filter(stream=stream).count()
    says = f"{words.capitalized(words.counted(total, 'consumer'))} declared to read it."
    return Stand(says, tuple(lines), f"{page}consumers/")


def _retention(stream: Stream, page: str) -> Stand:
    last = f"last event {stream.last_event_at:%Y-%m-%d}" if stream.last_event_at else "no event yet"
    kept = "then archived" if stream.archive else "then gone"
    says = f"{words.plural(stream.retention_days, 'day')}, {kept}; {last}."
    return Stand(says, url=f"{page}retention/")


def _access(stream: Stream) -> Stand:
    live = Q(valid_from__lte=Now(), valid_until__gt=Now(), revoked_at=None)
    counts, used, next_end = [0, 0, 0], [], []
    for holder, table, thing in (
        (0, StreamUserPermission, stream),
        (1, StreamGroupPermission, stream),
        (2, StreamConsumerPermission, stream),
        (2, StreamProducerPermission, stream),
        (0, DomainUserPermission, stream.domain),
        (1, DomainGroupPermission, stream.domain),
        (2, DomainConsumerPermission, stream.domain),
        (2, DomainProducerPermission, stream.domain),
    ):
        manager: Any = table._default_manager
        rows = manager.filter(live, content_object=thing).values_list("last_used_at", "valid_until")
        for last, end in rows:
            counts[holder] += 1
            used += [last] if last else []
            next_end.append(end)
    people, teams, programs = counts
    if not sum(counts):
        return Stand("No grant holds; who owns it may read it.", url="/access/recertify/")
    says = (
        f"{words.plural(people, 'grant')} of people, {teams} of teams and {programs} of programs hold, "
        f"{len(used)} of them ever used; the next ends {min(next_end):%Y-%m-%d}."
    )
    opened = "only grants let it be known of" if stream.restricted else "everybody may know of it"
    last_used = (f"last used {max(used):%Y-%m-%d}",) if used else ()
    return Stand(says, (opened, *last_used), "/access/recertify/")
