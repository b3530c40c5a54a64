from django.apps import AppConfig


class IngestConfig(AppConfig):
    name = "ingest"

    def ready(self) -> None:
        # The catalog, below, learns here how stored events are replayed against a candidate.
        from catalog import impact  # noqa: PLC0415  # models exist only now
        from ingest.services.replays import replay_step  # noqa: PLC0415

        impact.register_replayer(replay_step)
