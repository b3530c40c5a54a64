"""Data keys and tokens: looked up in the process first, then made in the database, once.

1. A data key belongs to a subject (or to a purpose of tokens) and is found by a keyed hash of it.
2. A token belongs to a value within a purpose; it is random, and only its row says what it means.
3. Both are asked for in bulk: one statement for all that a group needs and the process does not
   know. It runs on a connection of its own and commits at once, so that what the caches hold is
   stored, whatever becomes of a transaction around it.
4. Caches are bounded, hold hashes and no values, and are emptied by `forget`.

Everything here blocks on the database except the `cached_*` functions.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.privacy import keys
from governance.privacy.aside import run as _run
from governance.privacy.ciphers import DataKey, Place, key_id_of
from portal.kernel import sql
from portal.kernel.errors import UnavailableError

TOKEN_PREFIX: Final = "tok_"  # noqa: S105  # no secret
NOTICE: Final = "privacy"  # told on the channel `portal_catalog` when something was destroyed
SUBJECTS: Final = "subject"  # the purpose of the tokens of subjects
_TOKEN_LENGTH: Final = len(TOKEN_PREFIX) + 22
_MAX_TOKENS: Final = 200_000
_MAX_KEYS: Final = 20_000
_MAX_TRIES: Final = 5
_ADD_KEYS: Final = sql.load("governance", "add_privacy_keys")
_ADD_TOKENS: Final = sql.load("governance", "add_privacy_tokens")
_FIND_KEYS: Final = sql.load("governance", "find_privacy_keys")
_FIND_TOKENS: Final = sql.load("governance", "find_privacy_tokens")

Ref = bytes
# purpose and JSON text of the value
Meant = tuple[str, bytes]


class _Bounded(dict[Ref, Any]):
    """A cache that drops its oldest entries when it is full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, found: Mapping[Ref, Any]) -> None:
        self.update(found)
        if len(self) > self._most:
            for ref in list(self)[: len(self) - self._most + self._most // 10]:
                self.pop(ref, None)


_tokens: Final = _Bounded(_MAX_TOKENS)
_keys: Final = _Bounded(_MAX_KEYS)
_generation = 0


def forget() -> None:
    """Empty the caches of this process: something was destroyed."""
    global _generation  # noqa: PLW0603  # what was read before must not be kept afterwards
    _generation += 1
    _tokens.clear()
    _keys.clear()


def subject_ref(subject: str) -> Ref:
    """The reference of a subject's data key."""
    return keys.blind("subject", b"subject\x00" + subject.encode())


def purpose_ref(purpose: str) -> Ref:
    """The reference of the data key that seals what the tokens of a purpose mean."""
    return keys.blind("subject", b"tokens\x00" + purpose.encode())


def value_ref(purpose: str, value: bytes) -> Ref:
    """The reference of a value (as JSON text) within a purpose."""
    return keys.blind("value", purpose.encode() + b"\x00" + value)


def is_token(value: object) -> bool:
    """Whether a value has the form of a token."""
    return isinstance(value, str) and len(value) == _TOKEN_LENGTH and value.startswith(TOKEN_PREFIX)


def new_token() -> str:
    """A random token, `tok_` and 22 characters; it means nothing until it is stored."""
    return TOKEN_PREFIX + secrets.token_urlsafe(16)


def new_data_key() -> DataKey:
    """A key that is kept nowhere, for rehearsals."""
    return DataKey(0, AESGCM(secrets.token_bytes(32)))


def cached_token(ref: Ref) -> str | None:
    """The token of a reference that this process remembers; None: ask the database."""
    found: str | None = _tokens.get(ref)
    return found


def cached_key(ref: Ref) -> DataKey | None:
    """The data key of a reference that this process remembers; None: ask the database."""
    found: DataKey | None = _keys.get(ref)
    return found


def data_keys(refs: Iterable[Ref]) -> dict[Ref, DataKey]:
    """The data keys of references, made where there is none; those that were destroyed are absent.

    UnavailableError when the database or a key-encryption key is not at hand.
    """
    wanted = sorted(set(refs))
    found = {ref: _keys[ref] for ref in wanted if ref in _keys}
    generation = _generation
    made: dict[Ref, DataKey] = {}
    missing = [ref for ref in wanted if ref not in found]
    for _ in range(_MAX_TRIES):
        if not missing:
            break
        sealed = [keys.wrap(ref, secrets.token_bytes(32)) for ref in missing]
        rows = _run(
            _ADD_KEYS,
            {
                "refs": missing,
                "wrapped": [wrapped for _, wrapped in sealed],
                "versions": [version for version, _ in sealed],
            },
        )
        for key_id, ref, wrapped, version in rows:
            if wrapped is not None:
                made[bytes(ref)] = _data_key(key_id, bytes(ref), bytes(wrapped), version)
        answered = {bytes(row[1]) for row in rows}
        missing = [ref for ref in missing if ref not in answered]
    if missing:
        raise UnavailableError("The vault is busy just now. Try again.", retry_after_seconds=1)
    if generation == _generation:
        _keys.keep(made)
    return found | made


def tokens_for(meant: Mapping[Ref, Meant]) -> dict[Ref, str]:
    """The tokens of values, made where there is none. One statement for all that are new here."""
    found = {ref: _tokens[ref] for ref in meant if ref in _tokens}
    missing = sorted(ref for ref in meant if ref not in found)
    if not missing:
        return found
    generation = _generation
    purposes = {meant[ref][0] for ref in missing}
    sealers = data_keys(purpose_ref(purpose) for purpose in purposes)
    made: dict[Ref, str] = {}
    for _ in range(_MAX_TRIES):
        if not missing:
            break
        rows = [_new_row(ref, *meant[ref], sealers) for ref in missing]
        refs, names, of, sealed = (list(column) for column in zip(*rows, strict=True))
        stored = _run(
            _ADD_TOKENS, {"refs": refs, "tokens": names, "purposes": of, "sealed": sealed}
        )
        made |= {bytes(ref): str(token) for ref, token in stored}
        missing = [ref for ref in missing if ref not in made]
    if missing:
        raise UnavailableError("The vault is busy just now. Try again.", retry_after_seconds=1)
    if generation == _generation:
        _tokens.keep(made)
    return found | made


def _new_row(
    ref: Ref, purpose: str, value: bytes, sealers: Mapping[Ref, DataKey]
) -> tuple[Ref, str, str, str]:
    token = new_token()
    sealer = sealers[purpose_ref(purpose)]
    return ref, token, purpose, sealer.seal(value, _place_of(purpose, token))


def _place_of(purpose: str, token: str) -> Place:
    return Place(0, purpose, token)


def meanings(tokens: Sequence[str]) -> dict[str, Any]:
    """What tokens stand for; those that mean nothing (any more) are absent."""
    rows = _run(_FIND_TOKENS, {"tokens": list(tokens)}) if tokens else []
    sealers = keys_by_id({key_id_of(sealed) or 0 for _, _, sealed in rows})
    found: dict[str, Any] = {}
    for token, purpose, sealed in rows:
        key = sealers.get(key_id_of(sealed) or 0)
        clear = key.open(sealed, _place_of(purpose, token)) if key is not None else None
        if clear is not None:
            found[token] = orjson.loads(clear)
    return found


def keys_by_id(ids: Iterable[int]) -> dict[int, DataKey]:
    """Data keys by the ids that stand in encrypted values; destroyed ones are absent."""
    wanted = sorted(set(ids))
    rows = _run(_FIND_KEYS, {"ids": wanted}) if wanted else []
    return {
        key_id: _data_key(key_id, bytes(ref), bytes(wrapped), version)
        for key_id, ref, wrapped, version in rows
    }


def _data_key(key_id: int, ref: Ref, wrapped: bytes, version: int) -> DataKey:
    return DataKey(key_id, AESGCM(keys.unwrap(ref, version, wrapped)))
