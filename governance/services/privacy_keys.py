"""Renewing key-encryption keys: data keys are wrapped anew, nothing that they sealed is touched.

1. A new version is added to the keyring of every process, and becomes the current one.
2. The job wraps each data key under another version again, a thousand a step. Both versions are at
   hand meanwhile, so every row can be read at each moment.
3. It ends when no data key is left under an old version; only then may that be taken away.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from django.db import connection, transaction
from django.db.models import Count, QuerySet

from governance import audit
from governance.errors import RoleNeededError
from governance.job_kinds import Step
from governance.models import Job, PrivacyKey, PrivacyToken
from governance.privacy import keys, vault
from governance.selectors import privacy_keys as selectors
from governance.services.jobs import start_job
from governance.services.reasons import require_nameless
from governance.types import ResourceRef
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError

KIND: Final = selectors.KIND
BATCH: Final = 1000
KEYRING: Final = ResourceRef("keyring", "privacy")
_REWRAP: Final = sql.load("governance", "rewrap_privacy_keys")


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
        raise RoleNeededError("Privacy keys are renewed by admins.", "admin")
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


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What was there to destroy of a subject: data keys, and tokens of its name."""

    keys: int
    tokens: int


@transaction.atomic
def destroy_subject(subject: str, *, reason: str, actor: Actor) -> Destroyed:
    """Destroy a subject's data keys and the token of its name; admins only, and for good.

    What was encrypted for it opens nowhere again, and its token means nothing. Values of other
    fields that were tokenized are not found by their subject: they belong to an erasure. Events that
    come later get another token, and what of them had to be encrypted is refused. Done again it
    finds nothing and changes nothing. Every process forgets the keys on the commit.
    """
    if not (actor.is_admin or actor.is_system):
        raise RoleNeededError("Keys of subjects are destroyed by admins.", "admin")
    if not subject or not reason.strip():
        name = "reason" if subject else "subject"
        raise InvalidError("Say whose and why.", errors=[FieldError(f"/{name}", "required", "")])
    require_nameless(reason, [subject])
    named = PrivacyToken.objects.filter(ref=vault.value_ref(vault.SUBJECTS, orjson.dumps(subject)))
    # Of a letter that was treated and then repaired the subject is the token.
    holders = {subject, *named.values_list("token", flat=True)}
    refs = [vault.subject_ref(holder) for holder in holders]
    now = clock.now()
    n_keys = PrivacyKey.objects.filter(ref__in=refs, wrapped__isnull=False).update(
        wrapped=None, destroyed_at=now
    )
    # A row without a key keeps a process that is just about to make one from making it.
    PrivacyKey.objects.bulk_create(
        [PrivacyKey(ref=ref, version=keys.ring().current, destroyed_at=now) for ref in refs],
        ignore_conflicts=True,
    )
    n_tokens, _ = named.delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [vault.NOTICE])
    transaction.on_commit(vault.forget)
    audit.record(
        actor,
        "privacy_subject.destroyed",
        KEYRING,
        summary="destroyed the keys of a subject",
        after={"reason": reason.strip()[:500], "keys": n_keys, "tokens": n_tokens},
    )
    return Destroyed(n_keys, n_tokens)


class Place(NamedTuple):
    """Where a walk over the data keys is: behind an id among those of a version."""

    version: int = 0
    after: int = 0


START: Final = Place()


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many a step wrapped, and where the next begins; None: none is left."""

    count: int
    at: Place | None


def rewrap_step(job: Job) -> Step:
    """Wrap the next data keys of the job; see the module for what holds meanwhile.

    All are counted before the first step and at the end; in between it goes by what was done.
    """
    total = _old().count() if job.total is None else job.total - job.done
    found = rewrap_some(Place(*job.cursor.get("at", START)))
    left = max(total - found.count, 0) if found.at is not None else 0
    return Step(
        cursor={"at": found.at} if found.at is not None else {},
        done=job.done + found.count,
        total=job.done + found.count + left,
        said=f"{left} data keys are left under older versions.",
        is_finished=found.at is None,
    )


def rewrap_some(at: Place = START) -> Rewrapped:
    """Wrap up to 1,000 data keys behind a place under the current version. In a transaction."""
    version, rows = _next_old(at)
    wrapped = []
    new = keys.ring().current
    for _, ref, under in rows:
        new, sealed = keys.wrap(bytes(ref), keys.unwrap(bytes(ref), version, bytes(under)))
        wrapped.append(sealed)
    ids = [row[0] for row in rows]
    if rows:
        sql.execute(_REWRAP, {"ids": ids, "wrapped": wrapped, "version": new})
    if len(rows) < BATCH and not _old().exists():
        return Rewrapped(len(rows), None)
    return Rewrapped(len(rows), Place(version, ids[-1]) if rows else START)


def _next_old(at: Place) -> tuple[int, list[tuple[int, Any, Any]]]:
    """The next data keys of one old version, locked: by the index (version, id), so that no step
    reads again what those before it left."""
    current, version, after = keys.read_again().current, at.version, at.after
    live = PrivacyKey.objects.filter(wrapped__isnull=False)
    while True:
        if version not in (0, current):
            rows = live.filter(version=version, pk__gt=after).order_by("pk")[:BATCH]
            found: list[tuple[int, Any, Any]] = list(
                rows.select_for_update().values_list("pk", "ref", "wrapped")
            )
            if found:
                return version, found
        above = live.filter(version__gt=version).order_by("version")
        next_version = above.values_list("version", flat=True).first()
        if next_version is None:
            return version, []
        version, after = next_version, 0


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
