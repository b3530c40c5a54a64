"""A row of the audit chain as the bytes that are hashed.

The hash of a row is SHA-256 over the hash before it and these bytes. The database computes it when
it appends (`governance_audit_append`); here it is computed again, so that nobody has to trust the
database's own arithmetic.

Format 2 is one JSON object in RFC 8785's spelling. Format 1, of the first rows of older portals, joins
the columns by U+001F and holds the detail as its hash: a text that holds that character could be cut
elsewhere without another hash.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

from governance.models import AuditEntry

GENESIS: Final = bytes(32)
FORMAT: Final = 2
_MOST: Final = 2**53 - 1  # a whole number beyond it has no spelling of its own in RFC 8785


def canonical_row(entry: AuditEntry) -> bytes:
    """The bytes that are hashed. Times are microseconds since 1970 in UTC.

    Raises ValueError for a format that nobody ever wrote.
    """
    if entry.format == 1:
        return _joined(entry)
    if entry.format != FORMAT:
        raise ValueError(f"row {entry.seq} is of no known format")
    return rfc8785.dumps(
        {
            "seq": entry.seq,
            "at": micros(entry.at),
            "actor_kind": entry.actor_kind,
            "actor_id": entry.actor_id,
            "actor": entry.actor,
            "action": entry.action,
            "object_kind": entry.object_kind,
            "object_key": entry.object_key,
            "summary": entry.summary,
            "detail": _spelled(entry.detail),
            "request_id": entry.request_id,
            "format": FORMAT,
        }
    )


def digest(previous: bytes, entry: AuditEntry) -> bytes:
    """The hash that the row must have behind the one before it."""
    return hashlib.sha256(previous + canonical_row(entry)).digest()


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    at = moment.astimezone(UTC)
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def canonical_detail(detail: object) -> str:
    """The spelling of a detail that the database stores and hashes."""
    return rfc8785.dumps(_kept(detail)).decode()


def _kept(value: Any) -> Any:
    """Whole numbers that would lose digits become texts."""
    if isinstance(value, dict):
        return {key: _kept(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_kept(child) for child in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST:
        return str(value)
    return value


def _spelled(value: Any) -> Any:
    """As jsonb gives it back: a large whole number in it was a float when it was written."""
    if isinstance(value, dict):
        return {key: _spelled(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_spelled(child) for child in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST:
        return float(value)
    return value


def _joined(entry: AuditEntry) -> bytes:
    fields = [
        entry.seq, micros(entry.at), entry.actor_kind, entry.actor_id, entry.actor, entry.action,
        entry.object_kind, entry.object_key, entry.summary, entry.request_id,
    ]  # fmt: skip
    text = json.dumps(entry.detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    detail = hashlib.sha256(text.encode()).hexdigest()
    return "\x1f".join([*(str(field) for field in fields), detail]).encode()
