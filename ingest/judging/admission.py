"""Who may publish what: the catalog as ingest needs it, cached in the process.

No query is made per request. Entries live five seconds at most, a publisher no longer than its next
grant to end; a change of a stream, version, producer, key or a producer's grant is told by the
database (`LISTEN portal_catalog`, triggers in migration 0003) and empties the cache at once. A name that is not cached is always looked up, so a stream that was
registered a moment ago is known.
"""

import hashlib
import logging
import math
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import translate
from typing import Any, Final
from urllib.parse import unquote

import psycopg
from django.db import connections
from django.db.models import Model, Q
from django.db.models.functions import Now

from catalog.models import (
    Domain,
    FieldExtension,
    KeyStreamQuota,
    Producer,
    ProducerSource,
    ProducerStream,
    SchemaVersion,
    Stream,
)
from catalog.tracks import quota_of
from catalog.types import (
    CompatibilityPolicy,
    Enforcement,
    ErasedSubjects,
    Lifecycle,
    SubjectPrivacy,
    Track,
    VersionState,
)
from governance import access, tombstones
from governance.models import Key, KeyKind
from governance.privacy import vault
from governance.services.keys import find_key
from governance.types import Permission
from ingest.judging.contract import Contract
from ingest.judging.deprecations import Ending, start_of
from ingest.log.connection import connect
from ingest.times import us_of
from ingest.types import Envelope, Reason
from portal.kernel import clock
from portal.kernel.actor import ActorKind
from portal.kernel.errors import FieldError, InvalidError, UnavailableError

logger = logging.getLogger(__name__)

CHANNEL: Final = "portal_catalog"
LIFETIME_SECONDS: Final = 5.0
NEVER: Final = -(1 << 62)  # before every time, in microseconds
MAX_SEEN_SOURCES: Final = 500
_MAX_ENTRIES: Final = 20_000
_MAX_REFERENCES: Final = 1_000
_USABLE: Final = frozenset({VersionState.ACTIVE.value, VersionState.DEPRECATED.value})
_RECEIVING: Final = (Lifecycle.ACTIVE, Lifecycle.DEPRECATED, Lifecycle.RETIRED)
_SCHEMA_ADDRESS: Final = re.compile(r".*/schemas/([^/?#]+)/([^/?#]+)/?")


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A schema version as ingest sees it. Times are microseconds since 1970.

    `brownouts_us` are the spans, ends exclusive, in which it is refused for practice.
    """

    version: int
    state: str
    label: str
    schema_id: str
    sunset_us: int | None
    brownouts_us: tuple[tuple[int, int], ...] = ()
    deprecated_us: int | None = None

    def is_retired(self, now_us: int) -> bool:
        """Retired, past its sunset, or refused for practice just now."""
        return (
            self.state == VersionState.RETIRED
            or (self.sunset_us is not None and self.sunset_us <= now_us)
            or any(start <= now_us < end for start, end in self.brownouts_us)
        )


@dataclass(slots=True)
class StreamEntry:
    """A stream as ingest sees it. `references` remembers what `dataschema` texts mean.

    `ending` is set when the stream itself is deprecated; `extended_us` says until when a field may
    be sent beyond its sunset.
    """

    id: int
    name: str
    names: frozenset[str]
    track: int  # 0 (production) or 1: where events later than all moments lie
    enforcement: str
    sets_aside: bool  # or, when it minimises, takes out
    late_us: int
    ahead_us: int
    is_retired: bool
    is_restricted: bool
    owner_team_id: int | None
    default_version: int | None
    versions: dict[int, VersionEntry]
    sunset_us: int | None = None
    corrected_by: dict[int, int] = field(default_factory=dict)
    ending: Ending | None = None
    extended_us: dict[str, int] = field(default_factory=dict)
    events_per_second: int | None = None  # of all keys together
    references: dict[str, int | None] = field(default_factory=dict)
    subject_privacy: str = ""
    minimises: bool = False
    erased_subjects: str = ErasedSubjects.REFUSE
    retention_us: int | None = None
    # When it moved between the tracks, the newest first, and the newest alone: `catalog.tracks`.
    moments_us: tuple[int, ...] = ()
    moved_us: int = NEVER
    domain_id: int = 0

    def track_of(self, occurred_us: int) -> int:
        """0 (production) or 1, by the event's own time alone: what is older than a move stays."""
        if occurred_us > self.moved_us:
            return self.track
        later = sum(moment >= occurred_us for moment in self.moments_us)
        return self.track ^ (later & 1)

    def has_ended(self, now_us: int) -> bool:
        """Retired, or deprecated and past its sunset."""
        return self.is_retired or (self.sunset_us is not None and self.sunset_us <= now_us)

    def version_of(self, dataschema: str | None) -> int | None:
        """The version that a `dataschema` names, or the default one; None when there is none."""
        if not dataschema:
            return self.default_version if dataschema is None else None
        if dataschema not in self.references:
            if len(self.references) >= _MAX_REFERENCES:
                self.references.clear()
            self.references[dataschema] = self._find(dataschema)
        return self.references[dataschema]

    def _find(self, dataschema: str) -> int | None:
        """By number or label, then by `$id`, then by an address of this stream's versions."""
        found = self._named(dataschema) or self._best(lambda v: v.schema_id == dataschema)
        match = _SCHEMA_ADDRESS.fullmatch(dataschema)
        if found is None and match is not None and unquote(match[1]) in self.names:
            found = self._named(unquote(match[2]))
        return found

    def _named(self, text: str) -> int | None:
        """A number outranks a label that looks like one."""
        number = self._best(lambda v: str(v.version) == text)
        return number or self._best(lambda v: v.label == text)

    def _best(self, fits: Callable[[VersionEntry], bool]) -> int | None:
        """Of several versions with one label or `$id` the default, else the newest in use."""
        found = [entry for entry in self.versions.values() if fits(entry)]
        if not found:
            return None
        return max(
            found,
            key=lambda v: (v.version == self.default_version, v.state in _USABLE, v.version),
        ).version


