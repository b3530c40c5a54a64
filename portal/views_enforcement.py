"""The ladder of enforcement on a stream's pages, and what of its contract is on its way out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from catalog.impact import OldUse
from catalog.models import EnforcementRule, SchemaField, Stream
from catalog.selectors.streams import get_stream
from catalog.services import enforcement as services
from catalog.types import Enforcement, LadderMode
from governance import access
from governance.middleware import request_actor
from governance.types import Permission
from ingest.judging.deprecations import FIELD, VERSION
from ingest.selectors.deprecated_uses import uses_of_stream
from ingest.selectors.enforcement import ladder_of, moves_of
from portal.http import words
from portal.http.problem import remember
from portal.kernel.errors import NotPermittedError, PortalError

RUNGS: Final = {
    Enforcement.OBSERVE: "breaches are counted, events taken",
    Enforcement.WARN: "the producer is told in the answer",
    Enforcement.ENFORCE: "breaches become dead letters",
}
MODES: Final = {
    LadderMode.AUTOMATIC: "by itself",
    LadderMode.BY_HAND: "by hand, once it is due",
    LadderMode.OFF: "not at all",
}
_STRIP: Final = {"good": "ok", "bad": "bad", "few": "none", "before": "none", "running": "none"}


def ladder_context(stream: Stream) -> dict[str, Any]:
    """What the panel shows: rungs with the present one, the rule, the days, the history."""
    found = ladder_of(stream)
    rule, standing = found.rule, found.standing
    place = services.LADDER.index(Enforcement(stream.enforcement))
    days = standing.days if standing is not None else ()
    return {
        "ladder": found,
        "rungs": [
            (str(rung), RUNGS[rung], "done" if at < place else "now" if at == place else "")
            for at, rung in enumerate(services.LADDER)
        ],
        "rule_said": _rule_said(rule),
        "bound_percent": f"{rule.violation_bound * 100:g}",
        "ladder_strip": [_STRIP[state] for _, _, state in days],
        "ladder_days": [(on, day.judged, day.share, state) for on, day, state in reversed(days)],
        "ladder_strip_said": f"{words.counted(standing.good_days, 'good day')} up to yesterday"
        if standing is not None
        else "",
        "moves": moves_of(stream),
        "ladder_modes": [(str(mode), text) for mode, text in MODES.items()],
    }


def _rule_said(rule: EnforcementRule) -> str:
    return (
        f"below {words.share(rule.violation_bound)} on {words.counted(rule.days, 'day')} "
        f"of {words.plural(rule.least_events, 'event')} or more"
    )


@require_POST
def change(request: HttpRequest, name: str) -> HttpResponse:
    """Move the stream to another rung, or change its rule; both forms of the panel end here."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    if not access.may(actor, Permission.EDIT, stream):
        raise NotPermittedError(f"{stream.name} is moved by its owners and editors.")
    said = request.POST
    try:
        if "to" in said:
            services.move_enforcement(
                stream, to=said["to"], reason=said.get("reason", ""), actor=actor
            )
            messages.success(request, f"{stream.name} stands at {said['to']} now.")
        else:
            services.set_rule(stream, _rule_of(request), actor=actor)
            messages.success(request, "The rule is changed.")
    except PortalError as error:
        remember(request, error)
        faults = "; ".join(fault.detail for fault in error.errors)
        messages.error(request, f"{error.detail} {faults}".strip())
    return redirect("stream_quality", name=stream.name)


def _rule_of(request: HttpRequest) -> dict[str, Any]:
    """The rule as the form sent it; what is no number is left for the service to refuse."""
    said = request.POST
    try:
        bound: Any = float(said.get("bound", "")) / 100
    except ValueError:
        bound = None
    numbers = {
        name: int(text) if (text := said.get(name, "")).isdecimal() and len(text) < 10 else None
        for name in ("days", "least_events")
    }
    return {"mode": said.get("mode", ""), "violation_bound": bound, **numbers}


@dataclass(frozen=True, slots=True)
class EndingField:
    """A deprecated field: when it ends by its contract, until when that was extended, who sends it."""

    path: str
    ends_on: date | None
    extended_until: date | None
    required: bool
    uses: Sequence[OldUse]


def ending_fields(stream: Stream, rows: Sequence[SchemaField]) -> list[EndingField]:
    """The deprecated ones among the fields of a version; two queries, none when there are none."""
    old = [row for row in rows if row.deprecated]
    if not old:
        return []
    uses = uses_of_stream(stream, FIELD)
    extended = dict(stream.field_extensions.values_list("path", "until_on"))
    return [
        EndingField(
            row.path,
            row.sunset_on,
            extended.get(row.path),
            row.required,
            [use for use in uses if use.name == row.path],
        )
        for row in old
    ]


def version_uses(stream: Stream) -> dict[int, list[OldUse]]:
    """By deprecated version who still names it."""
    found: dict[int, list[OldUse]] = {}
    for use in uses_of_stream(stream, VERSION):
        found.setdefault(int(use.name), []).append(use)
    return found
