"""A rule for passwords that Django has none for: how long they may be."""

from typing import Final

from django.core.exceptions import ValidationError

LONGEST: Final = 1_000


class AtMostValidator:
    """Refuses what nobody types, before it is hashed some hundred thousand times."""

    def validate(self, password: str, user: object = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(f"A password has at most {LONGEST:,} characters.", "too_long")

    def get_help_text(self) -> str:
        return f"At most {LONGEST:,} characters."
