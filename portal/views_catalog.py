"""The catalog with trust and volume, the fields over all streams, search and the finder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.models import Domain
from catalog.selectors import fields as explorer
from catalog.selectors import search
from catalog.selectors.streams import get_stream, visible_streams
from catalog.types import Classification
from governance.middleware import request_actor
from governance.models import Team
from portal import finder
from portal.abilities import may_register
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError
from portal.rows import stream_rows

PAGE_ROWS: Final = 25
_FINDER_ROWS: Final = 5
_SEARCH_ROWS: Final = 25
_FIELD_ROWS: Final = 50
_CHOICES: Final = 12
_FIELD_QUERY: Final = {
    "q": parameters.text(200),
    "conflicts": parameters.flag,
    "classification": parameters.choice(Classification.values),
    "ordering": parameters.choice(explorer.ORDERINGS),
    "cursor": parameters.text(2000),
}
LABELS: Final = {
    "domain": "Domain",
    "owner": "Owner",
    "classification": "Classification",
    "tier": "Tier",
    "track": "Track",
    "lifecycle": "Lifecycle",
}
OPEN: Final = ("domain", "owner", "classification")
TIERS: Final = {"T1": "T1 critical", "T2": "T2 important", "T3": "T3 best effort"}
ORDERINGS: Final = {
    "relevance": "Best match",
    "name": "Name",
    "readers": "Most used",
    "newest": "Newest",
}

HEALTH: Final = {
    "alarm": "In alarm",
    "suspect": "Suspect",
    "recovered": "Just recovered",
    "ok": "Well",
    "not_measured": "Not measured",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One box of a filter: its value, its label, how many streams have it (None: not counted)."""

    value: str
    label: str
    count: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """The boxes of one filter, shown unfolded when `is_open`."""

    name: str
    label: str
    choices: Sequence[Choice]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A filter in force: `without` is the query string that drops it."""

    label: str
    values: str
    without: str


@require_GET
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
    words = search.words_of(found.corrected or question.text)
    filters = _filters(found, asked.get("health", frozenset()))
    tokens = _tokens(request, question, filters)
    return render(
        request,
        "catalog/list.html",
        {
            "rows": stream_rows(actor, page.items),
            "matched": search.matching_fields(page.items, words),
            "marked": words,
            "next": page.next,
            "found": found,
            "retired": _hidden(actor, question),
            "filters": filters,
            "tokens": tokens,
            "question": question,
            "ordering": ordering,
            "orderings": [
                (name, label)
                for name, label in ORDERINGS.items()
                if name != "relevance" or question.text
            ],
            "is_asked": bool(question.text or tokens),
            "may_register": may_register(actor),
        },
    )


def _filters(found: search.Found, health: frozenset[str]) -> list[Filter]:
    """The boxes beside the list, most asked for first; those with a choice are open."""
    teams = dict(
        Team.objects.filter(slug__in=[row.value for row in found.facets["owner"]]).values_list(
            "slug", "name"
        )
    )
    filters = []
    for name, label in LABELS.items():
        choices = [
            Choice(row.value, _said(name, row.value, teams), row.count, row.chosen)
            for row in found.facets[name][:_CHOICES]
        ]
        if choices:
            is_open = name in OPEN or any(choice.chosen for choice in choices)
            filters.append(Filter(name, label, choices, is_open))
    states = [Choice(state, text, None, state in health) for state, text in HEALTH.items()]
    return [*filters, Filter("health", "Health", states, bool(health))]


def _said(facet: str, value: str, teams: Mapping[str, str]) -> str:
    """A facet's value as people read it; domains stay as they stand in names."""
    if facet == "owner":
        return teams.get(value, value)
    if facet == "tier":
        return TIERS.get(value, value)
    return value if facet == "domain" else value.capitalize()


