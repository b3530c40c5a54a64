"""`manage.py load` against a running portal: exact counts, the same again, cut and gone on with."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.support import live

STREAM = "shop.order_paid"
NOW = datetime.now(UTC).replace(microsecond=0)
SPAN = (
    "--from",
    (NOW - timedelta(days=2)).isoformat(),
    "--to",
    (NOW - timedelta(days=1)).isoformat(),
)
RULES = "schema_violation:required,out_of_window,schema_unknown,not_permitted,envelope_invalid,id_conflict,unparsable"
SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "integer", "minimum": 0}},
    "required": ["order", "amount"],
}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    with live.running(tmp_path_factory.mktemp("load") / "data") as found:
        answer = httpx2.post(
            found.url + "/api/v1/streams",
            json={"name": STREAM, "schema": SCHEMA, "description": "A paid order."},
            headers={"Authorization": f"Bearer {found.said['admin_token']}"},
        )
        assert answer.status_code == 201, answer.text
        yield found


def _seen(result: dict[str, Any]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in result["outcome"]:
        found[row["expected"], row["seen"]] += row["events"]
    return found


def test_each_event_comes_to_what_the_run_said_and_a_run_goes_on_where_it_was(
    portal: live.Portal,
) -> None:
    words = ("load", "--stream", STREAM, *SPAN, "--events", "600", "--seed", "5",
             "--broken", "20%", "--rules", RULES)  # fmt: skip
    printed = portal.manage(*words, "--dry-run").splitlines()
    said = Counter(
        json.loads(line).get("syntheticbreaks", "valid").split()[0]
        for line in printed
        if line.endswith("}")
    )
    result = portal.manage_json(*words)
    assert (result["misses"], result["position"], result["sent"]) == ([], 600, len(printed))
    seen = _seen(result)
    assert all(expected == found for expected, found in seen), seen
    assert seen["schema_violation", "schema_violation"] == said["schema_violation:required"] > 5
    assert len(seen) == 8
    stored = portal.get(f"/api/v1/streams/{STREAM}/events?limit=1")["items"][0]
    assert json.dumps(stored).count("synthetic")

    # Gone on with from a place that a cut run named: the events behind it are known already.
    again = _seen(portal.manage_json(*words, "--position", "400", "--by-schema"))
    assert sum(again.values()) < len(printed)
    part = _seen(portal.manage_json(*words[:-4], "--seed", "6", "--position", "500"))
    assert part == Counter({("accepted", "accepted"): 100})
    part = _seen(portal.manage_json(*words[:-4], "--seed", "6"))
    assert part["accepted", "duplicate"] == 100
    assert part["accepted", "accepted"] == 500
