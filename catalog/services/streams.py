"""Writing streams: register, change, tag, follow. Each is one audited transaction."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from catalog import naming
from catalog.classified import SENSITIVITY, sensitivity_of
from catalog.models import Follow, Stream, StreamAlias, StreamTag, Tag
from catalog.schema_safety import canonical
from catalog.services.domains import domain_for, require_registrar
from catalog.services.enforcement import begin_rung
from catalog.services.policing import broken_by_stream, keep_stream_in_order
from catalog.services.schemas import add_version, reindex
from catalog.services.telling import tell_of_facts
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Enforcement,
    ErasedSubjects,
    Lifecycle,
    SubjectPrivacy,
    Tier,
    Track,
)
from governance import access, audit
from governance.errors import PeopleOnlyError, TeamNeededError
from governance.models import Team
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    PreconditionFailedError,
)
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug

MAX_DESCRIPTION: Final = 4_000
MAX_TAGS: Final = 20
MAX_EXTENSIONS_BYTES: Final = 256 * 1024
MAX_EVENTS_PER_SECOND: Final = 10_000_000
_STATE_KEY: Final = re.compile(r"(/([^~/\0]|~[01])*)+")
CHANGEABLE: Final = frozenset(
    {
        "title",
        "description",
        "tier",
        "classification",
        "subject_classification",
        "subject_meaning",
        "subject_privacy",
        "minimise",
        "erased_subjects",
        "enforcement",
        "restricted",
        "cadence_seconds",
        "retention_days",
        "archive",
        "is_state",
        "state_key",
        "late_seconds",
        "ahead_seconds",
        "events_per_second",
        "owner_team",
        "compatibility_mode",
        "compatibility_policy",
        "tags",
        "extensions",
    }
)


_TAKEN: Final = FieldError("/name", "taken", "is the name or an alias of another stream")


@dataclass(frozen=True, slots=True)
class NewStream:
    """What registering takes. `document` is the first version's JSON Schema."""

    name: str
    document: Mapping[str, Any]
    description: str = ""
    title: str = ""
    owner_team: Team | None = None
    tier: str = Tier.T3
    classification: str = Classification.INTERNAL
    subject_meaning: str = ""
    subject_classification: str = Classification.INTERNAL
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()
    label: str = ""
    note: str = ""
    origin: str = "api"
    version_extensions: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def register_stream(new: NewStream, *, actor: Actor, is_whole: bool = True) -> Stream:
    """Make a stream with its first version, active at once on the experimental track.

    Raises InvalidError (name, schema), ConflictError when the name or an alias is taken,
    NotPermittedError when the actor may not register or not own for that team, and PolicyError
    where a policy stops it. One that is not `is_whole` is judged by its caller, when it is.
    """
    require_registrar(actor)
    team = new.owner_team
    if team is not None and not actor.is_admin and team.pk not in actor.team_ids:
        raise TeamNeededError("Streams are registered for a team of one's own.", "stream.register")
    stream = make_stream(new, actor=actor)
    add_version(
        stream,
        new.document,
        actor=actor,
        label=new.label,
        note=new.note,
        extensions=new.version_extensions,
    )
    if is_whole:
        keep_stream_in_order(stream)
    record_registration(stream, actor=actor)
    return stream


def make_stream(new: NewStream, *, actor: Actor) -> Stream:
    """Shared step of registering here and through the registry: the stream without a version.

    Who may do so, and for which team, is the caller's to settle.
    """
    naming.check_stream_name(new.name)
    if is_taken(new.name):
        raise ConflictError("The name is taken.", code="name_taken", errors=[_TAKEN])
    values = {
        "description": new.description,
        "title": new.title,
        "tier": new.tier,
        "classification": new.classification,
        "subject_meaning": new.subject_meaning,
        "subject_classification": new.subject_classification,
        **new.extra,
    }
    _check(values)
    domain = domain_for(naming.domain_of(new.name), actor=actor)
    with only_once("The name is taken.", errors=[_TAKEN]):
        stream = Stream.objects.create(
            name=new.name,
            domain=domain,
            owner_team=new.owner_team,
            lifecycle=Lifecycle.ACTIVE,
            track=Track.EXPERIMENTAL,
            created_by=actor.label,
            reviewed_at=clock.now(),
            **values,
        )
    for alias in new.aliases:
        add_alias(stream, alias, origin=new.origin)
    set_tags_of(stream, new.tags)
    return stream


