"""REST routes of governance, under /api/v1/."""

from django.urls import path

from governance.api import views

_step = views.AccessRequestStep.as_view
urlpatterns = [
    path("access-requests", views.AccessRequests.as_view()),
    path("access-requests/<uuid:request_id>", views.AccessRequestDetail.as_view()),
    path("access-requests/<uuid:request_id>/approve", _step(step="approve")),
    path("access-requests/<uuid:request_id>/deny", _step(step="deny")),
    path("access-requests/<uuid:request_id>/withdraw", _step(step="withdraw")),
    path("grants", views.Grants.as_view()),
    path("grants/explain", views.GrantExplain.as_view()),
    path("grants/<str:grant_id>/revoke", views.GrantRevoke.as_view()),
    path("audit", views.Audit.as_view()),
    path("audit/verify", views.AuditVerify.as_view()),
]
