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
        """The bytes that are authenticated with a sealed value: its head and the place."""
        parts = (str(self.stream_id), self.pointer, self.event_id)
        return head + b"\x00".join(part.encode("utf-8", "surrogatepass") for part in parts)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key of the vault as it is used; `id` stands in each text it sealed."""

    id: int
    key: AESGCM

    def seal(self, clear: bytes, place: Place) -> str:
        """The encrypted value as text, `enc_…`; it opens at this place only."""
        raw = self.seal_bytes(clear, place)
        return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def seal_bytes(self, clear: bytes, place: Place) -> bytes:
        """As `seal`, without the spelling as text."""
        head = _FORMAT + self.id.to_bytes(8, "big")
        nonce = secrets.token_bytes(NONCE_BYTES)
        return head + nonce + self.key.encrypt(nonce, clear, place.bound(head))

    def open(self, text: str, place: Place) -> bytes | None:
        """The clear text; None for what this key did not seal for this place."""
        raw = _raw(text)
        return self.open_bytes(raw, place) if raw is not None else None

    def open_bytes(self, raw: bytes, place: Place) -> bytes | None:
        """As `open`, of what `seal_bytes` gave."""
        if not _is_whole(raw) or int.from_bytes(raw[1:_HEAD], "big") != self.id:
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
    return raw if _is_whole(raw) else None


def _is_whole(raw: bytes) -> bool:
    return raw[:1] == _FORMAT and len(raw) >= _HEAD + NONCE_BYTES + _TAG
