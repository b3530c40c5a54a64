"""Registering through the registry, in one audited transaction.

1. Find the subject's stream and judge who asks; what is registered already is answered at once.
2. Put what the schema refers to inside it, and check that it compiles.
3. Wait for others who register here, then look again.
4. Judge it by the stream's level and policy against the versions that nobody deleted.
5. Store it under the id of its content and make it active; where the stream asks for approvals
   it becomes an open change instead. House rules report and never refuse.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.db import transaction
from django.db.models import Max

from catalog import naming
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy, Verdict
from catalog.exchange.documents import description_of
from catalog.models import (
    Change,
    ProducerStream,
    RegistryMode,
    RegistryReference,
    RegistrySchema,
    RegistrySubject,
    RegistryVersion,
    SchemaVersion,
    Stream,
)
from catalog.registry.answers import VersionAnswer, messages_of
from catalog.registry.bundling import bundle
from catalog.registry.errors import (
    RegistryError,
    incompatible,
    invalid_schema,
    operation_not_permitted,
    schema_not_found,
    subject_not_found,
    version_not_found,
)
from catalog.registry.requests import SentSchema
from catalog.registry.subjects import new_name, spellings_of
from catalog.schema_safety import check_schema
from catalog.selectors.registry import (
    find_same,
    find_stream,
    get_registered,
    locate,
    registered,
    version_answer,
)
from catalog.selectors.registry_callers import producer_rights
from catalog.selectors.registry_settings import effective_level, effective_mode
from catalog.services.changes import Proposal, approvals_needed, open_change, start_report
from catalog.services.policing import report_stream
from catalog.services.registry_ids import keep_schema
from catalog.services.registry_rights import (
    new_domain,
    new_owner,
    require_newcomer,
    require_register,
)
from catalog.services.schemas import compared_versions, lock, make_active, store_version
from catalog.services.streams import (
    MAX_DESCRIPTION,
    NewStream,
    is_taken,
    make_stream,
    record_registration,
)
from catalog.services.telling import tell_of_activation, tell_of_proposal
from catalog.types import CompatibilityPolicy, Lifecycle
from governance import audit
from portal.kernel import sql
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, InvalidError

ORIGIN: Final = "registry"
_HOLD_NAME = sql.load("catalog", "hold_registry_name")
_PASS_ID = sql.load("catalog", "pass_registry_id")
Targets = Mapping[str, RegistryVersion]


def register_schema(subject: str, sent: SentSchema, *, actor: Actor) -> VersionAnswer:
    """Register a schema under a subject, or find it there; the first makes the stream.

    Raises RegistryError: 409 incompatible, 42201 no schema, 40401 as if it did not exist, 42205
    not permitted by the mode or for want of approvals; then the proposal is open.
    """
    outcome = _register(subject, sent, actor)
    if isinstance(outcome, VersionAnswer):
        return outcome
    raise operation_not_permitted(
        f"{outcome.stream.name} asks for approvals: the schema is proposed as version "
        f"{outcome.version.version} and open at /changes/{outcome.pk}/. Register it again once "
        "it is active."
    )


def look_up_schema(
    actor: Actor, subject: str, sent: SentSchema, *, deleted: bool = False
) -> VersionAnswer:
    """The version of a subject that holds a schema. RegistryError 40401 or 40403 without one."""
    stream = find_stream(actor, subject)
    if not registered(deleted=deleted).filter(version__stream=stream).exists():
        raise subject_not_found(subject)
    sent, _ = _settled(sent, actor)
    same = find_same(stream, sent.fingerprint, deleted=deleted)
    if same is None:
        raise schema_not_found()
    return version_answer(same, subject)


def try_schema(
    actor: Actor, subject: str, sent: SentSchema, *, number: int | None, is_one: bool
) -> list[str] | None:
    """Why a schema may not follow one version of a subject, or all of them; None when it may.

    Without a number the latest; a subject that has none takes any schema.
    """
    sent, targets = _settled(sent, actor)
    document, _ = _checked(sent, targets)
    try:
        stream = find_stream(actor, subject)
        rows = list(registered().filter(version__stream=stream))
    except RegistryError:
        stream, rows = None, []
    if is_one and rows:
        rows = [row for row in rows if number in (None, row.version.version)][-1:]
    if is_one and number is not None and not rows:
        raise version_not_found(number)
    mode = Mode(effective_level(subject, stream))
    policy = Policy(stream.compatibility_policy) if stream is not None else Policy.STRICT
    verdict = compare(document, [row.version.document for row in rows], mode=mode, policy=policy)
    return None if verdict.compatible else messages_of(verdict, mode)


@transaction.atomic
def _register(subject: str, sent: SentSchema, actor: Actor) -> VersionAnswer | Change:
    stream = locate(subject)
    if stream is None:
        require_newcomer(actor, subject)
    else:
        require_register(actor, subject, stream)
    sent, targets = _settled(sent, actor)
    if stream is not None and (same := _same(stream, sent)) is not None:
        _list(subject, stream, actor)
        return version_answer(same, subject)
    document, draft = _checked(sent, targets)
    _require_mode(subject, stream, sent)
    if stream is None:
        stream = _make_stream(subject, document, actor)
    locked = lock(stream)
    if (same := _same(locked, sent)) is not None:
        return version_answer(same, subject)
    _require_open(locked, sent)
    if effective_mode(subject, locked) != RegistryMode.IMPORT:
        _require_compatible(subject, locked, document)
    if approvals_needed(locked, actor):
        return _propose(locked, sent, document, targets, actor)
    row = _publish(locked, sent, document, draft, targets, actor)
    _list(subject, locked, actor)
    return version_answer(row, subject)


def _settled(sent: SentSchema, actor: Actor) -> tuple[SentSchema, Targets]:
    """The versions that a schema refers to, by name; `-1` for the latest becomes its number."""
    targets: dict[str, RegistryVersion] = {}
    for one in sent.references:
        try:
            number = None if one.version == -1 else one.version
            targets[one.name] = get_registered(actor, one.subject, number)
        except RegistryError as error:
            raise invalid_schema(
                f"Invalid schema: it refers to version {one.version} of {one.subject} as "
                f"{one.name}, which does not exist."
            ) from error
    settled = tuple(
        replace(one, version=targets[one.name].version.version) for one in sent.references
    )
    return replace(sent, references=settled), targets


def _checked(sent: SentSchema, targets: Targets) -> tuple[dict[str, Any], str]:
    """The self-contained document and its draft; RegistryError 42201 when it cannot be taken."""
    document = bundle(sent.document, {name: row.version.document for name, row in targets.items()})
    try:
        return document, check_schema(document, pointer="")
    except InvalidError as error:
        faults = "; ".join(f"{fault.pointer or '#'} {fault.detail}" for fault in error.errors)
        raise invalid_schema(f"Invalid schema: {faults or error.detail}") from error


def _same(stream: Stream, sent: SentSchema) -> RegistryVersion | None:
    """The live version that holds this schema, unless another id is wished for."""
    same = find_same(stream, sent.fingerprint)
    return same if same is not None and sent.id in (None, same.schema_id) else None


def _require_mode(subject: str, stream: Stream | None, sent: SentSchema) -> None:
    mode = effective_mode(subject, stream)
    if mode == RegistryMode.READONLY:
        raise operation_not_permitted(f"Subject {subject} is in read-only mode")
    if sent.id is not None and mode != RegistryMode.IMPORT:
        raise operation_not_permitted(f"Subject {subject} is not in import mode")
    if sent.id is None and mode == RegistryMode.IMPORT:
        raise operation_not_permitted(f"Subject {subject} is in import mode: name the id")


def _require_open(stream: Stream, sent: SentSchema) -> None:
    if stream.lifecycle == Lifecycle.RETIRED:
        raise operation_not_permitted(f"{stream.name} is retired.")
    newest = stream.versions.aggregate(Max("version"))["version__max"] or 0
    if sent.version not in (None, newest + 1):
        raise invalid_schema(
            f"Version is not one more than previous version: the next is {newest + 1}."
        )


def _require_compatible(subject: str, stream: Stream, document: Mapping[str, Any]) -> None:
    deleted = set(
        RegistryVersion.objects.filter(
            version__stream=stream, deleted_at__isnull=False
        ).values_list("version_id", flat=True)
    )
    compared = [one for one in compared_versions(stream) if one.pk not in deleted]
    mode = Mode(stream.compatibility_mode)
    verdict: Verdict = compare(
        document,
        [one.document for one in compared],
        mode=mode,
        policy=Policy(stream.compatibility_policy),
    )
    if not verdict.compatible:
        raise incompatible(subject, messages_of(verdict, mode))


def _make_stream(subject: str, document: Mapping[str, Any], actor: Actor) -> Stream:
    """The subject's stream, made now unless somebody else just made it."""
    name = new_name(subject, domain=new_domain(actor))
    sql.fetch_one(_HOLD_NAME, {"name": name})
    made_meanwhile = locate(subject)
    if made_meanwhile is not None:
        require_register(actor, subject, made_meanwhile)
        return made_meanwhile
    stream = make_stream(
        NewStream(
            name=naming.free_name(name, is_taken),
            document=document,
            description=description_of(document)[:MAX_DESCRIPTION],
            owner_team=new_owner(actor),
            aliases=(subject,),
            origin=ORIGIN,
            extra={
                "compatibility_policy": CompatibilityPolicy.STRICT,
                "compatibility_mode": effective_level(subject, None),
            },
        ),
        actor=actor,
    )
    RegistrySubject.objects.get_or_create(subject=subject, defaults={"created_by": actor.label})
    RegistrySubject.objects.filter(stream=None, subject__in=spellings_of(subject)).update(
        stream=stream
    )
    RegistrySubject.objects.filter(subject=subject).update(stream=stream, made_stream=True)
    rights = producer_rights(actor)
    if rights is not None and not rights.is_mapped(stream):
        ProducerStream.objects.create(producer=rights.producer, stream=stream)
    return stream


