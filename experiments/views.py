"""Pages of experiments: the list, and one experiment as a snapshot says it."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from experiments import drawing, pages
from experiments.models import AnalysisSnapshot, Experiment
from experiments.selectors import experiments as selectors
from experiments.services.experiments import start_experiment
from experiments.services.permissions import may_write
from experiments.types import Role, State
from governance.middleware import request_actor
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel.errors import NotFoundError
from quality.selectors.trust import trust_of

_BADGES: Final = {
    State.RUNNING: ("info", "play"),
    State.PROMOTED: ("ok", "ok"),
    State.ROLLED_BACK: ("bad", "replay"),
    State.INVALID: ("bad", "bad"),
    State.HELD: ("warn", "lock"),
}
_FILTERS: Final = (State.RUNNING, State.DRAFT, State.STOPPED_INCONCLUSIVE, State.PROMOTED)
_DAYS: Final = 60


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Every experiment one may read, by state and words."""
    asked = parameters.read(
        request.GET,
        {
            "q": parameters.text(200),
            "state": parameters.choice(tuple(State.values)),
            "cursor": parameters.text(2000),
        },
    )
    actor = request_actor(request)
    page = paginate(
        selectors.search_experiments(actor, text=asked.get("q", ""), state=asked.get("state", "")),
        order=("-created_at", "key"),
        cursor=asked.get("cursor"),
    )
    newest = selectors.newest_snapshots(page.items)
    return render(
        request,
        "experiments/overview.html",
        {
            "rows": [
                {
                    "experiment": row,
                    "badge": _badge(row),
                    "snapshot": newest.get(row.pk),
                    "effect": pages.effect_of(newest[row.pk]) if row.pk in newest else "",
                    "glyph": pages.glyph_of(newest[row.pk]) if row.pk in newest else "",
                }
                for row in page.items
            ],
            "title": _title(
                selectors.visible_experiments(actor).filter(state=State.RUNNING).count()
            ),
            "q": asked.get("q", ""),
            "state": asked.get("state", ""),
            "states": _FILTERS,
            "next": page.next,
        },
    )


@require_GET
def experiment(request: HttpRequest, key: str) -> HttpResponse:
    """One experiment: verdict, results, days, policy, variants and what it stands on."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"snapshot": parameters.integer(1, 2**31 - 1)})
    row = selectors.get_experiment(actor, key)
    snapshot = _snapshot(row, asked.get("snapshot"))
    variants = list(row.variants.order_by("position"))
    arms = pages.arms_of(variants, snapshot.health if snapshot is not None else {})
    streams = selectors.streams_of(row)
    trust = trust_of(streams)
    context: dict[str, Any] = {
        "experiment": row,
        "badge": _badge(row),
        "snapshot": snapshot,
        "arms": arms,
        "streams": [
            {"stream": stream, "trust": trust[stream.pk], "use": _use(row, stream.pk)}
            for stream in streams
        ],
        "measures": selectors.measures_of(row),
        "may_start": row.state in (State.DRAFT, State.READY) and may_write(actor, row),
    }
    if snapshot is not None:
        context |= _reading(row, snapshot, arms)
    return render(request, "experiments/experiment.html", context)


@require_POST
def start(request: HttpRequest, key: str) -> HttpResponse:
    actor = request_actor(request)
    start_experiment(selectors.get_experiment(actor, key), actor=actor)
    messages.success(request, "Started. The first reading comes with the first exposures.")
    return redirect("experiment", key=key)


def _snapshot(row: Experiment, number: int | None) -> AnalysisSnapshot | None:
    rows = selectors.snapshots_of(row).order_by("-number")
    if number is None:
        return rows.first()
    found = rows.filter(number=number).first()
    if found is None:
        raise NotFoundError
    return found


def _reading(row: Experiment, snapshot: AnalysisSnapshot, arms: list[pages.Arm]) -> dict[str, Any]:
    """What a snapshot adds to the page."""
    best = snapshot.verdict["facts"]["arm"] or ""
    days = selectors.snapshots_of(row).filter(is_daily=True, number__lt=snapshot.number)
    shown = [*reversed(days.order_by("-number")[:_DAYS]), snapshot]
    newest = selectors.snapshots_of(row).order_by("-number").values_list("number", flat=True)[0]
    return {
        "verdict": snapshot.verdict,
        "policy_says": snapshot.verdict["action"].replace("_", " "),
        "groups": pages.groups_of(snapshot.results, arms),
        "exploratory": any(result["role"] == Role.SECONDARY for result in snapshot.results),
        "axis": drawing.axis_head(pages.axis_of(snapshot.results)),
        "facts": pages.policy_facts(
            row, snapshot, next((arm for arm in arms if arm.key == best), None)
        ),
        "best": next((arm for arm in arms if arm.key == best), None),
        "days": pages.day_table(row, shown, arms, best) if row.started_at else None,
        "health": snapshot.health,
        "older": snapshot.number - 1 if snapshot.number > 1 else None,
        "newer": snapshot.number + 1 if snapshot.number < newest else None,
    }


def _title(running: int) -> str:
    verb = "runs" if running < 2 else "run"
    return words.capitalized(f"{words.counted(running, 'experiment')} {verb}.")


def _badge(row: Experiment) -> dict[str, str]:
    css, icon = _BADGES.get(State(row.state), ("line", "clock"))
    text = words.capitalized(row.state.replace("_", " ")).replace("Stopped ", "Stopped, ")
    return {"css": css, "icon": icon, "text": text}


def _use(row: Experiment, stream_id: int) -> str:
    """What a stream is read for, in words."""
    if stream_id == row.exposure_stream_id:
        return "who saw what"
    names = [m.metric.name.lower() for m in selectors.measures_of(row)
             if m.metric.stream_id == stream_id]  # fmt: skip
    return ", ".join(names)
