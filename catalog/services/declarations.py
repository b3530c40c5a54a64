"""What a portal file declares, entry by entry: teams, domains, policies, streams, producers,
consumers.

What an entry states is set, what it does not state stays. Streams of a producer, and what a
consumer reads, are added to; nothing is taken away, since a file may be about a part of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import transaction

from catalog.exchange.plans import Action, FieldChange, Plan, StreamPlan
from catalog.exchange.portal_yaml import (
    ConsumerEntry,
    DomainEntry,
    PolicyEntry,
    PortalFile,
    ProducerEntry,
    TeamEntry,
)
from catalog.models import Consumer, ConsumerMapping, Domain, Producer, Stream
from catalog.selectors.streams import get_stream
from catalog.services.consumers import change_consumer, create_consumer, map_consumer
from catalog.services.domains import change_domain, create_domain
from catalog.services.imports import import_or_refuse, unreadable
from catalog.services.producers import change_producer, create_producer
from governance.models import Policy, Team
from governance.services.policies import CHANGEABLE, change_policy, create_policy
from governance.services.teams import change_team, create_team
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, NotFoundError, PortalError, sentence

_NEEDED: Final = ("title", "sentence", "subject", "expression")
_APPLIED: Final = "Applied from a file."


class Declaration:
    """A portal file on its way in, inside the caller's transaction."""

    def __init__(self, declared: PortalFile, actor: Actor) -> None:
        self.declared, self.actor = declared, actor

    def plan(self) -> Plan:
        """Settle all entries in the order they need each other; a refused one stops no other.

        Where any part cannot be read, nothing is settled and only that is told.
        """
        if self.declared.unreadable:
            return Plan(tuple(unreadable(one) for one in self.declared.unreadable))
        rows = [self._entry("team", one.slug, one.where, self._team, one)
                for one in self.declared.teams]  # fmt: skip
        rows += [self._entry("domain", one.slug, one.where, self._domain, one)
                 for one in self.declared.domains]  # fmt: skip
        rows += [self._entry("policy", one.slug, one.where, self._policy, one)
                 for one in self.declared.policies]  # fmt: skip
        rows += [import_or_refuse(one, actor=self.actor, domain="", declared=True)
                 for one in self.declared.streams]  # fmt: skip
        rows += [self._entry("producer", one.name, one.where, self._producer, one)
                 for one in self.declared.producers]  # fmt: skip
        rows += [self._entry("consumer", one.name, one.where, self._consumer, one)
                 for one in self.declared.consumers]  # fmt: skip
        return Plan(tuple(rows))

    def _entry(
        self,
        kind: str,
        name: str,
        where: str,
        settle: Callable[[Any], tuple[bool, Sequence[FieldChange]]],
        entry: object,
    ) -> StreamPlan:
        """One entry that is no stream: `settle` gives whether it is new and what changed."""
        try:
            with transaction.atomic():
                is_new, changes = settle(entry)
        except PortalError as error:
            return StreamPlan(name, name, where, Action.REFUSED, kind=kind, refused=sentence(error))
        known = Action.CHANGE if changes else Action.UNCHANGED
        action = Action.CREATE if is_new else known
        return StreamPlan(
            name, name, where, action, kind=kind, changes=() if is_new else tuple(changes)
        )

    def _team(self, entry: TeamEntry) -> tuple[bool, Sequence[FieldChange]]:
        team = Team.objects.filter(slug=entry.slug).first()
        if team is None:
            create_team(
                entry.slug,
                actor=self.actor,
                name=entry.name or entry.slug.replace("-", " ").capitalize(),
                description=entry.description or "",
            )
            return True, ()
        changes = _differing(team, {"name": entry.name, "description": entry.description})
        if changes:
            change_team(team, _values(changes), actor=self.actor, unless_after=team.updated_at)
        return False, [_named(change) for change in changes]

    def _domain(self, entry: DomainEntry) -> tuple[bool, Sequence[FieldChange]]:
        owner = _team(entry.owner)
        domain = Domain.objects.select_related("owner_team").filter(slug=entry.slug).first()
        if domain is None:
            create_domain(
                entry.slug,
                actor=self.actor,
                name=entry.name or "",
                description=entry.description or "",
                owner_team=owner,
            )
            return True, ()
        wanted = {"name": entry.name, "description": entry.description, "owner_team": owner}
        changes = _differing(domain, wanted)
        if changes:
            change_domain(
                domain, _values(changes), actor=self.actor, unless_after=domain.updated_at
            )
        return False, [_named(change) for change in changes]

    def _policy(self, entry: PolicyEntry) -> tuple[bool, Sequence[FieldChange]]:
        """Before the streams: what a file declares holds for its streams too."""
        stated = {
            name: text.strip() if (text := getattr(entry, name)) is not None else None
            for name in CHANGEABLE
        }
        policy = Policy.objects.filter(slug=entry.slug).first()
        if policy is None:
            needed = {**stated, "subject": entry.subject}
            if missing := [name for name in _NEEDED if not needed[name]]:
                raise InvalidError(f"A new policy needs {', '.join(missing)}.")
            values = {name: value for name, value in needed.items() if value is not None}
            create_policy(entry.slug, actor=self.actor, note=_APPLIED, **values)
            return True, ()
        if entry.subject not in (None, policy.subject):
            raise InvalidError("What a policy judges is said when it is made.")
        changes = _differing(policy, stated)
        if changes:
            change_policy(
                policy, _values(changes), actor=self.actor, revision=policy.revision, note=_APPLIED
            )
        return False, changes

    def _producer(self, entry: ProducerEntry) -> tuple[bool, Sequence[FieldChange]]:
        team = _team(entry.team)
        streams = [self._stream(name) for name in entry.streams or ()]
        producer = Producer.objects.select_related("team").filter(name=entry.name).first()
        if producer is None:
            create_producer(
                entry.name,
                actor=self.actor,
                title=entry.title or "",
                description=entry.description or "",
                team=team,
                default_domain=entry.default_domain or "",
                streams=streams,
                globs=entry.globs or (),
                sources=entry.sources or (),
                is_test=bool(entry.is_test),
            )
            return True, ()
        if entry.is_test is not None and entry.is_test != producer.is_test:
            raise InvalidError("Whether a producer is a test is said when it is made.")
        wanted = {
            "title": entry.title,
            "description": entry.description,
            "team": team,
            "default_domain": entry.default_domain,
        }
        changes = _differing(producer, wanted)
        held = producer.permitted.select_related("stream")
        sources = producer.sources.filter(declared=True).values_list("source", flat=True)
        added: dict[str, tuple[list[Any], list[Any]]] = {
            "streams": ([row.stream for row in held if row.stream is not None], streams),
            "globs": ([row.glob for row in held if row.glob], list(entry.globs or ())),
            "sources": (list(sources), list(entry.sources or ())),
        }
        for name, (old, new) in added.items():
            if more := [one for one in new if one not in old]:
                changes.append(FieldChange(name, old, [*old, *more]))
        if changes:
            change_producer(
                producer, _values(changes), actor=self.actor, revision=producer.revision
            )
        return False, [_named(change) for change in changes]

    def _consumer(self, entry: ConsumerEntry) -> tuple[bool, Sequence[FieldChange]]:
        team = _team(entry.team)
        consumer = Consumer.objects.select_related("team").filter(name=entry.name).first()
        is_new = consumer is None
        changes: list[FieldChange] = []
        if consumer is None:
            consumer = create_consumer(
                entry.name,
                actor=self.actor,
                title=entry.title or "",
                description=entry.description or "",
                kind=entry.kind or "service",
                team=team,
            )
        else:
            wanted = {
                "title": entry.title,
                "description": entry.description,
                "kind": entry.kind,
                "team": team,
            }
            changes = _differing(consumer, wanted)
            if changes:
                change_consumer(
                    consumer, _values(changes), actor=self.actor, revision=consumer.revision
                )
        for mapping in entry.mappings or ():
            stream = self._stream(mapping.stream)
            row = ConsumerMapping.objects.filter(consumer=consumer, stream=stream).first()
            old = (row.fields, row.version, row.purpose) if row is not None else None
            new = (list(mapping.fields), mapping.version, mapping.purpose)
            if old != new:
                map_consumer(
                    consumer,
                    stream,
                    actor=self.actor,
                    fields=mapping.fields,
                    version=mapping.version,
                    purpose=mapping.purpose,
                )
                changes.append(
                    FieldChange(f"reads {stream.name}", old and old[0], list(mapping.fields))
                )
        return is_new, [_named(change) for change in changes]

    def _stream(self, name: str) -> Stream:
        try:
            return get_stream(self.actor, name)
        except NotFoundError as error:
            raise InvalidError(f"There is no stream {name} here.") from error


def _team(slug: str | None) -> Team | None:
    if not slug:
        return None
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise InvalidError(f"There is no team {slug} here. Declare it in the file too.")
    return found


def _differing(row: object, wanted: Mapping[str, Any]) -> list[FieldChange]:
    """The stated values that a row does not have."""
    return [
        FieldChange(name, getattr(row, name), new)
        for name, new in wanted.items()
        if new is not None and getattr(row, name) != new
    ]


def _values(changes: Iterable[FieldChange]) -> dict[str, Any]:
    return {change.name: change.new for change in changes}


def _named(change: FieldChange) -> FieldChange:
    """A change with names instead of rows."""
    return FieldChange(change.name, _name(change.old), _name(change.new))


def _name(value: Any) -> Any:
    if isinstance(value, list):
        return [_name(one) for one in value]
    if isinstance(value, Stream):
        return value.name
    return value.slug if isinstance(value, Team) else value
