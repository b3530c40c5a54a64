"""Rotating any key: a person's token, or a key of a producer or consumer with its quotas."""

from typing import Final

from django.db import transaction

from catalog.models import Consumer, KeyStreamQuota, Producer
from catalog.services.producers import require_team
from governance.models import Key, KeyKind
from governance.rotation import Rotation
from governance.services.key_rotation import Rotated, locked, replace, require_token_owner
from portal.kernel.actor import Actor

_PERMISSION: Final = {KeyKind.PRODUCER: "producer.manage", KeyKind.CONSUMER: "consumer.manage"}


@transaction.atomic
def rotate_key(key_id: str, *, actor: Actor, rotation: Rotation) -> Rotated:
    """Replace a key by one with a new secret, which takes its place in every quota.

    A token's person may, and a program's team or an admin. Raises what `rotate_token` raises, and
    TeamNeededError for who is of another team.
    """
    key = locked(key_id)
    if key.kind == KeyKind.USER:
        require_token_owner(key, actor)
    else:
        permission = _PERMISSION.get(KeyKind(key.kind), "key.rotate")
        require_team(_team_of(key), actor, permission=permission)
    rotated = replace(key, actor=actor, rotation=rotation)
    KeyStreamQuota.objects.bulk_create(
        KeyStreamQuota(
            key=rotated.new, stream_id=row.stream_id, events_per_second=row.events_per_second
        )
        for row in KeyStreamQuota.objects.filter(key=key)
    )
    return rotated


def _team_of(key: Key) -> int | None:
    """The team of a program's key; None for the keys of flag clients, which admins keep."""
    rows = {
        KeyKind.PRODUCER: Producer.objects.filter(pk=key.holder_id or 0),
        KeyKind.CONSUMER: Consumer.objects.filter(pk=key.holder_id or 0),
    }
    found = rows.get(KeyKind(key.kind))
    return found.values_list("team_id", flat=True).first() if found is not None else None
