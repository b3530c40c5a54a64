from importlib import import_module

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        import_module("portal.checks")
        # Whoever enqueues, a page or a command, must know the broker; by itself Celery knows none.
        import_module("portal.celery")
