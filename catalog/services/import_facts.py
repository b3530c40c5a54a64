"""The facts that a file states of a stream: read in the catalog's words, set where they differ."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from catalog.classified import SENSITIVITY
from catalog.exchange.plans import FieldChange
from catalog.exchange.portal_keys import FACTS, foreign
from catalog.models import Stream
from catalog.services import import_parties as parties
from catalog.services.import_taking import Taking, slug_of
from catalog.services.promotions import ask_to_move, is_asked
from catalog.services.streams import (
    MAX_DESCRIPTION,
    MAX_TAGS,
    add_alias,
    change_stream,
    faults_of,
)
from catalog.services.tracks import promote_stream
from catalog.types import Classification, Track
from governance.models import Team
from portal.kernel.errors import PortalError

# How versions are judged: set before they come in.
_JUDGING: Final = ("compatibility_mode", "compatibility_policy")
_MAX_TITLE: Final = 200


def stated_facts(taking: Taking, stream: Stream | None, owner: Team | None) -> dict[str, Any]:
    """What the file states, without what does not fit here; `stream` is the known one."""
    outside = taking.outside
    stated = {
        "title": outside.title,
        "description": outside.description,
        "tier": outside.tier,
        "classification": outside.classification,
        "compatibility_mode": outside.compatibility_mode,
        "compatibility_policy": outside.compatibility_policy,
        "retention_days": outside.retention_days,
        "owner_team": owner,
        "tags": list(outside.tags) if taking.declared else _slugs(outside.tags),
        **{key: taking.own[key] for key in FACTS if key in taking.own},
    }
    if kept := foreign(outside.extensions):
        stated["extensions"] = {**(stream.extensions if stream is not None else {}), **kept}
    facts = {key: value for key, value in stated.items() if value not in (None, "", [])}
    return facts if taking.declared else _fitting(taking, facts, stream)


def _fitting(taking: Taking, facts: dict[str, Any], stream: Stream | None) -> dict[str, Any]:
    """Facts of another tool's file, each as far as it fits."""
    if len(taking.outside.description) > MAX_DESCRIPTION:
        taking.leave_out(f"description is cut to {MAX_DESCRIPTION:,} characters.")
        facts["description"] = taking.outside.description[:MAX_DESCRIPTION]
    if "title" in facts:
        facts["title"] = facts["title"][:_MAX_TITLE]
    for fault in faults_of(facts):
        name = fault.pointer.strip("/")
        taking.leave_out(f"{name} {fault.detail}.")
        facts.pop(name, None)
    if stream is not None and _is_lower(facts.get("classification"), stream.classification):
        del facts["classification"]  # a file of another tool never makes a stream less sensitive
    return facts


def owner_of(taking: Taking) -> Team | None:
    """The team that the file names as owner."""
    said = taking.outside.owner
    if not said:
        return None
    team = Team.objects.filter(slug=said if taking.declared else slug_of(said)).first()
    if team is None:
        taking.leave_out(f"There is no team {said} here.")
    return team


def set_judging(taking: Taking, stream: Stream) -> None:
    """Set the mode and policy that the versions to come are judged by."""
    stated = {key: getattr(taking.outside, key) for key in _JUDGING}
    wanted = {key: value for key, value in stated.items() if value}
    faults = () if taking.declared else faults_of(wanted)
    for fault in faults:
        del wanted[fault.pointer.strip("/")]
    set_facts(taking, stream, wanted)


def set_facts(taking: Taking, stream: Stream, wanted: Mapping[str, Any]) -> None:
    """Set those facts that differ."""
    changes: dict[str, Any] = {}
    for key, new in wanted.items():
        old = _present(stream, key)
        if _comparable(new) != _comparable(old):
            changes[key] = new
            taking.changes.append(FieldChange(_word(key), _plain(old), _plain(new)))
    if changes:
        change_stream(stream, changes, actor=taking.actor)


def promote(taking: Taking, stream: Stream) -> None:
    """Move the stream to the production track where the portal's own file says so."""
    if not taking.actor.is_system or not _is_to_move(taking, stream):
        return
    taking.changes.append(FieldChange("track", stream.track, Track.PRODUCTION))
    promote_stream(stream, actor=taking.actor, is_new=taking.is_new)


def ask_for_track(taking: Taking, stream: Stream) -> None:
    """Ask to move the stream to production where a person's file says so: others approve. It is
    the last of the facts, because what production asks for is judged by all of them."""
    if taking.actor.is_system or not _is_to_move(taking, stream) or is_asked(stream):
        return
    try:
        with transaction.atomic():
            ask_to_move(stream, Track.PRODUCTION, actor=taking.actor, reason="Said by a file.")
    except PortalError as error:
        taking.leave_out(f"It stays on the experimental track: {error.detail}", error)
    else:
        taking.changes.append(FieldChange("track", stream.track, "production, once approved"))


def _is_to_move(taking: Taking, stream: Stream) -> bool:
    wanted = taking.outside.track
    if not wanted or wanted == stream.track:
        return False
    if wanted != Track.PRODUCTION:
        taking.leave_out("A stream goes back from the production track on its own page.")
        return False
    return True


def keep_aliases(taking: Taking, stream: Stream) -> None:
    """Keep the names that the stream has outside."""
    held = {stream.name, *stream.aliases.values_list("alias", flat=True)}
    for alias in (taking.outside.name, *taking.outside.aliases):
        if alias in held:
            continue
        taking.require_edit(stream)
        try:
            with transaction.atomic():
                add_alias(stream, alias, origin="import")
        except PortalError as error:
            taking.leave_out(f"The alias {alias} cannot be kept: {error.detail}")
        else:
            taking.changes.append(FieldChange("alias", None, alias))


def tie_parties(taking: Taking, stream: Stream) -> None:
    """Producers and consumers that the file names for the stream."""
    tie = {"producer": parties.let_send, "consumer": parties.let_read}
    named = [("producer", name) for name in taking.outside.producers]
    named += [("consumer", name) for name in taking.outside.consumers]
    for kind, said in named:
        name = said if taking.declared else slug_of(said)
        try:
            with transaction.atomic():
                is_tied = tie[kind](name, stream, actor=taking.actor)
        except PortalError as error:
            taking.leave_out(f"The {kind} {said}: {error.detail}", error)
        else:
            if is_tied:
                taking.changes.append(FieldChange(kind, None, name))


def _slugs(tags: tuple[str, ...]) -> list[str]:
    return sorted({slug for said in tags if (slug := slug_of(said))})[:MAX_TAGS]


def _is_lower(wanted: str | None, present: str) -> bool:
    if wanted is None:
        return False
    order = SENSITIVITY.index
    return order(Classification(wanted)) < order(Classification(present))


def _present(stream: Stream, key: str) -> Any:
    if key == "tags":
        return sorted(stream.tags.values_list("slug", flat=True))
    return getattr(stream, key)


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Team):
        return value.slug
    return sorted(value) if isinstance(value, Mapping) else value


def _word(key: str) -> str:
    return {"owner_team": "owner"}.get(key, key)