@dataclass(frozen=True, slots=True)
class Granted:
    """What a producer holds by grant: the streams and domains it may publish to, and those it may
    know of. True until the next of them begins or ends, `seconds` after it was asked for."""

    streams: frozenset[int] = frozenset()
    domains: frozenset[int] = frozenset()
    known_streams: frozenset[int] = frozenset()
    known_domains: frozenset[int] = frozenset()
    seconds: float = math.inf


NO_GRANT: Final = Granted()


@dataclass(slots=True)
class Publisher:
    """A producer behind one of its keys. `sources` are the declared ones, if any. `stream_ids` are
    its streams by mapping and by grant.

    `names_meant` remembers which streams the names that Segment's SDKs give mean to this producer.
    """

    id: int
    name: str
    team_id: int | None
    key_id: str
    stream_ids: frozenset[int]
    patterns: tuple[re.Pattern[str], ...]
    key_pattern: re.Pattern[str]
    sources: frozenset[str]
    seen_sources: set[str]
    events_per_second: int | None
    origins: frozenset[str]
    is_trusted: bool = False
    default_domain: str = "imported"
    names_meant: dict[tuple[str, str], str] = field(default_factory=dict)
    routes: "Routes" = field(default_factory=lambda: Routes(0, 0.0))
    stream_quotas: dict[int, int] = field(default_factory=dict)  # events a second by stream
    granted: Granted = NO_GRANT

    @property
    def may_publish_anything(self) -> bool:
        """Whether its producer is permitted to any stream; its key may still cover none."""
        return self.is_trusted or bool(self.stream_ids or self.patterns or self.granted.domains)

    def may_publish(self, stream: StreamEntry) -> bool:
        """Whether key and producer both cover the stream; the portal itself may always."""
        if self.is_trusted:
            return True
        if not self.key_pattern.fullmatch(stream.name):
            return False
        return (
            stream.id in self.stream_ids
            or stream.domain_id in self.granted.domains
            or any(pattern.fullmatch(stream.name) for pattern in self.patterns)
        )

    def may_know(self, stream: StreamEntry) -> bool:
        """Streams are open to be known unless restricted to their owners and to grants."""
        return (
            not stream.is_restricted
            or (self.team_id is not None and self.team_id == stream.owner_team_id)
            or self._is_known_by_grant(stream)
        )

    def _is_known_by_grant(self, stream: StreamEntry) -> bool:
        held = self.granted
        is_granted = stream.id in held.known_streams or stream.domain_id in held.known_domains
        return is_granted and bool(self.key_pattern.fullmatch(stream.name))

    def may_use_source(self, source: str) -> bool:
        """Whether events may name this source; any may, where none is declared."""
        return not self.sources or source in self.sources


