"""Files and bodies of any known format: parse within bounds, and tell which format it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final

from catalog.exchange import asyncapi, bounded_yaml, odcs, portal_yaml, segment_plan
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.yaml_writing import dump_json, dump_yaml
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError

MAX_BYTES: Final = 20 * 1024 * 1024
TOO_LARGE: Final = f"is larger than {MAX_BYTES // 1024 // 1024} MiB"
YAML_FILES: Final = frozenset({".yaml", ".yml"})
JSON_FILES: Final = frozenset({".json"})


class Format(StrEnum):
    """What a document is."""

    ASYNCAPI = "asyncapi"
    ODCS = "odcs"
    SEGMENT = "segment"
    PORTAL = "portal"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The documents of a text, parsed: JSON has one, YAML one or more."""

    documents: tuple[Any, ...]

    def named(self, name: str) -> list[tuple[str, Any]]:
        """Each document with where it stands: `name`, or `name[2]` for the second of several."""
        if len(self.documents) == 1:
            return [(name, self.documents[0])]
        return [(f"{name}[{place}]", one) for place, one in enumerate(self.documents, start=1)]


def load(raw: bytes, *, name: str) -> Loaded | Unreadable:
    """Parse a JSON or YAML text; `name` (a file's) says which, else the text itself.

    Bounds: 20 MiB, 100 levels, 500,000 values and 20 MiB once YAML's aliases are written out; a key
    twice is refused.
    """
    if len(raw) > MAX_BYTES:
        return Unreadable(name, TOO_LARGE)
    suffix = PurePath(name).suffix.lower()
    if suffix in JSON_FILES:
        return _load_json(raw, name)
    if suffix not in YAML_FILES and raw.lstrip()[:1] in (b"{", b"["):
        # A flow mapping of YAML may begin so too; what is JSON is judged as JSON.
        found = _load_json(raw, name)
        if isinstance(found, Loaded) or "is not JSON" not in found.why:
            return found
    return _load_yaml(raw, name)


def _load_json(raw: bytes, name: str) -> Loaded | Unreadable:
    try:
        document = strict_json.decode_document(raw)
    except BadRequestError as error:
        first = f" {error.errors[0].pointer}: {error.errors[0].detail}" if error.errors else ""
        return Unreadable(name, error.detail.replace("The body", "It") + first)
    if strict_json.depth_of(document) > bounded_yaml.MAX_DEPTH:
        return Unreadable(name, f"is nested deeper than {bounded_yaml.MAX_DEPTH} levels")
    return Loaded((document,))


def _load_yaml(raw: bytes, name: str) -> Loaded | Unreadable:
    try:
        documents = bounded_yaml.load_all(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Unreadable(name, "is not text in UTF-8")
    except bounded_yaml.YamlFaultError as fault:
        return Unreadable(name, str(fault))
    return Loaded(tuple(documents)) if documents else Unreadable(name, "is empty")


def format_of(document: Any) -> Format | None:
    """Which format a parsed document is of; None when it is none that is known."""
    if isinstance(document, list):
        return Format.PORTAL if document and format_of(document[0]) is Format.PORTAL else None
    if not isinstance(document, Mapping):
        return None
    if "asyncapi" in document:
        return Format.ASYNCAPI
    if document.get("kind") == "DataContract" or "dataContractSpecification" in document:
        return Format.ODCS
    version = document.get("apiVersion")
    if isinstance(version, str) and version.startswith("portal/"):
        return Format.PORTAL
    if segment_plan.is_plan(document):
        return Format.SEGMENT
    if {"$schema", "type", "properties"} & set(document):
        return Format.JSON_SCHEMA
    return None


def read_document(document: Any, *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of one parsed document of any format, `Unreadable`s for what is not one."""
    found = format_of(document)
    if found is None:
        return [Unreadable(where, UNKNOWN)]
    return list(_READERS[found](document, where))


UNKNOWN: Final = (
    "is none of the formats known here: AsyncAPI 3 (asyncapi: 3.…), ODCS 3 (kind: DataContract), a "
    "Segment tracking plan, portal YAML (apiVersion: portal/v1) or a JSON Schema"
)


def read_bytes(
    raw: bytes, *, name: str, format_: Format | None = None
) -> list[OutsideStream | Unreadable]:
    """The streams of a text of any format: the door for uploads and for `import`.

    `format_` says what it must be; None looks. Of portal YAML the streams alone are given. A JSON
    Schema is a stream of the file's name without its ending.
    """
    loaded = load(raw, name=name)
    if isinstance(loaded, Unreadable):
        return [loaded]
    found: list[OutsideStream | Unreadable] = []
    for where, document in loaded.named(name):
        if format_ is not None and format_of(document) is not format_:
            found.append(Unreadable(where, f"is not {_CALLED[format_]}"))
        else:
            found += read_document(document, where=where)
    return found


def schema_version(document: Mapping[str, Any], label: str = "") -> OutsideVersion:
    """A plain JSON Schema as a version; its own `examples` are the example payloads."""
    examples = document.get("examples")
    return OutsideVersion(label, document, tuple(examples) if isinstance(examples, list) else ())


def _read_schema(document: Any, where: str) -> list[OutsideStream | Unreadable]:
    name = PurePath(where.partition("[")[0]).with_suffix("").as_posix()
    return [OutsideStream(name=name, where=where, versions=(schema_version(document),))]


def _read_portal(document: Any, where: str) -> list[OutsideStream | Unreadable]:
    declared = portal_yaml.read_documents([document], where=where)
    return [*declared.streams, *declared.unreadable]


_READERS: Final[dict[Format, Callable[[Any, str], list[OutsideStream | Unreadable]]]] = {
    Format.ASYNCAPI: lambda document, where: asyncapi.read(document, where=where),
    Format.ODCS: lambda document, where: odcs.read(document, where=where),
    Format.SEGMENT: lambda document, where: segment_plan.read(document, where=where),
    Format.PORTAL: _read_portal,
    Format.JSON_SCHEMA: _read_schema,
}
_CALLED: Final = {
    Format.ASYNCAPI: "an AsyncAPI document (asyncapi: 3.…)",
    Format.ODCS: "a data contract of ODCS (kind: DataContract)",
    Format.SEGMENT: "a Segment tracking plan",
    Format.PORTAL: "portal YAML (apiVersion: portal/v1)",
    Format.JSON_SCHEMA: "a JSON Schema",
}

__all__ = [
    "Format",
    "Loaded",
    "dump_json",
    "dump_yaml",
    "format_of",
    "load",
    "read_bytes",
    "read_document",
    "schema_version",
]
