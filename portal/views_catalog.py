"""The catalog with trust and volume, the fields over all streams, search and the finder."""

from typing import Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.selectors import search
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from portal import finder
from portal.abilities import may_register
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.policy import declare
from portal.rows import stream_rows

PAGE_ROWS: Final = 25
_FINDER_ROWS: Final = 5
_SEARCH_ROWS: Final = 25
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
            "may_register": may_register(actor),
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


@require_GET
@declare(GET="stream.discover")
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
@declare(GET="stream.discover")
def search_page(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"q": parameters.text(200)})
    found = finder.find(actor, asked.get("q", ""), limit=_SEARCH_ROWS)
    return render(
        request,
        "portal/search.html",
        {"found": found, "limit": _SEARCH_ROWS, "may_register": may_register(actor)},
    )
