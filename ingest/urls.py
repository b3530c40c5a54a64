"""The event door and the pages of ingest."""

from django.urls import path, re_path

from ingest import views_events, views_letters, views_pages

urlpatterns = [
    re_path(r"^v1/events/?$", views_events.events, name="ingest_events"),
    path("dead-letters/", views_letters.dead_letter_groups, name="dead_letters"),
    path("dead-letters/<str:group>/", views_letters.dead_letter_group, name="dead_letter_group"),
    path("replays/", views_letters.replays, name="replays"),
    path("replays/<uuid:repair_id>/", views_letters.replay, name="replay"),
    path("replays/<uuid:repair_id>/state/", views_letters.replay_state, name="replay_state"),
    path("discovered/", views_letters.discovered_types, name="discovered"),
    path("streams/<str:name>/waiting/", views_letters.replay_waiting, name="replay_waiting"),
    path("streams/<str:name>/events/<path:event_id>/", views_pages.event_page, name="event"),
]
