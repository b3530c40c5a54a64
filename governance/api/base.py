"""The base of every REST view: strict parameters, strict bodies, an ETag on every resource."""

import hashlib
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.http import parameters
from portal.http.conditional import etag
from portal.http.operations import operation_of


class ApiView(APIView):
    """A view whose methods carry `@operation`. Refusals come in the order credentials, policy,
    parameters; the body is read when the method asks for it.

    `asked` holds the parameters that were given.
    """

    asked: dict[str, Any]

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # DRF takes a body without an announced length for no body at all; here it is at hand.
        if request.method not in ("GET", "HEAD") and not request.META.get("CONTENT_LENGTH"):
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        found = operation_of(self, request.method or "")
        self.asked = parameters.read(request.query_params, found.takes if found else {})

    def said(self, request: Request) -> dict[str, Any]:
        """The members of the body, read by the operation's declaration."""
        found = operation_of(self, request.method or "")
        assert found is not None
        assert found.body is not None
        return found.body.read(request.data)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response) and response.status_code in (200, 201):
            response.add_post_render_callback(_tag)
        return response


def _tag(response: Response) -> None:
    """A resource without a revision of its own has the digest of its representation."""
    if "ETag" not in response:
        response["ETag"] = etag(hashlib.sha256(response.content).hexdigest()[:32])
