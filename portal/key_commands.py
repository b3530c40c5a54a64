"""Keys made by whoever runs the portal: no sign-in stands before the command line."""

from dataclasses import dataclass

from catalog.models import Consumer, Producer
from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer, permit
from governance.models import Key, User
from governance.services.keys import create_key, revoke_key
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made: user, producer, consumer or flag, by `name` of its holder or of itself.

    `owner` is an address, empty for the first admin; it and `scopes` are for users, `origins` for
    producers.
    """

    kind: str
    name: str
    streams: str = "*"
    scopes: tuple[str, ...] = ()
    owner: str = ""
    origins: tuple[str, ...] = ()


def create(new: NewKey) -> tuple[Key, str]:
    """Make a key of any kind and, where there is none of the name, its producer or consumer.

    `kind` is user, producer, consumer or flag. Raises InvalidError for an unknown owner or scope.
    """
    if new.kind == "user":
        return create_key(
            actor=SYSTEM, kind="user", name=new.name, user=_owner(new.owner), scopes=new.scopes
        )
    if new.kind == "producer":
        producer = Producer.objects.filter(name=new.name).first()
        if producer is None:
            producer = create_producer(new.name, actor=SYSTEM, globs=(new.streams,))
        else:
            permit(producer, actor=SYSTEM, globs=(new.streams,))
        return create_key(
            actor=SYSTEM,
            kind="prod",
            name=new.name,
            holder_id=producer.pk,
            streams_glob=new.streams,
            browser_origins=new.origins,
        )
    if new.kind == "consumer":
        consumer = Consumer.objects.filter(name=new.name).first()
        if consumer is None:
            consumer = create_consumer(new.name, actor=SYSTEM)
        return create_key(
            actor=SYSTEM,
            kind="cons",
            name=new.name,
            holder_id=consumer.pk,
            streams_glob=new.streams,
        )
    # A flag client is nothing but its key: it holds itself.
    return create_key(
        actor=SYSTEM, kind="flag", name=new.name, holder_id=0, streams_glob=new.streams
    )


def revoke(key_id: str) -> None:
    """End a key at once; NotFoundError when there is none."""
    revoke_key(key_id, actor=SYSTEM)


def _owner(email: str) -> User:
    """The person of that address, else the first admin."""
    people = User.objects.filter(is_active=True).order_by("pk")
    found = (
        people.filter(email=email.lower()).first()
        if email
        else people.filter(groups__name="admin").first()
    )
    if found is None:
        raise InvalidError("There is no such person." if email else "There is no admin yet.")
    return found
