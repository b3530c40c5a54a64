"""What a person finds on their home page, gathered from every app in a bounded number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet

from catalog.models import Stream
from governance import access
from governance.models import AuditEntry
from governance.selectors.requests import requests_to_decide
from portal.http import words
from portal.kernel.actor import Actor

_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits for the person, with the one action that settles it."""

    icon: str
    title: str
    text: str
    url: str
    action: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class HomePage:
    headline: str
    items: Sequence[Item]
    streams: Sequence[Stream]
    stream_count: int
    newest: Sequence[Stream]
    changes: Sequence[AuditEntry]


def home_page(actor: Actor) -> HomePage:
    """The home page of one person."""
    items = waiting_items(actor)
    mine = my_streams(actor)
    known = access.discoverable(actor, Stream.objects.select_related("owner_team"))
    return HomePage(
        headline=headline(items),
        items=items,
        streams=list(mine[:_SHOWN]),
        stream_count=mine.count(),
        newest=list(known.order_by("-created_at")[:5]),
        changes=list(
            AuditEntry.objects.filter(
                object_kind="stream",
                action__in=("stream.registered", "schema.published", "stream.changed"),
                object_key__in=known.order_by("-updated_at").values("name")[:200],
            ).order_by("-seq")[:5]
        ),
    )


def waiting_items(actor: Actor) -> list[Item]:
    """Requests to decide, oldest first."""
    return [
        Item(
            icon="key",
            title=f"{request.requester.name} asks for {request.resource_key}",
            text=f"“{request.purpose}” Until {words.day(request.until)}.",
            url="/access/",
            action="Decide",
        )
        for request in requests_to_decide(actor).order_by("created_at")[:_SHOWN]
    ]


def my_streams(actor: Actor) -> QuerySet[Stream]:
    """Streams that the person's teams own or that they follow."""
    return (
        access.discoverable(actor, Stream.objects.select_related("owner_team"))
        .filter(Q(owner_team__in=actor.team_ids) | Q(followers__user=actor.id))
        .distinct()
        .order_by("tier", "name")
    )


def headline(items: Sequence[Item]) -> str:
    """The verdict of the day in one sentence."""
    urgent = sum(item.urgent for item in items)
    rest = len(items) - urgent
    if urgent:
        unwell = "One stream is unwell" if urgent == 1 else f"{urgent} streams are unwell"
        if rest:
            verb = "waits" if rest == 1 else "wait"
            return f"{unwell} and {words.plural(rest, 'decision')} {verb} for you."
        return f"{unwell}. The rest is calm."
    if rest:
        return f"{words.plural(rest, 'decision')} {'waits' if rest == 1 else 'wait'} for you."
    return "All calm. Nothing waits for you."
