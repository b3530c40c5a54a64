"""The privacy keys of this process, and what is done with them directly.

* `blind` hashes by the key that never changes: references to subjects and values, and the hashes by
  which equal content is found. Without the key none of them can be guessed.
* `wrap` and `unwrap` put data keys under the current key-encryption key (AES-256-GCM, bound to the
  reference of the data key and to the version).
"""

import logging
import os
import secrets
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from governance.privacy import keyring
from governance.privacy.keyring import Keyring
from portal.kernel.errors import UnavailableError

logger = logging.getLogger(__name__)

HASH_BYTES: Final = 32
NONCE_BYTES: Final = 12
_PURPOSES: Final = ("content", "body", "subject", "value")


def ring() -> Keyring:
    """The keyring of the settings, or of their file where it was read again since."""
    return _ring(_reread.get(settings.PRIVACY_KEYS, settings.PRIVACY_KEYS))


# The text that replaces the one of the settings, which a process reads once.
_reread: dict[str, str] = {}


def read_again() -> Keyring:
    """The keyring as its file holds it now; a version may have been added since the start."""
    path = os.environ.get("PORTAL_PRIVACY_KEYS_FILE")
    if path:
        try:
            text = Path(path).read_text("utf-8").strip()
            found = _ring(text)
        except (OSError, keyring.KeyringError):
            logger.warning("the file of the privacy keys cannot be read again")
            return ring()
        if found.blind == ring().blind:  # another one would be another portal's
            _reread[settings.PRIVACY_KEYS] = text
    return ring()


@lru_cache(maxsize=4)
def _ring(text: str) -> Keyring:
    return keyring.parse(text)


# BLAKE2b in its keyed mode, told apart by purpose; copied for each hash. Once a setting.
_hashers: dict[str, dict[str, "blake2b"]] = {}


def _hashers_of(text: str) -> dict[str, "blake2b"]:
    key = _ring(text).blind
    return {
        purpose: blake2b(key=key, person=purpose.encode(), digest_size=HASH_BYTES)
        for purpose in _PURPOSES
    }


def _hasher(purpose: str) -> "blake2b":
    text = settings.PRIVACY_KEYS
    found = _hashers.get(text)
    if found is None:
        found = _hashers[text] = _hashers_of(text)
    return found[purpose]


def blind(purpose: str, content: bytes) -> bytes:
    """A keyed hash of 32 bytes, stable for the life of the portal."""
    hasher = _hasher(purpose).copy()
    hasher.update(content)
    return hasher.digest()


def content_hash(*parts: bytes) -> bytes:
    """What equal content has in common; parts are ended by a byte that JSON text can't hold."""
    return blind("content", b"\x00".join(parts))


def content_hasher() -> "blake2b":
    """One of its own, to be fed with the parts of one content as `content_hash` joins them."""
    return _hasher("content").copy()


def body_hash(body: bytes) -> bytes:
    """What dead letters of the same bytes have in common."""
    return blind("body", body)


def wrap(ref: bytes, data_key: bytes) -> tuple[int, bytes]:
    """A data key under the current key-encryption key: its version, and what to store."""
    version = ring().current
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(ring().versions[version]).encrypt(nonce, data_key, _bound(ref, version))
    return version, nonce + sealed


def unwrap(ref: bytes, version: int, wrapped: bytes) -> bytes:
    """The data key again. UnavailableError (503) when the version is not at hand."""
    key = ring().versions.get(version) or read_again().versions.get(version)
    if key is None:
        raise UnavailableError(
            f"The privacy key version {version} is not at hand; docs/runbooks/privacy-keys.md."
        )
    try:
        return unwrap_with(key, ref, version, wrapped)
    except InvalidTag as error:
        raise UnavailableError(
            f"The privacy key version {version} is not the one that was used before;"
            " docs/runbooks/privacy-keys.md."
        ) from error


def unwrap_with(key: bytes, ref: bytes, version: int, wrapped: bytes) -> bytes:
    """As `unwrap`, by a key-encryption key that is at hand. Raises InvalidTag when it is another."""
    return AESGCM(key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _bound(ref, version))


def _bound(ref: bytes, version: int) -> bytes:
    return b"portal data key\x00" + version.to_bytes(4, "big") + ref
