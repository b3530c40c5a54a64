"""Rules for passwords that Django has none for: words that everybody tries first here, what many use
or is guessed early, and how long.

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
# How many guesses a password withstands at least, as zxcvbn counts them: lists of common passwords
# and words in turn, with the years, rows of keys, repetitions and swapped letters that people add.
FEWEST_GUESSES: Final = 30_000_000
# The estimate takes time that grows with the square of the length; nobody lists what is longer.
_JUDGED: Final = 72
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


class GuessableValidator:
    """Refuses what many use, and what is guessed in the first thirty million tries."""

    def validate(self, password: str, user: object = None) -> None:
        if self._is_guessed(password):
            raise ValidationError(self.get_help_text(), code="guessable")

    @staticmethod
    def _is_guessed(password: str) -> bool:
        # Here, as its word lists take 16 MB that only a process which sets a password needs.
        from zxcvbn import zxcvbn  # noqa: PLC0415

        if not password or len(password) > _JUDGED:
            return False
        return bool(zxcvbn(password)["guesses"] < FEWEST_GUESSES)

    def get_help_text(self) -> str:
        return "Others use it, or a program guesses it soon: take a few words that nobody expects."


class AtMostValidator:
    """Refuses what nobody types, before it is hashed some hundred thousand times."""

    def validate(self, password: str, user: object = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(f"A password has at most {LONGEST:,} characters.", "too_long")

    def get_help_text(self) -> str:
        return f"At most {LONGEST:,} characters."
