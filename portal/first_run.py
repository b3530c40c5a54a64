"""What a new portal still lacks, step by step, from facts."""

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.models import Consumer, Producer
from governance.models import Team, User
from ingest.models import DiscoveredStream, IngestMinute
from portal.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Step:
    """One step: done or not, and where it is taken when a page takes it."""

    title: str
    text: str
    is_done: bool
    url: str = ""
    action: str = ""


def first_steps(actor: Actor) -> Sequence[Step]:
    """The way from nothing to a stream that somebody reads."""
    people = User.objects.filter(is_active=True).count()
    return [
        Step("The portal runs", "database, queue and workers answer", is_done=True),
        Step("You are signed in", actor.label, is_done=True),
        Step(
            "A team",
            "owns streams, and somebody is in it",
            Team.objects.filter(memberships__isnull=False).exists(),
            "/teams/",
            "Look",
        ),
        Step(
            "First stream",
            "with an owner, a sentence and a contract",
            is_done=False,
            url="/streams/new/",
            action="Begin",
        ),
        Step(
            "A producer with a key",
            "it sends events, and nobody else under its name",
            Producer.objects.exists(),
            "/producers/",
            "Look",
        ),
        Step(
            "First event",
            "received; one of a type nobody registered waits as discovered",
            IngestMinute.objects.exists() or DiscoveredStream.objects.exists(),
            "/ingest/",
            "Look",
        ),
        Step(
            "First reader",
            "a consumer that declared what it reads",
            Consumer.objects.exists(),
            "/consumers/",
            "Look",
        ),
        Step("A colleague", "so that somebody else can approve", people > 1),
    ]
