"""Deciding on dead letters: declare a repair, check it, approve it, replay, discard, take a group.

1. Who may see a group and may edit its stream, or is on call, declares steps for it.
2. A dry run judges every event of the group as the door would today, and stores nothing.
3. The owner of the stream where the events land approves; nobody approves their own steps, unless
   nobody else could (the log says so).
4. The replay is work of its own, with a rate, that can be paused, resumed and stopped.

A plain replay changes no event and needs no approval: the door judges it as on the first day. A
discard needs a reason and is never undone.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import Stream
from catalog.types import Track
from governance import access, audit
from governance.deciding import is_other, require_other
from governance.errors import NotOwnRequestError, PeopleOnlyError, RoleNeededError, ScopeNeededError
from governance.models import Job, User
from governance.models.jobs import LIVE
from governance.selectors.jobs import newest_job
from governance.services.jobs import start_job
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission, ResourceRef
from ingest.letters.repairs import compile_steps
from ingest.models import LetterGroup, Repair, RepairKind, RepairState
from ingest.privacy.marks import mark
from ingest.selectors.dead_letters import Group, lasting_address
from ingest.selectors.repairs import DRY_RUN, MAX_KEYS, REPLAY, waiting_of_stream
from ingest.services.letter_jobs import RATES
from portal.http import words
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

MAX_NOTE: Final = 500
DEFAULT_RATE: Final = 5_000


def may_handle(actor: Actor, stream: Stream | None) -> bool:
    """Whether the actor may act on dead letters of a stream, None for those of an unknown type."""
    if not (actor.is_person or actor.is_system):
        return False
    if actor.is_admin or (actor.has_role("on_call") and "write" in actor.scopes):
        return True
    return stream is not None and access.may(actor, Permission.EDIT, stream)


def _require_hand(actor: Actor, stream: Stream | None) -> None:
    if not (actor.is_person or actor.is_system):
        raise PeopleOnlyError("dead_letter.handle")
    if may_handle(actor, stream):
        return
    if actor.is_person and "write" not in actor.scopes:
        raise ScopeNeededError("write")
    raise RoleNeededError("The stream's owner team, on-call and admins do this.", "on_call")


def stream_of(group: Group) -> Stream | None:
    """The stream of a group's letters; None for those of an unknown type."""
    return Stream.objects.filter(name=group.stream).first() if group.stream else None


@transaction.atomic
def declare_repair(group: Group, steps: Sequence[Any], *, actor: Actor, note: str = "") -> Repair:
    """Declare steps for a group. Raises InvalidError that names every faulty step."""
    stream = stream_of(group)
    _require_hand(actor, stream)
    compiled = compile_steps(steps)
    if not compiled.steps:
        raise InvalidError(
            "Declare one step at least; what needs none is replayed as it is.",
            errors=[FieldError("/steps", "required", "has no step")],
        )
    repair = _made(RepairKind.REPAIR, [group.key], group.type, stream, actor, note)
    repair.steps = list(steps)
    repair.save()
    audit.record(
        actor,
        "dead_letter.repair_declared",
        repair.about,
        summary=f"declared a repair of {words.plural(group.count, 'dead letter')}",
        after={"repair": str(repair.pk), "steps": [step.kind for step in compiled.steps]},
    )
    return repair


def _made(
    kind: RepairKind,
    keys: Sequence[str],
    about: str,
    stream: Stream | None,
    actor: Actor,
    note: str,
) -> Repair:
    return Repair(
        kind=kind, group_keys=list(keys), type=about, stream=stream, note=_note(note),
        until=clock.now(), declared_by=actor.label,
        declared_by_user=actor.id if actor.is_person else 0,
    )  # fmt: skip


