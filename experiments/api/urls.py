"""REST routes of experiments, under /api/v1/."""

from django.urls import path

from experiments.api import views

urlpatterns = [
    path("experiments", views.Experiments.as_view()),
    path("experiments/<str:key>", views.ExperimentDetail.as_view()),
    path("experiments/<str:key>/start", views.ExperimentStart.as_view()),
    path("experiments/<str:key>/stop", views.ExperimentStop.as_view()),
    path("experiments/<str:key>/results", views.ExperimentResults.as_view()),
    path("metrics", views.Metrics.as_view()),
    path("metrics/<str:key>", views.MetricDetail.as_view()),
]
