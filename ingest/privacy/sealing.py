"""Bodies of dead letters whose contract nobody knows: kept sealed, as anything may stand in them.

1. Of a type that nobody registered, of bytes that nobody could read, and of a stream without a
   schema no plan says what is personal. So the whole body is sealed (AES-256-GCM) under a data key
   of the vault, bound to its letter, before it is written.
2. The mark it begins with can stand in no JSON, and what was never sealed does not open: bodies that
   were kept before, or whose contract has nothing personal, are read as they are.
3. The key is asked for once a process; after that sealing and opening need no database.
"""

from typing import Final
from uuid import UUID

from governance.privacy import vault
from governance.privacy.ciphers import DataKey, Place
from ingest.types import Envelope
from portal.kernel.errors import UnavailableError

MARK: Final = b"\x00sealed\x00"
_PURPOSE: Final = "\0dead letters"  # no purpose of tokens has that name, as NUL never comes in


def is_due(envelope: Envelope, *, was_packed: bool) -> bool:
    """Whether nobody knows what is personal in what a dead letter keeps of an event. What was packed
    for the table, and only then found to be a conflict, has passed its contract."""
    return not (was_packed or envelope.is_open)


def sealed(body: bytes, letter: UUID) -> bytes:
    """The bytes to keep. Raises UnavailableError when the vault is not at hand."""
    return MARK + _key().seal_bytes(body, _place(letter))


def opened(body: bytes, letter: UUID) -> bytes:
    """The bytes that a dead letter keeps, in clear; as they are where they never were sealed."""
    if not body.startswith(MARK):
        return body
    return opened_with(_key(), body, letter)


def opened_with(key: DataKey, body: bytes, letter: UUID) -> bytes:
    """As `opened`, by a key that is at hand; as they are where it is not theirs."""
    clear = key.open_bytes(body.removeprefix(MARK), _place(letter))
    return body if clear is None else clear


def _place(letter: UUID) -> Place:
    return Place(0, "/dead-letter", str(letter))


def _key() -> DataKey:
    ref = vault.purpose_ref(_PURPOSE)
    found = vault.cached_key(ref) or vault.data_keys([ref]).get(ref)
    if found is None:
        raise UnavailableError("The key of the dead letters was destroyed.")
    return found
