"""Compatibility levels and modes that registry clients set, for all subjects or for one."""

from typing import Final

from django.db import transaction
from django.db.models import F

from catalog.models import RegistryMode, RegistrySubject, RegistryVersion, Stream
from catalog.registry.errors import (
    denied,
    invalid_level,
    invalid_mode,
    operation_not_permitted,
    subject_not_found,
)
from catalog.selectors.registry import LIVE, has_live_versions, locate
from catalog.selectors.registry_settings import GLOBAL, global_level, global_mode, setting_of
from catalog.services.registry_rights import require_administer, require_newcomer
from catalog.types import CompatibilityMode, Track
from governance import audit
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor

LEVELS: Final = tuple(CompatibilityMode.values)
MODES: Final = tuple(RegistryMode.values)
_EVERYTHING: Final = ResourceRef("registry", "global")


@transaction.atomic
def set_global_level(level: object, *, actor: Actor) -> str:
    """Set the level of all subjects that have none of their own; admins may.

    Streams that the registry made and nobody set otherwise since follow it.
    """
    _require_admin(actor)
    chosen = _one_of(level, LEVELS)
    if chosen is None:
        raise invalid_level(LEVELS)
    before = global_level()
    _store(GLOBAL, None, "level", chosen, actor)
    _follow(before, chosen)
    _record(actor, _EVERYTHING, "level", before, chosen)
    return chosen


@transaction.atomic
def clear_global_level(*, actor: Actor) -> str:
    """Go back to BACKWARD; gives the level that was set."""
    _require_admin(actor)
    before = global_level()
    _store(GLOBAL, None, "level", "", actor)
    _follow(before, global_level())
    _record(actor, _EVERYTHING, "level", before, "")
    return before


@transaction.atomic
def set_level(subject: str, level: object, *, actor: Actor) -> str:
    """Set the level of one subject, also before its first registration."""
    chosen = _one_of(level, LEVELS)
    if chosen is None:
        raise invalid_level(LEVELS)
    stream = _held(subject, actor)
    before = setting_of(subject, stream, "level")
    _store(subject, stream, "level", chosen, actor)
    if stream is not None:
        _apply(stream, chosen)
    _record(actor, _ref(subject, stream), "level", before, chosen)
    return chosen


@transaction.atomic
def clear_level(subject: str, *, actor: Actor) -> str:
    """Let a subject follow the global level again; RegistryError 40401 when it had none."""
    stream = _held(subject, actor)
    before = setting_of(subject, stream, "level")
    if not before:
        raise subject_not_found(subject)
    _store(subject, stream, "level", "", actor)
    if stream is not None:
        _apply(stream, global_level())
    _record(actor, _ref(subject, stream), "level", before, "")
    return before


@transaction.atomic
def set_global_mode(mode: object, *, actor: Actor, force: bool = False) -> str:
    """Set the mode of all subjects that have none of their own; admins may."""
    _require_admin(actor)
    chosen = _one_of(mode, MODES)
    if chosen is None:
        raise invalid_mode(MODES)
    before = global_mode()
    if chosen == RegistryMode.IMPORT and before != chosen and not force:
        _refuse_import(RegistryVersion.objects.filter(LIVE).exists())
    _store(GLOBAL, None, "mode", chosen, actor)
    _record(actor, _EVERYTHING, "mode", before, chosen)
    return chosen


@transaction.atomic
def clear_global_mode(*, actor: Actor) -> str:
    """Go back to READWRITE; gives the mode that was set. Admins may."""
    _require_admin(actor)
    before = global_mode()
    _store(GLOBAL, None, "mode", "", actor)
    _record(actor, _EVERYTHING, "mode", before, "")
    return before


@transaction.atomic
def set_mode(subject: str, mode: object, *, actor: Actor, force: bool = False) -> str:
    """Set the mode of one subject, also before its first registration.

    IMPORT needs a subject without live versions, or `force`: RegistryError 42205 otherwise.
    """
    chosen = _one_of(mode, MODES)
    if chosen is None:
        raise invalid_mode(MODES)
    stream = _held(subject, actor)
    before = setting_of(subject, stream, "mode")
    if chosen == RegistryMode.IMPORT and before != chosen and not force:
        _refuse_import(stream is not None and has_live_versions(stream))
    _store(subject, stream, "mode", chosen, actor)
    _record(actor, _ref(subject, stream), "mode", before, chosen)
    return chosen


@transaction.atomic
def clear_mode(subject: str, *, actor: Actor) -> str:
    """Let a subject follow the global mode again; RegistryError 40401 when it had none."""
    stream = _held(subject, actor)
    before = setting_of(subject, stream, "mode")
    if not before:
        raise subject_not_found(subject)
    _store(subject, stream, "mode", "", actor)
    _record(actor, _ref(subject, stream), "mode", before, "")
    return before


def forget_settings(stream: Stream) -> None:
    """Shared step of deleting a subject: it follows the global level and mode again."""
    rows = RegistrySubject.objects.filter(stream=stream)
    if rows.exclude(level="").exists():
        _apply(stream, global_level())
    rows.update(level="", mode="")


def _held(subject: str, actor: Actor) -> Stream | None:
    """The subject's stream, None before there is one, for who may settle its rules."""
    stream = locate(subject)
    if stream is None:
        require_newcomer(actor, subject)
    else:
        require_administer(actor, subject, stream)
    return stream


def _store(subject: str, stream: Stream | None, column: str, value: str, actor: Actor) -> None:
    """One row of a stream carries its settings: the one named now."""
    RegistrySubject.objects.get_or_create(subject=subject, defaults={"created_by": actor.label})
    if stream is not None:
        RegistrySubject.objects.filter(stream=stream).update(**{column: ""})
    RegistrySubject.objects.filter(subject=subject).update(**{column: value}, stream=stream)


def _follow(before: str, now: str) -> None:
    if before == now:
        return
    own = RegistrySubject.objects.exclude(level="").filter(stream__isnull=False)
    made = RegistrySubject.objects.filter(made_stream=True).exclude(
        stream__in=own.values("stream_id")
    )
    Stream.objects.filter(
        pk__in=made.values("stream_id"), compatibility_mode=before, track=Track.EXPERIMENTAL
    ).update(compatibility_mode=now, revision=F("revision") + 1, updated_at=clock.now())


def _apply(stream: Stream, level: str) -> None:
    Stream.objects.filter(pk=stream.pk).update(
        compatibility_mode=level, revision=F("revision") + 1, updated_at=clock.now()
    )


def _one_of(value: object, allowed: tuple[str, ...]) -> str | None:
    """The allowed word that the value spells in any case."""
    return value.upper() if isinstance(value, str) and value.upper() in allowed else None


def _refuse_import(has_versions: bool) -> None:
    if has_versions:
        raise operation_not_permitted(
            "Cannot import since found existing schemas; force=true does it nevertheless."
        )


def _require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise denied("Only admins set what holds for all subjects; ask one.")


def _ref(subject: str, stream: Stream | None) -> ResourceRef:
    return stream.ref if stream is not None else ResourceRef("registry", subject)


def _record(actor: Actor, ref: ResourceRef, what: str, before: str, after: str) -> None:
    audit.record(
        actor,
        f"registry.{what}_set" if after else f"registry.{what}_cleared",
        ref,
        summary=f"set the registry's {what} of {ref.key} to {after or 'the default'}",
        before={what: before},
        after={what: after},
    )
