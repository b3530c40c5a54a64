"""The stream's page: what it is, whether to trust it, its contract, volume, readers and events."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from analytics.figures import volume_figure
from analytics.selectors import volume
from catalog.drawing import Node, lineage
from catalog.models import ConsumerMapping, Follow, Producer, SchemaField, Stream
from catalog.personal import BY_NAME
from catalog.reviewing import due_at
from catalog.selectors import parties
from catalog.selectors.glossary import terms_of_fields
from catalog.selectors.observed import all_readers, described_readers
from catalog.selectors.streams import (
    fields_of_version,
    get_stream,
    get_version,
    successor_of,
)
from catalog.services import streams as services
from governance import access
from governance.middleware import request_actor
from governance.models import AuditEntry
from governance.projection import projection
from governance.selectors.policies import findings_on
from governance.selectors.reviews import open_review
from governance.types import Permission
from ingest.selectors import events, health
from ingest.selectors.repairs import waiting_of_stream
from ingest.selectors.suspects import suggestions_of
from portal.flow_pages import flow_context
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.views_enforcement import ending_fields, ladder_context, version_uses
from quality.models import Alarm, Baseline, Check
from quality.selectors import checks
from quality.selectors.trust import trust_of
from quality.services.evaluation import expected_between
from quality.stories import expected_band
from quality.verdicts import spoken, stream_verdict

RANGES: Final = {
    "24h": (timedelta(hours=24), timedelta(minutes=15), "events per 15 minutes"),
    "14d": (timedelta(days=14), timedelta(hours=1), "events per hour"),
    "90d": (timedelta(days=90), timedelta(days=1), "events per day"),
}
ENFORCEMENT: Final = {
    "observe": "breaches are only noted",
    "warn": "breaches are taken with a warning",
    "enforce": "enforced",
}
_TREE_ROWS: Final = 14
_READERS: Final = 60
_FIELDS: Final = 1000
_SHOWN_READERS: Final = 6


def stream_frame(request: HttpRequest, name: str, tab: str) -> tuple[Actor, Stream, dict[str, Any]]:
    """What every tab of a stream shows: head, verdict, trust and tabs."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    trust = trust_of([stream])[stream.pk]
    consumers = parties.readers_of(stream).count()
    may_read = access.may(actor, Permission.READ_PAYLOAD, stream)
    return (
        actor,
        stream,
        {
            "stream": stream,
            "tab": tab,
            "trust": trust,
            "verdict": stream_verdict(trust, lifecycle=stream.lifecycle, consumers=consumers),
            "consumer_count": consumers,
            "reader_count": all_readers(stream).count(),
            "field_count": stream.fields.filter(is_current=True).count(),
            "personal_count": stream.fields.filter(
                is_current=True, classification__in=("personal", "sensitive")
            ).count(),
            "version_count": stream.versions.count(),
            "follows": Follow.objects.filter(stream=stream, user_id=actor.id).exists(),
            "may_read": may_read,
            "may_edit": access.may(actor, Permission.EDIT, stream),
            "may_approve": access.may(actor, Permission.APPROVE, stream),
            "successor": successor_of(actor, stream),
        },
    )


@require_GET
def overview(request: HttpRequest, name: str) -> HttpResponse:
    actor, stream, frame = stream_frame(request, name, "overview")
    fields = []
    if stream.default_version is not None:
        fields = list(fields_of_version(get_version(stream, None))[:_TREE_ROWS])
    asked = parameters.read(request.GET, {"range": parameters.choice(RANGES)})
    producers = parties.producers_of(stream)
    readers = list(parties.readers_of(stream)[:_READERS])
    return render(
        request,
        "catalog/stream.html",
        frame
        | volume_context(stream, asked.get("range", "14d"))
        | {
            "fields": fields,
            "terms": terms_of_fields(stream, fields),
            "contract": f"{_compatibility(stream)}, {ENFORCEMENT[stream.enforcement]}",
            "compatibility": _compatibility(stream),
            "checks": _check_rows(stream),
            "lineage": _lineage(stream, producers, readers),
            "readers": readers[:_SHOWN_READERS],
            "producers": producers,
            "suggestions": [
                (row, BY_NAME[row.kind]) for row in suggestions_of(stream).order_by("-hits")[:5]
            ],
            "tags": stream.tags.order_by("slug"),
            "aliases": stream.aliases.order_by("alias")[:5],
            "waiting": waiting_of_stream(stream)[0] if frame["may_edit"] else 0,
            "reasons": access.explain(actor, Permission.READ_PAYLOAD, stream),
            "sees_all": projection(actor, stream).fields is None,
            "policy_findings": findings_on(actor, stream.ref),
            "review": open_review(stream.ref),
            "review_due_at": due_at(
                stream.reviewed_at or stream.created_at,
                stream.tier,
                is_personal=stream.is_personal,
            ),
        }
        | flow_context(stream),
    )


