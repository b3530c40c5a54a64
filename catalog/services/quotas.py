"""Quotas of a producer's keys: how many events a second each may send, over all and by stream.

Its team may set them up to what every key has; more is an admin's to give. A stream's own quota,
over all keys, is a fact of the stream (`catalog.services.streams`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F

from catalog.models import KeyStreamQuota, Producer, Stream
from catalog.selectors.parties import keys_of
from catalog.services.producers import require_team
from catalog.services.streams import MAX_EVENTS_PER_SECOND
from governance import audit
from governance.errors import RoleNeededError
from governance.models import Key
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, PreconditionFailedError

MAX_STREAM_QUOTAS: Final = 50
UNCHANGED: Final = -1


@dataclass(frozen=True, slots=True)
class KeyQuota:
    """What becomes of one key: its quota (None: what every key has; `UNCHANGED`), and of streams a
    new quota each or None for none; streams that are not named stay."""

    key_id: str
    events_per_second: int | None = UNCHANGED
    streams: Sequence[tuple[Stream, int | None]] = field(default_factory=tuple)


@transaction.atomic
def set_quotas(
    producer: Producer, quotas: Sequence[KeyQuota], *, actor: Actor, revision: int
) -> Producer:
    """Change quotas of a producer's live keys; ingest keeps to them within two seconds.

    Raises InvalidError for a key that is not its own or a number out of bounds, NotPermittedError
    for who may not, PreconditionFailedError when the producer was changed since that revision.
    """
    require_team(producer.team_id, actor)
    keys = {key.pk: key for key in keys_of("prod", producer.pk)}
    _check(quotas, keys, actor)
    moved = Producer.objects.filter(pk=producer.pk, revision=revision).update(
        revision=F("revision") + 1, updated_at=clock.now()
    )
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for quota in quotas:
        key = keys[quota.key_id]
        if quota.events_per_second != UNCHANGED:
            before[key.pk], after[key.pk] = key.events_per_second, quota.events_per_second
            Key.objects.filter(pk=key.pk).update(events_per_second=quota.events_per_second)
        for stream, number in quota.streams:
            after[f"{key.pk} {stream.name}"] = number
            before[f"{key.pk} {stream.name}"] = _set_stream_quota(key, stream, number)
        if key.stream_quotas.count() > MAX_STREAM_QUOTAS:
            raise InvalidError(f"At most {MAX_STREAM_QUOTAS} streams a key.", code="too_many")
    audit.record(
        actor,
        "producer.quotas_changed",
        producer.ref,
        summary=f"changed the quotas of {', '.join(sorted({q.key_id for q in quotas}))}",
        before=before,
        after=after,
    )
    producer.refresh_from_db()
    return producer


def _set_stream_quota(key: Key, stream: Stream, number: int | None) -> int | None:
    """Gives what it was before."""
    found = KeyStreamQuota.objects.filter(key=key, stream=stream)
    before = found.values_list("events_per_second", flat=True).first()
    if number is None:
        found.delete()
    else:
        KeyStreamQuota.objects.update_or_create(
            key=key, stream=stream, defaults={"events_per_second": number}
        )
    return before


def _check(quotas: Sequence[KeyQuota], keys: dict[str, Key], actor: Actor) -> None:
    faults = []
    highest = 0
    for place, quota in enumerate(quotas):
        if quota.key_id not in keys:
            faults.append(FieldError(f"/keys/{place}/key", "unknown", "is no live key of it"))
        numbers = [number for _, number in quota.streams]
        if quota.events_per_second != UNCHANGED:
            numbers.append(quota.events_per_second)
        for number in numbers:
            if number is not None and not 1 <= number <= MAX_EVENTS_PER_SECOND:
                faults.append(
                    FieldError(f"/keys/{place}", "range", f"from 1 to {MAX_EVENTS_PER_SECOND}")
                )
            highest = max(highest, number or 0)
    if not quotas:
        faults.append(FieldError("/keys", "required", "name at least one key"))
    if faults:
        raise InvalidError("The quotas break a rule.", errors=faults)
    if highest > settings.INGEST_EVENTS_PER_SECOND and not actor.is_admin:
        raise RoleNeededError(
            f"More than {settings.INGEST_EVENTS_PER_SECOND} events a second is an admin's to give.",
            "admin",
        )
