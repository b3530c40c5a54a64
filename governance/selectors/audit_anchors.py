"""The anchors of the audit chain, those outside the database before those within."""

from collections.abc import Iterator
from typing import Final

from django.conf import settings

from governance.chain import anchors, second_place, signing
from governance.chain.anchors import Anchor, AnchorError
from governance.chain.signing import AuditKeyError, Signature
from governance.models import AuditAnchor
from portal.kernel import sql

_HEAD: Final = sql.load("governance", "audit_head")


def of_row(row: AuditAnchor, hashes: tuple[bytes, ...] = ()) -> Anchor:
    """A row as a value; `hashes` are those of its rows, which the table does not hold."""
    return Anchor(
        number=row.number,
        first=row.first_seq,
        upto=row.upto_seq,
        at=row.at,
        root=bytes(row.root),
        head=bytes(row.head_hash),
        previous=bytes(row.previous),
        signature=Signature(row.key_id, bytes(row.signature)),
        hashes=hashes,
    )


def newest_anchor() -> AuditAnchor | None:
    """The newest one in the database; None before the first."""
    return AuditAnchor.objects.order_by("-number").first()


def anchor_of(seq: int) -> AuditAnchor | None:
    """That which vouches for a row; None while none does."""
    return AuditAnchor.objects.filter(upto_seq__gte=seq, first_seq__lte=seq).first()


def counted_rows() -> int:
    """How many rows the chain has by its own count."""
    row = sql.fetch_one(_HEAD, {})
    assert row is not None
    return int(row["seq"])


def known_anchors() -> Iterator[Anchor]:
    """Every anchor there is at the time of the call, checked, the oldest first.

    Ends in an AnchorError at the first that cannot be trusted or read.
    """
    # What is written while they are read vouches for rows that who walks may not see.
    newest, path = newest_anchor(), settings.AUDIT_ANCHORS
    outside = path.stat().st_size if path.exists() else 0
    return _checked(newest.number if newest else 0, outside)


def _checked(stored: int, outside: int) -> Iterator[Anchor]:
    try:
        keys = signing.known_keys()
    except AuditKeyError as error:
        raise AnchorError(str(error)) from error
    before: Anchor | None = None
    for anchor in _both(stored, outside):
        anchors.check(anchor, before, keys)
        yield anchor
        before = anchor


def _both(stored: int, outside: int) -> Iterator[Anchor]:
    rows = AuditAnchor.objects.filter(number__lte=stored).order_by("number").iterator()
    if outside:
        try:
            for anchor in second_place.anchors_in(settings.AUDIT_ANCHORS, upto=outside):
                row = next(rows, None)
                if row is not None and of_row(row).digest() != anchor.digest():
                    raise AnchorError(
                        f"anchor {anchor.number} is another in the database than outside of it"
                    )
                yield anchor
        except OSError as error:
            raise AnchorError(
                f"the copy of the anchors cannot be read: {error.strerror}"
            ) from error
    for row in rows:
        yield of_row(row)
