"""Replaying stored events against a candidate contract: what would it have refused?

1. A sample first: up to 100 events at each of 20 moments spread evenly over the last seven days.
2. Then every event of those days, oldest first, in batches, until all were judged: exact.

Events are judged as they came: what had been set aside as drift is put back before. Producers
marked as test are left out, and places whose values were treated when they came are not judged. Values never enter the tally: it holds counts, places and rules, and
for ten refused events where to find them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson

from catalog.impact import ReplayStep
from catalog.models import Producer, Stream
from catalog.types import CompatibilityPolicy
from ingest.judging.contract import Contract
from ingest.judging.drift import join
from ingest.log.alive import FieldLives, alive_since
from ingest.privacy.treating import is_made
from portal.kernel import clock, sql
from portal.kernel.errors import FieldError

SPAN: Final = timedelta(days=7)
MOMENTS: Final = 20
AT_EACH: Final = 100
_STRIDE: Final = 7  # shares no divisor with MOMENTS, so each is visited once
BATCH: Final = 2_000
MAX_SAMPLES: Final = 10
MAX_PLACES: Final = 200
_READ: Final = sql.load("ingest", "read_for_replay")
_COUNT: Final = sql.load("ingest", "count_for_replay")
Rows = Sequence[Mapping[str, Any]]


def replay_sample(
    stream: Stream, document: Mapping[str, Any], *, budget_seconds: float
) -> dict[str, Any]:
    """The sample alone, while somebody waits: a tally with what of the sample was looked at.

    `moments` of `of_moments` were read before the time was over; `total` is not counted.
    """
    now = clock.now()
    since = now - SPAN
    contract = _contract(stream, document)
    tally = _Tally.empty("sample", since, now, 0)
    names = _producer_names()
    deadline = time.monotonic() + budget_seconds
    read = 0
    lives = FieldLives.of(stream)
    for rows in _moments(stream, _test_producers(), since, now):
        tally.add(rows, contract, names, lives)
        read += 1
        if time.monotonic() >= deadline:
            break
    return tally.as_dict() | {
        "total": None,
        "moments": read,
        "of_moments": MOMENTS,
        "at_most": MOMENTS * AT_EACH,
        "budget_seconds": budget_seconds,
    }


def replay_step(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    cursor: Mapping[str, Any],
    tally: Mapping[str, Any],
    budget_seconds: float,
) -> ReplayStep:
    """One step of a replay: the sample, or batches of the exact pass until the budget is spent.

    The tally is replaced when a phase begins, so the exact one does not add to the sample's.
    """
    contract, test_producers = _contract(stream, document), _test_producers()
    if not cursor:
        return _sample(stream, contract, test_producers)
    return _exact(stream, contract, test_producers, cursor, tally, budget_seconds)


def _contract(stream: Stream, document: Mapping[str, Any]) -> Contract:
    sets_aside = stream.compatibility_policy == CompatibilityPolicy.READER_WRITER
    return Contract(document, version=0, sets_aside=sets_aside).of_stored()


def _test_producers() -> list[int]:
    return list(Producer.objects.filter(is_test=True).values_list("pk", flat=True))


def _moments(
    stream: Stream, test_producers: list[int], since: datetime, now: datetime
) -> Iterator[Rows]:
    """Up to AT_EACH events at each of the moments, in an order that is spread wherever it is cut."""
    for place in (number * _STRIDE % MOMENTS for number in range(MOMENTS)):
        begin, end = (since + SPAN / MOMENTS * number for number in (place, place + 1))
        yield read_batch(stream, begin, "", end, seen_by=now, without=test_producers, batch=AT_EACH)


def _sample(stream: Stream, contract: Contract, test_producers: list[int]) -> ReplayStep:
    now = clock.now()
    since = now - SPAN
    bounds = {"stream_id": stream.pk, "until": now, "seen_by": now,
              "test_producers": test_producers, "alive_since": alive_since(stream)}  # fmt: skip
    total = int((sql.fetch_one(_COUNT, bounds | {"since": since}) or {"events": 0})["events"])
    tally = _Tally.empty("sample", since, now, total)
    names, lives = _producer_names(), FieldLives.of(stream)
    for rows in _moments(stream, test_producers, since, now):
        tally.add(rows, contract, names, lives)
    return ReplayStep(
        cursor={"at": since.isoformat(), "id": "", "since": since.isoformat(),
                "until": now.isoformat()},
        tally=tally.as_dict(),
        done=0,
        total=total,
        is_finished=total == 0,
    )  # fmt: skip


def _exact(
    stream: Stream,
    contract: Contract,
    test_producers: list[int],
    cursor: Mapping[str, Any],
    so_far: Mapping[str, Any],
    budget_seconds: float,
) -> ReplayStep:
    until = datetime.fromisoformat(cursor["until"])
    since = datetime.fromisoformat(cursor["since"])
    at, name = datetime.fromisoformat(cursor["at"]), str(cursor["id"])
    tally = _Tally.empty("exact", since, until, int(so_far["total"]))
    if so_far.get("phase") == "exact":
        tally = _Tally(dict(so_far))
    names, lives = _producer_names(), FieldLives.of(stream)
    deadline = time.monotonic() + budget_seconds
    is_finished = False
    while time.monotonic() < deadline and not is_finished:
        rows = read_batch(stream, at, name, until, seen_by=until, without=test_producers)
        tally.add(rows, contract, names, lives)
        is_finished = len(rows) < BATCH
        if rows:
            at, name = rows[-1]["occurred_at"], str(rows[-1]["event_id"])
    found = tally.as_dict()
    return ReplayStep(
        cursor={**cursor, "at": at.isoformat(), "id": name},
        tally=found,
        done=int(found["checked"]),
        total=max(int(found["total"]), int(found["checked"])),
        is_finished=is_finished,
    )


def read_batch(
    stream: Stream,
    after_at: datetime,
    after_id: str,
    until: datetime,
    *,
    seen_by: datetime,
    without: Sequence[int],
    batch: int | None = None,
) -> Rows:
    """Stored events after a place in the stream's order by time, as text; see the statement."""
    return sql.fetch_all(
        _READ,
        {"stream_id": stream.pk, "after_at": after_at, "after_id": after_id, "until": until,
         "seen_by": seen_by, "test_producers": list(without), "batch": batch or BATCH,
         "alive_since": alive_since(stream)},
    )  # fmt: skip


