"""A request to move a stream that nobody answers goes to the admins as well, once."""

from typing import Final

from django.conf import settings
from django.db import transaction

from catalog.models import Promotion, PromotionState
from catalog.services.telling import tell_of_move_unanswered
from governance import audit
from governance.services.escalation import admins_asked, too_old
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

_BATCH: Final = 200


@transaction.atomic
def escalate_moves() -> int:
    """Ask the admins about each request that has waited for `PORTAL_REQUEST_DAYS`, and tell who asked;
    gives how many there were, 200 at most. Again changes nothing; who decides stays who may."""
    waiting = (
        Promotion.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("stream")
        .filter(state=PromotionState.OPEN, escalated_at=None, opened_at__lte=too_old())
        .order_by("opened_at")[:_BATCH]
    )
    rows = list(waiting)
    Promotion.objects.filter(pk__in=[row.pk for row in rows]).update(escalated_at=clock.now())
    admins = admins_asked() if rows else set()
    for row in rows:
        tell_of_move_unanswered(row, admins, days=settings.REQUEST_DAYS)
    for row in rows:
        audit.record(
            SYSTEM, "stream.move_escalated", row.stream.ref,
            summary=f"the request to move {row.stream.name} went to the admins",
            after={"request": str(row.pk)},
        )  # fmt: skip
    return len(rows)
