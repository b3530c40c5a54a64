"""Lists by keyset: a cursor names the last row that was given, so pages neither skip nor repeat.

The cursor is opaque to clients: base64url JSON of the ordering and of the last row's values in it.
One made for another ordering, or altered, is a 400.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model, Q, QuerySet

from portal.http.parameters import DEFAULT_LIMIT
from portal.kernel.errors import BadRequestError

M = TypeVar("M", bound=Model)
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list and the cursor of the next, None at the end."""

    items: list[T]
    next: str | None

    def as_dict(self, render: Callable[[T], object]) -> dict[str, object]:
        return {"items": [render(item) for item in self.items], "next": self.next}


def paginate(
    queryset: QuerySet[M, R],
    *,
    order: Sequence[str],
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[R]:
    """A page of a queryset in an order whose last column is unique ("-at", "id").

    Columns are own fields or annotations, never null; rows are models or dictionaries. One query, which reads limit + 1 rows.
    """
    size = limit or DEFAULT_LIMIT
    rows = queryset.order_by(*order)
    if cursor:
        rows = rows.filter(_after(queryset.model, order, decode_cursor(cursor, order)))
    found = list(rows[: size + 1])
    if len(found) <= size:
        return Page(found, None)
    last = found[size - 1]
    names = [column.lstrip("-") for column in order]
    values = [last[name] if isinstance(last, dict) else getattr(last, name) for name in names]
    return Page(found[:size], encode_cursor(order, values))


def encode_cursor(order: Sequence[str], values: Sequence[object]) -> str:
    """The opaque text of a position in an order."""
    raw = orjson.dumps([",".join(order), [_plain(value) for value in values]])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(cursor: str, order: Sequence[str]) -> list[Any]:
    """The values inside a cursor; BadRequestError when it was not made for this order."""
    try:
        made_for, values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if made_for != ",".join(order) or len(values) != len(order):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise BadRequestError(
            "The cursor was not made for this list and ordering. Start without it.", code="cursor"
        ) from None
    return list(values)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _after(model: type[Model], order: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows strictly after the position: (a, b) > (x, y) spelled out for mixed directions."""
    after, equal = Q(), Q()
    for column, raw in zip(order, values, strict=True):
        name = column.lstrip("-")
        value = _typed(model, name, raw)
        after |= equal & Q(**{f"{name}__{'lt' if column.startswith('-') else 'gt'}": value})
        equal &= Q(**{name: value})
    return after


def _typed(model: type[Model], name: str, raw: Any) -> Any:
    try:
        return model._meta.get_field(name).to_python(raw)  # type: ignore[union-attr]  # own columns
    except FieldDoesNotExist:
        return raw  # an annotation: JSON already gave its type
    except (ValidationError, ValueError, TypeError):
        raise BadRequestError("The cursor was altered. Start without it.", code="cursor") from None