@dataclass(slots=True)
class Routes:
    """The routes of one publisher (`ingest.judging.routes`), good for one generation and a while."""

    generation: int
    until: float
    table: dict[Any, Any] = field(default_factory=dict)


def digest_of(credential: str) -> bytes:
    """What a credential is known by in this process, which keeps none."""
    return hashlib.sha256(credential.encode()).digest()


class Directory:
    """The cache of one process. Loading blocks on the database: call it off the event loop."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[StreamEntry, float]] = {}
        self._publishers: dict[bytes, tuple[Publisher, float]] = {}
        self._contracts: dict[tuple[int, int, bool], Contract | None] = {}
        self._generation = 1

    def forget(self) -> None:
        """Drop what may have changed. Compiled contracts stay: versions are immutable."""
        self._generation += 1
        self._streams.clear()
        self._publishers.clear()

    def forget_all(self) -> None:
        """As `forget`, and drop compiled contracts too; for tests."""
        self.forget()
        self._contracts.clear()

    def routes_of(self, publisher: Publisher) -> dict[Any, Any]:
        """The publisher's routes; a new table once what they rest on may have changed."""
        found = publisher.routes
        if found.generation != self._generation or found.until <= time.monotonic():
            until = time.monotonic() + LIFETIME_SECONDS
            found = publisher.routes = Routes(self._generation, until)
        return found.table

    def publisher(self, credential: str) -> Publisher | None:
        """The cached publisher of a credential; None means: ask `load_publisher`."""
        return self.publisher_by(digest_of(credential))

    def publisher_by(self, digest: bytes) -> Publisher | None:
        """As `publisher`, for who keeps what `digest_of` gave."""
        found = self._publishers.get(digest)
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def load_publisher(self, credential: str) -> Publisher | None:
        """Look a credential up; None when it is not a live producer key."""
        generation, began = self._generation, time.monotonic()
        key = find_key(credential)
        if key is None or key.kind != KeyKind.PRODUCER:
            return None
        publisher = _load_publisher(key)
        if publisher is not None and generation == self._generation:
            if len(self._publishers) >= _MAX_ENTRIES:
                self._publishers.clear()
            self._publishers[digest_of(credential)] = (
                publisher,
                min(time.monotonic() + _lifetime_of(key), began + publisher.granted.seconds),
            )
        return publisher

    def missing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that have to be loaded before `stream` can answer for them."""
        now = time.monotonic()
        streams = self._streams
        return {name for name in names if (found := streams.get(name)) is None or found[1] <= now}

    def load_streams(self, names: set[str]) -> dict[str, StreamEntry]:
        """Load streams by name or alias into the cache; gives those that exist."""
        generation = self._generation
        loaded = _load_streams(names)
        if generation == self._generation:
            if len(self._streams) + len(loaded) > _MAX_ENTRIES:
                self._streams.clear()
            until = time.monotonic() + LIFETIME_SECONDS
            for name, stream in loaded.items():
                self._streams[name] = (stream, until)
        return loaded

    def stream(self, name: str) -> StreamEntry | None:
        """The cached stream of a name or alias, past its lifetime too; None where there is none."""
        found = self._streams.get(name)
        return found[0] if found is not None else None

    def has_privacy(self, stream: StreamEntry) -> bool:
        """Whether a contract of the stream that is at hand treats anything."""
        contracts = self._contracts
        return any(
            (found := contracts.get((stream.id, version, stream.sets_aside))) is not None
            and found.privacy is not None
            for version in stream.versions
        )

    def has_contract(self, stream: StreamEntry, version: int) -> bool:
        """Whether `contract` would answer without the database, be it with None."""
        return (stream.id, version, stream.sets_aside) in self._contracts

    def contract(self, stream: StreamEntry, version: int) -> Contract | None:
        """The compiled contract, None when its schema can't be; loads it when not at hand."""
        key = (stream.id, version, stream.sets_aside)
        if key in self._contracts:
            return self._contracts[key]
        return self.load_contract(stream, version)

    def load_contract(self, stream: StreamEntry, version: int) -> Contract | None:
        """Compile a version's contract; None when its schema can't be compiled."""
        document = SchemaVersion.objects.values_list("document", flat=True).get(
            stream_id=stream.id, version=version
        )
        contract: Contract | None
        try:
            contract = Contract(document, version=version, sets_aside=stream.sets_aside)
        except InvalidError:
            logger.warning("schema %s version %s does not compile", stream.name, version)
            contract = None
        if len(self._contracts) >= _MAX_ENTRIES:
            self._contracts.clear()
        self._contracts[stream.id, version, stream.sets_aside] = contract
        return contract


