"""The JSON shapes of catalog objects, and the one function that makes each."""

from datetime import date
from typing import Any, NotRequired, TypedDict
from uuid import UUID

from catalog.inference import Inferred
from catalog.models import (
    Change,
    ChangeComment,
    Consumer,
    ConsumerMapping,
    Domain,
    Producer,
    SchemaField,
    SchemaVersion,
    Stream,
    Tag,
)
from catalog.style_lint import Finding
from governance.models import Job, Key, KeyKind, Team
from governance.services.key_rotation import Rotated
from portal.http.operations import Time


class Compatibility(TypedDict):
    mode: str
    policy: str


class StreamBody(TypedDict):
    name: str
    domain: str
    title: str
    description: str
    owner: str | None
    lifecycle: str
    track: str
    tier: str
    classification: str
    subject_classification: str
    subject_meaning: str
    subject_privacy: str
    minimise: bool
    erased_subjects: str
    enforcement: str
    compatibility: Compatibility
    restricted: bool
    default_version: int | None
    late_seconds: int
    ahead_seconds: int
    retention_days: int
    archive: bool
    is_state: bool
    state_key: str
    cadence_seconds: int | None
    events_per_second: int | None
    last_event_at: Time | None
    created_at: Time
    updated_at: Time
    revision: int
    tags: NotRequired[list[str]]
    aliases: NotRequired[list[str]]
    deprecated_at: NotRequired[Time | None]
    sunset_at: NotRequired[Time | None]
    migration: NotRequired[str]
    successor: NotRequired[str | None]
    retired_at: NotRequired[Time | None]


def ending(row: Stream, successor: Stream | None) -> dict[str, Any]:
    """How a stream ends; `successor` as far as the reader may know of it."""
    return {
        "deprecated_at": row.deprecated_at,
        "sunset_at": row.sunset_at,
        "migration": row.migration_note,
        "successor": successor.name if successor else None,
        "retired_at": row.retired_at,
    }


def stream(row: Stream, *, tags: list[str] | None = None) -> StreamBody:
    """A stream; tags and aliases only where it stands alone."""
    body: StreamBody = {
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
        "subject_privacy": row.subject_privacy,
        "minimise": row.minimise,
        "erased_subjects": row.erased_subjects,
        "enforcement": row.enforcement,
        "compatibility": {"mode": row.compatibility_mode, "policy": row.compatibility_policy},
        "restricted": row.restricted,
        "default_version": row.default_version,
        "late_seconds": row.late_seconds,
        "ahead_seconds": row.ahead_seconds,
        "retention_days": row.retention_days,
        "archive": row.archive,
        "is_state": row.is_state,
        "state_key": row.state_key,
        "cadence_seconds": row.cadence_seconds,
        "events_per_second": row.events_per_second,
        "last_event_at": row.last_event_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }
    if tags is not None:
        body["tags"] = tags
        body["aliases"] = sorted(alias.alias for alias in row.aliases.all())
    return body


class SchemaVersionBody(TypedDict):
    stream: str
    version: int
    label: str
    state: str
    draft: str
    note: str
    created_at: Time
    created_by: str
    activated_at: Time | None
    deprecated_at: Time | None
    sunset_at: Time | None
    migration: str
    brownouts: list[dict[str, Any]]
    retired_at: Time | None
    supersedes: int | None
    compatibility_group: int
    style: list[dict[str, Any]]


class SchemaBody(SchemaVersionBody):
    schema: dict[str, Any]


class ChangeBody(TypedDict):
    id: UUID
    stream: str
    version: int
    state: str
    summary: str
    reason: str
    opens_group: bool
    revises: UUID | None
    needed_approvals: int
    opened_by: str
    opened_at: Time
    closed_at: Time | None
    updated_at: Time


class VoteBody(TypedDict):
    by: str
    vote: str
    comment: str
    at: Time


class ChangeDetailBody(ChangeBody):
    votes: list[VoteBody]
    revised_by: UUID | None


class CommentBody(TypedDict):
    id: UUID
    path: str
    text: str
    by: str
    at: Time


class ProgressBody(TypedDict):
    job: UUID
    state: str
    percent: int | None
    said: str
    done: int
    total: int | None


class ReportBody(TypedDict):
    """The report of a change. What is not measured yet is absent or null."""

    change: UUID
    stream: str
    version: int
    progress: ProgressBody | None
    computed_at: NotRequired[str]
    compared_with: NotRequired[list[int]]
    verdict: NotRequired[dict[str, Any]]
    differences: NotRequired[list[dict[str, Any]]]
    more_differences: NotRequired[int]
    others: NotRequired[list[dict[str, Any]]]
    fields: NotRequired[list[dict[str, Any]]]
    consumers: NotRequired[list[dict[str, Any]]]
    observed: NotRequired[list[dict[str, Any]] | None]
    dependents: NotRequired[dict[str, Any]]
    style: NotRequired[list[dict[str, Any]]]
    privacy: NotRequired[list[dict[str, Any]]]
    replay: dict[str, Any] | None


class FieldBody(TypedDict):
    path: str
    types: list[str]
    format: str
    required: bool
    description: str
    classification: str
    privacy: str
    unit: str
    deprecated: bool
    sunset: date | None


class SchemaDetailBody(SchemaBody):
    fields: list[FieldBody]


def version(row: SchemaVersion) -> SchemaVersionBody:
    """A schema version without its document."""
    return {
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
        "migration": row.migration_note,
        "brownouts": row.brownouts,
        "retired_at": row.retired_at,
        "supersedes": row.supersedes,
        "compatibility_group": row.compatibility_group,
        "style": row.findings,
    }


