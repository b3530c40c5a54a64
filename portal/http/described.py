"""Readers that say what they read: one declaration refuses a bad value and describes a good one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A reader of one value (TypeError and ValueError refuse it) and its JSON Schema."""

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __call__(self, value: Any) -> Any:
        return self.read(value)


def schema_of(reader: object) -> Schema:
    """The JSON Schema of what a reader takes; any text for a plain function."""
    return dict(reader.schema) if isinstance(reader, Described) else {"type": "string"}