def _lifetime_of(key: Key) -> float:
    """How long a key may be remembered: not beyond its end, of which nobody tells."""
    if key.expires_at is None:
        return LIFETIME_SECONDS
    return min(LIFETIME_SECONDS, (key.expires_at - clock.now()).total_seconds())


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _load_publisher(key: Key) -> Publisher | None:
    producer = Producer.objects.filter(pk=key.holder_id or 0).first()
    if producer is None:
        return None
    return publisher_of(producer, key=key)


def publisher_of(producer: Producer, *, key: Key | None = None) -> Publisher:
    """A producer as publisher. Without a key it is the portal itself (demo, import): trusted."""
    permitted = ProducerStream.objects.filter(producer=producer).values_list("stream_id", "glob")
    sources = ProducerSource.objects.filter(producer=producer).values_list("source", "declared")
    declared = {source for source, is_declared in sources if is_declared}
    granted = granted_to(producer.pk)
    if declared:  # the one that the Segment door gives is never another producer's
        declared.add(segment_source(producer.name))
    return Publisher(
        id=producer.pk,
        name=producer.name,
        team_id=producer.team_id,
        key_id=key.pk if key is not None else "",
        stream_ids=granted.streams | {stream for stream, glob in permitted if not glob},
        patterns=tuple(_glob(glob) for _, glob in permitted if glob),
        key_pattern=_glob(key.streams_glob if key is not None else "*"),
        sources=frozenset(declared),
        seen_sources={source for source, _ in sources},
        events_per_second=key.events_per_second if key is not None else None,
        origins=frozenset(key.browser_origins) if key is not None else frozenset(),
        is_trusted=key is None,
        default_domain=producer.default_domain or producer.name,
        stream_quotas=_stream_quotas(key),
        granted=granted,
    )


def granted_to(producer_id: int) -> Granted:
    """What a producer holds by grants that hold now, by the database's clock."""
    found: dict[tuple[type[Model], bool], set[int]] = defaultdict(set)
    changes = []
    for model in (Stream, Domain):
        rows = access.grants_of_program(ActorKind.PRODUCER, producer_id, model)
        for thing, code, since, until, now in rows.values_list(
            "content_object_id", "permission__codename", "valid_from", "valid_until", Now()
        ):
            changes.append(((since if since > now else until) - now).total_seconds())
            if since <= now:
                found[model, False].add(thing)
                if code.startswith(f"{Permission.PUBLISH}_"):
                    found[model, True].add(thing)
    if not changes:
        return NO_GRANT
    return Granted(
        streams=frozenset(found[Stream, True]),
        domains=frozenset(found[Domain, True]),
        known_streams=frozenset(found[Stream, False]),
        known_domains=frozenset(found[Domain, False]),
        seconds=min(changes),
    )


def _stream_quotas(key: Key | None) -> dict[int, int]:
    if key is None:
        return {}
    return dict(
        KeyStreamQuota.objects.filter(key=key).values_list("stream_id", "events_per_second")
    )


def segment_source(producer: str) -> str:
    """The `source` of what a producer sends in Segment's protocol."""
    return f"/segment/{producer}"


def browser_origins() -> frozenset[str]:
    """Every origin that some live browser-safe producer key allows; for preflights."""
    keys = Key.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=Now()), kind=KeyKind.PRODUCER, revoked_at=None
    ).exclude(browser_origins=[])
    return frozenset(
        origin for origins in keys.values_list("browser_origins", flat=True) for origin in origins
    )


