from django.apps import AppConfig


class HttpUiConfig(AppConfig):
    name = "portal.http"
    label = "http_ui"
