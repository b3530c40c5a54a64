"""The home page of one person: a verdict of the day, four figures, and panels in their role's order.

Every panel is gathered in a bounded number of queries; one that has nothing to say is left out,
unless its silence is news (nothing waits, no stream followed).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from catalog.selectors.streams import visible_streams
from governance.types import Role
from ingest.selectors import health
from portal import home_needs, home_panels
from portal.abilities import may_register
from portal.home_needs import Item, Items
from portal.http import words
from portal.kernel import soft_cache
from portal.kernel.actor import Actor
from quality.selectors.trust import trust_of

_TRUST_SECONDS: Final = 60
_TRUST_STREAMS: Final = 500

# What a role comes for stands first; the second line is the column beside it.
LAYOUTS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    Role.ON_CALL: (("needs", "letters", "streams", "changes"), ("sources", "recovered")),
    Role.ADMIN: (("needs", "streams", "changes"), ("ledger", "ending", "newest")),
    Role.ANALYST: (
        ("experiments", "needs", "streams", "changes"),
        ("access", "attention", "newest"),
    ),
    Role.ENGINEER: (
        ("build", "needs", "streams", "letters", "changes"),
        ("attention", "experiments", "newest"),
    ),
    Role.PRODUCT_MANAGER: (
        ("find", "needs", "streams", "changes"),
        ("attention", "experiments", "newest"),
    ),
}
_NO_ROLE: Final = LAYOUTS[Role.PRODUCT_MANAGER]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its template is `portal/home/<name>.html`."""

    name: str
    data: Any

    @property
    def template(self) -> str:
        return f"portal/home/{self.name}.html"


@dataclass(frozen=True, slots=True)
class TrustCount:
    """How many streams carry each word, of the first 500 by name."""

    words: dict[str, int]
    total: int
    is_part: bool = False  # there are more streams than were judged

    @property
    def trusted(self) -> int:
        return self.words.get("Trusted", 0)

    @property
    def rest(self) -> str:
        """What is not trusted: `2 failing, 1 needs care`; `all of them` where nothing is."""
        parts = []
        for word, one, many in (
            ("Not ready", "failing", "failing"),
            ("Use with care", "needs care", "need care"),
            ("Unproven", "unproven", "unproven"),
        ):
            if count := self.words.get(word):
                parts.append(f"{words.number(count)} {one if count == 1 else many}")
        return ", ".join(parts) or "all of them"


@dataclass(frozen=True, slots=True)
class HomePage:
    """`day` and `hour` are of all streams; `goal` is the share that should be accepted."""

    headline: str
    main: Sequence[Panel]
    side: Sequence[Panel]
    day: health.Day
    hour: health.Totals
    goal: float
    trust: TrustCount
    may_register: bool

    @property
    def offers_to_register(self) -> bool:
        """Whether the head has the button: not where the panel of builders has it already."""
        return self.may_register and all(panel.name != "build" for panel in self.main)


def home_page(actor: Actor) -> HomePage:
    """The home page of one person."""
    items = home_needs.waiting_items(actor)
    main, side = layout_of(actor)
    return HomePage(
        headline=headline(items.all),
        main=_panels(actor, main, items),
        side=_panels(actor, side, items),
        day=health.last_day(),
        hour=health.totals(timedelta(hours=1)),
        goal=health.GOAL,
        trust=trust_count(actor),
        may_register=may_register(actor),
    )


def layout_of(actor: Actor) -> tuple[Sequence[str], Sequence[str]]:
    """The panels of a person's roles, each once; with several roles the most urgent first."""
    layouts = [layout for role, layout in LAYOUTS.items() if actor.has_role(role)] or [_NO_ROLE]
    main = list(dict.fromkeys(name for layout in layouts for name in layout[0]))
    side = list(dict.fromkeys(name for layout in layouts for name in layout[1]))
    return main, [name for name in side if name not in main]


def _panels(actor: Actor, names: Sequence[str], items: Items) -> list[Panel]:
    found = []
    for name in names:
        data = items if name == "needs" else LOADERS[name](actor)
        if data:
            found.append(Panel(name, data))
    return found


LOADERS: Final[Mapping[str, Callable[[Actor], Any]]] = {
    "find": home_panels.signals_by_domain,
    "build": home_panels.what_i_build,
    "experiments": home_panels.experiments,
    "letters": home_panels.refused,
    "streams": home_panels.my_streams,
    "changes": home_panels.changes,
    "attention": home_panels.gaining_attention,
    "newest": home_panels.new_signals,
    "sources": home_panels.sources,
    "recovered": home_panels.recovered,
    "ledger": home_panels.ledger,
    "ending": home_panels.ending_grants,
    "access": home_panels.my_access,
}


def is_empty(actor: Actor) -> bool:
    """Whether nothing is registered that the person may know of: the page of a first run."""
    return not visible_streams(actor).exists()


def trust_count(actor: Actor) -> TrustCount:
    """How many streams can be trusted, of those the person may know of; kept for a minute."""
    key = f"trust_count:{actor.kind}:{actor.id}"
    found: TrustCount | None = soft_cache.get(key)
    if found is None:
        rows = visible_streams(actor).exclude(lifecycle="retired").order_by("name")
        streams = list(rows[: _TRUST_STREAMS + 1])
        judged = streams[:_TRUST_STREAMS]
        counted = Counter(trust.word for trust in trust_of(judged).values())
        found = TrustCount(dict(counted), len(judged), is_part=len(streams) > len(judged))
        soft_cache.put(key, found, _TRUST_SECONDS)
    return found


def headline(items: Sequence[Item]) -> str:
    """The verdict of the day in one sentence."""
    unwell = len({item.about for item in items if item.urgent})
    decisions = sum(item.decides for item in items)
    reviews = sum(item.reviews for item in items)
    ending = sum(not (item.urgent or item.decides or item.reviews) for item in items)
    parts = [
        f"{words.counted(count, noun)} {one if count == 1 else many}"
        for count, noun, one, many in (
            (unwell, "stream", "is unwell", "are unwell"),
            (decisions, "decision", "waits for you", "wait for you"),
            (reviews, "review", "is due", "are due"),
            (ending, "thing", "ends soon", "end soon"),
        )
        if count
    ]
    if not parts:
        return "All calm. Nothing waits for you."
    said = f"{words.capitalized(words.listed(parts))}."
    return f"{said} The rest is calm." if unwell else said
