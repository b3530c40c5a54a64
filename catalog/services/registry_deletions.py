"""Deleting through the registry: first softly, then for good, and never in the catalog."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

from catalog.models import RegistryMode, RegistryVersion, Stream
from catalog.registry.errors import (
    operation_not_permitted,
    references_exist,
    subject_not_found,
    subject_not_soft_deleted,
    subject_soft_deleted,
    version_not_found,
    version_not_soft_deleted,
    version_soft_deleted,
)
from catalog.selectors.registry import LIVE, find_stream, is_deleted, registered
from catalog.selectors.registry_settings import effective_mode
from catalog.services.registry_rights import require_administer
from catalog.services.registry_settings import forget_settings
from catalog.services.schemas import lock
from governance import audit
from portal.kernel import clock
from portal.kernel.actor import Actor


@transaction.atomic
def delete_subject(subject: str, *, actor: Actor, permanent: bool = False) -> list[int]:
    """Delete all versions of a subject and its settings; gives the versions' numbers.

    Raises RegistryError 40404 when it is deleted already, 40405 when it must be deleted softly
    first, 42206 while schemas of other subjects refer to one of its versions.
    """
    stream, rows = _held(subject, actor)
    live = [row for row in rows if not is_deleted(row)]
    if permanent and live:
        raise subject_not_soft_deleted(subject)
    if not permanent and not live:
        raise subject_soft_deleted(subject)
    gone = rows if permanent else live
    for row in gone:
        _require_unreferenced(subject, row, but=stream)
    _mark(gone, permanent=permanent)
    if not permanent:
        forget_settings(stream)
    _record(actor, stream, f"the subject {subject}", permanent=permanent)
    return [row.version.version for row in gone]


@transaction.atomic
def delete_version(
    subject: str, number: int | None, *, actor: Actor, permanent: bool = False
) -> int:
    """Delete one version of a subject, the latest without a number; gives its number.

    Raises RegistryError 40402 without it, 40406 when it is deleted already, 40407 when it must be
    deleted softly first, 42206 while schemas refer to it.
    """
    stream, rows = _held(subject, actor)
    live = [row for row in rows if not is_deleted(row)]
    chosen = live[-1:] if number is None else [r for r in rows if r.version.version == number]
    if not chosen:
        raise version_not_found("latest" if number is None else number)
    row = chosen[0]
    found = row.version.version
    if permanent and not is_deleted(row):
        raise version_not_soft_deleted(subject, found)
    if not permanent and is_deleted(row):
        raise version_soft_deleted(subject, found)
    _require_unreferenced(subject, row)
    _mark([row], permanent=permanent)
    _record(actor, stream, f"version {found} of {subject}", permanent=permanent)
    return found


def _held(subject: str, actor: Actor) -> tuple[Stream, list[RegistryVersion]]:
    """The stream, held, and its versions that are not deleted for good, oldest first."""
    stream = find_stream(actor, subject)
    require_administer(actor, subject, stream)
    if effective_mode(subject, stream) == RegistryMode.READONLY:
        raise operation_not_permitted(f"Subject {subject} is in read-only mode")
    locked = lock(stream)
    rows = list(registered(deleted=True).filter(version__stream=locked))
    if not rows:
        raise subject_not_found(subject)
    return locked, rows


def _require_unreferenced(subject: str, row: RegistryVersion, *, but: Stream | None = None) -> None:
    """Refuse while a version in use refers to this one, whoever may see it."""
    referring = RegistryVersion.objects.filter(LIVE, schema__references__target=row)
    if but is not None:
        referring = referring.exclude(version__stream=but)
    if referring.exists():
        raise references_exist(subject, row.version.version)


def _mark(rows: Iterable[RegistryVersion], *, permanent: bool) -> None:
    chosen = RegistryVersion.objects.filter(pk__in=[row.pk for row in rows])
    chosen.filter(deleted_at=None).update(deleted_at=clock.now())
    if permanent:
        chosen.update(is_permanent=True)


def _record(actor: Actor, stream: Stream, what: str, *, permanent: bool) -> None:
    how = "for good" if permanent else "softly"
    audit.record(
        actor,
        "registry.deleted",
        stream.ref,
        summary=f"deleted {what} in the registry {how}; the catalog keeps it",
    )
    Stream.objects.filter(pk=stream.pk).update(revision=F("revision") + 1, updated_at=clock.now())
