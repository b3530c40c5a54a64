"""REST routes of governance, under /api/v1/."""

from django.urls import path

from governance.api import access, audit

urlpatterns = [
    path("access-requests", access.AccessRequests.as_view()),
    path("access-requests/<uuid:request_id>", access.AccessRequestDetail.as_view()),
    path("access-requests/<uuid:request_id>/approve", access.Approve.as_view()),
    path("access-requests/<uuid:request_id>/deny", access.Deny.as_view()),
    path("access-requests/<uuid:request_id>/withdraw", access.Withdraw.as_view()),
    path("grants", access.Grants.as_view()),
    path("grants/explain", access.GrantExplain.as_view()),
    path("grants/<str:grant_id>", access.GrantDetail.as_view()),
    path("grants/<str:grant_id>/revoke", access.GrantRevoke.as_view()),
    path("audit", audit.Audit.as_view()),
    path("audit/verify", audit.AuditVerify.as_view()),
    path("audit/export", audit.AuditExport.as_view()),
]
