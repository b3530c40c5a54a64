"""Request bodies that are files: one as the body itself, or several as a form of files."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser

from catalog.exchange.uploads import Text
from portal.http.parsing import read_body
from portal.kernel.errors import BadRequestError, UnsupportedMediaError

FORM: Final = "multipart/form-data"
MAX_FILES: Final = 50
# What a body may be, as OpenAPI describes it.
ACCEPTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "application/json": {"description": "AsyncAPI, ODCS, a Segment plan or a JSON Schema."},
    "application/x-ndjson": {"type": "string", "description": "A stream a line."},
    "application/yaml": {"type": "string", "description": "AsyncAPI, ODCS or portal YAML."},
    "application/x-yaml": {"type": "string"},
    "text/yaml": {"type": "string"},
    FORM: {
        "type": "object",
        "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
    },
}


class _TextParser(BaseParser):
    """A body as it is: `[{"name": "", "text": …}]`, so that a repeated one can be told."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return [{"name": "", "text": _decoded(read_body(stream, parser_context, says="text"))}]


class FormParser(BaseParser):
    """The files of a form, in its order."""

    media_type = FORM

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
            raise UnsupportedMediaError("A form of files is sent without Content-Encoding.")
        body = stream.read()
        meta = {**request.META, "CONTENT_LENGTH": len(body)}
        handlers = request._request.upload_handlers if hasattr(request, "_request") else []
        try:
            _, files = MultiPartParser(meta, BytesIO(body), handlers, "utf-8").parse()
        except MultiPartParserError as error:
            raise BadRequestError("The form cannot be read.") from error
        found = [one for key in files for one in files.getlist(key)]
        if not 0 < len(found) <= MAX_FILES:
            raise BadRequestError(f"Send 1 to {MAX_FILES} files.")
        return [_file(one) for one in found]


def _parser(media: str) -> type[BaseParser]:
    return type(f"TextParser_{media}", (_TextParser,), {"media_type": media})


PARSERS: Final[tuple[type[BaseParser], ...]] = (
    *(_parser(media) for media in ACCEPTS if media != FORM),
    FormParser,
)


def texts_of(data: Any) -> list[Text]:
    """The texts of a parsed body."""
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise BadRequestError("Send a file as the body, or files in a form.")
    return [Text(one["text"].encode(), one["name"]) for one in data]


def _file(file: "UploadedFile[Any]") -> dict[str, str]:
    return {"name": (file.name or "")[:255], "text": _decoded(file.read())}


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequestError("The text is not UTF-8.") from error
