"""`@idempotent` on the POST of an API view: one key, one effect, the same answer again.

`@repeatable` on one that changes nothing and whose answer holds personal values: it is given anew.
"""

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.privacy import keys
from governance.services import answers
from governance.services.answers import Answer
from portal.http.problem import MEDIA_TYPE, handle_api_exception
from portal.http.rendering import dump
from portal.kernel.errors import BadRequestError, PortalError

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_OF_THE_RESOURCE: Final = ("ETag", "Location")
_ANEW: Final = "Asked-Anew"  # on what is kept of an answer that is not; it is sent to nobody
Post = Callable[..., Response]


def idempotent(post: Post) -> Post:
    """Answer a repeated POST with its first answer, kept 24 hours per caller.

    Refusals are answers too; only what failed on our side may be tried again under its key.
    """

    @wraps(post)
    def wrapper(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return post(self, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise BadRequestError(
                "An Idempotency-Key has 1 to 255 visible ASCII characters.", code="header"
            )
        actor = api_actor(request)
        caller = f"{actor.kind}:{actor.id}"
        claim = answers.claim(caller, key, _digest(request))
        if claim.said_before is not None:
            is_asked_anew = _ANEW in claim.said_before.headers
            return (
                post(self, request, *args, **kwargs) if is_asked_anew else _again(claim.said_before)
            )
        try:
            response = _answer(post, self, request, *args, **kwargs)
        except BaseException:
            answers.release(claim.id)
            raise
        if response.status_code < 500:
            answers.keep(claim.id, caller, key, _kept(response))
        else:
            answers.release(claim.id)
        return response

    wrapper.is_idempotent = True  # type: ignore[attr-defined]  # a test finds the POSTs without it
    return wrapper


def repeatable(post: Post) -> Post:
    """Answer a repeated POST by asking again, and keep nothing of its answers.

    The key is honoured all the same: it belongs to its first request, and another body is refused.
    """

    @wraps(post)
    def asked(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = post(self, request, *args, **kwargs)
        response.is_kept = False  # type: ignore[attr-defined]  # read below
        return response

    return idempotent(asked)


def _digest(request: Request) -> bytes:
    """What makes two requests the same: address, parameters and body. With a key, as bodies name
    persons, whom a plain hash would let guess."""
    said = [request.path.rstrip("/"), request.META.get("QUERY_STRING", ""), request.data]
    return keys.body_hash(json.dumps(said, sort_keys=True).encode())


def _answer(post: Post, self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
    try:
        return post(self, request, *args, **kwargs)
    except PortalError as error:
        response = handle_api_exception(error, {"request": request, "view": self})
        assert response is not None
        return response


def _kept(response: Response) -> Answer:
    if not getattr(response, "is_kept", True):
        return Answer(response.status_code, headers={_ANEW: "true"})
    headers = {name: response[name] for name in _OF_THE_RESOURCE if name in response}
    body = dump(response.data) if response.data is not None else b""
    return Answer(response.status_code, body, headers)


def _again(answer: Answer) -> Response:
    return Response(
        json.loads(answer.body) if answer.body else None,
        status=answer.status,
        headers={**answer.headers, "Idempotency-Replayed": "true"},
        content_type=MEDIA_TYPE if answer.status >= 400 else None,
    )
