"""What waits for one person: alarms, decisions, reviews, and what ends soon.

Each list is bounded, and what is on another page as well is asked of the same selector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q

from catalog.models import ConsumerMapping
from catalog.selectors import changes, promotions
from catalog.selectors.streams import visible_streams
from governance.models import AccessRequest, Review
from governance.selectors import break_glass, erasures, reviews
from governance.selectors.requests import GrantRow, live_grants, requests_to_decide
from portal.http import words
from portal.kernel import clock
from portal.kernel.actor import Actor
from quality.models import Alarm, CheckKind
from quality.selectors.checks import checks_of_alarms, open_alarms
from quality.verdicts import spoken

SHOWN: Final = 8
_FEW: Final = 5
_SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits for the person, with the one action that settles it.

    `urgent` fails now, `decides` waits for a yes or no, `reviews` for a look; all else ends soon.
    """

    icon: str
    title: str
    text: str
    url: str
    action: str
    about: str
    urgent: bool = False
    decides: bool = False
    reviews: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """What waits: the first eight, and how many there are. True even when nothing waits."""

    all: Sequence[Item]

    @property
    def shown(self) -> Sequence[Item]:
        return self.all[:SHOWN]


def waiting_items(actor: Actor) -> Items:
    """Alarms of the person's streams (on-call and admins: of all), decisions, and what ends soon.

    Decisions stand first for admins, alarms for everybody else.
    """
    alarms = _alarm_items(actor)
    decisions = [*_requests(actor), *_changes(actor), *_moves(actor), *_erasures(actor)]
    first = [*decisions, *alarms] if actor.is_admin else [*alarms, *decisions]
    return Items([*first, *_glasses(actor), *_reviews(actor), *_retiring(actor), *_ending(actor)])


def _requests(actor: Actor) -> list[Item]:
    return [
        Item(
            icon="key",
            title=f"{request.requester.name} asks for {request.resource_key}"
            + (f" for {request.holder}" if request.holder else ""),
            text=f"“{request.purpose}” Until {words.day(request.until)}, {_sight_of(request)}.",
            url="/access/",
            action="Decide",
            about=request.resource_key,
            decides=True,
        )
        for request in requests_to_decide(actor).order_by("created_at")[: 2 * SHOWN]
    ]


def _sight_of(request: AccessRequest) -> str:
    if request.is_to_publish:
        return "to publish"
    return f"personal fields {'in clear' if request.wants_personal else 'masked'}"


def _changes(actor: Actor) -> list[Item]:
    return [
        Item(
            icon="diff",
            title=f"{change.stream.name} version {change.version.version} waits for your approval",
            text=f"{change.opened_by} proposed it. {change.summary}".strip(),
            url=f"/changes/{change.pk}/",
            action="Decide",
            about=change.stream.name,
            decides=True,
        )
        for change in changes.waiting_for(actor).order_by("opened_at", "pk")[:SHOWN]
    ]


def _moves(actor: Actor) -> list[Item]:
    return [
        Item(
            icon="up",
            title=f"{row.stream.name} waits for your approval",
            text=f"{row.opened_by} asked to move it to the {row.to_track} track. {row.reason}".strip(),
            url=f"/streams/{row.stream.name}/promote/",
            action="Decide",
            about=row.stream.name,
            decides=True,
        )
        for row in promotions.waiting_for(actor)[:SHOWN]
    ]


def _erasures(actor: Actor) -> list[Item]:
    """Those that wait for another admin than the one who asked."""
    rows = erasures.waiting(actor).exclude(requested_by_user=actor.id)
    return [
        Item(
            icon="privacy",
            title=f"An erasure of {words.counted(row.identifiers, 'identifier')} waits for approval",
            text=f"{row.requested_by} asked for it. {row.reason}".strip(),
            url=f"/privacy/erasures/{row.pk}/",
            action="Decide",
            about=str(row.pk),
            decides=True,
        )
        for row in rows[:_FEW]
    ]


