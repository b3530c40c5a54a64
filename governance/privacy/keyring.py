"""The text of the privacy keys: what `PORTAL_PRIVACY_KEYS` holds and how a new one is made.

One entry a line (or between commas): `blind:<key>` and one `<version>:<key>` for each key-encryption
key, the highest of which is the current one unless `current:<version>` names another. A key is 32
random bytes in URL-safe base64.

Pure, so that the launcher can make the file before there are settings.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BLIND: Final = "blind"
CURRENT: Final = "current"
KEY_BYTES: Final = 32
MAX_VERSION: Final = 2**31 - 1


class KeyringError(ValueError):
    """The text is no keyring; the message names the entry's place, never what it holds."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """`blind` makes references and hashes and never changes; `versions` wrap data keys."""

    blind: bytes
    versions: Mapping[int, bytes]
    current: int


def parse(text: str) -> Keyring:
    """Read a keyring. Raises KeyringError."""
    blind: bytes | None = None
    current: int | None = None
    versions: dict[int, bytes] = {}
    entries = [entry.strip() for entry in text.replace(",", "\n").splitlines() if entry.strip()]
    for place, entry in enumerate(entries, start=1):
        name, colon, encoded = entry.partition(":")
        if name == CURRENT and current is None and encoded.isdecimal():
            current = int(encoded)
            continue
        key = _decoded(encoded) if colon else None
        if key is None:
            raise KeyringError(f"entry {place} must be name:key with 32 bytes in base64")
        if name == BLIND and blind is None:
            blind = key
        elif name.isdecimal() and 0 < int(name) <= MAX_VERSION and int(name) not in versions:
            versions[int(name)] = key
        else:
            raise KeyringError(f"entry {place} must be named blind or by a version, each once")
    if blind is None or not versions:
        raise KeyringError("it needs an entry blind and one for version 1")
    if len({blind, *versions.values()}) != 1 + len(versions):
        raise KeyringError("each key must be another")
    if current is not None and current not in versions:
        raise KeyringError("its entry current names no version")
    return Keyring(blind, versions, current if current is not None else max(versions))


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def new_key() -> str:
    """A new random key of 32 bytes as base64url, without padding."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")


def new_text() -> str:
    """A new keyring with one version."""
    return f"{BLIND}:{new_key()}\n1:{new_key()}\n"


def with_new_version(text: str) -> str:
    """The same keyring with one more version, which becomes the current one."""
    return f"{text.rstrip()}\n{max(parse(text).versions) + 1}:{new_key()}\n"


def without_version(text: str, version: int) -> str:
    """The same keyring without one of its versions. Raises KeyringError for the last one."""
    kept = [
        entry.strip()
        for entry in text.replace(",", "\n").splitlines()
        if entry.strip() and entry.strip().partition(":")[0] != str(version)
    ]
    result = "\n".join(kept) + "\n"
    parse(result)
    return result


if __name__ == "__main__":  # a keyring for .env, on one line
    print(",".join(new_text().split()))  # noqa: T201
