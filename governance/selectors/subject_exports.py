"""Exports about persons, for admins alone; whose they are is shown nowhere."""

from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from governance.models import SubjectExport
from governance.privacy import keys
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

KIND: Final = "subject_export"
PAGE: Final = "/privacy/exports/"


def visible_exports(actor: Actor) -> QuerySet[SubjectExport]:
    """All for admins, none for others; the newest first is (-created_at, id)."""
    rows = SubjectExport.objects.select_related("job")
    return rows if actor.is_admin else rows.none()


def get_export(actor: Actor, export_id: UUID) -> SubjectExport:
    """One export; NotFoundError for missing and forbidden alike."""
    found = visible_exports(actor).filter(pk=export_id).first()
    if found is None:
        raise NotFoundError
    return found


def key_ref(export_id: UUID) -> bytes:
    """The reference of the data key that seals an export."""
    return keys.blind("subject", b"export\x00" + export_id.bytes)


def folder() -> Path:
    """Where the sealed files lie."""
    return Path(settings.SUBJECT_EXPORT_DIR)


def file_of(export_id: UUID) -> Path:
    """The sealed file of an export."""
    return folder() / f"{export_id}.sealed"
