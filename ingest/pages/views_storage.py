"""Pages of storage: what the log takes up and when what goes; how long a stream is kept."""

from datetime import date
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.models import Stream
from catalog.selectors.streams import get_stream
from catalog.services.streams import change_stream
from governance import access
from governance.middleware import request_actor
from governance.types import Permission
from ingest.selectors import storage as selectors
from ingest.services import archives
from ingest.services.storage import KEEPERS, start_keeper
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotPermittedError, PortalError

_FIELDS: Final = ("retention_days", "archive", "is_state", "state_key")


@require_GET
def storage_page(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {**parameters.LIST, "list": parameters.choice(("streams", "archives"))}
    )
    found = selectors.storage(actor)
    shown = asked.get("list", "streams")
    most = max((day.total_bytes for day in found.days), default=0) or 1
    context: dict[str, Any] = {
        "storage": found,
        "verdict": _verdict(found),
        "spark": [size for _, size in found.growth],
        "bars": [(day, day.total_bytes / most) for day in found.days],
        "going": [
            {**one, "on": date.fromisoformat(one["on"])} for one in found.going if one["events"]
        ],
        "runs": [
            (kind, says, run, _result(run.result) if run is not None else "")
            for kind, says, run in selectors.last_runs()
        ],
        "list": shown,
        "is_admin": actor.is_admin,
    }
    part = {"limit": asked.get("limit", 20), "cursor": asked.get("cursor")}
    if shown == "streams":
        page: Any = selectors.largest_streams(actor, **part)
    else:
        page = paginate(selectors.archived_parts(actor), order=("-day", "id"), **part)
    return render(
        request, "ingest/storage.html", {**context, "rows": page.items, "next": page.next}
    )


def _verdict(found: selectors.Storage) -> tuple[str, str, str]:
    """Kind, sentence and reason: what matters first is that no day is missing."""
    held = [run for _, _, run in selectors.last_runs() if run is not None and run.failure]
    if found.short:
        table = min(found.short, key=lambda one: one.days_ahead)
        return (
            "bad",
            f"Only {words.plural(table.days_ahead, 'day')} of {table.title.lower()} ahead.",
            "Events of a day that is missing wait until it is made. The runbook says what to do.",
        )
    fewest = min(table.days_ahead for table in found.tables)
    said = f"{words.size(found.total_bytes)} in all, {words.plural(fewest, 'day')} are made ahead."
    if held:
        return ("warn", "A keeper of storage could not do its work.", f"{said} {held[0].failure}")
    runs = {kind: run for kind, _, run in selectors.last_runs()}
    sweep = runs["retention"]
    if sweep is not None and sweep.result.get("days_held_back"):
        return ("warn", "Days are held back from leaving.", str(sweep.result["held_back"]))
    return ("ok", "What has lived its time leaves, and the days ahead are made.", said)


def _result(result: dict[str, Any]) -> str:
    """What a run did, in words: its counts that are not zero."""
    counts = [
        f"{words.number(value)} {name.replace('_', ' ')}"
        for name, value in result.items()
        if isinstance(value, int) and not isinstance(value, bool) and value
    ]
    return words.listed(counts) or "nothing to do"


@require_POST
def storage_run(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    if not actor.is_admin:
        raise NotPermittedError("Storage is kept by admins.")
    kind = request.POST.get("kind", "")
    if kind not in KEEPERS:
        raise InvalidError("No such keeper.", errors=[FieldError("/kind", "choice", "unknown")])
    start_keeper(kind, actor=actor)
    messages.success(request, "It runs as soon as a worker is free.")
    return redirect("storage")


@require_http_methods(["GET", "POST"])
def stream_retention(request: HttpRequest, name: str) -> HttpResponse:
    """How long a stream is kept. A shorter life is asked about once more, with what would go."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    if request.method == "POST":
        if not access.may(actor, Permission.EDIT, stream):
            raise NotPermittedError(f"{stream.name} is changed by its owners and editors.")
        if "since" in request.POST:
            return _restore(request, actor, stream)
        return _change(request, actor, stream)
    return _shown(request, actor, stream, selectors.kept(stream, is_counted=False), {})


def _change(request: HttpRequest, actor: Actor, stream: Stream) -> HttpResponse:
    said = request.POST
    raw = said.get("retention_days", "")
    wanted: dict[str, Any] = {
        "retention_days": int(raw) if raw.isdecimal() and len(raw) < 6 else raw,
        "archive": said.get("archive") == "on",
        "is_state": said.get("is_state") == "on",
        "state_key": said.get("state_key", "").strip(),
    }
    changes = {key: value for key, value in wanted.items() if getattr(stream, key) != value}
    days = changes.get("retention_days")
    if isinstance(days, int) and 1 <= days < stream.retention_days and "sure" not in said:
        found = selectors.kept(stream, days=days)
        if found.going:
            return _shown(request, actor, stream, found, wanted)
    try:
        change_stream(stream, changes, actor=actor)
    except InvalidError as error:
        stream.refresh_from_db()
        return _refused(request, actor, stream, error, wanted)
    except PortalError as error:
        messages.error(request, words.capitalized(_faults(error)))
    else:
        messages.success(request, "Changed." if changes else "Nothing was changed.")
    return redirect("stream_retention", name=stream.name)


def _restore(request: HttpRequest, actor: Actor, stream: Stream) -> HttpResponse:
    said = {name: request.POST.get(name, "") for name in ("since", "until")}
    try:
        since, until = (archives.day_of(text) for text in said.values())
        archives.start_restore(stream, since=since, until=until, actor=actor)
    except InvalidError as error:
        return _refused(request, actor, stream, error, said)
    except PortalError as error:
        messages.error(request, words.capitalized(_faults(error)))
    else:
        messages.success(request, "It is loaded as soon as a worker is free.")
    return redirect("stream_retention", name=stream.name)


def _refused(
    request: HttpRequest, actor: Actor, stream: Stream, error: InvalidError, said: dict[str, Any]
) -> HttpResponse:
    """The page again with what was written, and each fault at its field."""
    wrong = {fault.pointer.strip("/") or "until": fault.detail for fault in error.errors or ()}
    if not wrong.keys() & {"retention_days", "state_key", "until"}:
        messages.error(request, words.capitalized(_faults(error)))
    return _shown(request, actor, stream, selectors.kept(stream), {}, said=said, wrong=wrong)


def _faults(error: PortalError) -> str:
    said = [f"{fault.pointer.strip('/')} {fault.detail}" for fault in error.errors or ()]
    return "; ".join(said) or error.detail


def _shown(
    request: HttpRequest,
    actor: Actor,
    stream: Stream,
    found: selectors.Kept,
    wanted: dict[str, Any],
    *,
    said: dict[str, Any] | None = None,
    wrong: dict[str, str] | None = None,
) -> HttpResponse:
    """The page; with `wanted` it asks whether that is meant, with `wrong` what `said` breaks."""
    present = {name: getattr(stream, name) for name in _FIELDS}
    return render(
        request,
        "ingest/stream_retention.html",
        {
            "stream": stream,
            "kept": found,
            "wanted": wanted,
            "said": present | (said or {}),
            "wrong": wrong or {},
            "going_said": f"more than {words.number(found.going)} events"
            if found.is_bounded
            else words.plural(found.going, "event"),
            "may_edit": access.may(actor, Permission.EDIT, stream),
            "restores": selectors.restores_of(stream),
        },
        status=422 if wrong else 200,
    )
