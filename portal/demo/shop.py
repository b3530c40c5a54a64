"""The demo shop as data: its teams, people, streams, producers and consumers.

Names and story follow the design: `checkout.order_placed` at version 7, `playback.heartbeat` that a
bad release of the Android app breaks, a payment provider's outage a week ago.
"""

from dataclasses import dataclass
from typing import Final

from portal.demo.fields import (
    COUNTRIES,
    CURRENCIES,
    DEVICES,
    ITEMS,
    REASONS,
    Field,
    choice,
    email,
    flag,
    identifier,
    money,
    personal,
    phrase,
    postcode,
    text,
    whole,
)

TEAMS: Final = {
    "checkout": ("Checkout", "Cart to confirmed order."),
    "payments": ("Payments", "Taking and returning money."),
    "playback": ("Playback", "Video on every screen."),
    "discovery": ("Discovery", "Search, recommendations and the catalog of things."),
    "identity": ("Identity", "Accounts, consent and growth."),
}
PEOPLE: Final = {
    "mara@shop.example": ("Mara Lind", "checkout", True),
    "dev@shop.example": ("Dev Patel", "checkout", False),
    "lin@shop.example": ("Lin Chen", "identity", True),
    "rui@shop.example": ("Rui Costa", "discovery", True),
    "ana@shop.example": ("Ana Silva", "payments", True),
    "joris@shop.example": ("Joris Bakker", "playback", True),
    "maya@shop.example": ("Maya Aalto", "checkout", False),
    "elias@shop.example": ("Elias Brandt", "checkout", False),
    "noor@shop.example": ("Noor Haddad", "playback", False),
    "ivo@shop.example": ("Ivo Petrov", "discovery", False),
}
ENGINEER_TEAMS: Final = ("payments", "playback", "discovery", "identity")
PRODUCERS: Final = {
    "web-shop": ("The web shop", "checkout"),
    "ios-app": ("The iOS app", "playback"),
    "android-app": ("The Android app", "playback"),
    "payment-gateway": ("The payment gateway", "payments"),
    "back-office": ("The back office", "identity"),
}


@dataclass(frozen=True, slots=True)
class ShopStream:
    """One stream: `per_day` events on an ordinary day, `age_days` since its registration."""

    name: str
    team: str
    description: str
    fields: tuple[Field, ...]
    per_day: int
    tier: str = "T2"
    versions: int = 1
    age_days: int = 360
    producer: str = "web-shop"
    production: bool = True
    tags: tuple[str, ...] = ()


_ORDER = identifier("order_id", "The number a customer can read out.", "TT-")
_CURRENCY = choice("currency", "ISO 4217.", CURRENCIES)
_DEVICE = choice("device", "Where it happened.", DEVICES)
_SESSION = identifier("session_id", "One sitting of one viewer.", "ses_")
_TITLE = identifier("title_id", "What was watched.", "ttl_", 800)
_SKU = identifier("sku", "The article.", "SKU-", 300)

