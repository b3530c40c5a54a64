"""A world with one secret in it: a restricted stream with everything that can hang on one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from analytics.models import StreamCount
from catalog.models import (
    Change,
    Consumer,
    Draft,
    DraftKind,
    Producer,
    Promotion,
    Stream,
    Term,
)
from catalog.selectors.search import vocabulary
from catalog.services.changes import Proposal, propose_change
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.drafts import create_draft, share_draft
from catalog.services.glossary import create_term
from catalog.services.producers import create_producer
from experiments.models import Experiment, Metric
from experiments.services.experiments import (
    NewExperiment,
    NewMeasure,
    NewVariant,
    create_experiment,
    start_experiment,
)
from experiments.services.metrics import NewMetric, create_metric
from governance.models import (
    AccessRequest,
    BreakGlass,
    Delegation,
    Erasure,
    Job,
    Notice,
    Policy,
    Review,
    SavedView,
    SubjectExport,
    Team,
    User,
    Waiver,
)
from governance.selectors.people import actor_of
from governance.selectors.requests import GrantRow
from governance.services.anchoring import anchor_chain
from governance.services.delegations import delegate
from governance.services.grants import grant_access
from governance.services.keys import create_key
from governance.services.requests import ask_for_access
from governance.services.waivers import waive
from governance.types import Permission, Role
from ingest.log import partitions
from ingest.models import (
    ArchivedPart,
    DiscoveredStream,
    IngestMinute,
    Repair,
    RepairState,
    Restore,
    StorageStream,
    SyntheticRun,
)
from portal.checks import routes, served_methods
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from quality.models import Alarm, Check, CheckDay
from tests.support.factories import make_person, make_stream, make_team

NAME = "zebra.plan_agreed"
SECRET = b"zebra"
POLICY = "personal-subject-planned"  # which the secret's stream breaks
PERSONAL = b"ada@zebra.example"
LETTER = UUID("0192f0a0-0000-7000-8000-00000000000a")
REPAIR = UUID("0192f0a0-0000-7000-8000-00000000000b")
PROMOTION = UUID("0192f0a0-0000-7000-8000-000000000010")
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "zebra_code": {"type": "string", "description": "A zebra."},
        "email": {"type": "string", "x-classification": "personal", "x-privacy": "tokenize"},
    },
}
ARGUMENTS = {
    "event_id": "e1",
    "session_id": "0192f0a0-0000-7000-8000-00000000000d",
    "glass_id": "0192f0a0-0000-7000-8000-00000000000e",
    "view_id": "0192f0a0-0000-7000-8000-00000000000f",
    "erasure_id": "0192f0a0-0000-7000-8000-000000000011",
    "write_key": "nothing",
    "version": "1",
    "restore_id": "0192f0a0-0000-7000-8000-000000000006",
    "letter_id": str(LETTER),
    "repair_id": str(REPAIR),
    "run_id": "0192f0a0-0000-7000-8000-000000000009",
    "export_id": "0192f0a0-0000-7000-8000-000000000011",
    "group": "emVicmE",
    "seq": "1",
    "key_id": "abcdefgh",
    "number": "1",
    "first": "1",
    "second": "2",
}
_NOBODYS = "0192f0a0-0000-7000-8000-0000000000ff"
ABSENT = {
    "name": "never.was_there", "slug": "never-was-there", "key": "never_was_there",
    "version": "99999", "first": "99998", "second": "99999", "number": "99999", "seq": "999999999",
    "event_id": "never", "group": "bmV2ZXI", "key_id": "neverwas", "grant_id": "stream-u-999999999",
    "alarm_id": "999999999", "user_id": "999999999",
    **dict.fromkeys(
        ("restore_id", "letter_id", "repair_id", "run_id", "request_id", "change_id", "draft_id",
         "notice_id", "job_id", "delegation_id", "review_id", "view_id",
         "erasure_id", "export_id"), _NOBODYS,
    ),
}  # fmt: skip
_EVENT = """
INSERT INTO ingest_event (stream_id, track, occurred_at, event_id, received_at, producer_id,
    version, subject, source, attributes, data, content_hash, marks, tx, seq)
