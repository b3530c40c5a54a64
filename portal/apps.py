from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from portal.kernel import failpoints


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        import_module("portal.checks")
        # Web and commands hand work to the workers too: without our application Celery would
        # send it to a broker of its own choosing.
        import_module("portal.celery")
        try:
            failpoints.arm(settings.FAILPOINTS, allowed=settings.FAILPOINTS_ALLOWED)
        except ValueError as error:
            raise ImproperlyConfigured(str(error)) from error
