"""Keeping the first answer of a request that carries an Idempotency-Key."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction

from governance.models import KeptAnswer
from portal.kernel import clock
from portal.kernel.errors import ConflictError, InvalidError

KEPT: Final = timedelta(hours=24)
# A first request that died leaves its row unanswered; after this it may be tried again.
ABANDONED: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class First:
    """Either the claim of this request to answer (`answer_id`), or the answer given before."""

    answer_id: int | None
    status: int = 0
    body: bytes = b""
    etag: str = ""


def claim(caller: str, key: str, request_sha256: bytes) -> First:
    """Claim a key, or find its first answer.

    Raises InvalidError when the key came with another body, ConflictError while in progress.
    """
    now = clock.now()
    KeptAnswer.objects.filter(caller=caller, key=key, created_at__lt=now - KEPT).delete()
    KeptAnswer.objects.filter(
        caller=caller, key=key, status=None, created_at__lt=now - ABANDONED
    ).delete()
    try:
        with transaction.atomic():
            row = KeptAnswer.objects.create(caller=caller, key=key, request_sha256=request_sha256)
        return First(row.pk)
    except IntegrityError:
        found = KeptAnswer.objects.filter(caller=caller, key=key).first()
    if found is None or found.status is None:
        raise ConflictError(
            "The first request with this Idempotency-Key is still being answered.",
            code="in_progress",
        )
    if bytes(found.request_sha256) != request_sha256:
        raise InvalidError(
            "This Idempotency-Key came with another request before. Use a new key.",
            code="idempotency_key_reused",
        )
    return First(None, found.status, bytes(found.body), found.etag)


def keep(answer_id: int, *, status: int, body: bytes, etag: str) -> None:
    KeptAnswer.objects.filter(pk=answer_id).update(status=status, body=body, etag=etag)


def release(answer_id: int) -> None:
    """Give a claim back: the request failed, so it may be tried again."""
    KeptAnswer.objects.filter(pk=answer_id, status=None).delete()


def forget_old_answers() -> None:
    KeptAnswer.objects.filter(created_at__lt=clock.now() - KEPT).delete()
