"""What the page shell shows on every page: navigation, platform state, the person."""

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, object]:
    theme = request.COOKIES.get("theme", "")
    return {"shell": {"theme": theme if theme in ("light", "dark") else ""}}
