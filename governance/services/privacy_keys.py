"""Renewing key-encryption keys: data keys are wrapped anew, nothing that they sealed is touched.

1. A new version is added to the keyring of every process, and becomes the current one.
2. The job wraps each data key under another version again, some hundred a step. Both versions are at
   hand meanwhile, so every row can be read at each moment.
3. It ends when no data key is left under an old version; only then may that be taken away.
"""

from typing import Final

from django.db import transaction
from django.db.models import Count, QuerySet

from governance import audit
from governance.job_kinds import Step
from governance.models import Job, PrivacyKey
from governance.privacy import keys
from governance.services.jobs import start_job
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, NotPermittedError

KIND: Final = "privacy_keys"
BATCH: Final = 500
KEYRING: Final = ResourceRef("keyring", "privacy")


def counts() -> dict[int, int]:
    """How many data keys each version wraps: those at hand, and those that are still referred to."""
    wrapped = (
        PrivacyKey.objects.filter(wrapped__isnull=False)
        .order_by()
        .values_list("version")
        .annotate(n=Count("pk"))
    )
    return dict.fromkeys(keys.ring().versions, 0) | dict(wrapped)


def missing_versions() -> list[int]:
    """Versions that data keys need and no key is at hand for."""
    return sorted(set(counts()) - set(keys.read_again().versions))


@transaction.atomic
def rotate_keys(*, actor: Actor) -> Job:
    """Start wrapping all data keys under the current version; admins only."""
    if not (actor.is_admin or actor.is_system):
        raise NotPermittedError("Privacy keys are renewed by admins.", code="not_admin")
    version = keys.read_again().current
    job = start_job(
        KIND, KEYRING, actor=actor, title=f"Wrap data keys under privacy key version {version}"
    )
    audit.record(
        actor,
        "privacy_keys.rotated",
        KEYRING,
        summary=f"wraps data keys under privacy key version {version}",
        after={"version": version},
    )
    return job


def rewrap_step(job: Job) -> Step:
    """Wrap the next data keys of the job; see the module for what holds meanwhile."""
    wrapped = rewrap_some()
    left = _old().count()
    return Step(
        cursor={},
        done=job.done + wrapped,
        total=job.done + wrapped + left,
        said=f"{left} data keys are left under older versions.",
        is_finished=not left,
    )


def rewrap_some() -> int:
    """Wrap up to 500 data keys under the current version; gives how many. In a transaction."""
    rows = list(_old().select_for_update().order_by("pk")[:BATCH])
    for row in rows:
        ref = bytes(row.ref)
        clear = keys.unwrap(ref, row.version, bytes(row.wrapped or b""))
        row.version, row.wrapped = keys.wrap(ref, clear)
    PrivacyKey.objects.bulk_update(rows, ["version", "wrapped"])
    return len(rows)


def require_unused(version: int) -> None:
    """Refuse to take a version away that is the current one or still wraps data keys."""
    if version == keys.read_again().current:
        raise ConflictError("The current version cannot be taken away.", code="key_in_use")
    used = counts().get(version, 0)
    if used:
        raise ConflictError(
            f"{used} data keys are wrapped by version {version}. Rotate first.", code="key_in_use"
        )


def _old() -> QuerySet[PrivacyKey]:
    current = keys.read_again().current
    return PrivacyKey.objects.filter(wrapped__isnull=False).exclude(version=current)
