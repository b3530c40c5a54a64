"""Whether what a portal stored agrees with what it told its clients.

The checker knows nothing of how ingest works. It is given the requests (`history`) and the rows that
were found after the portal had come to rest, and names each way in which they contradict the
promises I1 to I6 (docs/reliability.md). Its own test tells it lies and expects each to be caught.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from portal.soak.history import Attempt, Identity, Outcome, Result, Sent

# The promise is five; what is more is for a machine that is busy with clients, faults and restarts.
ANSWER_SECONDS: Final = 7.5
_CONFLICT: Final = "id_conflict"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An accepted event. `time_us` is None where its identity is the ledger's."""

    stream: str
    id: str
    time_us: int | None
    content: str
    minute: int
    offset: tuple[int, int]

    @property
    def identity(self) -> Identity:
        return (self.stream, self.id, self.time_us)


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter. `minute` is that of its receipt, in minutes since 1970."""

    id: str
    stream: str
    event_id: str
    producer: int
    reason: str
    n_errors: int
    body_sha256: str
    minute: int


@dataclass(frozen=True, slots=True)
class Account:
    """The counts of one stream and minute; the stream is empty for types nobody registered."""

    stream: str
    minute: int
    received: int
    accepted: int
    duplicate: int
    dead_lettered: int


@dataclass(slots=True)
class Stored:
    """All that was found. `reads` are the events a reader of the log was served, in that order.

    A check of a part of a long run says where it begins: `accounts_from` is the first minute whose
    events are all here, `log_from` the first offset.
    """

    events: list[StoredEvent] = field(default_factory=list)
    letters: list[StoredLetter] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    reads: list[StoredEvent] = field(default_factory=list)
    audit_fault: str = ""
    accounts_from: int = 0
    log_from: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A promise that was broken. `kind` is one of the words that this module's functions use."""

    kind: str
    detail: str


