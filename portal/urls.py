"""Every URL of the portal, by app."""

from django.urls import include, path, re_path

from portal import health

urlpatterns = [
    re_path(r"^livez/?$", health.livez, name="livez"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    path("accounts/", include("allauth.account.urls")),
    path("", include("ingest.urls")),
]
handler400 = "portal.http.problem.bad_request"
handler403 = "portal.http.problem.forbidden"
handler404 = "portal.http.problem.not_found"
handler500 = "portal.http.problem.server_error"
