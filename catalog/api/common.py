"""What the views of the catalog's lists and made things share."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from rest_framework.response import Response

from portal.http import bodies
from portal.http.pagination import paginate
from portal.kernel import slugs

NAME: Final = bodies.text(120)
DESCRIPTION: Final = bodies.text(4000)
SLUG: Final = bodies.name(slugs.SLUG.pattern, slugs.LONGEST)
OWNER: Final = bodies.nullable(SLUG)
KEY_ORDER: Final = ("-created_at", "id")


def page_of(
    asked: Mapping[str, Any], rows: Any, order: tuple[str, ...], shape: Callable[[Any], object]
) -> Response:
    """One page of a list by the parameters that were asked."""
    page = paginate(rows, order=order, limit=asked.get("limit"), cursor=asked.get("cursor"))
    return Response(page.as_dict(shape))


def made(body: object, tag: str, place: str) -> Response:
    """The answer to a POST that made something: 201, where it is and its ETag."""
    headers = {"ETag": tag, "Location": f"/api/v1/{place}"}
    return Response(body, status=201, headers=headers)
