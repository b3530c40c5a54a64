"""The road of a batch from envelopes to its answer, the same for every door.

1. `Batch.offer` takes of a run of events those whose route is known. The others wait.
2. `names_to_load` and `contracts_to_load` say what the directory lacks for those; a door loads it
   where blocking is allowed.
3. `Batch.take` judges one envelope after the other (a door may pause in between): admission, time
   window, version, contract; what passes is packed for the table.
4. The writer stores the submission; `ingest.judging.answers` puts the outcome into words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from governance import tombstones
from governance.privacy import keys
from ingest.judging import admission, answers, erased, routes
from ingest.judging.admission import Directory, Publisher, Refusal, StreamEntry, VersionEntry
from ingest.judging.contract import Contract
from ingest.judging.deprecations import VERSION, Ending, Use
from ingest.judging.ready import Ready, ready_for
from ingest.judging.routes import Route
from ingest.log import rows
from ingest.log.group import Item, Submission
from ingest.log.store import writer
from ingest.privacy import treating
from ingest.protocols import cloudevents, heads
from ingest.protocols.cloudevents import Calm, Run
from ingest.protocols.heads import Head, Known
from ingest.times import us_of, us_of_uuid7
from ingest.types import (
    AnswerDict,
    Envelope,
    Mark,
    Reason,
)
from portal.kernel import clock, strict_json
from portal.kernel.errors import FieldError
from portal.kernel.strict_json import MAX_FINDINGS

_MAX_ERRORS_CHARACTERS: Final = 4096
_NO_SCHEMA: Final = FieldError(
    "/dataschema", "schema_unknown", "names a version whose schema cannot be compiled"
)


# Stands in the items where an envelope waits.
_PENDING: Final = Item("", Envelope(b"", ""))


@dataclass(slots=True)
class Batch:
    """The events of one request under judgement."""

    publisher: Publisher
    received_us: int
    directory: Directory
    is_import: bool = False
    is_rehearsal: bool = False
    items: list[Item] = field(default_factory=list)
    streams: dict[str, StreamEntry] = field(default_factory=dict)
    new_sources: set[str] = field(default_factory=set)
    secrets: treating.Secrets = field(default_factory=treating.Secrets)
    ending: Ending | None = None  # of what its events name, the one that ends first
    takes_short_ways: bool = True  # not where the moment of judgement is not that of receipt
    waiting: list[tuple[int, Envelope]] = field(default_factory=list)  # with their places in items
    routes: dict[Head, Route] = field(default_factory=dict)
    has_erased: bool = False  # whether anybody was ever erased
    _ready: dict[Head, Ready] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_erased = tombstones.any_erased()
        if self.takes_short_ways and not self.is_import:
            self.routes = self.directory.routes_of(self.publisher)

    # When the dead letter that is replayed next first came: its window, its time when it has none,
    # and its place in the table are of then; versions and permissions are of now.
    first_us: int | None = None

    def offer(self, run: Run) -> None:
        """Take the events of a run whose route is known, while they are still at hand to the
        processor; the others wait for `take_waiting`."""
        if not isinstance(run, Calm):
            self.wait(run)
            return
        items, readies = self.items, self._ready
        for event, raw in zip(run.events, run.texts, strict=True):
            known = heads.find(event)
            if known is not None and not (self.has_erased and erased.until(known[3], known[4])):
                head = known[0]
                ready = readies.get(head) or self._made_ready(head)
                if ready is not None:
                    item = ready.item(known, event.get("data"), raw, may_vary=run.may_vary)
                    if item is not None:
                        items.append(item)
                        continue
            self._wait(cloudevents.read_calm(event, raw))

    def wait(self, run: Run) -> None:
        """Keep the places of a run's events until what they need has been loaded."""
        for envelope in cloudevents.envelopes_of(run):
            self._wait(envelope)

    def _wait(self, envelope: Envelope) -> None:
        self.waiting.append((len(self.items), envelope))
        self.items.append(_PENDING)

    def take_waiting(self) -> Iterator[Envelope]:
        """Judge what waits, one a turn, each in its place; what it needs must have been loaded."""
        items = self.items
        for place, envelope in self.waiting:
            self.items = []
            self.take(envelope)
            items[place] = self.items[0]
            yield envelope
        self.items, self.waiting = items, []

    def names_to_load(self, envelopes: Iterable[Envelope]) -> set[str]:
        """The types that have to be looked up in the database before `take`."""
        routes = self.routes
        names = {
            envelope.type for envelope in envelopes if envelope.head not in routes and envelope.type
        }
        missing = self.directory.missing(names)
        for name in names - missing:
            found = self.directory.stream(name)
            if found is None:  # emptied meanwhile
                missing.add(name)
            else:
                self.streams[name] = found
        return missing

    def load(self, names: set[str]) -> None:
        """Look types up. Blocks on the database."""
        self.streams.update(self.directory.load_streams(names))

    def contracts_to_load(self, envelopes: Iterable[Envelope]) -> list[tuple[StreamEntry, int]]:
        """The contracts that have to be compiled before `take`."""
        needed: dict[tuple[int, int], tuple[StreamEntry, int]] = {}
        for envelope in envelopes:
            if envelope.head in self.routes:
                continue
            stream = self.streams.get(envelope.type)
            version = treating.version_of(stream, envelope) if stream is not None else None
            if stream is None or version is None:
                continue
            if not self.directory.has_contract(stream, version):
                needed[stream.id, version] = (stream, version)
        return list(needed.values())

    def load_contracts(self, needed: Iterable[tuple[StreamEntry, int]]) -> None:
        """Compile contracts. Blocks on the database."""
        for stream, version in needed:
            self.directory.load_contract(stream, version)

    def secrets_to_load(self, envelopes: Iterable[Envelope]) -> bool:
        """Whether tokens or data keys have to be looked up in the vault before `take`."""
        self.secrets.is_rehearsal = self.is_rehearsal
        names = {
            name
            for name, stream in self.streams.items()
            if stream.subject_privacy or self.directory.has_privacy(stream)
        }
        if names:
            for envelope in envelopes:
                if envelope.type in names:
                    stream, contract = self._known(envelope)
                    if stream is not None:
                        treating.note_needs(self.secrets, envelope, stream, contract)
        return not self.secrets.is_complete

    def load_secrets(self) -> None:
        """Look them up, or make them. Blocks on the database."""
        self.secrets.load()

    def load_all(self, envelopes: Sequence[Envelope]) -> None:
        """Load whatever `take` needs of events and is not at hand. Blocks on the database."""
        missing = self.names_to_load(envelopes)
        if missing:
            self.load(missing)
        self.load_contracts(self.contracts_to_load(envelopes))
        if self.secrets_to_load(envelopes):
            self.load_secrets()

    def _known(self, envelope: Envelope) -> tuple[StreamEntry | None, Contract | None]:
        """The stream and contract whose privacy an event obeys, whatever is wrong with it."""
        stream = self.streams.get(envelope.type)
        version = treating.version_of(stream, envelope) if stream is not None else None
        if stream is None or version is None:
            return stream, None
        return stream, self.directory.contract(stream, version)

    def _redact(self, envelope: Envelope) -> None:
        """Take out of a refused event what its stream's privacy holds back, where it is known."""
        stream, contract = self._known(envelope)
        if stream is not None and contract is not None:
            is_concerned = treating.concerns(stream, contract, envelope)
            if is_concerned:
                treating.redact(self.secrets, envelope, stream, contract)
            envelope.is_open = envelope.is_treated or not is_concerned

    def take(self, envelope: Envelope) -> None:
        """Judge one envelope and add it to the batch."""
        if self.has_erased and self._take_erased(envelope):
            return
        route = self.routes.get(envelope.head) if envelope.head is not None else None
        if route is None:
            stream = self.streams.get(envelope.type)
        elif self._take_known(envelope):
            return
        else:
            stream = route.stream
        if envelope.reason is not None:
            self._redact(envelope)
            known = stream is not None and self.publisher.may_publish(stream)
            self.items.append(
                Item(
                    envelope.id,
                    envelope,
                    stream_id=stream.id if stream is not None and known else 0,
                    reason=envelope.reason,
                    errors=_bounded(envelope.errors),
                )
            )
            return
        refusal = admission.admit(self.publisher, stream, envelope)
        if refusal is not None or stream is None:
            is_known = refusal is not None and refusal.reason is not Reason.UNKNOWN_STREAM
            self._refuse(
                envelope,
                stream if is_known else None,
                refusal,
                is_discovery=stream is None,
            )
            return
        occurred_us, marks = self._time_of(envelope)
        refusal = admission.check_window(
            stream, occurred_us, self._came_us, is_import=self.is_import
        )
        if refusal is not None:
            self._refuse(envelope, stream, refusal)
            return
        named = admission.named_version(stream, envelope.dataschema)
        if stream.ending is not None or (named is not None and named.deprecated_us is not None):
            self._note_ending(stream, named)
        refusal = admission.check_version(stream, named, envelope.dataschema, self.received_us)
        if refusal is not None or named is None:
            self._refuse(envelope, stream, refusal)
            return
        version = stream.corrected_by.get(named.version, named.version)
        contract = self.directory.contract(stream, version)
        if contract is None:
            self._refuse(envelope, stream, Refusal(Reason.SCHEMA_UNKNOWN, (_NO_SCHEMA,)))
            return
        self._validate(envelope, stream, named, contract, occurred_us, marks)

    def _take_erased(self, envelope: Envelope) -> bool:
        """Refuse an event about somebody who was erased, before anything else is looked at; gives
        whether it was one. Who may not publish it learns what they would have learnt without that."""
        until = erased.until_of(envelope)
        if until is None:
            return False
        route = self.routes.get(envelope.head) if envelope.head is not None else None
        stream = route.stream if route is not None else self.streams.get(envelope.type)
        if not erased.is_refused(stream, self._time_of(envelope)[0], until):
            return False
        refusal = admission.admit(self.publisher, stream, envelope) or Refusal(
            Reason.PRIVACY_REFUSED, (erased.REFUSED,)
        )
        is_known = stream is not None and refusal.reason is not Reason.UNKNOWN_STREAM
        left = erased.stripped(envelope)
        self.items.append(
            Item(
                left.id,
                left,
                stream_id=stream.id if stream is not None and is_known else 0,
                reason=refusal.reason,
                errors=refusal.errors,
                is_discovery=stream is None and bool(left.type),
            )
        )
        return True

    def _take_known(self, envelope: Envelope) -> bool:
        """Take an event whose route is known and that fits it; gives whether it did."""
        head: Head = envelope.head
        ready = self._ready.get(head) or self._made_ready(head)
        if ready is None:
            return False
        known: Known = (
            head, envelope.id, envelope.occurred_us, envelope.subject, envelope.extensions,
            envelope.has_data,
        )  # fmt: skip
        item = ready.item(known, envelope.data, envelope, may_vary=True)
        if item is None:
            return False
        self.items.append(item)
        envelope.data = None  # thousands of small objects that nobody needs now
        return True

    def _made_ready(self, head: Head) -> Ready | None:
        """What events of a head have in common in this batch; None when its route is not known."""
        route = self.routes.get(head)
        if route is None:
            return None
        self.streams[head.type] = route.stream
        ready = self._ready[head] = ready_for(route, self.publisher.id, self.received_us)
        return ready

    def _note_ending(self, stream: StreamEntry, named: VersionEntry | None) -> None:
        """Keep what the answer tells of the end of the stream or the version."""
        if stream.ending is not None:
            self.ending = stream.ending.sooner(self.ending)
        if named is not None and named.deprecated_us is not None:
            ending = Ending(named.deprecated_us, named.sunset_us, stream.name)
            self.ending = ending.sooner(self.ending)

    def _refuse(
        self,
        envelope: Envelope,
        stream: StreamEntry | None,
        refusal: Refusal | None,
        *,
        is_discovery: bool = False,
    ) -> None:
        assert refusal is not None
        self._redact(envelope)
        self.items.append(
            Item(
                envelope.id,
                envelope,
                stream_id=stream.id if stream is not None else 0,
                reason=refusal.reason,
                errors=_bounded(refusal.errors),
                is_discovery=is_discovery,
            )
        )

    def _time_of(self, envelope: Envelope) -> tuple[int, int]:
        """The event's own time, and a mark of where it is from when it was not sent."""
        marks = Mark.IMPORTED.value if self.is_import else 0
        if self.first_us is not None:
            marks |= Mark.REPLAYED.value
        if envelope.occurred_us is not None:
            return envelope.occurred_us, marks
        from_id = us_of_uuid7(envelope.id)
        if from_id is not None:
            return from_id, marks | Mark.TIME_FROM_ID.value
        return self._came_us, marks | Mark.TIME_FROM_RECEIPT.value

    @property
    def _came_us(self) -> int:
        return self.received_us if self.first_us is None else self.first_us

    def _validate(
        self,
        envelope: Envelope,
        stream: StreamEntry,
        named: VersionEntry,
        contract: Contract,
        occurred_us: int,
        marks: int,
    ) -> None:
        errors = contract.check(envelope)
        uses: tuple[Use, ...] = ()
        if contract.deprecated is not None and envelope.has_data:
            carried = contract.deprecated.carried(envelope.data)
            if carried:
                uses = contract.deprecated.uses(carried)
                ended = contract.deprecated.ended(
                    envelope.data, carried, self.received_us, stream.extended_us
                )
                errors = (*errors, *ended)[:MAX_FINDINGS]
        corrects = named.version if named.version != contract.version else 0
        if errors:
            if stream.enforcement == admission.ENFORCES:
                self._refuse(envelope, stream, Refusal(Reason.SCHEMA_VIOLATION, errors))
                self.items[-1].note = _corrected(corrects, contract)
                return
            marks |= Mark.VIOLATION.value
            errors = _bounded(errors) if stream.enforcement == admission.WARNS else ()
        if corrects:
            marks |= Mark.CORRECTED.value
        data, content_hash = _hashed(envelope)
        if treating.concerns(stream, contract, envelope):
            data = data if contract.privacy is None else None
            faults = treating.treat(self.secrets, envelope, stream, contract, is_odd=bool(errors))
            if faults:
                self._refuse(envelope, stream, Refusal(Reason.PRIVACY_REFUSED, faults))
                return
        item, removed = self._packed(
            envelope, stream, contract, occurred_us, marks, errors, data, content_hash
        )
        uses = (*uses, *removed)
        if named.deprecated_us is not None:
            uses = (*uses, (VERSION, str(named.version)))
        if uses:
            item.uses = uses
        if corrects:
            item.note = _corrected(corrects, contract)
        self.items.append(item)
        self._learn(envelope, stream, named, contract)

    def _learn(
        self, envelope: Envelope, stream: StreamEntry, named: VersionEntry, contract: Contract
    ) -> None:
        """Remember of an accepted event where others like it go, and a source that is new."""
        publisher = self.publisher
        if envelope.head is not None and self.takes_short_ways and not self.is_import:
            route = routes.route_of(publisher, stream, named, contract, envelope.head)
            if route is not None:
                self.routes[envelope.head] = route
        if (
            not publisher.sources
            and envelope.source not in publisher.seen_sources
            and len(publisher.seen_sources) < admission.MAX_SEEN_SOURCES
        ):
            self.new_sources.add(envelope.source)

    def _packed(
        self,
        envelope: Envelope,
        stream: StreamEntry,
        contract: Contract,
        occurred_us: int,
        marks: int,
        errors: tuple[FieldError, ...],
        data: bytes | None,
        content_hash: bytes,
    ) -> tuple[Item, tuple[Use, ...]]:
        """The event as the table gets it, and what was taken out of it. `data` where it is at hand."""
        extra: dict[str, Any] | None = None
        removed: tuple[Use, ...] = ()
        if envelope.has_data and envelope.data_bytes is None:
            kept, extra = contract.set_aside(envelope.data)
            if extra is not None or data is None:
                data = rows.dump(kept)
        if stream.minimises:
            removed, extra = treating.minimised(envelope, stream, extra), None
            marks |= Mark.MINIMISED.value if removed else 0
        elif extra is not None:
            marks |= Mark.DRIFT.value
        track = stream.track_of(occurred_us)
        return Item(
            envelope.id,
            envelope,
            stream_id=stream.id,
            occurred_us=occurred_us,
            packed=rows.pack_event(
                stream_id=stream.id,
                track=track,
                occurred_us=occurred_us,
                event_id=envelope.id.encode("utf-8"),
                received_us=self._came_us,
                producer_id=self.publisher.id,
                version=contract.version,
                subject=envelope.subject,
                source=envelope.source,
                attributes=rows.dump(rows.attributes_of(envelope)),
                data=data,
                data_bytes=envelope.data_bytes,
                extra=rows.dump(extra) if extra is not None else None,
                content_hash=content_hash,
                marks=marks,
            ),
            content_hash=content_hash,
            uses_ledger=bool(marks & Mark.TIME_FROM_RECEIPT),
            marks=marks,
            track=track,
            errors=errors,
        ), removed

    def submission(self) -> Submission:
        """What the writer gets; to be made once, after the last `take`."""
        return Submission(
            self.items,
            self.publisher.id,
            self.received_us,
            is_rehearsal=self.is_rehearsal,
            is_replay=self.first_us is not None,
            new_sources=frozenset(self.new_sources),
        )

    def settle(self) -> None:
        """To be called after the commit: remember what need not be written again."""
        if not self.is_rehearsal:
            self.publisher.seen_sources |= self.new_sources


