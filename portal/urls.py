"""Every URL of the portal, by app. Pages that join several apps stand here."""

from allauth.account import urls as account_views
from django.urls import include, path, re_path

from catalog.api import registry_urls
from governance import views_oidc, views_sign_in
from portal import (
    api_docs,
    health,
    metrics,
    security_txt,
    views,
    views_catalog,
    views_enforcement,
    views_home,
    views_ingest,
    views_lineage,
    views_promote,
    views_stream,
    views_stream_access,
)

# Whose an address is decides whom the company's sign-in joins it to: admins set it, not its person.
# Addresses are not confirmed by mail, and no code of a mail signs anybody in.
NOT_OURS = {
    "account_email",
    "account_email_verification_sent",
    "account_confirm_email",
    "account_confirm_login_code",
}
account_urls = [entry for entry in account_views.urlpatterns if entry.name not in NOT_OURS]
stream_pages = [
    path("", views_stream.overview, name="stream"),
    path("volume/", views_stream.volume_panel, name="stream_volume"),
    path("schema/", views_stream.schema, name="stream_schema"),
    path("versions/", views_stream.versions, name="stream_versions"),
    path("quality/", views_stream.quality, name="stream_quality"),
    path("enforcement/", views_enforcement.change, name="stream_enforcement"),
    path("consumers/", views_stream.consumers, name="stream_consumers"),
    path("lineage/", views_lineage.stream_lineage, name="stream_lineage"),
    path("samples/", views_stream.samples, name="stream_samples"),
    path("activity/", views_stream.activity, name="stream_activity"),
    path("access/", views_stream_access.stream_access, name="stream_access"),
    path("promote/", views_promote.promote, name="stream_promote"),
    path("promote/decide/", views_promote.decide, name="stream_promote_decide"),
    path("follow/", views_stream.follow, name="stream_follow"),
]
urlpatterns = [
    re_path(r"^livez/?$", health.livez, name="livez"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics.Metrics.as_view(), name="metrics"),
    path(".well-known/security.txt", security_txt.security_txt, name="security_txt"),
    path("", views_home.home, name="home"),
    path("theme/", views.theme, name="theme"),
    path("design/", views.design, name="design"),
    path("accounts/company/", views_oidc.begin, name="company_sign_in"),
    path("accounts/company/again/", views_oidc.again, name="company_again"),
    path("accounts/company/callback/", views_oidc.callback, name="company_callback"),
    path("accounts/2fa/", views_sign_in.factors, name="mfa_index"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/password/set/", views_sign_in.set_password, name="account_set_password"),
    path("accounts/password/reset/", views_sign_in.reset_password, name="account_reset_password"),
    path("accounts/", include(account_urls)),
    path("search/", views_catalog.search_page, name="search"),
    path("search/palette/", views_catalog.palette, name="palette"),
    path("fields/", views_catalog.fields, name="fields"),
    path("lineage/", views_lineage.lineage, name="lineage"),
    path("ingest/", views_ingest.ingest_health, name="ingest_health"),
    path("streams/", views_catalog.catalog, name="catalog"),
    path("domains/<slug:slug>/", views_catalog.domain, name="domain"),
    path("", include("catalog.urls")),
    path("streams/<str:name>/", include(stream_pages)),
    path("", include("governance.urls")),
    path("", include("ingest.urls")),
    path("", include("quality.urls")),
    path("", include("experiments.urls")),
    path("api/docs", api_docs.page, name="api_docs"),
    path("api/v1/openapi.json", api_docs.OpenApi.as_view(), name="openapi"),
    path("api/v1/", include("governance.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("api/v1/", include("ingest.api.urls")),
    path("api/v1/", include("quality.api.urls")),
    path("api/v1/", include("analytics.api.urls")),
    path("api/v1/", include("experiments.api.urls")),
    path("registry", registry_urls.root),
    path("registry/", include("catalog.api.registry_urls")),
]
handler400 = "portal.http.problem.bad_request"
handler403 = "portal.http.problem.forbidden"
handler404 = "portal.http.problem.not_found"
handler429 = "portal.http.problem.too_many"
handler500 = "portal.http.problem.server_error"