def _glasses(actor: Actor) -> list[Item]:
    """Access that others took in an emergency and nobody looked at yet."""
    return [
        Item(
            icon="warn",
            title=f"{row.user.name} broke the glass on {row.resource_key}",
            text=f"“{row.reason}”",
            url="/access/break-glass/",
            action="Review",
            about=row.resource_key,
            reviews=True,
        )
        for row in break_glass.waiting_for(actor)[:_FEW]
    ]


def _reviews(actor: Actor) -> list[Item]:
    """Reviews of what the person's teams own, the first due first."""
    rows = reviews.shown(actor, "mine").order_by(*reviews.order_of("mine"))
    return [
        Item(
            icon="policy",
            title=f"{row.resource_key} is due for review",
            text=_due(row),
            url=f"/reviews/{row.pk}/",
            action="Review",
            about=row.resource_key,
            reviews=True,
        )
        for row in rows[:_FEW]
    ]


def _due(review: Review) -> str:
    if days := review.overdue_days:
        return f"Overdue by {words.counted(days, 'day')}. Say what still holds."
    return f"By {words.day(review.due_at)}. Say what still holds."


def _alarm_items(actor: Actor) -> list[Item]:
    alarms = open_alarms(actor)
    if not (actor.is_admin or actor.has_role("on_call")):
        alarms = alarms.filter(
            Q(stream__owner_team__in=actor.team_ids) | Q(stream__followers__user=actor.id)
        ).distinct()
    rows = list(alarms[: 2 * SHOWN])
    checks = checks_of_alarms(rows)
    return [
        Item(
            icon="bad",
            title=f"{alarm.stream.name}: {CheckKind(alarm.kind).label.lower()} alarm",
            text=f"{_said_now(alarm, checks)} Since {words.since(alarm.opened_at)}.",
            url=f"/quality/alarms/{alarm.pk}/",
            action="See why",
            about=alarm.stream.name,
            urgent=True,
        )
        for alarm in rows
    ]


def _said_now(alarm: Alarm, checks: dict[int, Any]) -> str:
    """What the alarm's check says at present; what opened it, once the check is gone."""
    check = checks.get(alarm.pk)
    return spoken(check, alarm.stream.last_event_at) if check else alarm.sentence


def _retiring(actor: Actor) -> list[Item]:
    """Streams on their way out that consumers of the person's teams still read."""
    now = clock.now()
    rows = list(
        ConsumerMapping.objects.filter(
            consumer__team__in=actor.team_ids,
            stream__in=visible_streams(actor).order_by().values("pk"),
            stream__lifecycle="deprecated",
            stream__sunset_at__gt=now,
        )
        .select_related("consumer", "stream")
        .order_by("stream__sunset_at")[:_FEW]
    )
    wanted = {row.stream.successor_id for row in rows if row.stream.successor_id}
    names = dict(visible_streams(actor).filter(pk__in=wanted).values_list("pk", "name"))
    return [
        Item(
            icon="life-dep",
            title=f"{row.stream.name} retires on {words.day(row.stream.sunset_at, now)}",
            text=f"{row.consumer.title or row.consumer.name} still reads it."
            + (f" Use {next_name} instead." if next_name else ""),
            url=f"/streams/{next_name or row.stream.name}/",
            action="See what follows" if next_name else "Look",
            about=row.stream.name,
        )
        for row in rows
        for next_name in [names.get(row.stream.successor_id or 0, "")]
        if row.stream.sunset_at
    ]


def _access_of(grant: GrantRow) -> str:
    return f"Access of {grant.holder}" if grant.is_of_program else "Your access"


def _ending(actor: Actor) -> list[Item]:
    """The person's own grants, and those of their teams' programs, that end within two weeks."""
    soon = clock.now() + _SOON
    return [
        Item(
            icon="clock",
            title=f"{_access_of(grant)} to {grant.ref.key} ends on {words.day(grant.valid_until)}",
            text=f"“{grant.purpose}”",
            url=f"/access/new/?{grant.ref.kind}={grant.ref.key}"
            + (f"&renews={grant.id}" if grant.is_of_program else ""),
            action="Ask again",
            about=grant.ref.key,
        )
        for grant in live_grants(actor, mine=True, limit=_FEW)
        if grant.valid_until < soon
    ]
