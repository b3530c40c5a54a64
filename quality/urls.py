"""Pages of quality."""

from django.urls import path

from quality import views

urlpatterns = [
    path("quality/", views.overview, name="quality"),
    path("quality/alarms/<int:alarm_id>/", views.alarm, name="alarm"),
]
