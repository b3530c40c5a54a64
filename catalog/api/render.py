"""The JSON shapes of catalog objects: one function each."""

from typing import Any

from catalog.inference import Inferred
from catalog.models import (
    Consumer,
    ConsumerMapping,
    Domain,
    Producer,
    SchemaField,
    SchemaVersion,
    Stream,
)
from catalog.style_lint import Finding
from governance.models import Key, Team


def stream(row: Stream, *, tags: list[str] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": row.name,
        "domain": row.domain.slug,
        "title": row.title,
        "description": row.description,
        "owner": row.owner_team.slug if row.owner_team else None,
        "lifecycle": row.lifecycle,
        "track": row.track,
        "tier": row.tier,
        "classification": row.classification,
        "subject_classification": row.subject_classification,
        "subject_meaning": row.subject_meaning,
        "enforcement": row.enforcement,
        "compatibility": {"mode": row.compatibility_mode, "policy": row.compatibility_policy},
        "restricted": row.restricted,
        "default_version": row.default_version,
        "late_seconds": row.late_seconds,
        "ahead_seconds": row.ahead_seconds,
        "retention_days": row.retention_days,
        "cadence_seconds": row.cadence_seconds,
        "last_event_at": row.last_event_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }
    if tags is not None:
        body["tags"] = tags
        body["aliases"] = sorted(alias.alias for alias in row.aliases.all())
    return body


def version(row: SchemaVersion, *, with_document: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = {
        "stream": row.stream.name,
        "version": row.version,
        "label": row.label,
        "state": row.state,
        "draft": row.draft,
        "note": row.note,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "activated_at": row.activated_at,
        "deprecated_at": row.deprecated_at,
        "sunset_at": row.sunset_at,
        "style": row.findings,
    }
    if with_document:
        body["schema"] = row.document
    return body


def field(row: SchemaField) -> dict[str, Any]:
    return {
        "path": row.path,
        "types": row.types,
        "format": row.format,
        "required": row.required,
        "description": row.description or row.title,
        "classification": row.classification,
        "privacy": row.privacy,
        "unit": row.unit,
        "deprecated": row.deprecated,
    }


def domain(row: Domain) -> dict[str, Any]:
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "owner": row.owner_team.slug if row.owner_team else None,
        "created_at": row.created_at,
    }


def team(row: Team) -> dict[str, Any]:
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "created_at": row.created_at,
    }


def producer(row: Producer) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "team": row.team.slug if row.team else None,
        "default_domain": row.default_domain,
        "created_at": row.created_at,
        "revision": row.revision,
    }


def consumer(row: Consumer) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "kind": row.kind,
        "team": row.team.slug if row.team else None,
        "created_at": row.created_at,
        "revision": row.revision,
    }


def mapping(row: ConsumerMapping) -> dict[str, Any]:
    return {
        "consumer": row.consumer.name,
        "stream": row.stream.name,
        "version": row.version,
        "fields": row.fields,
        "purpose": row.purpose,
        "since": row.since,
    }


def key(row: Key, text: str | None = None) -> dict[str, Any]:
    body = {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "scopes": row.scopes,
        "streams": row.streams_glob,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }
    return body if text is None else body | {"key": text}


def inferred(found: Inferred, findings: list[Finding]) -> dict[str, Any]:
    return {
        "schema": found.document,
        "name": found.name,
        "shape": found.shape,
        "samples": found.samples,
        "fields": [
            {
                "path": fact.path,
                "seen": fact.seen,
                "of": fact.of,
                "nulls": fact.nulls,
                "required": fact.required,
                "confidence": fact.confidence,
                "note": fact.note,
                "personal": fact.personal,
            }
            for fact in found.facts
        ],
        "suggestions": [finding.as_dict() for finding in found.suggestions],
        "findings": [finding.as_dict() for finding in findings],
    }
