"""REST of differences: two versions compared, and a candidate checked before it is proposed."""

import time
from typing import Any

import pytest
from django.test import Client

from catalog.models import Change, SchemaVersion, Stream
from catalog.services.changes import publish_schema
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.producers import create_producer
from catalog.services.schemas import add_version
from catalog.services.streams import change_stream
from governance.models import AuditEntry, Job, Team
from governance.types import Role
from ingest.judging.admission import directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.log.store import close_writer
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.catalog.test_changes_api import BREAKING, WIDER, Caller
from tests.support.factories import ORDER_SCHEMA, make_stream, make_team

pytestmark = pytest.mark.django_db
PATH = "/streams/shop.order_paid/schemas"


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Caller:
    return Caller(Role.ENGINEER, team=team)


@pytest.fixture
def stream(team: Team) -> Stream:
    found = make_stream("shop.order_paid", team=team)
    publish_schema(found, WIDER, actor=SYSTEM)
    add_version(found, BREAKING, actor=SYSTEM, label="2024-06")
    return found


def test_two_versions_are_compared_by_difference_field_and_verdict(
    stream: Stream, ada: Caller
) -> None:
    found = ada.get(f"{PATH}/2/diff/3")
    assert (found["stream"], found["from"], found["to"]) == ("shop.order_paid", 2, 3)
    assert found["verdict"] == {
        "mode": "BACKWARD", "policy": "reader_writer", "compatible": False, "undecided": False,
    }  # fmt: skip
    assert [row["policy"] for row in found["others"]] == ["strict", "lenient"]
    (broken,) = [row for row in found["differences"] if row["refuses"]]
    assert (broken["path"], broken["change"]) == ("order_id", "type_changed")
    assert broken["pointer_new"] == "/properties/order_id/type"
    assert broken["breaks"] == ["backward", "forward"]
    assert broken["detail"] == "“order_id” was string and is now integer."
    assert isinstance(broken["example"]["order_id"], str), "valid before, invalid now"
    assert broken["remedy"]
    assert (found["added"], found["removed"], found["changed"]) == (0, 1, 1)
    assert found["unchanged"] == 2
    assert {(row["path"], row["kind"], row["effect"]) for row in found["fields"]} == {
        ("order_id", "changed", "breaks"), ("note", "removed", "breaks"),
    }  # fmt: skip


def test_a_version_is_named_by_number_label_or_latest(stream: Stream, ada: Caller) -> None:
    by_number = ada.get(f"{PATH}/2/diff/3")
    assert ada.get(f"{PATH}/2/diff/latest") == by_number
    assert ada.get(f"{PATH}/2/diff/2024-06") == by_number
    assert ada.get(f"{PATH}/latest/diff/2")["from"] == 3
    same = ada.get(f"{PATH}/latest/diff/3")
    assert (same["differences"], same["fields"], same["unchanged"]) == ([], [], 3)
    for missing in ("9", "nope", "0", "-1"):
        ada.get(f"{PATH}/1/diff/{missing}", 404)


def test_latest_is_the_newest_active_one_not_a_proposal(stream: Stream, ada: Caller) -> None:
    ada.post(PATH, {"schema": {**ORDER_SCHEMA, "title": "New"}}, 201)
    assert ada.get(f"{PATH}/1/diff/latest")["to"] == 3
    assert ada.get(f"{PATH}/1/diff/4")["to"] == 4


def test_the_answer_is_kept_by_its_etag_until_the_rules_change(stream: Stream, ada: Caller) -> None:
    def ask(tag: str = "") -> Any:
        headers = ada.headers | ({"HTTP_IF_NONE_MATCH": tag} if tag else {})
        return Client().get(f"/api/v1{PATH}/1/diff/2", **headers)  # type: ignore[arg-type]  # WSGI

    tag = ask()["ETag"]
    again = ask(tag)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    change_stream(stream, {"compatibility_policy": "strict"}, actor=SYSTEM)
    after = ask(tag)
    assert after.status_code == 200
    assert after.json()["verdict"]["policy"] == "strict"


def test_the_largest_contracts_are_answered_within_bounds(ada: Caller, team: Team) -> None:
    def wide(letter: str) -> dict[str, Any]:
        names = {f"{letter}{n}": {"type": "string"} for n in range(2_000)}
        return {"type": "object", "properties": names}

    found = make_stream("shop.wide", team=team, schema=wide("a"))
    add_version(found, wide("b"), actor=SYSTEM)
    began = time.thread_time()  # its own work, whoever else uses the machine
    body = ada.get("/streams/shop.wide/schemas/1/diff/2")
    assert time.thread_time() - began < 12
    assert (len(body["fields"]), body["more_fields"]) == (2_000, 2_000)
    assert (body["added"], body["removed"]) == (2_000, 2_000)
    assert len(body["differences"]) <= 2_000


