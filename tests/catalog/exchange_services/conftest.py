"""Streams as other tools name them, of our own making."""

from typing import Any

from catalog.exchange.documents import OutsideStream, OutsideVersion


def schema(**properties: Any) -> dict[str, Any]:
    """A closed schema with an id; the given properties are optional."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A refund was paid out.",
        "type": "object",
        "properties": {
            "refund_id": {"type": "string", "description": "Its number."},
            **properties,
        },
        "required": ["refund_id"],
    }


AMOUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "description": "What was paid."}
FIRST = schema(amount_minor=AMOUNT)
SECOND = schema(amount_minor=AMOUNT, note={"type": "string", "description": "Why."})
# Another type for a field that is there: it breaks every mode but NONE.
BREAKING = schema(amount_minor={"type": "string", "description": "What was paid."})


def outside(name: str = "Shop/RefundIssued", *documents: Any, **facts: Any) -> OutsideStream:
    """A stream of a file with its versions, labelled 1.0.0, 1.1.0, …"""
    versions = facts.pop(
        "versions",
        tuple(
            OutsideVersion(f"1.{number}.0", document)
            for number, document in enumerate(documents or (FIRST,))
        ),
    )
    return OutsideStream(name=name, where="file.yaml", versions=versions, **facts)