def _producer_names() -> dict[int, str]:
    return dict(Producer.objects.values_list("pk", "name"))


class _Tally:
    """Counts of one phase, as JSON: checked and refused, by producer, version, day and place."""

    def __init__(self, counts: dict[str, Any]) -> None:
        self._counts = counts

    @classmethod
    def empty(cls, phase: str, since: datetime, until: datetime, total: int) -> "_Tally":
        return cls(
            {
                "phase": phase,
                "since": since.isoformat(),
                "until": until.isoformat(),
                "total": total,
                "checked": 0,
                "refused": 0,
                "producers": {},
                "versions": {},
                "days": {},
                "places": {},
                "samples": [],
            }
        )

    def add(
        self, rows: Rows, contract: Contract, names: Mapping[int, str], lives: FieldLives
    ) -> None:
        """Judge rows and count them: by what they have in common first, into the tally once."""
        alike: dict[tuple[int, int, date], list[int]] = {}
        for row, data in _read(rows, lives):
            errors = contract.check_data(
                data, has_data=row["data"] is not None or bool(row["bytes"])
            )
            if errors:  # a token fits no format, and what it stands for did when it came
                errors = tuple(one for one in errors if not is_made(data, one.pointer))
            key = (row["producer_id"], row["version"] or 0, row["occurred_at"].date())
            found = alike.get(key)
            if found is None:
                found = alike[key] = [0, 0]
            found[0] += 1
            if errors:
                found[1] += 1
                producer = names.get(row["producer_id"], "unknown")
                self._refuse(row, producer, str(row["version"] or 0), errors)
        for (producer_id, version, day), (checked, refused) in alike.items():
            self._count("producers", names.get(producer_id, "unknown"), checked, refused)
            self._count("versions", str(version), checked, refused)
            self._count("days", day.isoformat(), checked, refused)
            self._counts["checked"] += checked

    def _count(self, group: str, key: str, checked: int, refused: int) -> None:
        entry = self._counts[group].setdefault(key, {"checked": 0, "refused": 0})
        entry["checked"] += checked
        entry["refused"] += refused

    def _refuse(
        self,
        row: Mapping[str, Any],
        producer: str,
        version: str,
        errors: Sequence[FieldError],
    ) -> None:
        counts = self._counts
        counts["refused"] += 1
        places = counts["places"]
        said = {f"{error.code} {_general(error.pointer)}": error.detail for error in errors}
        for place, detail in said.items():
            if place in places or len(places) < MAX_PLACES:
                found = places.setdefault(place, {"events": 0, "detail": detail, "producers": {}})
                found["events"] += 1
                found["producers"][producer] = found["producers"].get(producer, 0) + 1
        if len(counts["samples"]) < MAX_SAMPLES:
            counts["samples"].append(
                {
                    "id": row["event_id"],
                    "time": row["occurred_at"].isoformat(),
                    "producer": producer,
                    "version": int(version) or None,
                    "errors": [dict(error.as_dict()) for error in errors[:3]],
                }
            )

    def as_dict(self) -> dict[str, Any]:
        return self._counts


def _read(rows: Rows, lives: FieldLives) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each row with its data as it came, without what has lived its time."""
    for row in rows:
        if row["data"] is None:
            yield row, row["bytes"].replace("\n", "") if row["bytes"] else None
            continue
        data = lives.left_of(
            orjson.loads(row["data"]), version=row["version"], occurred_at=row["occurred_at"]
        )
        if row["extra"] is not None:
            data = join(data, orjson.loads(row["extra"]))
        yield row, data


def _general(pointer: str) -> str:
    """A pointer with the places in arrays left out, so that like faults are counted together."""
    return "/".join("*" if step.isdigit() else step for step in pointer.split("/"))
