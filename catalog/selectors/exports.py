"""Exports: documents of other tools, and the portal's own, of what an actor may know of."""

import json
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from catalog.exchange import asyncapi, loading, odcs, portal_yaml
from catalog.exchange.asyncapi_writing import Role
from catalog.exchange.documents import OutsideStream
from catalog.exchange.portal_yaml import PolicyEntry, PortalFile
from catalog.models import Stream
from catalog.selectors.exchange import declared, outside_streams
from catalog.selectors.streams import get_version
from governance.models import Policy
from portal.kernel.actor import Actor

JSON: Final = "application/json"
YAML: Final = "application/yaml"
LINES: Final = "application/x-ndjson"
_OF_POLICY: Final = ("title", "sentence", "subject", "expression", "remedy", "severity")
FORMATS: Final = ("asyncapi", "odcs", "json-schema", "portal")


@dataclass(frozen=True, slots=True)
class Export:
    """A document ready to be sent: its bytes, what they are and a file name for them."""

    content: bytes
    media_type: str
    file_name: str


def export_asyncapi(
    rows: QuerySet[Stream],
    *,
    title: str,
    name: str,
    role: Role = "catalog",
    party: str = "",
    as_yaml: bool = False,
) -> Export:
    """One AsyncAPI 3 document of the streams."""
    document = asyncapi.write(outside_streams(rows), title=title, role=role, party=party)
    if as_yaml:
        return Export(loading.dump_yaml(document).encode(), YAML, f"{name}.asyncapi.yaml")
    return Export(loading.dump_json(document), JSON, f"{name}.asyncapi.json")


def export_odcs(rows: QuerySet[Stream], *, name: str) -> Export:
    """ODCS 3.1 contracts as YAML, one document a stream."""
    documents = [loading.dump_yaml(odcs.write(one)) for one in outside_streams(rows)]
    return Export("---\n".join(documents).encode(), YAML, f"{name}.odcs.yaml")


def export_portal(actor: Actor, rows: QuerySet[Stream], *, name: str) -> Export:
    """The portal's own YAML, which `apply` takes."""
    text = portal_yaml.write(declared(actor, rows))
    return Export(text.encode(), YAML, f"{name}.portal.yaml")


def export_policies() -> Export:
    """All policies as the portal's own YAML: what policies there are is no secret."""
    entries = tuple(
        PolicyEntry(row.slug, **{name: getattr(row, name) for name in _OF_POLICY})
        for row in Policy.objects.order_by("slug")
    )
    text = portal_yaml.write(PortalFile(policies=entries))
    return Export(text.encode(), YAML, "policies.portal.yaml")


def export_schema(stream: Stream) -> Export:
    """The JSON Schema of a stream's default version."""
    document = get_version(stream, None).document
    return Export(loading.dump_json(document), "application/schema+json", f"{stream.name}.json")


def export_lines(rows: QuerySet[Stream], *, name: str) -> Export:
    """JSON lines of streams with all their versions, as `import` takes them."""
    lines = (json.dumps(_line(one), ensure_ascii=False) for one in outside_streams(rows))
    return Export("".join(f"{line}\n" for line in lines).encode(), LINES, f"{name}.jsonl")


def _line(stream: OutsideStream) -> dict[str, object]:
    versions = [{"version": one.label, "schema": one.document} for one in stream.versions]
    return {"subject": stream.name, "description": stream.description, "versions": versions}
