"""The trust of streams, for one page of them at a time, in a bounded number of queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Min, Q

from catalog.models import Change, SchemaField, SchemaVersion, Stream
from catalog.style_lint import looks_personal
from catalog.types import OPEN_STATES
from governance.models import Membership
from ingest.models import PrivacySuggestion
from ingest.models.privacy import SuggestionState
from portal.kernel import clock
from quality.models import Check
from quality.trust import CheckFact, Trust, TrustFacts, trust_of_facts

_NONE: dict[str, Any] = {}
_PERSONAL = ("personal", "sensitive")


def trust_of(streams: Iterable[Stream]) -> dict[int, Trust]:
    """The trust of each stream by id: eight queries, whatever their number."""
    rows = list(streams)
    ids = [stream.pk for stream in rows]
    now = clock.now()
    people = dict(
        Membership.objects.filter(team__in={s.owner_team_id for s in rows if s.owner_team_id})
        .values("team")
        .annotate(n=Count("id"))
        .values_list("team", "n")
    )
    versions: dict[int, dict[str, Any]] = {
        row["stream"]: dict(row)
        for row in SchemaVersion.objects.filter(stream__in=ids)
        .values("stream")
        .annotate(n=Count("id"), first=Min("activated_at"))
    }
    checks: dict[int, dict[str, CheckFact]] = defaultdict(dict)
    for check in Check.objects.filter(stream__in=ids):
        checks[check.stream_id][check.kind] = CheckFact(check.level, check.state, check.sentence)
    fields = _field_facts(ids)
    breaking = _breaking_changes(ids)
    return {
        stream.pk: trust_of_facts(
            TrustFacts(
                now=now,
                owner=stream.owner_team.name if stream.owner_team else "",
                owner_people=people.get(stream.owner_team_id or 0, 0),
                reviewed_at=stream.reviewed_at or stream.created_at,
                tier=stream.tier,
                is_personal=stream.is_personal,
                lifecycle=stream.lifecycle,
                versions=versions.get(stream.pk, _NONE).get("n", 0),
                first_version_at=versions.get(stream.pk, _NONE).get("first"),
                sunset_at=stream.sunset_at,
                breaking_changes=breaking.get(stream.pk, 0),
                last_event_at=stream.last_event_at,
                checks=checks.get(stream.pk, {}),
                **fields.get(stream.pk, {}),
            )
        )
        for stream in rows
    }


def _breaking_changes(ids: list[int]) -> dict[int, int]:
    """Open proposals by stream that some reader or writer would not survive."""
    return dict(
        Change.objects.filter(
            Q(opens_group=True) | Q(report__verdict__compatible=False),
            stream__in=ids,
            version__state__in=OPEN_STATES,
        )
        .values("stream")
        .annotate(n=Count("pk"))
        .values_list("stream", "n")
    )


def _field_facts(ids: list[int]) -> dict[int, dict[str, Any]]:
    counted = (
        SchemaField.objects.filter(stream__in=ids, is_current=True)
        .values("stream")
        .annotate(
            fields=Count("id"),
            personal_fields=Count("id", filter=Q(classification__in=_PERSONAL)),
            untreated_fields=Count("id", filter=Q(classification__in=_PERSONAL, privacy="")),
        )
    )
    facts: dict[int, dict[str, Any]] = {
        row["stream"]: {
            name: row[name] for name in ("fields", "personal_fields", "untreated_fields")
        }
        for row in counted
    }
    suspected = set(
        PrivacySuggestion.objects.filter(stream__in=ids, state=SuggestionState.OPEN).values_list(
            "stream", "path"
        )
    )
    for stream_id, _ in suspected:
        found = facts.setdefault(stream_id, {})
        found["privacy_suggestions"] = found.get("privacy_suggestions", 0) + 1
    unlabelled = SchemaField.objects.filter(
        stream__in=ids, is_current=True, classification=""
    ).values_list("stream", "path", "name")
    for stream_id, path, name in unlabelled.iterator():
        if looks_personal(name) and (stream_id, path) not in suspected:
            found = facts[stream_id]
            found["privacy_suggestions"] = found.get("privacy_suggestions", 0) + 1
    return facts
