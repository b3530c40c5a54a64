"""REST of the compliance report: how the streams of each domain stand with the rules."""

from typing import Any, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api.common import page_of
from catalog.selectors import compliance as selectors
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from portal.http import parameters
from portal.http.operations import listed, operation

_DOMAIN: Final = "domain__slug"


class DomainStandingBody(TypedDict):
    """How many streams of a domain there are, and of how many something is not in order.

    `reviews_overdue`: nobody looked again in time; `without_owner`: neither the stream nor its domain
    has a team; `with_findings`: a policy finds something that is not waived; `with_untreated_fields`:
    a personal field is kept as sent.
    """

    domain: str
    name: str
    streams: int
    reviews_overdue: int
    without_owner: int
    with_findings: int
    with_untreated_fields: int


def domain_standing(row: dict[str, Any]) -> DomainStandingBody:
    """One domain of `selectors.domain_totals`."""
    return {
        "domain": row[_DOMAIN],
        "name": row["domain__name"],
        "streams": row["streams"],
        "reviews_overdue": row["overdue"],
        "without_owner": row["ownerless"],
        "with_findings": row["found"],
        "with_untreated_fields": row["untreated"],
    }


class Compliance(ApiView):
    @operation(
        "How the streams of each domain stand with the rules: those that you may know of and that "
        "are not retired, by domain.",
        takes=parameters.LIST,
        gives=listed(DomainStandingBody),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.domain_totals(api_actor(request))
        return page_of(self.asked, rows, (_DOMAIN,), domain_standing)
