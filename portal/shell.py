"""What the page shell shows on every page: navigation with counts, platform state, the person.

Everything is lazy: an error page or a fragment that shows no shell asks nothing of the database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from governance.middleware import request_actor
from governance.models import BreakGlass
from governance.selectors.break_glass import own_live, waiting_for
from governance.selectors.notices import MOST_COUNTED, unread_count
from governance.types import Density
from governance.views_break_glass import may_take
from portal.counts import Counts, counts_for
from portal.http.theme import theme_of
from portal.kernel import soft_cache


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the sidebar. `count` names the attribute of `Counts` that waits for someone."""

    route: str
    label: str
    icon: str
    key: str = ""
    count: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the sidebar on a page, with its number, which is `hot` when it is of alarms."""

    label: str
    icon: str
    url: str
    key: str
    current: bool
    count: int
    hot: bool


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    icon: str
    links: tuple[Link, ...]

    @property
    def current(self) -> bool:
        return any(link.current for link in self.links)

    @property
    def hot(self) -> bool:
        """Whether alarms wait at one of its places."""
        return any(link.hot for link in self.links)


SECTIONS: Final[tuple[tuple[str, str, tuple[Place, ...]], ...]] = (
    (
        "Find",
        "home",
        (
            Place("home", "Home", "home", "h"),
            Place("catalog", "Catalog", "catalog", "c", "streams"),
            Place("lineage", "Lineage", "lineage", "l"),
            Place("fields", "Fields", "grab"),
            Place("glossary", "Glossary", "info"),
        ),
    ),
    (
        "Build",
        "diff",
        (
            Place("stream_new", "Register a stream", "plus"),
            Place("import", "Import contracts", "copy"),
            Place("changes", "Schema changes", "diff", "s", "changes"),
            Place("producers", "Producers", "up"),
            Place("consumers", "Consumers", "dn"),
        ),
    ),
    (
        "Run",
        "pulse",
        (
            Place("ingest_health", "Ingest health", "pulse", "i"),
            Place("quality", "Quality", "quality", "q", "alarms"),
            Place("dead_letters", "Dead letters", "dead", "d", "dead_letter_groups"),
            Place("storage", "Storage", "down-tray"),
            Place("jobs", "Jobs", "play"),
        ),
    ),
    ("Decide", "flask", (Place("experiments", "Experiments", "flask", "e"),)),
    (
        "Govern",
        "key",
        (
            Place("access", "Access", "key", "a", "requests"),
            Place("privacy", "Privacy", "privacy", "p"),
            Place("policies", "Policies", "policy", "o"),
            Place("reviews", "Reviews", "check"),
            Place("teams", "People and teams", "people"),
            Place("audit", "Audit", "chain", "u"),
        ),
    ),
)
HOT: Final = frozenset({"alarms"})


class Shell:
    """The context of `base.html`."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.theme = theme_of(request)
        self.counts: Counts = SimpleLazyObject(self._counts)  # type: ignore[assignment]  # proxy

    @cached_property
    def sections(self) -> list[Section]:
        """The sidebar: places that exist, the longest matching path being the present one."""
        reachable = [
            (name, symbol, [(place, url) for place in places if (url := _url(place.route))])
            for name, symbol, places in SECTIONS
        ]
        path = self._request.path
        matches = [
            url
            for _, _, places in reachable
            for _, url in places
            if path == url or (url != "/" and path.startswith(url))
        ]
        here = max(matches, key=len, default="")
        return [
            Section(name, symbol, tuple(self._link(place, url, here) for place, url in places))
            for name, symbol, places in reachable
            if places
        ]

    @property
    def here(self) -> Section | None:
        """The section of the present page: its places stand above the page on small screens."""
        return next((section for section in self.sections if section.current), None)

    @property
    def keys(self) -> list[Link]:
        """Places with a key after `g`, for the list of keys."""
        return [link for section in self.sections for link in section.links if link.key]

    @cached_property
    def unread(self) -> int:
        """Unread notifications, counted up to 100."""
        if not self._request.user.is_authenticated:
            return 0
        return unread_count(request_actor(self._request))

    @cached_property
    def open_glass(self) -> list[BreakGlass]:
        """What the person reads by break-glass now; a bar says so on every page."""
        if not self._request.user.is_authenticated:
            return []
        return list(own_live(request_actor(self._request).id)[:5])

    @cached_property
    def glass_waiting(self) -> int:
        """Break-glass access that waits for the person's review."""
        if not self._request.user.is_authenticated:
            return 0
        return waiting_for(request_actor(self._request)).count()

    @property
    def may_break_glass(self) -> bool:
        """Whether links to taking it are shown."""
        return self._request.user.is_authenticated and may_take(request_actor(self._request))

    @property
    def unread_said(self) -> str:
        """The unread notifications as text; `99+` for more."""
        return str(self.unread) if self.unread <= MOST_COUNTED else f"{MOST_COUNTED}+"

    @property
    def status_url(self) -> str:
        """Where the platform's state is explained."""
        return _url("quality") or "/"

    @property
    def loading(self) -> dict[str, object] | None:
        """How far the demo workspace is loaded, while it loads."""
        found = soft_cache.get("demo_progress")
        return found if isinstance(found, dict) and found.get("step") else None

    @property
    def is_admin(self) -> bool:
        """Whether links to pages for admins are shown."""
        return self._request.user.is_authenticated and request_actor(self._request).is_admin

    @property
    def takes_passkeys(self) -> bool:
        """Whether a browser takes passkeys at this address: by a name, over https or on localhost."""
        host = self._request.get_host().rpartition(":")[0] or self._request.get_host()
        by_name = not host.startswith("[") and not host.replace(".", "").isdecimal()
        return by_name and (self._request.is_secure() or host == "localhost")

    @property
    def company_sign_in(self) -> str:
        """The name of the company's sign-in; empty without one."""
        return settings.OIDC_NAME if settings.OIDC_ISSUER else ""

    @property
    def company_only(self) -> bool:
        """Whether there is no other way in."""
        return bool(settings.OIDC_ONLY)

    @property
    def needs_second_factor(self) -> bool:
        """Whether the person has a role that asks for a second factor."""
        if not self._request.user.is_authenticated:
            return False
        return not request_actor(self._request).roles.isdisjoint(settings.SECOND_FACTOR_ROLES)

    @property
    def single_keys(self) -> bool:
        """Whether the person wants shortcuts of a single key."""
        user: Any = self._request.user
        return bool(user.is_authenticated and user.single_key_shortcuts)

    @property
    def is_compact(self) -> bool:
        """Whether the person wants tables and lists compact."""
        user: Any = self._request.user
        return bool(user.is_authenticated and user.density == Density.COMPACT)

    def _link(self, place: Place, url: str, here: str) -> Link:
        count = getattr(self.counts, place.count) if place.count else 0
        return Link(
            label=place.label,
            icon=place.icon,
            url=url,
            key=place.key,
            current=url == here,
            count=count,
            hot=place.count in HOT and count > 0,
        )

    def _counts(self) -> Counts:
        if not self._request.user.is_authenticated:
            return Counts()
        return counts_for(request_actor(self._request))


def _url(route: str) -> str:
    try:
        return reverse(route)
    except NoReverseMatch:
        return ""


def shell(request: HttpRequest) -> dict[str, object]:
    """Context processor: `shell` in every template."""
    make: Callable[[], Shell] = lambda: Shell(request)  # noqa: E731  # typed for the proxy
    return {"shell": SimpleLazyObject(make)}
