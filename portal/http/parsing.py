"""JSON into the API through the strict decoder."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from portal.kernel import strict_json


class StrictJsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return strict_json.decode_document(stream.read())
