"""The event door and the pages of ingest."""

from django.urls import path, re_path

from ingest import views_events, views_pages, views_storage

urlpatterns = [
    re_path(r"^v1/events/?$", views_events.events, name="ingest_events"),
    path("ingest/storage/", views_storage.storage_page, name="storage"),
    path("ingest/storage/run/", views_storage.storage_run, name="storage_run"),
    path("streams/<str:name>/retention/", views_storage.stream_retention, name="stream_retention"),
    path("dead-letters/", views_pages.dead_letter_groups, name="dead_letters"),
    path("dead-letters/<str:group>/", views_pages.dead_letter_group, name="dead_letter_group"),
    path("streams/<str:name>/events/<path:event_id>/", views_pages.event_page, name="event"),
]
