"""Runs of synthetic events: sent by workers through the real door, steered, counted, for few."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from catalog.models import Stream
from catalog.types import Track
from governance import job_kinds
from governance.models import Job, JobState, Key, User
from governance.selectors.people import actor_of
from governance.services import jobs
from governance.types import Permission, Role
from ingest.models import SyntheticRun
from ingest.selectors.synthetic_runs import RUN
from ingest.services import synthetic_runs
from ingest.services.synthetic import Wanted
from ingest.services.synthetic_runs import preview, run_step, start_run
from ingest.synthetic.curves import read_incident
from ingest.synthetic.making import Maker
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, NotFoundError, NotPermittedError
from tests.ingest.conftest import World
from tests.support.factories import make_grant, make_person, make_team
from tests.support.serving import served

NOW = clock.now().replace(microsecond=0)
HOUR = timedelta(hours=1)
PAST: dict[str, Any] = {"start": NOW - 6 * HOUR, "end": NOW - HOUR, "seed": 5}
RULES = ("schema_violation:required", "out_of_window", "id_conflict")


@pytest.fixture(scope="module")
def door(world: World) -> Iterator[str]:
    from portal.asgi import application

    with served(application) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _clean(world: World, settings: Any, door: str) -> Iterator[None]:
    settings.PUBLIC_URL = door
    yield
    for model in (SyntheticRun, Job):
        model.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(owner_team=None, restricted=False)
    User.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


@pytest.fixture
def stream(world: World) -> Stream:
    return world.stream(owner_team=make_team(), late_seconds=30 * 86_400, enforcement="enforce")


@pytest.fixture
def ada(stream: Stream) -> Actor:
    return actor_of(make_person(Role.ENGINEER, team=stream.owner_team))


def client_of(actor: Actor) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=actor.id))
    return client


def work(run: SyntheticRun) -> tuple[SyntheticRun, Job]:
    """Let a worker do what is due, and look."""
    jobs.run_due_jobs(budget_seconds=120)
    run.refresh_from_db()
    return run, Job.objects.get(object_key=str(run.pk))


def due(run: SyntheticRun) -> None:
    Job.objects.filter(object_key=str(run.pk)).update(due_at=None)


def test_a_run_sends_what_it_says_and_its_key_ends_with_it(stream: Stream, ada: Actor) -> None:
    wanted = Wanted(**PAST, events=900, broken_ratio=0.2, rules=RULES)
    shown, _ = preview(stream, wanted, actor=ada)
    assert [one.rule for one in shown] == ["", "", *sorted(RULES)]
    run = start_run(stream, wanted, actor=ada)
    assert Key.objects.get(pk=run.key_id).streams_glob == stream.name
    run, job = work(run)
    assert (job.state, job.done, job.total, run.position) == (JobState.DONE, 900, 900, 900)
    assert (run.misses, run.learned) == ([], {})
    seen = {(one["expected"], one["seen"]): 0 for one in run.outcome}
    for one in run.outcome:
        seen[one["expected"], one["seen"]] += one["events"]
    assert {wanted == found for wanted, found in seen} == {True}
    assert {expected for expected, _ in seen} == {
        "accepted", "schema_violation", "out_of_window", "id_conflict",
    }  # fmt: skip
    assert sum(seen.values()) == run.sent > 900
    assert Key.objects.get(pk=run.key_id).revoked_at is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE attributes ->> 'synthetic' = 'true')"
            " FROM ingest_event WHERE stream_id = %s", [stream.pk],
        )  # fmt: skip
        assert cursor.fetchone() == (seen["accepted", "accepted"],) * 2


VISIT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "session_id": {"type": "string", "format": "uuid"},
        "user_id": {"x-privacy": "tokenize", "x-classification": "personal"},
        "born": {"type": "string", "x-privacy": "bucket", "format": "date"},
        "pages": {"type": "integer", "minimum": 1, "maximum": 50},
    },
    "required": ["session_id", "user_id", "pages"],
}
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "pattern": "^O-[0-9]{8}$"}, "session_id": {"type": "string"},
        "amount": {"type": "number", "minimum": 0},
        "who": {"type": "object", "properties": {"name": {"type": "string", "x-privacy": "drop"}}},
    },
    "required": ["order_id", "session_id", "amount", "who"],
}  # fmt: skip
KINDS = dict.fromkeys(
    ("missing_field", "wrong_type", "late", "duplicate", "unparsable", "envelope_invalid",
     "limit_exceeded", "unknown_stream", "not_permitted", "out_of_window", "schema_unknown",
     "version_retired", "privacy_refused", "id_conflict"), 0.03,
)  # fmt: skip


def test_a_run_of_several_streams_has_every_kind_and_its_events_join(
    world: World, stream: Stream, ada: Actor
) -> None:
    own: dict[str, Any] = {
        "owner_team": stream.owner_team,
        "late_seconds": 30 * 86_400,
        "default_version": 2,
    }
    visits = world.stream(
        VISIT, name="synthetic_runs.visited", version_state="retired", enforcement="enforce", **own
    )
    world.version(visits, 2, VISIT)
    orders = world.stream(
        ORDER, name="synthetic_runs.ordered", enforcement="warn", **own | {"default_version": 1}
    )
    wanted = Wanted(**PAST, events=800, shares=KINDS)
    shown, joins = preview(visits, wanted, actor=ada, further=[(orders, 0.5)])
    assert (len(shown), joins) == (5, ["session_id"])
    first, second = (json.loads(one.line) for one in shown[:2])
    assert first["data"]["session_id"] == second["data"]["session_id"]
    assert first["time"] < second["time"]
    run = start_run(visits, wanted, actor=ada, further=[(orders, 0.5)])
    assert [(one["stream"], one["events"]) for one in run.plan["streams"]] == [
        (visits.name, 800), (orders.name, 400),
    ]  # fmt: skip
    assert "version_retired" not in run.plan["streams"][1]["shares"]
    run, job = work(run)
    assert (job.state, run.position, run.total) == (JobState.DONE, 1_200, 1_200), job.said
    assert run.misses == []
    assert run.parts.get().position == 400
    assert run.parts.get().learned == run.learned == {}
    seen = {(one["stream"], one["rule"], one["expected"]): one["events"] for one in run.outcome}
    assert all(one["expected"] == one["seen"] for one in run.outcome)
    came = {
        (rule.partition(":")[0], expected) for name, rule, expected in seen if name == visits.name
    }
    reasons = set(KINDS) - {"missing_field", "wrong_type", "late", "duplicate"}
    assert came == {(reason, reason) for reason in reasons} | {
        ("", "accepted"), ("late", "accepted"), ("duplicate", "duplicate"),
        ("schema_violation", "schema_violation"),
    }  # fmt: skip
    # Where the contract only warns, what breaks it is taken, but for what can't be made private.
    assert seen[orders.name, "schema_violation:required", "accepted"] > 3
    assert seen[orders.name, "privacy_refused", "privacy_refused"] > 3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE v.subject = o.subject),"
            " count(*) FILTER (WHERE v.occurred_at < o.occurred_at OR o.attributes ? 'syntheticbreaks'"
            " OR v.attributes ? 'syntheticbreaks')"
            " FROM ingest_event o JOIN ingest_event v ON v.stream_id = %s"
            " AND v.data ->> 'session_id' = o.data ->> 'session_id' WHERE o.stream_id = %s",
            [visits.pk, orders.pk],
        )  # fmt: skip
        joined, same, in_order = cursor.fetchone() or (0, 0, 0)
    assert joined > 150
    assert (same, in_order) == (joined, joined)

    page = client_of(ada).get(f"/ingest/synthetic/{run.pk}/").content.decode()
    assert f"in {visits.name} alone" in page
    assert "Every event came to what was expected of it." in page
    person = make_person(Role.ANALYST)
    make_grant(visits, person, Permission.PUBLISH)
    cy = actor_of(person)
    assert client_of(cy).get(f"/api/v1/synthetic-runs/{run.pk}").status_code == 200
    with pytest.raises(NotPermittedError):
        start_run(visits, wanted, actor=cy, further=[(orders, 1.0)])
    Stream.objects.filter(pk=orders.pk).update(restricted=True)
    assert client_of(cy).get(f"/api/v1/synthetic-runs/{run.pk}").status_code == 404, "every stream"
    listed = client_of(ada).get(f"/api/v1/synthetic-runs?stream={orders.name}").json()["items"]
    assert [one["id"] for one in listed] == [str(run.pk)]
    with pytest.raises(NotFoundError):
        start_run(visits, wanted, actor=cy, further=[(orders, 1.0)])


def test_a_run_goes_by_what_it_learned_in_whichever_worker(stream: Stream, ada: Actor) -> None:
    wanted = Wanted(
        **PAST, events=200, incidents=(read_incident("spike@1h+30mx3"),), broken_ratio=0.1
    )
    run = start_run(stream, wanted, actor=ada)
    synthetic_runs._makers.cache_clear()
    (again,) = synthetic_runs._makers(run.pk)
    (direct,) = map(Maker, synthetic_runs._planned([(stream, 1.0)], wanted, actor=ada))
    assert [one.line for at in range(200) for one in again.events(at)] == [
        one.line for at in range(200) for one in direct.events(at)
    ]


def test_live_events_wait_for_their_time_and_others_go_before(
    stream: Stream, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = clock.now() - timedelta(seconds=30)  # long after this file was read, maybe
    live = start_run(stream, Wanted(began, began + 2 * HOUR, rate=1, curve="flat"), actor=ada)
    jobs.run_due_jobs()
    job = Job.objects.get(object_key=str(live.pk))
    assert job.state == JobState.WAITING
    assert job.due_at is not None
    live.refresh_from_db()
    sent = live.position
    assert 0 < sent < 600, "what is to come was not sent"
    assert jobs.run_due_jobs() == 0, "it rests, and holds no worker"

    order: list[str] = []
    monkeypatch.setattr(synthetic_runs, "BUDGET_SECONDS", 0.0)
    first = start_run(stream, Wanted(**PAST, events=1_500), actor=ada)
    second = start_run(stream, Wanted(**PAST | {"seed": 6}, events=1_500), actor=ada)

    def noting(row: Job) -> Any:
        order.append(row.object_key)
        return run_step(row)

    monkeypatch.setitem(job_kinds._kinds, RUN, noting)
    jobs.pause_job(job, actor=ada)
    jobs.run_due_jobs(budget_seconds=120)
    assert order == [str(first.pk), str(second.pk)] * 3, "each step lets the other go before"


def test_a_door_that_says_wait_is_heeded_and_a_closed_one_is_said(
    stream: Stream, ada: Actor, settings: Any
) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    run, job = work(start_run(stream, Wanted(**PAST, events=10), actor=ada))
    assert (job.state, run.position, run.outcome) == (JobState.WAITING, 0, [])
    assert job.cursor["stuck_since"]
    long_ago = (clock.now() - HOUR).isoformat()
    Job.objects.filter(pk=job.pk).update(cursor={"stuck_since": long_ago}, due_at=None)
    run, job = work(run)
    assert (job.state, job.said) == (
        JobState.FAILED, "http://127.0.0.1:9 took no events for 5 minutes."
    )  # fmt: skip


def test_a_starter_who_may_no_more_ends_the_run(stream: Stream, ada: Actor) -> None:
    run = start_run(stream, Wanted(**PAST, events=10), actor=ada)
    Key.objects.filter(pk=run.key_id).update(expires_at=clock.now())
    _, job = work(run)
    assert job.state == JobState.WAITING, "a key that ran out is renewed, and used in the next step"
    Key.objects.filter(pk=run.key_id).update(expires_at=clock.now())
    Stream.objects.filter(pk=stream.pk).update(owner_team=None)
    due(run)
    _, job = work(run)
    assert job.state == JobState.FAILED
    assert "may not publish" in job.said


def test_who_may_not_publish_starts_nothing_and_production_must_be_meant(
    world: World, stream: Stream, ada: Actor
) -> None:
    ben = actor_of(make_person(Role.ENGINEER))
    with pytest.raises(NotPermittedError):
        start_run(stream, Wanted(**PAST), actor=ben)
    Stream.objects.filter(pk=stream.pk).update(restricted=True, track=Track.PRODUCTION)
    stream.refresh_from_db()
    with pytest.raises(NotFoundError):
        preview(stream, Wanted(**PAST), actor=ben)
    assert len(preview(stream, Wanted(**PAST), actor=ada)[0]) == 5  # which sends nothing
    with pytest.raises(InvalidError, match="Say that it is meant"):
        start_run(stream, Wanted(**PAST), actor=ada)
    assert start_run(stream, Wanted(**PAST, events=3, production=True), actor=ada).total == 3
    for wrong, said in (
        (Wanted(NOW, NOW - HOUR), "after the beginning"),
        (Wanted(NOW - 400 * 24 * HOUR, NOW), "last 30 days"),
        (Wanted(NOW, NOW + 900 * HOUR), "7 days ahead"),
        (Wanted(NOW - HOUR, NOW, rate=10_000, production=True), "1000000 events"),
    ):
        with pytest.raises(InvalidError, match=said):
            start_run(stream, wrong, actor=ada)


def body(stream: Stream, **more: Any) -> str:
    return json.dumps({"stream": stream.name, "since": PAST["start"].isoformat(),
                       "until": PAST["end"].isoformat(), **more})  # fmt: skip


def test_the_api_starts_one_run_for_one_idempotency_key_and_tells_of_it(
    world: World, stream: Stream, ada: Actor
) -> None:
    client = client_of(ada)
    other = world.stream(owner_team=stream.owner_team, late_seconds=30 * 86_400)
    send: dict[str, Any] = {"content_type": "application/json", "HTTP_IDEMPOTENCY_KEY": "run-1"}
    said = body(stream, events=20, broken_ratio=0.5, incidents=["late@1h+30m"])
    answer = client.post("/api/v1/synthetic-runs", said, **send)
    assert answer.status_code == 202, answer.content
    assert client.post("/api/v1/synthetic-runs", said, **send).json() == answer.json()
    assert SyntheticRun.objects.count() == 1
    address = answer["Location"]
    work(SyntheticRun.objects.get())
    found = client.get(address).json()
    assert (found["state"], found["position"], found["misses"]) == ("done", 20, [])
    assert found["plan"]["incidents"] == ["late@3600s+1800s"]
    assert client.get(f"/api/v1/jobs/{found['job']}").json()["done"] == 20
    listed = client.get(f"/api/v1/synthetic-runs?stream={stream.name}").json()
    assert [one["id"] for one in listed["items"]] == [found["id"]]
    two = {"streams": [stream.name, {"stream": other.name, "ratio": 0.5}], "curve": "week",
           "shares": {"late": 0.1, "wrong_type": 0.1}, "events": 10}  # fmt: skip
    answer = client.post("/api/v1/synthetic-runs", json.dumps(two), content_type="application/json")
    assert answer.status_code == 202, answer.content
    plan = answer.json()["plan"]
    assert [one["events"] for one in plan["streams"]] == [10, 5]
    assert plan["shares"] == {"late": 0.1, "schema_violation:type": 0.1}
    assert (plan["curve"], plan["broken_ratio"], plan["joins"]) == ("week", 0.2, [])
    for wrong, status in (
        (body(stream, streams=[stream.name]), 422), (json.dumps({"events": 3}), 422),
        (json.dumps({"streams": [stream.name] * 2}), 422), (json.dumps({"streams": [7]}), 400),
        (body(stream, shares={"late": 0.6, "duplicate": 0.6}), 422),
        (body(stream, shares={"late": 0.6}, broken_ratio=0.1), 422),
        (body(stream, rate="fast"), 400), (body(stream, incidents=["flood"]), 422),
        (body(stream, rules=["nonsense"]), 422),
    ):  # fmt: skip
        answer = client.post("/api/v1/synthetic-runs", wrong, content_type="application/json")
        assert answer.status_code == status, answer.content

    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    stranger = client_of(actor_of(make_person(Role.ANALYST)))
    assert stranger.get("/api/v1/synthetic-runs").json()["items"] == []
    assert stranger.get(address).status_code == 404
    said = body(stream)
    answer = stranger.post("/api/v1/synthetic-runs", said, content_type="application/json")
    assert answer.status_code == 404


def test_the_page_shows_five_first_then_sends_and_tells_what_came(
    world: World, stream: Stream, ada: Actor
) -> None:
    client = client_of(ada)
    other = world.stream(owner_team=stream.owner_team, late_seconds=30 * 86_400)
    form = {
        "stream": stream.name, "events": "20", "rate": "10", "seed": "3", "broken": "30",
        "rules": ["schema_violation:required", "unparsable"], "do": "preview",
        "since": f"{PAST['start']:%Y-%m-%dT%H:%M:%S}", "until": f"{PAST['end']:%Y-%m-%dT%H:%M:%S}",
    }  # fmt: skip
    part = client.post("/ingest/synthetic/", form, HTTP_HX_REQUEST="true").content.decode()
    assert part.count("<article") == 5
    assert "<html" not in part
    assert "a required field is missing" in part
    whole = client.post("/ingest/synthetic/", form).content.decode()
    assert part.strip() in whole, "the same without a script"
    assert not SyntheticRun.objects.exists()

    refused = client.post("/ingest/synthetic/", form | {"seed": "-1"})
    assert refused.status_code == 422
    both = form | {"share0-kind": "late", "share0-share": "5"}
    assert b"one for each kind" in client.post("/ingest/synthetic/", both).content
    several = both | {"broken": "", "further1-name": other.name, "further1-ratio": "40"}
    part = client.post("/ingest/synthetic/", several, HTTP_HX_REQUEST="true").content.decode()
    assert "One journey through the streams" in part
    assert "two hours late, and taken" in part
    lacking = client.post("/ingest/synthetic/", several | {"share1-kind": "duplicate"})
    assert b"Say how many in a hundred." in lacking.content
    never = form | {"rules": ["schema_violation:multipleOf"], "do": "start"}
    assert b"can break multipleOf" in client.post("/ingest/synthetic/", never).content

    answer = client.post("/ingest/synthetic/", form | {"do": "start"})
    run = SyntheticRun.objects.get()
    assert answer["Location"] == f"/ingest/synthetic/{run.pk}/"
    assert f'data-live="{answer["Location"]}'.encode() in client.get(answer["Location"]).content
    work(run)
    done = client.get(answer["Location"]).content.decode()
    assert "Every event came to what was expected of it." in done
    assert f'data-live="{answer["Location"]}' not in done
    assert "known already" not in done
    SyntheticRun.objects.update(outcome=[{"rule": "", "expected": "accepted", "seen": "duplicate",
                                          "events": 7}])  # fmt: skip
    assert "7 were known already" in client.get(answer["Location"]).content.decode()
    assert str(run.pk) in client.get("/ingest/synthetic/").content.decode()

    stranger = client_of(actor_of(make_person(Role.ANALYST)))
    assert stranger.post("/ingest/synthetic/", form | {"do": "start"}).status_code in (403, 422)
    assert SyntheticRun.objects.count() == 1


def test_who_may_publish_by_grant_learns_nothing_of_payloads(world: World, stream: Stream) -> None:
    ben = make_person(Role.ENGINEER)
    make_grant(stream, ben, Permission.PUBLISH)
    started = start_run(stream, Wanted(**PAST, events=3), actor=actor_of(ben))
    assert (started.is_learned, started.learned["profile"]) == (False, {})


def test_the_command_takes_several_streams_with_shares_and_a_share_for_each_kind(
    world: World, stream: Stream, ada: Actor, door: str
) -> None:
    orders = world.stream(ORDER, owner_team=stream.owner_team, late_seconds=30 * 86_400)
    words = ["--stream", stream.name, "--stream", f"{orders.name}=50%", "--events", "60",
             "--from", PAST["start"].isoformat(), "--to", PAST["end"].isoformat(),
             "--broken", "late=30%,duplicate=0.3", "--curve", "day"]  # fmt: skip
    printed, said = StringIO(), StringIO()
    call_command("load", *words, "--dry-run", stdout=printed)
    lines = printed.getvalue().splitlines()
    call_command("load", *words, "--url", door, "--json", stdout=said)
    result = json.loads(said.getvalue())
    assert (result["position"], result["sent"], result["misses"]) == (90, len(lines), [])
    assert {one["stream"] for one in result["outcome"]} == {stream.name, orders.name}
    assert {one["rule"] for one in result["outcome"]} == {"", "late", "duplicate"}
    call_command("load", *words, "--dry-run", "--position", "10", stdout=(rest := StringIO()))
    assert rest.getvalue().splitlines() == lines[-len(rest.getvalue().splitlines()) :]
    for wrong in ("late=5", "late=60%,duplicate=60%", "never=1%"):
        with pytest.raises(CommandError):
            call_command("load", *words, "--broken", wrong, "--dry-run", stdout=StringIO())
