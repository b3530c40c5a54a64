"""What is kept about a person, gathered from all stores into a sealed file (articles 15 and 20 GDPR).

1. An admin asks, with identifiers and a reason; the other admins are told at once.
2. A job walks all stores (`governance.erasing`) and writes what it finds as JSON Lines, sealed under a
   data key of the export's own. Its cursor and what of the file counts are kept in one transaction:
   what a crash wrote beyond is written over.
3. When it is through, the identifiers are forgotten; their hashes stay, by which an erasure finds it.
4. What others' events say of a person may be in the file of whom they are about. So an erasure removes
   each export that was asked for before it, whoever it is about, and none is gathered while one runs.
5. Admins download it for seven days, each time with a row in the audit log. Then the file goes and
   its key is destroyed; a copy of the file in a backup opens nowhere.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from governance import audit, erasing
from governance.described import facts_in
from governance.errors import ErasureRunsError, RoleNeededError
from governance.job_kinds import Step
from governance.models import (
    Erasure,
    ErasureState,
    ExportEnd,
    ExportState,
    Job,
    JobState,
    PrivacyKey,
    SubjectExport,
    Tombstone,
    User,
)
from governance.privacy import sealed_files, vault
from governance.privacy.ciphers import DataKey, Place
from governance.privacy.sealed_files import Mark, SealedFileError
from governance.selectors import subject_exports as selectors
from governance.selectors.persons import identifiers_of, known_as
from governance.selectors.subject_exports import PAGE, file_of, folder, get_export, key_ref
from governance.services.jobs import start_job
from governance.services.notices import News, tell
from governance.services.reasons import checked_reason
from governance.types import NoticeKind, Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    InvalidStateError,
)
from portal.kernel.locks import or_busy

logger = logging.getLogger(__name__)

Parts = Iterator[bytes]
KIND: Final = selectors.KIND
KEPT: Final = timedelta(days=7)
FORMAT: Final = "portal subject export 1"
REST_SECONDS: Final = 5.0
_BATCH: Final = 100


@transaction.atomic
def request_export(identifiers: Iterable[str], *, reason: str, actor: Actor) -> SubjectExport:
    """Have what is kept about a person gathered; admins only.

    Raises InvalidError for identifiers or a reason that do not do, ErasureRunsError while the person is
    being erased.
    """
    if not actor.is_admin:
        raise RoleNeededError("Personal data is taken out by admins.", "admin")
    texts = identifiers_of(identifiers)
    why = checked_reason(reason, texts)
    known = known_as(texts)
    marks = [erasing.mark_of(text) for text in known]
    _require_nobody_erased(marks)
    export = SubjectExport(
        reason=why, identifiers=len(texts), requested_by=actor.label,
        requested_by_user=actor.id if actor.is_person else 0, expires_at=clock.now() + KEPT,
        marks=sorted({mark.hex() for mark in marks}),
    )  # fmt: skip
    key = _key_of(export.pk)
    assert key is not None  # made just now
    export.sealed = key.seal(orjson.dumps(known), _names(export.pk))
    export.job = start_job(
        KIND, export.about, actor=actor, title="Gather what is kept about a person"
    )
    export.save()
    export.refresh_from_db()
    audit.record(
        actor,
        "subject_export.requested",
        export.about,
        summary=f"has what is kept about a person gathered: {why}",
        after={"reason": why, "identifiers": len(texts)},
    )
    _tell_admins(export, actor)
    return export


def _require_nobody_erased(marks: Iterable[bytes]) -> None:
    """What is found while an erasure runs would be half of it, and outlive it."""
    running = Tombstone.objects.filter(
        mark__in=list(marks), erasure__state=ErasureState.RUNNING
    ).exists()
    if running:
        raise ErasureRunsError("This person is being erased. Ask again when that is done.")


def _tell_admins(export: SubjectExport, actor: Actor) -> None:
    admins = User.objects.filter(groups__name=Role.ADMIN, is_active=True)
    news = News(
        NoticeKind.SUBJECT_EXPORT,
        export.about,
        f"{actor.label} takes out what is kept about a person",
        f"Everything about them is gathered into a file, for: {export.reason}",
        f"{PAGE}{export.pk}/",
        f"subject-export:{export.pk}",
    )
    tell(admins.values_list("pk", flat=True), news, by=actor)


# --- Gathering ----------------------------------------------------------------------------------


def export_step(job: Job) -> Step:
    """Ask the next store for some of what it has, and write that down sealed."""
    export = SubjectExport.objects.select_for_update().filter(job=job).first()
    key = _key_of(export.pk) if export is not None and export.is_live else None
    if export is None or key is None:
        # Where it was may be a name.
        return Step({}, job.done, said="The export was taken away.", is_finished=True)
    if Erasure.objects.filter(state=ErasureState.RUNNING).exists():
        return Step(
            job.cursor, job.done, job.total, "Waits until an erasure is done.",
            rest_seconds=REST_SECONDS,
        )  # fmt: skip
    cursor = dict(job.cursor) or _begin(export, key)
    store = next((one for one in erasing.stores() if one.key not in cursor["through"]), None)
    if store is None:
        return _finish(export, key, cursor, job)
    found = store.collect(_sought(export, key), cursor["at"])
    lines = b"".join(_line(_item(store, item)) for item in found.items)
    _write(export, key, lines)
    tally = cursor["tally"].setdefault(store.key, {"name": store.name, "looked_at": 0, "items": 0})
    tally["looked_at"] += found.looked_at
    tally["items"] += len(found.items)
    cursor["at"] = dict(found.cursor or {})
    if found.cursor is None:
        cursor["through"] = [*cursor["through"], store.key]
    return Step(
        cursor,
        job.done + found.looked_at,
        total=max(cursor["total"], job.done + found.looked_at),
        said=f"{store.name}: {tally['items']} found.",
    )


def _begin(export: SubjectExport, key: DataKey) -> dict[str, Any]:
    head = {
        "kind": "export", "format": FORMAT, "id": str(export.pk),
        "asked_at": rfc3339.spell(export.created_at), "identifiers": export.identifiers,
        "says": "What this portal keeps about a person. Each line is a JSON object; an item names "
        "the store it was found in, the stream and the time where it has them, and `fields` says "
        "what the contract says of its fields. The last line counts them.",
    }  # fmt: skip
    export.chunks = export.size_bytes = 0
    _write(export, key, _line(head))
    sizes = sum(store.size() for store in erasing.stores())
    return {"through": [], "at": {}, "tally": {}, "total": max(1, sizes)}


def _item(store: erasing.Store, item: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the file: where it was found, the stream and the time of an event, what was found,
    and what its contract says of it."""
    line: dict[str, Any] = {"kind": "item", "store": store.key, "store_name": store.name}
    event = item.get("event")
    if not isinstance(event, Mapping):
        return {**line, **item}
    stream, at = event.get("type"), event.get("time")
    line |= {"stream": stream, "time": at, **item}
    fields = facts_in(stream, event) if isinstance(stream, str) else {}
    return line | {"fields": fields} if fields else line


