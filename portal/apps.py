from importlib import import_module

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        import_module("portal.checks")
        # Web and commands hand work to the workers too: without our application Celery would
        # send it to a broker of its own choosing.
        import_module("portal.celery")