def change(row: Change) -> ChangeBody:
    return {
        "id": row.pk,
        "stream": row.stream.name,
        "version": row.version.version,
        "state": row.state,
        "summary": row.summary,
        "reason": row.reason,
        "opens_group": row.opens_group,
        "revises": row.revises_id,
        "needed_approvals": row.needed_approvals,
        "opened_by": row.opened_by,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
        "updated_at": row.updated_at,
    }


def change_detail(row: Change) -> ChangeDetailBody:
    """A change with its votes, the oldest first."""
    votes: list[VoteBody] = [
        {"by": vote.user.email, "vote": vote.vote, "comment": vote.comment, "at": vote.at}
        for vote in row.votes.select_related("user")
    ]
    revisions = row.revisions.order_by("-opened_at").values_list("pk", flat=True)
    return {**change(row), "votes": votes, "revised_by": revisions.first()}


def comment(row: ChangeComment) -> CommentBody:
    return {"id": row.pk, "path": row.path, "text": row.text, "by": row.by_label, "at": row.at}


def report(row: Change, job: Job | None) -> dict[str, Any]:
    """The change report as far as it is; `progress` says how far, and which job measures."""
    progress: ProgressBody | None = None
    if job is not None:
        progress = {
            "job": job.pk,
            "state": job.state,
            "percent": job.percent,
            "said": job.said,
            "done": job.done,
            "total": job.total,
        }
    return {
        "change": row.pk,
        "stream": row.stream.name,
        "version": row.version.version,
        "progress": progress,
        **row.report,
        "replay": row.replay or None,
    }


def schema(row: SchemaVersion) -> SchemaBody:
    return {**version(row), "schema": row.document}


def field(row: SchemaField) -> FieldBody:
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
        "sunset": row.sunset_on,
    }


class FieldUseBody(TypedDict):
    name: str
    types: list[str]
    streams: int


def field_use(row: dict[str, Any]) -> FieldUseBody:
    """A field's name over all streams, and how many have it."""
    return {"name": row["name"], "types": row["types"], "streams": row["streams"]}


class DomainBody(TypedDict):
    slug: str
    name: str
    description: str
    owner: str | None
    created_at: Time
    updated_at: Time


def domain(row: Domain) -> DomainBody:
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "owner": row.owner_team.slug if row.owner_team else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


class TeamBody(TypedDict):
    slug: str
    name: str
    description: str
    created_at: Time
    updated_at: Time


def team(row: Team) -> TeamBody:
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


class TagBody(TypedDict):
    slug: str
    description: str


def tag(row: Tag) -> TagBody:
    return {"slug": row.slug, "description": row.description}


class ProducerBody(TypedDict):
    name: str
    title: str
    description: str
    team: str | None
    default_domain: str
    created_at: Time
    updated_at: Time
    revision: int


class ProducerDetailBody(ProducerBody):
    streams: list[str]
    globs: list[str]
    sources: list[str]


def producer(row: Producer) -> ProducerBody:
    return {
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "team": row.team.slug if row.team else None,
        "default_domain": row.default_domain,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


class ConsumerBody(TypedDict):
    name: str
    title: str
    description: str
    kind: str
    team: str | None
    created_at: Time
    updated_at: Time
    revision: int


class MappingBody(TypedDict):
    consumer: str
    stream: str
    version: int | None
    fields: list[str]
    purpose: str
    since: Time


def consumer(row: Consumer) -> ConsumerBody:
    return {
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "kind": row.kind,
        "team": row.team.slug if row.team else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


def mapping(row: ConsumerMapping) -> MappingBody:
    return {
        "consumer": row.consumer.name,
        "stream": row.stream.name,
        "version": row.version,
        "fields": row.fields,
        "purpose": row.purpose,
        "since": row.since,
    }


class KeyBody(TypedDict):
    id: str
    kind: str
    name: str
    scopes: list[str]
    streams: str
    browser_origins: list[str]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class NewKeyBody(KeyBody):
    key: str


def key(row: Key) -> KeyBody:
    return {
        "id": row.pk,
        "kind": KeyKind(row.kind).name.lower(),
        "name": row.name,
        "scopes": row.scopes,
        "streams": row.streams_glob,
        "browser_origins": row.browser_origins,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


def new_key(row: Key, text: str) -> NewKeyBody:
    """A key that was just made, with its text, shown this once."""
    return {**key(row), "key": text}


class ReplacedKeyBody(TypedDict):
    """The key that was replaced; it ends at `ends_at`, which is past where it ended at once."""

    id: str
    ends_at: Time


class RotatedKeyBody(NewKeyBody):
    replaces: ReplacedKeyBody


def rotated_key(rotated: Rotated) -> RotatedKeyBody:
    """A key that took the place of another, with its text, shown this once."""
    old = rotated.old
    ends_at = old.revoked_at or old.expires_at
    assert ends_at is not None
    return {**new_key(rotated.new, rotated.text), "replaces": {"id": old.pk, "ends_at": ends_at}}


class FactBody(TypedDict):
    path: str
    seen: int
    of: int
    nulls: int
    required: bool
    confidence: str
    note: str
    personal: str


class InferredBody(TypedDict):
    schema: dict[str, Any]
    name: str
    shape: str
    samples: int
    fields: list[FactBody]
    suggestions: list[dict[str, Any]]
    findings: list[dict[str, Any]]


class FindingsBody(TypedDict):
    findings: list[dict[str, Any]]


def inferred(found: Inferred, findings: list[Finding]) -> InferredBody:
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


class FoundBody(TypedDict):
    streams: list[StreamBody]
    fields: list[FieldUseBody]
    read_as: str | None


class MeBody(TypedDict):
    kind: str
    id: int
    name: str
    roles: list[str]
    teams: list[str]
    scopes: list[str]


class FollowBody(TypedDict):
    following: bool
