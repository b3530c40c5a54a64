"""Rules for passwords that Django has none for: words that everybody tries first here, and how long.

The words are the portal's own, and the parts of the name that people reach it by (docs/security.md).
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

LONGEST: Final = 1_000
OWN_WORDS: Final = ("event", "portal", "stream", "password", "passwort", "welcome", "secret")
FEWEST_OTHERS: Final = 8
_SHORTEST_PART: Final = 4


def words() -> Iterator[str]:
    """The words, the longest first, so that a part of one does not spare the rest of it."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    parts = {part for part in host.replace("-", ".").split(".") if len(part) >= _SHORTEST_PART}
    yield from sorted({*OWN_WORDS, *parts}, key=lambda word: (-len(word), word))


class ContextWordsValidator:
    """Refuses a password that has fewer than eight characters beside such words."""

    def validate(self, password: str, user: object = None) -> None:
        rest = password.lower()
        for word in words():
            rest = rest.replace(word, "")
        if len(rest) < FEWEST_OTHERS and rest != password.lower():
            raise ValidationError(self.get_help_text(), code="context_words")

    def get_help_text(self) -> str:
        return (
            f"Beside words such as portal, or the portal's own name, a password needs "
            f"{FEWEST_OTHERS} more characters."
        )


class AtMostValidator:
    """Refuses what nobody types, before it is hashed some hundred thousand times."""

    def validate(self, password: str, user: object = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(f"A password has at most {LONGEST:,} characters.", "too_long")

    def get_help_text(self) -> str:
        return f"At most {LONGEST:,} characters."
