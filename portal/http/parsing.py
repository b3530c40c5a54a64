"""JSON into the API through the strict decoder, unpacked under the caps of every body."""

from collections.abc import Mapping
from typing import IO, Any, Final

from django.utils.http import parse_header_parameters
from rest_framework.parsers import BaseParser

from portal.kernel import inflate, strict_json
from portal.kernel.errors import TooLargeError, UnsupportedMediaError

_CHARSETS: Final = frozenset({"", "utf-8", "utf8"})


class StrictJsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """A body as JSON. Raises BadRequestError, TooLargeError or UnsupportedMediaError."""
        return strict_json.decode_document(read_body(stream, parser_context, says="JSON"))


def read_body(stream: IO[Any], context: Mapping[str, Any] | None, *, says: str) -> bytes:
    """The unpacked body of a request, whose charset must be UTF-8."""
    request = (context or {})["request"]
    if _charset(request.META.get("CONTENT_TYPE", "")) not in _CHARSETS:
        raise UnsupportedMediaError(f"Send {says} in UTF-8.")
    encoding = inflate.check_encoding(request.META.get("HTTP_CONTENT_ENCODING", ""))
    body = stream.read(inflate.MAX_SENT_BYTES + 1)
    if len(body) > inflate.MAX_SENT_BYTES:
        raise TooLargeError("A body may have at most 5 MiB as sent.")
    return inflate.inflate(body, encoding)


def _charset(content_type: str) -> str:
    _, options = parse_header_parameters(content_type)
    return str(options.get("charset", "")).strip().lower()
