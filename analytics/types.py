"""Values of analytics that cross its border."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STREAM_COUNTS: Final = "stream_counts"  # the reader that counts events per stream


@dataclass(frozen=True, slots=True)
class Rollup:
    """What is counted, from what, over which windows of event time, and by what it is split."""

    name: str
    title: str
    description: str
    measure: str
    bucket_seconds: int
    dimensions: tuple[str, ...]


ROLLUPS: Final[Mapping[str, Rollup]] = {
    STREAM_COUNTS: Rollup(
        name=STREAM_COUNTS,
        title="Events per stream",
        description="Accepted events of every stream, counted exactly once by their own time.",
        measure="events",
        bucket_seconds=300,
        dimensions=("stream",),
    )
}
