"""The shop's words, who follows what, and notices as a team has them that reads its own."""

from datetime import datetime, timedelta
from typing import Final

from django.db.models import F

from catalog.models import Stream, Term
from catalog.services.glossary import Use, create_term
from catalog.services.streams import follow
from governance.models import Notice, Team, User
from governance.selectors.people import actor_of
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

READ_BEFORE: Final = timedelta(days=2)
READ_AFTER: Final = timedelta(hours=3)
# slug: name, definition, team, also called, uses as `stream`, `stream#path` or `#name`.
TERMS: Final[dict[str, tuple[str, str, str, tuple[str, ...], tuple[str, ...]]]] = {
    "order-value": (
        "Order value",
        ("What a customer pays for one order: after discounts, with tax, in minor units of its "
        "currency. Shipping is part of it, refunds are not taken off."),
        "checkout", ("basket value", "order total"),
        ("checkout.order_placed#total_minor",),
    ),
    "order": (
        "Order",
        "A basket that a customer confirmed. It exists from the confirmation on, paid or not.",
        "checkout", ("purchase",),
        ("checkout.order_placed", "checkout.order_cancelled", "#order_id"),
    ),
    "article": (
        "Article",
        ("One thing that can be bought, as the shop numbers it. Sizes and colours are articles of "
        "their own."),
        "discovery", ("SKU", "product", "item"), ("#sku",),
    ),
    "rebuffering": (
        "Rebuffering",
        ("Playback waits because data is missing after it had begun; the wait before the first "
        "picture does not count."),
        "playback", ("stall",), ("playback.stalled", "playback.stalled#stall_ms"),
    ),
    "channel": (
        "Channel",
        "Where a customer came from when they signed up, by the last click before it.",
        "identity", ("acquisition channel", "source"), ("identity.signup_completed#channel",),
    ),
}  # fmt: skip
FOLLOWS: Final[dict[str, tuple[str, ...]]] = {
    "ada@shop.example": ("checkout.order_placed", "playback.heartbeat", "search.query_v1"),
    "elias@shop.example": ("checkout.order_placed", "identity.signup_completed"),
    "ivo@shop.example": ("checkout.order_placed", "payments.payment_failed"),
    "noor@shop.example": ("playback.heartbeat", "payments.payment_failed"),
}


def build_glossary(now: datetime) -> None:
    """Make the terms that are not there yet, half a year ago."""
    with clock.at(now - timedelta(days=180)):
        for slug, (name, definition, team, synonyms, uses) in TERMS.items():
            if not Term.objects.filter(slug=slug).exists():
                create_term(
                    slug,
                    actor=SYSTEM,
                    name=name,
                    definition=definition,
                    owner_team=Team.objects.get(slug=team),
                    synonyms=synonyms,
                    uses=[_use(text) for text in uses],
                )


def _use(text: str) -> Use:
    name, _, field = text.partition("#")
    return (Stream.objects.get(name=name) if name else None), field


def build_follows() -> None:
    """Have people follow the streams of FOLLOWS; again changes nothing."""
    for email, names in FOLLOWS.items():
        user = User.objects.filter(email=email).first()
        for name in names if user is not None else ():
            assert user is not None
            follow(Stream.objects.get(name=name), actor=actor_of(user))


def read_old_notices(now: datetime) -> None:
    """Nobody leaves a year of notices unread: what is older than two days was read in hours."""
    Notice.objects.filter(read_at=None, created_at__lt=now - READ_BEFORE).update(
        read_at=F("created_at") + READ_AFTER
    )
