"""Producers with mixed load that send each request until it is settled, and keep the history.

Each is a thread with a connection and a generator of random numbers of its own, so that one seed
gives one load. Events of a cycle bear its name in their ids. What was sent lately is sent again now
and then, by anyone and in another order (crossed batches), with other content (conflicts), or long
after (the identity outlives restarts). Single events also come several at a time, over lines of their
own, as the portal takes those of one key together.
"""

import gzip
import hashlib
import http.client
import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from portal.soak.history import Attempt, History, Outcome, Result, Sent

STREAMS: Final = ("soak.tick", "soak.tock", "soak.thing_seen")
UNKNOWN: Final = "soak.never_registered"
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}, "text": {"type": "string"}},
    "required": ["n"],
}
REQUEST_SECONDS: Final = 12.0
SETTLE_SECONDS: Final = 40.0
RETRY_SECONDS: Final = 0.05
_VOLLEY: Final = 8
_ONE: Final = "application/cloudevents+json"
_MANY: Final = "application/cloudevents-batch+json"
_LINES: Final = "application/x-ndjson"
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """An event ready to be sent: what the checker must know of it, and its bytes."""

    sent: Sent
    raw: bytes


@dataclass
class Load:
    """What the clients of one portal share. `rate` is in events a second over all of them."""

    url: str
    keys: Sequence[str]
    rate: float
    clock: Callable[[], float] = time.monotonic
    history: History = field(default_factory=History)
    prefix: str = "c0"
    recent: deque[Made] = field(default_factory=lambda: deque(maxlen=200))
    settled: deque[Made] = field(default_factory=lambda: deque(maxlen=500))
    wanted: deque[Made] = field(default_factory=deque)
    unsettled: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    settle_by: float | None = None  # set once the portal is mended: then it has to answer