def _note(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_NOTE:
        raise InvalidError(
            "It is too long.",
            errors=[FieldError("/reason", "maxLength", f"may have {MAX_NOTE} characters at most")],
        )
    return text


@transaction.atomic
def start_dry_run(repair: Repair, *, actor: Actor) -> Job:
    """Judge the whole group with the steps, storing nothing; again after a first time."""
    _require_hand(actor, repair.stream)
    if repair.kind != RepairKind.REPAIR:
        raise InvalidStateError("Only a repair has a dry run.")
    live = newest_job(DRY_RUN, repair.ref)
    if live is not None and live.state in LIVE:
        return live
    _move(
        repair,
        (RepairState.DRAFT, RepairState.CHECKING, RepairState.WAITING),
        RepairState.CHECKING,
        until=clock.now(),
        dry_run={},
    )
    return start_job(
        DRY_RUN, repair.ref, actor=actor, title=f"Dry run: dead letters of {_named(repair)}",
        owner_team_id=_owner(repair), track=_track(repair),
    )  # fmt: skip


def _named(repair: Repair) -> str:
    return repair.stream.name if repair.stream is not None else repair.type[:120] or "no type"


def _track(repair: Repair) -> str:
    return repair.stream.track if repair.stream is not None else Track.EXPERIMENTAL


def _owner(repair: Repair) -> int | None:
    stream = repair.stream
    if stream is None:
        return None
    return stream.owner_team_id or stream.domain.owner_team_id


def _move(
    repair: Repair, before: Sequence[RepairState], after: RepairState, **changes: Any
) -> None:
    """Compare and set: of two who decide at once, one is told that it was decided."""
    moved = Repair.objects.filter(pk=repair.pk, state__in=before, revision=repair.revision).update(
        state=after, revision=F("revision") + 1, **changes
    )
    if moved != 1:
        raise InvalidStateError("It was decided or changed meanwhile. Read it again.")
    repair.refresh_from_db()


def landings_of(repair: Repair) -> list[Stream]:
    """The streams whose owners decide: the group's own, and those where the dry run landed."""
    numbers = {int(pk) for pk in repair.dry_run.get("streams", {})}
    if repair.stream_id is not None:
        numbers.add(repair.stream_id)
    return list(Stream.objects.filter(pk__in=numbers).order_by("name"))


def may_approve(actor: Actor, repair: Repair) -> bool:
    """Whether the actor may decide on a repair that waits."""
    streams = landings_of(repair)
    if repair.state != RepairState.WAITING or not streams:
        return False
    if not all(access.may(actor, Permission.APPROVE, stream) for stream in streams):
        return False
    if _is_own(actor, repair):
        return _is_sole(actor, streams)
    return is_other(actor, repair.declared_by_user)


def _is_own(actor: Actor, repair: Repair) -> bool:
    return actor.is_person and repair.declared_by_user == actor.id


def _is_sole(actor: Actor, streams: Sequence[Stream]) -> bool:
    """Whether nobody else holds the permission by ownership or grant."""
    return all(access.holders(Permission.APPROVE, stream) == {actor.id} for stream in streams)


@transaction.atomic
def approve_repair(repair: Repair, *, actor: Actor, comment: str = "") -> Repair:
    """Approve a repair for the streams where its events land; never one's own, see above."""
    if not (actor.is_person or actor.is_system):
        raise PeopleOnlyError("stream.approve")
    streams = _decided_streams(repair, actor)
    is_own = _is_own(actor, repair)
    if is_own and not _is_sole(actor, streams):
        raise NotOwnRequestError(
            "Somebody else of the owner team approves what you declared.",
            "stream.approve",
            "/dead-letters/",
        )
    if not is_own:
        require_other(
            actor,
            repair.declared_by_user,
            permission="stream.approve",
            request_at="/dead-letters/",
            about=repair.ref,
        )
    counts = repair.dry_run
    if not counts.get("accepted", 0) + counts.get("duplicate", 0):
        raise InvalidStateError("No event passes with it. Mend the steps first.")
    _move(
        repair, (RepairState.WAITING,), RepairState.APPROVED, decided_by=actor.label,
        decided_at=clock.now(), decision=_note(comment),
    )  # fmt: skip
    _tell_declarer(repair, "approved", actor)
    alone = " as the only one who may" if is_own else ""
    audit.record(
        actor, "dead_letter.repair_approved", repair.about,
        summary=f"approved the repair of {repair.declared_by}{alone}",
        after={"repair": str(repair.pk), "passed": counts["accepted"] + counts["duplicate"],
               "checked": counts["checked"]},
    )  # fmt: skip
    return repair


def _decided_streams(repair: Repair, actor: Actor) -> list[Stream]:
    streams = landings_of(repair)
    for stream in streams:
        access.require(actor, Permission.APPROVE, stream)
    if repair.state != RepairState.WAITING:
        raise InvalidStateError("It does not wait for a decision.")
    if not streams:
        raise InvalidStateError("Its events land in no stream. Register one, or mend the steps.")
    return streams


@transaction.atomic
def decline_repair(repair: Repair, *, actor: Actor, reason: str) -> Repair:
    """Decline a repair with a reason; who declared it may take it back so."""
    reason = _reason(reason)
    open_states = (RepairState.DRAFT, RepairState.CHECKING, RepairState.WAITING,
                   RepairState.APPROVED)  # fmt: skip
    if not _is_own(actor, repair):
        streams = landings_of(repair)
        for stream in streams:
            access.require(actor, Permission.APPROVE, stream)
        if not streams:
            _require_hand(actor, repair.stream)
    _move(
        repair, open_states, RepairState.DECLINED, decided_by=actor.label,
        decided_at=clock.now(), decision=reason,
    )  # fmt: skip
    _tell_declarer(repair, "declined", actor)
    audit.record(
        actor, "dead_letter.repair_declined", repair.about,
        summary=f"declined the repair of {repair.declared_by}",
        after={"repair": str(repair.pk), "reason": reason},
    )  # fmt: skip
    return repair


def _reason(text: str) -> str:
    found = _note(text)
    if not found:
        raise InvalidError(
            "Say why.", errors=[FieldError("/reason", "required", "say why, in one line")]
        )
    return found


def _tell_declarer(repair: Repair, said: str, actor: Actor) -> None:
    news = News(
        NoticeKind.DECIDED, repair.about, f"A decision on dead letters of {_named(repair)}",
        f"{actor.label} {said} your repair. {repair.decision}".strip(),
        f"/replays/{repair.pk}/",
    )  # fmt: skip
    tell({repair.declared_by_user} - {0}, news, by=actor)


@transaction.atomic
def apply_repair(repair: Repair, *, actor: Actor, rate: int = DEFAULT_RATE) -> Job:
    """Replay an approved repair; a second time continues nothing and gives the same work."""
    _require_hand(actor, repair.stream)
    if repair.state == RepairState.APPLYING:
        found = newest_job(REPLAY, repair.ref)
        assert found is not None
        return found
    return _start(repair, (RepairState.APPROVED,), actor, rate)


def _start(repair: Repair, before: Sequence[RepairState], actor: Actor, rate: int) -> Job:
    if rate not in RATES:
        raise InvalidError(
            "This rate is not offered.",
            errors=[FieldError("/rate", "value", f"must be one of {', '.join(map(str, RATES))}")],
        )
    now = clock.now()
    _move(
        repair, before, RepairState.APPLYING, rate=rate, until=now, applied_at=now,
        applied_by=actor.label, outcome={},
    )  # fmt: skip
    verb = "discarded" if repair.kind == RepairKind.DISCARD else "replayed"
    audit.record(
        actor, f"dead_letter.{'discard' if verb == 'discarded' else 'replay'}_started",
        repair.about, summary=f"has dead letters of {_named(repair)} {verb}",
        after={"repair": str(repair.pk), "rate": rate, "reason": repair.note},
    )  # fmt: skip
    title = {"replay": "Replay", "repair": "Repair and replay", "discard": "Discard"}[repair.kind]
    return start_job(
        REPLAY, repair.ref, actor=actor, title=f"{title}: dead letters of {_named(repair)}",
        owner_team_id=_owner(repair), track=_track(repair),
    )  # fmt: skip


@transaction.atomic
def replay_group(group: Group, *, actor: Actor, rate: int = DEFAULT_RATE) -> Repair:
    """Take a group through the door again as it is: the stream, version or permission is there now.

    While such a replay of the group lives, it is given instead of another.
    """
    stream = stream_of(group)
    _require_hand(actor, stream)
    return _plain(RepairKind.REPLAY, [group.key], group.type, stream, actor, rate)


@transaction.atomic
def replay_waiting(stream: Stream, *, actor: Actor, rate: int = DEFAULT_RATE) -> Repair:
    """Take events through the door that came before the stream was known.

    Each is judged by what its own producer may do; who starts it sees none of them.
    """
    access.require(actor, Permission.EDIT, stream)
    count, keys = waiting_of_stream(stream)
    if not count:
        raise InvalidStateError("No event waits for this stream.")
    return _plain(RepairKind.REPLAY, keys, stream.name, stream, actor, rate)


def replay_registered(stream: Stream, actor: Actor) -> None:
    """Take events through the door that came before a stream was registered; who registers it asks
    for that."""
    count, keys = waiting_of_stream(stream)
    if count:
        _plain(RepairKind.REPLAY, keys, stream.name, stream, actor, DEFAULT_RATE)


def _plain(
    kind: RepairKind,
    keys: Sequence[str],
    about: str,
    stream: Stream | None,
    actor: Actor,
    rate: int,
    note: str = "",
) -> Repair:
    assert len(keys) <= MAX_KEYS
    live = Repair.objects.filter(
        kind=kind, state=RepairState.APPLYING, group_keys=list(keys)
    ).order_by("-declared_at")
    for found in live:
        job = newest_job(REPLAY, found.ref)
        if job is not None and job.state in LIVE:
            return found
    repair = _made(kind, keys, about, stream, actor, note)
    repair.state = RepairState.APPROVED
    repair.save()
    _start(repair, (RepairState.APPROVED,), actor, rate)
    return repair


@transaction.atomic
def discard_group(group: Group, *, actor: Actor, reason: str) -> Repair:
    """Give a group's open events up, with a reason, for good; their bytes go with retention."""
    stream = stream_of(group)
    _require_hand(actor, stream)
    reason = _reason(reason)
    return _plain(RepairKind.DISCARD, [group.key], group.type, stream, actor, max(RATES), reason)


@transaction.atomic
def mark_known(group: Group, *, actor: Actor, note: str, is_known: bool = True) -> LetterGroup:
    """Say that a group's cause is known, with a note for who looks next; or that it is not."""
    _require_hand(actor, stream_of(group))
    row = _row(group)
    row.note = _note(note)
    row.known_at = clock.now() if is_known else None
    row.known_by = actor.label if is_known else ""
    row.updated_at = clock.now()
    row.save()
    audit.record(
        actor, "dead_letter.group_known", _about(group),
        summary="marked a group of dead letters as " + ("known" if is_known else "not known"),
        after={"group": mark("group", group.key), "note": row.note},
    )  # fmt: skip
    return row


@transaction.atomic
def assign_group(group: Group, person: User | None, *, actor: Actor) -> LetterGroup:
    """Give a group to somebody, or take it from whoever has it."""
    _require_hand(actor, stream_of(group))
    row = _row(group)
    row.assignee = person
    row.updated_at = clock.now()
    row.save()
    if person is not None:
        news = News(
            NoticeKind.CHANGED, _about(group), "Dead letters are yours to look at",
            f"{actor.label} gave you {words.plural(group.count, 'dead letter')} of "
            f"{group.stream or group.type or 'no type'}.",
            lasting_address(group.key),
        )  # fmt: skip
        tell({person.pk}, news, by=actor)
    audit.record(
        actor, "dead_letter.group_assigned", _about(group),
        summary=f"gave a group of dead letters to {person.email if person else 'nobody'}",
        after={"group": mark("group", group.key)},
    )  # fmt: skip
    return row


def _row(group: Group) -> LetterGroup:
    LetterGroup.objects.bulk_create([LetterGroup(group_key=group.key)], ignore_conflicts=True)
    return LetterGroup.objects.select_for_update().get(pk=group.key)


def _about(group: Group) -> ResourceRef:
    return ResourceRef("stream", group.stream or group.type[:255])


def seconds_left(letters: int, rate: int) -> float:
    """How long a replay takes at its rate."""
    return letters / rate
