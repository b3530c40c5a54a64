"""Pages of the catalog that need no app above it; the rest stand in portal.urls."""

from django.urls import path

from catalog import views

urlpatterns = [
    path("streams/new/", views.register, name="stream_new"),
    path("streams/<str:name>/use/", views.use, name="stream_use"),
    path("producers/", views.producers, name="producers"),
    path("producers/<slug:name>/", views.producer, name="producer"),
    path("consumers/", views.consumers, name="consumers"),
    path("consumers/<slug:name>/", views.consumer, name="consumer"),
]
