"""A little shop whose app writes a number as text: what the tests of dead letters begin with."""

import json
from datetime import timedelta
from typing import Any

from django.db import connection

from catalog.models import Producer, Stream
from catalog.services.producers import create_producer
from governance.models import Job, Team
from governance.models.jobs import JobState
from governance.services import jobs
from governance.types import Role
from ingest.judging.admission import publisher_of
from ingest.judging.pipeline import accept_events
from ingest.models import DeadLetter
from ingest.selectors import dead_letters
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import make_actor, make_stream, make_team

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["n"],
}
CAST = [{"do": "cast", "at": "/data/n", "to": "integer"}]


class Shop:
    """A stream with its team of two, and a producer that writes a number as text."""

    def __init__(self) -> None:
        self.team: Team = make_team()
        self.ada: Actor = make_actor(Role.ENGINEER, team=self.team)
        self.ben: Actor = make_actor(Role.ENGINEER, team=self.team)
        self.stream: Stream = make_stream("testing.counted", schema=SCHEMA, team=self.team)
        self.producer: Producer = create_producer("android", actor=SYSTEM, streams=[self.stream])

    def send(self, *data: Any, start: int = 0, **attributes: Any) -> dict[str, Any]:
        at = clock.now() - timedelta(minutes=5)
        events = [
            {
                "specversion": "1.0", "id": f"e{start + place}", "source": "/app",
                "type": self.stream.name, "time": at.isoformat(), "data": value, **attributes,
            }
            for place, value in enumerate(data)
        ]  # fmt: skip
        return dict(accept_events(events, publisher=publisher_of(self.producer)))

    def group(self, actor: Actor | None = None) -> dead_letters.Group:
        (found,) = dead_letters.groups(actor or self.ada)
        return found

    def stored(self) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT event_id, data, marks FROM ingest_event WHERE stream_id = %s",
                [self.stream.pk],
            )
            rows = cursor.fetchall()
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: (json.loads(row[1]), row[2]) for row in rows}

    def totals(self) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(received), 0), coalesce(sum(accepted), 0),"
                " coalesce(sum(duplicate), 0), coalesce(sum(dead_lettered), 0),"
                " coalesce(sum(replayed), 0) FROM ingest_ingestminute WHERE stream_id = %s",
                [self.stream.pk],
            )
            names = ("received", "accepted", "duplicate", "dead_lettered", "replayed")
            return dict(zip(names, (int(value) for value in cursor.fetchone()), strict=True))

    def tried(self, event_id: str = "e0") -> dict[str, Any]:
        """What the last replay met that left an event refused."""
        found = DeadLetter.objects.get(event_id=event_id)
        assert found.state == "open"
        assert isinstance(found.tried, dict)
        return found.tried

    def states(self) -> dict[str, str]:
        return dict(DeadLetter.objects.values_list("event_id", "state"))


def run() -> None:
    """Have the workers do what is due."""
    while Job.objects.filter(state__in=(JobState.WAITING, JobState.RUNNING)).exists():
        jobs.run_due_jobs()
