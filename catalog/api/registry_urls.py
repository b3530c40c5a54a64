"""Addresses under /registry, each with and without a trailing slash."""

from django.urls import re_path

from catalog.api import registry as view
from catalog.api import registry_settings as setting
from catalog.api.registry_door import route

READ, WRITE = "registry.read", "registry.write"
_SUBJECT = "(?P<subject>[^/]+)"
_VERSION = "(?P<version>[^/]+)"
_ID = "(?P<schema_id>[^/]+)"

root = route(GET=(READ, view.root))
urlpatterns = [
    re_path(r"^$", root),
    re_path(r"^subjects/?$", route(GET=(READ, view.subjects))),
    re_path(
        rf"^subjects/{_SUBJECT}/?$",
        route(POST=(READ, view.look_up), DELETE=(WRITE, view.delete_subject)),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/?$",
        route(GET=(READ, view.versions), POST=(WRITE, view.register)),
    ),
    re_path(rf"^subjects/{_SUBJECT}/metadata/?$", route(GET=(READ, view.with_metadata))),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/?$",
        route(GET=(READ, view.version), DELETE=(WRITE, view.delete_version)),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/schema/?$",
        route(GET=(READ, view.version_schema)),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/referencedby/?$",
        route(GET=(READ, view.referenced_by)),
    ),
    re_path(r"^schemas/?$", route(GET=(READ, view.schemas))),
    re_path(r"^schemas/types/?$", route(GET=(READ, view.schema_types))),
    re_path(rf"^schemas/ids/{_ID}/?$", route(GET=(READ, view.schema))),
    re_path(rf"^schemas/ids/{_ID}/schema/?$", route(GET=(READ, view.schema_text))),
    re_path(rf"^schemas/ids/{_ID}/subjects/?$", route(GET=(READ, view.schema_subjects))),
    re_path(rf"^schemas/ids/{_ID}/versions/?$", route(GET=(READ, view.schema_versions))),
    re_path(r"^schemas/guids/(?P<guid>[^/]+)/?$", route(GET=(READ, view.schema_by_guid))),
    re_path(rf"^compatibility/subjects/{_SUBJECT}/versions/?$", route(POST=(READ, view.try_all))),
    re_path(
        rf"^compatibility/subjects/{_SUBJECT}/versions/{_VERSION}/?$",
        route(POST=(READ, view.try_version)),
    ),
    re_path(
        r"^config/?$",
        route(
            GET=(READ, setting.global_level),
            PUT=(WRITE, setting.set_global_level),
            DELETE=(WRITE, setting.clear_global_level),
        ),
    ),
    re_path(
        rf"^config/{_SUBJECT}/?$",
        route(
            GET=(READ, setting.level),
            PUT=(WRITE, setting.set_level),
            DELETE=(WRITE, setting.clear_level),
        ),
    ),
    re_path(
        r"^mode/?$",
        route(
            GET=(READ, setting.global_mode),
            PUT=(WRITE, setting.set_global_mode),
            DELETE=(WRITE, setting.clear_global_mode),
        ),
    ),
    re_path(
        rf"^mode/{_SUBJECT}/?$",
        route(
            GET=(READ, setting.mode),
            PUT=(WRITE, setting.set_mode),
            DELETE=(WRITE, setting.clear_mode),
        ),
    ),
    re_path(r"^contexts/?$", route(GET=(READ, view.contexts))),
    # All else, such as the associations that the official serializer asks for first.
    re_path(
        r"^.+$",
        route(
            GET=(READ, view.nothing),
            POST=(READ, view.nothing),
            PUT=(READ, view.nothing),
            DELETE=(READ, view.nothing),
        ),
    ),
]
