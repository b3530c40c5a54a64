"""Where events with one head go: the outcome of every check that depends on the head alone.

A route is learnt from an event that went the whole way (`ingest.judging.pipeline`) and kept for as long as
nothing of what it rests on can have changed: the directory's generation, its lifetime, and no end,
sunset, brownout, deprecation, correction or treatment of personal fields in sight. What a route knows is not asked again.
"""

import msgspec

from ingest.judging.admission import Publisher, StreamEntry, VersionEntry
from ingest.judging.contract import Contract
from ingest.log import rows
from ingest.privacy import treating
from ingest.protocols.heads import Head
from ingest.types import Envelope


class Route(msgspec.Struct, frozen=True, eq=False):
    """One stream and contract for events of one head from one publisher.

    `source_cell` and `attributes_cell` are columns of their rows; `identity_before` and
    `identity_after` stand around the subject in what they are compared by. The attributes and the
    identity hold for an event whose extensions are those of the head.
    """

    stream: StreamEntry
    contract: Contract
    source_cell: bytes
    attributes_cell: bytes
    identity_before: bytes
    identity_after: bytes


def route_of(
    publisher: Publisher, stream: StreamEntry, named: VersionEntry, contract: Contract, head: Head
) -> Route | None:
    """The route of events like one that was accepted; None where each has to be looked at."""
    is_steady = (
        stream.ending is None
        and stream.sunset_us is None
        and named.sunset_us is None
        and not named.brownouts_us
        and named.deprecated_us is None
        and contract.version == named.version
        and contract.deprecated is None
        and not treating.is_due(stream, contract)
    )
    if not is_steady or not (publisher.sources or head.source in publisher.seen_sources):
        return None
    plain = envelope_of(head)
    before, after = rows.identity_around_subject(plain)
    return Route(
        stream,
        contract,
        rows.text_cell(head.source),
        rows.jsonb_cell(rows.dump(rows.attributes_of(plain))),
        before,
        after,
    )


def envelope_of(head: Head) -> Envelope:
    """An event with a head and nothing of its own."""
    return Envelope(
        b"", "", type=head.type, source=head.source, dataschema=head.dataschema,
        datacontenttype=head.datacontenttype, extensions=head.extensions,
    )  # fmt: skip
