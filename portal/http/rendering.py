"""JSON out of the API: one renderer, whatever the client says it accepts."""

import json
from datetime import datetime
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from portal.kernel import rfc3339


def dump(data: Any) -> bytes:
    """The bytes of an answer: times are RFC 3339 in UTC with microseconds, always."""
    try:
        return orjson.dumps(data, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:  # a whole number beyond 64 bits, in a contract that bounds by it
        return json.dumps(data, default=_plain, ensure_ascii=False).encode()


class JsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Any = None,
    ) -> bytes:
        return b"" if data is None else dump(data)


def _plain(value: object) -> str:
    return rfc3339.spell(value) if isinstance(value, datetime) else str(value)


class IgnoreClientNegotiation(BaseContentNegotiation):
    """There is one representation; `?format=` is an unknown parameter like any other."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        content_type = (request.content_type or "").split(";")[0].strip().lower()
        for parser in parsers:
            if parser.media_type == content_type:
                return parser  # type: ignore[no-any-return]  # DRF's stubs leave parsers untyped
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
