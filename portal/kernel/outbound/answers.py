"""What one request may take, and what came back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take. `total_seconds` runs from the first step to the last byte."""

    connect_seconds: float = 3.0
    total_seconds: float = 15.0
    answer_bytes: int = 64 * 1024


USUAL: Final = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. The names of `headers` are in lower case."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)