def _hashed(envelope: Envelope) -> tuple[bytes | None, bytes]:
    """The data as it came, as it is stored where nothing is changed, and the hash of the content."""
    identity = rows.identity_text(envelope)
    if envelope.data_bytes is not None:
        # bytes never equal JSON or the lack of data, whatever they hold
        return None, keys.content_hash(identity, b"", envelope.data_bytes)
    if not envelope.has_data:
        return None, keys.content_hash(identity, b"")
    data = content = rows.dump(envelope.data)
    if strict_json.may_vary(data):
        content = strict_json.canonical(envelope.data)
    return data, keys.content_hash(identity, content)


def _corrected(named: int, contract: Contract) -> str:
    """What the answer says of an event that was judged by another version than it names."""
    if not named:
        return ""
    return f"names version {named}; judged by version {contract.version}, which corrects it"


def _bounded(errors: tuple[FieldError, ...]) -> tuple[FieldError, ...]:
    """As many of an event's errors as fit; places deep within it may be longer than the event."""
    errors = errors[:MAX_FINDINGS]
    room = _MAX_ERRORS_CHARACTERS
    for number, error in enumerate(errors):
        room -= len(error.pointer) + len(error.detail)
        if room < 0 and number:
            return errors[:number]
    return errors


def unparsable(
    publisher: Publisher, received_us: int, body: bytes, content_type: str, error: FieldError
) -> Submission:
    """The one dead letter of a body that could not be read."""
    envelope = Envelope(body, content_type[:255])
    if tombstones.any_erased() and erased.until_in(body) is not None:
        envelope = erased.stripped(envelope)
    return Submission(
        [Item("", envelope, reason=Reason.UNPARSABLE, errors=(error,))], publisher.id, received_us
    )


