from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "quality"

    def ready(self) -> None:
        """Let the catalog be asked for streams by what their checks say, and rank them by it."""
        from catalog.selectors import search  # noqa: PLC0415  # models are not there before
        from quality.selectors import checks  # noqa: PLC0415

        search.add_facet(
            "health", (*checks.WORST_FIRST, checks.NOT_MEASURED), checks.streams_in_health
        )
        search.add_doubt(lambda: checks.streams_in_health(frozenset({"alarm"})))
