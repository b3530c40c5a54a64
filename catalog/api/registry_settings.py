"""The registry's endpoints for compatibility levels and modes."""

from collections.abc import Mapping
from typing import Any

from catalog.api.registry_door import Call
from catalog.models import Stream
from catalog.registry.errors import RegistryError, level_not_configured, mode_not_configured
from catalog.registry.requests import read_flag
from catalog.registry.subjects import read_subject
from catalog.selectors import registry_settings as found
from catalog.selectors.registry import find_stream, locate
from catalog.services import registry_settings as settings


def global_level(call: Call) -> Any:
    return {"compatibilityLevel": found.global_level()}


def set_global_level(call: Call) -> Any:
    level = settings.set_global_level(_member(call, "compatibility"), actor=call.actor)
    return {"compatibility": level}


def clear_global_level(call: Call) -> Any:
    return {"compatibilityLevel": settings.clear_global_level(actor=call.actor)}


def level(call: Call, subject: str) -> Any:
    name, stream = _known(call, subject)
    set_here = found.setting_of(name, stream, "level")
    if not set_here and not read_flag(call.query, "defaultToGlobal"):
        raise level_not_configured(subject)
    return {"compatibilityLevel": found.effective_level(name, stream)}


def set_level(call: Call, subject: str) -> Any:
    level = settings.set_level(
        read_subject(subject), _member(call, "compatibility"), actor=call.actor
    )
    return {"compatibility": level}


def clear_level(call: Call, subject: str) -> Any:
    return {"compatibilityLevel": settings.clear_level(read_subject(subject), actor=call.actor)}


def global_mode(call: Call) -> Any:
    return {"mode": found.global_mode()}


def set_global_mode(call: Call) -> Any:
    mode = settings.set_global_mode(
        _member(call, "mode"), actor=call.actor, force=read_flag(call.query, "force")
    )
    return {"mode": mode}


def clear_global_mode(call: Call) -> Any:
    return {"mode": settings.clear_global_mode(actor=call.actor)}


def mode(call: Call, subject: str) -> Any:
    name, stream = _known(call, subject)
    set_here = found.setting_of(name, stream, "mode")
    if not set_here and not read_flag(call.query, "defaultToGlobal"):
        raise mode_not_configured(subject)
    return {"mode": found.effective_mode(name, stream)}


def set_mode(call: Call, subject: str) -> Any:
    mode = settings.set_mode(
        read_subject(subject),
        _member(call, "mode"),
        actor=call.actor,
        force=read_flag(call.query, "force"),
    )
    return {"mode": mode}


def clear_mode(call: Call, subject: str) -> Any:
    return {"mode": settings.clear_mode(read_subject(subject), actor=call.actor)}


def _known(call: Call, subject: str) -> tuple[str, Stream | None]:
    """The subject with its stream, None before there is one; 40401 for a hidden one."""
    name = read_subject(subject)
    return name, find_stream(call.actor, name) if locate(name) is not None else None


def _member(call: Call, name: str) -> object:
    body = call.body()
    if not isinstance(body, Mapping):
        raise RegistryError(400, 400, "The body must be a JSON object.")
    return body.get(name)
