"""`@idempotent` on the POST of an API view: one key, one effect, the same answer again."""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.services import answers
from portal.http.rendering import JsonRenderer
from portal.kernel.errors import BadRequestError

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
Post = Callable[..., Response]


def idempotent(post: Post) -> Post:
    """Answer a repeated POST with its first answer, kept 24 hours per caller."""

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
        said = json.dumps([request.path, request.data], sort_keys=True).encode()
        first = answers.claim(caller, key, hashlib.sha256(said).digest())
        if first.answer_id is None:
            body = json.loads(first.body) if first.body else None
            headers = {"ETag": first.etag} if first.etag else {}
            return Response(body, status=first.status, headers=headers)
        try:
            response = post(self, request, *args, **kwargs)
        except BaseException:
            answers.release(first.answer_id)
            raise
        answers.keep(
            first.answer_id,
            status=response.status_code,
            body=JsonRenderer().render(response.data),
            etag=str(response.get("ETag", "")),
        )
        return response

    return wrapper