def content_of(source: str, subject: str | None, data: Any) -> str:
    """A hash of what an event says; data are whole numbers and texts only, so it has one spelling."""
    text = json.dumps([source, subject, data], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def make(
    stream: str,
    name: str,
    *,
    time_us: int | None,
    data: dict[str, Any],
    subject: str | None = None,
    refused_for: str = "",
) -> Made:
    """An event with its bytes; `time_us` is in microseconds since 1970, None leaves `time` out."""
    source = "/soak"
    event: dict[str, Any] = {"specversion": "1.0", "id": name, "source": source, "type": stream}
    if time_us is not None:
        event["time"] = spelled(time_us)
    if subject is not None:
        event["subject"] = subject
    raw = json.dumps(event | {"data": data}).encode()
    content = content_of(source, subject, data)
    sha256 = hashlib.sha256(raw).hexdigest()
    return Made(Sent(stream, name, time_us, content, sha256, refused_for), raw)


def spelled(time_us: int) -> str:
    """Microseconds since 1970 in RFC 3339, UTC, with six digits."""
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


class Client(threading.Thread):
    """One producer. Ends after its current request is settled, once `load.stopping` is set."""

    def __init__(self, load: Load, place: int, seed: str) -> None:
        super().__init__(name=f"client-{place}", daemon=True)
        self.load = load
        self.place = place
        self.random = random.Random(f"{seed}-{place}")  # noqa: S311  # load, not secrets
        self.key = load.keys[place % len(load.keys)]
        self._number = 0
        self._connection: http.client.HTTPConnection | None = None
        self._others: list[Client] = []  # of the same producer, for what goes beside other requests

    def run(self) -> None:
        actions: list[tuple[Callable[[], int], int]] = [
            (self._batch, 8), (self._single, 6), (self._binary, 2), (self._lines, 2),
            (self._volley, 3), (self._crossed, 3), (self._conflict, 2), (self._old, 1), (self._rehearsal, 1),
            (self._without_a_key, 1), (self._wrong_type, 1), (self._unparsable, 1),
        ]  # fmt: skip
        choices = [action for action, _ in actions]
        weights = [weight for _, weight in actions]
        share = self.load.rate / max(1, len(self.load.keys))
        try:
            while not self.load.stopping.is_set():
                began = self.load.clock()
                (action,) = self.random.choices(choices, weights)
                events = action()
                pause = events / share - (self.load.clock() - began)
                self.load.stopping.wait(max(0.0, pause))
        finally:
            for line in (self, *self._others):
                line._hang_up()

    # --- what is sent ---

    def _event(self, *, is_shared: bool = True) -> Made:
        """A new event; one that is not shared keeps its contract and is sent by nobody else."""
        if is_shared and self.load.wanted:
            try:
                return self.load.wanted.popleft()
            except IndexError:  # another client was faster
                pass
        self._number += 1
        name = f"{self.load.prefix}-{self.place}-{self._number}"
        draw = self.random.random()
        stream = self.random.choice(STREAMS)
        data: dict[str, Any] = {"n": self.random.randrange(1000)}
        if self.random.random() < 0.3:
            data["text"] = "é" * self.random.randrange(1, 200)
        subject = self.random.choice([None, None, "anna", "ben"])
        time_us: int | None = time.time_ns() // 1000 - self.random.randrange(2 * _DAY_US)
        if draw < 0.2:
            time_us = None  # identity is the ledger's
        elif draw < 0.3:
            name, time_us = _uuid7(name), None
        if is_shared and draw > 0.9:
            if draw > 0.97:
                return make(UNKNOWN, name, time_us=time_us, data=data, refused_for="unknown_stream")
            bad = data | {"n": -1}
            return make(stream, name, time_us=time_us, data=bad, refused_for="schema_violation")
        made = make(stream, name, time_us=time_us, data=data, subject=subject)
        if draw >= 0.2 and time_us is None:  # the time is that of the id
            known = int(name.replace("-", "")[:12], 16) * 1000
            identity = Sent(stream, name, known, made.sent.content, made.sent.raw_sha256)
            made = Made(identity, made.raw)
        if is_shared:
            self.load.recent.append(made)
        return made

    def _send_batch(self, events: Sequence[Made]) -> int:
        body = b"[" + b",".join(made.raw for made in events) + b"]"
        packed = self.random.random() < 0.3
        headers = {"Content-Type": _MANY}
        if packed:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        self._settle(events, body, headers)
        return len(events)

    def _batch(self) -> int:
        return self._send_batch([self._event() for _ in range(self.random.randrange(2, 40))])

    def _single(self) -> int:
        made = self._event()
        self._settle([made], made.raw, {"Content-Type": _ONE})
        return 1

    def _volley(self) -> int:
        """Single events at the same time, of which one is there twice."""
        events = [self._event() for _ in range(self.random.randrange(2, _VOLLEY))]
        events.append(self.random.choice(events))
        while len(self._others) < len(events):
            other = Client(self.load, self.place, f"{self.name}-{len(self._others)}")
            other.name = f"{self.name}-{len(self._others)}"
            self._others.append(other)

        def send(line: Client, made: Made) -> None:
            line._settle([made], made.raw, {"Content-Type": _ONE})

        with ThreadPoolExecutor(len(events)) as pool:
            for _ in pool.map(send, self._others, events):
                pass
        return len(events)

    def _lines(self) -> int:
        events = [self._event() for _ in range(self.random.randrange(1, 10))]
        broken = f'{{"id": "{self.load.prefix}-{self.place}-{self._number}-broken'.encode()
        sha256 = hashlib.sha256(broken).hexdigest()
        events.append(Made(Sent("", "", None, sha256, sha256, "unparsable"), broken))
        body = b"\n".join(made.raw for made in events)
        self._settle(events, body, {"Content-Type": _LINES})
        return len(events)

    def _binary(self) -> int:
        """In binary mode the portal puts the event together, so its bytes are not known here."""
        made = self._event(is_shared=False)
        event = json.loads(made.raw)
        headers = {
            f"ce-{name}": quote(str(value), safe="/:")
            for name, value in event.items()
            if name != "data"
        }
        body = json.dumps(event["data"]).encode()
        self._settle([made], body, headers | {"Content-Type": "application/json"})
        return 1

    def _crossed(self) -> int:
        """Events that others have sent or are just sending, in another order, among new ones."""
        known = list(self.load.recent)
        events = self.random.sample(known, min(len(known), self.random.randrange(1, 20)))
        events += [self._event() for _ in range(3)]
        events += events[:2]  # and within one batch
        self.random.shuffle(events)
        return self._send_batch(events)

    def _conflict(self) -> int:
        """The identity of a stored event with other content."""
        known = [made for made in list(self.load.recent) if not made.sent.refused_for]
        if not known:
            return self._single()
        old = self.random.choice(known)
        event = json.loads(old.raw)
        event["data"]["n"] += 1_000_000
        raw = json.dumps(event).encode()
        content = content_of(event["source"], event.get("subject"), event["data"])
        sha256 = hashlib.sha256(raw).hexdigest()
        sent = Sent(old.sent.stream, old.sent.id, old.sent.time_us, content, sha256)
        return self._send_batch([Made(sent, raw), self._event()])

    def _old(self) -> int:
        """What was settled in an earlier cycle."""
        known = list(self.load.settled)
        if not known:
            return self._single()
        return self._send_batch(self.random.sample(known, min(len(known), 5)))

    def _rehearsal(self) -> int:
        """Full checks and nothing kept."""
        events = [self._event(is_shared=False) for _ in range(3)]
        body = b"[" + b",".join(made.raw for made in events) + b"]"
        self._once(events, body, {"Content-Type": _MANY}, is_rehearsal=True)
        return 3

    def _without_a_key(self) -> int:
        self._refused({"Content-Type": _ONE, "Authorization": "Bearer ep_prod_nobody00_x"})
        return 1

    def _wrong_type(self) -> int:
        self._refused({"Content-Type": "text/csv"})
        return 1

    def _refused(self, headers: dict[str, str]) -> None:
        self._number += 1
        name = f"{self.load.prefix}-{self.place}-{self._number}-refused"
        made = make(STREAMS[0], name, time_us=time.time_ns() // 1000, data={"n": 1})
        self._settle([made], made.raw, headers)

    def _unparsable(self) -> int:
        self._number += 1
        body = f'{{"{self.load.prefix}-{self.place}-{self._number}": '.encode()
        sha256 = hashlib.sha256(body).hexdigest()
        made = Made(Sent("", "", None, sha256, sha256, "unparsable"), body)
        self._settle([made], body, {"Content-Type": _ONE})
        return 1

    # --- how it is sent ---

    def _settle(self, events: Sequence[Made], body: bytes, headers: dict[str, str]) -> None:
        """Send it until somebody answers for it."""
        while True:
            attempt = self._once(events, body, headers)
            if attempt.result is not Result.INFO and attempt.outcomes is not None:
                return
            if attempt.result is Result.FAIL:
                return
            if self.load.settle_by is not None and self.load.clock() > self.load.settle_by:
                self.load.unsettled.append(
                    f"{events[0].sent.id} and {len(events) - 1} more: {attempt.status}"
                )
                return
            time.sleep(RETRY_SECONDS * self.random.uniform(1, 4))

    def _once(
        self,
        events: Sequence[Made],
        body: bytes,
        headers: dict[str, str],
        *,
        is_rehearsal: bool = False,
    ) -> Attempt:
        load = self.load
        attempt = load.history.begin(
            self.name, [made.sent for made in events], at=load.clock(), is_rehearsal=is_rehearsal
        )
        path = "/v1/events?results=all" + ("&dry_run=true" if is_rehearsal else "")
        status, retry_after, answer = self._exchange(
            path, body, {"Authorization": f"Bearer {self.key}", **headers}
        )
        load.history.end(
            attempt,
            at=load.clock(),
            status=status,
            outcomes=_outcomes(answer, len(events)),
            has_retry_after=retry_after,
            is_whole=answer is not None,
        )
        return attempt

    def _exchange(
        self, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int | None, bool, Any]:
        """Status, whether it says when to come again, and the body; each as far as it arrived."""
        status: int | None = None
        retry_after = False
        try:
            connection = self._connected()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            status = answer.status
            retry_after = (answer.getheader("Retry-After") or "").isdigit()
            return status, retry_after, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._hang_up()
            return status, retry_after, None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            address = urlsplit(self.load.url)
            assert address.hostname is not None
            self._connection = http.client.HTTPConnection(
                address.hostname, address.port, timeout=REQUEST_SECONDS
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _outcomes(answer: Any, n_events: int) -> list[Outcome] | None:
    """The outcome of each event, in the order sent; None when the answer tells of none."""
    if not isinstance(answer, dict):
        return None
    if "results" in answer:
        return [
            Outcome(result["status"], result.get("reason", ""), result.get("dead_letter", ""))
            for result in answer["results"]
        ]
    if "dead_letter" in answer and n_events == 1:
        return [Outcome("dead_lettered", "unparsable", answer["dead_letter"])]
    return None


def _uuid7(name: str) -> str:
    """A UUIDv7 of now whose random part is made of a name, so that one seed gives one id."""
    milliseconds = time.time_ns() // 1_000_000
    rest = hashlib.sha256(name.encode()).digest()[:10]
    number = (milliseconds << 80) | int.from_bytes(rest)
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=number))
