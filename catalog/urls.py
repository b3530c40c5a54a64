"""Pages of the catalog that need no app above it; the rest stand in portal.urls."""

from django.urls import path

from catalog import (
    views,
    views_changes,
    views_compliance,
    views_drafts,
    views_endings,
    views_glossary,
    views_import,
    views_register,
    views_remedies,
    views_teams,
)

urlpatterns = [
    path("streams/new/", views_register.register, name="stream_new"),
    path("import/", views_import.import_page, name="import"),
    path("streams/<str:name>/use/", views.use, name="stream_use"),
    path("streams/<str:name>/end/", views_endings.end, name="stream_end"),
    path("streams/<str:name>/change/", views_changes.propose, name="change_new"),
    path(
        "streams/<str:name>/versions/<int:first>..<int:second>/",
        views_changes.compare_versions,
        name="version_diff",
    ),
    path("changes/", views_changes.overview, name="changes"),
    path("changes/<uuid:change_id>/", views_changes.change, name="change"),
    path("changes/<uuid:change_id>/report/", views_changes.change_report, name="change_report"),
    path("changes/<uuid:change_id>/decide/", views_changes.decide, name="change_decide"),
    path("changes/<uuid:change_id>/remedy/", views_remedies.apply, name="change_remedy"),
    path("drafts/", views_drafts.overview, name="drafts"),
    path("drafts/save/", views_drafts.save, name="draft_save"),
    path("drafts/<uuid:draft_id>/", views_drafts.draft, name="draft"),
    path("drafts/<uuid:draft_id>/share/", views_drafts.share, name="draft_share"),
    path("drafts/<uuid:draft_id>/discard/", views_drafts.discard, name="draft_discard"),
    path("glossary/", views_glossary.glossary, name="glossary"),
    path("glossary/new/", views_glossary.term_new, name="term_new"),
    path("glossary/<slug:slug>/", views_glossary.term, name="term"),
    path("glossary/<slug:slug>/edit/", views_glossary.term_edit, name="term_edit"),
    path("glossary/<slug:slug>/delete/", views_glossary.term_delete, name="term_delete"),
    path("policies/compliance/", views_compliance.compliance, name="compliance"),
    path("policies/compliance/export/", views_compliance.compliance_table, name="compliance_table"),
    path("policies/compliance/processing/", views_compliance.processing, name="processing"),
    path(
        "policies/compliance/processing/export/",
        views_compliance.processing_table,
        name="processing_table",
    ),
    path("teams/<slug:slug>/", views_teams.team, name="team"),
    path("people/<int:user_id>/", views_teams.person, name="person"),
    path("producers/", views.producers, name="producers"),
    path("producers/<slug:name>/", views.producer, name="producer"),
    path("consumers/", views.consumers, name="consumers"),
    path("consumers/<slug:name>/", views.consumer, name="consumer"),
]
