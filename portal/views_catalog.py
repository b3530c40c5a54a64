"""The catalog with trust and volume, the fields over all streams, search and the finder."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from catalog.selectors import search
from catalog.services.domains import require_registrar
from governance.middleware import request_actor
from governance.models import User
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.policy import declare
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError
from portal.rows import stream_rows
from quality.selectors.trust import trust_of

PAGE_ROWS: Final = 25
_FINDER_ROWS: Final = 5
LABELS: Final = {
    "domain": "Domain",
    "owner": "Owner",
    "classification": "Classification",
    "tier": "Tier",
    "track": "Track",
    "lifecycle": "Lifecycle",
}


HEALTH: Final = {
    "alarm": "In alarm",
    "suspect": "Suspect",
    "recovered": "Just recovered",
    "ok": "Well",
    "not_measured": "Not measured",
}


@require_GET
@declare(GET="stream.discover")
def catalog(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(_joined(request.GET), _QUERY)
    question = search.Question(
        text=asked.get("q", ""),
        facets={name: asked[name] for name in search.FACETS if name in asked},
        tag=asked.get("tag", ""),
        field_name=asked.get("field", ""),
        hide_retired=True,
        outside={"health": asked["health"]} if "health" in asked else {},
    )
    found = search.find_streams(actor, question)
    ordering = asked.get("ordering", "relevance" if question.text else "name")
    page = paginate(
        found.rows,
        order=search.ORDERINGS[ordering],
        limit=PAGE_ROWS,
        cursor=asked.get("cursor"),
    )
    return render(
        request,
        "catalog/list.html",
        {
            "rows": stream_rows(actor, page.items),
            "next": page.next,
            "found": found,
            "facets": [(LABELS[name], name, found.facets[name][:12]) for name in LABELS],
            "health": [
                (state, words, state in asked.get("health", ())) for state, words in HEALTH.items()
            ],
            "tokens": [
                (name, sorted(values))
                for name, values in {**question.facets, **question.outside}.items()
            ],
            "question": question,
            "ordering": ordering,
            "may_register": _may_register(actor),
        },
    )


def _any(raw: str) -> frozenset[str]:
    """Values joined by commas; one that nothing has finds nothing, as in a bookmark of long ago."""
    return frozenset(part[:120] for part in raw.split(",") if part)


_FACETS: Final = (*search.FACETS, "health")
_QUERY: Final[dict[str, parameters.Reader]] = {
    "q": parameters.text(200),
    "tag": parameters.text(60),
    "field": parameters.text(500),
    "ordering": parameters.choice(search.ORDERINGS),
    "cursor": parameters.text(2000),
    **dict.fromkeys(_FACETS, _any),
}


def _joined(query: QueryDict) -> QueryDict:
    """Check boxes send a facet several times; joined by commas it is read like the API's."""
    joined = query.copy()
    for name in _FACETS:
        if name in joined:
            joined[name] = ",".join(query.getlist(name))
    return joined


def _may_register(actor: Actor) -> bool:
    try:
        require_registrar(actor)
    except NotPermittedError:
        return False
    return True


@require_GET
@declare(GET="stream.discover")
def fields(request: HttpRequest) -> HttpResponse:
    asked = parameters.read(request.GET, {"q": parameters.text(200)})
    text = asked.get("q", "")
    rows = search.find_fields(request_actor(request), text)
    return render(
        request,
        "catalog/fields.html",
        {"fields": rows.order_by("rank", "-streams", "name")[:100], "text": text},
    )


@dataclass(frozen=True, slots=True)
class Command:
    label: str
    route: str
    icon: str
    keys: str = ""

    @property
    def url(self) -> str:
        return reverse(self.route)


COMMANDS: Final = (
    Command("Register a stream", "stream_new", "plus", "c s"),
    Command("Browse the catalog", "catalog", "catalog", "g c"),
    Command("Ingest health", "ingest_health", "pulse", "g i"),
    Command("Dead letters", "dead_letters", "dead", "g d"),
    Command("Quality", "quality", "quality", "g q"),
    Command("Experiments", "experiments", "flask", "g e"),
    Command("Access", "access", "key", "g a"),
    Command("Audit", "audit", "chain", "g u"),
    Command("Settings and tokens", "settings", "sliders"),
)


def _results(actor: Actor, text: str, limit: int) -> dict[str, Any]:
    """Streams, fields, people and pages for a text. `@`, `#` and `>` narrow it to one kind."""
    kind, needle = text[:1], text[1:].strip() if text[:1] in "@#>" and text else text.strip()
    only = kind if kind in ("@", "#", ">") else ""
    result: dict[str, Any] = {
        "text": text, "streams": [], "fields": [], "people": [], "commands": [], "corrected": ""
    }  # fmt: skip
    if only == "":
        found = search.find_streams(
            actor, search.Question(text=needle, hide_retired=True), with_facets=False
        )
        streams = list(found.rows.order_by(*search.ORDERINGS["relevance"])[:limit])
        trust = trust_of(streams)
        result["streams"] = [(stream, trust[stream.pk].word) for stream in streams]
        result["corrected"] = found.corrected
    if only in ("", "#") and needle:
        rows = search.find_fields(actor, needle).order_by("rank", "-streams", "name")
        result["fields"] = list(rows[:limit])
    if only in ("", "@") and needle:
        result["people"] = list(
            User.objects.filter(is_active=True, name__icontains=needle).order_by("name")[:limit]
        )
    if only in ("", ">"):
        result["commands"] = [
            command
            for command in COMMANDS
            if needle.lower() in command.label.lower() and _exists(command)
        ][:limit]
    return result


def _exists(command: Command) -> bool:
    try:
        return bool(command.url)
    except NoReverseMatch:
        return False


@require_GET
@declare(GET="stream.discover")
def palette(request: HttpRequest) -> HttpResponse:
    """The finder's list, a fragment."""
    asked = parameters.read(request.GET, {"q": parameters.text(200)})
    found = _results(request_actor(request), asked.get("q", ""), _FINDER_ROWS)
    return render(request, "portal/_palette.html", found)


@require_GET
@declare(GET="stream.discover")
def search_page(request: HttpRequest) -> HttpResponse:
    asked = parameters.read(request.GET, {"q": parameters.text(200)})
    found = _results(request_actor(request), asked.get("q", ""), 25)
    return render(request, "portal/search.html", found)
