"""The 546 events of two hundred real streams over HTTP: taken once, known again, refused when broken.

The corpus stays outside the repository (`../shared/data`); where it is absent these tests say that
they did not run.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import live

CORPUS = live.ROOT.parent / "shared" / "data" / "wikimedia" / "streams.jsonl"
Event = dict[str, Any]
Ask = Callable[[list[Event]], dict[str, Any]]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Each example as a CloudEvent that names its stream as its own team does."""
    if not CORPUS.exists():
        pytest.skip(f"DID NOT RUN: the corpus is not at {CORPUS}")
    found = []
    for line in CORPUS.read_text().splitlines():
        stream = json.loads(line)
        for version in stream["versions"]:
            for place, example in enumerate(version["examples"]):
                found.append(
                    {
                        "specversion": "1.0",
                        "id": f"{stream['subject']}:{version['version']}:{place}"[-128:],
                        "source": "/corpus",
                        "type": stream["subject"],
                        "dataschema": version["version"],
                        "data": example,
                    }
                )
    return found


@pytest.fixture(scope="module")
def portal(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    with live.running(tmp_path_factory.mktemp("corpus") / "data") as found:
        counts = found.manage_json("import", str(CORPUS))
        assert (counts["streams_new"], counts["versions_new"]) == (202, 510), counts
        yield found


@pytest.fixture(scope="module")
def ask(portal: live.Portal) -> Iterator[Ask]:
    """Send events in batches of fifty; gives the summed counts and the results in their order."""
    key = portal.manage_json("keys", "create", "--kind", "producer", "--name", "corpus")["key"]
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/cloudevents-batch+json",
    }
    with httpx2.Client(base_url=portal.url, headers=headers, timeout=30) as client:

        def send(events: list[Event]) -> dict[str, Any]:
            counts: Counter[str] = Counter()
            results: list[Event] = []
            for start in range(0, len(events), 50):
                batch = events[start : start + 50]
                answer = client.post("/v1/events?results=all", json=batch)
                assert answer.status_code in (202, 422), answer.text[:500]
                body = answer.json()
                for name in ("received", "accepted", "duplicate", "dead_lettered"):
                    counts[name] += body[name]
                results += body["results"]
            return {**counts, "results": results}

        yield send


def _day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def _nested() -> Any:
    value: Any = 1
    for _ in range(40):
        value = [value]
    return value


def _without(name: str) -> Callable[[Event], None]:
    def change(event: Event) -> None:
        del event[name]

    return change


def _with(**values: Any) -> Callable[[Event], None]:
    def change(event: Event) -> None:
        event.update(copy.deepcopy(values))

    return change


def _in_data(value: Any) -> Callable[[Event], None]:
    def change(event: Event) -> None:
        event["data"] = event["data"] | {"added_by_a_test": value}

    return change


WAYS: dict[str, tuple[Callable[[Event], None], str, str]] = {
    "no id": (_without("id"), "envelope_invalid", "/id"),
    "an id of controls": (_with(id="a\u0007b"), "envelope_invalid", "/id"),
    "no source": (_without("source"), "envelope_invalid", "/source"),
    "no type": (_without("type"), "envelope_invalid", "/type"),
    "another specversion": (_with(specversion="0.3"), "envelope_invalid", "/specversion"),
    "a time that is none": (_with(time="yesterday"), "envelope_invalid", "/time"),
    "an extension in capitals": (_with(Trace="x"), "envelope_invalid", ""),
    "too deep": (_in_data(_nested()), "limit_exceeded", "/data/added_by_a_test"),
    "a number beyond all": (_in_data(10**400), "limit_exceeded", "/data/added_by_a_test"),
    "a NUL in a text": (_in_data("a\u0000b"), "limit_exceeded", "/data/added_by_a_test"),
    "an unknown type": (_with(type="nobody.knows_this"), "unknown_stream", "/type"),
    "too old": (_with(time=_day(-400)), "out_of_window", "/time"),
    "too far ahead": (_with(time=_day(3)), "out_of_window", "/time"),
    "an unknown version": (_with(dataschema="99.99.99"), "schema_unknown", "/dataschema"),
    "data of another type": (_with(data="text"), "schema_violation", "/data"),
    "the same id of another subject": (_with(subject="x"), "id_conflict", "/id"),
}


def test_all_are_accepted_and_a_second_time_all_are_duplicates(
    ask: Ask, events: list[Event]
) -> None:
    assert len(events) == 546
    first = ask(events)
    assert (first["received"], first["accepted"]) == (546, 546), first["results"]
    again = ask(events)
    assert (again["received"], again["duplicate"]) == (546, 546)


@pytest.mark.parametrize("way", WAYS)
def test_each_broken_in_one_way_is_a_dead_letter_with_the_right_reason(
    ask: Ask, events: list[Event], way: str
) -> None:
    change, reason, pointer = WAYS[way]
    broken = copy.deepcopy(events)
    for event in broken:
        if reason != "id_conflict":
            event["id"] = f"{way}{event['id']}"[-128:]
        change(event)
    answer = ask(broken)
    assert answer["dead_lettered"] == 546, way
    told = Counter((result["reason"], result["errors"][0]["pointer"].startswith(pointer))
                   for result in answer["results"])  # fmt: skip
    assert told == {(reason, True): 546}
    assert all(result["dead_letter"] for result in answer["results"])


def test_what_is_stored_is_what_was_answered(portal: live.Portal) -> None:
    """Runs last: 546 accepted, and each broken one a dead letter, once."""
    assert Path(CORPUS).exists()
    letters = 0
    query = "/api/v1/dead-letters/groups?limit=200"
    while query:
        page = portal.get(query)
        letters += sum(group["count"] for group in page["items"])
        query = page["next"] and "/api/v1/dead-letters/groups?limit=200&cursor=" + page["next"]
    assert letters == 546 * len(WAYS)
