"""REST routes of governance, under /api/v1/."""

from django.urls import path

from governance.api import access, audit, delegations, grants, jobs, notices, privacy_keys

urlpatterns = [
    path("access-requests", access.AccessRequests.as_view()),
    path("access-requests/<uuid:request_id>", access.AccessRequestDetail.as_view()),
    path("access-requests/<uuid:request_id>/approve", access.Approve.as_view()),
    path("access-requests/<uuid:request_id>/deny", access.Deny.as_view()),
    path("access-requests/<uuid:request_id>/withdraw", access.Withdraw.as_view()),
    path("grants", grants.Grants.as_view()),
    path("grants/explain", grants.GrantExplain.as_view()),
    path("grants/recertify", grants.Recertification.as_view()),
    path("grants/<str:grant_id>", grants.GrantDetail.as_view()),
    path("grants/<str:grant_id>/renew", grants.GrantRenew.as_view()),
    path("grants/<str:grant_id>/revoke", grants.GrantRevoke.as_view()),
    path("delegations", delegations.Delegations.as_view()),
    path("delegations/<uuid:delegation_id>", delegations.DelegationDetail.as_view()),
    path("delegations/<uuid:delegation_id>/end", delegations.DelegationEnd.as_view()),
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