def _load_streams(names: set[str]) -> dict[str, StreamEntry]:
    usable = {name for name in names if name and "\0" not in name}
    if not usable:
        return {}
    streams = (
        Stream.objects.filter(Q(name__in=usable) | Q(aliases__alias__in=usable))
        .filter(lifecycle__in=_RECEIVING)
        .distinct()
        .prefetch_related("aliases")
    )
    found: dict[str, StreamEntry] = {}
    by_id = {stream.pk: stream for stream in streams}
    versions: dict[int, dict[int, VersionEntry]] = {pk: {} for pk in by_id}
    rows = SchemaVersion.objects.filter(stream_id__in=by_id).values_list(
        "stream_id", "version", "state", "label", "schema_id", "sunset_at", "brownouts",
        "deprecated_at", "supersedes",
    )  # fmt: skip
    corrections: dict[int, dict[int, int]] = {pk: {} for pk in by_id}
    for stream_id, version, state, label, schema_id, sunset_at, brownouts, since, corrects in rows:
        if state in _USABLE or state == VersionState.RETIRED:
            versions[stream_id][version] = VersionEntry(
                version,
                state,
                label,
                schema_id,
                us_of(sunset_at) if sunset_at else None,
                tuple(_window(window) for window in brownouts),
                us_of(since) if since else None,
            )
        if corrects is not None and state in _USABLE:
            known = corrections[stream_id].get(corrects, 0)
            corrections[stream_id][corrects] = max(known, version)
    extended: dict[int, dict[str, int]] = {pk: {} for pk in by_id}
    for extension in FieldExtension.objects.filter(stream_id__in=by_id):
        extended[extension.stream_id][extension.path] = start_of(extension.until_on)
    for stream in by_id.values():
        entry = _stream_entry(
            stream,
            versions[stream.pk],
            _to_the_last(corrections[stream.pk]),
            extended[stream.pk],
        )
        for name in entry.names & usable:
            found[name] = entry
    return found


def _to_the_last(corrections: dict[int, int]) -> dict[int, int]:
    """Each corrected version with the one that judges it, corrections of corrections followed.

    A version corrects only older ones, so there is no way round.
    """
    found = {}
    for version in corrections:
        last = version
        while last in corrections:
            last = corrections[last]
        found[version] = last
    return found


def _window(window: dict[str, str]) -> tuple[int, int]:
    start, end = (datetime.fromisoformat(window[name]) for name in ("from", "until"))
    return us_of(start), us_of(end)


def _ending(stream: Stream) -> Ending | None:
    since, sunset = stream.deprecated_at, stream.sunset_at
    if since is None or stream.lifecycle not in (Lifecycle.DEPRECATED, Lifecycle.RETIRED):
        return None
    return Ending(us_of(since), us_of(sunset) if sunset else None, stream.name)


