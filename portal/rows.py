"""Streams as lists show them: with trust, volume and access, in a bounded number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.selectors import volume
from catalog.models import Stream
from governance import access
from governance.types import Permission
from ingest.selectors import health
from portal.kernel.actor import Actor
from quality.selectors.trust import trust_of
from quality.trust import Trust


@dataclass(frozen=True, slots=True)
class Row:
    """One stream in a list, with everything that is shown beside its name."""

    stream: Stream
    trust: Trust
    per_day: list[int]
    last_day: int
    may_read: bool

    strip: list[str]

    @property
    def is_unwell(self) -> bool:
        """Whether something fails now: its line is drawn as trouble."""
        return bool(self.trust.failing)

    @property
    def strip_said(self) -> str:
        return f"Ingest of {self.stream.name} in the last 24 hours: {health.said(self.strip)}"

    @property
    def change(self) -> float | None:
        """The last 24 hours against the same a week before; None where nothing came then."""
        before = self.per_day[-8] if len(self.per_day) >= 8 else 0
        return self.last_day / before - 1 if before else None


def stream_rows(actor: Actor, streams: Sequence[Stream]) -> list[Row]:
    """Streams with trust and volume; ten queries, whatever their number."""
    ids = [stream.pk for stream in streams]
    trust = trust_of(streams)
    per_day, strips = volume.daily(ids), health.strips(ids)
    readable = set(
        access.permitted(
            actor, Permission.READ_PAYLOAD, Stream.objects.filter(pk__in=ids)
        ).values_list("pk", flat=True)
    )
    return [
        Row(
            stream=stream,
            trust=trust[stream.pk],
            per_day=per_day.get(stream.pk, []),
            last_day=per_day[stream.pk][-1],
            may_read=stream.pk in readable,
            strip=strips[stream.pk],
        )
        for stream in streams
    ]
