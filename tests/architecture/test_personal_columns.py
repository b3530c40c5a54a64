"""Every column that can hold a text belongs to a store of personal data, or says why it needs none."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from governance import erasing
from governance.erasing_tables import Tables

HOLDS_TEXT: Final = (
    models.CharField, models.TextField, models.JSONField, models.BinaryField, models.FileField,
    models.GenericIPAddressField, SearchVectorField,
)  # fmt: skip
EVENT: Final = "event_id subject source attributes data data_base64 extra content_hash"
# What the stores that were written by hand go through, by store and table.
WALKED: Final[dict[str, dict[str, str]]] = {
    "dead_letters": {
        "ingest_dead_letter": "type event_id source errors body content_type body_sha256 group_key tried",
    },
    "letter_groups": {
        "ingest_lettercount": "group_key",
        "ingest_lettertotal": "group_key type",
        "ingest_lettergroup": "group_key",
    },
    "events": {"ingest_event": EVENT},
    "restored_events": {"ingest_restoredevent": EVENT},
    "archives": {"ingest_archivedpart": "path last_id"},
    "exposures": {"experiments_exposure": "unit variant"},
    "subject_exports": {"governance_subjectexport": "sealed marks"},
    "vault": {
        "governance_privacykey": "ref wrapped",
        "governance_privacytoken": "ref token purpose sealed",
    },
}
ANY: Final = "*"
# Why the others need none, by reason and table. Whoever adds a column that may hold a value of an event,
# or a text that somebody may have copied out of one, adds it to a store instead.
NEEDLESS: Final[dict[str, dict[str, str]]] = {
    "names people who work here, their accounts and what they sign in with": {
        "governance_user": ANY, "governance_personsession": ANY, "account_emailaddress": ANY,
        "account_emailconfirmation": ANY, "mfa_authenticator": ANY, "socialaccount_socialapp": ANY,
        "socialaccount_socialaccount": ANY, "socialaccount_socialtoken": ANY, "auth_group": ANY,
        "guardian_userobjectpermission": ANY, "guardian_groupobjectpermission": ANY,
        "governance_accessrequest": "holder_kind holder_name", "governance_job": "created_by",
        "governance_erasure": "requested_by decided_by", "governance_key": "created_by",
        "governance_subjectexport": "requested_by", "governance_policy": "off_by",
        "governance_policyversion": "by", "governance_waiver": "given_by ended_by",
        "governance_review": "completed_label", "ingest_dead_letter": "decided_by",
        "ingest_lettergroup": "known_by", "ingest_privacysuggestion": "decided_by",
        "ingest_repair": "declared_by decided_by applied_by", "ingest_restore": "created_by",
        "ingest_syntheticrun": "started_by", "catalog_stream": "created_by",
        "catalog_schemaversion": "created_by", "catalog_change": "opened_by",
        "catalog_changecomment": "by_label", "catalog_draft": "updated_by",
        "catalog_fieldextension": "approved_by", "catalog_term": "created_by",
        "catalog_promotion": "opened_by closed_by", "catalog_registrysubject": "created_by",
        "experiments_metric": "created_by", "experiments_experiment": "started_by created_by",
        "catalog_domainuserpermission": "granted_by confirmed_by",
        "catalog_domaingrouppermission": "granted_by confirmed_by",
        "catalog_domainconsumerpermission": "granted_by confirmed_by",
        "catalog_domainproducerpermission": "granted_by confirmed_by",
        "catalog_streamuserpermission": "granted_by confirmed_by",
        "catalog_streamgrouppermission": "granted_by confirmed_by",
        "catalog_streamconsumerpermission": "granted_by confirmed_by",
        "catalog_streamproducerpermission": "granted_by confirmed_by",
    },
    "names a thing of the portal, or a field, as people who work here called it": {
        "governance_team": "slug name sign_in_group", "governance_accessrequest":
        "resource_kind resource_key fields clear granted_fields granted_clear renews policy",
        "governance_job": "kind object_kind object_key title track",
        "governance_key": "id name scopes streams_glob browser_origins",
        "governance_keyminute": ANY, "governance_notice": "subject_kind subject_key url dedupe",
        "governance_auditoutlet": ANY, "governance_policy": "slug title subject",
        "governance_policyversion": "title", "governance_waiver": "subject_key",
        "governance_policyfinding": "subject_kind subject_key",
        "governance_review": "resource_kind resource_key",
        "governance_breakglass": "resource_kind resource_key", "governance_savedview": "kind",
        "ingest_storageleaf": "parent swept counted streams", "ingest_storageday": "parent",
        "ingest_archivedpart": "stream_name versions", "ingest_fieldexpiry": "plan",
        "catalog_domain": "slug name", "catalog_tag": "slug",
        "catalog_stream": "name title state_key search",
        "catalog_streamalias": ANY, "catalog_observedread": ANY, "catalog_termuse": ANY,
        "catalog_schemaversion": "label schema_id draft brownouts",
        "catalog_schemafield": "path name types format title privacy unit",
        "catalog_change": "summary", "catalog_changecomment": "path",
        "catalog_consumer": "name title kind", "catalog_consumermapping": "fields",
        "catalog_fieldextension": "path", "catalog_enforcementrule": ANY,
        "catalog_term": "slug name synonyms", "catalog_producer": "name title default_domain",
        "catalog_producerstream": ANY, "catalog_registrysubject": "subject",
        "catalog_registryreference": ANY, "catalog_domainuserpermission": "fields",
        "catalog_domaingrouppermission": "fields", "catalog_domainconsumerpermission": "fields",
        "catalog_domainproducerpermission": "fields", "catalog_streamuserpermission": "fields",
        "catalog_streamgrouppermission": "fields", "catalog_streamconsumerpermission": "fields",
        "catalog_streamproducerpermission": "fields", "analytics_readeroffset": ANY,
        "experiments_metric": "key name value_path unit",
        "experiments_experiment": "key title salt unit", "experiments_variant": "key name",
    },
    "free text of people who work here, which is not searched": {
        "governance_team": "description", "governance_policy": "sentence remedy off_reason",
        "governance_policyversion": "sentence remedy note", "catalog_domain": "description",
        "catalog_tag": "description", "catalog_stream": "description subject_meaning migration_note",
        "catalog_schemaversion": "note migration_note", "catalog_schemafield": "description",
        "catalog_change": "reason", "catalog_changevote": "comment",
        "catalog_changecomment": "text", "catalog_consumer": "description",
        "catalog_consumermapping": "purpose", "catalog_fieldextension": "reason",
        "catalog_term": "definition", "catalog_producer": "description",
        "catalog_promotion": "reason closing_reason", "catalog_promotionapproval": "comment",
        "catalog_domainuserpermission": "purpose", "catalog_domaingrouppermission": "purpose",
        "catalog_domainconsumerpermission": "purpose",
        "catalog_domainproducerpermission": "purpose", "catalog_streamuserpermission": "purpose",
        "catalog_streamgrouppermission": "purpose", "catalog_streamconsumerpermission": "purpose",
        "catalog_streamproducerpermission": "purpose", "ingest_dead_letter": "decision",
        "ingest_lettergroup": "note", "ingest_privacysuggestion": "reason",
        "ingest_repair": "note decision", "experiments_metric": "description",
        "experiments_experiment": "hypothesis", "experiments_variant": "description",
    },
    "refused when it names whom it is about": {
        "governance_erasure": "reason decision", "governance_subjectexport": "reason",
    },
    "a rule in a language of the portal's own, over things and not over persons": {
        "governance_policy": "expression", "governance_policyversion": "expression",
        "experiments_experiment": "policy",
    },
    "a code of the portal's own, or a sentence of codes and numbers": {
        "governance_policy": "tally",
        "governance_refusaltotal": ANY, "governance_auditverification": ANY,
        "ingest_deprecateduse": "kind", "ingest_refusalminute": ANY,
        "ingest_dead_letter": "reason state", "ingest_lettercount": "state",
        "ingest_lettertotal": "state reason", "ingest_discoveredstream": "state",
        "ingest_privacysuggestion": "kind", "ingest_storagerun": ANY, "ingest_restore": "said",
        "ingest_syntheticrun": "key_id", "quality_check": ANY, "quality_baseline": ANY,
        "quality_alarm": ANY, "auth_permission": ANY, "django_content_type": ANY,
    },
    "counts by store, variant or metric": {
        "governance_erasure": "stores receipt", "governance_subjectexport": "stores",
        "experiments_analysissnapshot": "inputs health results verdict",
    },
    "sealed, a keyed hash, or a hash of what is sealed": {
        "governance_erasure": "sealed", "governance_tombstone": ANY, "governance_keptanswer": ANY,
        "governance_key": "secret_sha256", "ingest_archivedpart": "sha256 content_sha256",
        "catalog_schemaversion": "document_sha256", "catalog_registryschema": "fingerprint",
        "experiments_analysissnapshot": "content_hash",
    },
    "never takes a value of an event and cannot be changed": {
        "governance_audit": ANY, "governance_audit_anchor": ANY,
    },
    "keeps who is signed in, and no text that names whom a form is about": {"django_session": ANY},
}  # fmt: skip


def holds_text(field: "models.Field[Any, Any]") -> bool:
    """Whether any text fits in; a choice among words of ours holds those alone."""
    inner = field.base_field if isinstance(field, ArrayField) else field
    return isinstance(inner, HOLDS_TEXT) and not field.choices


def columns_of(model: type[models.Model]) -> list[str]:
    return [field.name for field in model._meta.concrete_fields if holds_text(field)]


def every_column() -> set[tuple[str, str]]:
    return {
        (model._meta.db_table, name) for model in apps.get_models() for name in columns_of(model)
    }


def spelled(tables: dict[str, str]) -> Iterator[tuple[str, str]]:
    models_by_table = {model._meta.db_table: model for model in apps.get_models()}
    for table, names in tables.items():
        every = columns_of(models_by_table[table])
        yield from ((table, name) for name in (every if names == ANY else names.split()))


def walked() -> Iterator[tuple[str, str]]:
    for store in erasing.stores():
        if isinstance(store, Tables):
            yield from ((one.model._meta.db_table, one.name) for one in store.columns)
        else:
            yield from spelled(WALKED.get(store.key, {}))


def needless() -> list[tuple[str, str]]:
    return [one for tables in NEEDLESS.values() for one in spelled(tables)]


def test_every_column_of_text_belongs_to_a_store_or_says_why_not() -> None:
    lacking = every_column() - set(walked()) - set(needless())
    assert not lacking, "let a store walk them (docs/erasure-stores.md), or give a reason here"


def test_no_column_is_both_walked_and_needless_or_needless_for_two_reasons() -> None:
    assert not set(walked()) & set(needless())
    assert [one for one, times in Counter(needless()).items() if times > 1] == []


def test_what_is_named_here_exists() -> None:
    said = {one for tables in WALKED.values() for one in spelled(tables)}
    assert {*said, *needless()} <= every_column()
    assert set(WALKED) <= {store.key for store in erasing.stores()}
