"""The form of an encrypted value: `enc_` and base64 of format, key id, nonce and sealed text.

AES-256-GCM under a data key of the vault, with a nonce of 96 random bits. The place it stands in
(stream, pointer, event id) and the key's id are authenticated with it: a value that is moved to
another field, event or stream cannot be opened there.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.privacy.keys import NONCE_BYTES

PREFIX: Final = "enc_"
_FORMAT: Final = b"\x01"
_HEAD: Final = 1 + 8
_TAG: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: bound to it for good."""

    stream_id: int
    pointer: str
    event_id: str

    def bound(self, head: bytes) -> bytes:
        parts = (str(self.stream_id), self.pointer, self.event_id)
        return head + b"\x00".join(part.encode("utf-8", "surrogatepass") for part in parts)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key of the vault as it is used; `id` stands in each text it sealed."""

    id: int
    key: AESGCM

    def seal(self, clear: bytes, place: Place) -> str:
        head = _FORMAT + self.id.to_bytes(8, "big")
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self.key.encrypt(nonce, clear, place.bound(head))
        return PREFIX + base64.urlsafe_b64encode(head + nonce + sealed).decode().rstrip("=")

    def open(self, text: str, place: Place) -> bytes | None:
        """The clear text; None for what this key did not seal for this place."""
        raw = _raw(text)
        if raw is None or int.from_bytes(raw[1:_HEAD], "big") != self.id:
            return None
        nonce, sealed = raw[_HEAD : _HEAD + NONCE_BYTES], raw[_HEAD + NONCE_BYTES :]
        try:
            return self.key.decrypt(nonce, sealed, place.bound(raw[:_HEAD]))
        except InvalidTag:
            return None


def key_id_of(text: object) -> int | None:
    """The id of the data key of an encrypted value; None for what is none."""
    raw = _raw(text)
    return int.from_bytes(raw[1:_HEAD], "big") if raw is not None else None


def _raw(text: object) -> bytes | None:
    if not isinstance(text, str) or not text.startswith(PREFIX):
        return None
    encoded = text[len(PREFIX) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    whole = raw[:1] == _FORMAT and len(raw) >= _HEAD + NONCE_BYTES + _TAG
    return raw if whole else None