STREAMS: Final[tuple[ShopStream, ...]] = (
    ShopStream(
        "checkout.order_placed", "checkout",
        "A customer paid and we accepted the order. One event per order, never per item.",
        (_ORDER, money("total_minor", "What the customer paid, tax included. 4990 is 49.90."),
         _CURRENCY, ITEMS,
         text("coupon_code", "Present on about one order in ten.", lambda rng: "AUTUMN10",
              since=2, share=0.1),
         choice("shipping_country", "ISO 3166. Missing for digital orders.", COUNTRIES,
                since=3, share=0.62),
         personal("shipping_zip", "Where it goes.", postcode, "truncate", since=4, share=0.62),
         choice("payment_method", "How it was paid.", ("card", "invoice", "wallet"), since=5,
                share=0.99),
         flag("is_gift", "Somebody else receives it.", 0.08, since=6, share=0.99),
         flag("one_tap", "Placed by one-tap checkout.", 0.3, since=7, share=0.98)),
        1300, "T1", versions=7, tags=("revenue",)),
    ShopStream(
        "checkout.cart_updated", "checkout", "A cart gained or lost an item, or changed a quantity.",
        (_SKU, whole("quantity", "Items of the article now in the cart.", 0, 4), _DEVICE),
        2100, "T1", versions=3),
    ShopStream(
        "checkout.coupon_applied", "checkout", "A coupon was accepted in the cart.",
        (text("coupon_code", "The coupon.", lambda rng: rng.choice(("AUTUMN10", "WELCOME5"))),
         money("discount_minor", "What it took off.", 500)), 60, versions=2),
    ShopStream(
        "checkout.order_cancelled", "checkout",
        "An accepted order was cancelled by the customer, by support or by fraud screening.",
        (_ORDER, choice("cancelled_by", "Who ended it.", ("customer", "support", "fraud")),
         whole("order_age_days", "Days since it was placed.", 0, 14)), 30, "T1", versions=2),
    ShopStream(
        "payments.payment_authorised", "payments",
        "The provider authorised a payment for an order attempt.",
        (_ORDER, money("amount_minor", "What was authorised."), _CURRENCY,
         choice("provider", "Who authorised it.", ("northpay", "eurocard")),
         personal("iban_last4", "The last four characters of the account.",
                  lambda rng: f"{rng.randrange(10_000):04d}", "tokenize", share=0.3)),
        1350, "T1", versions=4, producer="payment-gateway", tags=("revenue",)),
    ShopStream(
        "payments.payment_failed", "payments", "A payment attempt did not go through.",
        (_ORDER, choice("reason", "Why the provider refused.", REASONS),
         choice("provider", "Who refused it.", ("northpay", "eurocard"))),
        90, "T1", versions=2, producer="payment-gateway"),
    ShopStream(
        "payments.refund_issued", "payments", "Money went back to a customer.",
        (_ORDER, money("amount_minor", "What went back.", 2500), _CURRENCY), 22, "T1",
        producer="payment-gateway", tags=("revenue",)),
    ShopStream(
        "payments.payout_sent", "payments", "A seller was paid.",
        (identifier("seller_id", "Who was paid.", "sel_", 90), money("amount_minor", "How much.", 90_000)),
        12, producer="payment-gateway"),
    ShopStream(
        "playback.session_started", "playback", "A viewer started watching.",
        (_SESSION, _TITLE, _DEVICE), 900, "T1", versions=3, producer="ios-app"),
    ShopStream(
        "playback.heartbeat", "playback",
        "A player says that it still plays, about every five minutes.",
        (_SESSION, whole("position_ms", "How far into the title.", 0, 7_200_000,
                         **{"x-unit": "milliseconds"}),
         choice("quality", "What is drawn.", ("sd", "hd", "uhd")), _DEVICE),
        3900, "T1", versions=3, producer="android-app"),
    ShopStream(
        "playback.stalled", "playback", "Playback waited for data for more than a second.",
        (_SESSION, whole("stall_ms", "How long.", 1000, 30_000, **{"x-unit": "milliseconds"}),
         choice("network_kind", "What it came over.", ("wifi", "cellular", "wired"), since=3,
                share=0.97)),
        160, versions=3, producer="android-app"),
    ShopStream(
        "playback.video_completed", "playback", "A viewer saw at least nine tenths of a title.",
        (_SESSION, _TITLE), 480, producer="ios-app", versions=2),
    ShopStream(
        "playback.subtitle_changed", "playback", "Subtitle language or style was switched.",
        (_SESSION, choice("language", "BCP 47.", ("fi", "sv", "en", "de"))), 35, "T3",
        age_days=5, producer="ios-app"),
    ShopStream(
        "search.query_submitted", "discovery", "Somebody searched.",
        (identifier("query_id", "One search.", "q_"),
         personal("query_text", "What was typed, free text.", phrase, "drop"),
         whole("result_count", "How many were found.", 0, 240), _DEVICE),
        2000, "T1", versions=5),
    ShopStream(
        "search.result_clicked", "discovery", "A search result was opened.",
        (identifier("query_id", "Which search.", "q_"), _SKU,
         whole("rank", "Its place in the list, from 1.", 1, 40)), 1100, "T1", versions=2),
    ShopStream(
        "search.zero_results", "discovery", "A search found nothing.",
        (identifier("query_id", "Which search.", "q_"),), 90, versions=1),
    ShopStream(
        "search.query_v1", "discovery", "The search event of the old site.",
        (identifier("query_id", "Which search.", "q_"),), 15, "T3", age_days=365),
    ShopStream(
        "identity.signup_completed", "identity", "A new account was confirmed.",
        (personal("email", "Where the account's mail goes.", email, "tokenize", format="email"),
         choice("country", "ISO 3166.", COUNTRIES),
         choice("channel", "How they found us.", ("organic", "referral", "campaign"))),
        70, "T1", versions=4, producer="back-office"),
    ShopStream(
        "identity.login_succeeded", "identity", "Somebody signed in.", (_DEVICE,), 800, "T1",
        producer="back-office"),
    ShopStream(
        "identity.login_failed", "identity", "A sign-in was refused.",
        (choice("reason", "Why.", ("password", "locked", "unknown_account")),
         personal("ip", "From where.", lambda rng: f"192.0.2.{rng.randrange(256)}", "truncate",
                  format="ipv4")), 90, producer="back-office", versions=2),
    ShopStream(
        "identity.consent_changed", "identity", "Somebody changed what we may do with their data.",
        (choice("purpose", "For what.", ("analytics", "marketing", "personalisation")),
         flag("granted", "Whether they allow it.", 0.6)), 45, "T1", producer="back-office"),
    ShopStream(
        "catalog.price_changed", "discovery", "The price of an article changed.",
        (_SKU, money("price_minor", "The new price."), _CURRENCY), 120, "T1",
        producer="back-office", versions=2),
    ShopStream(
        "catalog.item_viewed", "discovery", "An article's page was opened.", (_SKU, _DEVICE), 1500,
        versions=2),
    ShopStream(
        "catalog.title_rated", "discovery", "A viewer rated a title.",
        (_TITLE, whole("stars", "From 1 to 5.", 1, 5)), 55, "T3", age_days=6),
    ShopStream(
        "recs.impression_shown", "discovery", "A recommendation was drawn on a screen.",
        (_SKU, choice("row", "Where on the page.", ("home", "detail", "cart"))), 900, versions=2),
    ShopStream(
        "recs.item_clicked", "discovery", "A recommendation was opened.",
        (_SKU, choice("row", "Where on the page.", ("home", "detail", "cart"))), 110),
    ShopStream(
        "growth.referral_sent", "identity", "An invite link was shared.",
        (choice("channel", "Over what.", ("mail", "chat", "link")),), 18, "T3", age_days=4,
        production=False),
    ShopStream(
        "growth.campaign_opened", "identity", "A campaign mail was opened.",
        (identifier("campaign_id", "Which campaign.", "cmp_", 30),), 160),
    ShopStream(
        "growth.newsletter_subscribed", "identity", "Somebody asked for the newsletter.",
        (personal("email", "Where it goes.", email, "encrypt", format="email"),), 14, "T3",
        production=False, age_days=60),
    ShopStream(
        "experiments.exposure_recorded", "checkout",
        "A customer met a variant of an experiment: the moment it could matter.",
        (choice("experiment", "Which experiment.", ("one_tap_checkout",)),
         choice("variant", "What they met.", ("control", "one_tap"))), 0, "T1"),
    ShopStream(
        "support.ticket_opened", "identity", "A customer asked for help.",
        (choice("topic", "About what.", ("order", "payment", "playback", "account")),), 48,
        producer="back-office"),
)  # fmt: skip

