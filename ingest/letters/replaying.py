"""Judging kept events again, as the door would today.

1. A letter's bytes are read as the event they are and put right by the repair's steps.
2. The event passes the same pipeline as any other: its producer publishes, with what that producer
   may do today, and versions are those of today. Only its window is of the moment when it first
   came: it must not be too late for having waited here.
3. `rehearse` says what storing would come to; `ingest.services.letter_jobs` stores.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from catalog.models import Producer
from ingest.judging.admission import Directory, Publisher, publisher_of
from ingest.judging.pipeline import Batch, now_us
from ingest.letters.repairs import StepError, Steps
from ingest.log.group import Item
from ingest.privacy import sealing, treating
from ingest.protocols import cloudevents
from ingest.times import moment_of, us_of
from ingest.types import Envelope, Reason
from portal.kernel import sql, strict_json
from portal.kernel.errors import BadRequestError, FieldError

MAX_FAULTS: Final = 100
MAX_EXAMPLES: Final = 5  # of each kind
REPAIR_FAILED: Final = "repair_failed"
NOT_AN_EVENT: Final = "not_an_event"
_STORED: Final = sql.load("ingest", "stored_contents")
_LEDGER: Final = sql.load("ingest", "ledger_contents")
_CONFLICT: Final = FieldError(
    "/id", "id_conflict", "is stored already for this time with other content"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it is judged: its place, its sender and its bytes."""

    id: UUID
    received_at: datetime
    producer_id: int
    reason: str
    content_type: str
    body: bytes


class Fault(msgspec.Struct, frozen=True):
    """Why an event would still be refused: a reason of ingest, or of the repair itself."""

    reason: str
    errors: tuple[FieldError, ...]

    @property
    def key(self) -> str:
        """Reason, rule and place with array indexes left out: what like faults have in common."""
        first = self.errors[0] if self.errors else FieldError("", self.reason, "")
        place = "/".join("*" if part.isdigit() else part for part in first.pointer.split("/"))
        return f"{self.reason} {first.code} {place[:200]}"


@dataclass(slots=True)
class Verdict:
    """What became of a letter: an item to be stored, or a fault."""

    letter: Letter
    item: Item | None = None
    fault: Fault | None = None


def letter_of(row: Mapping[str, Any]) -> Letter:
    """A row of `read_for_replay.sql`, its body opened where it is kept sealed. Raises UnavailableError."""
    return Letter(
        id=UUID(str(row["id"])),
        received_at=row["received_at"],
        producer_id=row["producer_id"],
        reason=row["reason"],
        content_type=row["content_type"],
        body=sealing.opened(bytes(row["body"]), UUID(str(row["id"]))),
    )


def document_of(letter: Letter) -> dict[str, Any]:
    """The event in a letter's bytes. Raises StepError when there is not one in them."""
    try:
        found = strict_json.decode(letter.body)
    except BadRequestError as error:
        raise StepError("", f"its bytes cannot be read as one event ({error.code})") from error
    if not isinstance(found, dict):
        raise StepError("", "its bytes are not one event")
    media = cloudevents.media_type(letter.content_type)
    if media != cloudevents.STRUCTURED and "specversion" not in found:
        raise StepError("", "it came through another door and is no CloudEvent; send it again")
    return found


class Judge:
    """Judges letters against the catalog as it is now. One for each step of a job.

    `landings` are the streams whose owners approved that repaired events land there; None leaves it
    to the producers' own permissions. A rehearsal leaves nothing behind.
    """

    def __init__(
        self,
        steps: Steps,
        *,
        landings: frozenset[int] | None = None,
        is_rehearsal: bool = False,
    ) -> None:
        self._steps = steps
        self._landings = landings
        self._is_rehearsal = is_rehearsal
        self._directory = Directory()
        self._publishers: dict[int, Publisher | None] = {}

    def judge(
        self, letters: Sequence[Letter], *, deadline: float | None = None
    ) -> tuple[list[Verdict], list[Batch]]:
        """A verdict for each letter, in order, and the batches (one a producer) to be stored.

        The batches hold only what may be stored. Past the deadline (of the monotonic clock) no
        letter is begun after the first, for an expression may take half a second.
        """
        verdicts: list[Verdict] = []
        by_producer: dict[int, list[tuple[Verdict, Envelope]]] = {}
        for letter in letters:
            if verdicts and deadline is not None and time.monotonic() >= deadline:
                break
            verdict = Verdict(letter)
            verdicts.append(verdict)
            envelope = self._envelope(verdict)
            if envelope is not None:
                found = by_producer.setdefault(verdict.letter.producer_id, [])
                found.append((verdict, envelope))
        batches = []
        for producer_id, pairs in by_producer.items():
            batch = self._take(producer_id, pairs)
            if batch is not None and batch.items:
                batches.append(batch)
        return verdicts, batches

    def _envelope(self, verdict: Verdict) -> Envelope | None:
        try:
            event = document_of(verdict.letter)
        except StepError as error:
            verdict.fault = _fault(NOT_AN_EVENT, error)
            return None
        try:
            body = verdict.letter.body
            if self._steps.steps:
                body = json.dumps(self._steps.apply(event), ensure_ascii=False).encode()
            envelope = cloudevents.read_structured(body)
            envelope.came_treated = treating.is_treated_letter(
                verdict.letter.content_type, verdict.letter.reason
            )
            return envelope
        except StepError as error:
            verdict.fault = _fault(REPAIR_FAILED, error)
        except (BadRequestError, UnicodeError, ValueError, RecursionError):
            verdict.fault = _fault(REPAIR_FAILED, StepError("", "what it makes is not JSON"))
        return None

    def _take(self, producer_id: int, pairs: list[tuple[Verdict, Envelope]]) -> Batch | None:
        publisher = self._publisher(producer_id)
        if publisher is None:
            for verdict, _ in pairs:
                verdict.fault = Fault(
                    Reason.NOT_PERMITTED,
                    (FieldError("", "not_permitted", "its producer is gone"),),
                )
            return None
        envelopes = [envelope for _, envelope in pairs]
        batch = Batch(
            publisher,
            now_us(),
            self._directory,
            is_rehearsal=self._is_rehearsal,
            takes_short_ways=False,
        )
        batch.load(batch.names_to_load(envelopes))
        batch.load_contracts(batch.contracts_to_load(envelopes))
        if batch.secrets_to_load(envelopes):
            batch.load_secrets()
        for verdict, envelope in pairs:
            batch.first_us = us_of(verdict.letter.received_at)
            batch.take(envelope)
            item = batch.items[-1]
            if item.packed and self._landings is not None and item.stream_id not in self._landings:
                verdict.fault = Fault(
                    Reason.NOT_PERMITTED,
                    (FieldError("/type", "landing", "lands in a stream nobody approved it for"),),
                )
            elif item.packed:
                verdict.item = item
            else:
                verdict.fault = Fault(item.reason or Reason.UNPARSABLE, item.errors)
        batch.items = [verdict.item for verdict, _ in pairs if verdict.item is not None]
        return batch

    def _publisher(self, producer_id: int) -> Publisher | None:
        """The producer with what it may do today, and without a key that narrows it further."""
        if producer_id not in self._publishers:
            producer = Producer.objects.filter(pk=producer_id).first()
            self._publishers[producer_id] = (
                replace(publisher_of(producer), is_trusted=False) if producer is not None else None
            )
        return self._publishers[producer_id]


