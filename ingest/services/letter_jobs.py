"""The long work on dead letters: dry runs, replays and discards, step by step.

Each step is one transaction with the cursor of its job: the letters of a step are locked, judged,
stored and settled together, so that a step which dies leaves nothing, and none is done twice. A
letter that is still refused stays open with what it met, and leaves no second dead letter.

A replay keeps to its rate by taking as many letters as a quarter of a second allows, and by waiting
out what is left of it before it takes locks.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from django.db import connection, transaction
from psycopg import errors as pg

from governance import audit
from governance.job_kinds import Step
from governance.models import Job
from governance.services.notices import News, tell
from governance.types import NoticeKind
from ingest.doors import watching
from ingest.judging.pipeline import Batch
from ingest.letters.repairs import Steps, compile_steps
from ingest.letters.replaying import Fault, Judge, Letter, Tally, Verdict, letter_of, rehearse
from ingest.log import partitions
from ingest.log.alive import letters_alive_since
from ingest.log.connection import connect
from ingest.log.group import write_group
from ingest.models import Repair, RepairKind, RepairState
from ingest.selectors.repairs import DRY_RUN, REPLAY
from ingest.times import moment_of
from ingest.types import Status
from portal.http import words
from portal.kernel import clock, sql, tracing
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidStateError
from portal.kernel.sql import Statement

BUDGET_SECONDS: Final = 1.0
PACE_SECONDS: Final = 0.25
RATES: Final = (1_000, 5_000, 20_000)
BATCH: Final = 500
MAX_BATCH: Final = 2_000
MAX_BYTES: Final = 16 * 1024 * 1024
_DAY_US: Final = 86_400_000_000
_NOWHERE: Final = "00000000-0000-0000-0000-000000000000"
_READ: Final = sql.load("ingest", "letters_to_judge")
_TAKE: Final = sql.load("ingest", "letters_to_settle")
_COUNT: Final = sql.load("ingest", "count_open_letters")
_SETTLE: Final = sql.load("ingest", "settle_letters")
_NOTE: Final = sql.load("ingest", "note_tried_letters")
_ADD_REPLAYED: Final = sql.load("ingest", "add_replayed")


@dataclass(frozen=True, slots=True)
class Place:
    """The last letter that a job has read."""

    at: datetime
    id: str

    @classmethod
    def of(cls, cursor: Mapping[str, Any]) -> "Place":
        """The place that a job's cursor holds, as `as_cursor` wrote it."""
        return cls(datetime.fromisoformat(cursor["at"]), cursor["id"])

    @classmethod
    def after(cls, letter: Letter) -> "Place":
        """The place to go on from once this letter is done."""
        return cls(letter.received_at, str(letter.id))

    def as_cursor(self, total: int) -> dict[str, Any]:
        """The place as JSON; `total` is how many letters the job has in all."""
        return {"at": self.at.isoformat(), "id": self.id, "total": total}


def dry_run_step(job: Job) -> Step:
    """Judge a second's worth of the letters and store nothing; the last step opens the vote."""
    repair = _held(job)
    if repair.state != RepairState.CHECKING:
        raise InvalidStateError("The repair was decided meanwhile.")
    place, total = _begin(job, repair)
    judge, tally = (
        Judge(_steps(repair), is_rehearsal=True),
        Tally(repair.dry_run if job.cursor else None),
    )
    deadline = time.monotonic() + BUDGET_SECONDS
    while True:
        letters = _letters(_READ, repair, place, BATCH)
        is_finished = not letters
        if letters:
            verdicts, _ = judge.judge(letters, deadline=deadline)
            tally.add(verdicts, rehearse(verdicts))
            place = Place.after(verdicts[-1].letter)
        if is_finished or time.monotonic() >= deadline:
            break
    repair.dry_run = tally.counts | {"at": clock.now().isoformat()}
    if is_finished:
        repair.state = RepairState.WAITING
        repair.revision += 1
    repair.save(update_fields=["dry_run", "state", "revision"])
    return _step(tally, place, total, is_finished)


