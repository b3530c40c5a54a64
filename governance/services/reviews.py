"""Reviews come due, are answered by owners, and go to the admins where nobody answers.

1. Every quarter of an hour (`keep_reviews`) each thing that is due within `LEAD` has an open review;
   what is not due any more (retired, another tier) has none, and what is due on another day says so.
   Each is one statement over all things, or batches of some hundred; again changes nothing.
2. Who may approve on a thing answers each of the six points. What the portal knew is kept with it.
3. Open for `PATIENCE` after it was due, admins are told as well, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, OuterRef, Subquery

from governance import access, audit
from governance.errors import PeopleOnlyError
from governance.models import Review, User
from governance.reviewed import Reviewed, Stand, kind_of, kinds
from governance.selectors.reviews import OPEN, get_review
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission, ReviewOutcome, ReviewPoint, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

LEAD: Final = timedelta(days=14)
PATIENCE: Final = timedelta(days=14)
MAX_NOTE: Final = 1_000
_SHORTEST: Final = 10
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says of one point. A change needs a note on what it is."""

    outcome: ReviewOutcome
    note: str = ""


def keep_reviews() -> int:
    """Open, move and drop reviews as their things ask, and tell admins of those nobody answers;
    gives how many were opened."""
    opened = 0
    for kind in kinds():
        _follow(kind)
        while made := _open_some(kind):
            opened += made
    while _escalate_some():
        pass
    return opened


@transaction.atomic
def _follow(kind: Reviewed) -> None:
    """Drop open reviews of what is not due any more, and move those that are due on another day."""
    due = kind.due(clock.now() + LEAD).order_by()
    rows = Review.objects.filter(OPEN, resource_kind=kind.kind)
    rows.exclude(resource_key__in=due.values(kind.key)).delete()
    now_due = due.filter(**{kind.key: OuterRef("resource_key")}).values("review_due_at")[:1]
    moved = rows.annotate(now_due=Subquery(now_due)).exclude(now_due=F("due_at"))
    moved.filter(now_due__isnull=False).update(due_at=Subquery(now_due))


@transaction.atomic
def _open_some(kind: Reviewed) -> int:
    waiting = Review.objects.filter(OPEN, resource_kind=kind.kind).values("resource_key")
    due = kind.due(clock.now() + LEAD).exclude(**{f"{kind.key}__in": waiting})
    things = {getattr(one, kind.key): one for one in due.order_by("review_due_at", "pk")[:_BATCH]}
    Review.objects.bulk_create(
        [
            Review(resource_kind=kind.kind, resource_key=key, due_at=thing.review_due_at)
            for key, thing in things.items()
        ],
        ignore_conflicts=True,  # another worker was faster
    )
    asked = access.held_by(Permission.APPROVE, list(things.values()))
    open_now = Review.objects.filter(OPEN, resource_kind=kind.kind, resource_key__in=things)
    for row in open_now:
        _ask(row, asked[things[row.resource_key].pk])
    return len(things)


def _ask(row: Review, people: set[int]) -> None:
    """Tell who answers for a thing, once for each turn; where nobody does, the admins."""
    tell(
        people or _admins(),
        News(
            NoticeKind.REVIEW_DUE, row.about, f"{row.resource_key} is to be reviewed",
            f"Confirm by {row.due_at:%d %B %Y} what is said of it: owner, description, "
            "classification, consumers, retention, access.",
            page_of(row), f"review:{row.pk}",
        ),
        by=SYSTEM,
    )  # fmt: skip


@transaction.atomic
def _escalate_some() -> int:
    now = clock.now()
    late = (
        Review.objects.select_for_update(skip_locked=True)
        .filter(OPEN, escalated_at=None, due_at__lte=now - PATIENCE)
        .order_by("due_at")[:_BATCH]
    )
    rows = list(late)
    admins = _admins() if rows else set()
    Review.objects.filter(pk__in=[row.pk for row in rows]).update(escalated_at=now)
    for row in rows:
        tell(
            admins,
            News(
                NoticeKind.REVIEW_DUE, row.about, f"Nobody reviews {row.resource_key}",
                f"Its review is overdue since {row.due_at:%d %B %Y}; its owners were asked.",
                page_of(row), f"review-late:{row.pk}",
            ),
            by=SYSTEM,
        )  # fmt: skip
        audit.record(
            SYSTEM, "review.escalated", row.about,
            summary=f"the review of {row.resource_key} went to the admins",
        )  # fmt: skip
    return len(rows)


@transaction.atomic
def complete_review(
    review_id: UUID, *, actor: Actor, answers: Mapping[ReviewPoint, Answer]
) -> Review:
    """Answer each point of an open review: who may approve on the thing, never a program.

    Raises NotFoundError for a thing that may not be known of, InvalidError for a point without an
    answer or a change without a note (at `/points/<point>`), InvalidStateError when it is complete.
    """
    row = get_review(actor, review_id)
    if not actor.is_person:
        raise PeopleOnlyError("review.complete")
    thing: Any = access.find_resource(row.about)
    access.require(actor, Permission.APPROVE, thing)
    if not row.is_open:
        raise InvalidStateError("It was completed already.")
    _check(answers)
    now = clock.now()
    stands = kind_of(row.about).stands(thing)
    said = [
        {"point": str(point), "outcome": str(answers[point].outcome),
         "note": answers[point].note.strip()}
        for point in ReviewPoint
    ]  # fmt: skip
    moved = Review.objects.filter(OPEN, pk=row.pk).update(
        completed_at=now,
        completed_by_id=actor.id,
        completed_label=actor.label,
        points=said,
        snapshot={str(point): _kept(stands[point]) for point in ReviewPoint},
    )
    if moved != 1:
        raise InvalidStateError("It was completed already.")
    kind_of(row.about).mark(thing, now)
    row.refresh_from_db()
    changed = [one["point"] for one in said if one["outcome"] == ReviewOutcome.CHANGED]
    audit.record(
        actor,
        "review.completed",
        row.about,
        summary=f"reviewed {row.resource_key}: "
        + (f"changed {', '.join(changed)}" if changed else "all is as it was"),
        after={"review": str(row.pk), "changed": changed},
    )
    return row


def page_of(row: Review) -> str:
    """Where a review is answered."""
    return f"/reviews/{row.pk}/"


def _kept(stand: Stand) -> dict[str, object]:
    return {"says": stand.says, "lines": list(stand.lines)}


def _check(answers: Mapping[ReviewPoint, Answer]) -> None:
    faults = []
    for point in ReviewPoint:
        place, answer = f"/points/{point}", answers.get(point)
        if answer is None:
            faults.append(FieldError(place, "required", "confirm it, or say what was changed"))
        elif len(answer.note) > MAX_NOTE:
            faults.append(FieldError(place, "too_long", "a note has 1,000 characters at most"))
        elif answer.outcome == ReviewOutcome.CHANGED and len(answer.note.strip()) < _SHORTEST:
            detail = "say what was changed, in ten characters or more"
            faults.append(FieldError(place, "too_short", detail))
    if faults:
        raise InvalidError("A review answers each of the six points.", errors=faults)


def _admins() -> set[int]:
    admins = User.objects.filter(groups__name=Role.ADMIN, is_active=True)
    return set(admins.values_list("pk", flat=True))