def _finish(export: SubjectExport, key: DataKey, cursor: Mapping[str, Any], job: Job) -> Step:
    stores = [{"key": name, **said} for name, said in cursor["tally"].items()]
    items = sum(one["items"] for one in stores)
    _write(export, key, _line({"kind": "end", "items": items, "stores": stores}))
    now = clock.now()
    export.state, export.sealed, export.stores, export.items = ExportState.READY, "", stores, items
    export.finished_at, export.expires_at = now, now + KEPT
    export.revision += 1
    export.save()
    audit.record(
        SYSTEM,
        "subject_export.ready",
        export.about,
        summary=f"gathered what is kept about a person: {_count(items)}",
        after={"items": items, "stores": {one["key"]: one["items"] for one in stores}},
    )
    news = News(
        NoticeKind.SUBJECT_EXPORT,
        export.about,
        "What is kept about a person is gathered",
        f"The file can be downloaded until {export.expires_at:%-d %B}.",
        f"{PAGE}{export.pk}/",
        f"subject-export-ready:{export.pk}",
    )
    tell([export.requested_by_user] if export.requested_by_user else [], news, by=SYSTEM)
    return Step(cursor, max(job.done, cursor["total"]), said=f"{items} found.", is_finished=True)


def _count(items: int) -> str:
    return f"{items} item{'' if items == 1 else 's'}"


def _sought(export: SubjectExport, key: DataKey) -> erasing.Sought:
    opened = key.open(export.sealed, _names(export.pk))
    if opened is None:
        raise SealedFileError("The identifiers cannot be opened. Ask anew.")
    known = tuple(orjson.loads(opened))
    marks = {erasing.mark_of(text): export.created_at for text in known}
    return erasing.Sought(marks, clear=known)


def _write(export: SubjectExport, key: DataKey, clear: bytes) -> None:
    mark = Mark(export.chunks, export.size_bytes)
    if clear:
        mark = sealed_files.append(file_of(export.pk), str(export.pk), key, mark, clear)
    export.chunks, export.size_bytes = mark.chunks, mark.size_bytes
    export.save(update_fields=["chunks", "size_bytes"])


def _line(said: Mapping[str, Any]) -> bytes:
    return orjson.dumps(said, default=_spelled, option=orjson.OPT_PASSTHROUGH_DATETIME) + b"\n"


def _spelled(value: object) -> str:
    return rfc3339.spell(value) if isinstance(value, datetime) else str(value)


def _names(export_id: UUID) -> Place:
    return Place(0, "identifiers", str(export_id))


def _key_of(export_id: UUID) -> DataKey | None:
    """The data key of an export, made on the first asking; None once it was destroyed."""
    ref = key_ref(export_id)
    return vault.data_keys([ref]).get(ref)


# --- Downloading and removing -------------------------------------------------------------------


