"""The alert state machine: a glitch is transient, three breaches of five are persistent (§12.1).

One machine per check and stream. Every evaluation with a verdict moves it; a level of None changes
nothing. The rows of the specification's table are tried in order; the row of `suspect` is applied
in the tick that left `ok`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

OK, SUSPECT, ALARM, REMEDIATING, RECOVERED = "ok", "suspect", "alarm", "remediating", "recovered"
STATES: Final = (OK, SUSPECT, ALARM, REMEDIATING, RECOVERED)
HISTORY: Final = 5
BREACHES_TO_ALARM: Final = 3
CLEAN_TO_CALM: Final = 3
CLEAN_TO_CLOSE: Final = 12
CRITICAL: Final = 2
PERSISTENT: Final = 3
VERIFY: Final = 6


@dataclass(frozen=True, slots=True)
class Machine:
    """The state of one check. `history` holds breach (1) or not (0), newest last, at most five."""

    state: str = OK
    history: tuple[int, ...] = ()
    clean: int = 0
    critical: int = 0
    since_remediation: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What one evaluation did. `event` is transient, persistent, reopened, recovered, closed,
    escalated, or nothing."""

    machine: Machine
    event: str = ""


def advance(machine: Machine, level: int | None) -> Step:
    """One evaluation."""
    if level is None:
        return Step(machine)
    breach = int(level > 0)
    now = replace(
        machine,
        history=(*machine.history, breach)[-HISTORY:],
        clean=0 if breach else machine.clean + 1,
        critical=machine.critical + 1 if level >= CRITICAL else 0,
        since_remediation=machine.since_remediation + (machine.state == REMEDIATING),
    )
    if now.state == OK and breach:
        return _from_suspect(replace(now, state=SUSPECT), level)
    if now.state == SUSPECT:
        return _from_suspect(now, level)
    if now.state in (ALARM, REMEDIATING) and now.clean >= CLEAN_TO_CALM:
        return Step(replace(now, state=RECOVERED, clean=0, since_remediation=0), "recovered")
    if now.state == REMEDIATING and now.since_remediation >= VERIFY:
        return Step(replace(now, state=ALARM, since_remediation=0), "escalated")
    if now.state == RECOVERED:
        if breach:
            return Step(replace(now, state=ALARM), "reopened")
        if now.clean >= CLEAN_TO_CLOSE:
            return Step(replace(now, state=OK), "closed")
    return Step(now)


def start_remediation(machine: Machine) -> Machine:
    """A remediation begins; outside `alarm` it is ignored."""
    if machine.state != ALARM:
        return machine
    return replace(machine, state=REMEDIATING, since_remediation=0)


def _from_suspect(machine: Machine, level: int) -> Step:
    persistent = (
        sum(machine.history) >= BREACHES_TO_ALARM
        or machine.critical >= CRITICAL
        or level >= PERSISTENT
    )
    if persistent:
        return Step(replace(machine, state=ALARM), "persistent")
    if machine.clean >= CLEAN_TO_CALM:
        return Step(replace(machine, state=OK), "transient")
    return Step(machine)


def alert_machine(*, ticks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Run a whole series: the states after each tick and how often each thing happened."""
    machine = Machine()
    states: list[str] = []
    counts = dict.fromkeys(("transient", "persistent", "reopened", "escalated"), 0)
    for tick in ticks:
        step = advance(machine, tick["level"])
        machine = step.machine
        if step.event in counts:
            counts[step.event] += 1
        if tick.get("remediation") == "started":
            machine = start_remediation(machine)
        states.append(machine.state)
    return {"states": states, **counts}
