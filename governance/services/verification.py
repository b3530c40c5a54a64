"""Walking the audit chain and keeping what was found."""

import time
from datetime import timedelta
from typing import Final

from governance import audit
from governance.models import AuditVerification
from portal.kernel import clock

_KEPT: Final = timedelta(days=30)


def verify_chain() -> AuditVerification:
    """Recompute every hash, oldest first, and store the outcome. Reads only; safe to repeat."""
    began = time.monotonic()
    found = audit.verify()
    row = AuditVerification.objects.create(
        rows=found.rows,
        first_bad=found.first_bad,
        head_hash=found.head_hash,
        seconds=round(time.monotonic() - began, 3),
    )
    AuditVerification.objects.filter(at__lt=clock.now() - _KEPT).delete()
    return row
