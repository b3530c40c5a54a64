from django.apps import AppConfig


class IngestConfig(AppConfig):
    name = "ingest"

    def ready(self) -> None:
        # Models exist only now; the catalog, below, learns here who keeps unregistered events.
        from catalog.samples import offer_discovered  # noqa: PLC0415
        from ingest.selectors import discovered  # noqa: PLC0415

        offer_discovered(discovered.samples_of, discovered.types_for)