def _list(subject: str, stream: Stream, actor: Actor) -> None:
    """The subject is listed as it was spelled."""
    if RegistrySubject.objects.filter(subject=subject, stream=stream, is_listed=True).exists():
        return
    RegistrySubject.objects.get_or_create(
        subject=subject, defaults={"stream": stream, "created_by": actor.label}
    )
    RegistrySubject.objects.filter(subject=subject).update(stream=stream, is_listed=True)


def _publish(
    locked: Stream,
    sent: SentSchema,
    document: dict[str, Any],
    draft: str,
    targets: Targets,
    actor: Actor,
) -> RegistryVersion:
    version = store_version(locked, document, draft=draft, actor=actor, note="registered")
    row = _enroll(version, sent, targets)
    make_active(locked, version, opens_group=None)
    report_stream(locked)
    tell_of_activation(locked, version, by=actor)
    if version.version == 1:
        record_registration(locked, actor=actor)
    audit.record(
        actor,
        "schema.published",
        locked.ref,
        summary=f"registered {locked.name} v{version.version}",
        after={"version": version.version},
    )
    return row


def _propose(
    locked: Stream, sent: SentSchema, document: dict[str, Any], targets: Targets, actor: Actor
) -> Change:
    """An open change for the schema: the one there is, or a new one."""
    proposal = Proposal(document, summary="Registered by a client.")
    try:
        change = open_change(locked, proposal, actor=actor)
    except ConflictError as error:
        open_one = Change.objects.filter(
            stream=locked, version__version=str(error.extra.get("version", 0)), closed_at=None
        ).first()
        if open_one is None:
            raise operation_not_permitted(error.detail) from error
        return open_one
    _enroll(change.version, sent, targets)
    tell_of_proposal(change, by=actor)
    start_report(change, actor=actor)
    return change