def _compatibility(stream: Stream) -> str:
    """The mode in words: backward compatible, full transitive compatible, not compared."""
    if stream.compatibility_mode == "NONE":
        return "versions are not compared"
    return f"{stream.compatibility_mode.lower().replace('_', ' ')} compatible"


def _check_rows(stream: Stream) -> list[tuple[Check, list[str], float | None, str]]:
    """Each check with its days, its passing share and what it says now."""
    days = checks.check_days([stream.pk])
    return [
        (
            check,
            days[stream.pk, check.kind],
            checks.passing_ratio(stream, check.kind),
            spoken(check, stream.last_event_at),
        )
        for check in checks.checks_of(stream)
    ]


def _lineage(
    stream: Stream, producers: list[Producer], readers: list[ConsumerMapping]
) -> SafeString | str:
    """One step each way: who sends it, with shares of the last day, and who reads it."""
    shares = dict(health.senders(stream.pk))
    names = [*shares, *(row.name for row in producers if row.name not in shares)]
    senders = [
        Node(
            name,
            words.share(shares[name], 0) if name in shares else "silent for a day",
            f"/producers/{name}/",
        )
        for name in names
    ]
    reading = [
        Node(row.consumer.title or row.consumer.name, row.consumer.kind,
             f"/consumers/{row.consumer.name}/")
        for row in readers
    ]  # fmt: skip
    if not senders and not reading:
        return ""
    return lineage(stream.name, senders, reading, f"/streams/{stream.name}/consumers/")


@require_GET
def volume_panel(request: HttpRequest, name: str) -> HttpResponse:
    """The volume panel alone: for the range switch and for live updates."""
    asked = parameters.read(request.GET, {"range": parameters.choice(RANGES)})
    stream = get_stream(request_actor(request), name)
    context = {"stream": stream} | volume_context(stream, asked.get("range", "14d"))
    if request.headers.get("HX-Request") == "true":
        return render(request, "catalog/_volume.html", context)
    return render(request, "catalog/volume.html", context)


def volume_context(stream: Stream, span: str) -> dict[str, Any]:
    """Figure, table and sentence of a stream's volume over a range."""
    length, step, unit = RANGES[span]
    end = clock.now()
    points = volume.series(stream.pk, start=end - length, end=end, step=step)
    if any(point.events for point in points[:-1]):
        points = points[:-1]  # a step that is not over would look like a fall
    baseline = Baseline.objects.filter(stream=stream).first()
    bands = _bands(baseline, [point.start for point in points], step) if baseline else []
    alarms = Alarm.objects.filter(stream=stream, opened_at__gte=end - length).order_by("opened_at")
    releases = stream.versions.filter(activated_at__gte=end - length).order_by("version")
    marks = [(alarm.opened_at, f"{alarm.kind} alarm") for alarm in alarms[:5]]
    marks += [
        (version.activated_at, f"v{version.version}")
        for version in releases[:5]
        if version.activated_at
    ]
    last_day = volume.last_day([stream.pk]).get(stream.pk, 0)
    return {
        "figure": volume_figure(
            points, expected=bands, marks=marks, unit=unit, as_clock=span == "24h"
        ),
        "points": list(reversed(points))[:200],
        "range": span,
        "ranges": [("24h", "24 h"), ("14d", "14 d"), ("90d", "90 d")],
        "unit": unit,
        "has_band": bool(bands),
        "volume_said": f"{words.plural(last_day, 'event')} in the last 24 hours",
        "chart_label": _chart_label(stream, points, unit),
        "has_events": any(point.events for point in points),
    }


def _bands(
    baseline: Baseline, starts: list[datetime], step: timedelta
) -> list[tuple[float, float]]:
    """The expected range of each step."""
    return [
        expected_band(baseline, expected_between(baseline, start, start + step)) for start in starts
    ]