def replay_step(job: Job) -> Step:
    """Take letters through the door again, or discard them; the last step says how it went."""
    repair = _held(job)
    if repair.state != RepairState.APPLYING:
        raise InvalidStateError("It is not being applied.")
    place, total = _begin(job, repair)
    _wait_for_turn(job)
    began = time.time()
    tally = Tally(repair.outcome if job.cursor else None)
    size = min(max(1, int(repair.rate * PACE_SECONDS)), MAX_BATCH)
    letters = _letters(_TAKE, repair, place, size)
    taken = letters
    if repair.kind == RepairKind.DISCARD:
        _discard(repair, letters, tally)
    elif letters:
        taken = _replay(repair, letters, tally)
    if taken:
        place = Place.after(taken[-1])
    is_finished = not letters
    repair.outcome = tally.counts
    if is_finished:
        _finish(repair)
    repair.save(update_fields=["outcome", "state", "finished_at", "revision"])
    step = _step(tally, place, total, is_finished)
    next_at = began + len(taken) / repair.rate
    return Step({**step.cursor, "next_at": next_at}, step.done, step.total, step.said, is_finished)


def _held(job: Job) -> Repair:
    repair = Repair.objects.select_for_update().filter(pk=UUID(job.object_key)).first()
    if repair is None:
        raise InvalidStateError("What it is about is gone.")
    return repair


def _begin(job: Job, repair: Repair) -> tuple[Place, int]:
    """Where the step begins, and how many letters there are in all."""
    if job.cursor:
        return Place.of(job.cursor), int(job.cursor["total"])
    found = sql.fetch_one(_COUNT, {
        "keys": repair.group_keys, "until": repair.until, "alive_since": letters_alive_since(),
    })  # fmt: skip
    assert found is not None
    return Place(found["first_at"] or repair.until, _NOWHERE), int(found["letters"])


def _steps(repair: Repair) -> Steps:
    return compile_steps(repair.steps)


def _letters(statement: Statement, repair: Repair, place: Place, size: int) -> list[Letter]:
    rows = sql.fetch_all(
        statement,
        {
            "keys": repair.group_keys, "until": repair.until, "batch": size,
            "after_at": place.at, "after_id": place.id, "most_bytes": MAX_BYTES,
        },
    )  # fmt: skip
    return [letter_of(row) for row in rows]


def _wait_for_turn(job: Job) -> None:
    """Keep to the rate: wait out, before any lock on letters, what the last step was too fast."""
    wait = float(job.cursor.get("next_at", 0)) - time.time() if job.cursor else 0.0
    if wait > 0:
        time.sleep(min(wait, PACE_SECONDS))


def _replay(repair: Repair, letters: list[Letter], tally: Tally) -> list[Letter]:
    """Judge and store letters; gives those that it came to within the budget of a step."""
    landings = None
    if repair.kind == RepairKind.REPAIR:
        landings = frozenset(int(stream) for stream in repair.dry_run.get("streams", {}))
    judge = Judge(_steps(repair), landings=landings)
    verdicts, batches = judge.judge(letters, deadline=time.monotonic() + BUDGET_SECONDS)
    _write_traced(repair, batches)
    done = Counter[str]()
    for verdict in verdicts:
        item = verdict.item
        if item is None:
            continue
        if item.status is Status.DEAD_LETTERED:  # its id was used for other content meanwhile
            verdict.item, verdict.fault = None, Fault(item.reason or "", item.errors)
        else:
            done[item.status.value] += 1
    _settle(repair, verdicts)
    _count(batches, is_repaired=repair.kind == RepairKind.REPAIR)
    tally.add(verdicts, done)
    return [verdict.letter for verdict in verdicts]


def _write_traced(repair: Repair, batches: Sequence[Batch]) -> None:
    """Store, in a span that leads back to the traces that the events are from."""
    if not tracing.is_on:
        _write(batches)
        return
    told = (watching.told_by(item.envelope) for batch in batches for item in batch.items)
    links = tracing.links_of(found for found in told if found is not None)
    with tracing.span("ingest.replay", links=links, attributes={"portal.repair": str(repair.pk)}):
        _write(batches)


def _write(batches: Sequence[Batch]) -> None:
    """Store what may be stored on the connection of the step's own transaction."""
    group = [batch.submission() for batch in batches]
    if not group:
        return
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    try:
        with transaction.atomic():
            write_group(raw, group, optimistic=False)
    except pg.CheckViolation:
        # A day whose leaf is not there: an event of long ago, that waited.
        _make_days(batches)
        with transaction.atomic():
            write_group(raw, group, optimistic=False, is_again=True)