Consumption = tuple[str, str, str, str, dict[str, tuple[str, ...]]]
CONSUMERS: Final[tuple[Consumption, ...]] = (
    ("fulfilment", "Fulfilment", "service", "checkout",
     {"checkout.order_placed": ("order_id", "items", "shipping_zip"), "checkout.order_cancelled": ("order_id",)}),
    ("finance-ledger", "Finance ledger", "warehouse", "payments",
     {"checkout.order_placed": ("order_id", "total_minor", "currency"),
      "payments.payment_authorised": ("order_id", "amount_minor"), "payments.refund_issued": ("order_id", "amount_minor")}),
    ("recommendations", "Recommendations", "model", "discovery",
     {"checkout.order_placed": ("items",), "catalog.item_viewed": ("sku",), "recs.item_clicked": ("sku", "row")}),
    ("marketing-attribution", "Marketing attribution", "service", "identity",
     {"checkout.order_placed": ("coupon_code", "shipping_zip"), "identity.signup_completed": ("channel",)}),
    ("revenue-by-hour", "Revenue by hour", "dashboard", "checkout",
     {"checkout.order_placed": ("total_minor", "currency")}),
    ("search-funnel", "Search funnel", "dashboard", "discovery",
     {"search.query_v1": ("query_id",), "search.query_submitted": ("query_id", "result_count"), "search.result_clicked": ("query_id", "rank")}),
    ("playback-quality", "Playback quality", "dashboard", "playback",
     {"playback.heartbeat": ("position_ms", "quality"), "playback.stalled": ("stall_ms",)}),
    ("fraud-screening", "Fraud screening", "model", "payments",
     {"payments.payment_failed": ("reason",), "identity.login_failed": ("reason",), "checkout.order_placed": ("total_minor", "payment_method")}),
    ("customer-360", "Customer 360", "warehouse", "identity",
     {"identity.signup_completed": ("country", "channel"), "support.ticket_opened": ("topic",)}),
)  # fmt: skip
