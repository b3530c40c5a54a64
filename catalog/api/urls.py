"""REST routes of the catalog, under /api/v1/."""

from django.urls import path

from catalog.api import (
    changes,
    compatibility,
    consumers,
    contracts,
    finder,
    glossary,
    groups,
    keys,
    producers,
    streams,
)

urlpatterns = [
    path("streams", streams.Streams.as_view()),
    path("streams/<name:name>", streams.StreamDetail.as_view()),
    path("streams/<name:name>/code", contracts.StreamCode.as_view()),
    path("streams/<name:name>/follow", streams.FollowStream.as_view()),
    path("streams/<name:name>/schemas", streams.Schemas.as_view()),
    path("streams/<name:name>/schemas/<name:version>", streams.SchemaDetail.as_view()),
    path("streams/<name:name>/schemas/<name:version>/approve", changes.ApproveVersion.as_view()),
    path("streams/<name:name>/schemas/<name:version>/ask", changes.AskForChanges.as_view()),
    path("streams/<name:name>/schemas/<name:version>/reject", changes.RejectVersion.as_view()),
    path("streams/<name:name>/schemas/<name:version>/activate", changes.ActivateVersion.as_view()),
    path("streams/<name:name>/schemas/<name:version>/default", changes.DefaultVersion.as_view()),
    path(
        "streams/<name:name>/schemas/<name:version>/deprecate", changes.DeprecateVersion.as_view()
    ),
    path("streams/<name:name>/schemas/<name:version>/retire", changes.RetireVersion.as_view()),
    path(
        "streams/<name:name>/schemas/<name:version>/supersede", changes.SupersedeVersion.as_view()
    ),
    path("changes", changes.Changes.as_view()),
    path("changes/<uuid:change_id>", changes.ChangeDetail.as_view()),
    path("changes/<uuid:change_id>/report", changes.ChangeReport.as_view()),
    path("changes/<uuid:change_id>/comments", changes.ChangeComments.as_view()),
    path("changes/<uuid:change_id>/rerun", changes.ChangeRerun.as_view()),
    path("schemas/compatibility", compatibility.Compatibility.as_view()),
    path("schemas/infer", contracts.Infer.as_view()),
    path("schemas/lint", contracts.Lint.as_view()),
    path("domains", groups.Domains.as_view()),
    path("domains/<slug:slug>", groups.DomainDetail.as_view()),
    path("teams", groups.Teams.as_view()),
    path("teams/<slug:slug>", groups.TeamDetail.as_view()),
    path("producers", producers.Producers.as_view()),
    path("producers/<slug:name>", producers.ProducerDetail.as_view()),
    path("producers/<slug:name>/keys", producers.ProducerKeys.as_view()),
    path("consumers", consumers.Consumers.as_view()),
    path("consumers/<slug:name>", consumers.ConsumerDetail.as_view()),
    path("consumers/<slug:name>/keys", consumers.ConsumerKeys.as_view()),
    path("consumers/<slug:name>/mappings", consumers.ConsumerMappings.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<slug:key_id>", keys.KeyDetail.as_view()),
    path("tags", finder.Tags.as_view()),
    path("tags/<slug:slug>", finder.TagDetail.as_view()),
    path("glossary", glossary.Glossary.as_view()),
    path("glossary/<slug:slug>", glossary.TermDetail.as_view()),
    path("fields", finder.Fields.as_view()),
    path("search", finder.Search.as_view()),
    path("me", finder.Me.as_view()),
]
