"""Schemas meant to hurt: an answer or a clear refusal in two seconds, in bounded memory."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from catalog.compatibility import budget
from catalog.compatibility.budget import Budget
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy, Verdict
from portal.kernel.errors import InvalidError
from tests.support import live

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def nested(levels: int, word: str, leaf: Any) -> Any:
    for _ in range(levels):
        leaf = {"properties": {"a": leaf}} if word == "properties" else {word: leaf}
    return leaf


def doubled(levels: int, leaf: Any, word: str = "allOf") -> Any:
    """Each definition names the next twice: 2^levels when followed naively."""
    definitions: dict[str, Any] = {f"d{levels}": leaf}
    for at in range(levels):
        following = {"$ref": f"#/$defs/d{at + 1}"}
        both: Any = [following, following]
        definitions[f"d{at}"] = {
            word: dict(zip("ab", both, strict=True)) if word == "properties" else both
        }
    return {"$defs": definitions, "$ref": "#/$defs/d0"}


def alternatives(levels: int, leaf: Any) -> Any:
    for at in range(levels):
        leaf = {"anyOf": [leaf, {"type": "object", "required": [f"r{at}"]}]}
    return leaf


def side_by_side(count: int, value: int) -> Any:
    pairs = [[{"properties": {f"{n}{at}": {"const": value}}, "required": [f"{n}{at}"]} for n in "ab"]
             for at in range(count)]  # fmt: skip
    return {"allOf": [{"anyOf": pair} for pair in pairs]}


def large(count: int, kind: str) -> Any:
    fields = {
        f"a_rather_long_name_of_{at}": {"type": kind, "description": "x" * 200}
        for at in range(count)
    }
    return {"type": "object", "properties": fields}


def web(size: int, leaf: Any) -> Any:
    definitions = {
        f"d{at}": {"properties": {"v": leaf} | {
            f"p{step}": {"$ref": f"#/$defs/d{(at * 7 + step * 3) % size}"} for step in range(6)
        }} for at in range(size)
    }  # fmt: skip
    return {"$defs": definitions, "$ref": "#/$defs/d0"}


CASES: dict[str, tuple[Any, Any]] = {
    "deep lists": (nested(58, "items", STRING), nested(58, "items", INTEGER)),
    "deep objects": (nested(29, "properties", STRING), nested(29, "properties", INTEGER)),
    "deep negations": (nested(58, "not", STRING), nested(57, "not", STRING)),
    "a chain of allOf, doubled 26 times": (doubled(26, STRING), doubled(26, INTEGER)),
    "properties doubled 26 times": (doubled(26, STRING, "properties"), doubled(26, INTEGER, "properties")),
    "anyOf doubled 26 times": (doubled(26, STRING, "anyOf"), doubled(26, INTEGER, "anyOf")),
    "sixteen levels of anyOf": (alternatives(16, STRING), alternatives(16, INTEGER)),
    "sixteen anyOf side by side": (side_by_side(16, 1), side_by_side(16, 2)),
    "a web of definitions": (web(60, INTEGER), web(60, {"type": "number"})),
    "as large as the door lets in": (large(3_900, "object"), large(3_900, "array")),
    "patterns": ({"pattern": "^(a+)+$"}, {"pattern": "^(a|a)*b$"}),
    "names by pattern": ({"patternProperties": {"^(a+)+$": STRING}}, {"properties": {"a" * 40 + "!": STRING}}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _as_in_a_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests give an example more time than a portal does (`tests/conftest.py`)."""
    monkeypatch.setattr(
        "catalog.compatibility.engine.MAX_EXAMPLE_SECONDS", budget.MAX_EXAMPLE_SECONDS
    )


@pytest.mark.parametrize("policy", [Policy.STRICT, Policy.READER_WRITER])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.alone
def test_a_schema_meant_to_hurt_is_answered_in_time(case: str, policy: Policy) -> None:
    old, new = CASES[case]
    took: list[float] = []
    while len(took) < 3 and min(took, default=2) >= 2:  # others may slow the processor itself down
        started = time.process_time()
        verdict = compare(new, [old], mode=Mode.FULL, policy=policy)
        took.append(time.process_time() - started)
        assert not verdict.compatible or policy is Policy.READER_WRITER
        assert all(d.detail for d in verdict.differences)
    assert min(took) < 2, took


@pytest.mark.parametrize("levels", [251, 1_000])
def test_what_is_too_deep_is_refused(levels: int) -> None:
    with pytest.raises(InvalidError) as refused:
        compare(STRING, [nested(levels, "items", STRING)])
    assert [(e.pointer, e.code) for e in refused.value.errors] == [("/versions/0", "too_deep")]


@pytest.mark.parametrize("levels", [100, 240])
def test_what_is_too_deep_to_prove_is_undecided(levels: int) -> None:
    verdict = compare(nested(levels, "items", INTEGER), [nested(levels, "items", STRING)])
    assert not verdict.compatible


def test_what_has_too_many_parts_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        compare({"properties": {f"p{at}": {} for at in range(50_000)}}, [STRING])
    assert refused.value.errors[0].code == "too_many"


def test_a_comparison_ends_too_where_the_machine_gives_it_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "WALL_RATIO", 0.0)
    assert compare(INTEGER, [STRING], mode=Mode.FULL).undecided


def test_a_spent_budget_is_undecided_and_counts_as_a_break() -> None:
    def asked(pairs: int, mode: Mode = Mode.FULL) -> Verdict:
        wide = web(20, {"type": "number"})
        return compare(wide, [web(20, INTEGER)], mode=mode, budget=Budget(pairs=pairs))

    verdict = asked(3, Mode.BACKWARD)
    assert (verdict.compatible, verdict.undecided) == (False, True)
    assert [d.change for d in verdict.differences] == ["undecided"]
    assert asked(100_000, Mode.BACKWARD).compatible


def test_the_worst_of_them_stays_in_256_mib() -> None:
    script = (
        "import json,sys\n"
        "from catalog.compatibility.engine import compare\n"
        "from catalog.compatibility.types import Mode\n"
        "old,new=json.load(sys.stdin)\n"
        "verdict=compare(new,[old],mode=Mode.FULL)\n"
        # Not getrusage: its maximum is inherited from whoever started this process.
        "status=open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    for case in ("as large as the door lets in", "sixteen anyOf side by side"):
        answer = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(CASES[case]),
            capture_output=True,
            text=True,
            check=True,
            cwd=live.ROOT,
        )
        assert int(answer.stdout) < 256 * 1024, case
