"""Signing what the audit chain holds, each minute and each 1,000 rows, in the database and beside it.

The line outside comes first: a crash between the two leaves an anchor that the next run takes over
from there. Rows are signed only if they fit; a chain that does not is left to the walk that says where.
"""

import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import transaction

from governance.chain import anchors, second_place, signing
from governance.chain.anchors import MOST_ROWS, Anchor, AnchorError
from governance.chain.rows import GENESIS, digest
from governance.chain.second_place import SecondPlace
from governance.chain.signing import AuditKeyError
from governance.chain.walking import TOLD_EACH
from governance.models import AuditAnchor, AuditEntry
from governance.selectors.audit_anchors import newest_anchor, of_row
from governance.selectors.audit_log import newest_verification
from governance.services.verification import verify_chain
from portal.kernel import clock, sql
from portal.kernel.errors import UnavailableError

logger = logging.getLogger(__name__)

_LOCK: Final = sql.load("governance", "lock_anchoring")


class BrokenChainError(Exception):
    """Rows that do not fit are not signed."""


def anchor_chain(tell: Callable[[int], None] | None = None) -> int:
    """Sign every row that is not signed yet; gives how many anchors that took. One process at a time:
    another that finds it at work does nothing. `tell` hears how many rows were signed each 10,000.

    Raises BrokenChainError, AnchorError where the copy outside tells of another chain, AuditKeyError
    without a key, and OSError where the copy cannot be written.
    """
    made = signed = 0
    while rows := _anchor_once():
        made += 1
        is_told = (signed + rows) // TOLD_EACH > signed // TOLD_EACH
        signed += rows
        if tell is not None and is_told:
            tell(signed)
    return made


def anchor_or_say_why() -> int:
    """As `anchor_chain`, for who runs it by the clock: a chain that is broken is walked, so that
    pages say where, and what stands in the way of signing is logged."""
    try:
        return anchor_chain()
    except (BrokenChainError, AnchorError) as error:
        logger.error("the audit chain cannot be anchored: %s", error)  # said in full
        known = newest_verification()
        if known is None or known.holds:  # else pages say so, and the quarter's walk goes on
            verify_chain()
    except (AuditKeyError, OSError) as error:
        logger.error("the audit chain cannot be anchored: %s", error)  # as above
    return 0


def anchor_for_export() -> None:
    """Sign what is not signed yet, so that all of an export is vouched for, and see that the key is
    there that seals it. A chain that cannot be anchored is exported as it is: its proofs say so.

    Raises UnavailableError without a key.
    """
    try:
        anchor_chain()
        if not signing.known_keys():  # of a chain without a row
            with transaction.atomic():
                lock = sql.fetch_one(_LOCK, {})
                if lock is not None and lock["taken"]:
                    signing.make_key()
        is_ready = bool(signing.known_keys())
    except (BrokenChainError, AnchorError, OSError) as error:
        logger.warning("an export of the audit chain could not be anchored: %s", error)
        is_ready = bool(signing.known_keys())
    except AuditKeyError as error:
        logger.error("an export of the audit chain cannot be sealed: %s", error)  # said in full
        is_ready = False
    if not is_ready:
        raise UnavailableError(
            "An export is sealed with the key of the audit chain, which is not at hand just now."
        )


def _anchor_once() -> int:
    """Sign the next rows; gives how many, 0 at the end or while another process signs."""
    with transaction.atomic():
        lock = sql.fetch_one(_LOCK, {})
        if lock is None or not lock["taken"]:
            return 0
        with second_place.opened(settings.AUDIT_ANCHORS) as place:
            before = _level(place)
            rows = _rows_after(before)
            if not rows:
                return 0
            anchor = anchors.make(before, _hashes(before, rows), clock.now())
            place.append(anchor)
            _keep(anchor)
    return len(rows)


def _level(place: SecondPlace) -> Anchor | None:
    """The newest anchor, after what one of the two places lacks was brought over from the other."""
    newest = newest_anchor()
    kept = newest.number if newest else 0
    outside = place.newest()
    written = outside.number if outside else 0
    keys = signing.known_keys() if kept != written else {}
    if kept > written:
        logger.warning("the copy of the audit anchors lacked %d of them", kept - written)
        for row in AuditAnchor.objects.filter(number__gt=written).order_by("number"):
            anchor = of_row(row, hashes=_stored_hashes(row))
            anchors.check(anchor, outside, keys)  # rows that were changed since are not copied
            place.append(anchor)
            outside = anchor
    elif written > kept and outside is not None:
        before = of_row(newest) if newest else None
        for anchor in second_place.anchors_in(settings.AUDIT_ANCHORS):
            if anchor.number > kept:
                anchors.check(anchor, before, keys)
                _keep(anchor)
                before = anchor
    elif newest is not None and outside is not None and of_row(newest).digest() != outside.digest():
        raise AnchorError(f"anchor {kept} is another in the copy outside the database")
    return outside


def _stored_hashes(row: AuditAnchor) -> tuple[bytes, ...]:
    rows = AuditEntry.objects.filter(seq__gte=row.first_seq, seq__lte=row.upto_seq).order_by("seq")
    return tuple(bytes(each) for each in rows.values_list("hash", flat=True))


def _rows_after(before: Anchor | None) -> list[AuditEntry]:
    upto = before.upto if before else 0
    return list(AuditEntry.objects.filter(seq__gt=upto).order_by("seq")[:MOST_ROWS])


def _hashes(before: Anchor | None, rows: list[AuditEntry]) -> list[bytes]:
    """The hashes of rows that follow an anchor, computed here."""
    previous, number = (before.head, before.upto) if before else (GENESIS, 0)
    found: list[bytes] = []
    for row in rows:
        number += 1
        expected = digest(previous, row)
        if row.seq != number or bytes(row.prev_hash) != previous or bytes(row.hash) != expected:
            raise BrokenChainError(f"row {number} does not fit")
        found.append(expected)
        previous = expected
    return found


def _keep(anchor: Anchor) -> None:
    AuditAnchor.objects.create(
        number=anchor.number,
        first_seq=anchor.first,
        upto_seq=anchor.upto,
        at=anchor.at,
        root=anchor.root,
        head_hash=anchor.head,
        previous=anchor.previous,
        key_id=anchor.signature.key_id,
        signature=anchor.signature.value,
    )
