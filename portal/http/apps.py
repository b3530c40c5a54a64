from django.apps import AppConfig
from django.urls import register_converter


class HttpUiConfig(AppConfig):
    name = "portal.http"
    label = "http_ui"

    def ready(self) -> None:
        # Routes are read only after the apps are ready, and some say <name:…>.
        from portal.http.addresses import NameConverter  # noqa: PLC0415

        register_converter(NameConverter, "name")
