"""What a contract calls personal, found in data by following data and contract together.

1. At each value all subschemas that apply to it are gathered: references, combinations,
   conditions; whichever branch would hold does not matter, any of them may classify.
2. If one of them says `personal` or `sensitive`, the value is masked, whole, unless the reader's
   projection shows it as it is.
3. Otherwise the walk goes on into its properties and items. The data bounds its depth, so
   contracts that contain themselves need no bound of their own.

So nothing escapes that the field index leaves out for being no field: values of arrays and of maps,
names with dots, what lies deeper than the index goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog.applying import Gatherer, Schema, mapping, nodes_of, of_item, of_property
from catalog.types import Classification
from governance.projection import MASKED, Projection

MASK: Final = "•••••"
SENSITIVITY: Final = (
    Classification.PUBLIC,
    Classification.INTERNAL,
    Classification.PERSONAL,
    Classification.SENSITIVE,
)
PERSONAL: Final = frozenset({"personal", "sensitive"})


def sensitivity_of(document: object) -> int:
    """The place in SENSITIVITY of the most sensitive classification anywhere in a document."""
    highest = 0
    for node in nodes_of(document):
        said = node.get("x-classification")
        if isinstance(said, str) and said in Classification.values:
            highest = max(highest, SENSITIVITY.index(Classification(said)))
    return highest


def is_personal(document: object) -> bool:
    """Whether a document calls anything personal or sensitive."""
    return SENSITIVITY[sensitivity_of(document)] in PERSONAL


@dataclass(frozen=True, slots=True)
class Shown:
    """Data as somebody may see it, and where stood what is personal: masked, or shown `clear`; and
    what was left out. Places are dotted paths, `[]` for items and `*` for keys of maps, each once;
    `null` holds nothing and stays."""

    data: Any
    masked: tuple[str, ...]
    clear: tuple[str, ...]
    left_out: tuple[str, ...]


def mask(documents: Sequence[object], data: Any) -> tuple[Any, list[str]]:
    """A copy of the data without what any of the contracts calls personal, and where that stood."""
    shown = project(documents, data, MASKED)
    return shown.data, list(shown.masked)


def project(documents: Sequence[object], data: Any, projection: Projection) -> Shown:
    """A copy of the data as a projection shows it: fields that it does not show are left out, what
    any of the contracts calls personal is masked unless it is shown as it is."""
    walk = _Walk([document for document in documents if isinstance(document, Mapping)], projection)
    found = walk.shown(data)
    return Shown(found, tuple(walk.masked), tuple(walk.clear), tuple(walk.left_out))


class _Walk:
    def __init__(self, documents: Sequence[Schema], projection: Projection) -> None:
        self.documents = documents
        self.projection = projection
        self.masked: dict[str, None] = {}
        self.clear: dict[str, None] = {}
        self.left_out: dict[str, None] = {}
        self._gatherer = Gatherer()

    def shown(self, data: Any) -> Any:
        # A value that is no object has no fields to choose from.
        if self.projection.fields is not None and not isinstance(data, dict):
            self.left_out["data"] = None
            return None
        return self._value([(document, document) for document in self.documents], data, "")

    def _value(self, schemas: list[tuple[Schema, Schema]], value: Any, path: str) -> Any:
        applying = self._gatherer.gather(schemas)
        if any(_says_personal(schema) for schema, _ in applying):
            if value is None:
                return None
            if self.projection.is_clear(path or "data"):
                self.clear[path or "data"] = None
                return value
            self.masked[path or "data"] = None
            return MASK
        if isinstance(value, dict):
            shown = {}
            for key, item in value.items():
                # A key that no contract names may be personal itself: it stays out of the place.
                is_named = any(key in mapping(s.get("properties")) for s, _ in applying)
                step = key if is_named else "*"
                where = f"{path}.{step}" if path else step
                if self.projection.shows(where) or self.projection.leads_to_shown(where):
                    shown[key] = self._value(list(of_property(applying, key)), item, where)
                else:
                    self.left_out[where] = None
            return shown
        if isinstance(value, list):
            return [
                self._value(list(of_item(applying, index)), item, f"{path}[]")
                for index, item in enumerate(value)
            ]
        return value


def _says_personal(schema: Schema) -> bool:
    said = schema.get("x-classification")
    return isinstance(said, str) and said in PERSONAL