def _tokens(
    request: HttpRequest, question: search.Question, filters: Sequence[Filter]
) -> list[Token]:
    """Each filter in force with the way to drop it."""
    labels = {(one.name, choice.value): choice.label for one in filters for choice in one.choices}
    asked: list[tuple[str, str, Sequence[str]]] = [
        (name, LABELS.get(name, "Health"), sorted(values))
        for name, values in {**question.facets, **question.outside}.items()
    ]
    asked += [("tag", "Tag", [question.tag])] if question.tag else []
    asked += [("field", "Field", [question.field_name])] if question.field_name else []
    return [
        Token(
            label.lower(),
            ", ".join(labels.get((name, value), value) for value in values),
            _without(request.GET, name),
        )
        for name, label, values in asked
    ]


def _without(query: QueryDict, name: str) -> str:
    kept = query.copy()
    for dropped in (name, "cursor"):
        kept.pop(dropped, None)
    return f"?{kept.urlencode()}"


def _hidden(actor: Actor, question: search.Question) -> int:
    """How many retired streams fit the question too; none when a lifecycle was chosen."""
    if "lifecycle" in question.facets:
        return 0
    retired = {**question.facets, "lifecycle": frozenset({"retired"})}
    asked = replace(question, facets=retired)
    return search.find_streams(actor, asked, with_facets=False).count


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


@require_GET
def domain(request: HttpRequest, slug: str) -> HttpResponse:
    """One domain with its streams, as the catalog shows them."""
    actor = request_actor(request)
    found = Domain.objects.select_related("owner_team").filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    streams = visible_streams(actor).filter(domain=found).annotate(readers=Count("mappings"))
    page = paginate(streams, order=("name",), limit=PAGE_ROWS, cursor=asked.get("cursor"))
    return render(
        request,
        "catalog/domain.html",
        {
            "domain": found,
            "rows": stream_rows(actor, page.items),
            "count": streams.count(),
            "next": page.next,
        },
    )


@require_GET
def fields(request: HttpRequest) -> HttpResponse:
    """Fields over all streams by name, with the ways streams have them, a page at a time."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, _FIELD_QUERY)
    text, conflicts = asked.get("q", ""), asked.get("conflicts", False)
    classification = asked.get("classification", "")
    ordering = asked.get("ordering", "uses")
    page = paginate(
        explorer.explore_fields(
            actor, text=text, classification=classification, conflicts=conflicts or None
        ),
        order=explorer.ORDERINGS[ordering],
        limit=_FIELD_ROWS,
        cursor=asked.get("cursor"),
    )
    return render(
        request,
        "catalog/fields.html",
        {
            "fields": explorer.named_fields(actor, page.items),
            "next": page.next,
            "text": text,
            "conflicts": conflicts,
            "classification": classification,
            "classifications": Classification.choices,
            "ordering": ordering,
            "is_asked": bool(text or conflicts or classification),
        },
    )


@require_GET
def palette(request: HttpRequest) -> HttpResponse:
    """The finder's list, a fragment; with `of`, what can be done with one stream."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET,
        {"q": parameters.text(200), "of": parameters.text(255), "opened": parameters.text(700)},
    )
    if name := asked.get("of"):
        stream = get_stream(actor, name)
        actions = finder.actions_for(actor, stream)
        context = {"of": stream, "actions": actions, "said": f"{len(actions)} actions"}
        return render(request, "portal/_palette.html", context)
    opened = [part for part in asked.get("opened", "").split(",") if part]
    found = finder.find(actor, asked.get("q", ""), limit=_FINDER_ROWS, opened=opened)
    return render(request, "portal/_palette.html", {"found": found, "said": found.said})


@require_GET
def search_page(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"q": parameters.text(200)})
    found = finder.find(actor, asked.get("q", ""), limit=_SEARCH_ROWS)
    return render(
        request,
        "portal/search.html",
        {"found": found, "limit": _SEARCH_ROWS, "may_register": may_register(actor)},
    )
