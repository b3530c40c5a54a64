"""Walking the audit chain and keeping what was found."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from governance.chain import walking
from governance.chain.walking import Verification
from governance.models import AuditEntry, AuditVerification
from governance.selectors.audit_anchors import counted_rows, known_anchors
from portal.kernel import clock

_KEPT: Final = timedelta(days=30)


def _nobody(count: int) -> None:
    """Who walks by the clock tells nobody how far it is."""


def walk_chain(tell: Callable[[int], None] = _nobody) -> Verification:
    """Recompute every hash, oldest first, beside the anchors. Reads only; safe to repeat.

    `tell` hears how many rows were walked over each 10,000.
    """
    # Counted and anchored rows are there when the rows are read, whatever comes meanwhile.
    anchors, head = known_anchors(), counted_rows()
    rows = AuditEntry.objects.order_by("seq").iterator(chunk_size=1000)
    return walking.verify(walking.telling(rows, tell), anchors, head=head)


def verify_chain(tell: Callable[[int], None] = _nobody) -> AuditVerification:
    """As `walk_chain`, and store the outcome."""
    began = time.monotonic()
    found = walk_chain(tell)
    row = AuditVerification.objects.create(
        rows=found.rows,
        first_bad=found.first_bad,
        head_hash=found.head_hash,
        fault=found.fault[:200],
        anchored_upto=found.anchored_upto,
        anchored_at=found.anchored_at,
        seconds=round(time.monotonic() - began, 3),
    )
    AuditVerification.objects.filter(at__lt=clock.now() - _KEPT).delete()
    return row
