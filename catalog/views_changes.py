"""Pages of changes: the list, one change with its report, proposing, and two versions compared."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog import draft_pages
from catalog.change_verdict import change_verdict, undeclared_readers
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy
from catalog.diff import field_diff, from_check, text_diff
from catalog.draft_pages import Saved, saved_in
from catalog.field_index import fields_of
from catalog.forms import ChangeForm
from catalog.models import Change, SchemaVersion, Stream, Vote
from catalog.selectors import changes as selectors
from catalog.selectors.streams import get_stream, get_version
from catalog.services import changes as services
from catalog.services.drafts import publish_change
from catalog.types import OPEN_STATES
from governance import access
from governance.deciding import is_other
from governance.middleware import request_actor
from governance.selectors.jobs import newest_job
from governance.types import Permission
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.problem import remember
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, NotPermittedError, PortalError

TABS: Final = ("open", "waiting", "mine", "all")
VIEWS: Final = ("fields", "side", "json")
_COLUMNS: Final = 6
_EFFECTS: Final = ("breaks", "care", "safe")


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The changes of the streams that the reader may know of, by tab, a page at a time."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"show": parameters.choice(TABS), "cursor": parameters.text(2000)}
    )
    show = asked.get("show", "open")
    rows = {
        "open": selectors.open_changes,
        "waiting": selectors.waiting_for,
        "mine": lambda who: selectors.visible_changes(who).filter(asked_by_id=who.id),
        "all": selectors.visible_changes,
    }[show](actor)
    page = paginate(rows, order=("-opened_at", "id"), limit=25, cursor=asked.get("cursor"))
    waiting = selectors.waiting_for(actor).count()
    return render(
        request,
        "catalog/changes.html",
        {"changes": page.items, "next": page.next, "show": show, "tabs": TABS, "waiting": waiting},
    )


@require_GET
def change(request: HttpRequest, change_id: UUID) -> HttpResponse:
    actor = request_actor(request)
    found = selectors.get_change(actor, change_id)
    asked = parameters.read(request.GET, {"view": parameters.choice(VIEWS)})
    return render(request, "catalog/change.html", _page(actor, found, asked.get("view", "fields")))


@require_GET
def change_report(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """The measured part of a change alone, for the page that follows it live."""
    actor = request_actor(request)
    found = selectors.get_change(actor, change_id)
    asked = parameters.read(request.GET, {"view": parameters.choice(VIEWS)})
    context = _page(actor, found, asked.get("view", "fields"))
    return render(request, "catalog/_change_report.html", context)


def _page(actor: Actor, found: Change, view: str) -> dict[str, Any]:
    base = _base_of(found)
    report, replay = found.report, found.replay
    is_mine = found.asked_by_id == actor.id
    may_edit = access.may(actor, Permission.EDIT, found.stream)
    may_approve = access.may(actor, Permission.APPROVE, found.stream)
    context = {
        "change": found,
        "stream": found.stream,
        "base": base,
        "view": view,
        "views": VIEWS,
        "report": report,
        "replay": replay,
        "job": newest_job(services.REPORT, found.ref),
        "verdict": change_verdict(
            report, replay, version=found.version.version, opens_group=found.opens_group
        ),
        "matrix": reader_matrix(report),
        "columns": reader_columns(report),
        "unmeasured": [
            f"{kind}s" for kind, things in report.get("dependents", {}).items() if things is None
        ],
        "days": replay_days(replay),
        "places": replay_places(replay),
        "votes": list(found.votes.select_related("user")),
        "comments": list(found.comments.all()[:200]),
        "is_open": found.state in OPEN_STATES,
        "may_edit": may_edit,
        "may_decide": may_approve and is_other(actor, found.asked_by_id),
        "may_mend": may_edit and (may_approve or is_mine),
        "is_mine": is_mine,
        "revision": found.revisions.select_related("version").order_by("-opened_at").first(),
    }
    return context | _diff(base, found.version, view, report.get("differences", []))


def _base_of(found: Change) -> SchemaVersion | None:
    """The version a change is looked at against: the newest active one before it."""
    return (
        found.stream.versions.filter(version__lt=found.version.version, activated_at__isnull=False)
        .order_by("-version")
        .first()
    )


def _diff(
    base: SchemaVersion | None,
    other: SchemaVersion,
    view: str,
    differences: list[dict[str, Any]],
) -> dict[str, Any]:
    old = base.document if base is not None else {}
    if view == "fields":
        rows = fields_of(old), fields_of(other.document)
        return {"diff": field_diff(*rows, from_check(differences))}
    lines, has_more = text_diff(old, other.document)
    return {"lines": lines, "has_more": has_more}


def reader_columns(report: dict[str, Any]) -> list[str]:
    """The touched fields that somebody reads, the worst first; at most six."""
    worst: dict[str, int] = {}
    for row in [*report.get("consumers", []), *undeclared_readers(report)]:
        for cause in row["causes"]:
            rank = _EFFECTS.index(cause["effect"])
            worst[cause["path"]] = min(rank, worst.get(cause["path"], rank))
    return sorted(worst, key=lambda path: (worst[path], path))[:_COLUMNS]


def reader_matrix(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Consumers, those that declared it first, each with the effect on it by touched field.

    `observed` is what its key was seen to read, None where it was not; `is_worse` says that what it
    was seen to read breaks where what it declared does not.
    """
    columns = reader_columns(report)
    seen = {row["consumer"]: _read_back(row) for row in report.get("observed") or ()}
    rows = []
    for row in [*report.get("consumers", []), *undeclared_readers(report)]:
        cells = []
        for column in columns:
            effects = [c["effect"] for c in row["causes"] if c["path"] == column]
            cells.append(next((e for e in _EFFECTS if e in effects), ""))
        observed = seen.get(row["consumer"])
        is_worse = observed is not None and row["effect"] != observed["effect"] == "breaks"
        rows.append({**row, "cells": cells, "observed": observed, "is_worse": is_worse})
    return rows


