"""What the finder finds: streams, fields, terms, people, experiments and pages, each kind a few at most."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Case, Q, When
from django.urls import NoReverseMatch, reverse

from catalog.models import Stream, Term
from catalog.selectors import search
from catalog.selectors.glossary import ORDER as TERM_ORDER
from catalog.selectors.glossary import find_terms
from catalog.selectors.streams import may_read_payload, visible_streams
from experiments.models import Experiment
from experiments.selectors.experiments import search_experiments
from governance.models import User
from portal.kernel.actor import Actor
from quality.selectors.trust import trust_of
from quality.trust import Trust

MAX_OPENED: Final = 5


@dataclass(frozen=True, slots=True)
class Command:
    """A page to go to, or a thing to do. `keys` are pressed one after the other."""

    label: str
    route: str
    icon: str
    keys: str = ""

    @property
    def url(self) -> str:
        """Its address; empty while no page of that name is served."""
        try:
            return reverse(self.route)
        except NoReverseMatch:
            return ""


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done with a stream that was found."""

    label: str
    icon: str
    url: str


COMMANDS: Final = (
    Command("Register a stream", "stream_new", "plus", "c s"),
    Command("Import contracts", "import", "copy"),
    Command("Browse the catalog", "catalog", "catalog", "g c"),
    Command("Ingest health", "ingest_health", "pulse", "g i"),
    Command("Storage: days, growth, archive", "storage", "down-tray"),
    Command("Dead letters", "dead_letters", "dead", "g d"),
    Command("Quality and alarms", "quality", "quality", "g q"),
    Command("Experiments", "experiments", "flask", "g e"),
    Command("Access: requests and grants", "access", "key", "g a"),
    Command("Ask the audit log", "audit", "chain", "g u"),
    Command("Erase a person", "erasures", "privacy"),
    Command("Lineage", "lineage", "lineage", "g l"),
    Command("Notifications", "notifications", "bell"),
    Command("Glossary", "glossary", "info"),
    Command("Fields over all streams", "fields", "grab"),
    Command("Producers", "producers", "up"),
    Command("Consumers", "consumers", "dn"),
    Command("People and teams", "teams", "people"),
    Command("Settings, tokens and keys", "settings", "sliders"),
    Command("The API", "api_docs", "bolt"),
    Command("Home", "home", "home", "g h"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a text found. `streams_are` heads the streams: found, or opened before."""

    text: str = ""
    streams: Sequence[tuple[Stream, Trust]] = ()
    streams_are: str = "Streams"
    corrected: str = ""
    fields: Sequence[dict[str, Any]] = ()
    terms: Sequence[Term] = ()
    people: Sequence[User] = ()
    experiments: Sequence[Experiment] = ()
    commands: Sequence[Command] = field(default=())

    @property
    def said(self) -> str:
        """What was found, for who cannot see the list; empty for nothing."""
        counts = (
            (len(self.streams), "streams"),
            (len(self.fields), "fields"),
            (len(self.terms), "terms"),
            (len(self.people), "people"),
            (len(self.experiments), "experiments"),
            (len(self.commands), "commands"),
        )
        return ", ".join(f"{name}: {count}" for count, name in counts if count)


def find(actor: Actor, text: str, *, limit: int, opened: Sequence[str] = ()) -> Found:
    """The best of each kind for a text. `@`, `#` and `>` before it narrow it to one kind.

    Without a text: the streams opened before, else the person's own, and what can be done.
    """
    kind = text[:1] if text[:1] in ("@", "#", ">") else ""
    needle = text.removeprefix(kind).strip()
    streams, streams_are, corrected = _streams(actor, needle, limit, opened, kind)
    fields, terms, people, experiments = [], [], [], []
    if needle and kind in ("", "#"):
        rows = search.find_fields(actor, needle).order_by("rank", "-streams", "name")
        fields = list(rows[:limit])
    if needle and kind == "":
        terms = list(find_terms(needle).order_by(*TERM_ORDER)[:limit])
    if needle and kind in ("", "@"):
        named = Q(name__icontains=needle) | Q(email__icontains=needle)
        people = list(User.objects.filter(named, is_active=True).order_by("name")[:limit])
    if needle and kind == "":
        experiments = list(search_experiments(actor, text=needle).order_by("-created_at")[:limit])
    commands = [
        command
        for command in COMMANDS
        if kind in ("", ">") and needle.lower() in command.label.lower() and command.url
    ]
    return Found(
        text=text,
        streams=streams,
        streams_are=streams_are,
        corrected=corrected,
        fields=fields,
        terms=terms,
        people=people,
        experiments=experiments,
        commands=commands[: limit if needle or kind == "" else None],
    )


def _streams(
    actor: Actor, needle: str, limit: int, opened: Sequence[str], kind: str
) -> tuple[list[tuple[Stream, Trust]], str, str]:
    """The streams, what they are, and what the text was read as."""
    if kind:
        return [], "", ""
    if needle:
        asked = search.Question(text=needle, hide_retired=True)
        found = search.find_streams(actor, asked, with_facets=False)
        rows = list(found.rows.order_by(*search.ORDERINGS["relevance"])[:limit])
        return _with_trust(rows), "Streams", found.corrected
    names = list(opened)[:MAX_OPENED]
    if names:
        place = Case(*(When(name=name, then=n) for n, name in enumerate(names)))
        rows = list(visible_streams(actor).filter(name__in=names).order_by(place))
        if rows:
            return _with_trust(rows), "Opened before", ""
    mine = visible_streams(actor).filter(
        Q(owner_team__in=actor.team_ids) | Q(followers__user=actor.id)
    )
    rows = list(mine.distinct().order_by("tier", "name")[:limit])
    return _with_trust(rows), "You own or follow", ""


def _with_trust(rows: list[Stream]) -> list[tuple[Stream, Trust]]:
    trust = trust_of(rows)
    return [(stream, trust[stream.pk]) for stream in rows]


def actions_for(actor: Actor, stream: Stream) -> list[Action]:
    """Where to go from a stream that was found."""
    page = f"/streams/{stream.name}/"
    asks = Action("Ask for access", "lock", f"/access/new/?stream={stream.name}")
    return [
        Action("Open", "catalog", page),
        Action("Schema", "grab", f"{page}schema/"),
        Action("Quality", "quality", f"{page}quality/"),
        Action("Sample events", "eye", f"{page}samples/")
        if may_read_payload(actor, stream)
        else asks,
        Action("Consumers", "dn", f"{page}consumers/"),
        Action("Use this stream", "bolt", f"{page}use/"),
    ]
