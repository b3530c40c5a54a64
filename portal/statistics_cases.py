"""Running numeric cases against the shipped functions: what agrees, what misses, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal.statistics_registry import FUNCTIONS

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Miss:
    """One case that did not come out as expected."""

    id: str
    function: str
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        return {"id": self.id, "function": self.function, "reasons": list(self.reasons)}


def run_cases(cases: Sequence[Mapping[str, Any]]) -> list[Miss]:
    """The misses among the cases, in their order. A function that is not shipped is a miss."""
    misses = []
    for case in cases:
        reasons = run_case(case)
        if reasons:
            misses.append(Miss(str(case.get("id", "?")), str(case.get("function")), reasons))
    return misses


def run_case(case: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a case misses; empty when it agrees."""
    if not {"function", "inputs", "expected"} <= set(case):
        return ("a case needs function, inputs and expected",)
    function = FUNCTIONS.get(str(case["function"]))
    if function is None:
        return ("no function of this name is shipped",)
    tolerance = case.get("tolerance") or {}
    try:
        got = function(**case["inputs"])
    except Exception as error:  # noqa: BLE001  # the border of the runner: any failure is a miss
        return (f"raised {type(error).__name__}: {error}",)
    return tuple(
        differences(
            got,
            case["expected"],
            rel=float(tolerance.get("rel", 0)),
            absolute=float(tolerance.get("abs", 0)),
        )
    )


def differences(
    got: Any, expected: Any, *, rel: float, absolute: float, where: str = ""
) -> list[str]:
    """Where a result departs from what is expected; keys that nobody expects do not matter.

    Numbers agree within max(absolute, rel·|expected|); texts, booleans, null and whole numbers agree
    exactly.
    """
    here = where or "result"
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            return [f"{here}: expected an object, got {got!r}"]
        found: list[str] = []
        for key, value in expected.items():
            place = f"{where}.{key}" if where else str(key)
            found += differences(
                got.get(key, _MISSING), value, rel=rel, absolute=absolute, where=place
            )
        return found
    if got is _MISSING:
        return [f"{here}: missing, expected {expected!r}"]
    if isinstance(expected, list):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return [f"{here}: expected {expected!r}, got {got!r}"]
        found = []
        for index, (left, right) in enumerate(zip(got, expected, strict=True)):
            found += differences(left, right, rel=rel, absolute=absolute, where=f"{here}[{index}]")
        return found
    if _is_number(got) and _is_number(expected):
        reach = max(absolute, rel * abs(expected)) if isinstance(expected, float) else 0
        agrees = got == expected or abs(got - expected) <= reach
    else:
        agrees = type(got) is type(expected) and got == expected
    return [] if agrees else [f"{here}: expected {expected!r}, got {got!r}"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
