"""Reading what is done about dead letters: repairs, replays and discards, with how far they are.

Who may see a stream's dead letters, or approve on it, sees what is done about them. Examples are made anew from the
bytes when somebody looks, for who may read those bytes; none are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from catalog.models import Stream
from governance import access
from governance.models import Job, JobState
from governance.selectors.jobs import newest_job
from governance.types import Permission
from ingest.letters.repairs import StepError, Steps, compile_steps
from ingest.letters.replaying import document_of, letter_of
from ingest.models import DeadLetter, LetterGroup, Repair, RepairState
from ingest.selectors import dead_letters
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, NotFoundError
from portal.kernel.strict_json import pointer_part

MAX_KEYS: Final = 50
_ABSENT: Final = object()
# The kinds of work: `ingest.services.letter_jobs` does their steps.
DRY_RUN: Final = "dead_letters.dry_run"
REPLAY: Final = "dead_letters.replay"


@dataclass(frozen=True, slots=True)
class Example:
    """One event before and after the steps, or the fault that keeps it out.

    `changed` are the places that the steps change, or the one that they cannot.
    """

    letter: UUID
    event_id: str
    before: Any
    after: Any
    fault: str
    pointer: str
    changed: tuple[str, ...] = ()


def visible_repairs(actor: Actor) -> QuerySet[Repair]:
    """What is done about dead letters that the actor may see."""
    rows = Repair.objects.select_related("stream")
    if actor.is_admin or actor.has_role("on_call"):
        return rows if "read" in actor.scopes else rows.none()
    owned = access.permitted(actor, Permission.EDIT, Stream.objects.all(), scope="read")
    decided = access.permitted(actor, Permission.APPROVE, Stream.objects.all(), scope="read")
    return rows.filter(Q(stream__in=owned.values("pk")) | Q(stream__in=decided.values("pk")))


def get_repair(actor: Actor, repair_id: UUID) -> Repair:
    """One of them; NotFoundError for missing and forbidden alike."""
    found = visible_repairs(actor).filter(pk=repair_id).first()
    if found is None:
        raise NotFoundError
    return found


def repairs_of_group(actor: Actor, key: str) -> list[Repair]:
    """What was done about a group, the newest first; at most 20."""
    rows = visible_repairs(actor).filter(group_keys__contains=[key])
    return list(rows.order_by("-declared_at", "id")[:20])


def job_of(repair: Repair) -> Job | None:
    """The work that does what the repair's state says, or did it last."""
    kind = DRY_RUN if repair.applied_at is None else REPLAY
    return newest_job(kind, repair.ref)


def jobs_of(rows: Sequence[Repair]) -> dict[str, Job]:
    """The work behind each of many, by the repair's id, in one query."""
    keys = {str(row.pk): DRY_RUN if row.applied_at is None else REPLAY for row in rows}
    found = Job.objects.filter(
        object_kind="repair", object_key__in=keys, kind__in=(DRY_RUN, REPLAY)
    )
    return {
        job.object_key: job
        for job in found.order_by("created_at")
        if job.kind == keys[job.object_key]
    }


def standing_of(repair: Repair, job: Job | None) -> str:
    """The state in a word for people: work that was stopped or failed shows in it."""
    if job is not None and repair.state in (RepairState.CHECKING, RepairState.APPLYING):
        if job.state == JobState.STOPPED:
            return "stopped"
        if job.state in (JobState.FAILED, JobState.PAUSED):
            return str(job.state)
    return str(repair.state)


def steps_of(repair: Repair) -> Steps:
    """The compiled steps; none when what was declared then cannot be read any more."""
    try:
        return compile_steps(repair.steps)
    except InvalidError:
        return Steps()


def examples_of(actor: Actor, repair: Repair, *, limit: int = 10) -> list[Example] | None:
    """Events of the dry run before and after; None for who may not read their bytes.

    Each body that is shown is read as on any page: of a personal stream it leaves an audit row.
    """
    counts = repair.dry_run
    wanted = [*counts.get("fails", [])[: limit // 2], *counts.get("passes", [])[: limit // 2]]
    letters = _letters(actor, wanted)
    steps = steps_of(repair)
    found = []
    for row in letters:
        if dead_letters.readable_body(actor, row) is None:
            return None
        found.append(_example(row, steps))
    return found


def _letters(actor: Actor, wanted: Sequence[Sequence[str]]) -> list[DeadLetter]:
    if not wanted:
        return []
    places = Q(pk__in=[])
    for letter_id, at in wanted:
        places |= Q(id=letter_id, received_at=datetime.fromisoformat(at))
    rows = {str(row.id): row for row in dead_letters.visible_dead_letters(actor).filter(places)}
    return [rows[letter_id] for letter_id, _ in wanted if letter_id in rows]


def _example(row: DeadLetter, steps: Steps) -> Example:
    letter = letter_of(row.__dict__)  # fmt: skip
    before: Any = None
    try:
        before = document_of(letter)
        after = steps.apply(before)
    except StepError as error:
        places = (error.pointer,)
        return Example(row.id, row.event_id, before, None, error.detail, error.pointer, places)
    return Example(row.id, row.event_id, before, after, "", "", tuple(_changed(before, after, "")))


def _changed(before: Any, after: Any, pointer: str) -> Iterator[str]:
    """The places at which two documents differ, in either."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            place = f"{pointer}/{pointer_part(key)}"
            yield from _changed(before.get(key, _ABSENT), after.get(key, _ABSENT), place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _changed(*pair, f"{pointer}/{index}")
    elif before != after or type(before) is not type(after):
        yield pointer


def states_of(keys: Sequence[str]) -> Mapping[str, LetterGroup]:
    """What people said of groups, by key; groups nobody spoke of are absent."""
    rows = LetterGroup.objects.select_related("assignee").filter(group_key__in=keys)
    return {row.group_key: row for row in rows}


def waiting_of_stream(stream: Stream) -> tuple[int, list[str]]:
    """Events that came before the stream was known, and their groups: how many wait for a replay.

    They are of a type that is now the stream's name or alias; at most MAX_KEYS groups are counted.
    """
    names = [stream.name, *stream.aliases.values_list("alias", flat=True)]
    rows = dead_letters.waiting_letters(names)
    return sum(count for _, count in rows), [key for key, _ in rows]


def open_replays(actor: Actor) -> QuerySet[Repair]:
    """Replays and discards that were begun."""
    return visible_repairs(actor).filter(applied_at__isnull=False)
