"""The compliance report by domain and the record of processing activities: page and table."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog import compliance_tables as tables
from catalog.selectors import compliance as selectors
from catalog.selectors.parties import get_domain
from governance.middleware import request_actor
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel import clock

_ROWS: Final = 50
_QUESTION: Final = {"domain": parameters.text(60), **parameters.LIST}


@require_GET
def compliance(request: HttpRequest) -> HttpResponse:
    """All domains with their totals, or one domain stream by stream."""
    actor, asked = request_actor(request), parameters.read(request.GET, _QUESTION)
    if "domain" in asked:
        domain = get_domain(asked["domain"])
        rows = selectors.reported(actor, domain=domain.slug)
        return _page(request, "catalog/compliance_domain.html", rows, asked, {"domain": domain})
    page = paginate(
        selectors.domain_totals(actor),
        order=("domain__slug",),
        limit=asked.get("limit", _ROWS),
        cursor=asked.get("cursor"),
    )
    overdue = selectors.overdue_count(actor)
    said = words.capitalized(words.counted(overdue, "review"))
    title = f"{said} {'is' if overdue in (0, 1) else 'are'} overdue."
    context = {"title": title, "rows": page.items, "next": page.next, "now": clock.now()}
    return render(request, "catalog/compliance.html", context)


@require_GET
def compliance_table(request: HttpRequest) -> StreamingHttpResponse:
    """The report as CSV: of one domain, or of all."""
    actor, asked = request_actor(request), _asked_domain(request)
    rows = selectors.reported(actor, domain=asked)
    written = tables.written(actor, rows, tables.COMPLIANCE, tables.compliance_row)
    return _file(written, f"compliance-{asked or 'all'}.csv")


@require_GET
def processing(request: HttpRequest) -> HttpResponse:
    """What personal data there is, why, where, how long and who."""
    actor, asked = request_actor(request), parameters.read(request.GET, _QUESTION)
    domain = get_domain(asked["domain"]) if "domain" in asked else None
    rows = selectors.processing(actor, domain=domain.slug if domain else "")
    context = {"domain": domain, "domains": selectors.domains_shown(actor)[:200]}
    return _page(request, "catalog/processing.html", rows, asked, context)


@require_GET
def processing_table(request: HttpRequest) -> StreamingHttpResponse:
    """The record as CSV."""
    actor, asked = request_actor(request), _asked_domain(request)
    rows = selectors.processing(actor, domain=asked)
    written = tables.written(actor, rows, tables.PROCESSING, tables.processing_row)
    return _file(written, f"processing-{asked or 'all'}.csv")


def _page(
    request: HttpRequest, template: str, rows: Any, asked: dict[str, Any], context: dict[str, Any]
) -> HttpResponse:
    page = paginate(
        rows, order=("name",), limit=asked.get("limit", _ROWS), cursor=asked.get("cursor")
    )
    found = selectors.standings(request_actor(request), page.items)
    context |= {"rows": found, "next": page.next, "count": rows.count(), "now": clock.now()}
    return render(request, template, context)


def _asked_domain(request: HttpRequest) -> str:
    """The slug of the domain that is asked for, empty for all. Raises NotFoundError."""
    slug = parameters.read(request.GET, {"domain": parameters.text(60)}).get("domain", "")
    return get_domain(slug).slug if slug else ""


def _file(written: Any, name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(written, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