def _is_of_another(sent: SentSchema) -> bool:
    """Whether the id that is wished for was given to another schema."""
    if sent.id is None:
        return False
    return RegistrySchema.objects.filter(pk=sent.id).exclude(fingerprint=sent.fingerprint).exists()


def _enroll(version: SchemaVersion, sent: SentSchema, targets: Targets) -> RegistryVersion:
    """The version has the id of the schema as it was sent."""
    if _is_of_another(sent):
        raise operation_not_permitted(f"The id {sent.id} is that of another schema.")
    schema = keep_schema(
        RegistrySchema(
            id=sent.id,
            fingerprint=sent.fingerprint,
            text=sent.text,
            metadata=sent.metadata,
            rule_set=sent.rule_set,
        )
    )
    if sent.id is not None and schema.pk != sent.id:
        raise operation_not_permitted(f"The schema has the id {schema.pk} already.")
    if sent.id is not None:
        sql.fetch_one(_PASS_ID, {"id": sent.id})
    RegistryReference.objects.bulk_create(
        [
            RegistryReference(
                schema=schema,
                position=position,
                name=one.name,
                subject=one.subject,
                target=targets[one.name],
            )
            for position, one in enumerate(sent.references)
        ],
        ignore_conflicts=True,
    )
    return RegistryVersion.objects.create(version=version, schema=schema)
