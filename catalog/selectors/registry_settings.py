"""The levels and modes of the registry: set for one subject, or for all."""

from typing import Final

from catalog.models import RegistryMode, RegistrySubject, Stream
from catalog.types import CompatibilityMode

GLOBAL: Final = ""


def setting_of(subject: str, stream: Stream | None, column: str) -> str:
    """What is set for a subject itself, `level` or `mode`; empty when nothing is."""
    rows = RegistrySubject.objects.exclude(**{column: ""})
    mine = rows.filter(stream=stream) if stream is not None else rows.filter(subject=subject)
    return str(mine.order_by("pk").values_list(column, flat=True).first() or "")


def global_level() -> str:
    """The level of subjects without one of their own; BACKWARD unless somebody set it."""
    return setting_of(GLOBAL, None, "level") or CompatibilityMode.BACKWARD


def global_mode() -> str:
    """The mode of subjects without one of their own; READWRITE unless somebody set it."""
    return setting_of(GLOBAL, None, "mode") or RegistryMode.READWRITE


def effective_mode(subject: str, stream: Stream | None) -> str:
    """The mode that a subject is under: its own, else that of all."""
    return setting_of(subject, stream, "mode") or global_mode()


def effective_level(subject: str, stream: Stream | None) -> str:
    """The level that the next registration is judged by: the stream's own once there is one."""
    if stream is not None:
        return stream.compatibility_mode
    return setting_of(subject, None, "level") or global_level()