def _read_back(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "last_read_at": datetime.fromisoformat(row["last_read_at"])}


def replay_days(replay: dict[str, Any]) -> list[dict[str, Any]]:
    """The days of a replay, oldest first, with geometry for the bars (heights of 70 at most)."""
    days = sorted(replay.get("days", {}).items())
    most = max((counts["checked"] for _, counts in days), default=1)
    width = 690 / max(len(days), 1)
    found = []
    for place, (day, counts) in enumerate(days):
        height = max(round(70 * counts["checked"] / most), 2)
        bad = max(round(height * counts["refused"] / max(counts["checked"], 1)), 4)
        left = place * width
        found.append(
            {
                **counts,
                "day": day[5:],
                "x": round(left + 4),
                "width": round(width - 8),
                "y": 112 - height,
                "height": height,
                "bad": bad if counts["refused"] else 0,
                "middle": round(left + width / 2),
                "label_y": 112 - height - 8,
            }
        )
    return found


def replay_places(replay: dict[str, Any]) -> list[dict[str, Any]]:
    """Why events were refused, the most frequent first; at most twenty."""
    places = sorted(replay.get("places", {}).items(), key=lambda item: -item[1]["events"])
    return [
        {"code": place.partition(" ")[0], "pointer": place.partition(" ")[2], **counts}
        for place, counts in places[:20]
    ]


