"""AsyncAPI 3 documents, read into streams and written from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.exchange import asyncapi_reading, asyncapi_writing
from catalog.exchange.asyncapi_writing import Role
from catalog.exchange.documents import OutsideStream, Unreadable


def read(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of a document: one per message of each channel, in the document's order.

    A document of another version, a reference that leaves the document or a schema that is no JSON
    Schema gives `Unreadable`s that name the place; nothing is raised and nothing is fetched.
    """
    return asyncapi_reading.read(document, where=where)


def write(
    streams: Sequence[OutsideStream],
    *,
    title: str,
    version: str = "1.0.0",
    role: Role = "catalog",
    party: str = "",
    description: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An AsyncAPI 3.1 document of the streams. `read` of it gives them again, but for `where`.

    As a `producer` or `consumer` it describes what `party` sends or receives; as a `catalog` what
    each known party does. `extensions` are keys put at the document's root where it has none such.
    """
    return asyncapi_writing.write(
        streams,
        title=title,
        version=version,
        role=role,
        party=party,
        description=description,
        extensions=extensions,
    )
