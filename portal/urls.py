"""Every URL of the portal, by app."""

from django.urls import include, path, re_path

from portal import health, views, views_home

urlpatterns = [
    re_path(r"^livez/?$", health.livez, name="livez"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    path("", views_home.home, name="home"),
    path("theme/", views.theme, name="theme"),
    path("design/", views.design, name="design"),
    path("accounts/", include("allauth.account.urls")),
    path("", include("governance.urls")),
    path("api/v1/", include("governance.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("", include("ingest.urls")),
]
handler400 = "portal.http.problem.bad_request"
handler403 = "portal.http.problem.forbidden"
handler404 = "portal.http.problem.not_found"
handler500 = "portal.http.problem.server_error"
