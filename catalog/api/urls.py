"""REST routes of the catalog, under /api/v1/."""

from django.urls import path

from catalog.api import parties, streams

urlpatterns = [
    path("streams", streams.Streams.as_view()),
    path("streams/<str:name>", streams.StreamDetail.as_view()),
    path("streams/<str:name>/code", streams.StreamCode.as_view()),
    path("streams/<str:name>/follow", streams.FollowStream.as_view()),
    path("streams/<str:name>/schemas", streams.Schemas.as_view()),
    path("streams/<str:name>/schemas/<int:version>", streams.SchemaDetail.as_view()),
    path("schemas/infer", streams.Infer.as_view()),
    path("schemas/lint", streams.Lint.as_view()),
    path("domains", parties.Domains.as_view()),
    path("domains/<slug:slug>", parties.DomainDetail.as_view()),
    path("teams", parties.Teams.as_view()),
    path("producers", parties.Producers.as_view()),
    path("producers/<slug:name>", parties.ProducerDetail.as_view()),
    path("producers/<slug:name>/keys", parties.ProducerKeys.as_view()),
    path("consumers", parties.Consumers.as_view()),
    path("consumers/<slug:name>", parties.ConsumerDetail.as_view()),
    path("consumers/<slug:name>/keys", parties.ConsumerKeys.as_view()),
    path("consumers/<slug:name>/mappings", parties.ConsumerMappings.as_view()),
    path("tags", parties.Tags.as_view()),
    path("fields", parties.Fields.as_view()),
    path("search", parties.Search.as_view()),
    path("me", parties.Me.as_view()),
]
