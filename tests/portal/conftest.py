"""Pages as people see them: signed-in clients and the small facts that pages speak of."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client

from catalog.models import Producer, Stream
from governance.models import Team, User
from governance.types import Role
from ingest.log import partitions
from ingest.models import DeadLetter, IngestMinute
from portal.kernel import clock
from quality.models import Alarm, Check
from tests.support.factories import make_person

Account = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_kept_figures(settings: object) -> None:
    """Figures that pages keep for a while must not pass from one test to the next."""
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"default": dummy, "soft": dummy}  # type: ignore[attr-defined]  # pytest-django's fixture


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def client_of(*roles: Role, team: Team | None = None) -> Client:
    return signed_in(make_person(*roles, team=team))


def account(
    stream: Stream,
    producer: Producer | None = None,
    *,
    minutes_ago: float = 5,
    accepted: int = 0,
    refused: int = 0,
) -> None:
    """What ingest counted of a stream in one minute."""
    minute = (clock.now() - timedelta(minutes=minutes_ago)).replace(second=0, microsecond=0)
    IngestMinute.objects.create(
        stream_id=stream.pk,
        producer_id=producer.pk if producer else 1,
        minute=minute,
        received=accepted + refused,
        accepted=accepted,
        dead_lettered=refused,
        invalid=refused,
    )


def refuse(
    stream: Stream | None,
    *,
    at: datetime | None = None,
    body: bytes = b'{"data":{"n":"x"}}',
    producer_id: int = 1,
) -> DeadLetter:
    """One refused event with a fault in the field n."""
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    moment = at or clock.now()
    partitions.make_days(raw, [partitions.DEAD_LETTERS], [moment.date()])
    name = stream.name if stream else "nobody.knows"
    return DeadLetter.objects.create(
        id=uuid4(),
        received_at=moment,
        stream_id=stream.pk if stream else None,
        producer_id=producer_id,
        type=name,
        event_id="e1",
        source="/s",
        reason="schema_violation" if stream else "unknown_stream",
        errors=[{"pointer": "/data/n", "code": "type", "detail": "must be of type integer"}],
        body=body,
        content_type="application/json",
        body_sha256=b"",
        group_key=f"schema_violation|{name}|/data/n",
        state="open",
    )


def alarm(stream: Stream, *, said_now: str = "", kind: str = "validity") -> Alarm:
    """An open alarm of two hours, with the check that speaks of it now."""
    opened = clock.now() - timedelta(hours=2)
    if said_now:
        Check.objects.create(
            stream=stream, kind=kind, state="alarm", level=2, sentence=said_now,
            evaluated_at=clock.now(),
        )  # fmt: skip
    return Alarm.objects.create(
        stream=stream, kind=kind, opened_at=opened, level=2, sentence="This opened it."
    )
