"""Taking in what somebody handed over in one request: within a time, and with one answer."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.plans import Action, Plan, StreamPlan
from catalog.exchange.uploads import Uploaded
from catalog.services.exchange import apply_file, import_streams
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError

REQUEST_SECONDS: Final = 25.0
MAX_DECLARED: Final = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it. Not `is_finished`: the time was over; the same again goes on. `is_blocked`:
    a declaration is refused, so nothing of it can be applied."""

    plan: Plan
    is_finished: bool
    is_blocked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON. `streams_known` counts changed ones too; `entries` are not streams alone."""
        plan = self.plan
        streams = [one for one in plan.streams if one.kind == "stream"]
        counted = {action: sum(one.action is action for one in streams) for action in Action}
        return {
            "applied": plan.is_applied,
            "finished": self.is_finished,
            "summary": plan.summary(),
            "streams_new": counted[Action.CREATE],
            "streams_changed": counted[Action.CHANGE],
            "streams_known": counted[Action.CHANGE] + counted[Action.UNCHANGED],
            "versions_new": plan.new_versions,
            "versions_known": plan.known_versions,
            "refused": [{"where": one.where, "why": one.why} for one in plan.refused],
            "entries": [one.as_dict() for one in plan.streams],
        }


def take_in(
    uploaded: Uploaded,
    *,
    actor: Actor,
    domain: str,
    dry_run: bool = False,
    seconds: float = REQUEST_SECONDS,
) -> Taken:
    """Take in the streams of other tools' files one by one and each declaration as a whole.

    Raises InvalidError when nothing at all can be read, and when a declaration is refused or too
    long for a request; the command line has no such bound.
    """
    _check(uploaded)
    plans: list[Plan] = []
    is_blocked = False
    for where, declared in uploaded.declared:
        if len(declared.streams) > MAX_DECLARED:
            raise InvalidError(
                f"{where} declares {len(declared.streams):,} streams; a request takes "
                f"{MAX_DECLARED}. Split it, or use `manage.py apply`, which takes any number.",
                code="too_many",
            )
        plan = apply_file(declared, actor=actor, dry_run=dry_run)
        if plan.refused and not dry_run:
            raise _refused(where, plan.refused)
        is_blocked |= bool(plan.refused)
        plans.append(plan)
    clock = _Clock(uploaded.streams, seconds)
    plans.append(import_streams(clock, actor=actor, domain=domain, dry_run=dry_run))
    rows = tuple(row for plan in plans for row in plan.streams)
    return Taken(Plan(rows, is_applied=not dry_run), not clock.is_over, is_blocked)


class _Clock:
    """Gives items as long as there is time."""

    def __init__(self, items: Iterable[OutsideStream | Unreadable], seconds: float) -> None:
        self.items, self.until, self.is_over = items, time.monotonic() + seconds, False

    def __iter__(self) -> Iterator[OutsideStream | Unreadable]:
        for item in self.items:
            if time.monotonic() > self.until:
                self.is_over = True
                return
            yield item


def _check(uploaded: Uploaded) -> None:
    """Refuse what holds nothing that can be read."""
    faults = [one for one in uploaded.streams if isinstance(one, Unreadable)]
    if uploaded.declared or len(faults) < len(uploaded.streams):
        return
    raise InvalidError(
        "Nothing of it can be read.",
        code="unreadable",
        errors=[FieldError("", "unreadable", f"{one.where}: {one.why}") for one in faults],
    )


def _refused(where: str, refused: Iterable[StreamPlan]) -> InvalidError:
    return InvalidError(
        f"Nothing of {where} was applied, because some of it is refused.",
        code="plan_refused",
        errors=[
            FieldError("", "refused", f"{row.where or row.original}: {row.why}") for row in refused
        ],
    )