_followers: list[Callable[[Stream, Actor], None]] = []


def follow_registrations(call: Callable[[Stream, Actor], None]) -> None:
    """Have an app above told of each stream that is registered, in the same transaction; called once
    when that app is ready."""
    _followers.append(call)


def record_registration(stream: Stream, *, actor: Actor) -> None:
    """Shared step: the last of registering, because the audit chain is held from here on."""
    team = stream.owner_team
    audit.record(
        actor,
        "stream.registered",
        stream.ref,
        summary=f"registered {stream.name}",
        after={"owner": team.slug if team else None, "tier": stream.tier},
    )
    for call in _followers:
        call(stream, actor)


@transaction.atomic
def change_stream(
    stream: Stream, changes: Mapping[str, Any], *, actor: Actor, revision: int | None = None
) -> Stream:
    """Change facts of a stream, `tags` too. With `revision`, only if nobody changed it since.

    Raises PreconditionFailedError when it was changed meanwhile, InvalidError for a bad value,
    PolicyError where the change itself breaks a policy that blocks.
    """
    access.require(actor, Permission.EDIT, stream)
    if not changes:
        return stream
    if "owner_team" in changes:
        # Who owns it may read and grant all of it, which an editor may not give to themselves.
        access.require(actor, Permission.ADMINISTER, stream)
    if unknown := set(changes) - CHANGEABLE:
        raise InvalidError(
            "Some members cannot be changed here.",
            errors=[FieldError(f"/{name}", "fixed", "cannot be changed") for name in unknown],
        )
    _check(changes)
    _check_classification(stream, changes)
    broken = broken_by_stream(stream)
    before = {name: _plain(_present(stream, name)) for name in changes}
    facts = {name: value for name, value in changes.items() if name != "tags"}
    rows = Stream.objects.filter(pk=stream.pk)
    if revision is not None:
        rows = rows.filter(revision=revision)
    if not rows.update(revision=F("revision") + 1, updated_at=clock.now(), **facts):
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    if "tags" in changes:
        set_tags_of(stream, changes["tags"])
    if changes.get("enforcement", stream.enforcement) != stream.enforcement:
        begin_rung(stream)
    stream.refresh_from_db()
    reindex(stream)
    keep_stream_in_order(stream, but=broken)
    tell_of_facts(
        stream,
        {name for name in changes if before[name] != _plain(_present(stream, name))},
        by=actor,
    )
    audit.record(
        actor,
        "stream.changed",
        stream.ref,
        summary=f"changed {', '.join(sorted(changes)) or 'nothing'} of {stream.name}",
        before=before,
        after={name: _plain(value) for name, value in changes.items()},
    )
    return stream


@transaction.atomic
def follow(stream: Stream, *, actor: Actor) -> None:
    """Follow a stream; again changes nothing."""
    access.require(actor, Permission.DISCOVER, stream)
    _require_person(actor)
    Follow.objects.get_or_create(stream=stream, user_id=actor.id)


@transaction.atomic
def unfollow(stream: Stream, *, actor: Actor) -> None:
    """Follow a stream no longer; again changes nothing."""
    access.require(actor, Permission.DISCOVER, stream)
    _require_person(actor)
    Follow.objects.filter(stream=stream, user_id=actor.id).delete()


def is_taken(name: str) -> bool:
    """Whether a stream has this name or alias."""
    return (
        Stream.objects.filter(name=name).exists() or StreamAlias.objects.filter(alias=name).exists()
    )


def add_alias(stream: Stream, alias: str, *, origin: str) -> None:
    """Keep another name; the same again changes nothing. ConflictError when another has it."""
    if alias == stream.name:
        return
    if len(alias) > naming.MAX_ALIAS or "\0" in alias:
        raise InvalidError("The original name is too long to keep.", code="name")
    try:
        with transaction.atomic():
            found, _ = StreamAlias.objects.get_or_create(
                alias=alias, defaults={"stream": stream, "origin": origin}
            )
    except IntegrityError as error:
        raise ConflictError("The alias is taken.", code="name_taken") from error
    if found.stream_id != stream.pk or Stream.objects.filter(name=alias).exists():
        raise ConflictError("The alias is the name of another stream.", code="name_taken")