@transaction.atomic
def download_export(export_id: UUID, *, actor: Actor) -> Parts:
    """The file in clear, in parts. Leaves one audit row, also when it is broken off.

    Raises NotFoundError for others than admins, InvalidStateError while it is gathered and once it
    is gone, SealedFileError where the file is missing.
    """
    export = get_export(actor, export_id)
    if export.state != ExportState.READY or export.expires_at <= clock.now():
        is_running = export.state == ExportState.RUNNING
        raise InvalidStateError("It is still gathered." if is_running else "It is gone.")
    key = _key_of(export.pk)
    if key is None:
        raise InvalidStateError("It is gone.")
    try:
        file = file_of(export.pk).open("rb")
    except OSError as error:
        raise SealedFileError("The file is not at hand. Ask for it anew.") from error
    SubjectExport.objects.filter(pk=export.pk).update(downloads=F("downloads") + 1)
    audit.record(
        actor,
        "subject_export.downloaded",
        export.about,
        summary=f"took out what is kept about a person: {_count(export.items)}",
        after={"items": export.items},
    )
    return _read(file, export, key)


def _read(file: BinaryIO, export: SubjectExport, key: DataKey) -> Parts:
    with file:
        mark = Mark(export.chunks, export.size_bytes)
        yield from sealed_files.opened(file, str(export.pk), key, mark)


@transaction.atomic
def delete_export(export_id: UUID, *, actor: Actor) -> SubjectExport:
    """Remove the file and destroy its key; what of it is being gathered ends. Admins only."""
    export = get_export(actor, export_id)
    with or_busy():
        is_removed = remove(export, ExportEnd.DELETED)
    if not is_removed:
        raise InvalidStateError("It is gone already.")
    audit.record(
        actor, "subject_export.deleted", export.about, summary="deleted an export about a person"
    )
    return get_export(actor, export_id)


def remove(export: SubjectExport, why: ExportEnd) -> bool:
    """Have an export gone with this transaction; whether it was there. The file goes after the
    commit, or with the next `remove_old_exports`."""
    moved = (
        SubjectExport.objects.filter(pk=export.pk)
        .exclude(state=ExportState.GONE)
        .update(
            state=ExportState.GONE, ended=why, sealed="", marks=[], gone_at=Now(),
            revision=F("revision") + 1,
        )
    )  # fmt: skip
    if not moved:
        return False
    # Where its work was may be a name. Who holds the work just now finds the export gone, and forgets.
    idle = Job.objects.select_for_update(skip_locked=True).filter(subjectexport=export)
    Job.objects.filter(pk__in=list(idle.values_list("pk", flat=True))).update(cursor={})
    ref = key_ref(export.pk)
    PrivacyKey.objects.filter(ref=ref, wrapped__isnull=False).update(
        wrapped=None, destroyed_at=clock.now()
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [vault.NOTICE])
    transaction.on_commit(vault.forget)
    transaction.on_commit(lambda: _unlink(file_of(export.pk)))
    return True


def remove_for_erasure(export: SubjectExport) -> bool:
    """As `remove`, since somebody was erased; who asked for it is told that they may ask anew."""
    if not remove(export, ExportEnd.ERASED):
        return False
    _log_removal(export, ExportEnd.ERASED)
    news = News(
        NoticeKind.SUBJECT_EXPORT,
        export.about,
        "An export that you asked for was removed",
        "Somebody was erased since, who may stand in it. Ask anew for what you still need.",
        f"{PAGE}{export.pk}/",
        f"subject-export-erased:{export.pk}",
    )
    tell([export.requested_by_user] if export.requested_by_user else [], news, by=SYSTEM)
    return True


@transaction.atomic
def remove_all_for_erasure() -> int:
    """Remove every export that there is; gives how many."""
    live = SubjectExport.objects.exclude(state=ExportState.GONE).order_by("pk")
    return sum(remove_for_erasure(export) for export in live)


def _log_removal(export: SubjectExport, why: ExportEnd) -> None:
    audit.record(
        SYSTEM,
        "subject_export.removed",
        export.about,
        summary=f"removed an export about a person: {why.label.lower()}",
    )


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # sealed under a key that is gone; the next turn tries again
        logger.warning("a sealed export cannot be removed: %s", error.strerror)


def remove_old_exports() -> int:
    """Remove exports whose days are over or whose work was stopped, and files that belong to none;
    gives how many exports."""
    count = 0
    live = SubjectExport.objects.exclude(state=ExportState.GONE)
    stopped = live.filter(state=ExportState.RUNNING, job__state=JobState.STOPPED)
    for rows, why in (
        (live.filter(expires_at__lte=Now()), ExportEnd.EXPIRED),
        (stopped, ExportEnd.STOPPED),
    ):
        for export in rows.order_by("expires_at")[:_BATCH]:
            with transaction.atomic():
                if remove(export, why):
                    count += 1
                    _log_removal(export, why)
    _remove_strays()
    return count


def _remove_strays() -> None:
    """Files that a crash left between the commit and their removal."""
    found = {path.stem: path for path in folder().glob("*.sealed")}
    live = SubjectExport.objects.exclude(state=ExportState.GONE)
    kept = {str(pk) for pk in live.filter(pk__in=_uuids(found)).values_list("pk", flat=True)}
    for name, path in found.items():
        if name not in kept:
            _unlink(path)


def _uuids(names: Iterable[str]) -> list[UUID]:
    found = []
    for name in names:
        try:
            found.append(UUID(name))
        except ValueError:
            continue
    return found
