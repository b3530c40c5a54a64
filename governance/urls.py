"""Pages of governance."""

from django.urls import path

from governance import (
    views_access,
    views_audit,
    views_grants,
    views_jobs,
    views_notices,
    views_people,
    views_policies,
)

urlpatterns = [
    path("access/", views_access.overview, name="access"),
    path("access/new/", views_access.ask, name="access_new"),
    path("access/requests/", views_access.request_list, name="access_requests"),
    path("access/requests/<uuid:request_id>/decide/", views_access.decide, name="access_decide"),
    path("access/requests/<uuid:request_id>/withdraw/", views_access.withdraw, name="withdraw"),
    path("access/grants/<str:grant_id>/end/", views_grants.end, name="grant_end"),
    path("access/recertify/", views_grants.recertify, name="recertify"),
    path("access/deputies/", views_grants.delegate, name="delegate"),
    path(
        "access/deputies/<uuid:delegation_id>/end/", views_grants.end_delegation, name="deputy_end"
    ),
    path("audit/", views_audit.log, name="audit"),
    path("audit/verify/", views_audit.verify, name="audit_verify"),
    path("audit/export/", views_audit.export, name="audit_export"),
    path("audit/<int:seq>/", views_audit.entry, name="audit_entry"),
    path("audit/<int:seq>/proof/", views_audit.proof, name="audit_proof"),
    path("jobs/", views_jobs.overview, name="jobs"),
    path("jobs/list/", views_jobs.listed, name="jobs_list"),
    path("jobs/<uuid:job_id>/", views_jobs.job, name="job"),
    path("jobs/<uuid:job_id>/state/", views_jobs.state, name="job_state"),
    path("jobs/<uuid:job_id>/steer/", views_jobs.steer, name="job_steer"),
    path("notifications/", views_notices.overview, name="notifications"),
    path("notifications/bell/", views_notices.bell, name="notifications_bell"),
    path("notifications/read/", views_notices.read_all, name="notifications_read"),
    path("notifications/mail/", views_notices.choose_mail, name="notifications_mail"),
    path("notifications/<uuid:notice_id>/open/", views_notices.read_one, name="notification"),
    path("policies/", views_policies.overview, name="policies"),
    path("policies/new/", views_policies.new, name="policy_new"),
    path("policies/run/", views_policies.run, name="policies_run"),
    path("policies/waivers/<uuid:waiver_id>/end/", views_policies.end_waiver, name="waiver_end"),
    path("policies/<slug:slug>/", views_policies.policy, name="policy"),
    path("policies/<slug:slug>/edit/", views_policies.edit, name="policy_edit"),
    path("policies/<slug:slug>/switch/", views_policies.switch, name="policy_switch"),
    path("policies/<slug:slug>/waive/", views_policies.waive, name="policy_waive"),
    path("teams/", views_people.teams, name="teams"),
    path("teams/<slug:slug>/", views_people.team, name="team"),
    path("people/<int:user_id>/", views_people.person, name="person"),
    path("settings/", views_people.settings_page, name="settings"),
    path("settings/tokens/<str:key_id>/revoke/", views_people.revoke_token, name="token_revoke"),
    path("settings/shortcuts/", views_people.shortcuts, name="shortcuts"),
]
