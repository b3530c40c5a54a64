"""REST routes of governance, under /api/v1/."""

from django.urls import path

from governance.api import jobs, views

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
    path("jobs", jobs.Jobs.as_view()),
    path("jobs/<uuid:job_id>", jobs.JobDetail.as_view()),
    path("jobs/<uuid:job_id>/pause", jobs.JobStep.as_view(step="pause")),
    path("jobs/<uuid:job_id>/resume", jobs.JobStep.as_view(step="resume")),
    path("jobs/<uuid:job_id>/stop", jobs.JobStep.as_view(step="stop")),
    path("audit", views.Audit.as_view()),
    path("audit/verify", views.AuditVerify.as_view()),
]