def _make_days(batches: Sequence[Batch]) -> None:
    days: dict[str, set[int]] = {}
    for batch in batches:
        for item in batch.items:
            parent = partitions.EVENT_PARENTS[item.track]
            days.setdefault(parent, set()).add(item.occurred_us // _DAY_US)
    with connect(autocommit=True) as own:
        for parent, numbers in days.items():
            wanted = [moment_of(number * _DAY_US).date() for number in sorted(numbers)]
            partitions.make_days(own, [parent], wanted)


def _settle(repair: Repair, verdicts: Sequence[Verdict]) -> None:
    done = [verdict.letter for verdict in verdicts if verdict.fault is None]
    _end(repair, done, "replayed", repair.applied_by)
    left = [(v.letter, v.fault) for v in verdicts if v.fault is not None]
    if left:
        now = clock.now().isoformat()
        sql.execute(
            _NOTE,
            {
                "ids": [letter.id for letter, _ in left],
                "ats": [letter.received_at for letter, _ in left],
                "tried": [
                    orjson.dumps(
                        {
                            "at": now, "repair": str(repair.pk), "reason": fault.reason,
                            "errors": [error.as_dict() for error in fault.errors[:5]],
                        }
                    ).decode()
                    for letter, fault in left
                ],
            },
        )  # fmt: skip


def _end(
    repair: Repair, letters: Sequence[Letter], state: str, by: str, decision: str | None = None
) -> None:
    if not letters:
        return
    ended = sql.execute(
        _SETTLE,
        {
            "ids": [letter.id for letter in letters],
            "ats": [letter.received_at for letter in letters],
            "state": state, "repair": repair.pk, "by": by, "decision": decision,
        },
    )  # fmt: skip
    # They are locked since they were read, so nobody else can have settled one.
    assert ended == len(letters)


def _count(batches: Sequence[Batch], *, is_repaired: bool) -> None:
    """Stored letters stand in the accounts of the minute in which they were stored."""
    counts: Counter[tuple[int, int]] = Counter()
    for batch in batches:
        for item in batch.items:
            if item.status is Status.ACCEPTED:
                counts[item.stream_id, batch.publisher.id] += 1
    if counts:
        sql.execute(
            _ADD_REPLAYED,
            {
                "streams": [stream for stream, _ in counts],
                "producers": [producer for _, producer in counts],
                "counts": list(counts.values()),
                "minute": clock.now().replace(second=0, microsecond=0),
                "repaired": int(is_repaired),
            },
        )


def _discard(repair: Repair, letters: Sequence[Letter], tally: Tally) -> None:
    _end(repair, letters, "discarded", repair.applied_by, repair.note)
    tally.counts["checked"] += len(letters)


def _step(tally: Tally, place: Place, total: int, is_finished: bool) -> Step:
    counts = tally.counts
    done = counts["checked"]
    return Step(place.as_cursor(total), done, max(total, done), said_of(counts), is_finished)


def said_of(counts: Mapping[str, Any]) -> str:
    """A tally in one sentence."""
    passed = counts["accepted"] + counts["duplicate"]
    if not passed and not counts["refused"]:
        return f"{words.plural(counts['checked'], 'event')} looked at"
    said = f"{words.number(passed)} of {words.plural(counts['checked'], 'event')} pass"
    if counts["duplicate"]:
        said += f", {words.number(counts['duplicate'])} of them stored already"
    return said


def _finish(repair: Repair) -> None:
    """Say how it ended: to the log, and to who declared and who started it."""
    counts = repair.outcome
    refused = counts["refused"]
    repair.state = RepairState.PART_APPLIED if refused else RepairState.APPLIED
    repair.finished_at = clock.now()
    repair.revision += 1
    if repair.kind == RepairKind.DISCARD:
        said = f"{words.plural(counts['checked'], 'event')} discarded"
    else:
        said = f"{words.number(counts['accepted'])} replayed, {words.number(counts['duplicate'])} "
        said += f"stored already, {words.number(refused)} still refused"
    tell(
        {repair.declared_by_user} - {0},
        News(
            NoticeKind.CHANGED, repair.about, f"Dead letters of {repair.type[:120] or 'no type'}",
            f"{said[0].upper()}{said[1:]}.", f"/replays/{repair.pk}/", f"replay:{repair.pk}",
        ),
        by=SYSTEM,
    )  # fmt: skip
    audit.record(
        SYSTEM,
        "dead_letter.replay_ended",
        repair.about,
        summary=said,
        after={
            "repair": str(repair.pk), "accepted": counts["accepted"],
            "duplicate": counts["duplicate"], "refused": refused, "letters": counts["checked"],
        },
    )  # fmt: skip


STEPS: Final[Mapping[str, Callable[[Job], Step]]] = {DRY_RUN: dry_run_step, REPLAY: replay_step}
