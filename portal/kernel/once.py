"""Names that exist once: the database's unique constraint decides, also between two at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from psycopg.errors import UniqueViolation

from portal.kernel.errors import ConflictError, FieldError


@contextmanager
def only_once(
    said: str, *, code: str = "name_taken", errors: Sequence[FieldError] = ()
) -> Iterator[None]:
    """Insert inside the block; what is there already is a ConflictError that says so."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        raise ConflictError(said, code=code, errors=errors) from error