def test_who_may_not_know_of_the_stream_learns_nothing(stream: Stream) -> None:
    Stream.objects.update(restricted=True)
    stranger = Caller(Role.ENGINEER)
    nowhere = PATH.replace(stream.name, "shop.nowhere")
    hidden = stranger.get(f"{PATH}/1/diff/2", 404)
    missing = stranger.get(f"{nowhere}/1/diff/2", 404)
    assert {**hidden, "instance": ""} == {**missing, "instance": ""}
    hidden = stranger.post(f"{PATH}/check", {"schema": WIDER}, 404)
    missing = stranger.post(f"{nowhere}/check", {"schema": WIDER}, 404)
    assert {**hidden, "instance": ""} == {**missing, "instance": ""}


def test_checking_is_for_who_may_propose(stream: Stream) -> None:
    reader = Caller(Role.ANALYST)
    reader.get(f"{PATH}/1/diff/2")
    refused = reader.post(f"{PATH}/check", {"schema": WIDER}, 403)
    assert refused["permission"] == "edit"


def test_a_candidate_is_checked_as_its_report_would_be_and_nothing_is_kept(
    stream: Stream, ada: Caller
) -> None:
    consumer = create_consumer("billing", actor=SYSTEM)
    map_consumer(consumer, stream, actor=SYSTEM, fields=["order_id"], purpose="To bill.")
    before = (Change.objects.count(), SchemaVersion.objects.count(), Job.objects.count(),
              AuditEntry.objects.count())  # fmt: skip
    found = ada.post(f"{PATH}/check", {"schema": ORDER_SCHEMA})
    after = (Change.objects.count(), SchemaVersion.objects.count(), Job.objects.count(),
             AuditEntry.objects.count())  # fmt: skip
    assert after == before
    assert found["verdict"]["compatible"] is False
    assert found["compared_with"] == [3]
    assert [row["change"] for row in found["differences"] if row["refuses"]] == ["type_changed"]
    assert {(row["policy"], row["compatible"]) for row in found["others"]} == {
        ("strict", False), ("lenient", False), ("reader_writer", False),
    }  # fmt: skip
    assert [(row["consumer"], row["effect"]) for row in found["consumers"]] == [
        ("billing", "breaks")
    ]
    assert found["policy"] == {
        "needed_approvals": 0, "needs_group": True, "privacy": [], "track": "experimental",
        "enforcement": "enforce",
    }  # fmt: skip
    assert found["rollups"] == found["funnels"] == "not measured"
    assert found["experiments"] == found["observed"] == []
    assert found["replay"]["phase"] == "sample"
    assert (found["replay"]["checked"], found["replay"]["total"]) == (0, None)
    assert found["seconds"] > 0
    ada.post(PATH, {"schema": ORDER_SCHEMA}, 201)
    assert Job.objects.count() == before[2] + 1, "only proposing starts work"


def test_a_document_that_cannot_be_taken_is_a_422_with_its_place(
    stream: Stream, ada: Caller
) -> None:
    bad = ada.post(f"{PATH}/check", {"schema": {"$ref": "https://evil.example/"}}, 422)
    assert bad["errors"][0]["pointer"] == "/schema/$ref"
    assert ada.post(f"{PATH}/check", {}, 422)["errors"][0]["pointer"] == "/schema"
    ada.post(f"{PATH}/check", {"schema": WIDER, "extra": 1}, 400)


@pytest.mark.django_db(transaction=True)
def test_the_sample_says_how_large_it_was_and_shows_no_value(team: Team, ada: Caller) -> None:
    directory.forget_all()
    stream = make_stream("shop.order_paid", team=team)
    producer = create_producer("sender", actor=SYSTEM, streams=[stream])
    accept_events(
        [
            {
                "specversion": "1.0", "id": f"e{n}", "source": "/test", "type": stream.name,
                "time": clock.now().isoformat(),
                "data": {"order_id": f"o{n}", "email": "ada@zebra.example"},
            }
            for n in range(5)
        ],
        publisher=publisher_of(producer),
    )  # fmt: skip
    narrow = {
        **ORDER_SCHEMA,
        "properties": {
            **ORDER_SCHEMA["properties"],
            "order_id": {**ORDER_SCHEMA["properties"]["order_id"], "maxLength": 1},
        },
    }
    try:
        found = ada.post(f"{PATH}/check", {"schema": narrow})
    finally:
        close_writer()
        directory.forget_all()
    replay = found["replay"]
    assert (replay["checked"], replay["refused"]) == (5, 5)
    assert replay["producers"] == {"sender": {"checked": 5, "refused": 5}}
    assert (replay["moments"], replay["of_moments"], replay["at_most"]) == (20, 20, 2_000)
    assert len(replay["samples"]) == 5
    assert "zebra.example" not in str(found)
