"""REST routes of analytics, under /api/v1/."""

from django.urls import path

from analytics.api import lineage, views

urlpatterns = [
    path("streams/<name:name>/lineage", lineage.StreamLineage.as_view()),
    path("rollups", views.Rollups.as_view()),
    path("rollups/<str:name>", views.RollupDetail.as_view()),
    path("rollups/<str:name>/query", views.RollupQuery.as_view()),
]
