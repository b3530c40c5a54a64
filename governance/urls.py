"""Pages of governance."""

from django.urls import path

from governance import (
    views_access,
    views_accounts,
    views_audit,
    views_break_glass,
    views_jobs,
    views_notices,
    views_people,
    views_sign_in,
)

urlpatterns = [
    path("access/", views_access.overview, name="access"),
    path("access/new/", views_access.ask, name="access_new"),
    path("access/requests/", views_access.request_list, name="access_requests"),
    path("access/requests/<uuid:request_id>/decide/", views_access.decide, name="access_decide"),
    path("access/requests/<uuid:request_id>/withdraw/", views_access.withdraw, name="withdraw"),
    path("access/grants/<str:grant_id>/end/", views_access.end, name="grant_end"),
    path("access/break-glass/", views_break_glass.overview, name="break_glass"),
    path("access/break-glass/<uuid:glass_id>/end/", views_break_glass.give_back, name="glass_end"),
    path(
        "access/break-glass/<uuid:glass_id>/review/", views_break_glass.review, name="glass_review"
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
    path("teams/", views_people.teams, name="teams"),
    path("teams/<slug:slug>/", views_people.team, name="team"),
    path("teams/<slug:slug>/group/", views_accounts.team_group, name="team_group"),
    path("people/<int:user_id>/", views_people.person, name="person"),
    path("people/<int:user_id>/roles/", views_accounts.roles, name="person_roles"),
    path("people/<int:user_id>/sessions/", views_accounts.end_sessions, name="person_sessions"),
    path("people/<int:user_id>/factors/", views_accounts.remove_factors, name="person_factors"),
    path("people/<int:user_id>/open/", views_accounts.set_open, name="person_open"),
    path("settings/", views_people.settings_page, name="settings"),
    path("settings/confirm/", views_sign_in.confirm, name="confirm"),
    path("settings/second-factor/", views_sign_in.second_factor_page, name="second_factor"),
    path("settings/sessions/end/", views_sign_in.end_other_sessions, name="sessions_end"),
    path("settings/sessions/<uuid:session_id>/end/", views_sign_in.end_session, name="session_end"),
    path("settings/tokens/<str:key_id>/revoke/", views_people.revoke_token, name="token_revoke"),
    path("settings/shortcuts/", views_people.shortcuts, name="shortcuts"),
]
