"""Start-up checks: a route or method that the matrix does not name stops the start."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import Error, register
from django.urls import URLPattern, URLResolver, get_resolver

from portal.http.policy import METHODS, matrix


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route, as `request.resolver_match` names it, with its view; depth first."""
    for entry in (resolver or get_resolver()).url_patterns:
        part = str(entry.pattern)
        route = prefix + (part.removeprefix("^") if prefix else part)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def served_methods(route: str, view: Any) -> tuple[str, ...]:
    """The HTTP methods a view answers: those of its class; a function has those of the matrix, as
    the gate lets no other through."""
    holder = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if holder is None:
        return matrix().methods(route)
    actions = getattr(view, "actions", None)
    names = set(actions) if actions else {m.lower() for m in METHODS if hasattr(holder, m.lower())}
    return tuple(method for method in METHODS if method.lower() in names)


@register()
def the_matrix_names_every_route_and_method(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Error portal.E001 for a route or method without a policy, E002 for a row of no route."""
    errors, seen = [], set()
    for route, view in routes():
        seen.add(route)
        methods = served_methods(route, view)
        missing = [method for method in methods if matrix().policy(route, method) is None]
        if missing or not methods:
            errors.append(
                Error(
                    f"/{route} has no policy for {', '.join(missing) or 'any method'}.",
                    hint="Give it a row in portal/matrix.toml.",
                    id="portal.E001",
                )
            )
        too_many = set(matrix().methods(route)) - set(methods)
        if too_many and not _takes_any(route):
            errors.append(_stale(f"/{route} does not serve {', '.join(sorted(too_many))}."))
    errors += [_stale(f"There is no route /{route}.") for route in matrix().routes.keys() - seen]
    return errors


def _takes_any(route: str) -> bool:
    return matrix().policy(route, "ANY") is not None


def _stale(what: str) -> Error:
    return Error(what, hint="Take it out of portal/matrix.toml.", id="portal.E002")
