from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    name = "experiments"

    def ready(self) -> None:
        # The catalog, below, learns here what of ours reads fields of a stream.
        from catalog import impact  # noqa: PLC0415  # models exist only now
        from experiments.erasing import STORES  # noqa: PLC0415
        from experiments.selectors import dependents  # noqa: PLC0415
        from governance import erasing  # noqa: PLC0415

        impact.register_dependents("metric", dependents.metrics_on)
        impact.register_dependents("experiment", dependents.experiments_on)
        for store in STORES:
            erasing.register(store)
