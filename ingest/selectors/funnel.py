"""What became of a stream's events: a funnel that adds up exactly, out of the accounts.

received = accepted + duplicate + each reason of refusal. The accounts are written in the transaction
that stores what they count, and a constraint holds them to the sum; reasons are counted beside them
in that same transaction. Replays of dead letters stand beside the sum, in the minute they were
stored: stored = accepted + replayed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.selectors.dead_letters import SENTENCES
from ingest.types import Reason
from portal.kernel import clock, soft_cache, sql

_FUNNEL: Final = sql.load("ingest", "funnel")
_REFUSED_EVER: Final = sql.load("ingest", "refused_ever")
_EVER_SECONDS: Final = 15
# Of what was refused before reasons were counted.
UNTOLD: Final = "untold"


@dataclass(frozen=True, slots=True)
class Refused:
    """Dead-lettered events of one reason; `untold` for those from before reasons were counted."""

    reason: str
    events: int

    @property
    def sentence(self) -> str:
        return SENTENCES.get(self.reason, "Refused before reasons were counted")


@dataclass(frozen=True, slots=True)
class Funnel:
    """One stream from `since` to `until`, or what nobody registered for stream 0.

    `refused` are the reasons that came about, the most frequent first. `repaired` of the `replayed`
    were changed before. `delivered` is None: nobody measures it yet.
    """

    since: datetime
    until: datetime
    received: int
    accepted: int
    duplicate: int
    refused: tuple[Refused, ...]
    replayed: int
    repaired: int
    delivered: int | None = None

    @property
    def dead_lettered(self) -> int:
        """Refused events, over all reasons."""
        return sum(one.events for one in self.refused)

    @property
    def stored(self) -> int:
        """What the log got in this stretch: accepted at the door, or replayed."""
        return self.accepted + self.replayed

    @property
    def difference(self) -> int:
        """0, or the accounts are broken."""
        return self.received - self.accepted - self.duplicate - self.dead_lettered


def funnel(stream_id: int, *, since: datetime, until: datetime) -> Funnel:
    """The funnel of whole minutes, in one statement and so of one moment."""
    row = sql.fetch_one(_FUNNEL, {"stream": stream_id, "since": since, "until": until})
    assert row is not None
    reasons = {reason: int(events) for reason, events in map(str.split, row["reasons"])}
    untold = row["dead_lettered"] - sum(reasons.values())
    if untold:
        reasons[UNTOLD] = untold
    return Funnel(
        since=since,
        until=until,
        received=row["received"],
        accepted=row["accepted"],
        duplicate=row["duplicate"],
        refused=tuple(
            Refused(reason, events)
            for reason, events in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        ),
        replayed=row["replayed"],
        repaired=row["repaired"],
    )


def last(stream_id: int, span: timedelta) -> Funnel:
    """The funnel up to the end of the present minute."""
    until = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    return funnel(stream_id, since=until - span, until=until)


def refused_ever() -> dict[str, int]:
    """Dead-lettered events by reason over all time, every reason named, for counters."""
    found: dict[str, int] | None = soft_cache.get("refused_ever")
    if found is None:
        rows = sql.fetch_all(_REFUSED_EVER)
        found = dict.fromkeys((reason.value for reason in Reason), 0)
        found |= {row["reason"]: int(row["events"]) for row in rows}
        soft_cache.put("refused_ever", found, _EVER_SECONDS)
    return found
