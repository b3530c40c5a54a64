"""The kinds of things of the catalog that policies judge, as governance knows them."""

from catalog.models import Consumer, Stream
from catalog.policy_facts import CHANGE_FACTS, CONSUMER_FACTS, STREAM_FACTS
from catalog.selectors import policy_facts as read
from governance.policies.facts import Subject
from governance.selectors import request_policies

STREAM = "stream"
CHANGE = "change"
CONSUMER = "consumer"


def subjects() -> list[Subject]:
    """Streams with their contract, open changes of a contract, consumers, and requests for access."""
    return [
        Subject(
            kind=STREAM,
            one="stream",
            many="streams",
            facts=STREAM_FACTS,
            after=read.stream_things,
            count=Stream.objects.count,
            known=read.known_streams,
            titles=read.stream_titles,
            address="/streams/{key}/",
        ),
        Subject(
            kind=CHANGE,
            one="open change",
            many="open changes",
            facts=CHANGE_FACTS,
            after=read.change_things,
            count=read.count_open_changes,
            known=read.known_changes,
            titles=read.change_titles,
            address="/changes/{key}/",
        ),
        Subject(
            kind=CONSUMER,
            one="consumer",
            many="consumers",
            facts=CONSUMER_FACTS,
            after=read.consumer_things,
            count=Consumer.objects.count,
            known=read.known_consumers,
            titles=read.consumer_titles,
            address="/consumers/{key}/",
        ),
        request_policies.subject(),  # here: what it says of streams is the catalog's to say
    ]
