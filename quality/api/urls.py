"""REST routes of quality, under /api/v1/."""

from django.urls import path

from quality.api import views

urlpatterns = [
    path("streams/<name:name>/health", views.StreamHealth.as_view()),
    path("streams/<name:name>/facts", views.StreamFacts.as_view()),
    path("checks", views.Checks.as_view()),
    path("alarms", views.Alarms.as_view()),
    path("alarms/<int:alarm_id>", views.AlarmDetail.as_view()),
]
