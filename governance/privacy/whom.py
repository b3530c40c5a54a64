"""Whom an erasure is about: its identifiers and what stood for them, sealed until it has ended.

They are sealed under a data key of the erasure's own, which is destroyed when it has ended: a
backup that was taken meanwhile gives them away no longer. Its reference stands in the ledger.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from django.db import connection, transaction

from governance.erasing import Sought, mark_of
from governance.models import PrivacyKey, PrivacyToken
from governance.privacy import vault
from governance.privacy.ciphers import Place
from portal.kernel.errors import UnavailableError

# What was received before the moment of an erasure is stored so long after it at the latest; keys
# and tokens that it made go too.
SETTLE: Final = timedelta(seconds=30)
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Whom:
    """`identifiers` as they were given; `others` are the tokens that stand for them in the vault, and
    their spellings there, which may differ in the case of an address."""

    identifiers: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def clear(self) -> tuple[str, ...]:
        return (*self.identifiers, *self.others)

    @property
    def marks(self) -> list[bytes]:
        return sorted({mark_of(text) for text in self.clear})

    @property
    def key_refs(self) -> list[bytes]:
        """References of the data keys of everything that a subject may have been."""
        return sorted({vault.subject_ref(text) for text in self.clear})

    def with_others(self, found: Iterable[str]) -> "Whom":
        return Whom(self.identifiers, tuple(sorted({*self.others, *found} - {*self.identifiers})))

    def sought(self, at: datetime) -> Sought:
        return Sought(dict.fromkeys(self.marks, at), self.clear)


def sealing_ref(erasure: UUID) -> bytes:
    """The reference of the data key that seals the identifiers of an erasure. No subject has that
    name, as NUL never comes in."""
    return vault.subject_ref(f"\0erasure\0{erasure}")


def sealed(whom: Whom, erasure: UUID) -> str:
    """What the row of the erasure keeps. UnavailableError when the vault is not at hand."""
    text = orjson.dumps([whom.identifiers, whom.others])
    ref = sealing_ref(erasure)
    return vault.data_keys([ref])[ref].seal(text, _place(erasure))


def opened(text: str, erasure: UUID) -> Whom:
    """Whom the row of an erasure is about. UnavailableError when that cannot be opened any more."""
    ref = sealing_ref(erasure)
    key = vault.cached_key(ref) or vault.data_keys([ref]).get(ref)
    clear = key.open(text, _place(erasure)) if key is not None else None
    if clear is None:
        raise UnavailableError("Whom the erasure is about cannot be opened any more.")
    identifiers, others = orjson.loads(clear)
    return Whom(tuple(identifiers), tuple(others))


def _place(erasure: UUID) -> Place:
    return Place(0, "/erasure", str(erasure))


def with_meanings(identifiers: Sequence[str]) -> Whom:
    """The identifiers; of a token among them what it stands for as well."""
    tokens = [text for text in identifiers if vault.is_token(text)]
    meant = [str(value) for value in vault.meanings(tokens).values()]
    return Whom(tuple(identifiers)).with_others(meant)


def subject_tokens(identifiers: Iterable[str]) -> list[str]:
    """The tokens that stand for them as subjects: what is told at once, before the vault is walked."""
    refs = [vault.value_ref(vault.SUBJECTS, orjson.dumps(text)) for text in identifiers]
    rows = PrivacyToken.objects.filter(ref__in=refs)
    return list(rows.values_list("token", flat=True))


def destroy_keys(refs: Sequence[bytes], *, made_until: datetime) -> int:
    """Delete data keys with their rows; gives how many. What they sealed opens nowhere again, and who
    asks for a key of these subjects later gets a fresh one.

    In a transaction, on whose commit every process forgets what it remembers.
    """
    rows = PrivacyKey.objects.filter(ref__in=refs, created_at__lte=made_until)
    n, _ = rows.delete()
    if n:
        _have_all_forget()
    return n


def delete_tokens(refs: Sequence[bytes], *, made_until: datetime) -> int:
    """Delete the rows of tokens: they mean nothing from then on. As `destroy_keys`."""
    n, _ = PrivacyToken.objects.filter(ref__in=refs, created_at__lte=made_until).delete()
    if n:
        _have_all_forget()
    return n


def _have_all_forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [vault.NOTICE])
    transaction.on_commit(vault.forget)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of the vault that a step looked at: how many, the reference of the last if more follow, and
    those that are sought."""

    looked_at: int
    last: bytes | None
    found: tuple["Found", ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A token that is sought: `texts` are itself and what it stands for, `until` the moment of their
    erasure."""

    ref: bytes
    texts: tuple[str, ...]
    until: datetime


def page_of_tokens(sought: Sought, after: bytes) -> Page:
    """Look what the next thousand tokens stand for; by the primary key. Tokens whose data key is
    gone are known by their own mark alone."""
    rows = list(
        PrivacyToken.objects.filter(ref__gt=after)
        .order_by("ref")[:_BATCH]
        .values_list("ref", "token")
    )
    meant = vault.meanings([token for _, token in rows])
    found = []
    for ref, token in rows:
        until = sought.until(token) or sought.until(meant.get(token))
        if until is not None:
            texts = (token, str(meant[token])) if token in meant else (token,)
            found.append(Found(bytes(ref), texts, until))
    is_last = len(rows) < _BATCH
    return Page(len(rows), None if is_last else bytes(rows[-1][0]), tuple(found))
