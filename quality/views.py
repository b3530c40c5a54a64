"""Pages of quality: all checks as a grid, and one alarm."""

from collections.abc import Mapping
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.models import Stream
from catalog.selectors import parties
from governance.middleware import request_actor
from ingest.models import DeadLetter
from ingest.selectors import dead_letters
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from quality.drawing import story_charts
from quality.models import Check
from quality.selectors import checks as selectors
from quality.stories import story_of
from quality.verdicts import RULES, alarm_title, alarm_verdict, spoken

_ROWS = 30
_READERS = 6
_RECENT = 10


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    page = paginate(
        selectors.visible_checks(actor), order=("stream_id", "id"), limit=_ROWS,
        cursor=asked.get("cursor"),
    )  # fmt: skip
    days = selectors.check_days({check.stream_id for check in page.items})
    alarms = list(selectors.open_alarms(actor)[:20])
    now = selectors.checks_of_alarms(alarms)
    return render(
        request,
        "quality/overview.html",
        {
            "title": _headline(len(alarms)),
            "alarms": [
                (alarm, spoken(now[alarm.pk], alarm.stream.last_event_at))
                if alarm.pk in now
                else (alarm, alarm.sentence)
                for alarm in alarms
            ],
            "recent": [
                (alarm, (alarm.closed_at - alarm.opened_at).total_seconds())
                for alarm in selectors.visible_alarms(actor).exclude(closed_at=None)[:_RECENT]
                if alarm.closed_at
            ],
            "streams": _by_stream(page.items, days),
            "next": page.next,
        },
    )


def _headline(count: int) -> str:
    verb = "is" if count < 2 else "are"
    return words.capitalized(f"{words.counted(count, 'alarm')} {verb} open.")


def _by_stream(
    checks: list[Check], days: Mapping[tuple[int, str], list[str]]
) -> list[tuple[Stream, list[tuple[Check, list[str], str]]]]:
    """The checks of a page by stream, each with its days and what it says now."""
    return [
        (
            group[0].stream,
            [
                (
                    check,
                    days[check.stream_id, check.kind],
                    spoken(check, check.stream.last_event_at),
                )
                for check in group
            ],
        )
        for group in (list(rows) for _, rows in groupby(checks, key=lambda row: row.stream_id))
    ]


@require_GET
def alarm(request: HttpRequest, alarm_id: int) -> HttpResponse:
    """Why an alarm fired: the rule, the line with the crossing, the first bad event, who reads it."""
    actor = request_actor(request)
    found = selectors.get_alarm(actor, alarm_id)
    check = selectors.checks_of_alarms([found]).get(found.pk)
    story = story_of(found)
    say, because = alarm_verdict(found, story)
    return render(
        request,
        "quality/alarm.html",
        {
            "alarm": found,
            "title": alarm_title(found),
            "say": say,
            "because": because,
            "rule": RULES[found.kind],
            "story": story,
            "chart": story_charts(story),
            "now": spoken(check, found.stream.last_event_at) if check and found.is_open else "",
            "lasted": (found.closed_at - found.opened_at).total_seconds()
            if found.closed_at
            else None,
            "readers": parties.readers_of(found.stream)[:_READERS],
            **_first_bad(actor, story.first_bad),
        },
    )


def _first_bad(actor: Actor, letter: DeadLetter | None) -> dict[str, object]:
    """The first refused event, as far as it may be shown without a row in the log."""
    if letter is None:
        return {"first_bad": None}
    sees = dead_letters.visible_dead_letters(actor).filter(id=letter.id).exists()
    is_logged = dead_letters.is_logged(letter)
    body = dead_letters.readable_body(actor, letter) if sees and not is_logged else None
    return {
        "first_bad": letter,
        "document": dead_letters.parsed(body),
        "faults": [error["pointer"] for error in letter.errors],
        "is_logged": is_logged and sees,
        "group": dead_letters.group_id(letter.group_key) if sees else "",
    }
