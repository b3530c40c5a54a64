"""Loading the demo: the catalog at once, 14 days of events behind the first page, then a trickle."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Max

from analytics.services.rollups import roll_up
from catalog.models import Producer
from experiments.services.analysis import analyse_running
from ingest.judging.admission import Publisher, directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.models import Event
from portal.demo import traffic
from portal.demo.change import propose_story_change
from portal.demo.experiment import build_experiment
from portal.demo.glossary import read_old_notices
from portal.demo.shop import PRODUCERS
from portal.demo.workspace import HISTORY_DAYS, build
from portal.kernel import clock, soft_cache
from portal.kernel.errors import PortalError
from quality.services.baselines import learn_baselines
from quality.services.evaluation import run_checks, sole_judge

PROGRESS_KEY: Final = "demo_progress"
BATCH: Final = 500
PAUSE_SECONDS: Final = 5.0
MINUTE: Final = timedelta(minutes=1)
# What lies further back is taken in by the hour, so its accounts stand in the hour's last minute;
# the windows of the last hour's judgements, an hour long, must not reach back into that.
BY_THE_MINUTE: Final = 3 * traffic.HOUR
FOLLOW_FROM: Final = timedelta(minutes=30)
Stop = Callable[[], bool]
Tell = Callable[[str], None]


def load(*, tell: Tell, is_stopped: Stop, days: int = HISTORY_DAYS) -> int:
    """Build the workspace and its history; goes on where an earlier run stopped.

    Gives the number of events newly accepted.
    """
    now = clock.now()
    _progress("building the catalog", 0)
    build(now)
    directory.forget()
    tell("catalog built")
    with sole_judge():
        accepted = _history(now, days, tell=tell, is_stopped=is_stopped)
    if not is_stopped():
        # Only now: its looks are immutable, and should not be taken at half a history.
        build_experiment(_story().experiment_at)
        analyse_running()
        propose_story_change()
        read_old_notices(clock.now())
        _progress("", 100)
    return accepted


def follow(*, tell: Tell, is_stopped: Stop) -> None:
    """Keep new events coming until stopped; a database that is away costs time, not events."""
    publishers = _publishers()
    story = _story()
    # Where the history ended, which may be minutes ago; not before, if it was cut.
    now = clock.now()
    sent = max(_newest_before(now) or now, now - FOLLOW_FROM)
    while not is_stopped():
        now = clock.now()
        try:
            _send(_between(sent, now, story), publishers, received_at=None)
        except PortalError as error:
            tell(f"waiting: {error.detail}")
        else:
            sent = now
        _sleep(PAUSE_SECONDS, is_stopped)


def _history(now: datetime, days: int, *, tell: Tell, is_stopped: Stop) -> int:
    """Send the past, oldest first, and judge it as if it were then."""
    first = (now - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    newest = _newest_before(now)
    start = max(first, newest.replace(minute=0, second=0, microsecond=0)) if newest else first
    story, publishers = _story(), _publishers()
    accepted = 0
    begun = time.monotonic()
    for place, end in _slices(start, now):
        if is_stopped():
            break
        accepted += _send(_between(place, end, story), publishers, received_at=end)
        if end.hour == end.minute == 0 or end == now:
            _look_at(end - timedelta(microseconds=1))
        _judge(end, first, now)
        percent = round(100 * ((end - start) / max(now - start, MINUTE)))
        _progress("loading 14 days of events", min(percent, 99))
        if end.hour == end.minute == 0:
            seconds = time.monotonic() - begun
            tell(f"{place:%d %b}: {accepted} events, {accepted / max(seconds, 0.1):.0f} a second")
    roll_up()
    return accepted


def _look_at(moment: datetime) -> None:
    """Let the planner know of the day that was just loaded: analyses run while the next is."""
    with connect() as connection:
        partitions.refresh_statistics(connection, moment.date())


def _newest_before(now: datetime) -> datetime | None:
    """The time of the shop's newest stored event of the past; what others sent does not count."""
    ours = list(Producer.objects.filter(name__in=PRODUCERS).values_list("pk", flat=True))
    found: datetime | None = Event.objects.filter(
        producer_id__in=ours, occurred_at__lt=now
    ).aggregate(at=Max("occurred_at"))["at"]
    return found


def _slices(start: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The spans in which the past is sent: hours, and minutes up to the present."""
    while start < now:
        is_old = now - start > BY_THE_MINUTE and start.minute == 0
        end = min(start + (traffic.HOUR if is_old else MINUTE), now)
        yield start, end
        start = end


def _judge(moment: datetime, first: datetime, now: datetime) -> None:
    """Learn each midnight; check at full hours, and as often as beat would in the last one."""
    if moment.hour == moment.minute == 0 and moment - first >= timedelta(days=3):
        learn_baselines(moment)
    if moment.minute == 0 or (moment.minute % 5 == 0 and now - moment <= traffic.HOUR):
        run_checks(moment)


def _between(
    start: datetime, end: datetime, story: traffic.Story
) -> list[tuple[str, dict[str, Any]]]:
    """The events of the shop in a span, also over the turn of an hour."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    found = []
    while hour < end:
        found += [
            pair for pair in traffic.events_of_hour(hour, story) if start <= _time(pair[1]) < end
        ]
        hour += traffic.HOUR
    return found


def _send(
    events: list[tuple[str, dict[str, Any]]],
    publishers: dict[str, Publisher],
    *,
    received_at: datetime | None,
) -> int:
    by_producer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for producer, event in events:
        by_producer[producer].append(event)
    accepted = 0
    for producer, mine in sorted(by_producer.items()):
        for place in range(0, len(mine), BATCH):
            answer = accept_events(
                mine[place : place + BATCH],
                publisher=publishers[producer],
                is_import=received_at is not None,
                received_at=received_at - timedelta(seconds=1) if received_at else None,
            )
            accepted += answer["accepted"]
    return accepted


def _publishers() -> dict[str, Publisher]:
    return {
        producer.name: publisher_of(producer)
        for producer in Producer.objects.filter(name__in=PRODUCERS)
    }


def _story() -> traffic.Story:
    """The story of the first run, so that a later start tells the same one."""
    first = Producer.objects.filter(name__in=PRODUCERS).order_by("created_at").first()
    return traffic.story_at(first.created_at if first is not None else clock.now())


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])


def _progress(step: str, percent: int) -> None:
    """What the shell shows while the demo loads; without Redis nobody sees it, nothing breaks."""
    soft_cache.put(PROGRESS_KEY, {"step": step, "percent": percent}, 120)


def _sleep(seconds: float, is_stopped: Stop) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_stopped():
        time.sleep(0.2)
