"""Start-up checks: a route without a declared policy stops the start."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import Error, register
from django.urls import URLPattern, URLResolver, get_resolver

from governance.middleware import LIBRARY_POLICIES, route_policy
from portal.http.policy import POLICIES, policy_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route with its view, depth first."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def served_methods(view: Any) -> tuple[str, ...]:
    """The HTTP methods a view answers: those of its class, or those its policy names."""
    holder = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if holder is not None:
        actions = getattr(view, "actions", None)
        names = (
            set(actions) if actions else {m.lower() for m in METHODS if hasattr(holder, m.lower())}
        )
        return tuple(method for method in METHODS if method.lower() in names)
    return tuple(method for method in METHODS if method in (policy_of(view) or {}))


@register()
def every_route_declares_a_policy(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Error portal.E001 for each route with a method whose policy is missing or unknown."""
    errors = []
    for route, view in routes():
        methods = served_methods(view)
        words = {method: route_policy(view, method) for method in methods}
        module = getattr(view, "__module__", "")
        is_library = any(module.startswith(name) for name in LIBRARY_POLICIES)
        missing = [method for method, word in words.items() if word not in POLICIES]
        if missing or (not methods and not is_library):
            errors.append(
                Error(
                    f"/{route} declares no policy for {', '.join(missing) or 'any method'}.",
                    hint="Decorate the view with portal.http.policy.declare.",
                    id="portal.E001",
                )
            )
    return errors
