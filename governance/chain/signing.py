"""The keys that anchors and receipts are signed with (Ed25519). They never go into the database.

`PORTAL_AUDIT_KEY` (or `_FILE`) holds one a line, 32 random bytes in URL-safe base64: the first signs,
the others are those before it, whose anchors are still to be checked. Where nothing is set the key
lies in `secrets/audit_key` of the data directory, and is made there when the first anchor is due.
"""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from portal.kernel.files import write_private

KEY_BYTES: Final = 32
# Signed before each text, so that a signature of ours on anything else proves no anchor.
ANCHOR: Final = b"event-portal audit anchor 1\n"


class AuditKeyError(Exception):
    """There is no key, or no such one; the message is a sentence without anything secret."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`key_id` names the public key: the first 16 hex digits of its SHA-256."""

    key_id: str
    value: bytes


def sign(text: bytes, *, context: bytes = ANCHOR) -> Signature:
    """Sign with the current key, which is made if there is none. Raises AuditKeyError."""
    key = _private_keys(make=True)[0]
    return Signature(key_id_of(_raw(key.public_key())), key.sign(context + text))


def holds(
    signature: Signature, text: bytes, public_keys: dict[str, bytes], *, context: bytes = ANCHOR
) -> bool:
    """Whether one of the public keys (`known_keys`, or who checks brings theirs) signed this text."""
    raw = public_keys.get(signature.key_id)
    if raw is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature.value, context + text)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_key() -> None:
    """Make the current key if there is none; by one process at a time. Raises AuditKeyError."""
    _private_keys(make=True)


def known_keys() -> dict[str, bytes]:
    """The public keys of this portal by id; empty before the first anchor. Raises AuditKeyError."""
    return {
        key_id_of(raw): raw for raw in (_raw(key.public_key()) for key in _private_keys(make=False))
    }


def public_key(text: str) -> bytes:
    """A public key as `spell_key` gave it. Raises AuditKeyError."""
    return _decoded(text)


def spell_key(raw: bytes) -> str:
    """A key as text."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def key_id_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _private_keys(*, make: bool) -> list[Ed25519PrivateKey]:
    found = _parsed(settings.AUDIT_KEY or _of_file(make=make))
    if make and not found:
        raise AuditKeyError("The file of the audit chain's key is empty.")
    return list(found)


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[Ed25519PrivateKey, ...]:
    return tuple(
        Ed25519PrivateKey.from_private_bytes(_decoded(line)) for line in text.split() if line
    )


def _decoded(text: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise AuditKeyError("A key of the audit chain is no base64.") from error
    if len(raw) != KEY_BYTES:
        raise AuditKeyError(f"A key of the audit chain has {KEY_BYTES} bytes.")
    return raw


def _of_file(*, make: bool) -> str:
    place = settings.DATA_DIR / "secrets" / "audit_key"
    try:
        if make and not place.exists():  # by one process, as one at a time signs
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(place, f"{spell_key(secrets.token_bytes(KEY_BYTES))}\n")
        return place.read_text("ascii") if place.exists() else ""
    except OSError as error:
        raise AuditKeyError(
            f"The key of the audit chain cannot be kept in {place}: {error.strerror}. Set "
            "PORTAL_AUDIT_KEY or PORTAL_AUDIT_KEY_FILE."
        ) from error
