"""Synthetic events: equal by seed, valid as the door judges, broken as they say, along the curve."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from catalog.generation import Generator
from ingest.judging.contract import Contract
from ingest.selectors.synthetic import profile_of
from ingest.synthetic.curves import Incident, declared, read_incident, read_span
from ingest.synthetic.kinds import RULES, UNPROVOKED, check_rule, check_shares, even_shares
from ingest.synthetic.making import Made, Maker, Plan
from ingest.synthetic.several import fitted, joined_fields, makers_of, merged
from ingest.types import Reason
from portal.kernel.errors import InvalidError
from tests.support import live

CORPUS = live.ROOT.parent / "shared" / "data" / "wikimedia" / "streams.jsonl"
START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "pattern": "^O-[0-9]{6}$"},
        "amount": {"type": "integer", "minimum": 0, "maximum": 100_000},
        "channel": {"enum": ["web", "ios"]},
        "email": {"type": "string", "x-classification": "personal"},
        "note": {"type": "string"},
    },
    "required": ["order", "amount"],
    "additionalProperties": False,
}
ALL: dict[str, Any] = {
    "$defs": {"even": {"type": "integer", "multipleOf": 2, "exclusiveMinimum": 0}},
    "type": "object",
    "properties": {
        "kind": {"const": "x"},
        "even": {"allOf": [{"$ref": "#/$defs/even"}, {"maximum": 10}]},
        "when": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2},
        "either": {"oneOf": [{"type": "string", "minLength": 30}, {"type": "null"}]},
        "country": {"type": "string"},
        "map": {"type": "object", "patternProperties": {"^k[0-9]+$": {"type": "boolean"}}, "additionalProperties": False, "minProperties": 1},
    },
    "required": ["kind", "even", "tags", "either", "map"],
    "if": {"properties": {"either": {"type": "null"}}},
    "then": {"required": ["country"]},
    "else": {"required": ["when"]},
}  # fmt: skip


def plan(
    document: Any = ORDER, *, broken_ratio: float = 0.0, rules: tuple[str, ...] = (), **more: Any
) -> Plan:
    more = {"shares": tuple(even_shares(broken_ratio, rules).items()), **more}
    values = {"events": 200, "seed": 7, "start": START, "end": START + 24 * HOUR, **more}
    return Plan("shop.order_paid", 1, document, **values)


def made_by(wanted: Plan) -> list[Made]:
    maker = Maker(wanted)
    return [one for place in range(maker.count) for one in maker.events(place)]


def times_of(wanted: Plan) -> list[datetime]:
    maker = Maker(wanted)
    return [maker.time_of(place) for place in range(maker.count)]


def lines(wanted: Plan) -> bytes:
    return b"".join(one.line for one in made_by(wanted))


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    wanted = plan(broken_ratio=0.1, rules=("schema_violation", "out_of_window"))
    assert lines(wanted) == lines(wanted)
    other = plan(broken_ratio=0.1, rules=("schema_violation", "out_of_window"), seed=8)
    assert lines(other) != lines(wanted)
    assert {one.events(150)[0].line for one in (Maker(wanted), Maker(wanted))} == {
        made.line for made in made_by(wanted) if made.line.find(b'-150"') > 0
    }


def test_every_real_contract_gets_valid_events_and_broken_ones_that_break_what_they_say() -> None:
    if not CORPUS.exists():
        pytest.skip(f"DID NOT RUN: the corpus is not at {CORPUS}")
    schemas = [
        version["schema"]
        for line in CORPUS.read_text().splitlines()
        for version in json.loads(line)["versions"]
    ]
    assert len(schemas) == 510
    seen: Counter[str] = Counter()
    for place, schema in enumerate(schemas):
        contract = Contract(schema, version=1, sets_aside=False)
        generator = Generator({word: part for word, part in schema.items() if word != "examples"})
        assert all(not contract.check_data(generator.value(Random(at))) for at in range(2))
        if place % 5:
            continue
        for one in made_by(plan(schema, events=1, broken_ratio=1.0, rules=("schema_violation",))):
            faults = contract.check_data(json.loads(one.line)["data"])
            assert [(f"schema_violation:{fault.code}", fault.pointer) for fault in faults] == [
                (one.rule, one.pointer)
            ]
            seen[one.rule] += 1
    assert sum(seen.values()) == 102
    assert len(seen) >= 5, seen


def test_keywords_of_all_kinds_are_honoured_and_can_be_broken_one_by_one() -> None:
    contract = Contract(ALL, version=1, sets_aside=False)
    made = [Generator(ALL).value(Random(seed)) for seed in range(100)]
    assert not any(contract.check_data(data) for data in made)
    assert {data["either"] is None for data in made} == {True, False}
    for word in ("required", "type", "const", "maximum", "multipleOf", "exclusiveMinimum",
                 "format", "uniqueItems", "minItems", "enum", "additionalProperties"):  # fmt: skip
        rule = f"schema_violation:{word}"
        broken = made_by(plan(ALL, events=3, broken_ratio=1.0, rules=(rule,)))
        assert {one.rule for one in broken} == {rule}


def test_what_cannot_be_made_is_said() -> None:
    with pytest.raises(InvalidError, match="No event could be made"):
        Generator({"type": "object", "required": ["a"], "properties": {"a": False}}).value(
            Random(1)
        )
    with pytest.raises(InvalidError, match="can break uniqueItems"):
        fitted([plan(broken_ratio=0.01, rules=("schema_violation:uniqueItems",))])


def test_values_follow_what_was_stored_and_personal_ones_never_come_from_it() -> None:
    stored = [
        {"order": f"O-{at:06d}", "amount": 5_000 + at % 100, "channel": "ios",
         "email": f"real{at % 3}@shop.test", **({"note": "gift"} if at % 4 == 0 else {})}
        for at in range(400)
    ]  # fmt: skip
    learned = profile_of(ORDER, stored)
    assert "/email" not in learned or learned["/email"].values == ()
    made = [Generator(ORDER, learned).value(Random(seed)) for seed in range(400)]
    assert all(5_000 <= data["amount"] <= 5_099 for data in made)
    assert {data.get("channel") for data in made} == {"ios"}
    assert 60 <= sum("note" in data for data in made) <= 140  # a quarter of 400
    assert not any("shop.test" in json.dumps(data) for data in made)


def test_times_follow_the_curve_and_the_incidents() -> None:
    day = tuple(3.0 if hour % 24 in range(8, 20) else 1.0 for hour in range(168))
    found = Counter(moment.hour for moment in times_of(plan(events=4_800, curve=day)))
    assert all(280 <= found[hour] <= 320 for hour in range(8, 20))
    assert all(90 <= found[hour] <= 110 for hour in (*range(1, 7), *range(21, 24)))
    spike = plan(
        events=1_000, incidents=(read_incident("spike@6h+1hx9"), read_incident("drop_out@12h+2h"))
    )
    found = Counter(moment.hour for moment in times_of(spike))
    assert (found[12], found[13]) == (0, 0)
    assert found[6] == pytest.approx(9 * found[5], rel=0.1)
    assert Maker(spike).volume_ratio() == pytest.approx((21 + 9) / 24, rel=0.01)
    times = [moment for moment, _, _ in merged([Maker(spike), Maker(plan())])]
    assert len(times) == 1_200
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        ("type_drift", "schema_violation:type", {"schema_violation"}),
        ("broken_field", "schema_violation:", {"schema_violation"}),
        ("null_burst", "schema_violation:type", {"schema_violation"}),
        ("late", "", {"accepted"}),
        ("duplicate_storm", "", {"accepted", "duplicate"}),
    ],
)
def test_an_incident_strikes_within_its_time_alone(
    kind: str, rule: str, expected: set[str]
) -> None:
    incident = Incident(kind, 6 * HOUR, 6 * HOUR, place="/data/amount")
    made = made_by(plan(events=40, incidents=(incident,)))
    late = timedelta(hours=2) if kind == "late" else timedelta(0)
    struck = [one for one in made if 6 <= (one.occurred_at + late).hour < 12]
    assert {one.expected for one in struck} >= expected
    assert all(one.rule.startswith(rule) for one in struck)
    others = [one for one in made if not 4 <= one.occurred_at.hour < 12]
    assert {(one.expected, one.rule) for one in others} == {("accepted", "")}


def test_spans_and_incidents_are_read_or_refused() -> None:
    assert read_span("2h30m") == timedelta(minutes=150)
    assert read_incident("broken_field@10m+5m:/data/amount").place == "/data/amount"
    for text in ("10", "5x", "", "m5"):
        with pytest.raises(InvalidError):
            read_span(text)
    for text in ("flood@1m+1m", "spike@1m", "spike"):
        with pytest.raises(InvalidError):
            read_incident(text)
    assert read_incident("outage@1m+1m").factor == 0
    assert read_incident("dip@1m+1mx0.3").factor == 0.3


def test_every_reason_is_a_kind_or_it_is_said_why_not() -> None:
    reasons = {rule.partition(":")[0] for rule in RULES} - {"late", "duplicate"}
    assert reasons == {reason.value for reason in Reason if reason not in UNPROVOKED}
    with pytest.raises(InvalidError, match="No event can be quarantined: nothing"):
        check_rule("quarantined")
    assert check_shares({"wrong_type": 0.02, "late": 0.03, "missing_field": 0.0}) == {
        "late": 0.03, "schema_violation:type": 0.02,
    }  # fmt: skip


def test_each_kind_has_its_own_share() -> None:
    asked = {"missing_field": 0.1, "wrong_type": 0.02, "late": 0.05, "duplicate": 0.2}
    made = made_by(plan(events=1_000, shares=tuple(check_shares(asked).items())))
    found = Counter(one.rule for one in made)
    assert found["schema_violation:required"] == pytest.approx(100, abs=30)
    assert found["schema_violation:type"] == pytest.approx(20, abs=14)
    assert found["late"] == pytest.approx(50, abs=22)
    assert found["duplicate"] == pytest.approx(200, abs=40)
    assert len(made) == 1_000 + found["duplicate"]
    assert {one.expected for one in made if one.rule == "duplicate"} == {"duplicate"}
    for wrong in ({"late": 0.7, "duplicate": 0.4}, {"late": -0.1}, {"never": 0.1}):
        with pytest.raises(InvalidError):
            check_shares(wrong)


def test_a_declared_week_has_a_night_and_a_weekend() -> None:
    week = times_of(plan(events=8_000, curve=declared("week"), end=START + 168 * HOUR))
    days = Counter(moment.weekday() for moment in week)
    hours = Counter(moment.hour for moment in week)
    assert days[5] == pytest.approx(days[2] / 2, rel=0.1)
    assert hours[15] > 6 * hours[3]
    strikes = ("dip@12h+2hx0.5", "outage@14h+2h", "spike@16h+2hx4")
    flat = plan(events=2_000, incidents=tuple(read_incident(one) for one in strikes))
    found = Counter(moment.hour for moment in times_of(flat))
    assert found[14] == found[15] == 0
    assert found[12] == pytest.approx(found[10] / 2, abs=5)
    assert found[16] == pytest.approx(found[10] * 4, rel=0.1)


VISIT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "session_id": {"type": "string", "format": "uuid"}, "userId": {"type": "string"},
        "id": {"type": "string"}, "page_number": {"type": "integer", "maximum": 9},
    },
    "required": ["session_id", "userId", "id", "page_number"],
}  # fmt: skip
PAID: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"$ref": "#/$defs/order"}, "session_id": {"type": "string"},
        "user_id": {"type": "string"}, "id": {"type": "string"},
    },
    "required": ["order", "session_id", "user_id", "id"],
    "$defs": {"order": {"type": "object", "properties": {"id": {"$ref": "#/$defs/number"}},
                        "required": ["id"]},
              "number": {"type": "string", "pattern": "^O-[0-9]{8}$"}},
}  # fmt: skip
SHIPPED: dict[str, Any] = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "page_number": {"type": "string"}},
    "required": ["order_id", "page_number"],
}


def test_events_of_several_streams_go_on_from_each_other_and_join() -> None:
    steps = [("shop.visited", VISIT, 400), ("shop.paid", PAID, 100), ("shop.shipped", SHIPPED, 60),
             ("shop.seen", VISIT, 900)]  # fmt: skip
    span: dict[str, Any] = {
        "start": START,
        "end": START + 24 * HOUR,
        "seed": 3,
        "curve": declared("day"),
    }
    plans = [Plan(name, 1, document, events=events, **span) for name, document, events in steps]
    makers = makers_of(plans)
    assert joined_fields(makers) == ["order_id", "page_number", "session_id", "user_id"]
    visits, paid, shipped, seen = (
        [json.loads(one.line) for place in range(maker.count) for one in maker.events(place)]
        for maker in makers
    )
    by_session = {one["data"]["session_id"]: one for one in visits}
    assert len(by_session) == 400
    assert "order_id" not in visits[0]["data"]
    assert len({one["data"]["id"] for one in (*visits, *paid)}) == 500, "a bare id is its stream's"
    for one in paid[1:]:  # the first of a follower goes on from nothing
        visit = by_session[one["data"]["session_id"]]
        assert visit["subject"] == one["subject"]
        assert visit["correlationid"] == one["correlationid"]
        assert visit["data"]["userId"] == one["data"]["user_id"]
        assert visit["time"] < one["time"]
    assert len({one["data"]["session_id"] for one in paid[1:]}) == 99
    orders = {one["data"]["order"]["id"]: one for one in paid}
    assert all(orders[one["data"]["order_id"]]["time"] < one["time"] for one in shipped[1:])
    per_visit = Counter(one["data"]["session_id"] for one in seen[3:])
    assert max(per_visit.values()) == 3
    assert len(per_visit) > 390
    assert per_visit.keys() <= by_session.keys()
    names = Counter((one["subject"], one["data"]["userId"]) for one in visits)
    assert len(names) == len({one["subject"] for one in visits}) > 100
    again = makers_of(plans)
    assert again[1].events(50) == makers[1].events(50), "by seed, in whatever order it is asked for"
    assert Maker(plans[0]).count == 400
    with pytest.raises(InvalidError, match="can break multipleOf"):
        fitted([replace(one, shares=(("schema_violation:multipleOf", 0.1),)) for one in plans])
    only = fitted([replace(one, shares=(("schema_violation:maximum", 0.1),)) for one in plans])
    assert [bool(one.shares) for one in only] == [True, False, False, True]
    nowhere = read_incident("broken_field@1h+1h:/data/nowhere")
    with pytest.raises(InvalidError, match="at /data/nowhere"):
        fitted([replace(one, incidents=(nowhere,)) for one in plans])
