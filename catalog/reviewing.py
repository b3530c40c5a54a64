"""How often a stream is reviewed: the more it hurts when it is wrong and the more personal it is, the
sooner. The clock starts when it is registered and again with each completed review."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import (
    Case,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    Q,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from catalog.classified import PERSONAL
from catalog.types import Tier

# Days between two reviews of a stream without and with personal data, by tier.
TERMS: Final[Mapping[str, tuple[int, int]]] = {
    Tier.T1: (90, 60),
    Tier.T2: (180, 90),
    Tier.T3: (365, 180),
}
_IS_PERSONAL: Final = Q(classification__in=PERSONAL) | Q(subject_classification__in=PERSONAL)


def term_of(tier: str, *, is_personal: bool) -> timedelta:
    """How long a review holds."""
    return timedelta(days=TERMS[tier][is_personal])


def due_at(since: datetime, tier: str, *, is_personal: bool) -> datetime:
    """When the next review is due, of a stream last reviewed or registered at a moment."""
    return since + term_of(tier, is_personal=is_personal)


def due_expression() -> Combinable:
    """`due_at` of a row of streams, for the database to compute."""
    terms = [
        When(condition, then=Value(timedelta(days=TERMS[tier][is_personal])))
        for tier in TERMS
        for condition, is_personal in ((Q(_IS_PERSONAL, tier=tier), True), (Q(tier=tier), False))
    ]
    since = Coalesce(F("reviewed_at"), F("created_at"))
    return ExpressionWrapper(
        since + Case(*terms, output_field=DurationField()), output_field=DateTimeField()
    )
