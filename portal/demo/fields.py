"""The fields of the demo shop's events: each with its contract and a maker of values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

CURRENCIES: Final = ("EUR", "EUR", "EUR", "SEK", "GBP", "USD")
COUNTRIES: Final = ("FI", "SE", "NL", "DE", "DE", "FR", "GB", "ES", "IT", "PL")
DEVICES: Final = ("web", "web", "ios", "android", "android", "tv")
WORDS: Final = (
    "lamp", "desk", "kettle", "jacket", "boots", "headphones", "camera", "tent", "sofa", "mug",
)  # fmt: skip
REASONS: Final = ("insufficient_funds", "expired_card", "declined", "timeout", "fraud_suspected")

Make = Callable[[Random], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract. `since` is the version that added it; `share` how often it is there."""

    name: str
    schema: dict[str, Any]
    make: Make
    since: int = 1
    share: float = 1.0


def document(fields: Sequence[Field], version: int, description: str) -> dict[str, Any]:
    """The JSON Schema of a version: the fields that were there by then."""
    known = [field for field in fields if field.since <= version]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": description,
        "type": "object",
        "properties": {field.name: field.schema for field in known},
        "required": [field.name for field in known if field.share == 1.0 and field.since == 1],
    }


def data(fields: Sequence[Field], rng: Random) -> dict[str, Any]:
    """The data of one event."""
    return {field.name: field.make(rng) for field in fields if rng.random() < field.share}


def text(name: str, meaning: str, make: Make, **more: Any) -> Field:
    """A text; `more` are `since`, `share` and further words of its schema."""
    placed = {key: more.pop(key) for key in ("since", "share") if key in more}
    return Field(name, {"type": "string", "description": meaning, **more}, make, **placed)


def whole(name: str, meaning: str, low: int, high: int, **more: Any) -> Field:
    """A whole number from `low` to `high`, both included and all alike likely."""
    placed = {key: more.pop(key) for key in ("since", "share") if key in more}
    schema = {"type": "integer", "minimum": 0, "description": meaning, **more}
    return Field(name, schema, lambda rng: rng.randint(low, high), **placed)


def choice(name: str, meaning: str, values: Sequence[str], **placed: Any) -> Field:
    """One of the values; what is listed twice comes twice as often."""
    schema = {"type": "string", "enum": sorted(set(values)), "description": meaning}
    return Field(name, schema, lambda rng: rng.choice(values), **placed)


def flag(name: str, meaning: str, likely: float = 0.5, **placed: Any) -> Field:
    """A boolean that is true with the chance `likely`."""
    return Field(
        name,
        {"type": "boolean", "description": meaning},
        lambda rng: rng.random() < likely,
        **placed,
    )


def money(name: str, meaning: str, typical: int = 4990, **placed: Any) -> Field:
    """An amount in minor units, lognormal around the typical one."""
    schema = {
        "type": "integer",
        "minimum": 0,
        "description": meaning,
        "x-unit": "minor units",
        "examples": [typical],
    }
    return Field(
        name,
        schema,
        lambda rng: max(1, round(rng.lognormvariate(math.log(typical), 0.6))),
        **placed,
    )


def identifier(name: str, meaning: str, prefix: str, spread: int = 900_000, **placed: Any) -> Field:
    """A prefix and a number from 100,000 on, of `spread` different ones."""
    schema = {
        "type": "string",
        "maxLength": 40,
        "description": meaning,
        "examples": [f"{prefix}100042"],
    }
    return Field(name, schema, lambda rng: f"{prefix}{100_000 + rng.randrange(spread)}", **placed)


def personal(name: str, meaning: str, make: Make, treatment: str, **more: Any) -> Field:
    """A personal field with its treatment."""
    return text(
        name, meaning, make, **{"x-classification": "personal", "x-privacy": treatment, **more}
    )


def email(rng: Random) -> str:
    return f"person{rng.randrange(9000):04d}@mail.example"


def postcode(rng: Random) -> str:
    return f"{rng.randrange(10_000, 99_999)}"


def phrase(rng: Random) -> str:
    return " ".join(rng.sample(WORDS, rng.randint(1, 3)))


def basket(rng: Random) -> list[dict[str, Any]]:
    return [
        {"sku": f"SKU-{rng.randrange(100, 400)}", "quantity": rng.randint(1, 3)}
        for _ in range(rng.randint(1, 4))
    ]


ITEMS: Final = Field(
    "items",
    {
        "type": "array",
        "description": "One per line, 1 to 200.",
        "items": {
            "type": "object",
            "properties": {
                "sku": {"type": "string", "description": "The article sold."},
                "quantity": {"type": "integer", "minimum": 1, "description": "How many of it."},
            },
            "required": ["sku", "quantity"],
        },
    },
    basket,
)
