"""Many at once: the database says who was first, and nobody is told that the portal failed."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from catalog.models import Domain, SchemaVersion, Stream
from catalog.models.streams import StreamUserPermission
from catalog.services.consumers import create_consumer
from governance.models import AuditEntry
from governance.selectors.people import actor_of
from governance.services.requests import ask_for_access
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.governance.test_requests import PURPOSE, soon
from tests.support.factories import ORDER_SCHEMA, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db(transaction=True)
CROWD = 20
JSON = "application/json"


def at_once(call: Callable[[Client, int], Any], tokens: list[str]) -> list[Any]:
    """The answers of as many callers as tokens, released together."""
    barrier, door = threading.Barrier(len(tokens)), threading.Lock()

    def run(numbered: tuple[int, str]) -> Any:
        number, token = numbered
        with door:  # one connection after the other: the race begins behind it
            connections["default"].ensure_connection()
        client = Client(headers={"Authorization": f"Bearer {token}"})
        try:
            barrier.wait()
            return call(client, number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(run, enumerate(tokens)))


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def crowd(*roles: Role, **fields: Any) -> list[str]:
    return [token_of(make_person(*roles, **fields)) for _ in range(CROWD)]


def test_twenty_publishers_of_one_stream_get_a_version_each() -> None:
    team = make_team()
    stream = make_stream(team=team)
    fields = {f"field_{n}": {"type": "string", "description": "One."} for n in range(200)}

    def publish(client: Client, number: int) -> Any:
        schema = {**ORDER_SCHEMA, "properties": {**fields, f"mine_{number}": {"type": "integer"}}}
        return client.post(
            f"/api/v1/streams/{stream.name}/schemas", {"schema": schema}, content_type=JSON
        )

    answers = at_once(publish, crowd(Role.ENGINEER, team=team))
    assert statuses(answers) == {201: CROWD}
    numbers = sorted(answer.json()["version"] for answer in answers)
    assert numbers == list(range(2, CROWD + 2))
    stream.refresh_from_db()
    assert stream.default_version == 1, "proposed is not active"


def test_who_waits_too_long_for_others_is_told_to_try_again() -> None:
    stream, token = make_stream(), token_of(make_person(Role.ADMIN))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Stream.objects.select_for_update().get(pk=stream.pk)
            held.set()
            done.wait(20)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    try:
        answer = Client(headers={"Authorization": f"Bearer {token}"}).post(
            f"/api/v1/streams/{stream.name}/schemas", {"schema": {}}, content_type=JSON
        )
    finally:
        done.set()
        holder.join()
        connection.close()
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert answer["Retry-After"] == "1"


def test_twenty_publishers_of_one_document_make_one_version() -> None:
    team = make_team()
    stream = make_stream(team=team)
    schema = {**ORDER_SCHEMA, "title": "New"}
    answers = at_once(
        lambda client, _: client.post(
            f"/api/v1/streams/{stream.name}/schemas", {"schema": schema}, content_type=JSON
        ),
        crowd(Role.ENGINEER, team=team),
    )
    assert statuses(answers) == {201: 1, 409: CROWD - 1}
    assert SchemaVersion.objects.filter(stream=stream).count() == 2


def test_one_of_twenty_registers_a_name_and_the_others_are_told_that_it_is_taken() -> None:
    answers = at_once(
        lambda client, _: client.post(
            "/api/v1/streams", {"name": "fresh.thing_done", "schema": {}}, content_type=JSON
        ),
        crowd(Role.ENGINEER),
    )
    assert statuses(answers) == {201: 1, 409: CROWD - 1}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"name_taken"}
    assert Stream.objects.filter(name="fresh.thing_done").count() == 1


def test_twenty_streams_of_a_domain_that_is_not_there_yet_are_all_registered() -> None:
    answers = at_once(
        lambda client, number: client.post(
            "/api/v1/streams",
            {"name": f"fresh.thing_{number}", "schema": {}, "tags": ["new"]},
            content_type=JSON,
        ),
        crowd(Role.ENGINEER),
    )
    assert statuses(answers) == {201: CROWD}
    assert Domain.objects.filter(slug="fresh").count() == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/domains", {"slug": "one"}),
        ("/teams", {"slug": "one", "name": "One"}),
        ("/producers", {"name": "one"}),
        ("/consumers", {"name": "one"}),
    ],
)
def test_one_of_twenty_makes_a_thing_of_a_name(path: str, body: dict[str, str]) -> None:
    answers = at_once(
        lambda client, _: client.post(f"/api/v1{path}", body, content_type=JSON),
        crowd(Role.ADMIN),
    )
    assert statuses(answers) == {201: 1, 409: CROWD - 1}


def test_metric_versions_made_at_once_have_each_their_number() -> None:
    stream = make_stream(team=make_team())
    answers = at_once(
        lambda client, _: client.post(
            "/api/v1/metrics",
            {"key": "m", "name": "M", "stream": stream.name, "type": "proportion"},
            content_type=JSON,
        ),
        crowd(Role.ADMIN),
    )
    assert set(statuses(answers)) <= {201, 409}
    made = sorted(a.json()["version"] for a in answers if a.status_code == 201)
    assert made == list(range(1, len(made) + 1))


def test_one_of_many_approvals_of_a_request_grants_it() -> None:
    team = make_team()
    stream, asker = make_stream(team=team), make_person()
    request = ask_for_access(stream.ref, actor=actor_of(asker), purpose=PURPOSE, until=soon())
    answers = at_once(
        lambda client, number: client.post(
            f"/api/v1/access-requests/{request.pk}/{'deny' if number % 2 else 'approve'}",
            {"reason": "So it is."},
            content_type=JSON,
        ),
        crowd(team=team),
    )
    assert statuses(answers) == {200: 1, 409: CROWD - 1}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"invalid_state"}
    request.refresh_from_db()
    granted = StreamUserPermission.objects.filter(user=asker).count()
    assert granted == (1 if request.state == "approved" else 0)
    decided = AuditEntry.objects.filter(action__in=("access.granted", "access.denied"))
    assert decided.count() == 1


def test_one_of_twenty_open_requests_of_a_person_is_kept() -> None:
    stream, token = make_stream(team=make_team()), token_of(make_person())
    answers = at_once(
        lambda client, _: client.post(
            "/api/v1/access-requests",
            {
                "resource": {"kind": "stream", "key": stream.name},
                "purpose": PURPOSE,
                "until": soon().isoformat(),
            },
            content_type=JSON,
        ),
        [token] * CROWD,
    )
    assert statuses(answers) == {201: 1, 409: CROWD - 1}


def test_one_of_twenty_changes_from_the_same_revision_wins() -> None:
    stream = make_stream()
    answers = at_once(
        lambda client, number: client.patch(
            f"/api/v1/streams/{stream.name}",
            {"title": f"Mine {number}", "tags": [f"t{number}"]},
            content_type=JSON,
            headers={"If-Match": '"2"'},
        ),
        crowd(Role.ADMIN),
    )
    assert statuses(answers) == {200: 1, 412: CROWD - 1}
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    stream.refresh_from_db()
    assert [stream.title] == [winner["title"]]
    assert [tag.slug for tag in stream.tags.all()] == winner["tags"]


def test_one_mapping_of_a_consumer_declared_by_many_is_one() -> None:
    stream, consumer = make_stream(), create_consumer("c", actor=SYSTEM)
    answers = at_once(
        lambda client, _: client.post(
            "/api/v1/consumers/c/mappings", {"stream": stream.name}, content_type=JSON
        ),
        crowd(Role.ADMIN),
    )
    assert statuses(answers) == {201: CROWD}
    assert consumer.mappings.count() == 1
