"""The days of the event tables, and what the planner knows of them."""

import json

from django.db import connection

from ingest.log import partitions
from ingest.log.connection import connect
from portal.kernel import clock
from tests.ingest.conftest import World, post


def test_after_a_bulk_load_the_planner_knows_the_rows(world: World) -> None:
    stream = world.stream()
    headers = {
        "content-type": "application/cloudevents-batch+json",
        "authorization": f"Bearer {world.key(world.producer())}",
    }
    event = {"specversion": "1.0", "source": "/s", "type": stream.name, "data": {"order": "a"}}
    body = json.dumps([event | {"id": str(number)} for number in range(200)]).encode()
    assert post(body, headers).json["accepted"] == 200
    today = clock.now().date()
    with connect() as link:
        partitions.refresh_statistics(link, today)
    leaves = [partitions.leaf_name(parent, today) for parent in partitions.EVENT_PARENTS.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stats WHERE tablename = ANY(%s) AND attname = 'event_id'",
            [leaves],
        )
        assert cursor.fetchone() != (0,)