@require_POST
def decide(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """One step of a change, as the form's button names it."""
    actor = request_actor(request)
    found = selectors.get_change(actor, change_id)
    word = request.POST.get("do", "")
    text = request.POST.get("text", "")[: services.MAX_COMMENT + 1]
    try:
        said = _act(word, found, actor, text, request.POST.get("path", ""))
    except PortalError as error:
        remember(request, error)
        detail = error.errors[0].detail if error.errors else error.detail
        messages.error(request, f"Not done: {detail}" if error.errors else error.detail)
    else:
        messages.success(request, said)
    return redirect("change", change_id=change_id)


def _act(word: str, found: Change, actor: Actor, text: str, path: str) -> str:
    version = f"v{found.version.version}"
    if word == "approve":
        services.vote_on_change(found, Vote.APPROVE, actor=actor, comment=text)
        return f"You approved {version}."
    if word == "ask":
        services.vote_on_change(found, Vote.ASK, actor=actor, comment=text)
        return f"You asked for changes to {version}."
    if word == "reject":
        services.reject_change(found, actor=actor, reason=text)
        return f"{version} is rejected."
    if word in ("activate", "activate_group"):
        opens = True if word == "activate_group" else None
        services.activate_change(found, actor=actor, opens_group=opens)
        return f"{version} is active."
    if word == "rerun":
        services.rerun_report(found, actor=actor)
        return "It is measured again."
    if word == "comment":
        services.comment_on_change(found, text, actor=actor, path=path)
        return "Your comment is there."
    raise NotFoundError


@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, name: str) -> HttpResponse:
    """Propose the next version: the present document to edit, a summary, a reason."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    if not access.may(actor, Permission.EDIT, stream):
        raise NotPermittedError(f"Changes of {stream.name} are proposed by its owners and editors.")
    current = get_version(stream, None) if stream.default_version else None
    text = json.dumps(current.document, indent=2, ensure_ascii=False) if current else "{}"
    form = ChangeForm(request.POST or None, initial={"document": text})
    saved = saved_in(actor, request.POST.dict())
    if request.method == "POST" and form.is_valid():
        fields = form.cleaned_data
        proposal = services.Proposal(
            fields["document"],
            summary=fields["summary"],
            reason=fields["reason"],
            opens_group=fields["opens_group"],
        )
        try:
            if saved is not None and saved.draft.stream_id == stream.pk:
                made = publish_change(saved.draft, proposal, actor=actor, revision=saved.revision)
            else:
                made = services.propose_change(stream, proposal, actor=actor)
        except PortalError as error:
            remember(request, error)
            places = [f"{item.pointer}: {item.detail}" for item in error.errors[:5]]
            form.add_error("document", "; ".join([error.detail, *places]))
        else:
            return redirect("change", change_id=made.pk)
    status = 422 if form.errors else 200
    return _propose_page(request, form, stream, saved, status=status)


def reopen(request: HttpRequest, actor: Actor, saved: Saved, frame: dict[str, Any]) -> HttpResponse:
    """The page of proposing with a kept draft, and with whom it is shared."""
    stream = saved.draft.stream
    assert stream is not None  # a draft of a change has one, by constraint
    initial = {
        **draft_pages.texts_of(saved.draft),
        "document": draft_pages.document_text(saved.draft),
        "opens_group": saved.draft.content.get("opens_group") is True,
    }
    return _propose_page(request, ChangeForm(initial=initial), stream, saved, frame=frame)


def keep_open(
    request: HttpRequest, stream: Stream, saved: Saved | None, problem: str
) -> HttpResponse:
    """The page of proposing again with what was typed, because it could not be kept."""
    form = ChangeForm(request.POST)
    form.add_error(None, problem)
    return _propose_page(request, form, stream, saved, status=409)


def _propose_page(
    request: HttpRequest,
    form: ChangeForm,
    stream: Stream,
    saved: Saved | None,
    *,
    status: int = 200,
    frame: dict[str, Any] | None = None,
) -> HttpResponse:
    current = get_version(stream, None) if stream.default_version else None
    context = {"form": form, "stream": stream, "current": current, "saved": saved, "sharing": None}
    return render(request, "catalog/change_new.html", context | (frame or {}), status=status)


@require_GET
def compare_versions(request: HttpRequest, name: str, first: int, second: int) -> HttpResponse:
    """Two versions of a stream, by field, side by side, or as one text."""
    stream = get_stream(request_actor(request), name)
    asked = parameters.read(request.GET, {"view": parameters.choice(VIEWS)})
    view = asked.get("view", "fields")
    old, new = get_version(stream, first), get_version(stream, second)
    context = {"stream": stream, "old": old, "new": new, "view": view, "views": VIEWS}
    verdict = compare(
        new.document, [old.document], mode=Mode.FULL, policy=Policy(stream.compatibility_policy)
    )
    differences = [difference.as_dict() for difference in verdict.differences]
    return render(
        request,
        "catalog/version_diff.html",
        context | {"differences": differences} | _diff(old, new, view, differences),
    )