def _fault(reason: str, error: StepError) -> Fault:
    return Fault(reason, (FieldError(error.pointer, reason, error.detail),))


def rehearse(verdicts: Sequence[Verdict]) -> Counter[str]:
    """What storing these would come to: `accepted` and `duplicate` by count.

    A conflict with other content of the same identity becomes the verdict's fault.
    """
    items = [verdict for verdict in verdicts if verdict.item is not None]
    stored = _stored([verdict.item for verdict in items if verdict.item is not None])
    counts: Counter[str] = Counter()
    for verdict in items:
        item = verdict.item
        assert item is not None
        known = stored.setdefault(item.key, item.content_hash)
        if known is item.content_hash:
            counts["accepted"] += 1
        elif known == item.content_hash:
            counts["duplicate"] += 1
        else:
            verdict.item, verdict.fault = None, Fault(Reason.ID_CONFLICT, (_CONFLICT,))
    return counts


def _stored(items: Sequence[Item]) -> dict[Any, bytes]:
    """The content of those identities that are stored already."""
    timed = [item for item in items if not item.uses_ledger]
    found: dict[Any, bytes] = {}
    if timed:
        rows = sql.fetch_all(
            _STORED,
            {
                "tracks": [item.track for item in timed],
                "streams": [item.stream_id for item in timed],
                "times": [moment_of(item.occurred_us) for item in timed],
                "ids": [item.id for item in timed],
            },
        )
        for row in rows:
            found[timed[row["place"] - 1].key] = bytes(row["content_hash"])
    untimed = [item for item in items if item.uses_ledger]
    if untimed:
        rows = sql.fetch_all(
            _LEDGER,
            {
                "streams": [item.stream_id for item in untimed],
                "ids": [item.id for item in untimed],
            },
        )
        for row in rows:
            found[row["stream_id"], None, row["event_id"]] = bytes(row["content_hash"])
    return found


class Tally:
    """Counts of a dry run or a replay as JSON: no value of an event enters it."""

    def __init__(self, counts: dict[str, Any] | None = None) -> None:
        self.counts: dict[str, Any] = counts or {
            "checked": 0, "accepted": 0, "duplicate": 0, "refused": 0,
            "faults": {}, "streams": {}, "passes": [], "fails": [],
        }  # fmt: skip

    def add(self, verdicts: Sequence[Verdict], done: Counter[str]) -> None:
        """Count the verdicts of a step; `done` counts what was accepted and what was a duplicate."""
        counts = self.counts
        counts["checked"] += len(verdicts)
        counts["accepted"] += done["accepted"]
        counts["duplicate"] += done["duplicate"]
        for verdict in verdicts:
            kind = "passes" if verdict.fault is None else "fails"
            if len(counts[kind]) < MAX_EXAMPLES:
                at = verdict.letter.received_at.isoformat()
                counts[kind].append([str(verdict.letter.id), at])
            if verdict.fault is not None:
                self._refuse(verdict.fault)
            elif verdict.item is not None:
                stream = str(verdict.item.stream_id)
                counts["streams"][stream] = counts["streams"].get(stream, 0) + 1

    def _refuse(self, fault: Fault) -> None:
        counts = self.counts
        counts["refused"] += 1
        faults = counts["faults"]
        key = fault.key
        if key not in faults and len(faults) >= MAX_FAULTS:
            key = "more"
        if key not in faults:
            first = fault.errors[0] if fault.errors else FieldError("", fault.reason, "")
            faults[key] = {
                "events": 0, "reason": fault.reason, "code": first.code,
                "pointer": first.pointer[:200], "detail": first.detail,
            }  # fmt: skip
        faults[key]["events"] += 1
