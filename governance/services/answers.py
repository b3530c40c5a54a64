"""Keeping the first answer of a request that carries an Idempotency-Key.

An answer may hold what is shown only once, such as a new key. So it is sealed with a key made of
the caller's Idempotency-Key, of which only a digest is kept: the row alone gives nothing away.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import orjson
from cryptography.fernet import Fernet, InvalidToken
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from governance.models import KeptAnswer
from portal.kernel import clock
from portal.kernel.errors import ConflictError, InvalidError

KEPT: Final = timedelta(hours=24)
# A first request that died leaves its row unanswered; after this it may be tried again.
ABANDONED: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: `body` is JSON, `headers` are those that belong to the resource."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of this request to answer, or the answer that was given before."""

    id: int
    said_before: Answer | None = None


def claim(caller: str, key: str, request_sha256: bytes) -> Claim:
    """Claim a key, or find its first answer.

    Raises InvalidError when the key came with another body, ConflictError while in progress.
    """
    now = clock.now()
    rows = KeptAnswer.objects.filter(caller=caller, key=_digest(caller, key))
    rows.filter(created_at__lt=now - KEPT).delete()
    rows.filter(status=None, created_at__lt=now - ABANDONED).delete()
    try:
        with transaction.atomic():
            row = KeptAnswer.objects.create(
                caller=caller, key=_digest(caller, key), request_sha256=request_sha256
            )
        return Claim(row.pk)
    except IntegrityError:
        found = rows.first()
    if found is not None and bytes(found.request_sha256) != request_sha256:
        raise InvalidError(
            "This Idempotency-Key came with another request before. Use a new key.",
            code="idempotency_key_reused",
        )
    answer = _unseal(found, caller, key) if found is not None and found.status else None
    if found is None or answer is None:
        raise ConflictError(
            "The first request with this Idempotency-Key is still being answered.",
            code="in_progress",
        )
    return Claim(found.pk, answer)


def keep(claim_id: int, caller: str, key: str, answer: Answer) -> None:
    """Keep the answer for the next request with this key."""
    said = orjson.dumps({"headers": dict(answer.headers), "body": answer.body.decode()})
    KeptAnswer.objects.filter(pk=claim_id).update(
        status=answer.status, body=_seal(caller, key).encrypt(said)
    )


def release(claim_id: int) -> None:
    """Give a claim back: the request died on our side, so it may be tried again."""
    KeptAnswer.objects.filter(pk=claim_id, status=None).delete()


def forget_old_answers() -> None:
    """Delete what was kept for more than 24 hours; the keys begin anew."""
    KeptAnswer.objects.filter(created_at__lt=clock.now() - KEPT).delete()


def _unseal(row: KeptAnswer, caller: str, key: str) -> Answer | None:
    """The answer in a row; None when it was sealed under another secret of the portal."""
    try:
        said = orjson.loads(_seal(caller, key).decrypt(bytes(row.body)))
    except InvalidToken:
        return None
    return Answer(row.status or 0, said["body"].encode(), said["headers"])


def _digest(caller: str, key: str) -> str:
    return hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest()


def _seal(caller: str, key: str) -> Fernet:
    secret = salted_hmac("portal.kept_answer", f"{caller}\0{key}", algorithm="sha256").digest()
    return Fernet(base64.urlsafe_b64encode(secret))