def now_us() -> int:
    """The present moment in microseconds since 1970."""
    return clock.now_us()


def accept_batch(
    envelopes: Sequence[Envelope],
    *,
    publisher: Publisher,
    is_import: bool = False,
    is_rehearsal: bool = False,
    received_at: datetime | None = None,
    directory: Directory = admission.directory,
) -> list[Item]:
    """Take envelopes in from a thread and give their outcomes, after the commit.

    `is_import` opens the lane for old events; only there `received_at` may say that they were
    received in the past, so that a history taken in afterwards has the accounts of its own time.
    Raises UnavailableError when the database is down.
    """
    received_us = us_of(received_at) if received_at is not None and is_import else now_us()
    batch = Batch(publisher, received_us, directory, is_import, is_rehearsal)
    batch.load_all(envelopes)
    for envelope in envelopes:
        batch.take(envelope)
    if batch.items:
        writer().submit(batch.submission()).result()
    batch.settle()
    return batch.items


def accept_events(
    events: Iterable[Mapping[str, Any]],
    *,
    publisher: Publisher,
    is_import: bool = False,
    is_rehearsal: bool = False,
    received_at: datetime | None = None,
) -> AnswerDict:
    """Take in events of the portal's own making (demo, import), as CloudEvents mappings.

    They pass the same checks as any other. Give `admission.publisher_of(producer)` as publisher.
    """
    envelopes = [cloudevents.read_mapping(event) for event in events]
    return answers.answer(
        accept_batch(
            envelopes,
            publisher=publisher,
            is_import=is_import,
            is_rehearsal=is_rehearsal,
            received_at=received_at,
        )
    )
