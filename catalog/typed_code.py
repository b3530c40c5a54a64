"""Typed code of a contract for producers: the same text for the same version, always.

Kept in the cache by the fingerprint of the schema; made again when the cache is away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.python_models import python_models
from catalog.schema_safety import fingerprint
from catalog.typescript import type_name, typescript
from portal.kernel import soft_cache

EDITION: Final = 1  # raised when the same schema shall make other code
KEPT_SECONDS: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Language:
    """A language that code is made in: how it is called, its media type and its files' ending."""

    title: str
    media_type: str
    suffix: str
    make: Callable[[Mapping[str, Any], str], str]
    comment: str
    hint: str


LANGUAGES: Final[Mapping[str, Language]] = {
    "python": Language(
        "Python",
        "text/x-python",
        "py",
        python_models,
        "#",
        "Needs pydantic 2. Send data = model.model_dump(mode='json', by_alias=True, "
        "exclude_unset=True).",
    ),
    "typescript": Language(
        "TypeScript",
        "application/typescript",
        "ts",
        typescript,
        "//",
        "Types only: they cost nothing at run time. Send the value as the event's data.",
    ),
}


def class_name(stream: str) -> str:
    """The name of the outermost type: `checkout.order_placed` is `OrderPlaced`."""
    return type_name(stream.rpartition(".")[2])


def etag_of(document: Mapping[str, Any], stream: str, version: int, language: str) -> str:
    """What changes exactly when the code does, without making it."""
    digest = fingerprint([document, stream, version, language, EDITION])
    return digest.hex()[:32]


def typed_code(document: Mapping[str, Any], stream: str, version: int, language: str) -> str:
    """The code of a version in a language. Raises InvalidError where there is none."""
    spoken = LANGUAGES[language]
    name = class_name(stream)
    key = f"typed-code:{EDITION}:{language}:{name}:{fingerprint(document).hex()}"
    body = soft_cache.get(key)
    if not isinstance(body, str):
        body = spoken.make(document, name).lstrip("#\n ")
        soft_cache.put(key, body, KEPT_SECONDS)
    said = (
        f"{stream}, version {version} of its contract. Generated; change the contract instead.",
        spoken.hint,
    )
    return "\n".join([*(f"{spoken.comment} {line}" for line in said), "", body.rstrip(), ""])
