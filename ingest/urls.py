"""Addresses of ingest."""

from django.urls import re_path

from ingest import views_events

urlpatterns = [re_path(r"^v1/events/?$", views_events.events, name="ingest_events")]
