"""REST routes of ingest, under /api/v1/."""

from django.urls import path

from ingest.api import enforcement, flow, limits, repairs, storage, suspects, synthetic, views

urlpatterns = [
    path("streams/<name:name>/events", views.StreamEvents.as_view()),
    path("streams/<name:name>/events/<name:event_id>", views.StreamEvent.as_view()),
    path("streams/<name:name>/events/<name:event_id>/reveal", views.RevealedEvent.as_view()),
    path("streams/<name:name>/enforcement", enforcement.StreamEnforcement.as_view()),
    path("streams/<name:name>/enforcement/move", enforcement.MoveEnforcement.as_view()),
    path("streams/<name:name>/deprecated-uses", enforcement.DeprecatedUses.as_view()),
    path("producers/<slug:name>/limits", limits.ProducerLimits.as_view()),
    path("streams/<name:name>/privacy-suggestions", suspects.PrivacySuggestions.as_view()),
    path(
        "streams/<name:name>/privacy-suggestions/<int:number>/accept",
        suspects.AcceptSuggestion.as_view(),
    ),
    path(
        "streams/<name:name>/privacy-suggestions/<int:number>/dismiss",
        suspects.DismissSuggestion.as_view(),
    ),
    path("streams/<name:name>/retention", storage.StreamRetention.as_view()),
    path("streams/<name:name>/restores", storage.StreamRestores.as_view()),
    path("streams/<name:name>/restores/<uuid:restore_id>", storage.StreamRestore.as_view()),
    path("synthetic-runs", synthetic.SyntheticRuns.as_view()),
    path("synthetic-runs/<uuid:run_id>", synthetic.SyntheticRunDetail.as_view()),
    path("storage", storage.Storage.as_view()),
    path("storage/streams", storage.StorageStreams.as_view()),
    path("storage/archives", storage.StorageArchives.as_view()),
    path("storage/runs", storage.StorageRuns.as_view()),
    path("dead-letters", views.DeadLetters.as_view()),
    path("dead-letters/groups", views.DeadLetterGroups.as_view()),
    path("dead-letters/groups/<str:group>", repairs.GroupDetail.as_view()),
    path("dead-letters/groups/<str:group>/known", repairs.Known.as_view()),
    path("dead-letters/groups/<str:group>/assign", repairs.Assign.as_view()),
    path("dead-letters/repairs", repairs.Repairs.as_view()),
    path("dead-letters/repairs/<uuid:repair_id>", repairs.RepairDetail.as_view()),
    path("dead-letters/repairs/<uuid:repair_id>/dry-run", repairs.DryRun.as_view()),
    path("dead-letters/repairs/<uuid:repair_id>/approve", repairs.Approve.as_view()),
    path("dead-letters/repairs/<uuid:repair_id>/decline", repairs.Decline.as_view()),
    path("dead-letters/repairs/<uuid:repair_id>/apply", repairs.Apply.as_view()),
    path("dead-letters/replay", repairs.Replay.as_view()),
    path("dead-letters/discard", repairs.Discard.as_view()),
    path("dead-letters/export", repairs.Export.as_view()),
    path("dead-letters/discovered", repairs.Discovered.as_view()),
    path("dead-letters/<uuid:letter_id>", views.DeadLetterDetail.as_view()),
    path("dead-letters/<uuid:letter_id>/reveal", views.RevealedLetter.as_view()),
    path("ingest/find", flow.FindEvent.as_view()),
    path("ingest/health", flow.IngestFlow.as_view()),
    path("replays", repairs.Replays.as_view()),
    path("replays/<uuid:repair_id>", repairs.ReplayDetail.as_view()),
]
