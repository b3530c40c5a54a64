"""The makers of one run: of one stream or several, whose events join and lie in one order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from ingest.synthetic.curves import Incident
from ingest.synthetic.joining import Cast, Member
from ingest.synthetic.making import Maker, Plan
from portal.kernel.errors import InvalidError


def makers_of(plans: Sequence[Plan]) -> list[Maker]:
    """The makers of one run; several share a cast, with the subjects of the first."""
    makers = [Maker(plan) for plan in plans]
    if len(makers) > 1:
        first = plans[0]
        cast = Cast(
            [Member(maker.plan.document, maker.plan.profile, maker.count) for maker in makers],
            seed=f"{first.seed}:{first.stream}:{first.start}",
            distinct_ratio=first.subjects.distinct_ratio,
            presence_ratio=first.subjects.presence_ratio,
        )
        for step, maker in enumerate(makers):
            maker.join(cast, step)
    return makers


def joined_fields(makers: Sequence[Maker]) -> list[str]:
    """The fields that events of at least two of the streams have in common."""
    taken = [maker.joined() for maker in makers]
    every = sorted(set().union(*taken))
    return [key for key in every if sum(key in one for one in taken) > 1]


def fitted(plans: Sequence[Plan]) -> list[Plan]:
    """The plans, each with those kinds and faults that its own contract can have.

    Raises InvalidError for a contract that rules out everything, and for what none of them can have.
    """
    makers = [Maker(plan) for plan in plans]
    for maker in makers:
        maker.check()
    every: list[str | Incident] = [kind for plan in plans for kind, _ in plan.shares]
    every += [one for plan in plans for one in plan.incidents]
    able: dict[str | Incident, set[int]] = {}
    for asked in dict.fromkeys(every):
        refusals: list[InvalidError] = []
        able[asked] = set()
        for at, maker in enumerate(makers):
            try:
                if isinstance(asked, Incident):
                    maker.check_incident(asked)
                else:
                    maker.check_kind(asked)
                able[asked].add(at)
            except InvalidError as error:
                refusals.append(error)
        if not able[asked]:
            raise refusals[0]
    return [
        replace(
            plan,
            shares=tuple(one for one in plan.shares if at in able[one[0]]),
            incidents=tuple(one for one in plan.incidents if at in able[one]),
        )
        for at, plan in enumerate(plans)
    ]


def merged(
    makers: Sequence[Maker], positions: Sequence[int] = ()
) -> Iterator[tuple[datetime, Maker, int]]:
    """The places of several plans in the order of their times, from where each stands; makes no
    data."""
    starts = positions or [0] * len(makers)
    waiting = [
        (maker.time_of(place), at, place)
        for at, (maker, place) in enumerate(zip(makers, starts, strict=True))
        if place < maker.count
    ]
    while waiting:
        moment, at, place = min(waiting)
        waiting.remove((moment, at, place))
        yield moment, makers[at], place
        if place + 1 < makers[at].count:
            waiting.append((makers[at].time_of(place + 1), at, place + 1))


def positions_after(makers: Sequence[Maker], done: int) -> list[int]:
    """Where each stands once so many places of all together are done."""
    if len(makers) == 1:
        return [done]
    positions = [0] * len(makers)
    for _, maker, place in islice(merged(makers), done):
        positions[makers.index(maker)] = place + 1
    return positions
