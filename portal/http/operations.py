"""What an operation of the API takes and gives, said once beside the code that does it.

    @operation("The domains, by slug.", takes=parameters.LIST, gives=listed(DomainBody))
    def get(self, request: Request) -> Response: ...

The base view reads parameters and bodies by it, and the OpenAPI document is made of it, so what is
described is what is checked. `gives` is a `TypedDict` that the view's renderer returns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypedDict, TypeVar

import msgspec

from portal.http.bodies import Body
from portal.http.parameters import Reader

F = TypeVar("F", bound=Callable[..., Any])
# A time as it stands in answers: RFC 3339, UTC, microseconds.
Time = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route. `gives` is the shape of the answer of `status`, `also` of others.

    `media` names what the answer is when it is not JSON, `accepts` what a body may be other than a
    JSON object, `refuses` the statuses beyond the usual ones.
    """

    says: str
    takes: Mapping[str, Reader] = field(default_factory=dict)
    body: Body | None = None
    gives: Any = None
    status: int = 200
    also: Sequence[int] = ()
    media: str = "application/json"
    accepts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refuses: Sequence[int] = ()


def operation(says: str, **parts: Any) -> Callable[[F], F]:
    """Attach what a method takes and gives; the parts are those of `Operation`."""
    described = Operation(says, **parts)

    def attach(method: F) -> F:
        method.operation = described  # type: ignore[attr-defined]  # functions take attributes
        return method

    return attach


def operation_of(view: object, method: str) -> Operation | None:
    """The operation of a view and method, of a class or a function; HEAD is GET."""
    name = "get" if method == "HEAD" else method.lower()
    holder = getattr(view, "cls", None) or (view if hasattr(view, name) else None)
    found = getattr(getattr(holder, name, view), "operation", None)
    return found if isinstance(found, Operation) else None


@cache
def listed(item: Any) -> Any:
    """The shape of a list: `items` and the opaque cursor of the next page."""
    name = f"{item.__name__}List"
    return TypedDict(name, {"items": list[item], "next": str | None})  # type: ignore[operator]