def _stream_entry(
    stream: Stream,
    versions: dict[int, VersionEntry],
    corrected_by: dict[int, int],
    extended_us: dict[str, int],
) -> StreamEntry:
    moments = tuple(us_of(moment) for moment in reversed(stream.track_moments))
    sunset = stream.sunset_at if stream.lifecycle == Lifecycle.DEPRECATED else None
    return StreamEntry(
        id=stream.pk,
        name=stream.name,
        names=frozenset({stream.name, *(alias.alias for alias in stream.aliases.all())}),
        track=0 if stream.track == Track.PRODUCTION else 1,
        enforcement=stream.enforcement,
        sets_aside=stream.compatibility_policy == CompatibilityPolicy.READER_WRITER
        or stream.minimise,
        # Never further back than events are kept, on whichever road this is looked at.
        late_us=min(stream.late_seconds, stream.retention_days * 86_400) * 1_000_000,
        ahead_us=stream.ahead_seconds * 1_000_000,
        is_retired=stream.lifecycle == Lifecycle.RETIRED,
        is_restricted=stream.restricted,
        domain_id=stream.domain_id,
        owner_team_id=stream.owner_team_id,
        default_version=stream.default_version,
        versions=versions,
        sunset_us=us_of(sunset) if sunset is not None else None,
        corrected_by=corrected_by,
        ending=_ending(stream),
        extended_us=extended_us,
        events_per_second=quota_of(stream),
        subject_privacy=(
            "" if stream.subject_privacy == SubjectPrivacy.NONE else stream.subject_privacy
        ),
        minimises=stream.minimise,
        erased_subjects=stream.erased_subjects,
        retention_us=stream.retention_days * 86_400 * 1_000_000,
        moments_us=moments,
        moved_us=moments[0] if moments else NEVER,
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not taken: the reason, and the faults that its dead letter names."""

    reason: Reason
    errors: tuple[FieldError, ...]


def admit(publisher: Publisher, stream: StreamEntry | None, envelope: Envelope) -> Refusal | None:
    """Whether the producer may publish this event to this stream; the first reason against it."""
    if stream is None or not (publisher.may_publish(stream) or publisher.may_know(stream)):
        return Refusal(
            Reason.UNKNOWN_STREAM,
            (FieldError("/type", "unknown_stream", "names no stream that this key may know of"),),
        )
    if not publisher.may_publish(stream):
        return Refusal(
            Reason.NOT_PERMITTED,
            (FieldError("/type", "not_permitted", "is a stream this key may not publish to"),),
        )
    if not publisher.may_use_source(envelope.source):
        return Refusal(
            Reason.NOT_PERMITTED,
            (FieldError("/source", "not_permitted", "is not a declared source of this producer"),),
        )
    return None


def check_window(
    stream: StreamEntry, occurred_us: int, now_us: int, *, is_import: bool
) -> Refusal | None:
    """Whether the event's time lies in the stream's window; both bounds belong to it."""
    if occurred_us > now_us + stream.ahead_us:
        return Refusal(
            Reason.OUT_OF_WINDOW,
            (FieldError("/time", "future", "lies too far ahead for this stream"),),
        )
    if stream.retention_us is not None and occurred_us < now_us - stream.retention_us:
        # Its day may be dropped this very moment: what is refused is never lost in that.
        return Refusal(
            Reason.OUT_OF_WINDOW,
            (FieldError("/time", "expired", "is older than this stream keeps its events"),),
        )
    if occurred_us < now_us - stream.late_us and not is_import:
        return Refusal(
            Reason.OUT_OF_WINDOW,
            (FieldError("/time", "late", "lies too far back for this stream"),),
        )
    if is_import and occurred_us < now_us - _IMPORT_US:
        return Refusal(
            Reason.OUT_OF_WINDOW, (FieldError("/time", "late", "lies more than 10 years back"),)
        )
    return None


_IMPORT_US: Final = 3653 * 86_400 * 1_000_000


def named_version(stream: StreamEntry, dataschema: str | None) -> VersionEntry | None:
    """The version that an event means, whatever its state; None when it names none."""
    version = stream.version_of(dataschema)
    return stream.versions.get(version) if version is not None else None


def check_version(
    stream: StreamEntry, entry: VersionEntry | None, dataschema: str | None, now_us: int
) -> Refusal | None:
    """Why no event is taken for the version it names (`entry`); None when it is."""
    if stream.has_ended(now_us) and (entry is not None or dataschema is None):
        return Refusal(
            Reason.VERSION_RETIRED,
            (FieldError("/type", "version_retired", "is a stream that has been retired"),),
        )
    if entry is None:
        return Refusal(
            Reason.SCHEMA_UNKNOWN,
            (FieldError("/dataschema", "schema_unknown", "names no version of this stream"),),
        )
    if entry.is_retired(now_us):
        return Refusal(
            Reason.VERSION_RETIRED,
            (FieldError("/dataschema", "version_retired", "names a version that is retired"),),
        )
    return None


ENFORCES: Final = Enforcement.ENFORCE.value
WARNS: Final = Enforcement.WARN.value


class Listener:
    """A thread that empties the directory when the database tells of a change."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except (psycopg.Error, UnavailableError):
                self._directory.forget()
                tombstones.doubt()
                self._closed.wait(1.0)

    def _listen(self) -> None:
        with connect(autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._directory.forget()  # what changed before we listened
            tombstones.listen()
            asked_at = time.monotonic()
            while not self._closed.is_set():
                if time.monotonic() >= asked_at + tombstones.RELOAD_SECONDS:
                    connection.execute("SELECT 1")  # a connection that is dead says so now
                    tombstones.load()
                    asked_at = time.monotonic()
                for notice in connection.notifies(timeout=0.5):
                    self._directory.forget()
                    if notice.payload == vault.NOTICE:
                        vault.forget()
                    elif notice.payload == tombstones.NOTICE:
                        tombstones.load()

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=5)


directory: Final = Directory()
_listeners: dict[int, Listener] = {}
_listeners_lock = threading.Lock()


def start_listening() -> None:
    """Keep this process's directory fresh; once a process, cheap to call again."""
    pid = os.getpid()
    if pid not in _listeners:
        with _listeners_lock:
            if pid not in _listeners:
                _listeners[pid] = Listener(directory)


def stop_listening() -> None:
    with _listeners_lock:
        found = _listeners.pop(os.getpid(), None)
    if found is not None:
        found.close()
        tombstones.forget()


def release_connection() -> None:
    """Give back the ORM's connection of this thread; for threads that no request ends."""
    connections["default"].close()