def set_tags_of(stream: Stream, tags: Sequence[str]) -> None:
    """Shared step: the stream has exactly these tags afterwards."""
    wanted = list(dict.fromkeys(tags))
    if len(wanted) > MAX_TAGS:
        raise InvalidError(
            "Too many tags.", errors=[FieldError("/tags", "too_many", f"at most {MAX_TAGS}")]
        )
    for index, slug in enumerate(wanted):
        check_slug(slug, pointer=f"/tags/{index}")
    StreamTag.objects.filter(stream=stream).exclude(tag__slug__in=wanted).delete()
    for slug in wanted:
        tag, _ = Tag.objects.get_or_create(slug=slug)
        StreamTag.objects.get_or_create(stream=stream, tag=tag)


_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "tier": frozenset(Tier.values),
    "classification": frozenset(Classification.values),
    "subject_classification": frozenset(Classification.values),
    "subject_privacy": frozenset(SubjectPrivacy.values),
    "erased_subjects": frozenset(ErasedSubjects.values),
    "enforcement": frozenset(Enforcement.values),
    "compatibility_mode": frozenset(CompatibilityMode.values),
    "compatibility_policy": frozenset(CompatibilityPolicy.values),
}
_TEXTS: Final = {"title": 200, "description": MAX_DESCRIPTION, "subject_meaning": 1_000}
_NUMBERS: Final = {
    "cadence_seconds": (1, 366 * 86_400),
    "retention_days": (1, 3_653),
    "late_seconds": (60, 366 * 86_400),
    "ahead_seconds": (0, 30 * 86_400),
    "events_per_second": (1, MAX_EVENTS_PER_SECOND),
}


_FLAGS: Final = frozenset({"restricted", "archive", "is_state", "minimise"})


def _is_state_key(value: object) -> bool:
    return isinstance(value, str) and (
        not value or (len(value) <= 255 and _STATE_KEY.fullmatch(value) is not None)
    )


def _check(values: Mapping[str, Any]) -> None:
    if faults := faults_of(values):
        raise InvalidError("Some values break a rule.", errors=faults)


def faults_of(values: Mapping[str, Any]) -> list[FieldError]:
    """The facts that break a rule of their own, whatever the stream is."""
    faults = []
    for name, value in values.items():
        if name in _CHOICES and not (isinstance(value, str) and value in _CHOICES[name]):
            allowed = ", ".join(sorted(_CHOICES[name]))
            faults.append(FieldError(f"/{name}", "choice", f"must be one of {allowed}"))
        if name in _TEXTS and (not isinstance(value, str) or len(value) > _TEXTS[name]):
            faults.append(FieldError(f"/{name}", "text", f"at most {_TEXTS[name]} characters"))
        if name in _NUMBERS and value is not None:
            least, most = _NUMBERS[name]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                faults.append(FieldError(f"/{name}", "range", f"must be from {least} to {most}"))
        if name in _FLAGS and not isinstance(value, bool):
            faults.append(FieldError(f"/{name}", "type", "must be true or false"))
        if name == "state_key" and not _is_state_key(value):
            faults.append(FieldError("/state_key", "pointer", "must be a JSON pointer, or empty"))
        if name == "extensions" and len(canonical(value)) > MAX_EXTENSIONS_BYTES:
            faults.append(FieldError("/extensions", "too_large", "may have 256 KiB at most"))
    return faults


def _check_classification(stream: Stream, changes: Mapping[str, Any]) -> None:
    """A stream stays as sensitive as the most sensitive field of any of its versions."""
    wanted = changes.get("classification")
    if wanted is None:
        return
    least = max(
        (
            sensitivity_of(document)
            for document in stream.versions.values_list("document", flat=True)
        ),
        default=0,
    )
    if SENSITIVITY.index(Classification(wanted)) < least:
        raise InvalidError(
            "The classification is lower than that of a field.",
            errors=[
                FieldError(
                    "/classification",
                    "too_low",
                    f"must be at least {SENSITIVITY[least]}, as a field of its contract is",
                )
            ],
        )


def _present(stream: Stream, name: str) -> object:
    if name == "tags":
        return list(stream.tags.order_by("slug").values_list("slug", flat=True))
    return getattr(stream, name)


def _plain(value: object) -> object:
    """A value for the audit chain; of extensions, which may be long, only the keys."""
    if isinstance(value, Mapping):
        return sorted(value)
    return value.slug if isinstance(value, Team) else value


def _require_person(actor: Actor) -> None:
    if not actor.is_person:
        raise PeopleOnlyError("stream.follow")