def _chart_label(stream: Stream, points: list[volume.Point], unit: str) -> str:
    most = max((point.events for point in points), default=0)
    return f"Accepted {unit} of {stream.name}, at most {words.number(most)}."


@require_GET
def schema(request: HttpRequest, name: str) -> HttpResponse:
    _, stream, frame = stream_frame(request, name, "schema")
    asked = parameters.read(
        request.GET, {"v": parameters.integer(1, 1_000_000), "q": parameters.text(200)}
    )
    version = get_version(stream, asked.get("v")) if stream.default_version else None
    rows = list(fields_of_version(version)[:_FIELDS]) if version else []
    text = asked.get("q", "")
    fields, hits = _found(rows, text) if text else (rows, frozenset())
    return render(
        request,
        "catalog/stream_schema.html",
        frame
        | {
            "version": version,
            "fields": fields,
            "terms": terms_of_fields(stream, fields),
            "hits": hits,
            "versions": stream.versions.order_by("-version").defer("document")[:100],
            "text": text,
            "ending": ending_fields(stream, rows),
        },
    )


def _found(rows: list[SchemaField], text: str) -> tuple[list[SchemaField], frozenset[str]]:
    """The fields whose path holds the text, with the parents of each, and which of them fit."""
    hits = frozenset(row.path for row in rows if text.lower() in row.path.lower())
    kept = set(hits)
    for path in hits:
        steps = path.split(".")
        for place in range(1, len(steps)):
            parent = ".".join(steps[:place])
            kept |= {parent, parent.removesuffix("[]")}
    return [row for row in rows if row.path in kept], hits


@require_GET
def versions(request: HttpRequest, name: str) -> HttpResponse:
    _, stream, frame = stream_frame(request, name, "versions")
    page = paginate(
        stream.versions.defer("document"), order=("-version",), cursor=request.GET.get("cursor")
    )
    return render(
        request,
        "catalog/stream_versions.html",
        frame | {"versions": page.items, "next": page.next, "uses": version_uses(stream)},
    )


@require_GET
def quality(request: HttpRequest, name: str) -> HttpResponse:
    _, stream, frame = stream_frame(request, name, "quality")
    return render(
        request,
        "catalog/stream_quality.html",
        frame
        | {
            "checks": _check_rows(stream),
            "alarms": Alarm.objects.filter(stream=stream).order_by("-opened_at")[:20],
        }
        | ladder_context(stream),
    )


@require_GET
def consumers(request: HttpRequest, name: str) -> HttpResponse:
    _, stream, frame = stream_frame(request, name, "consumers")
    page = paginate(all_readers(stream), order=("name",), cursor=request.GET.get("cursor"))
    return render(
        request,
        "catalog/stream_consumers.html",
        frame | {"readers": described_readers(stream, page.items), "next": page.next},
    )


@require_GET
def samples(request: HttpRequest, name: str) -> HttpResponse:
    """Recent events for who may read them; for others, how to ask."""
    actor, stream, frame = stream_frame(request, name, "samples")
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    if not frame["may_read"]:
        return render(request, "catalog/stream_samples.html", frame | {"events": None})
    page = events.stored_events(actor, stream, limit=20, cursor=asked.get("cursor"))
    return render(
        request, "catalog/stream_samples.html", frame | {"events": page.items, "next": page.next}
    )


@require_GET
def activity(request: HttpRequest, name: str) -> HttpResponse:
    """Everything recorded about the stream: for its team and admins."""
    actor, stream, frame = stream_frame(request, name, "activity")
    access.require(actor, Permission.EDIT, stream)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    page = paginate(
        AuditEntry.objects.filter(object_kind="stream", object_key=stream.name),
        order=("-seq",),
        cursor=asked.get("cursor"),
    )
    return render(
        request,
        "catalog/stream_activity.html",
        frame | {"entries": page.items, "next": page.next, "shows_numbers": actor.is_admin},
    )


@require_POST
def follow(request: HttpRequest, name: str) -> HttpResponse:
    actor = request_actor(request)
    stream = get_stream(actor, name)
    if request.POST.get("follow") == "off":
        services.unfollow(stream, actor=actor)
    else:
        services.follow(stream, actor=actor)
        messages.success(request, f"You follow {stream.name}. It stands on your home page.")
    return redirect("stream", name=stream.name)
