"""The words that the house rules know: verbs, abbreviations, units, reserved names. Data only."""

from typing import Final

# Past tenses that do not end in "ed", and a few words for things that just happened.
PAST: Final = frozenset(
    {
        "awoken", "beaten", "became", "begun", "bent", "bet", "bid", "bitten", "bled", "blown",
        "bought", "bound", "bred", "broken", "brought", "built", "burnt", "burst", "caught", "chosen",
        "come", "cut", "dealt", "done", "drawn", "driven", "drunk", "dug", "eaten", "expired",
        "failed", "fallen", "fed", "felt", "fit", "flown", "forgiven", "forgotten", "fought", "found",
        "frozen", "given", "gone", "grown", "had", "heard", "held", "hidden", "hit", "hung", "hurt",
        "kept", "known", "laid", "led", "left", "lent", "lit", "lost", "made", "meant", "met", "paid",
        "put", "quit", "ran", "read", "reset", "rewritten", "ridden", "risen", "rung", "run", "said",
        "seen", "sent", "set", "sewn", "shaken", "shipped", "shot", "shown", "shrunk", "shut",
        "slept", "sold", "sought", "spent", "split", "spoken", "spread", "stolen", "stuck", "struck",
        "sung", "sunk", "sworn", "swept", "swum", "taken", "taught", "thought", "thrown", "told",
        "torn", "undone", "understood", "unset", "upset", "woken", "won", "worn", "written",
    }
)  # fmt: skip
# A present tense that people write in its place, and what the house says.
PRESENT: Final = {
    "accept": "accepted", "add": "added", "apply": "applied", "approve": "approved",
    "archive": "archived", "assign": "assigned", "begin": "begun", "buy": "bought",
    "cancel": "cancelled", "change": "changed", "click": "clicked", "close": "closed",
    "complete": "completed", "confirm": "confirmed", "create": "created", "delete": "deleted",
    "deliver": "delivered", "download": "downloaded", "end": "ended", "enter": "entered",
    "expire": "expired", "fail": "failed", "finish": "finished", "install": "installed",
    "invite": "invited", "leave": "left", "load": "loaded", "login": "logged_in",
    "logout": "logged_out", "open": "opened", "pause": "paused", "pay": "paid", "place": "placed",
    "play": "played", "purchase": "purchased", "receive": "received", "refund": "refunded",
    "register": "registered", "reject": "rejected", "remove": "removed", "rename": "renamed",
    "request": "requested", "save": "saved", "scroll": "scrolled", "search": "searched",
    "select": "selected", "send": "sent", "share": "shared", "ship": "shipped",
    "signin": "signed_in", "signup": "signed_up", "start": "started", "stop": "stopped",
    "submit": "submitted", "subscribe": "subscribed", "tap": "tapped", "update": "updated",
    "upgrade": "upgraded", "upload": "uploaded", "view": "viewed", "visit": "visited",
    "watch": "watched",
}  # fmt: skip
# Words of an event that is a measurement or state, not an act: they need no past tense.
STATES: Final = frozenset(
    {"heartbeat", "metric", "metrics", "ping", "sample", "snapshot", "status"}
)
ABBREVIATIONS: Final = {
    "acct": "account", "addr": "address", "amt": "amount", "cat": "category", "cfg": "config",
    "cnt": "count", "curr": "currency", "cust": "customer", "desc": "description",
    "dest": "destination", "dst": "destination", "dt": "date", "err": "error", "evt": "event",
    "grp": "group", "img": "image", "inv": "invoice", "loc": "location", "msg": "message",
    "nbr": "number", "num": "number", "ord": "order", "prev": "previous", "prod": "product",
    "pwd": "password", "qty": "quantity", "req": "request", "resp": "response", "src": "source",
    "tel": "phone", "tmp": "temporary", "trx": "transaction", "txn": "transaction", "usr": "user",
    "val": "value",
}  # fmt: skip
# Attributes of the envelope: the same words in the data say it twice, or say something else.
RESERVED: Final = frozenset(
    {
        "id", "source", "specversion", "type", "time", "subject", "dataschema", "datacontenttype",
        "traceparent", "tracestate", "partitionkey",
    }
)  # fmt: skip
BOOLEAN_PREFIXES: Final = frozenset(
    {"is", "has", "had", "was", "were", "can", "may", "should", "did", "does", "do", "will", "are"}
)
MONEY: Final = frozenset(
    {"price", "amount", "total", "cost", "fee", "revenue", "tax", "discount", "subtotal", "balance"}
)
# The last word of a number's name says its unit …
UNITS: Final = {
    "ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "millis": "milliseconds",
    "sec": "seconds", "secs": "seconds", "seconds": "seconds", "mins": "minutes",
    "minutes": "minutes", "hours": "hours", "days": "days", "weeks": "weeks", "bytes": "bytes",
    "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "percent": "percent",
    "pct": "percent", "ratio": "share from 0 to 1", "minor": "minor units", "cents": "minor units",
    "mm": "millimetres", "cm": "centimetres", "meters": "metres", "metres": "metres",
    "km": "kilometres", "grams": "grams", "kg": "kilograms", "celsius": "degrees Celsius",
    "px": "pixels", "hz": "hertz", "kwh": "kilowatt hours", "mbps": "megabits per second",
}  # fmt: skip
# … and these ask for one.
ASK_FOR_UNITS: Final = {
    "duration": ("milliseconds", "seconds", "minutes"),
    "latency": ("milliseconds", "seconds"),
    "delay": ("milliseconds", "seconds"),
    "elapsed": ("milliseconds", "seconds"),
    "timeout": ("milliseconds", "seconds"),
    "age": ("years", "days", "seconds"),
    "size": ("bytes", "pieces", "pixels"),
    "weight": ("grams", "kilograms"),
    "mass": ("grams", "kilograms"),
    "length": ("millimetres", "metres", "characters"),
    "width": ("pixels", "millimetres", "metres"),
    "height": ("pixels", "millimetres", "metres"),
    "depth": ("millimetres", "metres"),
    "distance": ("metres", "kilometres"),
    "speed": ("kilometres per hour", "metres per second"),
    "temperature": ("degrees Celsius",),
    "bitrate": ("kilobits per second", "megabits per second"),
    "bandwidth": ("kilobits per second", "megabits per second"),
    "energy": ("kilowatt hours",),
    "power": ("watts", "kilowatts"),
    "volume": ("millilitres", "litres"),
}
CATCH_ALL: Final = frozenset(
    {
        "other",
        "others",
        "unknown",
        "none",
        "unspecified",
        "undefined",
        "na",
        "n_a",
        "misc",
        "default",
    }
)
