"""What changed of late, as sentences: read from the things themselves, which hold their own times.

Each source gives at most a handful of its newest; the newest of all are shown.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min, QuerySet

from catalog.models import SchemaField, SchemaVersion, Stream
from catalog.selectors.streams import visible_streams
from catalog.services.enforcement import ADVANCED, MOVED
from experiments.selectors.experiments import visible_experiments
from governance.models import AccessRequest, AuditEntry
from governance.models.access import RequestState
from governance.selectors.requests import visible_requests
from portal.http import words
from portal.kernel import clock
from portal.kernel.actor import Actor
from quality.models import CheckKind
from quality.selectors.checks import visible_alarms

SHOWN: Final = 6
_WITHIN: Final = timedelta(days=60)
_NAMED_FIELDS: Final = 2
_SHORT: Final = 24
_ALARMS: Final = 2
_SIDES: Final = {
    "stream.promoted": " to production.", "stream.demoted": " back to the experimental track.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """Who did what: `who` `did` the stream (or thing), then `rest`, which ends it. `is_team` picks the avatar."""

    at: datetime
    who: str
    did: str
    rest: str = "."
    stream: str = ""
    thing: str = ""
    url: str = ""
    is_team: bool = True


def what_changed(actor: Actor, *, limit: int = SHOWN) -> list[Change]:
    """The newest changes that the actor may know of, newest first; nine queries."""
    since = clock.now() - _WITHIN
    known = visible_streams(actor)
    found = [
        *_published(known, since, limit),
        *_registered(known, since),
        *_deprecated(known, since, limit),
        *_edited(known, since, limit),
        *_moved(known, since, limit),
        *_alarms(actor, since),
        *_granted(actor, since, limit),
        *_experiments(actor, since, limit),
    ]
    return sorted(found, key=lambda change: change.at, reverse=True)[:limit]


def _published(known: QuerySet[Stream], since: datetime, limit: int) -> list[Change]:
    """New versions after the first, with the fields they added or dropped."""
    rows = list(
        SchemaVersion.objects.filter(
            stream__in=known.order_by().values("pk"), version__gt=1, activated_at__gte=since
        )
        .select_related("stream__owner_team")
        .defer("document")
        .order_by("-activated_at")[:limit]
    )
    paths = _paths(rows)
    return [
        Change(
            at=row.activated_at,
            who=_owner(row.stream),
            did="published",
            stream=row.stream.name,
            rest=f" v{row.version}. {_difference(paths, row)}",
        )
        for row in rows
        if row.activated_at
    ]


def _paths(rows: Sequence[SchemaVersion]) -> dict[tuple[int, int], set[str]]:
    """The field paths of these versions and of the ones before them, by (stream, version)."""
    wanted = {(row.stream_id, number) for row in rows for number in (row.version, row.version - 1)}
    found: dict[tuple[int, int], set[str]] = defaultdict(set)
    fields = SchemaField.objects.filter(
        stream__in={stream for stream, _ in wanted},
        schema_version__version__in={version for _, version in wanted},
    ).values_list("stream", "schema_version__version", "path")
    for stream, version, path in fields:
        if (stream, version) in wanted:
            found[stream, version].add(path)
    return found


def _difference(paths: dict[tuple[int, int], set[str]], row: SchemaVersion) -> str:
    new, old = paths[row.stream_id, row.version], paths[row.stream_id, row.version - 1]
    parts = [
        f"{verb} {_named(fields)}"
        for verb, fields in (("adds", sorted(new - old)), ("drops", sorted(old - new)))
        if fields
    ]
    if not parts:
        return "Same fields."
    return f"{words.capitalized(' and '.join(parts))}."


def _named(fields: Sequence[str]) -> str:
    if len(fields) > _NAMED_FIELDS:
        return words.counted(len(fields), "field")
    return words.listed(fields)


def _registered(known: QuerySet[Stream], since: datetime) -> list[Change]:
    """New streams; those of one team and day in one sentence, so that an import is one line."""
    day = "created_at__date"
    groups = (
        known.filter(created_at__gte=since, deprecated_at=None)
        .order_by()
        .values("owner_team__name", "created_by", day)
        .annotate(
            count=Count("pk"), at=Min("created_at"), name=Min("name"), text=Min("description")
        )
        .order_by(f"-{day}")[:SHOWN]
    )
    return [
        Change(
            at=row["at"],
            who=row["owner_team__name"] or row["created_by"] or "portal",
            is_team=bool(row["owner_team__name"]),
            did="registered",
            stream=row["name"],
            rest=f" and {words.counted(row['count'] - 1, 'more stream')}."
            if row["count"] > 1
            else f". {row['text']}",
        )
        for row in groups
    ]


def _deprecated(known: QuerySet[Stream], since: datetime, limit: int) -> list[Change]:
    rows = list(known.filter(deprecated_at__gte=since).order_by("-deprecated_at")[:limit])
    wanted = {row.successor_id for row in rows if row.successor_id}
    names = dict(known.order_by().filter(pk__in=wanted).values_list("pk", "name"))
    return [
        Change(
            at=row.deprecated_at,
            who=_owner(row),
            did="deprecated",
            stream=row.name,
            rest="".join(
                (
                    f" until {words.day(row.sunset_at)}." if row.sunset_at else ".",
                    f" Use {names[row.successor_id]} instead." if row.successor_id in names else "",
                )
            ),
        )
        for row in rows
        if row.deprecated_at
    ]


def _edited(known: QuerySet[Stream], since: datetime, limit: int) -> list[Change]:
    """What people changed of a stream itself; the log is the only place that knows."""
    rows = AuditEntry.objects.filter(
        actor_kind="person",
        object_kind="stream",
        action__in=("stream.changed", *_SIDES),
        at__gte=since,
        object_key__in=known.order_by().values("name"),
    ).order_by("-seq")[:limit]
    return [
        Change(
            at=row.at,
            who=row.actor,
            is_team=False,
            did="moved" if row.action in _SIDES else f"changed the {_edited_facts(row)} of",
            stream=row.object_key,
            rest=_SIDES.get(row.action) or _from_to(row),
        )
        for row in rows
    ]


def _moved(known: QuerySet[Stream], since: datetime, limit: int) -> list[Change]:
    """Steps on the ladder of enforcement, by people and by itself."""
    rows = AuditEntry.objects.filter(
        object_kind="stream",
        action__in=(MOVED, ADVANCED),
        at__gte=since,
        object_key__in=known.order_by().values("name"),
    ).order_by("-seq")[:limit]
    return [
        Change(
            at=row.at,
            who=row.actor,
            is_team=row.action == ADVANCED,
            did="moved",
            stream=row.object_key,
            rest=f" from {row.detail['before']['enforcement']} to "
            f"{row.detail['after']['enforcement']}.",
        )
        for row in rows
    ]


def _edited_facts(row: AuditEntry) -> str:
    names = sorted(row.detail.get("after", ()))
    return words.listed([name.replace("_", " ") for name in names]) or "facts"


def _from_to(row: AuditEntry) -> str:
    """One changed fact with short values: from what to what."""
    before, after = row.detail.get("before", {}), row.detail.get("after", {})
    if len(after) != 1:
        return "."
    values = [str(next(iter(side.values()), "")) for side in (before, after)]
    if not all(0 < len(value) <= _SHORT for value in values):
        return "."
    return f" from {values[0]} to {values[1]}."


def _alarms(actor: Actor, since: datetime) -> list[Change]:
    """Alarms that opened, and those that ended: the newest two, or they would fill the list."""
    rows = visible_alarms(actor).filter(opened_at__gte=since)
    found = [
        Change(
            at=alarm.opened_at,
            who=_owner(alarm.stream),
            did=f"has a {CheckKind(alarm.kind).label.lower()} alarm on",
            stream=alarm.stream.name,
            rest=f" since {words.since(alarm.opened_at)}.",
        )
        for alarm in rows.filter(closed_at=None)[:_ALARMS]
    ]
    for alarm in rows.exclude(closed_at=None).order_by("-closed_at")[:_ALARMS]:
        assert alarm.closed_at is not None
        lasted = words.duration((alarm.closed_at - alarm.opened_at).total_seconds())
        found.append(
            Change(
                at=alarm.closed_at,
                who=_owner(alarm.stream),
                did="saw",
                stream=alarm.stream.name,
                rest=f" recover from a {CheckKind(alarm.kind).label.lower()} alarm after {lasted}.",
            )
        )
    return found


def _given(row: AccessRequest) -> str:
    if row.is_to_publish:
        return "to publish"
    return f"with personal fields {'in clear' if row.wants_personal else 'masked'}"


def _granted(actor: Actor, since: datetime, limit: int) -> list[Change]:
    """Requests that were granted: the person's own, and those of their teams' streams."""
    rows = visible_requests(actor).filter(
        state=RequestState.APPROVED, decided_at__gte=since, resource_kind="stream"
    )
    return [
        Change(
            at=row.decided_at,
            who=row.holder or row.requester.email,
            is_team=False,
            did="was granted",
            stream=row.resource_key,
            rest=f" {_given(row)}, until {words.day(row.until)}.",
        )
        for row in rows.order_by("-decided_at")[:limit]
        if row.decided_at
    ]


def _experiments(actor: Actor, since: datetime, limit: int) -> list[Change]:
    rows = visible_experiments(actor).filter(started_at__gte=since).order_by("-started_at")[:limit]
    found = []
    for row in rows:
        who = row.owner_team.name if row.owner_team else row.started_by or "portal"
        for at, did in ((row.started_at, "started the experiment"), (row.ended_at, "ended")):
            if at is not None:
                found.append(
                    Change(
                        at=at,
                        who=who,
                        is_team=row.owner_team is not None,
                        did=did,
                        thing=row.title,
                        url=f"/experiments/{row.key}/",
                    )
                )
    return found


def _owner(stream: Stream) -> str:
    return stream.owner_team.name if stream.owner_team else "portal"
