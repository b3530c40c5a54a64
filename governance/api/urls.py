"""REST routes of governance, under /api/v1/."""

from django.urls import path

from governance.api import access, audit, break_glass, jobs, notices, privacy_keys

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
    path("break-glass", break_glass.BreakGlasses.as_view()),
    path("break-glass/<uuid:glass_id>", break_glass.BreakGlassDetail.as_view()),
    path("break-glass/<uuid:glass_id>/end", break_glass.GiveBack.as_view()),
    path("break-glass/<uuid:glass_id>/review", break_glass.Review.as_view()),
    path("jobs", jobs.Jobs.as_view()),
    path("jobs/<uuid:job_id>", jobs.JobDetail.as_view()),
    path("jobs/<uuid:job_id>/pause", jobs.Pause.as_view()),
    path("jobs/<uuid:job_id>/resume", jobs.Resume.as_view()),
    path("jobs/<uuid:job_id>/stop", jobs.Stop.as_view()),
    path("privacy-keys", privacy_keys.PrivacyKeys.as_view()),
    path("privacy-keys/rotate", privacy_keys.RotatePrivacyKeys.as_view()),
    path("notifications", notices.Notifications.as_view()),
    path("notifications/read", notices.ReadAll.as_view()),
    path("notifications/wish", notices.MailWishDetail.as_view()),
    path("notifications/<uuid:notice_id>/read", notices.ReadOne.as_view()),
    path("audit", audit.Audit.as_view()),
    path("audit/verify", audit.AuditVerify.as_view()),
    path("audit/export", audit.AuditExport.as_view()),
    path("audit/export.csv", audit.AuditTable.as_view()),
    path("audit/<int:seq>/proof", audit.AuditProof.as_view()),
]
