"""Where a value of somebody may lie in the catalog: examples in contracts, drafts, reports of changes."""

from typing import Final

from catalog.models import (
    Change,
    Draft,
    ProducerSource,
    RegistrySchema,
    SchemaField,
    SchemaVersion,
    Stream,
)
from governance.erasing_tables import ERASED, Column, Tables

# The keywords of a contract that hold values; the names of its fields are no values.
_VALUES: Final = frozenset({"examples", "example", "default", "enum", "const"})


def _holds_values(pointer: str) -> bool:
    return not _VALUES.isdisjoint(pointer.split("/")[1:])


# What makes a contract the same contract (its SHA-256, its fingerprint) stays that of before, as the
# content hash of an event does: who sends it again sends nothing new.
CONTRACTS: Final = Tables(
    "contracts",
    "Contracts and their examples",
    (
        Column(
            SchemaVersion, "document", is_guarded=True, keeps_places=False, where=_holds_values
        ),
        Column(SchemaField, "example", keeps_places=False),
        Column(SchemaField, "enum", keeps_places=False),
        Column(
            RegistrySchema, "text", is_text=True, keeps_places=False, where=_holds_values
        ),
    ),
)  # fmt: skip
DRAFTS: Final = Tables(
    "catalog",
    "Drafts, changes and what files said of streams",
    (
        Column(Draft, "title", at="created_at", is_plain=True, instead=ERASED),
        Column(Draft, "content", at="created_at"),
        Column(Draft, "page", at="created_at"),
        Column(Change, "report", at="opened_at"),
        Column(Change, "replay", at="opened_at"),
        Column(SchemaVersion, "findings"),
        Column(SchemaVersion, "extensions"),
        Column(Stream, "extensions"),
        Column(RegistrySchema, "metadata"),
        Column(RegistrySchema, "rule_set"),
        Column(ProducerSource, "source", names_a_thing=True),
    ),
)
STORES: Final = (CONTRACTS, DRAFTS)
