"""Pages that belong to no single app: the theme and the design guide."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from catalog.drawing import Node, lineage
from experiments.drawing import glyph
from portal.http.theme import keep_theme


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie; browsers with script do it without coming here."""
    chosen = request.POST.get("theme", "")
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    response = redirect(target)
    if chosen:
        keep_theme(response, request, chosen)
    return response


@require_GET
def design(request: HttpRequest) -> HttpResponse:
    """Every part of the interface in every state, drawn by the same tags that pages use."""
    return render(
        request,
        "portal/design.html",
        {
            "trust_states": _TRUST_EXAMPLES,
            "days": [8, 9, 7, 8, 10, 9, 9, 11, 10, 12, 9, 10, 11, 12],
            "hours": ["ok"] * 17 + ["none", "ok", "warn", "bad", "bad", "warn", "ok"],
            "lineage": lineage("checkout.order_placed", _SENDERS, _READERS, "/consumers/"),
            "glyphs": [glyph(at, low, high, css, css) for at, low, high, css in _GLYPHS],
        },
    )


_SENDERS = [Node("web-shop", "64 %", "/producers/"), Node("ios-app", "36 %", "/producers/")]
_READERS = [Node(f"reader-{n}", "service", "/consumers/") for n in range(1, 10)]
_GLYPHS = [(0.024, 0.012, 0.036, "pos"), (0.002, -0.01, 0.012, "neu"), (-0.02, -0.03, -0.01, "neg")]


class _Part:
    def __init__(self, name: str, state: str) -> None:
        self.name, self.state = name, state


class _Trust:
    def __init__(self, word: str, *states: str) -> None:
        names = ("Owned", "Stable", "Fresh", "Clean", "Cleared")
        self.word = word
        self.parts = [_Part(name, state) for name, state in zip(names, states, strict=True)]


_TRUST_EXAMPLES = [
    _Trust("Trusted", "fine", "fine", "fine", "fine", "fine"),
    _Trust("Use with care", "fine", "fine", "care", "fine", "fine"),
    _Trust("Not ready", "fine", "fine", "fine", "failing", "fine"),
    _Trust("Unproven", "fine", "fine", "unknown", "unknown", "fine"),
]
