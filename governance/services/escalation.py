"""A request that nobody answers goes to the admins as well, once.

So do requests to move a stream (`catalog.services.promotion_escalation`) and overdue reviews.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from governance import audit
from governance.models import AccessRequest, Erasure, ErasureState, User
from governance.models.access import RequestState
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

_BATCH: Final = 200


def escalate_requests() -> int:
    """Ask the admins about each request that has waited for `PORTAL_REQUEST_DAYS`, and tell who
    asked; gives how many there were. Again changes nothing; who decides stays who may."""
    done = 0
    while moved := _escalate_some():
        done += moved
    return done


@transaction.atomic
def _escalate_some() -> int:
    now = clock.now()
    waiting = (
        AccessRequest.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("requester")
        .filter(
            state=RequestState.OPEN,
            escalated_at=None,
            created_at__lte=too_old(),
        )
        .order_by("created_at")[:_BATCH]
    )
    rows = list(waiting)
    admins = admins_asked()
    for row in rows:
        row.escalated_at = now
        row.save(update_fields=["escalated_at", "updated_at"])
        _tell(row, admins)
    return len(rows)


def admins_asked() -> set[int]:
    """The people who are asked where nobody else answers."""
    return set(
        User.objects.filter(groups__name="admin", is_active=True).values_list("pk", flat=True)
    )


def too_old() -> datetime:
    """What was asked for before this moment has waited for long."""
    return clock.now() - timedelta(days=settings.REQUEST_DAYS)


def _tell(row: AccessRequest, admins: set[int]) -> None:
    ref = ResourceRef(row.resource_kind, row.resource_key)
    days = settings.REQUEST_DAYS
    tell(
        admins - {row.requester_id},
        News(
            NoticeKind.REQUEST_WAITING, ref, f"Nobody answers {row.requester.email}",
            f"Asked {row.what} more than {days} days ago, for: {row.purpose}",
            "/access/", f"escalated:{row.pk}",
        ),
        by=SYSTEM,
    )  # fmt: skip
    tell(
        [row.requester_id],
        News(
            NoticeKind.REQUEST_DECIDED, ref, f"Your request {row.what} went to the admins",
            f"Its owners have not answered in {days} days.", "/access/", f"escalated:{row.pk}",
        ),
        by=SYSTEM,
    )  # fmt: skip
    audit.record(
        SYSTEM, "access.escalated", ref,
        summary=f"the request of {row.requester.email} went to the admins",
    )  # fmt: skip


@transaction.atomic
def escalate_erasures() -> int:
    """Ask the admins once more about each erasure that nobody decided on for `PORTAL_REQUEST_DAYS`, and
    tell who asked; gives how many there were. Again changes nothing; another admin decides."""
    waiting = (
        Erasure.objects.select_for_update(skip_locked=True)
        .defer("sealed")
        .filter(state=ErasureState.WAITING, escalated_at=None, created_at__lte=too_old())
        .order_by("created_at")[:_BATCH]
    )
    rows = list(waiting)
    Erasure.objects.filter(pk__in=[row.pk for row in rows]).update(escalated_at=clock.now())
    admins = admins_asked() if rows else set()
    days = settings.REQUEST_DAYS
    for row in rows:
        url, once = f"/privacy/erasures/{row.pk}/", f"erasure:{row.pk}:escalated"
        about = row.about
        tell(
            admins - {row.requested_by_user},
            News(
                NoticeKind.ERASURE, about, f"Nobody decides on an erasure {row.requested_by} asked for",
                f"It has waited for more than {days} days, and needs another admin.", url, once,
            ),
            by=SYSTEM,
        )  # fmt: skip
        tell(
            [row.requested_by_user],
            News(
                NoticeKind.ERASURE, about, "The admins were asked again about your erasure",
                f"Nobody has decided on it in {days} days.", url, once,
            ),
            by=SYSTEM,
        )  # fmt: skip
    for row in rows:
        audit.record(
            SYSTEM,
            "erasure.escalated",
            row.about,
            summary="asked the admins again about an erasure",
        )
    return len(rows)
