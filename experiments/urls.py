"""Pages of experiments."""

from django.urls import path

from experiments import views

urlpatterns = [
    path("experiments/", views.overview, name="experiments"),
    path("experiments/<str:key>/", views.experiment, name="experiment"),
    path("experiments/<str:key>/start/", views.start, name="experiment_start"),
]
