"""Histograms with fixed logarithmic buckets: small, mergeable by adding, good to an eighth.

A whole number belongs to the bucket of its octave (where its highest bit is) and of the quarter of
that octave. So a bucket is at most a quarter wide, the same in every process and version, and the sum
of two histograms is the histogram of both. Numbers below 4 have buckets of their own; less than
nothing counts as nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

# A number of 63 bits is in the last one.
N_BUCKETS: Final = 4 * 63

Counts = Mapping[int, int]


def bucket_of(value: int) -> int:
    """The bucket of a whole number."""
    if value < 4:
        return value if value > 0 else 0
    bits = value.bit_length()
    return 4 * bits - 8 + (value >> (bits - 3) & 3)


def lowest_of(bucket: int) -> int:
    """The least number of a bucket; that of the next one is where it ends."""
    if bucket < 4:
        return bucket
    octave, quarter = divmod(bucket + 8, 4)
    return (4 + quarter) << (octave - 3)


def total(counts: Counts) -> int:
    return sum(counts.values())


def quantile(counts: Counts, share: float) -> float | None:
    """The number below which that share lies, evenly spread inside a bucket; None for nothing."""
    wanted = share * total(counts)
    if not wanted:
        return None
    below = 0
    for bucket in sorted(counts):
        events = counts[bucket]
        if below + events >= wanted:
            low, high = lowest_of(bucket), lowest_of(bucket + 1)
            return low + (high - low) * (wanted - below) / events
        below += events
    raise AssertionError


def within(counts: Counts, bound: float) -> float | None:
    """The share that is at most `bound`, evenly spread inside its bucket; None for nothing."""
    everything = total(counts)
    if not everything:
        return None
    found = 0.0
    for bucket, events in counts.items():
        low, high = lowest_of(bucket), lowest_of(bucket + 1)
        found += events * min(1.0, max(0.0, (bound - low) / (high - low)))
    return found / everything


def sum_of(counts: Counts) -> float:
    """About the sum of everything that was counted: each in the middle of its bucket."""
    return sum(
        events * (lowest_of(bucket) + lowest_of(bucket + 1) - 1) / 2
        for bucket, events in counts.items()
    )


def cumulated(counts: Counts, bounds: Sequence[int]) -> list[tuple[int, int]]:
    """How many lie in buckets that end at or below each bound, for Prometheus; bounds rise.

    A bound should be where a bucket ends (`lowest_of` of some bucket), else the bucket around it
    counts from the next bound on.
    """
    found, below = [], 0
    rest = sorted(counts)
    for bound in bounds:
        while rest and lowest_of(rest[0] + 1) <= bound:
            below += counts[rest.pop(0)]
        found.append((bound, below))
    return found


def merged(*many: Counts) -> dict[int, int]:
    """The histogram of all of them."""
    found: dict[int, int] = {}
    for counts in many:
        for bucket, events in counts.items():
            found[bucket] = found.get(bucket, 0) + events
    return found
