"""The page *Matrix* of access: which team holds what of the streams with personal data."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.selectors.holdings import holdings, personal_streams
from governance.middleware import request_actor
from portal.http import parameters
from portal.http.pagination import paginate, paginate_rows

COLUMNS: Final = 12
ROWS: Final = 40


@require_GET
def matrix(request: HttpRequest) -> HttpResponse:
    """Twelve streams and forty teams a page; of streams on which the reader decides."""
    asked = parameters.read(
        request.GET, {"cursor": parameters.text(2000), "teams": parameters.text(2000)}
    )
    page = paginate(
        personal_streams(request_actor(request)),
        order=("name",),
        limit=COLUMNS,
        cursor=asked.get("cursor"),
    )
    rows = paginate_rows(
        holdings(page.items),
        key=lambda row: [row.team.name, row.team.pk],
        made_for="holdings",
        limit=ROWS,
        cursor=asked.get("teams"),
    )
    return render(
        request,
        "catalog/access_matrix.html",
        {
            "streams": [(stream, *stream.name.rpartition(".")[::2]) for stream in page.items],
            "next": page.next,
            "rows": rows.items,
            "next_teams": rows.next,
        },
    )