@dataclass(slots=True)
class _Case:
    """The evidence, indexed for the rules."""

    attempts: Sequence[Attempt]
    stored: Stored
    events: dict[Identity, list[StoredEvent]] = field(default_factory=lambda: defaultdict(list))
    letters: dict[str, StoredLetter] = field(default_factory=dict)
    bodies: dict[str, list[StoredLetter]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[Identity, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    raw: dict[str, Sent] = field(default_factory=dict)
    rehearsed: set[Identity] = field(default_factory=set)
    refused: set[Identity] = field(default_factory=set)

    def __post_init__(self) -> None:
        for event in self.stored.events:
            self.events[event.identity].append(event)
        for letter in self.stored.letters:
            self.letters[letter.id] = letter
            self.bodies[letter.body_sha256].append(letter)
        for attempt in self.attempts:
            identities = {sent.identity for sent in attempt.sent}
            if attempt.is_rehearsal:
                self.rehearsed |= identities
            elif attempt.result is Result.FAIL:
                self.refused |= identities
            else:
                for sent in attempt.sent:
                    self.sent[sent.identity].append(sent)
                    self.raw[sent.raw_sha256] = sent

    def has(self, sent: Sent) -> bool:
        """Whether this very event, not another of its identity, is stored as accepted."""
        return any(event.content == sent.content for event in self.events.get(sent.identity, ()))

    def answers(self) -> Iterator[tuple[Sent, Outcome]]:
        """Each event of which an answer that binds says something."""
        for attempt in self.attempts:
            if attempt.result is Result.OK and not attempt.is_rehearsal:
                yield from zip(attempt.sent, attempt.outcomes or (), strict=False)


Rule = Callable[[_Case], Iterator[Violation]]


def check(attempts: Sequence[Attempt], stored: Stored) -> list[Violation]:
    """Each way in which the stored rows break a promise; empty when they keep them all."""
    case = _Case(attempts, stored)
    return sorted({violation for rule in RULES for violation in rule(case)})


def _named(identity: Identity) -> str:
    stream, name, time_us = identity
    return f"{name} of {stream}" + (f" at {time_us}" if time_us is not None else "")


def acknowledged_is_stored(case: _Case) -> Iterator[Violation]:
    """I1: acknowledged − stored = ∅, and what an answer says of an event is so."""
    for sent, outcome in case.answers():
        name = _named(sent.identity)
        if outcome.status == "dead_lettered":
            letter = case.letters.get(outcome.dead_letter)
            if letter is None or letter.reason != outcome.reason:
                yield Violation("lost_dead_letter", name)
        elif not case.has(sent):
            if sent.identity in case.events:
                yield Violation(
                    "altered", f"{name}: answered {outcome.status}, holds other content"
                )
            elif outcome.status == "duplicate":
                yield Violation("duplicate_of_nothing", name)
            else:
                yield Violation("lost", name)
    for attempt in case.attempts:
        if attempt.result is Result.OK and attempt.outcomes is None and not attempt.is_rehearsal:
            for sent in attempt.sent:
                if not case.has(sent) and sent.raw_sha256 not in case.bodies:
                    yield Violation("lost", _named(sent.identity))


def each_once(case: _Case) -> Iterator[Violation]:
    """I3: one row for an identity, one dead letter for a refusal, one `accepted` in all answers."""
    for identity, events in case.events.items():
        if len(events) > 1:
            yield Violation("doubled", f"{_named(identity)}: {len(events)} times")
    letters = Counter(
        (letter.producer, letter.reason, letter.body_sha256, letter.event_id)
        for letter in case.stored.letters
    )
    for (_, reason, _, name), count in letters.items():
        if count > 1:
            yield Violation("doubled_dead_letter", f"{name}: {count} times {reason}")
    accepted = Counter(
        sent.identity for sent, outcome in case.answers() if outcome.status == "accepted"
    )
    for identity, count in accepted.items():
        if count > 1:
            yield Violation("accepted_twice", f"{_named(identity)}: {count} answers say so")


def in_one_place(case: _Case) -> Iterator[Violation]:
    """I1: accepted ∩ dead = ∅. Another event of a taken identity is dead, not this one."""
    for letter in case.stored.letters:
        sent = case.raw.get(letter.body_sha256)
        if sent is None:
            continue
        name = _named(sent.identity)
        if case.has(sent):
            yield Violation("in_both", f"{name}, dead as {letter.reason}")
        elif letter.reason == _CONFLICT and sent.identity not in case.events:
            yield Violation("conflict_of_nothing", name)
        elif letter.reason != (sent.refused_for or _CONFLICT):
            yield Violation("wrongly_refused", f"{name} as {letter.reason}")


def dead_for_a_reason(case: _Case) -> Iterator[Violation]:
    """Each dead letter says why."""
    for letter in case.stored.letters:
        if not letter.reason or not letter.n_errors:
            yield Violation("dead_without_reason", letter.event_id or letter.id)


def stored_was_sent(case: _Case) -> Iterator[Violation]:
    """I2: stored ⊆ sent, unaltered, and nothing of a request that was refused or rehearsed."""
    for identity, events in case.events.items():
        name = _named(identity)
        if identity not in case.sent:
            if identity in case.refused:
                yield Violation("kept_though_refused", name)
            elif identity in case.rehearsed:
                yield Violation("kept_rehearsal", name)
            else:
                yield Violation("phantom", name)
            continue
        for event in events:
            same = [sent for sent in case.sent[identity] if sent.content == event.content]
            if not same:
                yield Violation("altered", f"{name}: holds what nobody sent")
            elif all(sent.refused_for for sent in same):
                yield Violation("wrongly_accepted", f"{name}: {same[0].refused_for}")
    for letter in case.stored.letters:
        if letter.body_sha256 not in case.raw:
            yield Violation("phantom_dead_letter", letter.event_id or letter.id)


def answers_are_whole(case: _Case) -> Iterator[Violation]:
    """I5 and I25: every item accounted for; no 500; a 503 says when to come again, in time."""
    for attempt in case.attempts:
        name = f"request {attempt.number} of {attempt.client}"
        if attempt.sent:
            name += f" ({attempt.sent[0].id})"
        if attempt.outcomes is not None and len(attempt.outcomes) != len(attempt.sent):
            yield Violation(
                "incomplete_answer", f"{name}: {len(attempt.outcomes)} of {len(attempt.sent)}"
            )
        if attempt.ended is not None and attempt.ended - attempt.began > ANSWER_SECONDS:
            yield Violation("late_answer", f"{name}: {attempt.ended - attempt.began:.1f} s")
        if attempt.status is None:
            continue
        if attempt.status >= 500 and attempt.status != 503:
            yield Violation("server_error", f"{name}: {attempt.status}")
        if attempt.status in {429, 503} and not attempt.has_retry_after:
            yield Violation("no_retry_after", f"{name}: {attempt.status}")


def accounts_add_up(case: _Case) -> Iterator[Violation]:
    """I4: per stream and minute received = accepted + dead + duplicates, and they count the rows."""
    first = case.stored.accounts_from
    accepted = Counter(
        (event.stream, event.minute) for event in case.stored.events if event.minute >= first
    )
    letters = Counter(
        (letter.stream, letter.minute) for letter in case.stored.letters if letter.minute >= first
    )
    told: Counter[tuple[str, int]] = Counter()
    dead: Counter[tuple[str, int]] = Counter()
    for account in case.stored.accounts:
        place = (account.stream, account.minute)
        told[place] += account.accepted
        dead[place] += account.dead_lettered
        difference = account.received - (
            account.accepted + account.duplicate + account.dead_lettered
        )
        if difference:
            yield Violation(
                "accounts", f"{account.stream} {account.minute}: {difference:+} received"
            )
    for stream, minute in sorted(set(accepted) | set(told)):
        difference = told[stream, minute] - accepted[stream, minute]
        if difference:
            yield Violation("accounts", f"{stream} {minute}: {difference:+} accepted")
    for (stream, minute), count in letters.items():
        if dead[stream, minute] < count:  # a refusal that is repeated counts again and is kept once
            yield Violation(
                "accounts", f"{stream} {minute}: {dead[stream, minute] - count:+} dead lettered"
            )


def the_log_is_read_whole(case: _Case) -> Iterator[Violation]:
    """I6: offsets served only grow, nothing appears behind them, nothing is left out."""
    for before, after in pairwise(case.stored.reads):
        if after.offset <= before.offset:
            yield Violation("offset_order", f"{after.offset} after {before.offset}")
    seen = Counter(event.offset for event in case.stored.reads)
    there = {event.offset for event in case.stored.events}
    for event in case.stored.events:
        if event.offset >= case.stored.log_from and event.offset not in seen:
            yield Violation("offset_skipped", f"{event.offset}: {_named(event.identity)}")
    for event in case.stored.reads:
        if event.offset not in there:
            yield Violation("offset_phantom", f"{event.offset}: {_named(event.identity)}")


def the_audit_chain_verifies(case: _Case) -> Iterator[Violation]:
    """What `audit verify` said against the chain, if anything."""
    if case.stored.audit_fault:
        yield Violation("audit", case.stored.audit_fault)


RULES: Final[tuple[Rule, ...]] = (
    acknowledged_is_stored,
    each_once,
    in_one_place,
    dead_for_a_reason,
    stored_was_sent,
    answers_are_whole,
    accounts_add_up,
    the_log_is_read_whole,
    the_audit_chain_verifies,
)
