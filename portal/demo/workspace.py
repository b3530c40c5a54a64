"""Building the demo workspace's catalog through the same services as everybody, over a year.

Each step looks first whether it is done, so a run that was cut goes on.
"""

from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import Group

from catalog.models import Consumer, Producer, Stream
from catalog.services.changes import publish_schema
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.domains import domain_for
from catalog.services.endings import deprecate_stream
from catalog.services.producers import create_producer
from catalog.services.streams import (
    NewStream,
    follow,
    register_stream,
)
from catalog.services.tracks import promote_stream
from governance.models import AccessRequest, Membership, Team, User
from governance.selectors.people import actor_of
from governance.services.requests import Wanted, approve_request, ask_for_access
from governance.services.teams import add_member, create_team
from governance.types import ResourceRef
from portal.demo.fields import document
from portal.demo.glossary import build_follows, build_glossary
from portal.demo.policies import build_policies
from portal.demo.reviews import build_reviews
from portal.demo.shop import (
    CONSUMERS,
    ENGINEER_TEAMS,
    PEOPLE,
    PRODUCERS,
    STREAMS,
    TEAMS,
    ShopStream,
)
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

HISTORY_DAYS: Final = 14
_NOTES: Final = (
    "First version.", "Adds what Marketing asked for.", "Adds a field for delivery.",
    "Adds a personal field, truncated.", "Adds how it was done.", "Adds a flag.",
    "Adds the mark of one-tap checkout.",
)  # fmt: skip


def build(now: datetime) -> None:
    """Make teams, people, streams with their versions, producers, consumers and grants."""
    with clock.at(now - timedelta(days=370)):
        teams = _teams()
    for stream in STREAMS:
        _stream(stream, teams[stream.team], now)
    _producers(teams)
    _consumers(teams, now)
    _endings(now)
    build_glossary(now)
    build_follows()
    _wishes(now)
    build_reviews(now)
    build_policies()


def _teams() -> dict[str, Team]:
    teams = {}
    for slug, (name, description) in TEAMS.items():
        found = Team.objects.filter(slug=slug).first()
        teams[slug] = found or create_team(slug, actor=SYSTEM, name=name, description=description)
    for email, (name, slug, leads) in PEOPLE.items():
        user = User.objects.filter(email=email).first() or User.objects.create_user(
            email, None, name=name
        )
        if not user.groups.filter(team__isnull=True).exists():
            user.groups.add(Group.objects.get_or_create(name="engineer")[0])
        if not Membership.objects.filter(team=teams[slug], user=user).exists():
            add_member(teams[slug], user, actor=SYSTEM, is_lead=leads)
    engineer = User.objects.filter(email="elias@shop.example").first()
    if engineer is not None:
        for slug in ENGINEER_TEAMS:
            if not Membership.objects.filter(team=teams[slug], user=engineer).exists():
                add_member(teams[slug], engineer, actor=SYSTEM)
    return teams


def _stream(shop: ShopStream, team: Team, now: datetime) -> None:
    """Register a stream when it was born and publish its versions over its life."""
    born = now - timedelta(days=shop.age_days)
    stream = Stream.objects.filter(name=shop.name).first()
    if stream is None:
        with clock.at(born):
            domain_for(shop.name.split(".", 1)[0], actor=SYSTEM)
            stream = register_stream(
                NewStream(
                    name=shop.name,
                    document=document(shop.fields, 1, shop.description),
                    description=shop.description,
                    owner_team=team,
                    tier=shop.tier,
                    tags=shop.tags,
                    subject_meaning="The customer, as a token.",
                    note=_NOTES[0],
                    origin="demo",
                ),
                actor=SYSTEM,
            )
            if shop.production:
                promote_stream(stream, actor=SYSTEM)
    for version in range(2, shop.versions + 1):
        if stream.versions.filter(version=version).exists():
            continue
        moment = born + (now - born) * (version - 1) / shop.versions
        content = document(shop.fields, version, shop.description)
        content["title"] = f"{shop.name} {version}"
        with clock.at(moment):
            publish_schema(stream, content, actor=SYSTEM, note=_NOTES[(version - 1) % len(_NOTES)])


def _producers(teams: dict[str, Team]) -> None:
    for name, (title, team) in PRODUCERS.items():
        if Producer.objects.filter(name=name).exists():
            continue
        mine = [stream.name for stream in STREAMS if stream.producer == name]
        create_producer(
            name,
            actor=SYSTEM,
            title=title,
            team=teams[team],
            streams=list(Stream.objects.filter(name__in=mine)),
        )


def _consumers(teams: dict[str, Team], now: datetime) -> None:
    for index, (name, title, kind, team, reads) in enumerate(CONSUMERS):
        if Consumer.objects.filter(name=name).exists():
            continue
        with clock.at(now - timedelta(days=300 - 25 * index)):
            consumer = create_consumer(name, actor=SYSTEM, title=title, kind=kind, team=teams[team])
            for stream, fields in reads.items():
                map_consumer(consumer, Stream.objects.get(name=stream), actor=SYSTEM, fields=fields)


def _endings(now: datetime) -> None:
    """The old search event is on its way out."""
    old = Stream.objects.get(name="search.query_v1")
    if old.lifecycle == "active":
        with clock.at(now - timedelta(days=48)):
            deprecate_stream(
                old,
                actor=SYSTEM,
                sunset_at=now + timedelta(days=12),
                migration="Send search.query_submitted: the words are in query, not in text.",
                successor=Stream.objects.get(name="search.query_submitted"),
            )


def _wishes(now: datetime) -> None:
    """What people follow, what they hold, and what they ask for."""
    maya = User.objects.get(email="maya@shop.example")
    ivo = User.objects.get(email="ivo@shop.example")
    lin = User.objects.get(email="lin@shop.example")
    for name in ("playback.heartbeat", "payments.payment_failed", "search.query_submitted"):
        follow(Stream.objects.get(name=name), actor=actor_of(maya))
    if not AccessRequest.objects.filter(requester=ivo).exists():
        with clock.at(now - timedelta(days=20)):
            held = ask_for_access(
                ResourceRef("stream", "identity.signup_completed"),
                actor=actor_of(ivo),
                purpose="Signup funnel by country and channel.",
                until=now + timedelta(days=13),
            )
            approve_request(held.pk, actor=actor_of(lin), reason="Masked is enough.")
        ask_for_access(
            ResourceRef("stream", "checkout.order_placed"),
            actor=actor_of(ivo),
            purpose="Read the one-tap checkout experiment on real orders.",
            until=now + timedelta(days=60),
        )
    if not AccessRequest.objects.filter(requester=maya).exists():
        ask_for_access(
            ResourceRef("stream", "search.query_submitted"),
            actor=actor_of(maya),
            purpose="Match campaigns to what people look for.",
            until=now + timedelta(days=45),
            wanted=Wanted(personal=True),
        )
