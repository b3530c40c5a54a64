"""Addresses under /registry, each with and without a trailing slash."""

from django.urls import re_path

from catalog.api import registry as view
from catalog.api import registry_settings as setting
from catalog.api.registry_door import route

_SUBJECT = "(?P<subject>[^/]+)"
_VERSION = "(?P<version>[^/]+)"
_ID = "(?P<schema_id>[^/]+)"

root = route(GET=view.root)
urlpatterns = [
    re_path(r"^$", root),
    re_path(r"^subjects/?$", route(GET=view.subjects)),
    re_path(
        rf"^subjects/{_SUBJECT}/?$",
        route(POST=view.look_up, DELETE=view.delete_subject),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/?$",
        route(GET=view.versions, POST=view.register),
    ),
    re_path(rf"^subjects/{_SUBJECT}/metadata/?$", route(GET=view.with_metadata)),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/?$",
        route(GET=view.version, DELETE=view.delete_version),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/schema/?$",
        route(GET=view.version_schema),
    ),
    re_path(
        rf"^subjects/{_SUBJECT}/versions/{_VERSION}/referencedby/?$",
        route(GET=view.referenced_by),
    ),
    re_path(r"^schemas/?$", route(GET=view.schemas)),
    re_path(r"^schemas/types/?$", route(GET=view.schema_types)),
    re_path(rf"^schemas/ids/{_ID}/?$", route(GET=view.schema)),
    re_path(rf"^schemas/ids/{_ID}/schema/?$", route(GET=view.schema_text)),
    re_path(rf"^schemas/ids/{_ID}/subjects/?$", route(GET=view.schema_subjects)),
    re_path(rf"^schemas/ids/{_ID}/versions/?$", route(GET=view.schema_versions)),
    re_path(r"^schemas/guids/(?P<guid>[^/]+)/?$", route(GET=view.schema_by_guid)),
    re_path(rf"^compatibility/subjects/{_SUBJECT}/versions/?$", route(POST=view.try_all)),
    re_path(
        rf"^compatibility/subjects/{_SUBJECT}/versions/{_VERSION}/?$",
        route(POST=view.try_version),
    ),
    re_path(
        r"^config/?$",
        route(
            GET=setting.global_level,
            PUT=setting.set_global_level,
            DELETE=setting.clear_global_level,
        ),
    ),
    re_path(
        rf"^config/{_SUBJECT}/?$",
        route(
            GET=setting.level,
            PUT=setting.set_level,
            DELETE=setting.clear_level,
        ),
    ),
    re_path(
        r"^mode/?$",
        route(
            GET=setting.global_mode,
            PUT=setting.set_global_mode,
            DELETE=setting.clear_global_mode,
        ),
    ),
    re_path(
        rf"^mode/{_SUBJECT}/?$",
        route(
            GET=setting.mode,
            PUT=setting.set_mode,
            DELETE=setting.clear_mode,
        ),
    ),
    re_path(r"^contexts/?$", route(GET=view.contexts)),
    # All else, such as the associations that the official serializer asks for first.
    re_path(
        r"^.+$",
        route(
            GET=view.nothing,
            POST=view.nothing,
            PUT=view.nothing,
            DELETE=view.nothing,
        ),
    ),
]
