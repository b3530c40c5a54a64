"""The doors and the pages of ingest."""

from django.urls import path, re_path

from ingest.doors import views_events, views_segment
from ingest.pages import (
    views_letters,
    views_limits,
    views_pages,
    views_privacy,
    views_storage,
    views_synthetic,
)
from ingest.protocols.segment import WORDS

urlpatterns = [
    re_path(r"^v1/events/?$", views_events.events, name="ingest_events"),
    *(re_path(rf"^v1/{word}/?$", views_segment.track) for word in WORDS),
    path("v1/projects/<str:write_key>/settings", views_segment.settings, name="segment_settings"),
    path("producers/<slug:name>/limits/", views_limits.producer_limits, name="producer_limits"),
    path("ingest/find/", views_pages.find_event, name="find_event"),
    path("ingest/storage/", views_storage.storage_page, name="storage"),
    path("ingest/storage/run/", views_storage.storage_run, name="storage_run"),
    path("ingest/synthetic/", views_synthetic.synthetic, name="synthetic"),
    path("ingest/synthetic/<uuid:run_id>/", views_synthetic.synthetic_run, name="synthetic_run"),
    path(
        "ingest/synthetic/<uuid:run_id>/state/",
        views_synthetic.synthetic_state,
        name="synthetic_state",
    ),
    path("streams/<str:name>/retention/", views_storage.stream_retention, name="stream_retention"),
    path(
        "streams/<str:name>/suggestions/<int:number>/",
        views_privacy.decide,
        name="privacy_suggestion",
    ),
    path("streams/<str:name>/privacy/", views_privacy.stream_privacy, name="stream_privacy"),
    path("privacy/", views_privacy.privacy_page, name="privacy"),
    path("privacy/rotate/", views_privacy.privacy_rotate, name="privacy_rotate"),
    path("dead-letters/", views_letters.dead_letter_groups, name="dead_letters"),
    path("dead-letters/<str:group>/", views_letters.dead_letter_group, name="dead_letter_group"),
    path("letters/<uuid:letter_id>/", views_letters.letter, name="letter"),
    path("letters/<uuid:letter_id>/reveal/", views_letters.letter_reveal, name="letter_reveal"),
    path("replays/", views_letters.replays, name="replays"),
    path("replays/<uuid:repair_id>/", views_letters.replay, name="replay"),
    path("replays/<uuid:repair_id>/state/", views_letters.replay_state, name="replay_state"),
    path("discovered/", views_letters.discovered_types, name="discovered"),
    path("streams/<str:name>/waiting/", views_letters.replay_waiting, name="replay_waiting"),
    path("streams/<str:name>/events/<path:event_id>/", views_pages.event_page, name="event"),
]
