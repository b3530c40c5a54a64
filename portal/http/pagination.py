"""Lists by keyset: a cursor names the last row that was given, so pages neither skip nor repeat.

The cursor is opaque to clients and signed: base64url of a MAC over the list it was made for and of
JSON with the last row's values in the list's order. One of another list, or altered, is a 400.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import orjson
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Q, QuerySet
from django.utils.crypto import salted_hmac

from portal.http.parameters import DEFAULT_LIMIT
from portal.kernel.errors import BadRequestError

M = TypeVar("M", bound=Model)
R = TypeVar("R")
T = TypeVar("T")

_MAC_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list and the cursor of the next, None at the end."""

    items: list[T]
    next: str | None

    def as_dict(self, render: Callable[[T], object]) -> dict[str, object]:
        """The page as the API gives it: rendered `items`, and `next`."""
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
    made_for = f"{queryset.model._meta.label}:{','.join(order)}"
    rows = queryset.order_by(*order)
    if cursor:
        rows = rows.filter(_after(queryset.model, order, decode_cursor(cursor, made_for)))
    found = list(rows[: size + 1])
    if len(found) <= size:
        return Page(found, None)
    last = found[size - 1]
    names = [column.lstrip("-") for column in order]
    values = [last[name] if isinstance(last, dict) else getattr(last, name) for name in names]
    return Page(found[:size], encode_cursor(made_for, values))


def paginate_rows(
    rows: Sequence[T],
    *,
    key: Callable[[T], Sequence[object]],
    made_for: str,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[T]:
    """A page of a short list that is at hand, in the order of a unique key of texts or numbers."""
    size = limit or DEFAULT_LIMIT
    ordered = sorted(rows, key=lambda row: list(key(row)))
    if cursor:
        last = decode_cursor(cursor, made_for)
        ordered = [row for row in ordered if list(key(row)) > last]
    if len(ordered) <= size:
        return Page(ordered, None)
    return Page(ordered[:size], encode_cursor(made_for, key(ordered[size - 1])))


def encode_cursor(made_for: str, values: Sequence[object]) -> str:
    """The opaque text of a position in a list."""
    raw = orjson.dumps([_plain(value) for value in values])
    return base64.urlsafe_b64encode(_mac(made_for, raw) + raw).decode().rstrip("=")


def decode_cursor(cursor: str, made_for: str) -> list[Any]:
    """The values inside a cursor; BadRequestError when it was not made here for this list."""
    try:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        whole = b""
    mac, raw = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
    is_spelled_right = base64.urlsafe_b64encode(whole).decode().rstrip("=") == cursor
    if not is_spelled_right or not hmac.compare_digest(mac, _mac(made_for, raw)):
        raise BadRequestError(
            "The cursor was not made for this list and ordering. Start without it.", code="cursor"
        )
    return list(orjson.loads(raw))


def _mac(made_for: str, raw: bytes) -> bytes:
    signed = salted_hmac("portal.cursor", made_for.encode() + b"\0" + raw, algorithm="sha256")
    return signed.digest()[:_MAC_BYTES]


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