VALUES (%s, 1, %s, 'e1', %s, %s, 1, %s, '/zebra', %s, %s, '', 0, '7', 1)
"""
_LETTER = """
INSERT INTO ingest_dead_letter (id, received_at, stream_id, producer_id, type, event_id, source,
    reason, errors, body, content_type, body_sha256, group_key)
VALUES (%s, %s, %s, %s, %s, 'e2', '/zebra', 'schema_violation',
    '[{"pointer": "/data/zebra_code", "code": "type", "detail": "must be a zebra"}]', %s,
    'application/json', '', 'zebra')
"""


@dataclass
class Secret:
    """What hangs on the restricted stream. Its owner team has one engineer."""

    team: Team
    owner: User
    stream: Stream
    producer: Producer
    consumer: Consumer
    request: AccessRequest
    grant: GrantRow
    alarm: Alarm
    experiment: Experiment
    metric: Metric
    change: Change
    draft: Draft
    notice: Notice
    term: Term
    delegation: Delegation
    waiver: Waiver
    review: Review


@pytest.fixture
def secret(db: None, tmp_path: Path, settings: Any) -> Secret:
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"  # of a chain that is rolled back
    vocabulary.forget()
    team = make_team("Owners")
    owner, reader = make_person(Role.ENGINEER, team=team), make_person(Role.ANALYST)
    # Open to all while its reader asks, restricted afterwards.
    stream = make_stream(
        NAME,
        team=team,
        schema=SCHEMA,
        title="The zebra plan",
        description="Zebra business.",
        tags=("zebra-tag",),
        aliases=("Zebra/Plan",),
        subject_classification="personal",
    )
    request = ask_for_access(
        stream.ref,
        actor=actor_of(reader),
        purpose="To know about the zebra.",
        until=clock.now() + timedelta(days=9),
    )
    grant = grant_access(
        stream.ref,
        actor=SYSTEM,
        permission=Permission.PUBLISH,
        holder=reader,
        purpose="To write of the zebra.",
        until=clock.now() + timedelta(days=9),
    )
    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    stream.refresh_from_db()
    producer = create_producer("sender", actor=SYSTEM, streams=[stream])
    consumer = create_consumer("reader", actor=SYSTEM)
    map_consumer(consumer, stream, actor=SYSTEM, fields=["zebra_code"], purpose="The zebra.")
    _send(stream, producer)
    metric, experiment = _experiment(stream, team)
    change = propose_change(
        stream, Proposal({**SCHEMA, "title": "Zebra"}, summary="More zebra"), actor=SYSTEM
    )
    draft = create_draft(
        DraftKind.CHANGE, {"schema": SCHEMA, "summary": "A zebra to come"},
        actor=actor_of(owner), stream=stream,
    )  # fmt: skip
    share_draft(draft, actor=actor_of(owner), teams=[team])
    term = create_term(
        "agreement", actor=SYSTEM, name="Agreement", definition="What was agreed.",
        uses=[(stream, ""), (stream, "zebra_code")],
    )  # fmt: skip
    now = clock.now()
    delegation = delegate(
        actor=actor_of(owner), deputy=make_person(), since=now, until=now + timedelta(days=9),
        note="Zebra days.",
    )  # fmt: skip
    waiver = waive(
        Policy.objects.get(slug=POLICY), NAME, actor=SYSTEM, reason="The zebra has until Monday.",
        until=clock.now() + timedelta(days=9),
    )  # fmt: skip
    review = Review.objects.create(
        resource_kind="stream", resource_key=NAME, due_at=clock.now() - timedelta(days=1)
    )
    notice = Notice.objects.filter(user=owner, subject_key=NAME).latest("created_at")
    BreakGlass.objects.create(
        pk=ARGUMENTS["glass_id"], user=reader, resource_kind="stream", resource_key=NAME,
        owner_team=team, reason="The zebra burns.", ends_at=clock.now() + timedelta(hours=1),
    )  # fmt: skip
    SavedView.objects.create(
        pk=ARGUMENTS["view_id"], owner=owner, kind="audit", name="Who touched the zebra",
        asked={"object": NAME},
    )  # fmt: skip
    Promotion.objects.create(
        pk=PROMOTION, stream=stream, to_track="production", needed_approvals=2,
        opened_by="owner@test.example", reason="The zebra is ready.",
    )  # fmt: skip
    Erasure.objects.create(
        pk=ARGUMENTS["erasure_id"], state="done", basis="objection", reason="She asked.",
        identifiers=1, requested_by="portal", decided_by="portal", decided_at=now, at=now,
        finished_at=now, receipt={"receipt": {"ledger": "0"}, "signature": {"key_id": "0", "public_key": "0", "value": "0"}},
    )  # fmt: skip
    SubjectExport.objects.create(
        pk=ARGUMENTS["export_id"], reason="The zebra asks.", identifiers=1, requested_by="zebra",
        expires_at=now + timedelta(days=7),
    )  # fmt: skip
    anchor_chain()
    return Secret(
        team, owner, stream, producer, consumer, request, grant, _alarm(stream), experiment, metric,
        change, draft, notice, term, delegation, waiver, review,
    )  # fmt: skip


def _send(stream: Stream, producer: Producer) -> None:
    now = clock.now()
    connection.ensure_connection()
    assert isinstance(connection.connection, psycopg.Connection)
    partitions.make_days(connection.connection, partitions.PARENTS, [now.date()])
    person = PERSONAL.decode()
    data = json.dumps({"zebra_code": "z", "email": person})
    key = json.dumps({"partitionkey": person})
    with connection.cursor() as cursor:
        cursor.execute(_EVENT, [stream.pk, now, now, producer.pk, person, key, data])
        body = json.dumps({"type": stream.name, "data": {"email": person}}).encode()
        cursor.execute(_LETTER, [LETTER, now, stream.pk, producer.pk, stream.name, body])
    minute = now.replace(second=0, microsecond=0)
    IngestMinute.objects.create(
        stream_id=stream.pk, minute=minute, producer_id=producer.pk, received=9, accepted=4,
        dead_lettered=5,
    )  # fmt: skip
    DiscoveredStream.objects.create(
        type=stream.name, first_seen_at=now, last_seen_at=now, events=1, producer_id=producer.pk
    )
    StreamCount.objects.create(stream_id=stream.pk, start=minute, events=4)
    today = now.date()
    Restore.objects.create(
        pk=ARGUMENTS["restore_id"], stream_id=stream.pk, since=today, until=today,
        created_by="portal", expires_at=now + timedelta(days=1),
    )  # fmt: skip
    ArchivedPart.objects.create(
        stream_id=stream.pk, stream_name=stream.name, day=today, track=1, part=0,
        path=f"{stream.name}/part-0.parquet", events=1, size_bytes=1, sha256="", content_sha256="",
        first_at=now, last_at=now, from_tx=0, below_tx=1,
    )  # fmt: skip
    StorageStream.objects.create(
        stream_id=stream.pk, events=1, size_bytes=1, oldest_on=today, newest_on=today
    )
    Repair.objects.create(
        id=REPAIR, group_keys=["zebra"], type=stream.name, stream=stream, until=now,
        steps=[{"do": "remove", "at": "/data/zebra_code"}], state=RepairState.APPLIED,
        declared_by="owner@test.example", applied_at=now, note="A zebra.",
    )  # fmt: skip
    plan = {"version": 1, "since": "2026-11-26T10:00:00.000000Z",
            "until": "2026-11-26T11:00:00.000000Z",
            "events": 1, "rate": None, "seed": 1, "broken_ratio": 0.1, "rules": ["zebra"],
            "incidents": [], "seasonal": True, "learns": True}  # fmt: skip
    SyntheticRun.objects.create(
        id=ARGUMENTS["run_id"], stream=stream, plan=plan, total=1, key_id="zebra",
        started_by="owner@test.example",
        outcome=[{"rule": "zebra", "expected": "accepted", "seen": "accepted", "events": 1}],
    )  # fmt: skip


def _alarm(stream: Stream) -> Alarm:
    now = clock.now()
    Check.objects.create(
        stream=stream, kind="validity", state="alarm", level=2, value=0.2, sentence="Zebra breaks.",
        evaluated_at=now,
    )  # fmt: skip
    CheckDay.objects.create(
        stream_id=stream.pk, kind="validity", day=now.date(), worst=2, evaluations=10, breaches=4
    )
    return Alarm.objects.create(
        stream=stream, kind="validity", opened_at=now, level=2, sentence="Zebra breaks.",
        evidence={"value": 0.2},
    )  # fmt: skip


def _experiment(stream: Stream, team: Team) -> tuple[Metric, Experiment]:
    metric = create_metric(
        NewMetric(key="zebra_rate", name="Zebra", stream=stream, type="proportion"), actor=SYSTEM
    )
    experiment = create_experiment(
        NewExperiment(
            key="zebra_trial",
            title="More zebra",
            exposure_stream=stream,
            owner_team=team,
            planned_units=2000,
            variants=[NewVariant("a", 5000), NewVariant("b", 5000)],
            measures=[NewMeasure(metric)],
        ),
        actor=SYSTEM,
    )
    return metric, start_experiment(experiment, actor=SYSTEM)


def credential(kind: str, holder_id: int, **fields: Any) -> str:
    """The text of a new key of a program."""
    _, text = create_key(actor=SYSTEM, kind=kind, name="test", holder_id=holder_id, **fields)
    return text


def content_of(answer: Any) -> bytes:
    """The body of an answer, whether it came whole or in parts."""
    if answer.streaming and not answer.is_async:
        return b"".join(answer.streaming_content)
    return bytes(answer.content)


@dataclass(frozen=True)
class Address:
    """A route with arguments that lead to the secret, another with those of nothing that there is,
    its view and the methods it serves."""

    route: str
    view: Any
    path: str
    absent: str
    methods: tuple[str, ...]


def addresses(secret: Secret) -> Iterator[Address]:
    """Every route with the arguments that lead to the secret, but those of libraries."""
    job = Job.objects.get(object_key=str(secret.change.pk))
    for route, view in routes():
        if route.startswith("accounts/") or "(?P" in route:
            continue
        pattern = route.replace("^", "").replace("/?$", "").removesuffix("$")
        noun = pattern.removeprefix("api/v1/").split("/")[0]
        arguments = ARGUMENTS | {
            "name": {"producers": "sender", "consumers": "reader", "rollups": "stream_counts"}.get(
                noun, NAME
            ),
            "slug": {
                "teams": secret.team.slug,
                "tags": "zebra-tag",
                "glossary": secret.term.slug,
                "policies": POLICY,
            }.get(noun, "zebra"),
            "key": secret.metric.key if noun == "metrics" else secret.experiment.key,
            "request_id": str(secret.request.pk),
            "grant_id": secret.grant.id,
            "alarm_id": str(secret.alarm.pk),
            "user_id": str(secret.owner.pk),
            "change_id": str(secret.change.pk),
            "draft_id": str(secret.draft.pk),
            "notice_id": str(secret.notice.pk),
            "job_id": str(job.pk),
            "delegation_id": str(secret.delegation.pk),
            "waiver_id": str(secret.waiver.pk),
            "review_id": str(secret.review.pk),
        }
        yield Address(
            route,
            view,
            f"/{_filled(pattern, arguments)}",
            f"/{_filled(pattern, arguments | ABSENT)}",
            served_methods(route, view),
        )


def _filled(pattern: str, arguments: Mapping[str, str]) -> str:
    while "<" in pattern:
        start, end = pattern.index("<"), pattern.index(">")
        name = pattern[start + 1 : end].rpartition(":")[2]
        pattern = pattern[:start] + arguments[name] + pattern[end + 1 :]
    return pattern
