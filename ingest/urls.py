"""The doors and the pages of ingest."""

from django.urls import path, re_path

from ingest import views_events, views_pages, views_segment
from ingest.protocols.segment import WORDS

urlpatterns = [
    re_path(r"^v1/events/?$", views_events.events, name="ingest_events"),
    *(re_path(rf"^v1/{word}/?$", views_segment.track) for word in WORDS),
    path("v1/projects/<str:write_key>/settings", views_segment.settings, name="segment_settings"),
    path("dead-letters/", views_pages.dead_letter_groups, name="dead_letters"),
    path("dead-letters/<str:group>/", views_pages.dead_letter_group, name="dead_letter_group"),
    path("streams/<str:name>/events/<path:event_id>/", views_pages.event_page, name="event"),
]
